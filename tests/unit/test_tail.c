/* Following real files: rotation, truncation, restarts, rubbish (SPEC 10.5). A test plays the
 * writer, and polls with a clock of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_tail.h"

static void lines_come_when_they_are_whole(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "one\ntwo\nthr");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "one|two|");
    desk_append(desk, "mail.log", "ee");
    desk_expect(desk, "");
    desk_append(desk, "mail.log", "\n\nfour\n");
    desk_expect(desk, "three||four|");
}

static void a_new_follower_begins_at_the_end(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "old\nhalf of a li");
    desk_follow(desk, NULL, false);
    desk_expect(desk, "");
    desk_append(desk, "mail.log", "ne\nnew\n");
    desk_expect(desk, "new|"); /* the second half of a line is no line */
}

static void a_file_that_is_not_there_yet(void **state)
{
    struct desk *desk = *state;

    desk_follow(desk, NULL, true);
    desk_expect(desk, "");
    assert_int_equal(desk->tail.state, GV_SOURCE_WAITING);
    desk_append(desk, "mail.log", "one\n");
    desk_expect(desk, "one|");
    assert_int_equal(desk->tail.state, GV_SOURCE_READING);
}

static void a_file_that_was_awaited_is_all_new(void **state)
{
    struct desk *desk = *state;

    desk_follow(desk, NULL, false);
    desk_expect(desk, "");
    assert_int_equal(desk->tail.state, GV_SOURCE_WAITING);
    desk_append(desk, "mail.log", "one\ntwo\n");
    desk_expect(desk, "one|two|");
}

static void a_file_that_may_not_be_read_yet_is_not_new(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "old\n");
    assert_int_equal(chmod(desk->path, 0), 0);
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0); /* root may read everything */
    desk_follow(desk, NULL, false);
    gv_tail_poll(&desk->tail, 1, desk_line, desk);
    enum gv_source_state denied = desk->tail.state;
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(denied, GV_SOURCE_DENIED);
    assert_int_equal(chmod(desk->path, 0600), 0);
    desk_expect(desk, "");
    desk_append(desk, "mail.log", "new\n");
    desk_expect(desk, "new|");
}

static void a_folder_and_a_fifo_are_no_files(void **state)
{
    struct desk *desk = *state;

    assert_int_equal(mkdir(desk->path, 0700), 0);
    desk_follow(desk, NULL, false); /* what comes in their place is new */
    desk_expect(desk, "");
    assert_int_equal(desk->tail.state, GV_SOURCE_NOT_A_FILE);
    assert_int_equal(rmdir(desk->path), 0);
    assert_int_equal(mkfifo(desk->path, 0600), 0);
    desk_expect(desk, "");
    assert_int_equal(desk->tail.state, GV_SOURCE_NOT_A_FILE);
    unlink(desk->path);
    desk_append(desk, "mail.log", "one\n");
    desk_expect(desk, "one|");
}

static void no_permission(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "one\n");
    assert_int_equal(chmod(desk->path, 0), 0);
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0); /* root may read everything */
    desk_follow(desk, NULL, true);
    while (gv_tail_poll(&desk->tail, 1, desk_line, desk))
        ;
    enum gv_source_state denied = desk->tail.state;
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(denied, GV_SOURCE_DENIED);
    assert_int_equal(chmod(desk->path, 0600), 0);
    desk_expect(desk, "one|");
}

static void rotation_by_rename(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "one\n");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "one|");
    desk_move(desk, "mail.log", "mail.log.1");
    desk_append(desk, "mail.log.1", "two\n"); /* the writer has not been told yet */
    desk_expect(desk, "two|");
    desk_append(desk, "mail.log", "four\n");
    desk_append(desk, "mail.log.1", "three\n");
    desk_expect(desk, "three|four|");
    assert_int_equal(desk->tail.rotations, 1);
    desk_append(desk, "mail.log", "five\n");
    desk_expect(desk, "five|");
}

static void rotation_that_is_undone(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "one\n");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "one|");
    desk_move(desk, "mail.log", "mail.log.1");
    desk_expect(desk, "");
    assert_int_equal(desk->tail.state, GV_SOURCE_READING); /* it is not deleted */
    desk_move(desk, "mail.log.1", "mail.log");
    desk_append(desk, "mail.log", "two\n");
    desk_expect(desk, "two|");
    assert_int_equal(desk->tail.rotations, 0);
}

static void rotation_by_copy_and_truncate(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "Nov 22 one\nNov 22 two\n");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "Nov 22 one|Nov 22 two|");
    assert_int_equal(truncate(desk->path, 0), 0);
    desk_expect(desk, "");
    desk_append(desk, "mail.log", "Nov 23 one\n");
    desk_expect(desk, "Nov 23 one|");
    assert_int_equal(desk->tail.rotations, 1);
}

static void truncation_that_is_outgrown_before_it_is_seen(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "Nov 22 one\n");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "Nov 22 one|");
    assert_int_equal(truncate(desk->path, 0), 0);
    desk_append(desk, "mail.log", "Nov 23 first\nNov 23 second\nNov 23 third\n");
    desk_expect(desk, "Nov 23 first|Nov 23 second|Nov 23 third|");
}

static void deletion_and_a_new_file(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "one\n");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "one|");
    unlink(desk->path);
    desk_expect(desk, "");
    desk_append(desk, "mail.log", "two\n");
    desk_expect(desk, "two|");
}

static void deletion_is_told_and_what_comes_is_all_new(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "one\n");
    desk_follow(desk, NULL, false); /* from its end */
    desk_expect(desk, "");
    FILE *writer = fopen(desk->path, "a");
    assert_non_null(writer);
    unlink(desk->path);
    desk_expect(desk, "");
    assert_int_equal(desk->tail.state, GV_SOURCE_WAITING);
    assert_true(desk->tail.position.inode != 0); /* gone, rather than not there yet */
    fputs("to the deleted one\n", writer);
    fclose(writer);
    desk_expect(desk, "to the deleted one|");
    assert_int_equal(desk->tail.state, GV_SOURCE_WAITING);
    desk_append(desk, "mail.log", "two\nthree\n");
    desk_expect(desk, "two|three|");
    assert_int_equal(desk->tail.state, GV_SOURCE_READING);
}

static void deletion_and_a_restart(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "one\n");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "one|");
    unlink(desk->path);
    desk_expect(desk, "");
    struct gv_position position = desk_leave(desk);
    desk_follow(desk, &position, false);
    desk_expect(desk, "");
    assert_int_equal(desk->tail.state, GV_SOURCE_WAITING);
    desk_append(desk, "mail.log", "two\nthree\n");
    desk_expect(desk, "two|three|");
}

static void a_restart_neither_loses_nor_repeats(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "one\ntwo\nthr");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "one|two|");
    struct gv_position position = desk_leave(desk);
    assert_int_equal(position.offset, 8); /* in front of the half line */
    desk_append(desk, "mail.log", "ee\nfour\n");
    desk_follow(desk, &position, false);
    desk_expect(desk, "three|four|");
}

static void a_rotation_during_a_restart(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "one\n");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "one|");
    struct gv_position position = desk_leave(desk);
    desk_append(desk, "mail.log", "two\n");
    desk_move(desk, "mail.log", "mail.log.1");
    desk_append(desk, "mail.log", "three\n");
    desk_follow(desk, &position, false);
    desk_expect(desk, "two|three|");

    position = desk_leave(desk); /* renamed, and no new file yet */
    desk_append(desk, "mail.log", "four\n");
    desk_move(desk, "mail.log", "mail.log.2");
    desk_follow(desk, &position, false);
    desk_expect(desk, "four|");
    desk_append(desk, "mail.log", "five\n");
    desk_expect(desk, "five|");
}

/* logrotate's `extension .log`, and a log of a new name each day. */
static void generations_that_keep_their_extension(void **state)
{
    static const char *const names[] = {"mail.1.log", "mail-20261122.log",
                                        "mail_2026-11-22T09:30.log"};
    /* Other logs, which somebody writes to at the same time. */
    static const char *const others[] = {"mail-2.log",   "mail.err.log",     "mail-in-20261122.log",
                                         "mailer.1.log", "mail20261122.log", "mail.log1",
                                         "mail..log"};
    struct desk *desk = *state;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char first[32], wanted[64];

        snprintf(first, sizeof first, "one of %zu\n", i);
        desk_append(desk, "mail.log", first);
        desk_follow(desk, NULL, true);
        snprintf(wanted, sizeof wanted, "one of %zu|", i);
        desk_expect(desk, wanted);
        struct gv_position position = desk_leave(desk);
        snprintf(wanted, sizeof wanted, "two of %zu\n", i);
        desk_append(desk, "mail.log", wanted);
        desk_move(desk, "mail.log", names[i]);
        for (size_t j = 0; j < sizeof others / sizeof *others; j++)
            desk_append(desk, others[j], "of another log\n");
        snprintf(wanted, sizeof wanted, "three of %zu\n", i);
        desk_append(desk, "mail.log", wanted);
        desk_follow(desk, &position, false);
        snprintf(wanted, sizeof wanted, "two of %zu|three of %zu|", i, i);
        desk_expect(desk, wanted);
        desk_leave(desk);
        desk_remove(desk, "mail.log");
        desk_remove(desk, names[i]);
    }
    for (size_t j = 0; j < sizeof others / sizeof *others; j++)
        desk_remove(desk, others[j]);
}

/* A link that is moved on to a new file each day, while nobody looks. */
static void a_link_to_the_log_of_the_day(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail-20261122.log", "one\n");
    assert_int_equal(symlink("mail-20261122.log", desk->path), 0);
    desk_follow(desk, NULL, true);
    desk_expect(desk, "one|");
    struct gv_position position = desk_leave(desk);
    desk_append(desk, "mail.log", "two\n");
    desk_remove(desk, "mail.log");
    usleep(30000); /* what was written later is told by the time */
    desk_append(desk, "mail-20261123.log", "three\n");
    assert_int_equal(symlink("mail-20261123.log", desk->path), 0);
    desk_follow(desk, &position, false);
    desk_expect(desk, "two|three|");
    desk_append(desk, "mail.log", "four\n");
    desk_expect(desk, "four|");
    position = desk_leave(desk);
    desk_append(desk, "mail.log", "five\n");
    desk_follow(desk, &position, false);
    desk_expect(desk, "five|");
    desk_remove(desk, "mail-20261122.log");
    desk_remove(desk, "mail-20261123.log");
}

static void a_truncation_during_a_restart(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "Nov 22 one\nNov 22 two\n");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "Nov 22 one|Nov 22 two|");
    struct gv_position position = desk_leave(desk);
    assert_int_equal(truncate(desk->path, 0), 0);
    desk_append(desk, "mail.log", "Nov 23 one\n"); /* shorter than the position */
    desk_follow(desk, &position, false);
    desk_expect(desk, "Nov 23 one|");

    position = desk_leave(desk);
    assert_int_equal(truncate(desk->path, 0), 0);
    desk_append(desk, "mail.log", "Nov 24 one\nNov 24 two\nNov 24 three\n"); /* longer */
    desk_follow(desk, &position, false);
    desk_expect(desk, "Nov 24 one|Nov 24 two|Nov 24 three|");
}

static void a_file_that_is_gone_for_good_during_a_restart(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "one\n");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "one|");
    struct gv_position position = desk_leave(desk);
    desk_append(desk, "other", "keeps the inode from being used again\n");
    desk_move(desk, "other", "mail.log");
    desk_follow(desk, &position, false);
    desk_expect(desk, "keeps the inode from being used again|"); /* all of it is new */
}

static void a_position_in_an_empty_file(void **state)
{
    struct desk *desk = *state;

    desk_append(desk, "mail.log", "");
    desk_follow(desk, NULL, false);
    desk_expect(desk, "");
    struct gv_position position = desk_leave(desk);
    desk_append(desk, "mail.log", "one\n");
    desk_follow(desk, &position, false);
    desk_expect(desk, "one|");
}

static void rubbish_position(void **state)
{
    struct desk *desk = *state;
    struct gv_position position = {.device = 1, .inode = 2, .offset = UINT64_MAX, .checksum = 3};

    desk_append(desk, "mail.log", "one\n");
    desk_follow(desk, &position, false);
    desk_expect(desk, "one|");
}

static void long_lines_are_passed_over_as_a_whole(void **state)
{
    struct desk *desk = *state;
    size_t len = 1000000;
    char *line = malloc(len);

    memset(line, 'x', len);
    line[len - 1] = '\n';
    desk_append(desk, "mail.log", "one\n");
    desk_write(desk, "mail.log", "a", line, len);
    desk_append(desk, "mail.log", "two\n");
    desk_follow(desk, NULL, true);
    desk_expect(desk, "one|<long>|two|");

    /* A restart inside it does not take its second half for a line. */
    desk_write(desk, "mail.log", "a", line, len - 1);
    desk_expect(desk, "");
    struct gv_position position = desk_leave(desk);
    desk_append(desk, "mail.log", "forged line\nthree\n");
    desk_follow(desk, &position, false);
    desk_expect(desk, "<long>|three|");
    free(line);
}

static void the_longest_line_that_is_read(void **state)
{
    struct desk *desk = *state;
    char line[GV_LINE_MAX + 2], expected[GV_LINE_MAX + 20];

    memset(line, 'y', sizeof line);
    line[GV_LINE_MAX] = '\n';
    desk_write(desk, "mail.log", "w", line, GV_LINE_MAX + 1);
    line[GV_LINE_MAX] = 'y';
    line[GV_LINE_MAX + 1] = '\n';
    desk_write(desk, "mail.log", "a", line, GV_LINE_MAX + 2);
    memset(expected, 'y', GV_LINE_MAX);
    strcpy(expected + GV_LINE_MAX, "|<long>|");
    desk_follow(desk, NULL, true);
    desk_expect(desk, expected);
}

static void nul_bytes_and_binary(void **state)
{
    struct desk *desk = *state;
    static const char text[] = "a\0b\n\0\0\0\n\xff\xfe\x01\nend\n";

    desk_write(desk, "mail.log", "w", text, sizeof text - 1);
    desk_follow(desk, NULL, true);
    desk_expect(desk, "a0b|000|\xff\xfe\x01|end|");
}

static void count_line(void *context, const char *line, size_t len)
{
    size_t *lines = context;

    assert_int_equal(len, 3);
    ++*lines;
}

static void one_poll_is_bounded(void **state)
{
    struct desk *desk = *state;
    size_t polls = 1, lines = 0;
    const size_t all = 300000;

    FILE *f = fopen(desk->path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < all; i++)
        fputs("zzz\n", f);
    fclose(f);
    desk_follow(desk, NULL, true);
    while (gv_tail_poll(&desk->tail, 1, count_line, &lines)) {
        assert_true(4 * lines <= polls * (GV_TAIL_BUDGET + GV_SPLITTER_BUFFER));
        polls++;
    }
    assert_true(polls >= 3);
    assert_int_equal(lines, all);
    assert_int_equal(desk->tail.position.offset, 4 * all);
}

/* ---- the loop: several sources, positions, states ---- */

struct audience {
    size_t readings[2];
    size_t progress[2];
    struct gv_sources *sources;
    uv_timer_t timer;
    size_t until;
};

static void on_reading(void *context, const struct gv_reading *reading, size_t source)
{
    struct audience *a = context;

    assert_int_equal(reading->observation.attempts, 1);
    a->readings[source]++;
}

static void on_progress(void *context, size_t source)
{
    struct audience *a = context;

    a->progress[source]++;
}

static void on_tick(uv_timer_t *timer)
{
    struct audience *a = timer->data;
    static int ticks;

    if (a->readings[0] + a->readings[1] < a->until && ++ticks < 200)
        return;
    ticks = 0;
    gv_sources_stop(a->sources);
    uv_close((uv_handle_t *)timer, NULL);
}

static void run_sources(struct audience *a, const struct gv_sources_config *config, size_t until,
                        struct gv_source_status status[2])
{
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(gv_sources_new(&a->sources, &loop, config), GV_OK);
    assert_int_equal(gv_sources_start(a->sources), GV_OK);
    a->until = until;
    uv_timer_init(&loop, &a->timer);
    a->timer.data = a;
    uv_timer_start(&a->timer, on_tick, 10, 10);
    uv_run(&loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < gv_sources_count(a->sources); i++)
        gv_sources_status(a->sources, &status[i], i);
    gv_sources_free(a->sources);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void several_sources_in_a_loop(void **state)
{
#define LINE                                                                                       \
    "2026-11-22T02:41:31Z vm postfix/smtpd[1]: warning: unknown[198.51.100.7]: SASL LOGIN "        \
    "authentication failed: x\n"
    struct desk *desk = *state;
    struct audience a = {0};
    struct gv_source_status status[2];
    char other[128];

    desk_path(other, desk, "other");
    const char *paths[] = {desk->path, other};
    struct gv_sources_config config = {.paths = paths,
                                       .path_count = 2,
                                       .from_start = true,
                                       .on_reading = on_reading,
                                       .on_progress = on_progress,
                                       .context = &a};
    desk_append(desk, "mail.log", LINE LINE "rubbish\n");
    desk_append(desk, "other", LINE);
    run_sources(&a, &config, 3, status);
    assert_int_equal(a.readings[0], 2);
    assert_int_equal(a.readings[1], 1);
    assert_true(a.progress[0] > 0 && a.progress[1] > 0);
    assert_int_equal(status[0].counters.lines, 3);
    assert_int_equal(status[0].counters.matched, 2);
    assert_int_equal(status[0].state, GV_SOURCE_READING);

    struct gv_position positions[2] = {status[0].position, status[1].position};
    config.positions = positions;
    desk_append(desk, "mail.log", LINE);
    memset(&a, 0, sizeof a);
    run_sources(&a, &config, 1, status);
    assert_int_equal(a.readings[0], 1);
    assert_int_equal(a.readings[1], 0);
#undef LINE
}

static void standard_input_to_its_end(void **state)
{
    struct desk *desk = *state;
    struct audience a = {0};
    struct gv_source_status status[2];
    static const char line[] =
        "2026-11-22T02:41:31Z vm postfix/smtpd[1]: lost connection after AUTH from "
        "unknown[198.51.100.7]\nhalf";
    const char *paths[] = {"-"};
    struct gv_sources_config config = {
        .paths = paths, .path_count = 1, .on_reading = on_reading, .context = &a};
    int saved = dup(STDIN_FILENO), ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], line, sizeof line - 1), sizeof line - 1);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    run_sources(&a, &config, 1, status);
    assert_int_equal(a.readings[0], 1); /* the drop is settled by the end of the log */
    assert_int_equal(status[0].state, GV_SOURCE_ENDED);

    desk_append(desk, "mail.log", line); /* standard input that is a file cannot be polled */
    FILE *file = fopen(desk->path, "r");
    dup2(fileno(file), STDIN_FILENO);
    fclose(file);
    memset(&a, 0, sizeof a);
    run_sources(&a, &config, 1, status);
    assert_int_equal(a.readings[0], 1);
    dup2(saved, STDIN_FILENO);
    close(saved);
}

static void what_sources_cannot_be_made(void **state)
{
    struct gv_sources *sources;
    struct gv_sources_config config = {0};

    assert_int_equal(gv_sources_new(&sources, NULL, &config), GV_ERR_RANGE);
    config.path_count = GV_SOURCES_MAX + 1;
    assert_int_equal(gv_sources_new(&sources, NULL, &config), GV_ERR_RANGE);
    gv_sources_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, desk_open, desk_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_come_when_they_are_whole),
        TEST(a_new_follower_begins_at_the_end),
        TEST(a_file_that_is_not_there_yet),
        TEST(a_file_that_was_awaited_is_all_new),
        TEST(a_file_that_may_not_be_read_yet_is_not_new),
        TEST(a_folder_and_a_fifo_are_no_files),
        TEST(no_permission),
        TEST(rotation_by_rename),
        TEST(rotation_that_is_undone),
        TEST(rotation_by_copy_and_truncate),
        TEST(truncation_that_is_outgrown_before_it_is_seen),
        TEST(deletion_and_a_new_file),
        TEST(deletion_is_told_and_what_comes_is_all_new),
        TEST(deletion_and_a_restart),
        TEST(a_restart_neither_loses_nor_repeats),
        TEST(a_rotation_during_a_restart),
        TEST(generations_that_keep_their_extension),
        TEST(a_link_to_the_log_of_the_day),
        TEST(a_truncation_during_a_restart),
        TEST(a_file_that_is_gone_for_good_during_a_restart),
        TEST(a_position_in_an_empty_file),
        TEST(rubbish_position),
        TEST(long_lines_are_passed_over_as_a_whole),
        TEST(the_longest_line_that_is_read),
        TEST(nul_bytes_and_binary),
        TEST(one_poll_is_bounded),
        TEST(several_sources_in_a_loop),
        TEST(standard_input_to_its_end),
        TEST(what_sources_cannot_be_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
