/* Equal messages that syslogd has folded into one line (SPEC 10.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define P      "Nov 22 02:36:17 mx postfix/smtpd[9]: "
#define FAILED "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6"
#define D      "Nov 22 02:36:21 mx dovecot: "
#define LOGIN                                                                                      \
    "imap-login: Disconnected (auth failed, 2 attempts in 4 secs): user=<x>, method=PLAIN, "       \
    "rip=198.51.100.9, lip=192.0.2.1, session=<TQRlYtRg0aDGM2QH>"

static const struct {
    const char *lines[6];
    const char *said;
} stories[] = {
    /* rsyslog, Postfix: the failures count, and the disconnect line adds none to them */
    {{P "connect from unknown[198.51.100.7]", P FAILED, P "message repeated 2 times: [ " FAILED "]",
      P "disconnect from unknown[198.51.100.7] ehlo=1 auth=0/3 quit=1 commands=2/5"},
     "2 198.51.100.7 postfix smtp unspecified 1 visit; "
     "3 198.51.100.7 postfix smtp unspecified 2"},
    /* Dovecot: N attempts weigh N, as often as the line came */
    {{D LOGIN, D "message repeated 7 times: [ " LOGIN "]"},
     "1 198.51.100.9 dovecot imap unspecified 2 visit; "
     "2 198.51.100.9 dovecot imap unspecified 14 visit"},
    /* the BSDs */
    {{P "connect from unknown[198.51.100.7]", P FAILED,
      "Nov 22 02:36:24 mx last message repeated 3 times",
      P "disconnect from unknown[198.51.100.7] ehlo=1 auth=0/4 quit=1 commands=2/6"},
     "2 198.51.100.7 postfix smtp unspecified 1 visit; "
     "3 198.51.100.7 postfix smtp unspecified 3"},
    {{D LOGIN, "Nov 22 02:36:24 mx last message repeated 1 time"},
     "1 198.51.100.9 dovecot imap unspecified 2 visit; "
     "2 198.51.100.9 dovecot imap unspecified 2 visit"},
    /* by a syslog socket, with the priority */
    {{"<22>" D LOGIN, "<22>Nov 22 02:36:24 mx last message repeated 3 times"},
     "1 198.51.100.9 dovecot imap unspecified 2 visit; "
     "2 198.51.100.9 dovecot imap unspecified 6 visit"},
    {{"<22>" P FAILED, "<46>Nov 22 02:36:24 mx last message repeated 3 times"},
     "1 198.51.100.7 postfix smtp unspecified 1 visit; "
     "2 198.51.100.7 postfix smtp unspecified 3"},
    {{"<22>" D LOGIN, "<22>Nov 22 02:36:24 my last message repeated 3 times"},
     "1 198.51.100.9 dovecot imap unspecified 2 visit"},
    /* of another host, of another line, of what was no failure, twice */
    {{D LOGIN, "Nov 22 02:36:24 my last message repeated 3 times"},
     "1 198.51.100.9 dovecot imap unspecified 2 visit"},
    {{D LOGIN,
      D "imap-login: Disconnected (no auth attempts in 1 secs): user=<>, rip=198.51.100.9, "
        "lip=192.0.2.1, session=<TQRlYtRg0aDGM2QH>",
      "Nov 22 02:36:24 mx last message repeated 3 times"},
     "1 198.51.100.9 dovecot imap unspecified 2 visit"},
    {{D LOGIN, D "lmtp(x)<5><y>: saved mail to INBOX",
      "Nov 22 02:36:24 mx last message repeated 3 times"},
     "1 198.51.100.9 dovecot imap unspecified 2 visit"},
    {{D LOGIN, "Nov 22 02:36:22 mx sshd[1]: x", "Nov 22 02:36:24 mx last message repeated 3 times"},
     "1 198.51.100.9 dovecot imap unspecified 2 visit"},
    {{D LOGIN, "Nov 22 02:36:24 mx last message repeated 3 times",
      "Nov 22 02:36:24 mx last message repeated 3 times"},
     "1 198.51.100.9 dovecot imap unspecified 2 visit; "
     "2 198.51.100.9 dovecot imap unspecified 6 visit"},
    {{"Nov 22 02:36:24 mx last message repeated 3 times"}, ""},
    /* not quite the form */
    {{D "message repeated 7 times: [ " LOGIN}, ""},
    {{D "message repeated 0 times: [ " LOGIN "]"}, ""},
    {{D "message repeated -1 times: [ " LOGIN "]"}, ""},
    {{D "message repeated 12345678 times: [ " LOGIN "]"}, ""},
    {{D "message repeated 2 times: []"}, ""},
    {{D "message repeated 2 times: [ message repeated 2 times: [ " LOGIN "]]"}, ""},
    {{D LOGIN, "Nov 22 02:36:24 mx last message repeated 3 times today"},
     "1 198.51.100.9 dovecot imap unspecified 2 visit"},
    /* what a client says cannot be such a line: its words come later */
    {{P FAILED ", sasl_username=x: message repeated 9 times: [ " FAILED "]"},
     "1 198.51.100.7 postfix smtp unspecified 1 visit"},
};

static void folded_lines_count_as_often_as_they_came(void **state)
{
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        struct fed fed;
        fed_open(&fed);
        for (size_t j = 0; j < 6 && stories[i].lines[j]; j++)
            fed_line(&fed, stories[i].lines[j]);
        fed_flush(&fed);
        const char *said = fed_take(&fed);
        if (strcmp(said, stories[i].said) != 0)
            fail_msg("story %zu:\n  %s\nshould be\n  %s", i, said, stories[i].said);
        fed_close(&fed);
    }
}

static void no_number_is_too_large(void **state)
{
    struct fed fed;

    fed_open(&fed);
    fed_line(&fed, D "message repeated 999999 times: [ imap-login: Disconnected (auth failed, "
                     "999999999 attempts in 4 secs): user=<x>, method=PLAIN, rip=198.51.100.9, "
                     "lip=192.0.2.1, session=<TQRlYtRg0aDGM2QH>]");
    assert_string_equal(fed_take(&fed), "1 198.51.100.9 dovecot imap unspecified 999999999 visit");
    fed_close(&fed);
}

/* A line that is too long to be read is a line all the same: it is what came again. */
static void a_line_that_was_skipped_is_the_one_before(void **state)
{
    static char line[GV_LINE_MAX + 200];
    struct fed fed;

    memset(line, 'x', sizeof line - 1);
    memcpy(line, "Nov 22 02:36:22 mx sshd[1]: ", 28);
    for (int skipped = 0; skipped < 2; skipped++) {
        fed_open(&fed);
        fed_line(&fed, D LOGIN);
        if (skipped)
            gv_reader_skip(fed.reader);
        else
            fed_line(&fed, line);
        fed_line(&fed, "Nov 22 02:36:24 mx last message repeated 99 times");
        fed_close(&fed);
        assert_string_equal(fed_take(&fed), "1 198.51.100.9 dovecot imap unspecified 2 visit");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_that_was_skipped_is_the_one_before),
        cmocka_unit_test(folded_lines_count_as_often_as_they_came),
        cmocka_unit_test(no_number_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
