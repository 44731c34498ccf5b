#include "node/ingest/timestamp.h"

#include <string.h>
#include <time.h>

#include "node/ingest/words.h"

uint64_t gv_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool digits(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!gv_is_digit(text[i]))
            return false;
    return true;
}

static int number(const char *text, size_t n)
{
    int value = 0;

    for (size_t i = 0; i < n; i++)
        value = 10 * value + (text[i] - '0');
    return value;
}

static bool clock_time(const char *t) /* "02:36:17" */
{
    return digits(t, 2) && t[2] == ':' && digits(t + 3, 2) && t[5] == ':' && digits(t + 6, 2);
}

/* The end of an optional fraction of at most nine digits that starts at `at`. */
static size_t after_fraction(const char *text, size_t len, size_t at)
{
    size_t n = 0;

    if (at >= len || (text[at] != '.' && text[at] != ','))
        return at;
    while (at + 1 + n < len && n < 9 && gv_is_digit(text[at + 1 + n]))
        n++;
    return n ? at + 1 + n : at;
}

static size_t after_zone(const char *text, size_t len, size_t at)
{
    if (at < len && (text[at] == 'Z' || text[at] == 'z'))
        return at + 1;
    /* Exim's log_timezone puts a blank in front; no host is called "+0100". */
    if (at + 7 <= len && text[10] == ' ' && text[at] == ' ' && text[at + 6] == ' ' &&
        (text[at + 1] == '+' || text[at + 1] == '-') && digits(text + at + 2, 4))
        return at + 6;
    if (at + 5 > len || (text[at] != '+' && text[at] != '-') || !digits(text + at + 1, 2))
        return at;
    if (digits(text + at + 3, 2))
        return at + 5;
    if (at + 6 <= len && text[at + 3] == ':' && digits(text + at + 4, 2))
        return at + 6;
    return at;
}

static int month_of(const char *t)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++)
        if (names[3 * i] == t[0] && names[3 * i + 1] == t[1] && names[3 * i + 2] == t[2])
            return i;
    return -1;
}

bool gv_stamp_find(struct gv_stamp *out, const char *text, size_t len)
{
    size_t end;

    out->text = text;
    if (len < 16)
        return false;
    if (text[3] == ' ' && text[6] == ' ' && gv_is_digit(text[5]) &&
        (gv_is_digit(text[4]) || text[4] == ' ') && clock_time(text + 7)) {
        out->form = GV_STAMP_RFC3164;
        end = after_fraction(text, len, 15);
    } else if (len >= 20 && digits(text, 4) && text[4] == '-' && digits(text + 5, 2) &&
               text[7] == '-' && digits(text + 8, 2) && (text[10] == 'T' || text[10] == ' ') &&
               clock_time(text + 11)) {
        out->form = GV_STAMP_ISO;
        end = after_zone(text, len, after_fraction(text, len, 19));
    } else {
        return false;
    }
    if (end >= len || text[end] != ' ' || end >= GV_STAMP_MAX)
        return false;
    out->len = (uint8_t)end;
    return true;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month < 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month < 2 ? 10 : -2)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool valid_date(int year, int month, int day)
{
    static const uint8_t lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (month < 0 || month > 11 || day < 1)
        return false;
    return day <= lengths[month] + (month == 1 && leap(year));
}

struct fields {
    int year, month, day, hour, minute, second, millis;
    int zone_minutes;
    bool zoned;
    size_t zone_at; /* behind the fraction */
};

static int fraction_millis(const char *text, size_t len)
{
    int value = 0;

    for (size_t i = 1; i <= 3; i++)
        value = 10 * value + (i < len ? text[i] - '0' : 0);
    return value;
}

static void take_zone(struct fields *f, const char *zone, size_t len)
{
    if (len > 0 && zone[0] == ' ') {
        zone++;
        len--;
    }
    f->zoned = len > 0;
    if (len < 5)
        return; /* Z, or none */
    int minutes = 60 * number(zone + 1, 2) + number(zone + len - 2, 2);
    f->zone_minutes = zone[0] == '-' ? -minutes : minutes;
}

static bool take_fields(struct fields *f, const struct gv_stamp *stamp)
{
    const char *t = stamp->text;
    const char *clock_at = t + 7;
    size_t rest = 15;

    memset(f, 0, sizeof *f);
    if (stamp->form == GV_STAMP_ISO) {
        f->year = number(t, 4);
        f->month = number(t + 5, 2) - 1;
        f->day = number(t + 8, 2);
        clock_at = t + 11;
        rest = 19;
    } else {
        f->month = month_of(t);
        f->day = number(t + 4 + (t[4] == ' '), t[4] == ' ' ? 1 : 2);
    }
    f->hour = number(clock_at, 2);
    f->minute = number(clock_at + 3, 2);
    f->second = number(clock_at + 6, 2);
    size_t zone = after_fraction(t, stamp->len, rest);
    f->zone_at = zone;
    if (zone > rest)
        f->millis = fraction_millis(t + rest, zone - rest);
    if (stamp->form == GV_STAMP_ISO)
        take_zone(f, t + zone, stamp->len - zone);
    /* 60: a leap second. */
    return f->month >= 0 && f->hour < 24 && f->minute < 60 && f->second <= 60 &&
           f->zone_minutes > -1440 && f->zone_minutes < 1440;
}

/* Clocks are changed, and zones differ, at whole quarters of an hour. */
#define QUARTER 15

static int64_t in_minute(const struct fields *f)
{
    return f->second * 1000 + f->millis;
}

/* Local time at `unix_s`, as seconds since 1970 of a clock that is never changed. */
static int64_t wall_at(int64_t unix_s)
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    if (!localtime_r(&t, &tm))
        return unix_s;
    return ((days_of(tm.tm_year + 1900, tm.tm_mon, tm.tm_mday) * 24 + tm.tm_hour) * 60 +
            tm.tm_min) *
               60 +
           tm.tm_sec;
}

#define DAY_S 86400

/* When the quarter that the fields are in begins, by the process's TZ. Where the clock is put back
 * it comes twice: *again_ms is the second time, or equal. Whether the C library calls either of
 * them summer time says nothing: Ireland's winter is. So both are made of the zone's differences
 * from UTC a day before and a day after, as no zone changes twice in two days. */
static int64_t local_quarter(int64_t *again_ms, const struct fields *f)
{
    int64_t wall = ((days_of(f->year, f->month, f->day) * 24 + f->hour) * 60 + f->minute -
                    f->minute % QUARTER) *
                   60;
    int64_t before = wall - (wall_at(wall - DAY_S) - (wall - DAY_S));
    int64_t after = wall - (wall_at(wall + DAY_S) - (wall + DAY_S));

    bool is_before = wall_at(before) == wall, is_after = wall_at(after) == wall;
    /* A time that the clock jumps over is of a program that has not heard of the change. */
    int64_t first = is_before || !is_after ? before : after;

    *again_ms = (is_before && is_after ? after : first) * 1000;
    return first * 1000;
}

/* No later than latest_ms where the quarter comes twice and the first time is not later. */
static int64_t zoneless_minute(struct gv_clock *clock, const struct fields *f, int64_t latest_ms)
{
    const int key[5] = {f->year, f->month, f->day, f->hour, f->minute / QUARTER};
    int64_t offset = f->minute % QUARTER * 60000, first, again;

    if (clock->quarter_known && !clock->quarter_double &&
        memcmp(clock->quarter_key, key, sizeof key) == 0)
        return clock->quarter_ms + offset;
    first = local_quarter(&again, f);
    memcpy(clock->quarter_key, key, sizeof key);
    clock->quarter_known = true;
    clock->quarter_double = again != first;
    /* In the doubled hour the earlier reading holds until the log has moved past it. */
    bool past = clock->last_ms != 0 && first + offset + 60000 <= (int64_t)clock->last_ms &&
                again + offset + in_minute(f) <= latest_ms;
    clock->quarter_ms = past ? again : first;
    return clock->quarter_ms + offset;
}

static int64_t fields_ms(struct gv_clock *clock, const struct fields *f, int64_t latest_ms)
{
    int64_t minute;

    if (f->zoned)
        minute = ((days_of(f->year, f->month, f->day) * 24 + f->hour) * 60 + f->minute -
                  f->zone_minutes) *
                 60000;
    else
        minute = zoneless_minute(clock, f, latest_ms);
    return minute + in_minute(f);
}

/* The latest year that puts the stamp no later than now. Nine tries back reach a 29 February over
 * the century that has none. *sure: so it is for all of the stamp's minute that is no later. */
static bool infer_year(struct gv_clock *clock, int64_t *ms, bool *sure, struct fields *f,
                       uint64_t now_ms)
{
    uint64_t latest = now_ms + clock->ahead_ms;

    *sure = true;

    if (clock->year_now == 0 || clock->year_second != latest / 1000) {
        time_t seconds = (time_t)(latest / 1000);
        struct tm tm;
        if (!localtime_r(&seconds, &tm))
            return false;
        clock->year_now = tm.tm_year + 1900;
        clock->year_second = latest / 1000;
    }
    for (int back = 0; back <= 8; back++) {
        f->year = clock->year_now - back;
        if (!valid_date(f->year, f->month, f->day))
            continue;
        *ms = fields_ms(clock, f, (int64_t)latest);
        if (*ms <= (int64_t)latest)
            return true;
        *sure &= !clock->quarter_double && *ms - in_minute(f) > (int64_t)latest;
    }
    return false;
}

/* "Nov 21 10:10:17" */
#define SECOND_LEN 15

static void keep_second(struct gv_clock *clock, const struct gv_stamp *stamp)
{
    if (stamp->len != SECOND_LEN) {
        clock->second_text[0] = clock->second_text[1] = 0;
        return;
    }
    memcpy(&clock->second_text[0], stamp->text, 8);
    memcpy(&clock->second_text[1], stamp->text + SECOND_LEN - 8, 8);
}

/* The stamp of a line is mostly of the minute of the one before: the same but for its seconds and
 * fraction. A stamp without a year may change its meaning as `now` moves on, so that must be the
 * same for it; a second of `now` makes no difference to a second of the stamp. */
static bool same_minute(struct gv_clock *clock, uint64_t *out_ms, const struct gv_stamp *stamp,
                        uint64_t now_ms)
{
    const char *t = stamp->text, *last = clock->last_text;
    bool iso = stamp->form == GV_STAMP_ISO;
    size_t at = iso ? 17 : 13, zone_at = clock->zone_at;

    if (stamp->len != clock->last_len || (!iso && now_ms / 1000 != clock->last_now_ms / 1000))
        return false;
    if (!clock->minute_sure) {
        *out_ms = clock->last_ms;
        return memcmp(t, last, stamp->len) == 0;
    }
    if (stamp->len == SECOND_LEN && memcmp(t, &clock->second_text[0], 8) == 0 &&
        memcmp(t + SECOND_LEN - 8, &clock->second_text[1], 8) == 0) {
        *out_ms = clock->last_ms; /* neighbours mostly share the second, too */
        return *out_ms <= now_ms + clock->ahead_ms;
    }
    if (memcmp(t, last, 8) != 0 || memcmp(t + at - 9, last + at - 9, 8) != 0)
        return false; /* then it differs in front of the seconds */
    for (size_t i = zone_at; i < stamp->len; i++)
        if (t[i] != last[i])
            return false;
    unsigned ms = 0, second = (unsigned)number(t + at, 2), unit = 100;
    if (zone_at > at + 2 && t[at + 2] != last[at + 2])
        return false;
    for (size_t i = at + 3; i < zone_at; i++) {
        if (!gv_is_digit(t[i]))
            return false;
        ms += unit * (unsigned)(t[i] - '0');
        unit /= 10;
    }
    *out_ms = clock->minute_ms + 1000 * second + ms;
    return second < 60 && (iso || *out_ms <= now_ms + clock->ahead_ms);
}

bool gv_clock_convert(struct gv_clock *clock, uint64_t *out_ms, const struct gv_stamp *stamp,
                      uint64_t now_ms)
{
    struct fields f;
    int64_t ms;
    bool sure = true;

    if (stamp->form == GV_STAMP_NONE) {
        *out_ms = now_ms;
        return true;
    }
    if (same_minute(clock, out_ms, stamp, now_ms)) {
        clock->last_ms = *out_ms;
        keep_second(clock, stamp);
        return true;
    }
    if (!take_fields(&f, stamp))
        return false;
    if (stamp->form == GV_STAMP_ISO) {
        if (f.year < 1970 || !valid_date(f.year, f.month, f.day))
            return false;
        ms = fields_ms(clock, &f, INT64_MAX);
    } else if (!infer_year(clock, &ms, &sure, &f, now_ms)) {
        return false;
    }
    if (ms < 0)
        return false;
    *out_ms = (uint64_t)ms;
    clock->last_ms = (uint64_t)ms;
    clock->last_now_ms = now_ms;
    clock->last_len = stamp->len;
    memcpy(clock->last_text, stamp->text, stamp->len);
    keep_second(clock, stamp);
    clock->zone_at = (uint8_t)f.zone_at;
    clock->minute_ms = (uint64_t)(ms - in_minute(&f));
    clock->minute_sure = sure && f.second < 60 && (f.zoned || !clock->quarter_double);
    return true;
}
