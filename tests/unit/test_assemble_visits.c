/* Exim and Sendmail: visits without a beginning or an end, lines that come twice, and attempts that
 * no line tells of (SPEC 10.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define A "198.51.100.7"
#define B "198.51.100.8"
#define FAIL(client, user)                                                                         \
    "login authenticator failed for (x) " client                                                   \
    ": 535 Incorrect authentication data (set_id=" user ")"
#define MAIL(client)  "1xV26K-000039-0k <= a@b H=(x) " client " P=esmtpa A=login:alice S=353"
#define AT(time)      "2026-11-22 " time " "
#define SYS(pid)      "Nov 22 02:36:26 mx exim[" pid "]: 2026-11-22 02:36:26 "
#define SM(time, pid) "Nov 22 " time " mx sm-mta[" pid "]: "
#define BAD(client)                                                                                \
    "5AM2: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): x, user=alice, "          \
    "relay=[" client "]"

static void one_process_is_one_visit(void **state)
{
    STORY("1 " A " exim smtp unspecified 1 visit; 2 " A " exim smtp unspecified 1; "
          "3 " A " exim smtp unspecified 1 visit; 4 " A " exim smtp unspecified 1",
          AT("02:36:26") "[11] " FAIL("[" A "]", "a"), AT("02:46:26") "[11] " FAIL("[" A "]", "b"),
          AT("02:46:26") "[12] " FAIL("[" A "]", "a"), AT("02:46:27") "[11] " FAIL("[" A "]", "c"));
    STORY("1 " A " sendmail smtp unspecified 1 visit; 2 " A " sendmail smtp unspecified 1; "
          "3 " A " sendmail smtp unspecified 1 visit",
          SM("02:36:26", "11") BAD(A), SM("02:50:26", "11") BAD(A), SM("02:50:27", "12") BAD(A));
}

static void one_port_is_one_visit(void **state)
{
    STORY("1 " A " exim smtp unspecified 1 visit; 2 " A " exim smtp unspecified 1; "
          "3 " A " exim smtp unspecified 1 visit",
          AT("02:36:26") FAIL("[" A "]:4711", "a"), AT("02:46:26") FAIL("[" A "]:4711", "b"),
          AT("02:46:27") FAIL("[" A "]:4712", "a"));
}

/* Exim's default: neither pid nor port. What an address does within five minutes is one visit. */
static void without_either_an_address_is_one_visit_for_five_minutes(void **state)
{
    STORY("1 " A " exim smtp unspecified 1 visit; 2 " B " exim smtp unspecified 1 visit; "
          "3 " A " exim smtp unspecified 1; 4 " A " exim smtp unspecified 1; "
          "5 " A " exim smtp unspecified 1 visit; 6 " A " exim smtp unspecified 1",
          AT("02:36:26") FAIL("[" A "]", "a"), AT("02:36:27") FAIL("[" B "]", "a"),
          AT("02:38:26") FAIL("[" A "]", "a"), AT("02:41:26") FAIL("[" A "]", "a"),
          AT("02:41:27") FAIL("[" A "]", "a"), AT("02:46:27") FAIL("[" A "]", "a"));
}

static void a_process_number_comes_back_after_an_hour(void **state)
{
    STORY("1 " A " sendmail smtp unspecified 1 visit; 2 " A " sendmail smtp unspecified 1; "
          "3 " A " sendmail smtp unspecified 1 visit",
          SM("02:36:26", "11") BAD(A), SM("03:36:26", "11") BAD(A), SM("03:36:27", "11") BAD(A));
}

static void one_process_number_on_two_hosts(void **state)
{
    STORY("1 " A " sendmail smtp unspecified 1 visit; 2 " A " sendmail smtp unspecified 1 visit",
          "Nov 22 02:36:26 mx1 sm-mta[11]: " BAD(A), "Nov 22 02:36:26 mx2 sm-mta[11]: " BAD(A));
}

/* syslog_duplication: Exim writes a failure for its main log, and again for its reject log. */
static void a_line_that_exim_gives_syslog_twice_counts_once(void **state)
{
    STORY("1 " A " exim smtp unspecified 1 visit", SYS("11") FAIL("[" A "]", "a"),
          SYS("11") FAIL("[" A "]", "a"));
    STORY("1 " A " exim smtp unspecified 1 visit; 3 " A " exim smtp unspecified 1; "
          "5 " A " exim smtp unspecified 1",
          SYS("11") FAIL("[" A "]", "a"), SYS("11") FAIL("[" A "]", "a"),
          SYS("11") FAIL("[" A "]", "a"), SYS("11") FAIL("[" A "]", "a"),
          SYS("11") FAIL("[" A "]", "b"));
    /* the pairs of two processes may interleave */
    STORY("1 " A " exim smtp unspecified 1 visit; 2 " B " exim smtp unspecified 1 visit",
          SYS("11") FAIL("[" A "]", "a"), SYS("12") FAIL("[" B "]", "a"),
          SYS("11") FAIL("[" A "]", "a"), SYS("12") FAIL("[" B "]", "a"));
    /* with syslog_timestamp = false only the time tells a pair from the next attempt */
    STORY("1 " A " exim smtp unspecified 1 visit; 3 " A " exim smtp unspecified 1",
          "Nov 22 02:36:26 mx exim[11]: " FAIL("[" A "]", "a"),
          "Nov 22 02:36:26 mx exim[11]: " FAIL("[" A "]", "a"),
          "Nov 22 02:36:29 mx exim[11]: " FAIL("[" A "]", "a"),
          "Nov 22 02:36:29 mx exim[11]: " FAIL("[" A "]", "a"));
    STORY("1 " A " exim smtp unspecified 1 visit; 2 " A " exim smtp unspecified 1",
          "Nov 22 02:36:26 mx exim[11]: " FAIL("[" A "]", "a"),
          "Nov 22 02:36:29 mx exim[11]: " FAIL("[" A "]", "a"));
    /* a fault is one fault */
    struct fed fed;
    fed_open(&fed);
    for (int i = 0; i < 2; i++)
        fed_line(&fed, SYS("11") "login authenticator failed for [" A "]: 435 Internal error");
    assert_int_equal(gv_reader_counters(fed.reader)->faults, 1);
    fed_close(&fed);
}

static void exims_own_log_has_each_line_once(void **state)
{
    STORY("1 " A " exim smtp unspecified 1 visit; 2 " A " exim smtp unspecified 1",
          AT("02:36:26") FAIL("[" A "]", "a"), AT("02:36:26") FAIL("[" A "]", "a"));
    /* and so have lines that are not for the reject log */
#define NOT "SMTP protocol error in \"AUTH X\" H=[" A "] AUTH command used when not advertised"
    STORY("1 " A " exim smtp aborted 1 visit; 2 " A " exim smtp aborted 1", SYS("11") NOT,
          SYS("11") NOT);
}

static void a_login_is_one_success_however_many_mails(void **state)
{
    STORY("1 " A " exim smtp unspecified 1 visit; 2 " A " exim smtp success; "
          "4 " A " exim smtp success visit",
          AT("02:36:26") "[11] " FAIL("[" A "]", "alice"), AT("02:36:27") "[11] " MAIL("[" A "]"),
          AT("02:36:28") "[11] " MAIL("[" A "]"), AT("02:36:29") "[12] " MAIL("[" A "]"));
    STORY("1 " A " sendmail smtp success visit; 2 " A " sendmail smtp unspecified 1",
          SM("02:36:26", "11") "AUTH=server, relay=[" A "], authid=a, mech=PLAIN, bits=0",
          SM("02:36:26", "11") BAD(A));
}

/* The N-th AUTH is not yet answered when Sendmail complains of N. */
static void sendmail_counts_what_it_does_not_log(void **state)
{
#define ATTACK(client, n) "5AM2: [" client "]: possible SMTP attack: command=AUTH, count=" n
    STORY("1 " A " sendmail smtp unspecified 1 visit; 2 " A " sendmail smtp aborted 3; "
          "3 " A " sendmail smtp unspecified 1",
          SM("02:36:26", "11") BAD(A), SM("02:36:27", "11") ATTACK(A, "5"),
          SM("02:36:28", "11") BAD(A));
    STORY("1 " A " sendmail smtp unspecified 1 visit; 2 " A " sendmail smtp unspecified 1",
          SM("02:36:26", "11") BAD(A), SM("02:36:26", "11") BAD(A),
          SM("02:36:27", "11") ATTACK(A, "3"));
    STORY("1 " B " sendmail smtp unspecified 1 visit; 2 " A " sendmail smtp aborted 2 visit",
          SM("02:36:26", "11") BAD(B), SM("02:36:27", "11") ATTACK(A, "3"));
    /* a fault of the backend is told of, too, and so is a login */
    STORY("2 " A " sendmail smtp success visit",
          SM("02:36:26", "11") "5AM2: AUTH failure (PLAIN): generic failure (-1) x, relay=[" A "]",
          SM("02:36:26", "11") "AUTH=server, relay=[" A "], authid=a, mech=PLAIN, bits=0",
          SM("02:36:27", "11") ATTACK(A, "3"));
}

static void a_drop_after_an_answer_is_nothing_more(void **state)
{
#define LOST(client) "5AM2: lost input channel from [" client "] to MTA after auth"
    STORY("1 " A " sendmail smtp unspecified 1 visit", SM("02:36:26", "11") BAD(A),
          SM("02:36:27", "11") LOST(A));
    STORY("1 " A " sendmail smtp aborted 1 visit", SM("02:36:26", "11") LOST(A),
          SM("02:36:27", "11") LOST(A));
}

/* A client whose long name leaves 100 bytes without its address: line by line, and once. */
static void failures_wait_for_their_clients_address(void **state)
{
#define LONG                                                                                       \
    "a-name-that-leaves-little-of-its-own-address.when-some-lines-have-only-a-hundred-bytes.ex.te"
#define CUT(why)                                                                                   \
    "5AM2aQ5D000011: AUTH failure (LOGIN): " why " x, user=alice, relay=" LONG " [198.51"
#define WRONG   "authentication failure (-13)"
#define WHO     "5AM2aQ5D000011: " LONG " [198.51.100.7]"
#define IDLE    WHO " did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA"
#define LATE(n) WHO ": possible SMTP attack: command=AUTH, count=" n
    /* the counts hold them too, and what came after the counts is new */
    STORY("3 " A " sendmail smtp unspecified 2 visit; 3 " A " sendmail smtp aborted 1; "
          "5 " A " sendmail smtp unspecified 1",
          SM("02:36:26", "11") CUT(WRONG), SM("02:36:27", "11") CUT(WRONG),
          SM("02:36:28", "11") LATE("4"), SM("02:36:29", "11") CUT(WRONG),
          SM("02:36:30", "11") IDLE);
    /* of several kinds */
    STORY("2 " A " sendmail smtp unknown-account 1 visit",
          SM("02:36:26", "11") CUT("user not found (-20)"), SM("02:36:27", "11") IDLE);
    STORY("3 " A " sendmail smtp unspecified 2 visit",
          SM("02:36:26", "11") CUT("user not found (-20)"), SM("02:36:27", "11") CUT(WRONG),
          SM("02:36:28", "11") IDLE);
    /* folded */
    STORY("3 " A " sendmail smtp unspecified 5 visit", SM("02:36:26", "11") CUT(WRONG),
          "Nov 22 02:36:27 mx last message repeated 4 times", SM("02:36:28", "11") IDLE);
    /* a fault is told of as well, and is nobody's */
    struct fed fed;
    fed_open(&fed);
    fed_line(&fed, SM("02:36:26", "11") CUT("generic failure (-1)"));
    fed_line(&fed, SM("02:36:26", "11") LATE("2"));
    assert_int_equal(fed.count, 0);
    assert_int_equal(gv_reader_counters(fed.reader)->faults, 1);
    assert_int_equal(gv_reader_counters(fed.reader)->unnamed, 0);
    fed_close(&fed);
}

/* Exim with its Dovecot authenticator, both in one syslog. */
static void dovecots_auth_says_why_exims_client_failed(void **state)
{
    STORY("2 " A " exim smtp unknown-account 1 visit",
          "Nov 22 02:36:26 mx dovecot: auth: passwd-file(nosuch," A "): unknown user",
          SYS("11") FAIL("[" A "]", "nosuch"));
    STORY("2 " A " exim smtp unspecified 1 visit refused",
          "Nov 22 02:36:26 mx dovecot: auth: policy(bob," A "): Authentication failure due to "
          "policy server refusal",
          SYS("11") FAIL("[" A "]", "bob"));
    STORY("2 " A " exim smtp unspecified 1 visit", /* of another account */
          "Nov 22 02:36:26 mx dovecot: auth: passwd-file(nosuch," A "): unknown user",
          SYS("11") FAIL("[" A "]", "alice"));
    STORY("2 " A " sendmail smtp unspecified 1 visit", /* Sendmail does not ask Dovecot */
          "Nov 22 02:36:26 mx dovecot: auth: passwd-file(alice," A "): unknown user",
          SM("02:36:26", "11") BAD(A));
}

/* Tables are bounded: ten thousand visits at once lose no attempt. */
static void more_than_the_tables_hold(void **state)
{
    struct fed fed;
    char line[256];
    size_t attempts = 0;

    fed_open(&fed);
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(line, sizeof line, SYS("%u") FAIL("[198.51.%u.%u]", "a"), i, i / 2 / 250,
                 i / 2 % 250);
        fed_line(&fed, line);
        attempts += fed.count;
        fed.count = 0;
    }
    assert_int_equal(attempts, 20000);
    fed_close(&fed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_process_is_one_visit),
        cmocka_unit_test(one_port_is_one_visit),
        cmocka_unit_test(without_either_an_address_is_one_visit_for_five_minutes),
        cmocka_unit_test(a_process_number_comes_back_after_an_hour),
        cmocka_unit_test(one_process_number_on_two_hosts),
        cmocka_unit_test(a_line_that_exim_gives_syslog_twice_counts_once),
        cmocka_unit_test(exims_own_log_has_each_line_once),
        cmocka_unit_test(a_login_is_one_success_however_many_mails),
        cmocka_unit_test(sendmail_counts_what_it_does_not_log),
        cmocka_unit_test(a_drop_after_an_answer_is_nothing_more),
        cmocka_unit_test(failures_wait_for_their_clients_address),
        cmocka_unit_test(dovecots_auth_says_why_exims_client_failed),
        cmocka_unit_test(more_than_the_tables_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
