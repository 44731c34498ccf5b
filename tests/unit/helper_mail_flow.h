/* A reader with the counters of the mail flow behind it, and what they say in one text. */
#ifndef GV_TESTS_HELPER_MAIL_FLOW_H
#define GV_TESTS_HELPER_MAIL_FLOW_H

#include "node/ingest/ingest.h"
#include "node/ingest/mail_flow.h"

struct flowing {
    struct gv_mail_flow *flow;
    struct gv_reader *reader;
    /* The sum of the deltas that were reported, which must be the counts at every moment. */
    int64_t told[GV_MAIL_COUNT_MAX];
    int64_t before[GV_MAIL_COUNT_MAX]; /* what of it was told before a restart */
    uint64_t last_ms[GV_MAIL_COUNT_MAX];
    struct gv_memory *memory; /* what it has stored; NULL: nothing yet */
};

/* The wall clock is 2026-11-22T12:00:00Z; TZ becomes UTC. */
void flowing_open(struct flowing *f);
void flowing_close(struct flowing *f);
/* Stores what has changed since it did the last time, as a commit does: how many rows that are. Of
 * one flow at a time. */
size_t flowing_save(struct flowing *f);
/* Leaves the flow with what it would store, and goes on with another that takes that up; the sums
 * of the first are carried over, as they are no part of it. */
void flowing_restart(struct flowing *f);
/* Lines with their prefix; each ends with a newline. */
void flowing_feed(struct flowing *f, const char *log, size_t len);

/* "received=1 delivered=2 queue=1": what is not 0. Aborts when the deltas do not add up. The answer
 * lives until the next. */
const char *flowing_text(const struct flowing *f);

/* What a log gives whose lines are PROGRAM[1]: TEXT without a prefix, a second apart from
 * 2026-11-22T10:00:00Z on. */
const char *flow_of(const char *lines);

#endif
