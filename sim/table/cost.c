#include "sim/table/cost.h"

void gv_cost_of(struct gv_cost *out, const struct gv_chart *table, const struct gv_cell *cell)
{
    const struct gv_score *s = &cell->scores[table->seeds / 2];
    int64_t refused = gv_chart_spread(table, cell, GV_FIGURE_REFUSED).median +
                      gv_chart_spread(table, cell, GV_FIGURE_SHARED).median;
    const struct gv_cell *calm = gv_chart_find(table, cell->rule->name, "none", 0);

    /* What is refused where nobody attacks is not the attacker's work. */
    if (calm)
        refused -= gv_chart_spread(table, calm, GV_FIGURE_REFUSED).median +
                   gv_chart_spread(table, calm, GV_FIGURE_SHARED).median;
    *out = (struct gv_cost){.identities = s->identities,
                            .days = s->age_days,
                            .addresses = s->addresses,
                            .visits = s->own_visits,
                            .messages = s->messages,
                            .refused = refused > 0 ? (uint64_t)refused : 0};
}
