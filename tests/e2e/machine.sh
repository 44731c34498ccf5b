# A machine with real mail servers in namespaces, for one test alone; to be sourced. The programs are taken
# from the system or, because as packages they exclude each other, unpacked; nothing of the real machine is
# written to.
# shellcheck shell=bash
# shellcheck disable=SC2317 # called by whoever sources it
skip() {
    echo "$(basename "$0"): SKIPPED: $*"
    exit 77
}

# ---- outside of the namespaces ---------------------------------------------------------------------
wants() { # PROGRAM...
    local program
    [ "$(id -u)" -eq 0 ] || skip "needs root, for namespaces"
    for program in "$@" ip unshare; do
        command -v "$program" >/dev/null || skip "$program is not installed (tests/packages.sh test)"
    done
    unshare --net --mount --pid --fork --kill-child true 2>/dev/null ||
        skip "no namespaces can be made here"
}
unpack() { # FOLDER PROGRAMS PACKAGE...: into FOLDER/package, unless the system has the programs
    local program package missing=
    mkdir "$1/package"
    for program in $2; do [ -x "$program" ] || missing=yes; done
    [ -z "$missing" ] || (cd "$1" && timeout 90 apt-get download "${@:3}" >/dev/null 2>&1 &&
        for package in *.deb; do dpkg-deb -x "$package" package; done) ||
        skip "neither installed nor to be had: $2"
}

# ---- inside ----------------------------------------------------------------------------------------
lay_over() { # FOLDER NAME PART...: /PART, with what was unpacked; what is written there goes to FOLDER/upper
    local part upper
    for part in "${@:3}"; do
        upper=$1/upper/$2$part
        mkdir -p "$upper" "$upper.work" "$1/package/$part"
        mount -t overlay overlay -o "lowerdir=$1/package/$part:/$part,upperdir=$upper,workdir=$upper.work" \
            "/$part" || return 1
    done
}
add_users() { # NUMBER USER...: system users, from the number on
    local id=$1 user
    for user in "${@:2}"; do
        getent group "$user" >/dev/null || echo "$user:x:$id:" >>/etc/group
        getent passwd "$user" >/dev/null || echo "$user:x:$id:$id::/nonexistent:/bin/false" >>/etc/passwd
        id=$((id + 1))
    done
}
make_postfix() { # HOST ADDRESSES LOG: a main.cf to add to, and a master.cf with no service on the network
    mkdir -p /etc/postfix /var/spool/postfix /var/lib/postfix
    chown postfix /var/lib/postfix
    cat >/etc/postfix/main.cf <<X
compatibility_level = 3.6
myhostname = $1
mydestination = $1
mynetworks = 127.0.0.0/8
inet_interfaces = $2
inet_protocols = ipv4
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
data_directory = /var/lib/postfix
queue_directory = /var/spool/postfix
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
setgid_group = postdrop
maillog_file = $3
maillog_file_prefixes = $(dirname "$3")
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
alias_maps =
X
    [ -s /etc/postfix/master.cf ] || cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf
    sed -i '/^smtp *inet/d; /^submission/d' /etc/postfix/master.cf
    grep -q '^postlog' /etc/postfix/master.cf ||
        echo 'postlog unix-dgram n - n - 1 postlogd' >>/etc/postfix/master.cf
}
make_dovecot() { # ADDRESS LOG MAIL: IMAP for alice, whose password is "correct", and bob, "right"
    mkdir -p /run/dovecot /etc/dovecot "$3"
    chown 65534 "$3"
    printf 'alice:{PLAIN}correct\nbob:{PLAIN}right\n' >/etc/dovecot/users
    cat >/etc/dovecot/dovecot.conf <<X
protocols = imap
listen = $1
ssl = no
disable_plaintext_auth = no
log_path = $2
auth_verbose = yes
login_log_format_elements = user=<%u> method=%m rip=%r lip=%l mpid=%e %c session=<%{session}>
mail_location = maildir:$3/%u
passdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=$3/%u
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  process_limit = 200
}
service imap {
  process_limit = 200
}
X
}
make_dovecot24() { # ADDRESS LOG MAIL: prints the same for Dovecot 2.4
    cat <<X
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
protocols = imap
listen = $1
ssl = no
auth_allow_cleartext = yes
log_path = $2
auth_verbose = yes
mail_driver = maildir
mail_path = $3/%{user}
passdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
userdb static {
  fields {
    uid = 65534
    gid = 65534
    home = $3/%{user}
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  process_limit = 200
}
service imap {
  process_limit = 200
}
X
}
