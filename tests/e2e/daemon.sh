#!/usr/bin/env bash
# The real grapevined and grapevine from outside: configuration, start, signals, restart, exit
# codes, and every command on a node that is not enrolled. No network needed.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail

bin=${GV_BIN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/bin}
scratch=$(mktemp -d /tmp/gv-daemon.XXXXXX)
conf=$scratch/node.conf
log=$scratch/mail.log
daemon=
failures=0

clean_up() {
    [[ -z $daemon ]] || kill "$daemon" 2>/dev/null
    rm -rf "$scratch"
}
trap clean_up EXIT

# ---- small tools ----------------------------------------------------------------------------

fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# expect STATUS COMMAND...: output and errors go to $scratch/out and $scratch/err
expect() {
    local wanted=$1 got
    shift
    "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    got=$?
    ((got == wanted)) || fail "$*: exit status $got instead of $wanted: $(head -n 3 "$scratch/err")"
}
says() { grep -qF -- "$1" "$scratch/out" || fail "the output lacks \"$1\": $(head -n 5 "$scratch/out")"; }
complains() { grep -qF -- "$1" "$scratch/err" || fail "the error lacks \"$1\": $(head -n 5 "$scratch/err")"; }
is_json() {
    command -v python3 >/dev/null || return 0
    python3 -m json.tool <"$scratch/out" >/dev/null 2>&1 || fail "$*: not JSON: $(head -n 3 "$scratch/out")"
}
logged() { grep -qF -- "$1" "$scratch/daemon.log"; }
wait_for() {
    local left=200
    until "$@"; do
        ((left-- > 0)) || {
            fail "gave up waiting for: $*"
            return 1
        }
        sleep 0.05
    done
}
ask() { "$bin/grapevine" --config "$conf" "$@"; }
answers() { ask status >/dev/null 2>&1; }

write_conf() {
    cat >"$conf" <<CONF
[node]
data = $scratch/data
$([[ $EUID != 0 ]] || echo "user = root")
listen = 127.0.0.1:$port

[share]
mode = ${1:-preview}

[limits]
traffic = 2000

[log]
file = $log
from_start = yes
timezone = UTC
CONF
}

start() {
    "$bin/grapevined" --config "$conf" >"$scratch/daemon.log" 2>&1 </dev/null &
    daemon=$!
    wait_for answers
}
stop() { # [SIGNAL]
    kill -"${1:-TERM}" "$daemon"
    wait "$daemon"
    local status=$?
    ((status == 0)) || fail "SIG${1:-TERM}: exit status $status: $(tail -n 3 "$scratch/daemon.log")"
    daemon=
}

port=15000
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done

fails() { # ADDRESS COUNT: genuine words of Dovecot's
    local n
    for ((n = 0; n < $2; n++)); do
        printf '%s vm dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u%d>, method=PLAIN, rip=%s, lip=127.0.0.1, session=<s%d%d>\n' \
            "$(date -u +%Y-%m-%dT%H:%M:%S.000000+00:00)" "$n" "$1" "$RANDOM" "$n" >>"$log"
    done
}
number() { ask status --json | sed -n "s/^ *\"$1\": \([0-9]*\),*$/\1/p" | head -n 1; }
has_read() { [[ $(number lines) == "$1" ]]; }
failures_of() { ask ip --json "$1" | sed -n 's/^ *"failures": \([0-9]*\),*$/\1/p'; }

# ---- configuration --------------------------------------------------------------------------

write_conf
expect 0 "$bin/grapevined" --config "$conf" --check-config
says valid
expect 0 "$bin/grapevined" --help-config
says '[network]'
expect 0 "$bin/grapevined" --version
says grapevined
expect 64 "$bin/grapevined" --no-such-option
expect 64 "$bin/grapevined" one-word-too-many
expect 78 "$bin/grapevined" --config "$scratch/absent.conf"
complains absent.conf

printf '[node]\nlisen = 1\n[share]\nmode = maybe\n[node]\nbind = 127.0.0.0/8\n[network]\nid = 12\n' >"$scratch/bad.conf"
expect 78 "$bin/grapevined" --config "$scratch/bad.conf"
complains "bad.conf:2: [node] lisen: "
complains "bad.conf:4: [share] mode: "
printf '[node]\nbind = 127.0.0.0/8\n[network]\nid = 12\n[log]\nfile = mail.log\n' >"$scratch/bad.conf"
expect 78 "$bin/grapevined" --config "$scratch/bad.conf" --check-config
complains "bad.conf:2: [node] bind: "
complains "bad.conf:4: [network] id: "
complains "bad.conf:6: [log] file: "
expect 78 "$bin/grapevine" --config "$scratch/bad.conf" status
complains "bad.conf:4: [network] id: "

# Values of the right type that cannot be right; test_config has the rest of them.
bad() { # SECTION LINE WANTED
    printf '[node]\ndata = %s/data\n[%s]\n%s\n' "$scratch" "$1" "$2" >"$scratch/bad.conf"
    expect 78 "$bin/grapevined" --config "$scratch/bad.conf" --check-config
    complains "bad.conf:4: [$1] ${2%% *}: "
    complains "$3"
}
bad log 'timezone = Europe/Berlyn' 'Europe/Berlin'
bad policy 'allow = 192.0.2.1/24' 'write 192.0.2.0/24'
bad network 'registry = http://x y' 'https://HOST'
bad network 'descriptor = /nonexistent' 'No such file'
bad node 'control_group = nosuchgroup' 'groupadd'
bad limits 'traffic = 999' 'from 1000 to 1000000'

# ---- what stands in the way of a start --------------------------------------------------------

expect 69 ask status
complains "start it with \`grapevined --config $conf\`"
complains "--socket"
grep -q systemctl "$scratch/err" && fail "it speaks of a unit that does not exist"
complains "$scratch/data/control.sock"
expect 69 "$bin/grapevine" --socket "$scratch/none.sock" ip 192.0.2.1

start
wait_for logged "$log is not there yet"
(($(grep -c "is not there yet" "$scratch/daemon.log") == 1)) || fail "warned more than once"
[[ $(ask traffic --json | tr -d ' ') == *'"cap_per_hour":2000000,'* ]] || fail "[limits] traffic is not the cap: $(ask traffic --json)"
[[ $(stat -c %a "$scratch/data/key") == 600 ]] || fail "the key file has the wrong mode"
[[ $(stat -c %a "$scratch/data") == 700 ]] || fail "the data folder has the wrong mode"
[[ $(stat -c %a "$scratch/data/control.sock") == 660 ]] || fail "the socket has the wrong mode"

# A second one on the same folder, and one on the same port.
expect 69 "$bin/grapevined" --config "$conf"
complains "in use by another grapevined"
sed "s|^data = .*|data = $scratch/data2|" "$conf" >"$scratch/second.conf"
expect 69 "$bin/grapevined" --config "$scratch/second.conf"
complains "port is in use"
complains "[node] listen"

# ---- every command on a node that is not enrolled ---------------------------------------------

expect 0 ask status
says "enrolled       no"
says "waiting for the file"
for command in status peers list telemetry allow deny; do
    expect 0 ask "$command"
    expect 0 ask "$command" --json
    is_json "$command"
    expect 0 ask "$command" --help
    expect 64 ask "$command" --no-such-option
done
expect 0 ask peers --all --json
is_json "peers --all"
expect 0 ask ip --json 192.0.2.1
is_json ip
says '"verdict": "unknown"'
expect 64 ask ip
complains "ADDR is missing"
expect 65 ask ip 300.1.1.1
complains "is not an address"
expect 65 ask ip $'\e[31mred'
grep -q $'\e' "$scratch/err" && fail "an escape reached the terminal"
expect 64 ask
expect 64 ask no-such-command
expect 69 ask network
complains "--registry"
expect 69 ask enroll --email a@b.test --accept-terms
complains "registry"
expect 64 ask enroll
expect 69 ask confirm 123456
expect 0 ask deny 203.0.113.0/24 --json
is_json deny
expect 0 ask --json allow 198.51.100.99
is_json allow
expect 65 ask deny 203.0.113.1/24
expect 0 ask ip 203.0.113.5
says refuse
says "deny list"
expect 69 ask retract 198.51.100.1
complains "not enrolled"
expect 69 ask unlist 192.0.2.1
complains "192.0.2.1 is on neither list"

# ---- the log comes, and goes on through a restart ---------------------------------------------

fails 192.0.2.66 2
fails 192.0.2.67 1
wait_for has_read 3
wait_for logged "reading the log"
expect 0 ask ip 192.0.2.66
says "one-strike"
says "2 in the last 24 h"
stop
logged stopped || fail "it does not say that it stopped"
[[ ! -e $scratch/data/control.sock ]] || fail "the socket is left behind"
fails 192.0.2.66 1 # while it is down: neither lost nor read twice
start
wait_for has_read 1
[[ $(failures_of 192.0.2.66) == 3 ]] || fail "failures after the restart: $(failures_of 192.0.2.66)"
[[ $(failures_of 192.0.2.67) == 1 ]] || fail "a line was read twice"
expect 0 ask deny
says 203.0.113.0/24
says "by command"

# The same when it is killed.
fails 192.0.2.68 1
wait_for has_read 2
sleep 0.3
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
fails 192.0.2.68 1
start
# What was not stored yet is read again: one line or two, and each counts once.
both_count() { [[ $(failures_of 192.0.2.68) == 2 ]]; }
wait_for both_count
sleep 0.6
both_count || fail "failures after the kill: $(failures_of 192.0.2.68)"
[[ $(failures_of 192.0.2.66) == 3 ]] || fail "history is lost by a kill"

# ---- reload -----------------------------------------------------------------------------------

write_conf yes
kill -HUP "$daemon"
wait_for logged "configuration reloaded"
[[ $(ask status --json | grep -c '"share": "yes"') == 1 ]] || fail "share was not reloaded"
echo 'nonsense = 1' >>"$conf"
kill -HUP "$daemon"
wait_for logged "the old one stays in force"
logged "[log] nonsense" || fail "the reload does not say which line"
"$bin/grapevine" --socket "$scratch/data/control.sock" reload >"$scratch/out" 2>"$scratch/err"
(($? == 78)) || fail "reload of a bad configuration: not 78"
complains nonsense
answers_by_socket() { "$bin/grapevine" --socket "$scratch/data/control.sock" status >"$scratch/out"; }
answers_by_socket || fail "it does not answer after a bad reload"
says "share          yes"
write_conf no
sed -i "s|^listen = .*|listen = 127.0.0.1:1|; s|^file = .*|file = $log, $scratch/other.log|" "$conf"
expect 0 ask reload
says reloaded
wait_for logged "[node] listen has changed: that takes effect at the next start"
wait_for logged "$scratch/other.log is not there yet"
[[ $(ask status --json | grep -c '"share": "no"') == 1 ]] || fail "share was not reloaded again"
write_conf
stop

# ---- files that others can read or have spoilt ------------------------------------------------

chmod 0640 "$scratch/data/key"
expect 77 "$bin/grapevined" --config "$conf"
complains "data/key"
chmod 0600 "$scratch/data/key"
cp "$scratch/data/store.db" "$scratch/store.good"
head -c 20000 /dev/urandom >"$scratch/data/store.db"
rm -f "$scratch/data/store.db-wal" "$scratch/data/store.db-shm"
start # it is set aside, and an empty one takes its place
logged "is set aside as $scratch/data/store.db.corrupt-" || fail "it does not say that the store is damaged"
[[ $(ask status --json | grep -c '"ok": true') == 1 ]] || fail "the store is not in use"
stop
rm -f "$scratch"/data/store.db*
cp "$scratch/store.good" "$scratch/data/store.db"

# ---- few files may be open --------------------------------------------------------------------

was_open=$(ulimit -n)
ulimit -Sn 200
start # the soft limit is raised by itself
logged "files may be open" && fail "it complains of a soft limit"
stop
(
    ulimit -n 200
    exec "$bin/grapevined" --config "$conf"
) 2>"$scratch/daemon.log" &
daemon=$!
wait_for answers
logged "only 200 files may be open, and" || fail "it does not say that too few files may be open"
stop
ulimit -Sn "$was_open"

# ---- a log that is awaited, and one that is deleted, without from_start ---------------------------

write_conf
sed -i "s|^file = .*|file = $scratch/late.log|; /^from_start/d" "$conf"
start
wait_for logged "late.log is not there yet"
main_log=$log
log=$scratch/late.log
fails 192.0.2.71 3
wait_for has_read 3
[[ $(failures_of 192.0.2.71) == 3 ]] || fail "the first lines of a new log: $(failures_of 192.0.2.71)"
rm "$log"
wait_for logged "late.log is gone; waiting for it to come back"
expect 0 ask status
says "gone, waiting for it"
sleep 0.6
(($(grep -c "late.log is gone" "$scratch/daemon.log") == 1)) || fail "told more than once"
fails 192.0.2.71 2
wait_for has_read 5
[[ $(failures_of 192.0.2.71) == 5 ]] || fail "the first lines of its successor: $(failures_of 192.0.2.71)"
log=$main_log
stop

# ---- what the commands make of answers that are hard to bring about -----------------------------

# A daemon that answers every question with a file.
pretend() { # FILE
    python3 - "$scratch/pretend.sock" "$1" <<'PY' &
import os, socket, sys
path, body = sys.argv[1], open(sys.argv[2], "rb").read()
s = socket.socket(socket.AF_UNIX)
s.bind(path + ".new")
s.listen(4)
os.rename(path + ".new", path)
c, _ = s.accept()
c.recv(65536)
c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
          b"Connection: close\r\n\r\n" % len(body) + body)
c.close()
PY
    wait_for test -S "$scratch/pretend.sock"
}
pretended() { # STATUS FILE COMMAND...
    local wanted=$1
    pretend "$2"
    shift 2
    expect "$wanted" "$bin/grapevine" --socket "$scratch/pretend.sock" "$@"
    wait $! 2>/dev/null
    rm -f "$scratch/pretend.sock"
}
if command -v python3 >/dev/null; then
    echo '{"enrolled":true,"revoked":true,"advice":"this node is revoked","mesh":{"clock_offset_ms":-7200}}' >"$scratch/answer"
    pretended 0 "$scratch/answer" status
    says "REVOKED: this node is revoked"
    says "7 s ahead of"
    grep -q NTP "$scratch/out" && fail "a hint for seven seconds"
    echo '{"enrolled":false,"revoked":false,"advice":"enrol again","mesh":{"clock_offset_ms":301000}}' >"$scratch/answer"
    pretended 0 "$scratch/answer" status
    says "no: enrol again"
    says "301 s behind those of its peers: set it, with NTP"
    echo '{"enrolled":true,"certificate_expires":"X","advice":null,"mesh":{"clock_offset_ms":4999}}' >"$scratch/answer"
    pretended 0 "$scratch/answer" status
    says "certificate until X"
    grep -q "  clock" "$scratch/out" && fail "a clock that is right is mentioned"

    a='{"instance":"aa","time":"T1"}' b='{"instance":"bb","time":"T2"}'
    entry() { # STATE COUNT ACKS
        printf '{"number":27,"state":"%s","acknowledged":[%s],"acknowledged_count":%d,"statement":{"kind":"signal"}}\n' "$1" "$3" "$2"
    }
    {
        entry queued 0 ''
        entry sent 1 "$b"
        entry sent 1 "$b"
        entry sent 2 "$a,$b"
        entry sent 3 "$a,$b"
        entry sent 3 "$a,$b"
    } >"$scratch/answer"
    pretended 69 "$scratch/answer" telemetry --follow
    (($(grep -c "signal on" "$scratch/out") == 1)) || fail "an entry is shown more than once"
    grep '^#27 sent' "$scratch/out" >"$scratch/changes"
    printf '#27 sent, acknowledged by %s\n' bb aa 3 | cmp -s - "$scratch/changes" ||
        fail "the changes of an entry: $(cat "$scratch/changes")"
    pretended 69 "$scratch/answer" --json telemetry --follow
    (($(wc -l <"$scratch/out") == 4)) || fail "JSON lines: $(cat "$scratch/out")"
    says '{"number":27,"state":"sent","acknowledged_by":"bb","time":"T2"}'
    [[ -z $(sort "$scratch/out" | uniq -d) ]] || fail "a line came twice"
fi

# SIGINT is as good as SIGTERM; standard input is a log too.
sed -i "s|^file = .*|file = -|" "$conf"
fails 192.0.2.69 2
tail -n 2 "$log" >"$scratch/input"
"$bin/grapevined" --config "$conf" >"$scratch/daemon.log" 2>&1 <"$scratch/input" &
daemon=$!
wait_for answers
wait_for has_read 2
[[ $(failures_of 192.0.2.69) == 2 ]] || fail "standard input: $(failures_of 192.0.2.69)"
stop INT

# ---- a registry that is down, a group for the socket --------------------------------------------

write_conf
sed -i "s|^\[share\]|control = $scratch/run.sock\ncontrol_group = no-such-group\n\n[network]\nregistry = http://127.0.0.1:1\n\n[share]|" "$conf"
expect 78 "$bin/grapevined" --config "$conf"
complains "no group \"no-such-group\""
sed -i "s|no-such-group|nogroup|" "$conf"
start
[[ $(stat -c %G "$scratch/run.sock") == nogroup || $EUID != 0 ]] || fail "the socket's group is not set"
wait_for logged "the mesh works without it"
expect 0 ask status
says "registry "
expect 75 ask network
complains "has not come from the registry yet"
expect 69 ask enroll --email a@b.test --accept-terms

# ---- the flow of mail ---------------------------------------------------------------------------

stamp=$(date -u +%Y-%m-%dT%H:%M:%S.000000+00:00)
printf '%s vm postfix/%s\n' "$stamp" 'smtpd[1]: 4F2A91: client=c.test[198.51.100.7]' \
    "$stamp" 'qmgr[2]: 4F2A91: from=<s@t.test>, size=4711, nrcpt=1 (queue active)' >>"$log"
counted() { [[ $(number bytes_received) == 4711 && $(number received) == 1 ]]; }
wait_for counted
expect 0 ask status
says "Mail since the start"
says "1, as far as the log tells"
stop

if ((failures > 0)); then
    printf '%d failures\n' "$failures"
    exit 1
fi
echo "daemon: all as it should be"
