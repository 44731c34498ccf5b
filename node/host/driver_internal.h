/* What driver.c, driver_store.c and retention.c share. */
#ifndef GV_NODE_HOST_DRIVER_INTERNAL_H
#define GV_NODE_HOST_DRIVER_INTERNAL_H

#include "node/host/driver.h"
#include "node/host/hold.h"
#include "node/host/retention.h"

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
    struct gv_clock_belief clock;
    bool told_doubtful;        /* to the core */
    uint64_t next_log;         /* step clock: the store's log of writes is emptied again */
    uint64_t next_names;       /* the same, because it names who has logged in since */
    uint64_t log_again_ms;     /* how long it was waited for that; 0: not yet */
    uint64_t mended_ms;        /* step clock; 0: never */
    struct gv_subject unnamed; /* while it is erased; family none: nobody is */
    bool numbers_known;        /* the store held the last sequence number */
    uv_timer_t timer, retry, stop_timer;
    bool stepped;         /* since core_due_ms was asked for: nothing else moves it */
    uint64_t core_due_ms; /* step clock: when the core wants to be woken */
    uint64_t armed_ms;    /* step clock: for when the timer was set */
    uv_async_t copied;    /* the store's log is copied */
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
/* What is gathered waits while the store's log is copied into its file: for so many milliseconds at
 * most. 0: it does not. */
uint64_t gv_driver_waits_for_log(struct gv_driver *driver);
/* The core is to number its statements anew. `lost`: by the clock and the file `number` (SPEC 8.6).
 */
int gv_driver_number_anew(struct gv_driver *driver, bool lost);
/* The store does not take rows: off the mesh until it does. */
void gv_driver_store_failed(struct gv_driver *driver, const struct gv_text *error);
/* What waits for the store gets a last chance. */
void gv_driver_store_rest(struct gv_driver *driver);

/* ---- retention.c ---------------------------------------------------------------------------- */

/* Deletes what is older than the admin wants it kept, at most once an hour; empties the store's log
 * of writes again where a reader was in the way. */
void gv_driver_expire(struct gv_driver *driver);
/* Step clock: when that is to be called for the store's log of writes; UINT64_MAX: no need. */
uint64_t gv_driver_log_deadline(const struct gv_driver *driver);
/* Whether the clock's time is one by which something may be deleted; says so where it is not. */
bool gv_driver_believes(struct gv_driver *driver, uint64_t unix_ms);
/* Where the clock stood when the store last saw it: before the core is told the time. */
void gv_driver_load_clock(struct gv_driver *driver);

#endif
