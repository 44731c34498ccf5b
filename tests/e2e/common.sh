# A lab for end-to-end scripts, to be sourced: a real registry and real nodes 127.1.0.1, 127.2.0.1 and
# on, each of an owner of its own, in $scratch. Sets bin, scratch, port, pids, failures.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2317 # used by, and called by, whoever sources it
# shellcheck source=tests/e2e/frame.sh
. "$(dirname "${BASH_SOURCE[0]}")/frame.sh"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$(realpath -m "${GV_BIN:-$root/build/bin}")
scratch=$(mktemp -d /tmp/gv-lab.XXXXXX)
pids=()
NODES=${NODES:-3}
node_pid=()

clean_up() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
    rm -rf "$scratch"
}
trap clean_up EXIT
listening() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }
find_port() { # FIRST: mesh port; the next one is the registry's, and one more is free
    port=$1
    while listening 127.1.0.1 "$port" || listening 127.0.0.1 $((port + 1)) ||
        listening 127.0.0.1 $((port + 2)); do port=$((port + 10)); done
    registry_url=http://127.0.0.1:$((port + 1))
}

conf() { printf '%s/node%s.conf' "$scratch" "$1"; }
ask() { "$bin/grapevine" --config "$(conf "$1")" "${@:2}"; }
answers() { ask "$1" status >/dev/null 2>&1; }
in_network() { ask "$1" network >/dev/null 2>&1; }
mail_to() { grep -lri "^to:.*admin@owner$1\.test" "$scratch/mail" 2>/dev/null | head -n 1; }
has_mail() { [[ -n $(mail_to "$1") ]]; }
status_of() { ask "$1" status --json | jq -r ".. | .$2? // empty" | head -n 1; }
has_peers() { (($(status_of "$1" peers) >= ${2:-$((NODES - 1))})); }

make_registry() { # NAME [init's options]: and then its configuration may be changed
    mkdir "$scratch/mail"
    "$bin/grapevine-registry" init --data "$scratch/registry" --name "$1" --lab \
        --listen "127.0.0.1:$((port + 1))" --mail "file:$scratch/mail" --seed "127.1.0.1:$port" \
        "${@:2}" >"$scratch/init.out" || die "no registry"
}
start_registry() {
    "$bin/grapevine-registry" serve --config "$scratch/registry/registry.conf" \
        >"$scratch/registry.log" 2>&1 &
    pids+=($!)
    wait_for 10 "the registry" listening 127.0.0.1 $((port + 1))
}

more_conf() { :; } # N: further sections of its configuration
start_node() { # N; $seeds: besides the descriptor's
    local n=$1
    touch "$scratch/node$n.mail"
    cat >"$(conf "$n")" <<CONF
[node]
data = $scratch/node$n
$([[ $EUID != 0 ]] || echo "user = root")
listen = 127.$n.0.1:$port
bind = 127.$n.0.1
advertise = 127.$n.0.1:$port

[network]
registry = $registry_url
${seeds:+seeds = $seeds}

[share]
mode = yes

[log]
file = $scratch/node$n.mail
from_start = yes
timezone = UTC
$(more_conf "$n")
CONF
    "$bin/grapevined" --config "$(conf "$n")" >>"$scratch/node$n.log" 2>&1 &
    node_pid[n]=$!
    pids+=($!)
}
stop_node() { # N
    kill "${node_pid[$1]}" && wait "${node_pid[$1]}"
}

enrol() { # N
    wait_for 10 "node $1" answers "$1"
    wait_for 20 "the descriptor on node $1" in_network "$1"
    ask "$1" enroll --email "admin@owner$1.test" --accept-terms >/dev/null 2>&1 || die "enroll $1"
    wait_for 15 "the mail to $1" has_mail "$1"
    ask "$1" confirm "$(sed -n 's/.*grapevine confirm \([^ ]*\).*/\1/p' "$(mail_to "$1")" |
        tr -d '\r' | head -n 1)" >/dev/null 2>&1 || die "confirm $1"
}
start_mesh() {
    local n
    for ((n = 1; n <= NODES; n++)); do start_node "$n"; done
    for ((n = 1; n <= NODES; n++)); do enrol "$n"; done
    for ((n = 1; n <= NODES; n++)); do wait_for 40 "node $n to find the others" has_peers "$n"; done
}

fails_at() { # N ADDRESS [COUNT]: genuine words of Dovecot's
    local i
    for ((i = 1; i <= ${3:-3}; i++)); do
        printf '%s mail dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u%s>, method=PLAIN, rip=%s, lip=192.0.2.1, session=<a%s>\n' \
            "$(date -u +%Y-%m-%dT%H:%M:%S)+00:00" "$i" "$2" "$i$RANDOM"
    done >>"$scratch/node$1.mail"
}
verdict_is() { [[ $(ask "$1" ip --json "$2" | jq -r .verdict) == "$3" ]]; }
