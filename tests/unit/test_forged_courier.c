/* Attackers write into Courier's log: user names, methods, SMTP commands, an identd's answer, and
 * what a buffer cuts off. 203.0.113.9 is never the client, 198.51.100.7 always is. A forged address
 * is never an observation (SPEC 10.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_forged.h"
#include "helper_reader.h"

#define T         "Nov 22 02:38:26 vm "
#define I         T "imapd: "
#define E         T "courieresmtpd: "
#define A         FORGED_CLIENT
#define REAL      ", ip=[::ffff:" A "], port=[4000]"
#define FAKE      ", ip=[::ffff:203.0.113.9], port=[1]"
#define ONE(kind) "1 " A " courier imap " kind " 1 visit"

static void user_names(void **state)
{
    size_t all = FORGED_NAMES - FORGED_STAMPED;

    expect_true_client("courier", I "LOGIN FAILED, user=", REAL, all);
    expect_true_client("courier", T "pop3d-ssl: LOGIN FAILED, user=", REAL, all);
    expect_true_client("courier", I "LOGIN FAILED, user=", ", ip=[::ffff:" A "]", all);
    expect_true_client("courier", I "LOGIN FAILED, method=", REAL, all);
    expect_true_client("courier", I "LOGIN, user=", REAL ", protocol=IMAP, starttls=1", all);
    expect(I "LOGIN FAILED, user=" FAKE FAKE REAL, ONE("unspecified"));
}

static void real_address_that_cannot_be_read(void **state)
{
    /* The last one counts even when it is no address; an earlier one is never a substitute. */
    expect(I "LOGIN FAILED, user=x" FAKE ", ip=[], port=[4000]", "");
    expect(I "LOGIN FAILED, user=x" FAKE ", ip=[(null)], port=[(null)]", "");
    expect(I "LOGIN FAILED, user=x" FAKE ", ip=[::ffff:" A, "");
    expect(I "LOGIN FAILED, user=x" FAKE ", ip=[::ffff:" A "], port=[", "");
    expect(I "LOGIN FAILED, user=x" FAKE ", ip=[", "");
    expect(I "LOGIN, user=x" FAKE ", protocol=IMAP, ip=[x], port=[1]", "");
}

/* courierlogger reads at most 511 bytes of a line, authlib writes at most 1023, a syslogd may have
 * 256: with a long enough name the forged end is the end. */
static void names_that_a_buffer_cuts_off(void **state)
{
    static const size_t limits[] = {256, 480, 505, 511, 1017, 1023};

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        char line[1100] = I;
        size_t prefix = strlen(line);
        size_t text = limits[i] - (limits[i] <= 256 ? prefix : 0);

        strcat(line, "LOGIN FAILED, user=");
        size_t len = strlen(line);
        memset(line + len, 'x', prefix + text - strlen(FAKE) - len);
        line[prefix + text - strlen(FAKE)] = '\0';
        strcat(line, FAKE);
        assert_int_equal(strlen(line), prefix + text);
        expect(line, "");
        char *failed = strstr(line, " FAILED");
        memmove(failed, failed + 7, strlen(failed + 7) + 1);
        expect(line, "");
    }
    /* What is read, and what is not any more. */
    char line[400] = I "LOGIN FAILED, user=";
    size_t len = strlen(line), most = strlen(I) + 200 - strlen(REAL);
    memset(line + len, 'x', most - len);
    strcpy(line + most, REAL);
    expect(line, ONE("unspecified"));
    line[most] = 'x';
    strcpy(line + most + 1, REAL);
    expect(line, "");
}

static void other_lines_with_a_name_in_them(void **state)
{
    for (size_t i = 0; i < FORGED_NAMES; i++) {
        static const char *const frames[] = {
            I "DISCONNECTED, user=%s" REAL ", headers=0, body=0, rcvd=0, sent=1, time=2",
            I "LOGOUT, user=%s" REAL ", headers=0, body=0, rcvd=0, sent=1, time=2",
            I "EXPUNGED, user=a" REAL ", old_name=%s",
            I "LOGIN: ip=[::ffff:" A "], command=%s",
            I "ID, user=a" REAL ", name=%s",
            T "authdaemond: received auth request, service=imap, authtype=%s",
            I "couriertls: accept: %s",
            E "error,relay=::ffff:" A ",port=1,msg=\"502 ESMTP command error\",cmd: %s",
            E "error,relay=::ffff:" A ",port=1,msg=\"535 Authentication required.\",cmd: %s",
            E "error,relay=::ffff:" A ",port=1,from=<%s>: 550 User unknown.",
            T "courierd: newmsg,id=1: dns; x (%s [::ffff:" A "])",
        };
        for (size_t j = 0; j < sizeof frames / sizeof *frames; j++) {
            char line[1024];
            /* The formats are the table's. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(line, sizeof line, frames[j], forged[i]);
#pragma GCC diagnostic pop
            expect(line, "");
        }
    }
}

/* esmtpd: the address comes first; behind it are a client's command and its identd's answer. */
static void relays(void **state)
{
#define R   E "error,relay=::ffff:" A ",port=4000"
#define BAD ",msg=\"535 Authentication failed.\",cmd: AUTH LOGIN "
    expect_true_client("courier", R BAD, "", FORGED_NAMES - FORGED_STAMPED);
    expect_true_client("courier", R ",ident=\"", "\"" BAD "x", 15);
    /* An innocent relay passes on a sender that somebody else chose: no failure of the relay's. */
    expect(R ",msg=\"550 User unknown.\",cmd: MAIL FROM:<x" BAD "y>", "");
    expect(R ",ident=\"mail\",msg=\"550 User unknown.\",cmd: MAIL FROM:<x\"" BAD "y>", "");
    expect(R ",from=<x\"" BAD "y>: 550 Relaying denied.", "");
    expect(E "error,relay=203.0.113.9x,port=1" BAD "x", "");
    expect(E "error,relay=x,relay=203.0.113.9,port=1" BAD "x", "");
}

static void text_in_front_of_the_words(void **state)
{
    expect(I "x LOGIN FAILED, user=x" FAKE, "");
    expect(I ".LOGIN FAILED, user=x" FAKE, "");
    expect(I "LOGIN FAILED, user=x" FAKE " ", "");
    expect(T "evil: imapd: LOGIN FAILED, user=x" FAKE, "");
    expect(T "imapd evil: LOGIN FAILED, user=x" FAKE, "");
    expect(E "x error,relay=203.0.113.9,port=1" BAD "x", "");
}

static void trouble_that_a_name_claims(void **state)
{
    /* An excuse is worth forging: it comes as a line of its own, or not at all. */
    expect(I "LOGIN FAILED, user=authentication error: Connection refused" REAL,
           ONE("unspecified"));
    struct fed fed;
    fed_open(&fed);
    fed_line(&fed, I "LOGIN FAILED, user=x" REAL);
    fed_line(&fed, I "LOGIN FAILED, user=x.authentication error: Connection refused" REAL);
    fed_line(&fed, I "command=authentication error: x");
    fed_flush(&fed);
    fed_close(&fed);
    assert_int_equal(fed.count, 2);
}

/* ---- half lines ---- */

static const char *const lines[] = {
    I "LOGIN FAILED, user=x" FAKE FAKE REAL,
    I "LOGIN FAILED, user=x, ip=[203.0.113.9]" REAL,
    I "LOGIN FAILED, method=x" FAKE REAL,
    I "LOGIN, user=x" FAKE ", protocol=IMAP" REAL ", protocol=IMAP, starttls=1",
};

static void no_prefix_of_a_forged_line_gives_anything(void **state)
{
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t n = 0; n <= strlen(lines[i]); n++) {
            struct gv_reading readings[GV_READINGS_MAX];
            struct fed fed;
            fed_open(&fed);
            assert_int_equal(gv_reader_half_line(fed.reader, readings, lines[i], n, FED_NOW_MS), 0);
            assert_int_equal(gv_reader_flush(fed.reader, readings), 0);
            fed_close(&fed);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_names),
        cmocka_unit_test(real_address_that_cannot_be_read),
        cmocka_unit_test(names_that_a_buffer_cuts_off),
        cmocka_unit_test(other_lines_with_a_name_in_them),
        cmocka_unit_test(relays),
        cmocka_unit_test(text_in_front_of_the_words),
        cmocka_unit_test(trouble_that_a_name_claims),
        cmocka_unit_test(no_prefix_of_a_forged_line_gives_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
