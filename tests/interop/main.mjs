// The scenario: a member that was written from SPEC.md alone, in a mesh of three real nodes.
import assert from 'node:assert/strict';
import { badCases } from './bad.mjs';
import { bytes, hex, minuteNow, same } from './bytes.mjs';
import { isSigned } from './certificate.mjs';
import { enrol, holdsAll, memberOf } from './common.mjs';
import { ask, failsAt, hostOf, ip, port, proved, until } from './lab.mjs';
import { fault, fill, fresh, quota, rekeys, signalOf } from './load.mjs';
import * as kinds from './record.mjs';

const NODES = [1, 2, 3];
const HERE = '127.9.0.1'; // a network group of its own (3.2)
const quad = (address) => Buffer.from(address.split('.').map(Number));

const addressRecord = (who, descriptor, address, at) => kinds.makeRecord(kinds.ADDRESS, {
    instance: who.id, minute: minuteNow(), address: bytes(quad(address), [at >> 8, at & 255]),
}, who, descriptor.network);

const showsOwner = async (n, address, owner) => {
    const seen = JSON.stringify(await ip(n, address));
    return seen.includes(hex(owner));
};
const verdict = async (n, address) => (await ip(n, address)).verdict;
const everyNode = (what, test) => Promise.all(NODES.map((n) => until(`${what} at node ${n}`,
    () => test(n))));

/** A node may dial us in the same moment: then the one session or the other stays (5.3). */
async function dialAll(member) {
    for (const n of NODES) {
        member.dial(hostOf(n), port, HERE).once('closed', (why) => console.error(`node ${n}: ${why}`));
    }
    await until('HELLO of all', () => member.links.size === NODES.length &&
        [...member.links.values()].every((link) => link.hello));
}

async function join(member, me) {
    await dialAll(member);
    proved(`Noise XX and HELLO with ${member.links.size} real nodes (${
        [...member.links.values()][0].hello.agent}, version ${
        [...member.links.values()].map((link) => link.hello.version)})`);
    assert.equal(member.publish(addressRecord(me.identity, me.descriptor, HERE, port)), 'new');
    await holdsAll(member);
    proved(`the roster is the same as each node's: ${member.set.ofTree(0).length} records of kinds ${
        [...new Set(member.set.ofTree(0).map(({ kind }) => kind))].sort()}`);
    const link = [...member.links.values()][0];
    const pong = new Promise((done) => {
        member.on('said', ({ name, number }) => name === 'PONG' && done(number));
    });
    link.send({ name: 'PING', number: 4727 });
    assert.equal(await pong, 4727);
    proved('PING was answered with PONG');
}

async function speaks(member, me) {
    const address = '203.0.113.77';
    const record = signalOf(me, member.nextNumber(), quad(address), minuteNow());
    assert.equal(member.publish(record), 'new');
    await everyNode('our signal', async (n) => await verdict(n, address) === 'reported' &&
        showsOwner(n, address, me.certificate.owner));
    const { id } = kinds.readRecord(record);
    await until('ACK of all', () => member.acknowledged.get(hex(id))?.size === NODES.length);
    proved(`our signal on ${address} is shown by "grapevine ip" at every node, and acknowledged`);
    return address;
}

/** Signal, certificate, registry key, descriptor, root key: every link of the chain, once more. */
function checkChain(held, { descriptor }) {
    const certificate = kinds.readRecord(held.record).certificate;
    assert.deepEqual(certificate, held.author.id);
    assert.ok(isSigned(held.author, descriptor));
}

async function hears(member, me, address) {
    failsAt(2, address);
    const held = await until('the signal of node 2', () => member.set.ofKind(kinds.SIGNAL)
        .find((record) => same(record.subject, quad(address)) &&
            !same(record.author.instance, me.identity.id)));
    checkChain(held, me);
    await everyNode('two owners', async (n) => await verdict(n, address) === 'untrusted');
    proved(`node 2's signal from its log (count ${held.count}, services ${held.services}, kinds ${
        held.kinds}) verified up to the root key; with ours the verdict is "untrusted" everywhere`);
}

async function takesBack(member, me, address) {
    await ask(2, 'retract', address);
    await until('the retraction of node 2', () => !member.set.ofKind(kinds.SIGNAL)
        .some((held) => !same(held.author.instance, me.identity.id)));
    member.publish(kinds.makeRecord(kinds.RETRACTION, {
        certificate: me.certificate.id, number: member.nextNumber(), subject: quad(address),
        minute: minuteNow(),
    }, me.identity, me.descriptor.network));
    await everyNode('nothing any more', async (n) => await verdict(n, address) === 'unknown');
    proved('retractions both ways: node 2\'s and ours, and the verdict is "unknown" everywhere');
}

/** Away with GOODBYE; meanwhile the others speak; back by being dialled. */
async function isAway(member, me) {
    member.leave();
    const missed = ['198.51.100.21', '198.51.100.22', '198.51.100.23'];
    NODES.forEach((n, i) => failsAt(n, missed[i]));
    await everyNode('what we missed', async (n) => {
        const seen = await Promise.all(missed.map((address) => verdict(n, address)));
        return seen.every((word) => word === 'reported');
    });
    const late = signalOf(me, member.nextNumber(), quad('203.0.113.78'), minuteNow());
    assert.equal(member.publish(late), 'new'); // said while nobody hears
    const said = fill(member, me);
    await member.listen(HERE, port);
    const link = await new Promise((done) => { member.once('peer', done); });
    assert.equal(link.initiator, false);
    await until('what was missed', () => missed.every((address) =>
        member.set.ofKind(kinds.SIGNAL).some(({ subject }) => same(subject, quad(address)))));
    await everyNode('what we said alone', async (n) =>
        await verdict(n, '203.0.113.78') === 'reported');
    await holdsAll(member);
    assert.ok(link.shortSaid > 0 && link.version === 2);
    proved('after GOODBYE and a time away a real node dialled our address record, and repair brought '
        + `${missed.length} signals here and ${said} statements there, ${link.shortSaid} in short form: `
        + `the sets are equal (${member.set.size} records)`);
    return link;
}

const me = await enrol('one', HERE);
proved(`enrolled at the registry of network "${me.descriptor.name}": proof, code out of the mail, `
    + 'certificate; a forged proof and a replay were refused');
const member = memberOf(me);
await join(member, me);
await rekeys(member, [...member.links.values()][0]);
const address = await speaks(member, me);
await hears(member, me, address);
await takesBack(member, me, address);
const link = await isAway(member, me);
await quota(member, me, link);
member.leave();
await fresh(me, HERE, member.set.ofTree(1).length);
await member.listen(HERE, port);
await dialAll(member);
await fault(member);
await badCases({ member, me });
member.stop();
console.log('interop: everything held');
process.exit(0);
