#!/usr/bin/env bash
# What a verdict costs: judging one subject by the number of signals on it (bench_verdict), and asking
# the memory of a node with LOOKUP_SUBJECTS (1,000,000) subjects in it (bench_lookup). What surfaces
# ask is the listing: its limit is 150 ns. BENCH_STRICT=yes: a missed limit is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${GV_BUILD:-build}
for tool in bench_verdict bench_lookup; do
    [ -x "$build/tests/$tool" ] || {
        echo "verdict.sh: build first: cmake -S . -B $build && cmake --build $build" >&2
        exit 69
    }
done
"$build/tests/bench_verdict"
out=$("$build/tests/bench_lookup" "${LOOKUP_SUBJECTS:-1000000}")
echo "$out"
ns=$(sed -n 's/^listing of [0-9]*: \([0-9]*\) ns.*/\1/p' <<<"$out")
awk -v ns="$ns" 'BEGIN { printf "verdict_lookup: ours %d, limit 150 ns, ratio %.2f\n", ns, 150 / (ns ? ns : 1) }'
word=$([ "$ns" -le 150 ] && echo met || echo missed)
echo "limit: a verdict lookup, at most 150 ns: $word ($ns)"
[ "$word" = met ] || [ "${BENCH_STRICT:-no}" != yes ]
