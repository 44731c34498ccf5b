#!/usr/bin/env bash
# A second implementation, in JavaScript, written from SPEC.md alone (tests/interop/), in a mesh of
# three real nodes: it enrols, joins, speaks, hears, repairs, and refuses what is bad.
set -u
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs node npm jq

# A package in node_modules is found from where the program lies: so both go into the scratch folder.
cp -r "$root/tests/interop" "$scratch/interop"
rm -rf "$scratch/interop/node_modules"
if ! (cd "$scratch/interop" && timeout 60 npm ci --no-audit --no-fund --prefer-offline) \
    >"$scratch/npm.out" 2>&1; then
    tail -n 3 "$scratch/npm.out"
    echo "interop.sh: npm cannot install @msgpack/msgpack here: SKIPPED, nothing was proved"
    exit 77
fi

echo "SPEC.md's examples:"
GV_SPEC=$root/SPEC.md timeout 60 node --test "$scratch"/interop/*.test.mjs >"$scratch/examples.log" 2>&1 ||
    die "the examples of SPEC.md"
grep -E '^(ok|# tests|# pass)' "$scratch/examples.log" || sed -n 's/^ℹ \(tests\|pass\)/&/p' "$scratch/examples.log"

find_port 17427
make_registry interop
start_registry
start_mesh
echo "a mesh of $NODES real nodes, and a member that is not:"
GV_BIN=$bin GV_LAB=$scratch GV_PORT=$port timeout "${GV_INTEROP_SECONDS:-120}" node "$scratch/interop/main.mjs" \
    2>"$scratch/interop.log" || die "the member"
