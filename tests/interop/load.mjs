// Many records, many frames, both versions; and one instance that contradicts itself.
import assert from 'node:assert/strict';
import { bytes, minuteNow, uint32 } from './bytes.mjs';
import { enrol, holdsAll, isEqual, memberOf } from './common.mjs';
import { hostOf, port, proved, until } from './lab.mjs';
import * as kinds from './record.mjs';

const HOURS = 6;
const PER_HOUR = 20; // below the quota; and few, since a node repairs with a quarter of its bucket left (9.9)
const ROUNDS = 230; // more than Noise goes without a Rekey (5.5)

export const signalOf = (me, number, subject, minute) => kinds.makeRecord(kinds.SIGNAL, {
    certificate: me.certificate.id, number, subject, first: minute - 3, minute,
    count: kinds.roundedCount(7), services: 2, kinds: 4,
}, me.identity, me.descriptor.network);

const subjectOf = (n) => (n % 2 ? bytes([203, 0, 113, n % 256])
    : bytes([0x20, 0x01, 0x0d, 0xb8], uint32(n)));

/** More than one message of ids can name, so that ranges are split (9.5). */
export function fill(member, me) {
    for (let i = 0; i < HOURS * PER_HOUR; i++) {
        const minute = minuteNow() - 60 * (1 + i % HOURS);
        member.publish(signalOf(me, member.nextNumber(), subjectOf(i), minute));
    }
    return member.set.ofTree(1).length;
}

/** 8.3: of forty in one hour those with the smallest numbers are held, whatever came first. */
export async function quota(member, me, link) {
    const hour = Math.floor(minuteNow() / 60) * 60 - 15 * 60;
    const before = member.set.size;
    const records = Array.from({ length: 40 },
        () => signalOf(me, member.nextNumber(), subjectOf(1), hour + 5)).reverse();
    link.send({ name: 'RECORDS', records });
    records.reverse().forEach((record) => member.set.take(record, minuteNow()));
    assert.equal(member.set.size, before + 32);
    await until('the same 32', () => isEqual(member, link, 1), 10);
    proved('of 40 signals of one hour, sent largest number first, a real node holds the same 32 as we');
}

const answerTo = (link, name) => new Promise((done) => {
    const look = (message) => {
        if (message.name !== name) return;
        link.off('message', look);
        done();
    };
    link.on('message', look);
});

/** 5.5, both directions: one small record, asked for again and again. */
export async function rekeys(member, link) {
    const [address] = member.set.ofKind(kinds.ADDRESS);
    const before = [link.out.number, link.into.number];
    for (let i = 0; i < ROUNDS; i++) {
        const came = answerTo(link, 'RECORDS');
        link.send({ name: 'WANT', ids: [address.id] });
        await came;
    }
    await until('still in step', () => isEqual(member, link, 0), 10);
    const moved = [link.out.number - before[0], link.into.number - before[1]];
    assert.ok(moved.every((count) => count > 224n), String(moved));
    proved(`the session goes on after Rekey both ways (${link.out.number} frames out, ${
        link.into.number} in)`);
}

/** With an empty set and in version 1: all of it comes again, in whole records. */
export async function fresh(me, here, expected) {
    const member = memberOf(me, { version: 1 });
    const link = member.dial(hostOf(1), port, here);
    await new Promise((done) => { member.once('peer', done); });
    await until('the whole set', () => member.set.ofTree(1).length === expected);
    await holdsAll(member);
    assert.equal(link.version, 1);
    assert.equal(link.shortHeard + link.shortSaid, 0);
    proved(`with an empty set, speaking version 1, repair brought all ${member.set.size} records`);
    member.stop();
}

/** 8.4: two statements under one number; the real nodes make the proof. */
export async function fault(member) {
    const liar = await enrol('liar', '127.6.0.1');
    const speaker = memberOf(liar);
    const link = speaker.dial(hostOf(3), port, '127.6.0.1');
    await new Promise((done) => { speaker.once('peer', done); });
    const now = minuteNow();
    const [one, two] = [9, 10].map((n) => signalOf(liar, 4727, bytes([198, 51, 100, n]), now));
    link.send({ name: 'RECORDS', records: [bytes([kinds.CERTIFICATE], liar.certificate.wire), one] });
    link.send({ name: 'RECORDS', records: [two] });
    const proof = await until('the proof', () => member.set.fault(liar.identity.id));
    assert.deepEqual(proof.record, kinds.makeFault(one.subarray(1), two.subarray(1)));
    assert.equal(member.set.admits(liar.certificate, now), false);
    speaker.stop();
    await holdsAll(member);
    proved('two statements under one number: the fault proof of a real node verified, and byte for byte '
        + 'what we would have made');
}
