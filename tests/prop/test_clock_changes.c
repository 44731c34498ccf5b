/* Stamps without a zone around every change of every clock of tzdata in a year (SPEC 10.1): of two
 * readings the first, until the log has moved past it, whatever of the two is called summer time;
 * with the remembered minute and quarter of an hour, and without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>
#include <time.h>

#include "node/ingest/timestamp.h"

#define ZONES  "/usr/share/zoneinfo"
#define YEAR_S 1767225600 /* 2026-01-01T00:00:00Z */
#define DAY_S  86400
#define WEEK_S (7 * DAY_S)

static long offset_at(int64_t unix_s)
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    assert_non_null(localtime_r(&t, &tm));
    return tm.tm_gmtoff;
}

static uint64_t read_at(struct gv_clock *clock, int64_t unix_s, bool iso, int64_t now_s)
{
    time_t t = (time_t)unix_s;
    struct gv_stamp stamp;
    struct tm tm;
    uint64_t ms;
    char text[64];

    assert_non_null(localtime_r(&t, &tm));
    strftime(text, sizeof text, iso ? "%Y-%m-%d %H:%M:%S " : "%b %e %H:%M:%S ", &tm);
    assert_true(gv_stamp_find(&stamp, text, strlen(text)));
    assert_true(gv_clock_convert(clock, &ms, &stamp, (uint64_t)now_s * 1000));
    return ms / 1000;
}

static const char *zone_name;

static void same(const char *what, uint64_t is, int64_t wanted)
{
    if (is != (uint64_t)wanted)
        fail_msg("%s: %s: %lld, not %lld", zone_name, what, (long long)is, (long long)wanted);
}

/* The second at which the offset changes, between a and b. */
static int64_t change_between(int64_t a, int64_t b)
{
    while (b - a > 1) {
        int64_t middle = a + (b - a) / 2;
        if (offset_at(middle) == offset_at(a))
            a = middle;
        else
            b = middle;
    }
    return b;
}

#define STEP_S 23 /* two or three lines a minute, at all seconds */
#define STEPS  400

/* From two and a half hours before a change to as long after, as a log is written: in order. */
static void walk(int64_t change)
{
    int64_t back = offset_at(change - 1) - offset_at(change); /* how far the clock is put back */
    struct gv_clock followed = {0}, iso = {0}, read_later = {0};

    for (int i = -STEPS; i < STEPS; i++) {
        struct gv_clock fresh = {0}, fresh_iso = {0};
        int64_t t = i < 0 ? change - 1 + STEP_S * (i + 1) : change + STEP_S * i;
        /* What comes for the second time has been before. */
        int64_t first = t >= change && t < change + back ? t - back : t;
        same("followed", read_at(&followed, t, false, t + 1), t);
        same("read later", read_at(&read_later, t, false, change + WEEK_S), t);
        same("with a year", read_at(&iso, t, true, t + 1), t);
        same("by itself", read_at(&fresh, t, false, t + 1), first);
        same("by itself, with a year", read_at(&fresh_iso, t, true, t + 1), first);
        /* The log has moved past the first time, but a line that is late may not be of the second.
         */
        if (back > 300 && t >= change - back + 120 && t < change)
            same("late", read_at(&fresh, t - 100, false, t + 1), t - 100);
    }
}

static unsigned zones, changes, odd;

static int one_zone(const char *path, const struct stat *st, int type, struct FTW *where)
{
    unsigned char magic[4] = {0};

    (void)st, (void)where;
    if (type != FTW_F)
        return 0;
    FILE *file = fopen(path, "re");
    size_t got = file ? fread(magic, 1, sizeof magic, file) : 0;
    if (file)
        fclose(file);
    if (got != sizeof magic || memcmp(magic, "TZif", 4) != 0 || strstr(path, "/right/") ||
        strstr(path, "/posix/"))
        return 0;
    zone_name = path;
    setenv("TZ", path, 1);
    tzset();
    zones++;
    for (int64_t day = YEAR_S; day < YEAR_S + 365 * DAY_S; day += DAY_S) {
        if (offset_at(day) == offset_at(day + DAY_S))
            continue;
        int64_t change = change_between(day, day + DAY_S);
        time_t t = (time_t)change;
        struct tm tm;
        localtime_r(&t, &tm);
        odd += (offset_at(change) < offset_at(change - 1)) == (tm.tm_isdst > 0);
        changes++;
        walk(change);
    }
    return 0;
}

static void every_change_of_every_clock(void **state)
{
    assert_int_equal(nftw(ZONES, one_zone, 16, FTW_PHYS), 0);
    setenv("TZ", "UTC", 1);
    tzset();
    print_message("%u changes in %u zones, %u with summer time in winter\n", changes, zones, odd);
    assert_true(changes > 200); /* or there is no tzdata */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_change_of_every_clock)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
