/* Attackers write into logs. Each case is a line as the server would log it for a client that puts
 * a forged address where it can; 203.0.113.9 is never the client, 198.51.100.7 always is. A forged
 * address is never an observation (SPEC 10.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define P    "Nov 22 02:36:26 vm postfix/smtpd[24320]: "
#define D    "Nov 22 02:38:26 vm dovecot: "
#define GONE "imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): "
#define REAL ", method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, session=<TQRlYtRg0aDGM2QH>"

static void expect(const char *line, const char *expected)
{
    const char *got = alone(line);

    if (strstr(got, "203.0.113") || strcmp(got, expected) != 0)
        fail_msg("%s\n  gave '%s'\n  not  '%s'", line, got, expected);
}

#define ONE_SMTP(kind) "1 198.51.100.7 postfix smtp " kind " 1 visit"
#define ONE_IMAP       "1 198.51.100.7 dovecot imap unspecified 1 visit"

/* ---- Postfix ---- */

static void postfix_user_name_that_repeats_the_line(void **state)
{
    expect(P "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: (reason "
             "unavailable), sasl_username=x]: SASL LOGIN authentication failed: "
             "unknown[203.0.113.9]?npostfix/smtpd[1]: warning: unknown[203.0.113.9]: SASL LOGIN "
             "authentication failed: x",
           ONE_SMTP("unspecified"));
}

/* Whatever the auth service makes of such a name, it hides no attempt. */
static void postfix_user_name_with_a_time(void **state)
{
    expect(P "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: (reason "
             "unavailable), sasl_username=alice@x 1 11:11:11",
           ONE_SMTP("unspecified"));
    expect(P "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: UGFzc3" P
             "warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: x, sasl_username=y",
           "");
    expect(P
           "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: x, sasl_username=y" P
           "disconnect from unknown[203.0.113.9] ehlo=1 auth=0/9 commands=1/10",
           ONE_SMTP("unspecified"));
}

static void postfix_user_name_that_names_a_fault(void **state)
{
    expect(P "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: (reason "
             "unavailable), sasl_username=Connection lost to authentication server",
           ONE_SMTP("unspecified"));
}

static void postfix_mechanism_that_repeats_the_line(void **state)
{
    expect(P "warning: unknown[198.51.100.7]: SASL x[203.0.113.9]: SASL LOGIN authentication "
             "failed: Invalid authentication mechanism",
           ONE_SMTP("bad-mechanism"));
    expect(P "warning: unknown[198.51.100.7]: SASL PLAIN authentication aborted"
             "unknown[203.0.113.9] authentication failed: Invalid authentication mechanism",
           ONE_SMTP("bad-mechanism"));
}

static void postfix_host_name_with_an_address_in_brackets(void **state)
{
    expect(P "warning: evil[203.0.113.9][198.51.100.7]: SASL LOGIN authentication failed: x",
           ONE_SMTP("unspecified"));
    expect(P "warning: [203.0.113.9].evil.test[198.51.100.7]: SASL LOGIN authentication failed: x",
           ONE_SMTP("unspecified"));
}

static void postfix_host_name_that_ends_the_client_early(void **state)
{
    /* Whose is it? Nobody can tell, so it is nobody's. */
    expect(P "warning: evil[203.0.113.9]:x[198.51.100.7]: SASL LOGIN authentication failed: x", "");
    expect(P "warning: evil[203.0.113.9]:25[198.51.100.7]: SASL LOGIN authentication failed: x",
           "");
    expect(P "disconnect from evil[203.0.113.9]:25[198.51.100.7] auth=0/1 commands=0/1", "");
}

static void postfix_helo_sender_and_recipient(void **state)
{
    expect(P "NOQUEUE: reject: RCPT from unknown[198.51.100.7]: 454 4.7.1 <x@y>: Relay access "
             "denied; from=<a@b> to=<x@y> proto=ESMTP helo=<unknown[203.0.113.9]:_SASL_LOGIN_"
             "authentication_failed>",
           "");
    expect(P "NOQUEUE: reject: MAIL from unknown[198.51.100.7]: 550 <\"warning: "
             "unknown[203.0.113.9]: SASL LOGIN authentication failed: \"@b>: rejected",
           "");
    expect(P "4F2A91: client=unknown[198.51.100.7], orig_client=x[203.0.113.9], sasl_method=PLAIN, "
             "sasl_username=a",
           "");
}

static void postfix_unknown_command_that_looks_like_a_line(void **state)
{
    expect(P "warning: non-SMTP command from unknown[198.51.100.7]: warning: unknown[203.0.113.9]: "
             "SASL LOGIN authentication failed: x",
           "");
    expect(P "improper command pipelining after AUTH from unknown[198.51.100.7]: lost connection "
             "after AUTH from unknown[203.0.113.9]",
           "");
}

static void postfix_login_name_with_a_client_in_it(void **state)
{
    expect(P "4F2A91: client=c.test[198.51.100.7], sasl_method=PLAIN, sasl_username=x, "
             "client=y[203.0.113.9], sasl_method=PLAIN",
           "1 198.51.100.7 postfix smtp success visit");
}

static void postfix_text_in_front_of_the_words(void **state)
{
    expect(P "x: warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: x", "");
    expect(P "?warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: x", "");
    expect("Nov 22 02:36:26 vm evil: postfix/smtpd[1]: warning: unknown[203.0.113.9]: SASL LOGIN "
           "authentication failed: x",
           "");
    expect("Nov 22 02:36:26 vm postfix/cleanup[9]: 4F2A91: message-id=<Nov 22 02:36:26 vm "
           "postfix/smtpd[1]: warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: x>",
           "");
}

/* ---- Dovecot's login processes ---- */

static void dovecot_user_name_with_rip_and_lip(void **state)
{
    expect(D GONE "user=<x>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4>" REAL, ONE_IMAP);
}

static void dovecot_user_name_with_a_whole_tail(void **state)
{
    expect(D GONE "user=<x>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4, session=<AAAA>" REAL "",
           ONE_IMAP);
    expect(D GONE "user=<x>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4, session=<AAAA>>" REAL,
           ONE_IMAP);
}

static void dovecot_user_name_with_a_second_reason(void **state)
{
    expect(
        D "imap-login: Disconnected: Connection closed (no auth attempts in 0 secs): user=<x (auth "
          "failed, 9 attempts in 1 secs): user=<y>" REAL,
        "");
    expect(D GONE "user=<(auth failed, 99 attempts in 2 secs): user=<y>" REAL, ONE_IMAP);
}

static void dovecot_mechanism_with_an_address(void **state)
{
    /* Dovecot writes mechanisms in upper case, but do not rely on it. */
    expect(D GONE "user=<>, method=X, RIP=203.0.113.9, LIP=1.2.3.4, rip=198.51.100.7, "
                  "lip=192.0.2.25, session=<TQR>",
           ONE_IMAP);
    expect(D GONE "user=<>, method=x, rip=203.0.113.9, lip=1.2.3.4, rip=198.51.100.7, "
                  "lip=192.0.2.25, session=<TQR>",
           ONE_IMAP);
}

static void dovecot_real_address_that_cannot_be_read(void **state)
{
    /* The last one counts even when it is no address; an earlier one is never a substitute. */
    expect(D GONE "user=<x>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4>, method=PLAIN, "
                  "rip=, lip=192.0.2.25, session=<TQR>",
           "");
    expect(D GONE "user=<x>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4>, method=PLAIN, "
                  "rip=198.51.100.7",
           "");
}

static void dovecot_elements_in_another_order(void **state)
{
    /* login_log_format_elements with the name last: the name would have the last word. */
    expect(D "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): rip=198.51.100.7, "
             "lip=192.0.2.25, user=<x: user=<y>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4, "
             "session=<A>",
           "");
    expect(D "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): method=PLAIN, "
             "rip=198.51.100.7, lip=192.0.2.25, user=<x>, rip=203.0.113.9, lip=1.2.3.4>",
           "");
}

static void dovecot_name_that_opens_a_success(void **state)
{
    expect(D GONE "user=<imap-login: Login: user=<alice>, method=PLAIN, rip=203.0.113.9, "
                  "lip=1.2>" REAL,
           ONE_IMAP);
    /* This may be two lines, of which the first was torn off: neither is believed. */
    expect(D GONE "user=<" D "imap-login: Login: user=<alice>" REAL, "");
    expect(D GONE "user=<<22>1 - vm dovecot 1 - - imap-login: Login: user=<alice>" REAL, "");
    expect(D "imap-login: Login: user=<x-login: Login: user=<alice>" REAL, "");
    expect(D "imap-login: Login: user=<" D "imap-login: Login: user=<alice>" REAL, "");
    /* Longer than what Dovecot logs of a name. */
    expect(D GONE "user=<xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" D
                  "imap-login: Login: user=<alice>" REAL,
           "");
    expect(D "imap-login: Authenticate X: LOGIN: USER=<A>, RIP=203.0.113.9 failed: Unsupported: "
             "user=<>" REAL,
           "");
}

/* One line tells of all attempts of a visit and of the last one's name alone: it must not hide the
 * others. */
static void dovecot_name_with_a_time_hides_nothing(void **state)
{
    static const char *const names[] = {"y 1 11:11:11", "1T11:11:11", "x-login: b: user=<a",
                                        "2026-11-22T11:11:1"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char line[400];
        snprintf(
            line, sizeof line,
            D "imap-login: Disconnected: Aborted login by logging out (auth failed, 25 attempts in "
              "70 secs): user=<%s>" REAL,
            names[i]);
        expect(line, "1 198.51.100.7 dovecot imap unspecified 25 visit");
    }
    /* Longer than what Dovecot logs of a name: two lines. */
    expect(D GONE "user=<xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx "
                  "1 11:11:11 v>" REAL,
           "");
}

/* With a whole stamp in it, as the next line has it, it may be that one's end: what the auth
 * service said of the visit counts all the same. */
static void dovecot_name_with_a_stamp_leaves_what_auth_told(void **state)
{
    STORY("3 198.51.100.7 dovecot imap wrong-password 2 visit",
          D "auth: passwd-file(alice,198.51.100.7,<TQRlYtRg0aDGM2QH>): Password mismatch",
          D "auth: passwd-file(alice,198.51.100.7,<TQRlYtRg0aDGM2QH>): Password mismatch",
          D "imap-login: Disconnected: Aborted login by logging out (auth failed, 3 attempts in 6 "
            "secs): "
            "user=<x" D ">" REAL);
}

static void dovecot_name_of_another_process(void **state)
{
    expect(D "imap(x): imap-login: Login: user=<a>, method=PLAIN, rip=203.0.113.9, "
             "lip=1.2.3.4)<1><y>: Logged out",
           "");
    expect(D "lmtp(x)<1><y>: msgid=<dovecot: " GONE
             "user=<x>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4>: saved",
           "");
}

static void plain_dovecot_file_with_spaces_in_a_name(void **state)
{
    expect("Nov 22 02:38:26 auth(vm dovecot: imap-login: Login: user=<a>, method=PLAIN, "
           "rip=203.0.113.9, lip=1.2.3.4,198.51.100.7,sasl:plain)<A>: Info: Password mismatch",
           "");
    expect("Nov 22 02:38:26 auth(x postfix/smtpd[1]: warning: unknown[203.0.113.9]: SASL LOGIN "
           "authentication failed: x,198.51.100.7)<A>: Info: unknown user",
           "");
}

/* ---- Dovecot's auth service: only the kind could be forged, and only of the own attempt ---- */

/* The kind that a Postfix failure of `address` gets after this auth line. */
static void expect_kind(const char *auth, const char *address, const char *kind)
{
    struct fed fed;
    char line[200], expected[100];

    fed_open(&fed);
    fed_line(&fed, auth);
    snprintf(line, sizeof line,
             "Nov 22 02:38:27 vm postfix/smtpd[9]: warning: unknown[%s]: SASL LOGIN authentication "
             "failed: (reason unavailable)",
             address);
    fed_line(&fed, line);
    snprintf(expected, sizeof expected, "2 %s postfix smtp %s", address, kind);
    if (strcmp(fed_take(&fed), expected) != 0) {
        fed.count = 0;
        fail_msg("%s: not %s", auth, expected);
    }
    fed_close(&fed);
}

static void auth_user_with_commas_and_parentheses(void **state)
{
    static const char *const lines[] = {
        D "auth: sql(x,203.0.113.9,198.51.100.7): unknown user",
        D "auth: sql(x,203.0.113.9): Password mismatch,198.51.100.7): unknown user",
        D "auth: sql(x,203.0.113.9,<AAAA>): Password mismatch (,198.51.100.7): unknown user",
        D "auth: sql(a(b)c,203.0.113.9,master,198.51.100.7,master): unknown user",
        D
        "auth(x,203.0.113.9,sasl:plain)<A>: sql: Password mismatch,198.51.100.7,sasl:plain): sql: "
        "unknown user",
        D "auth(x,203.0.113.9): y,198.51.100.7,sasl:login): unknown user",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        expect_kind(lines[i], "198.51.100.7", "unknown-account 1 visit");
        expect_kind(lines[i], "203.0.113.9", "unspecified 1 visit");
    }
}

static void auth_password_with_a_verdict(void **state)
{
    /* auth_verbose_passwords = plain: the password is the client's text, at the very end. */
    static const char *const lines[] = {
        D "auth: sql(a,198.51.100.7): Password mismatch (given password: x,203.0.113.9): Password "
          "mismatch)",
        D "auth: sql(a,198.51.100.7): Password mismatch (given password: x,203.0.113.9): unknown "
          "user",
        D "auth: sql(a,203.0.113.9): Password mismatch (given password: ,198.51.100.7): Password "
          "mismatch (given password: x)",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        expect_kind(lines[i], "203.0.113.9", "unspecified 1 visit");
    expect_kind(D "auth: sql(a,198.51.100.7): Password mismatch (given password: secret)",
                "198.51.100.7", "wrong-password 1 visit");
}

/* A name that speaks of PAM's trouble excuses nobody, its owner least. */
static void auth_name_that_claims_a_fault_of_pam(void **state)
{
    expect_kind(D
                "auth: pam(x,203.0.113.9): pam_authenticate() failed: System error,198.51.100.7): "
                "pam_authenticate() failed: Authentication failure (Password mismatch?)",
                "198.51.100.7", "wrong-password 1 visit");
    expect_kind(
        D "auth: pam(a,198.51.100.7): Password mismatch (given password: : Password mismatch): "
          "pam_authenticate() failed: System error",
        "198.51.100.7", "unspecified 1 visit");
}

/* A name that cannot be one comes last, with a ")" behind it: every end of a verdict can be made to
 * stand there. Such a line says nothing, of nobody. */
static void auth_disallowed_name_with_an_identity(void **state)
{
    static const char *const names[] = {
        "x,203.0.113.9): Password mismatch",
        "x,203.0.113.9): unknown user",
        "x,203.0.113.9): unknown user (for LDAP bind",
        "x,203.0.113.9): Password mismatch (SHA1 of given password: 0beec7",
        "x,203.0.113.9): unknown user (given password: x",
        "x,203.0.113.9): Authentication failure due to policy server refusal (for LDAP bind",
        "x,203.0.113.9): pam_authenticate() failed: Authentication failure (Password mismatch?",
        "x,203.0.113.9,sasl:plain)<A>: sql: unknown user (for LDAP bind",
        "x,203.0.113.9): Error: y",
    };
    char line[400];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(line, sizeof line,
                 D "auth: login(?,198.51.100.7): Username character disallowed by "
                   "auth_username_chars: 0x5d (username: %s)",
                 names[i]);
        expect_kind(line, "203.0.113.9", "unspecified 1 visit");
        expect_kind(line, "198.51.100.7", "unspecified 1 visit");
    }
    expect_kind(D "auth: login(?,198.51.100.7): Username character disallowed by "
                  "auth_username_chars: 0x5d (username: x,203.0.113.9)",
                "198.51.100.7", "unknown-account 1 visit");
}

/* Where every character is allowed in a name, it can hold the beginning of such a line instead. */
static void auth_name_that_claims_to_be_disallowed(void **state)
{
    static const char *const ends[] = {
        "): pam_authenticate() failed: User not known to the underlying authentication module",
        "): pam_authenticate() failed: Authentication failure (Password mismatch?)",
        "): unknown user (given password: x)",
        "): unknown user (for LDAP bind)",
    };
    char line[500];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(line, sizeof line,
                 D "auth: pam(?,203.0.113.9): Username character disallowed by "
                   "auth_username_chars: 0x2c (username: z,198.51.100.7%s",
                 ends[i]);
        expect_kind(line, "203.0.113.9", "unspecified 1 visit");
        snprintf(line, sizeof line,
                 D "auth: pam(?,203.0.113.9): Username character disallowed by "
                   "auth_username_chars: 0x,198.51.100.7%s",
                 ends[i]);
        expect_kind(line, "203.0.113.9", "unspecified 1 visit");
    }
}

static void auth_name_that_claims_a_fault_of_the_backend(void **state)
{
    expect_kind(
        D "auth: pam(x,198.51.100.7): Error: y,198.51.100.7): pam_authenticate() failed: User "
          "not known to the underlying authentication module",
        "198.51.100.7", "unspecified 1 visit");
}

static void auth_name_that_claims_a_policy_refusal(void **state)
{
    /* A refusal would let the attempt go unpunished: for the attacker it is worth forging. */
    expect_kind(D "auth: sql(): Authentication failure due to policy server refusal: "
                  ",198.51.100.7): Password mismatch",
                "198.51.100.7", "wrong-password 1 visit");
    expect_kind(D "auth: sql(x): Authentication failure due to policy server "
                  "refusal,198.51.100.7): unknown user",
                "198.51.100.7", "unknown-account 1 visit");
}

/* ---- half lines ---- */

static void no_prefix_of_a_forged_line_gives_a_forged_address(void **state)
{
    static const char *const lines[] = {
        D GONE "user=<x>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4>" REAL,
        P "warning: evil[203.0.113.9][198.51.100.7]: SASL LOGIN authentication failed: x, "
          "sasl_username=unknown[203.0.113.9]: SASL LOGIN authentication failed: x",
        D "imap-login: Login: user=<x>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4>" REAL,
        P "disconnect from evil[203.0.113.9][198.51.100.7] ehlo=1 auth=0/12 quit=1 commands=2/13",
        P "4F2A91: client=evil[203.0.113.9][198.51.100.7], sasl_method=PLAIN, sasl_username=x",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t n = 0; n < strlen(lines[i]); n++) {
            struct gv_reading readings[GV_READINGS_MAX];
            struct fed fed;
            fed_open(&fed);
            size_t found = gv_reader_half_line(fed.reader, readings, lines[i], n, FED_NOW_MS);
            for (size_t j = 0; j < found; j++) {
                char text[DESCRIBED_MAX];
                describe(text, &readings[j]);
                if (strstr(text, "203.0.113") || readings[j].observation.attempts == 1000)
                    fail_msg("%.*s gave %s", (int)n, lines[i], text);
                /* "auth=0/12" cut to "auth=0/1" would be another number */
                assert_true(strstr(lines[i], "auth=0/12") == NULL ||
                            readings[j].observation.attempts == 12);
            }
            fed_close(&fed);
        }
}

/* A line whose end was lost, by a crash, a full disk or a syslogd that cuts, and whatever the next
 * writer put behind it. */
static void no_torn_line_of_dovecot_accuses_anybody(void **state)
{
    static const char *const lines[] = {
        D GONE "user=<x>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4, TLS>" REAL,
        D GONE "user=<x>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4, x=<y>>" REAL,
        D GONE "user=<bob>" REAL,
    };
    static const char *const behind[] = {
        "",
        P "disconnect from unknown[203.0.113.9] ehlo=1 quit=1 commands=2",
        "Nov 22 02:38:27 vm postfix/qmgr[3]: 4AB: removed",
        D "imap-login: Login: user=<alice>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.25, mpid=7, "
          "session=<AAAAYtRg0aDGM2QH>",
        D "imap-login: Disconnected: Aborted login by logging out (no auth attempts in 0 secs): "
          "user=<>, rip=203.0.113.9, lip=192.0.2.25, session=<AAAAYtRg0aDGM2QH>",
    };
    unsigned tried = 0;

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t j = 0; j < sizeof behind / sizeof *behind; j++)
            for (size_t n = 0; n < strlen(lines[i]); n++, tried++) {
                char line[1000];
                snprintf(line, sizeof line, "%.*s%s", (int)n, lines[i], behind[j]);
                const char *got = alone(line);
                if (strstr(got, "203.0.113.9 dovecot imap unspecified"))
                    fail_msg("%s\n  gave '%s'", line, got);
            }
    assert_true(tried > 1000);
}

static void a_whole_last_line_without_newline_is_read(void **state)
{
    struct gv_reading readings[GV_READINGS_MAX];
    struct fed fed;
    const char *line = D GONE "user=<x>" REAL;

    fed_open(&fed);
    assert_int_equal(gv_reader_half_line(fed.reader, readings, line, strlen(line), FED_NOW_MS), 1);
    fed_close(&fed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(postfix_user_name_that_repeats_the_line),
        cmocka_unit_test(postfix_user_name_with_a_time),
        cmocka_unit_test(postfix_user_name_that_names_a_fault),
        cmocka_unit_test(postfix_mechanism_that_repeats_the_line),
        cmocka_unit_test(postfix_host_name_with_an_address_in_brackets),
        cmocka_unit_test(postfix_host_name_that_ends_the_client_early),
        cmocka_unit_test(postfix_helo_sender_and_recipient),
        cmocka_unit_test(postfix_unknown_command_that_looks_like_a_line),
        cmocka_unit_test(postfix_login_name_with_a_client_in_it),
        cmocka_unit_test(postfix_text_in_front_of_the_words),
        cmocka_unit_test(dovecot_user_name_with_rip_and_lip),
        cmocka_unit_test(dovecot_user_name_with_a_whole_tail),
        cmocka_unit_test(dovecot_user_name_with_a_second_reason),
        cmocka_unit_test(dovecot_mechanism_with_an_address),
        cmocka_unit_test(dovecot_real_address_that_cannot_be_read),
        cmocka_unit_test(dovecot_elements_in_another_order),
        cmocka_unit_test(dovecot_name_that_opens_a_success),
        cmocka_unit_test(dovecot_name_with_a_time_hides_nothing),
        cmocka_unit_test(dovecot_name_with_a_stamp_leaves_what_auth_told),
        cmocka_unit_test(dovecot_name_of_another_process),
        cmocka_unit_test(plain_dovecot_file_with_spaces_in_a_name),
        cmocka_unit_test(auth_user_with_commas_and_parentheses),
        cmocka_unit_test(auth_password_with_a_verdict),
        cmocka_unit_test(auth_name_that_claims_a_fault_of_pam),
        cmocka_unit_test(auth_disallowed_name_with_an_identity),
        cmocka_unit_test(auth_name_that_claims_to_be_disallowed),
        cmocka_unit_test(auth_name_that_claims_a_fault_of_the_backend),
        cmocka_unit_test(auth_name_that_claims_a_policy_refusal),
        cmocka_unit_test(no_prefix_of_a_forged_line_gives_a_forged_address),
        cmocka_unit_test(no_torn_line_of_dovecot_accuses_anybody),
        cmocka_unit_test(a_whole_last_line_without_newline_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
