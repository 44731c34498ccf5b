#!/usr/bin/env bash
# A real node under attack by real sockets: thousands of strangers, slow and silent ones, forgers,
# members that flood within their certificate, that never read, that come and go. An honest member's
# signal is timed through the node before and during each; memory, processor, log and control socket
# are watched; prints the table of SPEC 13.1. HOSTILE_LONG=yes: longer sieges.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${GV_BIN:-$root/build/bin}
hostile=${GV_TESTS:-$bin/../tests}/hostile
strangers=${HOSTILE_STRANGERS:-5000}
messages=${HOSTILE_MESSAGES:-100000}
seconds=8
[[ ${HOSTILE_LONG:-no} == no ]] || seconds=60

# Under sanitizers memory and time are theirs: less of everything, and no promise about either.
sanitized=no
if grep -q __asan_init "$bin/grapevined"; then
    sanitized=yes
    messages=${HOSTILE_MESSAGES:-10000}
    seconds=3
fi

# What is promised (SPEC 13.1): the test fails beyond.
rss_max_mb=48
p99_max_ms=250
lines_max=120 # a minute
api_max_ms=1000
if [[ $sanitized == yes ]]; then
    rss_max_mb=1024
    p99_max_ms=2000
    api_max_ms=5000
fi

scratch=$(mktemp -d /tmp/gv-hostile.XXXXXX)
pids=()
failures=0
NODES=3

clean_up() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
    rm -rf "$scratch"
}
trap clean_up EXIT
fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}
die() {
    printf 'FAILED: %s\n' "$*"
    tail -n 5 "$scratch"/*.log 2>/dev/null
    exit 1
}
wait_for() { # SECONDS WHAT COMMAND...
    local left=$(($1 * 20)) what=$2
    shift 2
    until "$@"; do
        ((left-- > 0)) || die "gave up waiting for $what"
        sleep 0.05
    done
}

for tool in jq python3; do
    command -v "$tool" >/dev/null || {
        echo "hostile.sh: $tool is missing: skipped"
        exit 77
    }
done
[[ -x $hostile ]] || die "$hostile is not built"
(($(ulimit -Hn) >= strangers + 100)) || {
    echo "hostile.sh: no more than $(ulimit -Hn) open files are allowed here: skipped"
    exit 77
}

# ---- a lab of three nodes, the first of which is attacked ------------------------------------

listening() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }
port=16727
while listening 127.1.0.1 $port || listening 127.0.0.1 $((port + 1)); do port=$((port + 10)); done

conf() { printf '%s/node%s.conf' "$scratch" "$1"; }
ask() { "$bin/grapevine" --config "$(conf "$1")" "${@:2}"; }
answers() { ask "$1" status >/dev/null 2>&1; }
in_network() { ask "$1" network >/dev/null 2>&1; }
mail_to() { grep -lri "^to:.*admin@owner$1\.test" "$scratch/mail" 2>/dev/null | head -n 1; }
has_mail() { [[ -n $(mail_to "$1") ]]; }
status_of() { ask "$1" status --json | jq -r ".. | .$2? // empty" | head -n 1; }
has_peers() { (($(status_of "$1" peers) >= NODES - 1)); }

start_registry() {
    mkdir "$scratch/mail"
    "$bin/grapevine-registry" init --data "$scratch/registry" --name hostile --lab \
        --listen "127.0.0.1:$((port + 1))" --mail "file:$scratch/mail" --seed "127.1.0.1:$port" \
        >"$scratch/init.out" || die "no registry"
    "$bin/grapevine-registry" serve --config "$scratch/registry/registry.conf" \
        >"$scratch/registry.log" 2>&1 &
    pids+=($!)
    wait_for 10 "the registry" listening 127.0.0.1 $((port + 1))
}

start_node() { # N
    local n=$1
    : >"$scratch/node$n.mail"
    cat >"$(conf "$n")" <<CONF
[node]
data = $scratch/node$n
listen = 127.$n.0.1:$port
bind = 127.$n.0.1
advertise = 127.$n.0.1:$port

[network]
registry = http://127.0.0.1:$((port + 1))

[share]
mode = yes

[log]
file = $scratch/node$n.mail
from_start = yes
timezone = UTC
CONF
    "$bin/grapevined" --config "$(conf "$n")" >"$scratch/node$n.log" 2>&1 &
    pids+=($!)
    [[ $n != 1 ]] || target=$!
}

enrol() { # N
    wait_for 10 "node $1" answers "$1"
    wait_for 20 "the descriptor on node $1" in_network "$1"
    ask "$1" enroll --email "admin@owner$1.test" --accept-terms >/dev/null 2>&1 || die "enroll $1"
    wait_for 15 "the mail to $1" has_mail "$1"
    ask "$1" confirm "$(sed -n 's/.*grapevine confirm \([^ ]*\).*/\1/p' "$(mail_to "$1")" |
        tr -d '\r' | head -n 1)" >/dev/null 2>&1 || die "confirm $1"
}

# ---- what the node is measured by ------------------------------------------------------------

attack() { "$hostile" "$scratch/registry" 127.1.0.1 "$port" "$@"; }
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$target/status"; }
ticks() { awk '{ print $14 + $15 }' "/proc/$target/stat"; }
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
probe() { # SAMPLES: p50 and p99 in p50, p99; the wait for the door in join
    local out
    out=$(attack probe "$1") || fail "$name: an honest member's signals: $out"
    p50=$(jq -r .p50_ms <<<"$out" 2>/dev/null || echo -)
    p99=$(jq -r .p99_ms <<<"$out" 2>/dev/null || echo -)
    join=$(jq -r .join_ms <<<"$out" 2>/dev/null || echo -)
}
watch() { # until $scratch/watching goes: the largest memory, the slowest answer of the socket
    local most=0 slowest=0 now began took
    while [[ -e $scratch/watching ]]; do
        now=$(rss_kb)
        ((now > most)) && most=$now
        began=$(milliseconds)
        ask 1 status >/dev/null 2>&1 || echo "no answer" >>"$scratch/unanswered"
        took=$(($(milliseconds) - began))
        ((took > slowest)) && slowest=$took
        sleep 0.3
    done
    echo "$most $slowest" >"$scratch/watched"
}
above() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > b) }'; }

table="| attack | p50, p99 before | p50, p99 during | let in within | memory | processor | log lines a minute | control socket | what became of the guilty |
|---|---|---|---|---|---|---|---|---|"

# row NAME SAMPLES ATTACK...: the probe runs beside the attack
row() {
    name=$1
    local samples=$2 before lines began from spent ms out most slowest cpu rate
    shift 2
    probe 200
    before="$p50, $p99 ms"
    lines=$(wc -l <"$scratch/node1.log")
    from=$(ticks)
    began=$(milliseconds)
    touch "$scratch/watching"
    watch &
    local watcher=$!
    attack "$@" >"$scratch/attack.out" 2>"$scratch/attack.err" &
    local attacker=$!
    sleep 0.7
    probe "$samples"
    wait "$attacker" || fail "$name: $(cat "$scratch/attack.out" "$scratch/attack.err")"
    rm "$scratch/watching"
    wait "$watcher"
    ms=$(($(milliseconds) - began))
    spent=$(($(ticks) - from))
    lines=$(($(wc -l <"$scratch/node1.log") - lines))
    read -r most slowest <"$scratch/watched"
    out=$(cat "$scratch/attack.out")
    cpu=$((spent * 1000 / ms))
    rate=$((lines * 60000 / (ms > 60000 ? ms : 60000)))
    table+="
| $name | $before | $p50, $p99 ms | $join ms | $((most / 1024)) MB | $cpu% | $rate | $slowest ms | $out |"
    printf '%s\n' "${table##*$'\n'}"
    above "$p99" $p99_max_ms && fail "$name: p99 is $p99 ms"
    ((most <= rss_max_mb * 1024)) || fail "$name: $most kB of memory"
    ((rate <= lines_max)) || fail "$name: $lines lines in the log in $ms ms"
    ((slowest <= api_max_ms)) || fail "$name: the control socket took $slowest ms"
    [[ ! -e $scratch/unanswered ]] || fail "$name: the control socket did not answer"
}

# ---- afterwards -------------------------------------------------------------------------------

fails_at() { # N ADDRESS: genuine words of Dovecot's
    local i
    for i in 1 2 3; do
        printf '%s mail dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u%s>, method=PLAIN, rip=%s, lip=192.0.2.1, session=<a%s>\n' \
            "$(date -u +%Y-%m-%dT%H:%M:%S)+00:00" "$i" "$2" "$i$RANDOM"
    done >>"$scratch/node$1.mail"
}
verdict_is() { [[ $(ask "$1" ip --json "$2" | jq -r .verdict) == "$3" ]]; }
few_left() { (($(find "/proc/$target/fd" | wc -l) < 60)); }

main() {
    local n
    start_registry
    for ((n = 1; n <= NODES; n++)); do start_node "$n"; done
    for ((n = 1; n <= NODES; n++)); do enrol "$n"; done
    for ((n = 1; n <= NODES; n++)); do wait_for 40 "node $n to find the others" has_peers "$n"; done
    resting=$(rss_kb)
    name=rest probe 100 # the addresses of the honest members are known from now on

    attack deaf >"$scratch/deaf.out" 2>&1 & # runs beside the first ones
    local deaf=$!
    row "$strangers strangers at once, silent" 400 silent "$strangers" $seconds
    row "$strangers strangers at once, each begins a handshake" 400 handshake "$strangers" $seconds
    row "$strangers strangers, one byte a second" 600 slow "$strangers" $((seconds + 4))
    wait "$deaf" || fail "a member that reads nothing: $(cat "$scratch/deaf.out")"
    row "a member that asks and never reads" 300 greedy
    row "$messages forged, replayed and cut messages" 600 forged "$messages"
    row "4 members flood within their certificate" 600 flood $seconds
    row "a member comes and goes" 300 churn 5

    # Nothing of it stays, and the mesh works.
    wait_for 20 "the connections to go" few_left
    fails_at 2 198.51.100.77
    wait_for 15 "an honest signal to arrive" verdict_is 1 198.51.100.77 reported
    wait_for 15 "an honest signal to arrive everywhere" verdict_is 3 198.51.100.77 reported
    kill -0 "$target" 2>/dev/null || fail "the node has died"
    printf '\n%s\n\nmemory at rest before %s MB, after %s MB; a member that reads nothing: %s\n' \
        "$table" $((resting / 1024)) $(($(rss_kb) / 1024)) "$(cat "$scratch/deaf.out")"
    if ((failures > 0)); then
        tail -n 20 "$scratch/node1.log"
        return 1
    fi
}
main
