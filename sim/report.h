/* What a run has shown, for people and for scripts. */
#ifndef GV_SIM_REPORT_H
#define GV_SIM_REPORT_H

#include "sim/check.h"
#include "sim/options.h"

/* Prints the report to standard output, and the JSON object where the options ask for it; cpu_s:
 * processor seconds of the run. Returns 0, or EX_CANTCREAT with a message on standard error. */
int gv_report(const struct gv_sim_options *options, struct gv_checks *checks, double cpu_s,
              double peak_mb);

#endif
