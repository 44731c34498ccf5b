#!/usr/bin/env bash
# An anomaly, from the log to everybody who is to hear of it: a real node that has seen five weeks of two
# messages a minute reads of forty. Within five minutes of log there is one alert: in `grapevine alerts` and
# to who follows it, on the dashboard, in a letter, at the webhook and the exec hook, in the daemon's log, and
# none of them names a mailbox. (SPEC 10.9) It waits for a minute to end, so GV_LONG=yes alone runs it.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
# shellcheck source=tests/e2e/frame.sh
source "$(dirname "${BASH_SOURCE[0]}")/frame.sh"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${GV_BIN:-$root/build/bin}
fill=$bin/../tests/bench_store
[[ ${GV_LONG:-no} == yes ]] || { echo "alerts.sh: SKIPPED: GV_LONG=yes runs it (70 s)"; exit 77; }
needs jq python3 curl
[[ -x $fill ]] || { echo "alerts.sh: SKIPPED: $fill is not built"; exit 77; }
scratch=$(mktemp -d /tmp/gv-alerts.XXXXXX)
pids=()
clean_up() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    wait
    rm -rf "$scratch"
}
trap clean_up EXIT
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port=16000
while listening $port || listening $((port + 1)) || listening $((port + 2)); do port=$((port + 10)); done
mkdir -m 700 "$scratch/data"
mkdir "$scratch/hook" "$scratch/letters"
"$fill" fill "$scratch/data" 10 0 0 5 || die "no history"
echo ok >"$scratch/hook/mode"
python3 "$root/tests/e2e/hooks.py" "$scratch/hook" $((port + 1)) >/dev/null &
pids+=($!)
printf '#!/bin/sh\ncat >>%q\necho >>%q\n' "$scratch/exec.out" "$scratch/exec.out" >"$scratch/exec"
chmod 755 "$scratch/exec" "$scratch"
cat >"$scratch/conf" <<CONF
[node]
data = $scratch/data
$([[ $EUID != 0 ]] || echo "user = root")
listen =
control = $scratch/control.sock
[log]
file = $scratch/mail.log
from_start = yes
[http]
listen = 127.0.0.1:$((port + 2))
[hooks]
exec = $scratch/exec
webhook = http://127.0.0.1:$((port + 1))/hook
alert_mail = admin@example.org
alert_smtp = file:$scratch/letters
CONF
grapevine() { timeout 90 "$bin/grapevine" --config "$scratch/conf" "$@"; }
# Forty a minute to other hosts, from a minute that has just begun back to five before it; bounces like ever.
python3 - >"$scratch/mail.log" <<'PYTHON'
import datetime
now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
for minute in range(5, -2, -1):
    at = now - datetime.timedelta(minutes=minute)
    for n in range(40):
        q = f"4C{minute + 2:X}{n:02X}1"
        def say(program, text):
            print(f"{at.isoformat()} mail postfix/{program}[1]: {q}: {text}")
        say("smtpd", "client=mx.example.net[203.0.113.9], sasl_method=PLAIN, sasl_username=qzmarkqz@example.org")
        say("qmgr", "from=<qzmarkqz@example.org>, size=900, nrcpt=1 (queue active)")
        say("smtp", "to=<qzmarkqz@far.example>, relay=mx.far.example[198.51.100.7]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)")
        say("qmgr", "removed")
for n in range(6):
    print(f"{now.isoformat()} mail dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<qzmarkqz{n}>, method=PLAIN, rip=198.51.100.1, lip=192.0.2.1, session=<a{n}>")
PYTHON
"$bin/grapevined" --config "$scratch/conf" >"$scratch/daemon.log" 2>&1 &
pids+=($!)
wait_for 30 "the daemon" grapevine status >/dev/null 2>&1
grapevine alerts --follow --json >"$scratch/followed" 2>&1 &
pids+=($!)
[[ $(grapevine alerts --json | jq -r .baseline) == knowing ]] || fail "the baseline: $(grapevine alerts --json)"
begun() { [[ $(grapevine alerts --json | jq '.alerts | length') == 1 ]]; }
wait_for 80 "an alert" begun
grapevine alerts | grep -Eq '^#1 .* until now  outgoing mail: [0-9]+ in five minutes, usual are at most 10$' ||
    fail "grapevine alerts: $(grapevine alerts)"
until_true 10 "who follows" grep -q '"series":"outgoing"' "$scratch/followed"
until_true 10 "the exec hook" grep -sq '"outgoing"' "$scratch/exec.out"
until_true 10 "the webhook" grep -sq '"outgoing"' "$scratch/hook/taken"
letters() { compgen -G "$scratch/letters/*" >/dev/null; }
until_true 10 "a letter" letters
cat "$scratch"/letters/* | grep -q '^To: .*admin@example.org' || fail "the letter: $(cat "$scratch"/letters/*)"
cat "$scratch"/letters/* | grep -q 'outgoing mail: [0-9]* in five minutes' || fail "the letter: $(cat "$scratch"/letters/*)"
grep -q 'alert: outgoing mail' "$scratch/daemon.log" || fail "the daemon's log"
for where in "$scratch/exec.out" "$scratch/hook/taken"; do
    [[ $(jq -s '[.[] | .alerts // [] | .[]] | length' "$where") == 1 ]] || fail "$where: $(cat "$where")"
    [[ $(jq -rs '[.[] | .alerts // [] | .[]][0] | "\(.series) \(.state)"' "$where") == "outgoing on" ]] || fail "$where: $(cat "$where")"
done
grep -rq qzmarkqz "$scratch/letters" "$scratch/exec.out" "$scratch/hook" "$scratch/followed" "$scratch/daemon.log" "$scratch/data" &&
    fail "an alert names a mailbox"
chromium=$(type -P chromium chromium-browser google-chrome | head -n 1)
if [[ -n $chromium ]] && command -v node >/dev/null; then
    GV_PAGES=overview,alerts timeout 120 node "$root/tests/e2e/dashboard_text.mjs" "$chromium" "http://127.0.0.1:$((port + 2))" "$(grapevine token)" \
        "$scratch/pages" >"$scratch/browser.log" 2>&1 || fail "the dashboard did not show its pages: $(cat "$scratch/browser.log")"
    for page in overview alerts; do
        grep -q 'utgoing mail: [0-9]* in five minutes' "$scratch/pages/$page.html" || fail "the page $page does not show it"
    done
else
    echo "alerts.sh: SKIPPED: the dashboard; Chromium or node is not installed"
fi
((failures == 0)) && echo "passed"
exit $((failures != 0))
