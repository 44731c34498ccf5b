#!/usr/bin/env bash
# What README.md tells a newcomer to copy works as it stands: the example configuration is valid, the
# programs and scripts that it names are there, and the registry's commands run.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${GV_BIN:-build/bin}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "readme: $*" >&2
    exit 1
}

awk '/^```/ {inside = !inside; next} inside && /^; \/etc\/grapevine\/grapevine.conf/ {found = 1} inside && found {print} !inside && found {exit}' \
    README.md >"$scratch/grapevine.conf"
[ "$(wc -l <"$scratch/grapevine.conf")" -gt 10 ] || fail "the example configuration is not found"
sed -i "s|^data = .*|data = $scratch/node|" "$scratch/grapevine.conf"
"$bin/grapevined" --config "$scratch/grapevine.conf" --check-config || fail "the example configuration is not valid"

grep -oE '(tests|node)/[a-z/_]+\.sh' README.md | sort -u | while read -r script; do
    [ -r "$script" ] || fail "$script is not there"
done

awk '/^```/ {inside = !inside} inside && /^grapevine-registry init/ {go = 1} go {print} go && !/\\$/ {exit}' README.md |
    sed "s|/var/lib/grapevine-registry|$scratch/registry|; s|^grapevine-registry|$bin/grapevine-registry|" >"$scratch/init.sh"
bash "$scratch/init.sh" >"$scratch/init.out" || fail "the registry's init does not run as it is written"
"$bin/grapevine-registry" list --config "$scratch/registry/registry.conf" >/dev/null || fail "list does not run"
"$bin/grapevine-registry" --config "$scratch/registry/registry.conf" --check >/dev/null || fail "the registry's config is not valid"
# Each piece of a configuration, pasted as it stands; what it takes for granted stands before it.
awk -v folder="$scratch" '/^```/ {inside = !inside; name = folder "/piece" ++n; next} inside {print >name}' README.md
pieces=0
for piece in "$scratch"/piece*; do
    missing() { grep -q "$1" "$piece" || printf '%b\n' "$2"; }
    case $(grep -m 1 '^\[' "$piece" || true) in
    '[policy]' | '[hooks]' | '[firewall]')
        {
            printf '[node]\ndata = %s/node\n' "$scratch"
            missing '^\[http\]' '[http]\nlisten = 127.0.0.1:4729'
            missing '^\[dnsbl\]' '[dnsbl]\nlisten = 127.0.0.1:4753'
            cat "$piece"
        } >"$scratch/pasted.conf"
        "$bin/grapevined" --config "$scratch/pasted.conf" --check-config || fail "not valid as it stands: $(<"$piece")"
        pieces=$((pieces + 1))
        ;;
    '[registry]' | '[mail]')
        {
            printf '[registry]\ndata = %s/registry\n' "$scratch"
            missing '^url' "[mail]\nurl = file:$scratch/mail"
            cat "$piece"
        } >"$scratch/pasted.conf"
        "$bin/grapevine-registry" --config "$scratch/pasted.conf" --check >/dev/null || fail "not valid as it stands: $(<"$piece")"
        pieces=$((pieces + 1))
        ;;
    esac
done
[ $pieces -ge 6 ] || fail "$pieces pieces of a configuration are found"
"$bin/grapevine" observe tests/maillog/genuine.log >/dev/null || fail "observe does not run"
"$bin/grapevine-sim" run --nodes 5 --hours 0.1 --seed 7 --json - >/dev/null 2>&1 || fail "the simulation does not run"
echo "readme: all as it says"
