// SPEC 2.1: which addresses may be spoken of (IANA's special-purpose registries).
import { BlockList } from 'node:net';

const SPECIAL = ['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16',
    '172.16.0.0/12', '192.0.0.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15',
    '224.0.0.0/4', '240.0.0.0/4', '::/16', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64',
    '2001::/23', '2002::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'];
const DOCUMENTATION = ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32',
    '3fff::/20'];

const familyOf = (address) => (address.includes(':') ? 'ipv6' : 'ipv4');

// One list for each family: in a common one node takes every IPv4 address for a mapped one of `::`.
function blockLists(ranges) {
    const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
    for (const range of ranges) {
        const [address, bits] = range.split('/');
        lists[familyOf(address)].addSubnet(address, Number(bits), familyOf(address));
    }
    return lists;
}
const special = blockLists(SPECIAL);
const documentation = blockLists(DOCUMENTATION);

export const subjectText = (subject) => (subject.length === 4 ? subject.join('.')
    : `${subject.toString('hex').match(/..../g).map((word) => parseInt(word, 16).toString(16))
        .join(':')}::`);

export function isShared(subject, lab) {
    const address = subjectText(subject);
    const isIn = (lists) => lists[familyOf(address)].check(address, familyOf(address));
    return !isIn(special) && (lab || !isIn(documentation));
}
