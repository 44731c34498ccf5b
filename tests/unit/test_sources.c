/* Bad input through the real sources, the past of a log, and drops that nothing settles. SPEC 10.5
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_reader.h"
#include "helper_sources.h"
#include "node/ingest/archive.h"
#include "node/ingest/tail.h"

/* Reads FOLDER/mail.log to what is its end now. */
static const char *run(struct stage *stage, unsigned until)
{
    const char *paths[] = {stage_path(stage, "mail.log")};

    stage_run(stage, paths, 1, until, until ? 8000 : 600);
    return stage_take(stage);
}

/* ---- bad input ------------------------------------------------------------------------------ */

static void binary_rubbish_between_lines(void **state)
{
    struct stage *stage = *state;
    static char rubbish[300000];

    stage->from_start = true;
    srand(1);
    for (size_t i = 0; i < sizeof rubbish; i++)
        rubbish[i] = (char)(rand() >> 5);
    rubbish[sizeof rubbish - 1] = '\n';
    stage_fail(stage, "mail.log", 1);
    stage_write(stage, "mail.log", "a", rubbish, sizeof rubbish);
    stage_fail(stage, "mail.log", 2);
    assert_string_equal(run(stage, 2), "198.51.100.1 1|198.51.100.2 1|");
}

/* A log that is far behind must not keep the loop for itself: 128 KiB a turn. */
static void a_backlog_leaves_the_loop_to_others(void **state)
{
    static char much[4 << 20];
    struct stage *stage = *state;
    const char *path = stage_path(stage, "log");

    for (size_t at = 0; at < sizeof much; at += 64) {
        memset(much + at, 'x', 63);
        much[at + 63] = '\n';
    }
    stage_write(stage, "log", "w", much, sizeof much);
    stage_fail(stage, "log", 7);
    stage->from_start = true;
    stage_run(stage, &path, 1, 1, 20000);
    assert_string_equal(stage_take(stage), "198.51.100.7 1|");
    assert_true(stage->turns >= (4 << 20) / (128 << 10));
}

static void a_line_of_a_megabyte(void **state)
{
    struct stage *stage = *state;
    char *text = malloc(1 << 20);

    assert_non_null(text);
    stage->from_start = true;
    memset(text, 'x', 1 << 20);
    stage_fail(stage, "mail.log", 1);
    stage_write(stage, "mail.log", "a", text, 1 << 20);
    stage_fail(stage, "mail.log", 66); /* the end of the long line: never a line of its own */
    stage_fail(stage, "mail.log", 2);
    free(text);
    assert_string_equal(run(stage, 2), "198.51.100.1 1|198.51.100.2 1|");
    assert_int_equal(stage->status[0].counters.skipped, 1);
}

static void nul_bytes_in_a_line(void **state)
{
    struct stage *stage = *state;
    static const char zeros[5000];
    const char *line = stage_line(66);

    stage->from_start = true;
    stage_fail(stage, "mail.log", 1);
    /* A hole that a crash of the host left: the line begins inside it. */
    stage_write(stage, "mail.log", "a", zeros, sizeof zeros);
    stage_write(stage, "mail.log", "a", line, strlen(line));
    stage_fail(stage, "mail.log", 2);
    assert_string_equal(run(stage, 2), "198.51.100.1 1|198.51.100.2 1|");
}

static void the_rest(struct stage *stage)
{
    const char *line = stage->context;

    assert_int_equal(stage->readings, 0);
    stage_write(stage, "mail.log", "a", line + 60, strlen(line + 60));
}

static void half_a_line_at_the_end_waits_for_the_rest(void **state)
{
    struct stage *stage = *state;
    char line[256];

    stage->from_start = true;
    strcpy(line, stage_line(1));
    stage_write(stage, "mail.log", "a", line, 60);
    assert_string_equal(run(stage, 0), "");
    assert_int_equal(stage->positions[0].offset, 0); /* a restart reads it whole */
    stage->context = line;
    stage->act = the_rest;
    assert_string_equal(run(stage, 1), "198.51.100.1 1|");
}

/* A failure of ten seconds ago. */
static void fail_before(const struct stage *stage, unsigned n)
{
    time_t then = time(NULL) - 10;
    const char *line = stage_line(n);
    char stamp[16];
    struct tm tm;

    strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", gmtime_r(&then, &tm));
    stage_write(stage, "mail.log", "a", stamp, 15);
    stage_write(stage, "mail.log", "a", line + 15, strlen(line + 15));
}

static void shrink(struct stage *stage)
{
    assert_int_equal(truncate(stage_path(stage, "mail.log"), 400), 0);
    stage_write(stage, "mail.log", "a", "\n", 1);
    stage_fail(stage, "mail.log", 2);
}

/* The failure in the part that stays does not count again; what comes behind it does. */
static void a_log_that_shrinks(void **state)
{
    struct stage *stage = *state;

    stage->from_start = true;
    fail_before(stage, 1);
    fail_before(stage, 3);
    for (int i = 0; i < 500; i++)
        stage_write(stage, "mail.log", "a", "x\n", 2);
    fail_before(stage, 4);
    stage->act = shrink;
    assert_string_equal(run(stage, 4),
                        "198.51.100.1 1|198.51.100.3 1|198.51.100.4 1|198.51.100.2 1|");
}

static void a_directory_is_no_log(void **state)
{
    struct stage *stage = *state;

    assert_int_equal(mkdir(stage_path(stage, "mail.log"), 0700), 0);
    assert_string_equal(run(stage, 0), "");
    assert_int_equal(stage->status[0].state, GV_SOURCE_NOT_A_FILE);
    assert_int_equal(rmdir(stage_path(stage, "mail.log")), 0);
    stage_fail(stage, "mail.log", 1); /* what comes in its place is new */
    assert_string_equal(run(stage, 1), "198.51.100.1 1|");
}

static void allow(struct stage *stage)
{
    assert_int_equal(chmod(stage_path(stage, "mail.log"), 0644), 0);
}

static void no_permission_yet(void **state)
{
    struct stage *stage = *state;
    const struct passwd *nobody = getpwnam("nobody");

    if (geteuid() != 0 || !nobody) {
        print_message("root may read everything or is needed to become nobody: SKIPPED\n");
        skip();
    }
    assert_int_equal(chmod(stage->folder, 0755), 0);
    stage->from_start = true;
    stage_fail(stage, "mail.log", 1);
    assert_int_equal(chown(stage_path(stage, "mail.log"), nobody->pw_uid, (gid_t)-1), 0);
    assert_int_equal(chmod(stage_path(stage, "mail.log"), 0), 0);
    assert_int_equal(seteuid(nobody->pw_uid), 0);
    const char *got = run(stage, 0);
    assert_string_equal(got, "");
    assert_int_equal(stage->status[0].state, GV_SOURCE_DENIED);
    assert_int_equal(stage->status[0].error, EACCES);
    stage->act = allow;
    got = run(stage, 1);
    assert_int_equal(seteuid(0), 0);
    assert_string_equal(got, "198.51.100.1 1|");
}

/* The clock that the reader is handed jumps; stamps without a year follow it. */
static void a_clock_that_jumps_both_ways(void **state)
{
    static const struct {
        const char *stamp;
        int64_t now; /* seconds from noon on November 22nd */
        int64_t at;
    } cases[] = {
        {"Nov 22 12:00:00", 0, 0},
        {"Nov 22 15:00:00", 3 * 3600, 3 * 3600}, /* put forward by three hours */
        {"Nov 22 12:00:05", 5, 5},               /* and back */
        {"Nov 22 11:00:05", -3595, -3595},       /* the hour that comes twice */
        {"Dec 31 23:59:59", 39 * 86400 + 43199, 39 * 86400 + 43199},
        {"Jan  1 00:00:00", 39 * 86400 + 43200, 39 * 86400 + 43200},
        {"Dec 31 23:59:58", 39 * 86400 + 43198, 39 * 86400 + 43198}, /* back over the new year */
        {"Nov 22 12:09:00", 0, 540},                /* ahead of us, within the grace */
        {"Nov 22 12:20:00", 0, 1200 - 365 * 86400}, /* beyond: last year's, so no news */
    };
    struct gv_reader_config config = {.ahead_ms = 600000};
    struct gv_reader *reader = gv_reader_new(&config);
    struct gv_reading out[GV_READINGS_MAX];
    char line[300];

    (void)state;
    assert_non_null(reader);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(line, sizeof line, "%s%s", cases[i].stamp, strstr(stage_line(1), " vm "));
        size_t n = gv_reader_line(reader, out, line, strlen(line) - 1,
                                  (uint64_t)((int64_t)FED_NOW_MS + cases[i].now * 1000));
        assert_int_equal(n, 1);
        assert_int_equal((int64_t)out[0].observation.unix_ms - (int64_t)FED_NOW_MS,
                         cases[i].at * 1000);
    }
    gv_reader_free(reader);
}

/* ---- drops that nothing settles ------------------------------------------------------------- */

#define SMTPD(pid, text) "Nov 22 11:59:00 vm postfix/smtpd[" pid "]: " text
#define DROP(pid)        SMTPD(pid, "lost connection after AUTH from unknown[198.51.100." pid "]")

static size_t feed(struct gv_reader *reader, const char *line, uint64_t now_ms)
{
    struct gv_reading out[GV_READINGS_MAX];

    return gv_reader_line(reader, out, line, strlen(line), now_ms);
}

static void a_drop_is_settled_after_a_minute(void **state)
{
    struct gv_reader_config config = {0};
    struct gv_reader *reader = gv_reader_new(&config);
    struct gv_reading out[GV_READINGS_MAX];
    uint64_t now = FED_NOW_MS;
    char line[200];

    (void)state;
    assert_non_null(reader);
    assert_int_equal(gv_reader_settle(reader, out, now), 0);
    assert_int_equal(feed(reader, DROP("1"), now), 0);
    assert_int_equal(feed(reader, DROP("2"), now + 30000), 0);
    assert_int_equal(gv_reader_settle(reader, out, now + GV_DROP_WAIT_MS - 1000), 0);
    assert_int_equal(gv_reader_settle(reader, out, now + GV_DROP_WAIT_MS), 1);
    assert_int_equal(out[0].address.bytes[3], 1);
    assert_int_equal(out[0].observation.kind, GV_KIND_ABORTED);
    assert_int_equal(out[0].observation.attempts, 1);
    assert_int_equal(out[0].observation.unix_ms, FED_NOW_MS - 60000); /* when it happened */
    assert_int_equal(gv_reader_settle(reader, out, now + GV_DROP_WAIT_MS), 0);
    /* The disconnect line comes after all: it is the same attempt. */
    assert_int_equal(feed(reader,
                          SMTPD("1", "disconnect from unknown[198.51.100.1] auth=0/1 commands=0/1"),
                          now + 61000),
                     0);
    assert_int_equal(gv_reader_settle(reader, out, now + 90000), 1);
    assert_int_equal(out[0].address.bytes[3], 2);
    assert_int_equal(gv_reader_settle(reader, out, now + 900000), 0);
    assert_int_equal(gv_reader_counters(reader)->failures, 2);

    /* More than one call gives; and the clock is put back: nothing waits for it to come again. */
    for (int i = 0; i < 100; i++) {
        snprintf(line, sizeof line,
                 "Nov 22 11:59:00 vm postfix/smtpd[%d]: lost connection after AUTH from "
                 "unknown[198.51.100.9]",
                 1000 + i);
        assert_int_equal(feed(reader, line, now), 0);
    }
    size_t total = 0, n;
    while ((n = gv_reader_settle(reader, out, now - 3600000)) > 0)
        total += n;
    assert_int_equal(total, 100);
    gv_reader_free(reader);
}

/* ---- the past ------------------------------------------------------------------------------- */

static void pack(const struct stage *stage, const char *name)
{
    stage_shell("gzip '%s'", stage_path(stage, name));
}

static void move(const struct stage *stage, const char *from, const char *to)
{
    assert_int_equal(rename(stage_path(stage, from), stage_path(stage, to)), 0);
}

static void rotated_and_compressed_while_nobody_looked(void **state)
{
    struct stage *stage = *state;

    stage->from_start = true;
    stage_fail(stage, "mail.log", 1);
    assert_string_equal(run(stage, 1), "198.51.100.1 1|");
    stage_fail(stage, "mail.log", 2);
    usleep(30000);
    move(stage, "mail.log", "mail.log.1");
    stage_fail(stage, "mail.log", 3);
    usleep(30000);
    pack(stage, "mail.log.1");
    move(stage, "mail.log.1.gz", "mail.log.2.gz");
    move(stage, "mail.log", "mail.log.1");
    stage_fail(stage, "mail.log", 4);
    assert_string_equal(run(stage, 3), "198.51.100.2 1|198.51.100.3 1|198.51.100.4 1|");
    assert_string_equal(run(stage, 0), "");
    /* All of them compressed, and the log itself not there yet. */
    stage_fail(stage, "mail.log", 5);
    usleep(30000);
    move(stage, "mail.log", "mail.log.0");
    pack(stage, "mail.log.0");
    assert_string_equal(run(stage, 1), "198.51.100.5 1|");
    assert_string_equal(run(stage, 0), "");
    stage_fail(stage, "mail.log", 6);
    assert_string_equal(run(stage, 1), "198.51.100.6 1|");
}

static void copied_and_truncated_while_nobody_looked(void **state)
{
    struct stage *stage = *state;

    stage->from_start = true;
    stage_fail(stage, "mail.log", 1);
    assert_string_equal(run(stage, 1), "198.51.100.1 1|");
    stage_fail(stage, "mail.log", 2);
    usleep(30000);
    stage_shell("cp '%s' '%s'", stage_path(stage, "mail.log"), stage_path(stage, "mail.log.1"));
    assert_int_equal(truncate(stage_path(stage, "mail.log"), 0), 0);
    usleep(1100000); /* another second, another first line */
    stage_fail(stage, "mail.log", 3);
    stage_fail(stage, "mail.log", 4);
    stage_fail(stage, "mail.log", 5);
    assert_string_equal(run(stage, 4),
                        "198.51.100.2 1|198.51.100.3 1|198.51.100.4 1|198.51.100.5 1|");
}

static void an_awaited_log_that_came_while_nobody_looked(void **state)
{
    struct stage *stage = *state;

    assert_string_equal(run(stage, 0), "");
    stage_fail(stage, "mail.log", 1);
    assert_string_equal(run(stage, 1), "198.51.100.1 1|");
    assert_string_equal(run(stage, 0), "");
}

static void other_files_beside_the_log_are_not_read(void **state)
{
    struct stage *stage = *state;

    stage->from_start = true;
    stage_fail(stage, "mail.log.3", 91); /* older than anything that was read */
    usleep(1100000);
    stage_fail(stage, "mail.log", 1);
    assert_string_equal(run(stage, 1), "198.51.100.1 1|");
    usleep(30000);
    move(stage, "mail.log", "mail.log.1");
    stage_fail(stage, "mail.log", 2);
    stage_fail(stage, "mail.logger", 92);
    stage_shell("cp '%s' '%s'", stage_path(stage, "mail.log.1"),
                stage_path(stage, "mail.log.bak")); /* a copy of what was read */
    stage_shell("cp '%s' '%s'", stage_path(stage, "mail.log.3"),
                stage_path(stage, "mail.log.old")); /* written to now, begun long ago */
    stage_write(stage, "mail.log.gz", "w", "\x1f\x8brubbish", 9);
    stage_write(stage, "mail.log.x.gz", "w", "", 0);
    assert_string_equal(run(stage, 1), "198.51.100.2 1|");
    assert_string_equal(run(stage, 0), "");
}

static void a_compressed_generation_that_is_cut_short(void **state)
{
    struct stage *stage = *state;
    struct stat st;

    stage->from_start = true;
    stage_fail(stage, "mail.log", 1);
    assert_string_equal(run(stage, 1), "198.51.100.1 1|");
    for (int i = 0; i < 2000; i++)
        stage_write(stage, "mail.log", "a", stage_line(2), strlen(stage_line(2)));
    usleep(30000);
    move(stage, "mail.log", "mail.log.1");
    pack(stage, "mail.log.1");
    assert_int_equal(stat(stage_path(stage, "mail.log.1.gz"), &st), 0);
    assert_int_equal(truncate(stage_path(stage, "mail.log.1.gz"), st.st_size / 2), 0);
    usleep(1100000);
    stage_fail(stage, "mail.log", 3);
    const char *paths[] = {stage_path(stage, "mail.log")};
    stage_run(stage, paths, 1, 0, 3000);
    const char *got = stage_take(stage);
    assert_non_null(strstr(got, "198.51.100.2 1|"));
    assert_non_null(strstr(got, "198.51.100.3 1|")); /* and on with the next */
    assert_int_equal(stage->status[0].damages, 1);
}

/* ---- archives ------------------------------------------------------------------------------- */

static size_t unpack(struct stage *stage, const char *name, int *error)
{
    FILE *f = fopen(stage_path(stage, name), "r");
    struct gv_archive *archive;
    char block[1000];
    size_t total = 0;
    ssize_t n;

    assert_non_null(f);
    int fd = dup(fileno(f));
    fclose(f);
    assert_int_equal(gv_archive_open(&archive, fd), 0);
    while ((n = gv_archive_read(archive, block, sizeof block)) > 0)
        total += (size_t)n;
    *error = (int)-n;
    assert_int_equal(gv_archive_read(archive, block, sizeof block), n); /* it stays so */
    gv_archive_free(archive);
    return total;
}

static void archives_of_all_sorts(void **state)
{
    struct stage *stage = *state;
    static char text[200000];
    struct stat st;
    int error;

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + (rand() >> 7) % 23);
    stage_write(stage, "plain", "w", text, sizeof text);
    stage_shell("cd '%s' && gzip -nk plain && cat plain.gz plain.gz > twice && "
                "(cat plain.gz; head -c 1000 /dev/zero) > padded && head -c 3000 plain.gz > cut && "
                "head -c 1 plain.gz > byte && head -c 2 plain.gz > magic && : > empty && "
                "(head -c 10 plain.gz; head -c 3000 /dev/zero | tr '\\000' '\\377') > broken && "
                "cp plain.gz wrong && "
                "mv plain.gz name",
                stage->folder);
    assert_int_equal(stat(stage_path(stage, "wrong"), &st), 0);
    FILE *f = fopen(stage_path(stage, "wrong"), "r+"); /* the checksum at its end */
    assert_non_null(f);
    fseek(f, -8, SEEK_END);
    fputc('x', f);
    fputc('y', f);
    fclose(f);
    static const struct {
        const char *name;
        size_t size; /* SIZE_MAX: some */
        int error;
    } cases[] = {
        {"plain", sizeof text, 0},     {"name", sizeof text, 0},
        {"twice", 2 * sizeof text, 0}, {"padded", sizeof text, 0},
        {"cut", SIZE_MAX, ENODATA},    {"byte", 1, 0},
        {"magic", 0, ENODATA},         {"empty", 0, 0},
        {"broken", SIZE_MAX, EBADMSG}, {"wrong", SIZE_MAX, EBADMSG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = unpack(stage, cases[i].name, &error);

        if (error != cases[i].error || (cases[i].size != SIZE_MAX && size != cases[i].size))
            fail_msg("%s: %zu bytes, %s", cases[i].name, size, strerror(error));
    }
}

static long peak_kb(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[200];
    long kb = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        (void)sscanf(line, "VmRSS: %ld", &kb);
    fclose(f);
    return kb;
}

static void a_bomb_costs_no_memory(void **state)
{
    struct stage *stage = *state;
    int error;

    stage_shell("head -c 300000000 /dev/zero | gzip -1 > '%s'", stage_path(stage, "bomb"));
    long before = peak_kb();
    assert_int_equal(unpack(stage, "bomb", &error), 300000000);
    assert_int_equal(error, 0);
    assert_true(peak_kb() - before < 4000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_open, stage_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(binary_rubbish_between_lines),
        TEST(a_backlog_leaves_the_loop_to_others),
        TEST(a_line_of_a_megabyte),
        TEST(nul_bytes_in_a_line),
        TEST(half_a_line_at_the_end_waits_for_the_rest),
        TEST(a_log_that_shrinks),
        TEST(a_directory_is_no_log),
        TEST(no_permission_yet),
        TEST(a_clock_that_jumps_both_ways),
        TEST(a_drop_is_settled_after_a_minute),
        TEST(rotated_and_compressed_while_nobody_looked),
        TEST(copied_and_truncated_while_nobody_looked),
        TEST(an_awaited_log_that_came_while_nobody_looked),
        TEST(other_files_beside_the_log_are_not_read),
        TEST(a_compressed_generation_that_is_cut_short),
        TEST(archives_of_all_sorts),
        TEST(a_bomb_costs_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
