// Makes identity_certificate.json: framed hashes, identities, signed messages and certificates
// (SPEC 2 and 3), computed with node:crypto alone.
//
//   node tests/vectors/make_identity_vectors.mjs [--check]
import { sign } from 'node:crypto';
import { bytes, emit, hmac, privateKey, rawPublic, sha256 } from './common.mjs';

const EMPTY = Buffer.alloc(0);
const framed = (domain) => Buffer.concat([Buffer.from(domain, 'ascii'), Buffer.from([0])]);
const id16 = (domain, data) => sha256(framed(domain), data).subarray(0, 16);

function identity(secret) {
  const seed = hmac(secret, framed('grapevine sign 1'));
  const signKey = privateKey('ed25519', seed);
  const sessionSecret = hmac(secret, framed('grapevine session 1'));
  const signPublic = rawPublic(signKey);
  return {
    signKey,
    facts: {
      secret, id: id16('grapevine instance 1', signPublic), sign_public: signPublic,
      sign_secret: Buffer.concat([seed, signPublic]), session_secret: sessionSecret,
      session_public: rawPublic(privateKey('x25519', sessionSecret)),
      store_key: hmac(secret, framed('grapevine store 1')),
    },
  };
}

function signature(label, domain, body) {
  const { signKey, facts } = identity(bytes(`${label} secret`));
  const networkId = bytes(`${label} network`);
  const message = Buffer.concat([framed(domain), networkId, body]);
  return {
    name: label, secret: facts.secret, domain, network_id: networkId, body, message,
    signature: sign(null, message, signKey),
  };
}

const uint = (value, length) => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out.subarray(8 - length);
};

function certificate(label, { placement, group, since, issued, expires }) {
  const registry = identity(bytes(`${label} registry`));
  const networkId = bytes(`${label} network`);
  const key = identity(bytes(`${label} instance`)).facts.sign_public;
  const owner = bytes(`${label} owner`, 16);
  const body = Buffer.concat([
    uint(1, 1), uint(0, 1), registry.facts.sign_public.subarray(0, 4), key, owner, uint(placement, 8),
    uint(group, 8), uint(since, 4), uint(issued, 4), uint(expires, 4), Buffer.alloc(6),
  ]);
  const message = Buffer.concat([framed('grapevine certificate 1'), networkId, body]);
  return {
    name: label, registry_secret: registry.facts.secret, registry_key: registry.facts.sign_public,
    network_id: networkId, key, owner, placement: uint(placement, 8), group: uint(group, 8),
    since, issued, expires,
    id: id16('grapevine certificate id 1', body), instance: id16('grapevine instance 1', key),
    wire: Buffer.concat([body, sign(null, message, registry.signKey)]),
  };
}

const hashed = (domain, key, data) => ({
  domain, key, data, hash: sha256(framed(domain), data), hmac: hmac(key, framed(domain), data),
});

const DAY = 24 * 60;
const ISSUED = 29926080; // minutes: a day in November 2026
const groupOf = (kind, value) => (BigInt(kind) << 56n) | BigInt(value);

emit('identity_certificate.json', {
  hashes: [
    hashed('', EMPTY, EMPTY),
    hashed('grapevine test 1', bytes('key'), Buffer.from('data')),
    hashed('grapevine test 1', bytes('long key', 131), bytes('long data', 1000)),
    hashed('grapevine test 2', bytes('key'), Buffer.from('data')),
  ],
  identities: ['first', 'second', 'third'].map((label) => identity(bytes(label)).facts),
  signatures: [
    signature('empty body', 'grapevine test 1', EMPTY),
    signature('short body', 'grapevine signal 1', Buffer.from('a statement')),
    signature('long body', 'grapevine descriptor 1', bytes('descriptor', 2000)),
  ],
  certificates: [
    certificate('autonomous system', {
      placement: 0x0123456789abcdefn, group: groupOf(1, 64496), since: ISSUED - 400 * DAY, issued: ISSUED,
      expires: ISSUED + 90 * DAY,
    }),
    certificate('ipv4 group, new instance', {
      placement: 0n, group: groupOf(4, 0xc633), since: ISSUED, issued: ISSUED, expires: ISSUED + 90 * DAY,
    }),
    certificate('ipv6 group, largest values', {
      placement: 0xffffffffffffffffn, group: groupOf(6, 0x20010db8), since: 0, issued: 0xfffffffe,
      expires: 0xffffffff,
    }),
  ],
});
