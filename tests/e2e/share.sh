#!/usr/bin/env bash
# [share] mode is switched while the node runs: with no it says nothing and goes on receiving and refusing; with
# preview it only shows; with yes it speaks, of what fails from then on (SPEC 15). Two real nodes.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
NODES=2
# shellcheck source=tests/e2e/common.sh
source "$(dirname "$0")/common.sh"
needs jq python3 curl
find_port 16800
make_registry share
start_registry
start_mesh

mode() { # MODE
    sed -i "s/^mode = .*/mode = $1/" "$(conf 1)"
    ask 1 reload >/dev/null || fail "reload with mode = $1"
    [[ $(ask 1 status --json | jq -r '.. | .share? // empty' | head -n 1) == "$1" ]] || fail "status does not say $1"
}
failures_at() { [[ $(ask "$1" ip --json "$2" | jq -r .local.failures) -ge 3 ]]; }
state_of() { # ADDRESS: of the entry in the telemetry, "" without one
    ask 1 telemetry --json | jq -r --arg a "$1" '[.telemetry[] | select(.statement.subject == $a) | .state] | last // ""'
}
is_state() { [[ $(state_of "$1") == "$2" ]]; }
statements() { status_of "$1" statements; }
has_statements() { [[ $(statements "$1") == "$2" ]]; }

mode no
fails_at 1 198.51.100.1
wait_for 20 "node 1 to see the failures" failures_at 1 198.51.100.1
fails_at 2 198.51.100.2
wait_for 20 "node 1 to receive while it does not share" has_statements 1 1
is_state 198.51.100.1 "" || fail "with mode = no a signal was made: $(state_of 198.51.100.1)"
has_statements 2 1 || fail "node 2 holds $(statements 2) statements, not its own alone"
about() { ask 1 ip --json "$1" | jq -r "$2"; }
[[ $(about 198.51.100.2 .verdict) == reported ]] || fail "what it received counts nothing: $(about 198.51.100.2 .verdict)"
fails_at 1 198.51.100.1
fails_at 1 198.51.100.1
refuses() { [[ $(about "$1" .action) == refuse ]]; }
wait_for 20 "node 1 to refuse while it does not share" refuses 198.51.100.1
[[ $(curl -s --unix-socket "$scratch/node1/control.sock" 'http://localhost/api/v1/list?action=refuse' | jq -r '[.. | strings | select(. == "198.51.100.1")] | length') -ge 1 ]] ||
    fail "its block list is empty"

mode preview
fails_at 1 198.51.100.3
wait_for 20 "a preview" is_state 198.51.100.3 preview
sleep 1
has_statements 2 1 || fail "a preview went out"

mode yes
fails_at 1 198.51.100.4
wait_for 20 "a signal that is acknowledged" is_state 198.51.100.4 sent
wait_for 20 "node 2 to hold it" has_statements 2 2
is_state 198.51.100.3 preview || fail "the preview became something else"

mode no
fails_at 1 198.51.100.5
wait_for 20 "node 1 to see the failures" failures_at 1 198.51.100.5
is_state 198.51.100.5 "" || fail "after yes, no: a signal was made"

# What was made while nobody could hear it does not go out later, nor after a restart.
mode yes
stop_node 2
lonely() { [[ $(status_of 1 peers) == 0 ]]; }
wait_for 20 "node 1 to be alone" lonely
fails_at 1 198.51.100.6
wait_for 20 "a signal that waits" is_state 198.51.100.6 queued
mode no
wait_for 20 "the signal to be a preview" is_state 198.51.100.6 preview
mode yes
fails_at 1 198.51.100.7
wait_for 20 "another that waits" is_state 198.51.100.7 queued
stop_node 1
sed -i "s/^mode = .*/mode = preview/" "$(conf 1)"
start_node_again() { "$bin/grapevined" --config "$(conf "$1")" >>"$scratch/node$1.log" 2>&1 & node_pid[$1]=$!; pids+=($!); }
start_node_again 1
wait_for 20 "node 1" answers 1
is_state 198.51.100.7 preview || fail "after a restart with mode = preview: $(state_of 198.51.100.7)"
start_node_again 2
wait_for 30 "node 1 to find node 2" has_peers 1
fails_at 2 198.51.100.8
heard() { [[ $(about 198.51.100.8 .verdict) == reported ]]; }
wait_for 30 "news of node 2, which comes after what node 1 has" heard
for held in 198.51.100.6 198.51.100.7; do
    [[ $(ask 2 ip --json $held | jq -r .verdict) == unknown ]] || fail "$held was sent after sharing was switched off"
    is_state $held preview || fail "$held is $(state_of $held)"
done
ask 1 stats | grep -q "mail is counted in Postfix's log alone" || fail "stats of a log without mail: $(ask 1 stats)"
((failures == 0)) && echo "passed"
exit $((failures != 0))
