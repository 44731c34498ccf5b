#!/usr/bin/env bash
# A log of ever more addresses: the real grapevined follows it, and its memory stays under its caps;
# the least interesting are forgotten first. ADDRESSES (40,000) that fail once each, more than twice
# HISTORY (2,000, `[limits] history`), most of them while the daemon is not up, so that it has them all
# to catch up with; and one that fails every thousand lines, which must not be forgotten.
# MOST: kB that its peak may grow by over the start.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/e2e/frame.sh
. "$here/frame.sh"
needs python3
bin=${GV_BIN:-$here/../../build/bin}
addresses=${ADDRESSES:-40000}
history=${HISTORY:-2000}
# Under ASan 12.3 MB with these numbers, and 21 MB with a history that holds all 40,000.
grep -q __asan_init "$bin/grapevined" && wide=16384 || wide=8192
most=${MOST:-$wide}
scratch=$(mktemp -d /tmp/gv-addresses.XXXXXX)
conf=$scratch/node.conf
daemon=
trap '[[ -z $daemon ]] || kill "$daemon"; wait; rm -rf "$scratch"' EXIT
# What a sanitizer keeps of freed memory is not the daemon's.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1:thread_local_quarantine_size_kb=64

port=15600
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
cat >"$conf" <<CONF
[node]
data = $scratch/data
$([[ $EUID != 0 ]] || echo "user = root")
listen = 127.0.0.1:$port
[log]
file = $scratch/mail.log
timezone = UTC
[limits]
history = $history
CONF
ask() { "$bin/grapevine" --config "$conf" "$@"; }
answers() { ask status >/dev/null 2>&1; }
peak() { awk '/^VmHWM:/ { print $2 }' "/proc/$daemon/status"; }
number() { sed -n "s/^ *\"$1\": \([0-9]*\),*$/\1/p" | head -n 1; }
failures_of() { ask ip --json "$1" | number failures; }
read_all() { (($(ask status --json | number lines) >= addresses + addresses / 1000)); }

start() {
    "$bin/grapevined" --config "$conf" >"$scratch/daemon.log" 2>&1 </dev/null &
    daemon=$!
    wait_for 30 "the daemon" answers
}
write() { # FROM TO: addresses
    python3 - "$1" "$2" >>"$scratch/mail.log" <<'PY'
import datetime, sys
first, last = int(sys.argv[1]), int(sys.argv[2])
start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=50)
for i in range(first, last):
    if i % 1000 == 0:
        at = start + datetime.timedelta(seconds=i * 2400 / last)
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.000000+00:00")
    ips = ["%d.%d.%d.%d" % (60 + i // 16777216, i // 65536 % 256, i // 256 % 256, i % 256)]
    if i % 1000 == 0:
        ips.append("193.1.2.3")
    for ip in ips:
        print(f"{stamp} mx postfix/smtpd[{i % 30000}]: warning: unknown[{ip}]: "
              "SASL LOGIN authentication failed: x")
PY
}

: >"$scratch/mail.log"
start
before=$(peak)
kill "$daemon"
wait "$daemon"
write 0 $((addresses * 9 / 10))
start
write $((addresses * 9 / 10)) "$addresses"
wait_for $((60 + addresses / 1000)) "the daemon to read all" read_all
after=$(peak)
subjects=$(ask status --json | number local_subjects)
echo "addresses: $addresses, remembered $subjects of at most $history, peak $before kB at the start, $after kB in the end"
((subjects <= history)) || fail "more are remembered than history allows: $subjects"
((subjects >= history / 2)) || fail "far fewer are remembered than history allows: $subjects"
((before > 1000 && after - before <= most)) || fail "memory has grown by $((after - before)) kB, more than $most"
[[ $(failures_of 193.1.2.3) == $((addresses / 1000)) ]] ||
    fail "who fails again and again was forgotten: $(failures_of 193.1.2.3)"
((failures == 0)) || exit 1
echo "addresses: all well"
