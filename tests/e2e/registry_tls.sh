#!/usr/bin/env bash
# A registry that does TLS itself: what it speaks and what it does not, a certificate renewed under
# it, half a renewal, and a key that everybody may read.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs curl openssl

make_pair() { # NAME ALGORITHM...: a certificate and its key
    openssl req -x509 -newkey "${@:2}" -nodes -days 30 -subj "/CN=$1" \
        -addext 'subjectAltName=IP:127.0.0.1' -keyout "$scratch/$1.key" -out "$scratch/$1.pem" \
        2>/dev/null || die "openssl makes no certificate"
    chmod 600 "$scratch/$1.key"
}
take() { # NAME: as a renewal does it, one file after the other
    cp "$scratch/$1.pem" "$scratch/live.pem.new" && mv "$scratch/live.pem.new" "$scratch/live.pem"
    cp -p "$scratch/$1.key" "$scratch/live.key.new" && mv "$scratch/live.key.new" "$scratch/live.key"
}
shown() {
    openssl s_client -connect "127.0.0.1:$((port + 1))" </dev/null 2>/dev/null |
        openssl x509 -noout -subject 2>/dev/null | sed 's/.*CN *= *//'
}
shows() { [[ $(shown) == "$1" ]]; }
healthy() { # CA
    curl -s --max-time 5 --cacert "$scratch/$1.pem" "https://127.0.0.1:$((port + 1))/v1/health" |
        grep -q '"status":"ok"'
}

registry_ca=
more_conf() { [[ -z $registry_ca ]] || printf '[network]\nregistry_ca = %s\n' "$registry_ca"; }
find_port 17127
make_pair first ec -pkeyopt ec_paramgen_curve:prime256v1
make_pair second rsa:2048
make_pair third ed25519
take first
make_registry tls --url "https://127.0.0.1:$((port + 1))"
printf '\n[registry]\ntls_certificate = %s\ntls_key = %s\n' "$scratch/live.pem" \
    "$scratch/live.key" >>"$scratch/registry/registry.conf"
start_registry

healthy first || fail "no HTTPS"
curl -s --max-time 5 "http://127.0.0.1:$((port + 1))/v1/health" | grep -q ok &&
    fail "plain HTTP is answered on a port with TLS"
openssl s_client -tls1_1 -cipher 'ALL:@SECLEVEL=0' -connect "127.0.0.1:$((port + 1))" </dev/null \
    2>/dev/null | grep -q 'Cipher is [A-Z]*-' && fail "TLS 1.1 is spoken"
for version in tls1_2 tls1_3; do
    openssl s_client -$version -connect "127.0.0.1:$((port + 1))" </dev/null 2>/dev/null |
        grep -q '^New, TLSv1' || fail "$version is not spoken"
done
# Many at once, each with a handshake of its own, and one that says nothing.
exec 8<>"/dev/tcp/127.0.0.1/$((port + 1))"
for i in {1..12}; do healthy first & done
for job in $(jobs -p); do
    [[ " ${pids[*]} " == *" $job "* ]] || wait "$job" || fail "a handshake beside others failed"
done
exec 8<&-
echo "TLS 1.2 and 1.3, nothing else"

# A renewal is picked up by itself; half of one is not.
cp "$scratch/second.pem" "$scratch/live.pem"
kill -HUP "${pids[0]}"
wait_for 10 "a word about half a renewal" grep -q "is not the one in" "$scratch/registry.log"
healthy first || fail "half a renewal took the certificate away"
take second
kill -HUP "${pids[0]}"
wait_for 10 "the second certificate" shows second
healthy second || fail "the second certificate does not serve"
take third
wait_for 25 "the third certificate, without a signal" shows third
cp "$scratch/first.pem" "$scratch/live.key" # nonsense
kill -HUP "${pids[0]}"
wait_for 10 "a word about the nonsense" grep -q "not a private key" "$scratch/registry.log"
healthy third || fail "nonsense took the certificate away"
echo "renewed twice without a restart, and not by half"

# A node, the look at the log, and setup believe a certificate of one's own, and no other.
take first
kill -HUP "${pids[0]}"
wait_for 10 "the first certificate again" shows first
registry_url=https://127.0.0.1:$((port + 1))
start_node 1
wait_for 10 "node 1" answers 1
wait_for 10 "a word about the certificate" grep -q 'could not be reached.*certificate' "$scratch/node1.log"
! in_network 1 || fail "a certificate that nobody vouches for is believed"
sets_up() {
    ask "$1" setup --non-interactive --dry-run --email admin@owner1.test --accept-terms --no-import --hooks no \
        --allow no --log "$scratch/node$1.mail" --registry "$registry_url" >"$scratch/said" 2>&1 </dev/null
}
! sets_up 1 || fail "setup believes it"
grep -q 'certificate' "$scratch/said" || fail "setup: $(<"$scratch/said")"
stop_node 1
registry_ca=$scratch/first.pem
start_node 1
NODES=1
enrol 1
sets_up 1 || fail "setup with registry_ca: $(<"$scratch/said")"
looked() { ask 1 status --json | grep -q '"looked": *"'; }
wait_for 20 "node 1 to have looked at the log" looked
echo "a node and setup believe [network] registry_ca, and without it nobody"

kill "${pids[0]}"
wait "${pids[0]}" || fail "the registry did not end well"
grep -q "ERROR: .*Sanitizer" "$scratch/registry.log" && fail "$(cat "$scratch/registry.log")"
take first
chmod 644 "$scratch/live.key"
"$bin/grapevine-registry" serve --config "$scratch/registry/registry.conf" 2>"$scratch/refused"
(($? == 77)) || fail "a key that everybody may read is used"
grep -q "run: chmod o= " "$scratch/refused" || fail "no advice: $(cat "$scratch/refused")"
echo "a key that everybody may read is refused"
((failures == 0))
