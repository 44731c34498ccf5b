#!/usr/bin/env bash
# The manual pages against the programs: every option, command and setting stands in its page, none
# that there is not, and the formatter finds nothing wrong.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
bin=${GV_BIN:-$root/build/bin}
command -v man >/dev/null || {
    echo "manual.sh: man is missing: skipped"
    exit 77
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LC_ALL=C.UTF-8 MANWIDTH=200 MAN_KEEP_FORMATTING=
failures=0
fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

"$root/node/packaging/man.sh" "$bin" "$scratch" 0
shown() { man -l "$scratch/$1" 2>/dev/null | col -b; }
for page in "$scratch"/*; do
    warnings=$(man --warnings=w -l "$page" 2>&1 >/dev/null || true)
    [ -z "$warnings" ] || fail "${page##*/}: $warnings"
    ! shown "${page##*/}" | grep -n '@' | grep -E '@(HELP|CONFIG|COMMANDS|VERSION)' ||
        fail "${page##*/}: a placeholder is left"
done

options() { "$bin/$1" "${@:2}" --help | grep -oE '^ .*--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u; }
holds() { # PAGE TEXT WORD...: each word stands there
    local page=$1 text=$2 word
    shift 2
    for word in "$@"; do
        grep -qF -- "$word" <<<"$text" || fail "$page does not have $word"
    done
}
mapfile -t commands < <("$bin/grapevine" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')
[ ${#commands[@]} -ge 18 ] || fail "grapevine --help lists ${#commands[@]} commands"
text=$(shown grapevine.1)
for command in "${commands[@]}"; do
    mapfile -t words < <(options grapevine "$command")
    [ ${#words[@]} -ge 2 ] || fail "grapevine $command --help tells no options"
    section=$(awk -v c="   $command" '$0 == c { on = 1; next } /^(   [a-z]|[A-Z])/ { on = 0 } on' <<<"$text")
    [ -n "$section" ] || fail "grapevine.1 does not have $command"
    holds "grapevine.1, $command," "$section" "${words[@]}"
done
for program in grapevined grapevine-firewall; do
    mapfile -t words < <(options $program)
    [ ${#words[@]} -ge 3 ] || fail "$program --help tells no options"
    holds $program.8 "$(shown $program.8)" "${words[@]}"
done
mapfile -t words < <(options grapevine-sim; options grapevine-sim attack-table)
[ ${#words[@]} -ge 20 ] || fail "grapevine-sim --help tells few options"
text=$(shown grapevine-sim.1)
holds grapevine-sim.1 "$text" "${words[@]}" replay minimise trace explain
mapfile -t words < <("$bin/grapevine-sim" --faults help | sed 's/ .*//'; "$bin/grapevine-sim" --plant list | sed 's/ .*//')
[ ${#words[@]} -ge 70 ] || fail "grapevine-sim tells of few faults and plants"
holds grapevine-sim.1 "$text" "${words[@]}"
text=$(shown grapevine-registry.8)
mapfile -t told < <("$bin/grapevine-registry" --help | tr '\n' ' ' | sed 's/.*--help: //' | grep -oE '[a-z-]+')
[ ${#told[@]} -ge 11 ] || fail "grapevine-registry --help lists ${#told[@]} commands"
for command in "${told[@]}"; do
    mapfile -t words < <(options grapevine-registry "$command")
    section=$(awk -v c="   $command" '$0 == c { on = 1; next } /^(   [a-z]|[A-Z])/ { on = 0 } on' <<<"$text")
    [ -n "$section" ] || fail "grapevine-registry.8 does not have $command"
    holds "grapevine-registry.8, $command," "$section" "${words[@]}"
done

settings() { # of --help-config, as the page shows them: under their sections
    "$bin/$1" --help-config | sed -nE 's/^;([a-z_]+) =.*/\1/p; s/^(\[.*\])$/\1/p'
}
in_page() { # the same, from the page
    shown "$1" | sed -nE "/^$2/,/^[A-Z]/p" | sed -nE 's/^   (\[.*\])$/\1/p; s/^       ([a-z_]+)( .*|$)/\1/p'
}
diff <(settings grapevined) <(in_page grapevine.conf.5 KEYS) || fail "grapevine.conf.5 has other keys"
diff <(settings grapevine-registry) <(in_page grapevine-registry.8 CONFIGURATION) ||
    fail "grapevine-registry.8 has other keys"
# ---- completion: it asks the programs -----------------------------------------------------------

# shellcheck source=node/packaging/completion.bash
. "$root/node/packaging/completion.bash"
offered() { # WORD...: for the last of them
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _grapevine "$bin/$1"
    printf '%s\n' "${COMPREPLY[@]}"
}
diff <(printf '%s\n' "${commands[@]}" | sort) <(offered grapevine '' | sort) || fail "completion of commands"
diff <(printf '%s\n' "${told[@]}" | sort) <(offered grapevine-registry '' | sort) || fail "completion of the registry's"
completes() { # WANTED WORD...
    [ "$(offered "${@:2}")" = "$1" ] || fail "completion of ${*:2}: $(offered "${@:2}")"
}
completes telemetry grapevine --config /etc/x.conf tele
completes telemetry grapevine --config = /etc/x.conf tele
completes telemetry grapevine -s /run/x --json tele
completes --non-interactive grapevine setup --non
completes --rotate grapevine-registry keys --rot
completes --check-config grapevined --check
completes --remove grapevine-firewall --rem
[ $failures -eq 0 ] && echo "${#commands[@]} commands and $(settings grapevined | wc -l) lines of settings agree"
