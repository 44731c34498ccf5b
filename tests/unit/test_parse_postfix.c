/* What single lines of Postfix's smtpd say (SPEC 10.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define P      "Nov 22 02:36:26 vm postfix/smtpd[24320]: "
#define FAILED "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: "

static void reasons_of_failures(void **state)
{
    static const struct line_case cases[] = {
        {P FAILED "(reason unavailable), sasl_username=alice",
         "1 198.51.100.7 postfix smtp unspecified 1 visit"},
        {P FAILED, "1 198.51.100.7 postfix smtp unspecified 1 visit"},
        /* journald cuts the blank before a reason that is empty */
        {P "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed:",
         "1 198.51.100.7 postfix smtp unspecified 1 visit"},
        {P FAILED "UGFzc3dvcmQ6", "1 198.51.100.7 postfix smtp unspecified 1 visit"},
        {P FAILED "authentication failure", "1 198.51.100.7 postfix smtp unspecified 1 visit"},
        {P FAILED, "1 198.51.100.7 postfix smtp unspecified 1 visit"},
        {P FAILED "user not found", "1 198.51.100.7 postfix smtp unknown-account 1 visit"},
        {P FAILED "Invalid authentication mechanism, sasl_username=(unavailable)",
         "1 198.51.100.7 postfix smtp bad-mechanism 1 visit"},
        {P FAILED "Invalid authentication mechanism: 'X', sasl_username=(unavailable)",
         "1 198.51.100.7 postfix smtp bad-mechanism 1 visit"},
        {P FAILED "no mechanism available", "1 198.51.100.7 postfix smtp bad-mechanism 1 visit"},
        {P FAILED "Invalid base64 data in initial response, sasl_username=(unavailable)",
         "1 198.51.100.7 postfix smtp protocol 1 visit"},
        {P FAILED "bad protocol / cancel", "1 198.51.100.7 postfix smtp protocol 1 visit"},
        {P "warning: unknown[198.51.100.7]: SASL CRAM-MD5 authentication failed: x",
         "1 198.51.100.7 postfix smtp unspecified 1 visit"},
        {P "warning: unknown[198.51.100.7]: SASL login authentication failed: x",
         "1 198.51.100.7 postfix smtp unspecified 1 visit"},
        {P "warning: unknown[198.51.100.7]: SASL LOGIN authentication aborted",
         "1 198.51.100.7 postfix smtp aborted 1 visit"},
    };
    CHECK(cases);
}

static void faults_of_the_backend_are_no_failures(void **state)
{
    static const struct line_case cases[] = {
        {P FAILED "Connection lost to authentication server, sasl_username=alice", ""},
        {P FAILED "Can't connect to authentication server", ""},
        {P FAILED "Authentication backend error", ""},
        {P FAILED "Temporary authentication failure", ""},
        {P FAILED "generic failure", ""},
        {P FAILED "remote authentication server unavailable", ""},
        {P FAILED "account disabled", ""},
        {P FAILED "Password expired, sasl_username=alice", ""},
    };
    CHECK(cases);
}

static void own_refusals_come_back_as_such(void **state)
{
    static const struct line_case cases[] = {
        {P FAILED "Refused by grapevine, sasl_username=alice",
         "1 198.51.100.7 postfix smtp unspecified 1 visit refused"},
        {P FAILED "policy server refusal",
         "1 198.51.100.7 postfix smtp unspecified 1 visit refused"},
    };
    CHECK(cases);
}

static void services_by_program(void **state)
{
    static const struct {
        const char *program, *service;
    } cases[] = {
        {"postfix/smtpd[1]", "smtp"},
        {"postfix/smtpd", "smtp"},
        {"postfix-out/smtpd[1]", "smtp"},
        {"postfix/amavis/smtpd[1]", "smtp"},
        {"postfix/submission/smtpd[1]", "submission"},
        {"postfix/submissions/smtpd[1]", "submission"},
        {"postfix/smtps/smtpd[1]", "submission"},
        {"postfix-mx/submission/smtpd[1]", "submission"},
        {"postfix/465/smtpd[1]", "submission"},
        {"mta.example/smtpd[1]", "smtp"},
        {"postfix/smtp[1]", NULL},
        {"postfix/postscreen[1]", NULL},
        {"postfix/smtpdx[1]", NULL},
        {"postfix/proxy-smtpd[1]", NULL},
        {"smtpd[1]", NULL},
        {"/smtpd[1]", NULL},
        {"sshd[1]", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[300], expected[100] = "";
        snprintf(line, sizeof line, "Nov 22 02:36:26 vm %s: " FAILED "x", cases[i].program);
        if (cases[i].service)
            snprintf(expected, sizeof expected, "1 198.51.100.7 postfix %s unspecified 1 visit",
                     cases[i].service);
        assert_string_equal(alone(line), expected);
    }
}

static void prefixes(void **state)
{
#define OK   "1 198.51.100.7 postfix smtp unspecified 1 visit"
#define REST "postfix/smtpd[1]: " FAILED "x"
    static const struct line_case cases[] = {
        {"Nov  2 02:36:26 vm " REST, OK},
        {"Nov 22 02:36:26 " REST, OK}, /* no host */
        {"Nov 22 02:36:26.123456 vm " REST, OK},
        {"<22>Nov 22 02:36:26 vm " REST, OK},
        {"2026-11-22T02:41:31.923681+00:00 vm " REST, OK},
        {"2026-11-22T02:41:31Z vm " REST, OK},
        {"2026-11-22T02:41:31+0000 vm " REST, OK}, /* journalctl -o short-iso */
        {"2026-11-22 02:41:31,5 vm " REST, OK},
        {"2026-11-22T02:41:31-05:30 mx1.example.org " REST, OK},
        {"<22>1 2026-11-22T02:41:31.5Z vm postfix/smtpd 1 - - " FAILED "x", OK},
        {"<22>1 2026-11-22T02:41:31.5Z vm postfix/smtpd - - [a@1 b=\"]\\\"\"][c] "
         "\xef\xbb\xbf" FAILED "x",
         OK},
        {"<22>1 2026-11-22T02:41:31.5Z vm postfix/smtpd 1 - - - " FAILED "x", ""},
        {"<22>1 2026-11-22T02:41:31.5Z vm postfix/smtpd 1 - [unclosed " FAILED "x", ""},
        {"<22>2 2026-11-22T02:41:31.5Z vm postfix/smtpd 1 - - " FAILED "x", ""},
        {"Nov 22 02:36:26 vm mail.warn " REST, OK},        /* busybox's syslogd: Alpine */
        {"Nov 22 02:36:26 mail.info mail.warn " REST, OK}, /* a host with such a name */
        {"Nov 22 02:36:26 mail.info " REST, OK},
        {"Nov 22 02:36:26 <mail.warn> vm " REST, OK}, /* FreeBSD's syslogd -v */
        {"2026-11-22T02:41:31Z vm local0.err " REST, OK},
        {"Nov 22 02:36:26 vm mail.odd " REST, ""},
        {"Nov 22 02:36:26 vm .warn " REST, ""},
        {"Nov 22 02:36:26 vm Mail.warn " REST, ""},
        {"Nov 22 02:36:26 vm mail.warn mail.warn " REST, ""},
        {"Nov 22 02:36:26 vm <mail.warn> " REST, ""},
        {"Nov 22 02:36:26 <mail.warn vm " REST, ""},
        {"<22222>Nov 22 02:36:26 vm " REST, ""},
        {"<>Nov 22 02:36:26 vm " REST, ""},
        {"Nov 22 02:36 vm " REST, ""},
        {"22 Nov 02:36:26 vm " REST, ""},
        {"Nox 22 02:36:26 vm " REST, ""},
        {"Nov 31 02:36:26 vm " REST, ""},
        {"Nov 22 25:36:26 vm " REST, ""},
        {"2026-13-22T02:41:31Z vm " REST, ""},
        {"2026-11-22T02:41:31Z", ""},
        {" Nov 22 02:36:26 vm " REST, ""},
        {"Nov 22 02:36:26  vm " REST, ""},
        {"Nov 22 02:36:26 vm  " REST, ""},
        {"Nov 22 02:36:26 vm other " REST, ""},
        {REST, ""},
        {"", ""},
    };
    CHECK(cases);
#undef OK
#undef REST
}

static void clients(void **state)
{
    static const struct {
        const char *client, *address;
    } cases[] = {
        {"unknown[198.51.100.7]", "198.51.100.7"},
        {"mail.example.org[198.51.100.7]", "198.51.100.7"},
        {"unknown[198.51.100.7]:40123", "198.51.100.7"}, /* smtpd_client_port_logging */
        {"unknown[2001:db8::7]", "2001:db8::7"},
        {"unknown[2001:db8::7]:40123", "2001:db8::7"},
        {"unknown[::ffff:198.51.100.7]", "198.51.100.7"},
        {"unknown[fe80::1%eth0]", "fe80::1"},
        {"we[ird].example.org[198.51.100.7]", "198.51.100.7"},
        {"a[203.0.113.9][198.51.100.7]", "198.51.100.7"},
        {"unknown[unknown]", NULL},
        {"[198.51.100.7]", NULL},
        {"unknown[198.51.100.7", NULL},
        {"unknown 198.51.100.7]", NULL},
        {"unknown[198.51.100.256]", NULL},
        {"unknown[198.51.100.07]", NULL},
        {"unknown[ 198.51.100.7]", NULL},
        {"unknown[198.51.100.7]x", NULL},
        {"unknown[198.51.100.7]:", NULL},
        {"unknown[198.51.100.7]:x", NULL},
        {"unknown[IPv6:2001:db8::7]", NULL},
        {"a:b[198.51.100.7]", NULL},
        {"unknown[]", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[300], expected[100] = "";
        snprintf(line, sizeof line, P "warning: %s: SASL PLAIN authentication failed: x",
                 cases[i].client);
        if (cases[i].address)
            snprintf(expected, sizeof expected, "1 %s postfix smtp unspecified 1 visit",
                     cases[i].address);
        if (strcmp(alone(line), expected) != 0)
            fail_msg("%s gave '%s'", line, alone(line));
    }
}

static void ends_of_connections(void **state)
{
#define D P "disconnect from unknown[198.51.100.7]"
    static const struct line_case cases[] = {
        {D " ehlo=1 auth=0/1 quit=1 commands=2/3", "1 198.51.100.7 postfix smtp aborted 1 visit"},
        {D ":4000 ehlo=1 auth=0/3 commands=1/4", "1 198.51.100.7 postfix smtp aborted 3 visit"},
        {D " ehlo=1 auth=1 quit=1 commands=3", ""}, /* perhaps as nobody: SPEC 10.2 */
        {D " ehlo=1 auth=1/3 quit=1 commands=3/5", "1 198.51.100.7 postfix smtp aborted 2 visit"},
        {D " ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4", ""},
        {D " commands=0/0", ""},
        {D " auth=0/99999999999", ""},
        {D " ehlo=1 auth=0/1 quit=1 evil words", ""},
        {D " ehlo=1 auth=0/x", ""},
        {D " ehlo=1  auth=0/1", ""},
        {D " xauth=0/1 commands=0/1", ""},
        {D, ""},
        {P "lost connection after AUTH from unknown[198.51.100.7]",
         "1 198.51.100.7 postfix smtp aborted 1 visit"},
        {P "timeout after AUTH from unknown[198.51.100.7]",
         "1 198.51.100.7 postfix smtp aborted 1 visit"},
        {P "NOQUEUE: lost connection after AUTH from unknown[198.51.100.7]",
         "1 198.51.100.7 postfix smtp aborted 1 visit"},
        {P "lost connection after EHLO from unknown[198.51.100.7]", ""},
        {P "lost connection after AUTH from unknown[198.51.100.7] x", ""},
        {P "too many errors after AUTH from unknown[198.51.100.7]", ""},
        {P "lost connection after DATA (15 bytes) from unknown[198.51.100.7]", ""},
    };
    CHECK(cases);
#undef D
}

static void logins(void **state)
{
#define OK "1 198.51.100.8 postfix smtp success visit"
    static const struct line_case cases[] = {
        {P "4F2A91: client=c.ex.test[198.51.100.8], sasl_method=PLAIN, sasl_username=alice", OK},
        {P "NOQUEUE: client=c.ex.test[198.51.100.8], sasl_method=PLAIN, sasl_username=alice", OK},
        {P "4bYxyz1Z2z3: client=c[198.51.100.8]:99, sasl_method=LOGIN, sasl_username=a, "
           "sasl_sender=b",
         OK},
        {P "4F2A91: client=c.ex.test[198.51.100.8]", ""},
        {P "4F2A91: client=c.ex.test[198.51.100.8], orig_queue_id=1, orig_client=x[203.0.113.9]",
         ""},
        {P "4F2A91: client=c.ex.test[198.51.100.8], sasl_sender=alice", ""},
        {P "4F2A91: client=c.ex.test[198.51.100.8], sasl_method=PLAIN, sasl_username=", ""},
        {P "4F2A91: client=c.ex.test[198.51.100.8] sasl_method=PLAIN, sasl_username=alice", ""},
    };
    CHECK(cases);
#undef OK
}

static void what_is_not_about_logging_in(void **state)
{
    static const struct line_case cases[] = {
        {P "connect from unknown[198.51.100.7]", ""},
        {P "warning: non-SMTP command from unknown[198.51.100.7]: GET / HTTP/1.1", ""},
        {P "warning: hostname x does not resolve to address 198.51.100.7", ""},
        {P "warning: unknown[198.51.100.7]: SASL LOGIN something else", ""},
        {P "warning: unknown[198.51.100.7]: SASL LOGIN authentication abortedx", ""},
        {P "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed:x", ""},
        {P "warning: unknown[198.51.100.7]:  SASL LOGIN authentication failed: x", ""},
        {P
         "warning: AUTH command rate limit exceeded: 9 from unknown[198.51.100.7] for service smtp",
         ""},
        {P
         "NOQUEUE: reject: RCPT from unknown[198.51.100.7]: 454 4.7.1 <x@y>: Relay access denied; "
         "from=<a@b> to=<x@y> proto=ESMTP helo=<c>",
         ""},
        {"Nov 22 02:38:24 vm postfix/postscreen[25524]: HANGUP after 0 from [198.51.100.7]:58135 "
         "in "
         "tests after SMTP handshake",
         ""},
        {"Nov 22 02:38:24 vm postfix/cleanup[25524]: warning: unknown[198.51.100.7]: SASL LOGIN "
         "authentication failed: x",
         ""},
    };
    CHECK(cases);
}

static void any_bytes_are_allowed(void **state)
{
    struct fed fed;
    char line[GV_LINE_MAX + 10];
    static const char start[] = P FAILED "x, sasl_username=";

    fed_open(&fed);
    memset(line, 'A', sizeof line);
    memcpy(line, start, sizeof start - 1);
    fed_bytes(&fed, line, GV_LINE_MAX);
    assert_string_equal(fed_take(&fed), "1 198.51.100.7 postfix smtp unspecified 1 visit");
    fed_bytes(&fed, line, GV_LINE_MAX + 1);
    assert_string_equal(fed_take(&fed), "");
    assert_int_equal(gv_reader_counters(fed.reader)->skipped, 1);
    fed_bytes(&fed, P "warning: unknown[198.51.100.7]\0: SASL LOGIN authentication failed: x",
              sizeof P + 60);
    fed_bytes(&fed, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
    assert_string_equal(fed_take(&fed), "");
    fed_line(&fed, P FAILED "x\r"); /* a log that came through a file share */
    assert_string_equal(fed_take(&fed), "5 198.51.100.7 postfix smtp unspecified 1");
    fed_close(&fed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_of_failures),
        cmocka_unit_test(faults_of_the_backend_are_no_failures),
        cmocka_unit_test(own_refusals_come_back_as_such),
        cmocka_unit_test(services_by_program),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(clients),
        cmocka_unit_test(ends_of_connections),
        cmocka_unit_test(logins),
        cmocka_unit_test(what_is_not_about_logging_in),
        cmocka_unit_test(any_bytes_are_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
