#!/usr/bin/env bash
# The webhook and the exec hook of a real daemon: against a real HTTP server that answers 500, redirects,
# hangs, drops the line and is not there at all, and a program that fails, hangs, and does not read.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${GV_BIN:-$here/../../build/bin}
# shellcheck source=tests/e2e/frame.sh
. "$here/frame.sh"
for tool in python3 jq openssl; do
    command -v $tool >/dev/null || {
        echo "hooks.sh: $tool is missing: skipped"
        exit 77
    }
done
scratch=$(mktemp -d /tmp/gv-hooks.XXXXXX)
node='' receiver=''
clean_up() {
    local pid
    for pid in $node $receiver; do kill "$pid" 2>/dev/null; done
    wait 2>/dev/null
    rm -rf "$scratch"
}
trap clean_up EXIT
port=0 # whatever is free at first, and then the same
start_receiver() { # [CERTIFICATE KEY]
    : >"$scratch/ready"
    python3 "$here/hooks.py" "$scratch" "$port" "$@" >"$scratch/ready" 2>>"$scratch/receiver.log" &
    receiver=$!
    until_true 15 "the receiver" test -s "$scratch/ready" || die "no receiver"
    port=$(cat "$scratch/ready")
}
stop_receiver() {
    kill "$receiver"
    wait "$receiver" 2>/dev/null
    receiver=
}
mode() { echo "$1" >"$scratch/mode.new" && mv "$scratch/mode.new" "$scratch/mode"; }
conf() { # lines of [hooks]
    cat >"$scratch/node.conf" <<CONF
[node]
data = $scratch/data
listen =
$run_as
[log]
file = $scratch/mail.log
from_start = yes
timezone = UTC
[hooks]
timeout = 2s
$1
CONF
}
run_as=
[ "$(id -u)" != 0 ] || run_as="user = root"
ask() { "$bin/grapevine" --config "$scratch/node.conf" "$@"; }
status() { ask status --json | jq -r ".enforcement.hooks.$1"; }
ready() { ask status --json >/dev/null 2>&1; }
start_node() {
    "$bin/grapevined" --config "$scratch/node.conf" >>"$scratch/node.log" 2>&1 &
    node=$!
    until_true 15 "the daemon" ready || die "no daemon"
}
stop_node() {
    kill "$node"
    wait "$node" || fail "the daemon's exit status is $?"
    node=
}
attack() { # FIRST [LAST]: five wrong passwords from each of 198.51.100.N, as Dovecot logs them
    local now a n
    now=$(date -u +%Y-%m-%dT%H:%M:%S)+00:00
    for ((a = $1; a <= ${2:-$1}; a++)); do
        for n in 1 2 3 4 5; do
            echo "$now mail dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u$n>, method=PLAIN, rip=198.51.$((100 + a / 256)).$((a % 256)), lip=192.0.2.1, session=<s$a$n>"
        done
    done >>"$scratch/mail.log"
}
told() { jq -r '.changes[] | select(.is.refused) | .address' "$scratch/taken" 2>/dev/null; }
was_told() { told | grep -qx "$1"; }
attempts() { grep -c "$1" "$scratch/attempts" 2>/dev/null; }
attempted() { [ "$(attempts "$1")" -ge "$2" ]; }
answers_fast() { # the loop is not held up by anything
    local begun
    begun=$(date +%s%N)
    ask status --json >/dev/null || fail "the daemon does not answer, $1"
    ((($(date +%s%N) - begun) / 1000000 < 1500)) || fail "the daemon is slow, $1"
}
touch "$scratch/mail.log" "$scratch/taken" "$scratch/attempts"
openssl rand -hex 32 >"$scratch/key"
chmod 600 "$scratch/key"

# ---- the webhook: fails first ------------------------------------------------------------------------
mode 500
start_receiver
conf "webhook = http://127.0.0.1:$port/hook
webhook_key = $scratch/key"
start_node
attack 1
until_true 10 "two attempts at a receiver that answers 500" attempted 500 2
[ ! -s "$scratch/taken" ] || fail "a delivery that was answered with 500 counts as taken"
[ "$(status webhook.waiting)" = 1 ] || fail "what was not taken is not waiting: $(status webhook)"
status webhook.error | grep -q 'answered 500' || fail "status does not say why: $(status webhook.error)"
mode ok
until_true 15 "the change, once the receiver is well" was_told 198.51.100.1
jq -se '.[0] | .version == 1 and .dropped == 0 and (.instance | length == 32) and (.run | length == 16) and
    (.changes | length == 1) and (.changes[0] | .number == 1 and .was == {refused: false, untrusted: false} and
    .is == {refused: true, untrusted: false} and .action == "refuse" and .verdict == "unknown" and
    (.why | test("locked this address")) and (.time | test("^20[0-9-]+T[0-9:]+Z$")))' \
    "$scratch/taken" >/dev/null || fail "not as SPEC 18.8 says: $(cat "$scratch/taken")"
[ "$(status webhook.error)" = null ] || fail "an error stays when it is over"
# A veto is a change, too.
ask allow 198.51.100.1 >/dev/null
lifted() { jq -se '[.[].changes[] | select(.was.refused and (.is.refused | not) and .action == "allow")] | length == 1' "$scratch/taken" >/dev/null; }
until_true 5 "the end of a refusal" lifted
# One slower than [hooks] timeout, one that hangs up, one that redirects, one that is not there.
mode hang
before=$(attempts hang)
attack 2
until_true 15 "a second attempt at a receiver that hangs" attempted hang $((before + 2))
answers_fast "while the receiver hangs"
mode drop
until_true 20 "an attempt at one that hangs up" attempted drop 1
mode redirect
until_true 30 "an attempt at one that redirects" attempted redirect 1
sleep 0.3
[ "$(attempts /elsewhere)" = 0 ] || fail "a redirect was followed"
stop_receiver
attack 3
sleep 2.5
answers_fast "while the receiver is away"
start_receiver
mode ok
ask reload >/dev/null # tries at once: a back-off may have grown
until_true 15 "what waited for the receiver" was_told 198.51.100.3
was_told 198.51.100.2 || fail "a change was lost on the way"
[ "$(jq -s '[.[].changes[].number] | . == (unique)' "$scratch/taken")" = true ] || fail "told twice, or out of order"

# A burst goes in batches.
lines=$(wc -l <"$scratch/taken")
attack 1000 1249
has_all() { [ "$(told | sort -u | wc -l)" -ge 253 ]; }
until_true 20 "250 changes" has_all
batches=$(($(wc -l <"$scratch/taken") - lines))
((batches <= 25)) || fail "250 changes in $batches requests"
[ "$(jq -s '[.[].changes | length] | max' "$scratch/taken")" -le 100 ] || fail "more than 100 in one"
echo "250 changes in $batches requests, the largest of $(jq -s '[.[].changes | length] | max' "$scratch/taken")"

# The queue is bounded: the oldest are dropped, and it is said how many.
conf "webhook = http://127.0.0.1:$port/hook
webhook_key = $scratch/key
queue = 100"
mode 500
ask reload >/dev/null || fail "the configuration is not taken"
attack 2000 2149
overflowed() { [ "$(status webhook.lost)" = 50 ]; }
until_true 15 "a queue that overflows: $(status webhook)" overflowed
mode ok
ask reload >/dev/null
until_true 15 "the rest of it" was_told 198.51.108.101 # the last of them
[ "$(jq -s '[.[].dropped] | max' "$scratch/taken")" = 50 ] || fail "it does not say what was dropped"
was_told 198.51.107.208 && fail "the first is there, which was dropped"

# Refused for what it is: given up in the end, the next one is delivered. A wrong key is such a case.
openssl rand -hex 32 >"$scratch/other"
chmod 600 "$scratch/other"
conf "webhook = http://127.0.0.1:$port/hook
webhook_key = $scratch/other"
ask reload >/dev/null
before=$(status webhook.failed_deliveries)
attack 60
refused() { [ "$(status webhook.failed_deliveries)" -gt "$before" ]; }
until_true 10 "a signature that does not fit" refused
status webhook.error | grep -q 'answered 403' || fail "a wrong key is not told: $(status webhook.error)"
was_told 198.51.100.60 && fail "a delivery with a wrong signature was taken"

# The webhook is changed, or taken out, with a delivery in flight: what becomes of that one names no address.
shows_nothing() { # WHEN
    ask status --json | grep -q "$port/" && fail "status shows a webhook's address, $1"
    grep -q "$port/" "$scratch/node.log" && fail "the log shows a webhook's address, $1"
}
mode hang
conf "webhook = http://127.0.0.1:$port/first"
ask reload >/dev/null
until_true 15 "a delivery to the first address" attempted 'hang /first' 1
conf "webhook = http://127.0.0.1:$port/second"
ask reload >/dev/null || fail "a reload with a delivery in flight"
until_true 15 "a delivery to the second address" attempted 'hang /second' 1
shows_nothing "once it was changed"
conf "queue = 100"
ask reload >/dev/null || fail "a reload with a delivery in flight"
sleep 3 # longer than the timeout
if ! kill -0 "$node" || ! ready; then
    fail "a webhook that was taken out with a delivery in flight ends the daemon"
fi
shows_nothing "once it was taken out"
[ "$(status webhook)" = null ] || fail "a webhook that was taken out has a status: $(status webhook)"
conf "webhook = http://127.0.0.1:$port/$(printf '%0700d' 0)"
ask reload >/dev/null || fail "a long address"
attack 62
timed_out() { status webhook.error | grep -q 'timed out'; }
until_true 15 "a delivery to a long address: $(status webhook)" timed_out
shows_nothing "which is long"
conf "webhook = http://hooks.example.org/secret"
ask reload >"$scratch/out" 2>&1 && fail "http to another host is taken"
grep -q 'https://HOST' "$scratch/out" "$scratch/node.log" || fail "nobody is told what is wrong: $(cat "$scratch/out")"
grep -q example.org/secret "$scratch/out" "$scratch/node.log" && fail "an address that will not do is shown"
mode ok

# TLS is verified, and http only speaks to this host.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$scratch/tls.key" -out "$scratch/tls.crt" 2>/dev/null
stop_receiver
start_receiver "$scratch/tls.crt" "$scratch/tls.key"
conf "webhook = https://127.0.0.1:$port/hook
webhook_key = $scratch/key"
ask reload >/dev/null
distrusted() { status webhook.error | grep -qi 'certificate'; }
until_true 10 "a certificate that nobody signed" distrusted
{ ask doctor || true; } | grep -q 'hooks .*webhook: .*certificate' || fail "the doctor does not name it: $(ask doctor)"
status webhook.error | grep -q /hook && fail "status shows the address, whose path may be a secret"
grep -q "$port/hook" "$scratch/node.log" && fail "the log shows the address, whose path may be a secret"
was_told 198.51.100.60 && fail "told to a server with a certificate that nobody signed"
stop_node
# Started again where that certificate is trusted.
if [ "$(id -u)" = 0 ] && [ -e /etc/ssl/certs/ca-certificates.crt ] && unshare -m true; then
    unshare -m sh -c "mount --bind '$scratch/tls.crt' /etc/ssl/certs/ca-certificates.crt &&
        exec '$bin/grapevined' --config '$scratch/node.conf'" >>"$scratch/node.log" 2>&1 &
    node=$!
    until_true 15 "the daemon" ready || die "no daemon"
    attack 61
    until_true 10 "https" was_told 198.51.100.61
else
    echo "hooks.sh: not root: a good certificate is not tried"
    start_node
fi
chmod 644 "$scratch/key"
ask reload >/dev/null
until_true 3 "a key that others can read" grep -q "chmod 600 $scratch/key" "$scratch/node.log"
chmod 600 "$scratch/key"
stop_node

# ---- the exec hook ------------------------------------------------------------------------------------
mkdir "$scratch/bin"
hook=$scratch/bin/hook
ran=$scratch/ran
cat >"$hook" <<HOOK
#!/bin/bash
[ -e $scratch/silent ] && { echo x >>$scratch/silent; exit 0; }
cat >$scratch/stdin.new
case \$(cat $scratch/mode) in
fail) echo fail >>$scratch/attempts; exit 3 ;;
die) echo die >>$scratch/attempts; kill -SEGV \$\$ ;;
hang) echo hang-exec >>$scratch/attempts; trap '' TERM; sleep 300 & echo \$! >$scratch/child; wait; sleep 300 ;;
esac
env | sort >$scratch/env
ls -l /proc/self/fd | awk 'NR > 1 && \$9 > 2 { print \$9, \$11 }' | grep -v "/proc/" >$scratch/fds
cat $scratch/stdin.new >>$ran
echo >>$ran
HOOK
chmod 755 "$hook"
conf "exec = $hook"
ran_for() { jq -r '.changes[].address' "$ran" 2>/dev/null | grep -qx "$1"; }
well_again() { # ADDRESS: a batch that was refused five times would be gone
    mode ok
    ask reload >/dev/null
    until_true 15 "the change on $1, once the hook is well" ran_for "$1"
}
mode fail
start_node
attack 70
until_true 10 "two runs of a hook that fails" attempted '^fail$' 2
status exec.error | grep -q 'exit status was 3' || fail "status does not say why: $(status exec.error)"
well_again 198.51.100.70
mode die
attack 74
until_true 10 "a run of a hook that dies" attempted '^die$' 1
well_again 198.51.100.74
# After 2 s SIGTERM, which it does not heed, after 2 more SIGKILL; and then it is run again.
mode hang
attack 75
until_true 10 "a run of a hook that hangs" test -s "$scratch/child"
child=$(cat "$scratch/child")
answers_fast "while the hook hangs"
until_true 15 "the end of a hook that hangs" is_gone "$child"
until_true 15 "word of it" eval "status exec.error | grep -q 'longer than'"
well_again 198.51.100.75
attack 71
until_true 10 "the next one" ran_for 198.51.100.71
grep -qx GRAPEVINE_CHANGES=1 "$scratch/env" || fail "the environment: $(cat "$scratch/env")"
[ "$(grep -vcE '^(PATH|LANG|GRAPEVINE_[A-Z]+|PWD|SHLVL|_|OLDPWD)=' "$scratch/env")" = 0 ] ||
    fail "more in the environment: $(cat "$scratch/env")"
grep -qE "$scratch|socket:|eventpoll|grapevine" "$scratch/fds" &&
    fail "open files of the daemon's are inherited: $(cat "$scratch/fds")"
# One that does not read is as good, and no shell sees anything.
: >"$scratch/silent"
attack 72
until_true 10 "a hook that does not read" test -s "$scratch/silent"
rm "$scratch/silent"
# It must be nobody else's.
refuses() { # TEXT
    ask reload >/dev/null
    until_true 3 "$1" grep -q "$1" "$scratch/node.log"
}
chmod 775 "$hook"
refuses "others may write to $hook"
chmod 755 "$hook"
chmod 777 "$scratch/bin"
refuses "others may write to $scratch/bin"
attack 73
sleep 1.5
ran_for 198.51.100.73 && fail "run from a folder that others may write to"
chmod 755 "$scratch/bin"
ask reload >/dev/null
until_true 10 "mended" ran_for 198.51.100.73
ln -s hook "$scratch/bin/link"
conf "exec = $scratch/bin/link"
refuses 'is not a regular file'
stop_node
conf "exec = $scratch/bin/nothing"
status=0
timeout 10 "$bin/grapevined" --config "$scratch/node.conf" >"$scratch/out" 2>&1 || status=$?
[ $status = 78 ] || fail "a hook that is not there: exit status $status: $(cat "$scratch/out")"

[ $failures -eq 0 ] || tail -n 25 "$scratch/node.log"
echo "hooks.sh: $failures failed"
[ $failures -eq 0 ]
