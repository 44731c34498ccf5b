#!/usr/bin/env bash
# Runs the tests: installs what is missing, builds a release and, under ASan and UBSan, with gcc and
# with clang; runs the unit, property and fuzz-replay tests in all three and the end-to-end tests in
# the first of the sanitized; checks that the simulator gives the same run in every build, and
# tries the quickstart. Figures are the benchmarks' (tests/bench/), not the tests'.
#   tests/run.sh          all that fits into half an hour
#   tests/run.sh --full   also each fuzz target for FUZZ_SECONDS (300), every allocation of the daemon
#                         and its libraries that fails in turn, more simulator seeds, longer
#                         sieges and 10 million forged messages, real mail servers under attack
#                         (tests/genuine/run.sh; root, and a Debian mirror the first time),
#                         an alert from the log to everybody, and every benchmark
set -euo pipefail
cd "$(dirname "$0")/.."

full=no
case "${1:-}" in
--full) full=yes ;;
"") ;;
*)
    echo "usage: tests/run.sh [--full]" >&2
    exit 64
    ;;
esac

passed=0 failed=0
step() { # NAME COMMAND...
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    if "$@"; then
        passed=$((passed + 1))
        echo "== $name: passed ($((SECONDS - start)) s)"
    else
        failed=$((failed + 1))
        echo "== $name: FAILED ($((SECONDS - start)) s)"
    fi
}

build() { # DIRECTORY TYPE COMPILER
    local log=$scratch/$1.log
    if ! { CC=$3 cmake -S . -B "$1" -DCMAKE_BUILD_TYPE="$2" -DGV_WERROR=ON &&
        cmake --build "$1" -j"$(nproc)"; } >"$log" 2>&1; then
        grep -E 'error|warning|FAILED' "$log" | head -40
        tail -5 "$log"
        return 1
    fi
}

suite() { # DIRECTORY LABEL...; one more at a time than there are processors: most wait most of their time
    local directory=$1
    shift
    ctest --test-dir "$directory" --output-on-failure --no-tests=error -j$(($(nproc) + 1)) \
        --timeout 600 "$@"
}

same_run() { # the seed is the run: gcc, clang, sanitizers and release give one trace hash
    local seed faults hash hashes
    for faults in none drawn; do
        for seed in 1 2 3 4 5; do
            hashes=$(for directory in build build-asan build-clang; do
                "$directory/bin/grapevine-sim" run --seed "$seed" --hours 1 --faults $faults \
                    --json - 2>/dev/null | sed 's/.*"trace_hash":"\([0-9a-f]*\)".*/\1/'
            done | sort -u)
            hash=$(echo "$hashes" | wc -l)
            echo "seed $seed, faults $faults: $hashes"
            [ "$hash" -eq 1 ] && [ ${#hashes} -eq 16 ] || return 1
        done
    done
}

swarm() { # ARGUMENTS: faults drawn by each seed, and no violation under any
    build/bin/grapevine-sim swarm "$@" 2>"$scratch/swarm" && return 0
    tail -30 "$scratch/swarm"
    return 1
}

large_mesh() { # 200 nodes for an hour, and how long that took
    build/bin/grapevine-sim run --nodes 200 --hours 1
}

vectors() { # what the independent implementation computes is what is committed
    local script
    for script in tests/vectors/make_*.mjs; do
        node "$script" --check || return 1
    done
}

random_verdicts() { # CASES: the C rule against the independent implementation, other cases each day
    local file=$scratch/verdicts.json
    node tests/vectors/make_verdict_vectors.mjs "$1" "$(date +%Y%m%d)" >"$file" &&
        GV_VERDICT_VECTORS=$file build/tests/test_verdict_vectors
}

random_rule() { # CASES: likewise, of the whole rule: verdict, local history, signals, action
    local seed
    seed=$(date +%Y%m%d)
    cmp <(build/tests/rule_cases "$1" "$seed") <(node tests/vectors/make_rule_cases.mjs "$1" "$seed")
}

machines() { # aarch64 and a big-endian one, under qemu; a step that cannot be done says so, loudly
    local status=0
    bash tests/portable.sh || status=$?
    [ $status -eq 77 ] && status=0
    return $status
}

fuzz() { # each target for FUZZ_SECONDS, and a table of all at the end
    FUZZ_BUILD=build-clang bash tests/fuzz/run.sh
}

genuine() { # a step that cannot be done here says so, loudly
    local status=0
    GV_BIN=build-asan/bin bash tests/genuine/run.sh || status=$?
    [ $status -eq 77 ] && status=0
    return $status
}

alerts() { # one that waits for a minute to end
    GV_LONG=yes GV_BIN=build-asan/bin bash tests/e2e/alerts.sh
}

dovecot24() { # makes the Debian 13 that it needs
    local status=0
    GV_MAKE_ROOT=yes GV_BIN=build-asan/bin bash tests/e2e/dovecot24.sh || status=$?
    [ $status -ne 77 ] || echo "NOT DONE: Dovecot 2.4 (the line above says why)"
    [ $status -eq 77 ] && status=0
    return $status
}

package() { # likewise
    local status=0
    GV_BUILD=build bash tests/package/run.sh || status=$?
    [ $status -eq 77 ] && status=0
    return $status
}

newcomer() { # likewise
    local status=0
    bash tests/package/source.sh || status=$?
    [ $status -eq 77 ] && status=0
    return $status
}

benches() { # one that cannot be done here says so, loudly
    local bench status
    for bench in tests/bench/*.sh; do
        [ "$bench" != tests/bench/registry.sh ] || continue # demanded, below
        status=0
        bash "$bench" || status=$?
        [ $status -eq 0 ] || [ $status -eq 77 ] || return 1
    done
}

enrolments() { # 1,000 a second on each database; what else this machine does can only take some away
    local alone=no
    [ "$(id -u)" -ne 0 ] || alone=yes
    for _ in 1 2 3; do
        ! BENCH_STRICT=yes BENCH_ALONE=$alone BENCH_COUNT=6000 bash tests/bench/registry.sh || return 0
    done
    return 1
}

forge() { # MESSAGES: forged, replayed and cut, through gv_core_step
    GV_FORGE_MESSAGES=$1 build/tests/test_hostile_forge 2>&1 | grep -E 'messages in|PASSED|FAILED|ERROR'
}

hostile() { # [yes]: the table of SPEC 13.1; yes: longer, and with the promised times demanded
    GV_BIN=build/bin HOSTILE_LONG=${1:-no} bash tests/e2e/hostile.sh
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ $full = yes ]; then bash tests/packages.sh full; else bash tests/packages.sh test; fi

step "build: Release, gcc" build build Release gcc
step "build: ASan + UBSan, gcc" build build-asan Asan gcc
step "build: ASan + UBSan + fuzzers, clang" build build-clang Fuzz clang
# Each build runs what only it can show. The planted bugs are the checkers' matter, which a sanitizer
# does not see; the daemon that is killed and failed hundreds of times is one program under one
# sanitizer.
step "tests, gcc" suite build-asan -E test_sim_plants
step "tests, clang" suite build-clang -LE e2e -E 'test_sim_plants|test_store_(kill|calls|failure)'
step "tests, release" suite build -LE e2e -E test_store_kill
# Of the Release build, where more of the moments lie within the writing.
step "kill -9 at 1,000 random moments" env GV_KILLS=1000 build/tests/test_store_kill '*random*'
step "vectors of the independent implementation" vectors
step "100,000 verdicts of the independent implementation" random_verdicts 100000
step "100,000 cases of the whole rule" random_rule 100000
step "the rule, gcc and clang, -O0 to -O3" env MACHINES=no bash tests/portable.sh 5000
step "the same seed is the same run" same_run
step "hostile peers, over sockets" hostile
step "hostile peers, 500,000 messages" forge 500000
step "simulator: 200 seeds of a small swarm" swarm --seeds 1..200
step "simulator: 200 nodes for an hour" large_mesh
step "shell scripts" shellcheck -x tests/*.sh tests/e2e/*.sh tests/bench/*.sh tests/fuzz/*.sh \
    tests/genuine/*.sh tests/genuine/servers/*.sh tests/package/*.sh node/*.sh node/packaging/*.sh \
    node/packaging/debian/*/p* .ci/run
step "Debian packages" package
step "quickstart" ./node/quickstart.sh --check
if [ $full = yes ]; then
    step "the rule on other machines" machines
    step "sixty whole cores and the attack table" env GV_CORES=60 build/tests/test_attack_cores
    step "sixty whole nodes over sessions and the attack table" env GV_MESH=60 build/tests/test_attack_mesh
    step "each allocation of the daemon and its libraries fails" env GV_ALLOC_STEP=1 \
        build-asan/tests/test_alloc_programs '*libraries*'
    step "each lock, change of rights and mapping of the daemon fails" env GV_CALL_STEP=1 \
        build-asan/tests/test_store_calls '*other_call*'
    step "fuzzing" fuzz
    step "hostile peers, over sockets, a minute each" hostile yes
    step "hostile peers, 10,000,000 messages" forge 10000000
    step "simulator: 1000 seeds of 12 nodes" swarm --seeds 1001..2000 --nodes 12 --hours 3
    step "genuine mail servers" genuine
    step "packages from the source, on a Debian that has nothing else" newcomer
    step "Dovecot 2.4" dovecot24
    step "an alert, from the log to everybody" alerts
    step "1,000 enrolments a second" enrolments
    step "benchmarks" benches
fi
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
