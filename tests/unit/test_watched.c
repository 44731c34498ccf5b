/* A log that is quiet wakes nobody, and the next line of it is read all the same (SPEC 10.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_sources.h"
#include "node/ingest/watched.h"

static void count(void *context)
{
    ++*(unsigned *)context;
}

static void on_end(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Until it is so many, or for half a minute; where nothing is to come, a tenth of a second. */
static void turn(uv_loop_t *loop, uv_timer_t *timer, const unsigned *stirred, unsigned until)
{
    uv_update_time(loop);
    uv_timer_start(timer, on_end, *stirred < until ? 30000 : 100, 0);
    while (*stirred < until && uv_is_active((uv_handle_t *)timer))
        uv_run(loop, UV_RUN_ONCE);
    if (uv_is_active((uv_handle_t *)timer))
        uv_timer_start(timer, on_end, 100, 0);
    uv_run(loop, UV_RUN_DEFAULT);
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "a");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void what_is_written_is_told_of_once(void **state)
{
    struct stage *stage = *state;
    struct gv_watched watched = {.on = false};
    const char *path = stage_path(stage, "log"), *other = stage_path(stage, "other");
    struct stat is, another;
    unsigned stirred = 0;
    uv_timer_t timer;
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    uv_timer_init(&loop, &timer);
    put(path, "one\n");
    put(other, "another\n");
    assert_int_equal(stat(path, &is), 0);
    assert_int_equal(stat(other, &another), 0);
    if (!gv_watched_begin(&watched, &loop, path, &is, count, &stirred))
        skip(); /* on this file system the kernel is not told */
    assert_true(gv_watched_is(&watched, &is));
    assert_false(gv_watched_is(&watched, &another));
    put(path, "two\n");
    turn(&loop, &timer, &stirred, 1);
    assert_int_equal(stirred, 1);
    assert_false(watched.on);
    put(path, "three\n");
    turn(&loop, &timer, &stirred, 1);
    assert_int_equal(stirred, 1);

    assert_true(gv_watched_begin(&watched, &loop, path, &is, count, &stirred));
    assert_int_equal(rename(other, path), 0); /* another in its place */
    turn(&loop, &timer, &stirred, 2);
    assert_int_equal(stirred, 2);
    assert_false(gv_watched_begin(&watched, &loop, "/proc/self/stat", &is, count, &stirred));
    gv_watched_close(&watched);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static unsigned readings;

static void on_reading(void *context, const struct gv_reading *reading, size_t source)
{
    (void)context;
    (void)reading;
    (void)source;
    readings++;
}

/* How many turns the loop takes in this time. */
static unsigned turns_in(uv_loop_t *loop, uv_timer_t *timer, uint64_t ms)
{
    unsigned turns = 0;

    uv_update_time(loop);
    uv_timer_start(timer, on_end, ms, 0);
    for (; uv_is_active((uv_handle_t *)timer); turns++)
        uv_run(loop, UV_RUN_ONCE);
    return turns;
}

static void a_quiet_log_wakes_nobody_and_its_next_line_is_read(void **state)
{
    struct stage *stage = *state;
    const char *path = stage_path(stage, "mail.log");
    struct gv_sources_config config = {
        .paths = &path, .path_count = 1, .from_start = true, .on_reading = on_reading};
    struct gv_watched probe = {.on = false};
    struct gv_sources *sources;
    unsigned turns = UINT32_MAX;
    uv_timer_t timer;
    uv_loop_t loop;
    struct stat is;

    assert_int_equal(uv_loop_init(&loop), 0);
    uv_timer_init(&loop, &timer);
    stage_fail(stage, "mail.log", 1);
    assert_int_equal(stat(path, &is), 0);
    bool can = gv_watched_begin(&probe, &loop, path, &is, count, NULL);
    gv_watched_close(&probe);
    assert_int_equal(gv_sources_new(&sources, &loop, &config), GV_OK);
    assert_int_equal(gv_sources_start(sources), GV_OK);
    /* Four times a second for the first ten seconds; 60 windows are two minutes. */
    for (unsigned window = 0; can && turns > 4 && window < 60; window++)
        turns = turns_in(&loop, &timer, 2000);
    assert_true(!can || turns <= 4);
    assert_int_equal(readings, 1);
    stage_fail(stage, "mail.log", 2);
    for (unsigned window = 0; readings < 2 && window < 300; window++)
        (void)turns_in(&loop, &timer, 100);
    assert_int_equal(readings, 2);
    gv_sources_stop(sources);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    gv_sources_free(sources);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_told_of_once, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(a_quiet_log_wakes_nobody_and_its_next_line_is_read,
                                        stage_open, stage_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
