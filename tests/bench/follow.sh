#!/usr/bin/env bash
# What following a live log costs: processor time of grapevined, measured from outside, while a
# writer adds 100 lines a second of the generated log (tests/bench/observe.sh) with stamps of now
# for FOLLOW_SECONDS (60), less what the same daemon costs on a quiet log. In the same run, where
# they are installed: fail2ban-server with its postfix and dovecot jails on the same log, and
# `tail -F` piped into grep. The limit is what is promised: 0.2 % of a core. Whether it is met is said;
# a missed one makes the exit status 1 only with BENCH_STRICT=yes, as a busy machine may miss it.
# FOLLOW_LIMIT is another limit, in percent. FOLLOW_PEERS=no leaves the others out.
# The generator is taken from ../shared/bench.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${GV_BIN:-build/bin}
seconds=${FOLLOW_SECONDS:-60}
limit=${FOLLOW_LIMIT:-0.2}
generator=../shared/bench/gen_maillog.py
[ -r "$generator" ] || {
    echo "follow.sh: SKIPPED: $generator is not there"
    exit 77
}
scratch=$(mktemp -d /tmp/gv-follow.XXXXXX)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null || true; rm -rf "$scratch"' EXIT
log=$scratch/mail.log
: >"$log"
python3 "$generator" "$((100 * (seconds + 4)))" 2>/dev/null | cut -c 17- >"$scratch/lines"

port=15400
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
cat >"$scratch/node.conf" <<CONF
[node]
data = $scratch/data
$([[ $EUID != 0 ]] || echo "user = root")
listen = 127.0.0.1:$port
[log]
file = $log
timezone = UTC
CONF
"$bin/grapevined" --config "$scratch/node.conf" >"$scratch/daemon.log" 2>&1 &
ours=$!
pids+=("$ours")

peer=
if [ "${FOLLOW_PEERS:-yes}" = yes ] && command -v fail2ban-server >/dev/null; then
    mkdir "$scratch/f2b"
    cp -r /etc/fail2ban/. "$scratch/f2b/"
    rm -rf "$scratch"/f2b/jail.d/* "$scratch"/f2b/jail.local
    cat >"$scratch/f2b/jail.local" <<CONF
[DEFAULT]
backend = auto
banaction = dummy
action =
[postfix]
enabled = true
mode = auth
logpath = $log
[dovecot]
enabled = true
logpath = $log
CONF
    fail2ban-server -c "$scratch/f2b" -s "$scratch/f2b.sock" -p "$scratch/f2b.pid" --loglevel ERROR \
        --logtarget "$scratch/f2b.log" -f start >"$scratch/f2b.out" 2>&1 &
    peer=$!
    pids+=("$peer")
fi
tail -n 0 -F "$log" 2>/dev/null | grep --line-buffered 'auth failed' >/dev/null &
grep=$!
tail=$(pgrep -P $$ -x tail | head -n 1)
pids+=("$grep" "$tail")

# Nanoseconds on a processor, of all threads; the kernel's ticks are a hundredth of a second each.
spent() { cat /proc/"$1"/task/*/schedstat 2>/dev/null | awk '{ns += $1} END {printf "%.0f\n", ns}'; }
measure() { # writes "ours peer tail" to $scratch/$1 after $2 seconds
    local a b c
    a=$(spent "$ours") b=$(spent "${peer:-none}") c=$(($(spent "$grep") + $(spent "$tail")))
    sleep "$2"
    echo "$(($(spent "$ours") - a)) $(($(spent "${peer:-none}") - b)) $(($(spent "$grep") + $(spent "$tail") - c))" >"$scratch/$1"
}

sleep 5
measure idle "$seconds"
python3 - "$log" "$scratch/lines" <<'PY' &
import datetime, sys, time
log = open(sys.argv[1], "a", buffering=1)
start = time.monotonic()
for n, line in enumerate(open(sys.argv[2])):
    time.sleep(max(0.0, start + n / 100 - time.monotonic()))
    log.write(datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00 ") + line)
PY
writer=$!
pids+=("$writer")
sleep 2
measure busy "$seconds"
lines=$("$bin/grapevine" --config "$scratch/node.conf" status --json | sed -n 's/^ *"lines": \([0-9]*\),*$/\1/p' | head -n 1)
read -r oi pi ti <"$scratch/idle"
read -r ob pb tb <"$scratch/busy"
missed=0
awk -v s="$seconds" -v limit="$limit" -v oi="$oi" -v ob="$ob" -v pi="$pi" -v pb="$pb" -v ti="$ti" -v tb="$tb" -v lines="$lines" -v peer="$peer" 'BEGIN {
    f = 100 / 1e9 / s
    printf "%d lines read so far; percent of a core over %d s, quiet log and 100 lines/s:\n", lines, s
    printf "  grapevined       %.3f  %.3f\n", oi * f, ob * f
    if (peer != "") printf "  fail2ban-server  %.3f  %.3f\n", pi * f, pb * f
    printf "  tail -F | grep   %.3f  %.3f\n", ti * f, tb * f
    ours = (ob - oi) * f
    if (ours < 0.001) ours = 0.001
    printf "limit: percent of a core, at most %s: %s (%.3f)\n", limit, ours <= limit ? "met" : "missed", ours
    printf "follow: ours %.3f, limit %s %% of a core, ratio %.2f", ours, limit, limit / ours
    if (peer != "") printf "; fail2ban-server %.3f, ratio %.1f", (pb - pi) * f, (pb - pi) * f / ours
    printf "\n"
    exit ours > limit ? 3 : 0
}' || { [ $? = 3 ] && missed=1; }
[ "$missed" = 0 ] || [ "${BENCH_STRICT:-no}" != yes ]
