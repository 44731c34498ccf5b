/* What single lines of Exim say, in its own logs and by syslog (SPEC 10.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define S    "2026-11-22 02:36:26 "
#define HOST "(client.ex.test) [198.51.100.7]"
#define FAIL "login_server authenticator failed for "
#define BAD  ": 535 Incorrect authentication data"
#define ONE  "1 198.51.100.7 exim smtp unspecified 1 visit"
#define IN   "1 198.51.100.7 exim smtp success visit"

static void reasons_of_failures(void **state)
{
    static const struct line_case cases[] = {
        {S FAIL HOST BAD, ONE},
        {S FAIL HOST BAD " (set_id=alice@mx.test)", ONE},
        {S FAIL HOST BAD " (set_id=)", ONE},
        {S FAIL HOST BAD " (set_id=alice@x 1 11:11:11)", ONE},
        {S "login_server authenticator failed for (x2026-11-22 02:36:26 login_server authenticator "
           "failed for (y) [198.51.100.7]" BAD,
         ""},
        {S "PLAIN authenticator failed for " HOST BAD " (set_id=a b)", ONE},
        {S "dovecot_login authenticator failed for " HOST BAD " (set_id=(x)", ONE},
        {S FAIL HOST ": 501 Invalid base64 data", "1 198.51.100.7 exim smtp protocol 1 visit"},
        {S FAIL HOST ": 553 Initial data not expected",
         "1 198.51.100.7 exim smtp protocol 1 visit"},
        {S FAIL HOST ": 501 Authentication cancelled", "1 198.51.100.7 exim smtp aborted 1 visit"},
        {S FAIL HOST BAD " (set_id=alice", ""},
        {S FAIL HOST BAD " (set_id=", ""},
        {S FAIL HOST BAD ".", ""},
        {S FAIL HOST ": 501 Invalid base64 data x", ""},
        {S FAIL HOST ": 535 Something else", ""},
        {S FAIL HOST ":535 Incorrect authentication data", ""},
        {S FAIL HOST, ""},
        {S FAIL, ""},
        {S "login server authenticator failed for " HOST BAD, ""},
        {S "authenticator failed for " HOST BAD, ""},
    };
    CHECK(cases);
}

/* Exim 4.98, log_selector +connection_id: genuine lines. */
static void connection_ids(void **state)
{
#define CI "(client.ex.test) [198.51.100.7]:49039 I=[192.0.2.25]:25 Ci=155"
    static const struct line_case cases[] = {
        {S FAIL CI BAD " (set_id=nosuch@mx.test)", ONE},
        {S FAIL "(x) [198.51.100.7] Ci=155" BAD " (set_id=a)", ONE},
        {S FAIL CI " U=x" BAD " (set_id=a)", ONE},
        {S "1xVMR2-0000000004E-2O52 <= alice@mx.test H=" CI
           " P=esmtpsa L.- X=TLS1.3:A:256 CV=no A=plain_server:alice@mx.test S=373 M8S=0 RT=0.008s",
         IN},
        {S "no MAIL in SMTP connection from " CI " D=0.007s A=plain:alice C=EHLO,AUTH", IN},
        {S "SMTP protocol error in \"AUTH PLAIN x\" H=" CI " AUTH command used when not advertised",
         "1 198.51.100.7 exim smtp aborted 1 visit"},
        {S "SMTP protocol error in \"AUTH NTLM\" H=" CI
           " NTLM authentication mechanism not supported",
         "1 198.51.100.7 exim smtp bad-mechanism 1 visit"},
        {S FAIL CI "x" BAD " (set_id=a)", ""},
        {S FAIL "(x) [198.51.100.7] Cx=155" BAD " (set_id=a)", ""},
    };
    CHECK(cases);

    STORY("1 198.51.100.7 exim smtp unspecified 1 visit; 2 198.51.100.7 exim smtp unspecified 1; "
          "3 198.51.100.7 exim smtp unspecified 1 visit",
          S FAIL "(x) [198.51.100.7] Ci=155" BAD, S FAIL "(x) [198.51.100.7] Ci=155" BAD,
          S FAIL "(x) [198.51.100.7] Ci=156" BAD);
#undef CI
}

static void faults_of_the_backend_are_no_failures(void **state)
{
    static const struct line_case cases[] = {
        {S FAIL HOST ": 435 Unable to authenticate at present: cannot connect to saslauthd", ""},
        {S FAIL HOST ": 435 Unable to authenticate at present (set_id=a): x", ""},
        {S FAIL HOST ": 435 Internal error: return 9 from authentication check", ""},
    };
    CHECK(cases);

    struct fed fed;
    fed_open(&fed);
    for (size_t i = 0; i < 3; i++)
        fed_line(&fed, cases[i].line);
    assert_int_equal(gv_reader_counters(fed.reader)->faults, 3);
    fed_close(&fed);
}

static void stamps_and_prefixes(void **state)
{
#define REST FAIL HOST BAD
    static const struct line_case cases[] = {
        {"2026-11-22 02:36:26.123 " REST, ONE}, /* +millisec */
        {"2026-11-22 02:36:26 +0100 " REST, ONE},
        {"2026-11-22 02:36:26.123 -0330 " REST, ONE},
        {S "[4711] " REST, ONE}, /* +pid */
        {"2026-11-22 02:36:26.123 +0100 [4711] " REST, ONE},
        {S "1xV26K-000039-0k " REST, ONE}, /* a message is open */
        {S "1xV26K-00000000039-0kAb " REST, ONE},
        {"Nov 22 02:36:26 mx exim[9]: " S REST, ONE},
        {"Nov 22 02:36:26 mx exim[9]: " S "[9] " REST, ONE},
        {"Nov 22 02:36:26 mx exim[9]: 2026-11-22 02:36:26.123 +0100 " REST, ONE},
        {"Nov 22 02:36:26 mx exim[9]: " REST, ONE}, /* syslog_timestamp = false */
        {"Nov 22 02:36:26 mx exim4[9]: " REST, ONE},
        {"Nov 22 02:36:26 mx exim: " REST, ONE},
        {"2026-11-22T02:36:26.5+00:00 mx exim[9]: " S REST, ONE},
        {"2026-11-22 02:36:26 mx exim[9]: " REST, ONE},
        {"<22>1 2026-11-22T02:36:26Z mx exim 9 - - " S REST, ONE},
        {"Nov 22 02:36:26 mx exim[9]: [1/2] " S REST, ""}, /* split: the rest is in [2/2] */
        {"Nov 22 02:36:26 mx exim[9]: [2/2] " REST, ""},
        {"Nov 22 02:36:26 mx exim[9]: [2\\2] " REST, ""},
        {"Nov 22 02:36:26 mx eximx[9]: " S REST, ""},
        {"Nov 22 02:36:26 mx exim4x[9]: " S REST, ""},
        {S S REST, ""},
        {S " " REST, ""},
        {" " S REST, ""},
        {"2026-11-22 02:36 " REST, ""},
        {"2026-13-22 02:36:26 " REST, ""},
        {"2026-11-22T02:36:26 " REST, ""},
        {S "[x] " REST, ""},
        {S "[4711]" REST, ""},
        {S "12 " REST, ""},
        {"Nov 22 02:36:26 " REST, ""},
    };
    CHECK(cases);
#undef REST
}

static void the_zone_of_exims_own_stamp_is_read(void **state)
{
    struct fed fed;

    fed_open(&fed);
    fed_line(&fed, "2026-11-22 03:36:26 +0100 " FAIL HOST BAD);
    fed_line(&fed, "2026-11-21 23:06:26.250 -0330 " FAIL HOST BAD);
    fed_line(&fed, "2026-11-22 02:36:26 " FAIL HOST BAD); /* TZ: the tests' is UTC */
    assert_int_equal(fed.count, 3);
    assert_int_equal(fed.list[0].observation.unix_ms, fed.list[2].observation.unix_ms);
    assert_int_equal(fed.list[1].observation.unix_ms, fed.list[2].observation.unix_ms + 250);
    fed_close(&fed);
}

static void clients(void **state)
{
    static const struct {
        const char *client, *address;
    } cases[] = {
        {"[198.51.100.7]", "198.51.100.7"},
        {"(x) [198.51.100.7]", "198.51.100.7"},
        {"mail.ex.test [198.51.100.7]", "198.51.100.7"},
        {"mail.ex.test (x) [198.51.100.7]", "198.51.100.7"},
        {"xn--caf-dma.ex.test [198.51.100.7]", "198.51.100.7"},
        {"caf\xc3\xa9.ex.test [198.51.100.7]", "198.51.100.7"},
        {"x[203.0.113.9] [198.51.100.7]", "198.51.100.7"},
        {"([203.0.113.9]) [198.51.100.7]", "198.51.100.7"},
        {"([IPv6:2001:db8::9]) [198.51.100.7]", "198.51.100.7"},
        {"(a b c) [198.51.100.7]", "198.51.100.7"},
        {"(a)b) [198.51.100.7]", "198.51.100.7"},
        {"() [198.51.100.7]", "198.51.100.7"},
        {"[198.51.100.7]:40123", "198.51.100.7"},
        {"(x) [198.51.100.7] I=[192.0.2.25]:25", "198.51.100.7"},
        {"(x) [198.51.100.7]:40123 I=[192.0.2.25]:25", "198.51.100.7"},
        {"(x) [2001:db8::7]:40123 I=[2001:db8::25]:25", "2001:db8::7"},
        {"(x) [198.51.100.7] U=root", "198.51.100.7"},
        {"(x) [198.51.100.7]:1 I=[192.0.2.25]:25 U=a b: c", "198.51.100.7"},
        {"[::ffff:198.51.100.7]", "198.51.100.7"},
        {"x) [198.51.100.7]", NULL},
        {"x) (y) [198.51.100.7]", NULL},
        {"root", NULL},
        {"U=root", NULL},
        {"unknown", NULL},
        {"a b [198.51.100.7]", NULL},
        {" [198.51.100.7]", NULL},
        {"(x)[198.51.100.7]", NULL},
        {"(x)  [198.51.100.7]", NULL},
        {"(x [198.51.100.7]", NULL},
        {"[198.51.100.256]", NULL},
        {"[198.51.100.7", NULL},
        {"[]", NULL},
        {"[198.51.100.7]:", NULL},
        {"[198.51.100.7]x", NULL},
        {"[198.51.100.7] x", NULL},
        {"[198.51.100.7] I=[192.0.2.25]", NULL},
        {"[198.51.100.7] I=[192.0.2.25]:", NULL},
        {"[198.51.100.7] I=[192.0.2.25]:123456", NULL},
        {"[IPv6:2001:db8::7]", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[300], expected[100] = "";
        snprintf(line, sizeof line, S FAIL "%s" BAD " (set_id=alice)", cases[i].client);
        if (cases[i].address)
            snprintf(expected, sizeof expected, "1 %s exim smtp unspecified 1 visit",
                     cases[i].address);
        if (strcmp(alone(line), expected) != 0)
            fail_msg("%s gave '%s'", line, alone(line));
    }
}

static void services_by_port(void **state)
{
#define AT(port) S FAIL "(x) [198.51.100.7] I=[192.0.2.25]:" port BAD
    static const struct line_case cases[] = {
        {AT("25"), ONE},
        {AT("587"), "1 198.51.100.7 exim submission unspecified 1 visit"},
        {AT("465"), "1 198.51.100.7 exim submission unspecified 1 visit"},
        {AT("5870"), ONE},
    };
    CHECK(cases);
#undef AT
}

static void auth_that_came_to_no_authentication(void **state)
{
#define P     S "SMTP protocol error in "
#define NOT   " AUTH command used when not advertised"
#define ABORT "1 198.51.100.7 exim smtp aborted 1 visit"
#define MECH  "1 198.51.100.7 exim smtp bad-mechanism 1 visit"
    static const struct line_case cases[] = {
        {P "\"AUTH LOGIN\" H=" HOST NOT, ABORT},
        {P "\"auth PLAIN AGE=\" H=[198.51.100.7]" NOT, ABORT},
        {P "\"AUTH\" H=mail.ex.test [198.51.100.7]" NOT, ABORT},
        {P "\"AUTH X\" H=mail.ex.test (x) [198.51.100.7]:4 I=[192.0.2.25]:25" NOT, ABORT},
        {P "\"AUTH X\" H=(x) [198.51.100.7] I=[192.0.2.25]:587" NOT,
         "1 198.51.100.7 exim submission aborted 1 visit"},
        {P "\"AUTH XNOSUCH\" H=" HOST " XNOSUCH authentication mechanism not supported", MECH},
        {P "\"AUTH\" H=" HOST "  authentication mechanism not supported", MECH},
        {S "SMTP syntax error in \"AUTH X[1]\" H=" HOST
           " invalid character in authentication mechanism name",
         MECH},
        {P "\"AUTH LOGIN\" H=" HOST " already authenticated", ""},
        {P "\"AUTH LOGIN\" H=" HOST " not permitted in mail transaction", ""},
        {P "\"AUTH LOGIN\" H=" HOST NOT "x", ""},
        {P "\"AUTH LOGIN\" H=(x)[198.51.100.7]" NOT, ""},
        {P "\"AUTH LOGIN\" H=" HOST " U=root" NOT, ""}, /* whoever writes U= writes the rest */
        {P "\"AUTH LOGIN\" U=root" NOT, ""},
        {P "\"AUTHX LOGIN\" H=" HOST NOT, ""},
        {P "\"EHLO AUTH\" H=" HOST NOT, ""},
        {P "AUTH LOGIN H=" HOST NOT, ""},
        {P "\"AUTH LOGIN\" " HOST NOT, ""},
        {S "SMTP syntax error in \"AUTH LOGIN\" H=" HOST NOT, ""},
        {P "\"AUTH X\" H=" HOST " x! authentication mechanism not supported", ""},
    };
    CHECK(cases);
#undef P
#undef NOT
#undef ABORT
#undef MECH
}

static void logins(void **state)
{
#define M "1xV26K-000039-0k <= alice@mx.test "
    static const struct line_case cases[] = {
        {S M "H=" HOST " P=esmtpa A=plain_server:alice@mx.test S=353", IN},
        {S M "H=" HOST " P=esmtpsa X=TLS1.3:A_B__C:256 CV=no SNI=mx.test A=login:alice S=353", IN},
        {S M "H=" HOST " P=esmtpsa L* X=TLS1.3:A:256 CV=no DN=\"CN=x A=y:z\" A=login:bob S=3", IN},
        {S M "H=mail.ex.test (x) [198.51.100.7]:9 I=[192.0.2.25]:25 TFO* P=utf8esmtpsa A=l S=3",
         IN},
        {S M "DS H=" HOST " P=esmtpa A=l:a S=3", IN},
        {S M "H=" HOST " I=[192.0.2.25]:587 P=esmtpa A=l:a S=3",
         "1 198.51.100.7 exim submission success visit"},
        {S "no MAIL in SMTP connection from " HOST " D=0.007s A=plain:alice C=EHLO,AUTH", IN},
        {S "no MAIL in TFO SMTP connection from " HOST " D=1m3s A=plain C=EHLO,AUTH", IN},
        {S "no MAIL in SMTP connection from " HOST " D=0s C=EHLO,AUTH", ""},
        {S "no MAIL in SMTP connection from " HOST " U=x D=0s A=plain:alice C=EHLO", ""},
        {S M "H=" HOST " P=esmtps X=TLS1.3:A:256 CV=no S=353", ""},
        {S M "H=" HOST " P=esmtp S=353 T=\"P=esmtpa A=x:y\"", ""},
        /* log_selector +subject: a time in it is no other line's. */
        {S M "H=" HOST
             " P=esmtpsa X=TLS1.3:A:256 CV=no A=l:a S=490 id=2@x T=\"test Mon, 23 Nov 2026 "
             "05:07:07 +0000\" from <a@x> for b@x",
         IN},
        {S M "H=" HOST " P=esmtpa A=l:aliceNov 22 02:36:17 mx exim[3]: x", ""},
        {S M "H=" HOST " P=esmtpa A=l:alice2026-11-22 02:36:17 1xV26K-000039-0k Completed", ""},
        {S M "H=" HOST " P=esmtpa 2026-11-22 02:36:17 1xV26K-000039-0k Completed", ""},
        {S M "H=" HOST " U=root P=esmtpa A=l:a S=3", ""},
        {S M "H=" HOST " P=esmtpax A=l:a S=3", ""},
        {S M "U=root P=local S=353", ""},
        {S "1xV26K-000039-0k <= <> R=1xV26K-000038-0k U=Debian-exim P=local S=1", ""},
        {S "1xV26K-000039-0k => x@y R=smarthost T=smtp H=h [198.51.100.7] X=T CV=yes A=plain C=\"o",
         ""},
        {S "1xV26K-000039-0k <= \"a b\"@x H=" HOST " P=esmtpa A=l:a S=3", ""},
        {S "<= a@x H=" HOST " P=esmtpa A=l:a S=3", ""},
    };
    CHECK(cases);
#undef M
}

static void what_is_not_about_logging_in(void **state)
{
    static const struct line_case cases[] = {
        {S "no host name found for IP address 198.51.100.7", ""},
        {S "SMTP connection from [198.51.100.7]:4 I=[192.0.2.25]:25 (TCP/IP connection count = 1)",
         ""},
        {S "SMTP connection from " HOST " lost D=0.002s", ""},
        {S "SMTP connection from " HOST " closed by QUIT", ""},
        {S "SMTP command timeout on connection from " HOST, ""},
        {S "SMTP command timeout on TLS connection from " HOST, ""},
        {S "unexpected disconnection while reading SMTP command from " HOST " D=1s", ""},
        {S "SMTP call from " HOST " dropped: too many nonmail commands (last was \"AUTH\")", ""},
        {S "SMTP call from " HOST " dropped: too many syntax or protocol errors (last command was "
           "\"AUTH X\", C=EHLO)",
         ""},
        {S "SMTP syntax error in \"GET / HTTP/1.1\" H=" HOST " unrecognized command", ""},
        {S "rejected EHLO from [198.51.100.7]: syntactically invalid argument(s): x y", ""},
        {S "TLS error on connection from " HOST " (recv): x", ""},
        {S "H=" HOST " F=<a@b> A=plain:alice rejected RCPT <c@d>: relay not permitted", ""},
        {S "H=" HOST " rejected AUTH LOGIN: too many", ""},
        {S "plain_server authenticator (PLAIN): Cyrus SASL permanent failure -13 (x)", ""},
        {S "SMTP protocol synchronization error (next input sent too soon: pipelining was not "
           "advertised): rejected \"AUTH LOGIN\" H=" HOST " next input=\"x\"",
         ""},
        {S "Start queue run: pid=65", ""},
        {"Envelope-from: <a@b>", ""},
        {"    " S FAIL HOST BAD, ""},
        {"P Received: from x", ""},
    };
    CHECK(cases);
}

/* The name is what stands in "set_id=", or behind A=authenticator. */
static void accounts(void **state)
{
    static const char *const lines[] = {
        S FAIL HOST BAD " (set_id=Alice@mx.test)",
        S "1xV26K-000039-0k <= x@y H=(x) [198.51.100.8] P=esmtpa A=p:alice@mx.test S=353",
        S "no MAIL in SMTP connection from [198.51.100.9] D=0s A=plain:alice@mx.test C=EHLO",
        S FAIL HOST BAD " (set_id=bob)",
        S FAIL HOST BAD,
        S FAIL HOST " U=x: 535 Incorrect authentication data (set_id=a)" BAD " (set_id=b)",
        S "1xV26K-000039-0k <= x@y H=(x) [198.51.100.6] P=esmtpsa DN=\"A=p:alice@mx.test \" S=3",
    };
    struct fed fed;

    fed_open(&fed);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        fed_line(&fed, lines[i]);
    assert_int_equal(fed.count, 7);
    uint64_t alice = fed.list[0].observation.account;
    assert_true(alice != 0);
    assert_true(fed.list[1].observation.account == alice);
    assert_true(fed.list[2].observation.account == alice);
    assert_true(fed.list[3].observation.account != alice && fed.list[3].observation.account != 0);
    for (size_t i = 4; i < 7; i++)
        assert_true(fed.list[i].observation.account == 0);
    fed_close(&fed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_of_failures),
        cmocka_unit_test(connection_ids),
        cmocka_unit_test(faults_of_the_backend_are_no_failures),
        cmocka_unit_test(stamps_and_prefixes),
        cmocka_unit_test(the_zone_of_exims_own_stamp_is_read),
        cmocka_unit_test(clients),
        cmocka_unit_test(services_by_port),
        cmocka_unit_test(auth_that_came_to_no_authentication),
        cmocka_unit_test(logins),
        cmocka_unit_test(what_is_not_about_logging_in),
        cmocka_unit_test(accounts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
