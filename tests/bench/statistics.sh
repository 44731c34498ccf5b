#!/usr/bin/env bash
# What the statistics of the mail flow add to the reading of a log: by a node, from the bytes to its store
# (bench_statistics), at most 5%; to the following of a live log at 100 lines a second, for LIVE_SECONDS (60; 0:
# left out); and to the reading of lines alone (bench_flow). Where valgrind is installed the limit holds for the
# instructions outside of the kernel, which neighbours hardly change: of all the lines less those of a start with
# one line, medians of three. Else for the CPU time: pairs of two nodes that read at once,
# ROUNDS (15) of them; on a busy machine single pairs differ by ten per cent either way. STATISTICS_LINES (200,000)
# of the generator in ../shared/bench, dated yesterday. Whether the limit is met is said; a missed one makes the exit
# status 1 only with BENCH_STRICT=yes.
set -euo pipefail
# shellcheck source=tests/bench/generated.bash
. "$(dirname "${BASH_SOURCE[0]}")/generated.bash"
lines=${STATISTICS_LINES:-200000}
live=${LIVE_SECONDS:-60}
rounds=${ROUNDS:-15}
needs "$tests/bench_statistics" "$tests/bench_flow"
day=$(LC_ALL=C date -u -d yesterday '+%b %e')
python3 "$generator" "$lines" 2>/dev/null | sed "s/^Nov  [0-9]/$day/" >"$scratch/log"
TZ=UTC "$tests/bench_flow" "$scratch/log"
[ "$live" = 0 ] || TZ=UTC "$tests/bench_statistics" --live "$scratch/log" "$live" 2>/dev/null
TZ=UTC "$tests/bench_statistics" "$scratch/log" "$lines" "$rounds" 2>/dev/null | tee "$scratch/out"
part=$(sed -n 's/.*with them: \([-+0-9.]*\)%.*/\1/p' "$scratch/out")
[ -n "$part" ] || {
    echo "statistics.sh: nothing was measured" >&2
    exit 1
}
instructions() { # LINES yes|no: with the statistics or without, outside of the kernel
    head -n "$1" "$scratch/log" >"$scratch/part"
    TZ=UTC valgrind --tool=callgrind --callgrind-out-file=/dev/null "$tests/bench_statistics" --once "$scratch/part" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
median_of_three() {
    for _ in 1 2 3; do instructions "$@"; done | sort -n | sed -n 2p
}
if command -v valgrind >/dev/null; then
    for counts in no yes; do
        start=$(instructions 1 $counts)
        printf '%s %s\n' $counts $((($(median_of_three "$lines" $counts) - start) / lines))
    done >"$scratch/counted"
    part=$(awk '{ n[$1] = $2 } END { printf "%.1f", (n["yes"] / n["no"] - 1) * 100 }' "$scratch/counted")
    echo "instructions a line: $(tr '\n' ' ' <"$scratch/counted")"
    limit "what statistics add to the reading of a log, instructions" "$part" 5 most %
else
    limit "what statistics add to the reading of a log, CPU time" "$part" 5 most %
fi
end
