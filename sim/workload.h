/* Attackers at work: who fails where, drawn from the seed (SPEC 17). */
#ifndef GV_SIM_WORKLOAD_H
#define GV_SIM_WORKLOAD_H

#include "sim/options.h"
#include "sim/world.h"

/* One attacker's visit to one node. */
struct gv_visit {
    uint64_t at_ms;
    uint32_t node, attacker;
};

struct gv_workload {
    struct gv_visit *visits; /* ascending by time; owned */
    size_t count;
    size_t attackers;
};

/* Draws attackers until nodes * sightings * hours visits are full: four in five visit one node, the
 * others 2 to N/3 (at least 2), Pareto with exponent 1.1. With options->attackers there are so many
 * an hour, and their shares are stretched or cut until the visits are full. Nothing happens in the
 * first warmup_ms or the last calm_ms. */
void gv_workload_draw(struct gv_workload *out, const struct gv_world *world,
                      const struct gv_sim_options *options, uint64_t end_ms, uint64_t warmup_ms,
                      uint64_t calm_ms);
void gv_workload_free(struct gv_workload *workload);

#endif
