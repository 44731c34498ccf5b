#!/usr/bin/env bash
# dovecot.sh with Dovecot 2.4, where a Debian 13 with it was made before (tests/genuine/run.sh does, of
# tests/run.sh --full): making one takes minutes and a mirror.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${GV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/grapevine-tests}
compgen -G "$cache/trixie-????????????" >/dev/null || {
    echo "dovecot24.sh: SKIPPED: no Debian 13 here yet; tests/genuine/run.sh trixie makes one, as root"
    exit 77
}
exec bash "$here/dovecot.sh" 2.4
