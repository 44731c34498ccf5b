/* The host's own mail flow, counted from Postfix's log: server-wide sums and nothing about any
 * mailbox. The words mean what they mean in pflogsumm, which admins know; where the two differ,
 * SPEC 10.7 says so. Pure: a parsed line and its time in, counts out; no file and no clock. */
#ifndef GV_INGEST_MAIL_FLOW_H
#define GV_INGEST_MAIL_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/mail_counts.h"
#include "node/ingest/memory.h"
#include "node/ingest/parse_mail_flow.h"

/* What the log tells of the queue: messages that the queue manager took up, or that were put on
 * hold, and that were not removed since. */
struct gv_mail_queue {
    uint64_t messages;
    uint64_t oldest_ms; /* when the oldest of them came, unix milliseconds; 0: the queue is empty */
    uint64_t forgotten; /* messages still in the queue that the table had no room for */
};

struct gv_mail_flow_config {
    /* For the hashes of queue ids, any; kept as long as the flow, and the same one over a restart.
     */
    uint64_t key;
    /* Called for each change of a count, with the moment that it belongs to; a count that turns
     * out to be a filter's round trip is taken back with a negative `delta` at that same moment.
     * May be NULL. */
    void (*on_count)(void *context, enum gv_mail_count which, int64_t delta, uint64_t unix_ms);
    /* A recipient on another host was served or given up by smtp(8). It is no count of its own,
     * because pflogsumm has none; a surge of it is what a stolen account looks like. May be NULL.
     */
    void (*on_outgoing)(void *context, uint64_t unix_ms);
    void *context;
};

/* At most so many messages are known at a time; the oldest is forgotten first. */
#define GV_MAIL_MESSAGES 16384u

struct gv_mail_flow;

/* About 0.8 MB, fixed. NULL when out of memory. One may be shared by several readers. */
struct gv_mail_flow *gv_mail_flow_new(const struct gv_mail_flow_config *config);
void gv_mail_flow_free(struct gv_mail_flow *flow);

/* Takes what gv_parse_mail_flow found. `host`: of the line; two hosts may use one queue id. */
void gv_mail_flow_take(struct gv_mail_flow *flow, const struct gv_mail_parsed *parsed,
                       const struct gv_span *host, uint64_t unix_ms);

/* Logins come from the observations, not from here: `attempts` failed, or 0 for a success. */
void gv_mail_flow_login(struct gv_mail_flow *flow, uint64_t attempts, uint64_t unix_ms);

/* The sums so far, without those of before a restart; never negative. */
uint64_t gv_mail_flow_count(const struct gv_mail_flow *flow, enum gv_mail_count which);
void gv_mail_flow_queue(const struct gv_mail_flow *flow, struct gv_mail_queue *out);

/* What it knows of messages, as gv_reader_memory and gv_reader_recall; the sums are not in it. What
 * came so long before `now_ms` is not taken up. */
#define GV_MAIL_FLOW_AREAS 2
#define GV_MAIL_FLOW_FORM  1u
#define GV_MAIL_STALE_MS   (30ull * 86400000u)
size_t gv_mail_flow_memory(struct gv_mail_flow *flow,
                           struct gv_memory_area out[GV_MAIL_FLOW_AREAS]);
void gv_mail_flow_recall(struct gv_mail_flow *flow, uint64_t now_ms);

#endif
