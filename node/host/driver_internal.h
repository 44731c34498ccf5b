/* What driver.c and driver_store.c share. */
#ifndef GV_NODE_HOST_DRIVER_INTERNAL_H
#define GV_NODE_HOST_DRIVER_INTERNAL_H

#include "node/host/driver.h"
#include "node/host/hold.h"

struct gv_driver {
    uv_loop_t *loop;
    struct gv_core *core;
    struct gv_net *net;
    struct gv_persist *persist;
    void *context;
    void (*broken)(void *context, const char *why);
    void (*recorded)(void *context, const uint8_t id[GV_ID_LEN]);
    void (*noted)(void *context, enum gv_note note);
    void (*about)(void *context, const struct gv_subject *subject);
    void (*storing)(void *context);
    struct gv_effects pending; /* gathered in this turn, or since the last commit */
    struct gv_effects running; /* being carried out */
    struct gv_effects backlog; /* rows that the store would not take */
    struct gv_hold hold;       /* of pending */
    bool later;                /* `storing` has something to keep */
    bool flushing, is_broken;
    uint64_t own_dropped; /* rows left out of a full backlog */
    int64_t clock_offset; /* wall minus step clock, as last told to the core */
    uint64_t telemetry_ms, journal_ms, statistics_ms, next_expire;
    uint64_t mended_ms; /* step clock; 0: never */
    bool numbers_known; /* the store held the last sequence number */
    uv_timer_t timer, retry, stop_timer;
    uv_prepare_t prepare;
    uv_check_t check;
    int handles;
    bool freed;
    void (*stopped)(void *context);
    uint64_t stop_by; /* step clock */
    struct gv_driver_status status;
};

/* ---- driver.c ------------------------------------------------------------------------------- */

/* Steps the core; the effects are gathered. Returns the core's answer. */
int gv_driver_step(struct gv_driver *driver, const struct gv_event *event);
/* The node cannot go on; said once. */
void gv_driver_break(struct gv_driver *driver, const char *why);

/* Stores what is gathered, and carries it out. */
void gv_driver_flush(struct gv_driver *driver);

/* ---- driver_store.c ------------------------------------------------------------------------- */

/* Commits the batch in `running`. True when every row of it is safe; otherwise they wait in the
 * backlog, the node is off the mesh, and the store is tried again every GV_STORE_RETRY_MS. */
bool gv_driver_commit(struct gv_driver *driver);
/* The core is to number its statements anew. `lost`: by the clock and the file `number` (SPEC 8.6).
 */
int gv_driver_number_anew(struct gv_driver *driver, bool lost);
/* The store does not take rows: off the mesh until it does. */
void gv_driver_store_failed(struct gv_driver *driver, const struct gv_text *error);
/* Deletes what is older than the admin wants it kept, at most once an hour. */
void gv_driver_expire(struct gv_driver *driver);
/* What waits for the store gets a last chance. */
void gv_driver_store_rest(struct gv_driver *driver);

#endif
