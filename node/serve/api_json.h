/* What the node knows, as JSON. Each returns a new reference, or NULL when out of memory. Times are
 * RFC 3339 in UTC, ids are hex, and what is not known is null. */
#ifndef GV_NODE_SERVE_API_JSON_H
#define GV_NODE_SERVE_API_JSON_H

#include <jansson.h>

#include "node/host/driver.h"
#include "node/serve/api_request.h"
#include "proto/core.h"

json_t *gv_api_ip_json(const struct gv_core *core, const struct gv_subject *subject);
json_t *gv_api_lists_json(const struct gv_core *core);
json_t *gv_api_peers_json(const struct gv_core *core, uint64_t now_ms, uint64_t unix_ms);
json_t *gv_api_traffic_json(const struct gv_core *core);
json_t *gv_api_roster_json(const struct gv_core *core);
json_t *gv_api_network_json(const struct gv_descriptor *descriptor);
json_t *gv_api_sent_json(const struct gv_persist_sent *sent);
/* A signal that has left the set, of the journal; NULL also when it is none. */
json_t *gv_api_left_json(const uint8_t *record, size_t len, uint64_t left_ms);
json_t *gv_api_status_json(const struct gv_core *core, const struct gv_driver_status *driver,
                           uint64_t now_ms, uint64_t unix_ms);

json_t *gv_api_alert_json(const struct gv_alert *alert);

/* Helpers for who adds to them. */
json_t *gv_api_time(uint64_t unix_ms);          /* 0: null */
json_t *gv_api_minute(uint32_t unix_minute);    /* GV_NEVER: null */
const char *gv_share_name(enum gv_share share); /* "no", "preview", "yes" */
/* "AS64500", "127.3.0.0/16", "2001:db8::/32". */
#define GV_GROUP_TEXT 48
void gv_group_text(char out[GV_GROUP_TEXT], uint64_t group);

#endif
