/* What the HTTP port serves beside Dovecot and bouncers, and to whom: the API to who has the token;
 * its description, block lists and metrics also without it to this host itself; the dashboard's
 * files to anybody who may ask. What a browser sends for a page of another site is refused.
 * (SPEC 18.4) */
#ifndef GV_NODE_SERVE_PORT_H
#define GV_NODE_SERVE_PORT_H

#include <stddef.h>
#include <uv.h>

#include "node/base/http.h"
#include "node/serve/api.h"
#include "node/serve/blocklist.h"
#include "node/serve/metrics.h"

struct gv_port;

struct gv_port_options {
    const struct gv_api *api; /* borrowed until gv_port_stop, as is all below */
    struct gv_blocklist *blocklist;
    struct gv_metrics *metrics;
};

/* Returns GV_OK or GV_ERR_MEMORY. */
int gv_port_start(struct gv_port **out, const struct gv_port_options *options);
/* After the HTTP server is stopped. NULL is allowed. */
void gv_port_stop(struct gv_port *port);

/* For gv_http_options.bound; lives until gv_port_stop. */
const struct gv_http_bound_route *gv_port_routes(const struct gv_port *port, size_t *count);

#endif
