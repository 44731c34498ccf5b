#!/usr/bin/env bash
# Dovecot's policy server at 5,000 questions a second, each with its report: latency from when a
# question was due, three runs of DOVECOT_SECONDS (10); the limit is 1 ms at p99. There is no peer
# that speaks this protocol in Debian. As root it runs before all else on the machine (bench_dovecot.c).
# That is the policy server with a core, and without a store. Then daemons with their stores, each on one
# core (the last), are asked, 2,500 questions and as many reports a second: of addresses that are new to it, each
# of which is a row on the disk, and of the same once more; three runs, and the same limit. What that needs
# is a disk in whose way nobody else is.
# BENCH_STRICT=yes: a missed limit is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${GV_BUILD:-build}
[ -x "$build/tests/bench_dovecot" ] || {
    echo "dovecot.sh: build first: cmake -S . -B $build && cmake --build $build" >&2
    exit 69
}
said=$(mktemp)
scratch=$(mktemp -d)
node=
# shellcheck disable=SC2317 # called by the trap
finish() {
    [ -z "$node" ] || { kill "$node" && wait "$node"; } 2>/dev/null || true
    rm -rf "$said" "$scratch"
}
trap finish EXIT
for _ in 1 2 3; do "$build/tests/bench_dovecot" "${DOVECOT_SECONDS:-10}"; done | tee "$said"
p99=$(sed -n '/questions at/s/.* p99 \([0-9.]*\) ms.*/\1/p' "$said" | sort -n | sed -n 2p)
awk -v p99="$p99" 'BEGIN { printf "dovecot: ours %.3f, limit 1 ms at p99, ratio %.2f\n", p99, 1 / p99 }'
word=$(awk -v p99="$p99" 'BEGIN { print p99 <= 1 ? "met" : "missed" }')
echo "limit: an answer to Dovecot, at most 1 ms at p99: $word ($p99)"
port=16729
while (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; do port=$((port + 1)); done
first=()
! chrt -f 1 true 2>/dev/null || first=(chrt -f 1)
first+=(taskset -c $(($(nproc) - 1)))
ask() { "$build/bin/grapevine" --config "$scratch/node.conf" "$@"; }
one_daemon() {
    rm -rf "$scratch/data"
    mkdir -m 700 "$scratch/data"
    cat >"$scratch/node.conf" <<CONF
[node]
data = $scratch/data
listen =
$([[ $EUID != 0 ]] || echo "user = root")
[policy]
enforce = dovecot
[http]
listen = 127.0.0.1:$port
CONF
    "${first[@]}" "$build/bin/grapevined" --config "$scratch/node.conf" 2>"$scratch/node.log" &
    node=$!
    for _ in $(seq 100); do
        ask status >/dev/null 2>&1 && break
        sleep 0.1
    done
    key=$(ask snippet dovecot | sed -n 's/^auth_policy_server_api_header = X-Api-Key: //p')
    for what in new known; do
        echo "a daemon, addresses that are $what to it: $("$build/tests/bench_dovecot" 5 "$port" "$key")"
    done
    kill "$node"
    wait "$node" || true
    node=
}
for _ in 1 2 3; do one_daemon; done >"$said"
cat "$said"
met=$word
for what in new known; do
    p99=$(sed -n "/are $what to/s/.* p99 \([0-9.]*\) ms.*/\1/p" "$said" | sort -n | sed -n 2p)
    awk -v what=$what -v p99="$p99" 'BEGIN { printf "dovecot_%s: ours %.3f, limit 1 ms at p99, ratio %.2f\n", what, p99, 1 / p99 }'
    word=$(awk -v p99="$p99" 'BEGIN { print p99 <= 1 ? "met" : "missed" }')
    echo "limit: an answer of a daemon with its store, addresses that are $what to it, at most 1 ms at p99: $word ($p99)"
    [ "$word" = met ] || met=missed
done
[ "$met" = met ] || [ "${BENCH_STRICT:-no}" != yes ]
