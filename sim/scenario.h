/* Scenario files: a run as an INI file, with everything that a command line can say of it. */
#ifndef GV_SIM_SCENARIO_H
#define GV_SIM_SCENARIO_H

#include <stdio.h>

#include "sim/options.h"

/* Reads [run] and [faults] of a file into options, over what they are. Returns 0; EX_NOINPUT or
 * EX_CONFIG with a line on standard error for each thing that is wrong: file, line, key, and what
 * would be right. */
int gv_scenario_read(struct gv_sim_options *options, const char *path);
/* A file with every key, each explained and commented out. */
void gv_scenario_help(FILE *out);

#endif
