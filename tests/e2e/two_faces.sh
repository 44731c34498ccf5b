#!/usr/bin/env bash
# A registry with two faces, caught by real nodes (SPEC 14.7): it runs twice with the same keys, and in
# the log that one half of the mesh is shown stands somebody whom the other half never hears of. As
# soon as a node of each half meets the other, both say so: in the log, in status and in doctor.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs jq sqlite3 curl
NODES=2

has_looked() { [[ $(ask "$1" status --json | jq -r '.registry.log.head // empty') != "" ]]; }
finding() { ask "$1" status --json | jq -r '.registry.finding // empty'; }
says_two_faces() { [[ $(finding "$1") == *"two faces"* ]]; }
start_face() { # FOLDER PORT
    "$bin/grapevine-registry" serve --config "$1/registry.conf" >>"$scratch/registry.log" 2>&1 &
    pids+=($!)
    wait_for 10 "a registry" listening 127.0.0.1 "$2"
}

find_port 17327
make_registry faces
cp -r "$scratch/registry" "$scratch/other"
sed -i -e "s/^listen = .*/listen = 127.0.0.1:$((port + 2))/" "$scratch/other/registry.conf"
start_face "$scratch/registry" $((port + 1))
start_face "$scratch/other" $((port + 2))
# Minted, and in the other face's log alone.
key=$("$bin/grapevine-registry" show-descriptor "$scratch/registry/network.descriptor" |
    grep -oE '\b[0-9a-f]{64}\b' | sort -u)
[[ -n $key ]] || die "no registry key in the descriptor"
for candidate in $key; do
    sqlite3 "$scratch/other/registry.db" \
        "INSERT INTO log VALUES ($((16#${candidate:0:8})), 0, randomblob(16), randomblob(65))"
done

start_node 1
enrol 1
wait_for 30 "node 1 to copy the log" has_looked 1
[[ -z $(finding 1) ]] || fail "node 1 alone: $(finding 1)"
registry_url=http://127.0.0.1:$((port + 2))
start_node 2
enrol 2
for n in 1 2; do wait_for 40 "node $n to say so" says_two_faces "$n"; done
for n in 1 2; do
    grep -q "the registry shows two faces" "$scratch/node$n.log" || fail "node $n: nothing in the log"
    ask "$n" status | grep -q "NOT TO BE TRUSTED since" || fail "node $n: nothing in status"
    ask "$n" doctor >"$scratch/doctor" 2>&1 && fail "node $n: doctor is content"
    grep -q "not to be trusted since .*two faces" "$scratch/doctor" ||
        fail "node $n: doctor says $(cat "$scratch/doctor")"
done
has_peers 1 1 || fail "the nodes parted over it"
echo "a registry with two faces is caught by both nodes when they meet"
((failures == 0))
