#!/usr/bin/env bash
# One new verdict of the mesh, and when each surface has it: DNS, Dovecot's policy server, the long poll
# of the HTTP API, a bouncer's stream, nftables, an exec hook, a webhook and the block lists, all asked by
# surfaces.py from the same moment on, in SURFACES_ROUNDS (3) rounds with an address each. SPEC promises
# a second; on a machine with other work SURFACES_LIMIT_MS (5000) is asked for. Then [policy] feed =
# consensus: the firewall and bouncers get who is untrusted, never who is clean here or allowed. Needs root.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
skip() {
    echo "surfaces.sh: SKIPPED: $*"
    exit 77
}
if [ "${1:-}" != inside ]; then
    [ "$(id -u)" -eq 0 ] || skip "needs root, for namespaces"
    for program in jq python3 ip nft unshare curl; do
        command -v $program >/dev/null || skip "$program is not installed (tests/packages.sh test)"
    done
    unshare --net --pid --fork --kill-child true 2>/dev/null || skip "no namespaces can be made here"
    timeout -k 5 200 unshare --net --mount --pid --fork --kill-child --mount-proc bash "$0" inside
    exit
fi

ip link set lo up
nft list ruleset >/dev/null 2>&1 || skip "no nf_tables in this kernel"
# shellcheck source=tests/e2e/common.sh
. "$here/common.sh"
rounds=${SURFACES_ROUNDS:-3} limit=${SURFACES_LIMIT_MS:-5000}
chmod 755 "$scratch"
cat >"$scratch/hook" <<X
#!/bin/sh
exec cat >>$scratch/hooked
X
chmod 755 "$scratch/hook"
more_conf() {
    [ "$1" != 1 ] || cat <<X
[policy]
enforce = dovecot, dnsbl, bouncers, nftables
[http]
listen = 127.0.0.1:4729
[dnsbl]
listen = 127.0.0.1:4753
[firewall]
socket = $scratch/helper/socket
[hooks]
exec = $scratch/hook
webhook = http://127.0.0.1:4730/
X
}
find_port 14800
make_registry surfaces
start_registry
start_mesh
touch "$scratch/helper.log"
"$bin/grapevine-firewall" --config "$(conf 1)" >>"$scratch/helper.log" 2>&1 &
pids+=($!)
wait_for 20 "the firewall's helper" grep -q "ready;" "$scratch/helper.log"
firewall_is_up() { nft list set inet grapevine refused4 >/dev/null 2>&1; }
wait_for 20 "the firewall's table" firewall_is_up
key=$(ask 1 bouncers add clock | grep -oE '[0-9a-f]{64}') || die "no key for a bouncer"
dovecot=$(ask 1 snippet dovecot | sed -n 's/^auth_policy_server_api_header = X-Api-Key: //p')

# Two wrong passwords here make it one-strike; with the verdict of the mesh it is refused (SPEC 12.2).
action_is() { [ "$(ask 1 ip --json "$1" | jq -r .action)" = "$2" ]; }
token=$(ask 1 token)
: >"$scratch/figures"
for ((round = 1; round <= rounds; round++)); do
    address=198.51.100.$((100 + round))
    fails_at 1 "$address" 2
    wait_for 20 "two points" action_is "$address" one-strike
    : >"$scratch/clock" # what the round before wrote is gone before this one is waited for
    python3 "$here/surfaces.py" "$address" "$token" "$dovecot" "$key" "$scratch/hooked" \
        >"$scratch/clock" 2>>"$scratch/clock.log" &
    clock=$!
    wait_for 20 "the clock" grep -q ready "$scratch/clock"
    fails_at 2 "$address"
    fails_at 3 "$address"
    wait "$clock" || die "$address is not on every surface: $(cat "$scratch/clock")"
    grep -v ready "$scratch/clock" >>"$scratch/figures"
done
# SURFACE MS, of the slowest round
awk '{ if (!($1 in most) || $2 > most[$1]) most[$1] = $2; if (!seen[$1]++) order[++n] = $1 }
    END { for (i = 1; i <= n; i++) print order[i], most[order[i]] }' "$scratch/figures" >"$scratch/slowest"
echo "ms from the new verdict, slowest of $rounds: $(tr '\n' ',' <"$scratch/slowest" | sed 's/,$//; s/,/, /g')"
[ "$(wc -l <"$scratch/slowest")" = 9 ] || fail "not nine surfaces: $(cat "$scratch/slowest")"
while read -r surface ms; do
    [ "$ms" -le "$limit" ] || fail "$surface has it after $ms ms, and the limit is $limit"
done <"$scratch/slowest"

# ---- feed = consensus: all that the mesh calls untrusted, but nobody whom this host knows better --------
in_firewall() { nft get element inet grapevine refused4 "{ $1 }" >/dev/null 2>&1; }
banned() { curl -s -m 5 -H "X-Api-Key: $key" "http://127.0.0.1:4729/v1/decisions?ip=$1" | grep -q ban; }
clean=203.0.113.50 vetoed=198.51.100.121 other=198.51.100.120
for days in 14 11 8 5 2 1; do
    printf '%s mx dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=%s, lip=192.0.2.1, mpid=1, session=<p%s>\n' \
        "$(date -u -d "$days days ago" +%Y-%m-%dT%H:%M:%S)+00:00" $clean "$days"
done >"$scratch/old"
ask 1 import "$scratch/old" >/dev/null || fail "the old log is not read"
ask 1 allow $vetoed >/dev/null || fail "the allow list is not taken"
sed -i 's/^enforce = .*/&\nfeed = consensus/' "$(conf 1)"
ask 1 reload >/dev/null || fail "the configuration is not taken"
for address in $clean $vetoed $other; do
    fails_at 2 "$address"
    fails_at 3 "$address"
done
for address in $clean $vetoed $other; do
    wait_for 20 "the verdict on $address" verdict_is 1 "$address" untrusted
done
until_true 5 "who is untrusted is in the firewall" in_firewall $other
banned $other || fail "bouncers are not told of who is untrusted"
for address in $clean $vetoed; do
    ask 1 ip --json "$address" | jq -e '.action == "allow"' >/dev/null || fail "$address is not let in"
    in_firewall "$address" && fail "$address is in the firewall, and must not be"
    banned "$address" && fail "bouncers are told of $address"
done
ask 1 allow $other >/dev/null
until_true 5 "out of the firewall, once it is allowed" eval "! in_firewall $other"

[ "$failures" -eq 0 ] || tail -n 20 "$scratch"/*.log
echo "surfaces.sh: $failures failed"
[ "$failures" -eq 0 ]
