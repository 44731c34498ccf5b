/* The mail logs of a running node: sources (ingest.h), where they were left, and what the admin is
 * told of them. What is kept goes through the owner, into the same transaction as what the lines
 * led to, so that a crash neither loses nor repeats one. */
#ifndef GV_INGEST_FOLLOW_H
#define GV_INGEST_FOLLOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "node/base/text.h"
#include "node/ingest/ingest.h"

struct gv_follow;

struct gv_follow_options {
    uv_loop_t *loop;
    const char *const *paths; /* copied; node/base/log_source.h; none: nothing is followed */
    size_t path_count;
    const struct gv_syslog_access *syslog;   /* copied; NULL: this host alone */
    bool from_start;                         /* of a log that was never read before */
    uint8_t account_key[GV_ACCOUNT_KEY_LEN]; /* secret */
    void *context;
    void (*observation)(void *context, const struct gv_observation *observation);
    /* After each batch: what it led to is to be stored, together with what gv_follow_keep says
     * then, within seconds; `again` false: in this turn, as the batch could not be read again, or
     * not be found. */
    void (*later)(void *context, bool again);
    /* By gv_follow_keep and gv_follow_erase: to be stored under the name. */
    void (*keep)(void *context, const char *name, const void *data, size_t len);
    /* The changes of a count, GV_STATISTICS_..., that belong to one minute, with its beginning; at
     * the latest from gv_follow_keep, before its `keep`. NULL: the flow of mail is not looked at.
     */
    void (*count)(void *context, unsigned count, int64_t delta, uint64_t unix_ms);
    /* What was stored under the name; false when there is nothing. */
    bool (*kept)(void *context, const char *name, void *data, size_t len);
};

/* Returns GV_OK, GV_ERR_MEMORY, GV_ERR_RANGE (too many logs) or GV_ERR_IO. */
int gv_follow_start(struct gv_follow **out, const struct gv_follow_options *options,
                    struct gv_text *error);
/* No callback comes afterwards; the memory goes with one of the loop's next turns. NULL is
 * allowed. */
void gv_follow_stop(struct gv_follow *follow);

/* Where its logs were left, and what the lines before that only began, goes to `keep`, as far as it
 * has changed. To be called before anything that lines led to is stored, and before
 * gv_follow_stop. NULL is allowed. */
void gv_follow_keep(struct gv_follow *follow);

/* Forgets what its readers know of a subject and stores that, with the next of what is kept. NULL
 * is allowed. */
void gv_follow_erase(struct gv_follow *follow, const struct gv_subject *subject);

/* One object a log, for status: path, state, counters. A new reference. */
json_t *gv_follow_json(const struct gv_follow *follow);

/* The mail queue, as far as the logs have told of it (oldest: 0 when it is empty); false when none
 * is followed. */
bool gv_follow_queue(const struct gv_follow *follow, uint64_t *messages, uint64_t *oldest_ms);

/* What all of them told of the flow of mail since the start, see mail_flow_json.h. A new reference,
 * or NULL. */
json_t *gv_follow_mail_json(const struct gv_follow *follow);

#endif
