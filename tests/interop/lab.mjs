// The lab that tests/e2e/interop.sh made, as the scenario sees it: commands of the real programs, the
// mail folder, the nodes' mail logs.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hex } from './bytes.mjs';

const { GV_BIN, GV_LAB, GV_PORT } = process.env;
export const scratch = GV_LAB;
export const port = Number(GV_PORT);
export const registryUrl = `http://127.0.0.1:${port + 1}`;
export const hostOf = (n) => `127.${n}.0.1`;

const run = promisify(execFile);

export async function ask(n, ...words) {
    const { stdout } = await run(join(GV_BIN, 'grapevine'),
        ['--config', join(scratch, `node${n}.conf`), ...words]);
    return stdout;
}
export const ip = async (n, address) => JSON.parse(await ask(n, 'ip', '--json', address));
export const revoke = (id) => run(join(GV_BIN, 'grapevine-registry'),
    ['revoke', '--data', join(scratch, 'registry'), '--reason', 'abuse', hex(id)]);
export const secretOf = (name) =>
    Buffer.from(readFileSync(join(scratch, 'registry', `${name}.key`), 'utf8').trim(), 'hex');

/** The code, out of the mail that the registry wrote. */
export function codeFor(email) {
    const mails = readdirSync(join(scratch, 'mail'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name), 'latin1'));
    const ours = mails.filter((mail) => /^to:.*$/im.exec(mail)?.[0].includes(email));
    return /grapevine confirm ([0-9A-Z]{5}-[0-9A-Z]{5})/.exec(ours[0] ?? '')?.[1];
}

/** Genuine words of Dovecot's: three clients that failed. */
export function failsAt(n, address) {
    const stamp = `${new Date().toISOString().slice(0, 19)}+00:00`;
    for (const user of ['u1', 'u2', 'u3']) {
        appendFileSync(join(scratch, `node${n}.mail`), `${stamp} mail dovecot: imap-login: `
            + 'Disconnected (auth failed, 1 attempts in 2 secs): '
            + `user=<${user}>, method=PLAIN, rip=${address}, lip=192.0.2.1, `
            + `session=<${randomBytes(6).toString('base64')}>\n`);
    }
}

/** Looks until it is true; a failure after that many looks, so that a slow machine has its time. */
export async function until(what, test, looks = 600) {
    for (let i = 0; i < looks; i++) {
        const got = await test();
        if (got) return got;
        await new Promise((done) => { setTimeout(done, 50); });
    }
    throw new Error(`gave up waiting: ${what}`);
}

let count = 0;
export function proved(what) {
    count += 1;
    console.log(`ok ${count} - ${what}`);
}
