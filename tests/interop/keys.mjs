// SPEC 2.2, 2.3, 2.5: hashes, ids, the keys of an instance, signatures.
import {
    createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman, sign, verify,
} from 'node:crypto';
import { bytes, unhex } from './bytes.mjs';

const ZERO = Buffer.alloc(1);

export const sha256 = (...parts) => createHash('sha256').update(bytes(...parts)).digest();
export const hash = (domain, ...parts) => sha256(Buffer.from(domain), ZERO, ...parts);
export const idOf = (domain, ...parts) => hash(domain, ...parts).subarray(0, 16);
export const hmac = (key, domain, ...parts) =>
    createHmac('sha256', key).update(bytes(Buffer.from(domain), ZERO, ...parts)).digest();

// node:crypto takes raw keys only inside DER; these are the fixed heads (RFC 8410).
const secretKey = (oid, raw) => createPrivateKey({
    key: bytes(unhex(`302e020100300506032b65${oid}04220420`), raw), format: 'der', type: 'pkcs8',
});
const publicKey = (oid, raw) => createPublicKey({
    key: bytes(unhex(`302a300506032b65${oid}032100`), raw), format: 'der', type: 'spki',
});
const rawPublic = (secret) =>
    createPublicKey(secret).export({ format: 'der', type: 'spki' }).subarray(-32);
const ED25519 = '70';
const X25519 = '6e';

export function signer(seed) {
    const secret = secretKey(ED25519, seed);
    return {
        key: rawPublic(secret),
        sign: (domain, network, body) =>
            sign(null, bytes(Buffer.from(domain), ZERO, network, body), secret),
    };
}

export function verifies(key, signature, domain, network, body) {
    const said = bytes(Buffer.from(domain), ZERO, network, body);
    return verify(null, said, publicKey(ED25519, key), signature);
}

export function dhPair(raw) {
    const secret = secretKey(X25519, raw);
    return {
        key: rawPublic(secret),
        with: (other) => diffieHellman({ privateKey: secret, publicKey: publicKey(X25519, other) }),
    };
}

/** RFC 7748, 4.1: an Ed25519 key as one of X25519, u = (1 + y) / (1 - y). */
export function montgomery(key) {
    const p = 2n ** 255n - 19n;
    const mod = (value) => ((value % p) + p) % p;
    let inverse = 1n;
    const y = BigInt(`0x${Buffer.from(key).reverse().toString('hex')}`) & (2n ** 255n - 1n);
    for (let base = mod(1n - y), left = p - 2n; left > 0n; left >>= 1n, base = mod(base * base)) {
        if (left & 1n) inverse = mod(inverse * base);
    }
    return Buffer.from(mod((1n + y) * inverse).toString(16).padStart(64, '0'), 'hex').reverse();
}

/** SPEC 2.3: everything out of one secret. */
export function identity(secret) {
    const seed = hmac(secret, 'grapevine sign 1');
    const instance = signer(seed);
    return {
        ...instance,
        pair: dhPair(createHash('sha512').update(seed).digest().subarray(0, 32)), // 5.6
        session: dhPair(hmac(secret, 'grapevine session 1')),
        id: idOf('grapevine instance 1', instance.key),
    };
}
