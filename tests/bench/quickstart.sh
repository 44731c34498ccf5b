#!/usr/bin/env bash
# `quickstart.sh --check` on a machine that has the packages, built from nothing in a folder of its
# own: how long it takes, and how long from the second owner's signal to untrusted on all five nodes
# (asked by polling, so at most some tenths of a second too much). The limits are those promised.
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
start=$(date +%s.%N)
GV_BUILD=$scratch/build ./node/quickstart.sh --check >"$scratch/out"
end=$(date +%s.%N)
delay=$(sed -n 's/.*signal to untrusted on all [0-9]* nodes: \([0-9.]*\) s.*/\1/p' "$scratch/out")
[ -n "$delay" ] || {
    cat "$scratch/out" >&2
    exit 1
}
awk -v a="$start" -v b="$end" -v delay="$delay" 'BEGIN {
    s = b - a
    printf "quickstart_check: ours %.1f, limit 90 s, ratio %.1f\n", s, 90 / s
    printf "verdict_delay: ours %.1f, limit 2 s, ratio %.1f\n", delay, (delay > 0 ? 2 / delay : 99)
}'
