#!/usr/bin/env bash
# What the store costs. First signals persisted a second, against raw SQLite upserts with the same
# file settings, and the promised 40,000; then a restart with 100,000 signals in the store, from exec
# to the first answer on the control socket, against the promised second. Medians.
# GV_BIN, GV_TESTS: folders of the built programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${GV_BIN:-build/bin}
tests=${GV_TESTS:-build/tests}
signals=${STORE_SIGNALS:-100000}
scratch=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null; rm -rf "$scratch"' EXIT
if [ ! -x "$tests/bench_store" ] || [ ! -x "$bin/grapevined" ]; then
    echo "store.sh: build first: cmake -S . -B build && cmake --build build" >&2
    exit 69
fi

"$tests/bench_store" write "$scratch"

mkdir -m 700 "$scratch/data"
"$tests/bench_store" fill "$scratch/data" "$signals"
cat >"$scratch/node.conf" <<CONF
[node]
data = $scratch/data
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
printf '%s\n' "${cpu[@]}" | sort -n | awk '{t[NR] = $1} END {
    printf "processor time of these restarts: %d to %d ms, median %d ms\n", t[1], t[NR],
        t[int((NR + 1) / 2)]
}'
printf '%s\n' "${times[@]}" | sort -n | awk -v n="$signals" '{t[NR] = $1} END {
    m = t[int((NR + 1) / 2)]
    printf "restart with %d signals, %d times: %d to %d ms\n", n, NR, t[1], t[NR]
    printf "store_restart: ours %.3f, peer 1 s (the promise), ratio %.2f\n", m / 1000, 1000 / m
}'
