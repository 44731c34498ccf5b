#!/usr/bin/env bash
# Reading a mail log: `grapevine observe` against fail2ban's filters and sshguard's parser, on the
# same generated log of 1,000,000 lines, in the same run. CPU seconds (medians of three) and peak
# memory. A peer that is not installed is taken out of its package, or left out, and said so; the last lines compare with each, the
# fastest last, and say whether the figures asked for were met. What was found is compared with what the generator wrote, line by line: a failure that
# is lost or invented ends the script with 1. Limits (5 M lines a CPU second in the summary, 2.5 M with
# --json, 16 MB) are said to be met or missed; a missed one makes the exit status 1 only with
# BENCH_STRICT=yes, as a busy machine may miss it.
# What a busy machine cannot change is how many instructions a line takes: counted where valgrind is installed.
# OBSERVE_LINES shortens the log; the generator is taken from ../shared/bench.
set -euo pipefail
# shellcheck source=tests/bench/generated.bash
. "$(dirname "${BASH_SOURCE[0]}")/generated.bash"
lines=${OBSERVE_LINES:-1000000}
needs "$bin/grapevine"
python3 "$generator" "$lines" >"$scratch/log" 2>"$scratch/truth"
echo "truth: $(cat "$scratch/truth")"

rate() { # NAME: lines per CPU second
    awk -v l="$lines" '{printf "%.0f", l / $1}' "$scratch/$1"
}
memory() { # COMMAND...: its peak in kB, or that of the python which starts it (about 10,000)
    python3 -ISc 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"
}
# NAME LINES COMMAND...: prints the median CPU seconds of three runs and the peak memory of a fourth,
# and keeps them in $scratch/NAME; what the last one printed is in $scratch/out.
measure() {
    local name=$1 count=$2 cpu
    shift 2
    cpu=$(for _ in 1 2 3; do
        bash -c 'TIMEFORMAT="%U %S"; time "$@" >"$0" 2>"$0.err"' "$scratch/out" "$@" 2>"$scratch/time"
        awk '{print $1 + $2}' "$scratch/time"
    done | sort -n | sed -n 2p)
    echo "$cpu $(memory "$@")" >"$scratch/$name"
    awk -v n="$name" -v l="$count" '{printf "%-14s %8.2f CPU s, %.3f M lines per CPU second, at most %d kB\n", n, $1, l / $1 / 1e6, $2}' "$scratch/$name"
}
measure summary "$lines" "$bin/grapevine" observe "$scratch/log"
measure counters "$lines" "$bin/grapevine" observe --counters "$scratch/log"
measure json "$lines" "$bin/grapevine" observe --json "$scratch/log"
# The truth by other means than ours: the two sentences that the generator writes, with their address.
check_found() {
    local name
    for name in postfix:postfix_sasl dovecot:dovecot; do
        local found wanted
        found=$(grep -c "\"mta\":\"${name%:*}\"" "$scratch/out" || true)
        wanted=$(sed -n "s/.*\"${name#*:}\": \([0-9]*\).*/\1/p" "$scratch/truth")
        echo "found: $found ${name%:*} failures of $wanted"
        [ "$found" = "$wanted" ] || return 1
    done
    sed -n 's/^{"line":\([0-9]*\),.*"ip":"\([^"]*\)".*/\1 \2/p' "$scratch/out" >"$scratch/found"
    awk '/ postfix\/.* authentication failed: / { match($0, /unknown\[[^]]*/)
            print NR, substr($0, RSTART + 8, RLENGTH - 8) }
        / dovecot: .*\(auth failed, / { match($0, / rip=[^,]*/)
            print NR, substr($0, RSTART + 5, RLENGTH - 5) }' "$scratch/log" >"$scratch/wanted"
    cmp "$scratch/found" "$scratch/wanted" || return 1
    echo "found: each at its line with its address, nothing lost, nothing invented"
}
check_found || {
    echo "observe.sh: what was found is not what is in the log" >&2
    exit 1
}
limit "lines per CPU second, summary" "$(rate summary)" 5000000 least
limit "lines per CPU second, json" "$(rate json)" 2500000 least
# Between a tenth of the log and twice as much, so that what the start costs is left out.
instructions() { # LINES: of `observe` on the first so many
    head -n "$1" "$scratch/log" >"$scratch/part"
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bin/grapevine" observe "$scratch/part" 2>&1 >/dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
if command -v valgrind >/dev/null; then
    less=$(instructions $((lines / 10)))
    limit "instructions a line, summary" $((($(instructions $((lines / 5))) - less) * 10 / lines)) 1200 most
else
    echo "instructions a line: valgrind is not installed, left out"
fi
awk -v n="$lines" 'BEGIN { for (i = 0; i < n; i++) printf "Nov %2d %02d:%02d:%02d mx postfix/smtpd[%d]: warning: unknown[%d.%d.%d.%d]: SASL LOGIN authentication failed: x\n", 1 + i / 86400, i / 3600 % 24, i / 60 % 60, i % 60, i, 60 + i / 16777216, i / 65536 % 256, i / 256 % 256, i % 256 }' >"$scratch/distinct"
measure distinct "$lines" "$bin/grapevine" observe "$scratch/distinct"
for name in summary counters json distinct; do
    limit "kB of memory, $name" "$(cut -d' ' -f2 "$scratch/$name")" 16384 most
done
rm "$scratch/distinct"
compare() { # PEER: as measured in $scratch/PEER
    awk -v l="$lines" -v p="$(cut -d' ' -f1 "$scratch/$1")" -v name="$1" \
        '{printf "observe: ours %.0f, peer %.0f lines per CPU second (%s), ratio %.1f\n", l / $1, l / p, name, p / $1}' "$scratch/summary"
}
# Installed, they would begin to ban: where they are not, the programs alone are taken out of their packages.
package=$scratch/package fail2ban=
from_debian() { # PACKAGE...: unpacked into $package
    mkdir -p "$package/deb"
    (cd "$package/deb" && timeout 60 apt-get download "$@" >/dev/null 2>&1) || true
    for deb in "$package"/deb/*.deb; do
        [ ! -f "$deb" ] || dpkg-deb -x "$deb" "$package"
    done
    if command -v fail2ban-regex >/dev/null; then
        fail2ban="fail2ban-regex"
    elif [ -x "$package/usr/bin/fail2ban-regex" ]; then
        fail2ban="PYTHONPATH='$package/usr/lib/python3/dist-packages' '$package/usr/bin/fail2ban-regex' -c '$package/etc/fail2ban'"
    fi
}
peers=()
from_debian fail2ban sshguard
sshguard=
for parser in /usr/lib/*/sshg-parser {,"$package"}/usr/libexec/sshguard/sshg-parser; do
    [ -x "$parser" ] && sshguard=$parser
done
if [ -n "$sshguard" ]; then
    measure sshguard "$lines" bash -c "'$sshguard' <'$scratch/log'"
    peers+=(sshguard)
else
    echo "sshguard: neither installed nor to be had, left out"
fi
if [ -n "$fail2ban" ]; then
    # 55 CPU s a million, so 50,000 are measured; what its start costs is taken off.
    head -n 50000 "$scratch/log" >"$scratch/part"
    head -n 1 "$scratch/log" >"$scratch/one"
    both="$fail2ban \"\$0\" 'postfix[mode=auth]'; $fail2ban \"\$0\" dovecot; true"
    measure fail2ban_start 1 bash -c "$both" "$scratch/one"
    part=$(wc -l <"$scratch/part")
    measure fail2ban_part "$part" bash -c "$both" "$scratch/part"
    awk -v l="$lines" -v part="$part" -v start="$(cut -d' ' -f1 "$scratch/fail2ban_start")" \
        '{print ($1 - start) * l / part, $2}' "$scratch/fail2ban_part" >"$scratch/fail2ban"
    peers+=(fail2ban)
else
    echo "fail2ban: neither installed nor to be had, left out"
fi
for peer in "${peers[@]}"; do
    echo "$(cut -d' ' -f1 "$scratch/$peer") $peer"
done | sort -rn | while read -r _ peer; do compare "$peer"; done
end
