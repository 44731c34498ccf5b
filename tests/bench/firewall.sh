#!/usr/bin/env bash
# 100,000 addresses into nftables in one transaction: grapevine-firewall, from the first record to its
# answer, against the program nft with the same set from a file; median of five turns each, in a
# network namespace of its own. Beside it: one more address, the same list again with other times, and
# memory. FIREWALL_ENTRIES. Needs root.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${GV_BUILD:-build}
entries=${FIREWALL_ENTRIES:-100000}
[ -x "$build/tests/bench_firewall" ] || {
    echo "firewall.sh: build first: cmake -S . -B $build && cmake --build $build" >&2
    exit 69
}
[ "$(id -u)" = 0 ] || {
    echo "firewall.sh: SKIPPED: needs root"
    exit 77
}
if [ -z "${GV_INSIDE:-}" ]; then
    for tool in nft unshare; do
        command -v $tool >/dev/null || {
            echo "firewall.sh: SKIPPED: $tool is not installed"
            exit 77
        }
    done
    GV_INSIDE=1 exec unshare -n bash "$0"
fi
nft list ruleset >/dev/null 2>&1 || {
    echo "firewall.sh: SKIPPED: no nf_tables in this kernel"
    exit 77
}
ip link set lo up
scratch=$(mktemp -d)
helper=
# shellcheck disable=SC2317 # called by the trap
finish() {
    [ -z "$helper" ] || kill "$helper" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT

printf '[node]\ndata = %s/data\nuser = nobody\n[firewall]\nsocket = %s/helper/socket\n' "$scratch" "$scratch" \
    >"$scratch/conf"
chmod 755 "$scratch"
median() { sort -n "$1" | sed -n 3p; }
for _ in 1 2 3 4 5; do
    "$build/bin/grapevine-firewall" --config "$scratch/conf" 2>"$scratch/log" &
    helper=$!
    for _ in $(seq 100); do
        grep -q ready "$scratch/log" && break
        sleep 0.05
    done
    "$build/tests/bench_firewall" "$scratch/helper/socket" "$entries" "$helper" >"$scratch/turn"
    for figure in whole cpu again single empty; do
        sed -n "s/^$figure //p" "$scratch/turn" >>"$scratch/$figure"
    done
    awk '/^VmHWM/ { printf "%.1f\n", $2 / 1024 }' "/proc/$helper/status" >>"$scratch/memory"
    kill "$helper"
    wait "$helper"
    helper=
    nft flush ruleset
done
echo "grapevine-firewall, $entries entries: $(xargs <"$scratch/whole") s, CPU $(xargs <"$scratch/cpu") s; peak memory $(median "$scratch/memory") MB"
echo "grapevine-firewall, the same with other times: $(median "$scratch/again") s; one more: $(median "$scratch/single") s; all gone: $(median "$scratch/empty") s"

for kind in timeout interval,timeout; do
    name=nft.${kind%,*}
    {
        echo "table inet bench { set s { type ipv4_addr; flags $kind; }; }"
        echo "add element inet bench s {"
        awk -v n="$entries" 'BEGIN { for (i = 0; i < n; i++) { a = 184549376 + (i * 2654435761) % 4294967296 % 536870912;
            printf "%d.%d.%d.%d timeout 3000s,\n", a / 16777216, a / 65536 % 256, a / 256 % 256, a % 256 } }'
        echo "}"
    } >"$scratch/set"
    for _ in 1 2 3 4 5; do
        TIMEFORMAT='%R %U %S'
        { time nft -f "$scratch/set"; } 2>"$scratch/time"
        awk '{ print $1 }' "$scratch/time" >>"$scratch/$name"
        awk '{ print $2 + $3 }' "$scratch/time" >>"$scratch/$name.cpu"
        TIMEFORMAT=%R
        { time nft add element inet bench s '{ 10.0.0.1 timeout 600s }'; } 2>>"$scratch/$name.one"
        nft flush ruleset
    done
    nft -f "$scratch/set" &
    peak=0
    while [ -d /proc/$! ] && now=$(awk '/^VmHWM/ { print $2 }' /proc/$!/status 2>/dev/null) && [ -n "$now" ]; do
        peak=$now
        sleep 0.02
    done
    wait $!
    nft flush ruleset
    echo "nft -f, $entries entries, flags $kind: $(xargs <"$scratch/$name") s, CPU $(xargs <"$scratch/$name.cpu") s; one more: $(median "$scratch/$name.one") s; peak memory $((peak / 1024)) MB"
done
awk -v a="$(median "$scratch/cpu")" -v b="$(median "$scratch/nft.timeout.cpu")" \
    'BEGIN { printf "firewall: ours %.2f, peer %.2f CPU seconds for the set, ratio %.2f\n", a, b, b / a }'
