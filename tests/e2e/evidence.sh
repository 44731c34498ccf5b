#!/usr/bin/env bash
# Explaining, by the programs as an admin uses them (SPEC 21, 11.5): a node that never saw an attacker exports
# what his verdict is made of; without any daemon, network or home the same verdict comes out of the file, and
# nothing else out of a changed one. `owners` says whose word weighs what, `distrust` takes one away here alone.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
NODES=3
# shellcheck source=tests/e2e/common.sh
source "$(dirname "$0")/common.sh"
needs jq
bin=$(cd "$bin" && pwd) # it is called from elsewhere
find_port 17300
make_registry evidence
start_registry
start_mesh
readonly X=198.51.100.9

fails_at 1 $X
fails_at 2 $X
for n in 1 2 3; do wait_for 30 "the verdict on node $n" verdict_is "$n" $X untrusted; done
file=$scratch/evidence.json
ask 3 ip $X --evidence "$file" | grep -q "grapevine verify $file" || fail "ip --evidence does not say how to check it"
[[ $(ask 3 ip $X --evidence - | jq -c .) == "$(jq -c . "$file")" ]] || fail "--evidence - is another"
ask 3 ip $X --json >"$scratch/answer.json"

# ---- on another machine: nothing of this one's, and no network where that can be had
away=(env -i)
if unshare -n true 2>/dev/null; then away=(unshare -n env -i); fi
verify() { (cd / && "${away[@]}" "$bin/grapevine" verify "$@"); }
verify "$file" >"$scratch/said" || fail "verify of what was just exported: $(cat "$scratch/said")"
verify "$file" --json >"$scratch/said.json" || fail "verify --json"
for member in verdict weight; do
    [[ $(jq -r ".$member" "$scratch/said.json") == $(jq -r ".$member" "$scratch/answer.json") ]] ||
        fail "$member: verified $(jq -c ".$member" "$scratch/said.json"), the node says $(jq -c ".$member" "$scratch/answer.json")"
done
[[ $(jq -r .left_out "$scratch/said.json") == 0 ]] || fail "something was left out"
id=$(jq -r .network "$file")
verify --network "$id" "$file" >/dev/null || fail "verify --network with its own id"
verify --network "${id//[0-9]/a}" "$file" >/dev/null 2>&1
[[ $? == 1 ]] || fail "another network's id is believed"
changed() { # WHAT FILTER: status 1, and a sentence
    jq "$2" "$file" >"$scratch/changed.json"
    verify "$scratch/changed.json" >/dev/null 2>"$scratch/why"
    [[ $? == 1 && -s $scratch/why ]] || fail "$1 goes unnoticed"
}
changed "a weight" '.verdict.weight += 1'
changed "a state" '.verdict.state = "reported"'
changed "a missing signal" 'del(.records[-1])'
changed "a missing certificate" 'del(.records[1])'
changed "a missing descriptor" 'del(.records[0])'
changed "another subject" '.subject = "198.51.100.8"'
changed "another minute" '.minute += 2000'
changed "records of another order" '.records |= reverse'
changed "a changed signature" '.records[-1] |= (.[0:-2] + (if .[-2:] == "00" then "01" else "00" end))'
head -c 300 "$file" >"$scratch/cut.json"
verify "$scratch/cut.json" >/dev/null 2>&1
[[ $? == 1 ]] || fail "half a file is believed"
verify "$scratch/none.json" >/dev/null 2>&1
[[ $? == 66 ]] || fail "verify of no file"
head -c 5000000 /dev/zero >"$scratch/large.json"
verify "$scratch/large.json" >/dev/null 2>&1 && fail "a large file of zeros is believed"

# ---- owners, and one whom this node does not hear
owners() { ask 3 owners --json | jq -r "$1"; }
[[ $(owners '.owners | length') == 3 ]] || fail "owners: $(owners -c)"
[[ $(owners '[.owners[] | select(.standing == 1000 and .instances == 1)] | length') == 3 ]] || fail "standing: $(owners .)"
for word in standing instances groups since tenured fault_until distrusted; do
    [[ $(owners ".owners[0] | has(\"$word\")") == true ]] || fail "owners does not say $word"
done
ask 3 owners | grep -q STANDING || fail "owners as a table"
tag=$(jq -r '.verdict.votes[0].owner' "$file")
ask 3 distrust "$tag" >/dev/null || fail "distrust $tag"
wait_for 10 "node 3 not to hear him" verdict_is 3 $X reported
verdict_is 1 $X untrusted || fail "another node is concerned"
[[ $(owners ".owners[] | select(.owner == \"$tag\") | .distrusted") == true ]] || fail "owners does not show it"
ask 3 ip $X --evidence "$scratch/distrusted.json" >/dev/null || fail "evidence of who distrusts"
verify "$scratch/distrusted.json" >/dev/null || fail "verify what who distrusts has exported"
[[ $(jq -r .verdict.state "$scratch/distrusted.json") == untrusted ]] || fail "evidence is of the mesh's verdict"
ask 3 distrust 0123 >/dev/null 2>&1 && fail "a tag that is none is taken"
ask 3 distrust --undo "$tag" >/dev/null || fail "distrust --undo"
wait_for 10 "node 3 to hear him again" verdict_is 3 $X untrusted

((failures == 0)) && echo "passed"
exit $((failures != 0))
