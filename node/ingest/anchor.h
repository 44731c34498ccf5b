/* The last line of a log that was read. By it its place is known again where a file was changed:
 * one that an editor saved, that was copied back, cut off or written anew. (SPEC 10.5) */
#ifndef GV_INGEST_ANCHOR_H
#define GV_INGEST_ANCHOR_H

#include "node/ingest/ingest.h"
#include "node/ingest/timestamp.h"

/* Unix milliseconds of the stamp that a line begins with, 0 when there is none. */
uint64_t gv_anchor_time(struct gv_clock *clock, const char *line, size_t len);

/* Keeps the last line with a stamp in `text`, whole lines whose last one ends at `end` of the file;
 * and the newest stamp. Where no line has one everything stays. */
void gv_anchor_keep(struct gv_position *position, struct gv_clock *clock, const char *text,
                    size_t len, uint64_t end);

/* The same from the file itself, in front of the position: for one that is taken up at a place of
 * which nothing is known. */
void gv_anchor_look_back(struct gv_position *position, struct gv_clock *clock, int fd);

/* Whether that line still stands where it stood. True when there is none in this file. */
bool gv_anchor_holds(const struct gv_position *position, int fd);

/* Looks for that line in a file of `size` bytes, from GV_ANCHOR_BACK in front of the place where it
 * was to GV_ANCHOR_AHEAD behind it. On success *behind is the end of the last such line. */
#define GV_ANCHOR_BACK  (64u << 20) /* 50 ms at most */
#define GV_ANCHOR_AHEAD (1u << 20)
bool gv_anchor_find(const struct gv_position *position, uint64_t *behind, int fd, uint64_t size);

/* The newest stamp that was read; 0: none, or one of a clock that was ahead and no longer is. */
uint64_t gv_anchor_newest(const struct gv_position *position);

#endif
