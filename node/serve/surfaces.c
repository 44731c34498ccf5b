#include "node/serve/surfaces.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/http.h"
#include "node/base/keyfile.h"
#include "node/base/log.h"
#include "node/serve/blocklist.h"
#include "node/serve/changes.h"
#include "node/serve/dnsbl.h"
#include "node/serve/dovecot.h"
#include "node/serve/feed.h"
#include "node/serve/firewall.h"
#include "node/serve/alert_mail.h"
#include "node/serve/hooks.h"
#include "node/serve/metrics.h"
#include "node/serve/port.h"
#include "node/serve/watch.h"
#include "node/serve/why.h"

struct gv_surfaces {
    uv_loop_t *loop;
    const struct gv_core *core;
    struct gv_driver *driver; /* NULL: the core's clock is another's business */
    struct gv_feed *feed;
    struct gv_watch *watch;
    struct gv_dnsbl *dnsbl;     /* NULL: does not listen */
    struct gv_dovecot *dovecot; /* NULL: no HTTP port */
    struct gv_bouncers *bouncers;
    struct gv_firewall *firewall;
    struct gv_hooks *hooks;
    struct gv_alert_mail *alert_mail;
    struct gv_http_server *http;
    struct gv_changes *changes;
    struct gv_blocklist *blocklist;
    struct gv_metrics metrics;
    struct gv_port *port; /* NULL: no API on the HTTP port */
    struct gv_api *api;
    struct gv_config_address *clients; /* owned: who may ask from elsewhere */
    char **names;                      /* owned, and each: of this host; the first is a constant */
    size_t name_count;
    char key[2 * GV_SECRET_LEN + 1]; /* what Dovecot must send */
    unsigned enforced;               /* bits of enum gv_enforce */
    uint64_t dns_would;              /* questions that would have been answered with "listed" */
};

/* ---- DNS ------------------------------------------------------------------------------------ */

static bool listed(void *context, enum gv_dns_zone zone, const struct gv_subject *subject)
{
    struct gv_surfaces *s = context;
    unsigned bit = zone == GV_DNS_REFUSE ? GV_LISTED_REFUSED : GV_LISTED_UNTRUSTED;
    bool on = gv_feed_look(s->feed, subject) & bit;

    if (s->enforced & GV_ENFORCE_DNSBL)
        return on;
    s->metrics.dns_would = s->dns_would += on;
    return false;
}

static void reason(void *context, char out[GV_DNS_TEXT_MAX + 1], enum gv_dns_zone zone,
                   const struct gv_subject *subject)
{
    const struct gv_surfaces *s = context;
    struct gv_decision decision = gv_core_decide(s->core, NULL, NULL, subject);
    const char *text = zone == GV_DNS_UNTRUSTED ? "The mesh calls this address untrusted."
                                                : gv_reason_text(decision.reason);

    snprintf(out, GV_DNS_TEXT_MAX + 1, "%s", text);
}

static void soon(void *context, const struct gv_subject *subject)
{
    const struct gv_surfaces *s = context;

    gv_listing_soon(gv_feed_listing(s->feed), subject);
}

static uint32_t serial(void *context)
{
    const struct gv_surfaces *s = context;

    return (uint32_t)gv_listing_serial(gv_feed_listing(s->feed));
}

static int start_dns(struct gv_surfaces *s, const struct gv_surfaces_options *o,
                     struct gv_text *error)
{
    struct gv_dnsbl_options dns = {
        .loop = o->loop,
        .listen = o->options->dnsbl_at,
        .listen_count = o->options->dnsbl_listen.count,
        .clients = o->options->dnsbl_client_ranges,
        .client_count = o->options->dnsbl_clients.count,
        .source = {.context = s, .listed = listed, .reason = reason},
        .serial = serial,
        .soon = soon,
    };

    return dns.listen_count ? gv_dnsbl_start(&s->dnsbl, &dns, error) : GV_OK;
}

/* ---- HTTP ----------------------------------------------------------------------------------- */

/* Whoever can report could accuse any address, so not even a local user may without the key. */
static bool has_key(const struct gv_surfaces *s, struct gv_http_request *request)
{
    const char *given = gv_http_header(request, "X-Api-Key");
    size_t len = strlen(s->key);

    return given && strlen(given) == len && sodium_memcmp(given, s->key, len) == 0;
}

static void on_dovecot(struct gv_http_request *request, void *context)
{
    struct gv_surfaces *s = context;

    if (!has_key(s, request)) {
        gv_log_limited(GV_LOG_WARNING, "a request to /dovecot without the right key; set "
                                       "auth_policy_server_api_header as `grapevine snippet "
                                       "dovecot` prints it");
        gv_http_error(request, 403, "forbidden", "the header X-Api-Key is missing or wrong");
        return;
    }
    gv_dovecot_handle(s->dovecot, request);
}

static void on_bouncer(struct gv_http_request *request, void *context)
{
    struct gv_surfaces *s = context;

    gv_bouncers_handle(s->bouncers, request);
}

static const struct gv_http_route routes[] = {
    {"POST", "/dovecot", on_dovecot},     {"GET", "/v1/decisions/stream", on_bouncer},
    {"GET", "/v1/decisions", on_bouncer}, {"POST", "/v1/usage-metrics", on_bouncer},
    {"GET", "/health", on_bouncer},
};

static int read_key(struct gv_surfaces *s, const char *folder, struct gv_text *error)
{
    uint8_t secret[GV_SECRET_LEN];
    char path[4096];
    bool fresh;

    snprintf(path, sizeof path, "%s/dovecot.key", folder);
    int rc = gv_keyfile_ensure(secret, &fresh, path, error);
    if (rc == GV_OK)
        gv_hex(s->key, secret, sizeof secret);
    gv_wipe(secret, sizeof secret);
    return rc;
}

/* What outlives a reload is copied: where the port listens and for whom is fixed. */
static int copy_access(struct gv_surfaces *s, struct gv_http_options *http,
                       const struct gv_options *options)
{
    s->clients = calloc(options->http_clients.count + 1, sizeof *s->clients);
    s->names = calloc(options->http_names.count + 1, sizeof *s->names);
    if (!s->clients || !s->names)
        return GV_ERR_MEMORY;
    if (options->http_clients.count)
        memcpy(s->clients, options->http_clients.items,
               options->http_clients.count * sizeof *s->clients);
    for (size_t i = 0; i <= options->http_names.count; i++) {
        s->names[i] = strdup(i ? options->http_names.items[i - 1] : "localhost");
        if (!s->names[i])
            return GV_ERR_MEMORY;
        s->name_count++;
    }
    http->guarded = true;
    http->clients = s->clients;
    http->client_count = options->http_clients.count;
    http->hosts = (const char *const *)s->names;
    http->host_count = s->name_count;
    return GV_OK;
}

/* The API, the lists and the metrics. */
static int start_port(struct gv_surfaces *s, struct gv_http_options *http,
                      const struct gv_surfaces_options *o)
{
    if (!o->api)
        return GV_OK;
    int rc = gv_blocklist_start(&s->blocklist, s->loop, s->feed, s->core);
    if (rc != GV_OK)
        return rc;
    s->metrics = (struct gv_metrics){.driver = o->driver,
                                     .changes = s->changes,
                                     .dnsbl = s->dnsbl,
                                     .dovecot = s->dovecot,
                                     .bouncers = s->bouncers,
                                     .firewall = s->firewall,
                                     .hooks = s->hooks,
                                     .enforced = s->enforced,
                                     .logs_context = o->context,
                                     .logs = o->logs};
    rc = gv_port_start(&s->port, &(struct gv_port_options){.api = o->api,
                                                           .blocklist = s->blocklist,
                                                           .metrics = &s->metrics});
    if (rc == GV_OK)
        http->bound = gv_port_routes(s->port, &http->bound_count);
    return rc;
}

static int start_http(struct gv_surfaces *s, const struct gv_surfaces_options *o,
                      struct gv_text *error)
{
    struct gv_dovecot_options dovecot = {.loop = o->loop,
                                         .core = o->core,
                                         .account_key = o->account_key,
                                         .enforced = s->enforced & GV_ENFORCE_DOVECOT,
                                         .context = o->context,
                                         .observe = o->observe};
    struct gv_http_options http = {.routes = routes,
                                   .route_count = sizeof routes / sizeof *routes,
                                   .context = s,
                                   .head_max = 8192,
                                   .connections_max = GV_SURFACES_CONNECTIONS,
                                   .connections_per_ip = GV_SURFACES_CONNECTIONS};

    if (o->options->http_listen.count == 0)
        return GV_OK;
    int rc = read_key(s, o->options->data, error);
    if (rc != GV_OK)
        return rc;
    rc = gv_dovecot_start(&s->dovecot, &dovecot);
    if (rc == GV_OK)
        rc = copy_access(s, &http, o->options);
    if (rc == GV_OK)
        rc = start_port(s, &http, o);
    if (rc != GV_OK)
        return gv_fail(error, rc, "out of memory");
    http.host = o->options->http_listen.items[0].host;
    http.port = o->options->http_listen.items[0].port;
    rc = gv_http_start(&s->http, o->loop, &http, error);
    s->metrics.http = s->http;
    return rc;
}

/* ---- bouncers ------------------------------------------------------------------------------- */

static bool feeds_untrusted(const struct gv_options *options)
{
    return options->feed == 1;
}

static int start_bouncers(struct gv_surfaces *s, const struct gv_surfaces_options *o,
                          struct gv_text *error)
{
    const struct gv_config_hosts *listen = &o->options->http_listen;

    return gv_bouncers_start(
        &s->bouncers,
        &(struct gv_bouncers_options){.loop = o->loop,
                                      .core = o->core,
                                      .feed = s->feed,
                                      .folder = o->options->data,
                                      .store_key = o->store_key,
                                      .host = listen->count ? listen->items[0].host : NULL,
                                      .port = listen->count ? listen->items[0].port : 0,
                                      .enforced = s->enforced & GV_ENFORCE_BOUNCERS,
                                      .untrusted = feeds_untrusted(o->options)},
        error);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void tell_clock(void *context)
{
    const struct gv_surfaces *s = context;
    struct gv_event event = {.kind = GV_EVENT_TIMER};

    if (s->driver)
        (void)gv_driver_event(s->driver, &event);
}

int gv_surfaces_start(struct gv_surfaces **out, const struct gv_surfaces_options *options,
                      struct gv_text *error)
{
    struct gv_surfaces *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    s->loop = options->loop;
    s->core = options->core;
    s->enforced = options->options->enforced;
    s->api = options->api;
    s->watch = gv_watch_new(options->core);
    s->driver = options->driver;
    int rc = s->watch ? gv_feed_start(&s->feed, &(struct gv_feed_options){.loop = options->loop,
                                                                          .core = options->core,
                                                                          .context = s,
                                                                          .clock = tell_clock})
                      : GV_ERR_MEMORY;
    if (rc == GV_OK)
        rc = gv_changes_start(&s->changes, options->loop, s->feed, options->core);
    if (rc != GV_OK) {
        gv_surfaces_stop(s);
        return gv_fail(error, rc, "out of memory");
    }
    rc = start_dns(s, options, error);
    if (rc == GV_OK &&
        gv_firewall_start(&s->firewall, s->loop, s->core, s->feed, options->options) != GV_OK)
        rc = gv_fail(error, GV_ERR_MEMORY, "out of memory");
    if (rc == GV_OK)
        rc = gv_hooks_start(&s->hooks, s->loop, s->core, s->feed, options->options, error);
    if (rc == GV_OK)
        rc = gv_alert_mail_start(&s->alert_mail, s->loop, options->options, error);
    if (rc == GV_OK)
        rc = start_bouncers(s, options, error);
    if (rc == GV_OK)
        rc = start_http(s, options, error);
    if (rc != GV_OK) {
        gv_surfaces_stop(s);
        return rc;
    }
    if (s->api)
        gv_api_set_changes(s->api, s->changes);
    if (s->api)
        gv_api_set_bouncers(s->api, s->bouncers);
    *out = s;
    return GV_OK;
}

void gv_surfaces_stop(struct gv_surfaces *surfaces)
{
    if (!surfaces)
        return;
    gv_dnsbl_stop(surfaces->dnsbl);
    gv_http_stop(surfaces->http); /* before what its requests wait for */
    gv_dovecot_stop(surfaces->dovecot);
    gv_firewall_stop(surfaces->firewall);
    gv_hooks_stop(surfaces->hooks);
    gv_alert_mail_stop(surfaces->alert_mail);
    gv_port_stop(surfaces->port);
    gv_blocklist_stop(surfaces->blocklist);
    if (surfaces->api)
        gv_api_set_changes(surfaces->api, NULL);
    if (surfaces->api)
        gv_api_set_bouncers(surfaces->api, NULL);
    gv_bouncers_stop(surfaces->bouncers);
    gv_changes_stop(surfaces->changes);
    for (size_t i = 0; i < surfaces->name_count; i++)
        free(surfaces->names[i]);
    free(surfaces->names);
    free(surfaces->clients);
    gv_feed_stop(surfaces->feed);
    gv_watch_free(surfaces->watch);
    gv_wipe(surfaces->key, sizeof surfaces->key);
    free(surfaces);
}

void gv_surfaces_configure(struct gv_surfaces *surfaces, const struct gv_options *options)
{
    if (!surfaces)
        return;
    surfaces->enforced = surfaces->metrics.enforced = options->enforced;
    if (surfaces->dovecot)
        gv_dovecot_enforce(surfaces->dovecot, surfaces->enforced & GV_ENFORCE_DOVECOT);
    gv_feed_all(surfaces->feed);
    if (surfaces->blocklist)
        gv_blocklist_ranges_changed(surfaces->blocklist);
    gv_bouncers_configure(surfaces->bouncers, surfaces->enforced & GV_ENFORCE_BOUNCERS,
                          feeds_untrusted(options));
    gv_firewall_configure(surfaces->firewall, options);
    gv_hooks_configure(surfaces->hooks, options);
    gv_alert_mail_configure(surfaces->alert_mail, options);
}

bool gv_surfaces_absorb(struct gv_surfaces *surfaces, struct gv_observation *observation)
{
    return !surfaces || !surfaces->dovecot ||
           gv_dovecot_absorb(surfaces->dovecot, observation, uv_now(surfaces->loop));
}

void gv_surfaces_watch(struct gv_surfaces *surfaces, const struct gv_observation *observation)
{
    if (surfaces)
        gv_watch_observe(surfaces->watch, observation);
}

void gv_surfaces_about(struct gv_surfaces *surfaces, const struct gv_subject *subject)
{
    if (surfaces && subject->family != GV_FAMILY_NONE)
        gv_feed_about(surfaces->feed, subject);
}

void gv_surfaces_lists(struct gv_surfaces *surfaces, const struct gv_prefix *prefix)
{
    if (!surfaces)
        return;
    if (!prefix) {
        gv_feed_all(surfaces->feed);
        return;
    }
    gv_firewall_lists_changed(
        surfaces->firewall); /* first: it takes no entry that it has as allowed */
    gv_feed_prefix(surfaces->feed, prefix);
    gv_bouncers_lists_changed(surfaces->bouncers);
    if (surfaces->blocklist)
        gv_blocklist_ranges_changed(surfaces->blocklist);
}

const struct gv_http_route *gv_surfaces_routes(size_t *count)
{
    *count = sizeof routes / sizeof *routes;
    return routes;
}

void gv_surfaces_alert(struct gv_surfaces *surfaces, const struct gv_alert *alert)
{
    if (!surfaces)
        return;
    gv_hooks_alert(surfaces->hooks, alert);
    gv_alert_mail_tell(surfaces->alert_mail, alert);
}

uint16_t gv_surfaces_http_port(const struct gv_surfaces *surfaces)
{
    return surfaces->http ? gv_http_port(surfaces->http) : 0;
}

static json_t *hooks_json(const struct gv_surfaces *surfaces)
{
    json_t *json = gv_hooks_json(surfaces->hooks);

    if (json_is_object(json))
        json_object_set_new(json, "alert_mail", gv_alert_mail_json(surfaces->alert_mail));
    return json;
}

static json_t *dovecot_json(const struct gv_dovecot *dovecot)
{
    struct gv_dovecot_counters c;

    if (!dovecot)
        return json_null();
    gv_dovecot_counters(dovecot, &c);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "asked", (json_int_t)c.asked,
                     "refused", (json_int_t)c.refused, "would_have_refused",
                     (json_int_t)c.would_refuse, "waited", (json_int_t)c.waited, "crowded",
                     (json_int_t)c.crowded, "reported", (json_int_t)c.reported, "repeated",
                     (json_int_t)c.repeated, "absorbed", (json_int_t)c.absorbed, "malformed",
                     (json_int_t)c.malformed);
}

static json_t *dns_json(const struct gv_surfaces *s)
{
    struct gv_dnsbl_counters c;

    if (!s->dnsbl)
        return json_null();
    gv_dnsbl_counters(s->dnsbl, &c);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "queries", (json_int_t)c.queries, "listed",
                     (json_int_t)c.listed, "would_have_listed", (json_int_t)s->dns_would, "refused",
                     (json_int_t)c.refused, "malformed", (json_int_t)c.malformed, "tcp_connections",
                     (json_int_t)c.tcp_connections);
}

json_t *gv_surfaces_json(const struct gv_surfaces *surfaces)
{
    struct gv_changes_counters listed;

    if (!surfaces)
        return json_null();
    gv_changes_counters(surfaces->changes, &listed);
    json_t *enforced = json_array();
    if (surfaces->enforced & GV_ENFORCE_DOVECOT)
        json_array_append_new(enforced, json_string("dovecot"));
    if (surfaces->enforced & GV_ENFORCE_DNSBL)
        json_array_append_new(enforced, json_string("dnsbl"));
    if (surfaces->enforced & GV_ENFORCE_BOUNCERS)
        json_array_append_new(enforced, json_string("bouncers"));
    if (surfaces->enforced & GV_ENFORCE_NFTABLES)
        json_array_append_new(enforced, json_string("nftables"));
    return json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "would_have_refused",
                     gv_watch_json(surfaces->watch), "enforced", enforced, "refused",
                     (json_int_t)listed.refused, "untrusted", (json_int_t)listed.untrusted,
                     "dovecot", dovecot_json(surfaces->dovecot), "dnsbl", dns_json(surfaces),
                     "bouncers", gv_bouncers_json(surfaces->bouncers), "nftables",
                     gv_firewall_json(surfaces->firewall), "hooks", hooks_json(surfaces));
}
