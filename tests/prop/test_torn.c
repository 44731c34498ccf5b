/* A line that was torn off, by a crash or a full disk, has the next one behind it: what is read of
 * the two is what one of them says by itself, or nothing. Genuine lines of every server, each torn
 * at each byte. (SPEC 10.4) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/ingest/parse.h"

#define SAMPLE_MAX 1024
#define SHAPES     64

/* What a line says by itself, of whom. */
struct saying {
    bool any;
    struct gv_parsed parsed;
};

static struct saying say(const char *line, size_t len)
{
    static char exact[2 * SAMPLE_MAX];
    struct gv_line_prefix prefix = {0};
    struct saying saying = {0};
    struct gv_line split = {.whole = false};

    memcpy(exact, line, len);
    saying.any =
        gv_line_split(&split, &prefix, exact, len) && gv_parse_line(&saying.parsed, &split, false);
    return saying;
}

static bool same(const struct saying *a, const struct saying *b)
{
    const struct gv_parsed *p = &a->parsed, *q = &b->parsed;

    return a->any && b->any && p->said == q->said && p->blame == q->blame && p->kind == q->kind &&
           p->mta == q->mta && p->attempts == q->attempts && p->has_counts == q->has_counts &&
           p->auth_all == q->auth_all && p->auth_good == q->auth_good &&
           p->address.family == q->address.family &&
           memcmp(p->address.bytes, q->address.bytes, sizeof p->address.bytes) == 0;
}

/* The end of a visit without a word of how often only leaves to count what the auth service told of
 * its session. */
static bool accuses(const struct saying *s)
{
    const struct gv_parsed *p = &s->parsed;

    return s->any && gv_parsed_tells(p) &&
           !(p->said == GV_SAID_FAILURE && p->attempts == 0 && p->auth_all == 0 &&
             p->end == GV_END_OTHER);
}

struct sample {
    char line[SAMPLE_MAX];
    size_t len;
};

/* Two lines look alike where they differ only in digits, addresses and what stands in angles. */
static uint64_t shape_of(const char *line)
{
    uint64_t hash = 1469598103934665603u;

    for (size_t i = 0; line[i] && i < 110; i++) {
        if (line[i] == '<')
            i += strcspn(line + i, ">");
        if (!line[i] || strchr("0123456789abcdef.:", line[i]))
            continue;
        hash = (hash ^ (unsigned char)line[i]) * 1099511628211u;
    }
    return hash;
}

/* One line of each shape: those that tell of somebody, and any. */
static void collect(const char *name, struct sample first[SHAPES], size_t *firsts,
                    struct sample next[SHAPES], size_t *nexts)
{
    static uint64_t seen[2][SHAPES];
    char path[256], line[SAMPLE_MAX];

    snprintf(path, sizeof path, "%s/tests/maillog/%s", GV_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    *firsts = *nexts = 0;
    while (fgets(line, sizeof line, file)) {
        size_t len = strcspn(line, "\n");
        line[len] = '\0';
        if (len == 0 || line[0] == '#') /* our own words about the file */
            continue;
        struct saying saying = say(line, len);
        bool tells = saying.any && saying.parsed.said != GV_SAID_CONNECT;
        struct sample *list = tells ? first : next;
        size_t *count = tells ? firsts : nexts, i = 0;
        uint64_t shape = shape_of(line);
        while (i < *count && seen[tells][i] != shape)
            i++;
        if (i < *count || i == (tells ? 40 : SHAPES - 16))
            continue;
        seen[tells][i] = shape;
        memcpy(list[i].line, line, len + 1);
        list[i].len = len;
        ++*count;
    }
    fclose(file);
    /* Lines that tell of somebody stand behind torn ones, too. */
    for (size_t i = 0; i < *firsts && *nexts < SHAPES; i += 1 + *firsts / 16)
        next[(*nexts)++] = first[i];
}

/* The next line is of another client. */
static void rename_addresses(struct sample *sample)
{
    for (char *at = sample->line; (at = strstr(at, "198.51.100.")); at++)
        memcpy(at, "198.51.101.", 11);
    for (char *at = sample->line; (at = strstr(at, "192.0.2.")); at++)
        memcpy(at, "192.0.3.", 8);
}

static size_t tear_all(const char *name)
{
    static struct sample first[SHAPES], next[SHAPES];
    char glued[2 * SAMPLE_MAX];
    size_t firsts, nexts, torn = 0;

    collect(name, first, &firsts, next, &nexts);
    for (size_t j = 0; j < nexts; j++)
        rename_addresses(&next[j]);
    for (size_t i = 0; i < firsts; i++) {
        struct saying alone = say(first[i].line, first[i].len);
        for (size_t j = 0; j < nexts; j++) {
            struct saying behind = say(next[j].line, next[j].len);
            for (size_t n = 0; n <= first[i].len; n++, torn++) {
                memcpy(glued, first[i].line, n);
                memcpy(glued + n, next[j].line, next[j].len + 1);
                struct saying both = say(glued, n + next[j].len);
                if (accuses(&both) && !same(&both, &alone) && !same(&both, &behind))
                    fail_msg("%s: torn at %zu: %s", name, n, glued);
            }
        }
    }
    print_message("%s: %zu lines, %zu behind them, %zu tears\n", name, firsts, nexts, torn);
    return torn;
}

/* What a stranger may have written about himself: words of the mail server's own lines. */
static void a_stranger_behind_it(void **state)
{
    static const char *const names[] = {"genuine.log",          "genuine-exim.log",
                                        "genuine-cyrus.log",    "genuine-courier.log",
                                        "genuine-sendmail.log", "genuine-exim-syslog.log"};
    static const char *const claims[] = {
        "(auth failed, 99 attempts: user=<x>, method=PLAIN, rip=203.0.113.99, session=<abc>",
        "user=<x>, method=PLAIN, rip=203.0.113.99, lip=192.0.2.1, mpid=7, session=<abc>",
        "unknown[203.0.113.99]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
        "x [203.0.113.99]: 535 Incorrect authentication data (set_id=x)",
        "LOGIN FAILED, user=x, ip=[203.0.113.99], port=[1]",
        "badlogin: x [203.0.113.99] plaintext x [SASL(-13): authentication failure: x]"};
    static const char *const lines[] = {
        "Nov 23 03:00:00 mx postfix/smtpd[77]: warning: non-SMTP command from u[198.51.100.8]: %s",
        "2026-11-23T03:00:00.123456+00:00 mx postfix/cleanup[77]: 4F0C12: message-id=<%s",
        "2026-11-23 03:00:00 no host name found for IP address 198.51.100.8 %s"};
    static const uint8_t accused[] = {203, 0, 113, 99};
    static struct sample first[SHAPES], next[SHAPES];
    char stranger[512], glued[2 * SAMPLE_MAX];
    size_t torn = 0;

    (void)state;
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        size_t firsts, nexts;
        collect(names[f], first, &firsts, next, &nexts);
        for (size_t i = 0; i < firsts; i++)
            for (size_t c = 0; c < 18; c++) {
                int len = snprintf(stranger, sizeof stranger, lines[c / 6], claims[c % 6]);
                for (size_t n = 0; n <= first[i].len; n++, torn++) {
                    memcpy(glued, first[i].line, n);
                    memcpy(glued + n, stranger, (size_t)len + 1);
                    struct saying both = say(glued, n + (size_t)len);
                    if (n > 0 && accuses(&both) &&
                        memcmp(both.parsed.address.bytes, accused, 4) == 0)
                        fail_msg("%s: torn at %zu: %s", names[f], n, glued);
                }
            }
    }
    print_message("%zu tears before a stranger's words\n", torn);
    assert_true(torn > 100000);
}

#define TORN(server, name)                                                                         \
    static void server(void **state)                                                               \
    {                                                                                              \
        assert_true(tear_all(name) > 10000);                                                       \
    }

TORN(postfix_and_dovecot, "genuine.log")
TORN(exim, "genuine-exim.log")
TORN(exim_by_syslog, "genuine-exim-syslog.log")
TORN(sendmail, "genuine-sendmail.log")
TORN(cyrus, "genuine-cyrus.log")
TORN(courier, "genuine-courier.log")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(postfix_and_dovecot),
        cmocka_unit_test(exim),
        cmocka_unit_test(exim_by_syslog),
        cmocka_unit_test(sendmail),
        cmocka_unit_test(cyrus),
        cmocka_unit_test(courier),
        cmocka_unit_test(a_stranger_behind_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
