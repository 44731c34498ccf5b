#!/usr/bin/env bash
# The HTTP port of real nodes against its own description: every path is asked, over TCP with the
# token and over the control socket, and each answer validated against its schema; wrong methods and
# parameters; what other hosts get; what promtool says of the metrics, and whether the dashboard
# draws only what there is. Needs root for the part with other hosts.
set -uo pipefail
NODES=2
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs jq curl python3 dig
python3 -c 'import jsonschema' 2>/dev/null || {
    echo "api.sh: SKIPPED: python3-jsonschema is not installed (tests/packages.sh test)"
    exit 77
}

# promtool comes with a whole Prometheus: only the one program is taken out of the package.
promtool() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/grapevine-tests
    type -P promtool >/dev/null && { command promtool "$@"; return; }
    if [ ! -x "$cache/promtool" ]; then
        mkdir -p "$cache" "$scratch/prometheus"
        (cd "$scratch/prometheus" && timeout 120 apt-get download prometheus >/dev/null 2>&1 &&
            dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool &&
            mv usr/bin/promtool "$cache/promtool") || return 99
    fi
    "$cache/promtool" "$@"
}

http=14729
while listening 127.0.0.1 $http; do http=$((http + 10)); done
make_conf() { # what start_node of common.sh wrote, with an HTTP port
    cat >>"$(conf "$1")" <<CONF
[http]
listen = 127.0.0.1:$http
[dnsbl]
listen = 127.0.0.1:$((http + 1))
[policy]
allow = 203.0.113.77
deny = 203.0.113.0/24, 233.252.0.0/24
CONF
}
find_port 24727
make_registry api-test
start_registry
start_mesh
stop_node 1
make_conf 1
"$bin/grapevined" --config "$(conf 1)" >>"$scratch/node1.log" 2>&1 &
node_pid[1]=$!
pids+=($!)
wait_for 10 "node 1" answers 1
wait_for 20 "the HTTP port" listening 127.0.0.1 $http
wait_for 40 "node 1 to find the other" has_peers 1
fails_at 1 198.51.100.7
fails_at 2 198.51.100.8
wait_for 20 "a signal of the other" verdict_is 1 198.51.100.8 reported
wait_for 20 "an own signal" verdict_is 1 198.51.100.7 reported

base=http://127.0.0.1:$http
token=$(ask 1 token)
[[ $token =~ ^[0-9a-f]{64}$ ]] || fail "the token is '$token'"
[[ $(stat -c %a "$scratch/node1/api.token") == 600 ]] || fail "the token's file can be read by others"

python3 "$root/tests/e2e/openapi.py" "$root/node/serve/openapi.json" "$base" "$token" \
    "$scratch/node1/control.sock" "$(cat "$scratch/node1/dovecot.key")" || fail "the description and the server differ"

curl -s "$base/api/v1/openapi.json" | cmp - "$root/node/serve/openapi.json" ||
    fail "what is served is not the file"

# ---- lists ----------------------------------------------------------------------------------------
curl -s "$base/blocklist.txt" | grep -qx '233.252.0.0/24' || fail "a denied range is not in the list"
curl -s "$base/blocklist.txt" | python3 -c '
import ipaddress, sys
nets = [ipaddress.ip_network(line.strip()) for line in sys.stdin]
assert nets == sorted(nets, key=lambda n: (n.version, n)), "not sorted"
assert all(not a.overlaps(b) for a, b in zip(nets, nets[1:])), "entries overlap"
assert not any(ipaddress.ip_address("203.0.113.77") in n for n in nets), "an allowed address is listed"
assert sum(n.num_addresses for n in nets if n.version == 4 and n.subnet_of(ipaddress.ip_network("203.0.113.0/24"))) == 255
' || fail "the block list is not right"
# The real Postfix reads its table; taken out of its package when it is not installed.
mkdir "$scratch/postfix"
printf 'compatibility_level = 3.6\nmail_owner = mail\nsetgid_group = operator\ndefault_privs = daemon\n' \
    >"$scratch/postfix/main.cf"
curl -s "$base/blocklist.cidr" >"$scratch/cidr"
postmap=$(type -P postmap || true)
if [[ -z $postmap ]]; then
    (cd "$scratch/postfix" && timeout 60 apt-get download postfix >/dev/null 2>&1 &&
        dpkg-deb -x postfix_*.deb package) && postmap=$scratch/postfix/package/usr/sbin/postmap
fi
look_up() { # ADDRESS
    LD_LIBRARY_PATH=$scratch/postfix/package/usr/lib/postfix \
        "$postmap" -c "$scratch/postfix" -q "$1" "cidr:$scratch/cidr" 2>&1
}
if [[ -z $postmap ]]; then
    echo "api.sh: SKIPPED: postmap is neither installed nor to be had"
else
    [[ $(look_up 203.0.113.9) == "REJECT Refused by grapevine" ]] ||
        fail "postmap, a denied address: $(look_up 203.0.113.9)"
    [[ -z $(look_up 203.0.113.77) ]] || fail "postmap, an allowed address: $(look_up 203.0.113.77)"
    [[ -z $(look_up 192.0.2.1) ]] || fail "postmap, any address: $(look_up 192.0.2.1)"
fi
curl -s --unix-socket "$scratch/node1/control.sock" http://localhost/api/v1/lists |
    jq -e '.configured.deny == ["203.0.113.0/24", "233.252.0.0/24"]' >/dev/null ||
    fail "the lists of the configuration are not shown"

# ---- metrics --------------------------------------------------------------------------------------
curl -s "$base/metrics" >"$scratch/metrics"
promtool check metrics <"$scratch/metrics" >"$scratch/promtool" 2>&1
status=$?
if [ $status -eq 99 ]; then
    echo "api.sh: SKIPPED: promtool is neither installed nor to be had"
elif [ $status -ne 0 ] || [ -s "$scratch/promtool" ]; then
    fail "promtool: $(cat "$scratch/promtool")"
else
    echo "promtool finds nothing wrong with $(grep -c '^# TYPE' "$scratch/metrics") metrics"
fi
jq -r '.. | .expr? // empty' "$root/node/serve/grafana.json" |
    grep -oE '(grapevine|process)_[a-z_]+' | sort -u >"$scratch/drawn"
sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' "$scratch/metrics" | sort -u >"$scratch/told"
[ "$(wc -l <"$scratch/drawn")" -ge 30 ] || fail "the dashboard draws next to nothing"
[[ -z $(comm -23 "$scratch/drawn" "$scratch/told") ]] ||
    fail "drawn, and not told: $(comm -23 "$scratch/drawn" "$scratch/told" | xargs)"
undrawn=$(comm -13 "$scratch/drawn" "$scratch/told" | grep -v '^grapevine_build_info$' | xargs)
[[ -z $undrawn ]] || fail "told, and not drawn: $undrawn"
[[ $(awk '/^grapevine_peers/ { n += $2 } END { print n }' "$scratch/metrics") == 1 ]] ||
    fail "the metrics do not tell of the peer"

# ---- a token that is taken back -------------------------------------------------------------------
with() { curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $1" "$base/api/v1/status"; }
fresh=$(ask 1 token --new)
[[ $(with "$fresh") == 200 && $(with "$token") == 401 ]] || fail "a new token: $(with "$fresh"), the old one: $(with "$token")"

# ---- other hosts ----------------------------------------------------------------------------------
sed -i 's/^listen = 127.0.0.1:'$http'$/listen = 0.0.0.0:'$http'/' "$(conf 1)"
"$bin/grapevined" --config "$(conf 1)" --check-config >"$scratch/check" 2>&1
grep -q '\[http\] listen: .* open to other hosts, but \[http\] clients lists none' "$scratch/check" ||
    fail "a port for everybody needs nothing said"
if [ "$(id -u)" -eq 0 ] && command -v ip >/dev/null && unshare --net true 2>/dev/null; then
    mkdir -m 700 "$scratch/alone"
    cat >"$scratch/alone.conf" <<CONF
[node]
data = $scratch/alone
listen =
user = root
[http]
listen = 0.0.0.0:4729
clients = 10.9.0.3
names = mail.example.org
[dnsbl]
listen = 10.9.0.1:4753
clients = 10.9.0.3
CONF
    timeout 60 unshare --net --mount --pid --fork --kill-child --mount-proc bash -s "$bin" \
        "$scratch" <<'INSIDE' || fail "other hosts (see above)"
bin=$1 scratch=$2 bad=0
mount -t tmpfs tmpfs /run
ip link set lo up
ip netns add others
ip link add here type veth peer name there netns others
ip addr add 10.9.0.1/24 dev here
ip link set here up
ip -n others addr add 10.9.0.2/24 dev there
ip -n others addr add 10.9.0.3/24 dev there
ip -n others link set there up
"$bin/grapevined" --config "$scratch/alone.conf" >"$scratch/alone.log" 2>&1 &
for _ in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:4729/metrics && break; sleep 0.1; done
token=$("$bin/grapevine" --config "$scratch/alone.conf" token)
try() { # WANTED FROM-ADDRESS CURL'S...
    local wanted=$1 from=$2 got
    shift 2
    if [ "$from" = here ]; then
        got=$(curl -s -m 5 -o "$scratch/said" -w '%{http_code}' "$@")
    else
        got=$(ip netns exec others curl -s -m 5 --interface "$from" -o "$scratch/said" -w '%{http_code}' "$@")
    fi
    [ "$got" = "$wanted" ] || { echo "from $from: $*: $got, not $wanted: $(cat "$scratch/said")"; bad=1; }
}
bearer="Authorization: Bearer $token"
for path in /blocklist.txt /metrics /api/v1/status /api/v1/openapi.json /nothing; do
    try 403 10.9.0.2 "http://10.9.0.1:4729$path"
    try 403 10.9.0.2 -H "$bearer" "http://10.9.0.1:4729$path"
done
try 403 10.9.0.2 -X POST -d '{}' "http://10.9.0.1:4729/dovecot?command=allow"
try 401 10.9.0.3 http://10.9.0.1:4729/blocklist.txt
try 401 10.9.0.3 http://10.9.0.1:4729/metrics
try 200 10.9.0.3 -H "$bearer" http://10.9.0.1:4729/blocklist.txt
try 200 10.9.0.3 -H "$bearer" http://10.9.0.1:4729/api/v1/status
try 421 10.9.0.3 -H "$bearer" -H 'Host: evil.example' http://10.9.0.1:4729/api/v1/status
try 200 10.9.0.3 -H "$bearer" -H 'Host: mail.example.org:4729' http://10.9.0.1:4729/api/v1/status
try 200 here http://10.9.0.1:4729/blocklist.txt # its own address is this host, too
try 200 here http://127.0.0.1:4729/blocklist.txt
try 421 here -H 'Host: 10.9.0.1' http://127.0.0.1:4729/blocklist.txt
try 401 here http://10.9.0.1:4729/api/v1/status
asks() { # WANTED FROM-ADDRESS DIG'S...: the same by DNS
    local got
    got=$(ip netns exec others dig -b "$2" +time=3 +tries=2 "${@:3}" @10.9.0.1 -p 4753 \
        2.0.0.127.refuse.grapevine | sed -n 's/.*status: \([A-Z]*\),.*/\1/p')
    [ "$got" = "$1" ] || { echo "DNS from $2 ${*:3}: $got, not $1"; bad=1; }
}
for way in +notcp +tcp; do
    asks REFUSED 10.9.0.2 $way
    asks NOERROR 10.9.0.3 $way
done
exit $bad
INSIDE
else
    echo "api.sh: SKIPPED: what other hosts get needs root and namespaces"
fi

[ $failures -eq 0 ] || exit 1
echo "the HTTP port is what its description says"
