#!/usr/bin/env bash
# A network of one's own: made in one step, and changed by a newly signed descriptor, which one node
# hears of from the registry and the other from that node alone.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
NODES=2
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs jq
find_port 16300
registry=$bin/grapevine-registry

# ---- one step ---------------------------------------------------------------------------------

(cd "$scratch" && "$registry" init small-mesh --listen 192.0.2.7:4728) >"$scratch/said" || fail "init NAME"
"$registry" show-descriptor --json "$scratch/small-mesh/network.descriptor" |
    jq -e '.name == "small-mesh" and .registry == "http://192.0.2.7:4728" and .seeds == ["192.0.2.7:4727"]' \
        >/dev/null || fail "its descriptor: $("$registry" show-descriptor "$scratch/small-mesh/network.descriptor")"
grep -q 'grapevine setup --registry http://192.0.2.7:4728' "$scratch/said" || fail "it does not say what next"
[[ $(stat -c %a "$scratch/small-mesh" "$scratch/small-mesh/root.key" | tr '\n' ' ') == '700 600 ' ]] ||
    fail "its keys are open to others"
(cd "$scratch" && ! "$registry" init small-mesh) 2>/dev/null || fail "init twice"
! "$registry" init 'Not A Name' --data "$scratch/no" 2>/dev/null || fail "a bad name is taken"

# ---- changed ----------------------------------------------------------------------------------

make_registry own --seed "127.9.0.1:$port"
start_registry
registry_pid=${pids[-1]}
start_mesh
version_of() { ask "$1" network --json 2>/dev/null | jq -r .version; }
knows() { [[ $(version_of "$1") == "$2" ]]; }
"$registry" descriptor --data "$scratch/registry" --set untrusted_weight=3000 --set consensus_weight=6000 \
    --seed "127.1.0.1:$port" --seed "127.2.0.1:$port" >/dev/null || fail "a new descriptor"
! "$registry" descriptor --data "$scratch/registry" --set nonsense=1 2>/dev/null || fail "a parameter that is none"
! "$registry" descriptor --data "$scratch/registry" --set alive_min=0 2>/dev/null || fail "a value out of range"
before=$(ask 1 status --json | jq -r .instance)
# Node 2 must not ask the registry: it has asked at its start, and asks again in six hours.
stop_node 1
start_node 1
wait_for 20 "node 1 to hear of it from the registry" knows 1 2
wait_for 30 "node 2 to hear of it from node 1" knows 2 2
for n in 1 2; do
    ask "$n" network --json | jq -e --arg s "127.2.0.1:$port" \
        '.policy.untrusted_weight == 3000 and .policy.consensus_weight == 6000 and (.seeds | index($s)) != null' \
        >/dev/null || fail "node $n has another: $(ask "$n" network --json)"
done
[[ $(ask 1 status --json | jq -r .instance) == "$before" ]] || fail "node 1 is another"
wait_for 30 "both to be connected" has_peers 2
# The root key is the network: without it nothing is signed, with another nothing is taken.
"$registry" init other --data "$scratch/other" --lab >/dev/null
! "$registry" descriptor --data "$scratch/registry" --root-key "$scratch/other/root.key" --version-bump 2>/dev/null ||
    fail "another root key signs"

# ---- by invitation ------------------------------------------------------------------------------

sed -i 's/^listen = .*/&\nenrolment = invited/' "$scratch/registry/registry.conf"
kill "$registry_pid" && wait "$registry_pid"
start_registry
invite() { "$registry" invite --config "$scratch/registry/registry.conf" "$@"; }
NODES=4
start_node 3
start_node 4
for n in 3 4; do
    wait_for 10 "node $n" answers "$n"
    wait_for 20 "the descriptor on node $n" in_network "$n"
done
asks() { ask "$1" enroll --email "$2" --accept-terms "${@:3}" >/dev/null 2>"$scratch/errors"; }
refused() { # N EMAIL TEXT [OPTIONS]
    if asks "$1" "$2" "${@:4}" || ! grep -q "$3" "$scratch/errors"; then fail "$2 ${*:4}: $(<"$scratch/errors")"; fi
}
refused 3 admin@owner3.test 'admits the invited only'
refused 3 admin@owner3.test 'no invitation' --invitation 00000-00000
refused 3 admin@owner3.test 'no invitation' --invitation "'; DROP TABLE invitation"
for_three=$(invite --expires 1h Admin+x@Owner3.test) || fail "invite"
[[ $for_three =~ ^[0-9A-Z]{5}-[0-9A-Z]{5}$ ]] || fail "an invitation that is none: $for_three"
for_anybody=$(invite)
! invite --expires 1s 2>/dev/null || fail "an invitation for a second"
! invite 'not an address' 2>/dev/null || fail "an invitation for nobody"
refused 4 admin@owner4.test 'no invitation' --invitation "$for_three"
[[ -z $(mail_to 3) ]] || fail "a mail was sent without an invitation"
enrol_by() { # N INVITATION
    asks "$1" "admin@owner$1.test" --invitation "$2" || fail "node $1 with an invitation: $(<"$scratch/errors")"
    wait_for 15 "the mail to $1" has_mail "$1"
}
enrol_by 3 "$(tr '[:upper:]' '[:lower:]' <<<"${for_three/-/ }")"
asks 3 admin@owner3.test --invitation "$for_three" || fail "the same node may ask again: $(<"$scratch/errors")"
sets_up() { # N [OPTIONS]: with setup, likewise
    ask "$1" setup --non-interactive --email "admin@owner$1.test" --accept-terms --log "$scratch/node$1.mail" \
        --no-import --hooks no --allow no "${@:2}" >/dev/null 2>"$scratch/errors" </dev/null
}
if sets_up 4 || ! grep -q -- '--invitation CODE' "$scratch/errors"; then fail "setup uninvited: $(<"$scratch/errors")"; fi
sets_up 4 --invitation "$for_anybody" || fail "setup by invitation: $(<"$scratch/errors")"
wait_for 15 "the mail to 4" has_mail 4
refused 3 admin@owner3.test 'no invitation' --invitation "$for_anybody" # node 4 has it
ask 4 confirm "$(sed -n 's/.*grapevine confirm \([^ ]*\).*/\1/p' "$(mail_to 4)" | tr -d '\r' | head -n 1)" >/dev/null 2>&1 ||
    fail "confirm by invitation"
# Not in the clear on disk; and members renew and run on without one.
! grep -qaF -e "$for_three" -e "${for_three/-/}" "$scratch/registry"/registry.db* || fail "an invitation lies on disk"
wait_for 30 "node 4 to find a peer" has_peers 4 1

[[ $failures == 0 ]] && echo "own network: all as it should be"
exit $((failures > 0))
