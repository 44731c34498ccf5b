#!/usr/bin/env bash
# How long the dashboard takes on loopback, of a node with 100,000 verdicts of the mesh, 10,000 addresses
# of its own and 30 days of telemetry, in a real headless Chromium with an empty cache: to the first paint
# (limit 500 ms), to the overview with all its figures, to the telemetry page, to an address; and what the
# bundle weighs (limit 250 kB, as sent and as it is). BENCH_STRICT=yes: a missed limit is an error.
# GV_BIN, GV_TESTS: folders of the built programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${GV_BIN:-build/bin}
tests=${GV_TESTS:-build/tests}
if [ ! -x "$tests/bench_store" ] || [ ! -x "$bin/grapevined" ]; then
    echo "dashboard.sh: build first: cmake -S . -B build && cmake --build build" >&2
    exit 69
fi
chromium=$(type -P chromium chromium-browser google-chrome | head -n 1 || true)
if [ -z "$chromium" ] || ! command -v node >/dev/null; then
    echo "dashboard.sh: SKIPPED: Chromium or node is not installed"
    exit 77
fi
scratch=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null; wait; rm -rf "$scratch"' EXIT
port=19729
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
while taken $port; do port=$((port + 10)); done

mkdir -m 700 "$scratch/data"
"$tests/bench_store" fill "$scratch/data" 100000 720
at=$(date -u +%Y-%m-%dT%H:%M:%S)
for i in $(seq 0 9999); do
    echo "$at+00:00 mail dovecot: imap-login: Disconnected (auth failed, 3 attempts in 2 secs): user=<u$i>, method=PLAIN, rip=47.1.$((i / 250)).$((i % 250 + 1)), lip=192.0.2.1, session=<a$i>"
done >"$scratch/mail.log"
cat >"$scratch/node.conf" <<CONF
[node]
data = $scratch/data
$([[ $EUID != 0 ]] || echo "user = root")
listen =
control = $scratch/control.sock
[log]
file = $scratch/mail.log
from_start = yes
[http]
listen = 127.0.0.1:$port
CONF
"$bin/grapevined" --config "$scratch/node.conf" >"$scratch/said" 2>&1 &
daemon=$!
get() { curl -sf --unix-socket "$scratch/control.sock" "http://localhost/api/v1/$1"; }
for _ in $(seq 300); do
    held=$(get status | jq -r '"\(.mesh.subjects) \(.mesh.local_subjects)"' || true)
    [ "${held##* }" != 10000 ] || break
    sleep 0.1
done
said=$(get 'telemetry?since=31d&limit=10000' | jq '.telemetry | length')
kept=$(get privacy | jq '[.held[] | select(.what | startswith("what this node has sent"))][0].count')
echo "verdicts and own addresses: $held; own statements in 30 days: $kept ($said of them told at once)"
if [ "$held" != "100000 10000" ] || [ "$kept" -lt 23040 ]; then
    tail "$scratch/said" >&2
    exit 1
fi
node tests/bench/dashboard.mjs "$chromium" "http://127.0.0.1:$port" \
    "$("$bin/grapevine" --config "$scratch/node.conf" token)" "$scratch" | tee "$scratch/times"

missed=0
limit() { # WHAT IS LIMIT
    if [ "$2" -le "$3" ]; then echo "limit: $1, at most $3: met ($2)"; else
        echo "limit: $1, at most $3: missed ($2)"
        missed=1
    fi
}
limit "first paint, ms, median" "$(awk '$1 == "paint" { print $3 }' "$scratch/times")" 500
sent=0 plain=0
for file in node/dashboard/*.{html,css,js,svg} chart.js; do
    file=$(basename "$file")
    sent=$((sent + $(curl -s -H 'Accept-Encoding: gzip' "http://127.0.0.1:$port/dashboard/$file" | wc -c)))
    plain=$((plain + $(curl -s "http://127.0.0.1:$port/dashboard/$file" | wc -c)))
done
limit "the bundle as sent, bytes" "$sent" 250000
limit "the bundle unpacked, bytes" "$plain" 250000
awk '{ printf "dashboard_%s: %d to %d, median %d ms\n", $1, $2, $4, $3 }' "$scratch/times"
[ "$missed" = 0 ] || [ "${BENCH_STRICT:-no}" != yes ]
