/* Logs that somebody changed while they were followed, or while nobody looked: saved by an editor,
 * copied back, cut off, written anew. What was read is not read again, or two typos would become a
 * lock; what is new is read; and a rotation is none of this. (SPEC 10.5) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper_tail.h"

/* Line N is of the Nth second. */
static void make(char out[64], unsigned n, char end)
{
    snprintf(out, 64, "2020-11-22T02:%02u:%02uZ vm line: %u%c", n / 60, n % 60, n, end);
}

/* Lines from `first` to `last`, each `step`th. */
static void put(struct desk *desk, const char *name, unsigned first, unsigned last, unsigned step)
{
    char line[64];

    for (unsigned n = first; n <= last; n += step) {
        make(line, n, '\n');
        desk_append(desk, name, line);
    }
}

static void expect_lines(struct desk *desk, unsigned first, unsigned last)
{
    static char all[65536];
    size_t at = 0;

    all[0] = '\0';
    for (unsigned n = first; n <= last; n++, at += strlen(all + at))
        make(all + at, n, '|');
    desk_expect(desk, all);
}

#define NOTHING(desk) desk_expect(desk, "")

/* The log has lines 10 to 59, and all were read. */
static void begin(struct desk *desk)
{
    put(desk, "mail.log", 10, 59, 1);
    desk_follow(desk, NULL, true);
    expect_lines(desk, 10, 59);
}

/* As an editor saves: a new file gets the name. */
static void save(struct desk *desk)
{
    desk_move(desk, "other", "mail.log");
}

/* As `cat other > mail.log`. */
static void save_in_place(struct desk *desk)
{
    char text[65536], from[128];

    desk_path(from, desk, "other");
    FILE *f = fopen(from, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    unlink(from);
    desk_write(desk, "mail.log", "w", text, n);
}

static void with_a_copy_left_behind(struct desk *desk)
{
    desk_move(desk, "mail.log", "mail.log.bak");
    save(desk);
}

static void (*const ways[])(struct desk *) = {save, save_in_place, with_a_copy_left_behind};
#define WAYS (sizeof ways / sizeof *ways)

/* Each change is made in each way, while the log is followed and while nobody looks. */
static void change(struct desk *desk, size_t way)
{
    struct gv_position position;

    if (way < WAYS) {
        ways[way](desk);
        return;
    }
    position = desk_leave(desk);
    ways[way - WAYS](desk);
    desk_follow(desk, &position, false);
}

static void again(struct desk **desk, void **state)
{
    desk_close(state);
    desk_open(state);
    *desk = *state;
}

#define EACH_WAY(desk, state) for (size_t way = 0; way < 2 * WAYS; again(&(desk), state), way++)

static void lines_that_an_editor_removes(void **state)
{
    struct desk *desk = *state;

    EACH_WAY(desk, state)
    {
        begin(desk);
        put(desk, "other", 10, 58, 3); /* among others the first stays, and the last goes */
        put(desk, "other", 59, 59, 1);
        change(desk, way);
        NOTHING(desk);
        put(desk, "mail.log", 60, 61, 1);
        expect_lines(desk, 60, 61);
    }
}

static void what_came_before_the_editor_saved_is_read(void **state)
{
    struct desk *desk = *state;

    EACH_WAY(desk, state)
    {
        begin(desk);
        put(desk, "other", 30, 65, 1); /* 60 to 65 were not read; the first line is gone */
        change(desk, way);
        expect_lines(desk, 60, 65);
    }
}

static void the_last_line_goes_too(void **state)
{
    struct desk *desk = *state;

    EACH_WAY(desk, state)
    {
        begin(desk);
        put(desk, "other", 10, 50, 1);
        put(desk, "other", 60, 62, 1);
        change(desk, way);
        expect_lines(desk, 60, 62);
    }
}

static void nothing_stays_but_the_first_line(void **state)
{
    struct desk *desk = *state;

    EACH_WAY(desk, state)
    {
        begin(desk);
        put(desk, "other", 10, 10, 1);
        change(desk, way);
        NOTHING(desk);
        put(desk, "mail.log", 60, 60, 1);
        expect_lines(desk, 60, 60);
    }
}

/* `sed -i s/...` changes every line; only their age tells that they were read. */
static void no_line_stays_as_it_was(void **state)
{
    struct desk *desk = *state;

    for (size_t way = 0; way < 2; again(&desk, state), way++) {
        begin(desk);
        for (unsigned n = 10; n <= 61; n++) {
            char line[64];
            snprintf(line, sizeof line, "2020-11-22T02:%02u:%02uZ vm x\n", n / 60, n % 60);
            desk_append(desk, "other", line);
        }
        change(desk, way);
        desk_expect(desk, "2020-11-22T02:01:00Z vm x|2020-11-22T02:01:01Z vm x|");
    }
}

static void a_log_that_is_cut_off(void **state)
{
    struct desk *desk = *state;

    for (size_t way = 0; way < 2; again(&desk, state), way++) {
        struct gv_position position;

        begin(desk);
        if (way == 1)
            position = desk_leave(desk);
        assert_int_equal(truncate(desk->path, 555), 0); /* inside a line */
        if (way == 1)
            desk_follow(desk, &position, false);
        NOTHING(desk);
        desk_append(desk, "mail.log", " torn\n");
        put(desk, "mail.log", 60, 61, 1);
        expect_lines(desk, 60, 61);
    }
}

/* Shorter, and longer again than what was read, before anybody looks. */
static void a_change_that_is_outgrown(void **state)
{
    struct desk *desk = *state;

    for (size_t way = 0; way < 2; again(&desk, state), way++) {
        begin(desk);
        put(desk, "other", 10, 10, 1);
        put(desk, "other", 40, 119, 1);
        change(desk, way == 0 ? 1 : 1 + WAYS);
        expect_lines(desk, 60, 119);
    }
}

static void a_copy_that_is_put_in_its_place(void **state)
{
    struct desk *desk = *state;

    for (size_t way = 0; way < 2 * WAYS; again(&desk, state), way++) {
        begin(desk);
        put(desk, "other", 10, 62, 1);
        change(desk, way);
        expect_lines(desk, 60, 62);
    }
}

/* A follower that began at the end has read nothing, and does not begin with what is long past. */
static void what_was_before_the_first_look_stays_unread(void **state)
{
    struct desk *desk = *state;

    EACH_WAY(desk, state)
    {
        put(desk, "mail.log", 10, 59, 1);
        desk_follow(desk, NULL, false);
        NOTHING(desk);
        put(desk, "other", 11, 60, 1);
        change(desk, way);
        expect_lines(desk, 60, 60);
    }
}

/* A position as it was stored until schema 4 says less, and nothing is lost by that. */
static void a_position_of_an_older_version(void **state)
{
    struct desk *desk = *state;

    begin(desk);
    struct gv_position now = desk_leave(desk), old = {0};
    memcpy(&old, &now, GV_POSITION_OLD);
    put(desk, "mail.log", 60, 60, 1);
    desk_follow(desk, &old, false);
    expect_lines(desk, 60, 60);

    now = desk_leave(desk);
    memset(&old, 0, sizeof old);
    memcpy(&old, &now, GV_POSITION_OLD);
    desk_follow(desk, &old, false);
    NOTHING(desk);
    put(desk, "other", 10, 61, 2); /* no new line was read, but the last was looked at */
    save(desk);
    NOTHING(desk);
    put(desk, "mail.log", 62, 62, 1);
    expect_lines(desk, 62, 62);
}

/* A restart while lines are passed over goes on to pass them over. */
static void a_restart_in_the_middle(void **state)
{
    struct desk *desk = *state;
    unsigned polls = 0;

    begin(desk);
    struct gv_position position = desk_leave(desk);
    put(desk, "other", 10, 10, 1);
    for (unsigned i = 0; i < 400; i++)
        put(desk, "other", 11, 58, 1); /* 700 kB of the past, without the last line */
    put(desk, "other", 60, 60, 1);
    save(desk);
    usleep(50000); /* no name has just moved */
    do {
        desk_follow(desk, &position, false);
        (void)gv_tail_poll(&desk->tail, ++desk->now_ms, desk_line, desk);
        position = desk_leave(desk);
        polls++;
    } while (desk->got[0] == '\0' && polls < 50);
    assert_true(polls > 3 && polls < 50);
    desk_follow(desk, &position, false);
    expect_lines(desk, 60, 60);
}

/* The newest is not the last: another host's clock is behind. Its line goes, and nothing counts
 * twice for that. */
static void the_last_line_of_a_clock_that_is_behind(void **state)
{
    struct desk *desk = *state;

    EACH_WAY(desk, state)
    {
        put(desk, "mail.log", 10, 59, 1);
        put(desk, "mail.log", 5, 5, 1);
        desk_follow(desk, NULL, true);
        while (gv_tail_poll(&desk->tail, ++desk->now_ms, desk_line, desk))
            ;
        assert_non_null(strstr(desk->got, "line: 59|2020-11-22T02:00:05Z"));
        desk->got[0] = '\0';
        put(desk, "other", 10, 59, 1);
        change(desk, way);
        NOTHING(desk);
        put(desk, "mail.log", 60, 61, 1);
        expect_lines(desk, 60, 61);
    }
}

/* ---- rotations are read whole --------------------------------------------------------------- */

/* A log that was changed, and then rotated before anybody looked: what came between is in the
 * generation. */
static void a_rotation_after_a_change(void **state)
{
    struct desk *desk = *state;

    for (int way = 0; way < 8; again(&desk, state), way++) {
        struct gv_position position = {0};
        begin(desk);
        if (way & 1)
            position = desk_leave(desk);
        put(desk, "other", way & 4 ? 11 : 10, 58, 3); /* with its first line, or without */
        put(desk, "other", 59, 63, 1);
        save(desk);
        if (way & 2) {
            put(desk, "mail.log.1", way & 4 ? 11 : 10, 58, 3);
            put(desk, "mail.log.1", 59, 63, 1);
            assert_int_equal(truncate(desk->path, 0), 0);
        } else {
            desk_move(desk, "mail.log", "mail.log.1");
        }
        put(desk, "mail.log", 64, 66, 1);
        if (way & 1)
            desk_follow(desk, &position, false);
        expect_lines(desk, 60, 66);
    }
}

/* In the second in which the log is rotated equal lines may stand in both files. */
static void a_rotation_within_a_second(void **state)
{
    struct desk *desk = *state;

    for (int way = 0; way < 4; again(&desk, state), way++) {
        begin(desk);
        struct gv_position position = {0};
        if (way & 1)
            position = desk_leave(desk);
        if (way & 2)
            assert_int_equal(truncate(desk->path, 0), 0);
        else
            desk_move(desk, "mail.log", "mail.log.1");
        desk_append(desk, "mail.log", "2020-11-22T02:00:59Z vm of the same second\n");
        put(desk, "mail.log", way & 2 ? 60 : 59, 61, 1); /* 59 twice */
        if (way & 1)
            desk_follow(desk, &position, false);
        desk_expect(desk, way & 2 ? "2020-11-22T02:00:59Z vm of the same second|"
                                    "2020-11-22T02:01:00Z vm line: 60|"
                                    "2020-11-22T02:01:01Z vm line: 61|"
                                  : "2020-11-22T02:00:59Z vm of the same second|"
                                    "2020-11-22T02:00:59Z vm line: 59|"
                                    "2020-11-22T02:01:00Z vm line: 60|"
                                    "2020-11-22T02:01:01Z vm line: 61|");
    }
}

/* Another host's clock is behind, and its line is the first in the new file. */
static void a_rotation_with_a_host_whose_clock_is_behind(void **state)
{
    struct desk *desk = *state;

    begin(desk);
    desk_move(desk, "mail.log", "mail.log.1");
    put(desk, "mail.log", 20, 22, 1);
    put(desk, "mail.log", 60, 60, 1);
    desk_expect(desk, "2020-11-22T02:00:20Z vm line: 20|2020-11-22T02:00:21Z vm line: 21|"
                      "2020-11-22T02:00:22Z vm line: 22|2020-11-22T02:01:00Z vm line: 60|");
}

/* A stamp far ahead of the clock is nobody's measure of what is old. */
static void a_stamp_of_the_future(void **state)
{
    struct desk *desk = *state;

    put(desk, "mail.log", 10, 12, 1);
    desk_append(desk, "mail.log", "2099-01-01T00:00:00Z vm x\n");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "2020-11-22T02:00:10Z vm line: 10|2020-11-22T02:00:11Z vm line: 11|"
                      "2020-11-22T02:00:12Z vm line: 12|2099-01-01T00:00:00Z vm x|");
    put(desk, "other", 10, 13, 1);
    save(desk);
    expect_lines(desk, 13, 13);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_open, desk_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_that_an_editor_removes),
        TEST(what_came_before_the_editor_saved_is_read),
        TEST(the_last_line_goes_too),
        TEST(nothing_stays_but_the_first_line),
        TEST(no_line_stays_as_it_was),
        TEST(a_log_that_is_cut_off),
        TEST(a_change_that_is_outgrown),
        TEST(a_copy_that_is_put_in_its_place),
        TEST(what_was_before_the_first_look_stays_unread),
        TEST(a_position_of_an_older_version),
        TEST(a_restart_in_the_middle),
        TEST(the_last_line_of_a_clock_that_is_behind),
        TEST(a_rotation_after_a_change),
        TEST(a_rotation_within_a_second),
        TEST(a_rotation_with_a_host_whose_clock_is_behind),
        TEST(a_stamp_of_the_future),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
