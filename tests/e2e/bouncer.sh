#!/usr/bin/env bash
# Debian's crowdsec-firewall-bouncer, unchanged, against a real node, in namespaces of their own: what
# is locked, denied, allowed, unlisted appears in and leaves its nftables sets (and, where the kernel
# has them, its ipsets); packets are dropped; it lives through a restart of the node; nobody else may
# ask. Likewise Debian's crowdsec-custom-bouncer, which runs a program for each decision. Needs root;
# the bouncers are unpacked from their packages for the test alone (GV_CACHE, by default
# ~/.cache/grapevine-tests), and nothing of them is installed or started as a service.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd "${GV_BIN:-$here/../../build/bin}" && pwd)
skip() {
    echo "bouncer.sh: SKIPPED: $*"
    exit 77
}

unpack() { # PACKAGE...: into $cache, once
    local package
    for package in "$@"; do
        [ -d "$cache/debian-$package" ] && continue
        local new
        new=$(mktemp -d "$cache/new.XXXXXX")
        (cd "$new" && timeout 60 apt-get download "$package" >/dev/null 2>&1 &&
            dpkg-deb -x "$package"_*.deb root && mv root "$cache/debian-$package" 2>/dev/null)
        rm -rf "$new"
        [ -d "$cache/debian-$package" ] || return 1
    done
}

if [ "${1:-}" != inside ]; then
    [ "$(id -u)" -eq 0 ] || skip "needs root, for namespaces"
    for program in jq python3 ip unshare curl nft dpkg-deb; do
        command -v $program >/dev/null || skip "$program is not installed (tests/packages.sh test)"
    done
    cache=${GV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/grapevine-tests}
    mkdir -p "$cache"
    unpack crowdsec-firewall-bouncer || skip "the package crowdsec-firewall-bouncer cannot be had"
    unpack crowdsec-custom-bouncer || skip "the package crowdsec-custom-bouncer cannot be had"
    unpack ipset libipset13 iptables libxtables12 libip4tc2 libip6tc2 libnetfilter-conntrack3 \
        libnfnetlink0 || true
    scratch=$(mktemp -d /tmp/gv-bouncer.XXXXXX)
    trap 'rm -rf "$scratch"' EXIT
    # A pid namespace: whatever was started ends with it.
    timeout 240 unshare --net --mount --pid --fork --kill-child --mount-proc \
        bash "$0" inside "$scratch" "$cache"
    exit
fi

# ---- the machine ------------------------------------------------------------------------------------
scratch=$2
cache=$3
failures=0
fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}
mount --make-rprivate /
mount -t tmpfs tmpfs /run
ip link set lo up
ip netns add clients
ip link add server type veth peer name client netns clients
ip addr add 198.51.100.25/24 dev server
ip link set server up
for last in 7 8 9; do ip -n clients addr add 198.51.100.$last/24 dev client; done
ip -n clients link set client up
(cd "$scratch" && mkdir web && cd web && exec python3 -m http.server --bind 198.51.100.25 8080) \
    >/dev/null 2>&1 &

data=$scratch/node
mkdir -m 700 "$data"
log=$scratch/mail.log
: >"$log"
node_conf() { # ENFORCE [ALLOW]
    cat >"$scratch/node.conf" <<CONF
[node]
data = $data
user = root
listen =
[log]
file = $log
timezone = UTC
[policy]
enforce = $1
allow = ${2:-}
[http]
listen = 127.0.0.1:4729
CONF
}
ask() { "$bin/grapevine" --config "$scratch/node.conf" "$@"; }
start_node() {
    "$bin/grapevined" --config "$scratch/node.conf" >>"$scratch/node.log" 2>&1 &
    node=$!
    for _ in $(seq 100); do
        ask status >/dev/null 2>&1 && return
        sleep 0.1
    done
    tail "$scratch/node.log"
    echo "FAILED: the node does not start"
    exit 1
}
stop_node() { kill "$node" && wait "$node"; }
status() { ask status --json | jq -r ".enforcement.bouncers.$1"; }
would_ban() { [ "$(status would_have_fed)" = "$1" ]; } # COUNT
guesses() { # ADDRESS: five wrong passwords for one account: a lock and no more
    for n in 1 2 3 4 5; do
        printf '%s mail dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<alice>, method=PLAIN, rip=%s, lip=192.0.2.1, session=<a%s>\n' \
            "$(date -u +%Y-%m-%dT%H:%M:%S)+00:00" "$1" "$n$RANDOM"
    done >>"$log"
}
reaches() { # LAST: a client of 198.51.100.LAST reaches this host
    ip netns exec clients curl -s -o /dev/null --max-time 1 --interface "198.51.100.$1" \
        http://198.51.100.25:8080/
}

# ---- the bouncer ------------------------------------------------------------------------------------
bouncer_conf() { # MODE KEY
    cat >"$scratch/bouncer.yaml" <<CONF
mode: $1
pid_dir: $scratch
update_frequency: 1s
daemonize: true
log_mode: stdout
log_level: debug
api_url: http://127.0.0.1:4729/
api_key: $2
disable_ipv6: false
deny_action: DROP
deny_log: false
supported_decisions_types:
  - ban
blacklists_ipv4: crowdsec-blacklists
blacklists_ipv6: crowdsec6-blacklists
ipset_type: nethash
iptables_chains:
  - INPUT
nftables:
  ipv4: {enabled: true, set-only: false, table: crowdsec, chain: crowdsec-chain}
  ipv6: {enabled: true, set-only: false, table: crowdsec6, chain: crowdsec6-chain}
pf:
  anchor_name: ""
prometheus: {enabled: false, listen_addr: 127.0.0.1, listen_port: 60601}
CONF
    chmod 600 "$scratch/bouncer.yaml"
}
start_bouncer() {
    "$cache/debian-crowdsec-firewall-bouncer/usr/bin/crowdsec-firewall-bouncer" \
        -c "$scratch/bouncer.yaml" >>"$scratch/bouncer.log" 2>&1 &
    bouncer=$!
}
stop_bouncer() { kill "$bouncer" && wait "$bouncer"; }
nft_holds() { # ADDRESS
    local family=ip set=crowdsec-blacklists table=crowdsec
    case $1 in *:*) family=ip6 set=crowdsec6-blacklists table=crowdsec6 ;; esac
    nft -j list set $family $table $set 2>/dev/null |
        jq -e --arg a "$1" '[.nftables[].set? | .elem? // [] | .[].elem.val] | index($a) != null' >/dev/null
}
nft_left() { # ADDRESS: seconds until nft itself takes it out
    nft -j list set ip crowdsec crowdsec-blacklists |
        jq --arg a "$1" '[.nftables[].set? | .elem? // [] | .[].elem | select(.val == $a) | .expires][0]'
}
nft_empty() { [ "$(nft -j list ruleset | jq '[.nftables[].set? | .elem? // [] | .[]] | length')" = 0 ]; }
not() { ! "$@"; }
within() { # SECONDS WHAT COMMAND...
    local end=$((SECONDS + $1 + 1)) what=$2
    shift 2
    until "$@"; do
        ((SECONDS < end)) || {
            fail "$what"
            return 1
        }
        sleep 0.1
    done
}
stream() { # KEY QUERY
    curl -s --max-time 5 -H "X-Api-Key: $1" "http://127.0.0.1:4729/v1/decisions/stream?$2"
}

# ---- watched: the stream is empty, and it is counted ------------------------------------------------
node_conf no
start_node
key=$(ask bouncers add fw --json | jq -r .key)
[ ${#key} -eq 64 ] || fail "no key: $key"
[ "$(stat -c %a "$data/bouncers.json")" = 600 ] || fail "others can read the keys' hashes"
grep -qs "$key" "$data"/* "$scratch/node.log" && fail "the key is on the disk"
ask bouncers add fw >/dev/null 2>&1 && fail "a name was given twice"
ask bouncers add 'a/b' >/dev/null 2>&1 && fail "a name that is none was taken"
guesses 198.51.100.7
within 3 "what would be banned is not counted" would_ban 1
[ "$(stream "$key" startup=true)" = '{"deleted":null,"new":null}' ] || fail "watching, it is told"
bouncer_conf nftables "$key"
start_bouncer
within 5 "the bouncer makes no set" nft list set ip crowdsec crowdsec-blacklists >/dev/null 2>&1
within 10 "the test's own server is not reached" reaches 7
nft_empty || fail "watching, something is banned"

# ---- enforced: into the sets within its second, and out again ---------------------------------------
node_conf bouncers
ask reload >/dev/null || fail "the configuration is not taken"
within 2 "what was locked before is not banned" nft_holds 198.51.100.7
left=$(nft_left 198.51.100.7)
{ [ "$left" -gt 3500 ] && [ "$left" -le 3600 ]; } || fail "a lock of an hour lasts $left s"
reaches 7 && fail "a banned address gets through"
reaches 9 || fail "its neighbour does not get through"
guesses 198.51.100.8
within 3 "a new lock is not banned" nft_holds 198.51.100.8
ask allow 198.51.100.7 >/dev/null
within 2 "an allow-listed address stays banned" not nft_holds 198.51.100.7
reaches 7 || fail "an allow-listed address does not get through"
ask deny 203.0.113.9 >/dev/null
within 2 "a denied address is not banned" nft_holds 203.0.113.9
ask unlist 203.0.113.9 >/dev/null
within 2 "an unlisted address stays banned" not nft_holds 203.0.113.9
# This bouncer forgets the length of a prefix in nftables mode: a small range comes address by address,
# of any other what is left is its first address.
ask deny 2001:db8:0:1::/64 >/dev/null
ask deny 203.0.113.128/25 >/dev/null
within 2 "an IPv6 range is not heard of" nft_holds 2001:db8:0:1::
within 2 "an IPv4 range is not banned" nft_holds 203.0.113.128
nft_holds 203.0.113.201 || fail "an address of a denied range is not banned"
ask unlist 203.0.113.128/25 >/dev/null
within 2 "an IPv4 range stays banned" not nft_holds 203.0.113.128
nft_holds 203.0.113.255 && fail "an address of a range stays banned"
# Both lists at once, and a range round somebody who is allowed: not told.
ask deny 198.51.100.0/24 >/dev/null
sleep 1.5
nft_holds 198.51.100.0 && fail "a range round an allow-listed address is banned"
ask unlist 198.51.100.0/24 >/dev/null

# ---- the node starts anew; meanwhile somebody was let in --------------------------------------------
stop_node
nft_holds 198.51.100.8 || fail "with the node down, bans are gone"
node_conf bouncers 198.51.100.8
start_node
within 3 "lifted while the node was down, a ban stays" not nft_holds 198.51.100.8
nft_holds 2001:db8:0:1:: || fail "what is still denied was lifted by a restart"
guesses 198.51.100.9
within 3 "after a restart of the node nothing is banned any more" nft_holds 198.51.100.9
reaches 9 && fail "a banned address gets through after a restart"

# The bouncer starts anew: it has everything at once.
stop_bouncer
nft list table ip crowdsec >/dev/null 2>&1 && fail "the bouncer leaves its table"
start_bouncer
within 4 "a bouncer that starts is not told everything" nft_holds 198.51.100.9

# ---- who may ask ------------------------------------------------------------------------------------
code() { curl -s -o "$scratch/body" -w '%{http_code}' --max-time 5 "$@"; }
[ "$(code http://127.0.0.1:4729/v1/decisions/stream)" = 403 ] || fail "without a key: $(cat "$scratch/body")"
[ "$(cat "$scratch/body")" = '{"message":"access forbidden"}' ] || fail "403 says $(cat "$scratch/body")"
[ "$(code -H "X-Api-Key: ${key%?}" http://127.0.0.1:4729/v1/decisions)" = 403 ] || fail "a short key is taken"
[ "$(code -H "X-Api-Key: $key" -H 'Host: evil.example' http://127.0.0.1:4729/v1/decisions)" = 421 ] ||
    fail "any Host is taken"
ip netns exec clients curl -s -o /dev/null --max-time 2 --interface 198.51.100.7 \
    http://198.51.100.25:4729/health
[ $? -eq 7 ] || fail "another host can ask"
[ "$(curl -s -H "X-Api-Key: $key" 'http://127.0.0.1:4729/v1/decisions?ip=198.51.100.7')" = null ] ||
    fail "an allowed address has a decision"
curl -s -H "X-Api-Key: $key" 'http://127.0.0.1:4729/v1/decisions?ip=198.51.100.9' |
    jq -e '.[0].scope == "Ip" and .[0].origin == "grapevine" and .[0].type == "ban" and (.[0].duration | test("^[0-9hm]+s$"))' \
        >/dev/null || fail "a banned address has no decision"

# ---- switched off: all are let through again --------------------------------------------------------
node_conf no
ask reload >/dev/null
within 2 "switched off, bans stay" nft_empty
reaches 9 || fail "switched off, an address does not get through"
[ "$(status would_have_fed)" -ge 1 ] || fail "switched off, nothing is counted"
node_conf bouncers
ask reload >/dev/null
within 2 "switched on again, nothing is banned" nft_holds 198.51.100.9
ask bouncers list --json | jq -e '.bouncers[0] | .name == "fw" and .pulls > 5 and .address == "127.0.0.1"' \
    >/dev/null || fail "the list does not say who asked"
ask bouncers delete fw >/dev/null || fail "a key cannot be deleted"
[ "$(code -H "X-Api-Key: $key" http://127.0.0.1:4729/v1/decisions)" = 403 ] || fail "a deleted key is taken"
grep -q "access forbidden\|403" "$scratch/bouncer.log" || sleep 1.5
grep -q "access forbidden\|403" "$scratch/bouncer.log" || fail "the bouncer did not notice"
grep -iE 'level=(error|fatal)|panic' "$scratch/bouncer.log" | grep -v 'forbidden\|403\|connection refused\|EOF\|reset' |
    sort -u | head -n 5 >"$scratch/errors"
[ -s "$scratch/errors" ] && fail "the bouncer says: $(cat "$scratch/errors")"
stop_bouncer
# What it wrote meanwhile, but for the hundreds of lines that say how it asked.
echo "---- the log of crowdsec-firewall-bouncer ----"
grep -vE '\[headers\]|(req|resp)-api|Response:|buffer|commit' "$scratch/bouncer.log" | head -n 80
echo "---- $(wc -l <"$scratch/bouncer.log") lines in all ----"

# ---- Debian's other one, which runs a program for each decision -------------------------------------
key=$(ask bouncers add custom --json | jq -r .key)
# shellcheck disable=SC2016 # the program's own words
printf '#!/bin/sh\necho "$1 $2 $3 $4" >>%s/called\n' "$scratch" >"$scratch/each"
chmod 755 "$scratch/each"
touch "$scratch/called"
cat >"$scratch/custom.yaml" <<CONF
bin_path: $scratch/each
feed_via_stdin: false
total_retries: 0
scenarios_containing: []
scenarios_not_containing: [deny]
origins: [grapevine]
piddir: $scratch/
update_frequency: 1s
cache_retention_duration: 10s
daemonize: true
log_mode: stdout
log_level: info
api_url: http://127.0.0.1:4729/
api_key: $key
prometheus: {enabled: false, listen_addr: 127.0.0.1, listen_port: 60602}
CONF
"$cache/debian-crowdsec-custom-bouncer/usr/bin/crowdsec-custom-bouncer" -c "$scratch/custom.yaml" \
    >>"$scratch/custom.log" 2>&1 &
custom=$!
called() { grep -qE "^$1\$" "$scratch/called"; }
within 8 "the custom bouncer is not told of a lock" called 'add 198.51.100.9 3[0-9]{3} grapevine/locked-here'
ask deny 203.0.113.9 >/dev/null
ask allow 198.51.100.9 >/dev/null
within 3 "the custom bouncer is not told that a lock was lifted" called 'del 198.51.100.9 -[0-9]+ .*'
called '.*203.0.113.9 .*' && fail "the custom bouncer's filter is not heeded"
grep -E 'level=(error|fatal)|panic' "$scratch/custom.log" && fail "the custom bouncer complains"
kill "$custom" && wait "$custom"
ask unlist 203.0.113.9 >/dev/null
ask unlist 198.51.100.9 >/dev/null

# ---- the same with ipsets, which know ranges --------------------------------------------------------
tools=$scratch/tools
mkdir "$tools"
libraries=
for package in "$cache"/debian-lib*; do libraries=$libraries:$(echo "$package"/usr/lib/*-linux-gnu); done
for program in ipset iptables ip6tables; do
    real=$(command -v $program)
    for unpacked in "$cache"/debian-*/{usr/,}sbin/"$program"{-nft,}; do
        [ -z "$real" ] && [ -f "$unpacked" ] && real=$unpacked # not a link into /etc/alternatives
    done
    printf '#!/bin/sh\nexport LD_LIBRARY_PATH=%s XTABLES_LIBDIR=%s\nexec %s "$@"\n' "${libraries#:}" \
        "$(echo "$cache"/debian-iptables/usr/lib/*-linux-gnu/xtables)" "${real:-false}" >"$tools/$program"
    chmod 755 "$tools/$program"
done
if PATH=$tools:$PATH ipset create probe hash:net timeout 9 2>"$scratch/ipset" &&
    PATH=$tools:$PATH iptables -A INPUT -m set --match-set probe src -j ACCEPT 2>"$scratch/ipset"; then
    PATH=$tools:$PATH iptables -D INPUT -m set --match-set probe src -j ACCEPT
    PATH=$tools:$PATH
    export PATH
    set_holds() { ipset test "$1" "$2" >/dev/null 2>&1; }
    key=$(ask bouncers add ipset --json | jq -r .key)
    bouncer_conf iptables "$key"
    start_bouncer
    within 8 "no ipset has what is banned" set_holds crowdsec-blacklists 198.51.100.9
    within 3 "no ipset has an IPv6 range" set_holds crowdsec6-blacklists 2001:db8:0:1::abcd
    ask deny 203.0.113.128/25 >/dev/null
    within 3 "no ipset has an IPv4 range" set_holds crowdsec-blacklists 203.0.113.200
    ask unlist 203.0.113.128/25 >/dev/null
    within 3 "the ipset keeps a range" not set_holds crowdsec-blacklists 203.0.113.200
    stop_bouncer
else
    echo "bouncer.sh: not tried with ipsets, this kernel or machine has none: $(head -n 1 "$scratch/ipset")"
fi

[ $failures -eq 0 ] || {
    tail -n 15 "$scratch/bouncer.log"
    tail -n 5 "$scratch/node.log"
    ask status --json | jq -c .enforcement
}
echo "bouncer.sh: $failures failed"
[ $failures -eq 0 ]
