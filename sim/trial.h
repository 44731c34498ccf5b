/* A run in a process of its own, so that one that dies is a result, too. */
#ifndef GV_SIM_TRIAL_H
#define GV_SIM_TRIAL_H

#include "sim/run.h"

struct gv_trial {
    int signal; /* that ended it; 0: none */
    bool ended; /* the result is there */
    struct gv_sim_result result;
};

/* Runs it; what it says goes nowhere. Returns 0, or -1 with errno. */
int gv_trial(struct gv_trial *out, const struct gv_sim_options *options);

/* `replay REPORT`: what a report of a run, or of a swarm's failed seeds, tells of. Returns the exit
 * status. */
int gv_replay(const struct gv_sim_options *options);
/* `minimise`. Likewise. */
int gv_minimise(const struct gv_sim_options *options);

#endif
