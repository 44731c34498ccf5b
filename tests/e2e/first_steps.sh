#!/usr/bin/env bash
# `grapevine setup` all the way: by its questions in a real terminal, and without any, against a real
# registry and a node that is there already. Ctrl-C at a question leaves everything as it was.
# shellcheck disable=SC2317,SC2016 # functions that are called by name; code for another shell
set -uo pipefail
NODES=1
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs python3 jq curl
here=$(cd "$(dirname "$0")" && pwd)
find_port 16200
make_registry steps
printf 'The terms.\n\033]0;owned\007\033[31mIn red.\nEnd of the terms.\n' >"$scratch/registry/terms.txt"
start_registry
start_mesh

# A host: programs that say what their configuration holds, and a log with its older generations.
mkdir "$scratch/host" "$scratch/log"
cat >"$scratch/host/postconf" <<'SH'
#!/bin/sh
[ "$2" != mynetworks ] || echo "127.0.0.0/8 [::1]/128 45.9.20.0/24 !45.9.20.9 hash:/etc/postfix/nets"
SH
cat >"$scratch/host/doveconf" <<'SH'
#!/bin/sh
[ "$2" != login_trusted_networks ] || echo "45.9.21.5"
SH
chmod +x "$scratch"/host/*
export PATH="$scratch/host:$PATH"
login() { # SECONDS AGO
    printf '%s mail dovecot: imap-login: Login: user=<ann>, method=PLAIN, rip=45.9.30.7, lip=192.0.2.1, mpid=7, TLS, session=<s%s>\n' \
        "$(date -u -d "$1 seconds ago" +%Y-%m-%dT%H:%M:%S)+00:00" "$1"
}
failure() { # SECONDS AGO
    printf '%s mail dovecot: imap-login: Disconnected (auth failed, 3 attempts in 2 secs): user=<u>, method=PLAIN, rip=45.9.40.8, lip=192.0.2.1, session=<f%s>\n' \
        "$(date -u -d "$1 seconds ago" +%Y-%m-%dT%H:%M:%S)+00:00" "$1"
}
for day in 9 8 7 6 5; do login $((day * 86400)); done | gzip >"$scratch/log/mail.log.2.gz"
for day in 4 3 2; do login $((day * 86400)); done >"$scratch/log/mail.log.1"
{ failure 200000 && login 7200 && failure 3600 && failure 60; } >"$scratch/log/mail.log"

host_conf() { # N: as an admin may have left it
    cat >"$(conf "$1")" <<CONF
# mine: do not lose this
[node]
data = $scratch/node$1
$([[ $EUID != 0 ]] || echo "user = root")
listen = 127.$1.0.1:$port      ; the second address
bind = 127.$1.0.1

[share]
; preview at first
mode = preview

[log]
;file = /var/log/mail.log

[policy]
allow = 45.9.50.1,
    45.9.50.2
CONF
    chmod 640 "$(conf "$1")"
}
start_it() { printf '%q --config %q >>%q 2>&1 & echo $! >>%q; wait' "$bin/grapevined" "$(conf "$1")" "$scratch/node$1.log" "$scratch/started"; }
code_of() { printf 'for i in $(seq 100); do f=$(grep -lri "^to:.*%s" %q | head -n 1); [ -z "$f" ] || break; sleep 0.1; done; sed -n "s/.*grapevine confirm \\\\([^ ]*\\\\).*/\\\\1/p" "$f" | tr -d "\\\\r" | head -n 1' "$1" "$scratch/mail"; }
walk() { # N SCRIPT [OPTIONS]
    python3 "$here/first_steps.py" "$bin/grapevine" "$(conf "$1")" "$2" "${@:3}" >"$scratch/shown" 2>&1
}
stop_started() { # what setup was told to have started
    local pid
    [[ ! -e $scratch/started ]] || for pid in $(<"$scratch/started"); do kill "$pid" 2>/dev/null; done
}
trap 'stop_started; clean_up' EXIT

# ---- by questions -----------------------------------------------------------------------------

host_conf 2
cp -p "$(conf 2)" "$scratch/before"
{
    printf 'Which one do you join?\thttp://127.0.0.1:1\n'
    printf 'Which one do you join?\t%s\n' "$registry_url"
    printf 'Mail log to follow\t%s\n' "$scratch/log/mail.log"
    printf 'Put them on the allow list\ty\n'
    printf 'Dovecot is here\ty\n'
    printf 'Postfix is here\tn\n'
    command -v nft >/dev/null && printf 'nftables is here\tn\n'
    printf 'Send this host\tmaybe\n'
    printf 'Send this host\tyes\n'
    printf 'Do you accept the terms?\ty\n'
    printf 'Your email address\tstepping@owner2.test\n'
    printf 'Go on?\ty\n'
    printf 'grapevined --config\t& %s\n' "$(start_it 2)"
    printf 'The code from the mail\tAAAAA-AAAAA\n'
    printf 'The code from the mail\t$ %s\n' "$(code_of 'stepping@owner2.test')"
    printf 'Print them now?\ty\n'
} >"$scratch/script"
sed -i "s|^Mail log to follow|mail log|I; s|^mail log|og|" "$scratch/script" # found or not, it asks

# Ctrl-C at the first question, at the terms, and at the last before anything is to change.
for n in 1 $(grep -nE '^(Do you accept|Go on)' "$scratch/script" | cut -d: -f1); do
    { head -n $((n - 1)) "$scratch/script" && sed -n "${n}s/\t.*/\t^C/p" "$scratch/script"; } >"$scratch/cut"
    walk 2 "$scratch/cut"
    [[ $? == 130 ]] || fail "Ctrl-C at question $n: another status"
    grep -q 'Nothing was changed' "$scratch/shown" || fail "Ctrl-C at question $n: not said that nothing changed"
    cmp -s "$(conf 2)" "$scratch/before" || fail "Ctrl-C at question $n: the configuration is another"
    [[ ! -e $scratch/node2 ]] || fail "Ctrl-C at question $n: a data folder"
done
! has_mail 2 || fail "a mail was sent before the answer"

walk 2 "$scratch/script" --wait 60 || { fail "setup ended with $?" && tail -n 40 "$scratch/shown"; }
shown() { grep -qE -- "$1" "$scratch/shown" || fail "not shown: $1"; }
shown '^  network   steps \(a lab'
shown '45.9.20.0/24 .*mynetworks of Postfix'
shown '45.9.21.5 .*login_trusted_networks'
shown '!45.9.20.9 .*exclusion'
shown 'End of the terms'
shown 'legitimate interest'
shown '^  \+ mode = yes'
shown '^  - mode = preview'
shown '^  dovecot +6$' # of the last day: not what is older in the same log
shown '9 logins of 12 lines in 3 logs'
shown 'This node is enrolled'
shown '^auth_policy_server_url = http://127.0.0.1:4729|restart grapevined'
! grep -q $'\033' "$scratch/shown" || fail "an escape sequence reached the terminal"
expected=$(sed -e 's/^mode = preview/mode = yes/' -e "s|^;file = .*|&\nfile = $scratch/log/mail.log|" \
    -e 's|^    45.9.50.2|&\nallow = 45.9.20.0/24, 45.9.21.5|' "$scratch/before" && printf '\n[http]\nlisten = 127.0.0.1:4729\n')
diff <(echo "$expected") "$(conf 2)" || fail "the configuration is not what was asked for"
[[ $(stat -c %a "$(conf 2)") == 640 ]] || fail "the configuration has another mode"
wait_for 20 "peers of node 2" has_peers 2 1
[[ $(status_of 2 share) == yes ]] || fail "node 2 does not share"
[[ $(ask 2 ip --json 45.9.30.7 | jq -r '.local.clean // .history.clean // empty' | head -n 1) != "" ]] || fail "the imported logins give no clean history"
ask 2 doctor >"$scratch/shown"
! grep -q 'never to be held back' "$scratch/shown" || fail "what was put on the list is missed there: $(grep 'held back' "$scratch/shown")"

# What was changed and not read again is named, and only then.
! grep -q 'runs with another value' "$scratch/shown" || fail "nothing was changed: $(cat "$scratch/shown")"
sed -i 's/^mode = yes/mode = preview/' "$(conf 2)"
ask 2 doctor | grep -q 'runs with another value of \[share\] mode' || fail "doctor misses a changed configuration: $(ask 2 doctor)"
ask 2 reload >/dev/null
! ask 2 doctor | grep -q 'runs with another value' || fail "it was read: $(ask 2 doctor)"
sed -i 's/^mode = preview/mode = yes/' "$(conf 2)"
ask 2 reload >/dev/null

# What was read and waits for the next start is named for as long as it waits, however often it is read.
cp "$(conf 2)" "$scratch/before"
printf '[limits]\nstatements = 12345\n' >>"$(conf 2)"
ask 2 reload >/dev/null
ask 2 reload | grep -q '\[limits\] statements takes effect at the next start' || fail "reload does not say what waits"
ask 2 doctor | grep -q 'new value of \[limits\] statements' || fail "doctor misses what waits for a start: $(ask 2 doctor)"
cp "$scratch/before" "$(conf 2)"
ask 2 reload >/dev/null
! ask 2 doctor | grep -q 'next start' || fail "it is as it was at the start: $(ask 2 doctor)"

# And again: it knows what is done, and changes nothing.
cp "$(conf 2)" "$scratch/before"
{
    printf 'og to follow\t\n'
    printf 'Dovecot is here\ty\nPostfix is here\tn\n'
    command -v nft >/dev/null && printf 'nftables is here\tn\n'
    printf 'Go on?\ty\n'
    printf 'Print them now?\tn\n'
} >"$scratch/script"
walk 2 "$scratch/script" || fail "the second run ended with $?"
shown 'in the network "steps" already, and enrolled'
shown 'nothing: it says so already'
cmp "$(conf 2)" "$scratch/before" || fail "the second run changed the configuration"

# ---- without questions ------------------------------------------------------------------------

host_conf 3
"$bin/grapevined" --config "$(conf 3)" >>"$scratch/node3.log" 2>&1 &
pids+=($!)
wait_for 10 "node 3" answers 3
quiet() { ask 3 setup --non-interactive "$@" </dev/null >"$scratch/shown" 2>"$scratch/errors"; }
quiet --json
status=$?
said() { [[ $status == "$1" ]] && grep -q -- "$2" "$scratch/errors"; }
said 64 '--registry URL' || fail "without a network: $(<"$scratch/errors")"
cp "$(conf 3)" "$scratch/before"
quiet --registry "$registry_url" --log "$scratch/log/mial.log" --email steps@owner3.test --accept-terms
status=$?
said 66 'mial.log: No such file' || fail "a log that is not there: $(<"$scratch/errors")"
cmp -s "$(conf 3)" "$scratch/before" || fail "it went into the configuration"
quiet --registry "$registry_url" --log "$scratch/log/mail.log" --email steps@owner3.test
status=$?
said 64 '--accept-terms' || fail "without consent: $(<"$scratch/errors")"
quiet --descriptor "$scratch/registry/network.descriptor" --log "$scratch/log/mail.log" --email steps@owner3.test \
    --accept-terms --share yes --hooks no --allow 45.9.60.0/24 --dry-run || fail "a dry run: $(<"$scratch/errors")"
shown '^  \+ allow = 45.9.60.0/24'
! grep -q 45.9.60 "$(conf 3)" || fail "a dry run changed the configuration"
! in_network 3 || fail "a dry run joined a network"
# The journal is read from its first entry, too.
logins=9 journal=()
remote=/usr/lib/systemd/systemd-journal-remote
if [[ -x $remote ]]; then
    mkdir "$scratch/journal"
    for i in 1 2; do
        printf '__REALTIME_TIMESTAMP=%s000000\n_HOSTNAME=mail\nSYSLOG_IDENTIFIER=dovecot\n_PID=7\n_UID=0\nSYSLOG_FACILITY=2\nMESSAGE=%s\n\n' \
            $(($(date +%s) - i * 86400)) "imap-login: Login: user=<bob>, method=PLAIN, rip=45.9.31.7, lip=192.0.2.1, mpid=$i, TLS, session=<j$i>"
    done | "$remote" -o "$scratch/journal/test.journal" - >/dev/null 2>&1
    logins=11 journal=(--log "journal:$scratch/journal")
else
    echo "systemd-journal-remote is not installed: the import of a journal is SKIPPED"
fi
quiet --json --descriptor "$scratch/registry/network.descriptor" --log "$scratch/log/mail.log" "${journal[@]}" \
    --email steps@owner3.test --accept-terms --share yes --hooks no --allow 45.9.60.0/24 --wait 30 ||
    fail "without questions: $(tail -n 3 "$scratch/errors")"
jq -e --argjson n $logins '.network == "steps" and .enrolled == false and .imported.logins == $n' "$scratch/shown" >/dev/null ||
    fail "its JSON: $(<"$scratch/shown")"
code=$(bash -c "$(code_of 'steps@owner3.test')")
quiet --json --code "$code" --hooks no --allow no || fail "the code: $(tail -n 3 "$scratch/errors")"
jq -e '.enrolled and .peers >= 1' "$scratch/shown" >/dev/null || fail "its JSON: $(<"$scratch/shown")"
# A node is in one network: another one is refused, whatever its address begins with, and this one has names.
"$bin/grapevine-registry" init --data "$scratch/other" --name other --lab --mail "file:$scratch/mail" >/dev/null || fail "init"
cp "$(conf 3)" "$scratch/before"
"$bin/grapevine" --config "$scratch/nowhere.conf" setup --non-interactive --dry-run --registry http://127.0.0.1:1 >/dev/null 2>"$scratch/err"
grep -q 'does this host reach it' "$scratch/err" || fail "a registry that is not reached: $(<"$scratch/err")"
[[ $(grep -o http://127.0.0.1:1/ "$scratch/err" | wc -l) == 1 ]] || fail "its address is told twice: $(<"$scratch/err")"
for other in "--descriptor $scratch/other/network.descriptor" "--registry ${registry_url}9" "--registry http://127.0.0.1:1"; do
    # shellcheck disable=SC2086 # two words
    quiet $other --share no
    status=$?
    said 64 "in the network \"steps\" of $registry_url " || fail "$other: $status $(<"$scratch/errors")"
    cmp -s "$(conf 3)" "$scratch/before" || fail "$other: it has changed something"
done
for same in "--descriptor $scratch/registry/network.descriptor" "--registry $registry_url/" "--registry http://localhost:$((port + 1))"; do
    # shellcheck disable=SC2086 # two words
    quiet $same --hooks no --allow no || fail "$same: $(<"$scratch/errors")"
done
ask 3 setup </dev/null >/dev/null 2>"$scratch/errors"
status=$?
said 64 'in a terminal' || fail "without a terminal: $(<"$scratch/errors")"
# ---- with the link instead of the code ---------------------------------------------------------

host_conf 4
"$bin/grapevined" --config "$(conf 4)" >>"$scratch/node4.log" 2>&1 &
pids+=($!)
wait_for 10 "node 4" answers 4
press() { printf '%s >/dev/null; link=$(grep -o "http://127[^ ]*" "$f" | grep -v terms | tr -d "\\r" | tail -n 1); curl -fsS -X POST "$link" >/dev/null' "$(code_of "$1")"; }
{
    printf 'Do you accept the terms?\ty\n'
    printf 'Go on?\ty\n'
    printf 'The code from the mail\t$ %s\n' "$(press 'steps@owner4.test')"
} >"$scratch/script"
walk 4 "$scratch/script" --registry "$registry_url" --email steps@owner4.test --log "$scratch/log/mail.log" \
    --allow no --hooks no --share preview --no-import --wait 40 || { fail "with the link: $?" && tail -n 12 "$scratch/shown"; }
shown 'This node is enrolled'

[[ $failures == 0 ]] && echo "first steps: all as they should be"
exit $((failures > 0))
