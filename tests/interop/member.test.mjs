// Members among themselves, without a real node: what a real one does only after minutes of silence, and
// repair between sets of any difference.
import test from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { bytes, hex, minuteNow } from './bytes.mjs';
import { makeCertificate, readCertificate } from './certificate.mjs';
import { makeDescriptor, readDescriptor } from './descriptor.mjs';
import { identity } from './keys.mjs';
import { Member } from './member.mjs';
import { answer, question } from './reconcile.mjs';
import * as kinds from './record.mjs';
import { RecordSet } from './set.mjs';
import { isShared } from './subject.mjs';

const HOST = '127.0.0.1';
const now = minuteNow();
const registry = identity(Buffer.alloc(32, 2));
const descriptor = readDescriptor(makeDescriptor(identity(Buffer.alloc(32, 3)), {
    version: 1, activation: now - 9, name: 'test', genesis: now - 9000, lab: true,
    registry: 'http://127.0.0.1:4728', seeds: [], terms: '1',
    policy: { tenure: 0, full: 0, alive: 1440, untrustedWeight: 2000, consensusWeight: 4000,
        consensusGroups: 4, signalsPerHour: 32, votes: 16, fault: 129600, grace: 43200 },
}, [{ key: registry.key, from: now - 9000, until: now + 9000 }]));

function person() {
    const who = identity(randomBytes(32));
    const certificate = readCertificate(makeCertificate(registry, descriptor.network, {
        key: who.key, owner: randomBytes(16), placement: randomBytes(8),
        group: Buffer.alloc(8, 4), since: now - 5000, issued: now - 5000, expires: now + 5000,
    }));
    return { identity: who, certificate };
}
const rosterRecord = ({ certificate }) => bytes([kinds.CERTIFICATE], certificate.wire);
const statement = (kind, who, number, subject, minute = now) => kinds.makeRecord(kind, {
    certificate: who.certificate.id, number, subject: bytes([203, 0, 113, subject]), first: minute,
    minute, count: 1, services: 2, kinds: 4,
}, who.identity, descriptor.network);

async function pair(use) {
    const people = [person(), person()];
    const members = people.map(({ identity: who, certificate }) => new Member({ identity: who,
        certificate: certificate.wire, set: new RecordSet(descriptor) }));
    try {
        await members[1].listen(HOST, 0);
        const dial = () => members[0].dial(HOST, members[1].server.address().port);
        const link = dial();
        const [far] = await once(members[1], 'peer');
        while (!link.hello || !far.hello) await once(link, 'message');
        await use({ members, people, dial, link, far });
    } finally {
        members.forEach((member) => member.stop());
    }
}

test('7: PING is answered, GOODBYE ends it', () => pair(async ({ members, link, far }) => {
    const pong = new Promise((done) => {
        members[1].on('said', (message) => message.name === 'PONG' && done(message.number));
    });
    far.send({ name: 'PING', number: 300 });
    assert.equal(await pong, 300);
    const gone = once(far, 'closed');
    link.goodbye(0, 'done');
    assert.deepEqual(await gone, ['GOODBYE 0']);
}));

test('5.3: of two sessions that the same side began the newer stays', () =>
    pair(async ({ members, dial, link }) => {
        const gone = once(link, 'closed');
        const newer = dial();
        await gone;
        assert.equal([...members[0].links.values()][0], newer);
    }));

test('8.7, 9.3: a statement comes in short form, is acknowledged and spread', () =>
    pair(async ({ members, people, far }) => {
        const heard = once(members[1], 'record');
        members[0].publish(rosterRecord(people[0]));
        while (!members[1].set.certificate(people[0].certificate.id)) await heard;
        const record = statement(kinds.SIGNAL, people[0], members[0].nextNumber(), 7);
        members[0].publish(record);
        const { id } = kinds.readRecord(record);
        while (!members[0].acknowledged.has(hex(id))) {
            await new Promise((done) => { setTimeout(done, 5); });
        }
        assert.deepEqual(members[1].set.get(id).record, record);
        assert.equal(far.shortHeard, 1);
    }));

/** Messages to and fro, until one says nothing more. */
function repair(a, b, tree) {
    let [from, to] = [a, b];
    let message = question(a, tree, 0);
    for (let turns = 0; message.ranges.length > 0; turns++) {
        assert.ok(turns < 40, 'it does not end');
        const { give, want, reply } = answer(to, message);
        give.forEach(({ record }) => from.take(record, now));
        want.map((id) => from.get(id)).filter(Boolean).forEach((r) => to.take(r.record, now));
        [from, to, message] = [to, from, reply];
    }
}
const ids = (set) => set.ofTree(1).map(({ id }) => hex(id));

test('9.5: repair makes any two sets equal', () => {
    const author = person();
    const all = Array.from({ length: 240 }, (_, i) =>
        statement(kinds.SIGNAL, author, 1000 + i, i % 250, now - 60 * (i % 20)));
    for (const [mine, theirs] of [[240, 0], [0, 240], [200, 200], [120, 3], [1, 1], [239, 240]]) {
        const sets = [mine, theirs].map((size, end) => {
            const set = new RecordSet(descriptor);
            set.take(rosterRecord(author), now);
            const part = end === 0 ? all.slice(0, size) : all.slice(all.length - size);
            part.forEach((record) => set.take(record, now));
            return set;
        });
        const union = new Set(sets.flatMap(ids)).size;
        for (let i = 0; i < 3; i++) repair(...sets, 1); // at most 512 at a time
        assert.deepEqual(ids(sets[0]), ids(sets[1]));
        assert.equal(ids(sets[0]).length, union);
    }
});

test('8.2, 8.3: what is held does not depend on the order', () => {
    const author = person();
    const records = [
        ...Array.from({ length: 40 }, (_, i) => statement(kinds.SIGNAL, author, 100 + i, i)),
        statement(kinds.RETRACTION, author, 120, 39), // keeps nothing out that is numbered above
        statement(kinds.RETRACTION, author, 300, 60), statement(kinds.SIGNAL, author, 99, 60),
    ];
    const held = [records, [...records].reverse()].map((order) => {
        const set = new RecordSet(descriptor);
        set.take(rosterRecord(author), now);
        order.forEach((record) => set.take(record, now));
        return ids(set);
    });
    assert.deepEqual(held[0], held[1]);
    assert.equal(held[0].length, 32 + 2);
});

test('9.2: what nobody honest passes on throws; what one could have is left', () => {
    const author = person();
    const set = new RecordSet(descriptor);
    const good = statement(kinds.SIGNAL, author, 1, 1);
    assert.equal(set.take(good, now), 'certificate not known');
    set.take(rosterRecord(author), now);
    assert.equal(set.take(statement(kinds.SIGNAL, author, 2, 2, now + 11), now), 'early');
    assert.equal(set.take(statement(kinds.SIGNAL, author, 3, 3, now - 1441), now), 'expired');
    const broken = Buffer.from(good);
    broken[5] ^= 1;
    assert.throws(() => set.take(broken, now), /broken signature/);
    assert.equal(set.take(good, now), 'new');
    assert.equal(set.take(good, now), 'known');
    assert.throws(() => set.take(bytes([9], good.subarray(1)), now));
});

test('2.1: which subjects are shared', () => {
    const is = (...part) => isShared(Buffer.from(part), true);
    assert.ok(is(8, 8, 8, 8) && is(203, 0, 113, 9) && is(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 1));
    assert.ok(!is(10, 0, 0, 1) && !is(127, 0, 0, 1) && !is(0xfe, 0x80, 0, 0, 0, 0, 0, 0));
    assert.ok(!isShared(Buffer.from([203, 0, 113, 9]), false));
});
