/* Bytes into lines, in one fixed buffer. A line that is too long is passed over as a whole: its
 * second half must never be taken for a line of its own, as a client may have chosen it. */
#ifndef GV_INGEST_SPLITTER_H
#define GV_INGEST_SPLITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "node/ingest/ingest.h"

#define GV_SPLITTER_BUFFER 65536

struct gv_splitter {
    char *buffer;
    size_t start, end; /* what is in the buffer and not given out */
    bool skipping;     /* inside a line that is too long, or whose beginning is not known */
    bool silent;       /* the skipped line does not count: only its end is read here */
    uint64_t taken;    /* bytes of whole lines that were given out or skipped */
    uint64_t pending;  /* bytes of the unfinished line, with those that were thrown away */
};

enum gv_split { GV_SPLIT_NONE, GV_SPLIT_LINE, GV_SPLIT_SKIPPED };

/* False when out of memory. */
bool gv_splitter_init(struct gv_splitter *splitter);
void gv_splitter_free(struct gv_splitter *splitter);

/* Forgets everything; `inside`: what comes first is the rest of a line, to be passed over. */
void gv_splitter_reset(struct gv_splitter *splitter, bool inside);

/* Where to put more bytes; at least GV_SPLITTER_BUFFER - GV_LINE_MAX once all lines are taken. */
char *gv_splitter_space(struct gv_splitter *splitter, size_t *space);
void gv_splitter_filled(struct gv_splitter *splitter, size_t n);

/* gv_splitter_next of a line that is not there as a whole, or too long, or to be skipped. */
enum gv_split gv_splitter_odd(struct gv_splitter *splitter, const char **line, size_t *len);

/* The next whole line, without its newline; borrowed until the next gv_splitter_space. */
static inline enum gv_split gv_splitter_next(struct gv_splitter *splitter, const char **line,
                                             size_t *len)
{
    char *at = splitter->buffer + splitter->start;
    size_t have = splitter->end - splitter->start;
    char *newline = have && !splitter->skipping ? memchr(at, '\n', have) : NULL;
    if (!newline || newline - at > GV_LINE_MAX)
        return gv_splitter_odd(splitter, line, len);
    size_t n = (size_t)(newline - at);
    splitter->start += n + 1;
    splitter->taken += n + 1;
    *line = at;
    *len = n;
    return GV_SPLIT_LINE;
}

/* What is left at the end: a line without its newline. False when nothing is, or it is too long. */
bool gv_splitter_rest(struct gv_splitter *splitter, const char **line, size_t *len);

#endif
