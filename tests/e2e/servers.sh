#!/usr/bin/env bash
# Four mail servers, each a real Postfix, a real Dovecot and a real node in a network namespace of
# its own, an attacker in a fifth, and four plain nodes in others: what he does on A and C costs him
# four of five guesses on B; whoever logs in from his address is not touched; a hundred guesses at
# once get one answer; what one server of an admin locks, his others refuse; six reporters make a
# consensus. Needs root; takes Postfix and Dovecot from the system, or unpacked for the test alone.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd "${GV_BIN:-$here/../../build/bin}" && pwd)
# shellcheck source=tests/e2e/machine.sh
. "$here/machine.sh"

if [ "${1:-}" = "" ]; then
    wants jq python3 dig
    scratch=$(mktemp -d /tmp/gv-servers.XXXXXX)
    trap 'rm -rf "$scratch"' EXIT
    chmod 755 "$scratch"
    unpack "$scratch" "/usr/sbin/postfix /usr/sbin/dovecot" postfix dovecot-core dovecot-imapd
    # A pid namespace: whatever was started ends with it; and whatever was mounted or named.
    timeout -k 5 500 unshare --net --mount --pid --fork --kill-child --mount-proc \
        bash "$0" inside "$scratch"
    exit
fi

# ---- one mail server, in its network namespace and a mount namespace of its own ------------------
if [ "$1" = server ]; then
    name=$2 number=$3 scratch=$4
    address=10.$number.0.1
    mount --make-rprivate /
    lay_over "$scratch" "$name-" etc var || exit 77
    mount -t tmpfs tmpfs /run
    add_users 1201 dovecot dovenull postfix postdrop
    # No name is worth waiting for a resolver that is not there.
    printf '127.0.0.1 localhost\n%s %s.test %s\n' "$address" "$name" "$name" >/etc/hosts
    echo 'hosts: files' >/etc/nsswitch.conf
    hostname "$name.test"
    make_postfix "$name.test" "$address, 127.0.0.1" "$scratch/$name/postfix.log"
    cat >>/etc/postfix/main.cf <<'X'
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_tls_security_level = none
smtpd_tls_auth_only = no
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
X
    cat >>/etc/postfix/master.cf <<'X'
smtp inet n - n - - smtpd
submission inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_sasl_auth_enable=yes
X
    postconf -F '*/*/chroot=n'
    postfix start || exit 1

    make_dovecot "$address" "$scratch/$name/dovecot.log" "$scratch/$name/mail"
    cat >>/etc/dovecot/dovecot.conf <<'X'
auth_mechanisms = plain login
auth_failure_delay = 0
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
X
    "$bin/grapevine" --config "$scratch/$name.conf" snippet dovecot >>/etc/dovecot/dovecot.conf || exit 1
    exec dovecot -c /etc/dovecot/dovecot.conf
fi

# ---- the world: nothing of the real one is written to --------------------------------------------
scratch=$2
# shellcheck source=tests/e2e/frame.sh
. "$here/frame.sh"
started=$SECONDS
told() { printf '%3d s  %s\n' $((SECONDS - started)) "$*"; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }
mount --make-rprivate /
mkdir "$scratch/upper"
mount -t tmpfs tmpfs "$scratch/upper"
lay_over "$scratch" "" usr || skip "no overlay file system here"
mount -t tmpfs tmpfs /run
export TZ=UTC

# One switch. Servers and nodes are in networks of their own (10.N.0.0/16), the clients in theirs.
servers=(a b c d)
nodes=(a b c d e f g h)
ip link set lo up
ip link add switch type bridge || skip "no bridges can be made here"
ip addr add 10.255.0.1/8 dev switch
ip link set switch up
plug() { # NAMESPACE
    ip netns add "$1"
    ip link add "to-$1" type veth peer name eth0 netns "$1"
    ip link set "to-$1" master switch up
    ip -n "$1" link set lo up
    ip -n "$1" link set eth0 up
}
number=0
declare -A number_of owner_of node_pid
for node in "${nodes[@]}"; do
    number=$((number + 1))
    number_of[$node]=$number owner_of[$node]=$number
    plug "$node"
    ip -n "$node" addr add 10.$number.0.1/8 dev eth0
    ip -n "$node" route add 198.51.100.0/24 dev eth0
    ip -n "$node" route add 203.0.113.0/24 dev eth0
    ip -n "$node" route add 192.0.2.0/24 dev eth0
done
owner_of[d]=1 # the same admin's as A
plug world
ip -n world route add 10.0.0.0/8 dev eth0
for last in 7 8 9 10 11 12 15; do ip -n world addr add 198.51.100.$last/32 dev eth0; done
ip -n world addr add 203.0.113.50/32 dev eth0
for last in 13 14 16 17 18 19; do ip -n world addr add 192.0.2.$last/32 dev eth0; done

mkdir "$scratch/letters"
: >"$scratch/codes"
"$bin/grapevine-registry" init --data "$scratch/registry" --name servers --lab \
    --listen 10.255.0.1:4728 --mail "file:$scratch/letters" --seed 10.1.0.1:4727 --seed 10.2.0.1:4727 \
    >"$scratch/init.out" || die "no registry"
"$bin/grapevine-registry" serve --config "$scratch/registry/registry.conf" >"$scratch/registry.log" 2>&1 &

ask() { timeout 10 "$bin/grapevine" --config "$scratch/$1.conf" "${@:2}"; }
node_conf() { # NODE ENFORCE [refuse_on]
    local logs=$scratch/$1/mail.log
    [[ ! " ${servers[*]} " == *" $1 "* ]] || logs="$scratch/$1/postfix.log, $scratch/$1/dovecot.log"
    cat >"$scratch/$1.conf" <<X
[node]
user = root
data = $scratch/$1/node
listen = 10.${number_of[$1]}.0.1:4727
advertise = 10.${number_of[$1]}.0.1:4727
[network]
registry = http://10.255.0.1:4728
[share]
mode = yes
[log]
file = $logs
timezone = UTC
[policy]
enforce = $2
refuse_on = ${3:-own}
[http]
listen = 127.0.0.1:4729
[dnsbl]
listen = 127.0.0.1:4753
X
}
answers() { ask "$1" status >/dev/null 2>&1; }
in_network() { ask "$1" network >/dev/null 2>&1; }
letter_to() { grep -lri "^to:.*admin@$1\.test" "$scratch/letters" 2>/dev/null; }
has_letters() { [ "$(letter_to "$1" | wc -l)" -ge "$2" ]; }
start_node() {
    ip netns exec "$1" "$bin/grapevined" --config "$scratch/$1.conf" >>"$scratch/$1.log" 2>&1 &
    node_pid[$1]=$!
}
code_for() { # OWNER: the newest, which nobody has used yet
    letter_to "$1" | while read -r letter; do
        sed -n 's/.*grapevine confirm \([^ ]*\).*/\1/p' "$letter" | tr -d '\r' | head -n 1
    done | while read -r code; do
        grep -qx "$code" "$scratch/codes" || { echo "$code" | tee -a "$scratch/codes" && break; }
    done
}
enrol() { # NODE
    local owner=owner${owner_of[$1]} before
    before=$(letter_to "$owner" | wc -l)
    wait_for 20 "node $1" answers "$1"
    wait_for 20 "the descriptor on $1" in_network "$1"
    ask "$1" enroll --email "admin@$owner.test" --accept-terms >/dev/null 2>&1 || die "enroll $1"
    wait_for 20 "the letter for $1" has_letters "$owner" $((before + 1))
    ask "$1" confirm "$(code_for "$owner")" >/dev/null 2>&1 || die "confirm $1"
}
field() { ask "$1" ip "$2" --json | jq -r ".$3"; }
verdict_is() { [ "$(field "$1" "$2" verdict)" = "$3" ]; }
action_is() { [ "$(field "$1" "$2" action)" = "$3" ]; }
has_peers() { [ "$(ask "$1" status --json | jq .mesh.peers)" -ge 4 ]; }
dns() { ip netns exec "$1" dig +short +time=2 +tries=1 @127.0.0.1 -p 4753 "${@:2}"; }
reversed() { echo "$1" | awk -F. '{ print $4 "." $3 "." $2 "." $1 }'; }

for node in "${nodes[@]}"; do
    mkdir -p "$scratch/$node"
    touch "$scratch/$node/mail.log" "$scratch/$node/postfix.log" "$scratch/$node/dovecot.log"
    node_conf "$node" "dovecot, dnsbl"
    start_node "$node"
done
for node in "${nodes[@]}"; do enrol "$node"; done
told "eight nodes of seven owners"
for server in "${servers[@]}"; do
    ip netns exec "$server" unshare --mount --uts bash "$0" server "$server" "${number_of[$server]}" "$scratch" \
        >"$scratch/$server.start" 2>&1
    case $? in
    0) ;;
    77) skip "no overlay file system here" ;;
    *) cat "$scratch/$server.start" && die "no mail server $server" ;;
    esac
done
for node in "${nodes[@]}"; do wait_for 20 "the peers of $node" has_peers "$node"; done
told "four mail servers"

cat >"$scratch/client.py" <<'P'
"""client.py imap|smtp SERVER FROM ACCOUNT PASSWORD...: tries the passwords one after the other on one
connection; prints a word each: in, no (wrong), refused, or gone.
client.py many SERVER FROM ACCOUNT COUNT: so many other passwords, each on a connection of its own, all
at once, half of them by IMAP; prints how many were let in, how many were answered."""
import base64
import socket
import sys
import threading

PORTS = {"imap": 143, "smtp": 587}


class Client:
    def __init__(self, protocol, server, source):
        self.protocol, self.count = protocol, 0
        self.line = socket.create_connection((server, PORTS[protocol]), 20, (source, 0))
        self.stream = self.line.makefile("rb")
        self.stream.readline()
        if protocol == "smtp":
            self.say("EHLO client.test")
            while self.stream.readline()[3:4] == b"-":
                pass

    def say(self, text):
        self.line.sendall(text.encode() + b"\r\n")

    def login(self, account, password):
        self.count += 1
        if self.protocol == "imap":
            self.say(f"a{self.count} LOGIN {account} {password}")
            good = b"a%d OK" % self.count
        else:
            secret = base64.b64encode(f"\0{account}\0{password}".encode()).decode()
            self.say("AUTH PLAIN " + secret)
            good = b"235"
        while reply := self.stream.readline():
            if self.protocol == "imap" and not reply.startswith(b"a"):
                continue
            if reply.startswith(good):
                return "in"
            return "refused" if b"grapevine" in reply else "no"
        return "gone"


def many(server, source, account, count):
    words, gate = [], threading.Barrier(count)

    def one(number):
        client = Client("imap" if number % 2 else "smtp", server, source)
        gate.wait()
        words.append(client.login(account, f"guess{number}"))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(words.count("in"), len(words) - words.count("gone"))


if sys.argv[1] == "many":
    many(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
else:
    one = Client(sys.argv[1], sys.argv[2], sys.argv[3])
    print(*[one.login(sys.argv[4], password) for password in sys.argv[5:]])
P
client() { # imap|smtp|many SERVER FROM ...
    timeout 60 ip netns exec world python3 "$scratch/client.py" "$1" "10.${number_of[$2]}.0.1" "${@:3}" \
        2>>"$scratch/python.log"
}
lets_in() { [ "$(client "$1" "$2" 198.51.100.15 alice correct)" = in ]; }
for server in "${servers[@]}"; do
    wait_for 20 "Dovecot on $server" lets_in imap "$server"
    wait_for 20 "Postfix on $server" lets_in smtp "$server"
done
expect() { # WHAT WANTED GOT
    [ "$2" = "$3" ] || fail "$1: $3, and not $2"
}
fails_at() { # NODE ADDRESS: words of Dovecot's in the log of a plain node
    local i
    for i in 1 2 3; do
        printf '%s mail dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u%s>, method=PLAIN, rip=%s, lip=192.0.2.1, session=<a%s>\n' \
            "$(date -u +%Y-%m-%dT%H:%M:%S)+00:00" "$i" "$2" "$i$RANDOM"
    done >>"$scratch/$1/mail.log"
}
attack() { # SERVER FROM: three guesses, by IMAP or by SMTP
    local protocol=imap
    [ "$1" = c ] && protocol=smtp
    client $protocol "$1" "$2" alice wrong1 wrong2 wrong3 >/dev/null
}

# ---- a user of B's, for two weeks, behind the address that the attacker will have ---------------
shared=203.0.113.50
for days in 14 11 8 5 2 1; do
    printf '%s b dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=%s, lip=10.2.0.1, mpid=1, session=<p%s>\n' \
        "$(date -u -d "$days days ago" +%Y-%m-%dT%H:%M:%S)+00:00" $shared "$days"
done >"$scratch/old.log"
ask b import "$scratch/old.log" >/dev/null || fail "the old log is not read"
clean_at_b() { [ "$(field b $shared local.clean)" = true ]; }
wait_for 20 "clean history" clean_at_b

# ---- he attacks A and C -------------------------------------------------------------------------
attacks() { # FROM...: A and C, all at once
    local from attackers=()
    for from in "$@"; do
        attack a "$from" &
        attackers+=($!)
        attack c "$from" &
        attackers+=($!)
    done
    wait "${attackers[@]}"
}
attacks 198.51.100.7 198.51.100.8 198.51.100.9 $shared
for from in 198.51.100.7 198.51.100.8 198.51.100.9 $shared; do
    wait_for 20 "the verdict on $from" verdict_is b "$from" untrusted
done
told "B calls untrusted who attacked A and C; nothing of that happened on B"
expect "B about an attacker" one-strike "$(field b 198.51.100.7 action)"

# One guess: the second is refused, although it is right. A stranger has five on one connection.
expect "an attacker's two guesses at B, by IMAP" "no refused" \
    "$(client imap b 198.51.100.7 alice wrong1 correct)"
expect "a stranger's five guesses at B, by IMAP" "no no no no in" \
    "$(client imap b 198.51.100.10 alice wrong1 wrong2 wrong3 wrong4 correct)"
expect "by SMTP he has none left" "refused" "$(client smtp b 198.51.100.7 alice correct)"
expect "a right password at first contact, by SMTP" "in" "$(client smtp b 198.51.100.8 alice correct)"
told "an attacker has one guess at B, a stranger five; a right one at first contact gets in"

# Whoever logs in there from the attacker's address is not touched, not even while he guesses.
expect "guesses from a shared address" "no no no" "$(client imap b $shared bob wrong1 wrong2 wrong3)"
expect "the user behind it, by IMAP" "in" "$(client imap b $shared alice correct)"
expect "the user behind it, by SMTP" "in" "$(client smtp b $shared alice correct)"
expect "B about it" allow "$(field b $shared action)"
[ -z "$(dns b "$(reversed $shared).untrusted.grapevine")" ] || fail "DNS lists the user's address"
told "a user of B who shares the attacker's address is not touched"

# A hundred guesses at once, half by IMAP and half by SMTP: one reaches the password file.
mismatches() { grep -c "passwd-file(alice,198.51.100.9.*Password mismatch" "$scratch/b/dovecot.log"; }
expect "a hundred guesses at once: let in, answered" "0 100" "$(client many b 198.51.100.9 alice 100)"
sleep 0.5
expect "of a hundred guesses at once those that were tried" 1 "$(mismatches)"
told "a hundred guesses at once get one answer"

# ---- from the verdict to a surface --------------------------------------------------------------
listed() { [ "$(dns b "$(reversed "$1").$2.grapevine")" = "$3" ]; }
attack a 198.51.100.11
attack c 198.51.100.11
wait_for 20 "the verdict" verdict_is b 198.51.100.11 untrusted
before=$(now_ms)
wait_for 5 "DNS" listed 198.51.100.11 untrusted 127.0.0.2
took=$(($(now_ms) - before))
[ $took -lt 1000 ] || fail "DNS lists a new verdict only after $took ms"
told "a new verdict is in DNS $took ms after \`grapevine ip\` shows it"

# ---- one admin, several servers: D is of A's owner, E trusts him and he trusts E ------------------
owner=$(ask a trust --json | jq -r .own.owner)
ask e trust "$owner" >/dev/null || fail "E cannot trust the owner of A"
# Without this A would tell E of public signals alone: what one owner has seen is not for everybody.
ask a trust "$(ask e trust --json | jq -r .own.owner)" >/dev/null || fail "A cannot trust the owner of E"
expect "E trusts" "$owner" "$(ask e trust --json | jq -r '.trusted[0].owner')"
kill "${node_pid[e]}" && wait "${node_pid[e]}"
start_node e
wait_for 20 "E again" answers e
expect "E trusts, after a restart" "$owner" "$(ask e trust --json | jq -r '.trusted[0].owner')"
follows() { [ "$(ask "$1" status --json | jq .mesh.own_hosts)" -ge "$2" ]; }
wait_for 20 "E to meet the owner's nodes" follows e 2
client imap a 198.51.100.12 alice wrong1 wrong2 wrong3 wrong4 wrong5 >/dev/null
before=$(now_ms)
expect "A about who failed there" refuse "$(field a 198.51.100.12 action)"
wait_for 10 "D to refuse whom A has locked" action_is d 198.51.100.12 refuse
wait_for 10 "E to refuse whom A has locked" action_is e 198.51.100.12 refuse
took=$(($(now_ms) - before))
[ $took -lt 2000 ] || fail "what A locks the others refuse only after $took ms"
# What they say is what is done: the right password of somebody who never failed there.
expect "D's Dovecot about whom A has locked" refused "$(client imap d 198.51.100.12 alice correct)"
expect "D's Postfix about whom A has locked" refused "$(client smtp d 198.51.100.12 alice correct)"
expect "B, of another owner" allow "$(field b 198.51.100.12 action)"
expect "F, of another owner" allow "$(field f 198.51.100.12 action)"
listed_at_d() { [ "$(dns d 12.100.51.198.refuse.grapevine)" = 127.0.0.3 ]; }
wait_for 2 "DNS on D" listed_at_d
[ "$(ask d list --json | jq '[.subjects[] | select(.subject == "198.51.100.12")] | length')" = 1 ] ||
    fail "D does not list whom A has locked"
ask e untrust "$owner" >/dev/null || fail "E cannot take its trust back"
expect "E, once it does not trust him" allow "$(field e 198.51.100.12 action)"
told "what A locks D and E refuse $took ms later, D at its ports, B and F do not"

# ---- refuse_on = consensus: six owners in six networks; nobody has logged in from this network ----
node_conf b "dovecot, dnsbl" consensus
ask b reload >/dev/null || fail "the configuration is not taken"
weighs() { [ "$(field "$1" "$2" weight)" -ge "$3" ]; }
# Of eight nodes seven keep what is said of an address (SPEC 9.10); the eighth hears of more reporters
# than make it untrusted only two minutes later. B is to be among the seven: it is where it knows what
# only A has said.
for six in 13 16 17 18 19; do
    six=192.0.2.$six
    attack a "$six"
    comes_true 5 verdict_is b "$six" reported && break
done
attack c "$six"
attacks 192.0.2.14
for node in e f g h; do fails_at $node "$six"; done
# Five are enough: the last one need not travel. On a machine so slow that A told its stand-ins, too, B may
# be the eighth all the same, and then it is those two minutes.
wait_for 90 "six reporters" weighs b "$six" 5000
wait_for 20 "two reporters" weighs b 192.0.2.14 2000
expect "whom six report, with the right password" "refused" \
    "$(client imap b "$six" alice correct)"
expect "whom two report, with the right password" "in" "$(client imap b 192.0.2.14 alice correct)"
expect "a user of B, under consensus" "in" "$(client imap b $shared alice correct)"
told "refuse_on = consensus refuses at first contact whom six owners report, not whom two do"

# ---- a node that is down refuses nobody ----------------------------------------------------------
kill "${node_pid[b]}" && wait "${node_pid[b]}"
expect "with the node down" "in" "$(client imap b 198.51.100.7 alice correct)"
expect "with the node down, by SMTP" "in" "$(client smtp b "$six" alice correct)"
told "with its node down B lets everybody in who has a password"

[ $failures -eq 0 ] || tail -n 5 "$scratch"/*.log "$scratch"/b/*.log "$scratch/python.log"
echo "servers.sh: $failures failed ($((SECONDS - started)) s)"
[ $failures -eq 0 ]
