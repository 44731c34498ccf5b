// SPEC 5.1, 5.5: Noise_XX_25519_ChaChaPoly_SHA256 (The Noise Protocol Framework, revision 34).
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { bytes, must } from './bytes.mjs';
import { dhPair, sha256 } from './keys.mjs';

const EMPTY = Buffer.alloc(0);
const TAG = 16;
const REKEY_AFTER = 224; // SPEC 5.5
const REKEY_NONCE = 2n ** 64n - 1n;
const CIPHER = 'chacha20-poly1305';

function nonceBytes(number) { // 32 bits of zeros, then the number little-endian
    const nonce = Buffer.alloc(12);
    nonce.writeBigUInt64LE(number, 4);
    return nonce;
}

function seal(key, number, ad, plain) {
    const cipher = createCipheriv(CIPHER, key, nonceBytes(number), { authTagLength: TAG });
    cipher.setAAD(ad, { plaintextLength: plain.length });
    return bytes(cipher.update(plain), cipher.final(), cipher.getAuthTag());
}

function unseal(key, number, ad, sealed) {
    must(sealed.length >= TAG, 'a Noise message without its tag');
    const plain = sealed.subarray(0, -TAG);
    const cipher = createDecipheriv(CIPHER, key, nonceBytes(number), { authTagLength: TAG });
    cipher.setAAD(ad, { plaintextLength: plain.length });
    cipher.setAuthTag(sealed.subarray(-TAG));
    try {
        return bytes(cipher.update(plain), cipher.final());
    } catch {
        return must(false, 'a Noise message that does not verify');
    }
}

/** One direction of a session. */
export class Cipher {
    constructor(key) {
        this.key = key;
        this.number = 0n;
    }
    seal(plain) { return this.#moved(seal(this.key, this.number, EMPTY, plain)); }
    unseal(sealed) { return this.#moved(unseal(this.key, this.number, EMPTY, sealed)); }
    #moved(result) {
        this.number += 1n;
        // Noise's Rekey changes the key and leaves the number going.
        if (this.number % BigInt(REKEY_AFTER) === 0n) {
            this.key = seal(this.key, REKEY_NONCE, EMPTY, Buffer.alloc(32)).subarray(0, 32);
        }
        return result;
    }
}

function derive(chain, input) {
    const mac = (key, ...parts) => createHmac('sha256', key).update(bytes(...parts)).digest();
    const temp = mac(chain, input);
    const first = mac(temp, Buffer.from([1]));
    return [first, mac(temp, first, Buffer.from([2]))];
}

/** The three messages of XX. `ephemeral` is given only by the examples. */
export class Handshake {
    constructor({ initiator, network, session, ephemeral = randomBytes(32) }) {
        const name = Buffer.from('Noise_XX_25519_ChaChaPoly_SHA256'); // exactly 32 bytes
        this.chain = name;
        this.transcript = name;
        this.initiator = initiator;
        this.session = session;
        this.ephemeral = dhPair(ephemeral);
        this.#mix(bytes(Buffer.from('grapevine 1'), Buffer.alloc(1), network)); // prologue
    }
    #mix(part) { this.transcript = sha256(this.transcript, part); }
    #mixKey(secret) {
        [this.chain, this.key] = derive(this.chain, secret);
        this.number = 0n;
    }
    #seal(plain) {
        const sealed = seal(this.key, this.number++, this.transcript, plain);
        this.#mix(sealed);
        return sealed;
    }
    #unseal(sealed) {
        const plain = unseal(this.key, this.number++, this.transcript, sealed);
        this.#mix(sealed);
        return plain;
    }

    writeFirst() { // -> e
        this.#mix(this.ephemeral.key);
        this.#mix(EMPTY); // the empty payload, not encrypted yet
        return this.ephemeral.key;
    }
    readFirst(message) {
        must(message.length === 32, 'the first handshake message carries no payload'); // 5.2
        this.theirs = message;
        this.#mix(message);
        this.#mix(EMPTY);
    }
    writeSecond(payload) { // <- e, ee, s, es
        this.#mix(this.ephemeral.key);
        this.#mixKey(this.ephemeral.with(this.theirs));
        const sealed = this.#seal(this.session.key);
        this.#mixKey(this.session.with(this.theirs));
        return bytes(this.ephemeral.key, sealed, this.#seal(payload));
    }
    readSecond(message) {
        must(message.length >= 96, 'a short handshake message');
        this.theirs = message.subarray(0, 32);
        this.#mix(this.theirs);
        this.#mixKey(this.ephemeral.with(this.theirs));
        this.peer = this.#unseal(message.subarray(32, 80));
        this.#mixKey(this.ephemeral.with(this.peer));
        return this.#unseal(message.subarray(80));
    }
    writeThird(payload) { // -> s, se
        const sealed = this.#seal(this.session.key);
        this.#mixKey(this.session.with(this.theirs));
        return bytes(sealed, this.#seal(payload));
    }
    readThird(message) {
        must(message.length >= 64, 'a short handshake message');
        this.peer = this.#unseal(message.subarray(0, 48));
        this.#mixKey(this.ephemeral.with(this.peer));
        return this.#unseal(message.subarray(48));
    }
    /** The initiator sends with the first key. */
    split() {
        const [first, second] = derive(this.chain, EMPTY).map((key) => new Cipher(key));
        return this.initiator ? { out: first, in: second } : { out: second, in: first };
    }
}
