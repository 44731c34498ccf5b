// SPEC 4: the network descriptor, and revocations.
import { must, same, uint32, bytes } from './bytes.mjs';
import { hash, verifies } from './keys.mjs';
import { isBin, isUint, pack, unpack } from './pack.mjs';

const POLICY = ['tenure', 'full', 'alive', 'untrustedWeight', 'consensusWeight',
    'consensusGroups', 'signalsPerHour', 'votes', 'fault', 'grace'];
const MINUTE_MOST = 2 ** 32 - 1;

export const networkId = (rootKey, name, genesis) =>
    hash('grapevine network 1', rootKey, Buffer.from(name), uint32(genesis));

function readKey(item) {
    must(Array.isArray(item) && item.length === 3 && isBin(item[0], 32), 'a registry key');
    const [key, from, until] = item;
    must(isUint(from, 0, MINUTE_MOST) && isUint(until, from + 1, MINUTE_MOST), 'from < until');
    return { key, from, until };
}

export function readDescriptor(wire) {
    must(wire.length > 64 && wire.length <= 8192, 'the length of a descriptor');
    const signature = wire.subarray(0, 64);
    const body = wire.subarray(64);
    const fields = unpack(body);
    must(Array.isArray(fields) && fields.length === 12 && fields[0] === 1, 'a descriptor');
    const [, version, activation, rootKey, name, genesis, lab, keys, registry, seeds, policy,
        terms] = fields;
    must(isUint(version, 1, MINUTE_MOST) && isUint(activation, 0, MINUTE_MOST) &&
        isBin(rootKey, 32) && isUint(genesis, 0, MINUTE_MOST) && isUint(lab, 0, 1), 'its head');
    must(/^[a-z0-9-]{1,63}$/.test(name), 'its name');
    must(Array.isArray(keys) && keys.length >= 1 && keys.length <= 8, 'its registry keys');
    must(/^https?:\/\/[^/]+$/.test(registry) && registry.length <= 255, 'its registry');
    must(Array.isArray(seeds) && seeds.length <= 32, 'its seeds');
    must(Array.isArray(policy) && policy.length === POLICY.length && policy.every((n) => isUint(n)),
        'its policy');
    must(/^[A-Za-z0-9.-]{1,31}$/.test(terms), 'its terms');
    const network = networkId(rootKey, name, genesis);
    must(verifies(rootKey, signature, 'grapevine descriptor 1', network, body), 'its signature');
    return {
        wire, version, activation, rootKey, name, genesis, lab: lab === 1, registry, seeds, terms,
        network, registryKeys: keys.map(readKey),
        policy: Object.fromEntries(POLICY.map((word, i) => [word, policy[i]])),
    };
}

export function makeDescriptor(root, fields, keys) {
    const body = pack([1, fields.version, fields.activation, root.key, fields.name, fields.genesis,
        fields.lab ? 1 : 0, keys.map(({ key, from, until }) => [key, from, until]),
        fields.registry, fields.seeds, POLICY.map((word) => fields.policy[word]), fields.terms]);
    const network = networkId(root.key, fields.name, fields.genesis);
    return bytes(root.sign('grapevine descriptor 1', network, body), body);
}

/** The key of the registry that was in force when something was signed (4.2). */
export const keyInForce = (descriptor, signer, minute) => descriptor.registryKeys.find(
    ({ key, from, until }) => same(key.subarray(0, 4), signer) && from <= minute && minute < until,
)?.key;
