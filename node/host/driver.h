/* Runs the core against the world, and alone calls gv_core_step: happenings of libuv become
 * events, effects become rows and bytes.
 *
 * One turn of the loop is one batch. The steps of a turn gather their effects; then all rows are
 * committed in one transaction, and only then the bytes go out, so that the mesh never hears a
 * word that a crash could take back (SPEC 9.6), at the price of one commit a turn. Only what the
 * lines of a log led to, and would lead to again, may wait for two seconds (hold.h).
 *
 * When a commit fails (full disk, damaged file) the rows stay in memory and are tried again every
 * few seconds. Until then the node is off the mesh, because nothing may be said that is not safe;
 * it goes on reading its log and answering from memory. A damaged file is mended on the way. */
#ifndef GV_NODE_HOST_DRIVER_H
#define GV_NODE_HOST_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "node/base/text.h"
#include "node/host/net.h"
#include "node/host/persist.h"
#include "proto/core.h"

#define GV_STORE_RETRY_MS       5000u
#define GV_STORE_FIRST_RETRY_MS 500u       /* what passes at once need not cost the mesh 5 s */
#define GV_BACKLOG_MAX          (8u << 20) /* bytes of rows waiting for a store that fails */
#define GV_TELEMETRY_DAYS       30
#define GV_JOURNAL_DAYS         30
#define GV_STATISTICS_DAYS      90
#define GV_ASIDE_DAYS           30    /* copies of the store that were set aside */
#define GV_CLOCK_JUMP_MS        1000  /* the wall clock was set: told to the core */
#define GV_STOP_MS              3000u /* goodbyes get this long */
#define GV_NOTE_COUNT           (GV_NOTE_ROW_REFUSED + 1)

struct gv_driver;

struct gv_driver_options {
    uv_loop_t *loop;
    struct gv_core_options core; /* the seed is drawn by the driver */
    struct gv_net_options net;   /* loop and callbacks are filled in by the driver */
    struct gv_persist *persist;  /* borrowed until gv_driver_free */
    bool fresh_key;              /* the identity was made just now, and has signed nothing */
    uint64_t telemetry_ms;       /* 0: GV_TELEMETRY_DAYS */
    uint64_t journal_ms;         /* 0: GV_JOURNAL_DAYS */
    uint64_t statistics_ms;      /* 0: GV_STATISTICS_DAYS */
    void *context;
    /* The node cannot go on (out of memory); the sentence says why. May be NULL. */
    void (*broken)(void *context, const char *why);
    /* Own statement `id` was made, previewed or acknowledged, and that is in the store. May be
     * NULL. */
    void (*recorded)(void *context, const uint8_t id[GV_ID_LEN]);
    /* Something happened about a subject: its verdict or what is known of it here. May be NULL. */
    void (*about)(void *context, const struct gv_subject *subject);
    /* Before a commit, if gv_driver_later was called since the last: the moment to hand
     * gv_driver_keep what belongs with the rows. May be NULL. */
    void (*storing)(void *context);
    /* The core took a network descriptor or this node's certificate. May be NULL. */
    void (*noted)(void *context, enum gv_note note);
};

/* Makes the core, loads the store into it and listens. Nothing is dialled before the loop runs.
 * Returns GV_OK; GV_ERR_BUSY (port in use), GV_ERR_IO, GV_ERR_MEMORY, or as gv_core_new. */
int gv_driver_new(struct gv_driver **out, const struct gv_driver_options *options,
                  struct gv_text *error);
/* Says goodbye on every link and calls `stopped` once they are closed, or after GV_STOP_MS. */
void gv_driver_stop(struct gv_driver *driver, void (*stopped)(void *context));
/* Stores what is left. The loop must run on until its handles are closed. NULL is allowed. */
void gv_driver_free(struct gv_driver *driver);

/* Steps the core; the effects follow at the end of this turn. Returns the core's answer. */
int gv_driver_event(struct gv_driver *driver, const struct gv_event *event);
/* The same for a line of a log whose position is stored with what the line led to: after a crash it
 * would be read again, so if it led to nothing but the local history's rows they may wait. */
int gv_driver_read(struct gv_driver *driver, const struct gv_event *event);
/* Something is to be kept with the next commit, within GV_HOLD_MS: `storing` will be asked for it.
 */
void gv_driver_later(struct gv_driver *driver);
/* What was gathered so far may not wait: it could not be read again. */
void gv_driver_hurry(struct gv_driver *driver);
/* As gv_driver_event, and carries out the effects now: for an admin who waits for it. GV_ERR_IO
 * when it was taken but could not be stored yet. */
int gv_driver_command(struct gv_driver *driver, const struct gv_event *event);
/* Until it is called with NULL, the daemon's log does not name this subject. */
void gv_driver_unname(struct gv_driver *driver, const struct gv_subject *subject);
/* A count of the flow of mail, likewise (gv_persist_count). */
void gv_driver_count(struct gv_driver *driver, unsigned count, int64_t delta, uint64_t unix_ms);
/* A small value to be stored in the same transaction as the rows of this turn (gv_persist_keep). */
void gv_driver_keep(struct gv_driver *driver, const char *name, const void *data, size_t len);

const struct gv_core *gv_driver_core(const struct gv_driver *driver);
struct gv_persist *gv_driver_persist(const struct gv_driver *driver);
uint64_t gv_driver_now(const struct gv_driver *driver); /* the step clock, ms */
uint64_t gv_unix_ms(void);

struct gv_driver_status {
    uint64_t notes[GV_NOTE_COUNT]; /* how often each was given */
    uint64_t turns, rows;          /* transactions committed, rows in them */
    uint64_t started_ms;           /* step clock */
    uint64_t rows_bad;             /* left out at the start */
    bool store_failing;
    struct gv_text store_error;
    size_t backlog; /* bytes of rows waiting */
    uint16_t port;
    struct gv_net_counters net;
};
void gv_driver_status(const struct gv_driver *driver, struct gv_driver_status *out);
struct gv_driver_retention {
    uint64_t telemetry_ms, journal_ms, statistics_ms;
};
void gv_driver_retention(const struct gv_driver *driver, struct gv_driver_retention *out);
/* After a reload: how many incoming links at most. */
void gv_driver_set_incoming_max(struct gv_driver *driver, unsigned incoming_max);

#endif
