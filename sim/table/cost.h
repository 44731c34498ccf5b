/* What an attack costs for each legitimate login that it has refused. Internal to chart_*.c. */
#ifndef GV_SIM_TABLE_COST_H
#define GV_SIM_TABLE_COST_H

#include "sim/table/chart.h"

/* Medians over the seeds. */
struct gv_cost {
    uint32_t identities, days, addresses, visits;
    uint64_t messages;
    uint64_t refused; /* not by a lock, both kinds, more than without this attack; 0: no price */
};
void gv_cost_of(struct gv_cost *out, const struct gv_chart *table, const struct gv_cell *cell);

#endif
