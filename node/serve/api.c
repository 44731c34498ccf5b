#include "node/serve/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/base/users.h"
#include "node/serve/answer.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"

#define EARLIER_MAX 20 /* signals of the journal in one answer */

/* ---- questions ------------------------------------------------------------------------------ */

static const struct gv_core *core_of(const struct gv_api *api)
{
    return gv_driver_core(api->options.driver);
}

/* When the last of the registry's keys ends, of those that the descriptor names. */
static json_t *key_until(const struct gv_core *core)
{
    const struct gv_descriptor *descriptor = gv_core_descriptor(core);
    uint32_t until = 0;

    for (size_t i = 0; descriptor && i < descriptor->key_count; i++)
        if (descriptor->keys[i].until_min > until)
            until = descriptor->keys[i].until_min;
    return until > 0 ? gv_api_minute(until) : json_null();
}

static json_t *registry_json(const struct gv_api *api)
{
    struct gv_membership_status status;
    struct gv_audit_status log;

    gv_membership_status(api->options.membership, &status);
    gv_membership_audit(api->options.membership, &log);
    json_t *log_json = json_pack("{s:I, s:o, s:o, s:o, s:o}", "size", (json_int_t)log.size, "head",
                                 log.has_head ? gv_api_minute(log.head_min) : json_null(), "looked",
                                 gv_api_time(log.looked_ms), "trouble",
                                 *log.trouble ? json_string(log.trouble) : json_null(),
                                 "trouble_since", gv_api_time(log.trouble_ms));
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "log", log_json, "key_until",
                     key_until(core_of(api)), "finding",
                     log.finding_ms ? json_string(log.finding) : json_null(), "finding_since",
                     gv_api_time(log.finding_ms), "known",
                     (int)gv_membership_has_registry(api->options.membership), "trouble",
                     status.trouble_ms ? json_string(status.trouble) : json_null(), "trouble_since",
                     gv_api_time(status.trouble_ms), "retry", gv_api_time(status.retry_ms),
                     "refused", *status.refused ? json_string(status.refused) : json_null());
}

static const char *certificate_state(const struct gv_api *api, const json_t *status)
{
    const uint8_t *held = gv_membership_certificate(api->options.membership);
    struct gv_certificate certificate;

    if (json_is_true(json_object_get(status, "revoked")))
        return "revoked";
    if (!held || gv_certificate_parse(&certificate, held, GV_CERTIFICATE_LEN) != GV_OK)
        return "none";
    const struct gv_descriptor *descriptor = gv_core_descriptor(core_of(api));
    uint64_t now = gv_unix_ms() / 60000;
    if (certificate.expires_min + (uint64_t)(descriptor ? descriptor->policy.grace_min : 0) <= now)
        return "expired";
    if (json_is_true(json_object_get(status, "enrolled")))
        return certificate.expires_min <= now ? "overdue" : "valid";
    /* The core has none although it could: no key that the descriptor names has signed it. */
    return descriptor ? "dropped" : "waiting for the descriptor";
}

static const char *certificate_advice(const char *state)
{
    if (strcmp(state, "expired") == 0)
        return "this node's certificate has expired: enrol again with `grapevine enroll --email "
               "ADDRESS`";
    if (strcmp(state, "dropped") == 0)
        return "the network does not accept this node's certificate any more: enrol again with "
               "`grapevine enroll --email ADDRESS`";
    if (strcmp(state, "revoked") == 0)
        return "this node is revoked, its signals are not accepted any more: ask the registry, or "
               "enrol again with a new key";
    return NULL;
}

static void get_status(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_driver_status host;

    gv_driver_status(api->options.driver, &host);
    json_t *json =
        gv_api_status_json(core_of(api), &host, gv_driver_now(api->options.driver), gv_unix_ms());
    if (json) {
        const char *state = certificate_state(api, json), *advice = certificate_advice(state);
        json_object_set_new(json, "certificate_state", json_string(state));
        json_object_set_new(json, "advice", advice ? json_string(advice) : json_null());
        json_object_set_new(json, "registry", registry_json(api));
        json_object_set_new(json, "logs",
                            api->options.logs ? api->options.logs(api->options.logs_context)
                                              : json_array());
        json_t *import =
            api->options.import_json ? api->options.import_json(api->options.logs_context) : NULL;
        json_object_set_new(json, "import", import ? import : json_null());
        json_t *mail = api->options.mail ? api->options.mail(api->options.logs_context) : NULL;
        json_object_set_new(json, "mail", mail ? mail : json_null());
        json_t *enforcement =
            api->options.enforcement ? api->options.enforcement(api->options.context) : NULL;
        json_object_set_new(json, "enforcement", enforcement ? enforcement : json_null());
        json_object_set_new(json, "transparency", gv_api_transparency_json(api));
    }
    gv_answer_json(request, json);
}

static void get_peers(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;

    gv_answer_json(
        request, gv_api_peers_json(core_of(api), gv_driver_now(api->options.driver), gv_unix_ms()));
}

static void get_traffic(struct gv_http_request *request, void *context)
{
    gv_answer_json(request, gv_api_traffic_json(core_of(context)));
}

static void get_roster(struct gv_http_request *request, void *context)
{
    gv_answer_json(request, gv_api_roster_json(core_of(context)));
}

static void get_lists(struct gv_http_request *request, void *context)
{
    gv_answer_json(request, gv_api_lists_json(core_of(context)));
}

static void add_left(void *context, const uint8_t *record, size_t len, uint64_t left_ms)
{
    json_array_append_new(context, gv_api_left_json(record, len, left_ms));
}

/* What counts comes from memory; what has ceased to count, from the store, if it can be read. */
static void get_ip(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_subject subject;
    struct gv_text error;

    if (gv_api_subject(&subject, gv_http_query(request, "addr"), &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    json_t *json = gv_api_ip_json(core_of(api), &subject), *earlier = json_array();
    (void)gv_persist_journal(gv_driver_persist(api->options.driver), &subject, EARLIER_MAX,
                             add_left, earlier);
    json_object_set_new(json, "earlier", earlier);
    gv_answer_json(request, json);
}

static void get_list(struct gv_http_request *request, void *context)
{
    const struct gv_api *api = context;
    struct gv_api_list_query query;
    struct gv_text error;

    if (gv_api_list_query(&query, gv_http_query(request, "verdict"),
                          gv_http_query(request, "action"), gv_http_query(request, "limit"),
                          &error) != GV_OK ||
        gv_api_offset(&query.offset, "offset", gv_http_query(request, "offset"), &error) != GV_OK)
        gv_http_error(request, 400, "bad-request", "%s", error.text);
    else if (query.offset + query.limit > GV_API_LIMIT_MAX)
        gv_http_error(request, 400, "bad-request",
                      "offset and limit together may be %d at most; ask for one verdict or action",
                      GV_API_LIMIT_MAX);
    else
        gv_api_answer_list(request, api->options.loop, core_of(api), &query);
}

static void get_network(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    const struct gv_descriptor *descriptor = gv_core_descriptor(core_of(api));
    struct gv_membership_status status;

    if (descriptor) {
        gv_answer_json(request, gv_api_network_json(descriptor));
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

/* `nothing`: what to say when what the command is about is not there. */
static void answer_command(struct gv_api *api, struct gv_http_request *request,
                           const struct gv_event *event, const char *done, const char *nothing)
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
        gv_http_error(request, 404, "not-found", "%s", nothing);
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

static bool holds(const struct gv_prefix *list, size_t count, const struct gv_prefix *prefix)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].family == prefix->family && list[i].bits == prefix->bits &&
            memcmp(list[i].bytes, prefix->bytes, sizeof prefix->bytes) == 0)
            return true;
    return false;
}

/* Why there is nothing to take from the lists of the commands. */
static void say_not_listed(struct gv_text *out, const struct gv_api *api,
                           const struct gv_prefix *prefix)
{
    const struct gv_settings *settings = gv_core_settings(core_of(api));
    char text[GV_PREFIX_TEXT];

    gv_prefix_text(text, prefix);
    if (holds(settings->allow, settings->allow_count, prefix) ||
        holds(settings->deny, settings->deny_count, prefix))
        gv_fail(out, GV_ERR_NOT_FOUND,
                "%s is listed by the configuration, or is this host's own: take it out of [policy] "
                "and run `grapevine reload`",
                text);
    else
        gv_fail(out, GV_ERR_NOT_FOUND, "%s is on neither list; `grapevine allow` shows them", text);
}

static void edit_list(struct gv_http_request *request, struct gv_api *api, enum gv_command command,
                      const char *done)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = command}};
    struct gv_text error, nothing;
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (gv_api_prefix_body(&event.command.prefix, body, len, &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    say_not_listed(&nothing, api, &event.command.prefix);
    answer_command(api, request, &event, done, nothing.text);
    if (api->options.lists_changed)
        api->options.lists_changed(api->options.context, &event.command.prefix);
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
    struct gv_text error, nothing;
    char text[GV_SUBJECT_TEXT];
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (gv_api_subject_body(&event.command.subject, body, len, &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    gv_subject_text(text, &event.command.subject);
    gv_fail(&nothing, GV_ERR_NOT_FOUND,
            "this node has said nothing of %s that still counts: nothing to take back", text);
    answer_command(context, request, &event, "retracted; the mesh is being told", nothing.text);
}

static void post_ask(struct gv_http_request *request, void *context)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = GV_COMMAND_ASK}};
    struct gv_text error;
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (gv_api_subject_body(&event.command.subject, body, len, &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    struct gv_api *api = context;
    switch (gv_driver_command(api->options.driver, &event)) {
    case GV_OK:
        gv_http_respond_json(
            request, 200,
            json_pack("{s:b, s:s}", "ok", 1, "message", "its keepers are being asked"));
        break;
    case GV_ERR_DUPLICATE:
        gv_http_respond_json(request, 200,
                             json_pack("{s:b, s:s}", "ok", 1, "message",
                                       "this mesh is so small that every signal goes to all: what "
                                       "there is, is known here"));
        break;
    case GV_ERR_SUBJECT:
        gv_http_error(request, 400, "bad-request",
                      "nobody is asked about addresses that are not public");
        break;
    case GV_ERR_BUSY:
        gv_http_error(request, 429, "busy", "eight questions are out: again in ten seconds");
        break;
    default:
        gv_http_error(request, 409, "not-enrolled", "this node is not enrolled: it can ask nobody");
    }
}

/* `waits`: what takes effect at the next start only; or NULL. */
static void answer_reloaded(struct gv_http_request *request, const char *waits)
{
    char message[160] = "reloaded";

    if (waits)
        snprintf(message, sizeof message,
                 "reloaded; %s takes effect at the next start only: systemctl restart grapevine",
                 waits);
    gv_http_respond_json(request, 200, json_pack("{s:b, s:s}", "ok", 1, "message", message));
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
        answer_reloaded(request, json_string_value(json_object_get(api->settings, "restart")));
}

static void get_changes(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;

    if (api->changes)
        gv_changes_handle(api->changes, request);
    else
        gv_http_error(request, 503, "stopping", "the node is stopping, try again later");
}

static void get_settings(struct gv_http_request *request, void *context)
{
    const struct gv_api *api = context;

    if (api->settings)
        gv_answer_json(request, json_incref(api->settings));
    else
        gv_http_error(request, 503, "starting", "the node is starting, try again later");
}

static void not_found(struct gv_http_request *request, void *context)
{
    (void)context;
    gv_http_error(request, 404, "not-found",
                  "no such path; see node/serve/api.h for those that are");
}

static const struct gv_http_route routes[] = {
    /* Also on the HTTP port, with the token: */
    {"GET", "/api/v1/status", get_status},
    {"GET", "/api/v1/peers", get_peers},
    {"GET", "/api/v1/traffic", get_traffic},
    {"GET", "/api/v1/roster", get_roster},
    {"GET", "/api/v1/lists", get_lists},
    {"GET", "/api/v1/ip", get_ip},
    {"GET", "/api/v1/verdict", gv_api_get_verdict},
    {"GET", "/api/v1/list", get_list},
    {"GET", "/api/v1/changes", get_changes},
    {"GET", "/api/v1/network", get_network},
    {"GET", "/api/v1/telemetry", gv_api_get_telemetry},
    {"GET", "/api/v1/received", gv_api_get_received},
    {"GET", "/api/v1/stats", gv_api_get_stats},
    {"GET", "/api/v1/stats/peers", gv_api_get_stats_peers},
    {"GET", "/api/v1/alerts", gv_api_get_alerts},
    {"GET", "/api/v1/privacy", gv_api_get_privacy},
    {"GET", "/api/v1/attackers", gv_api_get_attackers},
    {"GET", "/api/v1/settings", get_settings},
    {"POST", "/api/v1/allow", post_allow},
    {"POST", "/api/v1/deny", post_deny},
    {"POST", "/api/v1/unlist", post_unlist},
    {"POST", "/api/v1/retract", post_retract},
    {"POST", "/api/v1/ask", post_ask},
#define PUBLISHED 23
    /* On the control socket alone: */
    {"GET", "/api/v1/privacy/export", gv_api_get_privacy_export},
    {"GET", "/api/v1/transparency", gv_api_get_transparency},
    {"POST", "/api/v1/privacy/erase", gv_api_post_privacy_erase},
    {"GET", "/api/v1/evidence", gv_api_get_evidence},
    {"GET", "/api/v1/owners", gv_api_get_owners},
    {"GET", "/api/v1/terms", gv_api_get_terms},
    {"GET", "/api/v1/token", gv_api_get_token},
    {"POST", "/api/v1/token", gv_api_post_token},
    {"POST", "/api/v1/distrust", gv_api_post_distrust},
    {"POST", "/api/v1/undistrust", gv_api_post_undistrust},
    {"GET", "/api/v1/trust", gv_api_get_trust},
    {"POST", "/api/v1/trust", gv_api_post_trust},
    {"POST", "/api/v1/untrust", gv_api_post_untrust},
    {"POST", "/api/v1/network", gv_api_post_network},
    {"POST", "/api/v1/enroll", gv_api_post_enroll},
    {"POST", "/api/v1/confirm", gv_api_post_confirm},
    {"POST", "/api/v1/leave", gv_api_post_leave},
    {"POST", "/api/v1/reload", post_reload},
    {"POST", "/api/v1/import", gv_api_post_import},
    {"GET", "/api/v1/bouncers", gv_api_get_bouncers},
    {"POST", "/api/v1/bouncers", gv_api_post_bouncer},
    {"POST", "/api/v1/bouncers/delete", gv_api_delete_bouncer},
    {"GET", "/*", not_found},
};

const struct gv_http_route *gv_api_routes(size_t *count, size_t *published)
{
    *published = PUBLISHED;
    *count = sizeof routes / sizeof *routes - 1;
    return routes;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int set_group(const char *path, const char *name, struct gv_text *error)
{
    if (!name || !*name)
        return GV_OK;
    gid_t group;
    int rc = gv_group_find(&group, name, error);
    if (rc == GV_ERR_NOT_FOUND)
        return gv_fail(error, rc,
                       "[node] control_group: there is no group \"%s\"; make it with `groupadd "
                       "--system %s`",
                       name, name);
    if (rc == GV_OK && chown(path, (uid_t)-1, group) != 0)
        return gv_fail(error, GV_ERR_IO,
                       "%s: cannot be given to the group %s: %s; the daemon's user must be in it",
                       path, name, strerror(errno));
    return rc;
}

int gv_api_start(struct gv_api **out, const struct gv_api_options *options, struct gv_text *error)
{
    struct gv_api *api = calloc(1, sizeof *api);

    if (!api)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    api->options = *options;
    int rc =
        options->token_folder ? gv_token_open(&api->token, options->token_folder, error) : GV_OK;
    if (rc != GV_OK) {
        free(api);
        return rc;
    }
    struct gv_http_options http = {
        .unix_path = options->socket_path,
        .routes = routes,
        .route_count = sizeof routes / sizeof *routes,
        .context = api,
        .body_max = GV_API_BODY_MAX,
        .connections_max = 64,
    };
    rc = gv_http_start(&api->server, options->loop, &http, error);
    if (rc == GV_OK && (rc = set_group(options->socket_path, options->group, error)) != GV_OK)
        gv_http_stop(api->server);
    if (rc == GV_OK && (rc = gv_looks_new(&api->looks, options->loop,
                                          gv_driver_persist(options->driver))) != GV_OK) {
        gv_fail(error, rc, "out of memory");
        gv_http_stop(api->server);
    }
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
    gv_token_wipe(&api->token);
    gv_api_attackers_free(api->attackers);
    gv_looks_free(api->looks);
    json_decref(api->settings);
    free(api);
}

void gv_api_set_settings(struct gv_api *api, json_t *settings)
{
    json_decref(api->settings);
    api->settings = settings;
}

const struct gv_token *gv_api_token(const struct gv_api *api)
{
    return &api->token;
}

void gv_api_set_watch(struct gv_api *api, const struct gv_flow_watch *watch)
{
    api->watch = watch;
}

void gv_api_set_changes(struct gv_api *api, struct gv_changes *changes)
{
    api->changes = changes;
}

void gv_api_set_bouncers(struct gv_api *api, struct gv_bouncers *bouncers)
{
    api->bouncers = bouncers;
}
