#!/usr/bin/env bash
# The flow of mail is kept: a real grapevined that is killed again and again while its log grows
# counts each line once, by the command and by the API alike (SPEC 10.8). Loopback alone.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/e2e/frame.sh
. "$here/frame.sh"
bin=${GV_BIN:-$here/../../build/bin}
scratch=$(mktemp -d /tmp/gv-stats.XXXXXX)
conf=$scratch/node.conf
log=$scratch/mail.log
daemon=
writer=

clean_up() {
    [[ -z $writer ]] || kill "$writer" 2>/dev/null
    [[ -z $daemon ]] || kill "$daemon" 2>/dev/null
    rm -rf "$scratch"
}
trap clean_up EXIT
ask() { timeout 20 "$bin/grapevine" --config "$conf" "$@"; }
answers() { ask status >/dev/null 2>&1; }
sum() { ask stats --json "${@:2}" | python3 -c 'import json,sys; print(json.load(sys.stdin)["sum"][sys.argv[1]])' "$1"; }
is() { [[ $(sum "$1" "${@:3}") == "$2" ]]; }

port=15600
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
cat >"$conf" <<CONF
[node]
data = $scratch/data
$([[ $EUID != 0 ]] || echo "user = root")
listen = 127.0.0.1:$port
[log]
file = $log
from_start = yes
CONF
start() {
    "$bin/grapevined" --config "$conf" >>"$scratch/daemon.log" 2>&1 </dev/null &
    daemon=$!
    soon answers
}

# Six lines a message: received, taken up, one recipient delivered, one bounced, one deferred, removed.
cat >"$scratch/write.py" <<'PYTHON'
import datetime, sys, time
path, count, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
with open(path, "a", buffering=1) as out:
    for i in range(count):
        stamp = datetime.datetime.now(datetime.timezone.utc).isoformat()
        q = "%05XB" % i
        to = "to=<u@far.example>, relay=%s, delay=1, delays=0/0/0/1, dsn=0.0.0, status=%s"
        far = "mx.far.example[198.51.100.7]:25"
        for who, text in (("smtpd", "client=x.example[192.0.2.9]"),
                          ("qmgr", "from=<a@here.example>, size=100, nrcpt=3 (queue active)"),
                          ("smtp", to % (far, "sent (250 ok)")),
                          ("smtp", to % (far, "bounced (host said 550)")),
                          ("smtp", to % ("none", "deferred (no route)")),
                          ("qmgr", "removed")):
            out.write(f"{stamp} mx postfix/{who}[1]: {q}: {text}\n")
        time.sleep(pause)
PYTHON
touch "$log"
N=3000
start
python3 "$scratch/write.py" "$log" $N 0.002 &
writer=$!
kills=0
while kill -0 "$writer" 2>/dev/null; do
    sleep 0.$((RANDOM % 9))3
    kill -KILL "$daemon"
    wait "$daemon" 2>/dev/null
    kills=$((kills + 1))
    start
done
writer=
echo "killed $kills times"
((kills >= 3)) || fail "killed only $kills times"
soon is deferred $N # the last that a message counts as
for by in minute hour day; do
    for what in received delivered bounced deferred deferrals; do
        got=$(sum $what --by $by)
        [[ $got == "$N" ]] || fail "$what by the $by: $got of $N"
    done
    got=$(sum outgoing --by $by)
    [[ $got == $((2 * N)) ]] || fail "outgoing by the $by: $got of $((2 * N))"
done
is bytes_received $((100 * N)) || fail "bytes received: $(sum bytes_received) of $((100 * N))"
# One message's lines with kills between them: it is still the same message.
line() { printf '%s mx postfix/%s\n' "$(date -u +%Y-%m-%dT%H:%M:%S.%6N+00:00)" "$1" >>"$log"; }
slay() {
    kill -KILL "$daemon"
    wait "$daemon" 2>/dev/null
    start
}
queued() { [[ $(ask status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["mail"]["queue"]["messages"])') == "$1" ]]; }
line 'smtpd[1]: FFFFFB: client=x.example[192.0.2.9]'
soon is received $((N + 1))
slay
line 'qmgr[1]: FFFFFB: from=<a@here.example>, size=100, nrcpt=1 (queue active)'
soon is bytes_received $((100 * N + 100))
slay
queued 1 || fail "the queue is forgotten by a restart"
# The minute is not over, and its row knows nothing of the queue: what is told is the queue of now.
ask stats --by minute | grep -q 'in the queue now: 1, the oldest since 20' ||
    fail "the queue of now: $(ask stats --by minute | tail -n 2)"
line 'qmgr[1]: FFFFFB: removed'
soon queued 0
ask stats | grep -q '▇\|█' || fail "there is no sparkline"
refused() { ! ask "${@:2}" >/dev/null 2>"$scratch/said" && grep -q "$1" "$scratch/said"; }
refused 'by must be minute, hour or day' stats --by week || fail "--by week: $(<"$scratch/said")"
ask stats --since 99999d | grep -q "by the hour, $(date -u -d '90 days ago' +%Y)-" || fail "--since 99999d: $(ask stats --since 99999d | head -n 1)"
refused 'is not a time' stats --since yesterday || fail "--since yesterday: $(<"$scratch/said")"
ask alerts | grep -q 'still learning' || fail "alerts does not say that it learns"
ask alerts --json | python3 -c 'import json,sys; d=json.load(sys.stdin); assert d=={"baseline":"learning","alerts":[]},d' ||
    fail "alerts --json"
# A row for each minute, not for each line.
kill "$daemon"
wait "$daemon" || fail "the daemon's exit status"
daemon=
rows=$(python3 -c 'import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*), max(length(key) + length(value) + length(mac)) FROM statistic").fetchone())' "$scratch/data/store.db")
echo "rows, longest: $rows"
python3 -c "import sys; n,l=$rows; sys.exit(not (n < 12 and l < 1024))" || fail "rows: $rows"
((failures == 0)) && echo "passed"
exit $((failures != 0))
