/* Many seeds, each a process of its own, so many at a time. */
#ifndef GV_SIM_SWARM_H
#define GV_SIM_SWARM_H

#include "sim/options.h"

/* Runs seeds options->seed to last_seed. Stops at the first that fails (a violation, or a run that
 * died), says so and prints the command line that repeats it. Progress goes to standard error,
 * and to options->json_path a report of all seeds that were run (sim/swarm_report.h). Returns an exit
 * status: 0, 1, EX_CANTCREAT, or EX_OSERR. */
int gv_swarm(const struct gv_sim_options *options, double (*wall_s)(void));

#endif
