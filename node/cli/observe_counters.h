/* The mail flow of a log, as `grapevine observe` shows it: for people and for scripts. */
#ifndef GV_CLI_OBSERVE_COUNTERS_H
#define GV_CLI_OBSERVE_COUNTERS_H

#include <stdbool.h>
#include <stdio.h>

#include "node/ingest/mail_flow.h"

/* Prints nothing when the log told of no mail, unless `always`. */
void gv_counters_print(const struct gv_mail_flow *flow, FILE *out, bool colour, bool always);

/* One object on one line: every count by its name, and "queue": {"messages", "oldest" (RFC 3339 or
 * null), "forgotten"}. False when out of memory. */
bool gv_counters_json(const struct gv_mail_flow *flow, FILE *out);

#endif
