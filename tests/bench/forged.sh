#!/usr/bin/env bash
# Rejecting forged signals against raw libsodium verification on one core (the floor), in the same
# run. GV_TESTS: folder of the built test programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
tests=${GV_TESTS:-build/tests}
[ -x "$tests/bench_forged" ] || {
    echo "forged.sh: build first: cmake -S . -B build && cmake --build build" >&2
    exit 69
}
exec "$tests/bench_forged"
