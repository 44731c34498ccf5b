#!/usr/bin/env bash
# The DNS lists, asked by those they are made for: a real Postfix (postscreen, and reject_rbl_client in
# the submission service), a real Exim and a real rspamd, through a real unbound, set up with what
# `grapevine snippet` prints. Three real nodes: who failed on two of them is untrusted on the first, who was
# locked there is refused. Needs root; takes the programs from the system, or unpacked for the test alone.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
GV_BIN=$(cd "${GV_BIN:-$here/../../build/bin}" && pwd)
export GV_BIN
# shellcheck source=tests/e2e/machine.sh
. "$here/machine.sh"

if [ "${1:-}" != inside ]; then
    wants jq python3 curl dig
    folder=$(mktemp -d /tmp/gv-dnsbl.XXXXXX)
    trap 'rm -rf "$folder"' EXIT
    chmod 755 "$folder"
    mkdir "$folder/upper"
    unpack "$folder" "/usr/sbin/postfix /usr/sbin/exim4 /usr/bin/rspamd /usr/sbin/unbound" \
        postfix exim4-daemon-light exim4-base libidn12 libunbound8 libgnutls-dane0 rspamd \
        libhyperscan5 libluajit-5.1-2 libluajit-5.1-common unbound libevent-2.1-7 libprotobuf-c1 \
        libpython3.11 libhiredis0.14
    timeout -k 5 240 unshare --net --mount --uts --pid --fork --kill-child --mount-proc \
        bash "$0" inside "$folder"
    exit
fi

# ---- the machine: nothing of the real one is written to -------------------------------------------
folder=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder/upper"
lay_over "$folder" "" usr etc var || skip "no overlay file system here"
mount -t tmpfs tmpfs /run
mkdir -p /run/rspamd /var/lib/rspamd /var/log/rspamd
add_users 1301 postfix postdrop Debian-exim
printf '127.0.0.1 localhost mx.test\n' >/etc/hosts
echo 'hosts: files dns' >/etc/nsswitch.conf
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
hostname mx.test
ldconfig
ip link set lo up
ip netns add clients
ip link add server type veth peer name client netns clients
ip addr add 198.51.100.25/24 dev server
ip link set server up
for last in 7 8 9; do ip -n clients addr add 198.51.100.$last/24 dev client; done
ip -n clients link set client up

# ---- three nodes; the first serves DNS ------------------------------------------------------------
export TZ=UTC
# shellcheck source=tests/e2e/common.sh
. "$here/common.sh"
more_conf() {
    [ "$1" != 1 ] || printf '[policy]\nenforce = dnsbl\n[dnsbl]\nlisten = 127.0.0.1:4753\n'
}
find_port 14700
make_registry dnsbl
start_registry
start_mesh
started=$SECONDS
told() { printf '%3d s  %s\n' $((SECONDS - started)) "$*"; }

cat >"$scratch/unbound.conf" <<X
server:
    interface: 127.0.0.1
    do-daemonize: no
    chroot: ""
    username: ""
    use-syslog: no
    module-config: "iterator"
    pidfile: "$scratch/unbound.pid"
remote-control:
    control-enable: no
X
ask 1 snippet unbound >>"$scratch/unbound.conf" || die "no snippet for unbound"
/usr/sbin/unbound -c "$scratch/unbound.conf" >"$scratch/unbound.log" 2>&1 &
pids+=($!)

make_postfix mx.test 198.51.100.25 "$scratch/postfix.log"
cat >>/etc/postfix/main.cf <<'X'
local_recipient_maps =
postscreen_cache_map =
postscreen_greet_wait = 1s
postscreen_dnsbl_action = enforce
X
ask 1 snippet postfix >"$scratch/snippet" || die "no snippet for Postfix"
sed -n 's/^#\(postscreen_dnsbl_sites.*\)/\1/p' "$scratch/snippet" >>/etc/postfix/main.cf
{
    echo 'smtp inet n - n - 1 postscreen'
    echo 'smtpd pass - - n - - smtpd'
    echo 'dnsblog unix - - n - 0 dnsblog'
    echo 'tlsproxy unix - - n - 0 tlsproxy'
    sed -n '/^submission/,/^  /p' "$scratch/snippet"
} >>/etc/postfix/master.cf
chmod 755 "$scratch"
postconf -F '*/*/chroot=n' 2>/dev/null
postfix start >"$scratch/postfix.start" 2>&1 || die "Postfix does not start: $(cat "$scratch/postfix.start")"

ask 1 snippet exim >"$scratch/snippet" || die "no snippet for Exim"
mkdir -p /etc/exim4 /var/spool/exim4 /var/log/exim4
chown Debian-exim:Debian-exim /var/spool/exim4 /var/log/exim4
{
    echo 'primary_hostname = mx.test'
    echo 'daemon_smtp_ports = 2587'
    echo 'local_interfaces = 198.51.100.25'
    echo 'tls_advertise_hosts ='
    sed '/^# behind/,$d' "$scratch/snippet"
    echo 'begin acl'
    sed '1,/^# behind/d' "$scratch/snippet"
    echo 'begin authenticators'
    echo 'plain:'
    echo '  driver = plaintext'
    echo '  public_name = PLAIN'
    echo '  server_prompts = :'
    # shellcheck disable=SC2016 # Exim's words
    echo '  server_condition = ${if eq{$auth3}{right}}'
} >/etc/exim4/exim4.conf
/usr/sbin/exim4 -bdf >"$scratch/exim.log" 2>&1 &
pids+=($!)

ask 1 snippet rspamd >"$scratch/rbl.conf" || die "no snippet for rspamd"
# The module alone: what else rspamd looks at takes it ten seconds to read, and a network.
echo test >"$scratch/suffixes"
cat >"$scratch/rspamd.conf" <<X
options {
    filters = "";
    disable_hyperscan = true;
    url_tld = "$scratch/suffixes";
    tempdir = "$scratch";
}
lang_detection { languages = []; }
logging { type = "console"; level = "info"; }
worker "normal" { bind_socket = "127.0.0.1:11333"; count = 1; }
modules { path = "/usr/share/rspamd/plugins/rbl.lua"; }
rbl { .include "$scratch/rbl.conf" }
X
rspamd -f -i -c "$scratch/rspamd.conf" >"$scratch/rspamd.log" 2>&1 &
pids+=($!)

# ---- who is listed --------------------------------------------------------------------------------
six=2001:db8:0:7::7
for n in 2 3; do
    fails_at $n 198.51.100.7
    fails_at $n $six
done
fails_at 1 198.51.100.9
fails_at 1 198.51.100.9
action_is() { [ "$(ask 1 ip --json "$1" | jq -r .action)" = "$2" ]; }
wait_for 20 "the verdict" verdict_is 1 198.51.100.7 untrusted
wait_for 20 "the verdict on an IPv6 network" verdict_is 1 $six untrusted
wait_for 20 "the lock" action_is 198.51.100.9 refuse
told "one address is untrusted, one is refused"

# ---- Postfix ---------------------------------------------------------------------------------------
cat >"$scratch/smtp.py" <<'P'
"""smtp.py FROM PORT [PASSWORD]: speaks SMTP up to a recipient, or to a login with the password, and prints
what the server says of that."""
import base64
import socket
import sys

with socket.create_connection(("198.51.100.25", int(sys.argv[2])), 20, (sys.argv[1], 0)) as line:
    stream = line.makefile("rb")

    def answer():
        text = ""
        while (reply := stream.readline().decode())[3:4] == "-":
            text += reply[4:].strip() + " "
        return reply[:4] + text + reply[4:].strip()

    answer()
    commands = ["EHLO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<b@mx.test>"]
    if len(sys.argv) > 3:
        commands[1:] = ["AUTH PLAIN " + base64.b64encode(f"\0bob\0{sys.argv[3]}".encode()).decode()]
    for command in commands:
        line.sendall(command.encode() + b"\r\n")
        said = answer()
    print(said)
P
smtp() { timeout 40 ip netns exec clients python3 "$scratch/smtp.py" "$@" 2>>"$scratch/python.log"; }
says() { # FROM PORT PATTERN [PASSWORD]
    said=$(smtp "$1" "$2" "${@:4}")
    [[ $said =~ $3 ]]
}
# postscreen waits a second for DNS, and lets everybody in whom it heard nothing of by then.
resolves() { [ "$(dig +short +time=2 +tries=1 7.100.51.198.untrusted.grapevine)" = 127.0.0.2 ]; }
wait_for 20 "unbound" resolves
until_true 20 "Postfix" says 198.51.100.8 587 '^(250|554 5.7.1.*Relay|454)' || echo "$said"
until_true 1 "postscreen to turn away who is untrusted" \
    says 198.51.100.7 25 '^550 5.7.1 .*\[198.51.100.7\] blocked using untrusted.grapevine' || echo "$said"
says 198.51.100.8 25 '^(250|4)' || fail "postscreen says to who is not listed: $said"
says 198.51.100.9 587 '^554 5.7.1 .*\[198.51.100.9\] blocked using refuse.grapevine; .*locked this address' ||
    fail "the submission service says to who is refused: $said"
says 198.51.100.7 587 '^250' || fail "the submission service says to who is untrusted alone: $said"
says 198.51.100.9 25 '^(250|4)' || fail "port 25 says to who is refused: $said"
told "Postfix: postscreen turns away whom untrusted.grapevine lists, submission whom refuse.grapevine does"

# ---- Exim: before it looks at a password ---------------------------------------------------------------
until_true 20 "Exim" says 198.51.100.8 2587 '^235' right || echo "$said"
says 198.51.100.9 2587 '^535 5.7.8 Refused by grapevine: .*locked this address' right ||
    fail "Exim says to who is refused, with the right password: $said"
says 198.51.100.7 2587 '^235' right || fail "Exim says to who is untrusted alone: $said"
says 198.51.100.8 2587 '^535' wrong || fail "Exim says of a wrong password: $said"
told "Exim: it refuses the logins of whom refuse.grapevine lists"

# ---- rspamd ----------------------------------------------------------------------------------------
mail='From: a@client.test
To: b@mx.test
Subject: test
Message-Id: <1@client.test>
Date: Sun, 22 Nov 2026 12:00:00 +0000

Hello.'
symbols() { # IP: what rspamd finds in a mail that came from there
    curl -s --max-time 20 -H "IP: $1" -H "From: a@client.test" -H "Rcpt: b@mx.test" -H "Helo: client.test" \
        --data-binary "$mail" http://127.0.0.1:11333/checkv2 | jq -r '.symbols | keys[]' 2>/dev/null
}
finds() { symbols "$1" | grep -qx GRAPEVINE_UNTRUSTED; }
until_true 20 "rspamd to find out who is untrusted" finds 198.51.100.7
finds $six || fail "rspamd does not see that $six is untrusted"
for from in 198.51.100.8 2001:db8:0:8::7; do
    symbols "$from" | grep -q GRAPEVINE && fail "rspamd takes $from for untrusted"
done
told "rspamd: its rbl module finds who is untrusted, IPv4 and IPv6"

postfix stop >/dev/null 2>&1
[ "$failures" -eq 0 ] || tail -n 20 "$scratch"/{postfix,exim,rspamd,unbound,node1,python}.log
echo "dnsbl.sh: $failures failed ($((SECONDS - started)) s)"
[ "$failures" -eq 0 ]
