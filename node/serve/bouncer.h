/* The part of CrowdSec's local API that bouncers use, so that those that exist work against a node
 * unchanged: what this host refuses, as decisions of type "ban". (SPEC 18.7) */
#ifndef GV_NODE_SERVE_BOUNCER_H
#define GV_NODE_SERVE_BOUNCER_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "node/base/http.h"
#include "node/base/text.h"
#include "node/serve/bouncer_keys.h"
#include "node/serve/feed.h"
#include "proto/core.h"

struct gv_bouncers;

struct gv_bouncers_options {
    uv_loop_t *loop;
    const struct gv_core *core; /* borrowed until gv_bouncers_stop, as is the feed */
    struct gv_feed *feed;
    const char *folder;       /* of the file with the keys */
    const uint8_t *store_key; /* GV_KEY_LEN bytes, not kept */
    const char *host;         /* where they ask, for `grapevine bouncers add`; NULL: nowhere */
    uint16_t port;
    bool enforced;  /* false: nothing is told, everybody is let through */
    bool untrusted; /* also what the mesh alone calls untrusted ([policy] feed = consensus) */
    uint64_t (*unix_ms)(void *context); /* the core's wall clock; NULL: the system's */
    void *context;
    size_t lifted_max; /* 0: GV_BANS_LIFTED_MAX */
};

/* Returns GV_OK, or with a sentence the errors of gv_bouncer_keys_open. */
int gv_bouncers_start(struct gv_bouncers **out, const struct gv_bouncers_options *options,
                      struct gv_text *error);
/* After the HTTP server and before the feed. The loop must run on until its handle is closed. NULL
 * is allowed. */
void gv_bouncers_stop(struct gv_bouncers *bouncers);
/* After a reload. */
void gv_bouncers_configure(struct gv_bouncers *bouncers, bool enforced, bool untrusted);
/* The lists have changed, and the feed has heard of it. */
void gv_bouncers_lists_changed(struct gv_bouncers *bouncers);

/* GET /v1/decisions and /v1/decisions/stream, POST /v1/usage-metrics, GET /health. */
void gv_bouncers_handle(struct gv_bouncers *bouncers, struct gv_http_request *request);

/* {"name", "key", "api_url" or null, "enforced"}: the key is shown this once. NULL with *rc one of
 * gv_bouncer_keys_add. */
json_t *gv_bouncers_add(struct gv_bouncers *bouncers, const char *name, int *rc,
                        struct gv_text *error);
int gv_bouncers_delete(struct gv_bouncers *bouncers, const char *name, struct gv_text *error);
/* {"bouncers": [{"name", "created", "last_pull", "address", "pulls"}]} */
json_t *gv_bouncers_list(const struct gv_bouncers *bouncers);
/* For status. */
json_t *gv_bouncers_json(const struct gv_bouncers *bouncers);

#endif
