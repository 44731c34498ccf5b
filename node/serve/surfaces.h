/* Everything that tells verdicts to those who enforce them, put together: the feed, the DNS lists,
 * Dovecot's policy server and the HTTP port it is asked on. (SPEC 18) */
#ifndef GV_NODE_SERVE_SURFACES_H
#define GV_NODE_SERVE_SURFACES_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "node/base/http.h"
#include "node/base/options.h"
#include "node/base/statistics.h"
#include "node/base/text.h"
#include "node/host/driver.h"
#include "node/serve/api.h"
#include "node/serve/bouncer.h"
#include "proto/core.h"

#define GV_SURFACES_CONNECTIONS 1024u /* of the HTTP port */
#define GV_SURFACES_FILES       (GV_SURFACES_CONNECTIONS + 32u)

struct gv_surfaces;

struct gv_surfaces_options {
    uv_loop_t *loop;
    const struct gv_core *core;       /* borrowed until gv_surfaces_stop */
    const struct gv_options *options; /* borrowed for the call */
    const uint8_t *account_key;       /* 16 bytes, copied: the log reader's */
    struct gv_api *api; /* borrowed likewise; its token opens the HTTP port. NULL: no API there */
    struct gv_driver *driver; /* with `api`: for the metrics, and to tell the core the time */
    const uint8_t *store_key; /* GV_KEY_LEN bytes, the node's own; not kept */
    void *context;
    void (*observe)(void *context, const struct gv_observation *observation);
    json_t *(*logs)(void *context); /* as gv_api_options.logs; may be NULL */
};

/* Returns GV_OK, or with a sentence GV_ERR_BUSY, GV_ERR_FORBIDDEN, GV_ERR_IO, GV_ERR_MEMORY. */
int gv_surfaces_start(struct gv_surfaces **out, const struct gv_surfaces_options *options,
                      struct gv_text *error);
/* The loop must run on until its handles are closed. NULL is allowed, also below. */
void gv_surfaces_stop(struct gv_surfaces *surfaces);
/* After a reload: what is enforced, and lists. Where they listen is fixed. */
void gv_surfaces_configure(struct gv_surfaces *surfaces, const struct gv_options *options);

/* An observation of a log, before the core has it: what was reported already is taken off. False:
 * nothing is left of it. */
bool gv_surfaces_absorb(struct gv_surfaces *surfaces, struct gv_observation *observation);
/* Any observation, before the core has it: for the count of what would have been refused. */
void gv_surfaces_watch(struct gv_surfaces *surfaces, const struct gv_observation *observation);
/* Something happened about this subject. */
void gv_surfaces_about(struct gv_surfaces *surfaces, const struct gv_subject *subject);
/* As gv_api_options.lists_changed. */
void gv_surfaces_lists(struct gv_surfaces *surfaces, const struct gv_prefix *prefix);

/* An alert began or ended: the hooks tell it. */
void gv_surfaces_alert(struct gv_surfaces *surfaces, const struct gv_alert *alert);

/* Of the HTTP port, 0 without one. */
uint16_t gv_surfaces_http_port(const struct gv_surfaces *surfaces);

/* What the HTTP port serves beside the routes of port.h. */
const struct gv_http_route *gv_surfaces_routes(size_t *count);

/* For status; NULL when out of memory. */
json_t *gv_surfaces_json(const struct gv_surfaces *surfaces);

#endif
