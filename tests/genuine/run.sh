#!/usr/bin/env bash
# Starts real mail servers, attacks them with real clients, and holds what `grapevine observe` makes
# of the log that they wrote against what the clients saw (check.py). Each server lives in a Debian
# system of its own (root.sh) and in namespaces of its own, without any network but its own, and is
# gone when this ends, however it ends.
#   run.sh [NAME...]      all, or: exim exim-syslog cyrus courier sendmail sendmail-mapped postfix
#                         postfix-verbose postfix-files trixie trixie-verbose trixie-files (Debian 13's
#                         Postfix and Dovecot) exim-trixie cyrus-trixie sendmail-trixie
#   GV_KEEP=FOLDER        keep NAME.log, NAME.truth and the like there
# Needs root, debootstrap, and once a mirror (GV_MIRROR, GV_CACHE: root.sh). Exit status 77: skipped.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${GV_BIN:-$here/../../build/bin}
export GV_BIN=$bin # for look.sh
all=(exim exim-syslog cyrus courier sendmail sendmail-mapped
    postfix postfix-verbose postfix-files trixie trixie-verbose trixie-files
    exim-trixie cyrus-trixie sendmail-trixie)

skip() {
    echo "run.sh: SKIPPED: $*"
    exit 77
}
[ "$(id -u)" -eq 0 ] || skip "only root can start mail servers in a namespace of their own"
for tool in unshare ip openssl python3 curl swaks; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done
[ -x "$bin/grapevine" ] || skip "$bin/grapevine is not built"
unshare --net --mount --uts --pid --fork --kill-child true 2>/dev/null || skip "no namespaces can be made here"

scratch=$(mktemp -d)
pid=
clean_up() {
    # The first process of the namespace dies with this one, and all others with that.
    [ -z "$pid" ] || { kill -KILL "$pid" && wait "$pid"; } 2>/dev/null
    rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

observe() { # FILE NAME: the observations to $scratch/NAME.json
    TZ=UTC "$bin/grapevine" observe --json --lab "$1" >"$scratch/$2.json"
}

one() { # NAME
    local name=$1 status=0 out=$scratch/$1/out root log packages system=${1%%-*}
    local script=$here/servers/${name%%-*}.sh
    [ -r "$script" ] || {
        echo "run.sh: '$name' is none of: ${all[*]}" >&2
        exit 64
    }
    read -ra packages <<<"$(bash "$script" packages)"
    [[ $name != *-trixie ]] || { packages[0]=trixie && system=$name; }
    root=$(bash "$here/root.sh" "$system" "${packages[@]}") || return
    mkdir -p "$out" "$scratch/$name/room"
    unshare --net --mount --uts --pid --fork --kill-child timeout -k 5 400 \
        bash "$here/inside.sh" "$name" "$root" "$scratch/$name" </dev/null &
    pid=$!
    wait "$pid" || status=$?
    pid=
    cat "$out/attack.txt" 2>/dev/null
    [ $status -eq 0 ] || {
        echo "$name: the attack did not go as meant ($status)"
        return 1
    }
    [ -z "${GV_KEEP:-}" ] || keep "$name" "$out"
    case $name in
    *-files) sort -s -k1,1M -k2,2n -k3,3 "$out/dovecot.log" "$out/postfix.log" >"$out/joined.log" ;;
    esac
    for log in joined.log mainlog mail.log mail.iso.log; do
        [ -s "$out/$log" ] || continue
        case $name/$log in *-files/mail*) continue ;; esac
        observe "$out/$log" "$name" || {
            echo "$name: grapevine observe failed"
            return 1
        }
        echo "-- $name, $log: $(wc -l <"$out/$log") lines"
        python3 "$here/check.py" "$out/truth.json" "$scratch/$name.json" || status=1
    done
    return $status
}

keep() { # NAME FOLDER
    local file
    mkdir -p "$GV_KEEP"
    for file in "$2"/*log; do cp "$file" "$GV_KEEP/$1-$(basename "$file" .log).log"; done
    cp "$2/truth.json" "$GV_KEEP/$1.truth"
}

names=("$@")
[ ${#names[@]} -gt 0 ] || names=("${all[@]}")
failed=() skipped=()
for name in "${names[@]}"; do
    start=$SECONDS
    one "$name"
    case $? in
    0) echo "$name: passed ($((SECONDS - start)) s)" ;;
    77) skipped+=("$name") ;;
    *) failed+=("$name") && echo "$name: FAILED ($((SECONDS - start)) s)" ;;
    esac
done
[ ${#skipped[@]} -eq 0 ] || echo "run.sh: SKIPPED: ${skipped[*]}"
[ ${#failed[@]} -eq 0 ] || { echo "run.sh: FAILED: ${failed[*]}" && exit 1; }
[ ${#skipped[@]} -eq 0 ] || exit 77
