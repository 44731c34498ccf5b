#!/usr/bin/env bash
# What a message costs that goes to a whole mesh: MESH_NODES (50) real daemons, each of an owner and a
# network of its own, on the loopback interface of a network namespace of their own (root), and
# MESH_MESSAGES (40) messages, MESH_RATE (2) a second. A message of ours is a case, the two signed votes that
# make an address untrusted, 226 bytes as records; it is delivered when a node calls the address
# untrusted, after it has checked both. As a case has two signatures where others' messages have one,
# processor time is also told of single signals, 113 bytes with one. The publishers are members of the mesh,
# and what goes between them and the nodes is counted.
# In the same run, on messages of 200 bytes, where they can be had: js-libp2p gossipsub, from npm (MESH_NPM: a
# folder in which its packages are installed already), and serf, from Debian; the programs that drive
# them are those of ../shared/bench/peers (MESH_PEERS: another folder). BENCH_STRICT=yes: a missed limit makes
# the exit status 1. BENCH_ALONE=yes: ours and gossipsub run before all others of this machine (real
# time), for a machine that has other work; serf does not, for its probes fail then. GV_BIN, GV_TESTS: folders of the built programs.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
[ "$(id -u)" -eq 0 ] || {
    echo "mesh.sh: SKIPPED: needs root, for a network namespace of its own"
    exit 77
}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "${1:-}" != inside ]; then
    peers=${MESH_PEERS:-$here/../../../shared/bench/peers}
    [ -n "${MESH_NPM:-}" ] || if [ -r "$peers/package.json" ] && command -v npm node >/dev/null; then
        MESH_NPM=$(mktemp -d /tmp/gv-npm.XXXXXX)
        trap 'rm -rf "$MESH_NPM"' EXIT
        cp "$peers/package.json" "$MESH_NPM" # outside the namespace: it needs the registry of npm
        (cd "$MESH_NPM" && timeout 240 npm install --no-audit --no-fund) >"$MESH_NPM/out" 2>&1 || {
            tail -n 3 "$MESH_NPM/out"
            rm -rf "$MESH_NPM/node_modules"
        }
    fi
    MESH_NPM=${MESH_NPM:-} MESH_PEERS=$peers unshare -n bash "$here/mesh.sh" inside
    exit
fi
ip link set lo up
NODES=${MESH_NODES:-50}
messages=${MESH_MESSAGES:-40}
rate=${MESH_RATE:-2}
drain=12
# shellcheck source=tests/e2e/common.sh
. "$here/../e2e/common.sh"
needs jq python3
die() { # the nodes' logs are too many to be shown
    echo "FAILED: $*"
    tail -n 3 "$scratch/registry.log" "$scratch"/node{1,2}.log 2>/dev/null
    exit 1
}
publish=${GV_TESTS:-$bin/../tests}/bench_mesh
[ -x "$publish" ] || die "build first: $publish is not there"
ulimit -n 4096

# So many messages are ten times what a node may move in an hour (SPEC 9.9): it would begin to hold them back.
more_conf() { printf '[limits]\ntraffic = 100000\n'; }

# Nobody else is in this namespace. A group of nodes enrols at a time: they share two cores or so.
port=16527
registry_url=http://127.0.0.1:$((port + 1))
start_registry_for_all() {
    make_registry bench
    cat >>"$scratch/registry/registry.conf" <<CONF

[limits]
requests_per_client_minute = 1000000
enroll_per_client_hour = 1000000
confirm_per_client_hour = 1000000
enroll_per_domain_day = 1000000
CONF
    start_registry
}
start_all() {
    local n first
    for ((first = 1; first <= NODES; first += 10)); do
        for ((n = first; n < first + 10 && n <= NODES; n++)); do
            start_node "$n"
            echo "${node_pid[n]}" >>"$scratch/pids"
        done
        for ((n = first; n < first + 10 && n <= NODES; n++)); do enrol "$n"; done
    done
    for ((n = 1; n <= NODES; n++)); do wait_for 120 "node $n to find others" has_peers "$n" 3; done
}
alone() {
    local pid
    [ "${BENCH_ALONE:-no}" = yes ] || return 0
    while read -r pid; do chrt -a -r -p 1 "$pid"; done <"$scratch/pids"
}

echo "$(nproc) processors, load $(cut -d' ' -f1-3 /proc/loadavg)"
start_registry_for_all
start_all
alone
urgent=()
[ "${BENCH_ALONE:-no}" != yes ] || urgent=(chrt -r 1)
ours=$("${urgent[@]}" timeout 400 python3 "$here/mesh.py" "$scratch" "$NODES" "$messages" "$rate" "$drain" \
    "$publish" "$scratch/registry" "$port" "$NODES" 6) || die "the nodes"
echo "grapevined: $ours"
for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
pids=()

gossipsub='' serf=''
if [ -d "${MESH_NPM:-/nonexistent}/node_modules" ] && [ -r "$MESH_PEERS/gossipsub.mjs" ]; then
    mkdir "$scratch/npm" # a package is found from where the program lies
    cp "$MESH_PEERS"/*.*js "$MESH_PEERS/package.json" "$scratch/npm"
    ln -s "$MESH_NPM/node_modules" "$scratch/npm/node_modules"
    gossipsub=$(cd "$scratch/npm" && NODE_OPTIONS="-r ./poly.cjs" "${urgent[@]}" timeout 240 node gossipsub.mjs --n "$NODES" --procs 2 \
        --msgs "$messages" --rate "$rate" --size 200 --dial 4 --idle $drain --drain $drain 2>"$scratch/gossipsub.err") ||
        { tail -n 3 "$scratch/gossipsub.err"; gossipsub=''; }
    echo "gossipsub: ${gossipsub:-FAILED}"
else
    echo "gossipsub: SKIPPED: its packages from npm, or $MESH_PEERS/gossipsub.mjs, are not here"
fi
python='' # Debian's may not be the first
for each in python3 /usr/bin/python3; do
    "$each" -c 'import msgpack' 2>/dev/null && python=$each && break
done
if command -v serf >/dev/null && [ -n "$python" ] && [ -r "$MESH_PEERS/serf.py" ]; then
    serf=$(SETTLE=15 IDLE=$drain DRAIN=$drain timeout 240 "$python" "$MESH_PEERS/serf.py" "$NODES" "$messages" "$rate" 200 lan \
        2>"$scratch/serf.err") || { tail -n 3 "$scratch/serf.err"; serf=''; }
    echo "serf: ${serf:-FAILED}"
else
    echo "serf: SKIPPED: serf and python3-msgpack (Debian), or $MESH_PEERS/serf.py, are not here"
fi

# NAME LIMIT UNIT OURS GOSSIPSUB SERF: fields of the three objects; "-": it has no such figure
missed=0
figure() {
    local is of_gossipsub=- of_serf=-
    is=$(jq -r ".$4" <<<"$ours")
    [ -z "$gossipsub" ] || [ "$5" = - ] || of_gossipsub=$(jq -r "$5" <<<"$gossipsub")
    [ -z "$serf" ] || [ "$6" = - ] || of_serf=$(jq -r "$6" <<<"$serf")
    awk -v name="$1" -v limit="$2" -v unit="$3" -v is="$is" -v g="$of_gossipsub" -v s="$of_serf" 'BEGIN {
        printf "limit: %s, at most %s %s: %s (%s)\n", name, limit, unit, (is <= limit + 0 ? "met" : "missed"), is
        if (g != "-") printf "mesh: ours %s, gossipsub %s %s, ratio %.2f\n", is, g, unit, g / is
        if (s != "-") printf "mesh: ours %s, serf %s %s, ratio %.2f\n", is, s, unit, s / is
        exit !(is <= limit + 0)
    }' || missed=1
}
jq -e '.case.delivered == .expected and .signal.delivered == .expected and .timed == .expected' <<<"$ours" >/dev/null || fail "not all was delivered"
figure "a delivery on the wire" 700 bytes case.wire_bytes_per_delivery .wire_bytes_per_delivery .wire_bytes_per_delivery
spent_by_serf='(1000 * .cpu_s_total / .delivered * 1000 | round / 1000)'
figure "a delivered case, processor" 0.15 "CPU ms" case.cpu_ms_per_delivery .cpu_ms_per_delivery "$spent_by_serf"
figure "a delivered signal, processor" 0.15 "CPU ms" signal.cpu_ms_per_delivery .cpu_ms_per_delivery "$spent_by_serf"
figure "99 of 100 deliveries" 250 ms p99_ms .p99_ms .p99_ms
figure "private memory of a node" 12 MB private_MB_most .rss_MB_per_node .rss_MB_per_node
((failures == 0)) && { [ $missed = 0 ] || [ "${BENCH_STRICT:-no}" != yes ]; }
