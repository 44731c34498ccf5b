/* A bench that runs before all else on a busy machine measures the code, and not who else waits. */
#ifndef GV_BENCH_FIRST_H
#define GV_BENCH_FIRST_H

#include <sched.h>
#include <stdbool.h>

/* False: this machine does not let us, and nothing has changed. Keep it short: others stand still.
 */
static inline bool go_first(bool first)
{
    return sched_setscheduler(0, first ? SCHED_FIFO : SCHED_OTHER,
                              &(struct sched_param){.sched_priority = first}) == 0;
}

#endif
