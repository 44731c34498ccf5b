#!/usr/bin/env bash
# Postfix and Dovecot (SASL, IMAP, POP3, ManageSieve) of Debian 12; trixie.sh is the same of Debian
# 13. `-verbose`: Dovecot says why (auth_verbose). `-files`: each writes its own log file.
set -euo pipefail

: "${suite:=bookworm}"
packages="postfix dovecot-imapd dovecot-pop3d dovecot-managesieved rsyslog"

dovecot_common() { # VARIANT
    echo 'protocols = imap pop3 sieve'
    echo 'ssl = yes'
    echo 'auth_mechanisms = plain login cram-md5 scram-sha-256'
    case "$1" in
    *-verbose) echo 'auth_verbose = yes' ;;
    *-files) echo 'log_path = /var/log/dovecot.log' ;;
    esac
    # Its delays would make the attack a long one.
    cat <<'CONF'
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
CONF
}

dovecot_23() {
    cat <<'CONF'
ssl_cert = </genuine/cert.pem
ssl_key = </genuine/key.pem
disable_plaintext_auth = no
mail_location = maildir:/genuine/home/%u
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u /genuine/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=/genuine/home/%u
}
CONF
}

dovecot_24() {
    cat <<'CONF'
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
ssl_server_cert_file = /genuine/cert.pem
ssl_server_key_file = /genuine/key.pem
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = /genuine/home/%{user}
passdb passwd-file {
  default_password_scheme = PLAIN
  passwd_file_path = /genuine/users
}
userdb static {
  fields {
    uid = nobody
    gid = nogroup
    home = /genuine/home/%{user}
  }
}
CONF
}

configure() { # VARIANT
    {
        case $suite in
        bookworm) dovecot_23 ;;
        *) dovecot_24 ;;
        esac
        dovecot_common "$1"
    } >/etc/dovecot/dovecot.conf
    echo 'alice@mx.test:{PLAIN}correct' >/genuine/users
    mkdir -p /genuine/home
    chown nobody /genuine/home
    : >/var/log/dovecot.log
    cat >/etc/postfix/main.cf <<'CONF'
compatibility_level = 3.6
myhostname = mx.test
mydestination = mx.test, localhost
mynetworks = 127.0.0.0/8
inet_interfaces = all
inet_protocols = all
smtpd_tls_cert_file = /genuine/cert.pem
smtpd_tls_key_file = /genuine/key.pem
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_auth_enable = yes
smtpd_tls_auth_only = no
smtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated,
    reject_unauth_destination, reject_rbl_client bl.test
smtpd_timeout = 8s
smtpd_hard_error_limit = 5
postscreen_dnsbl_sites = bl.test*2
postscreen_dnsbl_threshold = 2
postscreen_dnsbl_action = enforce
postscreen_greet_action = enforce
postscreen_greet_wait = 2s
postscreen_cache_map =
local_transport = discard
alias_maps =
CONF
    case "$1" in
    *-files) echo 'maillog_file = /var/log/postfix.log' >>/etc/postfix/main.cf ;;
    esac
    sed -i '/^smtp *inet/d' /etc/postfix/master.cf
    cat >>/etc/postfix/master.cf <<'CONF'
smtp inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
587 inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
465 inet n - n - - smtpd
  -o syslog_name=postfix/smtps
  -o smtpd_tls_wrappermode=yes
2525 inet n - n - - smtpd
CONF
    grep -q '^postlog' /etc/postfix/master.cf ||
        echo 'postlog unix-dgram n - n - 1 postlogd' >>/etc/postfix/master.cf
    # Outside of its chroot it sees our names.
    postconf -F '*/*/chroot=n'
}

# A link to itself cannot be read, not even by root, and is no account's fault.
fault() {
    mv /genuine/users /genuine/users.away
    ln -s users /genuine/users
    # Or it goes on with what it has read. To smtpd, its partner is gone at first. There are no
    # other processes than ours in here.
    local file pid
    for file in /proc/[0-9]*/comm; do
        pid=${file#/proc/}
        [ "$(cat "$file" 2>/dev/null)" != auth ] || kill -KILL "${pid%/comm}"
    done
    sleep 1
}

mend() {
    mv -T /genuine/users.away /genuine/users
}

case "$1" in
packages) echo "$suite $packages" ;;
start)
    configure "$2"
    postfix start # makes the folder of the socket that Dovecot listens on
    dovecot
    ;;
fault) fault ;;
mend) mend ;;
stop)
    postfix stop
    doveadm stop
    ;;
logs) echo /var/log/mail.log /var/log/mail.iso.log /var/log/auth.log /var/log/postfix.log /var/log/dovecot.log ;;
esac
