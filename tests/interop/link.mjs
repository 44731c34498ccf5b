// SPEC 5, 6: a TCP connection that becomes a session: frames, handshake, who gets in.
import { EventEmitter } from 'node:events';
import { Invalid, must, same } from './bytes.mjs';
import { readCertificate } from './certificate.mjs';
import { verifies } from './keys.mjs';
import { readMessage, writeMessage } from './message.mjs';
import { Handshake } from './noise.mjs';
import { isBin, pack, unpack, unpackAll } from './pack.mjs';

const SESSION = 'grapevine session 1';
const HANDSHAKE_MOST = 512;
const PLAIN_MOST = 16384;
const TAG = 16;
const STRANGER_MS = 10_000; // 5.4

/**
 * Emits 'plain' (the bytes within a frame, of the handshake too), 'open', 'message' (one), 'closed'
 * (why). `admits(certificate)` is the member's word.
 */
export class Link extends EventEmitter {
    #buffer = Buffer.alloc(0);
    #step = 0;
    isOpen = false;
    isEnded = false;

    constructor(socket, { initiator, me, network, admits }) {
        super();
        Object.assign(this, { socket, initiator, me, network, admits });
        this.noise = new Handshake({ initiator, network, session: me.identity.session });
        this.timer = setTimeout(() => this.end('no handshake in time'), STRANGER_MS);
        socket.setNoDelay(true);
        socket.on('data', (data) => this.#read(data));
        socket.on('error', (error) => this.end(error.code));
        socket.on('close', () => this.end('closed by the other side'));
        if (initiator) socket.once('connect', () => this.#frame(this.noise.writeFirst()));
    }

    send(message) {
        if (this.isOpen && !this.isEnded) this.sendPlain(writeMessage(message));
    }
    /** As it is: what the bad cases send, too. */
    sendPlain(plain) {
        this.lastSent = Date.now();
        this.#frame(this.out.seal(plain));
    }
    goodbye(reason, why) {
        this.send({ name: 'GOODBYE', reason });
        this.end(why);
    }
    end(why) {
        if (this.isEnded) return;
        this.isEnded = true;
        clearTimeout(this.timer);
        this.socket.end();
        setTimeout(() => this.socket.destroy(), 1000).unref();
        this.emit('closed', why);
    }

    #frame(part) {
        const head = Buffer.alloc(2);
        head.writeUInt16BE(part.length);
        this.socket.write(Buffer.concat([head, part]));
    }

    #read(data) {
        this.lastHeard = Date.now();
        this.#buffer = Buffer.concat([this.#buffer, data]);
        try {
            while (!this.isEnded && this.#buffer.length >= 2) {
                const length = this.#buffer.readUInt16BE(0);
                must(length > 0 && length <= (this.isOpen ? PLAIN_MOST + TAG : HANDSHAKE_MOST),
                    'a frame of a wrong length');
                if (this.#buffer.length < 2 + length) return;
                const part = Buffer.from(this.#buffer.subarray(2, 2 + length));
                this.#buffer = this.#buffer.subarray(2 + length);
                if (this.isOpen) this.#messages(this.into.unseal(part));
                else this.#shake(part);
            }
        } catch (error) {
            if (!(error instanceof Invalid)) throw error;
            this.goodbye(3, `invalid: ${error.message}`); // 9.2
        }
    }

    #messages(plain) {
        this.emit('plain', plain);
        must(plain.length > 0, 'an empty frame');
        for (const value of unpackAll(plain)) {
            if (this.isEnded) return;
            this.emit('message', readMessage(value));
        }
    }

    #shake(part) {
        this.#step += 1;
        if (this.initiator) {
            this.#admit(this.noise.readSecond(part)); // before we show our own (5.2)
            this.#frame(this.noise.writeThird(this.#shown()));
            this.#open();
        } else if (this.#step === 1) {
            this.noise.readFirst(part);
            this.#frame(this.noise.writeSecond(this.#shown()));
        } else {
            this.#admit(this.noise.readThird(part));
            this.#open();
        }
    }
    #shown() {
        const { identity, certificate } = this.me;
        return pack([certificate, identity.sign(SESSION, this.network, identity.session.key)]);
    }
    #admit(payload) {
        this.emit('plain', payload);
        const fields = unpack(payload);
        must(Array.isArray(fields) && fields.length === 2 && isBin(fields[0], 152) &&
            isBin(fields[1], 64), 'the payload of a handshake');
        const peer = readCertificate(fields[0]);
        must(verifies(peer.key, fields[1], SESSION, this.network, this.noise.peer),
            'a session key of somebody else');
        must(!same(peer.instance, this.me.identity.id), 'a connection to oneself');
        must(this.admits(peer), 'a certificate that is not accepted');
        this.peer = peer;
    }
    #open() {
        clearTimeout(this.timer);
        const { out, in: into } = this.noise.split();
        Object.assign(this, { out, into, isOpen: true, opened: Date.now(), lastSent: Date.now() });
        this.emit('open');
    }
}
