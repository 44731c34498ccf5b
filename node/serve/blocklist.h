/* The listing as files: plain text, JSON, a Postfix CIDR table, a map for rspamd. Sorted and
 * written in a thread of libuv's pool from a copy, kept until something changes, and shared by all
 * who fetch it, so that neither a million addresses nor 500 slow readers hold up a login. (SPEC
 * 18.5) */
#ifndef GV_NODE_SERVE_BLOCKLIST_H
#define GV_NODE_SERVE_BLOCKLIST_H

#include <uv.h>

#include "node/base/http.h"
#include "node/serve/feed.h"

/* So long a list is served although something has changed, but for what the admin allows or denies:
 * that is in every list that is asked for from then on. */
#define GV_BLOCKLIST_FRESH_MS 500u
#define GV_BLOCKLIST_KEPT_MS  600000u /* after the last request it is forgotten */

struct gv_blocklist;

/* Borrows until gv_blocklist_stop. Returns GV_OK or GV_ERR_MEMORY. */
int gv_blocklist_start(struct gv_blocklist **out, uv_loop_t *loop, const struct gv_feed *feed,
                       const struct gv_core *core);
/* Stop the HTTP server first. The loop must run on until its handles are closed and its threads
 * done; it frees itself then. NULL is allowed. */
void gv_blocklist_stop(struct gv_blocklist *blocklist);
/* The admin's lists have changed, and the feed has heard of it. */
void gv_blocklist_ranges_changed(struct gv_blocklist *blocklist);

/* GET ?list=refuse|untrusted; the context is the block list. */
void gv_blocklist_get_text(struct gv_http_request *request, void *context);
void gv_blocklist_get_json(struct gv_http_request *request, void *context);
void gv_blocklist_get_cidr(struct gv_http_request *request, void *context);
void gv_blocklist_get_map(struct gv_http_request *request, void *context);

#endif
