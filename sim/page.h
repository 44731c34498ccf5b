/* The report of a run as a page with plots, for people. (SPEC 17.4) */
#ifndef GV_SIM_PAGE_H
#define GV_SIM_PAGE_H

#include "sim/report.h"
#include "sim/samples.h"

/* Writes options->html_path: one file, nothing is fetched, no script. Returns 0, or EX_CANTCREAT
 * with a message. */
int gv_page(const struct gv_sim_options *options, const struct gv_sim_result *result,
            const struct gv_sim_cost *cost, const struct gv_samples *samples);

#endif
