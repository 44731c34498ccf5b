"""Holds what `grapevine observe --json --lab` makes of a genuine log against what the clients saw:
`check.py TRUTH OBSERVATIONS`. Every failed attempt is found once, nothing is invented,
no forged address is ever blamed, neither are clients that failed because of the server's own fault.
An attempt that ended without a verdict on a password (soft) may be found (once) or not, beyond the
`written` ones: not every server writes every one down. So may `unwritten` ones of those that failed."""
import collections
import ipaddress
import json
import sys

SERVICES = {"smtp": {"smtp", "submission"}, "imap": {"imap"}, "pop3": {"pop3"}, "sieve": {"sieve"}}
HARD = {"wrong-password", "unknown-account", "unspecified"}


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def main():
    truth, never = {}, set()
    for entry in lines(sys.argv[1]):
        if "never" in entry:
            never.add(ipaddress.ip_address(entry["never"]))
        else:
            truth[ipaddress.ip_address(entry["ip"])] = entry
    found = collections.defaultdict(list)
    for observation in lines(sys.argv[2]):
        found[ipaddress.ip_address(observation["ip"])].append(observation)
    wrong = 0

    def complain(text, observations=()):
        nonlocal wrong
        wrong += 1
        print(text)
        for observation in observations:
            print(f"    {json.dumps(observation)}")

    for address, observations in found.items():
        if address in never:
            complain(f"FORGED {address} is blamed", observations)
        elif address not in truth:
            complain(f"INVENTED {address} attacked nobody", observations)
    soft_found = 0
    for address, entry in truth.items():
        observations = found.get(address, [])
        total = sum(o["attempts"] for o in observations)
        hard = sum(o["attempts"] for o in observations if o["kind"] in HARD)
        failed, soft = entry["failed"], entry["soft"]
        least = failed - entry["unwritten"] + entry["written"]
        about = f"{address} ({entry['scenario']}): {failed} failed, {soft} without verdict"
        if total < least:
            complain(f"MISSED {about}, found {total}", observations)
        elif total > failed + soft:
            complain(f"INVENTED {about}, found {total}", observations)
        elif not entry["forging"] and (hard < failed - entry["unwritten"] or (hard > failed and not soft)):
            complain(f"KIND {about}, found {hard} as failed", observations)
        elif entry["kind"] and {o["kind"] for o in observations} != {entry["kind"]}:
            complain(f"KIND {about}, {entry['kind']}", observations)
        elif not {o["mta"] for o in observations} <= {entry["mta"]}:
            complain(f"SERVER {about}, {entry['mta']}", observations)
        elif not {o["service"] for o in observations} <= SERVICES[entry["service"]]:
            complain(f"SERVICE {about}", observations)
        soft_found += total - failed if total > failed else 0
    failed = sum(entry["failed"] for entry in truth.values())
    soft = sum(entry["soft"] for entry in truth.values())
    print(
        f"{len(truth)} clients, {failed} failed attempts, {soft} without verdict ({soft_found} found), "
        f"{len(never)} forged addresses: {wrong} wrong"
    )
    if not failed:
        print("no attempt failed: this proves nothing")
        wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
