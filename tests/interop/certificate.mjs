// SPEC 3: the certificate, a fixed layout of 152 bytes.
import { bytes, must, same, uint32 } from './bytes.mjs';
import { idOf, verifies } from './keys.mjs';

const DOMAIN = 'grapevine certificate 1';
const LENGTH = 152;
const SIGNED = 88;
const AHEAD = 10; // minutes that `issued` may lie ahead (3.3)

export function readCertificate(wire) {
    must(wire.length === LENGTH, 'a certificate has 152 bytes');
    must(wire[0] === 1 && wire[1] === 0, 'a certificate of another version');
    must(wire.readUIntBE(82, 6) === 0, 'bytes 82..87 of a certificate are zero');
    const key = wire.subarray(6, 38);
    const certificate = {
        wire,
        signer: wire.subarray(2, 6),
        key,
        owner: wire.subarray(38, 54),
        placement: wire.subarray(54, 62),
        group: wire.subarray(62, 70),
        since: wire.readUInt32BE(70),
        issued: wire.readUInt32BE(74),
        expires: wire.readUInt32BE(78),
        id: idOf('grapevine certificate id 1', wire.subarray(0, SIGNED)),
        instance: idOf('grapevine instance 1', key),
    };
    must(certificate.since <= certificate.issued && certificate.issued < certificate.expires,
        'since <= issued < expires');
    return certificate;
}

/** Made by a registry; here for the examples, and for the certificates that must be refused. */
export function makeCertificate(registry, network, field) {
    const body = bytes(Buffer.from([1, 0]), registry.key.subarray(0, 4), field.key, field.owner,
        field.placement, field.group, uint32(field.since), uint32(field.issued),
        uint32(field.expires), Buffer.alloc(6));
    return bytes(body, registry.sign(DOMAIN, network, body));
}

/** The key that signed it, of those that a descriptor names; and it did sign it. */
export function isSigned(certificate, descriptor) {
    const { wire, signer, issued } = certificate;
    return descriptor.registryKeys.some(({ key, from, until }) =>
        same(key.subarray(0, 4), signer) && from <= issued && issued < until &&
        verifies(key, wire.subarray(SIGNED), DOMAIN, descriptor.network, wire.subarray(0, SIGNED)));
}

/** SPEC 3.3, for a session. What a certificate signed may be read longer: `readable`. */
export const isAccepted = (certificate, descriptor, now) =>
    isSigned(certificate, descriptor) && certificate.issued <= now + AHEAD &&
    now <= certificate.expires + descriptor.policy.grace;

export function heldUntil(certificate, { policy }) {
    return certificate.expires + policy.grace + Math.max(policy.alive, policy.fault);
}
