/* A swarm's report for scripts (SPEC 17.4). */
#ifndef GV_SIM_SWARM_REPORT_H
#define GV_SIM_SWARM_REPORT_H

#include "sim/run.h"

/* One seed that has ended. */
struct gv_swarm_run {
    uint64_t seed;
    int signal; /* that ended its process; 0: none */
    bool ended; /* the result is there */
    struct gv_sim_result result;
    char line[GV_SIM_LINE]; /* the command that repeats it; "": it went well */
};

struct gv_swarm_runs {
    struct gv_swarm_run *items; /* owned; in the order in which they ended */
    size_t count, room;
};

/* The next one, zeroed; NULL: out of memory. */
struct gv_swarm_run *gv_swarm_runs_add(struct gv_swarm_runs *runs);
void gv_swarm_runs_free(struct gv_swarm_runs *runs);

/* Writes one object to options->json_path, runs in the order of their seeds. ranks: processes that
 * shared them. Returns 0, or EX_CANTCREAT with a message. Sorts. */
int gv_swarm_report(const struct gv_sim_options *options, struct gv_swarm_runs *runs,
                    uint64_t ranks, double wall_s);

#endif
