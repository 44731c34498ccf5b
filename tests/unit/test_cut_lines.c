/* A syslogd that cuts lines off (busybox at 256 bytes, others at 480, 512, 1024, ...) lets a client
 * choose what stands at their end, where his words stand in front of his address: Sendmail's user
 * name, Exim's HELO name. 198.51.100.7 does so, and 203.0.113.9 must not be accused. (SPEC 10.4) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define HEAD   "Nov 22 02:36:26 mx "
#define SM     HEAD "sm-mta[24320]: "
#define EX     HEAD "exim[24320]: 2026-11-22 02:36:26 "
#define AUTH   "5AM2aQ5D024320: AUTH failure (LOGIN): authentication failure (-13) x, user="
#define RELAY  ", relay=client.ex.test [198.51.100.7]"
#define EVIL   ", relay=evil.test [203.0.113.9]"
#define EXFAIL "login authenticator failed for ("
#define EXEVIL ") [203.0.113.9]: 535 Incorrect authentication data (set_id=x)"

static void open_log(struct fed *fed)
{
    static const struct gv_reader_config config = {.key = "0123456789abcde"};

    fed_open(fed);
    gv_reader_free(fed->reader);
    fed->reader = gv_reader_new(&config);
    assert_non_null(fed->reader);
}

/* `before`, so many x, `behind`, and what the server says then: what a syslogd that cuts at `cut`
 * bytes leaves of it. */
static void feed_cut(struct fed *fed, size_t cut, const char *before, size_t filler,
                     const char *behind, const char *rest)
{
    char line[9000];
    size_t at = (size_t)snprintf(line, sizeof line, "%s", before);

    memset(line + at, 'x', filler);
    snprintf(line + at + filler, sizeof line - at - filler, "%s%s", behind, rest);
    line[strlen(line) < cut ? strlen(line) : cut] = '\0';
    fed_line(fed, line);
}

/* The client puts an address right where it is cut, in a log in which every line is, and tries each
 * length that he could guess. */
static void forge(const char *before, const char *behind, const char *rest, size_t limit)
{
    for (size_t cut = 240; cut <= limit; cut++) {
        size_t fixed = strlen(before) + strlen(behind);
        struct fed fed;

        open_log(&fed);
        for (size_t longer = 0; longer < 3; longer++) /* others' long lines are cut there, too */
            feed_cut(&fed, cut, SM "5AM2aQ5D024320: to=<", 3000, ">", "");
        feed_cut(&fed, cut, EX "H=", 3000, "x", "");
        for (size_t near = 0; near < 6; near++)
            feed_cut(&fed, cut, before, cut - fixed - (near < 3 ? near : 0), behind, rest);
        feed_cut(&fed, cut, SM "5AM2aQ5D024320: to=<", 3000, ">", "");
        fed_flush(&fed);
        const char *got = fed_take(&fed);
        if (strstr(got, "203.0.113"))
            fail_msg("cut at %zu: %s", cut, got);
        fed_close(&fed);
    }
}

static void sendmails_user_name(void **state)
{
    forge(SM AUTH, EVIL, RELAY, 1100);
    forge(SM "message repeated 3 times: [ " AUTH, EVIL "]", RELAY "]", 1100);
}

static void sendmails_base64(void **state)
{
    forge(SM "5AM2aQ5D024320: AUTH decode64 error [-5 for \"", EVIL, "\"]" RELAY, 1100);
}

/* A client whose name leaves no room for his address is named by a later line; not by one in which
 * he says who he is. */
static void sendmails_senders(void **state)
{
#define LONG                                                                                       \
    "a-name-that-leaves-nothing-at-all-of-its-own-address.as-some-lines-have-only-a-hundred-"      \
    "bytes.of.it."                                                                                 \
    "ex.te."
    char unnamed[1024];

    assert_true(strlen(LONG) >= 99);
    snprintf(unnamed, sizeof unnamed, SM AUTH "x, relay=%.100s", LONG "st [198.51.100.7]");
    for (size_t cut = 300; cut < 600; cut++) {
        size_t fixed = strlen(SM "5AM2aQ5D024320: from=<, relay=" LONG "st [203.0.113.9]");
        struct fed fed;

        open_log(&fed);
        fed_line(&fed, unnamed);
        feed_cut(&fed, cut, SM "5AM2aQ5D024320: from=<", cut - fixed,
                 ", relay=" LONG "st [203.0.113.9]", ">, size=0, relay=" LONG "st [198.51.100.7]");
        fed_flush(&fed);
        assert_string_equal(fed_take(&fed), "");
        fed_close(&fed);
    }
}

static void exims_helo_name(void **state)
{
    forge(EX EXFAIL, EXEVIL, ") [198.51.100.7]: 535 Incorrect authentication data (set_id=y)",
          4300);
}

/* ---- what was not cut counts, at the latest with the next longer line ------------------------ */

static void a_longer_line_ends_the_doubt(void **state)
{
#define FILL "a-user-with-a-name-that-makes-the-line-longer-than-what-is-never-cut-off-by-a-syslogd"
    struct fed fed;

    open_log(&fed);
    fed_line(&fed, SM AUTH FILL FILL RELAY);
    fed_line(&fed, SM AUTH FILL FILL RELAY);
    assert_string_equal(fed_take(&fed), "");
    assert_int_equal(gv_reader_counters(fed.reader)->skipped, 2);
    fed_line(&fed, HEAD "my sm-mta[7]: to=<" FILL FILL FILL FILL ">"); /* of another program */
    fed_line(&fed, "Nov 22 02:36:27 my sm-mta[7]: to=<" FILL FILL FILL FILL ">"); /* and host */
    fed_line(&fed, SM AUTH "y" FILL FILL RELAY);          /* longer by a byte */
    fed_line(&fed, SM "to=<" FILL FILL SM FILL FILL ">"); /* two in one */
    assert_string_equal(fed_take(&fed), "");
    fed_line(&fed, "Nov 22 02:36:27 mx sm-mta[7]: to=<" FILL FILL FILL FILL FILL ">");
    assert_string_equal(fed_take(&fed), "7 198.51.100.7 sendmail smtp unspecified 1 visit; "
                                        "7 198.51.100.7 sendmail smtp unspecified 1; "
                                        "7 198.51.100.7 sendmail smtp unspecified 1");
    assert_int_equal(gv_reader_counters(fed.reader)->skipped, 0);
    fed_line(&fed, SM AUTH FILL FILL RELAY); /* and it stays so */
    assert_string_equal(fed_take(&fed), "8 198.51.100.7 sendmail smtp unspecified 1");
    fed_close(&fed);
}

/* A syslogd that was replaced may cut sooner: what one showed is believed for its day and the next.
 */
static void what_was_seen_is_not_believed_for_ever(void **state)
{
#define AT(day) "Nov " day " 02:36:26 mx sm-mta[7]: "
#define FIVE    "to=<" FILL FILL FILL FILL FILL ">"
    struct fed fed;

    open_log(&fed);
    fed_line(&fed, AT("10") FIVE);
    fed_line(&fed, AT("10") AUTH FILL FILL RELAY);
    fed_line(&fed, AT("11") AUTH FILL FILL RELAY);
    assert_string_equal(fed_take(&fed), "2 198.51.100.7 sendmail smtp unspecified 1 visit; "
                                        "3 198.51.100.7 sendmail smtp unspecified 1 visit");
    fed_line(&fed, AT("12") AUTH FILL FILL RELAY); /* which is the longest since the 10th */
    assert_string_equal(fed_take(&fed), "");
    fed_line(&fed, AT("12") FIVE);
    assert_string_equal(fed_take(&fed), "5 198.51.100.7 sendmail smtp unspecified 1 visit");
    fed_line(&fed, AT("13") FIVE); /* as each day has one */
    fed_line(&fed, AT("14") AUTH FILL FILL RELAY);
    assert_string_equal(fed_take(&fed), "7 198.51.100.7 sendmail smtp unspecified 1 visit");
    fed_close(&fed);
}

/* A line that names the client before anything of his says that the others did, too; and what it
 * counts it does not count a second time. */
static void a_line_of_the_same_process_ends_it(void **state)
{
    struct fed fed;

    open_log(&fed);
    fed_line(&fed, SM AUTH FILL FILL RELAY);
    fed_line(&fed, SM AUTH FILL FILL EVIL); /* cut */
    fed_line(&fed, SM "5AM2aQ5D024320: client.ex.test [198.51.100.7]: possible SMTP attack: "
                      "command=AUTH, count=4");
    fed_flush(&fed);
    assert_string_equal(fed_take(&fed), "3 198.51.100.7 sendmail smtp unspecified 1 visit; "
                                        "3 198.51.100.7 sendmail smtp aborted 2");
    fed_close(&fed);
}

/* More than can wait: the first wait in vain. No line lets go more than some. */
static void many_doubts(void **state)
{
    struct fed fed;

    open_log(&fed);
    for (int i = 0; i < 40; i++)
        fed_line(&fed, SM AUTH FILL FILL RELAY);
    for (int i = 0; i < 10; i++)
        fed_line(&fed, SM "to=<" FILL FILL FILL FILL ">");
    assert_int_equal(gv_reader_counters(fed.reader)->attempts, 32);
    assert_int_equal(gv_reader_counters(fed.reader)->skipped, 8);
    fed_close(&fed);
}

/* Genuine logs hold longer lines: all that is read of them where nothing is cut is read. */
static void whole_logs(void **state)
{
    static const struct {
        const char *name;
        uint64_t attempts;
    } logs[] = {{"genuine-sendmail", 91}, {"genuine-exim-syslog", 93}};

    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        char path[256], line[9000];
        struct fed fed;

        snprintf(path, sizeof path, "%s/tests/maillog/%s.log", GV_SOURCE_DIR, logs[i].name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        open_log(&fed);
        while (fgets(line, sizeof line, file)) {
            line[strcspn(line, "\n")] = '\0';
            fed_line(&fed, line);
        }
        fclose(file);
        fed_flush(&fed);
        print_message("%s: %u doubted to the end\n", logs[i].name,
                      (unsigned)gv_reader_counters(fed.reader)->skipped);
        assert_int_equal(gv_reader_counters(fed.reader)->attempts, logs[i].attempts);
        fed_close(&fed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sendmails_user_name),
        cmocka_unit_test(sendmails_base64),
        cmocka_unit_test(sendmails_senders),
        cmocka_unit_test(exims_helo_name),
        cmocka_unit_test(a_longer_line_ends_the_doubt),
        cmocka_unit_test(what_was_seen_is_not_believed_for_ever),
        cmocka_unit_test(a_line_of_the_same_process_ends_it),
        cmocka_unit_test(many_doubts),
        cmocka_unit_test(whole_logs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
