// SPEC 8.7: the short form of a statement, between peers that both speak version 2.
import { bytes, must, same } from './bytes.mjs';
import { DOMAIN, RETRACTION, SIGNAL, makeBody, roundedCount, COUNTS } from './record.mjs';
import { verifies } from './keys.mjs';

const FORM = 64;
const IPV6 = 32;
const MINUTE_MS = 60000n;
const NUMBER_BYTES = 9;
const TRIED = 4; // certificates that begin alike

export const isShort = (record) => (record[0] & FORM) !== 0;

function writeNumber(value) {
    const out = [];
    for (let rest = BigInt(value); ; rest >>= 7n) {
        if (rest < 128n) return Buffer.from([...out, Number(rest)]);
        out.push(Number(rest & 127n) | 128);
    }
}

class Reader {
    constructor(part) {
        this.part = part;
    }
    take(length) {
        must(this.part.length >= length, 'a short record cut short');
        const got = this.part.subarray(0, length);
        this.part = this.part.subarray(length);
        return got;
    }
    number() {
        let value = 0n;
        for (let i = 0; i < NUMBER_BYTES; i++) {
            const [byte] = this.take(1);
            value |= BigInt(byte & 127) << BigInt(7 * i);
            if (byte < 128) {
                must(byte !== 0 || i === 0, 'a number that is not in its shortest form');
                return value;
            }
        }
        return must(false, 'a number of more than nine bytes');
    }
}

/** `held`: what readRecord made of a statement. Undefined where there is no short form. */
export function shorten(held, genesis) {
    const age = held.minute - genesis;
    const late = held.number - BigInt(held.minute) * MINUTE_MS;
    if (age < 0 || late < 0n) return undefined;
    const head = [FORM | (held.subject.length === 8 ? IPV6 : 0) | held.kind];
    const rest = Buffer.alloc(2);
    if (held.kind === SIGNAL) {
        rest.writeUInt16BE(COUNTS.indexOf(held.count) << 12 | held.services << 6 | held.kinds);
    }
    return bytes(head, held.certificate.subarray(0, 4), held.subject, writeNumber(age),
        writeNumber(late),
        ...(held.kind === SIGNAL ? [writeNumber(held.minute - held.first), rest] : []),
        held.signature);
}

export function readShort(record, genesis) {
    const reader = new Reader(record);
    const [form] = reader.take(1);
    const kind = form & ~(FORM | IPV6);
    must(kind === SIGNAL || kind === RETRACTION, 'a short form of no known kind');
    const mark = reader.take(4);
    const subject = reader.take(form & IPV6 ? 8 : 4);
    const minute = Number(reader.number()) + genesis;
    const read = { kind, mark, subject, minute, number: BigInt(minute) * MINUTE_MS + reader.number() };
    if (kind === SIGNAL) {
        read.first = minute - Number(reader.number());
        const rest = reader.take(2).readUInt16BE();
        Object.assign(read, { count: COUNTS[rest >> 12], services: rest >> 6 & 63, kinds: rest & 63 });
        must(read.count !== undefined && roundedCount(read.count) === read.count, 'its count');
        must(read.first >= 0, 'its time');
    }
    read.signature = reader.take(64);
    must(reader.part.length === 0, 'bytes left over');
    return read;
}

/** The whole record, or undefined: then a certificate may be lacking, and nobody is to blame. */
export function whole(record, certificates, { genesis, network }) {
    const read = readShort(record, genesis);
    const named = certificates.filter(({ id }) => same(id.subarray(0, 4), read.mark)).slice(0, TRIED);
    for (const { id, key } of named) {
        const body = makeBody(read.kind, { ...read, certificate: id });
        if (verifies(key, read.signature, DOMAIN[read.kind], network, body)) {
            return bytes([read.kind], read.signature, body);
        }
    }
    return undefined;
}
