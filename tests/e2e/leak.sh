#!/usr/bin/env bash
# No mailbox leaks: a log in which every account, domain, host name and message id bears a mark goes
# through a real node that shares, answers, and tells a webhook, a program and a bouncer. Then each file of
# its data folder and of its peer's, what it said (decoded, raw, as its peer holds it, and each byte of a
# session with a third member, from the handshake on), its own log at level debug, every answer of the API
# and every page of the dashboard in a browser are searched for the mark: as it is, in hex and in base64.
# (Letters about alerts: alerts.sh.) The mark must be found where it is planted, or the search proves nothing. The same for
# the addresses of users who log in, some of whom mistype their password before or afterwards. (SPEC 15)
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
NODES=2
# shellcheck source=tests/e2e/common.sh
source "$(dirname "$0")/common.sh"
needs jq python3 curl
find_port 16400
make_registry leak
start_registry
start_mesh

cat >"$scratch/webhook.py" <<'PYTHON'
import http.server, sys
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        with open(sys.argv[2], "ab") as out:
            out.write(self.rfile.read(int(self.headers["Content-Length"])) + b"\n")
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Hook).serve_forever()
PYTHON
hook=$((port + 3)) http=$((port + 4))
python3 "$scratch/webhook.py" $hook "$scratch/webhook.out" &
pids+=($!)
wait_for 10 "the webhook" listening 127.0.0.1 $hook
printf '#!/bin/sh\ncat >>%q\n' "$scratch/exec.out" >"$scratch/exec"
chmod 755 "$scratch/exec" "$scratch"
stop_node 1 || fail "node 1 did not stop"
mv "$scratch/node1.conf" "$scratch/first.conf"
start_again() {
    { sed 's/^from_start.*/&\nlevel = debug/' "$scratch/first.conf"
      printf '[http]\nlisten = 127.0.0.1:%s\n[policy]\nenforce = bouncers\n' $http
      printf '[hooks]\nwebhook = http://127.0.0.1:%s/\nexec = %s\n' $hook "$scratch/exec"
    } >"$scratch/node1.conf"
    "$bin/grapevined" --config "$scratch/node1.conf" >>"$scratch/node1.log" 2>&1 &
    node_pid[1]=$!
    pids+=($!)
    wait_for 20 "node 1" answers 1
}
start_again
wait_for 60 "node 1 to find node 2" has_peers 1

# The log. qzmarkqz is the mark; each account and message has it.
cat >"$scratch/write.py" <<'PYTHON'
import datetime, sys
M = "qzmarkqz"
first = open(sys.argv[1], "w") # what is in the log before all else
def at(i):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=900 - i)).isoformat()
def before(program, text): # two hours ago: peers are told of whole hours
    print(f"{(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)).isoformat()} mail {program}: {text}")
i = 0
def say(program, text):
    global i
    i += 1
    print(f"{at(i % 880)} mail {program}: {text}")
for n in range(120):
    q, u = f"4F{n:04X}B", f"{M}{n}"
    d = f"{M}{n}.example"
    ip = f"198.51.100.{n % 200 + 1}"
    good = f"203.0.113.{n % 100 + 1}"
    before("postfix/smtpd[1]", f"{q}: client={M}host{n}.example[{good}], sasl_method=PLAIN, sasl_username={u}@{d}")
    before("postfix/cleanup[2]", f"{q}: message-id=<{M}-{n}@{d}>")
    before("postfix/qmgr[3]", f"{q}: from=<{u}@{d}>, size=1234, nrcpt=2 (queue active)")
    before("postfix/smtp[4]", f"{q}: to=<{M}r@{d}>, orig_to=<{M}o@{d}>, relay={M}mx.example[198.51.100.250]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok {M} queued as {M}{n})")
    before("postfix/smtp[4]", f"{q}: to=<{M}b@{d}>, relay={M}mx.example[198.51.100.250]:25, delay=1, delays=0/0/0/1, dsn=5.0.0, status=bounced (host {M}mx.example said: 550 no {M})")
    before("postfix/qmgr[3]", f"{q}: removed")
    say("postfix/smtpd[1]", f"NOQUEUE: reject: RCPT from {M}bad.example[{ip}]: 554 5.7.1 <{M}@{d}>: Relay access denied; from=<{M}@{d}> to=<{M}@{d}> proto=ESMTP helo=<{M}.example>")
    say("dovecot", f"lmtp({u}@{d})<7><a{n}b>: msgid=<{M}-{n}@{d}>: saved mail to INBOX")
    say("dovecot", f"imap-login: Login: user=<{u}@{d}>, method=PLAIN, rip={good}, lip=192.0.2.1, mpid={n + 1}, TLS, session=<{M}{n}>")
    for k in range(3):
        say("dovecot", f"imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<{M}x{k}@{d}>, method=PLAIN, rip={ip}, lip=192.0.2.1, session=<{M}s{n}{k}>")
    say("dovecot", f"auth: passwd-file({M}y@{d},{ip},<{M}s{n}>): unknown user")
    say("postfix/smtpd[1]", f"warning: {M}bad.example[{ip}]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username={M}z{n}@{d}")
    say("postfix/smtpd[1]", f"disconnect from {M}bad.example[{ip}] ehlo=1 auth=0/1 commands=1/2")
    # Users of addresses that nobody asks for by name; their connections stay open.
    user, six = f"203.0.113.{n + 101}", f"2001:db8:77:{n:x}::5"
    # The other servers' lines, on one host: nobody has that, and each reader is tried.
    say("exim[9]", f"plain_server authenticator failed for {M}bad.example ({M}) [{ip}]: 535 Incorrect authentication data (set_id={M}x@{d})")
    say("cyrus/imap[3]", f"badlogin: {M}bad.example [{ip}] plaintext ({M}x@{d}) [SASL(-13): authentication failure: checkpass failed]")
    say("imapd", f"LOGIN FAILED, user={M}x@{d}, ip=[::ffff:{ip}], port=[4000]")
    say("sm-mta[5]", f"6AM{n:04d}G000021: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): authentication failure: checkpass failed, user={M}x@{d}, relay={M}bad.example [{ip}]")
    if n % 4 != 1:
        say("exim[9]", f"1xV26K-{n:06d}-0k <= {u}@{d} H={M}host{n}.example ({M}) [{user}] P=esmtpsa X=TLS1.3:A:256 CV=no A=plain_server:{u}@{d} S=353 id={M}-{n}@{d} T=\"{M}\"")
        say("exim[9]", f"1xV26K-{n:06d}-0k => {M}r@{d} R=dnslookup T=remote_smtp H={M}mx.example [198.51.100.250] C=\"250 {M}\"")
        say("cyrus/imap[3]", f"login: {M}host{n}.example [{user}] {u}@{d} PLAIN User logged in SESSIONID=<{M}{n}>")
        say("imapd", f"LOGIN, user={u}@{d}, ip=[::ffff:{user}], port=[1], protocol=IMAP")
        # Nothing cuts its lines: longer than what fails.
        say("sm-mta[5]", f"6AM{n:04d}G000021: to=<{M}r@{d}>,<{M}s@{d}>, ctladdr=<{u}@{d}> (1000/1000), delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=121234, relay={M}mx.example. [198.51.100.250], dsn=2.0.0, stat=Sent (6AM{n:04d}G000022 Message accepted for delivery)")
        say("sm-mta[5]", f"AUTH=server, relay={M}host{n}.example [{user}], authid={u}@{d}, mech=PLAIN, bits=0")
    for a in (user, six):
        slip = f"imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<{u}@{d}>, method=PLAIN, rip={a}, lip=192.0.2.1, session=<{M}t{n}>"
        if n % 4 == 1:
            first.write(f"{at(0)} mail dovecot: {slip}\n")
        say("dovecot", f"imap-login: Login: user=<{u}@{d}>, method=PLAIN, rip={a}, lip=192.0.2.1, mpid={n + 1}, TLS, session=<{M}l{n}>")
        say(f"postfix/submission/smtpd[{1000 + n + 200 * (a == six)}]", f"connect from {M}host{n}.example[{a}]")
        say(f"postfix/submission/smtpd[{1000 + n + 200 * (a == six)}]", f"5A{n:04X}C: client={M}host{n}.example[{a}], sasl_method=PLAIN, sasl_username={u}@{d}")
        if n % 4 == 2: # three times at his own account: no reason to tell of him
            say("dovecot", slip.replace("1 attempts", "3 attempts"))
    say("postfix/postfix-script[1]", f"fatal: {M} \x1b]0;{M}\x07 <script>{M}</script> =cmd|'/c {M}'!A0")
PYTHON
python3 "$scratch/write.py" "$scratch/first.mail" >"$scratch/then.mail"
# Who mistypes before his first login is in the store under his address until then.
cat "$scratch/first.mail" >>"$scratch/node1.mail"
in_clear() { LC_ALL=C grep -qaP '\x04\xcb\x00\x71\x66' "$scratch/node1/store.db-wal" "$scratch/node1/store.db"; }
wait_for 20 "a user who only mistyped yet" in_clear
cat "$scratch/then.mail" >>"$scratch/node1.mail"
[[ $("$bin/grapevine" observe --json --lab "$scratch/node1.mail" | jq -rs '[group_by(.mta)[] | select(length >= 100) | .[0].mta] | join(" ")') == \
    "courier cyrus dovecot exim postfix sendmail" ]] || fail "not each server's lines are read"
sent() { (($(ask 1 telemetry --json | jq '[.telemetry[] | select(.state == "sent")] | length') >= 5)); }
wait_for 60 "signals that arrive" sent
sum() { ask 1 stats --json --since 3h | jq -r ".sum.$1"; }
[[ $(sum received) == 360 && $(sum bounced) == 120 && $(sum rejected) == 120 ]] ||
    fail "the log was not read as mail: $(sum received) $(sum bounced) $(sum rejected)"
(($(sum logins) >= 120)) || fail "no logins were seen"
# Refused by this host: a change for the webhook and the program.
wait_for 20 "the webhook to hear" test -s "$scratch/webhook.out"
wait_for 20 "the program to hear" test -s "$scratch/exec.out"

# What goes over the wire, as who it is said to decrypts it.
cp -r "$root/tests/interop" "$scratch/interop"
rm -rf "$scratch/interop/node_modules"
for switch in no yes; do # figures are counted anew then, and every five minutes
    sed -i "/^share_statistics/d; s/^mode = yes/&\nshare_statistics = $switch/" "$scratch/node1.conf"
    ask 1 reload >/dev/null || fail "share_statistics = $switch"
done
tells() { [[ $(ask 1 stats --peers --json | jq .told.bounced) == 50 ]]; }
wait_for 10 "figures that peers are told" tells
mesh=
if command -v npm >/dev/null && (cd "$scratch/interop" && timeout 60 npm ci --no-audit --no-fund --prefer-offline) >"$scratch/npm.out" 2>&1; then
    mesh=$scratch/mesh.plain
    # It may come behind all signals that were made: there are more.
    for ((i = 240; i < 250; i++)); do fails_at 1 198.51.100.$i; sleep 1; done &
    pids+=($!)
    GV_BYTES=c63364 GV_BIN=$bin GV_LAB=$scratch GV_PORT=$port timeout 90 node "$scratch/interop/listener.mjs" "$mesh" \
        HELLO FLOW RECORDS RECONCILE 2>"$scratch/listener.err" || fail "no session to listen to: $(cat "$scratch/listener.err")"
    LC_ALL=C grep -qaP '\xc6\x33\x64' "$mesh" || fail "no signal in what was said"
else
    echo "leak.sh: SKIPPED: the bytes of a session; npm cannot install @msgpack/msgpack here"
fi

# Everything it answers, over the socket and the port.
mkdir "$scratch/answers"
# Dovecot's policy server asks and reports with the name in clear; old logs are imported, too.
policy() { # COMMAND JSON
    curl -sf -m 20 -H "X-Api-Key: $(cat "$scratch/node1/dovecot.key")" -d "$2" \
        "http://127.0.0.1:$http/dovecot?command=$1" >/dev/null || fail "Dovecot's $1 is not answered"
}
said='"login":"qzmarkqz@qzmarkqz.example","pwhash":"qzmarkqz","session_id":"qzmarkqzp","mech":"PLAIN","protocol":"imap","device_id":"qzmarkqz"'
for a in 203.0.113.234 203.0.113.235; do
    policy allow "{$said,\"remote\":\"$a\"}"
    policy report "{$said,\"remote\":\"$a\",\"success\":true}"
done
policy report "{$said,\"remote\":\"198.51.100.1\",\"success\":false,\"fail_type\":\"qzmarkqz\"}"
curl -s -m 20 -H "X-Api-Key: $(cat "$scratch/node1/dovecot.key")" -d "{$said" "http://127.0.0.1:$http/dovecot?command=report" >/dev/null
printf '%s mail dovecot: imap-login: Login: user=<qzmarkqz@qzmarkqz.example>, method=PLAIN, rip=203.0.113.233, lip=192.0.2.1, mpid=9, TLS, session=<qzmarkqzi>\n' \
    "$(date -u -d '3 days ago' +%Y-%m-%dT%H:%M:%S)+00:00" | gzip >"$scratch/old.gz"
ask 1 import "$scratch/old.gz" >"$scratch/answers/imported" || fail "no import: $(cat "$scratch/answers/imported")"
token=$(ask 1 token)
n=0
for path in status peers roster lists 'ip?addr=198.51.100.1' 'ip?addr=203.0.113.1' 'verdict?addr=198.51.100.1' \
    'list?limit=10000' 'changes?since=0' network telemetry 'received?limit=1000' 'stats?by=minute&since=47h' \
    'stats?by=hour' 'stats?by=day' stats/peers alerts privacy attackers settings 'telemetry?addr=198.51.100.1' \
    owners traffic trust bouncers terms 'evidence?addr=198.51.100.1'; do
    n=$((n + 1))
    curl -s -m 20 -H "Authorization: Bearer $token" "http://127.0.0.1:$http/api/v1/$path" \
        >"$scratch/answers/port$n" || fail "no answer to $path"
    curl -s -m 20 --unix-socket "$scratch/node1/control.sock" "http://localhost/api/v1/$path" \
        >"$scratch/answers/socket$n" || fail "no answer to $path on the socket"
    [[ $(wc -c <"$scratch/answers/port$n") -gt 2 ]] || fail "an empty answer to $path"
done
key=$(ask 1 bouncers add leak --json | jq -r .key)
for path in 'stream?startup=true' 'stream' '?limit=1000'; do
    curl -s -m 20 -H "X-Api-Key: $key" -H "User-Agent: leak" "http://127.0.0.1:$http/v1/decisions${path/#stream//stream}" \
        >"$scratch/answers/bouncer-${path//[^a-z]/}" || fail "no answer to a bouncer"
done
grep -q '198\.51\.100\.' "$scratch/answers/bouncer-streamstartuptrue" || fail "a bouncer hears of nobody"
for path in metrics blocklist.txt blocklist.json blocklist.cidr blocklist.map; do
    curl -s -m 20 "http://127.0.0.1:$http/$path" >"$scratch/answers/$path"
done
chromium=$(type -P chromium chromium-browser google-chrome | head -n 1)
if [[ -n $chromium ]] && command -v node >/dev/null; then
    timeout 120 node "$root/tests/e2e/dashboard_text.mjs" "$chromium" "http://127.0.0.1:$http" "$token" \
        "$scratch/answers/dashboard" 198.51.100.1 203.0.113.1 || fail "the dashboard did not show its pages"
    for page in overview telemetry address-198.51.100.1; do
        grep -q '198\.51\.100\.' "$scratch/answers/dashboard/$page.html" || fail "the page $page shows no address"
    done
    rm -rf "$scratch/answers/dashboard.chromium"
else
    echo "leak.sh: SKIPPED: the pages of the dashboard; Chromium or node is not installed"
fi
for a in 198.51.100.1 203.0.113.1; do ask 1 privacy export $a >"$scratch/answers/export-$a"; done
for command in status "ip 198.51.100.1" list telemetry stats alerts "privacy report" "privacy notice" doctor; do
    # shellcheck disable=SC2086 # words
    ask 1 $command >"$scratch/answers/command-${command// /-}" 2>&1
done
# A closer look names mailboxes, on standard output alone.
for view in top-senders logins names; do
    ask 1 investigate --pipe --reason 'the leak test looks' "$view" >>"$scratch/looked" 2>>"$scratch/answers/look.err" ||
        fail "no look at $view"
done
grep -q 'qzmarkqz' "$scratch/looked" || fail "a look shows nobody"
ask 1 transparency list >"$scratch/answers/transparency"
[[ $(wc -l <"$scratch/node1/transparency.log") == 3 ]] || fail "the looks are not on record"
ask 1 backup "$scratch/answers/backup" >/dev/null || fail "no backup"
curl -s -m 20 --unix-socket "$scratch/node2/control.sock" 'http://localhost/api/v1/received?limit=1000' \
    >"$scratch/answers/peer-received"

cat >"$scratch/search.py" <<'PYTHON'
import base64, os, sys
mark = b"qzmarkqz"
forms = {mark, mark[::-1], mark.hex().encode(), mark.decode().encode("utf-16-le")}
for shift in range(3):  # base64 of a text that holds it, at each of three places
    whole = base64.b64encode(b"\0" * shift + mark + b"\0" * 3)
    forms.add(whole[(shift * 8 + 5) // 6 + (shift > 0): (shift + len(mark)) * 8 // 6].lower())
users = [n for n in range(120) if n % 4 != 1 or sys.argv[1] == "all"]
for n in users:
    four = bytes([203, 0, 113, n + 101])
    six = bytes([0x20, 1, 13, 0xb8, 0, 0x77, 0, n])
    forms |= {f"203.0.113.{n + 101}".encode(), b"\4" + four, four.hex().encode(), six, six.hex().encode(),
              f"2001:db8:77:{n:x}:".encode(), base64.b64encode(six)[:10].lower()}
# Those who only log in and never mistype; nobody asks for them but for the first.
for m in [*range(2, 101), 233, 234, 235]:
    four = bytes([203, 0, 113, m])
    forms |= {f"203.0.113.{m}".encode(), b"\4" + four, four.hex().encode()}
found = files = size = 0
for top in sys.argv[2:]:
    walk = [(os.path.dirname(top), [], [os.path.basename(top)])] if os.path.isfile(top) else os.walk(top)
    for folder, _, names in walk:
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                continue
            data = open(path, "rb").read().lower()
            files += 1
            size += len(data)
            for form in forms:
                at = data.find(form)
                while at >= 0 and form[:4] == b"203." and data[at + len(form):at + len(form) + 1].isdigit():
                    at = data.find(form, at + 1)  # the beginning of another address
                if at >= 0:
                    found += 1
                    print(f"{path}: {form!r} at {at}: {data[max(0, at - 60):at + 60]!r}")
print(f"{files} files, {size} bytes, {found} finds")
sys.exit(found > 0)
PYTHON
search() { python3 "$scratch/search.py" "$@"; }
# It finds what is there: plain in the log that was read, and in an encoding.
search all "$scratch/node1.mail" >/dev/null && fail "the search does not see the log"
for planted in 'x203.0.113.104:' 'x203.0.113.42 ' '\0004\0313\0000\0161\0052' '\0004\0313\0000\0161\0150' 'x2001:db8:77:3::/64' '\0040\0001\0015\0270\0000\0167\0000\0003' 'aacb007168'; do
    printf %b "$planted" >"$scratch/planted"
    search some "$scratch/planted" >/dev/null && fail "the search does not see $planted"
done
printf 'x%s' "$(printf 'ab qzmarkqz' | base64)" >"$scratch/planted"
search some "$scratch/planted" >/dev/null && fail "the search does not see base64"
printf 'AB%s' "$(printf qzmarkqz | od -An -tx1 | tr -d ' \n')" >"$scratch/planted"
search some "$scratch/planted" >/dev/null && fail "the search does not see hex"

# Who mistyped before his first login leaves the store's log of writes within 10 s (SPEC 12.1).
sleep 11
# shellcheck disable=SC2086 # no name where nothing was listened to
while_it_runs=$(search all "$scratch/node1" "$scratch/node2" "$scratch/node1.log" "$scratch/node2.log" \
    "$scratch/webhook.out" "$scratch/exec.out" "$scratch/answers" $mesh) || fail "while it runs: $while_it_runs"
echo "while it runs: $while_it_runs"
stop_node 1 || fail "node 1 did not stop"
stop_node 2 || fail "node 2 did not stop"
stopped=$(search all "$scratch/node1" "$scratch/node2" "$scratch/node1.log" "$scratch/node2.log" "$scratch/registry") ||
    fail "stopped: $stopped"
echo "stopped: $stopped"
# And yet the host knows them.
start_again
for a in 203.0.113.101 203.0.113.102 203.0.113.103 203.0.113.233 203.0.113.234 2001:db8:77:1::5; do
    [[ $(ask 1 ip "$a" --json | jq -r .local.last_success) == 20* ]] || fail "$a is not known any more"
done
stop_node 1 || fail "node 1 did not stop again"
# Who logged in is in no signal, on neither host.
for file in "$scratch/answers/blocklist.txt" "$scratch/answers/bouncer-streamstartuptrue" "$scratch/webhook.out" "$scratch/exec.out" "$scratch"/answers/dashboard/{overview,telemetry}.html; do
    [[ -e $file ]] || continue
    grep -q '203\.0\.113\.' "$file" && fail "$(basename "$file") names who logged in"
done
python3 - "$scratch/node2/store.db" <<'PYTHON' || fail "what the peer holds of it"
import sqlite3, sys
rows = [v for (v,) in sqlite3.connect(sys.argv[1]).execute("SELECT value FROM record WHERE kind = 1")]
print(len(rows), "signals at the peer")
assert len(rows) >= 5 and all(bytes([198, 51, 100]) in r for r in rows), "no signals, or of others"
assert not any(bytes([203, 0, 113]) in r for r in rows), "one names who logged in"
PYTHON
((failures == 0)) && echo "passed"
exit $((failures != 0))
