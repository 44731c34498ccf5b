/* When what is listed has to be decided again, because a lock or a verdict ends then: two wheels of
 * slots, the near one of 128 quarters of a second, the far one of 127 times 15 seconds, through
 * which an entry goes to the near one, again and again until its time is near. 19 bytes or so an
 * IPv4 entry. No clock and no socket. (SPEC 18.1) */
#ifndef GV_NODE_SERVE_ENDS_H
#define GV_NODE_SERVE_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/subject.h"

#define GV_ENDS_STEP_MS 250u
/* One whose time is further off may be gone through, and put on, by so much earlier. */
#define GV_ENDS_FAR_MS 30000u

struct gv_ends;

/* key: as of gv_listing_new. now_ms: a clock that only goes forward. NULL when out of memory. */
struct gv_ends *gv_ends_new(const uint8_t key[16], uint64_t now_ms);
void gv_ends_free(struct gv_ends *ends);

/* The subject is to be decided again at at_ms, or at the time that was said before if that is
 * sooner: gv_ends_next has it then, at most two steps later, or long before it, and then once.
 * Returns GV_OK, GV_ERR_MEMORY, or GV_ERR_FULL: far too many times have been moved. */
int gv_ends_put(struct gv_ends *ends, const struct gv_subject *subject, uint64_t at_ms);
/* When to look, at the latest, for one that was put for at_ms just now: it waits in a slot that is
 * emptied a step later, or, if it is far off, up to two far steps earlier. */
uint64_t gv_ends_look(uint64_t at_ms, uint64_t now_ms);
/* Whether there is one whose time has come. */
bool gv_ends_due(struct gv_ends *ends, uint64_t now_ms);
/* When the next one's time may come, by the clock of gv_ends_new, or a moment before it: until then
 * nothing is due; UINT64_MAX: never. Looks at each slot. */
uint64_t gv_ends_when(const struct gv_ends *ends);
/* That one, or the next of several; it is forgotten here. False: none, until the next step. */
bool gv_ends_next(struct gv_ends *ends, struct gv_subject *out, uint64_t now_ms);

size_t gv_ends_count(const struct gv_ends *ends); /* subjects */
size_t gv_ends_bytes(const struct gv_ends *ends); /* of memory */

#endif
