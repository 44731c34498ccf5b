#!/usr/bin/env bash
# Mails by a real SMTP server that wants STARTTLS and a login, in the admin's own words; and the page
# behind the link: looking at it confirms nothing, its button does, and the node comes for its
# certificate by itself.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs curl jq openssl python3 sqlite3
python=/usr/bin/python3 # Debian's, which Debian's packages are for
"$python" -c 'import aiosmtpd' 2>/dev/null || {
    echo "registry_mail.sh: python3-aiosmtpd is missing: skipped"
    exit 77
}
NODES=1

mails() { find "$scratch/smtp" -name '*.eml' | wc -l; }
has_mails() { (($(mails) >= $1)); }
text_of() { # N: the mail's text, decoded
    "$python" -c '
import email, email.policy, sys
mail = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
print(mail["Subject"]); print(mail.get_content())' "$scratch/smtp/$1.eml"
}
enrolled() { [[ $(status_of 1 certificate_state) == valid ]]; }
registry_says() { grep -q "$1" "$scratch/registry.log"; }
refused_with() { # WORD ADDRESS
    ask 1 enroll --email "$2" --accept-terms >"$scratch/out" 2>&1 && fail "$2: a mail was sent"
    grep -q "$1" "$scratch/out" || fail "$2: wanted '$1', got $(cat "$scratch/out")"
}

find_port 17227
mkdir "$scratch/smtp"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' \
    -keyout "$scratch/smtp.key" -out "$scratch/smtp.pem" 2>/dev/null || die "no certificate"
start_smtp() { # [KIND]
    "$python" "$root/tests/e2e/registry_mail.py" $((port + 2)) "$scratch/smtp.pem" "$scratch/smtp.key" \
        "$scratch/smtp" "$@" >"$scratch/smtp.log" 2>&1 &
    smtp_pid=$!
    pids+=($!)
    wait_for 20 "the mail server" listening 127.0.0.1 $((port + 2))
}
restart_smtp() { # [KIND]
    kill "$smtp_pid"
    wait "$smtp_pid"
    rm -f "$scratch"/smtp/*
    start_smtp "$@"
}
start_smtp

make_registry mails
printf 'wrong password\n' >"$scratch/password"
chmod 600 "$scratch/password"
sed -i -e '/^\[mail\]/,$d' -e "s|^data = .*|data = $scratch/registry|" "$scratch/registry/registry.conf"
write_conf() { # STARTTLS
    cat >"$scratch/registry.conf" <<CONF
$(cat "$scratch/registry/registry.conf")
[mail]
url = smtp://127.0.0.1:$((port + 2))
from = registry@example.org
starttls = $1
timeout = 4s
user = grapevine
password_file = $scratch/password
template = $scratch/words
$2
CONF
}
printf 'Subject: Grüße für {network}\n\nDein Code: {code}\nOder: {link}\nInstanz %s, %s Minuten – ok\n' \
    '{instance}' '{minutes}' >"$scratch/words"
start() {
    "$bin/grapevine-registry" serve --config "$scratch/registry.conf" >>"$scratch/registry.log" 2>&1 &
    registry_pid=$!
    pids+=($!)
    wait_for 10 "the registry" listening 127.0.0.1 $((port + 1))
}
restart() {
    kill "$registry_pid"
    wait "$registry_pid"
    start
}

# Words that will not do are found at the start, with their line.
cp "$scratch/words" "$scratch/good"
printf 'Subject: x\n\ntext\n{cod}\n' >"$scratch/words"
write_conf required ""
"$bin/grapevine-registry" serve --config "$scratch/registry.conf" 2>"$scratch/out"
(($? == 78)) || fail "a template with {cod} is taken"
grep -q "words:4: after '{' write one of" "$scratch/out" || fail "$(cat "$scratch/out")"
cp "$scratch/good" "$scratch/words"

# A certificate that nobody vouches for, then a wrong password: no mail, and the registry's log says why.
start
start_node 1
wait_for 10 "node 1" answers 1
wait_for 20 "the descriptor" in_network 1
refused_with "could not be mailed" a@owner1.test
registry_says "SSL certificate problem.*ca_file" || fail "the log does not name the certificate: $(cat "$scratch/registry.log")"
write_conf required "ca_file = $scratch/smtp.pem"
restart
refused_with "could not be mailed" b@owner1.test
printf 'right password\n' >"$scratch/password"
restart
refused_with "check it for a typing mistake" nobody@refused.test
has_mails 1 && fail "a mail went out all the same"
echo "no mail without a certificate that verifies, the right password, and an address that exists"

ask 1 enroll --email "Admin+mx@owner1.test" --accept-terms >"$scratch/out" 2>&1 || die "$(cat "$scratch/out")"
wait_for 10 "the mail" has_mails 1
grep -qx 'TLS True registry@example.org admin@owner1.test' "$scratch/smtp/log" ||
    fail "how the mail came: $(cat "$scratch/smtp/log")"
text_of 1 >"$scratch/text"
grep -qx 'Grüße für mails' "$scratch/text" || fail "the subject: $(head -1 "$scratch/text")"
grep -q '30 Minuten – ok' "$scratch/text" || fail "the text: $(cat "$scratch/text")"
link=$(sed -n 's/^Oder: //p' "$scratch/text" | tr -d '\r')
instance=$(sed -n 's/^Instanz \([0-9a-f]*\),.*/\1/p' "$scratch/text")
[[ $instance == $(status_of 1 instance) ]] || fail "the instance in the mail: $instance"
echo "a mail over STARTTLS with a login, in the admin's words"

# Whatever looks at links in mails confirms nothing.
for how in "-X GET" -I "-X GET"; do
    # shellcheck disable=SC2086
    curl -s --max-time 5 -D "$scratch/head" -o "$scratch/page" $how "$link" || fail "no page"
done
grep -q '<form method="post">' "$scratch/page" || fail "no button: $(cat "$scratch/page")"
grep -q "$instance" "$scratch/page" || fail "no instance on the page"
grep -qi "^content-security-policy: default-src 'none'" "$scratch/head" || fail "no CSP"
grep -qi '^cache-control: no-store' "$scratch/head" || fail "the page may be stored"
grep -qiE '<script|http://|https://|src=' "$scratch/page" && fail "more than a plain page"
code=$(sed -n 's/^Dein Code: //p' "$scratch/text" | tr -d '\r')
[[ $(sqlite3 "$scratch/registry/registry.db" 'SELECT approved FROM pending' 2>/dev/null || echo 0) == 0 ]] ||
    fail "looking at the page confirmed"
[[ $(curl -s -o /dev/null -w '%{http_code}' "${link%?}x") == 404 ]] || fail "another link has a page"
curl -s --max-time 5 -o "$scratch/page" -X POST "$link" || fail "the button does nothing"
grep -q '<h1>Confirmed</h1>' "$scratch/page" || fail "after the button: $(cat "$scratch/page")"
wait_for 40 "the node to come for its certificate" enrolled
[[ $(curl -s -o /dev/null -w '%{http_code}' "$link") == 404 ]] || fail "the link is good for more"
ask 1 confirm "$code" >/dev/null 2>&1 && fail "the code is good for more"
echo "looking confirms nothing, the button does, and the node comes by itself"

# A stock Debian mail server on this host: it offers STARTTLS with a certificate that nobody vouches for.
# What `init` writes goes out by it, encrypted; `required` does not take such a certificate.
restart_smtp stock
write_conf try ""
sed -i '/^user = /d; /^password_file = /d; /^starttls = /d' "$scratch/registry.conf"
restart
ask 1 enroll --email c@owner2.test --accept-terms >"$scratch/out" 2>&1 || fail "a stock server: $(cat "$scratch/out")"
wait_for 10 "a mail by a stock server" has_mails 1
grep -qx 'TLS None registry@example.org c@owner2.test' "$scratch/smtp/log" || fail "$(cat "$scratch/smtp/log")"
write_conf required ""
sed -i '/^user = /d; /^password_file = /d' "$scratch/registry.conf"
restart
refused_with "could not be mailed" d@owner2.test
# One that offers none: `required` sends nothing in the clear, `try` does.
restart_smtp plain
restart
refused_with "could not be mailed" e@owner2.test
has_mails 1 && fail "a mail in the clear, though STARTTLS is required"
sed -i '/^starttls = /d' "$scratch/registry.conf"
restart
ask 1 enroll --email f@owner2.test --accept-terms >"$scratch/out" 2>&1 || fail "a plain server: $(cat "$scratch/out")"
wait_for 10 "a mail in the clear" has_mails 1
echo "a stock mail server needs no setting; what is required is required"

# A password in the clear is refused before anybody listens.
write_conf try ""
sed -i 's/^url = .*/url = smtp:\/\/192.0.2.1:25/' "$scratch/registry.conf"
"$bin/grapevine-registry" serve --check --config "$scratch/registry.conf" 2>"$scratch/out"
(($? == 78)) || fail "a password would go in the clear"
grep -q 'starttls must be required here' "$scratch/out" || fail "$(cat "$scratch/out")"
grep -q "ERROR: .*Sanitizer" "$scratch"/*.log && fail "$(grep -A3 Sanitizer "$scratch"/*.log)"
((failures == 0))
