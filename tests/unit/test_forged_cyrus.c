/* Attackers write into Cyrus' log: user names, mechanisms, realms, and the names of their
 * addresses. 203.0.113.9 is never the client, 198.51.100.7 always is. A forged address is never an
 * observation, and nobody's words excuse or blame another's attempt (SPEC 10.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_forged.h"
#include "helper_reader.h"

#define T         "Nov 22 02:38:26 vm "
#define I         T "cyrus/imap[24320]: "
#define A         FORGED_CLIENT
#define TAIL      ") [SASL(-13): authentication failure: checkpass failed]"
#define ONE(kind) "1 " A " cyrus imap " kind " 1 visit"

static void user_names(void **state)
{
    expect_true_client("cyrus", I "badlogin: [" A "] plaintext (", TAIL, 18);
    expect_true_client("cyrus", I "badlogin: c.test [" A "] PLAIN (", TAIL, 18);
    expect_true_client("cyrus", I "badlogin: [" A "] plaintext (", ") invalid user", 18);
    expect_true_client("cyrus", T "cyrus/pop3[9]: badlogin: [" A "] CRAM-MD5 (",
                       ") [authentication failure]", 18);
    expect_true_client("cyrus", T "cyrus/nntp[9]: badlogin: [" A "] plaintext ", " invalid user",
                       8);
    expect_true_client("cyrus", T "cyrus/http[9]: badlogin: [" A "] Basic ",
                       " SASL(-13): authentication failure: checkpass failed", 8);
}

static void mechanisms(void **state)
{
    expect_true_client("cyrus", I "badlogin: [" A "] ",
                       " (-notset-) [SASL(-4): no mechanism available: x]", 1);
    expect_true_client("cyrus", T "cyrus/sieve[9]: badlogin: [" A "] ", " no mechanism available",
                       1);
    expect(I "badlogin: [" A "] X[203.0.113.9] (-notset-) [SASL(-4): no mechanism available: "
             "Couldn't find mech X[203.0.113.9]]",
           ONE("bad-mechanism"));
    /* The only way to read it: there is no mechanism behind the second. */
    expect(I "badlogin: [" A "] [203.0.113.9] (-notset-) [SASL(-4): no mechanism available: x]",
           ONE("bad-mechanism"));
}

static void words_of_the_server_that_repeat_the_name(void **state)
{
    expect_true_client("cyrus",
                       I "badlogin: [" A "] PLAIN (x) [SASL(-13): authentication failure: "
                         "cross-realm login ",
                       " refused]", 15);
    expect_true_client("cyrus",
                       I "badlogin: [" A "] CRAM-MD5 (-notset-) [SASL(-13): user not found: user: ",
                       " property: x not found in sasldb]", 15);
    expect_true_client("cyrus",
                       T "cyrus/pop3[9]: badlogin: [" A "] APOP (<1.2@mx.test>) SASL(-13): user "
                         "not found: user: ",
                       " not found", 5);
}

static void host_names(void **state)
{
    /* A C library that takes any name from DNS, and what is still one word. */
    expect(I "badlogin: evil[203.0.113.9] [" A "] plaintext (x" TAIL, ONE("unspecified"));
    expect(I "badlogin: 203.0.113.9 [" A "] plaintext (x" TAIL, ONE("unspecified"));
    expect(I "badlogin: x[203.0.113.9].evil.test [" A "] plaintext (x" TAIL, ONE("unspecified"));
    expect(I "badlogin: (x)[203.0.113.9] [" A "] plaintext (x" TAIL, ONE("unspecified"));
    /* Whose are these? Nobody can tell, so they are nobody's. */
    expect(I "badlogin: [203.0.113.9] [" A "] plaintext (x" TAIL, "");
    expect(I "badlogin: evil [203.0.113.9] [" A "] plaintext (x" TAIL, "");
    expect(I "badlogin: evil [203.0.113.9] plaintext (y) [z] [" A "] plaintext (x" TAIL, "");
    expect(I "badlogin: [203.0.113.9] plaintext (y) [z] [" A "] anonymous login refused", "");
    expect(I "badlogin: [203.0.113.9] plaintext (y [" A "] PLAIN (x" TAIL, "");
    expect(I "badlogin: [203.0.113.9] plaintext (y [" A "] plaintext (x) invalid user", "");
    expect(I "badlogin: [203.0.113.9] APOP (<y>) z [" A "] APOP (<1.2@mx>) SASL(-13): "
             "authentication failure: x",
           "");
    expect(T "cyrus/sieve[9]: badlogin: [203.0.113.9] [" A "] PLAIN authentication failure", "");
    expect(T "cyrus/sieve[9]: badlogin: [203.0.113.9] X [" A "] PLAIN authentication failure", "");
    expect(T "cyrus/http[9]: badlogin: [203.0.113.9] Basic x [" A "] Basic y SASL(-13): "
             "authentication failure: x",
           "");
    expect(T "cyrus/nntp[9]: badlogin: [203.0.113.9] plaintext x [" A "] plaintext y invalid user",
           "");
    expect(T "cyrus/sieve[9]: badlogin: [203.0.113.9] APOP (<y>) x [" A "] PLAIN authentication "
             "failure",
           "");
    expect(T "cyrus/sieve[9]: badlogin: [203.0.113.9] Basic x SASL(-13): y [" A "] PLAIN "
             "authentication failure",
           "");
    expect(I "login: [203.0.113.9] x [" A "] alice PLAIN User logged in", "");
    expect(I "login: evil [203.0.113.9] [" A "] alice PLAIN User logged in", "");
}

/* A success would make an attacker's address clean. */
static void successes(void **state)
{
    expect_true_client("cyrus", I "login: [" A "] anonymous ", "", 0);
    for (size_t i = 0; i < FORGED_NAMES; i++) {
        char line[1024];
        snprintf(line, sizeof line,
                 I "login: [" A "] anonymous %s PLAIN User logged in SESSIONID=<a>", forged[i]);
        expect(line, "");
        snprintf(line, sizeof line, I "login: [203.0.113.9] anonymous %s PLAIN User logged in",
                 forged[i]);
        expect(line, "");
    }
    expect(I "badlogin: [" A "] plaintext (x) login: [203.0.113.9] alice PLAIN User logged in", "");
}

static void text_in_front_of_the_words(void **state)
{
    expect(I "x badlogin: [203.0.113.9] plaintext (x" TAIL, "");
    expect(I "SASL badlogin: [203.0.113.9] plaintext (x" TAIL, "");
    expect(I "?badlogin: [203.0.113.9] plaintext (x" TAIL, "");
    expect(I "SASL Couldn't find mech badlogin: [203.0.113.9] plaintext (x" TAIL, "");
    expect(T "evil: cyrus/imap[1]: badlogin: [203.0.113.9] plaintext (x" TAIL, "");
    expect(T "postfix/cleanup[9]: 4F2A91: message-id=<" I
             "badlogin: [203.0.113.9] plaintext (x" TAIL ">",
           "");
}

/* The name cannot choose why the attempt failed: neither an excuse nor somebody's account. */
static void reasons(void **state)
{
    expect(I "badlogin: [" A "] PLAIN (x) [SASL(-1): generic failure: z" TAIL, ONE("unspecified"));
    expect(I "badlogin: [" A "] PLAIN (SASL(-1): generic failure" TAIL, ONE("unspecified"));
    expect(I "badlogin: [" A "] PLAIN (x is not allowed to proxy" TAIL, ONE("unspecified"));
    expect(I "badlogin: [" A
             "] PLAIN (x) [SASL(-1): generic failure: z) [SASL(-13): authentication "
             "failure: cross-realm login x) [SASL(-1): y denied]",
           ONE("unspecified"));
    expect(I "badlogin: [" A "] plaintext (x) [SASL(-1): generic failure: ]) invalid user",
           ONE("unknown-account"));
    expect(T "cyrus/http[9]: badlogin: [" A "] Basic x SASL(-1): generic failure: y SASL(-13): "
             "authentication failure: checkpass failed",
           "1 " A " cyrus unknown unspecified 1 visit");
}

/* ---- saslauthd: what one client is called must not excuse the attempt of another ---- */

static void expect_not_excused(const char *sasl)
{
    struct fed fed;

    fed_open(&fed);
    fed_line(&fed, sasl);
    fed_line(&fed, I "badlogin: [" A "] plaintext (alice" TAIL);
    fed_close(&fed);
    assert_string_equal(fed_take(&fed), "2 " A " cyrus imap unspecified 1 visit");
}

static void saslauthd_names(void **state)
{
#define S    T "saslauthd[9]: do_auth         : auth failure: [user="
#define REST "] [service=imap] [realm=] [mech=pam] [reason=PAM auth error]"
    expect_not_excused(
        S "alice] [service=imap] [realm=] [mech=pam] [reason=internal mechanism failure]" REST);
    expect_not_excused(
        S "alice] [service=imap] [realm=] [mech=pam] [reason=internal mechanism failure" REST);
    expect_not_excused(S "alice] [service=imap" REST);
    expect_not_excused(S "alice] [reason=internal mechanism failure" REST);
    expect_not_excused(S "x] [service=imap] [realm=] [mech=pam] [reason=internal mechanism "
                         "failure] do_auth         : auth failure: [user=alice" REST);
    expect_not_excused(S "x] [service=imap] [realm=a] [mech=b] [service=imap] [realm=] [mech=pam] "
                         "[reason=internal mechanism failure]");
    expect_not_excused(S "alice] [service=imap] [realm=] [mech=pam] [reason=internal mechanism "
                         "failure");
    expect_not_excused(T "saslauthd[9]: x: auth failure: [user=alice] [service=imap] [realm=] "
                         "[mech=pam] [reason=internal mechanism failure]");
}

/* ---- half lines ---- */

static const char *const lines[] = {
    I "badlogin: [203.0.113.9] plaintext (y) [z] [" A "] plaintext (x" TAIL,
    I "badlogin: [" A "] plaintext (x) [203.0.113.9] PLAIN (y" TAIL,
    I "login: [203.0.113.9] x PLAIN User logged in [" A "] alice PLAIN User logged in",
    T "cyrus/sieve[9]: badlogin: [203.0.113.9] PLAIN authentication failure [" A "] PLAIN expected "
      "string",
};

static void no_prefix_of_a_forged_line_gives_anything(void **state)
{
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t n = 0; n <= strlen(lines[i]); n++) {
            struct gv_reading readings[GV_READINGS_MAX];
            struct fed fed;
            fed_open(&fed);
            assert_int_equal(gv_reader_half_line(fed.reader, readings, lines[i], n, FED_NOW_MS), 0);
            assert_int_equal(gv_reader_flush(fed.reader, readings), 0);
            fed_close(&fed);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_names),
        cmocka_unit_test(mechanisms),
        cmocka_unit_test(words_of_the_server_that_repeat_the_name),
        cmocka_unit_test(host_names),
        cmocka_unit_test(successes),
        cmocka_unit_test(text_in_front_of_the_words),
        cmocka_unit_test(reasons),
        cmocka_unit_test(saslauthd_names),
        cmocka_unit_test(no_prefix_of_a_forged_line_gives_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
