/* Many seeds, each a process of its own, so many at a time. */
#ifndef GV_SIM_SWARM_H
#define GV_SIM_SWARM_H

#include "sim/options.h"
#include "sim/ranks.h"

/* Runs seeds options->seed to last_seed. Stops at the first that fails (a violation, or a run that
 * died), says so and prints the command line that repeats it. Progress goes to standard error,
 * and to options->json_path a report of all seeds that were run (sim/swarm_report.h). `ranks`: the
 * processes that share the seeds; NULL: this one has them all. Of several, the first alone reports,
 * and which has a failed seed tells it. Returns an exit status: 0, 1, EX_CANTCREAT, or EX_OSERR. */
int gv_swarm(const struct gv_sim_options *options, double (*wall_s)(void),
             const struct gv_ranks *ranks);

#endif
