/* The mail flow of a log, as `grapevine observe` shows it: for people and for scripts. */
#ifndef GV_CLI_OBSERVE_COUNTERS_H
#define GV_CLI_OBSERVE_COUNTERS_H

#include <stdbool.h>
#include <stdio.h>

#include "node/ingest/mail_flow.h"

void gv_counters_print(const struct gv_mail_flow *flow, FILE *out, bool colour);

/* One object on one line, see mail_flow_json.h. False when out of memory. */
bool gv_counters_json(const struct gv_mail_flow *flow, FILE *out);

#endif
