#!/usr/bin/env bash
# Builds the Debian packages and lives with them in a Debian of its own that systemd really boots
# (systemd-nspawn): install, run under the unit's sandbox, `grapevine setup` to the first peer, upgrade
# from a store of the first schema, remove, install again, purge.
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
for tool in systemd-nspawn systemd-analyze nsenter lintian dpkg-deb cpack jq sqlite3 openssl; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done
grep -q 'CMAKE_BUILD_TYPE:STRING=Release' "$build/CMakeCache.txt" 2>/dev/null ||
    skip "$build holds no Release build"

# Two machines at once would share one tree of control groups: what the one stops, the other loses.
exec 9>/tmp/gv-package.lock
flock 9
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
# The same as older versions, to upgrade from: one that would write another configuration, one whose
# configuration was a conffile yet, and a registry.
repack() { # DEB NAME [COMMAND...]: in its folder
    dpkg-deb -R "$1" "$scratch/$2" && sed -i 's/^Version: .*/Version: 0.0.1/' "$scratch/$2/DEBIAN/control" &&
        (cd "$scratch/$2" && "${@:3}") && dpkg-deb --root-owner-group -b "$scratch/$2" "$scratch/$2.deb" >/dev/null || exit 1
}
# shellcheck disable=SC2016 # not for this shell
with_conffile() {
    mkdir -p etc/grapevine && mv usr/share/grapevine/grapevine.conf etc/grapevine && echo '; older' >>etc/grapevine/grapevine.conf &&
        echo /etc/grapevine/grapevine.conf >>DEBIAN/conffiles && sed -i '/conf=/d; /"$conf"/d' DEBIAN/postinst && sed -i '/rm.*\/etc/d' DEBIAN/postrm
}
# shellcheck disable=SC2016
repack "$node" grapevine_older sed -i '$a; older' usr/share/grapevine/grapevine.conf
repack "$node" grapevine_conffile with_conffile
repack "$registry" registry_older true
older=$scratch/grapevine_older.deb

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

# Where dpkg would ask it finds nobody: that would be an error.
conf=/etc/grapevine/grapevine.conf
from_conffile() {
    inside apt-get install -y --no-install-recommends /debs/grapevine_conffile.deb </dev/null &&
        inside sed -i 's/^;allow = .*/allow = 45.9.61.0\/24/' $conf &&
        inside apt-get install -y --no-install-recommends "/debs/$(basename "$node")" </dev/null &&
        inside grep -qx 'allow = 45.9.61.0/24' $conf && inside grep -qx '; older' $conf && inside apt-get purge -y grapevine
}
check "a changed conffile of an earlier package is asked about, or lost" from_conffile
check "something of it is left" no_trace
check "apt does not install it" inside apt-get install -y --no-install-recommends "/debs/$(basename "$older")"
check "it has no configuration" inside grep -qx '; older' $conf
check "the daemon is not up 10 s after the installation" wait_for 10 is_active grapevine.service
check "grapevine status does not answer" status_of
check "it is not confined" confined
check "it cannot read what the group adm may" in_group adm
check "it cannot read the journal" in_group systemd-journal
check "its key is open to others" mode_of /var/lib/grapevine/key "600 _grapevine"
check "its folder is open to others" mode_of /var/lib/grapevine "700 _grapevine"
check "the journal does not have its log" logged "ready; control socket"
check "there are no authorities to believe an https registry by" inside test -s /etc/ssl/certs/ca-certificates.crt
check "README or SPEC is missing" inside sh -c 'zcat /usr/share/doc/grapevine/README.md.gz /usr/share/doc/grapevine/SPEC.md.gz | grep -q "^## 19. The installed service"'
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
((before > 1)) || { # 0 would be this script's own group
    fail "there is no daemon to kill"
    exit 1
}
inside bash -c "kill -KILL $before"
restarted() { is_active grapevine.service && [ "$(main_pid)" != "$before" ] && status_of; }
check "systemd does not start it again when it is killed" wait_for 30 restarted
check "the failures are forgotten with the process" wait_for 5 seen 45.9.20.33

# ---- a registry, and a node that is there already ---------------------------------------------

check "apt does not install the registry" inside apt-get install -y --no-install-recommends /debs/registry_older.deb
idle() { ! is_active grapevine-registry.service && ! inside systemctl is-failed -q grapevine-registry.service; }
check "the registry runs before init, or failed" idle
# Run by root, in one step, where the service looks.
check "init does not work" inside grapevine-registry init package-test --lab --listen 127.0.0.1:4728 \
    --mail file:/var/lib/grapevine-registry/mail --seed 127.2.0.1:4737
inside install -d -m 700 -o _grapevine-registry -g _grapevine-registry /var/lib/grapevine-registry/mail
inside systemctl start grapevine-registry
answers() { inside curl -fsS http://127.0.0.1:4728/v1/network -o /dev/null; }
check "the registry does not answer" wait_for 10 answers
# shellcheck disable=SC2016 # for the shell inside
check "completion does not offer the registry's commands" inside bash -c '. /usr/share/bash-completion/completions/grapevine
    for word in keys limits restore; do
        COMP_WORDS=(grapevine-registry "$word") COMP_CWORD=1; _grapevine grapevine-registry
        [ "${COMPREPLY[*]}" = "$word" ] || exit 1
    done'
inside grapevine-registry backup /root/copy --data /var/lib/grapevine-registry >/dev/null
back_again() { # by root, into a folder of the service's user
    inside install -d -m 700 -o _grapevine-registry /srv/again &&
        inside grapevine-registry restore /root/copy --data /srv/again &&
        [ "$(inside stat -c %U /srv/again/registry.db /srv/again/root.key | sort -u)" = _grapevine-registry ]
}
check "root cannot restore for the service" back_again
inside rm -rf /root/copy /srv/again
check "the registry's root key is open to others" mode_of /var/lib/grapevine-registry/root.key "600 _grapevine-registry"
code_for() { # EMAIL
    inside grep -lri "^to:.*$1" /var/lib/grapevine-registry/mail | head -n 1 | while read -r mail; do
        inside sed -n 's/.*grapevine confirm \([^ ]*\).*/\1/p' "$mail" | tr -d '\r' | head -n 1
    done
}
has_code() { [ -n "$(code_for "$1")" ]; }
inside sh -c 'install -d -m 700 -o _grapevine -g _grapevine /srv/second && printf "[node]\ndata = /srv/second\nuser = _grapevine\nlisten = 127.2.0.1:4737\nbind = 127.2.0.1\nadvertise = 127.2.0.1:4737\n[network]\nregistry = http://127.0.0.1:4728\n[share]\nmode = yes\n" >/srv/second.conf'
inside systemd-run -q --unit=second /usr/sbin/grapevined --config /srv/second.conf
second() { inside grapevine --config /srv/second.conf "$@"; }
check "a second node is not in the network" wait_for 20 second network
check "a second node is not enrolled" second enroll --email admin@second.test --accept-terms
check "there is no mail for the second node" wait_for 10 has_code admin@second.test
check "the second node's code is not taken" second confirm "$(code_for admin@second.test)"

# ---- the registry's upgrade, reload, and port 443 ----------------------------------------------

registry_pid() { inside systemctl show -P MainPID grapevine-registry; }
registered() { inside grapevine-registry list --json --data /var/lib/grapevine-registry | jq -e 'select(.email == "admin@second.test")'; }
before=$(registry_pid)
check "a reload ends the registry" inside systemctl reload grapevine-registry
still_it() { answers && [ "$(registry_pid)" = "$before" ]; }
check "a reload makes another process of the registry" still_it
keys=$(inside sha256sum /var/lib/grapevine-registry/{root,registry,owner,email}.key /var/lib/grapevine-registry/{registry.conf,network.descriptor})
# As one of an earlier schema would have left it.
inside systemctl stop grapevine-registry
database=$machine/var/lib/grapevine-registry/registry.db
sqlite3 "$database" 'DROP TABLE leaving; DROP TABLE allowance; DROP TABLE domain_day; PRAGMA user_version = 4; PRAGMA application_id = 0; PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
check "apt does not upgrade the registry" inside apt-get install -y --no-install-recommends "/debs/$(basename "$registry")" </dev/null
check "the upgraded registry does not answer" wait_for 15 answers
newer_database() { [ "$(sqlite3 "$database" 'PRAGMA user_version')" -gt 4 ]; }
check "the registry's database has the old schema" newer_database
check "the upgrade lost who is enrolled" registered
same_keys() { [ "$(inside sha256sum /var/lib/grapevine-registry/{root,registry,owner,email}.key /var/lib/grapevine-registry/{registry.conf,network.descriptor})" = "$keys" ]; }
check "the upgrade changed keys, configuration or descriptor" same_keys
# As README.md says it: with the capability alone the user namespace keeps the port shut.
drop_in=/etc/systemd/system/grapevine-registry.service.d
port_443() { # [MORE LINES]
    inside sh -c "mkdir -p $drop_in && printf '[Service]\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n$1' >$drop_in/port.conf"
    inside systemctl daemon-reload && inside systemctl restart grapevine-registry && wait_for 5 inside curl -fsS http://127.0.0.1:443/v1/network -o /dev/null
}
inside sed -i 's/^listen = .*/listen = 127.0.0.1:4728, 127.0.0.1:443/' /var/lib/grapevine-registry/registry.conf
not_in_namespace() { ! port_443 ''; }
check "PrivateUsers=no is not needed for port 443" not_in_namespace
inside systemctl reset-failed grapevine-registry
check "the registry does not answer on port 443" port_443 'PrivateUsers=no\n'
inside sed -i 's/^listen = .*/listen = 127.0.0.1:4728/' /var/lib/grapevine-registry/registry.conf
inside rm -r $drop_in
inside systemctl daemon-reload && inside systemctl restart grapevine-registry
check "the registry is not back on its own port" wait_for 10 answers
# TLS as README.md says it: its command, now and at a renewal.
make_certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=registry $1" -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$machine/root/privkey.pem" -out "$machine/root/fullchain.pem" 2>/dev/null
}
copy_it() { inside env RENEWED_LINEAGE=/root sh -c "$(grep '^install -D -o _grapevine-registry ' "$root/README.md")"; }
answers_https() { inside curl -fsS --cacert /root/fullchain.pem https://127.0.0.1:4728/v1/network -o /dev/null; }
make_certificate one
check "README's command for the registry's certificate fails" copy_it
inside sed -i '/^listen = /a tls_certificate = tls/fullchain.pem\ntls_key = tls/privkey.pem' /var/lib/grapevine-registry/registry.conf
inside systemctl restart grapevine-registry
check "the registry does no https with the copies" wait_for 10 answers_https
before=$(registry_pid)
make_certificate two
check "README's command fails at a renewal" copy_it
check "a renewed certificate is not taken up" wait_for 25 answers_https
check "it took another process" test "$(registry_pid)" = "$before"
inside sed -i '/^tls_/d' /var/lib/grapevine-registry/registry.conf
inside systemctl restart grapevine-registry
check "the registry is not back without TLS" wait_for 10 answers

check "apt does not remove the registry" inside apt-get remove -y grapevine-registry
registry_gone() { ! answers && ! inside test -e /usr/sbin/grapevine-registry; }
check "the registry runs on after its removal" registry_gone
check "apt does not install the registry after a removal" inside apt-get install -y --no-install-recommends "/debs/$(basename "$registry")"
check "the registry is not up after it was installed again" wait_for 15 answers
check "a removal took keys, configuration or descriptor with it" test "$(inside sha256sum /var/lib/grapevine-registry/{root,registry,owner,email}.key /var/lib/grapevine-registry/network.descriptor)" = "$(grep -v registry.conf <<<"$keys")"
check "a removal took who is enrolled with it" registered

# ---- first steps: from nothing to the first peer, by the package and setup ---------------------

# With its folder as a mount point, which is emptied and stays.
inside systemctl stop grapevine
inside mount --bind /var/lib/grapevine /var/lib/grapevine
check "apt does not purge it" inside apt-get purge -y grapevine
check "the mount point is gone or not empty" test "$(inside find /var/lib/grapevine)" = /var/lib/grapevine
inside umount /var/lib/grapevine
inside rmdir /var/lib/grapevine
for i in 1 2 3 4 5 6; do
    inside logger -t dovecot -p mail.info "imap-login: Login: user=<ann>, method=PLAIN, rip=45.9.30.7, lip=192.0.2.1, mpid=$i, TLS, session=<l$i>"
done
inside sh -c 'mkdir -p /etc/fail2ban && printf "[DEFAULT]\nignoreip = 127.0.0.1/8 45.9.60.0/24\n" >/etc/fail2ban/jail.local'
began=$SECONDS
check "apt does not install it after a purge" inside apt-get install -y --no-install-recommends "/debs/$(basename "$older")"
check "the second user is not the same" inside chown -R _grapevine: /srv/second
set_up() { inside grapevine setup --non-interactive --json "$@" >"$scratch/setup" && cat "$scratch/setup"; }
check "setup does not ask for a code" set_up --registry http://127.0.0.1:4728 --email admin@first.test --accept-terms \
    --share yes --advertise 127.0.0.1:4727
check "setup did not import the journal" jq -e '.imported.logins == 6' "$scratch/setup"
check "there is no mail for it" wait_for 10 has_code admin@first.test
check "setup does not end with the code" set_up --code "$(code_for admin@first.test)"
check "setup does not end with a peer" jq -e '.enrolled and .peers >= 1' "$scratch/setup"
took=$((SECONDS - began))
echo "from installing the package to the first peer: $took s"
soon() { [ $took -lt 120 ]; }
check "from installing it to the first peer: $took s, not under 2 minutes" soon
check "what fail2ban ignores is not on the allow list" inside grep -q '^allow = 45.9.60.0/24' /etc/grapevine/grapevine.conf
untouched() { [ "$(inside cat /etc/fail2ban/jail.local)" = "$(printf '[DEFAULT]\nignoreip = 127.0.0.1/8 45.9.60.0/24')" ]; }
check "setup changed another program's configuration" untouched
doctor_fails_nothing() { ! inside grapevine doctor --json | jq -e '.findings[] | select(.level == "failure")'; }
check "the doctor finds a failure" doctor_fails_nothing
check "it is not confined" confined
fails_to_log_in 45.9.20.33
check "it does not see failures after setup" wait_for 10 seen 45.9.20.33
heard() { second ip --json 45.9.20.33 | jq -e '.verdict != "unknown"'; }
check "the other node does not hear of it" wait_for 30 heard

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
check "the helper cannot be reloaded" inside systemctl reload grapevine-firewall
check "a reload ends the helper" is_active grapevine-firewall
at_port() { inside nft list table inet grapevine | grep -qw "$1"; }
inside sed -i "\$a [firewall]\nports = 587, 2525" /etc/grapevine/grapevine.conf
check "other ports are not taken" inside systemctl reload grapevine
check "a reload of the node does not reach the helper" wait_for 10 at_port 2525
inside sed -i "\$d" /etc/grapevine/grapevine.conf
inside sed -i "\$d" /etc/grapevine/grapevine.conf
check "the former ports are not taken" inside systemctl reload grapevine
check "the former ports are not back" wait_for 10 at_port 993
check "the daemon has rights now" confined

# ---- upgrade ----------------------------------------------------------------------------------

inside systemctl stop grapevine
names_unit() { { inside grapevine status 2>&1 || true; } | grep -q "systemctl start grapevine"; }
check "who asks a daemon that is down is not told of its unit" names_unit
inside systemctl start grapevine
check "it is not up after a stop and a start" wait_for 15 status_of
id=$(instance) before=$(main_pid)
inside sed -i '1i; by the admin' /etc/grapevine/grapevine.conf
profile=/etc/ufw/applications.d/grapevine
# shellcheck disable=SC2016 # for dpkg-query
is_conffile() { inside dpkg-query -W -f='${Conffiles}' "$1" | grep -q "^ $2 "; }
check "the profile for ufw is no conffile" is_conffile grapevine $profile
check "the registry's profile for ufw is no conffile" is_conffile grapevine-registry $profile-registry
inside sed -i 's/^title=.*/title=by the admin/' $profile
inside grapevine deny 45.9.66.0/24 >/dev/null
for i in $(seq 60 79); do
    fails_to_log_in "45.9.20.$i"
    inside grapevine deny "45.9.67.$i" >/dev/null
done
all_seen() { for i in $(seq 60 79); do seen "45.9.20.$i" || return 1; done; }
all_heard() { for i in $(seq 60 79); do second ip --json "45.9.20.$i" | jq -e '.verdict != "unknown"' || return 1; done; }
check "twenty more are not seen" wait_for 20 all_seen
check "the other node has not heard of twenty more" wait_for 40 all_heard
count_all() { # what is stored of others, of this host and of what was said
    sqlite3 -separator ' ' "$1" "SELECT (SELECT count(*) FROM record WHERE substr(value, 1, 1) IN (x'01', x'02', x'81', x'82')),
        (SELECT count(*) FROM history), (SELECT count(*) FROM list), (SELECT count(*) FROM sent), (SELECT count(*) FROM ack)"
}
# As a release of the first schema would have left it.
inside systemctl stop grapevine
store=$machine/var/lib/grapevine/store.db
sqlite3 "$store" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
sqlite3 "$scratch/old.db" "ATTACH '$store' AS now" ".read $here/older_store.sql"
rm -f "$store-wal" "$store-shm" && cat "$scratch/old.db" >"$store"
held=$(count_all "$store")
# Signals, addresses and the admin's words of twenty hosts; and some of each.
some_of_each() { read -r records histories lists _ <<<"$held" && ((records >= 20 && histories >= 20 && lists >= 20)) && [[ " $held " != *" 0 "* ]] && [ "$(sqlite3 "$store" 'PRAGMA user_version')" = 1 ]; }
check "the old store does not hold some of each: $held" some_of_each
settings=$(inside cat $conf)
fails_to_log_in 45.9.20.44 # while it is down
check "apt does not upgrade it" inside apt-get install -y --no-install-recommends "/debs/$(basename "$node")" </dev/null
same_settings() { [ "$(inside cat $conf)" = "$settings" ] && inside grep -q '^enforce = nftables' $conf && ! inside grep -qx '; older' /usr/share/grapevine/grapevine.conf; }
check "the upgrade touched what setup and the admin have written" same_settings
check "the upgrade touched a conffile that the admin has changed" inside grep -qx 'title=by the admin' $profile
check "the upgraded daemon is not up" wait_for 15 restarted
same_instance() { [ ${#id} -eq 32 ] && [ "$(instance)" = "$id" ]; }
check "the upgrade made another instance of it" same_instance
check "the upgrade lost what was seen" wait_for 5 seen 45.9.20.33
check "the upgrade lost what was logged meanwhile" wait_for 10 seen 45.9.20.44
inside systemctl stop grapevine
cp "$store" "$scratch/new.db" && { [ ! -e "$store-wal" ] || cp "$store-wal" "$scratch/new.db-wal"; }
newer_schema() { [ "$(sqlite3 "$scratch/new.db" 'PRAGMA user_version')" -gt 1 ]; }
check "the store has the old schema" newer_schema
nothing_lost() { # signals, observations, the admin's word, what was sent and who had it
    sqlite3 "$scratch/new.db" "ATTACH '$scratch/old.db' AS old" \
        "SELECT (SELECT count(*) FROM old.record WHERE substr(value, 1, 1) IN (x'01', x'02', x'81', x'82')
                 AND key NOT IN (SELECT key FROM record))
              + (SELECT count(*) FROM old.history WHERE key NOT IN (SELECT key FROM history))
              + (SELECT count(*) FROM old.list WHERE key NOT IN (SELECT key FROM list))
              + (SELECT count(*) FROM old.sent WHERE key NOT IN (SELECT key FROM sent))
              + (SELECT count(*) FROM old.ack WHERE key NOT IN (SELECT key FROM ack))" | grep -x 0
}
check "the upgrade lost rows (it held $held)" nothing_lost
echo "upgraded from schema 1 to $(sqlite3 "$scratch/new.db" 'PRAGMA user_version'): records, history, lists, sent, acknowledged: $held"
inside systemctl start grapevine
check "it is not up again" wait_for 15 is_active grapevine.service
denied() { inside grapevine deny | grep -q 45.9.66.0/24; }
check "the upgrade lost the admin's list" wait_for 5 denied
has_peer() { [ "$(status_of | jq .mesh.peers)" -ge 1 ]; }
check "the upgraded node finds no peer" wait_for 60 has_peer
check "the upgrade lost the admin's configuration" inside grep -q '^; by the admin' /etc/grapevine/grapevine.conf
inside systemctl disable -q grapevine
check "apt does not install it again" inside apt-get install -y --reinstall "/debs/$(basename "$node")"
disabled() { [ "$(inside systemctl is-enabled grapevine)" = disabled ]; }
check "an installation enabled what the admin had disabled" disabled
inside systemctl enable -q grapevine

inside systemctl stop second
inside rm -rf /srv/second /srv/second.conf /etc/fail2ban

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
check "the firewall's helper, which is enabled, did not come back" wait_for 15 is_active grapevine-firewall
check "it came back without what was seen" wait_for 5 seen 45.9.20.33

# ---- purge ------------------------------------------------------------------------------------

check "apt does not purge them" inside apt-get purge -y grapevine grapevine-registry
check "something of it is left" no_trace
find_traces

echo "package: $((checks - failures)) of $checks checks passed"
[ $failures -eq 0 ]
