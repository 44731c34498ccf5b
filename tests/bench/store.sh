#!/usr/bin/env bash
# What the store costs. First signals persisted a second, of the wall and of the processor, against raw
# SQLite upserts with the same file settings, and the limit of 40,000; then a restart with 100,000
# signals in the store, from exec to the first answer on the control socket, of the wall and of the
# processor, against the limit of a second. Medians. Limits are for the wall time of a machine that
# does nothing else: each is said to be met or missed, and a missed one makes the exit status 1 only
# with BENCH_STRICT=yes, so that a busy machine fails nobody's checks.
# STORE_JOURNAL=500000: with a full journal beside them (SPEC 9.7), of which nothing is loaded, but all
# is looked through.
# GV_BIN, GV_TESTS: folders of the built programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${GV_BIN:-build/bin}
tests=${GV_TESTS:-build/tests}
signals=${STORE_SIGNALS:-100000} journal=${STORE_JOURNAL:-0}
scratch=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null; rm -rf "$scratch"' EXIT
if [ ! -x "$tests/bench_store" ] || [ ! -x "$bin/grapevined" ]; then
    echo "store.sh: build first: cmake -S . -B build && cmake --build build" >&2
    exit 69
fi

missed=0
limit() { # WHAT IS LIMIT least|most
    local word
    word=$(awk -v is="$2" -v limit="$3" -v way="$4" \
        'BEGIN { print (way == "least" ? is >= limit : is <= limit) ? "met" : "missed" }')
    echo "limit: $1, at $4 $3: $word ($2)"
    [ "$word" = met ] || missed=1
}

"$tests/bench_store" write "$scratch" | tee "$scratch/write"
limit "signals persisted a second of the wall" \
    "$(sed -n 's/^of the wall:.* median \([0-9]*\) .*/\1/p' "$scratch/write")" 40000 least

mkdir -m 700 "$scratch/data"
"$tests/bench_store" fill "$scratch/data" "$signals" 0 "$journal"
cat >"$scratch/node.conf" <<CONF
[node]
data = $scratch/data
$([[ $EUID != 0 ]] || echo "user = root")
listen =
control = $scratch/control.sock
CONF
times=()
cpu=()
for _ in 1 2 3 4 5 6 7; do
    start=$(date +%s%N)
    "$bin/grapevined" --config "$scratch/node.conf" >"$scratch/said" 2>&1 &
    daemon=$!
    until answer=$(curl -sf --unix-socket "$scratch/control.sock" http://localhost/api/v1/status); do
        kill -0 "$daemon" 2>/dev/null || {
            cat "$scratch/said" >&2
            exit 1
        }
        sleep 0.005
    done
    times+=($((($(date +%s%N) - start) / 1000000)))
    cpu+=("$(awk -v tck="$(getconf CLK_TCK)" '{print 1000 * ($14 + $15) / tck}' "/proc/$daemon/stat")")
    held=$(echo "$answer" | sed -n 's/.*"statements": *\([0-9]*\).*/\1/p')
    [ "$held" -eq "$signals" ] || {
        echo "store.sh: $held signals after the restart instead of $signals" >&2
        exit 1
    }
    kill "$daemon"
    wait "$daemon"
    daemon=
done
summary() { # WHAT TIMES...: prints them, and keeps the median
    local what=$1
    shift
    median=$(printf '%s\n' "$@" | sort -n | awk '{t[NR] = $1} END {print t[int((NR + 1) / 2)]}')
    printf '%s\n' "$@" | sort -n | awk -v n="$signals" -v what="$what" -v m="$median" '{t[NR] = $1} END {
        printf "restart with %d signals, %d times, of the %s: %d to %d, median %d ms\n", n, NR, what,
            t[1], t[NR], m
    }'
}
summary processor "${cpu[@]}"
summary wall "${times[@]}"
limit "restart with $signals signals, ms of the wall" "$median" 1000 most
awk -v m="$median" 'BEGIN {
    printf "store_restart: ours %.3f, limit 1 s of the wall, ratio %.2f\n", m / 1000, 1000 / m
}'
[ "$missed" = 0 ] || [ "${BENCH_STRICT:-no}" != yes ]
