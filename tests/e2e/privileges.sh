#!/usr/bin/env bash
# grapevined started as root: it becomes its user, keeps the groups that read the logs, holds no
# capability, cannot come back, and refuses a key that somebody else can use. Needs root; runs it as
# "nobody", which every host has.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail

[[ $EUID == 0 ]] || {
    echo "privileges.sh: needs root" >&2
    exit 77
}
bin=${GV_BIN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/bin}
scratch=$(mktemp -d /tmp/gv-privileges.XXXXXX)
chmod 755 "$scratch"
conf=$scratch/node.conf
daemon=
failures=0
user=nobody
uid=$(id -u $user)

clean_up() {
    [[ -z $daemon ]] || kill "$daemon" 2>/dev/null
    rm -rf "$scratch"
}
trap clean_up EXIT

fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}
expect() { # STATUS COMMAND...
    local wanted=$1 got
    shift
    timeout 20 "$@" >"$scratch/out" 2>&1 </dev/null
    got=$?
    ((got == wanted)) || fail "$*: exit status $got instead of $wanted: $(head -n 3 "$scratch/out")"
}
says() { grep -qF -- "$1" "$scratch/out" || fail "it does not say \"$1\": $(head -n 5 "$scratch/out")"; }
field() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$daemon/status"; }
start() {
    : >"$scratch/daemon.log" # the one before was ready, too
    "$@" >"$scratch/daemon.log" 2>&1 </dev/null &
    daemon=$!
    for _ in $(seq 200); do
        grep -q 'ready;' "$scratch/daemon.log" && return
        sleep 0.05
    done
    fail "it does not start: $(cat "$scratch/daemon.log")"
}
stop() {
    kill "$daemon"
    wait "$daemon" || fail "exit status $?: $(tail -n 3 "$scratch/daemon.log")"
    daemon=
}

# A log as syslog writes it: for the group adm, which the user is not in.
mkdir "$scratch/run"
chown $user "$scratch/run"
: >"$scratch/mail.log"
chown root:adm "$scratch/mail.log"
chmod 640 "$scratch/mail.log"
cat >"$conf" <<CONF
[node]
data = $scratch/data
listen =
control = $scratch/run/control.sock
user = $user
groups = adm

[log]
file = $scratch/mail.log
from_start = yes
CONF

# ---- what it may do ---------------------------------------------------------------------------

no_privileges() {
    [[ $(field Uid | tr '\t' ' ') == "$uid $uid $uid $uid" ]] || fail "user ids: $(field Uid)"
    [[ $(field Gid | tr -d '\t') != *0* || $(id -g $user) == 65534 ]] || fail "group ids: $(field Gid)"
    local set
    for set in CapInh CapPrm CapEff CapAmb; do
        [[ $(field $set) == 0000000000000000 ]] || fail "$set: $(field $set)"
    done
    [[ $(field NoNewPrivs) == 1 ]] || fail "new privileges are possible"
    grep -q '^Max core file size *0 *0 ' "/proc/$daemon/limits" || fail "it may dump core"
    [[ $(stat -c %u "/proc/$daemon/mem") == 0 ]] || fail "it is dumpable"
}
start "$bin/grapevined" --config "$conf"
no_privileges
[[ $(field CapBnd) == 0000000000000000 ]] || fail "CapBnd: $(field CapBnd)"
[[ " $(field Groups | tr '\t' ' ') " == *" $(getent group adm | cut -d: -f3) "* ]] || fail "groups: $(field Groups)"
[[ " $(field Groups) " != *" 0 "* ]] || fail "it is in root's group"
grep -q 'running as root' "$scratch/daemon.log" && fail "it says that it runs as root"
[[ $(stat -c '%U %a' "$scratch/data") == "$user 700" ]] || fail "data folder: $(stat -c '%U %a' "$scratch/data")"
for file in key store.db store.db-wal; do
    [[ $(stat -c '%U %a' "$scratch/data/$file") == "$user 600" ]] || fail "$file: $(stat -c '%U %a' "$scratch/data/$file")"
done
# The log of another group is read.
printf '%s vm dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u>, method=PLAIN, rip=192.0.2.66, lip=127.0.0.1, session=<s>\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%S.000000+00:00)" >>"$scratch/mail.log"
for _ in $(seq 100); do
    "$bin/grapevine" --config "$conf" status --json 2>/dev/null | grep -q '"lines": 1' && break
    sleep 0.05
done
"$bin/grapevine" --config "$conf" status --json | grep -q '"lines": 1' || fail "it cannot read the log"
stop

# Backup and restore by root leave everything to the user.
expect 0 "$bin/grapevine" --config "$conf" backup "$scratch/backup"
expect 0 "$bin/grapevine" --config "$conf" restore "$scratch/backup"
[[ -z $(find "$scratch/data" ! -user $user) ]] || fail "not the user's: $(find "$scratch/data" ! -user $user)"

# The option, without the configuration; and a capability that was handed over is given up.
sed -i '/^user = /d' "$conf"
start "$bin/grapevined" --config "$conf" --user $user
no_privileges
stop
if command -v setpriv >/dev/null; then
    sed -i '/^groups = /d' "$conf"
    start setpriv --reuid "$uid" --regid "$(id -g $user)" --clear-groups \
        --inh-caps +dac_override --ambient-caps +dac_override "$bin/grapevined" --config "$conf"
    no_privileges
    stop
fi

# ---- what it refuses --------------------------------------------------------------------------

expect 78 "$bin/grapevined" --config "$conf" --user no-such-user
says 'there is no user "no-such-user"'
if ! id _grapevine >/dev/null 2>&1; then # else that user is taken by itself
    expect 78 "$bin/grapevined" --config "$conf"
    says 'started as root, and [node] user names nobody'
fi
expect 77 setpriv --reuid 1 --regid 1 --clear-groups "$bin/grapevined" --config "$conf" --user $user
says 'only root can start'
sed -i '/^control = /a groups = no-such-group' "$conf"
expect 78 "$bin/grapevined" --config "$conf" --user $user
says 'there is no group "no-such-group"'
for group in root 0; do
    sed -i "s/^groups = .*/groups = $group/" "$conf"
    expect 77 "$bin/grapevined" --config "$conf" --user $user
    says "root's own"
done
sed -i '/^groups = /d' "$conf"

key=$scratch/data/key
refused() { # TEXT: key or folder are not as they must be
    expect 77 "$bin/grapevined" --config "$conf" --user $user
    says "$1"
}
chmod 640 "$key"
refused "run: chmod 600 $key"
chmod 604 "$key"
refused "run: chmod 600 $key"
chmod 600 "$key"
chmod 770 "$scratch/data"
refused "run: chmod 700 $scratch/data"
chmod 707 "$scratch/data"
refused "run: chmod 700 $scratch/data"
chmod 700 "$scratch/data"
mv "$key" "$scratch/data/elsewhere"
ln -s elsewhere "$key"
refused "a symbolic link"
rm "$key"
mv "$scratch/data/elsewhere" "$key"
expect 77 "$bin/grapevined" --config "$conf" --user daemon
says "run: chown -R"
# Root itself, with somebody else's key in a folder of its own.
chown root "$scratch/data"
expect 77 "$bin/grapevined" --config "$conf" --user root
says "run: chown"
chown $user "$scratch/data"
expect 77 "$bin/grapevined" --config "$conf" --user root # and with the folder, too
says "run: chown"
# A folder above, in which everybody can rename what is there.
chmod 777 "$scratch"
refused "run: chmod go-w $scratch"
chmod 775 "$scratch"
refused "run: chmod go-w $scratch"
chmod 755 "$scratch"
chown daemon "$scratch"
refused "run: chown root $scratch"
chown root "$scratch"
chmod 1777 "$scratch"
start "$bin/grapevined" --config "$conf" --user $user
stop
chmod 755 "$scratch"

# A configuration that somebody else can write.
chmod 666 "$conf"
refused "run: chmod go-w $conf"
chmod 644 "$conf"
chown daemon "$conf"
refused "run: chown root $conf"
chown root "$conf"

# A file in a file's place that would never end, or never begin.
for name in certificate descriptor key; do
    [[ ! -e $scratch/data/$name ]] || mv "$scratch/data/$name" "$scratch/data/$name.kept"
    mkfifo -m 600 "$scratch/data/$name"
    chown $user "$scratch/data/$name"
    timeout 20 "$bin/grapevined" --config "$conf" --user $user >"$scratch/out" 2>&1 &
    daemon=$!
    for _ in $(seq 200); do
        grep -q 'regular file' "$scratch/out" && break
        sleep 0.05
    done
    says "regular file"
    kill $daemon 2>/dev/null
    wait $daemon
    [[ $? != 124 ]] || fail "a FIFO as $name: it does not end"
    daemon=
    rm "$scratch/data/$name"
    [[ ! -e $scratch/data/$name.kept ]] || mv "$scratch/data/$name.kept" "$scratch/data/$name"
done

# Root, because somebody wrote that out: its id, and none of its rights.
chown -R root "$scratch/data" "$scratch/run"
start "$bin/grapevined" --config "$conf" --user root
uid=0
no_privileges
[[ $(field CapBnd) == 0000000000000000 ]] || fail "CapBnd: $(field CapBnd)"
stop

if ((failures > 0)); then
    printf '%d failures\n' "$failures"
    exit 1
fi
echo "privileges: all as it should be"
