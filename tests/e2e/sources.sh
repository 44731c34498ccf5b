#!/usr/bin/env bash
# The real grapevined on every kind of source at once: a file, the journal, syslog datagrams of the
# real logger; killed while its log is rotated and compressed; and old logs imported. No network
# but loopback.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/e2e/frame.sh
. "$here/frame.sh"
bin=${GV_BIN:-$here/../../build/bin}
scratch=$(mktemp -d /tmp/gv-sources.XXXXXX)
conf=$scratch/node.conf
log=$scratch/mail.log
journal=$scratch/journal
remote=/usr/lib/systemd/systemd-journal-remote
daemon=

clean_up() {
    [[ -z $daemon ]] || kill "$daemon" 2>/dev/null
    rm -rf "$scratch"
}
trap clean_up EXIT

ask() { "$bin/grapevine" --config "$conf" "$@"; }
answers() { ask status >/dev/null 2>&1; }
logged() { grep -qF -- "$1" "$scratch/daemon.log"; }
field() { ask ip --json "$1" 2>/dev/null | sed -n "s/^ *\"$2\": \([a-z0-9]*\),*$/\1/p" | head -n 1; }
failed() { [[ $(field "$1" failures) == "$2" ]]; }

port=15200
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
udp=$((port + 7000))
cat >"$conf" <<CONF
[node]
data = $scratch/data
$([[ $EUID != 0 ]] || echo "user = root")
listen = 127.0.0.1:$port
[log]
file = $log, journal:$journal, syslog:udp:127.0.0.1:$udp, syslog:unix:$scratch/log.sock
from_start = yes
timezone = UTC
CONF
start() {
    "$bin/grapevined" --config "$conf" >"$scratch/daemon.log" 2>&1 </dev/null &
    daemon=$!
    soon answers
}
slay() {
    kill -KILL "$daemon"
    wait "$daemon" 2>/dev/null
    daemon=
}
text() { # ADDRESS: what Dovecot says of a failure
    echo "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u>, method=PLAIN, rip=$1, lip=127.0.0.1, session=<s>"
}
stamp() { date -u -d "${1:-now}" +%Y-%m-%dT%H:%M:%S.%6N+00:00; }
fails() { echo "$(stamp) vm dovecot: $(text "$1")" >>"$log"; }
login() { # ADDRESS WHEN
    echo "$(stamp "$2") vm dovecot: imap-login: Login: user=<u>, method=PLAIN, rip=$1, lip=127.0.0.1, mpid=1, session=<s>"
}
entry() { # ADDRESS
    printf '__REALTIME_TIMESTAMP=%s\n__MONOTONIC_TIMESTAMP=1\n_BOOT_ID=0123456789abcdef0123456789abcdef\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=dovecot\n_PID=7\n_UID=0\n_HOSTNAME=vm\nMESSAGE=%s\n\n' \
        "$(date +%s)000000" "$(text "$1")" | "$remote" -o "$journal/test.journal" - >/dev/null 2>&1
}

# ---- what cannot be a source --------------------------------------------------------------------

bad() { # SOURCE WANTED
    sed "s|^file = .*|file = $1|" "$conf" >"$scratch/bad.conf"
    "$bin/grapevined" --config "$scratch/bad.conf" --check-config >/dev/null 2>"$scratch/err"
    (($? == 78)) || fail "$1 is accepted"
    grep -qF "bad.conf:6: [log] file: " "$scratch/err" || fail "$1: no line: $(cat "$scratch/err")"
    grep -qF "$2" "$scratch/err" || fail "$1: $(cat "$scratch/err")"
}
bad syslog:udp:0.0.0.0:5514 syslog_from
bad syslog:udp:5514 syslog:udp:127.0.0.1:5514
bad syslog:unix:log 'absolute path'
bad journald 'journal:FOLDER'
for mode in 0999 0440 rw 1777; do
    { cat "$conf" && echo "syslog_mode = $mode"; } >"$scratch/bad.conf"
    "$bin/grapevined" --config "$scratch/bad.conf" --check-config >/dev/null 2>"$scratch/err"
    (($? == 78)) || fail "syslog_mode = $mode is accepted"
    grep -qF 'bad.conf:9: [log] syslog_mode: ' "$scratch/err" || fail "$mode: $(cat "$scratch/err")"
done

# ---- all at once ----------------------------------------------------------------------------------

start
soon logged "there is no journal to read"
fails 192.0.2.1
logger --rfc3164 -n 127.0.0.1 -P "$udp" -d -p mail.info -t dovecot -- "$(text 192.0.2.2)"
logger --rfc5424 -n 127.0.0.1 -P "$udp" -d -p mail.info -t dovecot -- "$(text 192.0.2.2)"
logger -u "$scratch/log.sock" -p mail.info -t dovecot -- "$(text 192.0.2.3)"
[[ $(stat -c %a "$scratch/log.sock") == 660 ]] || fail "the socket has the wrong mode"
soon failed 192.0.2.1 1
soon failed 192.0.2.2 2
soon failed 192.0.2.3 1
if [[ -x $remote ]]; then
    mkdir "$journal"
    entry 192.0.2.4
    soon failed 192.0.2.4 1 # it was awaited, so it is new as a whole
else
    echo "systemd-journal-remote is not installed: the journal is SKIPPED"
fi

# ---- killed, and the log rotated, rotated again and compressed meanwhile ---------------------------

slay
[[ -S $scratch/log.sock ]] || fail "the kill should leave the socket behind"
fails 192.0.2.1
sleep 0.05
mv "$log" "$log.1"
fails 192.0.2.1
sleep 0.05
gzip "$log.1" && mv "$log.1.gz" "$log.2.gz"
mv "$log" "$log.1"
fails 192.0.2.1
[[ ! -x $remote ]] || entry 192.0.2.4
start
soon failed 192.0.2.1 4
[[ ! -x $remote ]] || soon failed 192.0.2.4 2
logger -u "$scratch/log.sock" -p mail.info -t dovecot -- "$(text 192.0.2.3)"
soon failed 192.0.2.3 2
slay
start
sleep 1
failed 192.0.2.1 4 || fail "192.0.2.1 after two restarts: $(field 192.0.2.1 failures)"
[[ ! -x $remote ]] || failed 192.0.2.4 2 || fail "the journal was read twice: $(field 192.0.2.4 failures)"

# ---- the past ---------------------------------------------------------------------------------------

{
    login 192.0.2.9 '20 days ago'
    echo "$(stamp '20 days ago') vm dovecot: $(text 192.0.2.8)"
} | gzip >"$scratch/old" # by its content, not its name
{
    login 192.0.2.9 '12 days ago'
    for _ in 1 2 3 4 5 6; do echo "$(stamp '1 hour ago') vm dovecot: $(text 192.0.2.8)"; done
} >"$scratch/new"
[[ $(field 192.0.2.9 clean) == true ]] && fail "clean before the import"
ask import "$scratch/new" "$scratch/old" >"$scratch/out" || fail "import: exit status $?"
grep -qF '2 logins of 9 lines in 2 files' "$scratch/out" || fail "import: $(cat "$scratch/out")"
[[ $(field 192.0.2.9 clean) == true ]] || fail "not clean after the import: $(ask ip --json 192.0.2.9)"
failed 192.0.2.8 0 || fail "an imported failure counts: $(ask ip --json 192.0.2.8)"
ask import --json "$scratch/old" | grep -qF '"logins": 1' || fail "a second import: $(ask import --json "$scratch/old")"
head -c 60 "$scratch/old" >"$scratch/cut"
ask import "$scratch/cut" >"$scratch/out" 2>&1
(($? == 65)) || fail "a truncated file is not told of: $(cat "$scratch/out")"
grep -qF 'ends too early' "$scratch/out" || fail "a truncated file: $(cat "$scratch/out")"
ask import "$scratch/none" >/dev/null 2>&1
(($? == 66)) || fail "a file that is not there: not 66"
ask import "$scratch" >"$scratch/out" 2>&1 && fail "a folder was imported"
slay
start
[[ $(field 192.0.2.9 clean) == true ]] || fail "the import does not outlive a kill"
kill "$daemon"
wait "$daemon" || fail "exit status $? at the end"
daemon=
[[ ! -e $scratch/log.sock ]] || fail "the socket is left behind"

((failures == 0)) && echo "sources: all well"
exit "$((failures > 0))"
