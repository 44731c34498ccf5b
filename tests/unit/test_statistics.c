/* The flow of mail as it is stored: sums by the minute and hour, in the transaction of the log's
 * position; retention; alerts; and what the watch makes of it (SPEC 10.8, 10.9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_store.h"
#include "node/host/persist_schema.h"
#include "node/serve/flow_watch.h"

#define MINUTE (NOW / 60000)

struct read {
    size_t rows;
    uint64_t first, last;
    struct gv_statistics sum, latest;
};

static void take(void *context, uint64_t minute, const struct gv_statistics *row)
{
    struct read *r = context;

    if (r->rows++ == 0)
        r->first = minute;
    assert_true(minute >= r->last);
    r->last = minute;
    r->latest = *row;
    gv_statistics_add(&r->sum, row, 60);
}

static struct read read_all(struct store *s, enum gv_statistics_step step)
{
    struct read r = {0};

    assert_int_equal(gv_persist_read_statistics(s->persist, step, 0, UINT64_MAX, take, &r), GV_OK);
    return r;
}

static void count(struct store *s, unsigned which, int64_t delta, uint64_t ms)
{
    assert_int_equal(gv_persist_count(s->persist, which, delta, ms), GV_OK);
}

static void test_rows_keep_what_they_hold(void **state)
{
    struct gv_statistics row = {.watched = 60, .queue = 3, .queue_max = 9, .queue_age_s = 77}, back;
    uint8_t bytes[GV_STATISTICS_PACKED];

    for (size_t i = 0; i < GV_STATISTICS_COUNT; i++)
        row.counts[i] = (int64_t)(1000 + i) << (i % 40);
    for (size_t i = 0; i < GV_SERIES_COUNT; i++)
        row.peaks[i] = (uint32_t)(5 + i);
    size_t len = gv_statistics_pack(bytes, &row);
    assert_true(len <= 1024); /* the budget of a row */
    assert_int_equal(gv_statistics_unpack(&back, bytes, len), GV_OK);
    assert_memory_equal(&row, &back, sizeof row);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_not_equal(gv_statistics_unpack(&back, bytes, cut), GV_OK);
    /* A row of a version that knew of fewer peaks: each is one byte. */
    bytes[2]--;
    assert_int_equal(gv_statistics_unpack(&back, bytes, len), GV_ERR_MALFORMED);
    assert_int_equal(gv_statistics_unpack(&back, bytes, len - 1), GV_OK);
    /* A number without an end. */
    memset(bytes + 3, 0xff, len - 3);
    assert_int_equal(gv_statistics_unpack(&back, bytes, len), GV_ERR_MALFORMED);
    /* Sums have an end, and a row is never negative. */
    row.counts[0] = INT64_MAX;
    gv_statistics_add(&row, &row, 60);
    assert_true(row.counts[0] > 0);
    row.counts[0] = -5;
    len = gv_statistics_pack(bytes, &row);
    assert_int_equal(gv_statistics_unpack(&back, bytes, len), GV_OK);
    assert_int_equal(back.counts[0], 0);
}

/* As rows were until schema 4: watched 2 bytes, the queue's three numbers 8 each, counts 8,
 * peaks 4. */
static void test_an_older_row_is_read(void **state)
{
    const uint8_t row[3 + 2 + 24 + 16 + 4] = {
        1, 2, 1, 0, 60, [12] = 3, [20] = 9, [28] = 77, [35] = 1, [36] = 2, [44] = 7, [48] = 5};
    struct gv_statistics back;

    (void)state;
    assert_int_equal(gv_statistics_unpack(&back, row, sizeof row), GV_OK);
    assert_int_equal(back.watched, 60);
    assert_int_equal(back.queue, 3);
    assert_int_equal(back.queue_max, 9);
    assert_int_equal(back.queue_age_s, 77);
    assert_int_equal(back.counts[0], 258);
    assert_int_equal(back.counts[1], 7);
    assert_int_equal(back.peaks[0], 5);
    for (size_t cut = 0; cut < sizeof row; cut++)
        assert_int_not_equal(gv_statistics_unpack(&back, row, cut), GV_OK);
}

static void test_counts_go_to_their_minute_and_hour(void **state)
{
    struct store *s = *state;

    store_open(s);
    count(s, GV_MAIL_RECEIVED, 1, NOW);
    count(s, GV_MAIL_RECEIVED, 1, NOW + 1000);
    count(s, GV_MAIL_RECEIVED, 1, NOW - 60000);
    assert_true(gv_persist_dirty(s->persist));
    store_commit(s, NOW);
    assert_false(gv_persist_dirty(s->persist));
    count(s, GV_MAIL_RECEIVED, -1, NOW); /* a filter's round trip */
    count(s, GV_STATISTICS_OUTGOING, 2, NOW);
    store_commit(s, NOW);
    store_commit(s, NOW); /* nothing waits any more */
    struct read minutes = read_all(s, GV_STATISTICS_MINUTE),
                hours = read_all(s, GV_STATISTICS_HOUR);
    assert_int_equal(minutes.rows, 2);
    assert_int_equal(minutes.first, MINUTE - 1);
    assert_int_equal(minutes.latest.counts[GV_MAIL_RECEIVED], 1);
    assert_int_equal(minutes.sum.counts[GV_MAIL_RECEIVED], 2);
    assert_int_equal(hours.sum.counts[GV_MAIL_RECEIVED], 2);
    assert_int_equal(hours.sum.counts[GV_STATISTICS_OUTGOING], 2);
    /* All of it after a restart. */
    store_close(s);
    store_open(s);
    assert_int_equal(read_all(s, GV_STATISTICS_HOUR).sum.counts[GV_MAIL_RECEIVED], 2);
    /* Old lines (an old log that is read from its start) are of their hour alone; what comes from
     * far ahead is of nobody's. */
    count(s, GV_MAIL_BOUNCED, 7, NOW - 3 * DAY);
    count(s, GV_MAIL_BOUNCED, 9, NOW + 2 * DAY);
    store_commit(s, NOW);
    assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).sum.counts[GV_MAIL_BOUNCED], 0);
    assert_int_equal(read_all(s, GV_STATISTICS_HOUR).sum.counts[GV_MAIL_BOUNCED], 7);
}

/* Where the log was left and what was counted up to there are stored together, or neither is. */
static void test_counts_and_position_go_together(void **state)
{
    struct store *s = *state;
    struct gv_text error;

    store_open(s);
    for (int first = 0; first < 2; first++) {
        const char *table = first ? "statistic" : "kept";
        char sql[256];
        uint64_t place;

        count(s, GV_MAIL_RECEIVED, 1, NOW);
        assert_int_equal(gv_persist_keep(s->persist, "log x", &(uint64_t){7}, 8), GV_OK);
        snprintf(sql, sizeof sql,
                 "CREATE TEMP TRIGGER no BEFORE INSERT ON main.%s BEGIN SELECT RAISE(FAIL, 'no'); "
                 "END",
                 table);
        assert_int_equal(sqlite3_exec(s->persist->db, sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_not_equal(gv_persist_commit(s->persist, &s->effects, NOW, &error), GV_OK);
        assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).rows, 0);
        assert_int_equal(gv_persist_kept(s->persist, "log x", &place, 8), GV_ERR_NOT_FOUND);
        sqlite3_exec(s->persist->db, "DROP TRIGGER no", NULL, NULL, NULL);
    }
    store_commit(s, NOW);
    assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).sum.counts[GV_MAIL_RECEIVED], 2);
}

/* A transaction that fails leaves the counts waiting, once. */
static void test_a_commit_that_fails_counts_nothing_and_loses_nothing(void **state)
{
    struct store *s = *state;
    struct gv_text error;

    store_open(s);
    count(s, GV_MAIL_RECEIVED, 5, NOW);
    assert_int_equal(sqlite3_exec(s->persist->db,
                                  "CREATE TEMP TRIGGER no BEFORE INSERT ON main.statistic BEGIN "
                                  "SELECT RAISE(FAIL, 'no'); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_not_equal(gv_persist_commit(s->persist, &s->effects, NOW, &error), GV_OK);
    assert_int_not_equal(gv_persist_commit(s->persist, &s->effects, NOW, &error), GV_OK);
    assert_true(gv_persist_dirty(s->persist));
    count(s, GV_MAIL_RECEIVED, 1, NOW);
    sqlite3_exec(s->persist->db, "DROP TRIGGER no", NULL, NULL, NULL);
    store_commit(s, NOW);
    assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).sum.counts[GV_MAIL_RECEIVED], 6);
    /* For days: memory has an end, the latest minutes stay. */
    for (uint64_t i = 0; i < 6000; i++)
        count(s, GV_MAIL_HELD, 1, NOW + i * 60000);
    assert_true(s->persist->minute_count <= 4096);
    store_commit(s, NOW + UINT64_C(6000) * 60000);
    assert_int_equal(read_all(s, GV_STATISTICS_HOUR).sum.counts[GV_MAIL_HELD], 4096);
}

/* A foreign row behind the last, whose key says no minute, does not make that one begin anew. */
static void test_a_row_without_a_minute_hides_none(void **state)
{
    struct store *s = *state;

    store_open(s);
    count(s, GV_MAIL_RECEIVED, 5, NOW);
    store_commit(s, NOW);
    for (int step = 0; step < 2; step++)
        assert_int_equal(
            sqlite3_exec(s->persist->db,
                         step ? "INSERT INTO statistic VALUES (x'68ffff', x'00', x'00')"
                              : "INSERT INTO statistic VALUES (x'6dffff', x'00', x'00')",
                         NULL, NULL, NULL),
            SQLITE_OK);
    gv_persist_forget_latest(s->persist);
    count(s, GV_MAIL_RECEIVED, 1, NOW);
    store_commit(s, NOW);
    assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).sum.counts[GV_MAIL_RECEIVED], 6);
    assert_int_equal(read_all(s, GV_STATISTICS_HOUR).sum.counts[GV_MAIL_RECEIVED], 6);
}

/* The row that was written last is known without being read; not what a transaction wrote that was
 * undone, nor what was deleted since. */
static void test_the_latest_row_is_the_stored_one(void **state)
{
    struct store *s = *state;
    struct gv_text error;

    store_open(s);
    count(s, GV_MAIL_RECEIVED, 5, NOW);
    store_commit(s, NOW);
    count(s, GV_MAIL_RECEIVED, 1, NOW);
    assert_int_equal(sqlite3_exec(s->persist->db,
                                  "CREATE TEMP TRIGGER no BEFORE INSERT ON main.statistic"
                                  " WHEN substr(NEW.key, 1, 1) = x'68' BEGIN "
                                  "SELECT RAISE(FAIL, 'no'); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_not_equal(gv_persist_commit(s->persist, &s->effects, NOW, &error), GV_OK);
    sqlite3_exec(s->persist->db, "DROP TRIGGER no", NULL, NULL, NULL);
    store_commit(s, NOW);
    assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).sum.counts[GV_MAIL_RECEIVED], 6);
    assert_int_equal(read_all(s, GV_STATISTICS_HOUR).sum.counts[GV_MAIL_RECEIVED], 6);
    /* Out of their order, and in a row that is there and later than the last that was written. */
    count(s, GV_MAIL_RECEIVED, 1, NOW - 60000);
    store_commit(s, NOW);
    count(s, GV_MAIL_RECEIVED, 1, NOW);
    store_commit(s, NOW);
    assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).rows, 2);
    assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).latest.counts[GV_MAIL_RECEIVED], 7);
    /* Deleted; then the clock is set back. */
    assert_int_equal(gv_persist_expire_statistics(s->persist, NOW + 100 * DAY, NOW + 99 * DAY),
                     GV_OK);
    assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).rows, 0);
    count(s, GV_MAIL_RECEIVED, 1, NOW);
    store_commit(s, NOW);
    assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).sum.counts[GV_MAIL_RECEIVED], 1);
    assert_int_equal(read_all(s, GV_STATISTICS_HOUR).sum.counts[GV_MAIL_RECEIVED], 1);
    /* A row of before a restart goes on. */
    store_close(s);
    store_open(s);
    count(s, GV_MAIL_RECEIVED, 1, NOW);
    store_commit(s, NOW);
    assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).sum.counts[GV_MAIL_RECEIVED], 2);
}

static void test_rows_that_were_changed_are_not_believed(void **state)
{
    struct store *s = *state;

    store_open(s);
    count(s, GV_MAIL_RECEIVED, 5, NOW);
    count(s, GV_MAIL_RECEIVED, 3, NOW + 60000); /* the same hour */
    store_commit(s, NOW);
    sqlite3_exec(s->persist->db,
                 "UPDATE statistic SET value = (SELECT value FROM statistic ORDER BY key LIMIT 1)",
                 NULL, NULL, NULL);
    assert_int_equal(read_all(s, GV_STATISTICS_MINUTE).rows, 0);
}

static void take_alert(void *context, const struct gv_alert *alert)
{
    struct gv_alert *out = context;

    if (out[0].number == 0)
        out[0] = *alert;
    else
        out[1] = *alert;
}

static void test_retention(void **state)
{
    struct store *s = *state;

    store_open(s);
    for (uint64_t day = 0; day < 95; day++) { /* each written in its time */
        count(s, GV_MAIL_RECEIVED, 1, NOW - day * DAY);
        store_commit(s, NOW - day * DAY);
    }
    assert_true(read_all(s, GV_STATISTICS_MINUTE).rows >= 94);
    struct gv_alert old = {.series = GV_SERIES_QUEUE, .began_ms = NOW - 91 * DAY, .ended_ms = 1},
                    fresh = {.series = GV_SERIES_QUEUE, .began_ms = NOW - 89 * DAY, .ended_ms = 1};
    assert_int_equal(gv_persist_alert(s->persist, &old), GV_OK);
    assert_int_equal(gv_persist_alert(s->persist, &fresh), GV_OK);
    assert_int_equal(gv_persist_expire_statistics(s->persist, NOW, NOW - 90 * DAY), GV_OK);
    struct read minutes = read_all(s, GV_STATISTICS_MINUTE),
                hours = read_all(s, GV_STATISTICS_HOUR);
    assert_true(minutes.first >= MINUTE - GV_STATISTICS_MINUTES_KEPT);
    assert_true(minutes.rows <= 3 && minutes.rows >= 2);
    assert_true(hours.first >= (NOW - 90 * DAY) / 60000);
    assert_int_equal(hours.rows, 91); /* the last is 90 days old, to the hour */
    struct gv_alert left[2] = {0};
    assert_int_equal(gv_persist_alerts(s->persist, 0, 9, take_alert, left), GV_OK);
    assert_int_equal(left[0].number, 2);
    assert_int_equal(left[1].number, 0);
}

static void test_alerts_are_numbered_and_few(void **state)
{
    struct store *s = *state;
    struct gv_alert alert, found[2] = {0};

    store_open(s);
    for (uint64_t i = 1; i <= GV_ALERTS_MAX + 20; i++) {
        alert = (struct gv_alert){.series = GV_SERIES_BOUNCED, .began_ms = NOW + i, .value = 9};
        assert_int_equal(gv_persist_alert(s->persist, &alert), GV_OK);
        assert_int_equal(alert.number, i);
    }
    alert.ended_ms = NOW + DAY;
    assert_int_equal(gv_persist_alert(s->persist, &alert), GV_OK); /* the same again */
    assert_int_equal(gv_persist_alerts(s->persist, 0, 2, take_alert, found), GV_OK);
    assert_int_equal(found[0].number, GV_ALERTS_MAX + 20);
    assert_int_equal(found[0].ended_ms, NOW + DAY);
    assert_int_equal(found[1].number, GV_ALERTS_MAX + 19);
    assert_int_equal(found[1].ended_ms, 0);
    memset(found, 0, sizeof found);
    assert_int_equal(gv_persist_alerts(s->persist, 0, 5000, take_alert, found), GV_OK);
    assert_int_equal(found[1].number, 21); /* the last that was handed out: the oldest left */
}

/* ---- the watch ------------------------------------------------------------------------------ */

static uint64_t queue_now;
static unsigned begun, ended;

static bool queue(void *context, uint64_t *messages, uint64_t *oldest_ms)
{
    *messages = queue_now;
    *oldest_ms = queue_now ? *(uint64_t *)context - 120000 : 0;
    return true;
}

static void alerted(void *context, const struct gv_alert *alert)
{
    assert_true(alert->number > 0);
    begun += alert->ended_ms == 0;
    ended += alert->ended_ms != 0;
}

static struct gv_flow_watch *watch_of(struct store *s, uv_loop_t *loop, uint64_t *now)
{
    struct gv_flow_watch *watch;

    assert_int_equal(
        gv_flow_watch_start(&watch, &(struct gv_flow_watch_options){.loop = loop,
                                                                    .persist = s->persist,
                                                                    .context = now,
                                                                    .queue = queue,
                                                                    .alerted = alerted}),
        GV_OK);
    return watch;
}

static void drop(struct gv_flow_watch *watch, uv_loop_t *loop)
{
    gv_flow_watch_stop(watch);
    uv_run(loop, UV_RUN_DEFAULT);
}

/* Five weeks of steady mail, then fifty times as much: noticed once, also over a restart. */
static void test_the_watch_notes_and_notices(void **state)
{
    struct store *s = *state;
    uv_loop_t loop;
    uint64_t now = NOW - NOW % 3600000 + 65000, minutes = 35 * 1440;
    struct gv_flow_watch *watch;

    begun = ended = 0;
    queue_now = 4;
    uv_loop_init(&loop);
    store_open(s);
    sqlite3_exec(s->persist->db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    watch = watch_of(s, &loop, &now);
    for (uint64_t i = 0; i < minutes + 300; i++, now += 60000) {
        bool surge = i >= minutes && i < minutes + 60;
        count(s, GV_STATISTICS_OUTGOING, surge ? 100 : 2, now - 65000);
        store_commit(s, now);
        gv_flow_watch_minute(watch, now);
        gv_flow_watch_minute(watch, now + 100); /* the same minute */
        store_commit(s, now);
        if (i == minutes + 30) {
            assert_int_equal(begun, 1);
            drop(watch, &loop);
            watch = watch_of(s, &loop, &now);
        }
    }
    assert_int_equal(begun, 1);
    assert_int_equal(ended, 1);
    assert_int_equal(gv_flow_watch_state(watch, now), GV_ANOMALY_KNOWING);
    struct gv_alert found[2] = {0};
    assert_int_equal(gv_persist_alerts(s->persist, 0, 2, take_alert, found), GV_OK);
    assert_int_equal(found[0].number, 1);
    assert_int_equal(found[1].number, 0);
    assert_int_equal(found[0].series, GV_SERIES_OUTGOING);
    assert_int_equal(found[0].value, 500);
    assert_in_range(found[0].began_ms, (uint64_t)now - 300 * 60000, (uint64_t)now - 295 * 60000);
    struct read hours = read_all(s, GV_STATISTICS_HOUR);
    assert_int_equal(hours.sum.queue_max, 4);
    assert_int_equal(hours.sum.queue_age_s, 120);
    drop(watch, &loop);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* The clock is a year ahead for a minute, and then right again: what comes after is learnt. */
static void test_a_clock_that_was_ahead(void **state)
{
    struct store *s = *state;
    uv_loop_t loop;
    uint64_t now = NOW - NOW % 3600000 + 65000, minutes = 5 * 7 * 1440;
    struct gv_statistics looked = {.watched = 1};
    struct gv_flow_watch *watch;

    queue_now = 0;
    uv_loop_init(&loop);
    store_open(s);
    watch = watch_of(s, &loop, &now);
    gv_flow_watch_minute(watch, now + UINT64_C(365) * 86400000);
    for (uint64_t i = 0; i < minutes; i++, now += 60000) {
        assert_int_equal(gv_persist_statistics(s->persist, now / 60000 - 1, &looked), GV_OK);
        if (i % 60 == 59)
            store_commit(s, now);
    }
    store_commit(s, now);
    gv_flow_watch_minute(watch, now);
    assert_int_equal(gv_flow_watch_state(watch, now), GV_ANOMALY_KNOWING);
    drop(watch, &loop);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_keep_what_they_hold),
        cmocka_unit_test(test_an_older_row_is_read),
        STORE_TEST(test_counts_go_to_their_minute_and_hour),
        STORE_TEST(test_counts_and_position_go_together),
        STORE_TEST(test_a_commit_that_fails_counts_nothing_and_loses_nothing),
        STORE_TEST(test_a_row_without_a_minute_hides_none),
        STORE_TEST(test_the_latest_row_is_the_stored_one),
        STORE_TEST(test_rows_that_were_changed_are_not_believed),
        STORE_TEST(test_retention),
        STORE_TEST(test_alerts_are_numbered_and_few),
        STORE_TEST(test_the_watch_notes_and_notices),
        STORE_TEST(test_a_clock_that_was_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
