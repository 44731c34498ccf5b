/* What the control socket's files share. Private to node/serve/api*.c. */
#ifndef GV_NODE_SERVE_API_INTERNAL_H
#define GV_NODE_SERVE_API_INTERNAL_H

#include "node/base/http.h"
#include "node/host/looks.h"
#include "node/serve/api.h"
#include "node/serve/api_request.h"
#include "node/serve/changes.h"

#define GV_API_FOLLOWERS_MAX 16
#define GV_API_ASKING_MAX    8

struct gv_api_follower {
    struct gv_api *api;
    struct gv_http_request *request; /* NULL: free */
    bool alerts;                     /* of alerts; else of telemetry */
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
    struct gv_token token;              /* text "": none, nothing listens for HTTP */
    struct gv_changes *changes;         /* NULL: none */
    struct gv_bouncers *bouncers;       /* likewise */
    const struct gv_flow_watch *watch;  /* NULL: none */
    json_t *settings;                   /* owned; NULL: none yet */
    struct gv_api_attackers *attackers; /* NULL: nobody has asked yet */
    struct gv_looks *looks;
};

/* The owner in the request's body is trusted, distrusted or neither any more; the answer in words
 * of the list that it goes to or leaves (api_trust.c). */
struct gv_api_owner_words {
    const char *done, *known, *unknown, *full;
};
void gv_api_edit_owner(struct gv_http_request *request, struct gv_api *api, enum gv_command command,
                       const struct gv_api_owner_words *words);

/* Handlers of node/serve/api_registry.c, api_import.c, api_trust.c, api_telemetry.c,
 * api_stats.c, api_bouncers.c and api_verdict.c. */
void gv_api_get_terms(struct gv_http_request *request, void *context);
void gv_api_post_network(struct gv_http_request *request, void *context);
void gv_api_post_enroll(struct gv_http_request *request, void *context);
void gv_api_post_confirm(struct gv_http_request *request, void *context);
void gv_api_post_leave(struct gv_http_request *request, void *context);
void gv_api_get_trust(struct gv_http_request *request, void *context);
void gv_api_post_trust(struct gv_http_request *request, void *context);
void gv_api_post_untrust(struct gv_http_request *request, void *context);
void gv_api_post_import(struct gv_http_request *request, void *context);
void gv_api_get_telemetry(struct gv_http_request *request, void *context);
void gv_api_get_bouncers(struct gv_http_request *request, void *context);
void gv_api_post_bouncer(struct gv_http_request *request, void *context);
void gv_api_delete_bouncer(struct gv_http_request *request, void *context);
void gv_api_post_distrust(struct gv_http_request *request, void *context);
void gv_api_post_undistrust(struct gv_http_request *request, void *context);
void gv_api_get_owners(struct gv_http_request *request, void *context);   /* api_owners.c */
void gv_api_get_evidence(struct gv_http_request *request, void *context); /* api_evidence.c */
void gv_api_get_verdict(struct gv_http_request *request, void *context);
void gv_api_get_received(struct gv_http_request *request, void *context);
void gv_api_get_token(struct gv_http_request *request, void *context);
void gv_api_post_token(struct gv_http_request *request, void *context);

/* Answers with the list, at once or some turns of the loop later. */
void gv_api_answer_list(struct gv_http_request *request, uv_loop_t *loop,
                        const struct gv_core *core, const struct gv_api_list_query *query);
void gv_api_get_privacy(struct gv_http_request *request, void *context);
json_t *gv_api_transparency_json(const struct gv_api *api); /* new reference */
void gv_api_get_transparency(struct gv_http_request *request, void *context);
void gv_api_get_privacy_export(struct gv_http_request *request, void *context);
void gv_api_post_privacy_erase(struct gv_http_request *request, void *context);
/* api_attackers.c */
void gv_api_get_attackers(struct gv_http_request *request, void *context);
void gv_api_attackers_free(struct gv_api_attackers *attackers);
void gv_api_get_stats_peers(struct gv_http_request *request, void *context);
void gv_api_get_stats(struct gv_http_request *request, void *context);
void gv_api_get_alerts(struct gv_http_request *request, void *context);
/* Keeps the request open and begins its stream; NULL: it was answered, too many follow. Its
 * `request` is NULL again once whoever asked has gone, perhaps at the first line. */
struct gv_api_follower *gv_api_follow(struct gv_api *api, struct gv_http_request *request,
                                      bool alerts);
/* Whoever follows or waits for changes on the HTTP port was let in by a token that is worth nothing
 * any more: it ends for them. */
void gv_api_dismiss(struct gv_api *api);
/* One line of it; takes the reference. False: whoever read it is gone. */
bool gv_api_push_line(struct gv_http_request *request, json_t *json);

/* {"subject", "verdict", "action", "reason"}; returns its length. Not terminated. */
#define GV_API_VERDICT_TEXT 320
size_t gv_api_verdict_text(char out[GV_API_VERDICT_TEXT], const struct gv_core *core,
                           const struct gv_subject *subject);

#endif
