#!/usr/bin/env bash
# A real Dovecot that asks a real node, in namespaces of their own: what a wrong and a right password
# get, from whom, watched and enforced; a hundred guesses at once, with a challenge, too; a client with an old password; a
# node that is down; and the same verdicts by DNS, asked with dig. Needs root; takes Dovecot from the
# system or, because mail servers exclude each other as packages, unpacked for the test alone.
# `dovecot.sh 2.4`: that of Debian 13, in the system that tests/genuine/root.sh makes of it.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd "${GV_BIN:-$here/../../build/bin}" && pwd)
# shellcheck source=tests/e2e/frame.sh
. "$here/frame.sh"
# shellcheck source=tests/e2e/machine.sh
. "$here/machine.sh"

if [ "${1:-}" != inside ]; then
    wants jq python3 dig curl
    version=${1:-2.3}
    other=''
    if [ "$version" = 2.4 ]; then
        read -ra packages <<<"$(bash "$here/../genuine/servers/trixie.sh" packages)"
        other=$(bash "$here/../genuine/root.sh" trixie "${packages[@]}") || skip "no Debian 13"
    fi
    scratch=$(mktemp -d /tmp/gv-dovecot.XXXXXX)
    trap 'rm -rf "$scratch"' EXIT
    chmod 755 "$scratch"
    if [ -n "$other" ]; then
        mkdir "$scratch/package"
    else
        unpack "$scratch" /usr/sbin/dovecot dovecot-core dovecot-imapd
    fi
    # A pid namespace: whatever was started ends with it.
    timeout 240 unshare --net --mount --uts --pid --fork --kill-child --mount-proc \
        bash "$0" inside "$scratch" "$version" "$other"
    exit
fi

# ---- the machine: nothing of the real one is written to -------------------------------------------
scratch=$2 version=$3 other=$4
mount --make-rprivate /
mkdir "$scratch/upper"
mount -t tmpfs tmpfs "$scratch/upper"
lay_over "$scratch" "" usr etc var || skip "no overlay file system here"
mount -t tmpfs tmpfs /run
add_users 1113 dovecot dovenull
# No name is worth waiting for a resolver that is not there.
printf '127.0.0.1 localhost mx.test mx\n' >/etc/hosts
echo 'hosts: files' >/etc/nsswitch.conf
hostname mx.test
ip link set lo up
# The clients live in a namespace of their own: this host's own addresses are never refused.
ip netns add clients
ip link add server type veth peer name client netns clients
ip addr add 198.51.100.25/24 dev server
ip link set server up
for last in 7 8 9 10 11 12 13 14 15; do ip -n clients addr add 198.51.100.$last/24 dev client; done
ip -n clients link set client up

data=$scratch/node
mkdir -m 700 "$data"
log=$scratch/dovecot.log
: >"$log"
node_conf() { # ENFORCE
    cat >"$scratch/node.conf" <<X
[node]
data = $data
user = root
listen =
[log]
file = $log
[policy]
enforce = $1
[http]
listen = 127.0.0.1:4729
[dnsbl]
listen = 127.0.0.1:4753
X
}
ask() { "$bin/grapevine" --config "$scratch/node.conf" "$@"; }
start_node() {
    "$bin/grapevined" --config "$scratch/node.conf" >>"$scratch/node.log" 2>&1 &
    node=$!
    for _ in $(seq 100); do
        ask status >/dev/null 2>&1 && return
        sleep 0.1
    done
    cat "$scratch/node.log"
    echo "FAILED: the node does not start"
    exit 1
}
status() { ask status --json | jq -r ".enforcement.$1"; }
node_conf no
start_node

make_dovecot 198.51.100.25 "$log" "$scratch/mail"
server=()
if [ -n "$other" ]; then
    mkdir "$scratch/other" "$scratch/upper/other" "$scratch/upper/other.work"
    mount -t overlay overlay -o "lowerdir=$other,upperdir=$scratch/upper/other,workdir=$scratch/upper/other.work" \
        "$scratch/other" || skip "no overlay file system here"
    mkdir -p "$scratch/other$scratch"
    mount -t tmpfs tmpfs "$scratch/other$scratch"
    mkdir "$scratch/other$scratch/mail"
    chown 65534 "$scratch/other$scratch/mail"
    : >"$scratch/other$log"
    mount --bind "$log" "$scratch/other$log"
    mount --bind /proc "$scratch/other/proc"
    mount --rbind /dev "$scratch/other/dev"
    mount -t tmpfs tmpfs "$scratch/other/run"
    cp /etc/hosts /etc/nsswitch.conf "$scratch/other/etc"
    cp /etc/dovecot/users "$scratch/other/etc/dovecot"
    make_dovecot24 198.51.100.25 "$log" "$scratch/mail" >/etc/dovecot/dovecot.conf
    server=(chroot "$scratch/other")
fi
[ -n "$other" ] || echo 'auth_mechanisms = plain login cram-md5' >>/etc/dovecot/dovecot.conf
ask snippet dovecot --dovecot "$version" >>/etc/dovecot/dovecot.conf || die "no snippet"
[ -z "$other" ] || cp /etc/dovecot/dovecot.conf "$scratch/other/etc/dovecot"
"${server[@]}" /usr/sbin/dovecot -c /etc/dovecot/dovecot.conf 2>"$scratch/dovecot.start" ||
    die "Dovecot does not start: $(cat "$scratch/dovecot.start")"
"${server[@]}" /usr/sbin/dovecot --version
# What 2.4 calls otherwise, also where there is none to read it: an unknown setting ends it.
ask snippet dovecot --dovecot 2.4 >"$scratch/snippet"
grep -qE 'timeout_msecs|%\{rip\}|%s' "$scratch/snippet" && fail "the snippet for 2.4 is 2.3's: $(cat "$scratch/snippet")"
grep -q 'http_client_request_absolute_timeout = 8s' "$scratch/snippet" || fail "2.4 would not wait for an answer"

cat >"$scratch/imap.py" <<'P'
"""imap.py FROM ACCOUNT PASSWORD [COUNT [cram]]: logs in; COUNT times at once, with other passwords
each; with a challenge (CRAM-MD5). Prints how many were let in, and how many were answered."""
import base64
import hmac
import socket
import sys
import threading

source, account, password = sys.argv[1:4]
count = int(sys.argv[4]) if len(sys.argv) > 4 else 1
cram = sys.argv[5:] == ["cram"]
good, answered = [], []
gate = threading.Barrier(count)


def login(number):
    secret = password if count == 1 else password + str(number)
    with socket.create_connection(("198.51.100.25", 143), 30, (source, 0)) as line:
        stream = line.makefile("rb")
        stream.readline()
        words = f"a LOGIN {account} {secret}".encode()
        if cram:
            line.sendall(b"a AUTHENTICATE CRAM-MD5\r\n")
            challenge = base64.b64decode(stream.readline()[2:])
            digest = hmac.new(secret.encode(), challenge, "md5").hexdigest()
            words = base64.b64encode(f"{account} {digest}".encode())
        gate.wait()
        line.sendall(words + b"\r\n")
        while reply := stream.readline():
            if reply.startswith(b"a "):
                answered.append(reply)
                if reply.startswith(b"a OK"):
                    good.append(reply)
                break


threads = [threading.Thread(target=login, args=(n,)) for n in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(good), len(answered))
P
cat >"$scratch/sasl.py" <<'P'
"""sasl.py FROM ACCOUNT PASSWORD [COUNT [cram]]: as imap.py, but as Postfix asks Dovecot, by its auth
protocol, which names no session; always with CRAM-MD5."""
import base64
import hmac
import os
import socket
import sys

source, account, password = sys.argv[1:4]
count = int(sys.argv[4]) if len(sys.argv) > 4 else 1
line = socket.socket(socket.AF_UNIX)
line.settimeout(50)
line.connect("/run/dovecot/auth-client")
stream = line.makefile("rb")
line.sendall(f"VERSION\t1\t1\nCPID\t{os.getpid()}\n".encode())
while stream.readline() != b"DONE\n":
    pass
for number in range(1, count + 1):
    line.sendall(f"AUTH\t{number}\tCRAM-MD5\tservice=smtp\tnologin\tlip=198.51.100.25\trip={source}\tsecured\n".encode())
words = {}
while len(words) < count:
    _, number, challenge = stream.readline().decode().rstrip("\n").split("\t")
    secret = password if count == 1 else password + number
    digest = hmac.new(secret.encode(), base64.b64decode(challenge), "md5").hexdigest()
    words[number] = base64.b64encode(f"{account} {digest}".encode()).decode()
line.sendall("".join(f"CONT\t{number}\t{text}\n" for number, text in words.items()).encode())
replies = [stream.readline().split(b"\t")[0] for _ in range(count)]
print(replies.count(b"OK"), len(replies))
P
sasl() { timeout 60 python3 "$scratch/sasl.py" "$@" 2>>"$scratch/python.log"; }
imap() { timeout 60 ip netns exec clients python3 "$scratch/imap.py" "$@" 2>>"$scratch/python.log"; }
for _ in $(seq 50); do
    [ "$(imap 198.51.100.12 alice correct)" = "1 1" ] && break
    sleep 0.2
done
action() { ask ip "198.51.100.$1" --json | jq -r .action; }
dns() { dig +short +time=2 +tries=1 @127.0.0.1 -p 4753 "$@"; }

# ---- watched: nobody is refused, and it is counted ---------------------------------------------------
for n in 1 2 3 4 5; do imap 198.51.100.7 alice wrong$n >/dev/null; done
[ "$(action 7)" = refuse ] || fail "five wrong passwords: the action is $(action 7)"
[ "$(imap 198.51.100.7 alice correct)" = "1 1" ] || fail "watching, a right password was refused"
[ "$(status dovecot.would_have_refused)" -ge 1 ] || fail "what would have been refused is not counted"
[ "$(status would_have_refused.logins)" -ge 1 ] || fail "a login that would have been refused is not counted"
[ "$(status would_have_refused.failures)" -ge 1 ] || fail "nor are failed attempts"
[ "$(status would_have_refused.addresses)" = 1 ] || fail "nor is the address"
ask status | grep -q "came through  *[1-9][0-9]* failed attempts and [1-9]" || fail "status does not tell"
[ -z "$(dns 7.100.51.198.refuse.grapevine)" ] || fail "watching, DNS lists an address"
[ "$(dns 2.0.0.127.refuse.grapevine)" = 127.0.0.3 ] || fail "no test point"

# ---- enforced ---------------------------------------------------------------------------------------
node_conf "dovecot, dnsbl"
ask reload >/dev/null || fail "the configuration is not taken"
for n in 1 2 3 4 5; do imap 198.51.100.8 alice wrong$n >/dev/null; done
[ "$(imap 198.51.100.8 alice correct)" = "0 1" ] || fail "a locked address was let in"
[ "$(imap 198.51.100.9 alice correct)" = "1 1" ] || fail "its neighbour was not let in"
for _ in $(seq 10); do # "under a second"
    [ "$(dns 8.100.51.198.refuse.grapevine)" = 127.0.0.3 ] && break
    sleep 0.1
done
[ "$(dns 8.100.51.198.refuse.grapevine)" = 127.0.0.3 ] || fail "DNS does not list what is refused"
[ "$(dns +tcp 8.100.51.198.refuse.grapevine)" = 127.0.0.3 ] || fail "no DNS over TCP"
dns 8.100.51.198.refuse.grapevine TXT | grep -q "locked this address" || fail "DNS does not say why"
[ -z "$(dns 9.100.51.198.refuse.grapevine)" ] || fail "DNS lists a neighbour"

# Two wrong passwords leave it one guess, the third locks it, and two were refused unheard. The log
# tells of the same failures again: they count once.
sleep 1.5
attempts=$(ask ip 198.51.100.8 --json | jq .local.failures)
[ "$attempts" = 3 ] || fail "three wrong passwords count $attempts"

# A client with an outdated password tries eight times. It has made one mistake.
for _ in $(seq 8); do imap 198.51.100.10 bob outdated >/dev/null; done
[ "$(action 10)" != refuse ] || fail "a client with an old password is refused"
[ "$(imap 198.51.100.10 bob right)" = "1 1" ] || fail "... and its new one does not let it in"

# An office: two accounts log in, so it is clean; a typo costs it nothing.
imap 198.51.100.11 alice correct >/dev/null
imap 198.51.100.11 bob right >/dev/null
[ "$(ask ip 198.51.100.11 --json | jq .local.clean)" = true ] || fail "two accounts make no clean address"
imap 198.51.100.11 alice typo >/dev/null
[ "$(imap 198.51.100.11 bob right)" = "1 1" ] || fail "an office was refused"

# One guess is left, and a hundred come at once: one reaches the password file. With a challenge, too,
# where nothing tells one guess from another, nor from the second question after a right password.
tried() { # LAST: in the words of either version
    grep -cE "(passwd-file|auth|cram-md5)\\(alice,198\\.51\\.100\\.$1[,)].*Password mismatch" "$log"
}
hundred() { # LAST [BY [cram]]
    local before after result by=${2:-imap}
    "$by" 198.51.100."$1" alice first 1 "${@:3}" >/dev/null
    "$by" 198.51.100."$1" alice second 1 "${@:3}" >/dev/null
    [ "$(action "$1")" = one-strike ] || fail "two wrong passwords by ${*:2} leave $(action "$1")"
    before=$(tried "$1")
    result=$("$by" 198.51.100."$1" alice guess 100 "${@:3}")
    sleep 1
    after=$(tried "$1")
    [ "$result" = "0 100" ] || fail "of a hundred guesses by ${*:2}: let in and answered: $result"
    [ $((after - before)) -eq 1 ] || fail "$((after - before)) of a hundred guesses by ${*:2} were answered"
}
hundred 13 imap
if [ -z "$other" ]; then
    hundred 14 imap cram
    hundred 15 sasl
    [ "$(imap 198.51.100.12 alice correct 1 cram)" = "1 1" ] || fail "by cram a right password is refused"
    [ "$(sasl 198.51.100.12 alice correct)" = "1 1" ] || fail "by sasl a right password is refused"
fi

# Allow-listed at once; taken back at once.
ask allow 198.51.100.8 >/dev/null
[ "$(imap 198.51.100.8 alice correct)" = "1 1" ] || fail "an allow-listed address was refused"
[ -z "$(dns 8.100.51.198.refuse.grapevine)" ] || fail "DNS lists an allow-listed address"

# A login that came over no network is nobody's: allowed, without a line of error in Dovecot's log.
"${server[@]}" doveadm auth test alice correct >/dev/null 2>&1 || fail "a login without an address was refused"
sleep 0.5
grep 'Policy server HTTP error' "$log" && fail "Dovecot complains of the node"

# Nobody else may tell the node of failures.
code=$(curl -s -o /dev/null -w '%{http_code}' -d '{"remote":"198.51.100.9","success":false}' \
    'http://127.0.0.1:4729/dovecot?command=report')
[ "$code" = 403 ] || fail "a report without the key: $code"

[ $failures -eq 0 ] || ask status --json | jq -c .enforcement

# ---- a node that hangs, or is down, lets everybody in ----------------------------------------------
kill -STOP "$node"
began=$SECONDS
[ "$(imap 198.51.100.7 alice correct)" = "1 1" ] || fail "with a node that hangs nobody can log in"
[ $((SECONDS - began)) -le 25 ] || fail "a node that hangs costs a login $((SECONDS - began)) s"
kill -CONT "$node"
kill "$node" && wait "$node"
[ "$(imap 198.51.100.7 alice correct)" = "1 1" ] || fail "with the node down nobody can log in"

[ $failures -eq 0 ] || {
    grep -v "imap-login: Info" "$log" | tail -n 30
    tail -n 5 "$scratch/node.log" "$scratch/python.log"
}
echo "dovecot.sh $version: $failures failed"
[ $failures -eq 0 ]
