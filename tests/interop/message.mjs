// SPEC 7: messages. Each is read to `{ name, ... }` and written from it.
import { must } from './bytes.mjs';
import { isBin, isUint, pack, unpack } from './pack.mjs';

const MOST_IDS = 256;
const MOST_RECORDS = 64;
const MOST_RANGES = 512; // 13
const MINUTES = 2 ** 32 - 1;

const uint = (least, most) => (value) => isUint(value, least, most);
const pieces = (length, least) => ({
    valid: (bin) => isBin(bin) && bin.length % length === 0 && bin.length >= least * length &&
        bin.length <= MOST_IDS * length,
    read: (bin) => Array.from({ length: bin.length / length },
        (_, i) => bin.subarray(i * length, (i + 1) * length)),
    write: (list) => Buffer.concat(list),
});
const list = (most, valid) => (value) =>
    Array.isArray(value) && value.length <= most && value.every(valid);

export const SKIP = 0;
export const FINGERPRINT = 1;
export const IDS = 2;

const ofMode = (mode, bin) => [
    () => bin.length === 0, () => bin.length === 16, () => bin.length % 16 === 0,
][mode]?.();
const isRange = (range) => Array.isArray(range) && range.length === 4 &&
    isUint(range[0], 0, MINUTES) && isBin(range[1]) && range[1].length <= 16 &&
    isUint(range[2], 0, 2) && isBin(range[3]) && ofMode(range[2], range[3]);
const ranges = {
    valid: list(MOST_RANGES, isRange),
    read: (items) => items.map(([minute, id, mode, bin]) => ({ minute, id, mode, bin })),
    write: (items) => items.map(({ minute, id, mode, bin }) => [minute, id, mode, bin]),
};
const records = list(MOST_RECORDS, (item) => isBin(item));
const isLock = (lock) => Array.isArray(lock) && lock.length === 2 && isBin(lock[0], 4, 8) &&
    isUint(lock[1], 0, 3600);

const SHAPES = {
    HELLO: [1, ['version', uint(1)], ['time', uint()],
        ['agent', (text) => typeof text === 'string' && Buffer.byteLength(text) <= 32]],
    PING: [2, ['number', uint(0, 2n ** 64n - 1n)]],
    PONG: [3, ['number', uint(0, 2n ** 64n - 1n)]],
    RECORDS: [4, ['records', records]],
    ACK: [5, ['ids', pieces(16, 1)]],
    WANT: [6, ['ids', pieces(16, 1)]],
    RECONCILE: [7, ['tree', uint(0, 1)], ['low', uint(0, MINUTES)], ['ranges', ranges]],
    GOODBYE: [8, ['reason', uint()]],
    PRUNE: [9, ['trees', uint(0, 255)]],
    OFFER: [10, ['marks', pieces(4, 1)]],
    GRAFT: [11, ['trees', uint(0, 255)], ['marks', pieces(4, 0)]],
    ERRAND: [12],
    WHISPER: [13, ['records', records]],
    ASK: [14, ['subject', (bin) => isBin(bin, 4, 8)]],
    FOLLOW: [16, ['on', uint(0, 1)]],
    LOCKS: [17, ['locks', list(256, isLock)]],
    FLOW: [18, ['size', uint(2, 12)], ['bounced', uint(0, 100)], ['deferred', uint(0, 100)],
        ['rejected', uint(0, 100)]],
};
const NAMES = new Map(Object.entries(SHAPES).map(([name, [number]]) => [number, name]));

/** `value`: what unpack made of the bytes. */
export function readMessage(value) {
    must(Array.isArray(value) && NAMES.has(value[0]), 'a message of no known number');
    const name = NAMES.get(value[0]);
    const fields = SHAPES[name].slice(1);
    must(value.length === fields.length + 1, `the shape of ${name}`);
    const message = { name };
    fields.forEach(([field, shape], i) => {
        const item = value[i + 1];
        must((shape.valid ?? shape)(item), `${field} of ${name}`);
        message[field] = shape.read ? shape.read(item) : item;
    });
    return message;
}
export const parseMessage = (part) => readMessage(unpack(part));

export function writeMessage(message) {
    const [number, ...fields] = SHAPES[message.name];
    return pack([number, ...fields.map(([field, shape]) =>
        (shape.write ? shape.write(message[field]) : message[field]))]);
}

export const GOODBYE = ['stopping', 'a second session', 'no room', 'something invalid', 'revoked',
    'a day old'];
