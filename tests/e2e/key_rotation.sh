#!/usr/bin/env bash
# The registry's key is changed under running nodes: for a while certificates of both keys are good, the
# nodes renew by themselves, and then the old key is dropped, and with it whoever has not renewed.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
NODES=2
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs jq
find_port 16500
keys() { "$bin/grapevine-registry" keys --config "$scratch/registry/registry.conf" "$@"; }
in_use() { keys --json | jq -r ".[] | select(.key[0:8] == \"$1\") | .certificates"; } # KEY
uses() { [[ $(in_use "$1") == "$2" ]]; }
key_of() { keys --json | jq -r ".[] | select(.role == \"$1\") | .key[0:8]"; } # ROLE
version_is() { [[ $(ask "$1" network --json 2>/dev/null | jq -r .version) == "$2" ]]; }
peers_are() { [[ $(status_of "$1" peers) == "$2" ]]; }

make_registry rotation
printf '[limits]\ncertificate_life = 5m\n' >>"$scratch/registry/registry.conf"
start_registry
start_mesh
old=$(key_of signs)
uses "$old" 2 || fail "not two certificates: $(keys)"
# Node 2 cannot reach the registry any more: what it knows it has from the mesh, and it cannot renew.
stop_node 2
registry_url=http://127.0.0.1:$((port + 2)) start_node 2
wait_for 10 "node 2" answers 2
wait_for 20 "node 2 to be back" has_peers 2

# ---- both keys --------------------------------------------------------------------------------

! keys --rotate --root-key "$scratch/registry/owner.key" 2>/dev/null || fail "another root key rotates"
[[ ! -e $scratch/registry/registry-next.key ]] || fail "a key was made for nothing"
keys --rotate --lead 0s --overlap 1h >/dev/null || fail "keys --rotate"
new=$(key_of signs)
[[ $new != "$old" && $(key_of former) == "$old" ]] || fail "which key signs? $(keys)"
stop_node 1
start_node 1 # asks for the descriptor at its start, and then every 6 hours
wait_for 20 "node 1 to hear of it from the registry" version_is 1 2
wait_for 20 "node 2 to hear of it from node 1" version_is 2 2
wait_for 40 "node 1 to renew by itself" uses "$new" 1
uses "$old" 1 || fail "node 2's certificate: $(keys)"
NODES=3
start_node 3
enrol 3
uses "$new" 2 || fail "a newcomer's certificate is of the old key: $(keys)"
for n in 1 2 3; do wait_for 40 "node $n to have both others as peers" has_peers "$n"; done
fails_at 2 45.9.20.33
wait_for 20 "the word of node 2, under the old key, to count" verdict_is 3 45.9.20.33 reported
fails_at 3 45.9.20.44
wait_for 20 "the word of node 3, under the new key, to count at node 2" verdict_is 2 45.9.20.44 reported

# ---- the old one is dropped -------------------------------------------------------------------

! keys --drop "$old" 2>"$scratch/errors" || fail "a key in use is dropped"
grep -q 'in use: 1;' "$scratch/errors" ||
    fail "it does not say why: $(<"$scratch/errors")"
! keys --drop "$new" --force 2>/dev/null || fail "the key that signs is dropped"
keys --drop "$old" --force >/dev/null || fail "keys --drop --force"
stop_node 1
start_node 1
wait_for 20 "node 1 to hear that it is dropped" version_is 1 3
wait_for 30 "node 2 to be out" peers_are 1 1
stop_node 2
start_node 2 # it reaches the registry again
wait_for 40 "node 2 to renew by itself" uses "$new" 3
for n in 1 2 3; do wait_for 40 "node $n to have both others again" has_peers "$n"; done
# Nothing of this looks like a registry that cheats.
for n in 1 2 3; do
    [[ ! -e $scratch/node$n/registry-finding ]] || fail "node $n accuses it: $(<"$scratch/node$n/registry-finding")"
done
[[ $failures == 0 ]] && echo "key rotation: all as it should be"
exit $((failures > 0))
