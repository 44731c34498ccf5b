#!/usr/bin/env bash
# Reading a mail log: `grapevine observe` against fail2ban's filters and sshguard's parser, on the
# same generated log of 1,000,000 lines, in the same run. CPU seconds and peak memory. A peer that
# is not installed is left out, and said so. OBSERVE_LINES shortens the log; the generator is taken
# from ../shared/bench.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${GV_BIN:-build/bin}
lines=${OBSERVE_LINES:-1000000}
generator=../shared/bench/gen_maillog.py
[ -x "$bin/grapevine" ] || {
    echo "observe.sh: build first: cmake -S . -B build && cmake --build build" >&2
    exit 69
}
[ -r "$generator" ] || {
    echo "observe.sh: SKIPPED: $generator is not there"
    exit 77
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 "$generator" "$lines" >"$scratch/log" 2>"$scratch/truth"
echo "truth: $(cat "$scratch/truth")"

measure() { # NAME LINES COMMAND...: prints and keeps the median CPU seconds of three runs
    local name=$1 count=$2
    shift 2
    for _ in 1 2 3; do
        bash -c 'TIMEFORMAT="%U %S"; time "$@" >"$0" 2>"$0.err"' "$scratch/out" "$@" 2>"$scratch/time"
        awk '{print $1 + $2}' "$scratch/time"
    done | sort -n | sed -n 2p >"$scratch/$name"
    awk -v n="$name" -v l="$count" '{printf "%-14s %8.2f CPU s, %.2f M lines per CPU second\n", n, $1, l / $1 / 1e6}' "$scratch/$name"
}
measure summary "$lines" "$bin/grapevine" observe "$scratch/log"
measure counters "$lines" "$bin/grapevine" observe --counters "$scratch/log"
measure json "$lines" "$bin/grapevine" observe --json "$scratch/log"
echo "found: $(grep -c '"mta":"postfix"' "$scratch/out") postfix, $(grep -c '"mta":"dovecot"' "$scratch/out") dovecot failures"
memory() { # COMMAND...: its peak in kB
    python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"
}
awk -v n="$lines" 'BEGIN { for (i = 0; i < n; i++) printf "Nov %2d %02d:%02d:%02d mx postfix/smtpd[%d]: warning: unknown[%d.%d.%d.%d]: SASL LOGIN authentication failed: x\n", 1 + i / 86400, i / 3600 % 24, i / 60 % 60, i % 60, i, 60 + i / 16777216, i / 65536 % 256, i / 256 % 256, i % 256 }' >"$scratch/distinct"
for log in log distinct; do
    peak=$(memory "$bin/grapevine" observe "$scratch/$log")
    echo "memory: $peak kB at most, of 16384, on $log"
    [ "$peak" -le 16384 ] || exit 1
done
rm "$scratch/distinct"
peer=
sshguard=
for parser in /usr/lib/*/sshg-parser /usr/libexec/sshguard/sshg-parser; do
    [ -x "$parser" ] && sshguard=$parser
done
if [ -n "$sshguard" ]; then
    measure sshguard "$lines" bash -c "'$sshguard' <'$scratch/log'"
    peer=sshguard
else
    echo "sshguard: not installed, left out"
fi
if command -v fail2ban-regex >/dev/null; then
    head -n 50000 "$scratch/log" >"$scratch/part" # 55 CPU s a million: a twentieth is measured
    measure fail2ban_part 50000 bash -c "fail2ban-regex '$scratch/part' 'postfix[mode=auth]' && fail2ban-regex '$scratch/part' dovecot"
    awk -v l="$lines" '{print $1 * l / 50000}' "$scratch/fail2ban_part" >"$scratch/fail2ban"
    peer=fail2ban
else
    echo "fail2ban: not installed, left out"
fi
[ -n "$peer" ] || exit 0
awk -v l="$lines" -v p="$(cat "$scratch/$peer")" -v name="$peer" \
    '{printf "observe: ours %.0f, peer %.0f lines per CPU second (%s), ratio %.1f\n", l / $1, l / p, name, p / $1}' "$scratch/summary"
