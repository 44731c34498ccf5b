#!/usr/bin/env bash
# Prints the folder of a Debian system with the packages of `root.sh NAME SUITE PACKAGE...`, made on
# first use and kept for later runs in GV_CACHE (~/.cache/grapevine-tests): nothing is installed on
# this machine, and nothing in there is started by its installation. GV_MIRROR: another mirror than
# debootstrap's. 77 when it cannot be made here.
set -euo pipefail
name=$1 suite=$2
shift 2
cache=${GV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/grapevine-tests}
# Other packages or a change of this script make another root.
key=$({ echo "$suite" "$@" && cat "${BASH_SOURCE[0]}"; } | sha256sum | cut -c1-12)
base=$cache/$suite-minbase
root=$cache/$name-$key

give_up() {
    echo "root.sh: $*" >&2
    exit 77
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -d "$root" ]; then
    [ "$(id -u)" -eq 0 ] || give_up "only root can make a system for the server"
    new=$(mktemp -d "$cache/new.XXXXXX")
    # In namespaces of their own, installation scripts leave neither processes nor mounts behind.
    alone=(unshare --mount --pid --fork --kill-child)
    trap 'rm -rf --one-file-system "$new"' EXIT
    if [ ! -d "$base" ]; then
        command -v debootstrap >/dev/null || give_up "debootstrap is not installed"
        mkdir "$new/base"
        "${alone[@]}" debootstrap --variant=minbase "$suite" "$new/base" ${GV_MIRROR:+"$GV_MIRROR"} \
            >"$cache/$suite.log" 2>&1 </dev/null ||
            give_up "debootstrap $suite failed: $(tail -n 2 "$cache/$suite.log" | tr '\n' ' ')"
        printf '#!/bin/sh\nexit 101\n' >"$new/base/usr/sbin/policy-rc.d"
        chmod 755 "$new/base/usr/sbin/policy-rc.d"
        echo force-unsafe-io >"$new/base/etc/dpkg/dpkg.cfg.d/unsafe-io"
        mv "$new/base" "$base"
    fi
    cp -a "$base" "$new/root"
    cp -L /etc/resolv.conf "$new/root/etc/resolv.conf"
    # shellcheck disable=SC2016 # the inner shell expands it
    "${alone[@]}" sh -ec 'mount --make-rprivate /; mount -t proc proc "$0/proc"
        root=$0
        export DEBIAN_FRONTEND=noninteractive LC_ALL=C
        chroot "$root" apt-get update -qq
        chroot "$root" apt-get install -y -qq --no-install-recommends "$@"
        chroot "$root" apt-get clean' "$new/root" "$@" >"$cache/$name.log" 2>&1 </dev/null ||
        give_up "the packages $* could not be installed: $(tail -n 2 "$cache/$name.log" | tr '\n' ' ')"
    rm -rf --one-file-system "$cache/$name"-????????????
    mv "$new/root" "$root"
fi
echo "$root"
