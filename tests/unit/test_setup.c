/* What other programs' configuration says of this host's own, and how the node's file is edited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/base/config_edit.h"
#include "node/cli/find_log.h"
#include "node/cli/own_hosts.h"
#include "node/cli/run.h"

static struct gv_own_hosts own;

/* All that is found, in one line. */
static const char *found(void)
{
    static char line[4096];
    char one[GV_OWN_PREFIX_TEXT];

    line[0] = '\0';
    for (size_t i = 0; i < own.count; i++) {
        gv_own_host_text(one, &own.hosts[i]);
        snprintf(line + strlen(line), sizeof line - strlen(line), "%s%s", i ? " " : "", one);
    }
    for (size_t i = 0; i < own.unclear_count; i++)
        snprintf(line + strlen(line), sizeof line - strlen(line), " ?%s", own.unclear[i].text);
    return line;
}

static void words(const char *text, bool file)
{
    memset(&own, 0, sizeof own);
    gv_own_hosts_words(&own, "test", text, strlen(text), file);
}

static void lists_are_read_as_they_are_written(void **state)
{
    static const struct {
        const char *text, *found;
    } cases[] = {
        {"", ""},
        {"127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128", ""},
        {"192.0.2.0/24, 198.51.100.7\n2001:db8::/32", "192.0.2.0/24 198.51.100.7 2001:db8::/32"},
        {"[2001:db8:1::]/48 [2001:db8:2::1]", "2001:db8:1::/48 2001:db8:2::1"},
        {"192.0.2.9/24", "192.0.2.0/24"},
        {"192.0.2.0/255.255.255.128", "192.0.2.0/25"},
        {"192.0.2.0/255.0.255.0", " ?192.0.2.0/255.0.255.0"},
        {"::ffff:192.0.2.0/120", "192.0.2.0/24"},
        {"192.0.2.0/24 192.0.2.7 192.0.2.0/24", "192.0.2.0/24"},
        {"!192.0.2.1", " ?!192.0.2.1"},
        {"0.0.0.0/0 ::/0 128.0.0.0/7", " ?0.0.0.0/0 ?::/0 ?128.0.0.0/7"},
        {"10.0.0.0/8 fe80::/64", "10.0.0.0/8 fe80::/64"},
        {"webmail.example hash:/etc/postfix/nets", " ?webmail.example ?hash:/etc/postfix/nets"},
        {"192.0.2.0/33 192.0.2.1/ /24 192.0.2.1/-1 [192.0.2.1", " ?192.0.2.0/33 ?192.0.2.1/ ?/24 "
                                                                "?192.0.2.1/-1 ?[192.0.2.1"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        words(cases[i].text, false);
        assert_string_equal(found(), cases[i].found);
    }
    words("192.0.2.1 # 192.0.2.2\n#192.0.2.3\n192.0.2.4", true);
    assert_string_equal(found(), "192.0.2.1 192.0.2.4");
}

static void a_list_without_end_is_cut(void **state)
{
    char text[64 * 400], *at = text;

    for (int i = 0; i < 400; i++)
        at += sprintf(at, "10.%d.%d.1 name%d ", i / 256, i % 256, i);
    words(text, false);
    assert_int_equal(own.count, GV_OWN_HOSTS_MAX);
    assert_int_equal(own.unclear_count, GV_OWN_UNCLEAR_MAX);
    assert_int_equal(own.left_out, 800 - GV_OWN_HOSTS_MAX - GV_OWN_UNCLEAR_MAX);
}

static void fail2ban_ignores(void **state)
{
    static const char jail[] = "[DEFAULT]\n"
                               "# ignoreip = 198.51.100.1\n"
                               "ignoreself = true\n"
                               "ignoreip = 127.0.0.1/8 ::1 198.51.100.2 ; not 198.51.100.3\n"
                               "           198.51.100.4 # nor 198.51.100.5\n"
                               "\t198.51.100.6\n"
                               "bantime = 198.51.100.7\n"
                               "  198.51.100.8\n"
                               "ignoreipother = 198.51.100.9\n"
                               "[sshd]\n"
                               "ignoreip: 198.51.100.10 %(extra)s";

    memset(&own, 0, sizeof own);
    gv_own_hosts_fail2ban(&own, jail, sizeof jail - 1);
    assert_string_equal(found(), "198.51.100.2 198.51.100.4 198.51.100.6 198.51.100.10 ?%(extra)s");
}

static const char *exim(const char *text)
{
    char *exact = malloc(strlen(text) + 1); /* an access past the end is seen */

    memcpy(exact, text, strlen(text));
    memset(&own, 0, sizeof own);
    gv_own_hosts_exim(&own, "test", exact, strlen(text));
    free(exact);
    return found();
}

/* As Exim writes its lists, and Debian's configuration of it. */
static void exim_relays_for(void **state)
{
    assert_string_equal(exim("hostlist relay_from_hosts = localhost\n"), "");
    assert_string_equal(exim("hostlist relay_from_hosts = 127.0.0.1 : ::::1 : 192.0.2.0/24\n"),
                        "192.0.2.0/24");
    assert_string_equal(
        exim("hostlist relay_from_hosts = <; 127.0.0.1 ; ::1 ; 198.51.100.7;2001:db8::/48 ;\n"),
        "198.51.100.7 2001:db8::/48");
    assert_string_equal(exim("hostlist relay_from_hosts = 2001::db8::::1 : @[] : @ : 203.0.113.9"),
                        "2001:db8::1 203.0.113.9");
    assert_string_equal(
        exim("hostlist relay_from_hosts = 192.0.2.1 : !192.0.2.2 : *.example.org : 0.0.0.0/0"),
        "192.0.2.1 ?!192.0.2.2 ?*.example.org ?0.0.0.0/0");
    assert_string_equal(exim("hosts_proxy = \n"), "");
    assert_string_equal(exim("hosts_proxy = 198.51.100.80\n"), "198.51.100.80");
    assert_string_equal(exim("hosts_proxy = <"), " ?<");
    assert_string_equal(exim("x = <;"), "");
    assert_string_equal(exim(":::"), " ?:");
    assert_string_equal(exim(""), "");
}

static void what_is_listed_is_known(void **state)
{
    struct gv_config_address list[2];
    struct gv_config_addresses allow = {2, list};

    assert_int_equal(gv_config_address_parse(&list[0], "192.0.2.0/24"), GV_OK);
    assert_int_equal(gv_config_address_parse(&list[1], "2001:db8::1"), GV_OK);
    words("192.0.2.128/25 192.0.0.0/16 2001:db8::1 2001:db8::2", false);
    assert_true(gv_own_host_listed(&own.hosts[0], &allow));
    assert_false(gv_own_host_listed(&own.hosts[1], &allow)); /* wider than what is listed */
    assert_true(gv_own_host_listed(&own.hosts[2], &allow));
    assert_false(gv_own_host_listed(&own.hosts[3], &allow));
}

/* ---- a host's files ------------------------------------------------------------------------- */

static char root[] = "/tmp/gv-own.XXXXXX";

static void put(const char *name, const char *text, mode_t mode)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_host(void **state)
{
    static const char *const folders[] = {"etc", "etc/fail2ban", "etc/fail2ban/jail.d",
                                          "bin", "var",          "var/log"};
    char path[512];

    if (!mkdtemp(root))
        return -1;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%s", root, folders[i]);
        if (mkdir(path, 0755) != 0)
            return -1;
    }
    snprintf(path, sizeof path, "%s/bin:/usr/bin:/bin", root);
    return setenv("PATH", path, 1);
}

static int remove_host(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void a_host_is_asked(void **state)
{
    char script[1024];

    put("nets", "192.0.2.64/26 # ours\n", 0644);
    snprintf(script, sizeof script,
             "#!/bin/sh\ncase $2 in\nmynetworks) echo 198.51.100.0/24 %s/nets;;\n"
             "proxy_interfaces) echo 203.0.113.5;;\nsmtpd_authorized_xclient_hosts) exit 1;;\n"
             "*) echo;;\nesac\n",
             root);
    put("bin/postconf", script, 0755);
    put("bin/doveconf",
        "#!/bin/sh\n[ $2 = haproxy_trusted_networks ] && echo 203.0.113.80/28 || echo 10.1.1.1\n",
        0755);
    put("bin/exim4",
        "#!/bin/sh\n[ $1 = -bP ] || exit 1\n[ $2 = hosts_proxy ] && echo 'hosts_proxy = "
        "203.0.113.90' "
        "|| echo \"hostlist ${2#+} = <; 127.0.0.1 ; 203.0.113.16/28\"\n",
        0755);
    put("etc/fail2ban/jail.local", "[DEFAULT]\nignoreip = 203.0.113.200\n", 0644);
    put("etc/fail2ban/jail.d/mine.conf", "[DEFAULT]\nignoreip = 203.0.113.201\n", 0644);
    put("etc/fail2ban/jail.d/mine.bak", "[DEFAULT]\nignoreip = 203.0.113.202\n", 0644);
    gv_own_hosts_find(&own, root);
    assert_string_equal(found(), "198.51.100.0/24 192.0.2.64/26 203.0.113.5 203.0.113.16/28 "
                                 "203.0.113.90 10.1.1.1 203.0.113.80/28 203.0.113.200 "
                                 "203.0.113.201");
    assert_string_equal(own.hosts[3].source, "relay_from_hosts of Exim");
    assert_string_equal(own.hosts[5].source, "login_trusted_networks of Dovecot");
}

static void a_program_that_says_too_much_or_never_ends_is_left(void **state)
{
    struct gv_buf out;

    gv_buf_init(&out);
    assert_int_equal(gv_cli_run(&out, 100, (const char *const[]){"yes", NULL}), -1);
    assert_int_equal(out.len, 100);
    gv_buf_free(&out);
    assert_int_equal(gv_cli_run(&out, 100, (const char *const[]){"no-such-program", NULL}), -1);
    assert_int_equal(gv_cli_run(&out, 100, (const char *const[]){"sh", "-c", "exit 3", NULL}), 3);
    gv_buf_free(&out);
    assert_false(gv_cli_has_program("no-such-program"));
    assert_true(gv_cli_has_program("sh"));
}

static void the_log_is_found(void **state)
{
    char logs[GV_FOUND_LOGS_MAX][PATH_MAX], past[GV_FOUND_ROTATED_MAX][PATH_MAX], path[512];

    put("bin/postconf", "#!/bin/sh\nexit 1\n", 0755);
    put("bin/doveconf", "#!/bin/sh\necho syslog\n", 0755);
    assert_int_equal(gv_find_logs(logs, root), 0);
    put("var/log/messages", "x\n", 0644); /* busybox's syslogd knows one file */
    assert_int_equal(gv_find_logs(logs, root), 1);
    snprintf(path, sizeof path, "%s/var/log/messages", root);
    assert_string_equal(logs[0], path);
    put("var/log/mail.log", "x\n", 0644);
    assert_int_equal(gv_find_logs(logs, root), 1);
    snprintf(path, sizeof path, "%s/var/log/mail.log", root);
    assert_string_equal(logs[0], path);

    put("var/log/mail.log.1", "x\n", 0644);
    put("var/log/mail.log-20261101.gz", "x\n", 0644);
    put("var/log/mail.logs", "x\n", 0644);
    put("var/log/mail.log.2", "", 0644); /* empty */
    assert_int_equal(gv_find_rotated(past, GV_FOUND_ROTATED_MAX, logs[0]), 3);
    assert_int_equal(gv_find_rotated(past, 2, logs[0]), 2);
    assert_int_equal(gv_find_rotated(past, GV_FOUND_ROTATED_MAX, "journal"), 0);

    /* An old one is the last that is thought of. */
    snprintf(path, sizeof path, "touch -d '9 days ago' %s/var/log/mail.log", root);
    assert_int_equal(system(path), 0);
    snprintf(path, sizeof path, "%s/var/log/journal", root);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(gv_find_logs(logs, root), 1);
    assert_string_equal(logs[0], "journal");
    put("dovecot log", "x\n", 0644);
    put("dovecot.log", "x\n", 0644);
    snprintf(path, sizeof path, "#!/bin/sh\necho '%s/dovecot.log'\n", root);
    put("bin/doveconf", path, 0755);
    assert_int_equal(gv_find_logs(logs, root), 2); /* and what others log */
    put("dovecot-info.log", "x\n", 0644);
    snprintf(path, sizeof path,
             "#!/bin/sh\ncase $2 in info_log_path) echo %s/dovecot-info.log;; log_path) echo "
             "%s/dovecot.log;; esac\n",
             root, root);
    put("bin/doveconf", path, 0755);
    assert_int_equal(gv_find_logs(logs, root), 3);
    snprintf(path, sizeof path, "%s/dovecot-info.log", root);
    assert_true(strcmp(logs[0], path) == 0 || strcmp(logs[1], path) == 0);
    snprintf(path, sizeof path, "#!/bin/sh\necho '%s/dovecot log'\n", root);
    put("bin/doveconf", path, 0755);
    assert_int_equal(gv_find_logs(logs, root), 1); /* a name that [log] file cannot say */
}

/* ---- the node's own file -------------------------------------------------------------------- */

static void a_key_is_edited_and_nothing_else(void **state)
{
    static const struct {
        const char *before, *key, *value;
        bool add;
        const char *after;
    } cases[] = {
        {"", "k", "1", false, "[s]\nk = 1\n"},
        {"[t]\nk = 0", "k", "1", false, "[t]\nk = 0\n\n[s]\nk = 1\n"},
        {"[s]\nk = 0\nj = 2\n", "k", "1", false, "[s]\nk = 1\nj = 2\n"},
        {"[s]\nk=0 ; why\n", "k", "1", false, "[s]\nk = 1 ; why\n"},
        {"[s]\nj = 2\n\n[t]\n", "k", "1", false, "[s]\nj = 2\nk = 1\n\n[t]\n"},
        {"[s]\n;k = x\nj = 2\n", "k", "1", false, "[s]\n;k = x\nk = 1\nj = 2\n"},
        {"[s]\nk = 0,\n  7\n# c\n  8\nj = 2\n", "k", "1", false, "[s]\nk = 1\n# c\nj = 2\n"},
        {"[s]\nk = 0,\n  7\nj = 2\n", "k", "1", true, "[s]\nk = 0,\n  7\nk = 1\nj = 2\n"},
        {"[s]\nk = 0", "k", "1", true, "[s]\nk = 0\nk = 1\n"},
        {"[t]\nk = 0\n  [s]\n[s]\n", "k", "1", false, "[t]\nk = 0\n  [s]\n[s]\nk = 1\n"},
        {"[s]\r\nk = 0\r\n", "k", "1", false, "[s]\r\nk = 1\n"},
        {"\xef\xbb\xbf[s]\nk = 0\n", "k", "1", false, "\xef\xbb\xbf[s]\nk = 1\n"},
        {"[s]\nj = 0\n;k = x\n  7\n", "k", "1", false, "[s]\nj = 0\n;k = x\n  7\nk = 1\n"},
        {"[s]\n;k = x\n  [t]\n", "k", "1", false, "[s]\n;k = x\n  [t]\n\n[s]\nk = 1\n"},
        {"[s]\nkk = 0\n", "k", "1", false, "[s]\nkk = 0\nk = 1\n"},
    };
    static const char *const unfit[] = {"", " x", "x ", ";x", "#x", "x ;y", "x\ny", "x\x7f"};
    struct gv_buf out;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gv_buf_init(&out);
        assert_int_equal(gv_config_edit(&out, cases[i].before, strlen(cases[i].before), "s",
                                        cases[i].key, cases[i].value, cases[i].add),
                         GV_OK);
        gv_buf_append(&out, "", 1);
        assert_string_equal((const char *)out.data, cases[i].after);
        gv_buf_free(&out);
    }
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
        gv_buf_init(&out);
        assert_int_equal(gv_config_edit(&out, "", 0, "s", "k", unfit[i], false), GV_ERR_RANGE);
        assert_int_equal(out.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read_as_they_are_written),
        cmocka_unit_test(a_list_without_end_is_cut),
        cmocka_unit_test(fail2ban_ignores),
        cmocka_unit_test(exim_relays_for),
        cmocka_unit_test(what_is_listed_is_known),
        cmocka_unit_test(a_host_is_asked),
        cmocka_unit_test(a_program_that_says_too_much_or_never_ends_is_left),
        cmocka_unit_test(the_log_is_found),
        cmocka_unit_test(a_key_is_edited_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, make_host, remove_host);
}
