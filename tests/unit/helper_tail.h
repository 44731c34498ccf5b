/* A desk at which a test plays the writer of a log, and polls with a clock of its own. */
#ifndef GV_TESTS_HELPER_TAIL_H
#define GV_TESTS_HELPER_TAIL_H

#include "node/ingest/tail.h"

struct desk {
    char folder[64];
    char path[96];
    struct gv_tail tail;
    bool open;
    uint64_t now_ms;
    char got[65536]; /* lines joined with '|'; "<long>" for one that was too long */
};

/* cmocka's setup and teardown: a folder of its own. */
int desk_open(void **state);
int desk_close(void **state);

/* A gv_line_taker, whose context is the desk. */
void desk_line(void *context, const char *line, size_t len);

void desk_path(char out[128], const struct desk *desk, const char *name);
void desk_write(struct desk *desk, const char *name, const char *mode, const char *text,
                size_t len);
void desk_append(struct desk *desk, const char *name, const char *text);
void desk_move(struct desk *desk, const char *from, const char *to);
void desk_remove(struct desk *desk, const char *name);

/* Begins to follow, at a position or (NULL) from the start. */
void desk_follow(struct desk *desk, const struct gv_position *position, bool from_start);
struct gv_position desk_leave(struct desk *desk);

/* Polls for some seconds and compares what came. */
void desk_expect(struct desk *desk, const char *lines);

#endif
