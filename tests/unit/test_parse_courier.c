/* What single lines of Courier's imapd, pop3d and esmtpd say, 1.0 to 1.4 (SPEC 10.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define T   "Nov 22 02:38:26 vm "
#define I   T "imapd: "
#define E   T "courieresmtpd: "
#define A   "198.51.100.7"
#define IP  "ip=[::ffff:" A "]"
#define BAD "1 " A " courier imap "

static void check(const char *line, const char *expected)
{
    if (strcmp(alone(line), expected) != 0)
        fail_msg("%s\n  gave '%s'\n  not  '%s'", line, alone(line), expected);
}

static void failures(void **state)
{
    check(I "LOGIN FAILED, user=alice, " IP ", port=[4000]", BAD "unspecified 1 visit");
    check(I "LOGIN FAILED, user=alice, " IP, BAD "unspecified 1 visit");
    check(I "LOGIN FAILED, user=alice, ip=[127.0.0.1], port=[N/A]",
          "1 127.0.0.1 courier imap unspecified 1 visit");
    check(I "LOGIN FAILED, user=, ip=[2001:db8::7], port=[1]",
          "1 2001:db8::7 courier imap unspecified 1 visit");
    check(I "LOGIN FAILED, user=a b, c, " IP ", port=[65535]", BAD "unspecified 1 visit");
    check(I "LOGIN FAILED, method=PLAIN, " IP ", port=[4000]", BAD "unspecified 1 visit");
    check(I "LOGIN FAILED, method=CRAM-SHA256, " IP ", port=[4000]", BAD "unspecified 1 visit");
    check(I "LOGIN FAILED, method=cram-md5, " IP ", port=[4000]", BAD "unspecified 1 visit");
    check(I "LOGIN FAILED, method=GSSAPI, " IP ", port=[4000]", BAD "bad-mechanism 1 visit");
    check(I "LOGIN FAILED, method=PLAIN x, " IP ", port=[4000]", BAD "bad-mechanism 1 visit");
    check(I "LOGIN FAILED, method=, " IP ", port=[4000]", BAD "bad-mechanism 1 visit");
}

static void not_quite_failures(void **state)
{
    static const char *const tails[] = {
        "user=alice, ip=[::ffff:198.51.100.256], port=[1]",
        "user=alice, ip=[::ffff:" A ", port=[1]",
        "user=alice, ip=[], port=[1]",
        "user=alice, " IP ", port=[]",
        "user=alice, " IP ", port=[123456]",
        "user=alice, " IP ", port=[1] ",
        "user=alice, " IP ", port=[1], more",
        "user=alice, " IP ", port=[1], starttls=1", /* of a login only */
        "user=alice, " IP ",",
        "user=alice",
        "name=alice, " IP ", port=[1]",
        IP ", port=[1]",
    };

    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        char line[200];

        snprintf(line, sizeof line, I "LOGIN FAILED, %s", tails[i]);
        check(line, "");
    }
    check(I "LOGIN FAILED", "");
    check(I "INFO: LOGIN FAILED, user=alice, " IP ", port=[1]", "");
}

static void programs(void **state)
{
    static const struct {
        const char *tag, *service; /* NULL: not Courier */
    } cases[] = {
        {"imapd", "imap"},     {"imapd-ssl", "imap"}, {"pop3d", "pop3"}, {"pop3d-ssl", "pop3"},
        {"imapd[17]", "imap"}, {"authdaemond", NULL}, {"imap", NULL},    {"cyrus/imapd", NULL},
        {"imapd-sslx", NULL},  {"uw-imapd", NULL},    {"ipop3d", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[200], expected[100] = "";

        snprintf(line, sizeof line, T "%s: LOGIN FAILED, user=a, " IP ", port=[1]", cases[i].tag);
        if (cases[i].service)
            snprintf(expected, sizeof expected, "1 " A " courier %s unspecified 1 visit",
                     cases[i].service);
        check(line, expected);
    }
    check("<22>1 2026-11-22T02:38:26Z vm imapd - - - LOGIN FAILED, user=a, " IP ", port=[1]",
          BAD "unspecified 1 visit");
}

/* Others' imapd say other things under the same name. */
static void another_imapd(void **state)
{
    check(T "imapd[9]: Login failed user=alice auth=alice host=[" A "]", "");
    check(T "imapd[9]: Login user=alice host=c.test [" A "]", "");
    check(T "imapd[9]: imap service init from " A, "");
    check(T "imapd[9]: badlogin: [" A "] plaintext (a) [SASL(-13): authentication failure: x]",
          "1 " A " cyrus imap unspecified 1 visit");
}

static void successes(void **state)
{
    check(I "LOGIN, user=alice@mx.test, " IP ", port=[1], protocol=IMAP", BAD "success visit");
    check(I "LOGIN, user=alice, " IP ", port=[1], protocol=IMAP, starttls=1", BAD "success visit");
    check(I "LOGIN, user=alice, " IP ", protocol=IMAP", BAD "success visit");
    check(T "pop3d: LOGIN, user=alice, " IP ", port=[1]", "1 " A " courier pop3 success visit");
    check(T "pop3d: LOGIN, user=alice, " IP ", port=[1], stls=1",
          "1 " A " courier pop3 success visit");
    check(I "LOGIN, user=, " IP ", port=[1], protocol=IMAP", "");
    check(I "LOGIN, user=alice, " IP ", port=[1], protocol=imap x", "");
    check(I "LOGIN, user=alice, " IP ", port=[1], protocol=", "");
}

static void other_lines(void **state)
{
    check(I "Connection, " IP ", port=[1]", "");
    check(I "Disconnected, " IP ", port=[1], time=5", "");
    check(I "DISCONNECTED, user=alice, " IP ", port=[1], headers=0, body=0, rcvd=1, sent=2, time=3",
          "");
    check(I "LOGOUT, user=alice, " IP ", port=[1], headers=0, body=0, rcvd=1, sent=2, time=3", "");
    check(I "TIMEOUT, user=alice, " IP ", port=[1], headers=0, body=0, rcvd=1, sent=2, time=3", "");
    check(I "ip=[::ffff:" A "], Unexpected SSL connection shutdown.", "");
    check(I "authentication error: Connection refused", "");
    check(I "authdaemon: s_connect() failed: Connection refused", "");
}

static void esmtpd(void **state)
{
#define SMTP "1 " A " courier smtp "
#define R    "error,relay=::ffff:" A ",port=4000"
    check(E R ",msg=\"535 Authentication failed.\",cmd: AUTH LOGIN alice",
          SMTP "unspecified 1 visit");
    check(E "error,relay=::ffff:" A ",msg=\"535 Authentication failed.\",cmd: AUTH PLAIN",
          SMTP "unspecified 1 visit");
    check(E R ",ident=\"root\",msg=\"535 Authentication failed.\",cmd: AUTH PLAIN AGFsaWNl alice",
          SMTP "unspecified 1 visit");
    check(E R ",msg=\"535 Authentication failed.\",cmd: AUTH NTLM", SMTP "bad-mechanism 1 visit");
    check(E R ",msg=\"535 Authentication failed.\",cmd: AUTH PLAINX", SMTP "bad-mechanism 1 visit");
    check(E R ",msg=\"535 Authentication rejected\",cmd: AUTH LOGIN", SMTP "bad-mechanism 1 visit");
    check(T "esmtpd-msa: " R ",msg=\"535 Authentication failed.\",cmd: AUTH LOGIN",
          "1 " A " courier submission unspecified 1 visit");
    check(T "esmtpd-ssl: " R ",msg=\"535 Authentication failed.\",cmd: AUTH LOGIN",
          "1 " A " courier submission unspecified 1 visit");
    check(T "esmtpd: " R ",msg=\"535 Authentication failed.\",cmd: AUTH LOGIN",
          SMTP "unspecified 1 visit");
    check(E R ",msg=\"535 Authentication required.\",cmd: MAIL FROM:<a@b>", "");
    check(E R ",msg=\"502 ESMTP command error\",cmd: AUTH", "");
    check(E R ",msg=\"535 Authentication failed.\",cmd: ", "");
    check(E "error,relay=unknown,port=1,msg=\"535 Authentication failed.\",cmd: AUTH LOGIN", "");
    check(E R ",from=<a@b>: 550 Relaying denied.", "");
}

static uint64_t account_of(const char *line)
{
    struct fed fed;

    fed_open(&fed);
    fed_line(&fed, line);
    fed_flush(&fed);
    fed_close(&fed);
    assert_int_equal(fed.count, 1);
    return fed.list[0].observation.account;
}

static void accounts(void **state)
{
    uint64_t alice = account_of(I "LOGIN FAILED, user=alice, " IP ", port=[4000]");

    assert_true(alice != 0);
    assert_true(alice == account_of(I "LOGIN, user=Alice, " IP ", port=[1], protocol=IMAP"));
    assert_true(alice != account_of(I "LOGIN FAILED, user=bob, " IP ", port=[4000]"));
    assert_true(account_of(I "LOGIN FAILED, method=PLAIN, " IP ", port=[4000]") == 0);
    assert_true(
        alice ==
        account_of(E R ",msg=\"535 Authentication failed.\",cmd: AUTH PLAIN AGFsaWNl alice"));
    assert_true(account_of(E R ",msg=\"535 Authentication failed.\",cmd: AUTH PLAIN") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures),  cmocka_unit_test(not_quite_failures),
        cmocka_unit_test(programs),  cmocka_unit_test(another_imapd),
        cmocka_unit_test(successes), cmocka_unit_test(other_lines),
        cmocka_unit_test(esmtpd),    cmocka_unit_test(accounts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
