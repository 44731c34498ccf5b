#!/usr/bin/env bash
# What the statistics of the mail flow add to the reading of a log: by a node, from the bytes to its store
# (bench_statistics), which is what is limited, at most 5%; to the following of a live log at 100 lines a
# second, for LIVE_SECONDS (60; 0: left out); and to the reading of lines alone (bench_flow).
# STATISTICS_LINES (200,000) of the generator in ../shared/bench, dated yesterday. Whether the limit is met is
# said; a missed one makes the exit status 1 only with BENCH_STRICT=yes, as a busy machine may miss it.
set -euo pipefail
# shellcheck source=tests/bench/generated.bash
. "$(dirname "${BASH_SOURCE[0]}")/generated.bash"
lines=${STATISTICS_LINES:-200000}
live=${LIVE_SECONDS:-60}
needs "$tests/bench_statistics" "$tests/bench_flow"
day=$(LC_ALL=C date -u -d yesterday '+%b %e')
python3 "$generator" "$lines" 2>/dev/null | sed "s/^Nov  [0-9]/$day/" >"$scratch/log"
TZ=UTC "$tests/bench_flow" "$scratch/log"
[ "$live" = 0 ] || TZ=UTC "$tests/bench_statistics" --live "$scratch/log" "$live" 2>/dev/null
TZ=UTC "$tests/bench_statistics" "$scratch/log" "$lines" 7 2>/dev/null | tee "$scratch/out"
part=$(sed -n 's/.*with them: \([-+0-9.]*\)%.*/\1/p' "$scratch/out")
[ -n "$part" ] || {
    echo "statistics.sh: nothing was measured" >&2
    exit 1
}
limit "what statistics add to the reading of a log" "$part" 5 most %
end
