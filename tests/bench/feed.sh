#!/usr/bin/env bash
# What many decisions at once cost those who ask meanwhile (bench_feed.c): with FEED_SUBJECTS (200,000)
# listed, told to bouncers and the firewall, no turn of the loop may take more than FEED_TURN_MS (2) ms of
# processor time, whatever the admin allows, denies or reloads; and of FEED_TOGETHER (50,000) locks that end
# together the last must be off within a second of its end. As root it runs before all else.
# BENCH_STRICT=yes: a missed limit is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${GV_BUILD:-build}
[ -x "$build/tests/bench_feed" ] || {
    echo "feed.sh: build first: cmake -S . -B $build && cmake --build $build" >&2
    exit 69
}
out=$("$build/tests/bench_feed" "${FEED_SUBJECTS:-200000}" "${FEED_TOGETHER:-50000}" 2>/dev/null)
echo "$out"
turn=$(sed -n 's/.*longest turn \([0-9.]*\) ms.*/\1/p' <<<"$out" | sort -n | tail -1)
off=$(sed -n 's/.*the last is off \(-*[0-9]*\) ms.*/\1/p' <<<"$out")
word=$(awk -v t="$turn" -v m="${FEED_TURN_MS:-2}" 'BEGIN { print t <= m ? "met" : "missed" }')
echo "limit: a turn of the loop, at most ${FEED_TURN_MS:-2} ms: $word ($turn)"
other=$([ "$off" -le 1000 ] && echo met || echo missed)
echo "limit: what ends is off every surface within 1000 ms: $other ($off)"
[ "$word$other" = metmet ] || [ "${BENCH_STRICT:-no}" != yes ]
