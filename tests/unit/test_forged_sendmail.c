/* What attackers can write into Sendmail's log, field by field (SPEC 10.4): every line here is what
 * Sendmail logs when 198.51.100.7 tries it, and none may say anything of 203.0.113.9. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define P      "Nov 22 02:36:26 mx sm-mta[24320]: "
#define ID     "5AM2aQ5D024320: "
#define CLIENT "client.ex.test [198.51.100.7]"
#define EVIL   "[203.0.113.9]"
#define BAD    "authentication failure (-13) SASL(-13): authentication failure: checkpass failed"
#define ONE    "1 198.51.100.7 sendmail smtp unspecified 1 visit"

static const char *const forgeries[] = {
    "x, relay=" EVIL,
    "x, relay=evil.test " EVIL,
    "x, relay=evil.test " EVIL " (may be forged)",
    "x, mech=LOGIN, relay=evil.test " EVIL " (may be forged), user=y",
    "x, user=y, relay=" EVIL ", user=z",
    "x, relay=" EVIL ", relay=",
    ", relay=" EVIL ", authid=x, mech=PLAIN, bits=0",
    "AUTH=server, relay=" EVIL ", authid=x, mech=PLAIN, bits=0",
    EVIL,
    EVIL " (may be forged)",
    "x " EVIL,
    EVIL ": possible SMTP attack: command=AUTH, count=9",
    "x " EVIL ": possible SMTP attack: command=AUTH, count=9",
    "lost input channel from " EVIL " to MTA after auth",
    "AUTH failure (LOGIN): " BAD ", relay=" EVIL,
    "\\012" P ID "AUTH failure (LOGIN): " BAD ", relay=" EVIL,
    "generic failure (-1) x, relay=" EVIL,
    "postfix/smtpd: warning: unknown" EVIL ": SASL LOGIN authentication failed: x",
    " to x after auth, relay=" EVIL,
};
#define FORGERIES (sizeof forgeries / sizeof *forgeries)

static unsigned try_all(const char *const *frames, size_t n)
{
    static const char *const prefixes[] = {P, "2026-11-22T02:36:26.1Z mx sendmail[24320]: ",
                                           "<22>1 2026-11-22T02:36:26Z mx sm-mta 24320 - - ",
                                           "2026-11-22 02:36:26 mx sm-mta[24320]: "};
    unsigned said = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < FORGERIES; j++)
            for (size_t k = 0; k < sizeof prefixes / sizeof *prefixes; k++) {
                char line[2048], text[1024];

                snprintf(text, sizeof text, frames[i], forgeries[j]);
                snprintf(line, sizeof line, "%s%s", prefixes[k], text);
                const char *out = alone(line);
                if (strstr(out, "203.0.113") || (out[0] && !strstr(out, "198.51.100.7")))
                    fail_msg("%s\n  gave '%s'", line, out);
                said += out[0] != '\0';
            }
    return said;
}
#define TRY(frames) try_all((frames), sizeof(frames) / sizeof *(frames))

static void user_name(void **state)
{
    static const char *const frames[] = {
        ID "AUTH failure (LOGIN): " BAD ", user=%s, relay=" CLIENT,
        ID "AUTH failure (PLAIN): user not found (-20) x, user=%s, relay=[198.51.100.7]",
        ID "AUTH failure (PLAIN): " BAD ", user=%s, relay=" CLIENT " (may be forged)",
        "AUTH=server, relay=" CLIENT ", authid=%s, mech=PLAIN, bits=0",
    };
    /* Every one of them is about the true client, but for the one that holds a time stamp. */
    assert_int_equal(TRY(frames), 4 * (FORGERIES - 1) * 4);
}

static void words_of_the_sasl_library(void **state)
{
    static const char *const frames[] = {
        ID "AUTH failure (DIGEST-MD5): bad protocol / cancel (-5) SASL(-5): bad protocol / cancel: "
           "%s, user=x, relay=" CLIENT,
        ID "AUTH failure (GSSAPI): " BAD " %s, relay=" CLIENT,
        ID "AUTH failure (X): %s, user=x, relay=" CLIENT,
    };
    assert_true(TRY(frames) > 100);
}

static void base64_that_is_none(void **state)
{
    static const char *const frames[] = {
        ID "AUTH decode64 error [-5 for \"%s\"], relay=" CLIENT,
        ID "AUTH encode64 error [-5 for \"%s\"], relay=" CLIENT,
        ID "AUTH encode64 error [-5 for \"%s\"]", /* Sendmail says no more */
    };
    (void)TRY(frames);
}

/* One word, from the DNS or from an ident server behind Sendmail's filter. */
static void host_name(void **state)
{
    static const char *const frames[] = {
        ID "AUTH failure (LOGIN): " BAD ", user=x, relay=%s [198.51.100.7]",
        ID "AUTH failure (LOGIN): " BAD ", relay=%s@client.ex.test [198.51.100.7]",
        "AUTH=server, relay=%s [198.51.100.7], authid=alice, mech=PLAIN, bits=0",
        ID "%s [198.51.100.7]: possible SMTP attack: command=AUTH, count=4",
        ID "lost input channel from %s [198.51.100.7] to MTA after auth",
    };
    (void)TRY(frames);
}

static void mechanisms_commands_and_addresses(void **state)
{
    static const char *const frames[] = {
        ID "AUTH failure (%s): " BAD ", user=x, relay=" CLIENT,
        ID "SMTP AUTH command (PLAIN %s) from " CLIENT " tempfailed (due to previous checks)",
        ID CLIENT ": probable open proxy: command=%s",
        ID CLIENT ": %s",
        ID CLIENT ": %s [rejected]",
        ID "invalid domain name (%s) from " CLIENT,
        ID "from=<%s>, size=1, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=" CLIENT,
        ID "ruleset=check_mail, arg1=<%s>, relay=" CLIENT ", reject=553 5.5.4 x",
        ID "to=<%s>, delay=00:00:00, mailer=relay, stat=User unknown",
        ID "Milter: helo=%s, reject=Command rejected",
        ID "<-- %s",
        ID "--- 250 mx Hello " CLIENT ", %s",
    };
    (void)TRY(frames);
}

static void lines_that_were_cut(void **state)
{
    static char line[3000];
    struct gv_reading readings[GV_READINGS_MAX];
    struct fed fed;

    assert_string_equal(alone(P "5AM2aQ5D024320[1]: AUTH failure (X): " BAD ", relay=" EVIL), "");
    assert_string_equal(alone(P "5AM2aQ5D024320[1]: AUTH failure (X): " BAD ", relay=" EVIL " ..."),
                        "");
    /* Sendmail splits at 1024; what comes whole and is nearly that long was cut by somebody. */
    size_t n = (size_t)snprintf(line, sizeof line, P ID "AUTH failure (X): " BAD);
    memset(line + n, 'y', 960 - n);
    strcpy(line + 960, ", relay=" EVIL);
    assert_string_equal(alone(line), "");

    fed_open(&fed);
    const char *half = P ID "AUTH failure (X): " BAD ", user=x, relay=" EVIL;
    assert_int_equal(gv_reader_half_line(fed.reader, readings, half, strlen(half), FED_NOW_MS), 0);
    fed_close(&fed);
}

/* A fault of the backend is told by the number's words, which no client writes. */
static void a_user_name_cannot_make_it_the_backends_fault(void **state)
{
    assert_string_equal(
        alone(P ID "AUTH failure (LOGIN): " BAD ", user=generic failure (-1), relay=" CLIENT), ONE);
}

/* ---- a name that leaves no room for the address ---- */

/* Sendmail's "relay=%.100s" of LONG " [198.51.100.7]" is LEFT. */
#define LONG                                                                                       \
    "a-name-that-leaves-little-of-its-own-address.when-some-lines-have-only-a-hundred-bytes.ex.te"
#define LEFT      LONG " [198.51"
#define CUT(id)   id ": AUTH failure (LOGIN): " BAD ", user=x, relay=" LEFT
#define IDLE(who) who " did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA"
#define MINE      "5AM2aQ5D024320"

/* Lines of one log, and what came out; `left` failures stay without a client. */
#define LEAVES(expected, left, ...) assert_int_equal(STORY(expected, __VA_ARGS__).unnamed, left)
#define COME                        "3 198.51.100.7 sendmail smtp unspecified 2 visit"

/* Whatever line of its process shows the client whole, after a RSET too (another "5D"). */
static void a_name_that_cuts_the_address_off(void **state)
{
    static const char *const named[] = {
        MINE ": " IDLE(LONG " [198.51.100.7]"),
        "5AM2aQ5E024320: " IDLE(LONG " [198.51.100.7] (may be forged)"),
        MINE ": from=<a@b>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=" LONG
             " [198.51.100.7]",
        MINE ": " LONG " [198.51.100.7]: possible SMTP attack: command=AUTH, count=3",
        MINE ": lost input channel from " LONG " [198.51.100.7] to MTA after auth",
        MINE ": " LONG " [198.51.100.7]: VRFY root",
        MINE ": " LONG " [198.51.100.7] (may be forged): expn staff [rejected]",
        MINE ": " LONG " [198.51.100.7]: ETRN #q, relay=" EVIL,
        MINE ": " LONG " [198.51.100.7]: VRFY " LONG " [203.0.113.9]: VRFY x",
    };

    assert_int_equal(strlen(LEFT), 100);
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        char line[1024];
        snprintf(line, sizeof line, P "%s", named[i]);
        LEAVES(COME, 0, P CUT(MINE), P CUT(MINE), line);
        LEAVES(COME, 0, P CUT(MINE), P CUT(MINE), line, P IDLE(MINE ": " LONG " [198.51.100.7]"));
    }
    LEAVES("2 198.51.100.7 sendmail smtp unspecified 1 visit; "
           "4 198.51.100.7 sendmail smtp unspecified 1",
           0, P CUT(MINE), P MINE ": " IDLE(LONG " [198.51.100.7]"), P CUT(MINE),
           P MINE ": " IDLE(LONG " [198.51.100.7]"));
}

/* Nobody else is taken for that client, and nothing that the client says names him. */
static void a_name_that_nothing_completes(void **state)
{
    static const char *const others[] = {
        /* another client: of another name, or of an address that begins otherwise */
        P MINE ": " IDLE("x" LONG " " EVIL), P MINE ": " IDLE(LONG " " EVIL),
        P MINE ": " IDLE(EVIL),
        /* another process: of another number, or later of the same number, or on another host */
        "Nov 22 02:36:27 mx sm-mta[24321]: 5AM2aR5D024321: " IDLE(LONG " [198.51.100.7]"),
        P "5AM2aR5D024320: " IDLE(LONG " [198.51.100.7]"),
        "Nov 22 02:36:27 my sm-mta[24320]: " MINE ": " IDLE(LONG " [198.51.100.7]"),
        P "NOQUEUE: " IDLE(LONG " [198.51.100.7]"), P IDLE(LONG " [198.51.100.7]"),
        /* after the hour that a visit takes at most */
        "Nov 22 03:36:27 mx sm-mta[24320]: " MINE ": " IDLE(LONG " [198.51.100.7]"),
        /* an address in the client's own words, before, in and behind Sendmail's */
        P MINE ": " IDLE(LONG " [198.51.100.9]") "... User unknown",
        P MINE ": from=" IDLE(LONG " [198.51.100.9]"),
        P MINE ": " LONG " [198.51.100.9]... Domain not found, relay=x",
        P MINE ": from=<x, relay=" LONG " [198.51.100.9]>, size=0, nrcpts=0, relay=x",
        P MINE ": to=<x>, stat=y, relay=" LONG " [198.51.100.9]",
        P MINE ": ruleset=check_rcpt, arg1=<x>, relay=" LONG " [198.51.100.9], reject=553 x",
        P MINE ": x " IDLE(LONG " [198.51.100.9]"), P MINE "[2]: " IDLE(LONG " [198.51.100.9]"),
        P MINE ": Milter: helo=" IDLE(LONG " [198.51.100.9]"),
        P MINE ": <-- " IDLE(LONG " [198.51.100.9]"),
        P MINE ": " LONG " [198.51.100.9]: VRFY x... User unknown",
        P MINE ": " LONG "\" [198.51.100.9]: VRFY x", P MINE ": x" LONG " [198.51.100.7]: VRFY x",
        P MINE ": " LONG " [198.51.100.7]x: VRFY x", P MINE ": " LONG " [198.51.100.7]: NOOP x",
        P LONG " [198.51.100.7]: VRFY x", P "NOQUEUE: " LONG " [198.51.100.7]: VRFY x",
        P "connect from " LONG " [198.51.100.7]",
        P "NOQUEUE: connect from " LONG " [198.51.100.7]", /* of the next in this process */
    };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        LEAVES("", 2, P CUT(MINE), P CUT(MINE), others[i]);
    /* Behind Sendmail's own name for him it is that name that counts. */
    LEAVES("2 198.51.100.7 sendmail smtp unspecified 1 visit", 0, P CUT(MINE),
           P MINE ": " LONG " [198.51.100.7]: VRFY " IDLE(LONG " [198.51.100.9]"));
    LEAVES("", 0, P MINE ": " IDLE(LONG " [198.51.100.7]"), P MINE ": " IDLE(EVIL));
}

/* At LogLevel 10 Sendmail says who connects, and then a failure is that client's at once. */
#define MET(who) P "NOQUEUE: connect from " who
static void a_name_that_was_met_before(void **state)
{
    static const char *const others[] = {
        MET(LONG " [198.52.100.7]"), /* of an address that begins otherwise */
        MET("x" LONG " [198.51.100.7]"),
        "Nov 22 02:36:20 mx sm-mta[24321]: NOQUEUE: connect from " LONG " [198.51.100.9]",
        "Nov 22 02:36:20 my sm-mta[24320]: NOQUEUE: connect from " LONG " [198.51.100.9]",
        "Nov 22 02:36:20 mx sm-mta: NOQUEUE: connect from " LONG " [198.51.100.9]",
        "Nov 22 01:36:20 mx sm-mta[24320]: NOQUEUE: connect from " LONG " [198.51.100.9]",
        MET(LONG " [198.51.100.9] x"),
        MET("x [203.0.113.9] " LONG " [198.51.100.9]"),
        P MINE ": x connect from " LONG " [198.51.100.9]",
        P MINE ": <-- NOQUEUE: connect from " LONG " [198.51.100.9]",
    };

    LEAVES("2 198.51.100.7 sendmail smtp unspecified 1 visit; "
           "3 198.51.100.7 sendmail smtp unspecified 1",
           0, MET(LONG " [198.51.100.7]"), P CUT(MINE), P CUT(MINE),
           P MINE ": " IDLE(LONG " [198.51.100.7]"));
    LEAVES("2 198.51.100.7 sendmail smtp unspecified 1 visit; "
           "3 198.51.100.7 sendmail smtp unspecified 4",
           0, MET(LONG " [198.51.100.7] (may be forged)"), P CUT(MINE),
           "Nov 22 02:36:27 mx last message repeated 4 times");
    /* the counts know of those */
    LEAVES("2 198.51.100.7 sendmail smtp unspecified 1 visit; "
           "3 198.51.100.7 sendmail smtp aborted 1",
           0, MET(LONG " [198.51.100.7]"), P CUT(MINE),
           P MINE ": " LONG " [198.51.100.7]: possible SMTP attack: command=AUTH, count=3");
    /* the next client of a process of the same number */
    LEAVES("2 198.51.100.7 sendmail smtp unspecified 1 visit; "
           "4 198.51.100.8 sendmail smtp unspecified 1 visit",
           0, MET(LONG " [198.51.100.7]"), P CUT(MINE), MET(LONG " [198.51.100.8]"),
           P CUT("5AM2aR5D024320"));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        LEAVES("", 1, others[i], P CUT(MINE));
    /* without a number all processes look the same */
    LEAVES("", 1, "Nov 22 02:36:20 mx sm-mta: NOQUEUE: connect from " LONG " [198.51.100.9]",
           "Nov 22 02:36:26 mx sm-mta: " CUT(MINE));
}

/* The 600 attempts of one who knows of it: three a connection, which MAIL without a sender ends,
 * and no line names him. What is left is to say so. */
static void a_client_that_no_line_names_is_counted(void **state)
{
    struct fed fed;

    fed_open(&fed);
    for (unsigned i = 0; i < 600; i++) {
        char line[1024];
        snprintf(line, sizeof line,
                 "Nov 22 02:36:26 mx sm-mta[%u]: 5AM2aQ5D%06u: AUTH failure (LOGIN): " BAD
                 ", user=x, relay=" LEFT,
                 30000 + i / 3, 30000 + i / 3);
        fed_line(&fed, line);
    }
    assert_int_equal(gv_reader_counters(fed.reader)->unnamed, 600);
    assert_int_equal(gv_reader_counters(fed.reader)->attempts, 0);
    fed_close(&fed);
    /* a relay that is no client's is none of these */
    LEAVES("", 0, P MINE ": AUTH failure (LOGIN): " BAD ", relay=" LONG " x198.51");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_name),
        cmocka_unit_test(words_of_the_sasl_library),
        cmocka_unit_test(base64_that_is_none),
        cmocka_unit_test(host_name),
        cmocka_unit_test(mechanisms_commands_and_addresses),
        cmocka_unit_test(lines_that_were_cut),
        cmocka_unit_test(a_user_name_cannot_make_it_the_backends_fault),
        cmocka_unit_test(a_name_that_cuts_the_address_off),
        cmocka_unit_test(a_name_that_nothing_completes),
        cmocka_unit_test(a_name_that_was_met_before),
        cmocka_unit_test(a_client_that_no_line_names_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
