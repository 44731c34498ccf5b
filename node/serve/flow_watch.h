/* Watches the flow of mail: once a minute, a few seconds after it is over, notes that this node was
 * there to look, how long the queue is, and asks anomaly.h what is odd. An alert is stored, logged,
 * and told to whoever asked to hear of it. (SPEC 10.8, 10.9) */
#ifndef GV_SERVE_FLOW_WATCH_H
#define GV_SERVE_FLOW_WATCH_H

#include <stdbool.h>
#include <uv.h>

#include "node/base/statistics.h"
#include "node/host/persist.h"
#include "node/serve/anomaly.h"

struct gv_flow_watch;

struct gv_flow_watch_options {
    uv_loop_t *loop;
    struct gv_persist *persist; /* borrowed until gv_flow_watch_stop */
    void *context;
    /* The queue now, and when its oldest message came; false: no log is followed, nothing is noted.
     */
    bool (*queue)(void *context, uint64_t *messages, uint64_t *oldest_ms);
    /* An alert has begun, or ended; it is stored. May be NULL. */
    void (*alerted)(void *context, const struct gv_alert *alert);
};

/* Returns GV_OK or GV_ERR_MEMORY. A store that cannot be read is no error: it learns anew. */
int gv_flow_watch_start(struct gv_flow_watch **out, const struct gv_flow_watch_options *options);
/* The loop must run on until its handle is closed. NULL is allowed. */
void gv_flow_watch_stop(struct gv_flow_watch *watch);

/* How much it knows of this hour. */
enum gv_anomaly_state gv_flow_watch_state(const struct gv_flow_watch *watch, uint64_t unix_ms);

/* The minute that is over at this moment, unless it was dealt with. What the timer does; for tests.
 */
void gv_flow_watch_minute(struct gv_flow_watch *watch, uint64_t unix_ms);

#endif
