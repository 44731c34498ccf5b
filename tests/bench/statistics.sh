#!/usr/bin/env bash
# What the statistics of the mail flow add to the reading of a log: by a node, from the bytes to its store
# (bench_statistics), which is what is limited, at most 5%; and to the reading of lines alone (bench_flow).
# STATISTICS_LINES (200,000) of the generator in ../shared/bench, dated yesterday. Whether the limit is met is
# said; a missed one makes the exit status 1 only with BENCH_STRICT=yes, as a busy machine may miss it.
set -euo pipefail
cd "$(dirname "$0")/../.."
tests=${GV_TESTS:-build/tests}
lines=${STATISTICS_LINES:-200000}
generator=../shared/bench/gen_maillog.py
[ -x "$tests/bench_statistics" ] || {
    echo "statistics.sh: build first: cmake -S . -B build && cmake --build build" >&2
    exit 69
}
[ -r "$generator" ] || {
    echo "statistics.sh: SKIPPED: $generator is not there"
    exit 77
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
day=$(LC_ALL=C date -u -d yesterday '+%b %e')
python3 "$generator" "$lines" 2>/dev/null | sed "s/^Nov  [0-9]/$day/" >"$scratch/log"
TZ=UTC "$tests/bench_flow" "$scratch/log"
TZ=UTC "$tests/bench_statistics" "$scratch/log" "$lines" 7 2>/dev/null | tee "$scratch/out"
part=$(sed -n 's/.*with them: \([-+0-9.]*\)%.*/\1/p' "$scratch/out")
word=$(awk -v p="$part" 'BEGIN { print p <= 5 ? "met" : "missed" }')
echo "limit: what statistics add to the reading of a log, at most 5%: $word ($part%)"
[ "$word" = met ] || [ "${BENCH_STRICT:-no}" != yes ]
