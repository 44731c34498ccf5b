#!/usr/bin/env bash
# One rule everywhere: builds the verdict, the local history and the action (proto/trust) with gcc and
# clang from -O0 to -O3, and for aarch64 and s390x (big-endian) under qemu, runs the same random cases
# (tests/vectors/rule_cases.c) in each, and compares all that they print, as one digest, with what the
# implementation in JavaScript prints.
#   tests/portable.sh [CASES]     20000; a case is a verdict, an action and a story of up to 17 steps
#   MACHINES=no                   this machine only
# Exit status 1: they differ; 77: a compiler or qemu is missing (named), and the others agree.
set -euo pipefail
cd "$(dirname "$0")/.."

cases=${1:-20000} seed=20261122
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# What of it nothing here calls (signing, sending) is left out by the linker, and libsodium with it.
sources=(tests/vectors/rule_cases.c tests/vectors/siphash.c proto/trust/{verdict,verdict_few,action,policy,signal}.c
    proto/trust/history{,_pack,_pool,_row,_signal}.c proto/{table,subject,buf,ip_address,observation}.c
    crypto/error.c)
flags=(-std=c11 -Wall -Wextra -Werror -I. -ffunction-sections -fdata-sections '-Wl,--gc-sections')

wanted=$(node tests/vectors/make_rule_cases.mjs "$cases" "$seed" | sha256sum | cut -d' ' -f1)
echo "$wanted  JavaScript, $cases cases"
differ=no missing=()

try() { # NAME RUNNER COMPILER ARGUMENTS...
    local name=$1 runner=$2 compiler=$3 digest
    shift 3
    local tool
    for tool in $compiler $runner; do
        command -v "$tool" >/dev/null || {
            missing+=("$tool")
            return
        }
    done
    "$compiler" "$@" "${flags[@]}" "${sources[@]}" -o "$scratch/cases"
    # shellcheck disable=SC2086 # no runner is no word
    digest=$($runner "$scratch/cases" "$cases" "$seed" | sha256sum | cut -d' ' -f1)
    echo "$digest  $name"
    [ "$digest" = "$wanted" ] || differ=yes
}

for compiler in gcc clang; do
    for level in -O0 -O1 -O2 -O3; do
        try "$compiler $level, $(uname -m)" "" "$compiler" "$level"
    done
done
if [ "${MACHINES:-yes}" = yes ]; then
    for level in -O0 -O2; do
        for machine in aarch64 s390x; do
            try "gcc $level, $machine" "qemu-$machine" "$machine-linux-gnu-gcc" "$level" -static
        done
    done
fi
[ $differ = no ] || {
    echo "portable.sh: they differ" >&2
    exit 1
}
[ ${#missing[@]} -eq 0 ] || {
    echo "portable.sh: NOT TRIED, missing: ${missing[*]}" >&2
    exit 77
}
