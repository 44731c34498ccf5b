// SPEC 9.5: range-based set reconciliation.
import { idOf } from './keys.mjs';
import { FINGERPRINT, IDS, SKIP } from './message.mjs';

const END = { minute: 2 ** 32 - 1, id: Buffer.alloc(0) };
const FEW = 32; // so many ids are sent rather than fingerprints
const PARTS = 16;
const MOST = 512; // records, and ids wanted, for one message
const ANSWER = 12 * 1024; // bytes, then the rest is one fingerprint
const EMPTY = Buffer.alloc(0);
const FILLED = Buffer.alloc(16);

/** sum of the ids modulo 2^128, each little-endian, and how many (8 bytes, big-endian). */
export function fingerprint(records) {
    let sum = 0n;
    for (const { id } of records) sum += id.readBigUInt64LE(0) + (id.readBigUInt64LE(8) << 64n);
    const out = Buffer.alloc(24);
    out.writeBigUInt64LE(BigInt.asUintN(64, sum), 0);
    out.writeBigUInt64LE(BigInt.asUintN(64, sum >> 64n), 8);
    out.writeBigUInt64BE(BigInt(records.length), 16);
    return idOf('grapevine fingerprint 1', out);
}

const isBelow = (record, { minute, id }) => record.minute < minute || (record.minute === minute &&
    Buffer.compare(record.id, Buffer.concat([id, FILLED]).subarray(0, 16)) < 0);
const isAll = ({ minute, id }) => minute === END.minute && id.length === 0;

/** The first question about a tree: everything from `low` on, in one fingerprint. */
export function question(set, tree, low) {
    const held = set.ofTree(tree).filter((record) => record.minute >= low);
    return { name: 'RECONCILE', tree, low, ranges: [span(END, held)] };
}
const span = ({ minute, id }, held) => ({ minute, id, mode: FINGERPRINT, bin: fingerprint(held) });

function* parts(high, held) { // even parts, bounded by the first id of the next
    const size = Math.ceil(held.length / PARTS);
    for (let at = 0; at < held.length; at += size) {
        const next = held[at + size];
        yield span(next ? { minute: next.minute, id: next.id } : high, held.slice(at, at + size));
    }
}

function compare(range, held, give, want) {
    if (range.mode === IDS) {
        const theirs = new Set();
        for (let at = 0; at < range.bin.length; at += 16) {
            theirs.add(range.bin.toString('hex', at, at + 16));
        }
        for (const record of held) if (!theirs.delete(record.id.toString('hex'))) give.push(record);
        for (const id of theirs) want.push(Buffer.from(id, 'hex'));
    }
    const { minute, id } = range;
    if (range.mode !== FINGERPRINT || range.bin.equals(fingerprint(held))) {
        return [{ minute, id, mode: SKIP, bin: EMPTY }];
    }
    if (held.length > FEW) return [...parts(range, held)];
    return [{ minute, id, mode: IDS, bin: Buffer.concat(held.map((record) => record.id)) }];
}

/** What to say to a RECONCILE: `{ give, want, reply }`; without ranges in the reply it is over. */
export function answer(set, { tree, low, ranges }) {
    let held = set.ofTree(tree).filter((record) => record.minute >= low);
    const give = [];
    const want = [];
    const out = [];
    let size = 0;
    for (const range of ranges) {
        const beyond = isAll(range) ? held.length
            : held.findIndex((record) => !isBelow(record, range));
        const here = beyond < 0 ? held : held.slice(0, beyond);
        if (size > ANSWER) {
            out.push(span(END, held));
            break;
        }
        for (const said of compare(range, here, give, want)) {
            out.push(said);
            size += said.bin.length + said.id.length + 12;
        }
        held = beyond < 0 ? [] : held.slice(beyond);
    }
    while (out.at(-1)?.mode === SKIP) out.pop(); // trailing skips are left out
    return {
        give: give.slice(0, MOST), want: want.slice(0, MOST).filter((id) => !set.has(id)),
        reply: { name: 'RECONCILE', tree, low, ranges: out },
    };
}
