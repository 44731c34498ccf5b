/* The mail logs of the daemon: those it follows and old ones it imports, both wired to its driver.
 * grapevined.c owns one; everything runs in its loop. */
#ifndef GV_NODE_LOGS_H
#define GV_NODE_LOGS_H

#include <jansson.h>

#include "node/base/options.h"
#include "node/host/driver.h"
#include "node/ingest/follow.h"
#include "node/ingest/import.h"
#include "node/serve/surfaces.h"
#include "node/serve/flow_watch.h"

struct gv_logs {
    uv_loop_t *loop;
    struct gv_driver
        *driver; /* borrowed; set before gv_logs_follow, and there until gv_logs_stop */
    struct gv_persist *persist; /* borrowed, likewise */
    const uint8_t *store_key; /* GV_KEY_LEN, borrowed. Accounts are told apart under a key of it */
    struct gv_api *api;       /* borrowed; who follows alerts hears of them there; may be NULL */
    struct gv_flow_watch *watch;  /* of the flow of mail; NULL until a log is followed */
    struct gv_surfaces *surfaces; /* borrowed; NULL: none are told */
    struct gv_follow *follow;     /* NULL: none is followed */
    struct gv_import *import;     /* NULL: none was asked for yet */
};

/* Follows the logs that `options` name, instead of those before. The errors of gv_follow_start;
 * then none is followed. */
int gv_logs_follow(struct gv_logs *logs, const struct gv_options *options, struct gv_text *error);
/* Leaves them all. May be called again, and when nothing was begun. */
void gv_logs_stop(struct gv_logs *logs);
/* Before a commit: hands the driver where they were left. */
void gv_logs_keep(const struct gv_logs *logs);
/* Whether both name the same logs to be followed, in the same order. */
bool gv_logs_same(const struct gv_options *a, const struct gv_options *b);

/* The key of account hashes, GV_ACCOUNT_KEY_LEN bytes; the caller wipes it. */
void gv_logs_account_key(const struct gv_logs *logs, uint8_t out[GV_ACCOUNT_KEY_LEN]);
/* Hands an observation to the core, and its subject to the surfaces. */
void gv_logs_observe(void *context, const struct gv_observation *observation);

/* As struct gv_api_options has them; the context is the struct gv_logs. */
json_t *gv_logs_json(void *context);
json_t *gv_logs_mail_json(void *context);
void gv_logs_erase(void *context, const struct gv_subject *subject);
/* The mail queue, as far as the logs have told of it; false: no log is followed. */
bool gv_logs_queue(void *context, uint64_t *messages, uint64_t *oldest_ms);
/* GV_OK; GV_ERR_BUSY (others are being imported), or the errors of gv_import_start. */
int gv_logs_import(void *context, const char *const *paths, size_t count, struct gv_text *error);
json_t *gv_logs_import_json(void *context); /* NULL: none was asked for */

#endif
