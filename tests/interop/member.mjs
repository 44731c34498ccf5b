// SPEC 7, 9: a small member of the mesh. It spreads, repairs and answers; it is no keeper.
import { EventEmitter } from 'node:events';
import { connect, createServer } from 'node:net';
import { hex, minuteNow, must, same } from './bytes.mjs';
import { Link } from './link.mjs';
import { answer, question } from './reconcile.mjs';
import { CERTIFICATE, RETRACTION, markOf, readRecord, spreadTree } from './record.mjs';
import { isShort, shorten, whole } from './short.mjs';

const AGENT = 'interop/1';
const VERSION = 2;
const ALL_TREES = 255;
const MESSAGE_RECORDS = 64;
const MESSAGE_BYTES = 12 * 1024;
const HAUL = 8; // 9.3
const HAUL_OLD = 2; // minutes
const ASKED_MS = 5000;
const BANNED_MS = 600_000; // 9.2
const PING_MS = 240_000; // 7
const DEAD_MS = 600_000;
const DAY_MS = 24 * 3600_000; // 5.5

const treesOf = (marks) => marks.reduce((bits, mark) => bits | 1 << mark[3] % 8, 0); // 7, OFFER

/** Emits 'peer' (link), 'gone' (link, why), 'record' (record, link), 'said' (message, link). */
export class Member extends EventEmitter {
    links = new Map(); // by instance id
    acknowledged = new Map(); // record id to the instances that hold it
    #banned = new Map();
    #asked = new Map(); // mark to when somebody was asked for it
    #sequence = 0n;

    constructor({ identity, certificate, set, version = VERSION }) {
        super();
        Object.assign(this, { identity, certificate, set, version });
        if (certificate) set.take(Buffer.concat([Buffer.from([CERTIFICATE]), certificate]),
            minuteNow());
        this.clock = setInterval(() => this.#everySecond(), 1000);
    }

    /** 8.6, for a key that never lost its number. */
    nextNumber() {
        const clock = BigInt(Date.now());
        this.#sequence = clock > this.#sequence ? clock : this.#sequence + 1n;
        return this.#sequence;
    }

    dial(host, port, localAddress) {
        const socket = connect({ host, port, localAddress });
        return this.#link(socket, true);
    }
    listen(host, port) {
        this.server = createServer((socket) => this.#link(socket, false));
        return new Promise((done) => { this.server.listen(port, host, done); });
    }
    /** GOODBYE to all, and gone. */
    leave() {
        this.server?.close();
        for (const link of [...this.links.values()]) link.goodbye(0, 'we stop');
    }
    stop() {
        clearInterval(this.clock);
        this.leave();
    }

    /** Something of our own, or from elsewhere: held and pushed. */
    publish(record) {
        const what = this.set.take(record, minuteNow());
        if (what === 'new') this.#spread(this.#held(record));
        return what;
    }
    #held(record) { return this.set.get(readRecord(record).id); }

    #admits(certificate) {
        const banned = this.#banned.get(hex(certificate.instance)) ?? 0;
        return Date.now() >= banned && this.set.admits(certificate, minuteNow());
    }

    #link(socket, initiator) {
        const link = new Link(socket, {
            initiator, me: this, network: this.set.descriptor.network,
            admits: (certificate) => this.#admits(certificate),
        });
        Object.assign(link, { lazy: 0, version: 1, shortHeard: 0, shortSaid: 0 });
        link.on('open', () => this.#opened(link));
        link.on('message', (message) => this.#heard(link, message));
        link.on('closed', (why) => this.#closed(link, why));
        return link;
    }
    #opened(link) {
        link.send({ name: 'HELLO', version: this.version, time: Date.now(), agent: AGENT });
        const id = hex(link.peer.instance);
        const other = this.links.get(id);
        if (other && this.#keeps(other, link)) return link.goodbye(1, 'a second session');
        this.links.set(id, link);
        other?.goodbye(1, 'a second session');
        if (link.initiator) this.repair(link); // whoever dialled begins (9.5)
        return this.emit('peer', link);
    }
    /** 5.3: the one that the smaller id began; of two that the same side began, the newer. */
    #keeps(old, link) {
        if (old.initiator === link.initiator) return false;
        const oursIsSmaller = Buffer.compare(this.identity.id, link.peer.instance) < 0;
        return old.initiator === oursIsSmaller;
    }
    #closed(link, why) {
        if (link.peer) {
            const id = hex(link.peer.instance);
            if (this.links.get(id) === link) this.links.delete(id);
            if (why.startsWith('invalid')) this.#banned.set(id, Date.now() + BANNED_MS);
        }
        this.emit('gone', link, why);
    }

    /** Both trees, 0 first (9.5). Low of the statements is 24 hours less 10 minutes before now. */
    repair(link, trees = [0, 1]) {
        for (const tree of trees) {
            link.send(question(this.set, tree, tree === 0 ? 0 : minuteNow() - 24 * 60 + 10));
        }
    }

    #heard(link, message) {
        must((message.name === 'HELLO') === !link.hello, 'HELLO comes first and once');
        const hear = this[`hear${message.name}`];
        if (hear) hear.call(this, link, message);
        this.emit('said', message, link);
    }
    hearHELLO(link, message) {
        link.hello = message;
        link.version = Math.min(this.version, message.version); // both speak the lower
    }
    hearPING(link, { number }) { link.send({ name: 'PONG', number }); }
    hearGOODBYE(link, { reason }) { link.end(`GOODBYE ${reason}`); }
    hearERRAND(link) { link.errand = true; }
    hearACK(link, { ids }) {
        for (const id of ids) {
            const who = this.acknowledged.get(hex(id)) ?? new Set();
            this.acknowledged.set(hex(id), who.add(hex(link.peer.instance)));
        }
    }
    hearRECORDS(link, { records }) {
        if (link.errand) return;
        const ids = [];
        const fresh = [];
        for (const came of records) {
            const record = this.#whole(came, link);
            const what = record ? this.set.take(record, minuteNow()) : 'certificate not known';
            if (isShort(came)) link.shortHeard += 1;
            if (what === 'certificate not known') link.lacks = true;
            if (what !== 'new' && what !== 'known') continue;
            const held = this.#held(record);
            const isTheirs = held?.author && same(held.author.instance, link.peer.instance);
            if (isTheirs && held.kind <= RETRACTION) ids.push(held.id);
            if (what === 'new' && held) {
                fresh.push(held);
                this.emit('record', held, link);
            }
        }
        const old = fresh.filter(({ minute }) => minute + HAUL_OLD <= minuteNow()).length;
        for (const held of fresh) this.#spread(held, link, old > HAUL);
        if (ids.length > 0) link.send({ name: 'ACK', ids });
    }
    #whole(came, link) { // 8.7
        if (!isShort(came)) return came;
        must(link.version >= 2, 'a short record in version 1');
        return whole(came, this.set.certificates, this.set.descriptor);
    }
    hearWANT(link, { ids }) { this.#give(link, ids.map((id) => this.set.get(id))); }
    hearRECONCILE(link, message) {
        if (link.errand || message.ranges.length === 0) return; // that ends the exchange
        const { give, want, reply } = answer(this.set, message);
        this.#give(link, give);
        for (let at = 0; at < want.length; at += 256) {
            link.send({ name: 'WANT', ids: want.slice(at, at + 256) });
        }
        link.send(reply);
    }
    hearPRUNE(link, { trees }) { link.lazy |= trees; }
    hearGRAFT(link, { trees, marks }) {
        link.lazy &= ~trees & ALL_TREES;
        // Who asks for a statement is sent all that is public on its subject (9.3).
        const asked = marks.map((mark) => this.set.withMark(mark)).filter(Boolean);
        const alone = marks.length > HAUL; // of a haul each has its own mark
        this.#give(link, [...new Set(asked.flatMap((held) => (alone || held.kind > RETRACTION
            ? [held]
            : this.set.ofTree(1).filter(({ subject }) => same(subject, held.subject)))))]);
    }
    hearOFFER(link, { marks }) {
        const lacking = marks.filter((mark) => !this.set.withMark(mark));
        if (lacking.length > HAUL) {
            const marksToAsk = lacking.filter((mark) => this.#askNow(hex(mark)));
            if (marksToAsk.length > 0) link.send({ name: 'GRAFT', trees: 0, marks: marksToAsk });
        } else if (lacking.length > 0) {
            link.send({ name: 'GRAFT', trees: treesOf(lacking), marks: lacking });
        }
    }
    #askNow(mark) {
        const now = Date.now();
        if (now - (this.#asked.get(mark) ?? 0) < ASKED_MS) return false;
        this.#asked.set(mark, now);
        return true;
    }
    hearASK(link, { subject }) { // we keep nothing: what is public of it
        const records = this.set.ofTree(1).filter((held) => same(held.subject, subject))
            .map(({ record }) => record).slice(0, 32);
        link.send({ name: 'WHISPER', records });
    }

    #give(link, held) {
        let records = [];
        let size = 0;
        const flush = () => {
            if (records.length > 0) link.send({ name: 'RECORDS', records });
            [records, size] = [[], 0];
        };
        for (const item of held.filter(Boolean)) {
            const record = this.#form(item, link);
            if (records.length === MESSAGE_RECORDS || size + record.length > MESSAGE_BYTES) {
                flush();
            }
            records.push(record);
            size += record.length + 3;
        }
        flush();
    }

    #form(held, link) { // as short as it may be (8.7)
        const may = link.version >= 2 && held.kind <= RETRACTION && this.set.certificates
            .filter(({ id }) => same(id.subarray(0, 4), held.certificate.subarray(0, 4))).length === 1;
        const short = may ? shorten(held, this.set.descriptor.genesis) : undefined;
        if (short) link.shortSaid += 1;
        return short ?? held.record;
    }

    /** 9.3: pushed where the link is eager, or offered if it came in a haul; later where it is lazy. */
    #spread(held, from, haul = false) {
        const mark = markOf(held);
        const trees = 1 << spreadTree(held);
        const links = [...this.links.values()].filter((link) => link !== from && !link.errand);
        const lazy = links.filter((link) => link.lazy & trees);
        for (const link of links.filter((one) => !lazy.includes(one))) {
            if (haul && link.version >= 2) link.send({ name: 'OFFER', marks: [mark] });
            else this.#give(link, [held]);
        }
        if (haul) return; // comparing follows
        setTimeout(() => lazy.filter(({ version }) => version >= 2) // 7: in version 1 none
            .forEach((link) => link.send({ name: 'OFFER', marks: [mark] })), 2000)
            .unref();
    }

    #everySecond() {
        const now = Date.now();
        for (const link of this.links.values()) {
            if (now - link.opened > DAY_MS) link.goodbye(5, 'a day old');
            else if (now - link.lastHeard > DEAD_MS) link.end('silent');
            else if (now - link.lastSent > PING_MS) link.send({ name: 'PING', number: now % 65536 });
            if (link.lacks && now - (link.rosterAsked ?? 0) > 60_000) { // 9.2
                link.lacks = false;
                link.rosterAsked = now;
                setTimeout(() => this.repair(link, [0]), 2000).unref();
            }
        }
    }
}
