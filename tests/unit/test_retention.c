/* What is old is deleted, and nothing that only a wrong clock makes old (SPEC 15). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "crypto/error.h"
#include "node/host/driver_internal.h"
#include "node/host/retention.h"
#include "proto/trust/history_row.h"
#include "helper_node.h"

#define HOUR_MS 3600000ULL
#define DAY_MS  86400000ULL

static struct node node;

static int setup(void **state)
{
    memset(&node, 0, sizeof node);
    node_make(&node);
    return 0;
}

static int teardown(void **state)
{
    node_remove(&node);
    return 0;
}

/* Totals of 100 days ago, a login of 31 days ago; and a clock that was last seen so long ago, or
 * ahead: what does a start leave? */
static void write_old(int64_t seen_ago_ms)
{
    const uint64_t now = gv_unix_ms(), then = now / 1000 - 31 * 86400;
    struct gv_history_row row = {.subject = {GV_FAMILY_IPV4, {91, 203, 1, 77}},
                                 .first_success = (uint32_t)then,
                                 .last_success = (uint32_t)then,
                                 .login_account = {1},
                                 .login_time = {(uint32_t)then}};
    struct gv_statistics change = {.counts = {[GV_MAIL_RECEIVED] = 1}};
    struct gv_persist *persist;
    struct gv_effects effects;
    struct gv_text error;
    struct gv_buf value;
    uint8_t seen[8];
    char path[128];

    snprintf(path, sizeof path, "%s/store.db", node.folder);
    assert_int_equal(gv_persist_open(&persist, path, node.identity.store_key, &error), GV_OK);
    gv_effects_init(&effects);
    gv_buf_init(&value);
    gv_row_pack(&row, NULL, &value);
    gv_effect_persist(&effects, GV_ROW_HISTORY, &row.subject, sizeof row.subject, value.data,
                      value.len);
    assert_int_equal(gv_persist_statistics(persist, (now - 100 * DAY_MS) / 60000, &change), GV_OK);
    for (size_t i = 0; i < sizeof seen; i++)
        seen[i] = (uint8_t)((now - (uint64_t)seen_ago_ms) >> 8 * (7 - i));
    if (seen_ago_ms != 0)
        assert_int_equal(gv_persist_put(persist, "clock", seen, sizeof seen), GV_OK);
    assert_int_equal(gv_persist_commit(persist, &effects, now, &error), GV_OK);
    gv_persist_close(persist);
    gv_effects_free(&effects);
    gv_buf_free(&value);
}

static int rows(const char *what)
{
    char path[128], sql[128];
    sqlite3_stmt *row;
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/store.db", node.folder);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", what);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    int count = sqlite3_column_int(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return count;
}

static void start_and_stop(void)
{
    if (node_start(&node) != GV_OK)
        fail_msg("%s", node.error.text);
    assert_int_equal(node_get(&node, "status", NULL), 200);
    node_stop(&node);
}

static void test_a_start_with_another_clock(void **state)
{
    static const struct {
        int64_t seen_ago_ms; /* 0: it was never seen */
        int kept;
    } cases[] = {
        {31 * (int64_t)DAY_MS, 1},  {-31 * (int64_t)DAY_MS, 1},  {25 * (int64_t)HOUR_MS, 1},
        {23 * (int64_t)HOUR_MS, 0}, {-23 * (int64_t)HOUR_MS, 0}, {0, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_old(cases[i].seen_ago_ms);
        start_and_stop();
        if (rows("history") != cases[i].kept || rows("statistic") != cases[i].kept)
            fail_msg("case %zu: %d rows of history, %d of statistics", i, rows("history"),
                     rows("statistic"));
        start_and_stop(); /* the same at the next one: what was seen is as it was */
        assert_int_equal(rows("history"), cases[i].kept);
        char path[128];
        snprintf(path, sizeof path, "%s/store.db", node.folder);
        assert_int_equal(remove(path), 0);
    }
}

static void test_when_a_clock_is_believed(void **state)
{
    const uint64_t now = 1795320000000;
    struct gv_clock_belief belief = {0};

    assert_true(gv_clock_believed(&belief, now, 5)); /* a new store */
    belief.seen_ms = now;
    assert_true(gv_clock_believed(&belief, now + DAY_MS, 5));
    assert_true(gv_clock_believed(&belief, now - DAY_MS, 5));
    /* Half a day without a break, and it is so. */
    assert_false(gv_clock_believed(&belief, now + 31 * DAY_MS, 1000));
    assert_false(gv_clock_believed(&belief, now + 31 * DAY_MS, 1000 + 12 * HOUR_MS - 1));
    assert_true(gv_clock_believed(&belief, now + 31 * DAY_MS, 1000 + 12 * HOUR_MS));
    /* It is set: at once. Once more wrong: anew, from then on. */
    assert_true(gv_clock_believed(&belief, now + HOUR_MS, 1000 + 13 * HOUR_MS));
    assert_false(gv_clock_believed(&belief, 0, 1000 + 14 * HOUR_MS));
    assert_false(gv_clock_believed(&belief, 0, 1000 + 25 * HOUR_MS));
    assert_true(gv_clock_believed(&belief, 0, 1000 + 26 * HOUR_MS));
}

static void fail_for_a_day(void *context)
{
    const uint64_t now = gv_unix_ms();
    struct gv_driver *driver = node.driver;

    (void)context;
    driver->status.store_failing = true;
    driver->next_expire = 0;
    driver->clock = (struct gv_clock_belief){.seen_ms = now - 23 * HOUR_MS};
    gv_driver_expire(driver);
    assert_in_range(driver->clock.seen_ms, now, now + HOUR_MS);
    assert_false(driver->clock.doubted);
    driver->clock.seen_ms = now - 25 * HOUR_MS;
    gv_driver_expire(driver);
    assert_int_equal(driver->clock.seen_ms, now - 25 * HOUR_MS);
    assert_true(driver->clock.doubted);
    driver->clock = (struct gv_clock_belief){.seen_ms = now};
    driver->status.store_failing = false;
}

/* Time that passes while nothing can be stored is no leap of the clock. */
static void test_a_store_that_fails_for_a_day(void **state)
{
    if (node_start(&node) != GV_OK)
        fail_msg("%s", node.error.text);
    loop_thread_call(&node.thread, fail_for_a_day, NULL);
    node_stop(&node);
}

static void empty_often(void *context)
{
    struct gv_driver *driver = node.driver;
    sqlite3 *reader = context;
    uint64_t longest = 0;

    driver->next_expire = UINT64_MAX;
    assert_int_equal(gv_persist_put(driver->persist, "another", "x", 1), GV_OK);
    assert_int_equal(gv_persist_empty_log(driver->persist, NULL), GV_ERR_BUSY);
    for (int i = 0; i < 8; i++) {
        driver->next_log = 0;
        gv_driver_expire(driver);
        assert_in_range(driver->log_again_ms, i < 1 ? 2000 : longest, 60000);
        assert_true(i < 1 || longest == 60000 || driver->log_again_ms > longest);
        assert_in_range(driver->next_log, driver->log_again_ms, UINT64_MAX);
        longest = driver->log_again_ms;
    }
    assert_int_equal(longest, 60000);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    gv_driver_expire(driver); /* not before its time */
    assert_true(gv_persist_log_left(driver->persist));
    driver->next_log = 0;
    gv_driver_expire(driver);
    assert_false(gv_persist_log_left(driver->persist));
    assert_int_equal(driver->log_again_ms, 0);
}

/* The loop waits for the disk while it empties the log: seldom, where a reader stays. */
static void test_a_reader_that_stays(void **state)
{
    char path[128];
    sqlite3 *reader;

    if (node_start(&node) != GV_OK)
        fail_msg("%s", node.error.text);
    assert_int_equal(node_get(&node, "status", NULL), 200);
    snprintf(path, sizeof path, "%s/store.db", node.folder);
    assert_int_equal(sqlite3_open(path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM kept", NULL, NULL, NULL),
                     SQLITE_OK);
    loop_thread_call(&node.thread, empty_often, reader);
    node_stop(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_start_with_another_clock, setup, teardown),
        cmocka_unit_test(test_when_a_clock_is_believed),
        cmocka_unit_test_setup_teardown(test_a_store_that_fails_for_a_day, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reader_that_stays, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
