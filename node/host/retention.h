/* Whether the age of what is stored can be told: not while the clock stands more than a day from
 * where it stood when something was last deleted for its age. A node that was off for long waits in
 * vain; one whose clock is wrong at one start loses nothing, if it is set meanwhile. (SPEC 15) */
#ifndef GV_NODE_HOST_RETENTION_H
#define GV_NODE_HOST_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#define GV_CLOCK_LEAP_MS    86400000ULL /* more than this is doubted */
#define GV_CLOCK_BELIEVE_MS 43200000ULL /* until it has stood so for this long of the step clock   \
                                         */

struct gv_clock_belief {
    uint64_t seen_ms;  /* the wall clock when it was last believed; 0: never yet */
    uint64_t since_ms; /* step clock since when it is doubted; meaningless while it is not */
    bool doubted;
};

/* Whether unix_ms is believed at step_ms. */
bool gv_clock_believed(struct gv_clock_belief *belief, uint64_t unix_ms, uint64_t step_ms);

#endif
