/* The mail flow as one JSON object, the same in `grapevine observe` and in the daemon's status. */
#ifndef GV_INGEST_MAIL_FLOW_JSON_H
#define GV_INGEST_MAIL_FLOW_JSON_H

#include <jansson.h>

#include "node/ingest/mail_flow.h"

/* Every count by its name, and "queue": {"messages", "oldest" (RFC 3339 or null), "forgotten"}. A
 * new reference; NULL when out of memory. */
json_t *gv_mail_flow_json(const struct gv_mail_flow *flow);

#endif
