/* How long the lines of a program on a host get: a syslogd that cuts them (at 256 bytes, 480, 512,
 * 1024 or whatever) cuts all that are longer. Where a client's words stand in front of his address
 * he could choose what stands at the end of a line that is cut there; one that is shorter than
 * another was not. (SPEC 10.4) */
#ifndef GV_INGEST_LENGTHS_H
#define GV_INGEST_LENGTHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nothing cuts below: of the 256 bytes of the smallest syslogd that there is, with its NUL, "<22>",
 * a stamp of 32 bytes with its blank, and a program with its pid and ": " take less than 75. */
#define GV_LENGTH_SURE 180
/* A cut line's text is longer or shorter than another's by the digits of its pid. */
#define GV_LENGTH_MARGIN 16

/* A syslogd may be replaced by one that cuts sooner, so what was seen is believed on its own day
 * and the next (both of the log's time, in UTC). */

/* Flat memory, all zero at first. Of two programs with one place the last one is known. */
#define GV_LENGTHS 64
struct gv_lengths {
    struct {
        uint32_t who;
        uint32_t day;
        uint32_t longest; /* of that day */
        uint32_t before;  /* of the day before */
    } of[GV_LENGTHS];
};

/* `who`: a hash of host and program; `day`: of the Unix time. An earlier one than was known is
 * taken for that, as the lines of a log are not always in order. */
void gv_lengths_learn(struct gv_lengths *lengths, uint64_t who, size_t len, uint32_t day);
bool gv_lengths_trust(const struct gv_lengths *lengths, uint64_t who, size_t len, uint32_t day);

/* Whether gv_lengths_learn would change what is believed, today or tomorrow. */
bool gv_lengths_is_news(const struct gv_lengths *lengths, uint64_t who, size_t len, uint32_t day);

#endif
