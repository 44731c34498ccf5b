#!/usr/bin/env bash
# Coming, staying and going, with real programs: three nodes enrol through a proxy before the
# registry, renew certificates that live two minutes, and when one is revoked it is cut off
# everywhere, by nodes that never asked the registry too.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs jq python3

# A proxy that says for whom it asks, as an admin's would. One request a connection.
write_proxy() {
    cat >"$scratch/proxy.py" <<'PY'
import http.client, http.server, sys
class Proxy(http.server.BaseHTTPRequestHandler):
    def relay(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        up = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]), timeout=20)
        kept = ("content-type", "accept", "user-agent")
        headers = {k: v for k, v in self.headers.items() if k.lower() in kept}
        headers["X-Forwarded-For"] = self.client_address[0]
        up.request(self.command, self.path, body or None, headers)
        answer = up.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() in ("content-type", "retry-after"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        print(self.client_address[0], self.command, self.path, answer.status, flush=True)
    do_GET = do_POST = relay
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Proxy).serve_forever()
PY
    python3 "$scratch/proxy.py" $((port + 2)) $((port + 1)) >"$scratch/proxy.log" 2>&1 &
    pids+=($!)
    wait_for 10 "the proxy" listening 127.0.0.1 $((port + 2))
}

expires() { ask "$1" status --json | jq -r '.. | .certificate_expires? // empty' | head -n 1; }
has_renewed() { [[ $(expires "$1") > ${before[$1]} ]]; }
instance_of() { ask "$1" status --json | jq -r '.. | .instance? // empty | strings' | head -n 1; }
has_no_peer() { (($(status_of "$1" peers) == 0)); }
lost_one() { (($(status_of "$1" peers) == NODES - 2)); }
say_revoked() { grep -q "revoked" "$scratch/node$1.log"; }

find_port 16927
make_registry members --url "http://127.0.0.1:$((port + 2))"
sed -i -E 's/^#? *(trusted_proxy|certificate_life) *=.*//' "$scratch/registry/registry.conf"
printf '\n[registry]\ntrusted_proxy = 127.0.0.1\n\n[limits]\ncertificate_life = 120s\n' \
    >>"$scratch/registry/registry.conf"
start_registry
write_proxy
registry_url=http://127.0.0.1:$((port + 2))
start_mesh

# The registry saw each node's own address, not the proxy's: three network groups.
groups=$(ask 1 peers --json | jq -r '.. | .group? // empty' | sort -u | wc -l)
((groups >= NODES - 1)) || fail "peers of $groups network group, behind the proxy: $(ask 1 peers --json)"
grep -q "^127.3.0.1 POST" "$scratch/proxy.log" || fail "node 3 did not enrol through the proxy"
echo "enrolled through a proxy, $groups peers of $groups network groups"

# Renewal at half life: after a minute, and a twentieth of the life at most.
before=()
for ((n = 1; n <= NODES; n++)); do before[n]=$(expires "$n"); done
for ((n = 1; n <= NODES; n++)); do wait_for 130 "node $n to renew its certificate" has_renewed "$n"; done
for ((n = 1; n <= NODES; n++)); do has_peers "$n" || fail "node $n lost a peer by renewing"; done
fails_at 2 198.51.100.8
wait_for 15 "a signal under the new certificate" verdict_is 3 198.51.100.8 reported
echo "certificates of two minutes are renewed, and what is signed under the new one counts"

# Out: node 2 asks the registry when it starts, and tells the others.
revoked=$(instance_of 3)
"$bin/grapevine-registry" revoke --data "$scratch/registry" --reason abuse "$revoked" >/dev/null ||
    fail "the registry does not revoke $revoked"
fails_at 3 198.51.100.9
wait_for 15 "a last signal of node 3" verdict_is 1 198.51.100.9 reported
stop_node 2
start_node 2
wait_for 10 "node 2" answers 2
for n in 1 2; do wait_for 40 "node $n to cut off the revoked one" lost_one "$n"; done
wait_for 40 "node 3 to be alone" has_no_peer 3
wait_for 40 "node 3 to be told" say_revoked 3
sleep 8 # it goes on trying
for n in 1 2; do lost_one "$n" || fail "node $n let the revoked one in again"; done
fails_at 3 198.51.100.10
fails_at 1 198.51.100.11
wait_for 15 "the others to go on" verdict_is 2 198.51.100.11 reported
verdict_is 1 198.51.100.10 unknown || fail "a signal of the revoked node arrived"
echo "a revoked node is cut off everywhere, and the others go on"
((failures == 0))
