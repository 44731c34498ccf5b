/* Time stamps: forms, years that are not written, zones, and clocks that are put forward and back
 * (SPEC 10.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "node/ingest/timestamp.h"

/* Unix milliseconds of a UTC time written as ISO; the C library is the oracle. */
static uint64_t utc(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    assert_non_null(rest);
    uint64_t ms = (uint64_t)timegm(&tm) * 1000;
    return *rest == '.' ? ms + strtoull(rest + 1, NULL, 10) : ms;
}

static void zone(const char *name)
{
    setenv("TZ", name, 1);
    tzset();
}

/* The stamp in UTC milliseconds; 0 when it is none. A space follows it in a log. */
static uint64_t read_with(struct gv_clock *clock, const char *text, uint64_t now_ms)
{
    char line[80];
    struct gv_stamp stamp;
    uint64_t ms;

    strcpy(line, text);
    strcat(line, " vm program: text");
    if (!gv_stamp_find(&stamp, line, strlen(line)))
        return 0;
    if (stamp.len != strlen(text))
        return 1; /* another length: the test is wrong or the finder is */
    return gv_clock_convert(clock, &ms, &stamp, now_ms) ? ms : 0;
}

static uint64_t read_once(const char *text, const char *now)
{
    struct gv_clock clock = {0};

    return read_with(&clock, text, utc(now));
}

#define NOW "2026-11-22T12:00:00"

static void forms(void **state)
{
    static const struct {
        const char *text, *utc;
    } cases[] = {
        {"Nov 22 02:36:17", "2026-11-22T02:36:17"},
        {"Nov  2 02:36:17", "2026-11-02T02:36:17"},
        {"Nov 02 02:36:17", "2026-11-02T02:36:17"},
        {"Nov 22 02:36:17.5", "2026-11-22T02:36:17.500"},
        {"2026-11-22T02:41:31.923681+00:00", "2026-11-22T02:41:31.923"},
        {"2026-11-22T02:41:31.9+01:30", "2026-11-22T01:11:31.900"},
        {"2026-11-22T02:41:31-08:00", "2026-11-22T10:41:31"},
        {"2026-11-22T02:41:31Z", "2026-11-22T02:41:31"},
        {"2026-11-22T02:41:31+0100", "2026-11-22T01:41:31"},
        {"2026-11-22T23:59:60Z", "2026-11-23T00:00:00"},
        {"2026-11-22 02:41:31", "2026-11-22T02:41:31"},
        {"2026-11-22 02:41:31,250", "2026-11-22T02:41:31.250"},
        {"2024-02-29T12:00:00Z", "2024-02-29T12:00:00"},
        {"2000-02-29T12:00:00Z", "2000-02-29T12:00:00"},
        {"1970-01-01T00:00:01Z", "1970-01-01T00:00:01"},
        {"2038-01-19T03:14:08Z", "2038-01-19T03:14:08"},
        {"9999-12-31T23:59:59Z", "9999-12-31T23:59:59"},
    };

    zone("UTC");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(read_once(cases[i].text, NOW), utc(cases[i].utc));
}

static void no_times(void **state)
{
    static const char *const cases[] = {
        "Nov 31 02:36:17",      "Nov  0 02:36:17",
        "Foo 22 02:36:17",      "nov 22 02:36:17",
        "Nov 22 24:36:17",      "Nov 22 02:60:17",
        "Nov 22 02:36:61",      "2026-02-29T00:00:00Z",
        "2026-00-10T00:00:00Z", "2026-13-10T00:00:00Z",
        "2026-04-31T00:00:00Z", "2026-04-00T00:00:00Z",
        "1900-02-28T00:00:00Z", "2026-11-22T02:41:31+24:00",
        "1969-12-31T23:59:59Z", "2026-11-22X02:41:31Z",
        "2026-11-22T02:41:3Z",  "26-11-22T02:41:31Z",
        "Nov 22 2:36:17",       "Nov22 02:36:17",
        "1795348800",           "",
    };

    zone("UTC");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (read_once(cases[i], NOW) != 0)
            fail_msg("'%s' was taken for a time", cases[i]);
}

static void the_year_is_the_latest_that_is_not_ahead(void **state)
{
    static const struct {
        const char *text, *now, *utc;
    } cases[] = {
        {"Nov 22 12:00:00", "2026-11-22T12:00:00", "2026-11-22T12:00:00"},
        {"Nov 22 12:00:01", "2026-11-22T12:00:00", "2025-11-22T12:00:01"},
        {"Dec 31 23:59:59", "2027-01-01T00:00:00", "2026-12-31T23:59:59"},
        {"Jan  1 00:00:00", "2027-01-01T00:00:00", "2027-01-01T00:00:00"},
        {"Jan  1 00:00:00", "2026-12-31T23:59:59", "2026-01-01T00:00:00"},
        {"Feb 29 10:00:00", "2026-11-22T12:00:00", "2024-02-29T10:00:00"},
        {"Feb 29 10:00:00", "2024-02-29T09:00:00", "2020-02-29T10:00:00"},
        {"Feb 29 10:00:00", "2103-06-01T00:00:00", "2096-02-29T10:00:00"}, /* 2100 has none */
    };

    zone("UTC");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(read_once(cases[i].text, cases[i].now), utc(cases[i].utc));
}

static void a_log_over_new_year(void **state)
{
    struct gv_clock clock = {0};
    uint64_t now = utc("2027-01-02T12:00:00");

    zone("UTC");
    assert_int_equal(read_with(&clock, "Dec 31 23:59:58", now), utc("2026-12-31T23:59:58"));
    assert_int_equal(read_with(&clock, "Jan  1 00:00:01", now), utc("2027-01-01T00:00:01"));
    assert_int_equal(read_with(&clock, "Dec 31 23:59:58", now), utc("2026-12-31T23:59:58"));
}

static void the_same_stamp_a_year_later_is_another_time(void **state)
{
    struct gv_clock clock = {0};

    zone("UTC");
    assert_int_equal(read_with(&clock, "Nov 22 02:00:00", utc("2026-11-22T02:00:01")),
                     utc("2026-11-22T02:00:00"));
    assert_int_equal(read_with(&clock, "Nov 22 02:00:00", utc("2027-11-22T02:00:01")),
                     utc("2027-11-22T02:00:00"));
    /* and the clock that jumps back a year */
    assert_int_equal(read_with(&clock, "Nov 22 02:00:00", utc("2026-11-22T02:00:01")),
                     utc("2026-11-22T02:00:00"));
}

static void a_host_whose_clock_is_ahead(void **state)
{
    struct gv_clock clock = {.ahead_ms = 600000};
    uint64_t now = utc("2026-11-22T12:00:00");

    zone("UTC");
    assert_int_equal(read_with(&clock, "Nov 22 12:05:00", now), utc("2026-11-22T12:05:00"));
    assert_int_equal(read_with(&clock, "Nov 22 12:10:01", now), utc("2025-11-22T12:10:01"));
}

static void zoneless_stamps_are_of_tz(void **state)
{
    zone("Europe/Berlin");
    assert_int_equal(read_once("Nov 22 02:36:17", NOW), utc("2026-11-22T01:36:17"));
    assert_int_equal(read_once("Jul 22 02:36:17", NOW), utc("2026-07-22T00:36:17"));
    assert_int_equal(read_once("2026-07-22 02:36:17", NOW), utc("2026-07-22T00:36:17"));
    assert_int_equal(read_once("2026-07-22T02:36:17Z", NOW), utc("2026-07-22T02:36:17"));
    zone("America/St_Johns");
    assert_int_equal(read_once("Jan 22 02:36:17", NOW), utc("2026-01-22T06:06:17"));
    zone("Asia/Kathmandu");
    assert_int_equal(read_once("Jan 22 02:36:17", NOW), utc("2026-01-21T20:51:17"));
    /* The year is local, too. */
    zone("Pacific/Auckland");
    assert_int_equal(read_once("Jan  1 00:30:00", "2026-12-31T12:00:00"),
                     utc("2026-12-31T11:30:00"));
    zone("UTC");
}

static void the_hour_that_comes_twice(void **state)
{
    /* Berlin, 2026-10-25: 03:00 CEST becomes 02:00 CET. */
    static const struct {
        const char *text, *utc;
    } story[] = {
        {"Oct 25 01:59:59", "2026-10-24T23:59:59"}, {"Oct 25 02:00:00", "2026-10-25T00:00:00"},
        {"Oct 25 02:30:00", "2026-10-25T00:30:00"}, {"Oct 25 02:59:59", "2026-10-25T00:59:59"},
        {"Oct 25 02:00:00", "2026-10-25T01:00:00"}, {"Oct 25 02:30:00", "2026-10-25T01:30:00"},
        {"Oct 25 02:59:59", "2026-10-25T01:59:59"}, {"Oct 25 03:00:00", "2026-10-25T02:00:00"},
    };
    struct gv_clock clock = {0};

    zone("Europe/Berlin");
    for (size_t i = 0; i < sizeof story / sizeof *story; i++)
        assert_int_equal(read_with(&clock, story[i].text, utc(NOW)), utc(story[i].utc));
    zone("UTC");
}

/* Where the law calls the winter's the changed time (Ireland), or that of Ramadan (Morocco), the
 * second of the two is what the C library calls summer time. */
static void summer_time_in_winter(void **state)
{
    static const struct {
        const char *zone, *text, *utc;
    } story[] = {
        {"Europe/Dublin", "Oct 25 00:59:59", "2026-10-24T23:59:59"},
        {"Europe/Dublin", "Oct 25 01:30:00", "2026-10-25T00:30:00"},
        {"Europe/Dublin", "Oct 25 01:59:59", "2026-10-25T00:59:59"},
        {"Europe/Dublin", "Oct 25 01:00:01", "2026-10-25T01:00:01"},
        {"Europe/Dublin", "Oct 25 01:30:00", "2026-10-25T01:30:00"},
        {"Europe/Dublin", "Oct 25 02:00:00", "2026-10-25T02:00:00"},
        {"Africa/Casablanca", "Feb 15 02:30:00", "2026-02-15T01:30:00"},
        {"Africa/Casablanca", "Feb 15 02:59:59", "2026-02-15T01:59:59"},
        {"Africa/Casablanca", "Feb 15 02:00:01", "2026-02-15T02:00:01"},
        {"Africa/Casablanca", "Feb 15 02:30:00", "2026-02-15T02:30:00"},
        {"Africa/Casablanca", "Mar 22 01:59:59", "2026-03-22T01:59:59"},
        {"Africa/Casablanca", "Mar 22 03:00:00", "2026-03-22T02:00:00"},
    };
    struct gv_clock clock = {0};

    for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
        zone(story[i].zone);
        if (i > 0 && strcmp(story[i].zone, story[i - 1].zone) != 0)
            clock = (struct gv_clock){0};
        assert_int_equal(read_with(&clock, story[i].text, utc(NOW)), utc(story[i].utc));
    }
    zone("Europe/Dublin");
    assert_int_equal(read_once("Oct 25 01:30:00", "2026-10-25T00:31:00"),
                     utc("2026-10-25T00:30:00"));
    zone("UTC");
}

/* A line that comes late is not of the second time while that is yet to come, nor of last year. */
static void a_late_line_in_the_hour_that_comes_twice(void **state)
{
    struct gv_clock clock = {0};

    zone("Europe/Berlin");
    assert_int_equal(read_with(&clock, "Oct 25 02:30:00", utc("2026-10-25T00:30:01")),
                     utc("2026-10-25T00:30:00"));
    assert_int_equal(read_with(&clock, "Oct 25 02:27:00", utc("2026-10-25T00:30:02")),
                     utc("2026-10-25T00:27:00"));
    zone("UTC");
}

static void the_hour_that_does_not_come(void **state)
{
    struct gv_clock clock = {0};

    zone("Europe/Berlin");
    assert_int_equal(read_with(&clock, "Mar 29 01:59:59", utc(NOW)), utc("2026-03-29T00:59:59"));
    assert_int_equal(read_with(&clock, "Mar 29 03:00:00", utc(NOW)), utc("2026-03-29T01:00:00"));
    /* of a program that has not heard of the change */
    assert_int_equal(read_with(&clock, "Mar 29 02:30:00", utc(NOW)), utc("2026-03-29T01:30:00"));
    zone("UTC");
}

/* Property: every minute of a year with a zone reads as the C library has it, through the cache. */
static void every_minute_of_a_year(void **state)
{
    struct gv_clock clock = {0};
    uint64_t now = utc("2026-12-31T23:59:59");

    zone("America/New_York");
    for (uint64_t t = utc("2026-01-01T05:00:00"); t < utc("2026-12-31T12:00:00"); t += 60000) {
        time_t seconds = (time_t)(t / 1000) + (time_t)(t / 60000 % 60);
        struct tm tm;
        char text[32];
        localtime_r(&seconds, &tm);
        strftime(text, sizeof text, "%b %e %H:%M:%S", &tm);
        assert_int_equal(read_with(&clock, text, now), (uint64_t)seconds * 1000);
    }
    zone("UTC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(no_times),
        cmocka_unit_test(the_year_is_the_latest_that_is_not_ahead),
        cmocka_unit_test(a_log_over_new_year),
        cmocka_unit_test(the_same_stamp_a_year_later_is_another_time),
        cmocka_unit_test(a_host_whose_clock_is_ahead),
        cmocka_unit_test(zoneless_stamps_are_of_tz),
        cmocka_unit_test(the_hour_that_comes_twice),
        cmocka_unit_test(summer_time_in_winter),
        cmocka_unit_test(a_late_line_in_the_hour_that_comes_twice),
        cmocka_unit_test(the_hour_that_does_not_come),
        cmocka_unit_test(every_minute_of_a_year),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
