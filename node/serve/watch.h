/* What would have been refused, had everything been enforced: each attempt and each login that came
 * through although the action was `refuse`. It is what an admin looks at before he switches on. */
#ifndef GV_NODE_SERVE_WATCH_H
#define GV_NODE_SERVE_WATCH_H

#include <jansson.h>

#include "proto/core.h"

#define GV_WATCH_ADDRESSES 65536u /* told apart; beyond, only attempts are counted */

struct gv_watch;

/* `core` is borrowed. NULL when out of memory. */
struct gv_watch *gv_watch_new(const struct gv_core *core);
void gv_watch_free(struct gv_watch *watch); /* NULL is allowed */

/* Before the core takes it. */
void gv_watch_observe(struct gv_watch *watch, const struct gv_observation *observation);

/* {"failures", "logins", "addresses"} since the start. */
json_t *gv_watch_json(const struct gv_watch *watch);

#endif
