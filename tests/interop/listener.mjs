// A member that writes down what node 1 says to it within its frames, decrypted and otherwise as it is: the
// handshake's payload and all messages, one behind the other, into FILE, for those who search it. It says who
// it is, and ends when it has heard each message that is named.
//   node listener.mjs FILE MESSAGE...
import { appendFileSync, writeFileSync } from 'node:fs';
import { enrol, memberOf } from './common.mjs';
import { hostOf, port, until } from './lab.mjs';

const HERE = '127.9.0.1';
const [file, ...wanted] = process.argv.slice(2);
writeFileSync(file, '');
const member = memberOf(await enrol('listener', HERE));
const heard = new Set();
const bytes = Buffer.from(process.env.GV_BYTES ?? '', 'hex');
let met = bytes.length === 0;
member.on('said', ({ name }) => heard.add(name));
const link = member.dial(hostOf(1), port, HERE);
link.on('plain', (plain) => {
    appendFileSync(file, plain);
    met ||= Buffer.from(plain).includes(bytes);
});
link.on('closed', (why) => console.error(`node 1: ${why}`));
await until(`${wanted} of node 1`, () => met && wanted.every((name) => heard.has(name)))
    .finally(() => console.log(`node 1 said ${[...heard].sort().join(', ')}`));
member.stop();
process.exit(0);
