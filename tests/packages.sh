#!/usr/bin/env bash
# Installs the Debian packages that are missing: `packages.sh build` what the programs are built
# with, `packages.sh test` also what the tests want, `packages.sh full` what `tests/run.sh --full`
# wants (compilers for other machines, what benchmarks compare with). Asks for nothing when nothing is missing.
# `packages.sh build --list` only names them.
set -euo pipefail

build=(build-essential cmake pkg-config re2c file
    libuv1-dev libsodium-dev libmsgpack-dev libsqlite3-dev libcurl4-openssl-dev
    libmicrohttpd-dev libjansson-dev libinih-dev libsmartcols-dev libsystemd-dev zlib1g-dev
    libnftables-dev libmnl-dev libpq-dev libgnutls28-dev nettle-dev libjs-chart.js)
test=(libcmocka-dev libldns-dev clang llvm libclang-rt-14-dev sqlite3 curl jq python3 python3-jsonschema
    nodejs tzdata iproute2 procps shellcheck systemd-journal-remote rsyslog pflogsumm man-db
    bsdextrautils lintian systemd-container bind9-dnsutils nftables debootstrap swaks libnet-ssleay-perl
    libdigest-hmac-perl openssl postgresql-15 python3-aiosmtpd chromium libopenmpi-dev openmpi-bin)
full=(qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross
    wrk dnsperf rbldnsd serf python3-msgpack)

case "${1:-build}" in
build) wanted=("${build[@]}") ;;
test) wanted=("${build[@]}" "${test[@]}") ;;
full) wanted=("${build[@]}" "${test[@]}" "${full[@]}") ;;
*)
    echo "packages.sh: '$1': say build, test or full" >&2
    exit 64
    ;;
esac

if [ "${2:-}" = --list ]; then
    printf '%s\n' "${wanted[@]}"
    exit 0
fi
missing=()
for package in "${wanted[@]}"; do
    # A node that came some other way than by its package is as good.
    if [ "$package" = nodejs ] && command -v node >/dev/null; then continue; fi
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "packages.sh: these packages are missing and need root to install: ${missing[*]}" >&2
        exit 77
    }
    sudo=(sudo)
fi
echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
