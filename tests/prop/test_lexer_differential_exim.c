/* Exim's lexer against a slow, obvious matcher, written from SPEC 10.2 and 10.4: POSIX regular
 * expressions, and the rule that a line in which ") [" could end a HELO name twice says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../unit/helper_differential.h"

/* ---- the reference ---- */

#define ID   "([A-Za-z0-9]{6}-[A-Za-z0-9]{6,11}-[A-Za-z0-9]{2,4} )"
#define NAME "[A-Za-z0-9_.-]{1,64}"
#define TAIL "(:[0-9]+)?( I=\\[[^] ]*\\]:([0-9]{1,5}))?"

enum {
    STAMP,
    PID,
    FAILED,
    COMPLAINT,
    MAIL,
    NO_MAIL,
    HOST,
    INCORRECT,
    PROTOCOL,
    CANCELLED,
    BACKEND,
    PATH,
    ACCOUNT,
    DURATION,
    PATTERNS
};

static struct pattern patterns[PATTERNS] = {
    [STAMP] = {"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{3})?"
               "( [+-][0-9]{4})? ",
               {0}},
    [PID] = {"^\\[[0-9]{1,10}\\] ", {0}},
    [FAILED] = {"^" ID "?" NAME " authenticator failed for (.*)$", {0}},
    /* 7 is the address, in one of three places; 10 this host's port */
    [COMPLAINT] = {"^" ID "?SMTP (protocol|syntax) error in \"[aA][uU][tT][hH]([ \"].*)?\" "
                   "H=(.*\\) |([^ ]*[^ \")])? )?(\\[([^] ]*)\\](:[0-9]+)?)"
                   "( I=\\[[^] ]*\\]:([0-9]{1,5}))? (AUTH command used when not advertised|"
                   "[A-Za-z0-9_-]* authentication mechanism not supported|"
                   "invalid character in authentication mechanism name)$",
                   {0}},
    [MAIL] = {"^" ID "<= [^ \"\\]*( DS)? H=(.*)$", {0}},
    [NO_MAIL] = {"^" ID "?no MAIL in (TFO\\*? )?SMTP connection from (.*)$", {0}},
    [HOST] = {"^([^[( )][^ )]* )?(\\(.*\\) )?(\\[([^]]*)\\]" TAIL ")(.*)$", {0}},
    [INCORRECT] = {"^: 535 Incorrect authentication data( \\(set_id=(.*)\\))?$", {0}},
    [PROTOCOL] = {"^: (501 Invalid base64 data|553 Initial data not expected)$", {0}},
    [CANCELLED] = {"^: 501 Authentication cancelled$", {0}},
    [BACKEND] = {"^: 435 (Unable to authenticate at present|Internal error)", {0}},
    [PATH] = {"^( TFO\\*?)? P=(utf8)?(esmtpa|esmtpsa|asmtp)( .*)$", {0}},
    [ACCOUNT] = {"^(( L[*.-]{0,2})|( X=[^ ]+)|( CV=[a-z]+)|( SNI=[^ ]+))* A=" NAME ":([^ ]*)", {0}},
    [DURATION] = {"^ D=[0-9a-z.]{1,32} A=" NAME "(:([^ ]*)| )", {0}},
};

static int compile(void **state)
{
    patterns_compile(patterns, PATTERNS);
    return 0;
}

static int release(void **state)
{
    patterns_free(patterns, PATTERNS);
    return 0;
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;

    for (; (text = strstr(text, word)); text++)
        n++;
    return n;
}

static void set_service(struct gv_parsed *p, const char *text, const regmatch_t *port)
{
    unsigned long number = port->rm_so < 0 ? 0 : strtoul(text + port->rm_so, NULL, 10);

    p->service = number == 465 || number == 587 ? GV_SERVICE_SUBMISSION : GV_SERVICE_SMTP;
}

/* The client, and what follows it; NULL when it cannot be told for sure. */
static const char *reference_host(struct gv_parsed *p, const char *text)
{
    regmatch_t g[GROUPS];

    if (!pattern_match(&patterns[HOST], text, g) ||
        count(text, ") [") != (g[2].rm_so >= 0 ? 1u : 0u) ||
        !group_address(&p->address, text, &g[4]))
        return NULL;
    set_service(p, text, &g[7]);
    if (g[5].rm_so >= 0)
        p->session = (struct gv_span){text + g[3].rm_so, (size_t)(g[5].rm_eo - g[3].rm_so)};
    return text + g[8].rm_so;
}

static bool reference_reason(struct gv_parsed *p, const char *text)
{
    regmatch_t g[GROUPS];

    p->blame = GV_BLAME_CLIENT;
    p->account.len = 0;
    if (pattern_match(&patterns[INCORRECT], text, g)) {
        p->kind = GV_KIND_UNSPECIFIED;
        p->account = group_span(text, &g[2]);
        return true;
    }
    if (pattern_match(&patterns[PROTOCOL], text, g)) {
        p->kind = GV_KIND_PROTOCOL;
        return true;
    }
    if (pattern_match(&patterns[CANCELLED], text, g)) {
        p->kind = GV_KIND_ABORTED;
        return true;
    }
    p->blame = GV_BLAME_BACKEND;
    return pattern_match(&patterns[BACKEND], text, g);
}

static bool reference_failure(struct gv_parsed *p, const char *text)
{
    const char *rest = reference_host(p, text);
    struct gv_parsed client, backend;
    bool failed = false, fault = false;

    p->said = GV_SAID_FAILURE;
    p->attempts = 1;
    if (!rest || strncmp(rest, " U=", 3) != 0)
        return rest && reference_reason(p, rest);
    /* The first failure of the client's, or else the first fault. */
    for (rest += 3; (rest = strstr(rest, ": ")); rest++) {
        if (!reference_reason(p, rest))
            continue;
        if (p->blame == GV_BLAME_CLIENT && !failed) {
            client = *p;
            failed = true;
        } else if (p->blame != GV_BLAME_CLIENT && !fault) {
            backend = *p;
            fault = true;
        }
    }
    if (failed || fault)
        *p = failed ? client : backend;
    p->account.len = 0;
    return failed || fault;
}

static bool reference_complaint(struct gv_parsed *p, const char *text, const regmatch_t *g)
{
    static const char invalid[] = "invalid character in", unadvertised[] = "AUTH command";
    const char *complaint = text + g[11].rm_so;
    const char *command = strstr(text, " error in \"") + strlen(" error in \"AUTH");
    bool syntax = text[g[2].rm_so] == 's';

    if (syntax != (strncmp(complaint, invalid, strlen(invalid)) == 0) || strstr(command, " U=") ||
        !group_address(&p->address, text, &g[7]))
        return false;
    p->said = GV_SAID_FAILURE;
    p->attempts = 1;
    p->kind = strncmp(complaint, unadvertised, strlen(unadvertised)) == 0 ? GV_KIND_ABORTED
                                                                          : GV_KIND_BAD_MECHANISM;
    set_service(p, text, &g[10]);
    if (g[8].rm_so >= 0)
        p->session = group_span(text, &g[6]);
    return true;
}

static bool reference_success(struct gv_parsed *p, const char *text, bool mail)
{
    regmatch_t g[GROUPS], in[GROUPS];
    const char *rest = reference_host(p, text);

    p->said = GV_SAID_SUCCESS;
    if (!rest || !pattern_match(&patterns[mail ? PATH : DURATION], rest, g))
        return false;
    if (!mail)
        p->account = group_span(rest, &g[2]);
    else if (pattern_match(&patterns[ACCOUNT], rest + g[4].rm_so, in))
        p->account = group_span(rest + g[4].rm_so, &in[6]);
    return true;
}

static bool reference(struct gv_parsed *p, const char *text, bool syslog)
{
    regmatch_t g[GROUPS];

    memset(p, 0, sizeof *p);
    p->kind = GV_KIND_UNSPECIFIED;
    p->service = GV_SERVICE_SMTP;
    if (syslog && pattern_match(&patterns[STAMP], text, g))
        text += g[0].rm_eo;
    if (pattern_match(&patterns[PID], text, g)) {
        p->session = group_span(text, &g[0]);
        text += g[0].rm_eo;
    }
    if (pattern_match(&patterns[FAILED], text, g))
        return reference_failure(p, text + g[2].rm_so);
    if (pattern_match(&patterns[COMPLAINT], text, g))
        return reference_complaint(p, text, g);
    if (pattern_match(&patterns[MAIL], text, g))
        return reference_success(p, text + g[3].rm_so, true);
    if (pattern_match(&patterns[NO_MAIL], text, g))
        return reference_success(p, text + g[3].rm_so, false);
    return false;
}

/* ---- both ---- */

static unsigned agreed_on_something;

static void compare(const char *text, bool syslog)
{
    struct gv_line line = {.text = text,
                           .text_len = strlen(text),
                           .program = syslog ? GV_PROGRAM_EXIM : GV_PROGRAM_EXIM_PLAIN};
    struct gv_parsed fast, slow;
    bool ours = gv_parse_exim(&fast, &line, false), theirs = reference(&slow, text, syslog);

    must_agree(text, ours ? &fast : NULL, theirs ? &slow : NULL);
    agreed_on_something += ours;
}

/* ---- lines ---- */

static const char *const heads[] = {"",
                                    "",
                                    "[4711] ",
                                    "2026-11-22 02:36:26 ",
                                    "2026-11-22 02:36:26.123 +0100 [4711] ",
                                    "[1/2] ",
                                    "1xV26K-000039-0k ",
                                    "[12345678901] ",
                                    "[4711] 1xV26K-00000000039-0kAb "};
static const char *const names[] = {
    "", "", "mail.ex.test ", "x[203.0.113.9] ", "a)b ", "caf\xc3\xa9 "};
static const char *const helos[] = {"",
                                    "(client.ex.test) ",
                                    "(client.ex.test) ",
                                    "([203.0.113.9]) ",
                                    "(a b) ",
                                    "(x) [203.0.113.9]: 535 Incorrect authentication data) ",
                                    "(x) [y) ",
                                    "() ",
                                    "(a\" H=(b) "};
static const char *const addresses[] = {"[198.51.100.7]",
                                        "[198.51.100.7]",
                                        "[198.51.100.7]:4711",
                                        "[2001:db8::7]",
                                        "[::ffff:198.51.100.7]:25",
                                        "[198.51.100.256]",
                                        "[]",
                                        "198.51.100.7"};
static const char *const faces[] = {"",
                                    "",
                                    " I=[192.0.2.25]:25",
                                    " I=[2001:db8::25]:465",
                                    " I=[192.0.2.25]:587",
                                    " I=[192.0.2.25]",
                                    " I=[192.0.2.25]:123456"};
static const char *const idents[] = {"",
                                     "",
                                     "",
                                     " U=root",
                                     " U=a: 435 Internal error",
                                     " U=a (b) [203.0.113.9]",
                                     " U=x: 535 Incorrect authentication data (set_id=a)"};
static const char *const reasons[] = {
    ": 535 Incorrect authentication data",
    ": 535 Incorrect authentication data (set_id=alice)",
    ": 535 Incorrect authentication data (set_id=x) [1.2.3.4]: 5)",
    ": 535 Incorrect authentication data (set_id=)",
    ": 501 Invalid base64 data",
    ": 501 Authentication cancelled",
    ": 553 Initial data not expected",
    ": 435 Unable to authenticate at present (set_id=x): y",
    ": 435 Internal error: return 9",
    " rejected"};
static const char *const commands[] = {"AUTH LOGIN",
                                       "auth PLAIN AGE=",
                                       "AUTH",
                                       "AUTHX",
                                       "AUTH x\" H=(y) [203.0.113.9] AUTH command",
                                       "AUTH \" H=[203.0.113.9]",
                                       "AUTH U=x",
                                       "AUTH X U=y",
                                       "AUTH\"",
                                       "EHLO x"};
static const char *const complaints[] = {"AUTH command used when not advertised",
                                         "LOGIN authentication mechanism not supported",
                                         " authentication mechanism not supported",
                                         "AUTH authentication mechanism not supported",
                                         "invalid character in authentication mechanism name",
                                         "already authenticated",
                                         "x! authentication mechanism not supported"};
static const char *const paths[] = {" P=esmtpa A=plain:alice S=353",
                                    " P=esmtpsa L* X=TLS1.3:A__B:256 CV=no SNI=x A=l:a@b S=3",
                                    " TFO* P=utf8esmtpsa A=l S=3",
                                    " P=esmtpsa X=T DN=\"A=x:y\" A=l:a S=3",
                                    " P=esmtp S=353",
                                    " P=esmtp S=353 T=\" P=esmtpa A=a:b \"",
                                    " P=esmtpa",
                                    " P=asmtp L.- A=l: S=3",
                                    " P=esmtpa A=l:a S=3 T=\"x) [y\""};
static const char *const senders[] = {"alice@mx.test", "<>", "\"a b\"@x", "a\\b", "", "x DS"};
static const char *const durations[] = {" D=0.007s A=plain:alice C=EHLO,AUTH",
                                        " D=1m3s A=plain C=EHLO", " D=0s C=EHLO,AUTH", " D= A=x:y",
                                        " D=0s A=x:"};

static void make(char *out, size_t size)
{
    char host[400];

    snprintf(host, sizeof host, "%s%s%s%s%s", PICK(names), PICK(helos), PICK(addresses),
             PICK(faces), PICK(idents));
    switch (draw(8)) {
    case 0:
        snprintf(out, size, "%sSMTP %s error in \"%s\" H=%s %s", PICK(heads),
                 draw(3) ? "protocol" : "syntax", PICK(commands), host, PICK(complaints));
        break;
    case 1:
        snprintf(out, size,
                 "%sSMTP protocol error in \"%s\" H=%s AUTH command used when not "
                 "advertised",
                 PICK(heads), PICK(commands), host);
        break;
    case 2:
        snprintf(out, size, "%s<= %s%s H=%s%s", draw(3) ? heads[6] : PICK(heads), PICK(senders),
                 draw(4) ? "" : " DS", host, PICK(paths));
        break;
    case 3:
        snprintf(out, size, "%sno MAIL in %sSMTP connection from %s%s", PICK(heads),
                 draw(3) ? "" : "TFO* ", host, PICK(durations));
        break;
    default:
        snprintf(out, size, "%s%s authenticator failed for %s%s", PICK(heads),
                 draw(8) ? "login_server" : "", host, PICK(reasons));
    }
}

static void exim_lexer(void **state)
{
    char text[2048];
    unsigned rounds = 30000;

    agreed_on_something = 0;
    for (unsigned i = 0; i < rounds; i++) {
        bool syslog = draw(2);
        make(text, sizeof text - 8);
        compare(text, syslog);
        mutate(text);
        compare(text, syslog);
    }
    /* A test that never matches would pass for ever. */
    assert_true(agreed_on_something > rounds / 10);
}

int main(void)
{
    draw_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exim_lexer),
    };

    return cmocka_run_group_tests(tests, compile, release);
}
