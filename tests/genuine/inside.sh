#!/usr/bin/env bash
# The part of run.sh that runs in namespaces of its own (network, processes, mounts), which end with
# it: whatever it starts, mounts or listens on is gone when it is. `inside.sh NAME ROOT SCRATCH`
# starts the server NAME in a writable copy of ROOT, attacks it, and leaves its logs and
# truth.json in SCRATCH/out.
set -euo pipefail
name=$1 lower=$2 scratch=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs "$scratch/room"
mkdir "$scratch/room/upper" "$scratch/room/work" "$scratch/room/root"
root=$scratch/room/root
# A kernel without overlays costs some seconds of copying.
mount -t overlay -o "lowerdir=$lower,upperdir=$scratch/room/upper,workdir=$scratch/room/work" \
    overlay "$root" 2>/dev/null || cp -a "$lower/." "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do cp -a "/dev/$node" "$root/dev/"; done
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/1 "$root/dev/stdout"
mkdir -m 1777 "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -m 1777 "$root/run/lock"

# The server has one address of each kind; every address of the attackers' networks is ours.
ip link set lo up
ip addr add 192.0.2.25/32 dev lo
ip addr add 2001:db8::25/128 dev lo nodad
ip route add local 198.51.100.0/24 dev lo
ip route add local 192.0.2.96/27 dev lo
ip route add local 192.0.2.128/25 dev lo
ip -6 route add local 2001:db8:51::/48 dev lo
echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind
hostname mx.test 2>/dev/null || true

mkdir "$root/genuine"
cp "$here"/servers/*.sh "$root/genuine/"
printf '127.0.0.1 localhost\n::1 localhost\n192.0.2.25 mx.test mx\n2001:db8::25 mx.test\n' >"$root/etc/hosts"
printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$root/etc/resolv.conf"
sed -i 's/^hosts:.*/hosts: files dns/' "$root/etc/nsswitch.conf"
printf '192.0.2.25 mx.test\n2001:db8::25 mx.test\n' >"$scratch/names"
python3 "$here/dns.py" "$scratch/names" &
printf 'mx.test\n' >"$root/etc/hostname"
printf 'mx.test\n' >"$root/etc/mailname"
ln -sf /usr/share/zoneinfo/Etc/UTC "$root/etc/localtime"
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=mx.test \
    -keyout "$root/genuine/key.pem" -out "$root/genuine/cert.pem" 2>/dev/null
chmod 644 "$root/genuine/key.pem"
cat >"$root/etc/rsyslog.conf" <<'CONF'
module(load="imuxsock" SysSock.RateLimit.Interval="0")
$FileCreateMode 0644
$EscapeControlCharactersOnReceive on
mail.*;local6.* action(type="omfile" file="/var/log/mail.log" template="RSYSLOG_TraditionalFileFormat")
mail.*;local6.* action(type="omfile" file="/var/log/mail.iso.log" template="RSYSLOG_FileFormat")
auth,authpriv.* action(type="omfile" file="/var/log/auth.log" template="RSYSLOG_TraditionalFileFormat")
CONF
rm -f "$root"/var/log/mail.* "$root"/var/log/auth.*
chroot "$root" /usr/sbin/rsyslogd -i /run/rsyslogd.pid

server() { TZ=UTC LC_ALL=C chroot "$root" /bin/bash "/genuine/${name%%-*}.sh" "$1" "$name"; }
server start >"$scratch/out/start.txt" 2>&1 || {
    cat "$scratch/out/start.txt" >&2
    exit 70
}
status=0
python3 "$here/attack.py" "$name" "$root" "$scratch/names" "$scratch/out/truth.json" \
    >"$scratch/out/attack.txt" 2>&1 || status=$?
case $name in
exim* | postfix* | trixie*) bash "$here/look.sh" "$name" "$root" "$scratch" >>"$scratch/out/attack.txt" 2>&1 || status=1 ;;
esac
sleep 3 # the last lines are written
server stop >>"$scratch/out/start.txt" 2>&1 || true
sleep 1
for file in $(server logs); do
    [ ! -s "$root$file" ] || cp "$root$file" "$scratch/out/"
done
exit $status
