/* What the registry answers (SPEC 14.1): one handler a path. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/json.h"
#include "node/base/log.h"
#include "node/registry/enrolment.h"
#include "node/registry/registrar.h"

/* ---- limits per client ---------------------------------------------------------------------- */

/* The client as the limits see it: an IPv4 address or an IPv6 /64. */
static void client_key(uint8_t out[16], const struct gv_http_request *request)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    gv_http_client_bytes(request, out);
    if (memcmp(out, mapped, sizeof mapped) != 0)
        memset(out + 8, 0, 8);
}

bool gv_client_allowed(struct gv_registrar *registrar, struct gv_http_request *request,
                       struct gv_rate *rate, int64_t limit)
{
    uint8_t key[16];
    uint32_t wait = 0;

    client_key(key, request);
    if (gv_rate_take(rate, key, (uint32_t)limit, gv_registrar_now_min(registrar), &wait))
        return true;
    gv_refuse_rate(request, "rate-client", "this address", wait);
    return false;
}

void gv_refuse_rate(struct gv_http_request *request, const char *word, const char *who,
                    uint32_t wait_min)
{
    char seconds[16];

    snprintf(seconds, sizeof seconds, "%u", wait_min * 60);
    gv_http_add_header(request, "Retry-After", seconds);
    gv_http_error(request, 429, word, "too many requests for %s, try again in %u minute%s", who,
                  wait_min, wait_min == 1 ? "" : "s");
}

/* Once an hour at most: the header is a stranger's to send, too. */
static void hint_at_proxy(struct gv_registrar *registrar, const struct gv_http_request *request)
{
    uint32_t now = gv_registrar_now_min(registrar);

    if (gv_http_proxied(request) || !gv_http_header(request, "X-Forwarded-For") ||
        (registrar->proxy_hint_min && now - registrar->proxy_hint_min < 60))
        return;
    registrar->proxy_hint_min = now;
    const struct sockaddr *peer = gv_http_peer(request);
    char host[64] = "?";
    if (peer)
        uv_ip_name(peer, host, sizeof host);
    gv_log(GV_LOG_WARNING,
           "a request from %s carries X-Forwarded-For, which is ignored: set [registry] "
           "trusted_proxy if this is your proxy",
           host);
}

/* Every handler begins here; false: answered. */
static bool admit(struct gv_registrar *registrar, struct gv_http_request *request)
{
    hint_at_proxy(registrar, request);
    return gv_client_allowed(registrar, request, &registrar->by_client,
                             registrar->settings->requests_per_client_minute);
}

/* What reads the database, or writes by itself, does so when nothing is half done. */
static bool admit_alone(struct gv_registrar *registrar, struct gv_http_request *request)
{
    gv_batch_flush(registrar);
    return admit(registrar, request);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void get_network(struct gv_http_request *request, void *context)
{
    struct gv_registrar *registrar = context;

    if (!admit(registrar, request))
        return;
    gv_registrar_refresh(registrar);
    gv_http_respond(request, 200, "application/octet-stream", registrar->descriptor_wire.data,
                    registrar->descriptor_wire.len);
}

static void get_terms(struct gv_http_request *request, void *context)
{
    struct gv_registrar *registrar = context;
    char *path = NULL;
    struct gv_buf text;

    gv_buf_init(&text);
    if (!admit(registrar, request))
        goto out;
    path = gv_data_path(registrar->settings->data, GV_FILE_TERMS);
    if (!path || gv_file_read(&text, path, GV_TERMS_FILE_MAX, NULL) != GV_OK) {
        gv_log_limited(GV_LOG_ERROR, "%s/" GV_FILE_TERMS " cannot be read, put the terms there",
                       registrar->settings->data);
        gv_http_error(request, 503, "terms-missing",
                      "the registry has no terms to show, ask who runs it");
        goto out;
    }
    gv_http_add_header(request, "Grapevine-Terms", registrar->descriptor.terms);
    gv_http_respond(request, 200, "text/plain; charset=utf-8", text.data, text.len);
out:
    gv_buf_free(&text);
    free(path);
}

static int add_revocation(void *context, const uint8_t *wire, size_t len)
{
    json_t *item = wire ? gv_json_new_base64(wire, len) : NULL;

    return item && json_array_append_new(context, item) == 0 ? GV_OK : GV_ERR_MEMORY;
}

/* A minute in decimal; an absent one is 0, so that all are listed. */
static bool read_since(uint32_t *out, const char *text)
{
    uint64_t value = 0;

    for (; text && *text; text++) {
        if (*text < '0' || *text > '9' || value > UINT32_MAX)
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    *out = (uint32_t)value;
    return value <= UINT32_MAX;
}

static void get_revocations(struct gv_http_request *request, void *context)
{
    struct gv_registrar *registrar = context;
    uint32_t since = 0;

    if (!admit_alone(registrar, request))
        return;
    if (!read_since(&since, gv_http_query(request, "since"))) {
        gv_http_error(request, 400, "request", "\"since\" must be a minute, as a whole number");
        return;
    }
    json_t *list = json_array();
    if (list &&
        gv_records_each_revocation(registrar->records, since, add_revocation, list) == GV_OK) {
        gv_http_respond_json(request, 200, list);
        return;
    }
    json_decref(list);
    gv_refuse_internal(request, GV_ERR_IO);
}

static void get_health(struct gv_http_request *request, void *context)
{
    struct gv_registrar *registrar = context;
    static const uint8_t nobody[GV_ID_LEN];
    struct gv_instance unused;

    if (!admit_alone(registrar, request))
        return;
    if (!gv_signers_at(&registrar->signers, &registrar->descriptor,
                       gv_registrar_now_min(registrar))) {
        gv_refuse_internal(request, GV_ERR_SIGNER);
        return;
    }
    if (gv_records_instance(registrar->records, &unused, nobody) != GV_ERR_NOT_FOUND) {
        gv_refuse_internal(request, GV_ERR_IO);
        return;
    }
    gv_http_respond_json(
        request, 200,
        json_pack("{s:s,s:s,s:o,s:s,s:i}", "status", "ok", "version", GV_VERSION, "network",
                  gv_json_new_hex(registrar->descriptor.network_id, GV_KEY_LEN), "name",
                  registrar->descriptor.name, "descriptor", (int)registrar->descriptor.version));
}

/* ---- enrolment ------------------------------------------------------------------------------ */

static void post_enroll(struct gv_http_request *request, void *context)
{
    struct gv_registrar *registrar = context;

    if (admit(registrar, request) &&
        gv_client_allowed(registrar, request, &registrar->enroll_by_client,
                          registrar->settings->enroll_per_client_hour))
        gv_enroll_handle(registrar, request);
}

static void post_confirm(struct gv_http_request *request, void *context)
{
    struct gv_registrar *registrar = context;

    if (admit(registrar, request))
        gv_confirm_handle(registrar, request);
}

static void post_renew(struct gv_http_request *request, void *context)
{
    struct gv_registrar *registrar = context;

    if (admit(registrar, request))
        gv_renew_handle(registrar, request);
}

/* ---- the page behind the link --------------------------------------------------------------- */

static void get_page(struct gv_http_request *request, void *context)
{
    if (admit_alone(context, request))
        gv_page_show(context, request);
}

static void post_page(struct gv_http_request *request, void *context)
{
    if (admit_alone(context, request))
        gv_page_confirm(context, request);
}

/* ---- leaving -------------------------------------------------------------------------------- */

static void post_leave(struct gv_http_request *request, void *context)
{
    if (admit_alone(context, request))
        gv_leave_handle(context, request);
}

static void get_leave_page(struct gv_http_request *request, void *context)
{
    if (admit_alone(context, request))
        gv_leave_show(context, request);
}

static void post_leave_page(struct gv_http_request *request, void *context)
{
    if (admit_alone(context, request))
        gv_leave_post(context, request);
}

/* ---- the log -------------------------------------------------------------------------------- */

static void get_log_head(struct gv_http_request *request, void *context)
{
    if (!admit_alone(context, request))
        return;
    gv_registrar_refresh(context); /* another key may sign by now */
    gv_log_head_handle(context, request);
}

static void get_log_entries(struct gv_http_request *request, void *context)
{
    if (admit_alone(context, request))
        gv_log_entries_handle(context, request);
}

static void get_log_inclusion(struct gv_http_request *request, void *context)
{
    if (admit_alone(context, request))
        gv_log_inclusion_handle(context, request);
}

static void get_log_consistency(struct gv_http_request *request, void *context)
{
    if (admit_alone(context, request))
        gv_log_consistency_handle(context, request);
}

const struct gv_http_route gv_registry_routes[] = {
    {"GET", "/v1/network", get_network},
    {"GET", "/v1/terms", get_terms},
    {"GET", "/v1/health", get_health},
    {"GET", "/v1/revocations", get_revocations},
    {"GET", "/v1/log/head", get_log_head},
    {"GET", "/v1/log/entries", get_log_entries},
    {"GET", "/v1/log/inclusion", get_log_inclusion},
    {"GET", "/v1/log/consistency", get_log_consistency},
    {"POST", "/v1/enroll", post_enroll},
    {"POST", "/v1/confirm", post_confirm},
    {"POST", "/v1/renew", post_renew},
    {"POST", "/v1/leave", post_leave},
    {"GET", GV_LEAVE_PATH, get_leave_page},
    {"POST", GV_LEAVE_PATH, post_leave_page},
    {"GET", GV_LEAVE_PATH "/*", get_leave_page},
    {"POST", GV_LEAVE_PATH "/*", post_leave_page},
    {"GET", GV_LINK_PATH "*", get_page},
    {"POST", GV_LINK_PATH "*", post_page},
};
const size_t gv_registry_route_count = sizeof gv_registry_routes / sizeof *gv_registry_routes;
