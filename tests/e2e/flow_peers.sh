#!/usr/bin/env bash
# Mail at peers (SPEC 9.11): five nodes with mail logs of different bounce rates tell each other coarse
# figures; one sees where it stands; one that has switched it off tells nothing, and one is switched off
# and on while it runs. What went over the wire is a size class and three per cents, and no verdict moved.
set -uo pipefail
NODES=5
# shellcheck source=tests/e2e/common.sh
source "$(dirname "$0")/common.sh"
needs jq python3
find_port 17600
make_registry flow
start_registry

# 500 messages of two hours ago, of which a share of N per cent of the deliveries bounced.
for n in 1 2 3 4 5; do
    python3 - "$n" >"$scratch/node$n.mail" <<'PYTHON'
import datetime, sys
percent = {1: 9, 2: 1, 3: 2, 4: 4, 5: 60}[int(sys.argv[1])]
at = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)).isoformat()
for i in range(500):
    q = f"4F{i:04X}B"
    print(f"{at} mail postfix/smtpd[1]: {q}: client=qzmarkqz[198.51.100.9]")
    print(f"{at} mail postfix/qmgr[3]: {q}: from=<qzmarkqz@x.example>, size=1000, nrcpt=1 (queue active)")
    status = "bounced (550 no)" if i % 100 < percent else "sent (250 ok)"
    print(f"{at} mail postfix/smtp[4]: {q}: to=<a@y.example>, relay=mx[198.51.100.250]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status={status}")
    print(f"{at} mail postfix/qmgr[3]: {q}: removed")
PYTHON
done
share=(x yes yes yes yes no)
start_mesh
for n in 1 2 3 4 5; do
    stop_node "$n" || fail "node $n did not stop"
    sed -i "s/^mode = yes/mode = yes\nshare_statistics = ${share[n]}/" "$(conf "$n")"
    "$bin/grapevined" --config "$(conf "$n")" >>"$scratch/node$n.log" 2>&1 &
    node_pid[n]=$! pids+=($!)
    wait_for 30 "node $n" answers "$n"
done
peers_of() { ask "$1" stats --peers --json | jq -r ".$2"; }
is() { [[ $(peers_of "$1" "$2") == "$3" ]]; }
wait_for 90 "node 1 to hear of three peers" is 1 peers 3
wait_for 90 "node 5 to hear of four" is 5 peers 4
{ is 1 mine.bounced 9 && is 1 mine.size 2; } || fail "its own figures: $(ask 1 stats --peers --json)"
is 1 told.bounced 9 || fail "what it tells: $(ask 1 stats --peers --json)"
is 5 told null || fail "node 5 tells although it is switched off"
ask 1 stats --peers | grep -q 'bounce rate 9%: higher than 100% of peers' || fail "where it stands: $(ask 1 stats --peers)"
ask 4 stats --peers | grep -q 'bounce rate 4%: higher than 66% of peers' || fail "where node 4 stands: $(ask 4 stats --peers)"
ask 5 stats --peers | grep -q 'this host tells them: nothing' || fail "node 5: $(ask 5 stats --peers)"
# Switched at run time.
sed -i 's/^share_statistics.*/share_statistics = no/' "$(conf 1)"
kill -HUP "${node_pid[1]}"
until_true 10 "switched off" is 1 told null
sed -i 's/^share_statistics.*/share_statistics = yes/' "$(conf 5)"
kill -HUP "${node_pid[5]}"
until_true 10 "switched on" is 5 told.bounced 60
until_true 30 "node 2 to hear of node 5" is 2 peers 4
# Nothing of it is stored at those who heard it, and nobody is untrusted because of it.
[[ $(ask 2 list --json | jq '[.. | .verdict? // empty] | length') == 0 ]] || fail "a verdict moved"
((failures == 0)) && echo "passed"
exit $((failures != 0))
