#!/usr/bin/env bash
# grapevine-registry backup and restore by themselves: what a copy holds, while a key rotation is under way too;
# that it works wherever it is put; and that one which is not whole is refused before anything is written.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
NODES=0
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs jq curl sqlite3 openssl
find_port 16760
program=$bin/grapevine-registry
keys_of() { "$program" keys --data "$1" --json | jq -r 'map("\(.key[0:8]) \(.role)") | join(" ")'; }
version_of() { "$program" show-descriptor --json "$1/network.descriptor" | jq .version; }
refused() { # WHAT PART COMMAND...: it fails, says PART, and writes nothing
    if "${@:3}" >"$scratch/said" 2>&1; then fail "$1: taken"; fi
    grep -qe "$2" "$scratch/said" || fail "$1: $(<"$scratch/said")"
    [[ ! -e $scratch/again ]] || fail "$1: it has written"
}
copy_of() { rm -rf "$scratch/spoilt" && cp -a "$1" "$scratch/spoilt"; }
restore() { "$program" restore "$1" --data "$scratch/again" "${@:2}"; }

# All that a configuration can name: beside the data folder, in it, and in a folder of it.
make_registry copied
data=$scratch/registry
mkdir "$data/tls" "$scratch/elsewhere"
openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=127.0.0.1 -addext 'subjectAltName = IP:127.0.0.1' \
    -keyout "$data/tls/privkey.pem" -out "$data/tls/fullchain.pem" 2>/dev/null || die "no certificate"
printf 'secret\n' >"$scratch/elsewhere/password"
printf 'Subject: {network}\n\n{code} {link} 1\n' >"$data/mail.txt"
printf 'Subject: {network}\n\n{link} 2\n' >"$scratch/elsewhere/mail.txt"
sed -i "s,^listen = .*,&\ntls_certificate = $data/tls/fullchain.pem\ntls_key = $data/tls/privkey.pem,
    s,^url = .*,&\nuser = me\npassword_file = $scratch/elsewhere/password\ntemplate = $data/mail.txt\nleave_template = $scratch/elsewhere/mail.txt," "$data/registry.conf"
"$program" --check --config "$data/registry.conf" || die "the configuration"

# ---- while a rotation is under way ------------------------------------------------------------

"$program" keys --rotate --data "$data" >/dev/null || fail "rotate"
read -r old _ next _ <<<"$(keys_of "$data")"
"$program" backup "$scratch/copy" --config "$data/registry.conf" >/dev/null || fail "backup"
(cd "$scratch/copy" && sha256sum --quiet -c SHA256SUMS) || fail "the sums are wrong"
for file in registry.db registry-next.key tls/privkey.pem mail.txt mail-password mail-leave-template.txt; do
    [[ -s $scratch/copy/$file ]] || fail "$file is not in the copy"
done
[[ $(find "$scratch/copy" -type f -perm /077 | wc -l) == 0 ]] || fail "others can read the copy"
grep -qE '^(data = \.|tls_key = tls/privkey.pem|password_file = mail-password)$' "$scratch/copy/registry.conf" ||
    fail "its configuration: $(<"$scratch/copy/registry.conf")"
! grep -q "$data\|elsewhere" "$scratch/copy/registry.conf" || fail "it leads back: $(<"$scratch/copy/registry.conf")"

# A configuration elsewhere; one file for two settings; two files that would have one name.
cp "$data/registry.conf" "$scratch/there.conf" && mv "$data/registry.conf" "$data/aside"
sed -i "s,^data = .*,data = $data/,; s,^leave_template = .*,leave_template = $data/leave.txt,; s,^template = .*,template = $scratch/elsewhere/mail.txt,
    s,^tls_key = .*,tls_key = $data/tls/both.pem,; s,^tls_certificate = .*,tls_certificate = $data/tls/both.pem," "$scratch/there.conf"
cat "$data"/tls/*.pem >"$data/tls/both.pem"
cp "$scratch/elsewhere/mail.txt" "$data/leave.txt"
"$program" backup "$scratch/there" --config "$scratch/there.conf" >/dev/null || fail "a configuration elsewhere"
[[ $(sort "$scratch/there/registry.conf" | grep -E '^(tls_|template|leave_)' | tr '\n' ' ') == \
    'leave_template = leave.txt template = mail-template.txt tls_certificate = tls/both.pem tls_key = tls/both.pem ' ]] ||
    fail "elsewhere: $(<"$scratch/there/registry.conf")"
cp "$data/leave.txt" "$data/mail-template.txt" && echo "Another." >>"$data/mail-template.txt"
sed -i "s,^leave_template = .*,leave_template = $data/mail-template.txt," "$scratch/there.conf"
refused "two files of one name" "rename one of them" "$program" backup "$scratch/there2" --config "$scratch/there.conf"
[[ ! -e $scratch/there2/SHA256SUMS ]] || fail "a copy that failed looks whole"
mv "$data/aside" "$data/registry.conf"

# ---- one that is not whole --------------------------------------------------------------------

for file in registry.db owner.key tls/fullchain.pem mail-password registry.conf; do
    copy_of "$scratch/copy" && rm "$scratch/spoilt/$file"
    refused "without $file" "is missing" restore "$scratch/spoilt"
    copy_of "$scratch/copy" && : >"$scratch/spoilt/$file"
    refused "with an empty $file" "is not what backup wrote" restore "$scratch/spoilt"
done
copy_of "$scratch/copy" && rm "$scratch/spoilt/SHA256SUMS"
refused "one that was cut short" "no complete backup" restore "$scratch/spoilt"
copy_of "$scratch/copy" && sed -i 's,  mail.txt$,  ../../etc/cron.d/x,' "$scratch/spoilt/SHA256SUMS"
refused "one that leads out of its folder" "is not what backup wrote" restore "$scratch/spoilt"
copy_of "$scratch/copy" && sed -i '/registry.db/d' "$scratch/spoilt/SHA256SUMS" && rm "$scratch/spoilt/registry.db"
refused "one without a database" "registry.db is missing" restore "$scratch/spoilt"
copy_of "$scratch/copy" && rm "$scratch/spoilt/root.key"
refused "without the root key" "--root-key" restore "$scratch/spoilt"

# ---- back, elsewhere; the old place is gone ---------------------------------------------------

mv "$data" "$scratch/lost" && mv "$scratch/elsewhere" "$scratch/lost-too"
restore "$scratch/spoilt" --root-key "$scratch/lost/root.key" >/dev/null || fail "restore"
# A key that nobody has signed with, not even an earlier registry from this copy.
[[ $(keys_of "$scratch/again") =~ ^$old\ former\ [0-9a-f]{8}\ signs$ && $(keys_of "$scratch/again") != *$next* ]] ||
    fail "keys: $(keys_of "$scratch/again")"
# Newer than what may have been signed since.
(($(version_of "$scratch/again") >= $(version_of "$scratch/copy") + 100)) ||
    fail "version $(version_of "$scratch/again")"
"$program" serve --config "$scratch/again/registry.conf" >"$scratch/log" 2>&1 &
pids+=($!)
serves() { curl -fs --cacert "$scratch/again/tls/fullchain.pem" "https://127.0.0.1:$((port + 1))/v1/health" -o /dev/null; }
wait_for 10 "the restored registry" serves
kill "${pids[-1]}" && wait "${pids[-1]}"
"$program" keys --rotate --data "$scratch/again" --root-key "$scratch/lost/root.key" >/dev/null ||
    fail "it cannot rotate: $(keys_of "$scratch/again")"

# A copy of the copy, before anybody was served; and the same key for a move.
"$program" backup "$scratch/second" --data "$scratch/again" >/dev/null || fail "a second backup"
[[ -s $scratch/second/tls/privkey.pem && -s $scratch/second/mail-password ]] || fail "the second lacks files"
rm -rf "$scratch/again"
restore "$scratch/second" --same-key >/dev/null || fail "restore --same-key"
[[ $(keys_of "$scratch/again") == $(keys_of "$scratch/second") ]] || fail "--same-key changed a key"
# One that was never served has its tables all the same.
"$program" init --data "$scratch/fresh" --name fresh --mail "file:$scratch/mail" >/dev/null || fail "init"
"$program" backup "$scratch/fresh-copy" --data "$scratch/fresh" >/dev/null || fail "backup of a new one"
[[ $(sqlite3 "$scratch/fresh-copy/registry.db" 'SELECT count(*) FROM instance') == 0 ]] || fail "no tables"
# And one whose rotation is over.
"$program" keys --rotate --lead 0s --overlap 0s --data "$scratch/fresh" >/dev/null || fail "rotate at once"
"$program" backup "$scratch/fresh-copy2" --data "$scratch/fresh" >/dev/null || fail "backup after a rotation"
"$program" restore "$scratch/fresh-copy2" --data "$scratch/fresh2" >/dev/null || fail "restore after a rotation"
read -r first _ second _ <<<"$(keys_of "$scratch/fresh")"
[[ $(keys_of "$scratch/fresh2") =~ ^$first\ former\ $second\ former\ [0-9a-f]{8}\ signs$ ]] ||
    fail "keys after a rotation: $(keys_of "$scratch/fresh2")"

[[ $failures == 0 ]] && echo "registry backup: all as it should be"
exit $((failures > 0))
