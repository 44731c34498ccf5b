#!/usr/bin/env bash
# Courier: imapd, pop3d, esmtpd; accounts from userdb through authdaemond.
set -euo pipefail

suite=bookworm
packages="courier-imap courier-pop courier-mta courier-authdaemon courier-authlib-userdb rsyslog"

set_in() { # FILE KEY VALUE
    sed -i "/^$2=/d" "/etc/courier/$1"
    printf '%s="%s"\n' "$2" "$3" >>"/etc/courier/$1"
}

configure() {
    local service
    set_in authdaemonrc authmodulelist authuserdb
    for service in imapd pop3d esmtpd esmtpd-msa; do
        set_in $service MAXPERIP 50
        set_in $service MAXPERC 90
    done
    set_in imapd IMAP_CAPABILITY "IMAP4rev1 UIDPLUS IDLE AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5"
    set_in imapd-ssl IMAP_CAPABILITY_TLS "IMAP4rev1 UIDPLUS IDLE AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5"
    set_in pop3d POP3AUTH "PLAIN LOGIN CRAM-MD5"
    set_in pop3d POP3AUTH_TLS "PLAIN LOGIN CRAM-MD5"
    set_in esmtpd ESMTPAUTH "PLAIN LOGIN CRAM-MD5"
    set_in esmtpd ESMTPAUTH_TLS "PLAIN LOGIN CRAM-MD5"
    set_in esmtpd PORT 25 # there is no /etc/services
    set_in esmtpd-ssl SSLPORT 465
    set_in esmtpd TARPIT 0
    set_in esmtpd BOFHCHECKDNS 0
    set_in esmtpd-msa BOFHCHECKDNS 0
    set_in esmtpd-msa ESMTPDSTART YES
    echo mx.test >/etc/courier/me
    echo mx.test >/etc/courier/locals
    cat /genuine/key.pem /genuine/cert.pem >/etc/courier/imapd.pem
    cp /etc/courier/imapd.pem /etc/courier/pop3d.pem
    cp /etc/courier/imapd.pem /etc/courier/esmtpd.pem
    chown courier /etc/courier/*.pem
    useradd -m -d /home/alice alice
    su alice -s /bin/sh -c 'maildirmake.courier /home/alice/Maildir'
    userdb alice@mx.test set home=/home/alice mail=/home/alice/Maildir uid="$(id -u alice)" gid="$(id -g alice)"
    echo correct | userdbpw -md5 | userdb alice@mx.test set systempw
    echo correct | userdbpw -hmac-md5 | userdb alice@mx.test set hmac-md5pw
    chmod 700 /etc/courier/userdb
    makeuserdb
    cat /usr/lib/tmpfiles.d/courier* | while read -r type path mode user group _; do
        [ "$type" != d ] || install -d -m "$mode" -o "$user" -g "$group" "$path"
    done
    makesmtpaccess
    /usr/lib/courier/makeacceptmailfor
    /usr/lib/courier/makealiases
}

fault() { authdaemond stop; }

mend() { authdaemond start; }

case "$1" in
packages) echo "$suite $packages" ;;
start)
    configure
    mend
    sleep 1
    courier start
    for service in imapd pop3d esmtpd esmtpd-msa imapd-ssl esmtpd-ssl pop3d-ssl; do
        "$service" start
    done
    sleep 2
    ;;
fault) fault ;;
mend) mend ;;
stop) authdaemond stop ;;
logs) echo /var/log/mail.log /var/log/mail.iso.log /var/log/auth.log ;;
esac
