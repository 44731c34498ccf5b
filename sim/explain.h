/* One run, to be read: told line by line, or stopped at a moment and looked at. (SPEC 17.6) */
#ifndef GV_SIM_EXPLAIN_H
#define GV_SIM_EXPLAIN_H

#include "sim/options.h"

/* `trace`. Returns the exit status. */
int gv_trace_run(const struct gv_sim_options *options);
/* `explain NODE TIME`. Likewise. */
int gv_explain(const struct gv_sim_options *options);

#endif
