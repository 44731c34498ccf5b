// SPEC 2.4: the part of msgpack that messages and signed bodies may use, in its shortest form.
import { decode, encode } from '@msgpack/msgpack';
import { must, same } from './bytes.mjs';

const DEPTH = 5;
const LARGE = 2 ** 32;

// The library writes a BigInt as 64 bits whatever it holds, and (told to know BigInt) a Number
// above 32 bits as a float. So small ones are Numbers, and the others BigInts.
function shaped(value) {
    if (Array.isArray(value)) return value.map(shaped);
    if (typeof value === 'number' && value >= LARGE) return BigInt(value);
    if (typeof value === 'bigint' && value < LARGE) return Number(value);
    return value;
}

export const pack = (value) => Buffer.from(encode(shaped(value), { useBigInt64: true }));

function plain(value, depth) {
    if (Array.isArray(value)) {
        must(depth < DEPTH, 'nested too deep');
        return value.map((item) => plain(item, depth + 1));
    }
    if (value instanceof Uint8Array) return Buffer.from(value);
    if (typeof value === 'string') return value;
    if (typeof value === 'bigint') {
        must(value >= 0, 'a negative integer');
        return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
    }
    must(Number.isInteger(value) && value >= 0, 'a type that 2.4 does not allow');
    return value;
}

/** One value, and nothing after it. */
export function unpack(part) {
    const most = part.length;
    let value;
    try {
        value = plain(decode(part, {
            useBigInt64: true, maxArrayLength: most, maxBinLength: most, maxStrLength: most,
            maxMapLength: 0, maxExtLength: 0,
        }), 0);
    } catch (error) {
        must(false, `not msgpack as 2.4 wants it: ${error.message}`);
    }
    must(same(pack(value), part), 'not in its shortest form'); // one value, one encoding
    return value;
}

/** Several values, one after the other: the messages of a frame (SPEC 6). */
export function* unpackAll(part) {
    for (let at = 0; at < part.length;) {
        const end = at + lengthOf(part, at, 0);
        yield unpack(part.subarray(at, end));
        at = end;
    }
}

// The library cannot say where a value ends without giving up strictness, so this does.
function lengthOf(part, at, depth) {
    const head = part[at];
    const sized = (width, items) => {
        must(at + 1 + width <= part.length, 'cut short');
        const count = part.readUIntBE(at + 1, width);
        return items ? arrayLength(part, at, 1 + width, count, depth) : 1 + width + count;
    };
    let length;
    if (head < 0x80) length = 1;
    else if (head >= 0x90 && head < 0xa0) length = arrayLength(part, at, 1, head & 15, depth);
    else if (head >= 0xa0 && head < 0xc0) length = 1 + (head & 31);
    else if (head >= 0xc4 && head <= 0xc6) length = sized(1 << (head - 0xc4));
    else if (head >= 0xcc && head <= 0xcf) length = 1 + (1 << (head - 0xcc));
    else if (head >= 0xd9 && head <= 0xdb) length = sized(1 << (head - 0xd9));
    else if (head === 0xdc || head === 0xdd) length = sized(head === 0xdc ? 2 : 4, true);
    must(length !== undefined, 'a type that 2.4 does not allow');
    must(at + length <= part.length, 'cut short');
    return length;
}

function arrayLength(part, at, head, count, depth) {
    must(depth < DEPTH && count <= part.length - at - head, 'an array that cannot be');
    let length = head;
    for (let i = 0; i < count; i++) length += lengthOf(part, at + length, depth + 1);
    return length;
}

export const isUint = (value, least = 0, most = Number.MAX_SAFE_INTEGER) =>
    (typeof value === 'number' || typeof value === 'bigint') && value >= least && value <= most;
export const isBin = (value, ...lengths) => Buffer.isBuffer(value) &&
    (lengths.length === 0 || lengths.includes(value.length));
