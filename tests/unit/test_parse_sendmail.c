/* What single lines of Sendmail's server say (SPEC 10.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define P     "Nov 22 02:36:26 mx sm-mta[24320]: "
#define ID    P "5AM2aQ5D024320: "
#define RELAY ", relay=client.ex.test [198.51.100.7]"
#define ONE   "1 198.51.100.7 sendmail smtp unspecified 1 visit"
#define NONE  ""
#define BAD   "authentication failure (-13) SASL(-13): authentication failure: checkpass failed"

static void reasons_of_failures(void **state)
{
#define F(reason) ID "AUTH failure (LOGIN): " reason ", user=alice" RELAY
#define KIND(k)   "1 198.51.100.7 sendmail smtp " k " 1 visit"
    static const struct line_case cases[] = {
        {F(BAD), ONE},
        {F("user not found (-20) SASL(-13): user not found: checkpass failed"),
         KIND("unknown-account")},
        {F("no mechanism available (-4) SASL(-4): no mechanism available: x"),
         KIND("bad-mechanism")},
        {F("mechanism too weak for this user (-15) SASL(-15): x"), KIND("bad-mechanism")},
        {F("encryption needed to use mechanism (-16) x"), KIND("bad-mechanism")},
        {F("bad protocol / cancel (-5) SASL(-5): bad protocol / cancel: x"), KIND("protocol")},
        {F("integrity check failed (-9) x"), ONE},
        {F("undefined error! (-99) x"), ONE},
        {ID "AUTH failure (LOGIN): " BAD RELAY, ONE}, /* before 8.16 */
        {P "NOQUEUE: AUTH failure (CRAM-MD5): " BAD ", user=" RELAY, ONE},
        {P "AUTH failure (DIGEST-MD5): " BAD ", user=a, b" RELAY, ONE},
        {P "AUTH failure (unknown): " BAD ", user=a" RELAY, ONE},
        {ID "AUTH decode64 error [-5 for \"=x\"]" RELAY, KIND("protocol")},
        {ID "AUTH failure (LO GIN): " BAD RELAY, NONE},
        {ID "AUTH failure (): " BAD RELAY, NONE},
        {ID "AUTH failure: " BAD RELAY, NONE},
        {ID "AUTH failure (LOGIN): " BAD ", user=alice", NONE},
    };
    CHECK(cases);
#undef KIND
}

static void faults_of_the_backend_are_no_failures(void **state)
{
    static const char *const lines[] = {
        F("generic failure (-1) SASL(-1): generic failure: checkpass failed"),
        F("no memory available (-2) x"),
        F("transient failure (e.g., weak key) (-8) x"),
        F("remote authentication server unavailable (-24) x"),
        F("SASL library is not initialized (-12) x"),
        F("account disabled (-21) x"),
        F("passphrase locked (-28) x"),
        F("passphrase expired, has to be reset (-18) x"),
        F("authorization failure (-14) SASL(-14): authorization failure: not authorized"),
        F("user exists, but no verifier for user (-26) x"),
        ID "AUTH encode64 error [-3 for \"x\"]" RELAY,
    };
    struct fed fed;

    fed_open(&fed);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        fed_line(&fed, lines[i]);
    assert_string_equal(fed_take(&fed), "");
    assert_int_equal(gv_reader_counters(fed.reader)->faults, sizeof lines / sizeof *lines);
    fed_close(&fed);
}

static void programs(void **state)
{
    static const struct {
        const char *program, *service;
    } cases[] = {
        {"sm-mta[1]", "smtp"},    {"sm-mta", "smtp"},          {"sendmail[1]", "smtp"},
        {"sm-mta-v4[1]", "smtp"}, {"sm-msa[1]", "submission"}, {"sm-msp-queue[1]", NULL},
        {"sendmailx[1]", NULL},   {"xsendmail[1]", NULL},      {"postfix/sendmail[1]", NULL},
        {"sm-m[1]", NULL},        {"sshd[1]", NULL},           {"s[1]", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[300], expected[100] = "";
        snprintf(line, sizeof line, "Nov 22 02:36:26 mx %s: AUTH failure (PLAIN): " BAD RELAY,
                 cases[i].program);
        if (cases[i].service)
            snprintf(expected, sizeof expected, "1 198.51.100.7 sendmail %s unspecified 1 visit",
                     cases[i].service);
        assert_string_equal(alone(line), expected);
    }
    assert_string_equal(
        alone("2026-11-22T02:36:26.1+00:00 mx sm-mta[1]: AUTH failure (PLAIN): " BAD RELAY), ONE);
    assert_string_equal(alone("2026-11-22 02:36:26 mx sm-mta[1]: AUTH failure (PLAIN): " BAD RELAY),
                        ONE);
}

static void clients(void **state)
{
    static const struct {
        const char *client, *address;
    } cases[] = {
        {"[198.51.100.7]", "198.51.100.7"},
        {"client.ex.test [198.51.100.7]", "198.51.100.7"},
        {"client.ex.test [198.51.100.7] (may be forged)", "198.51.100.7"},
        {"[198.51.100.7] (may be forged)", "198.51.100.7"},
        {"alice@client.ex.test [198.51.100.7]", "198.51.100.7"},
        {"IDENT:alice@client.ex.test [198.51.100.7]", "198.51.100.7"},
        {"[IPv6:2001:db8::7]", "2001:db8::7"},
        {"c [IPv6:2001:db8:0:0:0:0:0:7]", "2001:db8::7"},
        {"[::ffff:198.51.100.7]", "198.51.100.7"},
        {"caf\xc3\xa9.ex.test [198.51.100.7]", "198.51.100.7"},
        {"root@localhost", NULL},
        {"client.ex.test", NULL},
        {"client.ex.test [198.51.100.7", NULL},
        {"client.ex.test[198.51.100.7]", NULL},
        {" [198.51.100.7]", NULL},
        {"a b [198.51.100.7]", NULL},
        {"a,b [198.51.100.7]", NULL},
        {"a [203.0.113.9] [198.51.100.7]", NULL},
        {"[203.0.113.9] [198.51.100.7]", NULL},
        {"[198.51.100.7] (may be for", NULL}, /* cut, but not at the hundredth byte */
        {"[198.51.100.7] (may be forged)x", NULL},
        {"[198.51.100.7] x", NULL},
        {"client.ex.test [!@203.0.113.9@203.0.113.8:198.51.100.7]", NULL}, /* a source route */
        {"[UNIX: localhost]", NULL},
        {"[198.51.100.256]", NULL},
        {"[IPv6:]", NULL},
        {"[]", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[300], expected[100] = "";
        snprintf(line, sizeof line, ID "AUTH failure (PLAIN): " BAD ", user=x, relay=%s",
                 cases[i].client);
        if (cases[i].address)
            snprintf(expected, sizeof expected, "1 %s sendmail smtp unspecified 1 visit",
                     cases[i].address);
        if (strcmp(alone(line), expected) != 0)
            fail_msg("%s gave '%s'", line, alone(line));
    }
}

/* "relay=%.100s": a long name can cost the "(may be forged)" or the address. */
static void a_client_of_a_hundred_bytes_is_cut(void **state)
{
    char client[200], line[400];

    for (size_t n = 60; n < 110; n++) {
        memset(client, 'a', n);
        snprintf(client + n, sizeof client - n, " [198.51.100.7] (may be forged)");
        snprintf(line, sizeof line, ID "AUTH failure (PLAIN): " BAD ", user=x, relay=%.100s",
                 client);
        assert_string_equal(alone(line), n + sizeof " [198.51.100.7]" - 1 <= 100 ? ONE : "");
    }
}

static void logins(void **state)
{
#define IN "1 198.51.100.7 sendmail smtp success visit"
#define A  P "AUTH=server, relay="
    static const struct line_case cases[] = {
        {A "client.ex.test [198.51.100.7], authid=alice, mech=PLAIN, bits=0", IN},
        {A "[198.51.100.7] (may be forged), authid=alice, mech=PLAIN, bits=0", IN},
        {A "[198.51.100.7], authid=a, mech=x, mech=PLAIN, bits=0", IN},
        {A "client.ex.test, authid=alice, mech=PLAIN, bits=0", NONE},
        {A "client.ex.test [198.51.100.7], mech=PLAIN, bits=0", NONE},
        {P "AUTH=client, relay=x [198.51.100.7], mech=PLAIN, bits=0", NONE},
        {P "STARTTLS=server, relay=x [198.51.100.7], version=TLSv1.3, verify=NO", NONE},
    };
    CHECK(cases);
#undef A
}

static void attempts_that_no_line_told_of(void **state)
{
    static const struct line_case cases[] = {
        {ID "c.ex.test [198.51.100.7]: possible SMTP attack: command=AUTH, count=4",
         "1 198.51.100.7 sendmail smtp aborted 3 visit"},
        {ID "[198.51.100.7]: possible SMTP attack: command=AUTH, count=1", NONE},
        {ID "[198.51.100.7]: possible SMTP attack: command=AUTH, count=0", NONE},
        {ID "[198.51.100.7]: possible SMTP attack: command=AUTH, count=1234567890", NONE},
        {ID "[198.51.100.7]: possible SMTP attack: command=HELO/EHLO, count=4", NONE},
        {ID "x y [198.51.100.7]: possible SMTP attack: command=AUTH, count=4", NONE},
        {ID "lost input channel from c.ex.test [198.51.100.7] to MTA-v4 after auth",
         "1 198.51.100.7 sendmail smtp aborted 1 visit"},
        {ID "lost input channel from [198.51.100.7] to MSA after auth",
         "1 198.51.100.7 sendmail submission aborted 1 visit"},
        {ID "lost input channel from [198.51.100.7] to inet-465 after auth",
         "1 198.51.100.7 sendmail submission aborted 1 visit"},
        {ID "lost input channel from [198.51.100.7] to MSP-v6 after auth",
         "1 198.51.100.7 sendmail submission aborted 1 visit"},
        {ID "lost input channel from [198.51.100.7] to MTA after rcpt", NONE},
        {ID "lost input channel from [198.51.100.7] to MTA after authx", NONE},
    };
    CHECK(cases);
}

static void what_is_not_about_logging_in(void **state)
{
    static const struct line_case cases[] = {
        {ID "c [198.51.100.7] did not issue MAIL/EXPN/VRFY/ETRN during connection to MSA", NONE},
        {ID "from=<a@b>, size=1, class=0, nrcpts=1, msgid=<x>, proto=ESMTPSA, daemon=MSA, "
            "relay=c [198.51.100.7]",
         NONE},
        {P "NOQUEUE: connect from c [198.51.100.7]", NONE},
        {ID "SMTP AUTH command (PLAIN x) from c [198.51.100.7] tempfailed (due to previous checks)",
         NONE},
        {ID "[198.51.100.7]: probable open proxy: command=GET / HTTP/1.1", NONE},
        {ID "timeout waiting for input from [198.51.100.7] during server cmd read", NONE},
        {P "AUTH error: sasl_server_new failed=-1", NONE},
        {P "5AM2aQ5D024320[1]: AUTH failure (PLAIN): " BAD RELAY " ...", NONE}, /* split */
        {P "5AM2aQ5D024320[2]: AUTH failure (PLAIN): " BAD RELAY, NONE},
        {P "5", NONE},
        {P "", NONE},
    };
    CHECK(cases);
}

static void accounts(void **state)
{
    static const char *const lines[] = {
        ID "AUTH failure (PLAIN): " BAD ", user=Alice" RELAY,
        P "AUTH=server, relay=[198.51.100.8], authid=alice, mech=PLAIN, bits=0",
        ID "AUTH failure (PLAIN): " BAD ", user=bob" RELAY,
        ID "AUTH failure (PLAIN): " BAD RELAY,
    };
    struct fed fed;

    fed_open(&fed);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        fed_line(&fed, lines[i]);
    assert_int_equal(fed.count, 4);
    uint64_t alice = fed.list[0].observation.account;
    assert_true(alice != 0 && fed.list[1].observation.account == alice);
    assert_true(fed.list[2].observation.account != alice && fed.list[2].observation.account != 0);
    assert_true(fed.list[3].observation.account == 0);
    fed_close(&fed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_of_failures),
        cmocka_unit_test(faults_of_the_backend_are_no_failures),
        cmocka_unit_test(programs),
        cmocka_unit_test(clients),
        cmocka_unit_test(a_client_of_a_hundred_bytes_is_cut),
        cmocka_unit_test(logins),
        cmocka_unit_test(attempts_that_no_line_told_of),
        cmocka_unit_test(what_is_not_about_logging_in),
        cmocka_unit_test(accounts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
