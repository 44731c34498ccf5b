/* Keeps the listing (listing.h) true to the core: a subject is decided anew at once when something
 * happens about it, and all of them in turn, because points, locks and signals end by themselves.
 * (SPEC 18.1) */
#ifndef GV_NODE_SERVE_FEED_H
#define GV_NODE_SERVE_FEED_H

#include <stdbool.h>
#include <uv.h>

#include "node/serve/listing.h"
#include "proto/core.h"

/* Every so often so many subjects are decided anew: all of 10,000 within ten seconds, at about half
 * a microsecond each; but none twice within two seconds, as most hosts know a few hundred. */
#define GV_FEED_SWEEP_MS    250u
#define GV_FEED_SWEEP_COUNT 250u
#define GV_FEED_ROUND_MS    2000u

struct gv_feed;

/* Who wants to hear of every change of the listing: the firewall, bouncers, hooks. */
struct gv_feed_watcher {
    struct gv_feed_watcher *next; /* the feed's own */
    void *context;
    /* `was` and `is`: bits of enum gv_listed, never the same. Must not call the feed. */
    void (*changed)(void *context, const struct gv_subject *subject, unsigned was, unsigned is);
};

/* `core` is borrowed until gv_feed_stop. Returns GV_OK or GV_ERR_MEMORY. */
int gv_feed_start(struct gv_feed **out, uv_loop_t *loop, const struct gv_core *core);
/* The loop must run on until its handle is closed; it frees itself then. NULL is allowed. */
void gv_feed_stop(struct gv_feed *feed);

/* From now on; what is listed already is read from the listing. The watcher is borrowed until
 * gv_feed_stop. */
void gv_feed_watch(struct gv_feed *feed, struct gv_feed_watcher *watcher);

/* Something happened about this subject: it is decided anew now. */
void gv_feed_subject(struct gv_feed *feed, const struct gv_subject *subject);
/* The lists or the settings have changed: everything is decided anew now. */
void gv_feed_all(struct gv_feed *feed);

const struct gv_listing *gv_feed_listing(const struct gv_feed *feed);

/* Whether a surface lists it: bits of enum gv_listed. Ranges of the deny list are in it too, which
 * no listing of single subjects could hold. */
unsigned gv_feed_look(const struct gv_feed *feed, const struct gv_subject *subject);

#endif
