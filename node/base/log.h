/* Log lines on stderr. Under systemd (JOURNAL_STREAM set) each starts with "<N>", the syslog
 * priority; elsewhere with the program's name. Whatever is printed into a line is made safe first:
 * control bytes and bytes that are not UTF-8 appear as \xNN, and a line holds at most
 * GV_LOG_LINE bytes, so that no stranger can forge or flood a line. Safe from any thread. */
#ifndef GV_NODE_BASE_LOG_H
#define GV_NODE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gv_log_level { /* syslog's numbers */
                    GV_LOG_ERROR = 3,
                    GV_LOG_WARNING = 4,
                    GV_LOG_NOTICE = 5,
                    GV_LOG_INFO = 6,
                    GV_LOG_DEBUG = 7
};

#define GV_LOG_LINE 1024

/* Before the first line. Lines above `most` are dropped. Without it: "grapevine", GV_LOG_INFO. */
void gv_log_open(const char *program, enum gv_log_level most);
/* "error", "warning", "notice", "info", "debug": for a config enum, in the order of the levels. */
extern const char *const gv_log_level_names[];
#define GV_LOG_LEVEL_OF_INDEX(i) ((enum gv_log_level)((i) + GV_LOG_ERROR))
void gv_log_set_level(enum gv_log_level most);

/* The message has no newline; one is added. */
void gv_log(enum gv_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For messages that a stranger can cause: at most GV_LOG_BURST lines a minute per call site; the
 * first line of a later minute tells how many were left out. */
#define GV_LOG_BURST 10
struct gv_log_limit {
    uint64_t minute;
    uint32_t count, dropped;
};
bool gv_log_allow(struct gv_log_limit *limit);
#define gv_log_limited(level, ...)                                                                 \
    do {                                                                                           \
        static struct gv_log_limit gv_log_limit_here;                                              \
        if (gv_log_allow(&gv_log_limit_here))                                                      \
            gv_log(level, __VA_ARGS__);                                                            \
    } while (0)

/* What gv_log does to a line: writes text[len] made safe, at most cap - 1 bytes, terminated.
 * Returns the length. Also for showing foreign text on a terminal. */
size_t gv_log_safe(char *out, size_t cap, const char *text, size_t len);

#endif
