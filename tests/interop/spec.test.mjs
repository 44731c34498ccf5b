// Every hex example of SPEC.md that is a message, a record or made by the keys it gives: read, checked,
// and written again from what was read, byte for byte.
import { readFileSync } from 'node:fs';
import test from 'node:test';
import assert from 'node:assert/strict';
import { bytes, hex, unhex } from './bytes.mjs';
import { isSigned, makeCertificate, readCertificate } from './certificate.mjs';
import { makeDescriptor, networkId, readDescriptor } from './descriptor.mjs';
import { hmac, identity, montgomery, sha256, verifies } from './keys.mjs';
import { parseMessage, writeMessage } from './message.mjs';
import { Handshake } from './noise.mjs';
import { pack, unpack, unpackAll } from './pack.mjs';
import * as records from './record.mjs';
import { readShort, shorten, whole } from './short.mjs';

const text = readFileSync(process.env.GV_SPEC ?? new URL('../../SPEC.md', import.meta.url), 'utf8');
const examples = new Map([...text.matchAll(/^```hex (.+)\n([0-9a-f\n]+)^```/gm)]
    .map(([, name, digits]) => [name, unhex(digits.replaceAll('\n', ''))]));
const seen = new Set();
function example(name) {
    seen.add(name);
    assert.ok(examples.has(name), `SPEC.md has no example "${name}"`);
    return examples.get(name);
}
const equal = (got, name) => assert.equal(hex(got), hex(example(name)), name);

const me = identity(Buffer.alloc(32, 1));
// 2.3: the keys of a registry and a root are made from their secrets as an instance key is.
const registry = identity(Buffer.alloc(32, 2));
const root = identity(Buffer.alloc(32, 3));
const network = example('network id');
const minute = 29800000;

test('2.3: the keys and the id of an instance', () => {
    equal(me.key, 'instance key');
    equal(me.session.key, 'session key');
    equal(me.id, 'instance id');
});

test('3: the certificate', () => {
    const read = readCertificate(example('certificate'));
    const descriptor = readDescriptor(example('descriptor'));
    assert.ok(isSigned(read, descriptor));
    equal(read.id, 'certificate id');
    equal(makeCertificate(registry, network, read), 'certificate');
});

test('4: the descriptor and the network id', () => {
    const read = readDescriptor(example('descriptor'));
    equal(read.network, 'network id');
    equal(networkId(root.key, 'example', 29512000), 'network id');
    equal(makeDescriptor(root, read, read.registryKeys), 'descriptor');
});

function remakes(name, kind, who) {
    const read = records.readRecord(example(name));
    assert.equal(read.kind, kind);
    assert.ok(verifies(who.key, read.signature, records.DOMAIN[kind], network, read.body));
    equal(records.makeRecord(kind, read, who, network), name);
    return read;
}

test('8: records', () => {
    const signal = remakes('signal record', records.SIGNAL, me);
    equal(signal.id, 'signal record id');
    assert.deepEqual([...signal.subject], [198, 51, 100, 7]);
    assert.equal(signal.minute, minute);
    remakes('signal record IPv6', records.SIGNAL, me);
    remakes('retract record', records.RETRACTION, me);
    remakes('address record', records.ADDRESS, me);
    const revoked = remakes('revocation record', records.REVOCATION, registry);
    assert.deepEqual(revoked.signer, registry.key.subarray(0, 4));
    assert.equal(revoked.reason, 3);
    const fault = records.readRecord(example('fault record'));
    for (const { signature, body } of fault.statements) {
        assert.ok(verifies(me.key, signature, records.DOMAIN[records.SIGNAL], network, body));
    }
    const wires = fault.statements.map(({ signature, body }) => bytes(signature, body));
    equal(records.makeFault(...wires.reverse()), 'fault record');
});

test('8.7: the short form', () => {
    const signal = records.readRecord(example('signal record'));
    const genesis = minute - 200 * 24 * 60;
    const short = example('short record');
    equal(shorten(signal, genesis), 'short record');
    const certificates = [readCertificate(example('certificate'))];
    equal(whole(short, certificates, { genesis, network }), 'signal record');
    assert.equal(whole(short, [], { genesis, network }), undefined);
    const retraction = records.readRecord(example('retract record'));
    const back = whole(shorten(retraction, genesis), certificates, { genesis, network });
    assert.equal(hex(back), hex(retraction.record));
    assert.equal(shorten(signal, minute + 1), undefined); // from before the genesis
    for (let cut = 0; cut < short.length; cut++) {
        assert.throws(() => readShort(short.subarray(0, cut), genesis));
    }
});

test('8.1, 8.2: the bodies that are written out', () => {
    const bodies = [...text.matchAll(/^```text\n([0-9a-f \n]+)^```/gm)]
        .map(([, digits]) => unhex(digits.replace(/\s/g, '')));
    assert.equal(bodies.length, 3);
    for (const body of bodies) {
        const { kind, ...read } = records.readRecord(
            bytes(body.subarray(1, 2), Buffer.alloc(64), body));
        const made = records.makeRecord(kind, read, me, network);
        assert.equal(hex(made.subarray(65)), hex(body));
    }
});

test('14.7: the log of certificates', () => {
    const certificate = readCertificate(example('certificate'));
    const entry = bytes(Buffer.from([1]), certificate.key, certificate.owner, certificate.id);
    equal(entry, 'log entry');
    const head = remakes('log head record', records.HEAD, registry);
    assert.deepEqual(head.root, sha256(Buffer.alloc(1), entry)); // one leaf is the root
    assert.equal(head.size, 1);
});

const MESSAGES = ['HELLO', 'PING', 'PONG', 'RECORDS', 'ACK', 'WANT', 'RECONCILE', 'GOODBYE',
    'ERRAND', 'WHISPER', 'ASK', 'PRUNE', 'OFFER', 'GRAFT', 'FOLLOW', 'LOCKS', 'FLOW'];
for (const name of MESSAGES) {
    test(`7: ${name}`, () => {
        const message = parseMessage(example(name));
        assert.equal(message.name, name);
        equal(writeMessage(message), name);
        const cut = example(name).subarray(0, -1);
        assert.throws(() => parseMessage(cut));
        assert.throws(() => parseMessage(bytes(example(name), Buffer.alloc(1))));
    });
}

const framed = (part) => bytes(Buffer.from([part.length >> 8, part.length & 255]), part);

test('5, 6: the handshake and the first transport frame', () => {
    const side = (initiator, who) => new Handshake({ initiator, network, session: me.session,
        ephemeral: example(`ephemeral secret of the ${who}`) });
    const a = side(true, 'initiator');
    const b = side(false, 'responder');
    const payload = pack([example('certificate'),
        me.sign('grapevine session 1', network, me.session.key)]);

    const first = a.writeFirst();
    equal(framed(first), 'handshake frame 1');
    b.readFirst(first);
    const second = b.writeSecond(payload);
    equal(framed(second), 'handshake frame 2');
    assert.deepEqual(a.readSecond(second), payload);
    const third = a.writeThird(payload);
    equal(framed(third), 'handshake frame 3');
    assert.deepEqual(b.readThird(third), payload);
    assert.deepEqual(a.peer, me.session.key);
    assert.deepEqual(b.peer, me.session.key);

    const out = a.split().out;
    const plain = b.split().in.unseal(example('transport frame').subarray(2));
    equal(plain, 'HELLO');
    equal(framed(out.seal(plain)), 'transport frame');
});

test('5.6: a challenge, and what is brought to it', () => {
    const cookie = Buffer.alloc(16, 0x43);
    equal(framed(bytes(cookie, me.session.key)), 'challenge frame');
    const said = example('admission frame');
    const handshake = new Handshake({ initiator: true, network, session: me.session,
        ephemeral: example('ephemeral secret of the initiator') });
    const mac = (shared) => hmac(hmac(shared, 'grapevine pair 1', me.key, me.session.key),
        'grapevine admission 1', network, cookie, handshake.ephemeral.key, example('certificate'))
        .subarray(0, 16);
    const proof = mac(me.pair.with(me.session.key)); // as the initiator, and as the responder
    assert.deepEqual(mac(me.session.with(montgomery(me.key))), proof);
    equal(framed(bytes(handshake.ephemeral.key, cookie, example('certificate'), proof)),
        'admission frame');
    assert.equal(said.length, 218);
});

test('5.5: both sides rekey after 224 messages', () => {
    const ends = [true, false].map((initiator) => new Handshake({ initiator, network,
        session: me.session }));
    ends[1].readFirst(ends[0].writeFirst());
    ends[0].readSecond(ends[1].writeSecond(Buffer.alloc(0)));
    ends[1].readThird(ends[0].writeThird(Buffer.alloc(0)));
    const [{ out }, { in: into }] = ends.map((end) => end.split());
    const before = hex(out.key);
    for (let i = 0; i < 500; i++) {
        assert.deepEqual(into.unseal(out.seal(Buffer.from([i & 255]))), Buffer.from([i & 255]));
        assert.equal(hex(out.key) === before, i < 223);
    }
});

test('14.4: the enrolment that is written out', () => {
    const [, json] = text.match(/```json\n(\{"key": "d620[^`]*?"email"[^`]*?\})\n```/);
    const asked = JSON.parse(json);
    const body = pack([asked.minute, unhex(asked.nonce), unhex(asked.key), asked.email,
        asked.terms]);
    const made = me.sign('grapevine enroll 1', Buffer.alloc(32, 7), body);
    assert.equal(hex(made), asked.signature);
    assert.equal(hex(me.key), asked.key);
});

test('2.4: what is not in its one form is refused', () => {
    const wrong = {
        'a longer integer': 'cc05', 'a longer length': 'c50001aa', 'a longer array': 'dc000101',
        'a small 64 bit integer': 'cf0000000000000005', 'a float': 'cb3ff0000000000000',
        'a negative one': 'ff', nil: 'c0', true: 'c3', 'a map': '80', 'bytes left over': '0101',
        'more elements than bytes': 'ddffffffff', 'more bytes than there are': 'c6ffffffff00',
        'nested six deep': '919191919191', 'nested and deep': '91919191919101',
        'a string that is none': 'a1ff',
    };
    for (const [what, digits] of Object.entries(wrong)) {
        assert.throws(() => unpack(unhex(digits)), what);
        assert.throws(() => [...unpackAll(unhex(digits)), unpack(unhex(digits))], what);
    }
    assert.deepEqual([...unpackAll(unhex('9202059206c41000000000000000000000000000000000'
        .slice(0, 6)))], [[2, 5]]);
});

test('no example of SPEC.md was left out', () => {
    assert.deepEqual([...examples.keys()].filter((name) => !seen.has(name)), []);
});

