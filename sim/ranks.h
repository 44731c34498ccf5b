/* A swarm in several processes, here and on other machines: each takes every so many seeds, the
 * first hears of all that have ended, and has the whole report. MPI is one way to do it
 * (ranks_mpi.c), and the only file that knows it; without ranks a swarm is one process and its
 * children. */
#ifndef GV_SIM_RANKS_H
#define GV_SIM_RANKS_H

#include "sim/swarm_report.h"

struct gv_ranks {
    uint64_t rank, size; /* this process, from 0; how many there are, 1 or more */
    /* Tells the first that a seed has ended, here. */
    void (*ended)(bool failed);
    /* Waits a moment. `done` (of the first alone): seeds that have ended elsewhere since the last
     * call. Returns whether a seed has failed, anywhere: then nobody starts another. */
    bool (*look)(uint64_t *done);
    /* After the last of this process. The first gets the runs of all; the others return when it has
     * them. Returns 0, or -1 with a message. */
    int (*gather)(struct gv_swarm_runs *runs);
    /* Ends all with this exit status: one that stopped alone would leave the others waiting. */
    void (*give_up)(int rc);
};

#ifdef GV_MPI
/* NULL: this process was not started by mpirun (no variable of Open MPI's or of PMI's is set). */
const struct gv_ranks *gv_ranks_start(int *argc, char ***argv);
void gv_ranks_end(void);
#endif

#endif
