#!/usr/bin/env bash
# The simulator's swarm in two processes that MPI starts: the same report as in one, and a failing seed of
# either ends both.
set -uo pipefail
# shellcheck source=tests/e2e/frame.sh
. "$(dirname "${BASH_SOURCE[0]}")/frame.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
sim=${GV_BIN:-$root/build/bin}/grapevine-sim
needs jq mpirun
[[ $(ldd "$sim") == *libmpi* ]] || {
    echo "swarm_mpi.sh: SKIPPED: grapevine-sim was built without MPI (libopenmpi-dev)"
    exit 77
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 # Open MPI's own
# As in a container: no login to elsewhere, any user, more processes than cores.
ranks() { timeout 120 mpirun --mca plm isolated --allow-run-as-root --oversubscribe -np 2 "$sim" swarm "$@"; }
same() { jq -S 'del(.wall_s, .ranks)' "$scratch/$1"; }

small=(--seeds 1..9 --nodes 4 --hours 0.5 --jobs 1)
timeout 120 "$sim" swarm "${small[@]}" --json "$scratch/one.json" >/dev/null 2>&1 || fail "one process"
ranks "${small[@]}" --json "$scratch/two.json" >"$scratch/two.out" 2>"$scratch/two.log" || die "two processes"
[[ $(jq .ranks "$scratch/one.json") == 1 && $(jq .ranks "$scratch/two.json") == 2 ]] ||
    fail "the reports do not tell of one and two processes"
diff <(same one.json) <(same two.json) || fail "two processes report something else than one"
[[ $(grep -c 'no violation' "$scratch/two.out") == 1 ]] || fail "not one of two processes tells the end"
grep -q '^9 of 9 seeds' "$scratch/two.log" || fail "the first does not count what the other has done"
echo "seeds 1 to 9: the same report of one process and of two"

# One seed of many fails: the second process's first, or the first one's.
timeout 300 "$sim" swarm --seeds 1..200 --plant skip-sync --json "$scratch/alone.json" >/dev/null 2>&1
seed=$(jq -r '[.runs[] | select(.broken | length > 0) | .seed | tonumber] | min' "$scratch/alone.json")
[[ $seed =~ ^[0-9]+$ && $seed -gt 1 ]] || die "no seed of 200 fails: $seed"
for first in $((seed - 1)) "$seed"; do
    ranks --seeds "$first"..$((seed + 98)) --plant skip-sync --jobs 1 --json "$scratch/bad.json" >"$scratch/bad.out" \
        2>"$scratch/bad.log" && fail "a seed that fails, and exit status 0"
    jq -e ".runs[] | select(.seed == \"$seed\") | .command and (.broken | length > 0)" "$scratch/bad.json" >/dev/null ||
        fail "seed $seed is not in the report: $(jq -c '[.runs[].seed]' "$scratch/bad.json")"
    (($(jq .done "$scratch/bad.json") < 18)) || fail "the other process went on after seed $seed"
    grep -q -- "^seed $seed failed" "$scratch/bad.log" || fail "seed $seed is not told of"
    echo "seeds $first to $((seed + 98)): ended after $(jq .done "$scratch/bad.json"), at seed $seed"
done
((failures == 0))
