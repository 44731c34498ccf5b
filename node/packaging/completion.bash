# bash completion for grapevine(1), grapevined(8), grapevine-firewall(8) and grapevine-registry(8): it asks the programs.

_grapevine_options() { # PROGRAM [COMMAND]
    "$@" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]+' | sort -u
}

_grapevine_commands() { # PROGRAM
    if [ "${1##*/}" = grapevine-registry ]; then
        "$1" --help 2>/dev/null | sed -n '/^Other commands/,$p' | tr -d '\n' |
            sed 's/.*--help: *//; s/[.,]/ /g'
    else
        "$1" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'
    fi
}

_grapevine() {
    local current=${COMP_WORDS[COMP_CWORD]} program=$1 command='' i words

    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -s | -c | --socket | --config)
            i=$((i + 1))
            [[ ${COMP_WORDS[i]} != = ]] || i=$((i + 1)) # --config=FILE is three words
            ;;
        -*) ;;
        *) command=${COMP_WORDS[i]} && break ;;
        esac
    done
    if [[ $current == -* ]]; then
        words=$(_grapevine_options "$program" ${command:+"$command"})
    elif [ -z "$command" ] && [[ ${program##*/} != grapevined && ${program##*/} != *-firewall ]]; then
        words=$(_grapevine_commands "$program")
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o default -F _grapevine grapevine grapevined grapevine-firewall grapevine-registry
