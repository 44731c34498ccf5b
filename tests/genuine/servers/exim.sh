#!/usr/bin/env bash
# Exim 4. `exim`: Debian's log selector, its own mainlog; PLAIN against a list, LOGIN through
# saslauthd, CRAM-MD5. `exim-syslog`: everything it can log, through syslog, and a lax HELO.
set -euo pipefail

suite=bookworm
packages="exim4-daemon-heavy sasl2-bin libsasl2-modules rsyslog"

configure() {
    local log='log_file_path = /var/log/exim4/%slog
log_selector = +smtp_protocol_error +smtp_syntax_error +tls_certificate_verified +tls_peerdn'
    [ "$1" = exim ] || log='log_file_path = syslog
syslog_duplication = true
log_selector = +all
helo_accept_junk_hosts = *
helo_allow_chars = _[]'
    cat >/etc/exim4/exim4.conf <<CONF
primary_hostname = mx.test
domainlist local_domains = mx.test
daemon_smtp_ports = 25 : 587 : 465
tls_on_connect_ports = 465
tls_advertise_hosts = *
tls_certificate = /genuine/cert.pem
tls_privatekey = /genuine/key.pem
host_lookup = *
smtp_receive_timeout = 8s
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
rfc1413_query_timeout = 0s
queue_only = true
$log
acl_smtp_rcpt = check_rcpt
acl_smtp_mail = accept
begin acl
check_rcpt:
  accept authenticated = *
  accept domains = +local_domains
  deny message = relay not permitted
begin routers
drop:
  driver = redirect
  data = :blackhole:
begin authenticators
plain_server:
  driver = plaintext
  public_name = PLAIN
  server_condition = \${if eq{\$auth3}{\${lookup{\$auth2}lsearch{/etc/exim4/passwd}{\$value}{*:*}}}}
  server_set_id = \$auth2
  server_prompts = :
login_server:
  driver = plaintext
  public_name = LOGIN
  server_prompts = "Username:: : Password::"
  server_condition = \${if saslauthd{{\$auth1}{\$auth2}}{1}{0}}
  server_set_id = \$auth1
cram_md5_server:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = \${if eq{\$auth1}{alice@mx.test}{correct}fail}
  server_set_id = \$auth1
CONF
    echo 'alice@mx.test: correct' >/etc/exim4/passwd
    chmod 644 /etc/exim4/passwd
    mkdir -p /var/log/exim4 /run/saslauthd /run/exim4
    chown Debian-exim:adm /var/log/exim4
    chown Debian-exim /run/exim4
    chmod 711 /run/saslauthd
    echo correct | saslpasswd2 -p -c -u mx.test alice
}

fault() { kill "$(cat /run/saslauthd/saslauthd.pid)"; }

mend() { saslauthd -a sasldb -r -m /run/saslauthd -n 2; }

case "$1" in
packages) echo "$suite $packages" ;;
start)
    configure "$2"
    mend
    exim4 -bV | head -5
    exim4 -bd -q1h
    ;;
fault) fault ;;
mend) mend ;;
stop) kill "$(cat /run/exim4/exim.pid)" ;;
logs) echo /var/log/exim4/mainlog /var/log/exim4/rejectlog /var/log/exim4/paniclog /var/log/mail.log /var/log/mail.iso.log /var/log/auth.log ;;
esac
