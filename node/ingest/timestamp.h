/* Time stamps of log lines. Finding the stamp is separate from converting it, because nine lines of
 * ten are dropped before their time matters. */
#ifndef GV_INGEST_TIMESTAMP_H
#define GV_INGEST_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gv_stamp_form {
    GV_STAMP_NONE = 0,
    GV_STAMP_RFC3164, /* "Nov 22 02:36:17", perhaps with a fraction: no year, no zone */
    GV_STAMP_ISO      /* "2026-11-22T02:36:17.123456+00:00" and its relatives */
};

/* Borrows from the line. */
struct gv_stamp {
    const char *text;
    uint8_t len;
    uint8_t form; /* enum gv_stamp_form */
};

uint64_t gv_wall_ms(void); /* of this host, against which a stamp is read */

/* Recognises a stamp at the start of `text`. False when there is none. */
bool gv_stamp_find(struct gv_stamp *out, const char *text, size_t len);

#define GV_STAMP_MAX 40

/* Converts stamps; remembers the last with its minute, as most lines share one, and the last
 * quarter of an hour of local time, as asking the C library is a thousand times dearer. */
struct gv_clock {
    uint64_t ahead_ms; /* see gv_reader_config */
    uint64_t last_ms;  /* the last conversion; decides the hour that a clock change doubles */
    uint64_t last_now_ms;
    char last_text[GV_STAMP_MAX];
    uint64_t second_text[2]; /* of last_ms, where it is of RFC 3164 without a fraction; else zero */
    uint8_t last_len;
    uint8_t zone_at;    /* behind its fraction */
    bool minute_sure;   /* what differs from last_text in seconds and fraction is of its minute */
    uint64_t minute_ms; /* when that began */
    int quarter_key[5]; /* year, month, day, hour, quarter of an hour whose start is quarter_ms */
    bool quarter_known;
    bool quarter_double; /* it comes twice: the clock is put back */
    int64_t quarter_ms;
    uint64_t year_second; /* the second whose local year is year_now */
    int year_now;
};

/* Unix milliseconds of a stamp, or false when it names no time (the 31st of June, 25:00). `now_ms`
 * is the latest that a stamp without a year can mean, but for `ahead_ms`. */
bool gv_clock_convert(struct gv_clock *clock, uint64_t *out_ms, const struct gv_stamp *stamp,
                      uint64_t now_ms);

/* How far two moments are from each other, whichever is first: the lines of a log are not always in
 * the order of their stamps. */
static inline uint64_t gv_ms_apart(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

#endif
