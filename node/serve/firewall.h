/* Tells grapevine-firewall, a program of its own with the right to change nftables, what this host
 * refuses: each change within a tenth of a second, the whole list whenever one of the two was
 * started again, and each entry again before its time is over. (SPEC 18.8) */
#ifndef GV_NODE_SERVE_FIREWALL_H
#define GV_NODE_SERVE_FIREWALL_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "node/base/options.h"
#include "node/serve/feed.h"

struct gv_firewall;

/* loop, core and feed are borrowed until gv_firewall_stop; options for the call. The feed must live
 * until its loop has run dry. Returns GV_OK or GV_ERR_MEMORY. */
int gv_firewall_start(struct gv_firewall **out, uv_loop_t *loop, const struct gv_core *core,
                      struct gv_feed *feed, const struct gv_options *options);
/* What is in place stays, and ends by itself. It frees itself once its handles are closed. NULL is
 * allowed, also below. */
void gv_firewall_stop(struct gv_firewall *firewall);
/* After a reload: whether it is enforced, and the lists. When it no longer is, all goes. */
void gv_firewall_configure(struct gv_firewall *firewall, const struct gv_options *options);
/* The admin's lists have changed. */
void gv_firewall_lists_changed(struct gv_firewall *firewall);

/* For status; NULL when out of memory. */
json_t *gv_firewall_json(const struct gv_firewall *firewall);

#endif
