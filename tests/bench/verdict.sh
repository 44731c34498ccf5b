#!/usr/bin/env bash
# What a verdict costs: judging one subject by the number of signals on it (bench_verdict); bringing it
# up to date as signals come with UPDATE_SIGNALS (1,000,000) held, limit 2 us a signal for store and
# verdict together (bench_update, the workload's line; each alone, and the end of a signal, stand
# beside; with the environment that the service is started with, and once without); and asking
# the memory of a node with LOOKUP_SUBJECTS (1,000,000) subjects in it (bench_lookup). What surfaces
# ask is the listing: its limit is 150 ns, also where a question waits for the answer before it; its peer
# is one random read of as much memory, below which no table can go on the machine at hand.
# BENCH_STRICT=yes: a missed limit is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${GV_BUILD:-build}
for tool in bench_verdict bench_update bench_lookup; do
    [ -x "$build/tests/$tool" ] || {
        echo "verdict.sh: build first: cmake -S . -B $build && cmake --build $build" >&2
        exit 69
    }
done
"$build/tests/bench_verdict"
service=$(sed -n 's/^Environment=//p' node/packaging/grapevine.service)
out=$(env "$service" "$build/tests/bench_update" "${UPDATE_SIGNALS:-1000000}")
echo "with $service:"
echo "$out"
update=$(sed -n 's/^workload: .*; a signal: update \([0-9]*\) ns.*/\1/p' <<<"$out")
judged=$(sed -n 's/^workload: .*, verdict \([0-9]*\);.*/\1/p' <<<"$out")
updated=$([ "$update" -le 2000 ] && echo met || echo missed)
echo "without:"
"$build/tests/bench_update" "${UPDATE_SIGNALS:-1000000}"
out=$("$build/tests/bench_lookup" "${LOOKUP_SUBJECTS:-1000000}")
echo "$out"
ns=$(sed -n 's/^.*listing of [0-9]*: \([0-9]*\) ns.*/\1/p' <<<"$out")
waiting=$(sed -n 's/^the same, each asked when.*: \([0-9]*\) ns$/\1/p' <<<"$out")
peer=$(sed -n 's/^one random read of .*: \([0-9]*\) ns$/\1/p' <<<"$out")
awk -v a="$ns" -v b="$peer" 'BEGIN { printf "verdict_lookup: ours %d, peer %d ns (one random read), ratio %.2f\n", a, b, b / (a ? a : 1) }'
word=$([ "$ns" -le 150 ] && [ "$waiting" -le 150 ] && echo met || echo missed)
echo "limit: a verdict lookup, at most 150 ns: $word ($ns; $waiting where each waits for the one before)"
echo "limit: a verdict update with a million signals held, at most 2000 ns a signal: $updated ($update," \
     "of it judging $judged)"
[ "$word$updated" = metmet ] || [ "${BENCH_STRICT:-no}" != yes ]
