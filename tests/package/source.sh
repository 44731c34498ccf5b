#!/usr/bin/env bash
# As a newcomer does it by README.md: on a Debian that has what `tests/packages.sh build` installs and
# nothing more, the packages are built from this source, and installed. No network but for making that
# Debian once (../genuine/root.sh). Needs root. Exit status 77: skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

skip() {
    echo "source: SKIPPED: $*"
    exit 77
}
[ "$(id -u)" -eq 0 ] || skip "only root can make a system"
mapfile -t wanted < <(bash "$root/tests/packages.sh" build --list)
lower=$(bash "$here/../genuine/root.sh" source bookworm "${wanted[@]}" systemd ca-certificates) ||
    skip "no Debian could be made"
scratch=$(mktemp -d /tmp/gv-source.XXXXXX)
clean_up() {
    umount "$scratch/system" 2>/dev/null
    rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
mkdir "$scratch/upper" "$scratch/work" "$scratch/system"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$scratch/upper,workdir=$scratch/work" \
    "$scratch/system" || skip "no overlay can be mounted here"
mkdir "$scratch/system/root/grapevine"
(cd "$root" && git ls-files -z | tar c --null -T - --ignore-failed-read 2>/dev/null) |
    tar x -C "$scratch/system/root/grapevine"

# The lines of README.md between "## Install" and "## Enrol" that build and install.
commands=$(sed -n '/^## Install/,/^## Enrol/s/^\(cmake .*\|apt install .*\)$/\1/p' "$root/README.md" | sed 's/ *#.*//; s/^apt install/& -y --no-install-recommends/')
[ "$(wc -l <<<"$commands")" -eq 4 ] || {
    echo "source: README.md has other commands: $commands"
    exit 1
}
cat >"$scratch/system/root/go.sh" <<GO
set -ex
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive
cd /root/grapevine
$commands
test -s build/grapevine-registry_*.deb
grapevine --version
test -s /etc/grapevine/grapevine.conf
apt-get purge -y grapevine
test ! -e /etc/grapevine
GO
# shellcheck disable=SC2016 # for the shell inside
unshare --mount --net --pid --fork --kill-child sh -c \
    'mount -t proc proc "$0/proc" && exec chroot "$0" bash /root/go.sh' "$scratch/system" \
    >"$scratch/said" 2>&1 </dev/null || {
    tail -n 25 "$scratch/said"
    echo "source: README.md's way to the packages fails"
    exit 1
}
echo "source: packages built and installed as README.md says, on a Debian with ${#wanted[@]} packages more"
