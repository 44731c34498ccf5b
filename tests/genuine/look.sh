#!/usr/bin/env bash
# look.sh NAME ROOT SCRATCH: `grapevine investigate` on the queue and the log of the real Exim or Postfix that
# runs in ROOT: who sends, what waits and why; a sender that pretends to be a size. Part of inside.sh.
set -uo pipefail
name=$1 root=$2 scratch=$3
grapevine=${GV_BIN:?}/grapevine
failures=0
fail() {
    echo "look: FAILED: $*"
    failures=$((failures + 1))
}
mkdir "$scratch/look" "$scratch/look/bin"
give() { # PROGRAM: of the root, on the path
    printf '#!/bin/sh\nexec chroot %q %q "$@"\n' "$root" "$1" >"$scratch/look/bin/${1##*/}"
    chmod +x "$scratch/look/bin/${1##*/}"
}
PATH=$scratch/look/bin:$PATH
printf '[node]\ndata = %s\n[log]\ntimezone = UTC\n' "$scratch/look" >"$scratch/look/conf"
look() {
    timeout 60 "$grapevine" --config "$scratch/look/conf" investigate --pipe --reason 'a test of it' "$@" \
        2>"$scratch/look/err"
}
letter() { # SENDER RECIPIENT...
    printf 'Subject: P=z S=88888888 => c@lie.test\n\n%01000d\n' 0 | "${send[@]}" -f "$1" -- "${@:2}"
}
stuck() { chroot "$root" /usr/sbin/exim4 -bp | sed -n 's/^.* \([^ ]*-[^ ]*-[^ ]*\) <stuck@mx.test>.*/\1/p'; }

case $name in
exim*)
    give /usr/sbin/exim4
    send=(exim4 -odq)
    log=$root/var/log/exim4/mainlog
    liar='"x H=y P=z S=99999999"@evil.test' why='frozen:'
    ;;
*)
    give /usr/sbin/postqueue
    give /usr/sbin/sendmail
    send=(sendmail)
    log=$root/var/log/postfix.log
    liar='"x>, size=99999999, nrcpt=99 (queue active)"@evil.test' why='deferred transport'
    chroot "$root" postconf -e 'defer_transports = smtp, discard'
    chroot "$root" postfix reload 2>/dev/null
    ;;
esac
[ -s "$log" ] || log=$root/var/log/mail.iso.log

for _ in 1 2 3; do letter heavy@mx.test a@mx.test b@mx.test c@mx.test; done
letter "$liar" a@mx.test
letter stuck@mx.test nobody@gone.test
letter '<>' a@mx.test
swaks --server 192.0.2.25 --port 587 --tls --local-interface 192.0.2.201 --auth PLAIN --auth-user alice@mx.test \
    --auth-password correct --from other@mx.test --to a@far.test,b@far.test >"$scratch/look/swaks" 2>&1 ||
    fail "a login to send: $(tail -n 5 "$scratch/look/swaks")"
case $name in
exim*)
    exim4 -Mf "$(stuck)" >/dev/null || fail "nothing to freeze"
    messages=$(exim4 -bp | grep -c '<')
    ;;
*)
    for _ in {1..200}; do # until all were tried once
        messages=$(postqueue -j | wc -l)
        (($(postqueue -j | grep -c "$why") < messages || messages < 7)) || break
        sleep 0.1
    done
    ;;
esac

out=$(look queue) || fail "queue: $(cat "$scratch/look/err")"
grep -Eq '^ +3 +9 +20.* heavy@mx.test$' <<<"$out" || fail "who waits: $out"
grep -Eq '^ +1 +1 +20.* stuck@mx.test$' <<<"$out" || fail "the frozen one: $out"
grep -Fq "$liar" <<<"$out" || fail "the quoted sender: $out"
grep -Eq '^ +1 .* gone.test$' <<<"$out" || fail "where it is to go: $out"
grep -Eq "^ +[0-9]+ .* $why" <<<"$out" || fail "why it waits: $out"
grep -q "^$messages lines read" <<<"$out" || fail "of $messages messages: $(tail -n 1 <<<"$out")"
grep -q 'left out' <<<"$out" && fail "lines of the queue that were not understood: $(tail -n 1 <<<"$out")"

[[ $name != exim* ]] || exim4 -qff # delivered: now the log names their recipients
out=$(look top-senders "$log") || fail "top-senders: $(cat "$scratch/look/err")"
grep -Eq '^ +9 +3 +3 +[34] +20.* heavy@mx.test$' <<<"$out" || fail "the heaviest: $out"
grep -E '^ +1 +1 +1 +1 +20' <<<"$out" | grep -Fq " $liar" || fail "a size that a sender wrote: $out"
grep -Eq '^ +[2-9][0-9]* +[0-9]+ .* alice@mx.test$' <<<"$out" || fail "who logged in to send: $out"
grep -Eq ' [0-9]{4,} +20' <<<"$out" && fail "a size that nobody sent: $out"
((failures == 0)) && echo "look: $name: its queue ($messages messages) and log are read right"
exit $((failures != 0))
