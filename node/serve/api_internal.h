/* What the control socket's files share. Private to node/serve/api*.c. */
#ifndef GV_NODE_SERVE_API_INTERNAL_H
#define GV_NODE_SERVE_API_INTERNAL_H

#include "node/base/http.h"
#include "node/serve/api.h"
#include "node/serve/api_request.h"
#include "node/serve/changes.h"

#define GV_API_FOLLOWERS_MAX 16
#define GV_API_ASKING_MAX    8

struct gv_api_follower {
    struct gv_api *api;
    struct gv_http_request *request; /* NULL: free */
};

/* A request that waits for the registry. */
struct gv_api_asking {
    struct gv_api *api;
    struct gv_http_request *request; /* NULL: its client is gone, or answered */
    bool busy;                       /* the registry has not answered yet */
    void (*answer)(struct gv_api_asking *asking, const struct gv_enroll_answer *answer);
};

struct gv_api {
    struct gv_api_options options;
    struct gv_http_server *server;
    struct gv_api_follower followers[GV_API_FOLLOWERS_MAX];
    struct gv_api_asking asking[GV_API_ASKING_MAX];
    bool stopped;
    struct gv_token token; /* text "": none, nothing listens for HTTP */
    struct gv_changes *changes; /* NULL: none */
    struct gv_bouncers *bouncers; /* likewise */
};

/* Handlers of node/serve/api_registry.c, api_import.c, api_trust.c, api_telemetry.c,
 * api_bouncers.c and api_verdict.c. */
void gv_api_get_terms(struct gv_http_request *request, void *context);
void gv_api_post_network(struct gv_http_request *request, void *context);
void gv_api_post_enroll(struct gv_http_request *request, void *context);
void gv_api_post_confirm(struct gv_http_request *request, void *context);
void gv_api_get_trust(struct gv_http_request *request, void *context);
void gv_api_post_trust(struct gv_http_request *request, void *context);
void gv_api_post_untrust(struct gv_http_request *request, void *context);
void gv_api_post_import(struct gv_http_request *request, void *context);
void gv_api_get_telemetry(struct gv_http_request *request, void *context);
void gv_api_get_bouncers(struct gv_http_request *request, void *context);
void gv_api_post_bouncer(struct gv_http_request *request, void *context);
void gv_api_delete_bouncer(struct gv_http_request *request, void *context);
void gv_api_get_verdict(struct gv_http_request *request, void *context);
void gv_api_get_received(struct gv_http_request *request, void *context);
void gv_api_get_token(struct gv_http_request *request, void *context);
void gv_api_post_token(struct gv_http_request *request, void *context);

/* Answers with the list, at once or some turns of the loop later. */
void gv_api_answer_list(struct gv_http_request *request, uv_loop_t *loop,
                        const struct gv_core *core, const struct gv_api_list_query *query);

/* {"subject", "verdict", "action", "reason"}; returns its length. Not terminated. */
#define GV_API_VERDICT_TEXT 320
size_t gv_api_verdict_text(char out[GV_API_VERDICT_TEXT], const struct gv_core *core,
                           const struct gv_subject *subject);

#endif
