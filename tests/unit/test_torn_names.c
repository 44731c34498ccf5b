/* A client's words that look like the beginning of another line, as behind one that was torn off:
 * what cannot be such a beginning hides nothing, and what can hides that line alone, and not in the
 * journal, nor of what Dovecot's auth service told (SPEC 10.4). 203.0.113.9 is never the client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"
#include "node/ingest/parse.h"

#define A "198.51.100.7"
#define D "Nov 22 02:38:26 vm dovecot: "
#define GONE                                                                                       \
    D "imap-login: Disconnected: Connection closed (auth failed, 25 attempts in 70 secs): user=<"
#define REAL ">, method=PLAIN, rip=" A ", lip=192.0.2.25, session=<TQRlYtRg0aDGM2QH>"
#define MANY "198.51.100.7 dovecot imap unspecified 25 visit"

/* One word: of the DNS, of ident, of HELO. Behind the stamp of a line stands a blank. */
static const char *const words[] = {
    "2026-11-22T11:11:11",
    "2026-11-22T11:11:11Z",
    "2026-11-22T11:11:11.5Z",
    "2026-11-22T11:11:11.123456+00:00",
    "2026-11-22T11:11:11.123456-0800",
    "2026-11-22T11:11:11.vm.dovecot",
    "2026-11-22T11:11:11.123456+00:00-vm-postfix/smtpd",
    "2026-11-22T11:11:11_vm_sm-mta",
    "1T11:11:11",
    "x1T11:11:11",
    "x1T11:11:11x",
    "1T11:11:11.",
    "1T11:11:11.198.51.100.9",
    "1T11:11:11Z1T22:22:22Z",
    "1T11:11:11.1T22:22:22",
    "1T11:11:11.1T22:22:22.1T00:00:00",
    "1T11:11:11+01:00.example",
    "9T99:99:99",
    "0T00:00:00",
    "a.2026-11-22T11:11:11.b",
    "22.11.2026T11:11:11",
    "20261122T11:11:11",
    "1T1:1T11:11:11",
    "1T11:11:11--",
    "1T11:11:11Zulu",
};
#define WORDS (sizeof words / sizeof *words)
_Static_assert(WORDS >= 20, "of each kind");

static void each_word(const char *frame, const char *expected)
{
    char line[600];

    for (size_t i = 0; i < WORDS; i++) {
        snprintf(line, sizeof line, frame, words[i]);
        if (strcmp(alone(line), expected) != 0)
            fail_msg("%s gave '%s', not '%s'", line, alone(line), expected);
    }
}

static void one_word_hides_nothing_of_sendmail(void **state)
{
#define SM  "Nov 22 02:36:26 mx sm-mta[24320]: 5AM2aQ5D024320: "
#define BAD "authentication failure (-13) SASL(-13): authentication failure: checkpass failed"
    static const char one[] = "1 198.51.100.7 sendmail smtp unspecified 1 visit";

    each_word(SM "AUTH failure (LOGIN): " BAD ", user=x, relay=%s@c.test [198.51.100.7]", one);
    each_word(SM "AUTH failure (LOGIN): " BAD ", user=x, relay=%s [198.51.100.7]", one);
    each_word(SM "AUTH failure (LOGIN): " BAD ", user=x, relay=%s [198.51.100.7] (may be forged)",
              one);
    each_word(SM "AUTH failure (LOGIN): " BAD ", user=%s, relay=c.test [198.51.100.7]", one);
    each_word(SM "%s [198.51.100.7]: possible SMTP attack: command=AUTH, count=4",
              "1 198.51.100.7 sendmail smtp aborted 3 visit");
    each_word(
        "Nov 22 02:36:26 mx sm-mta[24320]: lost input channel from %s@c.test [198.51.100.7] to "
        "MTA after auth",
        "1 198.51.100.7 sendmail smtp aborted 1 visit");
}

static void one_word_hides_nothing_of_cyrus_courier_and_exim(void **state)
{
    each_word("Nov 22 02:38:26 vm cyrus/imap[9]: badlogin: %s [198.51.100.7] plaintext (x) "
              "[SASL(-13): authentication failure: checkpass failed]",
              "1 198.51.100.7 cyrus imap unspecified 1 visit");
    each_word("Nov 22 02:38:26 vm cyrus/imap[9]: badlogin: c.test [198.51.100.7] plaintext (%s) "
              "[SASL(-13): authentication failure: checkpass failed]",
              "1 198.51.100.7 cyrus imap unspecified 1 visit");
    each_word("Nov 22 02:38:26 vm imapd: LOGIN FAILED, user=%s, ip=[198.51.100.7], port=[4711]",
              "1 198.51.100.7 courier imap unspecified 1 visit");
    each_word("Nov 22 02:38:26 vm courieresmtpd: error,relay=198.51.100.7,port=4711,ident=\"%s\","
              "msg=\"535 Authentication failed.\",cmd: AUTH PLAIN",
              "1 198.51.100.7 courier smtp unspecified 1 visit");
    each_word(
        "2026-11-22 02:36:26 login authenticator failed for (%s) [198.51.100.7]: 535 Incorrect "
        "authentication data (set_id=x)",
        "1 198.51.100.7 exim smtp unspecified 1 visit");
    each_word("Nov 22 02:36:26 mx exim[3]: 2026-11-22 02:36:26 login authenticator failed for (%s) "
              "[198.51.100.7]: 535 Incorrect authentication data",
              "1 198.51.100.7 exim smtp unspecified 1 visit");
    each_word(GONE "%s" REAL, "1 " MANY);
}

/* What is no stamp of a line's beginning, or not its beginning. */
static const char *const hides_nothing[] = {
    "Nov 22 02:38:26",
    "x Nov 22 02:38:26",
    "Nov 22 02:38:26x vm dovecot: imap-login: y",
    "Nov 22 02:38:26; vm dovecot: imap-login: y",
    "Nov 22 02:38:26: vm dovecot: imap-login: y",
    "Nov 22 02:38:26\tvm dovecot: imap-login: y",
    "Nov 22 02:38:26 [192.0.2.1] dovecot: y",
    "Nov 22 02:38:26 [x] dovecot: y",
    "2026-11-22T02:38:26",
    "2026-11-22T02:38:26.123456+00:00",
    "2026-11-22T02:38:26.123456+00:00,vm dovecot: y",
    "2026-11-22T02:38:26.123456+00:00>vm dovecot: y",
    "2026-11-22T02:38:26Zvm dovecot: y",
    "2026-11-22 02:38:2 vm dovecot: y",
    "2026-11-22T02:38: vm dovecot: y",
    "22 02:38:26 vm dovecot: y",
    "1 02:38:26 vm dovecot: y",
    "1T02:38:26 vm dovecot: y",
    "2026-11-2T02:38:26 vm postfix/smtpd[1]: y",
    "0000-00-00x00:00:00 vm dovecot: y",
    "<22>1 -",
    "imap-login: Disconnected: y",
    "dovecot: imap-login: Login: user=<z",
};
_Static_assert(sizeof hides_nothing / sizeof *hides_nothing >= 20, "of each kind");

/* What may be the next line's beginning, byte for byte, as somebody else's message could have put
 * it there. */
static const char *const may_be_torn[] = {
    "Nov 22 02:38:26 vm postfix/cleanup[77]: 4F0C12: message-id=<user=<x",
    "Nov 22 02:38:26 vm dovecot: imap-login: y",
    "xNov 22 02:38:26 vm dovecot: imap-login: y",
    "Nov 22 02:38:26 vm x",
    "Nov  2 02:38:26 vm x",
    "Nov 22 02:38:26.123 vm x",
    "2026-11-22T02:38:26Z vm x",
    "2026-11-22T02:38:26.1Z vm x",
    "2026-11-22T02:38:26.123456+00:00 vm x",
    "2026-11-22T02:38:26,123+0100 vm x",
    "2026-11-22T02:38:26-08:00 vm x",
    "2026-11-22T02:38:26z vm x",
    "2026-11-22 02:38:26,123 +0100 vm x",
    "Nov 22 02:38:26,5 vm x",
    "2026-11-22 02:38:26 vm x",
    "2026-11-22 02:38:26 imap-login: Info: x",
    "a 2026-11-22 02:38:26 1xV26K-000039-0k x",
    "2026-11-22 02:38:26 [123] x",
    "Nov 22 02:38:26 2001:db8::1 x",
    "Nov 22 02:38:26 <mail.info> vm x",
    "Nov 22 02:38:26 vm mail.info x",
    "Jan  1 00:00:00 a b",
    "Dec 31 23:59:59 a b",
    "<22>Nov 22 02:38:26 vm x",
    "<22>1 - vm dovecot 1 - - a: x",
    "<22>1 2026-11-22T02:38:26Z vm dovecot 1 - - x",
};
#define MAY (sizeof may_be_torn / sizeof *may_be_torn)
_Static_assert(MAY >= 20, "of each kind");

static void names_that_are_no_beginning_hide_nothing(void **state)
{
    char line[600];

    for (size_t i = 0; i < sizeof hides_nothing / sizeof *hides_nothing; i++) {
        snprintf(line, sizeof line, GONE "%s" REAL, hides_nothing[i]);
        if (strcmp(alone(line), "1 " MANY) != 0)
            fail_msg("%s gave '%s'", line, alone(line));
    }
}

/* It is looked for thirty-two places at once: the slow way is one at a time. */
static void a_stamp_is_found_wherever_it_stands(void **state)
{
    static const char *const all[] = {"1 02:36:17",     "1T02:36:17",    "9T23:59:59 v",
                                      "1 02:36:17.5 v", "1 02:36:17Z v", "1 02:36:17 [7] v"};
    static const char *const none[] = {
        "x 02:36:17",    "1x02:36:17",    "1 x2:36:17",   "1 0x:36:17",  "1 02x36:17",
        "1 02:x6:17",    "1 02:3x:17",    "1 02:36x17",   "1 02:36:x7",  "1 02:36:1x",
        "1 02:36:17x v", "1 02:36:17 [v", "1 02:36:17.x", " 02:36:17 v", "1 02:36:1"};
    char text[200];

    for (size_t before = 0; before <= 70; before++)
        for (size_t behind = 0; behind <= 70; behind++) {
            memset(text, ':', sizeof text);
            for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
                size_t len = strlen(all[i]);
                memcpy(text + before, all[i], len);
                text[before + len] = ' ';
                size_t n = before + len + behind;
                assert_true(gv_holds_stamp(text, text + n, false));
                memset(text + before, ':', len + 1);
            }
            for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
                size_t len = strlen(none[i]);
                memcpy(text + before, none[i], len);
                assert_false(gv_holds_stamp(text, text + before + len + behind, false));
                memset(text + before, ':', len);
            }
        }
    strcpy(text, "1T02:36:17 [192.0.2.1] v");
    assert_false(gv_holds_stamp(text, text + strlen(text), false));
    assert_true(gv_holds_stamp(text, text + strlen(text), true));
}

/* Torn off in front of its address, with such a line behind it in which somebody else has the last
 * word: of nobody. */
static void what_may_be_torn_is_of_nobody(void **state)
{
#define EVIL "[203.0.113.9]"
    static const char *const frames[] = {
        "sm-mta[24320]: 5AM2aQ5D024320: AUTH failure (LOGIN): " BAD ", user=x%s, relay=y " EVIL,
        "sm-mta[24320]: lost input channel from c%s " EVIL " to MTA after auth",
        "cyrus/imap[9]: badlogin: c%s " EVIL " plaintext (x) [SASL(-13): authentication failure: "
        "checkpass failed]",
        "imapd: LOGIN FAILED, user=x%s, ip=" EVIL ", port=[4711]",
        "exim[3]: 2026-11-22 02:36:26 login authenticator failed for (x%s) " EVIL
        ": 535 Incorrect authentication data",
        "dovecot: imap-login: Login: user=<x%s>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.25, "
        "session=<TQRlYtRg0aDGM2QH>",
        "postfix/smtpd[7]: disconnect from c%s" EVIL " ehlo=1 auth=0/3 commands=1/4",
    };
    char text[600], line[700];

    for (size_t i = 0; i < MAY; i++)
        for (size_t j = 0; j < sizeof frames / sizeof *frames; j++) {
            snprintf(text, sizeof text, frames[j], may_be_torn[i]);
            /* "-" is the stamp of RFC 5424 that is none: who writes it writes it before each line
             */
            if (strstr(may_be_torn[i], ">1 - ")) {
                char *colon = strchr(text, ':'), *pid = memchr(text, '[', (size_t)(colon - text));
                snprintf(line, sizeof line, "<22>1 - mx %.*s 1 - -%s",
                         (int)((pid ? pid : colon) - text), text, colon + 1);
            } else {
                snprintf(line, sizeof line, "Nov 22 02:36:26 mx %s", text);
            }
            if (strcmp(alone(line), "") != 0)
                fail_msg("%s gave '%s'", line, alone(line));
        }
}

/* That visit and no other; it is counted as such; and with auth_verbose nothing of it is hidden. */
static void names_that_may_be_one_hide_one_visit_at_most(void **state)
{
    char line[600];

    for (size_t i = 0; i < MAY; i++) {
        snprintf(line, sizeof line, GONE "%s" REAL, may_be_torn[i]);
        if (strcmp(alone(line), "") != 0)
            fail_msg("%s gave '%s'", line, alone(line));
        struct gv_reader_counters c =
            STORY("1 " MANY "; 3 " MANY, GONE "bob" REAL, line, GONE "bob" REAL);
        assert_int_equal(c.torn, 1);
        assert_int_equal(c.untold, 3);
#define TOLD D "auth: sql(bob," A ",<TQRlYtRg0aDGM2QH>): Password mismatch"
        c = STORY("3 198.51.100.7 dovecot imap wrong-password 2 visit", TOLD, TOLD, line);
        assert_int_equal(c.torn, 0);
        assert_int_equal(c.untold, 0);
    }
}

/* Once the auth service has told of a failure nothing is untold, nor was. */
static void what_is_told_of_needs_no_advice(void **state)
{
    struct gv_reader_counters c = STORY("1 " MANY, GONE "bob" REAL);

    assert_int_equal(c.untold, 1);
    c = STORY("1 " MANY "; 3 198.51.100.7 dovecot imap wrong-password 25 visit", GONE "bob" REAL,
              TOLD, GONE "bob" REAL);
    assert_int_equal(c.untold, 0);
}

/* The journal keeps each message as it came: what stands in a name is a name. */
static void in_the_journal_no_name_hides_anything(void **state)
{
    static const struct gv_reader_config config = {.key = "0123456789abcde", .never_torn = true};
    struct gv_reading readings[GV_READINGS_MAX];
    char line[600], got[DESCRIBED_MAX];

    for (size_t i = 0; i < MAY; i++) {
        struct gv_reader *reader = gv_reader_new(&config);
        assert_non_null(reader);
        snprintf(line, sizeof line, GONE "%s" REAL, may_be_torn[i]);
        assert_int_equal(gv_reader_line(reader, readings, line, strlen(line), FED_NOW_MS), 1);
        describe(got, &readings[0]);
        assert_string_equal(got, "1 " MANY);
        snprintf(line, sizeof line,
                 "Nov 22 02:38:26 vm imapd: LOGIN FAILED, user=%s, ip=[198.51.100.7]",
                 may_be_torn[i]);
        (void)gv_reader_line(reader, readings, line, strlen(line), FED_NOW_MS);
        assert_int_equal(gv_reader_flush(reader, readings), 1);
        describe(got, &readings[0]);
        assert_string_equal(got, "2 198.51.100.7 courier imap unspecified 1 visit");
        assert_int_equal(gv_reader_counters(reader)->torn, 0);
        gv_reader_free(reader);
    }
}

/* Why it cannot be otherwise in a file: one of these two was torn, and the other is whole. */
static void one_text_with_two_histories(void **state)
{
    static const char first[] = GONE "x";
    static const char planted[] =
        "Nov 22 02:38:26 vm postfix/cleanup[7]: 4F0C12: message-id=<y>, method=PLAIN, "
        "rip=203.0.113.9, lip=192.0.2.25, session=<TQRlYtRg0aDGM2QH>";
    static const char whole[] =
        GONE "xNov 22 02:38:26 vm postfix/cleanup[7]: 4F0C12: message-id=<y>, "
             "method=PLAIN, rip=203.0.113.9, lip=192.0.2.25, "
             "session=<TQRlYtRg0aDGM2QH>";
    char glued[600];

    snprintf(glued, sizeof glued, "%s%s", first, planted);
    assert_string_equal(glued, whole);
    assert_string_equal(alone(glued), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_word_hides_nothing_of_sendmail),
        cmocka_unit_test(one_word_hides_nothing_of_cyrus_courier_and_exim),
        cmocka_unit_test(names_that_are_no_beginning_hide_nothing),
        cmocka_unit_test(what_may_be_torn_is_of_nobody),
        cmocka_unit_test(what_is_told_of_needs_no_advice),
        cmocka_unit_test(a_stamp_is_found_wherever_it_stands),
        cmocka_unit_test(names_that_may_be_one_hide_one_visit_at_most),
        cmocka_unit_test(in_the_journal_no_name_hides_anything),
        cmocka_unit_test(one_text_with_two_histories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
