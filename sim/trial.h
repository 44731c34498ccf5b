/* A run in a process of its own, so that one that dies is a result, too. */
#ifndef GV_SIM_TRIAL_H
#define GV_SIM_TRIAL_H

#include "sim/run.h"

struct gv_trial {
    int signal;      /* that ended it; 0: none */
    int exit_status; /* with which it ended by itself before it was through, as a sanitizer ends it;
                        0: not */
    bool ended;      /* the result is there */
    struct gv_sim_result result;
};

/* Runs it; what it says goes nowhere. Returns 0, or -1 with errno: there was no process, or it
 * could not leave its result, which says nothing of the run. */
int gv_trial(struct gv_trial *out, const struct gv_sim_options *options);

/* What one that has no result ended with. */
#define GV_TRIAL_DEATH 64
void gv_trial_death(char out[GV_TRIAL_DEATH], const struct gv_trial *trial);

/* `replay REPORT`: what a report of a run, or of a swarm's failed seeds, tells of. Returns the exit
 * status. */
int gv_replay(const struct gv_sim_options *options);
/* `minimise`. Likewise. */
int gv_minimise(const struct gv_sim_options *options);

#endif
