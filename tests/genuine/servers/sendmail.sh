#!/usr/bin/env bash
# Sendmail with Cyrus SASL: PLAIN and LOGIN through saslauthd, CRAM-MD5 and DIGEST-MD5 from sasldb.
# `sendmail-mapped`: one socket for IPv4 and IPv6, and log level 15.
set -euo pipefail

suite=bookworm
packages="sendmail-bin sensible-mda sasl2-bin libsasl2-modules m4 rsyslog"

configure() {
    cat >/etc/mail/sendmail.mc <<'CONF'
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`debian')dnl
DOMAIN(`debian-mta')dnl
undefine(`confHOST_STATUS_DIRECTORY')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
define(`confDOMAIN_NAME', `mx.test')dnl
define(`confLOG_LEVEL', `@LEVEL@')dnl
define(`confAUTH_MECHANISMS', `PLAIN LOGIN CRAM-MD5 DIGEST-MD5')dnl
TRUST_AUTH_MECH(`PLAIN LOGIN CRAM-MD5 DIGEST-MD5')dnl
define(`confAUTH_OPTIONS', `A')dnl
define(`confSERVER_CERT', `/genuine/cert.pem')dnl
define(`confSERVER_KEY', `/genuine/key.pem')dnl
define(`confCACERT', `/genuine/cert.pem')dnl
define(`confCACERT_PATH', `/etc/ssl/certs')dnl
define(`confTLS_SRV_OPTIONS', `V')dnl
define(`confTO_COMMAND', `8s')dnl
define(`confTO_IDENT', `0s')dnl
define(`confBAD_RCPT_THROTTLE', `10')dnl
define(`confREFUSE_LA', `0')dnl
define(`confQUEUE_LA', `0')dnl
define(`confDELIVERY_MODE', `queueonly')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupReadableKeyFile,GroupReadableSASLDBFile')dnl
@DAEMONS@
MAILER(`local')dnl
MAILER(`smtp')dnl
CONF
    local level=9 daemons="inet:192.0.2.25 inet6:2001:db8::25" daemon port
    # One socket for both: IPv4 clients come as IPv4-mapped addresses.
    [ "$1" = sendmail ] || { level=15 && daemons="inet6:::"; }
    for daemon in $daemons; do
        for port in 25: 587:,M=E 465:,M=sE; do
            echo "DAEMON_OPTIONS(\`Name=${daemon%%:*}-${port%%:*}, Family=${daemon%%:*}, Addr=${daemon#*:}, Port=${port%%:*}${port#*:}')dnl"
        done
    done >/etc/mail/daemons.m4
    sed -i -e "s/@LEVEL@/$level/" -e '/@DAEMONS@/{r /etc/mail/daemons.m4' -e 'd}' /etc/mail/sendmail.mc
    m4 /etc/mail/sendmail.mc >/etc/mail/sendmail.cf
    chmod 600 /genuine/key.pem
    printf 'pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN CRAM-MD5 DIGEST-MD5\n' >/usr/lib/sasl2/Sendmail.conf
    mkdir -p /etc/sasl2 /etc/mail/sasl /run/sendmail/mta /run/saslauthd /var/spool/mqueue
    cp /usr/lib/sasl2/Sendmail.conf /etc/sasl2/
    cp /usr/lib/sasl2/Sendmail.conf /etc/mail/sasl/Sendmail.conf.2
    echo mx.test >>/etc/mail/local-host-names
    chmod 755 /run/saslauthd
    touch /etc/mail/aliases
    newaliases
    echo correct | saslpasswd2 -p -c -u mx.test alice
}

fault() { kill "$(cat /run/saslauthd/saslauthd.pid)"; }

mend() { saslauthd -a sasldb -m /run/saslauthd -n 2; }

case "$1" in
packages) echo "$suite $packages" ;;
start)
    configure "$2"
    mend
    /usr/sbin/sendmail-mta -bd -q1h
    sleep 1
    ;;
fault) fault ;;
mend) mend ;;
stop) kill "$(head -1 /run/sendmail/mta/sendmail.pid)" ;;
logs) echo /var/log/mail.log /var/log/mail.iso.log /var/log/auth.log ;;
esac
