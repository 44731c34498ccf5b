/* What the files of the bouncers' API share. Private to node/serve/bouncer*.c. */
#ifndef GV_NODE_SERVE_BOUNCER_INTERNAL_H
#define GV_NODE_SERVE_BOUNCER_INTERNAL_H

#include "node/serve/bans.h"
#include "node/serve/bouncer.h"
#include "node/serve/bouncer_query.h"
#include "node/serve/slices.h"

/* Who has asked how far: one for each key and address. */
#define GV_BOUNCER_CURSORS 1024

struct gv_bouncer_cursor {
    uint64_t number; /* of the key; 0: free */
    uint8_t address[16];
    uint64_t change; /* all up to it is known there */
    uint64_t used;   /* the least is given up first */
};

struct gv_bouncer_counters {
    uint64_t pulls, told, lifted, full, cut, forbidden, metrics;
};

struct gv_bouncers {
    struct gv_bouncers_options options;
    char host[64];
    struct gv_bouncer_keys *keys;
    struct gv_bans *bans;
    struct gv_feed_watcher watcher;
    uv_timer_t timer;
    size_t sweep, sweep_left; /* where the renewal is in the table; how many more in this tick */
    uint8_t mark;             /* of the ranges seen last */
    struct gv_target *ranges; /* owned; those that are told */
    size_t range_count;
    bool stopped;
    unsigned handles;
    struct gv_slices slices;
    /* What is banned is compared with the listing; NULL: it is not. */
    struct gv_listing *sync; /* owned */
    size_t sync_cursor;
    struct gv_bans_walk sync_bans; /* before `sync` */
    bool sync_wanted;
    struct gv_bouncer_cursor cursors[GV_BOUNCER_CURSORS];
    uint64_t use;
    struct gv_bouncer_counters counters;
};

uint64_t gv_bouncers_now_ms(const struct gv_bouncers *b);
uint32_t gv_bouncers_now_s(const struct gv_bouncers *b);

/* bouncer_feed.c: what is banned. */
void gv_bouncers_watch(struct gv_bouncers *b);
/* What is enforced has changed: in slices. */
void gv_bouncers_sync(struct gv_bouncers *b);
void gv_bouncers_end_sync(struct gv_bouncers *b);
/* The lists have changed: their ranges, at once. */
void gv_bouncers_tell_ranges(struct gv_bouncers *b);
/* The timer's: some more of the table is looked through for what must be said again. False: there
 * is nothing in it. */
bool gv_bouncers_renew(struct gv_bouncers *b);
bool gv_bouncers_slice(void *bouncers);
/* How many would be, if it were enforced. */
size_t gv_bouncers_would(const struct gv_bouncers *b);

/* bouncer_answer.c: the long answers. */
void gv_bouncers_answer(struct gv_bouncers *b, struct gv_http_request *request,
                        const struct gv_bouncer_query *query, bool stream, uint64_t number);

/* How far this client knows; UINT64_MAX: that is not known, or too long ago. */
uint64_t gv_bouncers_cursor(struct gv_bouncers *b, uint64_t number, const uint8_t address[16]);
void gv_bouncers_move_cursor(struct gv_bouncers *b, uint64_t number, const uint8_t address[16],
                             uint64_t change);

#endif
