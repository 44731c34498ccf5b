#!/usr/bin/env bash
# What five idle quickstart nodes cost, measured from outside for IDLE_SECONDS (300; a repair falls
# into every 60 to 300 s, so shorter windows say little about bytes): private
# memory (RssAnon), processor time, and bytes on the wire with all headers (the loopback counter of
# a network namespace of their own, so it needs root). The limits are those that are promised.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${IDLE_SECONDS:-300}

if [ "${1:-}" != inside ]; then
    [ "$(id -u)" -eq 0 ] || {
        echo "idle.sh: needs root, for a network namespace of its own" >&2
        exit 77
    }
    exec unshare -n bash "$0" inside
fi
ip link set lo up
out=$(mktemp)
./node/quickstart.sh >"$out" 2>&1 &
mesh=$!
trap 'kill $mesh 2>/dev/null; wait $mesh 2>/dev/null || true; rm -f "$out"' EXIT
for _ in $(seq 600); do
    grep -q 'stays up until' "$out" && break
    kill -0 $mesh 2>/dev/null || {
        cat "$out" >&2
        exit 1
    }
    sleep 0.5
done
config=$(sed -n 's/.*--config \(.*\)node5.conf list.*/\1/p' "$out" | head -n 1)
pids=()
for n in 1 2 3 4 5; do
    pid=$(pgrep -P $mesh -f "grapevined --config ${config}node$n.conf")
    pids+=("$pid")
done
ticks() { # processor time of all five, in ticks of 1/CLK_TCK s
    local pid total=0
    for pid in "${pids[@]}"; do
        total=$((total + $(awk '{print $14 + $15}' "/proc/$pid/stat")))
    done
    echo "$total"
}
wire() { awk '$1 == "lo:" {print $10}' /proc/net/dev; }

sleep 60 # what the start and the attack stirred up settles
cpu=$(ticks)
bytes=$(wire)
sleep "$seconds"
cpu=$(($(ticks) - cpu))
bytes=$(($(wire) - bytes))
memory=$(for pid in "${pids[@]}"; do awk '/^RssAnon/ {print $2}' "/proc/$pid/status"; done | sort -n)
most=$(echo "$memory" | tail -n 1)
awk -v most="$most" -v cpu="$cpu" -v tck="$(getconf CLK_TCK)" -v s="$seconds" -v bytes="$bytes" 'BEGIN {
    core = 100 * cpu / tck / s / 5
    hour = 2 * bytes / 5 * 3600 / s / 1000 # what one sends another receives: in and out
    printf "five idle nodes, %d s: RssAnon at most %.1f MB, %.3f%% of a core each, %.1f kB per node and hour\n", s, most / 1000, core, hour
    printf "idle_memory: ours %.1f, limit 12 MB, ratio %.2f\n", most / 1000, 12000 / most
    printf "idle_cpu: ours %.3f, limit 0.5 %% of a core, ratio %.2f\n", core, (core ? 0.5 / core : 999)
    printf "idle: ours %.1f, limit 60 kB per node and hour, ratio %.2f\n", hour, 60 / hour
}'
