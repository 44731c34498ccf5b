#!/usr/bin/env bash
# look.sh ROOT SCRATCH: `grapevine investigate` on the real Exim that runs in ROOT, on its queue and its log:
# who sends, what waits, what is frozen; a sender that pretends to be a size. Part of inside.sh.
set -uo pipefail
root=$1 scratch=$2
grapevine=${GV_BIN:?}/grapevine
failures=0
fail() {
    echo "look: FAILED: $*"
    failures=$((failures + 1))
}
exim() { chroot "$root" /usr/sbin/exim4 "$@"; }
mkdir "$scratch/look" "$scratch/look/bin"
printf '#!/bin/sh\nexec chroot %q /usr/sbin/exim4 "$@"\n' "$root" >"$scratch/look/bin/exim4"
chmod +x "$scratch/look/bin/exim4"
log=$root/var/log/exim4/mainlog
[ -s "$log" ] || log=$root/var/log/mail.iso.log
printf '[node]\ndata = %s\n[log]\ntimezone = UTC\n' "$scratch/look" >"$scratch/look/conf"
look() {
    PATH=$scratch/look/bin:$PATH timeout 60 "$grapevine" --config "$scratch/look/conf" investigate --pipe \
        --reason 'a test of it' "$@" 2>"$scratch/look/err"
}
letter() { # SENDER RECIPIENT...
    printf 'Subject: P=z S=88888888 => c@lie.test\n\n%01000d\n' 0 | exim -odq -f "$1" -- "${@:2}"
}

for _ in 1 2 3; do letter heavy@mx.test a@mx.test b@mx.test c@mx.test; done
letter '"x H=y P=z S=99999999"@evil.test' a@mx.test
letter stuck@mx.test nobody@gone.test
letter '<>' a@mx.test
exim -Mf "$(exim -bp | sed -n 's/^.* \([^ ]*-[^ ]*-[^ ]*\) <stuck@mx.test>.*/\1/p')" >/dev/null || fail "nothing to freeze"
exim -bp >"$scratch/out/exim-queue.txt"
messages=$(grep -c '<' "$scratch/out/exim-queue.txt")

out=$(look queue) || fail "queue: $(cat "$scratch/look/err")"
echo "$out" >"$scratch/out/look-queue.txt"
grep -Eq '^ +3 +9 +20.* heavy@mx.test$' <<<"$out" || fail "who waits: $out"
grep -Eq '^ +1 +1 +20.* stuck@mx.test$' <<<"$out" || fail "the frozen one: $out"
grep -Fq '"x H=y P=z S=99999999"@evil.test' <<<"$out" || fail "the quoted sender: $out"
grep -Eq '^ +1 .* gone.test$' <<<"$out" || fail "where it is to go: $out"
grep -Eq '^ +1 .* frozen:' <<<"$out" || fail "what is frozen: $out"
grep -q "^$messages lines read" <<<"$out" || fail "of $messages messages: $(tail -n 1 <<<"$out")"
grep -q 'left out' <<<"$out" && fail "lines of the queue that were not understood: $(tail -n 1 <<<"$out")"

# Delivered: now the log names their recipients.
exim -qff
out=$(look top-senders "$log") || fail "top-senders: $(cat "$scratch/look/err")"
echo "$out" >"$scratch/out/look-senders.txt"
grep -Eq '^ +9 +3 +3 +[34] +20.* heavy@mx.test$' <<<"$out" || fail "the heaviest: $out"
grep -Eq '^ +1 +1 +1 +1 +20.* "x H=y P=z S=99999999"@evil.test$' <<<"$out" || fail "a size that a sender wrote: $out"
grep -Eq '^ +[0-9]+ +[0-9]+ .* alice@mx.test$' <<<"$out" || fail "who logged in to send: $out"
grep -Eq ' [0-9]{4,} +20' <<<"$out" && fail "a size that nobody sent: $out"
((failures == 0)) && echo "look: Exim $(exim -bV | sed -n 's/^Exim version \([^ ]*\).*/\1/p'): its queue ($messages messages) and log are read right"
exit $((failures != 0))
