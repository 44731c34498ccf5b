#!/usr/bin/env bash
# dovecot.sh with Dovecot 2.4 from Debian 13. Making that takes minutes, a mirror and root, once:
# `GV_MAKE_ROOT=yes tests/e2e/dovecot24.sh` does, and so tests/run.sh --full. Without it, this runs where
# one was made before.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${GV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/grapevine-tests}
[ "${GV_MAKE_ROOT:-no}" = yes ] || compgen -G "$cache/trixie-????????????" >/dev/null || {
    echo "dovecot24.sh: SKIPPED: Dovecot 2.4 is not tried, there is no Debian 13 here yet. To have it, as root:"
    echo "    GV_MAKE_ROOT=yes tests/e2e/dovecot24.sh    # or tests/run.sh --full; needs debootstrap and a mirror"
    exit 77
}
exec bash "$here/dovecot.sh" 2.4
