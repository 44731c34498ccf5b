#!/usr/bin/env bash
# The dashboard in a real, headless Chromium, served by a real node that is fed by log lines and has a
# peer: each page in light, in dark and on a phone (pictures in the build's e2e-output folder, looked at
# for emptiness), the console, requests to elsewhere, the keyboard, what screen readers are told, live
# changes, hostile text, wrong and revoked tokens, a clock that jumps; and a thousand dashboards at once.
# (SPEC 18.10)
set -uo pipefail
NODES=2
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs jq curl node python3
chromium=$(type -P chromium chromium-browser google-chrome | head -n 1)
[[ -n $chromium ]] || {
    echo "dashboard.sh: SKIPPED: no Chromium is installed (tests/packages.sh test)"
    exit 77
}
out=${GV_OUTPUT:-$(dirname "$bin")/e2e-output/dashboard}

http=17729
while listening 127.0.0.1 $http; do http=$((http + 10)); done
find_port 27727
make_registry dashboard
start_registry
start_mesh
stop_node 1
nasty="$scratch/<script>alert(1)<"
mkdir -p "$nasty"
touch "$nasty/script>.log"
cat >>"$(conf 1)" <<CONF
[http]
listen = 127.0.0.1:$http
[log]
file = $nasty/script>.log
CONF
"$bin/grapevined" --config "$(conf 1)" >>"$scratch/node1.log" 2>&1 &
node_pid[1]=$!
pids+=($!)
wait_for 20 "node 1" answers 1
wait_for 40 "node 1 to find the other" has_peers 1
# Two hours of mail, so that there is something to draw.
python3 - "$scratch/flow.sum" >"$scratch/flow" <<'PYTHON'
import datetime, math, sys
now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
total = waiting = 0
for minute in range(110, 0, -1):
    at = (now - datetime.timedelta(minutes=minute)).isoformat()
    def say(program, text):
        print(f"{at} mail postfix/{program}[1]: {text}")
    for n in range(int(8 + 6 * math.sin(minute / 9) + minute % 3)):
        q = f"4B{minute:03X}{n:02X}1"
        say("smtpd", f"{q}: client=mx.example.net[203.0.113.9]")
        say("qmgr", f"{q}: from=<a@example.net>, size={900 + n}, nrcpt=1 (queue active)")
        what = "bounced" if n == 7 else "deferred" if n == 9 else "sent"
        say("lmtp", f"{q}: to=<b@example.org>, relay=mail[/run/lmtp], delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status={what} (ok)")
        waiting += what == "deferred"
        if what != "deferred":
            say("qmgr", f"{q}: removed")
        total += 1
    for n in range(minute * 7 % 5):
        say("smtpd", f"NOQUEUE: reject: RCPT from unknown[198.51.100.{200 + n}]: 554 5.7.1 <c@example.org>: Relay access denied; from=<d@example.net> to=<c@example.org> proto=ESMTP helo=<x>")
open(sys.argv[1], "w").write(str(total))
open(sys.argv[1].replace("sum", "queue"), "w").write(str(waiting))
PYTHON
cat "$scratch/flow" >>"$scratch/node1.mail"
for i in $(seq 1 15); do fails_at 1 "198.51.100.$i"; done
for i in $(seq 5 25); do fails_at 2 "198.51.100.$i"; done
wait_for 20 "an own signal" verdict_is 1 198.51.100.7 untrusted
wait_for 20 "a signal of the other" verdict_is 1 198.51.100.25 reported

previewed() { (($(ask 1 telemetry --json -n 1000 | jq '[.telemetry[] | select(.state == "preview")] | length') == 120)); }
# What the browser wants done meanwhile.
(
    while [[ -d $scratch ]]; do
        [[ -e $scratch/attack ]] && rm "$scratch/attack" && fails_at 1 198.51.100.44
        [[ -e $scratch/preview ]] && rm "$scratch/preview" &&
            sed -i 's/^mode = yes/mode = preview/' "$(conf 1)" && ask 1 reload >/dev/null &&
            for i in $(seq 66 185); do fails_at 1 "198.51.100.$i"; done &&
            wait_for 20 "previews" previewed && touch "$scratch/previewed"
        [[ -e $scratch/revoke ]] && rm "$scratch/revoke" && ask 1 token --new >"$scratch/token"
        sleep 0.1
    done
) 2>/dev/null &
pids+=($!)
ask 1 token >"$scratch/token"
counted() { [[ $(ask 1 stats --json --since 3h | jq .sum.received) == "$(cat "$scratch/flow.sum")" ]]; }
wait_for 20 "the mail to be counted" counted
timeout 240 node "$root/tests/e2e/dashboard.mjs" "$chromium" "http://127.0.0.1:$http" "$(cat "$scratch/token")" \
    "$out" "$scratch" || fail "in the browser (see above)"

# ---- a thousand dashboards ------------------------------------------------------------------------
python3 - "$http" "$(cat "$scratch/token")" <<'PYTHON' || fail "a thousand dashboards (see above)"
import http.client, json, socket, sys, time
port, token = int(sys.argv[1]), sys.argv[2]
head = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
def ask(path):
    start = time.monotonic()
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    link.request("GET", path, headers={"Authorization": "Bearer " + token})
    answer = link.getresponse()
    body = answer.read()
    return answer.status, body, time.monotonic() - start
serial = json.loads(ask("/api/v1/changes")[1])["serial"]
def wait_for_news(count):
    links = []
    for _ in range(count):
        link = socket.create_connection(("127.0.0.1", port), timeout=20)
        link.sendall(f"GET /api/v1/changes?since={serial}&wait=60 HTTP/1.1\r\n{head}\r\n".encode())
        links.append(link)
    return links
def refusals(links):
    refused = []
    for link in links:
        link.settimeout(0.0)
        try:
            said = link.recv(4096).decode()
        except BlockingIOError:
            continue # it waits
        assert said.startswith("HTTP/1.1 503 ") and '"busy"' in said and "Retry-After: 5" in said, said
        refused.append(said)
    return refused
links = wait_for_news(1000)
slowest = 0
for path in ["/dashboard/", "/api/v1/status", "/api/v1/attackers", "/blocklist.txt"] * 5:
    status, body, took = ask(path)
    assert status == 200 and body, (path, status)
    slowest = max(slowest, took)
refused = refusals(links)
waiting = len(links) - len(refused)
assert 400 <= waiting <= 512 and len(refused) >= 488, (waiting, len(refused))
print(f"of 1,000 dashboards {waiting} wait for news, {len(refused)} were told to come later; "
      f"another one's slowest answer took {slowest * 1000:.0f} ms")
# Those who have left make room for others, long before their minute is up.
for link in links:
    link.close()
for attempt in range(20):
    time.sleep(1)
    links = wait_for_news(100)
    ask("/api/v1/status")
    if not refusals(links):
        break
else:
    raise AssertionError("a thousand that left still hold their places after 20 s")
PYTHON

[ $failures -eq 0 ] || exit 1
echo "the dashboard is as it should be"
