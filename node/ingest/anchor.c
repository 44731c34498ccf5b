#include "node/ingest/anchor.h"

#include <string.h>
#include <unistd.h>

#include "node/ingest/line.h"
#include "node/ingest/words.h"

#define AHEAD_MS 600000u /* clocks of hosts that log to this one may run so far ahead */
#define CHUNK    32768   /* more than a line */
_Static_assert(CHUNK > 2 * GV_LINE_MAX, "a chunk holds a whole line");

/* Of a line's bytes; never 0. What is stored of it is sealed, so it need not be keyed. */
static uint64_t sum_of(const char *at, size_t len)
{
    uint64_t sum = 0x9e3779b97f4a7c15u ^ len;

    for (; len >= 8; at += 8, len -= 8) {
        sum = (sum ^ gv_load8(at)) * 0xff51afd7ed558ccdu;
        sum ^= sum >> 32;
    }
    for (; len > 0; at++, len--)
        sum = (sum ^ (unsigned char)*at) * 0x100000001b3u;
    sum ^= sum >> 29;
    return sum ? sum : 1;
}

uint64_t gv_anchor_time(struct gv_clock *clock, const char *line, size_t len)
{
    size_t priority = gv_line_priority(line, len);
    struct gv_stamp stamp;
    uint64_t ms;

    clock->ahead_ms = AHEAD_MS;
    if (!gv_stamp_find(&stamp, line + priority, len - priority) ||
        !gv_clock_convert(clock, &ms, &stamp, gv_wall_ms()))
        return 0;
    return ms;
}

void gv_anchor_keep(struct gv_position *position, struct gv_clock *clock, const char *text,
                    size_t len, uint64_t end)
{
    uint64_t latest = gv_wall_ms() + AHEAD_MS;
    const char *stop = text + len, *last = NULL;
    size_t last_len = 0;

    for (const char *line = text, *newline;
         line < stop && (newline = memchr(line, '\n', (size_t)(stop - line))); line = newline + 1) {
        size_t n = (size_t)(newline - line);
        uint64_t ms = n <= GV_LINE_MAX ? gv_anchor_time(clock, line, n) : 0;

        if (ms == 0)
            continue;
        last = line;
        last_len = n;
        /* A stamp of the future is no measure of what is old; nor is that of the last line, if its
         * host's clock is behind. */
        if (ms <= latest && ms > position->newest_ms)
            position->newest_ms = ms;
    }
    if (!last)
        return;
    position->anchor_end = end - (uint64_t)(stop - last) + last_len + 1;
    position->anchor_len = last_len;
    position->anchor = sum_of(last, last_len);
}

void gv_anchor_look_back(struct gv_position *position, struct gv_clock *clock, int fd)
{
    char text[2 * GV_LINE_MAX];
    uint64_t from = position->offset > sizeof text ? position->offset - sizeof text : 0;
    ssize_t n = pread(fd, text, (size_t)(position->offset - from), (off_t)from);
    const char *last = n > 0 ? memrchr(text, '\n', (size_t)n) : NULL;
    const char *first = n > 0 && from > 0 ? memchr(text, '\n', (size_t)n) : NULL;
    const char *start = from > 0 ? first + 1 : text; /* the first line may be cut */

    if (last && (from == 0 || (first && first < last)))
        gv_anchor_keep(position, clock, start, (size_t)(last + 1 - start),
                       from + (uint64_t)(last + 1 - text));
}

bool gv_anchor_holds(const struct gv_position *position, int fd)
{
    char line[GV_LINE_MAX + 1];
    uint64_t len = position->anchor_len;

    if (position->anchor_end == 0)
        return true;
    if (len > GV_LINE_MAX || position->anchor_end <= len)
        return false;
    ssize_t n = pread(fd, line, len + 1, (off_t)(position->anchor_end - len - 1));
    return n == (ssize_t)len + 1 && line[len] == '\n' && sum_of(line, len) == position->anchor;
}

struct window {
    uint64_t at, end;
    bool inside; /* what comes first is the rest of a line */
};

/* Looks at the whole lines of one chunk. Returns how far the window has moved. */
static size_t look_through(const struct gv_position *position, uint64_t *behind, struct window *w,
                           const char *text, size_t len)
{
    size_t start = 0;

    for (const char *newline; (newline = memchr(text + start, '\n', len - start));) {
        size_t n = (size_t)(newline - text) - start;

        if (!w->inside && n == position->anchor_len && sum_of(text + start, n) == position->anchor)
            *behind = w->at + start + n + 1;
        w->inside = false;
        start += n + 1;
    }
    if (start > 0)
        return start;
    w->inside = true; /* longer than any line that was read */
    return len;
}

bool gv_anchor_find(const struct gv_position *position, uint64_t *behind, int fd, uint64_t size)
{
    char text[CHUNK];
    uint64_t place = position->offset < size ? position->offset : size;
    struct window w = {.at = place > GV_ANCHOR_BACK ? place - GV_ANCHOR_BACK : 0};
    uint64_t found = 0;

    if (position->anchor == 0 || position->anchor_len > GV_LINE_MAX)
        return false;
    w.end = size - place > GV_ANCHOR_AHEAD ? place + GV_ANCHOR_AHEAD : size;
    w.inside = w.at > 0;
    while (w.at < w.end) {
        size_t want = w.end - w.at < sizeof text ? (size_t)(w.end - w.at) : sizeof text;
        ssize_t n = pread(fd, text, want, (off_t)w.at);

        if (n <= 0)
            break;
        w.at += look_through(position, &found, &w, text, (size_t)n);
    }
    *behind = found;
    return found > 0;
}

uint64_t gv_anchor_newest(const struct gv_position *position)
{
    return position->newest_ms <= gv_wall_ms() + AHEAD_MS ? position->newest_ms : 0;
}
