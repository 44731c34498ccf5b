#!/usr/bin/env bash
# The DNS lists, asked by those they are made for: a real Postfix (postscreen, and reject_rbl_client in
# the submission service) and a real rspamd, through a real unbound, set up with what `grapevine
# snippet` prints. Three real nodes: who failed on two of them is untrusted on the first, who was
# locked there is refused. Needs root; takes the programs from the system, or unpacked for the test alone.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
GV_BIN=$(cd "${GV_BIN:-$here/../../build/bin}" && pwd)
export GV_BIN
skip() {
    echo "dnsbl.sh: SKIPPED: $*"
    exit 77
}

if [ "${1:-}" != inside ]; then
    [ "$(id -u)" -eq 0 ] || skip "needs root, for namespaces"
    for program in jq python3 curl ip unshare; do
        command -v $program >/dev/null || skip "$program is not installed (tests/packages.sh test)"
    done
    folder=$(mktemp -d /tmp/gv-dnsbl.XXXXXX)
    trap 'rm -rf "$folder"' EXIT
    chmod 755 "$folder"
    mkdir "$folder/package" "$folder/upper"
    if [ ! -x /usr/sbin/postfix ] || [ ! -x /usr/bin/rspamd ] || [ ! -x /usr/sbin/unbound ]; then
        (cd "$folder" && timeout 90 apt-get download postfix rspamd libhyperscan5 libluajit-5.1-2 \
            libluajit-5.1-common unbound libevent-2.1-7 libprotobuf-c1 libpython3.11 libhiredis0.14 \
            >/dev/null 2>&1 && for package in *.deb; do dpkg-deb -x "$package" package; done) ||
            skip "Postfix, rspamd and unbound are neither installed nor to be had"
    fi
    unshare --net --mount --pid --fork --kill-child true 2>/dev/null ||
        skip "no namespaces can be made here"
    timeout -k 5 240 unshare --net --mount --uts --pid --fork --kill-child --mount-proc \
        bash "$0" inside "$folder"
    exit
fi

# ---- the machine: nothing of the real one is written to -------------------------------------------
folder=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder/upper"
for part in usr etc var; do
    mkdir -p "$folder/upper/$part" "$folder/upper/$part.work" "$folder/package/$part"
    mount -t overlay overlay -o "lowerdir=$folder/package/$part:/$part,upperdir=$folder/upper/$part,workdir=$folder/upper/$part.work" /$part ||
        skip "no overlay file system here"
done
mount -t tmpfs tmpfs /run
mkdir -p /etc/postfix /var/spool/postfix /var/lib/postfix /run/rspamd /var/lib/rspamd /var/log/rspamd
id=1300
for user in postfix postdrop; do
    id=$((id + 1))
    getent group $user >/dev/null || echo "$user:x:$id:" >>/etc/group
    getent passwd $user >/dev/null || echo "$user:x:$id:$id::/nonexistent:/bin/false" >>/etc/passwd
done
chown postfix /var/lib/postfix
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

cat >/etc/postfix/main.cf <<X
compatibility_level = 3.6
myhostname = mx.test
mydestination = mx.test
mynetworks = 127.0.0.0/8
inet_interfaces = 198.51.100.25
inet_protocols = ipv4
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
data_directory = /var/lib/postfix
queue_directory = /var/spool/postfix
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
setgid_group = postdrop
maillog_file = $scratch/postfix.log
maillog_file_prefixes = $scratch
local_recipient_maps =
alias_maps =
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
postscreen_cache_map =
postscreen_greet_wait = 1s
postscreen_dnsbl_action = enforce
X
ask 1 snippet postfix >"$scratch/snippet" || die "no snippet for Postfix"
sed -n 's/^#\(postscreen_dnsbl_sites.*\)/\1/p' "$scratch/snippet" >>/etc/postfix/main.cf
master=/etc/postfix/master.cf
[ -s $master ] || cp /usr/share/postfix/master.cf.dist $master
sed -i '/^smtp *inet/d; /^submission/d' $master
grep -q '^postlog' $master || echo 'postlog unix-dgram n - n - 1 postlogd' >>$master
{
    echo 'smtp inet n - n - 1 postscreen'
    echo 'smtpd pass - - n - - smtpd'
    echo 'dnsblog unix - - n - 0 dnsblog'
    echo 'tlsproxy unix - - n - 0 tlsproxy'
    sed -n '/^submission/,/^  /p' "$scratch/snippet"
} >>$master
chmod 755 "$scratch"
postconf -F '*/*/chroot=n' 2>/dev/null
postfix start >"$scratch/postfix.start" 2>&1 || die "Postfix does not start: $(cat "$scratch/postfix.start")"

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
"""smtp.py FROM PORT: speaks SMTP up to a recipient, and prints what the server says of that."""
import socket
import sys

with socket.create_connection(("198.51.100.25", int(sys.argv[2])), 20, (sys.argv[1], 0)) as line:
    stream = line.makefile("rb")

    def answer():
        while (reply := stream.readline())[3:4] == b"-":
            pass
        return reply.decode().strip()

    answer()
    for command in "EHLO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<b@mx.test>":
        line.sendall(command.encode() + b"\r\n")
        said = answer()
    print(said)
P
smtp() { timeout 40 ip netns exec clients python3 "$scratch/smtp.py" "$@" 2>>"$scratch/python.log"; }
says() { # FROM PORT PATTERN
    said=$(smtp "$1" "$2")
    [[ $said =~ $3 ]]
}
until_true 20 "Postfix" says 198.51.100.8 587 '^(250|554 5.7.1.*Relay|454)' || echo "$said"
says 198.51.100.7 25 '^550 5.7.1 .*\[198.51.100.7\] blocked using untrusted.grapevine' ||
    fail "postscreen says to who is untrusted: $said"
says 198.51.100.8 25 '^(250|4)' || fail "postscreen says to who is not listed: $said"
says 198.51.100.9 587 '^554 5.7.1 .*\[198.51.100.9\] blocked using refuse.grapevine; .*locked this address' ||
    fail "the submission service says to who is refused: $said"
says 198.51.100.7 587 '^250' || fail "the submission service says to who is untrusted alone: $said"
says 198.51.100.9 25 '^(250|4)' || fail "port 25 says to who is refused: $said"
told "Postfix: postscreen turns away whom untrusted.grapevine lists, submission whom refuse.grapevine does"

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
[ "$failures" -eq 0 ] || tail -n 20 "$scratch"/{postfix,rspamd,unbound,node1,python}.log
echo "dnsbl.sh: $failures failed ($((SECONDS - started)) s)"
[ "$failures" -eq 0 ]
