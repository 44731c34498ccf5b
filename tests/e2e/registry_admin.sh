#!/usr/bin/env bash
# The registration's end and the registry's: an owner leaves, from his node and by mail without it; limits
# for one owner and domain; backup, loss of the machine, and restore under nodes that go on.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
NODES=3
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs jq curl
find_port 16700
registry() { "$bin/grapevine-registry" "$1" --data "$scratch/registry" "${@:2}"; }
instance_of() { ask "$1" status --json | jq -r .instance; }
listed() { registry list --json | jq -c "select(.instance == \"$1\")"; } # INSTANCE
peers_are() { [[ $(status_of "$1" peers) == "$2" ]]; }

make_registry leaving
printf 'Subject: Adieu, {network}\n\nIn my own words:\n    {link}\n' >"$scratch/leave.txt"
sed -i "s,^url = .*,&\nleave_template = $scratch/leave.txt," "$scratch/registry/registry.conf"
start_registry
registry_pid=${pids[-1]}
start_mesh
for n in 1 2 3; do id[n]=$(instance_of "$n"); done

# ---- limits -----------------------------------------------------------------------------------

registry limits | grep -qE '^enroll_per_domain_day +50$' || fail "limits: $(registry limits)"
[[ $(registry limits owner1.test) == 'owner1.test: 1 of 50 codes today (as in registry.conf)' ]] ||
    fail "a domain's: $(registry limits owner1.test)"
registry limits owner1.test --codes 1 >/dev/null || fail "limits --codes"
if ask 1 enroll --email admin@owner1.test --accept-terms >/dev/null 2>"$scratch/errors"; then fail "over the limit"; fi
grep -q 'email domain' "$scratch/errors" || fail "the domain's limit: $(<"$scratch/errors")"
[[ $(registry limits Admin+x@owner1.test --instances 7) == 'admin@owner1.test: 1 of 7 instances' ]] ||
    fail "an owner's: $(registry limits admin@owner1.test)"
registry limits --json | jq -e '[.allowed[] | (.email // .domain), .value] == ["admin@owner1.test", 7, "owner1.test", 1]' >/dev/null ||
    fail "what is allowed: $(registry limits --json)"
registry limits owner1.test --reset >/dev/null && registry limits admin@owner1.test --reset >/dev/null
registry limits --json | jq -e '.allowed == []' >/dev/null || fail "reset: $(registry limits --json)"
! registry limits owner1.test --instances 3 2>/dev/null || fail "instances of a domain"
! registry limits 'no one' 2>/dev/null || fail "limits of nobody"

# ---- from the node ----------------------------------------------------------------------------

if ask 3 leave </dev/null >/dev/null 2>"$scratch/errors"; then fail "it leaves unasked"; fi
grep -q -- '--yes' "$scratch/errors" || fail "leave does not say how: $(<"$scratch/errors")"
ask 3 leave --yes >"$scratch/said" || fail "leave: $(<"$scratch/said")"
jq -e '.revoked and .email == null' >/dev/null <<<"$(listed "${id[3]}")" || fail "it is not revoked: $(listed "${id[3]}")"
[[ ! -e $scratch/node3/certificate ]] || fail "its certificate is still there"
# The others hear of it in the mesh, from the node itself.
wait_for 20 "node 1 to be without node 3" peers_are 1 1
if ask 3 leave --yes >/dev/null 2>"$scratch/errors"; then fail "it leaves twice"; fi
grep -q 'not enrolled' "$scratch/errors" || fail "leave twice: $(<"$scratch/errors")"
stop_node 3
start_node 3
wait_for 10 "node 3" answers 3
[[ $(ask 3 status --json | jq .revoked) == true ]] || fail "node 3 does not know after a restart"

# ---- without the machine ----------------------------------------------------------------------

stop_node 2
curl -fsS "$registry_url/leave" | grep -q 'name="email"' || fail "no form at /leave"
mails() { find "$scratch/mail" -type f | wc -l; }
before=$(mails)
curl -fsS --data-urlencode email=nobody@owner2.test "$registry_url/leave" >"$scratch/stranger" || fail "a stranger's address"
curl -fsS --data-urlencode email=Admin@Owner2.test "$registry_url/leave" >"$scratch/known" || fail "the form"
cmp -s "$scratch/stranger" "$scratch/known" || fail "a stranger learns who is known"
has_link() { grep -qrh '^ *http.*/leave/' "$scratch/mail"; }
wait_for 10 "the mail with the link" has_link
[[ $(mails) == $((before + 1)) ]] || fail "$(($(mails) - before)) mails"
grep -qrh '^Subject: Adieu, leaving' "$scratch/mail" || fail "not the admin's words"
link=$(grep -rho "$registry_url/leave/[0-9a-f]*" "$scratch/mail" | head -n 1)
curl -fsS "$link" | grep -q "${id[2]}" || fail "the page does not name the instance"
jq -e '.revoked | not' >/dev/null <<<"$(listed "${id[2]}")" || fail "looking at the page ended it"
curl -fsS -X POST "$link" | grep -q '1 instance is revoked' || fail "the button"
jq -e '.revoked and .email == null' >/dev/null <<<"$(listed "${id[2]}")" || fail "not revoked: $(listed "${id[2]}")"
[[ $(curl -s -o /dev/null -w '%{http_code}' -X POST "$link") == 404 ]] || fail "the link is good twice"

# ---- backup, and restore ----------------------------------------------------------------------

registry backup "$scratch/copy" >/dev/null || fail "backup"
NODES=4
start_node 4
enrol 4 # after the backup: the copy does not know it
wait_for 30 "node 4 to find node 1" has_peers 4 1
kill "$registry_pid" && wait "$registry_pid"
mv "$scratch/registry" "$scratch/lost"
restore() { "$bin/grapevine-registry" restore "$scratch/copy" --data "$scratch/registry" "$@"; }
mv "$scratch/copy/root.key" "$scratch/kept.key"
! restore 2>"$scratch/errors" || fail "restored without the root key"
grep -q -- '--root-key' "$scratch/errors" || fail "it does not say which: $(<"$scratch/errors")"
minute=$(($(date +%s) / 60)) # what was signed in this one, as node 4's certificate may be, stays good
restore --root-key "$scratch/kept.key" >"$scratch/said" || fail "restore"
[[ $(registry keys --json | jq '.[0].until_minute') -gt $minute ]] || fail "the old key ends too early: $(registry keys)"
grep -q '3 instances, 1 with an email address' "$scratch/said" || fail "restored: $(<"$scratch/said")"
! restore --root-key "$scratch/kept.key" 2>/dev/null || fail "restored over a registry"
[[ $(registry keys --json | jq -r 'map(.role) | join(" ")') == 'former signs' ]] || fail "keys: $(registry keys)"
start_registry
stop_node 1
start_node 1
knows() { jq -e --argjson least "$2" '.version >= $least' >/dev/null 2>&1 <<<"$(ask "$1" network --json 2>/dev/null)"; }
wait_for 20 "node 1 to hear of the new key" knows 1 101
wait_for 30 "node 1 and node 4 to go on" has_peers 4 1
NODES=5
start_node 5
enrol 5
wait_for 30 "a newcomer to find both" has_peers 5 2
for n in 1 4 5; do
    [[ ! -e $scratch/node$n/registry-finding ]] || fail "node $n accuses it: $(<"$scratch/node$n/registry-finding")"
done
[[ $failures == 0 ]] && echo "registry admin: all as it should be"
exit $((failures > 0))
