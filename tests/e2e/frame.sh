# What end-to-end scripts have in common, to be sourced. Sets failures; `die` shows the ends of
# $scratch/*.log, which is the script's own.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2317 # set by, and called by, whoever sources it
failures=0

fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}
die() {
    printf 'FAILED: %s\n' "$*"
    tail -n 20 "$scratch"/*.log 2>/dev/null
    exit 1
}
# A limit is so many looks, a twentieth of a second apart: it grows as the machine is slow.
comes_true() { # SECONDS COMMAND...
    local left=$(($1 * 20))
    shift
    until "$@"; do
        ((left-- > 0)) || return 1
        sleep 0.05
    done
}
wait_for() { # SECONDS WHAT COMMAND...: without it nothing more makes sense
    comes_true "$1" "${@:3}" || die "gave up waiting for $2"
}
until_true() { # SECONDS WHAT COMMAND...: a failure like any other
    comes_true "$1" "${@:3}" || { fail "gave up waiting: $2"; return 1; }
}
soon() { until_true 10 "$*" "$@"; } # COMMAND...
needs() { # TOOL...
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || {
            echo "$(basename "$0"): $tool is missing: skipped"
            exit 77
        }
    done
}
# Nobody may have reaped it yet: what is dead and waits for that is dead.
is_gone() { # PID
    local state
    read -r state < <(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 0
    [[ $state == [ZX] ]]
}
