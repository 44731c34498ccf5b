/* Tells others of each change of the listing: a program of the admin's, a web address. Neither can
 * hold up the daemon, whatever it does. (SPEC 18.9) */
#ifndef GV_NODE_SERVE_HOOKS_H
#define GV_NODE_SERVE_HOOKS_H

#include <jansson.h>
#include <uv.h>

#include "node/base/options.h"
#include "node/base/text.h"
#include "node/serve/feed.h"

struct gv_hooks;

/* loop and core are borrowed until gv_hooks_stop, options for the call; the feed must live until
 * the loop has run dry. Returns GV_OK, or with a sentence GV_ERR_MEMORY, or what gv_hook_exec_check
 * and gv_keyfile_read say of what is configured. */
int gv_hooks_start(struct gv_hooks **out, uv_loop_t *loop, const struct gv_core *core,
                   struct gv_feed *feed, const struct gv_options *options, struct gv_text *error);
/* What is under way is broken off. NULL is allowed, also below. */
void gv_hooks_stop(struct gv_hooks *hooks);
/* After a reload. What is wrong is logged, and that hook stays as it was. */
void gv_hooks_configure(struct gv_hooks *hooks, const struct gv_options *options);

/* For status; NULL when out of memory. */
json_t *gv_hooks_json(const struct gv_hooks *hooks);

#endif
