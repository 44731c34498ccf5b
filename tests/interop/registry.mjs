// SPEC 14: what a node asks of the registry.
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { hex, minuteNow, must, same } from './bytes.mjs';
import { isAccepted, readCertificate } from './certificate.mjs';
import { readDescriptor } from './descriptor.mjs';
import { pack } from './pack.mjs';

const ANSWER_MOST = 1024 * 1024;

/** The address that it connects from decides the network group (3.2). */
export class Registry {
    constructor(url, localAddress) {
        Object.assign(this, { url, localAddress });
    }

    #ask(method, path, body) {
        return new Promise((done, failed) => {
            const asked = request(new URL(path, this.url), {
                method, localAddress: this.localAddress, timeout: 10_000,
                headers: body ? { 'Content-Type': 'application/json',
                    'Content-Length': Buffer.byteLength(body) } : {},
            }, async (got) => {
                const parts = [];
                let size = 0;
                for await (const part of got) {
                    size += part.length;
                    if (size > ANSWER_MOST) return failed(new Error('an answer too long'));
                    parts.push(part);
                }
                return done({ status: got.statusCode, headers: got.headers,
                    body: Buffer.concat(parts) });
            });
            asked.on('error', failed);
            asked.on('timeout', () => asked.destroy(new Error('no answer')));
            asked.end(body);
        });
    }
    async #get(path) {
        const got = await this.#ask('GET', path);
        must(got.status === 200, `${path}: status ${got.status}`);
        return got;
    }

    async descriptor() { return readDescriptor((await this.#get('/v1/network')).body); }
    async terms() { return (await this.#get('/v1/terms')).headers['grapevine-terms']; }
    async revocations() {
        return JSON.parse((await this.#get('/v1/revocations')).body)
            .map((text) => Buffer.from(text, 'base64'));
    }

    /** 14.3: what the key signed, beside what it says. */
    proven(word, identity, network, fields, values) {
        const minute = minuteNow();
        const nonce = randomBytes(8);
        const body = pack([minute, nonce, identity.key, ...values]);
        const signature = identity.sign(`grapevine ${word} 1`, network, body);
        return JSON.stringify({ key: hex(identity.key), minute, nonce: hex(nonce), ...fields,
            signature: hex(signature) });
    }
    async post(word, body) {
        const got = await this.#ask('POST', `/v1/${word}`, body);
        return { code: got.status, ...JSON.parse(got.body) };
    }
    enroll(identity, network, email, terms) {
        return this.post('enroll',
            this.proven('enroll', identity, network, { email, terms }, [email, terms]));
    }
    /** Gives the certificate, checked as a stranger's would be (14.4). */
    async confirm(identity, descriptor, code) {
        const got = await this.post('confirm',
            this.proven('confirm', identity, descriptor.network, { code }, [code]));
        must(got.code === 200, `confirm: ${got.code} ${got.error}`);
        const certificate = readCertificate(Buffer.from(got.certificate, 'base64'));
        must(isAccepted(certificate, descriptor, minuteNow()) && same(certificate.key, identity.key)
            && certificate.expires === got.expires_minute, 'a certificate of ours, good now');
        return certificate;
    }
}
