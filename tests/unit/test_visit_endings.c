/* However a visit of Dovecot's ends, what failed in it counts, once, and no fault of the backend
 * does (SPEC 10.2, 10.3). The lines are those of real servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define A          "198.51.100.4"
#define AT(second) "Nov 22 00:17:" second " "
#define ELEMENTS(user)                                                                             \
    "user=<" user ">, method=PLAIN, rip=" A ", lip=192.0.2.25, session=<uFkihOZg58nGM2QE>"

/* 2.4 and 2.3 to a log file of their own. */
#define NO24(second, user)                                                                         \
    AT(second)                                                                                     \
    "auth(" user "," A ",sasl:plain)<uFkihOZg58nGM2QE>: Info: passwd-file: Password "              \
    "mismatch"
#define WHO24(second, user)                                                                        \
    AT(second)                                                                                     \
    "auth(" user "," A ",sasl:plain)<uFkihOZg58nGM2QE>: Info: passwd-file: unknown "               \
    "user"
#define END24(reason, user)                                                                        \
    AT("50") "imap-login: Info: Login aborted: Connection closed (" reason "): " ELEMENTS(user)
#define IN24(second, user) AT(second) "imap-login: Info: Logged in: " ELEMENTS(user)
#define NO23(second, user)                                                                         \
    AT(second) "auth: Info: passwd-file(" user "," A ",<uFkihOZg58nGM2QE>): Password mismatch"
#define WHO23(second, user)                                                                        \
    AT(second) "auth: Info: passwd-file(" user "," A ",<uFkihOZg58nGM2QE>): unknown user"
#define PAM23(second, user)                                                                        \
    AT(second) "auth: Info: pam(" user "," A ",<uFkihOZg58nGM2QE>): unknown user"
#define END23(reason, user)                                                                        \
    AT("50") "imap-login: Info: Disconnected: Connection closed (" reason "): " ELEMENTS(user)
#define IN23(second, user) AT(second) "imap-login: Info: Login: " ELEMENTS(user)
#define FIVE                                                                                       \
    NO24("15", "bob"), NO24("15", "bob"), NO24("15", "bob"), NO24("15", "bob"), NO24("15", "bob")

#define GAVE(line, what) line " " A " dovecot imap " what

static void a_login_that_is_disabled_hides_no_guess(void **state)
{
    STORY(GAVE("6", "wrong-password 5 visit"), FIVE,
          END24("login disabled, 1/6 successful auths in 0 secs) (login_disabled", "off"));
    /* Where the auth service says nothing (auth_verbose = no) the tally does. */
    STORY(GAVE("1", "unspecified 5 visit"),
          END24("login disabled, 1/6 successful auths in 0 secs) (login_disabled", "off"));
    STORY(GAVE("3", "wrong-password 2 visit"), NO23("50", "bob"), NO23("55", "bob"),
          END23("internal failure, 1 successful auths", "off"));
    STORY("", END24("login disabled, 6/6 successful auths in 0 secs) (login_disabled", "off"));
}

static void a_bad_command_at_the_end_hides_no_guess(void **state)
{
    STORY(GAVE("3", "wrong-password 2 visit") "; " GAVE("3", "protocol 1"), NO23("40", "bob"),
          NO23("45", "bob"), END23("sent invalid base64 in response", "bob"));
    STORY(GAVE("3", "wrong-password 2 visit") "; " GAVE("3", "bad-mechanism 1"), NO23("40", "bob"),
          NO23("45", "bob"), END23("tried to use unsupported auth mechanism", "bob"));
    STORY(GAVE("6", "wrong-password 5 visit") "; " GAVE("6", "bad-mechanism 1"), FIVE,
          END24("tried to use unsupported auth mechanism, 6 attempts in 0 secs) (invalid_mech",
                "bob"));
    STORY(GAVE("3", "unknown-account 2 visit") "; " GAVE("3", "aborted 1"), WHO23("40", "x"),
          WHO23("45", "y"), END23("tried to use disallowed plaintext auth", "z"));
    /* Twice the same, of which the auth service hears nothing. */
    STORY(GAVE("2", "wrong-password 1 visit") "; " GAVE("2", "protocol 2"), NO24("15", "bob"),
          END24("sent invalid base64 in response, 3 attempts in 0 secs", "bob"));
}

static void what_is_not_the_clients_fault_hides_no_guess(void **state)
{
    static const char *const last[] = {"user disabled",
                                       "password expired",
                                       "authorization failed",
                                       "auth service reported temporary failure",
                                       "auth process communication failure",
                                       "connection limit reached",
                                       "internal failure",
                                       "proxy dest connection failed",
                                       "auth referral",
                                       "The process is shutting down so the login is aborted.",
                                       "client didn't send a cert",
                                       "disconnected while finishing login, waited 3 secs",
                                       "a reason of next year"};

    for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
        char end[400];

        snprintf(end, sizeof end, END23("%s", "off"), last[i]);
        STORY(GAVE("3", "wrong-password 2 visit"), NO23("40", "bob"), NO23("45", "bob"), end);
        STORY("", end);
        snprintf(end, sizeof end, END24("%s, 3 attempts in 9 secs", "off"), last[i]);
        STORY(GAVE("3", "wrong-password 2 visit"), NO23("40", "bob"), NO23("45", "bob"), end);
        STORY("", end);
    }
    STORY("", END24("no auth attempts in 3 secs) (no_auth_attempts", "x"));
    STORY("", END24("auth failed, 0 attempts in 3 secs", "x"));
    STORY("", END24("anonymous logins disabled, 1/1 successful auths in 3 secs", "x"));
}

static void what_may_be_one_right_password_again_is_no_guess(void **state)
{
    /* Without the auth service's word a client may have tried its password by each mechanism. */
    STORY("", END24("user disabled, 4 attempts in 9 secs) (user_disabled", "off"));
    STORY(GAVE("1", "unspecified 10 visit"),
          END24("authorization failed, 11 attempts in 9 secs) (authorization_failed", "off"));
    STORY(GAVE("1", "unspecified 10 visit"),
          END24("internal failure, 1/11 successful auths in 9 secs) (internal_failure", "off"));
    /* Nobody was to blame, however often it came. */
    STORY("", END24("auth service reported temporary failure, 11 attempts in 9 secs", "off"));
    /* With it only what it told of counts. */
    STORY(GAVE("2", "wrong-password 1 visit"), NO24("15", "bob"),
          END24("authorization failed, 11 attempts in 9 secs) (authorization_failed", "off"));
    STORY(GAVE("3", "wrong-password 1 visit"), NO24("15", "bob"),
          AT("18") "auth(bob," A
                   ",sasl:plain)<uFkihOZg58nGM2QE>: Error: sql: Password query failed",
          END24("internal failure, 1/11 successful auths in 9 secs) (internal_failure", "off"));
}

static void who_gets_in_at_last_has_guessed_before(void **state)
{
    STORY(GAVE("4", "success visit") "; " GAVE("4", "unknown-account 3"), WHO24("51", "alice"),
          WHO24("51", "carol"), WHO24("51", "dave"), IN24("51", "bob"));
    STORY(GAVE("4", "success visit") "; " GAVE("4", "unknown-account 3"), WHO23("41", "alice"),
          WHO23("43", "carol"), WHO23("45", "dave"), IN23("47", "bob"));
    STORY(GAVE("2", "success visit") "; " GAVE("2", "wrong-password 1"), NO23("41", "bob"),
          IN23("43", "bob"));
    /* Another session's guesses are another visit's. */
    STORY(GAVE("2", "success visit"),
          AT("41") "auth: Info: passwd-file(alice," A ",<AFkihOZg58nGM2QE>): unknown user",
          IN23("43", "bob"));
}

/* It is a login first, so that it clears what its user mistyped, and what failed before it did so
 * before it. */
static void a_typo_before_the_login_is_of_before_it(void **state)
{
    struct fed fed;

    fed_open(&fed);
    fed_line(&fed, NO23("41", "bob"));
    fed_line(&fed, IN23("43", "bob"));
    assert_int_equal(fed.count, 2);
    assert_true(fed.list[0].observation.success);
    assert_true(fed.list[0].observation.unix_ms - fed.list[1].observation.unix_ms == 2000);
    assert_true(fed.list[0].observation.account == fed.list[1].observation.account);
    fed.count = 0;
    fed_line(&fed, WHO24("51", "alice"));
    fed_line(&fed, WHO24("51", "carol"));
    fed_line(&fed, IN24("51", "bob"));
    assert_int_equal(fed.count, 2);
    assert_true(fed.list[0].observation.unix_ms - fed.list[1].observation.unix_ms == 1000);
    assert_true(fed.list[1].observation.account == 0); /* of several */
    fed_close(&fed);
}

/* One passdb may say no where the next one says yes: that is no guess. */
static void another_passdb_that_says_yes(void **state)
{
    STORY(GAVE("2", "success visit"), NO23("43", "bob"), IN23("43", "bob"));
    STORY(GAVE("2", "success visit"), PAM23("41", "bob"), IN23("43", "bob"));
    STORY(GAVE("2", "success visit"), PAM23("43", "alias"), IN23("43", "bob")); /* renamed */
    /* Once it is known that there are several, the slowest of them may take its time. */
    STORY(GAVE("3", "wrong-password 1 visit") "; " GAVE("5", "success visit"), PAM23("10", "bob"),
          NO23("10", "bob"), END23("auth failed, 1 attempts in 2 secs", "bob"), NO23("41", "bob"),
          IN23("47", "bob"));
    STORY(GAVE("2", "success visit") "; " GAVE("4", "success visit"), PAM23("10", "bob"),
          IN23("10", "bob"), NO23("41", "bob"), IN23("47", "bob"));
    /* And a guess before that stays one. */
    STORY(GAVE("6", "success visit") "; " GAVE("6", "unknown-account 3"), PAM23("10", "bob"),
          NO23("10", "bob"), PAM23("20", "carol"), NO23("30", "bob"), PAM23("43", "bob"),
          IN23("43", "bob"));
    STORY("", PAM23("41", "off"), END23("user disabled", "off"));
    STORY("", PAM23("41", "off"), END23("auth service reported temporary failure", "off"));
    STORY("", PAM23("50", "off"), END23("internal failure, 1 successful auths", "off"));
}

/* Anybody gets in so. */
static void a_login_of_nobody_proves_nothing(void **state)
{
#define NOBODY(second)                                                                             \
    AT(second)                                                                                     \
    "imap-login: Info: Login: user=<anonymous>, method=ANONYMOUS, rip=" A                          \
    ", lip=192.0.2.25, session=<uFkihOZg58nGM2QE>"
    STORY("", NOBODY("43"));
    STORY(GAVE("3", "wrong-password 2 visit"), NO23("40", "bob"), NO23("42", "carol"),
          NOBODY("44"));
    STORY(GAVE("1", "success visit"), /* the name is not the mechanism */
          AT("43") "imap-login: Info: Login: user=<x>, method=ANONYMOUS, y>, method=PLAIN, rip=" A
                   ", lip=192.0.2.25, session=<uFkihOZg58nGM2QE>");
}

static void who_fails_at_the_host_behind_this_one(void **state)
{
    STORY(GAVE("1", "unspecified 3 visit"),
          END24("proxy dest authentication failure, 3/3 successful auths in 4 secs) "
                "(proxy_dest_auth_failed",
                "bob"));
    STORY(GAVE("1", "unspecified 1 visit"), END23("proxy dest auth failed", "bob"));
    STORY(GAVE("2", "wrong-password 1 visit") "; " GAVE("2", "unspecified 1"), NO23("41", "bob"),
          END23("proxy dest auth failed", "bob"));
    STORY("", END24("proxy dest temporary authentication failure, 3/3 successful auths in 4 secs",
                    "bob"));
}

static void two_passdbs_of_one_name(void **state)
{
    STORY(GAVE("3", "wrong-password 1 visit"), WHO23("40", "bob"), NO23("40", "bob"),
          END23("internal failure, 1 successful auths", "off"));
    STORY(GAVE("3", "success visit") "; " GAVE("6", "success visit") "; " GAVE("6",
                                                                               "unknown-account 1"),
          WHO23("10", "bob"), NO23("10", "bob"), IN23("12", "bob"), WHO23("20", "nosuch"),
          WHO23("20", "nosuch"), IN23("22", "bob"));
    /* Never more than the tally has: the second passdb took three seconds. */
    STORY(GAVE("3", "unknown-account 1 visit") "; " GAVE("3", "bad-mechanism 1"),
          PAM23("40", "bob"), NO23("43", "bob"),
          END24("tried to use unsupported auth mechanism, 2 attempts in 5 secs", "bob"));
    STORY(GAVE("3", "unknown-account 1 visit") "; " GAVE("3", "bad-mechanism 1"), WHO24("40", "x"),
          WHO24("40", "x"),
          END24("tried to use unsupported auth mechanism, 2 attempts in 0 secs", "x"));
}

static void where_it_speaks_its_silence_says_something(void **state)
{
    STORY("",
          AT("10") "auth: Info: passwd-file(alice,203.0.113.9,<AFkihOZg58nGM2QE>): unknown user",
          END24("internal failure, 1/3 successful auths in 4 secs", "bob"));
}

/* A syslogd that folds equal lines folds no guess away. */
static void a_guess_whose_line_was_folded(void **state)
{
    STORY(GAVE("2", "wrong-password 3 visit"),
          AT("15") "vm dovecot: message repeated 3 times: [ auth: passwd-file(bob," A
                   ",<uFkihOZg58nGM2QE>): Password mismatch]",
          AT("50") "vm dovecot: imap-login: Disconnected: Connection closed (user "
                   "disabled): " ELEMENTS("off"));
    STORY(GAVE("3", "wrong-password 4 visit"),
          AT("15") "vm dovecot: auth: passwd-file(bob," A ",<uFkihOZg58nGM2QE>): Password mismatch",
          AT("16") "vm last message repeated 3 times",
          AT("50") "vm dovecot: imap-login: Disconnected: Connection closed (user "
                   "disabled): " ELEMENTS("off"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_that_is_disabled_hides_no_guess),
        cmocka_unit_test(a_bad_command_at_the_end_hides_no_guess),
        cmocka_unit_test(what_is_not_the_clients_fault_hides_no_guess),
        cmocka_unit_test(what_may_be_one_right_password_again_is_no_guess),
        cmocka_unit_test(who_gets_in_at_last_has_guessed_before),
        cmocka_unit_test(a_typo_before_the_login_is_of_before_it),
        cmocka_unit_test(another_passdb_that_says_yes),
        cmocka_unit_test(a_login_of_nobody_proves_nothing),
        cmocka_unit_test(who_fails_at_the_host_behind_this_one),
        cmocka_unit_test(two_passdbs_of_one_name),
        cmocka_unit_test(where_it_speaks_its_silence_says_something),
        cmocka_unit_test(a_guess_whose_line_was_folded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
