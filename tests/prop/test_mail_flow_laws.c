/* Laws of the mail-flow counters (SPEC 10.7), over drawn histories of messages:
 * what is counted does not depend on how the lines of different messages interleave, nor on where a
 * log is cut in two (rotation); a filter's round trips do not change what was received; and no
 * message is lost: what was taken up and not removed is in the queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../unit/helper_mail_flow.h"

#define MESSAGES 60
#define LINES    24
#define ROUNDS   60

static uint64_t seed;

static uint32_t draw(uint32_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % bound;
}

/* The lines of one message and of what comes of it, in their order. */
struct history {
    char lines[LINES][320];
    unsigned count;
    unsigned counted; /* of the lines, how many are in a log already */
};

static void say(struct history *h, const char *format, ...)
{
    va_list arguments;

    assert_true(h->count < LINES);
    va_start(arguments, format);
    vsnprintf(h->lines[h->count++], sizeof h->lines[0], format, arguments);
    va_end(arguments);
}

struct expected {
    uint64_t received, delivered, deferred, deferrals, bounced, bytes_received, reinjected,
        filtered, queue;
};

#define DELIVERY                                                                                   \
    "%s[7]: %08X: to=<a@b>, relay=%s, delay=1, delays=1/0/0/0, dsn=2.0.0, status=%s (x%s)"

static void drawn_history(struct history *h, struct expected *e, unsigned id, bool filters)
{
    unsigned size = 1 + draw(100000), recipients = 1 + draw(3), q = 0xA0000000 + 2 * id;
    char queued[32];

    memset(h, 0, sizeof *h);
    say(h, "smtpd[1]: %08X: client=c[198.51.100.7]", q);
    say(h, "qmgr[2]: %08X: from=<s@t>, size=%u, nrcpt=1 (queue active)", q, size);
    e->received++;
    e->bytes_received += size;
    if (filters && draw(2)) {
        unsigned back = q + 1;
        say(h, "smtpd[3]: %08X: client=localhost[127.0.0.1]", back);
        if (draw(2))
            say(h, "qmgr[2]: %08X: from=<s@t>, size=%u, nrcpt=1 (queue active)", back, size + 9);
        snprintf(queued, sizeof queued, ": queued as %08X", back);
        for (unsigned i = 0; i < recipients; i++, e->filtered++)
            say(h, DELIVERY, "smtp", q, "f[127.0.0.1]:10024", "sent", queued);
        say(h, "qmgr[2]: %08X: removed", q);
        say(h, "qmgr[2]: %08X: from=<s@t>, size=%u, nrcpt=1 (queue active)", back, size + 9);
        e->reinjected++;
        q = back;
    }
    for (unsigned n = draw(3), i = 0; i < n; i++, e->deferrals++) {
        say(h, DELIVERY, "smtp", q, "none", "deferred", "");
        e->deferred += i == 0;
    }
    for (unsigned i = 0; i < recipients; i++) {
        bool good = draw(4) > 0;
        say(h, DELIVERY, "smtp", q, "mx[203.0.113.9]:25", good ? "sent" : "bounced", "");
        e->delivered += good;
        e->bounced += !good;
    }
    if (draw(8) > 0)
        say(h, "qmgr[2]: %08X: removed", q);
    else
        e->queue++;
}

static void feed(struct flowing *f, const char *text)
{
    char line[400];

    snprintf(line, sizeof line, "2026-11-22T10:00:00Z vm postfix/%s", text);
    flowing_feed(f, line, strlen(line));
}

/* One order of the lines that keeps each message's own. */
static void feed_interleaved(struct flowing *f, struct history *all, unsigned width)
{
    unsigned first = 0;

    for (unsigned i = 0; i < MESSAGES; i++)
        all[i].counted = 0;
    while (first < MESSAGES) {
        unsigned i = first + draw(width);
        if (i < MESSAGES && all[i].counted < all[i].count)
            feed(f, all[i].lines[all[i].counted++]);
        while (first < MESSAGES && all[first].counted == all[first].count)
            first++;
    }
}

static void check(const struct flowing *f, const struct expected *e)
{
    struct gv_mail_queue queue;
    static const struct {
        enum gv_mail_count which;
        size_t offset;
    } fields[] = {
        {GV_MAIL_RECEIVED, offsetof(struct expected, received)},
        {GV_MAIL_DELIVERED, offsetof(struct expected, delivered)},
        {GV_MAIL_DEFERRED, offsetof(struct expected, deferred)},
        {GV_MAIL_DEFERRALS, offsetof(struct expected, deferrals)},
        {GV_MAIL_BOUNCED, offsetof(struct expected, bounced)},
        {GV_MAIL_BYTES_RECEIVED, offsetof(struct expected, bytes_received)},
        {GV_MAIL_REINJECTED, offsetof(struct expected, reinjected)},
        {GV_MAIL_FILTERED, offsetof(struct expected, filtered)},
    };

    flowing_text(f); /* the deltas add up */
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        uint64_t wanted;
        memcpy(&wanted, (const char *)e + fields[i].offset, sizeof wanted);
        if ((uint64_t)f->told[fields[i].which] != wanted)
            fail_msg("%s: %llu, wanted %llu", gv_mail_count_name(fields[i].which),
                     (unsigned long long)f->told[fields[i].which], (unsigned long long)wanted);
    }
    gv_mail_flow_queue(f->flow, &queue);
    assert_int_equal(queue.messages, e->queue);
    assert_int_equal(queue.forgotten, 0);
}

static void order_does_not_matter(void **state)
{
    static struct history all[MESSAGES];

    for (unsigned round = 1; round <= ROUNDS; round++) {
        struct expected e = {0};
        struct flowing f;

        seed = 0x9e3779b97f4a7c15u * round;
        for (unsigned i = 0; i < MESSAGES; i++)
            drawn_history(&all[i], &e, i, true);
        static const unsigned widths[] = {1, 3, 20, MESSAGES};
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
            flowing_open(&f);
            feed_interleaved(&f, all, widths[w]);
            check(&f, &e);
            flowing_close(&f);
        }
    }
}

/* Without its filter the same mail gives the same numbers received. */
static void a_filter_changes_nothing(void **state)
{
    static struct history all[MESSAGES];
    struct expected with = {0}, without = {0};
    struct flowing f;

    seed = 7;
    for (unsigned i = 0; i < MESSAGES; i++)
        drawn_history(&all[i], &with, i, true);
    flowing_open(&f);
    feed_interleaved(&f, all, 5);
    check(&f, &with);
    flowing_close(&f);
    for (unsigned i = 0; i < MESSAGES; i++)
        drawn_history(&all[i], &without, i, false);
    assert_int_equal(with.received, without.received);
    flowing_open(&f);
    feed_interleaved(&f, all, 5);
    check(&f, &without);
    flowing_close(&f);
}

/* A log that is cut and read on by another reader of the same flow, as after a rotation. */
static void where_a_log_is_cut_does_not_matter(void **state)
{
    static struct history all[MESSAGES];
    struct gv_reader_config config = {.key = "0123456789abcde"};
    struct expected e = {0};

    seed = 99;
    for (unsigned i = 0; i < MESSAGES; i++)
        drawn_history(&all[i], &e, i, true);
    for (unsigned cut = 0; cut < 40; cut++) {
        struct flowing f;
        unsigned fed = 0, at = cut * 15;

        flowing_open(&f);
        config.flow = f.flow;
        for (unsigned i = 0; i < MESSAGES; i++)
            for (unsigned n = 0; n < all[i].count; n++) {
                if (fed++ == at) {
                    gv_reader_free(f.reader);
                    f.reader = gv_reader_new(&config);
                    assert_non_null(f.reader);
                }
                feed(&f, all[i].lines[n]);
            }
        check(&f, &e);
        flowing_close(&f);
    }
}

/* Between any two lines: what was begun before is counted as without a restart (SPEC 10.7). */
static void a_restart_does_not_matter(void **state)
{
    static struct history all[MESSAGES];

    for (unsigned round = 1; round <= 4; round++) {
        struct expected e = {0};
        struct flowing f;
        unsigned first = 0, restarts = 0;

        seed = 0x9e3779b97f4a7c15u * (100 + round);
        for (unsigned i = 0; i < MESSAGES; i++)
            drawn_history(&all[i], &e, i, true);
        flowing_open(&f);
        while (first < MESSAGES) {
            unsigned i = first + draw(20);
            if (i < MESSAGES && all[i].counted < all[i].count) {
                feed(&f, all[i].lines[all[i].counted++]);
                if (round % 2 == 0 && draw(4)) { /* and after several commits */
                    flowing_save(&f);
                    continue;
                }
                flowing_restart(&f);
                restarts++;
            }
            while (first < MESSAGES && all[first].counted == all[first].count)
                first++;
        }
        check(&f, &e);
        flowing_close(&f);
        assert_true(restarts > MESSAGES);
    }
}

/* What came and went between two commits costs the store nothing (SPEC 10.8). */
static void what_is_gone_is_not_stored(void **state)
{
    struct flowing f;
    char line[200];

    flowing_open(&f);
    feed(&f, "smtpd[1]: AFFFFFFF: client=c[198.51.100.7]");
    assert_true(flowing_save(&f) > 0);
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 100; i++) {
            unsigned q = 0xA0000000 + 100 * round + i;
            snprintf(line, sizeof line, "smtpd[1]: %08X: client=c[198.51.100.7]", q);
            feed(&f, line);
            snprintf(line, sizeof line, "qmgr[2]: %08X: from=<s@t>, size=7, nrcpt=1 (queue active)",
                     q);
            feed(&f, line);
            snprintf(line, sizeof line, DELIVERY, "smtp", q, "mx[203.0.113.9]:25", "sent", "");
            feed(&f, line);
            snprintf(line, sizeof line, "qmgr[2]: %08X: removed", q);
            feed(&f, line);
        }
        size_t rows = flowing_save(&f);
        assert_true(round == 0 || rows == 0);
    }
    /* The one that stayed is there after a restart, and no other. */
    flowing_restart(&f);
    feed(&f, "qmgr[2]: AFFFFFFF: from=<s@t>, size=5, nrcpt=1 (queue active)");
    assert_string_equal(flowing_text(&f), "received=1001 delivered=1000 bytes_received=7005 "
                                          "bytes_delivered=7000 queue=1");
    flowing_close(&f);
}

/* No byte but zero from `at` on. */
static bool is_empty(const struct gv_memory_area *area, size_t at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((const uint8_t *)area->at)[at + i] != 0)
            return false;
    return true;
}

/* A store of before 0.1 has, where messages are free, what was there last and a chain of them: it
 * is taken up, and nothing of what is gone stays, in memory or in the store (SPEC 10.7). */
static void what_is_free_is_emptied(void **state)
{
    struct gv_memory_area areas[GV_MAIL_FLOW_AREAS];
    struct flowing f;

    flowing_open(&f);
    feed(&f, "smtpd[1]: AFFFFFF0: client=c[198.51.100.7]");
    feed(&f, "smtpd[1]: AFFFFFF1: client=c[198.51.100.7]");
    feed(&f, "qmgr[2]: AFFFFFF1: from=<s@t>, size=5, nrcpt=1 (queue active)");
    feed(&f, "qmgr[2]: AFFFFFF0: removed");
    gv_mail_flow_memory(f.flow, areas);
    size_t each = areas[1].len / GV_MAIL_MESSAGES;
    memset(areas[1].at, 0x5a, each);
    ((uint16_t *)areas[0].at)[4] = 0; /* the first free one, behind `forgotten` */
    for (unsigned restart = 0; restart < 2; restart++) {
        flowing_restart(&f);
        gv_mail_flow_memory(f.flow, areas);
        assert_true(is_empty(&areas[1], 0, each));
        assert_false(is_empty(&areas[1], each, each));
        assert_true(((uint16_t *)areas[0].at)[4] == 0xffff);
    }
    assert_string_equal(flowing_text(&f), "received=2 bytes_received=5 queue=1");
    feed(&f, "qmgr[2]: AFFFFFF1: removed");
    assert_string_equal(flowing_text(&f), "received=2 bytes_received=5");
    assert_true(is_empty(&areas[1], 0, areas[1].len));

    /* One that cannot be taken up leaves nothing either. */
    feed(&f, "smtpd[1]: AFFFFFF2: client=c[198.51.100.7]");
    feed(&f, "smtpd[1]: AFFFFFF3: client=c[198.51.100.7]");
    memset(areas[0].at, 0, areas[0].len);
    for (unsigned restart = 0; restart < 2; restart++) {
        flowing_restart(&f);
        gv_mail_flow_memory(f.flow, areas);
        assert_true(is_empty(&areas[1], 0, areas[1].len));
    }
    flowing_close(&f);
}

/* What was stored is this program's own, but it is checked all the same. */
static void memory_that_is_damaged_is_left(void **state)
{
    static struct history all[MESSAGES];
    struct gv_memory_area areas[GV_MAIL_FLOW_AREAS];
    struct expected ignored = {0};
    unsigned empty = 0;

    seed = 4711;
    for (unsigned i = 0; i < MESSAGES; i++)
        drawn_history(&all[i], &ignored, i, true);
    for (unsigned round = 0; round < 300; round++) {
        struct gv_mail_queue queue;
        struct flowing f;

        flowing_open(&f);
        for (unsigned i = 0; i < MESSAGES; i++)
            for (unsigned n = 0; n < all[i].count - draw(2); n++)
                feed(&f, all[i].lines[n]);
        gv_mail_flow_memory(f.flow, areas);
        for (unsigned n = 1 + draw(3); n > 0; n--) { /* within the table, or what is used */
            const struct gv_memory_area *area = &areas[draw(2)];
            size_t len = area == areas ? area->len : 60 * 40;
            ((uint8_t *)area->at)[draw((uint32_t)len)] ^= (uint8_t)(1u << draw(8));
        }
        gv_mail_flow_recall(f.flow, 0);
        gv_mail_flow_queue(f.flow, &queue);
        empty += queue.messages == 0;
        for (unsigned i = 0; i < MESSAGES; i++)
            feed(&f, all[i].lines[draw(all[i].count)]);
        flowing_close(&f);
    }
    assert_true(empty > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(a_filter_changes_nothing),
        cmocka_unit_test(where_a_log_is_cut_does_not_matter),
        cmocka_unit_test(a_restart_does_not_matter),
        cmocka_unit_test(what_is_gone_is_not_stored),
        cmocka_unit_test(what_is_free_is_emptied),
        cmocka_unit_test(memory_that_is_damaged_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
