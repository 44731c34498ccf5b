/* What a run has shown, for people and for scripts. */
#ifndef GV_SIM_REPORT_H
#define GV_SIM_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "sim/run.h"

/* What it cost here and now: no part of the run. */
struct gv_sim_cost {
    double wall_s, cpu_s, peak_mb;
};

/* Whether the files that the options name can be written: asked before a run of hours, not behind
 * it. Leaves them as they are. Returns 0, or EX_CANTCREAT with a message on standard error. */
int gv_report_reach(const struct gv_sim_options *options);
/* Prints the report to standard output, and the JSON object where the options ask for it. Returns
 * 0, or EX_CANTCREAT with a message on standard error. */
int gv_report(const struct gv_sim_options *options, const struct gv_sim_result *result,
              const struct gv_sim_cost *cost);

/* The report as people read it. */
void gv_report_text(FILE *out, const struct gv_sim_options *options,
                    const struct gv_sim_result *result, const struct gv_sim_cost *cost);

/* Writes an object and a newline to a file, or to standard output ("-"). Returns as above. */
int gv_report_json(const char *path, const json_t *object);

#endif
