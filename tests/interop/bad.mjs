// What must be refused, by the real nodes and by this implementation alike (3.3, 5.3, 9.2).
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { bytes, minuteNow } from './bytes.mjs';
import { makeCertificate, readCertificate } from './certificate.mjs';
import { enrol, isEqual, memberOf } from './common.mjs';
import { makeDescriptor } from './descriptor.mjs';
import { identity } from './keys.mjs';
import { hostOf, ip, port, proved, revoke, secretOf, until } from './lab.mjs';
import * as kinds from './record.mjs';

const EXPIRED_DAYS = 100;
const DAY = 24 * 60;

/** How a connection went: 'open' (and the other end's HELLO came), or why it was closed. */
function outcome(member, host, at, from) {
    return new Promise((done) => {
        const link = member.dial(host, at, from);
        link.once('message', () => done({ link, word: 'open' }));
        link.once('closed', (why) => done({ link, word: why }));
    });
}
const closing = (link) => new Promise((done) => { link.once('closed', done); });

function brokenSignal(me) {
    const record = kinds.makeRecord(kinds.SIGNAL, {
        certificate: me.certificate.id, number: Date.now(), subject: Buffer.from([203, 0, 113, 66]),
        first: minuteNow(), minute: minuteNow(), count: 5, services: 2, kinds: 4,
    }, me.identity, me.descriptor.network);
    record[10] ^= 1; // within the signature
    return record;
}

async function brokenSignature({ member, here }) {
    const bad = await enrol('bad', '127.8.0.1');
    const sender = memberOf(bad);
    const certificate = bytes([kinds.CERTIFICATE], bad.certificate.wire);
    for (const [who, host] of [['a real node', hostOf(1)], ['this implementation', here]]) {
        const { link, word } = await outcome(sender, host, port, '127.8.0.1');
        assert.equal(word, 'open');
        link.send({ name: 'RECORDS', records: [certificate, brokenSignal(bad)] });
        assert.equal(await closing(link), 'GOODBYE 3', who);
        const again = await outcome(sender, host, port, '127.8.0.1');
        assert.notEqual(again.word, 'open', `${who} bans`);
        proved(`a record with a broken signature: ${who} said GOODBYE 3, and lets nobody in again`);
    }
    assert.equal((await ip(1, '203.0.113.66')).verdict, 'unknown');
    assert.equal(member.set.ofKind(kinds.SIGNAL)
        .some(({ subject }) => subject.equals(Buffer.from([203, 0, 113, 66]))), false);
    sender.stop();
    return bad;
}

/** 4.3: by way of the registry's list into the mesh. */
async function revocation({ member, me, bad }) {
    await revoke(bad.identity.id);
    const [wire] = await until('the revocation', async () => {
        const list = await me.registry.revocations();
        return list.length > 0 && list;
    });
    assert.equal(member.publish(bytes([kinds.REVOCATION], wire)), 'new');
    for (const link of member.links.values()) {
        await until('the revocation is held', () => isEqual(member, link, 0), 10);
    }
    proved('a revocation went through us into the mesh: same id, same set everywhere');
}

/** A new descriptor, whose registry key is old enough for a certificate that is over. */
function olderKey({ descriptor }) {
    const [{ key, until: end }] = descriptor.registryKeys;
    return makeDescriptor(identity(secretOf('root')), { ...descriptor,
        version: descriptor.version + 1, activation: minuteNow() },
    [{ key, from: minuteNow() - 1000 * DAY, until: end }]);
}

function withCertificate(me, issued, expires) {
    const who = identity(randomBytes(32));
    const wire = makeCertificate(identity(secretOf('registry')), me.descriptor.network, {
        key: who.key, owner: randomBytes(16), placement: randomBytes(8), group: me.certificate.group,
        since: issued, issued, expires,
    });
    return memberOf({ identity: who, certificate: readCertificate(wire), descriptor: me.descriptor });
}

async function expired({ member, me, here }) {
    const wire = olderKey(me);
    assert.equal(member.publish(bytes([kinds.DESCRIPTOR], wire)), 'new');
    me.descriptor = member.set.descriptor;
    assert.equal(me.descriptor.version, 2);
    for (const link of member.links.values()) {
        await until('the new descriptor is held', () => isEqual(member, link, 0), 10);
    }
    proved('a descriptor signed here (version 2) was taken by the mesh');
    const now = minuteNow();
    const begun = now - (EXPIRED_DAYS + 90) * DAY;
    const cases = [
        ['100 days past its end', now - EXPIRED_DAYS * DAY, false],
        ['in its grace', now - DAY, true], // the control: all else is the same
    ];
    for (const [what, end, isLetIn] of cases) {
        for (const [who, host] of [['a real node', hostOf(2)], ['this implementation', here]]) {
            const stranger = withCertificate(me, begun, end);
            const { word } = await outcome(stranger, host, port, '127.7.0.1');
            assert.equal(word === 'open', isLetIn, `${who}, a certificate ${what}: ${word}`);
            stranger.stop();
            proved(`a certificate ${what}: ${who} ${isLetIn ? 'opens a session' : 'opens none'}`);
        }
    }
}

export async function badCases({ member, me }) {
    const here = member.server.address().address;
    const bad = await brokenSignature({ member, here });
    await revocation({ member, me, bad });
    await expired({ member, me, here });
}
