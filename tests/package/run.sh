#!/usr/bin/env bash
# Builds the Debian packages and lives with them in a Debian of its own that systemd really boots
# (systemd-nspawn): install, run under the unit's sandbox, upgrade, remove, install again, purge.
#   GV_BUILD=FOLDER   a Release build (default: build); GV_CACHE, GV_MIRROR: ../genuine/root.sh
# Needs root, systemd-nspawn, debootstrap, and once a mirror. Exit status 77: skipped.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$(realpath -m "${GV_BUILD:-$root/build}")

skip() {
    echo "package: SKIPPED: $*"
    exit 77
}
[ "$(id -u)" -eq 0 ] || skip "only root can boot a system"
for tool in systemd-nspawn systemd-analyze nsenter lintian dpkg-deb cpack jq; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done
grep -q 'CMAKE_BUILD_TYPE:STRING=Release' "$build/CMakeCache.txt" 2>/dev/null ||
    skip "$build holds no Release build"

scratch=$(mktemp -d /tmp/gv-package.XXXXXX)
machine=$scratch/machine
nspawn='' leader='' checks=0 failures=0
power_off() {
    [ -z "$leader" ] || kill -s RTMIN+4 "$leader" 2>/dev/null # systemd: power off
    [ -z "$nspawn" ] || {
        timeout 30 tail --pid="$nspawn" -f /dev/null || kill -KILL "$nspawn"
        wait "$nspawn"
    } 2>/dev/null
    nspawn='' leader=''
}
clean_up() {
    power_off
    umount "$machine" 2>/dev/null
    rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}
check() { # WHAT COMMAND...
    checks=$((checks + 1))
    "${@:2}" >"$scratch/said" 2>&1 && return
    fail "$1"
    tail -n 15 "$scratch/said"
    return 1
}
wait_for() { # SECONDS COMMAND...
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.2
    done
}

# ---- the packages -----------------------------------------------------------------------------

cmake --build "$build" --target grapevined grapevine grapevine-firewall grapevine-registry man zipped \
    >"$scratch/build" 2>&1 || { tail "$scratch/build" && exit 1; }
(cd "$build" && cpack -G DEB -B "$scratch/debs") >"$scratch/cpack" 2>&1 ||
    { tail "$scratch/cpack" && exit 1; }
mv "$scratch"/debs/*.deb "$scratch"
node=$(ls "$scratch"/grapevine_*.deb) registry=$(ls "$scratch"/grapevine-registry_*.deb)

clean_of() { ! lintian --fail-on error,warning --allow-root "$1" | grep -E '^[EW]:'; }
small() { [ "$(stat -c %s "$1")" -lt $((2 << 20)) ]; }
exposed() { # UNIT: at most 1.5
    systemd-analyze security --offline=yes --threshold=15 "$scratch/$1" | tail -n 1 | tee /dev/stderr
    return "${PIPESTATUS[0]}"
}
for deb in "$node" "$registry"; do
    name=$(basename "$deb")
    check "$name: lintian finds something" clean_of "$deb"
    check "$name is 2 MB or more" small "$deb"
    echo "$name: $(stat -c %s "$deb") bytes"
done
for unit in grapevine grapevine-firewall grapevine-registry; do
    cp "$root/node/packaging/$unit.service" "$scratch"
    check "$unit.service is too exposed" exposed $unit.service
    cat "$scratch/said"
done
# The same as an older version, to upgrade from.
dpkg-deb -R "$node" "$scratch/older" && sed -i 's/^Version: .*/Version: 0.0.1/' "$scratch/older/DEBIAN/control"
older=$scratch/grapevine_older.deb
dpkg-deb --root-owner-group -b "$scratch/older" "$older" >/dev/null || exit 1

# ---- a machine --------------------------------------------------------------------------------

depends=$(for deb in "$node" "$registry"; do dpkg-deb -f "$deb" Depends; done | tr ',' '\n' |
    sed 's/(.*//' | sort -u)
# shellcheck disable=SC2086 # words
lower=$(bash "$here/../genuine/root.sh" package bookworm systemd-sysv dbus curl nftables $depends) ||
    skip "no Debian could be made"
mkdir "$scratch/upper" "$scratch/work" "$machine"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$scratch/upper,workdir=$scratch/work" \
    "$machine" || skip "no overlay can be mounted here"
rm -f "$machine/usr/sbin/policy-rc.d" # it kept services from starting; here they may
: >"$machine/etc/machine-id"
mkdir "$machine/debs" && cp "$scratch"/*.deb "$machine/debs"

systemd-nspawn -q --register=no --keep-unit --private-network -D "$machine" --boot \
    >"$scratch/boot" 2>&1 </dev/null &
nspawn=$!
find_leader() {
    local child
    for child in $(pgrep -P "$nspawn") $(pgrep -P "$nspawn" | xargs -r -n1 pgrep -P); do
        [ "$(cat "/proc/$child/comm" 2>/dev/null)" = systemd ] && leader=$child
    done
    [ -n "$leader" ]
}
wait_for 20 find_leader || skip "systemd does not boot in a container here: $(tail -n 2 "$scratch/boot")"
inside() {
    nsenter -t "$leader" -m -u -i -n -p -r -w -- env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
is_up() { inside systemctl is-system-running | grep -qE 'running|degraded'; }
wait_for 60 is_up || skip "systemd does not come up in a container here"

find_traces() { # whatever bears the name, but what lies there for this test
    inside find / -xdev \( -path /debs -o -path /proc -o -path /sys -o -path /var/log/journal \) \
        -prune -o -name '*grapevine*' -print
}
no_trace() { [ -z "$(find_traces)" ] && ! inside getent passwd _grapevine _grapevine-firewall _grapevine-registry; }
check "the machine is new" no_trace

# ---- install ----------------------------------------------------------------------------------

is_active() { inside systemctl --quiet is-active "$1"; }
status_of() { inside grapevine status --json; }
instance() { status_of | jq -er .instance; }
main_pid() { inside systemctl show -P MainPID grapevine; }
of_process() { inside cat "/proc/$(main_pid)/status"; }
confined() { # nobody's user, no capability, no way to gain one, and a system call filter
    of_process | grep -qE '^Seccomp:\s+2$' && of_process | grep -qE '^NoNewPrivs:\s+1$' &&
        of_process | grep -qE '^CapEff:\s+0+$' && of_process | grep -qE '^CapBnd:\s+0+$' &&
        [ "$(inside stat -c %U "/proc/$(main_pid)")" = _grapevine ]
}
in_group() { inside id -nG _grapevine >/dev/null && of_process | grep -qE "^Groups:.*\b$(inside getent group "$1" | cut -d: -f3)\b"; }
logged() { inside journalctl -q -u grapevine -o cat | grep -q "$1"; }
mode_of() { [ "$(inside stat -c '%a %U' "$1")" = "$2" ]; }
fails_to_log_in() { # ADDRESS: six times, as Dovecot writes it to the journal
    local i
    for i in 1 2 3 4 5 6; do
        inside logger -t dovecot -p mail.info "imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<nobody$i>, method=PLAIN, rip=$1, lip=192.0.2.1, TLS, session=<s$i>"
    done
}
seen() { inside grapevine ip --json "$1" | grep -qE '"failures": ?[1-9]'; }

check "apt does not install it" inside apt-get install -y --no-install-recommends "/debs/$(basename "$older")"
check "the daemon is not up 10 s after the installation" wait_for 10 is_active grapevine.service
check "grapevine status does not answer" status_of
check "it is not confined" confined
check "it cannot read what the group adm may" in_group adm
check "it cannot read the journal" in_group systemd-journal
check "its key is open to others" mode_of /var/lib/grapevine/key "600 _grapevine"
check "its folder is open to others" mode_of /var/lib/grapevine "700 _grapevine"
check "the journal does not have its log" logged "ready; control socket"
check "man pages are missing" inside sh -c 'ls /usr/share/man/man1/grapevine.1.gz /usr/share/man/man5/grapevine.conf.5.gz /usr/share/man/man8/grapevined.8.gz'
# shellcheck disable=SC2016 # for the shell inside
check "completion does not offer commands" inside bash -c '. /usr/share/bash-completion/completions/grapevine
    COMP_WORDS=(grapevine tele) COMP_CWORD=1; _grapevine grapevine; [ "${COMPREPLY[*]}" = telemetry ]'
fails_to_log_in 45.9.20.33
check "it does not see failures in the journal under its sandbox" wait_for 10 seen 45.9.20.33
check "a reload ends it" inside systemctl reload grapevine
check "the reload is not logged" wait_for 5 logged "configuration reloaded"
inside sed -i 's/^mode = preview/mode = perhaps/' /etc/grapevine/grapevine.conf
reload_fails() { ! inside systemctl reload grapevine && is_active grapevine.service; }
check "a wrong configuration is not told by a reload, or ends it" reload_fails
inside sed -i 's/^mode = perhaps/mode = preview/' /etc/grapevine/grapevine.conf
before=$(main_pid)
inside bash -c "kill -KILL $before"
restarted() { is_active grapevine.service && [ "$(main_pid)" != "$before" ] && status_of; }
check "systemd does not start it again when it is killed" wait_for 30 restarted
check "the failures are forgotten with the process" wait_for 5 seen 45.9.20.33

# ---- the firewall's helper --------------------------------------------------------------------

refused_by_nft() { inside nft list set inet grapevine refused4 | grep -q 45.9.20.33; }
no_table() { ! inside nft list table inet grapevine; }
check "there is a table in the firewall before anybody asked for one" no_table
inside sed -i 's/^enforce = no/enforce = nftables/' /etc/grapevine/grapevine.conf
check "the helper does not start" inside systemctl enable -q --now grapevine-firewall
check "the configuration with nftables is not taken" inside systemctl reload grapevine
check "the lock does not reach the firewall" wait_for 20 refused_by_nft
one_capability() {
    local pid
    pid=$(inside systemctl show -P MainPID grapevine-firewall)
    inside grep -qE '^CapEff:\s+0000000000001000$' "/proc/$pid/status" &&
        inside grep -qE '^CapBnd:\s+0000000000001000$' "/proc/$pid/status" &&
        [ "$(inside stat -c %U "/proc/$pid")" = _grapevine-firewall ]
}
check "the helper has another user or other rights" one_capability
check "the daemon has rights now" confined

# ---- upgrade ----------------------------------------------------------------------------------

id=$(instance) before=$(main_pid)
inside sed -i 's/^;advertise.*/advertise =/' /etc/grapevine/grapevine.conf
check "apt does not upgrade it" inside apt-get install -y --no-install-recommends "/debs/$(basename "$node")"
check "the upgraded daemon is not up" wait_for 15 restarted
same_instance() { [ ${#id} -eq 32 ] && [ "$(instance)" = "$id" ]; }
check "the upgrade made another instance of it" same_instance
check "the upgrade lost what was seen" wait_for 5 seen 45.9.20.33
check "the upgrade lost the admin's configuration" inside grep -q '^advertise' /etc/grapevine/grapevine.conf
inside systemctl disable -q grapevine
check "apt does not install it again" inside apt-get install -y --reinstall "/debs/$(basename "$node")"
disabled() { [ "$(inside systemctl is-enabled grapevine)" = disabled ]; }
check "an installation enabled what the admin had disabled" disabled
inside systemctl enable -q grapevine

# ---- remove, and back -------------------------------------------------------------------------

check "apt does not remove it" inside apt-get remove -y grapevine
gone() {
    [ "$(inside systemctl is-active grapevine.service)" != active ] &&
        ! inside test -e /lib/systemd/system/grapevine.service &&
        ! inside sh -c 'cat /proc/[0-9]*/comm' | grep -q grapevined
}
check "it runs on after its removal" gone
check "its table stays in the firewall" no_table
kept() { inside test -s /var/lib/grapevine/key && inside test -s /etc/grapevine/grapevine.conf; }
check "a removal took key or configuration with it" kept
check "apt does not install it after a removal" inside apt-get install -y --no-install-recommends "/debs/$(basename "$node")"
check "it is not up after it was installed again" wait_for 15 is_active grapevine.service
check "it came back as another instance" wait_for 10 same_instance
check "it came back without what was seen" wait_for 5 seen 45.9.20.33

# ---- the registry -----------------------------------------------------------------------------

check "apt does not install the registry" inside apt-get install -y --no-install-recommends "/debs/$(basename "$registry")"
idle() { ! is_active grapevine-registry.service && ! inside systemctl is-failed -q grapevine-registry.service; }
check "the registry runs before init, or failed" idle
check "init does not work as its user" inside runuser -u _grapevine-registry -- \
    grapevine-registry init --data /var/lib/grapevine-registry --name example \
    --url http://127.0.0.1:4728 --mail smtp://127.0.0.1 --seed 127.0.0.1:4727
inside systemctl start grapevine-registry
answers() { inside curl -fsS http://127.0.0.1:4728/v1/network -o /dev/null; }
check "the registry does not answer" wait_for 10 answers
check "the registry's root key is open to others" mode_of /var/lib/grapevine-registry/root.key "600 _grapevine-registry"

# ---- purge ------------------------------------------------------------------------------------

check "apt does not purge them" inside apt-get purge -y grapevine grapevine-registry
check "something of it is left" no_trace
find_traces

echo "package: $((checks - failures)) of $checks checks passed"
[ $failures -eq 0 ]
