#!/usr/bin/env bash
# A node on a file system that is really full (a tmpfs in a mount namespace of the script's own; root),
# where tests/unit/test_store_failure plays one: it starts after a clean stop, after kill -9, and
# without the files that SQLite wants beside its own; answers, says what to do, and recovers.
set -uo pipefail
# shellcheck source=tests/e2e/frame.sh
. "$(dirname "$0")/frame.sh"
needs jq unshare mount
bin=${GV_BIN:-$(cd "$(dirname "$0")/../.." && pwd)/build/bin}
if [[ ${1:-} != inside ]]; then
    unshare -m true 2>/dev/null || { echo "full_disk.sh: no namespace can be made here: skipped" && exit 77; }
    exec unshare -m bash "$0" inside
fi
scratch=$(mktemp -d /tmp/gv-full.XXXXXX)
data=$scratch/data
conf=$scratch/node.conf
daemon=

clean_up() {
    [[ -z $daemon ]] || kill -9 "$daemon" 2>/dev/null
    umount "$data" 2>/dev/null
    rm -rf "$scratch"
}
trap clean_up EXIT

ask() { "$bin/grapevine" --config "$conf" "$@"; }
answers() { ask status >/dev/null 2>&1; }
logged() { grep -qF -- "$1" "$scratch/daemon.log"; }
known() { ask ip --json "$1" 2>/dev/null | jq -e '.failures > 0 or .local.failures > 0' >/dev/null; }
store_is() { [[ $(ask status --json | jq -r .store.ok) == "$1" ]]; }
fill() { # to the last byte
    dd if=/dev/zero of="$data/ballast" bs=64k >/dev/null 2>&1
    dd if=/dev/zero of="$data/ballast2" bs=1 count=8192 >/dev/null 2>&1
}
start() {
    : >"$scratch/daemon.log"
    "$bin/grapevined" --config "$conf" 2>"$scratch/daemon.log" &
    daemon=$!
    wait_for 60 "an answer" answers
}
stop() { # SIGNAL
    kill "-$1" "$daemon"
    wait "$daemon" 2>/dev/null
    daemon=
}
fails_at() { # ADDRESS
    local i
    for i in 1 2 3; do
        printf '%s mail dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u%s>, method=PLAIN, rip=%s, lip=192.0.2.1, session=<a%s>\n' \
            "$(date -u +%Y-%m-%dT%H:%M:%S)+00:00" "$i" "$1" "$i$RANDOM"
    done >>"$scratch/mail.log"
}

mkdir -m 700 "$data"
mount -t tmpfs -o size=3m,mode=700 gv-full "$data" || die "no file system of our own"
touch "$scratch/mail.log"
cat >"$conf" <<CONF
[node]
data = $data
$([[ $EUID != 0 ]] || echo "user = root")
listen =
control = $scratch/control.sock
[log]
file = $scratch/mail.log
from_start = yes
timezone = UTC
CONF
n=0
for left in stopped killed "killed, no index"; do
    n=$((n + 1))
    start
    fails_at "45.1.$n.7"
    until_true 20 "$left: the log is read" known "45.1.$n.7"
    case $left in
    stopped) stop TERM ;;
    *) stop KILL ;;
    esac
    [[ $left != *index ]] || rm -f "$data/store.db-shm"
    fill
    start
    fails_at "45.2.$n.7"
    until_true 20 "$left: the log is read on a full disk" known "45.2.$n.7"
    known "45.1.$n.7" || fail "$left: what the store held is not answered"
    until_true 20 "$left: the store is said to fail" store_is false
    logged "the disk is full; make room on it" || fail "$left: it does not say what to do"
    rm -f "$data"/ballast*
    until_true 30 "$left: it recovers" store_is true
    logged "back on the mesh" || fail "$left: it does not say that it has recovered"
    stop KILL
    start
    known "45.2.$n.7" || fail "$left: what was read meanwhile is not stored"
    logged "were changed" && fail "$left: rows are bad"
    stop TERM
done

# Nothing there but the folder: the key cannot be made.
rm -f "$data"/*
fill
"$bin/grapevined" --config "$conf" 2>"$scratch/daemon.log"
status=$?
((status == 74)) || fail "a first start on a full disk ends with $status"
logged "$data/key: the disk is full; make room on it" || fail "a first start does not say why"

# A backup onto it, and a restore.
rm -f "$data"/*
start
fails_at 45.3.1.7
until_true 20 "the log is read" known 45.3.1.7
fill
ask backup "$data/copy" 2>"$scratch/backup.log"
status=$?
((status == 74)) || fail "a backup onto a full disk ends with $status"
grep -qF "the disk is full; make room on it" "$scratch/backup.log" || fail "a backup: $(cat "$scratch/backup.log")"
[[ -z $(find "$data" -name 'copy*') ]] || fail "a backup leaves half of it"
rm -f "$data"/ballast*
ask backup "$scratch/copy" >/dev/null || fail "no backup"
stop TERM
sum=$(sha256sum <"$data/store.db")
fill
ask restore "$scratch/copy" 2>"$scratch/restore.log"
status=$?
((status == 74)) || fail "a restore onto a full disk ends with $status"
grep -qF "the disk is full; make room on it" "$scratch/restore.log" || fail "a restore: $(cat "$scratch/restore.log")"
[[ $(sha256sum <"$data/store.db") == "$sum" ]] || fail "a restore that fails changes the store"
rm -f "$data"/ballast*
[[ -z $(find "$data" -name '*.part*' -o -name '*.new*') ]] || fail "a restore leaves half of it: $(ls "$data")"
ask restore "$scratch/copy" >/dev/null || fail "no restore"
start
known 45.3.1.7 || fail "what was restored is not known"
stop TERM

((failures == 0)) && echo "full_disk.sh: passed" || exit 1
