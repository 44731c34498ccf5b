#!/usr/bin/env bash
# nftables, in network namespaces of its own: a real daemon, a real grapevine-firewall, the real nft
# to look at it, and clients in a second namespace whose connections are really dropped. Needs root.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${GV_BIN:-$here/../../build/bin}
# shellcheck source=tests/e2e/frame.sh
. "$here/frame.sh"
skip() {
    echo "firewall.sh: $*: skipped"
    exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in nft ip python3 jq; do command -v $tool >/dev/null || skip "$tool is missing"; done

scratch=$(mktemp -d /tmp/gv-firewall.XXXXXX)
chmod 755 "$scratch"
server=gvfw$$s client=gvfw$$c
node='' helper='' listeners=()
clean_up() {
    local pid
    for pid in $node $helper "${listeners[@]}"; do kill "$pid" 2>/dev/null; done
    wait 2>/dev/null
    ip netns del $server 2>/dev/null
    ip netns del $client 2>/dev/null
    rm -rf "$scratch"
}
trap clean_up EXIT

{ ip netns add $server && ip netns add $client; } || skip "no network namespaces here"
ip -n $server link set lo up
ip link add gvs$$ netns $server type veth peer name gvc$$ netns $client || skip "no veth here"
ip -n $server link set gvs$$ up
ip -n $client link set gvc$$ up
ip -n $server addr add 192.0.2.1/24 dev gvs$$
ip -n $server addr add 2001:db8::1/48 dev gvs$$ nodad
for n in 7 8 9 10; do ip -n $client addr add 198.51.100.$n/32 dev gvc$$; done
ip -n $client addr add 203.0.113.77/32 dev gvc$$
ip -n $client addr add 203.0.113.5/32 dev gvc$$
ip -n $client addr add 192.0.2.2/24 dev gvc$$
ip -n $client addr add 2001:db8:0:7::7/48 dev gvc$$ nodad
ip -n $client addr add 2001:db8:0:8::8/48 dev gvc$$ nodad
ip -n $server route add 198.51.100.0/24 dev gvs$$
ip -n $server route add 203.0.113.0/24 dev gvs$$
in_server() { ip netns exec $server "$@"; }
in_server nft list ruleset >/dev/null 2>&1 || skip "no nf_tables in this kernel"
nft_list() { in_server nft "$@" 2>/dev/null; }
for address in 192.0.2.1 2001:db8::1; do
    ip netns exec $server python3 "$here/firewall.py" serve $address 25 587 993 >"$scratch/ready" &
    listeners+=($!)
    until_true 10 "the listener" test -s "$scratch/ready"
    : >"$scratch/ready"
done
from() { # FROM PORT
    local to=192.0.2.1
    [[ $1 == *:* ]] && to=2001:db8::1
    timeout 20 ip netns exec $client python3 "$here/firewall.py" try "$1" $to "$2"
}

conf() { # ENFORCE [lines of [policy]] [lines of [firewall]]
    cat >"$scratch/node.conf" <<CONF
[node]
data = $scratch/data
listen =
user = nobody
control = $scratch/run/control.sock
[log]
file = $scratch/mail.log
from_start = yes
timezone = UTC
[policy]
enforce = $1
${2:-}
[firewall]
socket = $scratch/helper/socket
${3:-}
CONF
}
mkdir "$scratch/run"
chown nobody "$scratch/run"
touch "$scratch/mail.log"
ask() { in_server "$bin/grapevine" --config "$scratch/node.conf" "$@"; }
status() { ask status --json | jq -r ".enforcement.$1"; }
start_node() {
    ip netns exec $server "$bin/grapevined" --config "$scratch/node.conf" >>"$scratch/node.log" 2>&1 &
    node=$!
    until_true 15 "the daemon" ask status --json >/dev/null 2>&1 || die "no daemon"
}
stop_node() {
    kill "$node" && wait "$node"
    node=
}
start_helper() {
    local seen
    seen=$(grep -c "ready;" "$scratch/helper.log")
    ip netns exec $server "$bin/grapevine-firewall" --config "$scratch/node.conf" >>"$scratch/helper.log" 2>&1 &
    helper=$!
    until_true 15 "the helper" eval "[ \$(grep -c 'ready;' '$scratch/helper.log') -gt $seen ]" || die "no helper"
}
stop_helper() {
    kill "$1" "$helper"
    wait "$helper"
    helper=
}
attack() { # ADDRESS [MINUTES]: five wrong passwords so long ago, as Dovecot logs them
    local n
    for n in 1 2 3 4 5; do
        printf '%s mail dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u%s>, method=PLAIN, rip=%s, lip=192.0.2.1, session=<s%s>\n' \
            "$(date -u -d "-${2:-0} minutes" +%Y-%m-%dT%H:%M:%S)+00:00" "$n" "$1" "$n$RANDOM"
    done >>"$scratch/mail.log"
}
has() { nft_list get element inet grapevine "$1" "{ $2 }" >/dev/null; } # SET ELEMENT
has_not() { ! has "$@"; }
acts() { [ "$(ask ip "$1" --json | jq -r .action)" = "$2" ]; }

# ---- off: nothing is there, and it is counted -------------------------------------------------
conf no "deny = 203.0.113.0/25"
touch "$scratch/helper.log"
start_helper
start_node
attack 198.51.100.7
until_true 10 "the lock" acts 198.51.100.7 refuse
sleep 1.2
[ "$(status refused)" -ge 1 ] || fail "off, what would be refused is not counted"
[ "$(status nftables)" = null ] || fail "off, status speaks of nftables"
has_not refused4 198.51.100.7 || fail "off, an address is in the firewall"
[ "$(from 198.51.100.7 587)" = open ] || fail "off, a connection is dropped"

# ---- on ----------------------------------------------------------------------------------------
# The allow list is wider than one attacker, and lies partly in a range that is denied.
policy=$'deny = 203.0.113.0/25\nallow = 198.51.100.9, 203.0.113.5'
conf nftables "$policy"
kill -HUP "$helper"
ask reload >/dev/null || fail "the configuration is not taken"
until_true 5 "198.51.100.7 in the firewall" has refused4 198.51.100.7
until_true 5 "the range in the firewall" has ranges4 203.0.113.0/25
attack 198.51.100.8
begun=$(date +%s%N)
until_true 5 "198.51.100.8 in the firewall" has refused4 198.51.100.8
echo "from the log line to the firewall: $((($(date +%s%N) - begun) / 1000000)) ms"
attack 2001:db8:0:7::1234
until_true 5 "the /64 in the firewall" has refused6 2001:db8:0:7::
attack 198.51.100.9
sleep 1
has_not refused4 198.51.100.9 || fail "an allow-listed address is in the firewall"

[ "$(from 198.51.100.7 587)" = closed ] || fail "a refused address reaches submission"
[ "$(from 198.51.100.7 993)" = closed ] || fail "a refused address reaches IMAP"
[ "$(from 198.51.100.7 25)" = open ] || fail "a refused address cannot deliver mail"
[ "$(from 2001:db8:0:7::7 587)" = closed ] || fail "another address of a refused /64 is let in"
[ "$(from 2001:db8:0:8::8 587)" = open ] || fail "a clean /64 is dropped"
[ "$(from 198.51.100.10 587)" = open ] || fail "a clean address is dropped"
[ "$(from 198.51.100.9 587)" = open ] || fail "an allow-listed address is dropped"
[ "$(from 203.0.113.77 587)" = closed ] || fail "a denied range is let in"
[ "$(from 203.0.113.5 587)" = open ] || fail "an allow-listed address in a denied range is dropped"
[ "$(status nftables.connected)" = true ] || fail "status: not connected"
[ "$(status nftables.in_place)" = 3 ] || fail "status: $(status nftables.in_place) entries instead of 3"
lasts() { # ADDRESS: the seconds that its entry was given
    nft_list -j list set inet grapevine refused4 | jq "(.nftables[1].set.elem // [])[] | select(.elem.val == \"$1\") | .elem.timeout"
}
between() { # LOW HIGH ADDRESS
    local seconds
    seconds=$(lasts "$3")
    ((${seconds:-0} > $1 && ${seconds:-0} <= $2))
}
between 3500 3600 198.51.100.7 || fail "a lock of an hour lasts $(lasts 198.51.100.7) s in the firewall"
# A lock that began 40 minutes ago lasts 20 more; the next attack makes it an hour, and so the entry.
attack 198.51.100.44 40
until_true 5 "an old lock in the firewall" has refused4 198.51.100.44
between 1100 1220 198.51.100.44 || fail "a lock of 20 minutes lasts $(lasts 198.51.100.44) s in the firewall"
attack 198.51.100.44
until_true 14 "an entry whose lock went on" between 3500 3600 198.51.100.44
# Allowed by hand, within a range that is denied.
ask allow 203.0.113.77 >/dev/null
until_true 2 "the allow list in the firewall" has allowed4 203.0.113.77
[ "$(from 203.0.113.77 587)" = open ] || fail "an address that was just allowed, in a denied range, is dropped"
ask unlist 203.0.113.77 >/dev/null
until_true 2 "off the allow list" has_not allowed4 203.0.113.77
[ "$(from 203.0.113.77 587)" = closed ] || fail "a denied range, after an exception was taken back, is let in"

# By hand: allow, deny, unlist.
ask allow 198.51.100.8 >/dev/null
until_true 2 "an allowed address out of the firewall" has_not refused4 198.51.100.8
[ "$(from 198.51.100.8 587)" = open ] || fail "an address that was just allowed is dropped"
ask unlist 198.51.100.8 >/dev/null
until_true 2 "it is back" has refused4 198.51.100.8
ask deny 198.51.100.10 >/dev/null
until_true 2 "a denied address in the firewall" has refused4 198.51.100.10
[ "$(from 198.51.100.10 587)" = closed ] || fail "an address that was just denied is let in"
ask unlist 198.51.100.10 >/dev/null
until_true 2 "it is gone" has_not refused4 198.51.100.10
[ "$(from 198.51.100.10 587)" = open ] || fail "an address that is denied no more is dropped"

# ---- either side is started again ------------------------------------------------------------------
stop_helper -KILL
has refused4 198.51.100.7 || fail "the helper was killed, and its entries are gone"
start_helper
has refused4 198.51.100.7 || fail "the helper was started again, and an entry is gone"
until_true 8 "the ranges come back" has ranges4 203.0.113.0/25
stop_node
has refused4 198.51.100.7 || fail "the daemon stopped, and its entries are gone"
# Meanwhile the helper is told of something that the daemon knows nothing of.
as=$(id -u nobody)
tell() { timeout 60 python3 "$here/firewall.py" tell "$as" "$scratch/helper/socket" "$@"; }
said=$(tell add 198.51.100.66 600 commit)
[ "$said" = "ok 5 0" ] || fail "told by hand: $said"
start_node
until_true 8 "what the daemon does not refuse is gone" has_not refused4 198.51.100.66
has refused4 198.51.100.7 || fail "the daemon was started again, and an entry is gone"
has refused6 2001:db8:0:7:: || fail "the daemon was started again, and a /64 is gone"

# ---- somebody else ------------------------------------------------------------------------------------
in_server nft flush ruleset
until_true 4 "a flushed ruleset is mended" has refused4 198.51.100.7
[ "$(from 198.51.100.7 587)" = closed ] || fail "after a flush, a refused address is let in"
in_server nft flush set inet grapevine refused4
until_true 4 "a flushed set is mended" has refused4 198.51.100.7
in_server nft flush chain inet grapevine input
until_true 4 "a flushed chain is mended" eval "nft_list list chain inet grapevine input | grep -q jump"
in_server nft delete element inet grapevine ranges4 '{ 203.0.113.0/25 }'
until_true 4 "a range is mended" has ranges4 203.0.113.0/25
in_server nft add element inet grapevine refused4 '{ 198.51.100.10 }'
until_true 4 "an entry of somebody else's goes" has_not refused4 198.51.100.10
# A table of somebody else's is left alone, and does not disturb.
in_server nft add table inet other
sleep 1.5
mended=$(grep -c 'somebody else' "$scratch/helper.log")
in_server nft add chain inet other c
sleep 1.5
[ "$(grep -c 'somebody else' "$scratch/helper.log")" = "$mended" ] || fail "somebody's own table disturbs"
nft_list list table inet other >/dev/null || fail "somebody's own table is gone"

# ---- a daemon that lies, and strangers -------------------------------------------------------------
stop_node
[ "$(tell add 127.0.0.1 60 add ::/64 60 add 192.0.2.1 60 add 198.51.100.9 60 commit)" = "partly 4 4" ] ||
    fail "loopback, this host's own or an allow-listed address is taken"
[ "$(tell add 0.0.0.0/7 60 add 224.0.0.0/8 60 add fe80::/64 60 commit)" = "partly 4 3" ] ||
    fail "half of the internet, multicast or link-local is taken"
[ "$(tell raw ff00000000000000 commit)" = gone ] || fail "nonsense is not refused"
[ "$(tell hello 1 commit)" = gone ] || fail "another version is not refused"
[ "$(tell raw 030420000000ffffc6336407000000000000000000000000 commit)" = gone ] ||
    fail "a lease of 18 hours is taken"
as=1
[ "$(tell begin commit)" = gone ] || fail "another user may empty the firewall"
as=$(id -u nobody)
has refused4 198.51.100.7 || fail "liars and strangers have emptied it"
# A list that does not come to its end changes nothing that was there.
tell begin add 198.51.100.70 60 wait 0.2
sleep 0.3
has refused4 198.51.100.7 || fail "half a list has emptied it"

# ---- time runs out ------------------------------------------------------------------------------------
said=$(tell begin add 198.51.100.7 2 add 198.51.100.8 30 add 203.0.113.0/25 2 commit)
[ "$said" = "ok 2 0" ] || fail "a whole list: $said"
has_not refused6 2001:db8:0:7:: || fail "what a whole list does not name stays"
[ "$(tell add 198.51.100.7 30 commit)" = "ok 2 0" ] || fail "renewed"
[ "$(tell add 198.51.100.8 2 commit)" = "ok 2 0" ] || fail "shortened"
sleep 3.2
has refused4 198.51.100.7 || fail "a renewed entry is gone"
has_not refused4 198.51.100.8 || fail "a shortened entry stays"
has_not ranges4 203.0.113.0/25 || fail "a range outlives its time"
[ "$(from 198.51.100.8 587)" = open ] || fail "an entry whose time is over is dropped"
[ "$(from 203.0.113.77 587)" = open ] || fail "a range whose time is over is dropped"
said=$(tell begin many 100000 commit)
[ "$said" = "ok 100000 0" ] || fail "a hundred thousand: $said"
count=$(nft_list -j list set inet grapevine refused4 | jq '.nftables[1].set.elem | length')
[ "$count" = 100000 ] || fail "a hundred thousand: $count in the kernel"
[ "$(tell begin commit)" = "ok 0 0" ] || fail "all gone"

# ---- reject, other ports ---------------------------------------------------------------------------
conf nftables "$policy" $'ports = 25\naction = reject'
kill -HUP "$helper"
start_node
until_true 8 "198.51.100.7 in the firewall" has refused4 198.51.100.7
begun=$(date +%s%N)
[ "$(from 198.51.100.7 25)" = closed ] || fail "port 25, when the admin says so"
((($(date +%s%N) - begun) / 1000000 < 1400)) || fail "reject: no answer"
[ "$(from 198.51.100.7 587)" = open ] || fail "a port that is not named is held back"
grep -q 'names port 25' "$scratch/helper.log" || fail "port 25 goes without a word"

# ---- off again, and away ---------------------------------------------------------------------------
conf no "$policy"
ask reload >/dev/null
until_true 4 "off, all goes" has_not refused4 198.51.100.7
has_not ranges4 203.0.113.0/25 || fail "off, a range stays"
kill "$helper"
wait "$helper" || fail "the helper's exit status"
helper=
nft_list list table inet grapevine >/dev/null || fail "the table goes with the helper"
in_server "$bin/grapevine-firewall" --remove || fail "--remove"
nft_list list table inet grapevine >/dev/null && fail "removed, the table is there"
in_server "$bin/grapevine-firewall" --remove || fail "--remove of nothing"
nft_list list table inet other >/dev/null || fail "--remove took somebody else's"
status=0; setpriv --reuid nobody --clear-groups "$bin/grapevine-firewall" --remove >"$scratch/out" 2>&1 || status=$?
[ $status = 77 ] || fail "--remove without the right: $(cat "$scratch/out")"

[ $failures -eq 0 ] || tail -n 15 "$scratch/node.log" "$scratch/helper.log"
echo "firewall.sh: $failures failed"
[ $failures -eq 0 ]
