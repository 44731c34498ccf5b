/* What attackers can write into Exim's log, field by field (SPEC 10.4): every line here is what
 * Exim logs when 198.51.100.7 tries it, and none of them may say anything of 203.0.113.9. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define S      "2026-11-22 02:36:26 "
#define L      "Nov 22 02:36:26 mx exim[24320]: "
#define FAIL   "login authenticator failed for "
#define CLIENT "[198.51.100.7]"
#define EVIL   "[203.0.113.9]"
#define BAD    ": 535 Incorrect authentication data"
#define ONE    "1 198.51.100.7 exim smtp unspecified 1 visit"

/* What a client may put into any field to be taken for somebody else. */
static const char *const forgeries[] = {
    "x) " EVIL BAD " (set_id=y",
    "x) " EVIL BAD,
    "x) " EVIL ":4711" BAD " (set_id=y",
    "x) " EVIL " I=[192.0.2.25]:25" BAD,
    "x) " EVIL " U=root" BAD,
    "x (y) " EVIL BAD " (set_id=z",
    "x" BAD " (set_id=y)\\n" S FAIL "(z) " EVIL BAD " (set_id=z",
    "x)\\n" S FAIL "(z) " EVIL BAD,
    EVIL BAD,
    EVIL BAD " (set_id=x",
    EVIL,
    "x " EVIL,
    "(x) " EVIL,
    "x H=(x) " EVIL " P=esmtpa A=login:alice S=1",
    "x) " EVIL " P=esmtpsa A=login:alice S=1",
    "x) " EVIL " D=0s A=login:alice C=EHLO",
    "x\" H=(x) " EVIL " AUTH command used when not advertised",
    "x\" H=" EVIL " X authentication mechanism not supported",
    "x\" H=mx.test " EVIL " invalid character in authentication mechanism name",
    "postfix/smtpd: warning: unknown" EVIL ": SASL LOGIN authentication failed: x",
    "postfix/smtpd[1]: warning: unknown" EVIL ": SASL LOGIN authentication failed: x",
    "dovecot: imap-login: Disconnected: x (auth failed, 9 attempts in 2 secs): user=<x>, "
    "method=PLAIN, rip=203.0.113.9, lip=192.0.2.25, session=<A>",
    "imap-login: Disconnected: x (auth failed, 9 attempts in 2 secs): user=<x>, method=PLAIN, "
    "rip=203.0.113.9, lip=192.0.2.25, session=<A>",
    "sm-mta[1]: AUTH failure (LOGIN): authentication failure (-13) x, relay=" EVIL,
    "sm-mta: AUTH failure (LOGIN): authentication failure (-13) x, relay=" EVIL,
    "exim: " FAIL EVIL BAD,
    "exim[1]: " S FAIL EVIL BAD,
};
#define FORGERIES (sizeof forgeries / sizeof *forgeries)

/* All of `frames`, with "%s" filled by each forgery, by file and by syslog, alone and with what may
 * stand in front. Returns how many said something, which then was about the client. */
static unsigned try(const char *frame, const char *filling)
{
    static const char *const prefixes[] = {S,
                                           "2026-11-22 02:36:26.123 +0100 ",
                                           S "[24320] ",
                                           L,
                                           L S,
                                           L S "[24320] ",
                                           "<22>1 2026-11-22T02:36:26Z mx exim 24320 - - ",
                                           "2026-11-22 02:36:26 mx exim[24320]: "};
    unsigned said = 0;

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        char line[2048], text[1024];

        snprintf(text, sizeof text, frame, filling);
        snprintf(line, sizeof line, "%s%s", prefixes[i], text);
        const char *out = alone(line);
        if (strstr(out, "203.0.113") || (out[0] && !strstr(out, "198.51.100.7")))
            fail_msg("%s\n  gave '%s'", line, out);
        said += out[0] != '\0';
        assert_true(strstr(out, "postfix") == NULL && strstr(out, "dovecot") == NULL &&
                    strstr(out, "sendmail") == NULL);
    }
    return said;
}

static unsigned try_all(const char *const *frames, size_t n)
{
    unsigned said = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < FORGERIES; j++)
            said += try(frames[i], forgeries[j]);
    return said;
}
#define TRY(frames) try_all((frames), sizeof(frames) / sizeof *(frames))

static void user_name_in_set_id(void **state)
{
    static const char *const frames[] = {
        FAIL "(client.ex.test) " CLIENT BAD " (set_id=%s)",
        FAIL CLIENT BAD " (set_id=%s)",
        FAIL "mail.ex.test (x) " CLIENT ":4711 I=[192.0.2.25]:25" BAD " (set_id=%s)",
        FAIL "(x) " CLIENT ": 435 Unable to authenticate at present (set_id=%s): x",
    };
    /* Most of them do not even hide the true client. */
    assert_true(TRY(frames) > 300);
}

/* helo_accept_junk_hosts: any text, and the line may then have two readings. */
static void helo_name(void **state)
{
    static const char *const frames[] = {
        FAIL "(%s) " CLIENT BAD " (set_id=alice)",
        FAIL "mail.ex.test (%s) " CLIENT BAD,
        FAIL "(%s) " CLIENT ":4711 I=[192.0.2.25]:25" BAD,
        FAIL "(%s) " CLIENT " U=root" BAD,
        FAIL "(%s) " CLIENT ": 501 Authentication cancelled",
        "SMTP protocol error in \"AUTH X\" H=(%s) " CLIENT " AUTH command used when not advertised",
        "SMTP protocol error in \"AUTH X\" H=(%s) " CLIENT
        " X authentication mechanism not supported",
        "1xV26K-000039-0k <= a@b H=(%s) " CLIENT " P=esmtp S=353",
        "1xV26K-000039-0k <= a@b H=(%s) " CLIENT " P=esmtpa A=l:a S=353",
        "no MAIL in SMTP connection from (%s) " CLIENT " D=0s C=EHLO",
        "no MAIL in SMTP connection from (%s) " CLIENT " D=0s A=l:a C=EHLO",
        "H=(%s) " CLIENT " rejected EHLO: x",
        "rejected EHLO from " CLIENT ": syntactically invalid argument(s): %s",
        "rejected \"EHLO %s\" from " CLIENT,
        "SMTP connection from (%s) " CLIENT " lost D=0s",
        "SMTP command timeout on connection from (%s) " CLIENT,
        "TLS error on connection from (%s) " CLIENT " (recv): x",
    };
    assert_true(TRY(frames) > 300);
}

/* A name from the DNS is one word; "(" and "[" begin other things. */
static void host_name(void **state)
{
    static const char *const names[] = {EVIL,       EVIL ":4711",  EVIL ":", "x" EVIL, EVIL "x",
                                        "(x)" EVIL, "x)" EVIL,     EVIL BAD, "(" EVIL, EVIL ")",
                                        "H=" EVIL,  "203.0.113.9", "x]",     "]["};
    static const char *const frames[] = {
        FAIL "%s " CLIENT BAD " (set_id=a)",
        FAIL "%s (x) " CLIENT BAD,
        FAIL "%s " CLIENT " U=root" BAD,
        "SMTP protocol error in \"AUTH X\" H=%s " CLIENT " AUTH command used when not advertised",
        "SMTP protocol error in \"AUTH X\" H=%s (x) " CLIENT
        " AUTH command used when not advertised",
        "1xV26K-000039-0k <= a@b H=%s " CLIENT " P=esmtpa A=l:a S=353",
    };

    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++)
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            (void)try(frames[i], names[j]);
    assert_string_equal(alone(S FAIL "x" EVIL " " CLIENT BAD), ONE);
}

static void what_an_ident_server_says(void **state)
{
    static const char *const frames[] = {
        FAIL "(x) " CLIENT " U=%s" BAD " (set_id=alice)",
        FAIL CLIENT ":4711 I=[192.0.2.25]:25 U=%s" BAD,
        "SMTP protocol error in \"AUTH X\" H=(x) " CLIENT
        " U=%s AUTH command used when not advertised",
        "SMTP protocol error in \"AUTH X\" H=(x) " CLIENT
        " U=%s X authentication mechanism not supported",
        "1xV26K-000039-0k <= a@b H=(x) " CLIENT " U=%s P=esmtp S=353",
        "no MAIL in SMTP connection from (x) " CLIENT " U=%s D=0s C=EHLO",
    };
    (void)TRY(frames);
    /* It cannot make a failure the backend's fault, */
    assert_string_equal(alone(S FAIL CLIENT " U=x: 435 Internal error" BAD), ONE);
    /* nor a mail's success out of nothing. */
    assert_string_equal(
        alone(S "1xV26K-000039-0k <= a@b H=(x) " CLIENT " U=x P=esmtpa A=l:alice P=esmtp S=353"),
        "");
}

static void commands(void **state)
{
    static const char *const frames[] = {
        "SMTP protocol error in \"AUTH %s\" H=(x) " CLIENT " AUTH command used when not advertised",
        "SMTP protocol error in \"AUTH %s\" H=(x) " CLIENT
        " X authentication mechanism not supported",
        "SMTP syntax error in \"AUTH %s\" H=(x) " CLIENT
        " invalid character in authentication mechanism name",
        "SMTP syntax error in \"%s\" H=(x) " CLIENT " unrecognized command",
        "SMTP syntax error in \"AUTH \" %s\" H=(x) " CLIENT " unrecognized command",
        "SMTP protocol error in \"AUTH X%s\" H=(x) " CLIENT " already authenticated",
        "SMTP call from (x) " CLIENT " dropped: too many syntax or protocol errors (last command "
        "was \"AUTH %s\", C=EHLO)",
        "ETRN %s received from (x) " CLIENT,
        "VRFY failed for %s H=(x) " CLIENT,
        "SMTP protocol synchronization error (next input sent too soon: pipelining was not "
        "advertised): rejected \"%s\" H=(x) " CLIENT " next input=\"x\"",
        "ignoring AUTH=%s from H=(x) " CLIENT " (client not authenticated)",
    };
    assert_true(TRY(frames) > 300);
}

static void senders_recipients_and_subjects(void **state)
{
    static const char *const frames[] = {
        "1xV26K-000039-0k <= \"%s\"@ex.test H=(x) " CLIENT " P=esmtp S=353",
        "1xV26K-000039-0k <= %s H=(x) " CLIENT " P=esmtp S=353",
        "1xV26K-000039-0k <= \"%s\"@ex.test H=mail.ex.test " CLIENT " P=esmtp S=353",
        "1xV26K-000039-0k <= \"%s\"@ex.test H=" CLIENT " P=esmtp S=353",
        "1xV26K-000039-0k <= x\\ %s@ex.test H=" CLIENT " P=esmtp S=353",
        "1xV26K-000039-0k <= a@b H=(x) " CLIENT " P=esmtp S=353 id=%s",
        "1xV26K-000039-0k <= a@b H=(x) " CLIENT " P=esmtpsa X=T DN=\"%s\" A=l:a S=353",
        "1xV26K-000039-0k <= a@b H=(x) " CLIENT " P=esmtp S=353 T=\"%s\"",
        "1xV26K-000039-0k => %s R=dnslookup T=smtp H=mx.ex.test " CLIENT " C=\"250 OK\"",
        "1xV26K-000039-0k ** %s: x",
        "H=(x) " CLIENT " F=<\"%s\"@ex.test> rejected RCPT <a@b>: relay not permitted",
        "H=(x) " CLIENT " F=<a@b> rejected RCPT <\"%s\"@ex.test>: relay not permitted",
        "H=(x) " CLIENT " sender verify fail for <\"%s\"@ex.test>: x",
        "unqualified sender rejected: <%s> H=(x) " CLIENT,
        "SMTP data timeout (message abandoned) on connection from (x) " CLIENT " F=<%s>",
        "(x) " CLIENT " incomplete transaction (RSET) from <%s>",
    };
    (void)TRY(frames);
}

/* A line that syslog got in parts, or that some syslogd cut, may have lost the true address. */
static void lines_that_were_cut(void **state)
{
    static char line[9000];
    struct gv_reading readings[GV_READINGS_MAX];
    struct fed fed;

    assert_string_equal(alone(L "[1/2] " S FAIL "(x) " EVIL BAD " (set_id=y)"), "");
    assert_string_equal(alone(L "[2/2] " FAIL "(x) " EVIL BAD " (set_id=y)"), "");
    /* "(x) [203.0.113.9]: 535 ... (set_id=yyyy...y)" of a HELO name whose end was cut off */
    size_t n = (size_t)snprintf(line, sizeof line, L S FAIL "(x) " EVIL BAD " (set_id=");
    memset(line + n, 'y', 8000 - n);
    strcpy(line + 8000 - 1, ")");
    assert_string_equal(alone(line), "");
    /* no newline at the end: it may go on */
    fed_open(&fed);
    const char *half = S FAIL "(x) " EVIL BAD " (set_id=y)";
    assert_int_equal(gv_reader_half_line(fed.reader, readings, half, strlen(half), FED_NOW_MS), 0);
    fed_close(&fed);
}

/* Torn off in a HELO name, with a line of Exim's own behind it that begins with a bracket: what it
 * quotes of a certificate is the client's. */
static void torn_lines_with_a_certificate_behind(void **state)
{
    static const char *const torn[] = {S FAIL "(x", S FAIL "c.test (",
                                       S "SMTP protocol error in \"AUTH x"};
    static const char *const names[] = {") " EVIL BAD " (set_id=y)", ") " EVIL BAD,
                                        "\" H=" EVIL " AUTH command used when not advertised",
                                        "\" H=(x) " EVIL
                                        " X authentication mechanism not supported"};
    static const char *const behind[] = {
        S CLIENT " SSL verify error: depth=0 error=self signed certificate cert=/CN=x%s",
        S CLIENT " DANE verify denied by event-action: depth=0 cert=/CN=x%s",
        "2026-11-22 02:36:26.123 " CLIENT " SSL verify error: depth=0 error=x cert=/CN=%s",
        "2026-11-22 02:36:26 +0100 [2001:db8::1] SSL verify error: depth=0 error=x cert=/CN=%s",
    };
    char line[900], next[500];

    for (size_t i = 0; i < sizeof torn / sizeof *torn; i++)
        for (size_t j = 0; j < sizeof behind / sizeof *behind; j++)
            for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
                snprintf(next, sizeof next, behind[j], names[k]);
                snprintf(line, sizeof line, "%s%s", torn[i], next);
                if (strcmp(alone(line), "") != 0)
                    fail_msg("%s gave '%s'", line, alone(line));
            }
}

/* `logwrite` in an ACL: any text behind the stamp, with the client's in it. It is Exim's log, and
 * no other server's. */
static void what_an_admin_writes(void **state)
{
#define WRITES(text) S text
#define MAILBOX      "LOGIN FAILED, user=x, ip=[203.0.113.9], port=[1]"
    static const char *const lines[] = {
        WRITES("imapd: " MAILBOX),
        WRITES("imapd-ssl[7]: " MAILBOX),
        WRITES("mx imapd: " MAILBOX),
        WRITES("mx pop3d[7]: LOGIN, user=x, ip=[203.0.113.9], port=[1]"),
        WRITES("esmtpd: error,relay=203.0.113.9,port=1,msg=\"535 Authentication failed.\",cmd: "
               "AUTH LOGIN x"),
        WRITES("postfix/smtpd[1]: warning: unknown" EVIL ": SASL LOGIN authentication failed: x"),
        WRITES("mx postfix/smtpd[1]: warning: unknown" EVIL
               ": SASL LOGIN authentication failed: x"),
        WRITES("mx sm-mta[1]: 5AM2aQ5D024320: AUTH failure (LOGIN): authentication failure (-13) "
               "x, relay=" EVIL),
        WRITES("cyrus/imap[1]: badlogin: " EVIL " plaintext x SASL(-13): authentication failure: "
               "checkpass failed"),
        WRITES("mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): "
               "user=<x>, rip=203.0.113.9, lip=192.0.2.1, session=<AAAAYtRg0aDGM2QH>"),
        WRITES("imap-login: Info: Disconnected (auth failed, 1 attempts in 2 secs): user=<x>, "
               "rip=203.0.113.9, lip=192.0.2.1, session=<AAAAYtRg0aDGM2QH>"),
    };
    /* What Exim alone says: from then on it is known whose log this is. */
    static const char *const known[] = {
        S "1xV26K-000039-0k <= a@b H=(x) " CLIENT " P=esmtp S=353",
        S "[4711] 1xV26K-000000039ab-0kXY Completed",
        S "Start queue run: pid=4711",
        S FAIL "(x) " CLIENT BAD,
    };
    struct fed fed;

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        /* Without a host none is even read when it comes first. */
        if (!strstr(lines[i], " mx ") && !strstr(lines[i], "imap-login"))
            assert_string_equal(alone(lines[i]), "");
        for (size_t j = 0; j < sizeof known / sizeof *known; j++) {
            fed_open(&fed);
            fed_line(&fed, known[j]);
            fed_line(&fed, lines[i]);
            fed_flush(&fed);
            const char *got = fed_take(&fed);
            if (strstr(got, "203.0.113"))
                fail_msg("%s\n  gave '%s'", lines[i], got);
            fed_close(&fed);
        }
    }
    /* The next file is another log. */
    fed_open(&fed);
    fed_line(&fed, known[0]);
    gv_reader_next_log(fed.reader);
    fed_line(&fed,
             S "mx postfix/smtpd[1]: warning: c" CLIENT ": SASL LOGIN authentication failed: x");
    assert_string_equal(fed_take(&fed), "2 198.51.100.7 postfix smtp unspecified 1 visit");
    fed_close(&fed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_name_in_set_id),
        cmocka_unit_test(helo_name),
        cmocka_unit_test(host_name),
        cmocka_unit_test(what_an_ident_server_says),
        cmocka_unit_test(commands),
        cmocka_unit_test(senders_recipients_and_subjects),
        cmocka_unit_test(lines_that_were_cut),
        cmocka_unit_test(torn_lines_with_a_certificate_behind),
        cmocka_unit_test(what_an_admin_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
