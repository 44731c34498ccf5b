#include "node/serve/api.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"

/* ---- questions ------------------------------------------------------------------------------ */

static const struct gv_core *core_of(const struct gv_api *api)
{
    return gv_driver_core(api->options.driver);
}

static json_t *registry_json(const struct gv_api *api)
{
    struct gv_membership_status status;

    gv_membership_status(api->options.membership, &status);
    return json_pack("{s:b, s:o, s:o, s:o}", "known",
                     (int)gv_membership_has_registry(api->options.membership), "trouble",
                     status.trouble_ms ? json_string(status.trouble) : json_null(), "trouble_since",
                     gv_api_time(status.trouble_ms), "retry", gv_api_time(status.retry_ms));
}

static void get_status(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_driver_status host;

    gv_driver_status(api->options.driver, &host);
    json_t *json =
        gv_api_status_json(core_of(api), &host, gv_driver_now(api->options.driver), gv_unix_ms());
    if (json) {
        json_object_set_new(json, "registry", registry_json(api));
        json_object_set_new(json, "logs",
                            api->options.logs ? api->options.logs(api->options.context)
                                              : json_array());
    }
    gv_http_respond_json(request, 200, json);
}

static void get_peers(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;

    gv_http_respond_json(
        request, 200,
        gv_api_peers_json(core_of(api), gv_driver_now(api->options.driver), gv_unix_ms()));
}

static void get_roster(struct gv_http_request *request, void *context)
{
    gv_http_respond_json(request, 200, gv_api_roster_json(core_of(context)));
}

static void get_lists(struct gv_http_request *request, void *context)
{
    gv_http_respond_json(request, 200, gv_api_lists_json(core_of(context)));
}

static void get_ip(struct gv_http_request *request, void *context)
{
    struct gv_subject subject;
    struct gv_text error;

    if (gv_api_subject(&subject, gv_http_query(request, "addr"), &error) != GV_OK)
        gv_http_error(request, 400, "bad-request", "%s", error.text);
    else
        gv_http_respond_json(request, 200, gv_api_ip_json(core_of(context), &subject));
}

static void get_list(struct gv_http_request *request, void *context)
{
    struct gv_api_list_query query;
    struct gv_text error;

    if (gv_api_list_query(&query, gv_http_query(request, "verdict"),
                          gv_http_query(request, "action"), gv_http_query(request, "limit"),
                          &error) != GV_OK)
        gv_http_error(request, 400, "bad-request", "%s", error.text);
    else
        gv_http_respond_json(request, 200, gv_api_list_json(core_of(context), &query));
}

static void get_network(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    const struct gv_descriptor *descriptor = gv_core_descriptor(core_of(api));
    struct gv_membership_status status;

    if (descriptor) {
        gv_http_respond_json(request, 200, gv_api_network_json(descriptor));
        return;
    }
    gv_membership_status(api->options.membership, &status);
    if (!gv_membership_has_registry(api->options.membership))
        gv_http_error(request, 404, "no-network",
                      "this node is in no network yet: name a registry, with [network] registry in "
                      "its configuration or with `grapevine enroll --registry URL`");
    else
        gv_http_error(request, 503, "no-network",
                      "the network's descriptor has not come from the registry yet%s%s",
                      status.trouble_ms ? ": " : "; try again in a moment", status.trouble);
}

/* ---- commands ------------------------------------------------------------------------------- */

static void answer_command(struct gv_api *api, struct gv_http_request *request,
                           const struct gv_event *event, const char *done)
{
    struct gv_driver_status host;

    int rc = gv_driver_command(api->options.driver, event);
    switch (rc) {
    case GV_OK:
        gv_http_respond_json(request, 200, json_pack("{s:b, s:s}", "ok", 1, "message", done));
        break;
    case GV_ERR_IO:
        gv_driver_status(api->options.driver, &host);
        gv_http_error(request, 507, "not-stored",
                      "it is in force, but would be forgotten by a restart: %s",
                      host.store_error.text);
        break;
    case GV_ERR_NOT_FOUND:
        gv_http_error(request, 404, "not-found", "there is nothing of the kind");
        break;
    case GV_ERR_NO_CERTIFICATE:
        gv_http_error(request, 409, "not-enrolled",
                      "this node is not enrolled and has said nothing that it could take back");
        break;
    case GV_ERR_FULL:
        gv_http_error(request, 507, "full",
                      "the list is full; put ranges into [policy] of the configuration instead");
        break;
    default:
        gv_http_error(request, 400, "refused", "%s", gv_strerror(rc));
        break;
    }
}

static void edit_list(struct gv_http_request *request, struct gv_api *api, enum gv_command command,
                      const char *done)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = command}};
    struct gv_text error;
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (gv_api_prefix_body(&event.command.prefix, body, len, &error) != GV_OK)
        gv_http_error(request, 400, "bad-request", "%s", error.text);
    else
        answer_command(api, request, &event, done);
}

static void post_allow(struct gv_http_request *request, void *context)
{
    edit_list(request, context, GV_COMMAND_ALLOW, "on the allow list");
}

static void post_deny(struct gv_http_request *request, void *context)
{
    edit_list(request, context, GV_COMMAND_DENY, "on the deny list");
}

static void post_unlist(struct gv_http_request *request, void *context)
{
    edit_list(request, context, GV_COMMAND_UNLIST, "on no list any more");
}

static void post_retract(struct gv_http_request *request, void *context)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = GV_COMMAND_RETRACT}};
    struct gv_text error;
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (gv_api_subject_body(&event.command.subject, body, len, &error) != GV_OK)
        gv_http_error(request, 400, "bad-request", "%s", error.text);
    else
        answer_command(context, request, &event, "retracted; the mesh is being told");
}

static void post_reload(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_text error = {""};

    if (!api->options.reload)
        gv_http_error(request, 404, "not-found", "there is nothing to reload");
    else if (api->options.reload(api->options.context, &error) != GV_OK)
        gv_http_error(request, 422, "bad-config", "the old configuration stays in force: %s",
                      error.text);
    else
        gv_http_respond_json(request, 200, json_pack("{s:b, s:s}", "ok", 1, "message", "reloaded"));
}

static void not_found(struct gv_http_request *request, void *context)
{
    (void)context;
    gv_http_error(request, 404, "not-found",
                  "no such path; see node/serve/api.h for those that are");
}

static const struct gv_http_route routes[] = {
    {"GET", "/api/v1/status", get_status},
    {"GET", "/api/v1/peers", get_peers},
    {"GET", "/api/v1/roster", get_roster},
    {"GET", "/api/v1/lists", get_lists},
    {"GET", "/api/v1/ip", get_ip},
    {"GET", "/api/v1/list", get_list},
    {"GET", "/api/v1/network", get_network},
    {"GET", "/api/v1/telemetry", gv_api_get_telemetry},
    {"GET", "/api/v1/terms", gv_api_get_terms},
    {"POST", "/api/v1/allow", post_allow},
    {"POST", "/api/v1/deny", post_deny},
    {"POST", "/api/v1/unlist", post_unlist},
    {"POST", "/api/v1/retract", post_retract},
    {"POST", "/api/v1/network", gv_api_post_network},
    {"POST", "/api/v1/enroll", gv_api_post_enroll},
    {"POST", "/api/v1/confirm", gv_api_post_confirm},
    {"POST", "/api/v1/reload", post_reload},
    {"GET", "/*", not_found},
};

/* ---- life ----------------------------------------------------------------------------------- */

static int set_group(const char *path, const char *name, struct gv_text *error)
{
    if (!name || !*name)
        return GV_OK;
    const struct group *group = getgrnam(name);
    if (!group)
        return gv_fail(error, GV_ERR_NOT_FOUND,
                       "[node] control_group: there is no group \"%s\"; make it with `groupadd "
                       "--system %s`",
                       name, name);
    if (chown(path, (uid_t)-1, group->gr_gid) != 0)
        return gv_fail(error, GV_ERR_IO,
                       "%s: cannot be given to the group %s: %s; the daemon's user must be in it",
                       path, name, strerror(errno));
    return GV_OK;
}

int gv_api_start(struct gv_api **out, const struct gv_api_options *options, struct gv_text *error)
{
    struct gv_api *api = calloc(1, sizeof *api);

    if (!api)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    api->options = *options;
    struct gv_http_options http = {
        .unix_path = options->socket_path,
        .routes = routes,
        .route_count = sizeof routes / sizeof *routes,
        .context = api,
        .body_max = GV_API_BODY_MAX,
        .connections_max = 64,
    };
    int rc = gv_http_start(&api->server, options->loop, &http, error);
    if (rc == GV_OK && (rc = set_group(options->socket_path, options->group, error)) != GV_OK)
        gv_http_stop(api->server);
    if (rc != GV_OK) {
        free(api);
        return rc;
    }
    *out = api;
    return GV_OK;
}

void gv_api_stop(struct gv_api *api)
{
    if (!api)
        return;
    api->stopped = true;
    gv_http_stop(api->server);
    free(api);
}
