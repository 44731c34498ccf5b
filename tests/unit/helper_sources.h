/* Runs real sources in a loop and says in one text what came out. */
#ifndef GV_TESTS_HELPER_SOURCES_H
#define GV_TESTS_HELPER_SOURCES_H

#include <uv.h>

#include "node/ingest/ingest.h"

#define STAGE_SOURCES 4

struct stage {
    char folder[64];
    uv_loop_t loop;
    uv_timer_t timer;
    struct gv_sources *sources;
    struct gv_syslog_access access;
    bool from_start;
    struct gv_position positions[STAGE_SOURCES];   /* of the last run */
    char cursors[STAGE_SOURCES][GV_CURSOR_MAX];    /* of the last run */
    struct gv_source_status status[STAGE_SOURCES]; /* at the end of the last run */
    unsigned readings;
    unsigned turns;  /* of the loop, in the last run */
    char got[65536]; /* "198.51.100.7 1|": address and attempts ("login") of each reading */
    unsigned until;  /* readings */
    uint64_t end_ms;
    void (*act)(struct stage *stage); /* once, after 100 ms; may be NULL */
    void *context;
};

/* cmocka's setup and teardown: a folder of its own; TZ becomes UTC. */
int stage_open(void **state);
int stage_close(void **state);

/* Follows until `until` readings have come and 400 ms more, or for `ms`. Goes on where the last run
 * has stopped. */
void stage_run(struct stage *stage, const char *const *paths, size_t count, unsigned until,
               uint64_t ms);
/* What came, and forgets it. */
const char *stage_take(struct stage *stage);

/* "FOLDER/NAME"; one of four buffers that take turns. */
const char *stage_path(const struct stage *stage, const char *name);
void stage_write(const struct stage *stage, const char *name, const char *mode, const void *bytes,
                 size_t len);
/* A failed login of Dovecot's, from 198.51.100.N, now. */
void stage_fail(const struct stage *stage, const char *name, unsigned n);
/* The same as text with its newline. */
const char *stage_line(unsigned n);

/* The process's own command; asserts that it succeeds. */
void stage_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
