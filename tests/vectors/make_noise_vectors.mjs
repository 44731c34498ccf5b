// Makes noise_xx.json: Noise_XX_25519_ChaChaPoly_SHA256 (The Noise Protocol Framework, revision 34)
// written from the specification, with payloads, prologues, transport messages and rekeys.
//
//   node tests/vectors/make_noise_vectors.mjs [--check]
import { createCipheriv } from 'node:crypto';
import { bytes, emit, hmac, privateKey, rawPublic, sha256, x25519 } from './common.mjs';

const NAME = 'Noise_XX_25519_ChaChaPoly_SHA256';
const PATTERN = [['e'], ['e', 'ee', 's', 'es'], ['s', 'se']];
const EMPTY = Buffer.alloc(0);

class CipherState {
  constructor(key) { this.key = key; this.n = 0n; }

  static encrypt(key, n, ad, plain) {
    const nonce = Buffer.alloc(12);
    nonce.writeBigUInt64LE(n, 4);
    const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
    cipher.setAAD(ad, { plaintextLength: plain.length });
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  encrypt(ad, plain) {
    return this.key ? CipherState.encrypt(this.key, this.n++, ad, plain) : plain;
  }

  rekey() {
    this.key = CipherState.encrypt(this.key, 0xffffffffffffffffn, EMPTY, Buffer.alloc(32)).subarray(0, 32);
  }
}

const hkdf2 = (chainingKey, input) => {
  const temp = hmac(chainingKey, input);
  const first = hmac(temp, Buffer.from([1]));
  return [first, hmac(temp, first, Buffer.from([2]))];
};

const keyPair = (secret) => ({ secret, public: rawPublic(privateKey('x25519', secret)) });

// Only the writing side is modelled: both parties hold the same symmetric state at every step, so
// one state with both parties' secrets writes the whole conversation.
function handshake({ prologue, statics, ephemerals, payloads }) {
  let h = Buffer.from(NAME, 'ascii');
  if (h.length !== 32) throw new Error('the name must be 32 bytes');
  let ck = h;
  let cipher = new CipherState(null);
  const mixHash = (data) => { h = sha256(h, data); };
  const mixKey = (input) => {
    let key;
    [ck, key] = hkdf2(ck, input);
    cipher = new CipherState(key);
  };
  const seal = (plain) => {
    const sealed = cipher.encrypt(h, plain);
    mixHash(sealed);
    return sealed;
  };
  const [init, resp] = [0, 1].map((i) => ({ s: keyPair(statics[i]), e: keyPair(ephemerals[i]) }));

  mixHash(prologue);
  const messages = PATTERN.map((tokens, step) => {
    const writer = step % 2 === 0 ? init : resp;
    const parts = [];
    for (const token of tokens) {
      if (token === 'e') {
        parts.push(writer.e.public);
        mixHash(writer.e.public);
      } else if (token === 's') {
        parts.push(seal(writer.s.public));
      } else { // the first letter is the initiator's key, the second the responder's
        mixKey(x25519(init[token[0]].secret, resp[token[1]].public));
      }
    }
    parts.push(seal(payloads[step]));
    return { from: step % 2 === 0 ? 'init' : 'resp', payload: payloads[step], ciphertext: Buffer.concat(parts) };
  });
  const [initKey, respKey] = hkdf2(ck, EMPTY);
  return { messages, hash: h, init: new CipherState(initKey), resp: new CipherState(respKey) };
}

function vector(label, prologue, payloads, script) {
  const keys = ['init static', 'resp static', 'init ephemeral', 'resp ephemeral'].map((k) => bytes(`${label} ${k}`));
  const done = handshake({ prologue, statics: keys.slice(0, 2), ephemerals: keys.slice(2), payloads });
  const transport = script.map(([action, from, payload]) => {
    if (action === 'rekey') {
      done[from].rekey();
      return { rekey: from };
    }
    return { from, payload, ciphertext: done[from].encrypt(EMPTY, payload) };
  });
  return {
    name: label, protocol_name: NAME, prologue,
    init_static: keys[0], resp_static: keys[1], init_ephemeral: keys[2], resp_ephemeral: keys[3],
    handshake: done.messages, handshake_hash: done.hash, transport,
  };
}

const send = (from, payload) => ['send', from, typeof payload === 'string' ? Buffer.from(payload) : payload];
const rekey = (from) => ['rekey', from];

emit('noise_xx.json', {
  vectors: [
    vector('nothing but keys', EMPTY, [EMPTY, EMPTY, EMPTY], [send('init', EMPTY), send('resp', EMPTY)]),
    vector('a network id and two certificates', bytes('network id'),
      [EMPTY, bytes('responder certificate', 152), bytes('initiator certificate', 152)],
      [send('init', 'first to the responder'), send('resp', 'first to the initiator'),
        send('init', 'second'), send('init', 'third'), send('resp', bytes('long', 1000))]),
    vector('a payload in clear', bytes('prologue', 100),
      [Buffer.from('seen by everybody'), Buffer.from('r'), Buffer.from('i')], [send('resp', 'the responder may speak first')]),
    vector('rekey one way, both ways and twice', bytes('network id'),
      [EMPTY, bytes('r payload', 40), bytes('i payload', 60)],
      [send('init', 'before'), send('resp', 'before'), rekey('init'), send('init', 'new key, nonce goes on'),
        send('resp', 'the other direction keeps its key'), rekey('init'), rekey('resp'),
        send('init', bytes('after', 300)), send('resp', bytes('after', 300)), rekey('resp'), rekey('resp'),
        send('resp', 'rekeyed twice without a message between'), send('init', 'end')]),
  ],
});
