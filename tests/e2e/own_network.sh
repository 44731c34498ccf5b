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

[[ $failures == 0 ]] && echo "own network: all as it should be"
exit $((failures > 0))
