/* What single lines of Cyrus' servers say, 3.6 to 3.10 (SPEC 10.2). What saslauthd says is in
 * test_assemble_mailbox.c, as it counts nothing alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define T "Nov 22 02:38:26 vm "
#define I T "cyrus/imap[24320]: "
#define A "198.51.100.7"

static void check(const char *line, const char *expected)
{
    if (strcmp(alone(line), expected) != 0)
        fail_msg("%s\n  gave '%s'\n  not  '%s'", line, alone(line), expected);
}

/* Behind "badlogin: [198.51.100.7] ", of imapd; NULL: nothing. */
static const struct {
    const char *rest, *expected;
} reasons[] = {
    {"plaintext (alice) [SASL(-13): authentication failure: checkpass failed]", "unspecified 1"},
    {"PLAIN (alice) [SASL(-13): authentication failure: Password verification failed]",
     "unspecified 1"},
    {"CRAM-MD5 (-notset-) [SASL(-13): user not found: no secret in database]", "unknown-account 1"},
    {"LOGIN (alice) [SASL(-13): authentication failure: bad userid authenticated]",
     "unknown-account 1"},
    {"plaintext (x:y) invalid user", "unknown-account 1"},
    {"plaintext () invalid user", "unknown-account 1"},
    {"XNOSUCH (-notset-) [SASL(-4): no mechanism available: Couldn't find mech XNOSUCH]",
     "bad-mechanism 1"},
    {"PLAIN (-notset-) [SASL(-16): encryption needed to use mechanism: security flags]",
     "bad-mechanism 1"},
    {"PLAIN (-notset-) [SASL(-15): mechanism too weak for this user: too weak]", "bad-mechanism 1"},
    {"PLAIN (-notset-) [SASL(-6): can't request information until later in exchange: "
     "Information that was requested is not yet available.]",
     "protocol 1"},
    {"PLAIN (-notset-) [SASL(-5): bad protocol / cancel: Can only find author]", "protocol 1"},
    {"PLAIN (-notset-) [SASL(0): successful result: ]", "protocol 1"},
    {"DIGEST-MD5 (alice) [SASL(-10): integrity check failed: x]", "protocol 1"},
    {"anonymous login refused", "bad-mechanism 1"},
    {"APOP (<1.2@mx.test>) SASL(-13): authentication failure: incorrect digest response",
     "unspecified 1"},
    {"APOP (<1.2@mx.test>) SASL(-13): user not found: no secret", "unknown-account 1"},
    {"plaintext x y invalid user", "unknown-account 1"}, /* nntpd */
    {"Basic alice SASL(-13): authentication failure: checkpass failed", "unspecified 1"},
    {"PLAIN (alice) [authentication failure]", "unspecified 1"}, /* pop3d */
    {"PLAIN (alice) [user not found]", "unknown-account 1"},
    {"PLAIN authentication failure", "unspecified 1"}, /* timsieved */
    {"X no mechanism available", "bad-mechanism 1"},
    {"PLAIN error base64 decoding string", "protocol 1"},
    {"PLAIN expected string", "protocol 1"},
    /* before 2.3 */
    {"plaintext alice SASL(-13): authentication failure: checkpass failed", "unspecified 1"},
    {"plaintext alice SASL(-13): user not found: checkpass failed", "unknown-account 1"},
    {"plaintext \"alice b\" SASL(-13): authentication failure: checkpass failed", "unspecified 1"},
    {"plaintext alice authentication failure", "unspecified 1"},
    {"plaintext alice user not found", "unknown-account 1"},
    {"plaintext alice generic failure", NULL},
    {"plaintext x generic failure y authentication failure", "unspecified 1"},
    {"plaintext generic failure authentication failure", "unspecified 1"},
    {"plaintext alice SASL(-1): generic failure: checkpass failed", NULL},
    {"plaintext alice nonsense", NULL},
    {"PLAIN [SASL(-13): authentication failure: Password verification failed]", "unspecified 1"},
    {"CRAM-MD5 [SASL(-13): user not found: no secret in database]", "unknown-account 1"},
    {"GSSAPI [SASL(-1): generic failure: GSSAPI Error]", NULL},
    {"PLAIN SASL(-13): authentication failure: Password verification failed", "unspecified 1"},
    {"PLAIN [SASL(-13): authentication failure: x", NULL},
    {"plaintext x [203.0.113.9] y SASL(-13): authentication failure: x", NULL},
    {"plaintext x [203.0.113.9] PLAIN [SASL(-13): authentication failure: x]", NULL},
    /* the server's own business */
    {"plaintext (alice) [SASL(-1): generic failure: checkpass failed]", NULL},
    {"PLAIN (alice) [SASL(-2): no memory available: x]", NULL},
    {"PLAIN (alice) [SASL(-8): transient failure (e.g., weak key): x]", NULL},
    {"PLAIN (alice) [SASL(-24): remote authentication server unavailable: x]", NULL},
    {"PLAIN (alice) [SASL(-14): authorization failure: x]", NULL},
    {"PLAIN (alice) [SASL(-19): account disabled: x]", NULL},
    {"PLAIN (alice) [SASL(-18): passphrase expired, has to be reset: x]", NULL},
    {"PLAIN (bob) [SASL(-13): authentication failure: user alice is not allowed to proxy]", NULL},
    {"PLAIN (a@b) [SASL(-13): authentication failure: cross-realm login a@b denied]", NULL},
    {"PLAIN (alice) [SASL(-13): authentication failure: only admins may authenticate]", NULL},
    {"PLAIN (alice) [SASL(-13): authentication failure: user 'alice' is denied access to "
     "service 'imap']",
     NULL},
    {"PLAIN generic failure", NULL},
    {"PLAIN authorization failure", NULL},
    /* not of a known form */
    {"PLAIN", NULL},
    {"", NULL},
    {"PLAIN (alice)", NULL},
    {"PLAIN (alice) [SASL(-13): authentication failure: x", NULL},
    {"PLAIN nonsense", NULL},
    {"PLAIN authentication failure: x", NULL},
    {"anonymous login refused, and more", NULL},
    {"kpop ? alice.@EX.TEST x", NULL},
    {"Basic alice proxy authz attempted on non-Murder backend", NULL},
};

static void failures(void **state)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        char line[400], expected[100] = "";

        snprintf(line, sizeof line, I "badlogin: [" A "] %s", reasons[i].rest);
        if (reasons[i].expected)
            snprintf(expected, sizeof expected, "1 " A " cyrus imap %s visit", reasons[i].expected);
        check(line, expected);
    }
}

static void clients(void **state)
{
#define F " PLAIN (alice) [SASL(-13): authentication failure: x]"
    check(I "badlogin: mail.ex.test [" A "]" F, "1 " A " cyrus imap unspecified 1 visit");
    check(I "badlogin: localhost [::ffff:" A "]" F, "1 " A " cyrus imap unspecified 1 visit");
    check(I "badlogin: [2001:db8::7]" F, "1 2001:db8::7 cyrus imap unspecified 1 visit");
    check(I "badlogin: [fe80::1%eth0]" F, "1 fe80::1 cyrus imap unspecified 1 visit");
    check(I "badlogin: [unix socket]" F, "");
    check(I "badlogin: [unknown]" F, "");
    check(I "badlogin: mail.ex.test[" A "]" F, "");
    check(I "badlogin:  [" A "]" F, "");
    check(I "badlogin: [" A "]", "");
    check(I "badlogin: ", "");
}

static void programs(void **state)
{
    static const struct {
        const char *tag, *service; /* NULL: not Cyrus */
    } cases[] = {
        {"cyrus/imap[1]", "imap"},
        {"cyrus/imaps[1]", "imap"},
        {"cyrus/imapd[1]", "imap"},
        {"cyrus2/pop3s[1]", "pop3"},
        {"cyrus/sieve[1]", "sieve"},
        {"cyrus/managesieve", "sieve"},
        {"cyrus/http[1]", "unknown"},
        {"cyrus/nntp", "unknown"},
        {"imap[1]", "imap"},
        {"imaps", "imap"},
        {"pop3[1]", "pop3"},
        {"pop3s[1]", "pop3"},
        {"imapd[1]", "imap"},
        {"pop3d[1]", "pop3"},
        {"timsieved[1]", "sieve"},
        {"sieve[1]", "sieve"},
        {"nntpd[1]", "unknown"},
        {"imapd-ssl", NULL},
        {"evil/imap[1]", NULL},
        {"cyrus", NULL},
        {"cyrus/", NULL},
        {"imapx", NULL},
        {"cyrus/a/b", NULL},
        {"postfix/imap", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[300], expected[100] = "";

        snprintf(line, sizeof line, T "%s: badlogin: [" A "]" F, cases[i].tag);
        if (cases[i].service)
            snprintf(expected, sizeof expected, "1 " A " cyrus %s unspecified 1 visit",
                     cases[i].service);
        check(line, expected);
    }
    check("<22>1 2026-11-22T02:38:26Z vm cyrus/imap 24320 - - badlogin: [" A "]" F,
          "1 " A " cyrus imap unspecified 1 visit");
}

static void successes(void **state)
{
    static const char yes[] = "1 " A " cyrus imap success visit";

    check(I "login: [" A "] alice plaintext User logged in SESSIONID=<mx-1-2>", yes);
    check(I "login: c.test [" A "] alice@mx.test PLAIN+TLS User logged in SESSIONID=<mx-1-2>", yes);
    check(I "login: [" A "] alice PLAIN User logged in", yes);
    check(I "login: [" A "] a b PLAIN User logged in", yes);
    /* Whoever gets in that way shows nothing. */
    check(I "login: [" A "] anonymous secret@ex.test", "");
    check(I "login: [" A "] anonymous x PLAIN User logged in SESSIONID=<a>", "");
    check(I "login: [" A "] anonymous ANONYMOUS User logged in SESSIONID=<a>", "");
    check(I "login: [" A "] alice nopassword User logged in SESSIONID=<a>", "");
    check(I "login: [" A "] alice nopassword+TLS User logged in SESSIONID=<a>", "");
    check(I "login: [" A "] PLAIN User logged in", "");
    check(I "login: [" A "]  PLAIN User logged in", "");
    check(I "login: [" A "] alice  User logged in", "");
    check(I "login: [" A "] alice PLAIN User logged out", "");
    check(I "login: [" A "] alice PLAIN User logged in SESSIONID=<a> b>", "");
}

static void other_lines(void **state)
{
    check(I "accepted connection", "");
    check(I "STARTTLS negotiation failed: [" A "]", "");
    check(I "SASL Password verification failed", "");
    check(I "USAGE alice user: 0.01 sys: 0.01", "");
    check(T "saslauthd[9]: do_auth         : auth failure: [user=a] [service=imap] [realm=] "
            "[mech=pam] [reason=PAM auth error]",
          "");
}

static void no_account_name_survives(void **state)
{
    struct fed fed;

    fed_open(&fed);
    fed_line(&fed, I "badlogin: [" A "] plaintext (alice) [SASL(-13): authentication failure: x]");
    fed_line(&fed, I "badlogin: [" A "] PLAIN (ALICE) [SASL(-13): authentication failure: x]");
    fed_line(&fed, I "badlogin: [" A "] PLAIN (bob) [SASL(-13): authentication failure: x]");
    fed_line(&fed, I "badlogin: [" A "] PLAIN (-notset-) [SASL(-13): user not found: x]");
    fed_line(&fed, I "login: [" A "] alice PLAIN User logged in");
    fed_close(&fed);
    assert_int_equal(fed.count, 5);
    assert_true(fed.list[0].observation.account != 0);
    assert_true(fed.list[0].observation.account == fed.list[1].observation.account);
    assert_true(fed.list[0].observation.account != fed.list[2].observation.account);
    assert_true(fed.list[3].observation.account == 0);
    assert_true(fed.list[0].observation.account == fed.list[4].observation.account);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures),    cmocka_unit_test(clients),
        cmocka_unit_test(programs),    cmocka_unit_test(successes),
        cmocka_unit_test(other_lines), cmocka_unit_test(no_account_name_survives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
