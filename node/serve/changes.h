/* Who asks what has changed in the listing since a serial, and waits until something has: a long
 * poll. (SPEC 18.4) */
#ifndef GV_NODE_SERVE_CHANGES_H
#define GV_NODE_SERVE_CHANGES_H

#include <stddef.h>
#include <uv.h>

#include "node/base/http.h"
#include "node/serve/feed.h"

#define GV_CHANGES_KEPT    4096u /* of the latest; who is further behind reads the list anew */
#define GV_CHANGES_ANSWER  256u  /* changes in one answer; its serial says where to go on */
#define GV_CHANGES_WAITING 512u  /* requests that wait, of all clients */
#define GV_CHANGES_WAIT_S  60u
#define GV_CHANGES_GATHER  50u /* ms: a burst is one answer, not hundreds */
#define GV_CHANGES_AT_ONCE 16u /* answers in one turn of the loop, so that 512 disturb nobody */

struct gv_changes;

/* Returns GV_OK or GV_ERR_MEMORY. Watches the feed, so it must be stopped before the feed is; what
 * is listed already is counted. */
int gv_changes_start(struct gv_changes **out, uv_loop_t *loop, struct gv_feed *feed,
                     const struct gv_core *core);
/* Who waits is told 503. The loop must run on until its handle is closed; it frees itself then.
 * NULL is allowed. */
void gv_changes_stop(struct gv_changes *changes);

/* GET ?since=SERIAL&wait=SECONDS. */
void gv_changes_handle(struct gv_changes *changes, struct gv_http_request *request);

/* The token is another now: who waits on the HTTP port is told 401. */
void gv_changes_dismiss(struct gv_changes *changes);

/* The subject is erased: no change that names it is told any more. Who is further behind than the
 * last of them reads the list anew. (SPEC 15.1) */
void gv_changes_forget(struct gv_changes *changes, const struct gv_subject *subject);

struct gv_changes_counters {
    size_t refused, untrusted; /* listed now */
    uint64_t changes;          /* since the start */
    size_t kept;               /* of them, to be told */
    size_t waiting;
};
void gv_changes_counters(const struct gv_changes *changes, struct gv_changes_counters *out);

#endif
