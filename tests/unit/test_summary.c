/* The summary of `grapevine observe`, on logs whose truth the test knows: who attacks slowly, which
 * networks are campaigns, who is signalled and why; and, when there are more addresses than it can
 * remember, that what it forgets is the least interesting (SPEC 10.6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "node/cli/observe_summary.h"

#define START_MS 1795000000000u
#define HOUR_MS  3600000u
#define DAY_MS   86400000u

static uint64_t seed = 88172645463325252u;

static uint32_t draw(uint32_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % bound;
}

static struct gv_reading reading(const char *address, uint64_t ms)
{
    struct gv_reading r = {.mta = GV_MTA_POSTFIX};

    assert_int_equal(gv_ip_address_parse(&r.address, address, strlen(address)), 0);
    r.observation.subject = gv_ip_address_subject(&r.address);
    r.observation.unix_ms = ms;
    r.observation.service = GV_SERVICE_SUBMISSION;
    r.observation.kind = GV_KIND_WRONG_PASSWORD;
    r.observation.attempts = 1;
    r.observation.new_visit = true;
    return r;
}

static void fails(struct gv_summary *s, const char *address, uint64_t ms)
{
    struct gv_reading r = reading(address, ms);

    gv_summary_add(s, &r, false);
}

static void logs_in(struct gv_summary *s, const char *address, uint64_t ms)
{
    struct gv_reading r = reading(address, ms);

    r.observation.success = true;
    r.observation.attempts = 0;
    r.observation.kind = 0;
    r.observation.account = 1 + draw(1000000);
    gv_summary_add(s, &r, false);
}

static char *report(struct gv_summary *s, unsigned top)
{
    static const struct gv_reader_counters counters;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    gv_summary_print(s, out, &counters, top, false);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* The lines of a section, up to the next blank line. Empty when there is no such section. */
static char *section(const char *text, const char *title)
{
    const char *at = strstr(text, title);
    const char *end = at ? strstr(at, "\n\n") : NULL;

    return at ? strndup(at, end ? (size_t)(end - at) : strlen(at)) : strdup("");
}

static bool names(const char *part, const char *subject)
{
    char line[128];

    snprintf(line, sizeof line, "\n  %s ", subject);
    return strstr(part, line) != NULL;
}

static void slow_attackers(void **state)
{
    static const struct {
        const char *address;
        unsigned visits;
        uint64_t gap_ms;
        bool login, slow;
    } cases[] = {
        {"23.0.0.1", 3, DAY_MS / 2, false, true},      /* exactly a day, three visits */
        {"23.0.0.2", 3, DAY_MS / 2 - 1, false, false}, /* a millisecond less than a day */
        {"23.0.0.3", 2, 3 * DAY_MS, false, false},     /* two visits */
        {"23.0.0.4", 25, HOUR_MS, false, true},        /* an hour apart, over a day */
        {"23.0.0.5", 30, HOUR_MS - 1, false, false},   /* faster than an hour apart */
        {"23.0.0.6", 6, DAY_MS, true, false},          /* somebody logs in from there */
        {"23.0.0.7", 40, 60000, false, false},         /* a quick one */
        {"2a01:4f8::7", 6, DAY_MS, false, true},
    };
    struct gv_summary *s = gv_summary_new(false);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (unsigned v = 0; v < cases[i].visits; v++)
            fails(s, cases[i].address, START_MS + v * cases[i].gap_ms);
        if (cases[i].login)
            logs_in(s, cases[i].address, START_MS + 7 * DAY_MS);
    }
    char *text = report(s, 100), *part = section(text, "Slow attackers");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool v6 = strchr(cases[i].address, ':') != NULL;
        if (names(part, v6 ? "2a01:4f8::/64" : cases[i].address) != cases[i].slow)
            fail_msg("%s: %s", cases[i].address, part);
    }
    free(part);
    free(text);
    gv_summary_free(s);
}

static void campaigns(void **state)
{
    struct gv_summary *s = gv_summary_new(false);
    char address[64];

    for (unsigned i = 1; i <= 5; i++) { /* five of a /24, two attempts each */
        snprintf(address, sizeof address, "45.1.2.%u", i * 40);
        fails(s, address, START_MS + i * 1000);
        fails(s, address, START_MS + i * 2000);
    }
    for (unsigned i = 1; i <= 3; i++) { /* three /64 of a /48 */
        snprintf(address, sizeof address, "2a01:4f8:7:%x::1", i);
        fails(s, address, START_MS + i * 1000);
    }
    for (unsigned i = 1; i <= 9; i++) { /* nine addresses of one /64 are one subject */
        snprintf(address, sizeof address, "2a01:4f8:8:1::%x", i);
        fails(s, address, START_MS);
    }
    fails(s, "61.1.1.1", START_MS); /* two of one /24, the next of another */
    fails(s, "61.1.1.2", START_MS);
    fails(s, "61.1.2.3", START_MS);
    logs_in(s, "80.1.1.1", START_MS); /* neighbours that log in are none */
    logs_in(s, "80.1.1.2", START_MS);
    fails(s, "80.1.1.3", START_MS);
    char *text = report(s, 100), *part = section(text, "Campaigns");
    assert_non_null(strstr(part, "\n  45.1.2.0/24                       5        10  "));
    assert_non_null(strstr(part, "\n  2a01:4f8:7::/48                   3         3  "));
    assert_null(strstr(part, "2a01:4f8:8"));
    assert_null(strstr(part, "61.1."));
    assert_null(strstr(part, "80.1."));
    assert_true(strstr(part, "45.1.2") < strstr(part, "2a01")); /* the largest first */
    free(part);
    free(text);
    gv_summary_free(s);
}

static void signalled_and_why(void **state)
{
    struct gv_summary *s = gv_summary_new(false);
    struct gv_reading r;

    for (unsigned i = 0; i < 3; i++) /* three within a day, at an uneven pace */
        fails(s, "45.1.2.3", START_MS + i * i * 7 * 60000);
    logs_in(s, "45.1.3.200", START_MS - 3600000); /* from these networks somebody logs in */
    logs_in(s, "45.1.4.200", START_MS - 3600000);
    r = reading("45.1.10.3", START_MS); /* from this one nobody */
    r.observation.kind = GV_KIND_UNKNOWN_ACCOUNT;
    gv_summary_add(s, &r, false);
    for (unsigned i = 0; i < 2; i++) { /* two, one at an unknown account */
        r = reading("45.1.3.3", START_MS + i * 5 * 60000);
        r.observation.kind = i ? GV_KIND_WRONG_PASSWORD : GV_KIND_UNKNOWN_ACCOUNT;
        gv_summary_add(s, &r, false);
    }
    for (unsigned i = 0; i < 3; i++) { /* slow: three within a week */
        r = reading("45.1.4.3", START_MS + i * i * DAY_MS);
        r.observation.kind = GV_KIND_UNKNOWN_ACCOUNT;
        if (i > 0) /* the second within a day would have been signalled at once */
            r.observation.unix_ms += DAY_MS / 2;
        gv_summary_add(s, &r, false);
    }
    fails(s, "45.1.5.3", START_MS); /* too few */
    for (unsigned i = 0; i < 9; i++)
        fails(s, "10.0.0.1", START_MS + i * i * 60000); /* private */
    r = reading("45.1.6.3", START_MS);
    r.observation.attempts = 9;
    gv_summary_add(s, &r, true);      /* allow-listed */
    logs_in(s, "45.1.7.3", START_MS); /* two different accounts: clean */
    logs_in(s, "45.1.7.3", START_MS + 1000);
    for (unsigned i = 0; i < 4; i++)
        fails(s, "45.1.7.3", START_MS + 2000 + i * i * 60000);
    for (unsigned i = 0; i < 4; i++) { /* as even as a mail client polls, and of one account */
        r = reading("45.1.8.3", START_MS + 60 * 86400000ull + i * 6 * 3600000);
        r.observation.account = 7;
        gv_summary_add(s, &r, false);
    }
    r = reading("45.1.9.3", START_MS);
    r.observation.kind = GV_KIND_ABORTED;
    gv_summary_add(s, &r, false);
    char *text = report(s, 100), *part = section(text, "What would have been signalled");
    assert_non_null(strstr(part, "not signalled: 1 that look like a user who mistypes"));
    assert_non_null(strstr(part, "not signalled: 1 that only broke off"));
    assert_non_null(
        strstr(part, "\n  45.1.2.3                   3 failures in 28 min "
                     "(wrong-password), told as at least 2: three within a day are enough\n"));
    assert_non_null(strstr(part, "\n  45.1.3.3                   2 failures in 5 min "));
    assert_non_null(strstr(part, ": two within a day are enough, one at an unknown account\n"));
    assert_non_null(strstr(part,
                           "\n  45.1.10.3                  1 failure in 0 min "
                           "(unknown-account), told as at least 1: one at an unknown account is "
                           "enough, where nobody logs in from its network\n"));
    assert_true(names(part, "45.1.4.3"));
    assert_non_null(strstr(part, "within a week without a login are enough"));
    assert_non_null(strstr(part, " signals about 4 subjects\n"));
    assert_non_null(strstr(part, "not signalled: 1 with too few failures"));
    assert_non_null(strstr(part, "not signalled: 1 from which somebody also logs in"));
    assert_non_null(strstr(part, "never shared: 2 that are"));
    free(part);
    free(text);
    gv_summary_free(s);
}

static void every_server_is_named(void **state)
{
    struct gv_summary *s = gv_summary_new(false);
    unsigned known = 0;

    for (unsigned mta = 0; mta < 16; mta++) {
        struct gv_reading r = reading("45.1.2.3", START_MS);
        r.mta = (uint8_t)mta;
        r.observation.attempts = 100 + mta;
        if (strcmp(gv_mta_name(mta), "unknown") == 0)
            continue;
        known++;
        gv_summary_add(s, &r, false);
    }
    assert_true(known >= 2);
    char *text = report(s, 100), *part = section(text, "Sources");
    for (unsigned mta = 0; mta < 16; mta++) {
        char line[64];
        snprintf(line, sizeof line, "\n  %-16s %u", gv_mta_name(mta), 100 + mta);
        if (strcmp(gv_mta_name(mta), "unknown") != 0)
            assert_non_null(strstr(part, line));
    }
    free(part);
    free(text);
    gv_summary_free(s);
}

/* ---- More addresses than it remembers -------------------------------------------------------- */

#define HEAVY 200u    /* subjects with many attempts, whose exact number the test knows */
#define FLOOD 300000u /* addresses with one attempt each, or one login, as many as one likes */

static void heavy_address(char out[64], unsigned i)
{
    snprintf(out, 64, "193.%u.%u.7", i / 100, i % 100);
}

/* A flood of addresses that fail once and of clients that log in, with heavy attackers among them,
 * who come twice at first and then at any time. Of the heavy none may be forgotten, and their
 * numbers must be exact; and whoever is forgotten is counted. */
static void the_least_interesting_are_forgotten(void **state)
{
    struct gv_summary *s = gv_summary_new(false);
    uint32_t *truth = calloc(HEAVY, sizeof *truth);
    char address[64];

    assert_non_null(truth);
    for (unsigned i = 0; i < FLOOD; i++) {
        uint64_t ms = START_MS + i * 100u;
        snprintf(address, sizeof address, "%u.%u.%u.%u", 60 + i / 65536, i / 256 % 256, i % 256,
                 1 + i % 200);
        if (i % 3 == 0)
            logs_in(s, address, ms);
        else
            fails(s, address, ms);
        if (i % 50 != 0)
            continue;
        unsigned which = draw(HEAVY);
        heavy_address(address, which);
        for (unsigned n = truth[which] == 0 ? 2 : 1; n > 0; n--, truth[which]++)
            fails(s, address, ms);
    }
    char *text = report(s, 100000), *part = section(text, "Top subjects");
    unsigned missing = 0, remembered = 0;
    for (unsigned i = 0; i < HEAVY; i++) {
        char line[128];
        heavy_address(address, i);
        snprintf(line, sizeof line, "\n  %-26s %8u ", address, truth[i]);
        missing += strstr(part, line) == NULL;
    }
    assert_int_equal(missing, 0);
    for (const char *at = part; (at = strchr(at, '\n')); at++)
        remembered++;
    remembered--; /* the line of the columns' names */
    /* Of sixteen rows logins take eight at most. */
    assert_in_range(remembered, 16384 / 16 * 8, 16384);
    /* The first lines are the heaviest, in order. */
    uint32_t before = UINT32_MAX;
    const char *line = strchr(strchr(part, '\n') + 1, '\n');
    for (unsigned i = 0; i < HEAVY; i++, line = strchr(line + 1, '\n')) {
        unsigned attempts = 0;
        assert_int_equal(sscanf(line, " %*s %u", &attempts), 1);
        assert_true(attempts <= before && attempts > 1);
        before = attempts;
    }
    unsigned long long forgotten = 0;
    const char *note = strstr(text, " subjects of little interest");
    assert_non_null(note);
    while (note[-1] >= '0' && note[-1] <= '9')
        note--;
    assert_int_equal(sscanf(note, "%llu", &forgotten), 1);
    assert_true(forgotten + 16384 >= FLOOD + HEAVY);
    free(part);
    free(text);
    free(truth);
    gv_summary_free(s);
}

#define USERS  50u
#define STRAYS 200000u

/* Three failures of each user, at an uneven pace, after nine days of logins with a flood of strays
 * all the while (or, `after`, behind them). The report, which the caller frees. */
static char *users_among_strays(bool after)
{
    struct gv_summary *s = gv_summary_new(false);
    unsigned sent = 0;
    char address[64];

    for (unsigned day = 0; day < 9; day++) {
        for (unsigned user = 0; user < USERS; user++) {
            struct gv_reading r;
            snprintf(address, sizeof address, "80.%u.7.9", user);
            r = reading(address, START_MS + day * DAY_MS + user);
            r.observation.success = true;
            r.observation.attempts = r.observation.kind = 0;
            r.observation.account = 1 + user;
            gv_summary_add(s, &r, false);
        }
        unsigned until = after ? (day == 8) * STRAYS : (day + 1) * (STRAYS / 9);
        for (; sent < until; sent++) {
            snprintf(address, sizeof address, "%u.%u.%u.%u", 90 + sent / 65536, sent / 256 % 256,
                     sent % 256, 1 + sent % 200);
            fails(s, address, START_MS + day * DAY_MS + 1000 + sent);
        }
    }
    for (unsigned user = 0; user < USERS; user++) {
        snprintf(address, sizeof address, "80.%u.7.9", user);
        for (unsigned i = 0; i < 3; i++)
            fails(s, address, START_MS + 9 * DAY_MS + i * i * 7 * 60000);
    }
    char *text = report(s, 100000);
    gv_summary_free(s);
    return text;
}

/* Nobody who logs in is taken for an attacker since his logins were forgotten for some stray's. */
static void logins_outlive_strays(void **state)
{
    for (int after = 0; after < 2; after++) {
        char *text = users_among_strays(after), *part = section(text, "What would have been");
        char line[80];
        for (unsigned user = 0; user < USERS; user++) {
            snprintf(line, sizeof line, "80.%u.7.9", user);
            if (names(part, line))
                fail_msg("%s is said to be signalled, %d", line, after);
        }
        assert_non_null(strstr(part, "0 signals about 0 subjects"));
        snprintf(line, sizeof line, "not signalled: %u from which somebody also logs in", USERS);
        assert_non_null(strstr(part, line));
        assert_null(strstr(part, "logins of"));
        free(part);
        free(text);
    }
}

/* More users than there is room for: their logins are forgotten, too, and it says so; those over a
 * week last. */
static void forgotten_logins_are_told(void **state)
{
    struct gv_summary *s = gv_summary_new(false);
    char address[64];

    for (unsigned i = 0; i < 100; i++) {
        snprintf(address, sizeof address, "80.%u.7.9", i);
        for (unsigned n = 0; n < 2; n++)
            logs_in(s, address, START_MS - (1 - n) * 8ull * DAY_MS);
    }
    for (unsigned i = 0; i < 50000; i++) {
        snprintf(address, sizeof address, "81.%u.%u.9", i / 256, i % 256);
        logs_in(s, address, START_MS + 1000 + i);
    }
    for (unsigned i = 0; i < 100; i++) {
        snprintf(address, sizeof address, "80.%u.7.9", i);
        for (unsigned n = 0; n < 3; n++)
            fails(s, address, START_MS + 100000 + n * n * 7 * 60000);
    }
    char *text = report(s, 100000), *part = section(text, "What would have been");
    unsigned told = 0;
    const char *note = strstr(part, "  logins of ");
    assert_non_null(note);
    assert_int_equal(sscanf(note, "  logins of %u subjects were forgotten", &told), 1);
    assert_in_range(told, 50100 - 16384, 50000);
    assert_non_null(strstr(part, "0 signals about 0 subjects"));
    free(part);
    free(text);
    gv_summary_free(s);
}

/* As often as lines may say that a message was repeated. */
static void attempts_do_not_wrap(void **state)
{
    struct gv_summary *s = gv_summary_new(false);

    for (unsigned i = 0; i < 3; i++) {
        struct gv_reading r = reading("45.1.2.3", START_MS + i * 1000);
        r.observation.attempts = 2000000000;
        gv_summary_add(s, &r, false);
        r.observation.kind = GV_KIND_ABORTED;
        gv_summary_add(s, &r, false);
    }
    fails(s, "45.1.2.4", START_MS);
    char *text = report(s, 100), *part = section(text, "Top subjects");
    assert_non_null(strstr(part, "\n  45.1.2.3                   8589934590 "));
    assert_true(strstr(part, "45.1.2.3") < strstr(part, "45.1.2.4"));
    free(part);
    free(text);
    gv_summary_free(s);
}

/* As long as there is room, nothing is forgotten and every number is exact: half of it taken by
 * attackers, and a quarter by users, whose logins are not forgotten either. */
static void nothing_is_forgotten_while_there_is_room(void **state)
{
    enum { SUBJECTS = 8192, USERS_THERE = 4096 };
    struct gv_summary *s = gv_summary_new(false);
    uint32_t *truth = calloc(SUBJECTS, sizeof *truth);
    char address[64], line[128];

    assert_non_null(truth);
    for (unsigned i = 0; i < USERS_THERE; i++) {
        snprintf(address, sizeof address, "62.%u.%u.9", i / 200, i % 200);
        logs_in(s, address, START_MS + i * 1000);
    }
    for (unsigned i = 0; i < 20 * SUBJECTS; i++) {
        unsigned which = draw(SUBJECTS);
        snprintf(address, sizeof address, "61.%u.%u.9", which / 200, which % 200);
        fails(s, address, START_MS + i * 1000);
        truth[which]++;
    }
    char *text = report(s, 100000), *part = section(text, "Top subjects");
    assert_null(strstr(text, "forgotten"));
    for (unsigned i = 0; i < SUBJECTS; i += 16) {
        snprintf(address, sizeof address, "61.%u.%u.9", i / 200, i % 200);
        snprintf(line, sizeof line, "\n  %-26s %8u ", address, truth[i]);
        if (truth[i] > 0 && !strstr(part, line))
            fail_msg("%s: not %u", address, truth[i]);
    }
    free(part);
    free(text);
    free(truth);
    gv_summary_free(s);
}

/* That somebody logged in from a network, where one failure at an unknown account would else be
 * signalled, is known of each network: none stands for another. */
static void networks_are_not_mixed_up(void **state)
{
    struct gv_summary *s = gv_summary_new(false);
    char address[64];

    for (unsigned i = 0; i < 3000; i++) {
        snprintf(address, sizeof address, "45.%u.%u.1", i / 200, i % 200);
        logs_in(s, address, START_MS + i);
    }
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(address, sizeof address, "45.%u.%u.2", i / 200, i % 200);
        struct gv_reading r = reading(address, START_MS + HOUR_MS + i);
        r.observation.kind = GV_KIND_UNKNOWN_ACCOUNT;
        gv_summary_add(s, &r, false);
    }
    /* And one from where nobody logs in. */
    struct gv_reading r = reading("46.1.1.1", START_MS + 2 * HOUR_MS);
    r.observation.kind = GV_KIND_UNKNOWN_ACCOUNT;
    gv_summary_add(s, &r, false);
    char *text = report(s, 10), *part = section(text, "What would have been signalled");
    if (!strstr(part, "  1 signals about 1 subjects") || !names(part, "46.1.1.1"))
        fail_msg("%s", part);
    assert_null(strstr(text, "networks were forgotten"));
    free(part);
    free(text);
    gv_summary_free(s);
}

/* Of more networks than there is room for the half of the longest ago is forgotten, and it says so.
 */
static void forgotten_networks_are_told(void **state)
{
    struct gv_summary *s = gv_summary_new(false);
    char address[64];

    for (unsigned i = 0; i < 40000; i++) {
        snprintf(address, sizeof address, "45.%u.%u.1", i / 200, i % 200);
        logs_in(s, address, START_MS + 1000ull * i);
    }
    for (unsigned i = 0; i < 2000; i++) { /* of the latest 2000 */
        snprintf(address, sizeof address, "45.%u.%u.2", (39999 - i) / 200, (39999 - i) % 200);
        struct gv_reading r = reading(address, START_MS + DAY_MS + i);
        r.observation.kind = GV_KIND_UNKNOWN_ACCOUNT;
        gv_summary_add(s, &r, false);
    }
    char *text = report(s, 10), *told = strstr(text, "  logins from ");
    assert_non_null(told);
    unsigned long forgotten = strtoul(told + strlen("  logins from "), NULL, 10);
    /* Half of 12288 at the 12289th, and at each 6144th from there on. */
    assert_int_equal(forgotten, 5 * 6144);
    assert_non_null(strstr(text, "  0 signals about 0 subjects"));
    free(text);
    gv_summary_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_attackers),
        cmocka_unit_test(campaigns),
        cmocka_unit_test(signalled_and_why),
        cmocka_unit_test(every_server_is_named),
        cmocka_unit_test(the_least_interesting_are_forgotten),
        cmocka_unit_test(logins_outlive_strays),
        cmocka_unit_test(forgotten_logins_are_told),
        cmocka_unit_test(attempts_do_not_wrap),
        cmocka_unit_test(nothing_is_forgotten_while_there_is_room),
        cmocka_unit_test(networks_are_not_mixed_up),
        cmocka_unit_test(forgotten_networks_are_told),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
