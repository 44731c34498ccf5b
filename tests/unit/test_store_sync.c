/* What nobody else has a copy of is on the disk before a byte goes out (SPEC 9.7). The real daemon
 * under the disk shim, which keeps the order in which the store's write-ahead log is written and
 * synced and bytes are sent. A killed process cannot show it: what was written and not synced
 * outlives that, and is lost to a power cut alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../shim/trace.h"
#include "crypto/error.h"
#include "helper_lives.h"
#include "node/base/file.h"

#define SIGNALS 3

static bool holds(const uint8_t *data, size_t len, const struct gv_buf *row)
{
    for (size_t at = 0; at + row->len <= len; at++)
        if (memcmp(data + at, row->data, row->len) == 0)
            return true;
    return false;
}

/* Between the first time that the row is written and the next byte that goes out there is a sync.
 */
static void check_synced_first(const struct gv_buf *trace, const struct gv_buf *row,
                               const char *what)
{
    bool written = false, synced = false;
    struct shim_trace head;

    for (size_t at = 0; at < trace->len; at += sizeof head + head.len) {
        assert_in_range(trace->len - at, sizeof head, SIZE_MAX);
        memcpy(&head, trace->data + at, sizeof head);
        assert_in_range(trace->len - at - sizeof head, head.len, SIZE_MAX);
        if (head.kind == SHIM_WRITTEN && !written)
            written = holds(trace->data + at + sizeof head, head.len, row);
        else if (head.kind == SHIM_SYNCED && written)
            synced = true;
        else if (head.kind == SHIM_SENT && written) {
            if (!synced)
                fail_msg("%s was written and not synced when bytes went out", what);
            return;
        }
    }
    fail_msg("%s was %s", what, written ? "written, and then nothing was sent" : "never written");
}

/* How far a small file had come: written, synced, under its name, and that durable. In this order,
 * or a power cut leaves an empty file, or none. */
static const enum shim_trace_kind steps[] = {SHIM_FILE_WRITTEN, SHIM_FILE_SYNCED, SHIM_FILE_NAMED,
                                             SHIM_FOLDER_SYNCED};
#define STEPS (sizeof steps / sizeof *steps)

static void take_step(size_t *done, uint32_t kind)
{
    if (*done < STEPS && kind == (uint32_t)steps[*done])
        ++*done;
    else if (kind == SHIM_FILE_NAMED || kind == SHIM_FILE_SYNCED)
        fail_msg("the file gets its name, or is synced, at step %zu", *done);
}

/* The file `number` is so before a row of a number below it is even written (SPEC 8.6). */
static void check_ceiling_first(const struct gv_buf *trace, const struct gv_buf *row)
{
    struct shim_trace head;
    size_t done = 0;

    for (size_t at = 0; at < trace->len; at += sizeof head + head.len) {
        memcpy(&head, trace->data + at, sizeof head);
        if (head.kind == SHIM_WRITTEN && holds(trace->data + at + sizeof head, head.len, row)) {
            assert_int_equal(done, STEPS);
            return;
        }
        take_step(&done, head.kind);
    }
    fail_msg("the number's row was never written");
}

/* The rows' value and MAC, as they lie beside each other in the file. Gives how many there are. */
static size_t read_rows(const struct lives *lives, const char *sql, struct gv_buf rows[SIGNALS])
{
    char path[160];
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    size_t count = 0;

    snprintf(path, sizeof path, "%s/store.db", lives->data);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    for (; count < SIGNALS && sqlite3_step(row) == SQLITE_ROW; count++) {
        gv_buf_init(&rows[count]);
        for (int column = 0; column < 2; column++)
            gv_buf_append(&rows[count], sqlite3_column_blob(row, column),
                          (size_t)sqlite3_column_bytes(row, column));
        assert_false(rows[count].failed);
    }
    sqlite3_finalize(row);
    sqlite3_close(db);
    return count;
}

static uint64_t last_number(struct lives *lives)
{
    pthread_mutex_lock(&lives->recorder.lock);
    uint64_t number = lives->recorder.list[lives->recorder.count - 1].sequence;
    pthread_mutex_unlock(&lives->recorder.lock);
    return number;
}

static uint64_t big_endian(const uint8_t *bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < 8; i++)
        number = number << 8 | bytes[i];
    return number;
}

static void live(struct lives *lives, const char *trace_path)
{
    char folder[160], trace[200];
    char *environment[] = {folder, trace, NULL};

    snprintf(folder, sizeof folder, "GV_SHIM_FOLDER=%s", lives->data);
    snprintf(trace, sizeof trace, "GV_SHIM_TRACE=%s", trace_path);
    lives_start(lives, environment);
    if (!lives_await_session(lives, 0))
        fail_msg("it does not start: %s", lives_said(lives));
    for (int i = 0; i < SIGNALS; i++) {
        struct gv_subject subject = lives_feed(lives);
        if (!lives_await(lives, &subject, 60000))
            fail_msg("it does not signal: %s", lives_said(lives));
    }
    lives_kill(lives, SIGTERM);
    assert_int_equal(lives_wait(lives), 0);
    lives_check_said(lives);
}

static void test_own_words_are_synced_before_they_are_sent(void **state)
{
    struct lives lives;
    struct gv_buf trace, rows[SIGNALS];
    char path[160];

    lives_make(&lives, 70);
    snprintf(path, sizeof path, "%s/trace", lives.folder);
    live(&lives, path);
    gv_buf_init(&trace);
    assert_int_equal(gv_file_read(&trace, path, 1 << 28, NULL), GV_OK);
    assert_int_equal(read_rows(&lives, "SELECT value, mac FROM sent", rows), SIGNALS);
    for (size_t i = 0; i < SIGNALS; i++) {
        check_synced_first(&trace, &rows[i], "a signal of its own");
        gv_buf_free(&rows[i]);
    }
    /* Of the number's row the last state is left. */
    assert_int_equal(read_rows(&lives, "SELECT value, mac FROM self WHERE key = x'01'", rows), 1);
    assert_true(rows[0].len >= 8);
    assert_int_equal(big_endian(rows[0].data), last_number(&lives));
    check_synced_first(&trace, &rows[0], "the number of the last signal");
    check_ceiling_first(&trace, &rows[0]);
    gv_buf_free(&rows[0]);
    gv_buf_free(&trace);
    lives_remove(&lives);
}

/* And a new key before anything is stored under it. */
static void test_a_new_key_is_durable_before_the_store(void **state)
{
    struct lives lives;
    char path[160], folder[160], trace_to[200];
    char *environment[] = {folder, trace_to, NULL};
    struct shim_trace head;
    struct gv_buf trace;
    size_t done = 0;

    lives_make(&lives, 71);
    snprintf(path, sizeof path, "%s/key", lives.data);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/trace", lives.folder);
    snprintf(folder, sizeof folder, "GV_SHIM_FOLDER=%s", lives.data);
    snprintf(trace_to, sizeof trace_to, "GV_SHIM_TRACE=%s", path);
    lives_start(&lives, environment);
    for (int i = 0; i < 6000 && !lives_ask(&lives, "status", 200, NULL); i++)
        usleep(10000);
    lives_kill(&lives, SIGTERM);
    assert_int_equal(lives_wait(&lives), 0);
    gv_buf_init(&trace);
    assert_int_equal(gv_file_read(&trace, path, 1 << 28, NULL), GV_OK);
    for (size_t at = 0; at < trace.len && done < STEPS; at += sizeof head + head.len) {
        memcpy(&head, trace.data + at, sizeof head);
        if (head.kind == SHIM_WRITTEN)
            fail_msg("the store is written at step %zu of the key", done);
        take_step(&done, head.kind);
    }
    assert_int_equal(done, STEPS);
    gv_buf_free(&trace);
    lives_remove(&lives);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_words_are_synced_before_they_are_sent),
        cmocka_unit_test(test_a_new_key_is_durable_before_the_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
