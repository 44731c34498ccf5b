# What the benches that read a generated log begin with, to be sourced: sets bin, tests, generator, scratch
# (gone at the end), missed. Without the programs that it is given, 69; without the generator, 77.
# shellcheck shell=bash
# shellcheck disable=SC2034 # used by whoever sources it
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
bin=${GV_BIN:-build/bin}
tests=${GV_TESTS:-build/tests}
generator=../shared/bench/gen_maillog.py
missed=0
asked=0
missed_ones=

needs() { # PROGRAM...: paths
    local program
    for program in "$@"; do
        [ -x "$program" ] || {
            echo "$(basename "$0"): build first: cmake -S . -B build && cmake --build build" >&2
            exit 69
        }
    done
    [ -r "$generator" ] || {
        echo "$(basename "$0"): SKIPPED: $generator is not there"
        exit 77
    }
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
}
limit() { # WHAT IS LIMIT least|most [UNIT]: says whether it is met, and keeps that one was not
    local word
    word=$(awk -v is="$2" -v limit="$3" -v way="$4" \
        'BEGIN { print (way == "least" ? is >= limit : is <= limit) ? "met" : "missed" }')
    echo "limit: $1, at $4 $3${5:-}: $word ($2${5:-})"
    asked=$((asked + 1))
    [ "$word" = met ] && return
    missed=$((missed + 1))
    missed_ones+="${missed_ones:+; }$1: $2${5:-}, asked $4 $3${5:-}"
}
# The last line: whether what is asked was met in this run. A busy machine may miss a limit, so that fails only
# with BENCH_STRICT=yes; the load is said, too.
end() {
    local load
    read -r load _ </proc/loadavg
    if [ "$missed" = 0 ]; then
        echo "figures: all $asked met, with a load of $load"
    else
        echo "figures: $missed of $asked MISSED, with a load of $load ($missed_ones)"
    fi
    [ "$missed" = 0 ] || [ "${BENCH_STRICT:-no}" != yes ]
}
