#!/usr/bin/env bash
# A DNS list of 1,000,000 addresses: ours against rbldnsd, asked the same questions by dnsperf on
# loopback, in the same run: queries per CPU second of the server, median of five turns each, and
# its memory. Half of the questions are about listed addresses. DNSBL_ENTRIES, DNSBL_SECONDS.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${GV_BUILD:-build}
entries=${DNSBL_ENTRIES:-1000000} seconds=${DNSBL_SECONDS:-4}
[ -x "$build/tests/bench_dnsbl" ] || {
    echo "dnsbl.sh: build first: cmake -S . -B $build && cmake --build $build" >&2
    exit 69
}
for tool in dnsperf rbldnsd; do
    command -v $tool >/dev/null || [ -x /usr/sbin/$tool ] || {
        echo "dnsbl.sh: SKIPPED: $tool is not installed"
        exit 77
    }
done
# shellcheck source=tests/bench/servers.bash
. tests/bench/servers.bash

"$build/tests/bench_dnsbl" "$entries" "$scratch/list" >"$scratch/ready" &
ours=$!
pids+=("$ours")
for _ in $(seq 300); do
    [ -s "$scratch/ready" ] && break
    sleep 0.1
done
cat "$scratch/ready"
port=$(sed 's/port \([0-9]*\).*/\1/' "$scratch/ready")
bytes=$(sed 's/.*, \([0-9.]*\) bytes.*/\1/' "$scratch/ready")

other=$((port + 1))
chmod 755 "$scratch"
{
    echo ':127.0.0.2:listed'
    cat "$scratch/list"
} >"$scratch/zone"
# shellcheck disable=SC2016 # rbldnsd's words
printf '$SOA 300 ns.list.test h.list.test 0 600 300 86400 60\n$NS 300 ns.list.test\n' >"$scratch/soa"
chmod 644 "$scratch/zone" "$scratch/soa"
/usr/sbin/rbldnsd -q -n -u nobody -b "127.0.0.1/$other" -w "$scratch" -c 0 \
    list.test:ip4set:zone list.test:generic:soa >"$scratch/rbldnsd.log" 2>&1 &
theirs=$!
pids+=("$theirs")
sleep 3

awk 'BEGIN { srand(7) } NR % 37 == 0 { split($1, p, "."); print p[4]"."p[3]"."p[2]"."p[1];
    printf "%d.%d.%d.%d\n", rand() * 256, rand() * 256, rand() * 256, 1 + rand() * 126 }' \
    "$scratch/list" >"$scratch/names"
sed 's/$/.refuse.grapevine A/' "$scratch/names" >"$scratch/ask.ours"
sed 's/$/.list.test A/' "$scratch/names" >"$scratch/ask.theirs"

ticks=$(getconf CLK_TCK)
cpu() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
one() { # NAME PID PORT: queries per CPU second
    local before after done_
    before=$(cpu "$2")
    dnsperf -s 127.0.0.1 -p "$3" -d "$scratch/ask.$1" -l "$seconds" -c 4 -q 200 \
        >"$scratch/perf" 2>&1
    after=$(cpu "$2")
    done_=$(awk '/Queries completed/ { print $3 }' "$scratch/perf")
    awk -v q="$done_" -v t=$((after - before)) -v hz="$ticks" 'BEGIN { printf "%.0f\n", q * hz / t }'
}
for _ in 1 2 3 4 5; do
    one ours "$ours" "$port" >>"$scratch/figures.ours"
    one theirs "$theirs" "$other" >>"$scratch/figures.theirs"
done
median() { sort -n "$scratch/figures.$1" | sed -n 3p; }
resident() { awk '/^VmHWM/ { printf "%.1f MB", $2 / 1024 }' "/proc/$1/status"; }
echo "queries per CPU second, ours: $(xargs <"$scratch/figures.ours"); peak memory $(resident "$ours")"
echo "queries per CPU second, rbldnsd: $(xargs <"$scratch/figures.theirs"); peak memory $(resident "$theirs")"
echo "index: $bytes bytes an entry (limit 60)"
awk -v a="$(median ours)" -v b="$(median theirs)" \
    'BEGIN { printf "dnsbl: ours %d, peer %d queries per CPU second, ratio %.2f\n", a, b, a / b }'
