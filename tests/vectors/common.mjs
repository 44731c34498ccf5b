// What both vector generators need, from node:crypto alone: this is the second implementation that
// the C code is checked against, so it shares no line and no library with it.
import { createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// The fixed beginnings of a raw key's DER form (RFC 8410).
const PRIVATE = { x25519: '302e020100300506032b656e04220420', ed25519: '302e020100300506032b657004220420' };
const PUBLIC_X25519 = '302a300506032b656e032100';

export const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const hmac = (key, ...parts) => {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
};

export const privateKey = (type, raw) =>
  createPrivateKey({ key: Buffer.concat([Buffer.from(PRIVATE[type], 'hex'), raw]), format: 'der', type: 'pkcs8' });
export const rawPublic = (key) => Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x, 'base64url');
export const x25519 = (secret, publicRaw) =>
  diffieHellman({
    privateKey: privateKey('x25519', secret),
    publicKey: createPublicKey({
      key: Buffer.concat([Buffer.from(PUBLIC_X25519, 'hex'), publicRaw]), format: 'der', type: 'spki',
    }),
  });

// Test secrets and payloads come from a label, so that the files can be made again byte for byte.
export const bytes = (label, length = 32) => {
  const blocks = [];
  for (let i = 0; blocks.length * 32 < length; i++) blocks.push(sha256(`${label} ${i}`));
  return Buffer.concat(blocks).subarray(0, length);
};

// Buffers print as hex. With --check nothing is written: exit 1 if the committed file differs.
export function emit(name, value) {
  const path = fileURLToPath(new URL(name, import.meta.url));
  const plain = (v) => {
    if (Buffer.isBuffer(v)) return v.toString('hex');
    if (Array.isArray(v)) return v.map(plain);
    if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
    return v;
  };
  const text = JSON.stringify(plain(value), null, 1) + '\n';
  if (process.argv.includes('--check')) {
    if (readFileSync(path, 'utf8') !== text) {
      console.error(`${name} differs from what its generator makes`);
      process.exit(1);
    }
    console.log(`${name} is up to date`);
    return;
  }
  writeFileSync(path, text);
}
