#!/usr/bin/env bash
# The daemon itself with ENTRIES (1,000,000) addresses listed: it reads a log in which each of them fails
# five times, locks them all, and serves them in its DNS zone, where bench/dnsbl.sh has the server alone.
# dig asks for 100 of them and 100 others, by UDP and TCP; dnsperf for queries per CPU second, beside
# rbldnsd with the same addresses; grapevine status says how many are refused. Some minutes, most of them
# spent on writing a million rows. BENCH_STRICT=yes: a missed limit is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${GV_BIN:-build/bin}
entries=${ENTRIES:-1000000} seconds=${DNSBL_SECONDS:-4}
[ -x "$bin/grapevined" ] || {
    echo "dnsbl_daemon.sh: build first: cmake -S . -B build && cmake --build build" >&2
    exit 69
}
for tool in dig dnsperf rbldnsd jq; do
    command -v $tool >/dev/null || [ -x /usr/sbin/$tool ] || {
        echo "dnsbl_daemon.sh: SKIPPED: $tool is not installed (tests/packages.sh full)"
        exit 77
    }
done
# shellcheck source=tests/bench/servers.bash
. tests/bench/servers.bash
port=15753
while dig -p $port @127.0.0.1 +tries=1 +time=1 . >/dev/null 2>&1; do port=$((port + 10)); done
mkdir -m 700 "$scratch/data"
cat >"$scratch/node.conf" <<CONF
[node]
data = $scratch/data
listen =
$([[ $EUID != 0 ]] || echo "user = root")
[log]
file = $scratch/mail.log
timezone = UTC
[limits]
history = $((entries + 1000))
[policy]
enforce = dnsbl
[dnsbl]
listen = 127.0.0.1:$port
CONF
ask() { "$bin/grapevine" --config "$scratch/node.conf" "$@"; }
touch "$scratch/mail.log"
"$bin/grapevined" --config "$scratch/node.conf" 2>"$scratch/node.log" &
ours=$!
pids+=("$ours")
for _ in $(seq 200); do
    ask status >/dev/null 2>&1 && break
    sleep 0.1
done
# As attackers are, all over the net, each once: neighbours are what a sorted list finds fastest.
awk -v n="$entries" 'BEGIN { while (n > 0) {
    at = ++i * 2654435761 % 4294967296
    a = int(at / 16777216)
    if (a < 11 || a > 223 || index(" 100 127 169 172 192 198 203 ", " " a " ")) continue
    printf "%d.%d.%d.%d\n", a, int(at / 65536) % 256, int(at / 256) % 256, at % 256
    n-- } }' >"$scratch/list"
resident() { awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$1/status"; }
before=$(resident "$ours")
now=$(date -u +%Y-%m-%dT%H:%M:%S)+00:00
started=$SECONDS
awk -v t="$now" '{ printf "%s mail dovecot: imap-login: Disconnected (auth failed, 5 attempts in 9 secs): user=<u%d>, method=PLAIN, rip=%s, lip=192.0.2.1, session=<s%d>\n", t, NR, $1, NR }' \
    "$scratch/list" >>"$scratch/mail.log"
refused() { ask status --json | jq .enforcement.refused; }
until [ "$(refused)" -ge "$entries" ]; do
    sleep 2
    [ $((SECONDS - started)) -lt 1500 ] || {
        echo "dnsbl_daemon.sh: only $(refused) of $entries are listed" >&2
        exit 70
    }
done
echo "grapevine status: $(refused) addresses refused, after $((SECONDS - started)) s of reading; memory $((($(resident "$ours") - before) / entries)) bytes an address, its local history and all"

wrong=0
look() { dig -p "$port" @127.0.0.1 +short +time=5 "$@"; }
reversed() { awk -F. '{ print $4 "." $3 "." $2 "." $1 }'; }
for name in $(shuf -n 100 --random-source=<(yes) "$scratch/list" | reversed); do
    [ "$(look "$name.refuse.grapevine")" = 127.0.0.3 ] || wrong=$((wrong + 1))
    [ "$(look +tcp "$name.refuse.grapevine")" = 127.0.0.3 ] || wrong=$((wrong + 1))
    [ -z "$(look "${name%.*}.230.refuse.grapevine")" ] || wrong=$((wrong + 1))
done
look "$name.refuse.grapevine" TXT
echo "dig: 200 questions about listed addresses and 100 about others, $wrong wrong answers"

other=$((port + 1))
chmod 755 "$scratch"
(echo ':127.0.0.2:listed' && cat "$scratch/list") >"$scratch/zone"
# shellcheck disable=SC2016 # rbldnsd's words
printf '$SOA 300 ns.list.test h.list.test 0 600 300 86400 60\n$NS 300 ns.list.test\n' >"$scratch/soa"
chmod 644 "$scratch/zone" "$scratch/soa"
/usr/sbin/rbldnsd -q -n -u nobody -b "127.0.0.1/$other" -w "$scratch" -c 0 \
    list.test:ip4set:zone list.test:generic:soa >"$scratch/rbldnsd.log" 2>&1 &
theirs=$!
pids+=("$theirs")
sleep 3
awk -F. 'BEGIN { srand(7) } NR % 37 == 0 { print $4 "." $3 "." $2 "." $1;
    printf "%d.%d.%d.%d\n", rand() * 256, rand() * 256, rand() * 256, 1 + rand() * 10 }' "$scratch/list" >"$scratch/names"
sed 's/$/.refuse.grapevine A/' "$scratch/names" >"$scratch/ask.ours"
sed 's/$/.list.test A/' "$scratch/names" >"$scratch/ask.theirs"
on_cpu() { cat /proc/"$1"/task/*/schedstat | awk '{ n += $1 } END { printf "%.0f\n", n }'; } # ns
one() { # NAME PID PORT: queries per CPU second, all of the daemon's threads
    local from
    from=$(on_cpu "$2")
    dnsperf -s 127.0.0.1 -p "$3" -d "$scratch/ask.$1" -l "$seconds" -c 4 -q 200 >"$scratch/perf" 2>&1
    awk -v ns=$(($(on_cpu "$2") - from)) '/Queries completed/ { printf "%.0f\n", $3 * 1e9 / ns }' "$scratch/perf"
}
for _ in 1 2 3 4 5; do
    one ours "$ours" "$port" >>"$scratch/figures.ours"
    one theirs "$theirs" "$other" >>"$scratch/figures.theirs"
done
median() { sort -n "$scratch/figures.$1" | sed -n 3p; }
echo "queries per CPU second, ours: $(xargs <"$scratch/figures.ours"); rbldnsd: $(xargs <"$scratch/figures.theirs")"
ratio=$(awk -v a="$(median ours)" -v b="$(median theirs)" 'BEGIN { printf "%.2f", a / b }')
echo "dnsbl_daemon: ours $(median ours), peer $(median theirs) queries per CPU second (rbldnsd), ratio $ratio"
word=$(awk -v r="$ratio" -v w=$wrong 'BEGIN { print (r >= 1.1 && w == 0) ? "met" : "missed" }')
echo "limit: a daemon with $entries addresses listed, right answers, at 1.1 times rbldnsd's speed: $word ($ratio)"
[ "$word" = met ] || [ "${BENCH_STRICT:-no}" != yes ]
