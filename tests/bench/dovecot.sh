#!/usr/bin/env bash
# Dovecot's policy server at 5,000 questions a second, each with its report: latency from when a
# question was due, three runs of DOVECOT_SECONDS (10); the limit is 1 ms at p99. There is no peer
# that speaks this protocol in Debian.
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
sed -n 's/.* p99 \([0-9.]*\) ms.*/\1/p' "$said" | sort -n | sed -n 2p | awk \
    '{ printf "dovecot: ours %.3f, limit 1 ms at p99, ratio %.2f\n", $1, 1 / $1 }'
