#include "node/ingest/splitter.h"

#include <stdlib.h>
#include <string.h>

#include "node/ingest/ingest.h"

bool gv_splitter_init(struct gv_splitter *splitter)
{
    memset(splitter, 0, sizeof *splitter);
    splitter->buffer = malloc(GV_SPLITTER_BUFFER);
    return splitter->buffer != NULL;
}

void gv_splitter_free(struct gv_splitter *splitter)
{
    free(splitter->buffer);
    splitter->buffer = NULL;
}

void gv_splitter_reset(struct gv_splitter *splitter, bool inside)
{
    splitter->start = splitter->end = 0;
    splitter->skipping = splitter->silent = inside;
    splitter->taken = splitter->pending = 0;
}

char *gv_splitter_space(struct gv_splitter *splitter, size_t *space)
{
    size_t have = splitter->end - splitter->start;

    if (splitter->start > 0) {
        memmove(splitter->buffer, splitter->buffer + splitter->start, have);
        splitter->start = 0;
        splitter->end = have;
    }
    *space = GV_SPLITTER_BUFFER - splitter->end;
    return splitter->buffer + splitter->end;
}

void gv_splitter_filled(struct gv_splitter *splitter, size_t n)
{
    splitter->end += n;
}

/* Everything in the buffer belongs to a line without an end: keep it if it may still fit. */
static enum gv_split unfinished(struct gv_splitter *s)
{
    size_t have = s->end - s->start;

    if (!s->skipping && have <= GV_LINE_MAX)
        return GV_SPLIT_NONE;
    s->skipping = true;
    s->pending += have;
    s->start = s->end = 0;
    return GV_SPLIT_NONE;
}

enum gv_split gv_splitter_odd(struct gv_splitter *splitter, const char **line, size_t *len)
{
    for (;;) {
        char *at = splitter->buffer + splitter->start;
        size_t have = splitter->end - splitter->start;
        char *newline = have ? memchr(at, '\n', have) : NULL;

        if (!newline)
            return unfinished(splitter);
        size_t n = (size_t)(newline - at);
        bool skip = splitter->skipping || n > GV_LINE_MAX;
        bool silent = splitter->silent;

        splitter->start += n + 1;
        splitter->taken += splitter->pending + n + 1;
        splitter->pending = 0;
        splitter->skipping = splitter->silent = false;
        if (silent)
            continue;
        *line = at;
        *len = n;
        return skip ? GV_SPLIT_SKIPPED : GV_SPLIT_LINE;
    }
}

bool gv_splitter_rest(struct gv_splitter *splitter, const char **line, size_t *len)
{
    *line = splitter->buffer + splitter->start;
    *len = splitter->end - splitter->start;
    return !splitter->skipping && *len > 0 && *len <= GV_LINE_MAX;
}
