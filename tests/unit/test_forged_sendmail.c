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
    /* Every one of them is about the true client. */
    assert_int_equal(TRY(frames), 4 * FORGERIES * 4);
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
