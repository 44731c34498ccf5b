#!/usr/bin/env bash
# A real Postfix in namespaces of its own: mail comes, goes, bounces, is deferred, expires, is held,
# discarded, forwarded, rejected, requeued, and passes a content filter with and without XFORWARD.
# Its log is counted by us and by pflogsumm, in both time formats; where pflogsumm is known to count
# otherwise (SPEC 10.7) by exactly as much. Needs root; takes Postfix from the system or, because
# mail servers exclude each other as packages, unpacked from its package for the test alone.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd "${GV_BIN:-$here/../../build/bin}" && pwd)
skip() {
    echo "postfix_flow.sh: SKIPPED: $*"
    exit 77
}

if [ "${1:-}" != inside ]; then
    [ "$(id -u)" -eq 0 ] || skip "needs root, for namespaces"
    for program in pflogsumm jq python3 ip unshare; do
        command -v $program >/dev/null || skip "$program is not installed (tests/packages.sh test)"
    done
    scratch=$(mktemp -d /tmp/gv-postfix.XXXXXX)
    trap 'rm -rf "$scratch"' EXIT
    mkdir "$scratch/package"
    if [ ! -x /usr/sbin/postfix ]; then
        (cd "$scratch" && timeout 60 apt-get download postfix >/dev/null 2>&1 &&
            dpkg-deb -x postfix_*.deb package) || skip "Postfix is neither installed nor to be had"
    fi
    # A pid namespace: whatever was started ends with it.
    timeout 240 unshare --net --mount --pid --fork --kill-child --mount-proc \
        bash "$0" inside "$scratch"
    exit
fi

# ---- the machine: nothing of the real one is written to -------------------------------------------
scratch=$2
mount --make-rprivate /
mkdir "$scratch/upper"
mount -t tmpfs tmpfs "$scratch/upper"
for part in usr etc var; do
    mkdir -p "$scratch/upper/$part" "$scratch/upper/$part.work" "$scratch/package/$part"
    mount -t overlay overlay -o "lowerdir=$scratch/package/$part:/$part,upperdir=$scratch/upper/$part,workdir=$scratch/upper/$part.work" /$part ||
        skip "no overlay file system here"
done
for user in postfix:1106:1106 alice:1107:1107; do
    IFS=: read -r name uid gid <<<"$user"
    getent passwd "$name" >/dev/null || echo "$name:x:$uid:$gid::/nonexistent:/bin/false" >>/etc/passwd
    getent group "$name" >/dev/null || echo "$name:x:$gid:" >>/etc/group
done
getent group postdrop >/dev/null || echo 'postdrop:x:1108:' >>/etc/group
ip link set lo up
for address in 198.51.100.7 198.51.100.66 203.0.113.9 192.0.2.25; do
    ip addr add $address/32 dev lo
done
printf '127.0.0.1 localhost\n192.0.2.25 mx.test\n' >/etc/hosts
log=/var/log/flow.log

C=/etc/postfix
mkdir -p $C /var/spool/postfix /var/lib/postfix /var/mail/virtual
chown 1107:1107 /var/mail/virtual
cp /usr/share/postfix/master.cf.dist $C/master.cf 2>/dev/null || cp "$scratch"/package/usr/share/postfix/master.cf.dist $C/master.cf
sed -i -E '/^[a-z]/s/^(\S+\s+\S+\s+\S+\s+\S+\s+)y/\1n/; s/^(smtp\s+inet.*)/#\1/; s/^#(postlog )/\1/' $C/master.cf
grep -q '^postlog' $C/master.cf || echo 'postlog unix-dgram n - n - 1 postlogd' >>$C/master.cf
cat >>$C/master.cf <<X
25    inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
2525  inet n - n - - smtpd
  -o smtpd_client_port_logging=yes
2626  inet n - n - - smtpd
  -o content_filter=scan:[127.0.0.1]:10024
2627  inet n - n - - smtpd
  -o content_filter=forward:[127.0.0.1]:10026
127.0.0.1:10025 inet n - n - - smtpd
  -o content_filter=
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
scan    unix - - n - 5 smtp
  -o syslog_name=postfix/scan
forward unix - - n - 5 lmtp
  -o lmtp_send_xforward_command=yes
X
cat >$C/main.cf <<X
compatibility_level = 3.6
myhostname = mx.test
mydestination = mx.test, localhost
mynetworks = 127.0.0.0/8 198.51.100.0/24
inet_interfaces = all
inet_protocols = ipv4
maillog_file = $log
enable_long_queue_ids = \${LONG}
alias_maps = regexp:$C/aliases
local_recipient_maps =
local_transport = local
virtual_mailbox_domains = virtual.test
virtual_mailbox_base = /var/mail/virtual
virtual_mailbox_maps = regexp:$C/virtual
virtual_uid_maps = static:1107
virtual_gid_maps = static:1107
transport_maps = regexp:$C/transport
header_checks = regexp:$C/header_checks
smtpd_recipient_restrictions = check_recipient_access regexp:$C/recipients, warn_if_reject reject_unlisted_recipient, permit_mynetworks, reject
smtpd_helo_required = yes
smtpd_data_restrictions = reject_unauth_pipelining
unknown_virtual_mailbox_reject_code = 550
postscreen_access_list = cidr:$C/screen
postscreen_blacklist_action = enforce
postscreen_greet_wait = 1s
postscreen_cache_map =
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 300s
notify_classes =
delay_warning_time = 0
X
printf '198.51.100.66 reject\n' >$C/screen
printf '/^postmaster@/ alice\n/^alias(@.*)?$/ ok@remote.test, alice\n' >$C/aliases
printf '/^v@virtual.test$/ v/\n' >$C/virtual
printf '/@remote.test$/ smtp:[203.0.113.9]:2500\n/@eat.test$/ discard:\n' >$C/transport
printf '/^Subject: hold/ HOLD\n/^Subject: discard/ DISCARD\n/^Subject: reject/ REJECT no\n/^Subject: warn/ WARN\n' >$C/header_checks
printf '/^held@/ HOLD\n/^lost@/ DISCARD\n/^no@/ REJECT\n' >$C/recipients
# Half of the runs with long queue ids; both forms must do.
long=yes
[ $(($(date +%s) % 2)) -eq 0 ] || long=no
sed -i "s/\${LONG}/${FLOW_LONG_IDS:-$long}/" $C/main.cf
postfix set-permissions >/dev/null 2>&1
newaliases 2>/dev/null
postfix start >"$scratch/start" 2>&1 || {
    cat "$scratch/start" $log 2>/dev/null
    skip "Postfix does not start"
}

python3 "$here/postfix_flow.py" "$scratch/truth.json" 2>"$scratch/told" || {
    echo "FAILED: the mail could not be sent"
    cat "$scratch/told"
    tail -40 $log
    exit 1
}
postfix stop >/dev/null 2>&1
[ -z "${KEEP_LOG:-}" ] || cp $log "$KEEP_LOG"

# ---- the counts -----------------------------------------------------------------------------------
failures=0
export TZ=UTC
sed -E 's/^[A-Z][a-z]{2} [ 0-9]{2} ([0-9:]{8}) /DATE\1.000001+00:00 /' $log |
    sed "s/^DATE/$(date -u +%Y-%m-%d)T/" >$log.iso
for form in "$log" "$log.iso"; do
    "$bin/grapevine" observe --counters --json "$form" >"$scratch/ours.json" || exit 1
    pflogsumm --detail 0 "$form" >"$scratch/theirs" 2>/dev/null
    pf() { awk -v n="$1" '$0 ~ "^ +[0-9]+[km]? +" n { print $1; exit }' "$scratch/theirs"; }
    our() { jq ".$1" "$scratch/ours.json"; }
    know() { jq ".$1 // 0" "$scratch/truth.json"; }
    compare() { # NAME OURS WANTED BY
        if [ "$2" != "$3" ]; then
            echo "FAILED: $1: $2, $4 says $3"
            failures=$((failures + 1))
        fi
    }
    for name in $(jq -r 'keys[]' "$scratch/truth.json"); do
        case $name in requeued) continue ;; esac
        compare "$name" "$(our "$name")" "$(know "$name")" "who sent it"
    done
    compare received $(($(our received) + $(our reinjected) + $(know requeued))) "$(pf received)" pflogsumm
    compare delivered $(($(our delivered) + $(our filtered))) "$(pf delivered)" pflogsumm
    compare forwarded "$(our forwarded)" "$(pf forwarded)" pflogsumm
    compare deferred "$(our deferred)" "$(pf deferred)" pflogsumm
    compare deferrals "$(our deferrals)" "$(sed -n 's/.*deferred *(\([0-9]*\).*/\1/p' "$scratch/theirs")" pflogsumm
    compare bounced "$(our bounced)" "$(pf bounced)" pflogsumm
    compare rejected "$(our rejected)" "$(pf rejected)" pflogsumm
    compare "reject warnings" "$(our reject_warnings)" "$(pf 'reject warnings')" pflogsumm
    compare held "$(our held)" "$(pf held)" pflogsumm
    compare discarded "$(our discarded)" "$(pf discarded)" pflogsumm
done
echo "$(wc -l <$log) lines of a real Postfix $(postconf -h mail_version):"
cat "$scratch/ours.json"
sed -n '5,17p' "$scratch/theirs"
[ $failures -eq 0 ] || cat $log
[ $failures -eq 0 ]
