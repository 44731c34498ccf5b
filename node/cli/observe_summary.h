/* The summary for people: one table of subjects of a fixed size, and a report over it at the end.
 */
#ifndef GV_CLI_OBSERVE_SUMMARY_H
#define GV_CLI_OBSERVE_SUMMARY_H

#include <stdbool.h>
#include <stdio.h>

#include "node/ingest/ingest.h"

struct gv_summary;

/* `lab`: documentation addresses may be shared. NULL when out of memory. About 6 MB, however many
 * addresses the log has. */
struct gv_summary *gv_summary_new(bool lab);
void gv_summary_free(struct gv_summary *summary);

/* `allowed`: on the admin's allow list. */
void gv_summary_add(struct gv_summary *summary, const struct gv_reading *reading, bool allowed);

/* `top`: rows of each list at most. `colour`: with terminal attributes. */
void gv_summary_print(struct gv_summary *summary, FILE *out,
                      const struct gv_reader_counters *counters, unsigned top, bool colour);

#endif
