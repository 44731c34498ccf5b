/* Feeding lines to a log reader and saying in one text what came out. */
#ifndef GV_TESTS_HELPER_READER_H
#define GV_TESTS_HELPER_READER_H

#include <stdio.h>

#include "node/ingest/ingest.h"

#define FED_MAX 1024

struct fed {
    struct gv_reader *reader;
    uint64_t now_ms;
    struct gv_reading list[FED_MAX];
    size_t count;
};

/* The moment that the tests live in: 2026-11-22T12:00:00Z. */
#define FED_NOW_MS 1795348800000u

/* TZ becomes UTC. */
void fed_open(struct fed *fed);
void fed_close(struct fed *fed);
void fed_line(struct fed *fed, const char *line);
void fed_bytes(struct fed *fed, const char *line, size_t len);
void fed_flush(struct fed *fed);

/* "7 198.51.100.7 postfix smtp wrong-password 1 visit": the settling line, and of "visit",
 * "success", "refused" what holds. A success has neither kind nor attempts. */
#define DESCRIBED_MAX 160
void describe(char out[DESCRIBED_MAX], const struct gv_reading *reading);

/* All that came out so far, joined with "; ", and forgets it. The answer lives until the next. */
const char *fed_take(struct fed *fed);

/* What one line alone gives, drops included. The answer lives until the next. */
const char *alone(const char *line);

/* Fails where a line alone gives something else. */
struct line_case {
    const char *line, *expected;
};
void check_lines(const struct line_case *cases, size_t n);
#define CHECK(cases) check_lines((cases), sizeof(cases) / sizeof *(cases))

/* Fails where these lines, up to NULL, give something else. Returns what the reader counted. */
struct gv_reader_counters check_story(const char *expected, const char *const *lines);
#define STORY(expected, ...) check_story((expected), (const char *const[]){__VA_ARGS__, NULL})

/* Fails where what came out of a log is not what the file says: a reading a line, its UTC time of
 * day and its description; empty lines and those with # do not count. Closes the file. */
void check_log(const struct fed *fed, FILE *expected);

#endif
