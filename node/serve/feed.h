/* Keeps the listing (listing.h) true to the core: a subject is decided anew at once when something
 * happens about it; when its lock or verdict ends (ends.h); and all of them in turn, because clean
 * history begins and ends by itself, too. What concerns many subjects is done in slices of a turn
 * of the loop (slices.h). (SPEC 18.1) */
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
#define GV_FEED_CALM_MS     20000u /* while nothing is observed here */
/* What the core tells of in one turn, at about 2 microseconds each; the rest half a second later.
 */
#define GV_FEED_AT_ONCE 128u

struct gv_feed;

/* Who wants to hear of every change of the listing: the firewall, bouncers, hooks. */
struct gv_feed_watcher {
    struct gv_feed_watcher *next; /* the feed's own */
    void *context;
    /* `was` and `is`: bits of enum gv_listed, never the same. Must not call the feed. */
    void (*changed)(void *context, const struct gv_subject *subject, unsigned was, unsigned is);
};

struct gv_feed_options {
    uv_loop_t *loop;
    const struct gv_core *core; /* borrowed until gv_feed_stop */
    void *context;
    uint64_t (*unix_ms)(void *context); /* NULL: the wall clock */
    /* The core has to know what time it is now, something ends. May be NULL. */
    void (*clock)(void *context);
};

/* All is decided when it returns. Returns GV_OK or GV_ERR_MEMORY. */
int gv_feed_start(struct gv_feed **out, const struct gv_feed_options *options);
/* The loop must run on until its handle is closed; it frees itself then. NULL is allowed. */
void gv_feed_stop(struct gv_feed *feed);

/* From now on; what is listed already is read from the listing. The watcher is borrowed until
 * gv_feed_stop. */
void gv_feed_watch(struct gv_feed *feed, struct gv_feed_watcher *watcher);

/* Something happened about this subject: it is decided anew now. */
void gv_feed_subject(struct gv_feed *feed, const struct gv_subject *subject);
/* The same, but when a turn of the loop brings hundreds of them, within a second. */
void gv_feed_about(struct gv_feed *feed, const struct gv_subject *subject);
/* An entry of the admin's lists came or went: what it names is decided anew, a single subject now,
 * the subjects of a range in slices. gv_feed_look is right at once. */
void gv_feed_prefix(struct gv_feed *feed, const struct gv_prefix *prefix);
/* The settings have changed, or who is believed: everything is decided anew, likewise. */
void gv_feed_all(struct gv_feed *feed);
/* Whether some of that is still to be done. */
bool gv_feed_busy(const struct gv_feed *feed);
/* Does it now, however long it takes: for whom nobody waits. */
void gv_feed_finish(struct gv_feed *feed);

const struct gv_listing *gv_feed_listing(const struct gv_feed *feed);

/* Whether a surface lists it: bits of enum gv_listed. Ranges of the deny list are in it too, which
 * no listing of single subjects could hold. */
unsigned gv_feed_look(const struct gv_feed *feed, const struct gv_subject *subject);
size_t gv_feed_refused(const struct gv_feed *feed); /* subjects of the listing */
size_t gv_feed_bytes(const struct gv_feed *feed);   /* of memory, the listing with it */

#endif
