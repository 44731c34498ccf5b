/* The control socket: HTTP on a unix socket (0660) under /api/v1/, for the grapevine command. All
 * answers are JSON, and come from memory but for telemetry and earlier signals on an address.
 *
 *   GET  status, peers, traffic, roster, lists, network, terms
 *        ip?addr=ADDR   list?verdict=&action=&limit=
 *        telemetry?since=&limit=&follow=1   (follow: one object a line, as they come)
 *   POST allow, deny, unlist {"addr": ADDR or PREFIX}   retract {"addr": ADDR}
 *        network {"registry": URL}   enroll {"email", "terms"}   confirm {"code"}   reload
 *        import {"files": [PATH...]}   (what became of it: status, "import")
 */
#ifndef GV_NODE_SERVE_API_H
#define GV_NODE_SERVE_API_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "node/base/text.h"
#include "node/host/driver.h"
#include "node/host/membership.h"

struct gv_api;

struct gv_api_options {
    uv_loop_t *loop;
    struct gv_driver *driver; /* borrowed until gv_api_stop, as is all below */
    struct gv_membership *membership;
    const char *socket_path;
    const char *group; /* may use the socket; NULL or "": the daemon's own */
    void *logs_context; /* of logs, mail and import */
    json_t *(*logs)(void *context); /* new reference: the logs that are read, for status */
    /* Begins to read old logs; `import_json`: a new reference to how far it is, or NULL. */
    int (*import)(void *context, const char *const *paths, size_t count, struct gv_text *error);
    json_t *(*import_json)(void *context);
    json_t *(*mail)(void *context); /* the same of the flow of mail; may give NULL */
    void *context;
    json_t *(*enforcement)(void *context); /* new reference: what is enforced; may give NULL */
    void (*lists_changed)(void *context);  /* the admin's own; may be NULL */
    int (*reload)(void *context, struct gv_text *error); /* as on SIGHUP */
};

/* Returns GV_OK; GV_ERR_BUSY (another daemon has the socket), GV_ERR_NOT_FOUND (no such group),
 * GV_ERR_IO, GV_ERR_MEMORY. */
int gv_api_start(struct gv_api **out, const struct gv_api_options *options, struct gv_text *error);
/* The loop must run on until its handles are closed. NULL is allowed. */
void gv_api_stop(struct gv_api *api);

/* Own statement `id` was made or acknowledged: who follows telemetry sees it. */
void gv_api_recorded(struct gv_api *api, const uint8_t id[GV_ID_LEN]);

#endif
