/* The API: HTTP under /api/v1/, on the control socket (unix, 0660) for the grapevine command, and
 * what only reads, and what a click in the dashboard does to one address, also on the HTTP port
 * (port.h), for whoever has the token. All answers are JSON,
 * with an ETag where it saves something, and come from memory but for telemetry and earlier signals
 * on an address. node/serve/openapi.json describes every path; a test holds the two together.
 *
 *   GET  status, peers, traffic, roster, lists, network
 *        ip?addr=ADDR   verdict?addr=ADDR   list?verdict=&action=&limit=&offset=
 *        changes?since=SERIAL&wait=SECONDS   received?limit=&cursor=
 *        telemetry?since=&limit=&before=&addr=&follow=1   (follow: one object a line, as they come)
 *        stats?since=&by=minute|hour|day   alerts?limit=&follow=1   privacy
 *        attackers   settings
 *   POST allow, deny, unlist {"addr": ADDR or PREFIX}   retract, ask {"addr": ADDR}
 * and on the control socket alone
 *   GET  terms, token, trust, bouncers
 *        privacy/export?addr=ADDR   transparency
 *   POST privacy/erase {"addr": ADDR}
 *   POST trust, untrust {"owner": TAG}
 *        network {"registry": URL}   enroll {"email", "terms"}   confirm {"code"}   reload
 *        leave {"instance": ID}   (its own)
 *        bouncers, bouncers/delete {"name": NAME}
 *        import {"files": [PATH...]}   (what became of it: status, "import")   token (a new one)
 */
#ifndef GV_NODE_SERVE_API_H
#define GV_NODE_SERVE_API_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "node/base/text.h"
#include "node/host/driver.h"
#include "node/host/membership.h"
#include "node/serve/changes.h"
#include "node/serve/token.h"
#include "node/serve/bouncer.h"
#include "node/serve/flow_watch.h"

struct gv_api;

struct gv_api_options {
    uv_loop_t *loop;
    struct gv_driver *driver; /* borrowed until gv_api_stop, as is all below */
    struct gv_membership *membership;
    const char *socket_path;
    const char *group;        /* may use the socket; NULL or "": the daemon's own */
    const char *token_folder; /* where the token of the HTTP port lies; NULL: there is no port */
    void *logs_context;       /* of logs, mail and import */
    json_t *(*logs)(void *context); /* new reference: the logs that are read, for status */
    /* Begins to read old logs; `import_json`: a new reference to how far it is, or NULL. */
    int (*import)(void *context, const char *const *paths, size_t count, struct gv_text *error);
    json_t *(*import_json)(void *context);
    json_t *(*mail)(void *context); /* the same of the flow of mail; may give NULL */
    /* The readers forget a subject; what they keep of it on the disk goes with the next row that is
     * stored. May be NULL. */
    void (*erase)(void *context, const struct gv_subject *subject);
    void *context;
    json_t *(*enforcement)(void *context); /* new reference: what is enforced; may give NULL */
    /* What is on the admin's lists has changed for this prefix; NULL: who is believed, for all. May
     * be NULL. */
    void (*lists_changed)(void *context, const struct gv_prefix *prefix);
    int (*reload)(void *context, struct gv_text *error); /* as on SIGHUP */
};

/* Returns GV_OK; GV_ERR_BUSY (another daemon has the socket), GV_ERR_NOT_FOUND (no such group),
 * GV_ERR_IO, GV_ERR_MEMORY. */
int gv_api_start(struct gv_api **out, const struct gv_api_options *options, struct gv_text *error);
/* The loop must run on until its handles are closed. NULL is allowed. */
void gv_api_stop(struct gv_api *api);

/* All routes of the socket; their context is the api. The first `published` are on the port, too.
 */
const struct gv_http_route *gv_api_routes(size_t *count, size_t *published);
const struct gv_token *gv_api_token(const struct gv_api *api);
/* Borrowed; NULL: no more, before they are stopped. */
void gv_api_set_changes(struct gv_api *api, struct gv_changes *changes);
/* Whose keys are edited; borrowed. NULL: none. */
void gv_api_set_bouncers(struct gv_api *api, struct gv_bouncers *bouncers);

/* What the configuration says (gv_options_json), for GET settings. Takes the reference. */
void gv_api_set_settings(struct gv_api *api, json_t *settings);

/* What watches the flow of mail; likewise. */
void gv_api_set_watch(struct gv_api *api, const struct gv_flow_watch *watch);

/* An alert began or ended: who follows alerts sees it. */
void gv_api_alerted(struct gv_api *api, const struct gv_alert *alert);
/* Own statement `id` was made or acknowledged: who follows telemetry sees it. */
void gv_api_recorded(struct gv_api *api, const uint8_t id[GV_ID_LEN]);

#endif
