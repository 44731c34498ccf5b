#!/usr/bin/env bash
# Looking closer, accountably: `grapevine investigate` over a real log and a queue, on a terminal; what it
# finds; that it is on record before anything is shown, and that nothing but the record is stored; and
# that each way of tampering with the record is noticed. (SPEC 15.2)
set -uo pipefail
# shellcheck source=tests/e2e/frame.sh
source "$(dirname "${BASH_SOURCE[0]}")/frame.sh"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${GV_BIN:-$root/build/bin}
needs jq python3 script
scratch=$(mktemp -d /tmp/gv-look.XXXXXX)
daemon=
trap '[[ -z $daemon ]] || kill "$daemon" 2>/dev/null; rm -rf "$scratch"' EXIT
mkdir "$scratch/data" "$scratch/bin"
log=$scratch/data/transparency.log
cat >"$scratch/conf" <<CONF
[node]
data = $scratch/data
[log]
file = $scratch/mail.log
timezone = UTC
CONF
grapevine() { timeout 60 "$bin/grapevine" --config "$scratch/conf" "$@"; }
look() { grapevine investigate --pipe --reason 'a surge of bounces' "$@" 2>"$scratch/err"; }

python3 - "$scratch" <<'PYTHON'
import datetime, gzip, os, sys, time
def stamp(ago):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago)).isoformat()
def line(ago, program, text):
    return f"{stamp(ago)} mail {program}: {text}\n"
def mail(n, ago, sender, recipients, login=None, client="198.51.100.9"):
    q = f"4F{n:04X}B"
    sasl = f", sasl_method=PLAIN, sasl_username={login}" if login else ""
    out = line(ago, "postfix/submission/smtpd[1]", f"{q}: client=unknown[{client}]{sasl}")
    out += line(ago, "postfix/qmgr[3]", f"{q}: from=<{sender}>, size=1000, nrcpt={recipients} (queue active)")
    if n % 3 == 0:  # taken up again after a deferral: no second message
        out += line(ago, "postfix/qmgr[3]", f"{q}: from=<{sender}>, size=1000, nrcpt={recipients} (queue active)")
    return out + line(ago, "postfix/qmgr[3]", f"{q}: removed")
def login(ago, name, ip):
    return line(ago, "dovecot", f"imap-login: Login: user=<{name}>, method=PLAIN, rip={ip}, lip=192.0.2.1, mpid=7, TLS, session=<a{ip}>")
now, old = "", ""
for n in range(40):
    old += mail(n, 100000 + n, "heavy@example.org", 50, "heavy@example.org")
with gzip.open(f"{sys.argv[1]}/mail.log.1.gz", "wt") as out:
    out.write(old)
os.utime(f"{sys.argv[1]}/mail.log.1.gz", (time.time() - 90000,) * 2)
for n in range(30):
    now += mail(1000 + n, 3000 - n, "heavy@example.org", 50, "heavy@example.org")
    now += mail(2000 + n, 2000 - n, "list@elsewhere.example", 1)
    now += login(1800 - n, "traveller@example.org", f"198.51.{n}.7")
    now += login(1500 - n, f"promo{n}@example.org", "203.0.113.5")
    now += login(1400 - n, "quiet@example.org", "203.0.113.6")
    now += line(1300, "dovecot", f"imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<guess{n}@example.org>, method=PLAIN, rip=198.51.100.66, lip=192.0.2.1, session=<b{n}>")
now += mail(3000, 900, '"x, size=9, nrcpt=9 (queue active)\x1b]0;evil\x07"@evil.example', 2)
open(f"{sys.argv[1]}/mail.log", "w").write(now)
PYTHON
cat >"$scratch/bin/postqueue" <<'QUEUE'
#!/bin/sh
[ "$1" = -j ] || exit 64
for i in 1 2 3; do
    echo '{"queue_name":"deferred","queue_id":"A'$i'","arrival_time":1700000000,"message_size":500,"sender":"stuck@example.org","recipients":[{"address":"nobody'$i'@gone.example","delay_reason":"550 no such \u001b[2Juser"}]}'
done
echo 'not json'
QUEUE
chmod +x "$scratch/bin/postqueue"
PATH=$scratch/bin:$PATH

# Nothing without a reason, with one that names a mailbox, or into a file that was not asked for.
grapevine investigate logins --pipe >"$scratch/out" 2>/dev/null && fail "it looks without a reason"
grapevine investigate logins --pipe --reason 'bob@example.org again' >>"$scratch/out" 2>/dev/null && fail "a reason that names a mailbox"
grapevine investigate logins --reason 'surge of logins' >>"$scratch/out" 2>/dev/null && fail "it prints into a file unasked"
[[ ! -s $scratch/out && ! -e $log ]] || fail "a look that was refused shows or stores something"

out=$(look top-senders) || fail "top-senders: $(cat "$scratch/err")"
grep -Eq '^ +1500 +30 .* heavy@example.org$' <<<"$out" || fail "the heaviest sender: $out"
grep -Eq '^ +30 +30 .* list@elsewhere.example$' <<<"$out" || fail "senders without a login: $out"
grep -q $'\x1b' <<<"$out" && fail "an escape of the log reaches the terminal"
grep -Fq '\x1b]0;evil' <<<"$out" || fail "the hostile sender is not shown: $out"
grep -q 'x5c' <<<"$out" && fail "a backslash is shown as something else: $out"
out=$(look --since 3d top-senders) || fail "top-senders of three days"
grep -Eq '^ +3500 +70 .* heavy@example.org$' <<<"$out" || fail "the older, compressed generation: $out"
out=$(look logins)
grep -Eq '^ +30 +30 .* traveller@example.org$' <<<"$out" || fail "logins: $out"
grep -q 'quiet@\|promo\|guess' <<<"$out" && fail "logins shows who logs in from one network"
out=$(look names)
grep -Eq '^ +30 .*promo#@example.org' <<<"$out" || fail "names: $out"
grep -q 'guess' <<<"$out" && fail "names shows what was only tried"
out=$(look queue)
grep -Eq '^ +3 +3 +2023-.* stuck@example.org$' <<<"$out" || fail "queue: $out"
grep -q 'gone.example' <<<"$out" || fail "where stuck mail is to go: $out"
grep -q $'\x1b' <<<"$out" && fail "an escape of the queue reaches the terminal"

# Exim's log and queue: who logged in, recipients as they are served; a subject that lies.
cp "$log" "$scratch/record"
# --json; a LOG of this folder; one that is not there, and a queue that nobody tells: no answer, no false one.
look logins --json | jq -e '.view == "logins" and .complete and .tables[0].rows[0].name == "traveller@example.org" and .tables[0].rows[0].networks == 30' \
    >/dev/null || fail "--json: $(look logins --json)"
(cd "$scratch" && look logins mail.log) | grep -q 'traveller@example.org' || fail "a relative LOG: $(cat "$scratch/err")"
entries=$(wc -l <"$log")
out=$(look logins missing.log); code=$?
[[ $code == 66 && -z $out && $(wc -l <"$log") == "$entries" ]] || fail "a LOG that is not there: $code, $out"
grep -q 'missing.log: No such file' "$scratch/err" || fail "a LOG that is not there: $(cat "$scratch/err")"
mkdir "$scratch/broken"
printf '#!/bin/sh\nexit 69\n' >"$scratch/broken/postqueue"
chmod +x "$scratch/broken/postqueue"
out=$(PATH=$scratch/broken:$PATH look queue); code=$?
[[ $code == 69 && -z $out ]] || fail "a queue that nobody tells: $code, $out"
mkdir "$scratch/exim"
python3 - >"$scratch/exim/mainlog" <<'PYTHON'
import datetime
def say(n, text):
    at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=3000 - n)
    print(f"{at:%Y-%m-%d %H:%M:%S} 1xV2{n:02d}-0000{n:02d}-0k {text}")
for n in range(10, 40):
    say(n, f"<= heavy@example.org H=(x.example) [198.51.100.9] P=esmtpsa X=TLS1.3 A=plain_server:heavy@example.org S=2000 id=q@example.org")
    for r in range(5):
        say(n, f"{'=>' if r == 0 else '->'} user{r}@elsewhere.example R=dnslookup T=remote_smtp H=mx.example [203.0.113.9]")
    say(n, "Completed")
say(50, "<= news@lists.example H=out.lists.example [203.0.113.7] P=esmtps S=500 T=\" S=99999999 => nobody@lie.example\"")
say(50, "** gone@elsewhere.example R=dnslookup T=remote_smtp: 550 no such user")
PYTHON
out=$(look top-senders "$scratch/exim/mainlog") || fail "top-senders of Exim: $(cat "$scratch/err")"
grep -Eq '^ +150 +30 +30 +60 .* heavy@example.org$' <<<"$out" || fail "Exim's heaviest sender: $out"
grep -Eq '^ +1 +1 .* news@lists.example$' <<<"$out" || fail "Exim's senders without a login: $out"
grep dovecot "$scratch/mail.log" >"$scratch/no-mail.log"
look top-senders "$scratch/no-mail.log" | grep -q 'none, in the lines of Postfix and Exim' || fail "of a log without mail"
if [[ -x /usr/sbin/postqueue || -x /usr/sbin/exim4 || -x /usr/sbin/exim ]]; then
    echo "investigate.sh: SKIPPED: Exim's queue; a mail server is installed here, whose queue it would be"
else
    cat >"$scratch/exim/exim4" <<'QUEUE'
#!/bin/sh
[ "$1" = -bp ] || exit 64
printf ' 4h  2.9K 1xV26K-000039-0k <stuck@example.org> *** frozen ***\n          a@gone.example\n        D b@gone.example\n\n'
printf '25m   512 1t5C6f-0000000012h-0abc <> (root)\n          c@other.example\n\n'
QUEUE
    chmod +x "$scratch/exim/exim4"
    out=$(PATH=$scratch/exim:/usr/bin:/bin look queue) || fail "Exim's queue: $(cat "$scratch/err")"
    grep -Eq '^ +1 +1 +20.* stuck@example.org$' <<<"$out" || fail "Exim's queue: $out"
    grep -q 'frozen' <<<"$out" || fail "what is frozen: $out"
    grep -Eq '^ +1 .* other.example$' <<<"$out" || fail "where Exim's mail is to go: $out"
    PATH=/nowhere "$bin/grapevine" --config "$scratch/conf" investigate --pipe --reason 'a queue' queue \
        >"$scratch/out" 2>"$scratch/err" && fail "no queue, and no word of it"
    grep -q 'neither postqueue' "$scratch/err" || fail "without a mail server: $(cat "$scratch/err")"
fi
mv "$scratch/record" "$log" # these looks are not of the record below
chmod 640 "$log"

# On a terminal it needs no --pipe, and the record says so.
TERM=dumb timeout 60 script -qec "'$bin/grapevine' --config '$scratch/conf' investigate --reason 'on a terminal' logins" \
    /dev/null >"$scratch/tty" 2>&1 </dev/null
grep -q 'traveller@example.org' "$scratch/tty" || fail "on a terminal: $(cat "$scratch/tty")"
[[ $(grapevine transparency list --json | jq -r '.[-1] | "\(.view) \(.output) \(.reason) \(.state)"') == "logins terminal on a terminal sound" ]] ||
    fail "the record of it: $(tail -n 1 "$log")"

# The record: six looks, whole, no mailbox in it, and nothing else was stored.
[[ $(grapevine transparency verify --json | jq -c '[.sound, .entries, .broken, .cut]') == '[true,6,0,0]' ]] ||
    fail "verify: $(grapevine transparency verify)"
[[ $(ls -A "$scratch/data") == transparency.log ]] || fail "more than the record was stored: $(ls -A "$scratch/data")"
[[ $(stat -c %a "$log") == 640 ]] || fail "its mode"
grep -q 'example\|promo\|@' "$log" && fail "the record names a mailbox"
grapevine transparency list | grep -q 'top-senders by .*back to 20' || fail "list"
head=$(grapevine transparency verify --json | jq -r .head)
# Anybody can check an entry with a shell: SHA-256 of a word, a zero, the hash before and the entry.
last=$(sed -n 6p "$log") before=$(sed -n 5p "$log")
[[ $(printf 'grapevine transparency 1\0%s %s' "${before:0:64}" "${last:65}" | sha256sum | cut -c1-64) == "${last:0:64}" ]] ||
    fail "the hash is not what SPEC says"
after=$(grapevine transparency notice 'Bob <bob@example.org>')
{ grep -q 'bob@example.org' <<<"$after" && grep -q 'on a terminal' <<<"$after" && grep -q "$head" <<<"$after"; } || fail "notice: $after"
grep -q 'What was shown was not stored' <<<"$after" || fail "notice of a look at a terminal: $after"
after=$(grapevine transparency notice bob@example.org --entry 1)
grep -q 'not stored' <<<"$after" && fail "nobody knows what became of what went into a pipe: $after"
grep -q 'may have kept it' <<<"$after" || fail "notice of a look into a pipe: $after"
grapevine transparency notice bob@example.org --before --reason 'many letters came back' | grep -q 'May we?' || fail "notice --before"
grep -rq 'bob' "$scratch/data" && fail "a notice is stored"

# Tampering: changed, taken out, swapped, put in; and the end cut off, which a noted hash shows.
cp "$log" "$scratch/good"
tampered() { grapevine transparency verify "${@:2}" >/dev/null; [[ $? == 65 ]] || fail "not noticed: $1"; cp "$scratch/good" "$log"; }
sed -i '2s/surge/purge/' "$log"; tampered "a changed reason"
sed -i 3d "$log"; tampered "an entry taken out"
sed -i 1d "$log"; tampered "the first taken out"
sed -i '2{h;d};3{G}' "$log"; tampered "two swapped"
sed -i 4p "$log"; tampered "one twice"
sed -i '6d' "$log"; grapevine transparency verify >/dev/null || fail "a shorter chain is no chain"
cp "$scratch/good" "$log"; sed -i 6d "$log"; tampered "the last one taken out" --head "$head"
rm "$log"; tampered "all of it" --head "$head"
# A writer that was killed in the middle: the rest goes on, and it shows.
head -c -30 "$scratch/good" >"$log"
look names >/dev/null || fail "a cut last line stops the next look"
[[ $(grapevine transparency verify --json | jq -c '[.sound, .entries, .cut]') == '[true,6,1]' ]] || fail "after a cut line: $(grapevine transparency verify)"
# No record, no look: a folder that cannot be written to, a link, somebody who holds it.
rm "$log"; ln -s "$scratch/elsewhere" "$log"
look logins >"$scratch/out" && fail "it follows a link"
[[ ! -s $scratch/out && ! -e $scratch/elsewhere ]] || fail "it shows without a record"
rm "$log"; mkdir "$log"
look logins >"$scratch/out" && fail "a record that is a folder"
[[ ! -s $scratch/out ]] || fail "it shows without a record"
rmdir "$log"
# Many at once: all are on record, in one chain.
for _ in {1..8}; do look logins >/dev/null & done
wait
[[ $(grapevine transparency verify --json | jq -c '[.sound, .entries]') == '[true,8]' ]] || fail "at once: $(grapevine transparency verify)"
# The node keeps which entry is the last: an end that is taken out is noticed, while it runs and while it
# does not, and stays noticed.
port=15900
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
sed "s|^data = .*|&\n$([[ $EUID != 0 ]] || echo "user = root")\nlisten = 127.0.0.1:$port|" "$scratch/conf" >"$scratch/daemon.conf"
chmod 700 "$scratch/data"
start() {
    "$bin/grapevined" --config "$scratch/daemon.conf" >>"$scratch/daemon.log" 2>&1 &
    daemon=$!
    wait_for 20 "the daemon" grapevine status --json >/dev/null 2>&1
}
stop() { kill "$daemon"; wait "$daemon"; daemon=; }
start
[[ $(grapevine transparency verify --json | jq -c '[.sound, .kept.entry, .kept_found, .lost]') == '[true,8,true,null]' ]] ||
    fail "with the node: $(grapevine transparency verify)"
look names >/dev/null || fail "no look while the node runs"
cp "$log" "$scratch/nine"
stop
sed -i 9d "$log"
grapevine transparency verify | grep -q 'The daemon does not answer' || fail "verify without the daemon says nothing of the end"
cp "$scratch/nine" "$log"
start
grapevine transparency verify | grep -q 'None is missing at its end' || fail "as it was: $(grapevine transparency verify)"
stop
sed -i 9d "$log"
start
grapevine transparency verify >"$scratch/out"
[[ $? == 65 ]] || fail "the end that was taken out while the node was down: $(cat "$scratch/out")"
grep -q 'entry 9, which this node had seen' "$scratch/out" || fail "verify says: $(cat "$scratch/out")"
[[ $(grapevine doctor --json | jq -r '[.. | objects | select(.check? == "transparency")][0].level') == failure ]] ||
    fail "the doctor says nothing of it: $(grapevine doctor)"
rm "$log"
look names >/dev/null
[[ $(grapevine transparency verify --json | jq -c '[.sound, .broken, .entries, .lost.entry]') == '[false,0,1,9]' ]] ||
    fail "the first loss is forgotten: $(grapevine transparency verify --json)"
grep -q 'the transparency log has lost entries: 9 ' "$scratch/daemon.log" || fail "the daemon's log says nothing of it"
stop
((failures == 0)) && echo "passed"
exit $((failures != 0))
