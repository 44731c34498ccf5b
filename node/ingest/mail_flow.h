/* The host's own mail flow, counted from Postfix's log: server-wide sums and nothing about any
 * mailbox. The words mean what they mean in pflogsumm, which admins know; where the two differ,
 * SPEC 10.7 says so. Pure: a parsed line and its time in, counts out; no file and no clock. */
#ifndef GV_INGEST_MAIL_FLOW_H
#define GV_INGEST_MAIL_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ingest/parse_mail_flow.h"

/* Name in C, in JSON, and for people. Messages, but for deliveries (one a recipient), deferrals
 * (one an attempt) and bytes. */
#define GV_MAIL_COUNTS(X)                                                                          \
    X(RECEIVED, "received", "received")                                                            \
    X(DELIVERED, "delivered", "delivered")                                                         \
    X(FORWARDED, "forwarded", "forwarded")                                                         \
    X(DEFERRED, "deferred", "deferred")                                                            \
    X(DEFERRALS, "deferrals", "deferrals")                                                         \
    X(BOUNCED, "bounced", "bounced")                                                               \
    X(EXPIRED, "expired", "expired")                                                               \
    X(REJECTED, "rejected", "rejected")                                                            \
    X(REJECT_WARNINGS, "reject_warnings", "reject warnings")                                       \
    X(HELD, "held", "held")                                                                        \
    X(DISCARDED, "discarded", "discarded")                                                         \
    X(BYTES_RECEIVED, "bytes_received", "bytes received")                                          \
    X(BYTES_DELIVERED, "bytes_delivered", "bytes delivered")                                       \
    /* A content filter's round trips: left out of received and delivered. */                      \
    X(REINJECTED, "reinjected", "taken back from a filter")                                        \
    X(FILTERED, "filtered", "handed to a filter")                                                  \
    X(LOGINS, "logins", "logins")                                                                  \
    X(LOGIN_FAILURES, "login_failures", "failed logins")

enum gv_mail_count {
#define X(name, json, text) GV_MAIL_##name,
    GV_MAIL_COUNTS(X)
#undef X
        GV_MAIL_COUNT_MAX
};

/* "received", ... as in JSON; and for people. */
const char *gv_mail_count_name(enum gv_mail_count which);
const char *gv_mail_count_text(enum gv_mail_count which);

/* What the log tells of the queue: messages that the queue manager took up, or that were put on
 * hold, and that were not removed since. */
struct gv_mail_queue {
    uint64_t messages;
    uint64_t oldest_ms; /* when the oldest of them came, unix milliseconds; 0: the queue is empty */
    uint64_t forgotten; /* messages still in the queue that the table had no room for */
};

struct gv_mail_flow_config {
    uint64_t key; /* for the hashes of queue ids, any; kept as long as the flow */
    /* Called for each change of a count, with the moment that it belongs to; a count that turns
     * out to be a filter's round trip is taken back with a negative `delta` at that same moment.
     * May be NULL. */
    void (*on_count)(void *context, enum gv_mail_count which, int64_t delta, uint64_t unix_ms);
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

/* The sums so far; never negative. */
uint64_t gv_mail_flow_count(const struct gv_mail_flow *flow, enum gv_mail_count which);
void gv_mail_flow_queue(const struct gv_mail_flow *flow, struct gv_mail_queue *out);

#endif
