/* Courier's fast lexer against a slow, obvious matcher: POSIX regular expressions, anchored at both
 * ends, written from SPEC 10.2 and 10.4 and not from the lexer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <regex.h>

#include "crypto/error.h"
#include "tests/unit/helper_said.h"

/* ---- the reference ---- */

enum { FAILED, LOGIN, RELAY, METHOD, METHOD_ALONE, PATTERNS };
#define WHO   "ip=\\[([^]]*)\\](, port=\\[([0-9]{1,5}|N/A)\\])?"
#define KNOWN "^(PLAIN|LOGIN|CRAM-MD5|CRAM-SHA1|CRAM-SHA256|EXTERNAL)"
static const char *const sources[PATTERNS] = {
    [FAILED] = "^LOGIN FAILED, (user|method)=(.*), " WHO "$",
    [LOGIN] = "^LOGIN, user=(.+), " WHO "(, protocol=[A-Z0-9]{1,16})?(, starttls=1|, stls=1)?$",
    [RELAY] = "^error,relay=([^,]*)(,port=([0-9]{1,5}))?(,ident=\"[^\"]*\")?,msg=\"535 "
              "Authentication (failed\\.|rejected)\",cmd: AUTH (.*)$",
    [METHOD] = KNOWN "( |$)",
    [METHOD_ALONE] = KNOWN "$",
};
static regex_t patterns[PATTERNS];

static int compile(void **state)
{
    for (int i = 0; i < PATTERNS; i++)
        assert_int_equal(
            regcomp(&patterns[i], sources[i], REG_EXTENDED | (i >= METHOD ? REG_ICASE : 0)), 0);
    return 0;
}

static int release(void **state)
{
    for (int i = 0; i < PATTERNS; i++)
        regfree(&patterns[i]);
    return 0;
}

static bool match(int pattern, const char *text, regmatch_t groups[8])
{
    return regexec(&patterns[pattern], text, 8, groups, 0) == 0;
}

static bool address_at(struct gv_ip_address *out, const char *text, const regmatch_t *group)
{
    return gv_ip_address_parse(out, text + group->rm_so, (size_t)(group->rm_eo - group->rm_so)) ==
           GV_OK;
}

static unsigned port_at(const char *text, const regmatch_t *group)
{
    unsigned long port = group->rm_so < 0 ? 0 : strtoul(text + group->rm_so, NULL, 10);

    return port > 65535 ? 0 : (unsigned)port;
}

static struct said reference(const char *text)
{
    struct said s = {.kind = GV_KIND_UNSPECIFIED}, none = {0};
    regmatch_t g[8], m[8];
    bool readable = strlen(text) <= 200;

    if (readable && match(FAILED, text, g)) {
        char *value = strndup(text + g[2].rm_so, (size_t)(g[2].rm_eo - g[2].rm_so));
        s.what = GV_SAID_FAILURE;
        s.attempts = 1;
        s.any = address_at(&s.address, text, &g[3]);
        s.port = port_at(text, &g[5]);
        if (text[g[1].rm_so] == 'u') {
            s.account = text + g[2].rm_so;
            s.account_len = strlen(value);
        } else if (!match(METHOD_ALONE, value, m)) {
            s.kind = GV_KIND_BAD_MECHANISM;
        }
        free(value);
    } else if (readable && match(LOGIN, text, g)) {
        s.what = GV_SAID_SUCCESS;
        s.any = address_at(&s.address, text, &g[2]);
        s.port = port_at(text, &g[4]);
        s.account = text + g[1].rm_so;
        s.account_len = (size_t)(g[1].rm_eo - g[1].rm_so);
    } else if (match(RELAY, text, g)) {
        const char *command = text + g[6].rm_so, *space = strrchr(command, ' ');
        bool known = match(METHOD, command, m);
        s.what = GV_SAID_FAILURE;
        s.attempts = 1;
        s.any = address_at(&s.address, text, &g[1]);
        s.port = port_at(text, &g[3]);
        if (!known || text[g[5].rm_so] == 'r')
            s.kind = GV_KIND_BAD_MECHANISM;
        if (known && space && strlen(command) < 75) {
            s.account = space + 1;
            s.account_len = strlen(space + 1);
        }
    } else if (starts_with(text, "authentication error: ") ||
               starts_with(text, "authdaemon: s_connect() failed: ")) {
        s.what = GV_SAID_TROUBLE;
        s.any = true;
        s.attempts = starts_with(text, "authentication");
    } else if (starts_with(text, "ID, user=")) {
        s.what = GV_SAID_QUOTE;
        s.any = true;
    }
    return s.any ? s : none;
}

/* ---- lines ---- */

static const char *const addresses[] = {
    "198.51.100.7", "::ffff:198.51.100.7", "2001:db8::7", "fe80::1%eth0", "198.51.100.256", "", "x",
    "(null)"};
#define TEN       "0123456789"
#define A_HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
static const char *const names[] = {"alice",
                                    "",
                                    "a b",
                                    "x, ip=[203.0.113.9]",
                                    "x, ip=[203.0.113.9], port=[1]",
                                    "x, ip=[203.0.113.9], port=[1], protocol=IMAP",
                                    "x, ip=[",
                                    "], port=[",
                                    "x\",msg=\"535 Authentication failed.\",cmd: AUTH LOGIN y",
                                    "caf\xc3\xa9 \x7f",
                                    A_HUNDRED};
static const char *const methods[] = {
    "PLAIN", "LOGIN", "CRAM-MD5", "cram-sha256", "EXTERNAL",
    "NTLM",  "",      "PLAINX",   "x y",         "X, ip=[203.0.113.9], port=[1]"};
static const char *const ports[] = {
    "], port=[4000]",   "], port=[N/A]",  "]", "], port=[]", "], port=[65536]",
    "], port=[123456]", "], port=[1], x", ""};
static const char *const ends[] = {", protocol=IMAP", ", protocol=IMAP, starttls=1",
                                   ", stls=1",        "",
                                   ", protocol=",     ", protocol=imap",
                                   ", protocol=SMAP1"};
static const char *const idents[] = {
    "", "", ",ident=\"x\"", ",ident=\"x,port=9\"", ",ident=\"a\"b\"", ",ident="};
static const char *const messages[] = {"535 Authentication failed.", "535 Authentication rejected",
                                       "535 Authentication required.", "502 ESMTP command error"};

static void make(char *out, size_t size)
{
    switch (draw(6)) {
    case 0:
        snprintf(out, size, "LOGIN, user=%s, ip=[%s%s%s", PICK(names), PICK(addresses), PICK(ports),
                 PICK(ends));
        break;
    case 1:
        snprintf(out, size, "LOGIN FAILED, method=%s, ip=[%s%s", PICK(methods), PICK(addresses),
                 PICK(ports));
        break;
    case 2:
        snprintf(out, size, "error,relay=%s%s%s,msg=\"%s\",cmd: AUTH %s%s%s", PICK(addresses),
                 draw(3)   ? ",port=4000"
                 : draw(2) ? ""
                           : ",port=99999",
                 PICK(idents), messages[draw(draw(2) ? 1 : 4)], PICK(methods), draw(2) ? " " : "",
                 draw(2) ? PICK(names) : "");
        break;
    case 3:
        snprintf(out, size, "%s%s",
                 draw(2)   ? "authentication error: "
                 : draw(2) ? "ID, user="
                           : "authdaemon: s_connect() failed: ",
                 PICK(names));
        break;
    default:
        snprintf(out, size, "LOGIN FAILED, user=%s, ip=[%s%s%s", PICK(names), PICK(addresses),
                 PICK(ports), draw(6) ? "" : PICK(ends));
    }
}

#define ROUNDS 100000

static void courier_lexer(void **state)
{
    char text[1024];

    differential_agreed = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        make(text, sizeof text - 8);
        differential_compare(text, gv_parse_courier, reference(text));
        mutate(text);
        differential_compare(text, gv_parse_courier, reference(text));
    }
    assert_true(differential_agreed > ROUNDS / 10);
}

int main(void)
{
    draw_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(courier_lexer)};

    return cmocka_run_group_tests(tests, compile, release);
}
