#!/usr/bin/env bash
# Dovecot's policy server at 5,000 questions a second, each with its report: latency from when a
# question was due, three runs of DOVECOT_SECONDS (10); the limit is 1 ms at p99. There is no peer
# that speaks this protocol in Debian. As root it runs before all else on the machine (bench_dovecot.c).
# BENCH_STRICT=yes: a missed limit is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${GV_BUILD:-build}
[ -x "$build/tests/bench_dovecot" ] || {
    echo "dovecot.sh: build first: cmake -S . -B $build && cmake --build $build" >&2
    exit 69
}
said=$(mktemp)
trap 'rm -f "$said"' EXIT
for _ in 1 2 3; do "$build/tests/bench_dovecot" "${DOVECOT_SECONDS:-10}"; done | tee "$said"
p99=$(sed -n '/questions at/s/.* p99 \([0-9.]*\) ms.*/\1/p' "$said" | sort -n | sed -n 2p)
awk -v p99="$p99" 'BEGIN { printf "dovecot: ours %.3f, limit 1 ms at p99, ratio %.2f\n", p99, 1 / p99 }'
word=$(awk -v p99="$p99" 'BEGIN { print p99 <= 1 ? "met" : "missed" }')
echo "limit: an answer to Dovecot, at most 1 ms at p99: $word ($p99)"
[ "$word" = met ] || [ "${BENCH_STRICT:-no}" != yes ]
