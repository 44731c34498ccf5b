# What the benches that start servers begin with, to be sourced: sets scratch and pids, whose processes and
# files are gone at the end.
# shellcheck shell=bash
scratch=$(mktemp -d)
pids=()
# shellcheck disable=SC2317 # called by the trap
finish() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT
