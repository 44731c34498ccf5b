// What the scenario's good and bad parts share.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { bytes, hex } from './bytes.mjs';
import { identity } from './keys.mjs';
import { codeFor, registryUrl, until } from './lab.mjs';
import { Member } from './member.mjs';
import { Registry } from './registry.mjs';
import { RecordSet } from './set.mjs';

/** 14.3, 14.4, with what must be refused on the way. */
export async function enrol(name, host) {
    const registry = new Registry(registryUrl, host);
    const descriptor = await registry.descriptor();
    const terms = await registry.terms();
    assert.equal(terms, descriptor.terms);
    const who = identity(randomBytes(32));
    const email = `${name}@interop.test`;
    const fields = { email, terms };
    const forged = registry.proven('enroll', identity(randomBytes(32)), descriptor.network, fields,
        [email, terms]).replace(/"key":"[0-9a-f]*"/, `"key":"${hex(who.key)}"`);
    assert.deepEqual(pick(await registry.post('enroll', forged)), [403, 'proof']);
    const body = registry.proven('enroll', who, descriptor.network, fields, [email, terms]);
    assert.equal((await registry.post('enroll', body)).code, 202);
    assert.deepEqual(pick(await registry.post('enroll', body)), [409, 'replay']);
    const code = await until(`the code for ${email}`, () => codeFor(email));
    const certificate = await registry.confirm(who, descriptor, code);
    assert.deepEqual(certificate.group,
        bytes([4, 0, 0, 0, 0, 0], host.split('.').slice(0, 2).map(Number))); // 3.2
    return { registry, descriptor, certificate, identity: who };
}
const pick = ({ code, error }) => [code, error];

export function memberOf({ identity: who, certificate, descriptor }, more = {}) {
    return new Member({ identity: who, certificate: certificate.wire,
        set: new RecordSet(descriptor), ...more });
}

/** Asks until that node itself says that nothing is different: an answer without ranges. */
export async function isEqual(member, link, tree) {
    return new Promise((done) => {
        let isQuiet = true;
        const look = (message, from) => {
            if (from !== link) return;
            if (['RECORDS', 'WANT'].includes(message.name)) isQuiet = false;
            if (message.name !== 'RECONCILE' || message.tree !== tree) return;
            if (message.ranges.length > 0) isQuiet = false;
            else finish(isQuiet);
        };
        const timer = setTimeout(() => finish(false), 3000);
        const finish = (truth) => {
            clearTimeout(timer);
            member.off('said', look);
            done(truth);
        };
        member.on('said', look);
        member.repair(link, [tree]);
    });
}
export async function holdsAll(member) {
    for (const link of member.links.values()) {
        for (const tree of [0, 1]) {
            await until(`tree ${tree} equal`, () => isEqual(member, link, tree), 10);
        }
    }
}
