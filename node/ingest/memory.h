/* What readers know between two lines (open visits, what auth services said), stored with the
 * positions of their logs, so that a restart between any two lines changes nothing (SPEC 10.5).
 *
 * It is some flat memory without pointers. Of it only what has changed since the last time is
 * stored: cells of 64 bytes with their place, in rows that follow each other and are written anew
 * when most of them are out of date. No clock and no file: rows go out and come back through
 * callbacks. */
#ifndef GV_INGEST_MEMORY_H
#define GV_INGEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed. */
struct gv_memory_area {
    void *at;
    size_t len;
    const size_t *in_use; /* bytes, as they are at a save: behind them all is zero. NULL: `len` */
};
#define GV_MEMORY_AREAS 10

/* All rows are of this length, but for those that were emptied: they have one byte. */
#define GV_MEMORY_ROW  888  /* with a name of 80 bytes SQLite needs no second page for it */
#define GV_MEMORY_NAME 1024 /* of a row, with its zero */

struct gv_memory;

/* `name`: what the rows' names begin with; copied. `form` names the areas' layout: what was stored
 * under another is not taken up. Nothing is known yet: the areas are as they were made. NULL when
 * out of memory, or with an area too many. Costs as much memory as the areas. */
struct gv_memory *gv_memory_new(const char *name, uint32_t form, const struct gv_memory_area *areas,
                                size_t count);
void gv_memory_free(struct gv_memory *memory); /* wipes; NULL is allowed */

/* A row of exactly `len` bytes; false: there is none. */
typedef bool gv_memory_kept(void *context, const char *name, void *data, size_t len);
typedef void gv_memory_keep(void *context, const char *name, const void *data, size_t len);

/* Puts back what was stored. False when nothing was, or not all of it is there: then the areas are
 * as they were. The bytes were this program's own, but the owner of the areas checks what it counts
 * with. */
bool gv_memory_load(struct gv_memory *memory, gv_memory_kept *kept, void *context);

/* Hands out the rows that have to be stored for the areas as they are now: all of them in one
 * transaction. `keep` copies. */
void gv_memory_save(struct gv_memory *memory, gv_memory_keep *keep, void *context);

/* The same, and no row says any more what the areas do not say now. */
void gv_memory_save_anew(struct gv_memory *memory, gv_memory_keep *keep, void *context);

#endif
