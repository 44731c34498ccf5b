#!/usr/bin/env bash
# Postfix 3.10 and Dovecot 2.4 of Debian 13.
# shellcheck disable=SC2034 # postfix.sh takes it
suite=trixie
# shellcheck source=SCRIPTDIR/postfix.sh
. "$(dirname "${BASH_SOURCE[0]}")/postfix.sh"
