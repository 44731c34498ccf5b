#!/usr/bin/env bash
# A whole mesh on one machine: a registry and five nodes of five different owners, each at an
# address of its own (127.1.0.1 to 127.5.0.1), in a scratch folder. Genuine attacks are replayed
# to three of them; the fifth, which never saw the attacker, knows him all the same.
#
#   ./node/quickstart.sh             stays up and prints commands to try; Ctrl-C ends and cleans up
#   ./node/quickstart.sh --check     exits 0 once the verdict stands on all five, and cleans up
#   ./node/quickstart.sh FILE        the first node follows this mail log as well
#
# Needs root or sudo only when packages are missing. GV_BUILD names another build folder.
# shellcheck disable=SC2317 # functions that are called by name, through wait_for and trap
set -euo pipefail

readonly ATTACKER=198.51.100.7
readonly NODES=5

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${GV_BUILD:-$root/build}
genuine=$root/tests/maillog/genuine.log
check=no
log=
scratch=
pids=()
mesh_port=14727
registry_port=14728

# ---- talking and ending ---------------------------------------------------------------------

started=$(date +%s.%N)
since() { awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }'; }
step() { printf '[%5s s] %s\n' "$(since "$started")" "$*"; }

die() {
    printf 'quickstart: %s\n' "$*" >&2
    if [[ -n $scratch ]]; then
        local file
        for file in "$scratch"/*.log; do
            [[ -s $file ]] || continue
            printf -- '--- %s\n' "${file##*/}" >&2
            tail -n 5 "$file" >&2
        done
    fi
    exit 1
}

# Only what this script has started, by process id.
clean_up() {
    local status=$? pid
    trap - EXIT INT TERM
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "${pids[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    [[ -z $scratch ]] || rm -rf "$scratch"
    exit "$status"
}

usage() {
    sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit "$1"
}

while (($# > 0)); do
    case $1 in
    --check) check=yes ;;
    --help | -h) usage 0 ;;
    -*)
        printf 'quickstart: no such option: %s\n' "$1" >&2
        usage 64 >&2
        ;;
    *)
        [[ -z $log ]] || usage 64 >&2
        log=$(realpath -- "$1")
        ;;
    esac
    shift
done
[[ -z $log || -e $log ]] || {
    printf 'quickstart: %s does not exist; give it a mail log that is there\n' "$log" >&2
    exit 66
}
[[ -z $log || -r $log ]] || {
    printf 'quickstart: %s cannot be read; run this as a user who can\n' "$log" >&2
    exit 66
}

# ---- packages and build ---------------------------------------------------------------------

install_packages() {
    step "packages: looking whether all are there"
    bash "$root/tests/packages.sh" build || die "some packages are missing"
}

build_programs() {
    step "building (Release) into $build"
    local out=$scratch/build.out
    if ! { cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release &&
        cmake --build "$build" --parallel "$(nproc)" \
            --target grapevined grapevine grapevine-registry; } >"$out" 2>&1; then
        tail -n 30 "$out" >&2
        die "the build failed"
    fi
    PATH=$build/bin:$PATH
}

# ---- the network ----------------------------------------------------------------------------

# wait_for SECONDS WHAT COMMAND...
wait_for() {
    local left=$(($1 * 20)) what=$2
    shift 2
    until "$@"; do
        ((left-- > 0)) || die "gave up waiting for $what"
        sleep 0.05
    done
}

listening() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

find_ports() {
    local n
    for ((mesh_port = 14727; mesh_port < 15727; mesh_port += 10)); do
        registry_port=$((mesh_port + 1))
        listening 127.0.0.1 "$registry_port" && continue
        for ((n = 1; n <= NODES; n++)); do
            listening "127.$n.0.1" "$mesh_port" && continue 2
        done
        return 0
    done
    die "no free ports"
}

start_registry() {
    step "registry on 127.0.0.1:$registry_port, network \"quickstart\" (lab)"
    mkdir "$scratch/mail"
    grapevine-registry init --data "$scratch/registry" --name quickstart --lab \
        --listen "127.0.0.1:$registry_port" --mail "file:$scratch/mail" \
        --seed "127.1.0.1:$mesh_port" >"$scratch/init.out" || die "the registry could not be made"
    grapevine-registry serve --config "$scratch/registry/registry.conf" \
        >"$scratch/registry.log" 2>&1 &
    pids+=($!)
    wait_for 10 "the registry" listening 127.0.0.1 "$registry_port"
}

config() { printf '%s/node%s.conf' "$scratch" "$1"; }
ask() { grapevine --config "$(config "$1")" "${@:2}"; }
answers() { ask "$1" status >/dev/null 2>&1; }
in_network() { ask "$1" network >/dev/null 2>&1; }

start_node() {
    local n=$1 files=$scratch/node$1.mail rights=
    : >"$files"
    [[ $n != 1 || -z $log ]] || files="$files, $log"
    # Started by root, for this once: root's id without its rights, and the group of the log.
    [[ $EUID != 0 ]] || rights="user = root"
    [[ $EUID != 0 || $n != 1 || -z $log || $(stat -c %g "$log") == 0 ]] ||
        rights="$rights"$'\n'"groups = $(stat -c %g "$log")"
    cat >"$(config "$n")" <<CONF
[node]
data = $scratch/node$n
$rights
listen = 127.$n.0.1:$mesh_port
bind = 127.$n.0.1
advertise = 127.$n.0.1:$mesh_port

[network]
registry = http://127.0.0.1:$registry_port

[share]
mode = yes

[log]
file = $files
from_start = yes
CONF
    grapevined --config "$(config "$n")" >"$scratch/node$n.log" 2>&1 &
    pids+=($!)
}

mail_to() { grep -lri "^to:.*admin@owner$1\.test" "$scratch/mail" 2>/dev/null | head -n 1; }
has_mail() { [[ -n $(mail_to "$1") ]]; }

enrol_node() {
    local n=$1 code
    ask "$n" enroll --email "admin@owner$n.test" --accept-terms >"$scratch/enroll$n.out" 2>&1 ||
        die "node $n was not enrolled: $(tail -n 1 "$scratch/enroll$n.out")"
    wait_for 15 "the mail to the owner of node $n" has_mail "$n"
    code=$(sed -n 's/.*grapevine confirm \([^ ]*\).*/\1/p' "$(mail_to "$n")" | tr -d '\r' | head -n 1)
    [[ -n $code ]] || die "no code in the mail to the owner of node $n"
    ask "$n" confirm "$code" >"$scratch/confirm$n.out" 2>&1 ||
        die "node $n was not confirmed: $(tail -n 1 "$scratch/confirm$n.out")"
}

number_of() { ask "$1" status --json | sed -n "s/^ *\"$2\": \([0-9]*\).*/\1/p" | head -n 1; }
is_joined() { (($(number_of "$1" peers) >= 1 && $(number_of "$1" instances) == NODES)); }

# ---- the attack -----------------------------------------------------------------------------

# The genuine lines, as if they were written now.
replay() {
    sed -E -e '/^#/d' \
        -e "s/^([A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8}|[0-9-]{10}T[^ ]+) /$(date -u +%Y-%m-%dT%H:%M:%S)+00:00 /" \
        "$genuine" >>"$scratch/node$1.mail"
}

verdict_of() { ask "$1" ip --json "$ATTACKER" | sed -n 's/^ *"verdict": "\([a-z]*\)".*/\1/p'; }
verdict_is() { [[ $(verdict_of "$1") == "$2" ]]; }
has_signalled() { (($(number_of "$1" signals_made) >= 1)); }
all_untrusted() {
    local n
    for ((n = 1; n <= NODES; n++)); do
        verdict_is "$n" untrusted || return 1
    done
}

run_attack() {
    local reporters=(1 2 3) second third told
    [[ -z $log ]] || reporters=(2 3 4) # the first is busy with a log of its own
    second=${reporters[1]}
    third=${reporters[2]}
    step "$ATTACKER attacks node ${reporters[0]}: $(grep -c "$ATTACKER" "$genuine") genuine log lines"
    replay "${reporters[0]}"
    wait_for 20 "the first signal" has_signalled "${reporters[0]}"
    wait_for 20 "the first signal on node 5" verdict_is 5 reported
    step "node 5: $(verdict_of 5) (one owner says so)"
    step "the same attacker at node $second"
    told=$(date +%s.%N) # the lines are read, the signal is made and sent: all within the figure
    replay "$second"
    wait_for 30 "the verdict on all five" all_untrusted
    step "from the second owner's signal to untrusted on all $NODES nodes: $(since "$told") s"
    step "and at node $third"
    replay "$third"
    wait_for 20 "the third signal" has_signalled "$third"
    wait_for 20 "the third owner's vote on node 5" weighs_3000
}
weighs_3000() { (($(ask 5 ip --json "$ATTACKER" | sed -n 's/^ *"weight": \([0-9]*\).*/\1/p') >= 3000)); }

print_commands() {
    cat <<TEXT

The mesh stays up until Ctrl-C. Commands to try, in another terminal:

  export PATH=$build/bin:\$PATH
  grapevine --config $(config 5) ip $ATTACKER
  grapevine --config $(config 5) list
  grapevine --config $(config 1) telemetry
  grapevine --config $(config 3) status
  grapevine --config $(config 3) peers
  grapevine --config $(config 2) retract $ATTACKER
  grapevine --config $(config 5) allow $ATTACKER
  grapevine observe --lab $genuine

What the nodes say: $scratch/node?.log; their mail logs: $scratch/node?.mail
TEXT
}

main() {
    local n
    [[ -r $genuine ]] || die "$genuine is missing"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/grapevine.XXXXXX")
    install_packages
    build_programs
    find_ports
    start_registry
    step "five nodes, 127.1.0.1 to 127.5.0.1, port $mesh_port"
    for ((n = 1; n <= NODES; n++)); do
        start_node "$n"
    done
    for ((n = 1; n <= NODES; n++)); do
        wait_for 10 "node $n" answers "$n"
        wait_for 20 "the descriptor on node $n" in_network "$n"
        enrol_node "$n"
    done
    step "all enrolled by mail, each by another owner"
    for ((n = 1; n <= NODES; n++)); do
        wait_for 30 "node $n to find the others" is_joined "$n"
    done
    step "all have found each other"
    run_attack
    step "what node 5, which never saw it, says:"
    printf '\n$ grapevine ip %s\n' "$ATTACKER"
    ask 5 ip "$ATTACKER"
    if [[ $check == yes ]]; then
        printf '\n'
        step "the verdict stands on all five"
        return 0
    fi
    print_commands
    wait
}

{
    main
    exit
} # read whole: the file may be replaced while this waits
