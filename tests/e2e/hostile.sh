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
seconds=5 # a siege lasts
coming=4  # and so long a member comes and goes
# How many words an honest member says before and meanwhile, each another one, and every how many ms: what
# the 99th percentile is of. Nearly all are whispered: news would use up the traffic of an hour (SPEC 9.9).
samples=200
pace=12
[[ ${HOSTILE_LONG:-no} == no ]] || seconds=60 pace=280

# What is promised (SPEC 13.1): the test fails beyond. Times are also those of the machine, which may
# be busy: but for the long run they are wide, and a guard that is missing misses them by far.
rss_max_mb=48
p99_max_ms=500
passed_max_ms=2000
stranger_max_ms=3000 # until a member whom nobody knows is in and heard
lines_max=120 # a minute
api_max_ms=2000
cpu_max=30 # percent of a core
try_max_us=60 # of processor time, for one who comes and goes as fast as he can: about 30 was measured
files_max=250 # 64 connections, 64 half-open, and its own
if [[ ${HOSTILE_LONG:-no} == no ]]; then
    p99_max_ms=3000
    passed_max_ms=5000
    stranger_max_ms=20000
    api_max_ms=10000
fi

# Under sanitizers memory and time are theirs: less of everything.
if grep -q __asan_init "$bin/grapevined"; then
    strangers=${HOSTILE_STRANGERS:-500}
    coming=2
    messages=${HOSTILE_MESSAGES:-4000}
    seconds=3
    samples=100
    rss_max_mb=1024
    p99_max_ms=6000
    passed_max_ms=8000
    stranger_max_ms=40000
    api_max_ms=30000
    cpu_max=70
    try_max_us=240
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
open_files() { find "/proc/$target/fd" -mindepth 1 | wc -l; }
statements() { status_of 1 statements; }
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
probe() { # SAMPLES PACE [taken]: what an honest member notices, in p50, p99, passed (the longest), join
    local out
    out=$(attack "${3:-probe}" "$1" "$2" 2>&1) || fail "$name: an honest member's signals: $out"
    read -r p50 p99 passed join < <(
        jq -r '[.p50_ms, .p99_ms, .passed_ms, .join_ms] | @tsv' <<<"$out" 2>/dev/null || echo - - - -)
}
watch() { # until $scratch/watching goes: the largest memory, most open files, slowest answer of the socket
    local most=0 files=0 slowest=0 now began took
    while [[ -e $scratch/watching ]]; do
        now=$(rss_kb)
        ((now > most)) && most=$now
        now=$(open_files)
        ((now > files)) && files=$now
        began=$(milliseconds)
        ask 1 status >/dev/null 2>&1 || echo "no answer" >>"$scratch/unanswered"
        took=$(($(milliseconds) - began))
        ((took > slowest)) && slowest=$took
        sleep 0.3
    done
    echo "$most $files $slowest" >"$scratch/watched"
}
above() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > b) }'; }

# What nobody can have said stays out: `held` is how many statements the attack may add.
held_at_most() { # NAME BEFORE MORE
    local now
    now=$(statements)
    ((now <= $2 + $3)) || fail "$1: the node holds $now statements, $(($2 + $3)) at most are genuine"
}

table="| attack | taken, p50, p99 before | during | passed on within | let in within | five whom nobody knows within | memory | processor | log lines a minute | control socket | what became of the guilty |
|---|---|---|---|---|---|---|---|---|---|---|"

# Five members, each from an address that the node does not know and cannot dial, one after the other:
# all must be let in and heard (SPEC 5.6).
strange=-
five_strange() {
    local out
    out=$(attack newcomers 5) || fail "$name: members whom nobody knows: $out"
    strange=$(jq -r '.longest_ms | round' <<<"$out" 2>/dev/null)
    echo "$name: $out"
    above "$strange" "$stranger_max_ms" && fail "$name: a member whom nobody knows waited $strange ms"
}

# Another hour's traffic begins with another start: what one attack, and the words that measure it, have
# used up of a node's (SPEC 9.9) is not to be seen in the row of the next.
restart_target() {
    stop_node 1
    start_node 1
    target=${node_pid[1]}
    wait_for 30 "node 1 after a restart" answers 1
    wait_for 60 "the mesh after a restart" has_peers 1 2
    name=rest probe 1 1
}

# row NAME GENUINE ATTACK...: the probe runs beside the attack, which may add GENUINE statements of its
# own; `beside`, if it is set, is called meanwhile, and a siege ends when it is done.
beside=
table_rows=
row() {
    name=$1
    local genuine=$2 before held lines began from spent ms out most files slowest cpu rate each
    shift 2
    strange=-
    [[ -z $table_rows ]] || restart_target
    table_rows=yes
    probe "$samples" 1 taken
    before="$p50, $p99 ms"
    held=$(statements)
    lines=$(wc -l <"$scratch/node1.log")
    from=$(ticks)
    began=$(milliseconds)
    touch "$scratch/watching"
    watch &
    local watcher=$!
    "$hostile" "$scratch/registry" 127.1.0.1 "$port" "$@" >"$scratch/attack.out" 2>"$scratch/attack.err" &
    local attacker=$!
    sleep 0.7
    probe "$samples" "$pace"
    if [[ -n $beside ]]; then
        $beside
        kill "$attacker" 2>/dev/null
    fi
    wait "$attacker" || fail "$name: $(cat "$scratch/attack.out" "$scratch/attack.err")"
    rm "$scratch/watching"
    wait "$watcher"
    ms=$(($(milliseconds) - began))
    spent=$(($(ticks) - from))
    lines=$(($(wc -l <"$scratch/node1.log") - lines))
    read -r most files slowest <"$scratch/watched"
    out=$(cat "$scratch/attack.out")
    cpu=$((spent * 1000 / ms))
    # One who is turned away as fast as he can come uses what there is: what counts is each try.
    each=
    [[ ! $out =~ ^([0-9]+)\ tries ]] || each=$((spent * 10000 / BASH_REMATCH[1]))
    rate=$((lines * 60000 / (ms > 60000 ? ms : 60000)))
    table+="
| $name | $before | $p50, $p99 ms | $passed ms | $join ms | $strange ms | $((most / 1024)) MB | $cpu%${each:+, $each us a try} | $rate | $slowest ms | $out |"
    printf '%s\n' "${table##*$'\n'}"
    above "$p99" "$p99_max_ms" && fail "$name: p99 is $p99 ms"
    above "$passed" "$passed_max_ms" && fail "$name: a signal was passed on after $passed ms"
    ((most <= rss_max_mb * 1024)) || fail "$name: $most kB of memory"
    ((files <= files_max)) || fail "$name: $files files are open"
    if [[ -z $each ]]; then
        ((cpu <= cpu_max)) || fail "$name: $cpu% of a core"
    else
        ((each <= try_max_us)) || fail "$name: $each us of processor time a try"
    fi
    ((rate <= lines_max)) || fail "$name: $lines lines in the log in $ms ms"
    ((slowest <= api_max_ms)) || fail "$name: the control socket took $slowest ms"
    [[ ! -e $scratch/unanswered ]] || fail "$name: the control socket did not answer"
    held_at_most "$name" "$held" $((genuine + samples))
}

# ---- somebody honest whom nobody knows ---------------------------------------------------------

# He begins during a siege, and has never spoken to the node that is besieged: it dials him.
newcomer() {
    local began
    began=$(milliseconds)
    enrol 4
    wait_for 90 "an honest node that nobody knew to be let in during a siege" has_peers 4 3
    fails_at 4 198.51.100.44
    wait_for 30 "the word of the newcomer" verdict_is 1 198.51.100.44 reported
    newcomer_ms=$(($(milliseconds) - began))
}
begin_newcomer() {
    seeds=127.2.0.1:$port start_node 4
    newcomer
    five_strange
}

# ---- afterwards -------------------------------------------------------------------------------

connections() { # HOW-MANY: what the node's admin allows
    sed -i '/^\[limits\]$/,$d' "$(conf 1)"
    printf '[limits]\nconnections = %s\n' "$1" >>"$(conf 1)"
    kill -HUP "$target"
}

few_left() { (($(open_files) < 60)); }

main() {
    find_port 16727
    make_registry hostile
    start_registry
    start_mesh
    target=${node_pid[1]} # the first is attacked
    resting=$(rss_kb)
    name=rest probe 1 1 # the addresses of the honest members are known from now on

    beside=begin_newcomer
    row "$strangers strangers at once, silent" 6 silent "$strangers" 120
    beside=five_strange
    row "$strangers strangers at once, each begins handshakes" 5 handshake "$strangers" 120
    row "$strangers strangers, one byte a second" 5 slow "$strangers" 120
    row "$strangers strangers who come again with a proof that is none" 5 proofs "$strangers" 120
    beside=
    # With so many places it is not for want of them that strangers are turned away.
    connections 160
    beside=five_strange
    row "40 strangers at a time, who hang up when they are answered and make room for others" 5 knock 40 120
    beside=
    row "$strangers strangers, each begins a handshake and stays, places for all" 0 stay "$strangers" $seconds
    connections 64
    if [[ ${HOSTILE_LONG:-no} != no ]]; then # traffic is judged once a minute (SPEC 9.9)
        row "a member that asks and never reads" 64 greedy
    fi
    row "$messages forged, replayed and cut messages" 1 forged "$messages"
    row "4 members flood within their certificate" 64 flood $seconds
    row "a member comes and goes" 0 churn $coming

    # Nothing of it stays, and the mesh works.
    wait_for 20 "the connections to go" few_left
    fails_at 2 198.51.100.77
    wait_for 15 "an honest signal to arrive" verdict_is 1 198.51.100.77 reported
    wait_for 15 "an honest signal to arrive everywhere" verdict_is 3 198.51.100.77 reported
    kill -0 "$target" 2>/dev/null || fail "the node has died"
    printf '\n%s\n\nmemory at rest before %s MB, after %s MB; a newcomer during the first siege was heard after %s ms\n' \
        "$table" $((resting / 1024)) $(($(rss_kb) / 1024)) "$newcomer_ms"
    if ((failures > 0)); then
        tail -n 20 "$scratch/node1.log"
        return 1
    fi
}
main
