/* How long what was gathered may wait for its commit. What a log that is followed led to would be
 * read again, as the same transaction says where the log was left: so it need not be stored at
 * once, and one commit in two seconds is enough for whatever comes in it. What is said to anybody,
 * what the admin waits for, and what could not be read again is stored in its own turn, and all
 * that was gathered before it with it, in its order (SPEC 9.6). No clock: the time comes in. */
#ifndef GV_HOST_HOLD_H
#define GV_HOST_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/effect.h"

#define GV_HOLD_MS    2000u
#define GV_HOLD_BYTES (32u << 10) /* of rows: no more than that waits */
#define GV_HOLD_COUNT 256u        /* effects, likewise */

struct gv_hold {
    bool now;   /* something may not wait */
    bool waits; /* something is gathered, since since_ms */
    uint64_t since_ms;
    size_t looked; /* of the effects, so many were looked at */
};

/* True when what is gathered is to be stored now; false while it may wait, or when there is
 * nothing. `effects`: those that are gathered, which may only have grown since the last call;
 * `kept`: there is something beside them. */
bool gv_hold_over(struct gv_hold *hold, const struct gv_effects *effects, bool kept,
                  uint64_t now_ms);
/* It is being stored. */
void gv_hold_clear(struct gv_hold *hold);
/* When it is to be stored at the latest; UINT64_MAX: nothing waits. */
uint64_t gv_hold_deadline(const struct gv_hold *hold);

#endif
