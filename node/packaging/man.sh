#!/usr/bin/env bash
# Writes the manual pages: `man.sh BIN OUT VERSION` reads man/*.in and puts in what the programs of
# BIN say of themselves, so that a page never says anything else than --help:
#   @HELP PROGRAM [COMMAND]@   its --help, as it is
#   @OUTPUT PROGRAM ARGUMENT...@   what it prints, as it is
#   @COMMANDS@                 every command of `grapevine`, each with its --help
#   @CONFIG PROGRAM@           every setting of --help-config, under its section
set -euo pipefail
bin=$1 out=$2 version=$3
here=$(cd "$(dirname "$0")" && pwd)
export LC_ALL=C ARGP_HELP_FMT=rmargin=78
mkdir -p "$out"

literal() { # as an example: nothing in it is a request to the formatter
    echo .EX
    sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^[.']/\\\\\&&/" -e 's/[[:space:]]*$//'
    echo .EE
}

help_of() { # PROGRAM [COMMAND]: without what argp says at the end of each
    "$bin/$1" "${@:2}" --help |
        sed -e '/^Mandatory or optional arguments/,/^for any corresponding/d' -e "s,^Usage: .*/,Usage: ," |
        cat -s | literal
}

commands() {
    local name
    "$bin/grapevine" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' |
        while read -r name; do
            printf '.SS %s\n' "$name"
            help_of grapevine "$name"
        done
}

config() { # PROGRAM
    "$bin/$1" --help-config | awk '
        function text(s) { gsub(/\\/, "\\e", s); gsub(/-/, "\\-", s); sub(/^[.\x27]/, "\\\\&&", s); return s }
        /^\[/ { print ".SS " text($0); next }
        /^; / { said[++n] = substr($0, 3); next }
        /^;[a-z_]+ =/ {
            name = value = substr($0, 2)
            sub(/ =.*/, "", name); sub(/^[^=]*= ?/, "", value)
            print ".TP"
            if (value == "") print ".B " text(name)
            else printf ".BR \"%s\" \" = %s\"\n", text(name), text(value)
            for (i = 1; i <= n; i++) print text(said[i])
            n = 0
            next
        }
        /^$/ { n = 0 }'
}

for page in "$here"/man/*.in; do
    name=$(basename "$page" .in)
    while IFS= read -r line; do
        case $line in
        "@HELP "*@)
            read -ra words <<<"${line:6:-1}"
            help_of "${words[@]}"
            ;;
        "@OUTPUT "*@)
            read -ra words <<<"${line:8:-1}"
            "$bin/${words[0]}" "${words[@]:1}" | fold -s -w 78 | literal
            ;;
        @COMMANDS@) commands ;;
        "@CONFIG "*@) config "${line:8:-1}" ;;
        *) printf '%s\n' "${line//@VERSION@/$version}" ;;
        esac
    done <"$page" >"$out/$name.new"
    mv "$out/$name.new" "$out/$name"
done
