#!/usr/bin/env bash
# Accepting signals against raw libsodium verification on one core (the floor), in the same run;
# first with the store, then without. GV_TESTS: folder of the built test programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
tests=${GV_TESTS:-build/tests}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
[ -x "$tests/bench_accept" ] || {
    echo "accept.sh: build first: cmake -S . -B build && cmake --build build" >&2
    exit 69
}
"$tests/bench_accept" --store "$scratch/store.db"
"$tests/bench_accept"
