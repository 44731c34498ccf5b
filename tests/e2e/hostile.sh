#!/usr/bin/env bash
# A real node under attack by real sockets: thousands of strangers, slow and silent ones, forgers,
# members that flood within their certificate, that never read, that come and go. An honest member's
# signal is timed through the node before and during each; memory, processor, log and control socket
# are watched; prints the table of SPEC 13.1. HOSTILE_LONG=yes: longer sieges, and the promised times
# are demanded, which takes a machine that does nothing else.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail

# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
hostile=${GV_TESTS:-$bin/../tests}/hostile
strangers=${HOSTILE_STRANGERS:-5000}
messages=${HOSTILE_MESSAGES:-100000}
seconds=8
[[ ${HOSTILE_LONG:-no} == no ]] || seconds=60

# What is promised (SPEC 13.1): the test fails beyond. Times are also those of the machine, which may
# be busy: but for the long run they only show that nobody waits without end.
rss_max_mb=48
p99_max_ms=500
lines_max=120 # a minute
api_max_ms=2000
if [[ ${HOSTILE_LONG:-no} == no ]]; then
    p99_max_ms=5000
    api_max_ms=15000
fi

# Under sanitizers memory and time are theirs: less of everything, and no promise about either.
if grep -q __asan_init "$bin/grapevined"; then
    messages=${HOSTILE_MESSAGES:-10000}
    seconds=3
    rss_max_mb=1024
    p99_max_ms=15000
    api_max_ms=30000
fi

needs jq
[[ -x $hostile ]] || die "$hostile is not built"
(($(ulimit -Hn) >= strangers + 100)) || {
    echo "hostile.sh: no more than $(ulimit -Hn) open files are allowed here: skipped"
    exit 77
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
    local samples=$2 before p99_max lines began from spent ms out most slowest cpu rate
    shift 2
    probe 200
    before="$p50, $p99 ms"
    p99_max=$(awk -v a="$p99" -v b=$p99_max_ms 'BEGIN { m = 10 * a; print (m > b ? m : b) }')
    [[ ${HOSTILE_LONG:-no} == no ]] || p99_max=$p99_max_ms
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
    above "$p99" "$p99_max" && fail "$name: p99 is $p99 ms"
    ((most <= rss_max_mb * 1024)) || fail "$name: $most kB of memory"
    ((rate <= lines_max)) || fail "$name: $lines lines in the log in $ms ms"
    ((slowest <= api_max_ms)) || fail "$name: the control socket took $slowest ms"
    [[ ! -e $scratch/unanswered ]] || fail "$name: the control socket did not answer"
}

# ---- afterwards -------------------------------------------------------------------------------

few_left() { (($(find "/proc/$target/fd" | wc -l) < 60)); }

main() {
    find_port 16727
    make_registry hostile
    start_registry
    start_mesh
    target=${node_pid[1]} # the first is attacked
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
