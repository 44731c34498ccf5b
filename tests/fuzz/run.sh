#!/usr/bin/env bash
# Fuzzes every target of a Fuzz build, one after another, and ends with one table.
#   tests/fuzz/run.sh [TARGET...]           e.g. fuzz_session; none: all
#   tests/fuzz/run.sh --check              fuzzes nothing: has each target its row in SPEC 16.1?
#   FUZZ_SECONDS=300                        for each target
#   FUZZ_BUILD=build-clang                  the build folder (clang, -DCMAKE_BUILD_TYPE=Fuzz)
# Columns: inputs that were run; inputs per second; edges of the parser's own source file that were
# reached, of all it has (re2c makes thousands of a lexer; ASan and UBSan on; "-" where a target has no one file); the same of all
# that the target has linked in; inputs of the corpus in the tree. A target that
# finds something prints its log's end and keeps the input here, and the run goes on with the next;
# the exit status is then 1.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${FUZZ_SECONDS:-300} build=${FUZZ_BUILD:-build-clang}
scratch=$(mktemp -d) status=0
trap 'rm -rf "$scratch"' EXIT

# SPEC 16.1 has a row for each, and none that is gone.
rows_fit() {
    diff <(for source in tests/fuzz/fuzz_*.c; do basename "$source" .c; done | sort) \
        <(sed -n '/^### 16.1 /,/^### 16.2 /s/^\(fuzz_[a-z_]*\)  *[0-9].*/\1/p' SPEC.md | sort) >&2
}

targets=("$@")
if [ "${1:-}" = --check ]; then
    rows_fit || {
        echo "tests/fuzz/run.sh: the table in SPEC 16.1 is not that of the targets: fuzz it, and add its row" >&2
        exit 1
    }
    exit 0
elif [ $# -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        targets+=("$(basename "$source" .c)")
    done
fi

number() { # LOG PATTERN: the last number behind the pattern
    grep -aoE "$2[^0-9]*[0-9]+" "$1" | tail -1 | grep -oE '[0-9]+$' || echo 0
}

source_of() { # TARGET: the file that it is about
    case $1 in
    fuzz_parse_* | fuzz_archive | fuzz_syslog) echo "${1#fuzz_}.c" ;; # of a .re: what re2c made
    esac
}

own_edges() { # TARGET: of its file, over all that this run and the corpus have
    local source
    source=$(source_of "$1")
    [ -n "$source" ] || {
        echo -
        return
    }
    "$build/tests/$1" -runs=0 -print_coverage=1 "$scratch/$1" "tests/fuzz/corpus/$1" 2>&1 |
        awk -v source="/$source:" '
            /^(UN)?COVERED_FUNC:/ && index($0, source) {
                match($0, /edges: [0-9]+\/[0-9]+/)
                split(substr($0, RSTART + 7, RLENGTH - 7), n, "/")
                reached += n[1]; all += n[2]
            }
            END { printf "%d / %d\n", reached, all }'
}

seed() { # TARGET: genuine lines to begin with, four to an input
    local kind=${1#fuzz_parse_} log part
    case $kind in
    exim | sendmail | cyrus | courier) ;;
    postfix | dovecot | mail_flow) kind= ;;
    *) return 0 ;;
    esac
    for log in tests/maillog/genuine"${kind:+-$kind}"*.log; do
        [ -n "$kind" ] || log=tests/maillog/genuine.log
        split -l 4 "$log" "$scratch/part."
        for part in "$scratch"/part.*; do # a digit in front would choose another mode
            { echo && cat "$part"; } >"$scratch/$1/genuine-$(basename "$log").${part##*.}"
        done
        rm -f "$scratch"/part.*
        [ -n "$kind" ] || break
    done
}

one() { # TARGET: fuzzes it and adds its row
    local name=$1 log=$scratch/$1.log corpus=tests/fuzz/corpus/$1 most=4096 row
    [ -x "$build/tests/$name" ] || {
        echo "$build/tests/$name is not built: cmake -S . -B $build -DCMAKE_BUILD_TYPE=Fuzz with CC=clang" >&2
        return 1
    }
    case $name in # what one input may hold: a log, a file, a session
    fuzz_archive | fuzz_store) most=65536 ;;
    fuzz_parse_* | fuzz_syslog | fuzz_core_events | fuzz_session) most=2048 ;;
    esac
    mkdir -p "$scratch/$name" "$corpus"
    seed "$name"
    echo "-- $name, $seconds s"
    if ! "$build/tests/$name" -max_total_time="$seconds" -max_len=$most -rss_limit_mb=4096 \
        -timeout=25 -print_final_stats=1 -artifact_prefix="$name-" "$scratch/$name" "$corpus" \
        >"$log" 2>&1; then
        tail -60 "$log"
        status=1
    fi
    row=$(printf '%-24s %11d %9d %11s %6d / %-6d %5d' "$name" "$(number "$log" 'number_of_executed_units:')" \
        "$(number "$log" 'average_exec_per_sec:')" "$(own_edges "$name")" "$(number "$log" 'cov:')" \
        "$(grep -aoE '\([0-9]+ inline' "$log" | grep -oE '[0-9]+' || echo 0)" \
        "$(find "$corpus" -type f | wc -l)")
    echo "$row" | tee -a "$scratch/table"
}

for target in "${targets[@]}"; do
    one "$target" || status=1
done
echo
printf '%-24s %11s %9s %11s %15s %5s\n' target executions exec/s 'own edges' 'edges / linked' corpus
cat "$scratch/table"
exit $status
