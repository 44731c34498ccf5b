// SPEC 8: records. `readRecord` knows shapes and ranges; whether one is taken is set.mjs's.
import { bytes, must } from './bytes.mjs';
import { readCertificate } from './certificate.mjs';
import { readDescriptor } from './descriptor.mjs';
import { idOf } from './keys.mjs';
import { isBin, isUint, pack, unpack } from './pack.mjs';

export const SIGNAL = 1;
export const RETRACTION = 2;
export const FAULT = 3;
export const REVOCATION = 4;
export const CERTIFICATE = 5;
export const ADDRESS = 6;
export const DESCRIPTOR = 7;
export const HEAD = 8;

export const DOMAIN = {
    [SIGNAL]: 'grapevine signal 1', [RETRACTION]: 'grapevine retract 1',
    [REVOCATION]: 'grapevine revocation 1', [ADDRESS]: 'grapevine address 1',
    [HEAD]: 'grapevine log head 1',
};
const SIGNATURE = 64;
const WEEK = 7 * 24 * 60;
const MINUTES = 2 ** 32 - 1;
const NUMBERS = 2n ** 63n - 1n;

const isStatementHead = (certificate, number, subject) =>
    isBin(certificate, 16) && isUint(number, 1, NUMBERS) && isBin(subject, 4, 8);

// 1, 2, 5, 10, 20, ... 100000 (8.1)
export const COUNTS = [1, 10, 100, 1000, 10000].flatMap((ten) => [ten, 2 * ten, 5 * ten]).concat(100000);
export const roundedCount = (count) => COUNTS.filter((step) => step <= count).pop();

function arrayOf(body, length) {
    const fields = unpack(body);
    must(Array.isArray(fields) && fields.length === length, 'the body of a record');
    return fields;
}

const READ = {
    [SIGNAL](body) {
        const [kind, certificate, number, subject, first, last, count, services, kinds] =
            arrayOf(body, 9);
        must(kind === 1 && isStatementHead(certificate, number, subject), 'a signal');
        must(isUint(last, 0, MINUTES) && isUint(first, 0, last) && last - first <= WEEK, 'its time');
        must(COUNTS.includes(count), 'its count');
        must(isUint(services, 1, 63) && isUint(kinds, 1, 63), 'its bits');
        return { certificate, number: BigInt(number), subject, first, minute: last, count, services,
            kinds };
    },
    [RETRACTION](body) {
        const [kind, certificate, number, subject, minute] = arrayOf(body, 5);
        must(kind === 2 && isStatementHead(certificate, number, subject) &&
            isUint(minute, 0, MINUTES), 'a retraction');
        return { certificate, number: BigInt(number), subject, minute };
    },
    [REVOCATION](body, wire) {
        must(wire.length <= 96, 'the length of a revocation');
        const [format, instance, minute, reason] = arrayOf(body, 4);
        must(format === 4 && isBin(instance, 16) && isUint(minute, 0, MINUTES) && isUint(reason),
            'a revocation');
        return { instance, minute, reason };
    },
    [ADDRESS](body) {
        const [format, instance, minute, address] = arrayOf(body, 4);
        must(format === 6 && isBin(instance, 16) && isUint(minute, 0, MINUTES) &&
            isBin(address, 0, 6, 18), 'an address record');
        return { instance, minute, address };
    },
    [HEAD](body) {
        const [format, size, minute, root] = arrayOf(body, 4);
        must(format === 8 && isUint(size) && isUint(minute, 0, MINUTES) && minute % 60 === 0 &&
            isBin(root, 32), 'a head of the log');
        return { size, minute, root };
    },
};

function readSigned(kind, wire) {
    must(wire.length > SIGNATURE + 4, 'a record cut short');
    const signed = wire.subarray(SIGNATURE);
    const named = kind === REVOCATION || kind === HEAD; // these name their signer before the body
    const body = named ? signed.subarray(4) : signed;
    return {
        signed, body, signature: wire.subarray(0, SIGNATURE), ...READ[kind](body, wire),
        ...(named && { signer: signed.subarray(0, 4) }),
    };
}

function readFault(wire) {
    const fields = arrayOf(wire, 3);
    must(fields[0] === 3 && isBin(fields[1]) && isBin(fields[2]), 'a fault proof');
    const statements = fields.slice(1).map((part) => {
        must(part.length > SIGNATURE + 2, 'a statement cut short');
        return readSigned(part[SIGNATURE + 1], part); // the body's first field is its kind
    });
    must(Buffer.compare(statements[0].body, statements[1].body) < 0, 'body of A < body of B');
    must(statements[0].number === statements[1].number, 'one sequence number');
    return { signed: wire, statements, minute: Math.max(...statements.map((s) => s.minute)) };
}

function readOther(kind, wire) {
    if (kind === FAULT) return readFault(wire);
    if (kind === CERTIFICATE) {
        const certificate = readCertificate(wire);
        return { ...certificate, certificate, signed: wire.subarray(0, 88),
            minute: certificate.issued };
    }
    const descriptor = readDescriptor(wire);
    return { descriptor, signed: wire.subarray(SIGNATURE), minute: descriptor.activation };
}

/** Which of the eight trees it is spread along (9.3). */
export const spreadTree = ({ kind, id, subject }) => (kind <= RETRACTION
    ? subject.reduce((sum, byte) => sum ^ byte, 0) : id[0]) % 8;

/** 7, OFFER: the first 29 bits of the id, and the tree in 3 bits. */
export function markOf(held) {
    const mark = Buffer.from(held.id.subarray(0, 4));
    mark[3] = mark[3] & ~7 | spreadTree(held);
    return mark;
}

/** `kind byte || wire` (8). */
export function readRecord(record) {
    must(record.length > 1, 'an empty record');
    const kind = record[0];
    const wire = record.subarray(1);
    must(READ[kind] || [FAULT, CERTIFICATE, DESCRIPTOR].includes(kind), 'a record of no known kind');
    const read = READ[kind] ? readSigned(kind, wire) : readOther(kind, wire);
    return {
        ...read, kind, record, tree: kind <= RETRACTION ? 1 : 0,
        id: idOf('grapevine record 1', Buffer.from([kind]), read.signed),
    };
}

const BODY = {
    [SIGNAL]: (s) => [1, s.certificate, s.number, s.subject, s.first, s.minute, s.count,
        s.services, s.kinds],
    [RETRACTION]: (r) => [2, r.certificate, r.number, r.subject, r.minute],
    [REVOCATION]: (r) => [4, r.instance, r.minute, r.reason],
    [ADDRESS]: (a) => [6, a.instance, a.minute, a.address],
    [HEAD]: (h) => [8, h.size, h.minute, h.root],
};

export const makeBody = (kind, fields) => pack(BODY[kind](fields));

/** Signed with the instance key, or the registry's where the kind wants that. */
export function makeRecord(kind, fields, who, network) {
    const body = makeBody(kind, fields);
    const named = kind === REVOCATION || kind === HEAD;
    return bytes(Buffer.from([kind]), who.sign(DOMAIN[kind], network, body),
        named ? who.key.subarray(0, 4) : Buffer.alloc(0), body);
}

export function makeFault(a, b) {
    const pair = [a, b].sort((x, y) => Buffer.compare(x.subarray(64), y.subarray(64)));
    return bytes(Buffer.from([FAULT]), pack([3, ...pair]));
}
