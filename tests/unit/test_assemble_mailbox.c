/* Cyrus' and Courier's visits, what saslauthd says of an attempt, and Courier's failures that turn
 * out to be the backend's (SPEC 10.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define AT(second) "Nov 22 02:38:" second " vm "
#define A          "198.51.100.7"
#define B          "198.51.100.8"
#define CYRUS(second, pid, address, user)                                                          \
    AT(second)                                                                                     \
    "cyrus/imap[" pid "]: badlogin: [" address "] plaintext (" user                                \
    ") [SASL(-13): authentication failure: checkpass failed]"
#define SASL(second, user, service, realm, reason)                                                 \
    AT(second)                                                                                     \
    "saslauthd[9]: do_auth         : auth failure: [user=" user "] [service=" service              \
    "] [realm=" realm "] [mech=pam] [reason=" reason "]"
#define FAILED(second, tag, address, port)                                                         \
    AT(second) tag ": LOGIN FAILED, user=alice, ip=[::ffff:" address "], port=[" port "]"
#define TROUBLE(second, tag)          AT(second) tag ": authentication error: Connection refused"
#define ONE(line, address, mta, what) line " " address " " mta " imap " what

static uint64_t faults; /* of the story told last */

#define TELL(expected, ...) (faults = STORY(expected, __VA_ARGS__).faults)

static void cyrus_process_and_address_are_a_visit(void **state)
{
    TELL(ONE("1", A, "cyrus", "unspecified 1 visit; ") ONE("2", A, "cyrus", "unspecified 1; ")
             ONE("3", B, "cyrus", "unspecified 1 visit; ")
                 ONE("4", A, "cyrus", "unspecified 1 visit; ")
                     ONE("5", A, "cyrus", "unspecified 1; ") "6 " A " cyrus imap success",
         CYRUS("01", "7", A, "a"), CYRUS("04", "7", A, "b"), CYRUS("05", "7", B, "b"),
         CYRUS("06", "8", A, "a"), CYRUS("07", "7", A, "c"),
         AT("08") "cyrus/imap[7]: login: [" A "] alice PLAIN User logged in");
}

static void a_long_pause_ends_a_visit(void **state)
{
    TELL(ONE("1", A, "cyrus", "unspecified 1 visit; ") ONE("2", A, "cyrus", "unspecified 1; ")
             ONE("3", A, "cyrus", "unspecified 1 visit"),
         "Nov 22 02:30:00 vm cyrus/imap[7]: badlogin: [" A "] PLAIN authentication failure",
         "Nov 22 02:31:59 vm cyrus/imap[7]: badlogin: [" A "] PLAIN authentication failure",
         "Nov 22 02:34:10 vm cyrus/imap[7]: badlogin: [" A "] PLAIN authentication failure");
}

static void courier_port_and_address_are_a_visit(void **state)
{
    TELL(ONE("1", A, "courier", "unspecified 1 visit; ") ONE("2", A, "courier", "unspecified 1; ")
             ONE("3", A, "courier", "unspecified 1 visit; ")
                 ONE("4", B, "courier", "unspecified 1 visit; ") "5 " A " courier imap success",
         FAILED("01", "imapd", A, "4000"), FAILED("06", "imapd", A, "4000"),
         FAILED("07", "imapd", A, "4001"), FAILED("09", "imapd", B, "4000"),
         AT("20") "imapd: LOGIN, user=alice, ip=[::ffff:" A "], port=[4000], protocol=IMAP");
}

static void saslauthd_alone_counts_nothing(void **state)
{
    TELL("", SASL("01", "alice", "imap", "", "Incorrect password"),
         SASL("02", "alice", "imap", "", "internal mechanism failure"));
    assert_int_equal(faults, 0);
}

static void saslauthd_says_why(void **state)
{
    TELL(ONE("2", A, "cyrus", "wrong-password 1 visit; ")
             ONE("4", A, "cyrus", "unknown-account 1; ") ONE("6", A, "cyrus", "unspecified 1; ")
                 ONE("8", A, "cyrus", "wrong-password 1"),
         SASL("01", "alice", "imap", "", "Incorrect password"), CYRUS("01", "7", A, "Alice"),
         SASL("04", "bob", "imap", "", "Invalid username"), CYRUS("04", "7", A, "bob"),
         SASL("07", "carol", "imap", "", "PAM auth error"), CYRUS("07", "7", A, "carol"),
         AT("10") "saslauthd[9]:                 : auth failure: [user=dan] [service=imap] "
                  "[realm=ex.test] [mech=shadow] [reason=Incorrect password]",
         CYRUS("10", "7", A, "dan@ex.test"));
}

static void saslauthd_with_a_broken_backend_excuses(void **state)
{
    TELL(ONE("3", A, "cyrus", "unspecified 1 visit"),
         SASL("01", "alice", "imap", "", "[ALERT] Couldn't contact remote authentication server"),
         CYRUS("01", "7", A, "alice"), CYRUS("02", "7", A, "alice"));
    assert_int_equal(faults, 1);
    TELL("", SASL("01", "alice", "imap", "", "Account expired"), CYRUS("01", "7", A, "alice"));
    assert_int_equal(faults, 1);
}

static void saslauthd_of_another_attempt_excuses_nothing(void **state)
{
    static const char no[] = "2 " A " cyrus imap unspecified 1 visit";

    TELL(no, SASL("01", "bob", "imap", "", "internal mechanism failure"),
         CYRUS("01", "7", A, "alice"));
    TELL(no, SASL("01", "alice", "smtp", "", "internal mechanism failure"),
         CYRUS("01", "7", A, "alice"));
    TELL(no, SASL("01", "alice", "imap", "ex.test", "internal mechanism failure"),
         CYRUS("01", "7", A, "alice"));
    TELL(no, SASL("01", "alice", "imap", "", "internal mechanism failure"),
         CYRUS("20", "7", A, "alice"));
}

static void saslauthd_for_postfix(void **state)
{
    TELL("2 " A " postfix smtp wrong-password 1 visit; 5 " A " postfix smtp unspecified 1",
         SASL("01", "alice", "smtp", "", "Incorrect password"),
         AT("01") "postfix/smtpd[1]: warning: unknown[" A "]: SASL LOGIN authentication failed: "
                  "authentication failure, sasl_username=alice",
         SASL("03", "alice", "smtp", "", "PAM start error"),
         AT("03") "postfix/smtpd[1]: warning: unknown[" A "]: SASL LOGIN authentication failed: "
                  "authentication failure, sasl_username=alice",
         AT("04") "postfix/smtpd[1]: warning: unknown[" A "]: SASL LOGIN authentication failed: "
                  "authentication failure, sasl_username=alice");
    assert_int_equal(faults, 1);
}

static void courier_takes_a_failure_back(void **state)
{
    TELL("", FAILED("01", "imapd", A, "4000"), TROUBLE("01", "imapd"));
    assert_int_equal(faults, 1);
    /* as it is really logged; the lines of two clients in between */
    TELL(ONE("5", A, "courier", "unspecified 1 visit"),
         AT("01") "imapd: authdaemon: s_connect() failed: Connection refused",
         AT("01") "imapd: [Hint: perhaps authdaemond is not running?]",
         FAILED("01", "imapd", A, "4000"), TROUBLE("01", "imapd"),
         FAILED("30", "imapd", A, "4000"));
    TELL("", FAILED("01", "imapd", A, "4000"), FAILED("01", "imapd", B, "4000"),
         TROUBLE("01", "imapd"), AT("01") "imapd: Disconnected, ip=[x], port=[1], time=1",
         TROUBLE("01", "imapd"));
    assert_int_equal(faults, 2);
}

static void courier_takes_only_the_latest_back(void **state)
{
    TELL(ONE("1", A, "courier", "unspecified 1 visit"), FAILED("01", "imapd", A, "4000"),
         FAILED("01", "imapd", B, "4000"), TROUBLE("01", "imapd"));
    TELL(ONE("1", A, "courier", "unspecified 1 visit"), FAILED("01", "imapd", A, "4000"),
         TROUBLE("01", "pop3d"));
    TELL(ONE("1", A, "courier", "unspecified 1 visit"), FAILED("01", "imapd", A, "4000"),
         TROUBLE("04", "imapd"));
    TELL(ONE("2", A, "courier", "unspecified 1 visit"), TROUBLE("01", "imapd"),
         FAILED("01", "imapd", A, "4000"));
}

/* Nobody waits for ever: any line that a reader looks at tells the time. */
static void what_waits_is_told_with_the_next_second(void **state)
{
    struct fed fed;

    fed_open(&fed);
    fed_line(&fed, FAILED("01", "imapd", A, "4000"));
    assert_int_equal(fed.count, 0);
    fed_line(&fed, AT("02") "imapd: Disconnected, ip=[::ffff:" A "], port=[4000], time=1");
    assert_int_equal(fed.count, 0);
    fed_line(&fed, AT("03") "postfix/smtpd[1]: connect from unknown[" B "]");
    assert_string_equal(fed_take(&fed), ONE("1", A, "courier", "unspecified 1 visit"));
    for (int i = 0; i < 6; i++)
        fed_line(&fed, FAILED("04", "imapd", A, "4001"));
    assert_int_equal(fed.count, 2); /* four wait, no more */
    fed_line(&fed, AT("04") "imapd: LOGIN, user=a, ip=[::ffff:" B "], port=[1], protocol=IMAP");
    assert_int_equal(fed.count, 7);
    for (size_t i = 1; i < 7; i++)
        assert_true(fed.list[i].line > fed.list[i - 1].line);
    fed_flush(&fed);
    assert_int_equal(fed.count, 7);
    assert_int_equal(gv_reader_counters(fed.reader)->failures, 7);
    fed_close(&fed);
}

static void esmtpd_says_it_before_or_behind(void **state)
{
#define RELAY                                                                                      \
    "courieresmtpd: error,relay=::ffff:" A ",port=4000,msg=\"535 Authentication failed.\",cmd: "   \
    "AUTH LOGIN alice"
    TELL("3 " A " courier smtp unspecified 1 visit",
         AT("01") "esmtpd: authdaemon: s_connect() failed: Connection refused", AT("01") RELAY,
         AT("01") RELAY);
    assert_int_equal(faults, 1);
    TELL("2 " A " courier smtp unspecified 1 visit",
         AT("01") "esmtpd: authdaemon: s_connect() failed: Connection refused", AT("09") RELAY);
    TELL("2 " A " courier smtp unspecified 1 visit",
         AT("01") "imapd: authdaemon: s_connect() failed: Connection refused", AT("01") RELAY);
    TELL("", AT("01") RELAY, AT("01") RELAY,
         AT("01") "courieresmtpd: authdaemon: s_connect() failed: Connection refused",
         AT("01") "courieresmtpd: authdaemon: s_connect() failed: Connection refused");
    assert_int_equal(faults, 2);
    TELL("1 " A " courier smtp unspecified 1 visit", AT("01") RELAY,
         AT("01") "courieresmtpd: authentication error: x",
         AT("01") "imapd: authdaemon: s_connect() failed: Connection refused");
    TELL(ONE("1", A, "courier", "unspecified 1 visit"), FAILED("01", "imapd", A, "4000"),
         AT("01") "esmtpd: authdaemon: s_connect() failed: Connection refused");
}

static void a_log_with_clients_own_lines_is_not_believed(void **state)
{
    TELL("3 " A " courier pop3 unspecified 1 visit",
         AT("01") "imapd: ID, user=alice, ip=[::ffff:" A "], port=[4000], name=x",
         FAILED("01", "imapd", B, "4000"), FAILED("02", "pop3d", A, "4000"),
         AT("03") "imapd-ssl: LOGIN, user=a, ip=[::ffff:" B "], port=[1], protocol=IMAP");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cyrus_process_and_address_are_a_visit),
        cmocka_unit_test(a_long_pause_ends_a_visit),
        cmocka_unit_test(courier_port_and_address_are_a_visit),
        cmocka_unit_test(saslauthd_alone_counts_nothing),
        cmocka_unit_test(saslauthd_says_why),
        cmocka_unit_test(saslauthd_with_a_broken_backend_excuses),
        cmocka_unit_test(saslauthd_of_another_attempt_excuses_nothing),
        cmocka_unit_test(saslauthd_for_postfix),
        cmocka_unit_test(courier_takes_a_failure_back),
        cmocka_unit_test(courier_takes_only_the_latest_back),
        cmocka_unit_test(what_waits_is_told_with_the_next_second),
        cmocka_unit_test(esmtpd_says_it_before_or_behind),
        cmocka_unit_test(a_log_with_clients_own_lines_is_not_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
