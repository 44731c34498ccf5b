// SPEC 8.3, 9.1, 9.2: the set of records that a member holds, and what is taken into it.
import { must, same, hex, bytes } from './bytes.mjs';
import { heldUntil, isAccepted, isSigned } from './certificate.mjs';
import { keyInForce } from './descriptor.mjs';
import { verifies } from './keys.mjs';
import { isShared } from './subject.mjs';
import * as kinds from './record.mjs';

const AHEAD = 10; // minutes (8.3)
const DAY = 24 * 60;
const RETRACTIONS_PER_HOUR = 32; // 8.3; of signals as many as the policy says

const order = (a, b) => a.minute - b.minute || Buffer.compare(a.id, b.id); // 9.1
const newer = (a, b) => b.minute - a.minute || Buffer.compare(a.id, b.id); // 8.4, 8.5

export class RecordSet {
    #byId = new Map();

    constructor(descriptor) {
        this.descriptor = descriptor;
    }
    has(id) { return this.#byId.has(hex(id)); }
    get(id) { return this.#byId.get(hex(id)); }
    get size() { return this.#byId.size; }
    ofKind(...wanted) { return [...this.#byId.values()].filter((r) => wanted.includes(r.kind)); }
    ofTree(tree) { return [...this.#byId.values()].filter((r) => r.tree === tree).sort(order); }
    withMark(mark) {
        return [...this.#byId.values()].find((r) => same(kinds.markOf(r), mark));
    }
    get certificates() { return this.ofKind(kinds.CERTIFICATE).map((r) => r.certificate); }
    certificate(id) {
        return this.ofKind(kinds.CERTIFICATE).find((r) => same(r.certificate.id, id))?.certificate;
    }
    revocation(instance) {
        return this.ofKind(kinds.REVOCATION).find((r) => same(r.instance, instance));
    }
    /** The instance is dead: two of its statements contradict each other (8.4). */
    fault(instance) {
        return this.ofKind(kinds.FAULT).find((r) => same(r.instance, instance));
    }
    /** Who may have a session (5.3). */
    admits(certificate, now) {
        return isAccepted(certificate, this.descriptor, now) &&
            !this.revocation(certificate.instance) && !this.fault(certificate.instance);
    }

    /**
     * Looks at one record, and holds it if it may be held. Throws Invalid for what no honest node
     * could have passed on; gives 'new', or in a word why it was left.
     */
    take(record, now) {
        const read = readFully(record);
        if (this.has(read.id)) return 'known';
        const why = this.#refusal(read, now);
        if (why) return why;
        this.#byId.set(hex(read.id), read);
        this.#settle(read, now);
        return this.has(read.id) ? 'new' : 'displaced';
    }

    #refusal(read, now) {
        switch (read.kind) {
        case kinds.SIGNAL: case kinds.RETRACTION: return this.#statement(read, now);
        case kinds.FAULT: return this.#fault(read);
        case kinds.ADDRESS: return this.#address(read, now);
        case kinds.CERTIFICATE: return this.#certificate(read, now);
        case kinds.DESCRIPTOR: return this.#descriptor(read);
        default: return this.#byRegistry(read, now); // revocation, head of the log
        }
    }

    #statement(read, now) {
        must(isShared(read.subject, this.descriptor.lab), 'a subject that may not be shared');
        if (read.minute > now + AHEAD) return 'early';
        if (read.minute + DAY < now) return 'expired';
        const author = this.certificate(read.certificate);
        if (!author) return 'certificate not known';
        if (this.fault(author.instance)) return 'at fault';
        const revoked = this.revocation(author.instance);
        if (revoked && revoked.minute <= read.minute) return 'revoked';
        read.author = author;
        if (this.#retracted(read)) return 'retracted';
        this.#signed(read, author.key);
        return undefined;
    }

    #signed(read, key) {
        must(verifies(key, read.signature, kinds.DOMAIN[read.kind], this.descriptor.network,
            read.body), 'a broken signature');
    }

    #retracted(read) {
        return read.kind === kinds.SIGNAL && this.ofKind(kinds.RETRACTION).some((r) =>
            same(r.author.instance, read.author.instance) && same(r.subject, read.subject) &&
            r.number > read.number);
    }

    #fault(read) {
        const authors = read.statements.map((s) => this.certificate(s.certificate));
        if (authors.includes(undefined)) return 'certificate not known';
        must(same(authors[0].instance, authors[1].instance), 'a fault of one instance');
        read.statements.forEach((s, i) => must(verifies(authors[i].key, s.signature,
            kinds.DOMAIN[s.body[1]], this.descriptor.network, s.body), 'a broken signature'));
        read.instance = authors[0].instance;
        return undefined;
    }

    #address(read, now) {
        if (read.minute > now + AHEAD) return 'early';
        if (read.minute + 3 * DAY < now) return 'expired';
        const author = this.ofKind(kinds.CERTIFICATE)
            .find((r) => same(r.certificate.instance, read.instance));
        if (!author) return 'certificate not known';
        if (this.revocation(read.instance)) return 'revoked';
        this.#signed(read, author.certificate.key);
        return undefined;
    }

    #certificate({ certificate }, now) {
        const known = this.descriptor.registryKeys
            .some(({ key }) => same(key.subarray(0, 4), certificate.signer));
        if (!known) return 'of a key that is not known here';
        must(isSigned(certificate, this.descriptor), 'a broken signature');
        if (certificate.issued > now + AHEAD) return 'early';
        if (now > heldUntil(certificate, this.descriptor)) return 'expired';
        return undefined;
    }

    #descriptor({ descriptor }) {
        const held = this.descriptor;
        must(same(descriptor.network, held.network), 'another network');
        if (descriptor.lab !== held.lab || descriptor.version < held.version) return 'lower version';
        return undefined;
    }

    #byRegistry(read, now) {
        if (read.minute > now + AHEAD) return 'early';
        if (read.kind === kinds.HEAD && read.minute + 3 * DAY < now) return 'expired';
        const key = this.descriptor.registryKeys
            .find((item) => same(item.key.subarray(0, 4), read.signer))?.key;
        // A head's key must be in force in its hour, if not in all of it (14.7).
        const inForce = keyInForce(this.descriptor, read.signer, read.minute) ??
            (read.kind === kinds.HEAD && keyInForce(this.descriptor, read.signer, read.minute + 59));
        if (!key || !inForce) return 'of a key that is not in force';
        this.#signed(read, key);
        return undefined;
    }

    /** What the newcomer drives out. */
    #settle(read, now) {
        const out = (list) => list.forEach((r) => this.#byId.delete(hex(r.id)));
        const rest = (list, compare, most) => out([...list].sort(compare).slice(most));
        const ofInstance = (kind, instance) =>
            this.ofKind(kind).filter((r) => same(r.instance, instance));
        switch (read.kind) {
        case kinds.RETRACTION:
            out(this.ofKind(kinds.SIGNAL).filter((r) => same(r.subject, read.subject) &&
                same(r.author.instance, read.author.instance) && r.number < read.number));
            this.#settleHour(read, rest);
            break;
        case kinds.SIGNAL:
            this.#settleHour(read, rest);
            break;
        case kinds.FAULT:
            out(this.ofKind(kinds.SIGNAL, kinds.RETRACTION)
                .filter((r) => same(r.author.instance, read.instance)));
            rest(ofInstance(kinds.FAULT, read.instance), newer, 1);
            break;
        case kinds.REVOCATION: // takes the address record with it (8)
            out(ofInstance(kinds.ADDRESS, read.instance));
            rest(ofInstance(kinds.REVOCATION, read.instance), order, 1);
            break;
        case kinds.ADDRESS:
            rest(ofInstance(kinds.ADDRESS, read.instance), newer, 1);
            break;
        case kinds.DESCRIPTOR:
            if (read.descriptor.version > this.descriptor.version && read.minute <= now) {
                this.descriptor = read.descriptor;
            }
            out(this.ofKind(kinds.DESCRIPTOR)
                .filter((r) => r.descriptor.version < this.descriptor.version));
            break;
        default:
        }
    }

    #settleHour(read, rest) { // the hour's quota (8.3): the smallest numbers are held
        const hour = Math.floor(read.minute / 60);
        const most = read.kind === kinds.SIGNAL ? this.descriptor.policy.signalsPerHour
            : RETRACTIONS_PER_HOUR;
        rest(this.ofKind(read.kind).filter((r) => Math.floor(r.minute / 60) === hour &&
            same(r.author.instance, read.author.instance)),
        (a, b) => (a.number < b.number ? -1 : 1), most);
    }
}

const readFully = (record) => kinds.readRecord(bytes(record)); // its own copy: it is kept
