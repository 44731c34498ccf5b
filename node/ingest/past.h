/* Logs of the past: several files, plain or gzip, in the order of their time stamps, read to their
 * ends. For `grapevine observe` and for the import. (SPEC 10.5) */
#ifndef GV_INGEST_PAST_H
#define GV_INGEST_PAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "node/ingest/archive.h"

#define GV_PAST_HEAD 4096

struct gv_past {
    const char *name; /* borrowed */
    struct gv_archive *archive;
    uint64_t first_ms; /* of the first line that has a time stamp; 0: not known */
    size_t given;      /* its place among the names */
    bool regular;      /* it can be opened again */
    char head[GV_PAST_HEAD];
    size_t head_at, head_len; /* read to find the stamp, not given out yet */
};

/* Opens a file; "-" is standard input. `now_ms`: for stamps without a year. `look`: reads the
 * beginning, to be able to sort. Returns 0 or an errno (EISDIR for a folder). */
int gv_past_open(struct gv_past *past, const char *name, uint64_t now_ms, bool look);
void gv_past_close(struct gv_past *past); /* all zero is allowed */

/* Between the look at many files and the reading of each: a regular file is closed, since each
 * costs 100 kB. gv_past_resume before the first gv_past_read; returns 0 or an errno. */
void gv_past_rest(struct gv_past *past);
int gv_past_resume(struct gv_past *past);

/* The oldest first; those without a stamp keep their place behind the others. */
void gv_past_sort(struct gv_past *list, size_t count);

/* As gv_archive_read. */
ssize_t gv_past_read(struct gv_past *past, char *into, size_t cap);

/* "ends too early", "damaged", or strerror's words, for a negative answer of gv_past_read. */
const char *gv_past_error(ssize_t answer);

#endif
