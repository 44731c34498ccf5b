#!/usr/bin/env bash
# Whole enrolments (code asked for, mailed, handed in; certificate on disk and in the log) a second of one
# registry process, mailing to an SMTP server in the client; on SQLite and, where it is installed, on
# PostgreSQL. The client and the mail server share the machine. GV_BIN, GV_TESTS: folders of the built
# programs. BENCH_COUNT: enrolments of a turn (20000). BENCH_STRICT=yes: a missed limit makes the
# exit status 1. BENCH_ALONE=yes: before all others of this machine (real time, root): for a machine that
# has other work, for a few seconds.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${GV_BIN:-build/bin}
tests=${GV_TESTS:-build/tests}
count=${BENCH_COUNT:-20000}
if ! [ -x "$tests/bench_registry" ] || ! [ -x "$bin/grapevine-registry" ]; then
    echo "registry.sh: build first: cmake -S . -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build" >&2
    exit 69
fi
scratch=$(mktemp -d /tmp/gv-bench.XXXXXX)
pids=()
clean_up() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$scratch"
}
trap clean_up EXIT
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port=17827
while listening $port || listening $((port + 1)); do port=$((port + 10)); done

one() { # NAME DATABASE-LINE
    mkdir "$scratch/$1"
    "$bin/grapevine-registry" init --data "$scratch/$1/data" --name bench --lab \
        --listen 127.0.0.1:$port --mail "smtp://127.0.0.1:$((port + 1))" >/dev/null
    cat >"$scratch/$1/registry.conf" <<CONF
[registry]
data = $scratch/$1/data
listen = 127.0.0.1:$port
log_level = warning
$2
[mail]
url = smtp://127.0.0.1:$((port + 1))
starttls = no
[limits]
requests_per_client_minute = 1000000
enroll_per_client_hour = 1000000
confirm_per_client_hour = 1000000
enroll_per_domain_day = 1000000
connections_per_client = 128
CONF
    "$bin/grapevine-registry" serve --config "$scratch/$1/registry.conf" >"$scratch/$1/log" 2>&1 &
    local pid=$!
    pids+=("$pid")
    for _ in {1..200}; do
        ! listening $port || break
        sleep 0.05
    done
    local result urgent=()
    if [ "${BENCH_ALONE:-no}" = yes ]; then
        urgent=(chrt -r 1)
        chrt -a -r -p 1 "$pid"
        [ -z "${postgres_pid:-}" ] || pgrep -P "$postgres_pid" | xargs -r -n1 chrt -r -p 1
    fi
    result=$("${urgent[@]}" "$tests/bench_registry" $port $((port + 1)) \
        "$scratch/$1/data/network.descriptor" "$count" 96)
    local cpu memory
    cpu=$(awk '{ printf "%.1f", ($14 + $15) / 100 }' "/proc/$pid/stat")
    memory=$(awk '/^VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$pid/status")
    kill "$pid"
    wait "$pid" || true
    read -r enrolments seconds rate p50 p99 <<<"$result"
    echo "$1: $enrolments enrolments in $seconds s, $rate a second; p50 $p50 ms, p99 $p99 ms; registry: $cpu s of a core, $memory MB"
    figure=$rate
}

one sqlite ""
first=$figure
initdb=$(find /usr/lib/postgresql -name initdb 2>/dev/null | sort | tail -n 1)
if [ -n "$initdb" ]; then
    who=()
    [ "$(id -u)" -ne 0 ] || who=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    mkdir "$scratch/pg"
    [ "$(id -u)" -ne 0 ] || { chmod 711 "$scratch" && chown 65534:65534 "$scratch/pg"; }
    "${who[@]}" "$initdb" -D "$scratch/pg/data" -A trust -U grapevine --no-sync >/dev/null
    "${who[@]}" "${initdb%initdb}postgres" -D "$scratch/pg/data" -k "$scratch/pg" -c listen_addresses= \
        >"$scratch/pg.log" 2>&1 &
    postgres_pid=$!
    pids+=("$postgres_pid")
    for _ in {1..200}; do
        ! [ -S "$scratch/pg/.s.PGSQL.5432" ] || break
        sleep 0.1
    done
    sleep 1
    one postgresql "database = postgresql://grapevine@/postgres?host=$scratch/pg"
else
    echo "postgresql: not installed, left out"
fi
least=$((figure < first ? figure : first))
word=$([ "$least" -ge 1000 ] && echo met || echo missed)
echo "limit: whole enrolments a second, at least 1000, on each database: $word ($least)"
[ "$word" = met ] || [ "${BENCH_STRICT:-no}" != yes ]
