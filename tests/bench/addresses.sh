#!/usr/bin/env bash
# A million distinct addresses in a log that the daemon follows, with the default caps: what its
# memory grows to (VmHWM), and that the one who fails again and again is not forgotten. As
# tests/e2e/addresses.sh, which the ordinary tests run with fewer. The limit is 72 MB over the start: 200,000
# subjects at about 250 bytes each, and 20 MB.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ADDRESSES=${ADDRESSES:-1000000} HISTORY=200000 MOST=73728 exec bash "$here/../e2e/addresses.sh"
