#!/usr/bin/env bash
# Cyrus: imapd, pop3d, timsieved; passwords in plain through saslauthd, the rest from sasldb.
set -euo pipefail

suite=bookworm
packages="cyrus-imapd cyrus-pop3d sasl2-bin libsasl2-modules rsyslog"

configure() {
    cat >/etc/cyrus.conf <<'CONF'
START {
  recover cmd="/usr/sbin/cyrus ctl_cyrusdb -r"
}
SERVICES {
  imap cmd="imapd -U 30" listen="imap" prefork=0 maxchild=100
  imaps cmd="imapd -s -U 30" listen="imaps" prefork=0 maxchild=100
  pop3 cmd="pop3d -U 30" listen="pop3" prefork=0 maxchild=50
  pop3s cmd="pop3d -s -U 30" listen="pop3s" prefork=0 maxchild=50
  sieve cmd="timsieved" listen="sieve" prefork=0 maxchild=100
}
EVENTS {
  checkpoint cmd="/usr/sbin/cyrus ctl_cyrusdb -c" period=30
}
CONF
    cat >/etc/imapd.conf <<'CONF'
configdirectory: /var/lib/cyrus
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
defaultpartition: default
partition-default: /var/spool/cyrus/mail
altnamespace: no
unixhierarchysep: yes
virtdomains: userid
defaultdomain: mx.test
hashimapspool: true
autocreate_quota: 0
autocreate_post: 1
umask: 077
sieveusehomedir: false
sievedir: /var/spool/sieve
allowplaintext: yes
allowapop: yes
sasl_pwcheck_method: saslauthd
sasl_auxprop_plugin: sasldb
sasl_mech_list: PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256
tls_server_cert: /genuine/cert.pem
tls_server_key: /genuine/key.pem
lmtpsocket: /run/cyrus/socket/lmtp
idlesocket: /run/cyrus/socket/idle
notifysocket: /run/cyrus/socket/notify
syslog_prefix: cyrus
CONF
    install -d -o cyrus -g mail /run/cyrus /run/cyrus/socket /run/cyrus/proc /run/cyrus/lock
    mkdir -p /run/saslauthd
    chmod 755 /run/saslauthd
    echo correct | saslpasswd2 -p -c -u mx.test alice
    chown cyrus /etc/sasldb2
}

fault() { kill "$(cat /run/saslauthd/saslauthd.pid)"; }

mend() { saslauthd -a sasldb -r -m /run/saslauthd -n 2; }

case "$1" in
packages) echo "$suite $packages" ;;
start)
    configure
    mend
    /usr/sbin/cyrmaster -d -p /run/cyrus-master.pid
    sleep 3
    ;;
fault) fault ;;
mend) mend ;;
stop) kill "$(cat /run/cyrus-master.pid)" ;;
logs) echo /var/log/mail.log /var/log/mail.iso.log /var/log/auth.log ;;
esac
