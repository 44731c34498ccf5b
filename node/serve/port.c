#include "node/serve/port.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/serve/answer.h"
#include "node/serve/dashboard.h"
#include "node/serve/openapi.h"

#define ROUTES_MAX 64

/* One route, behind the question who asks. */
struct guard {
    const struct gv_port *port;
    gv_http_handler handler;
    void *context;
    bool open; /* to this host itself also without the token */
};

struct gv_port {
    struct gv_port_options options;
    struct guard guards[ROUTES_MAX];
    struct gv_http_bound_route routes[ROUTES_MAX];
    size_t count;
    char etag[GV_ETAG_TEXT]; /* of openapi.json */
};

/* Did a browser send it for a page of somebody else's? Such a page has no token, so it could do
 * nothing in any case; a token must not be enough for it either. */
static bool cross_site(const struct gv_http_request *request)
{
    const char *site = gv_http_header(request, "Sec-Fetch-Site");
    const char *origin = gv_http_header(request, "Origin");
    const char *host = gv_http_host(request);

    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return true;
    if (!origin)
        return false;
    const char *at = strstr(origin, "://");
    return !at || !host || strcasecmp(at + 3, host) != 0;
}

static void guarded(struct gv_http_request *request, void *context)
{
    const struct guard *guard = context;
    const char *given = gv_http_header(request, "Authorization");

    if (cross_site(request)) {
        gv_http_error(request, 403, "cross-site", "a page of another site may not ask here");
        return;
    }

    if (gv_token_matches(gv_api_token(guard->port->options.api), given) ||
        (guard->open && !given && gv_http_local(request))) {
        guard->handler(request, guard->context);
        return;
    }
    if (given)
        gv_log_limited(GV_LOG_WARNING, "HTTP: a wrong token for the API; `grapevine token` prints "
                                       "the right one");
    gv_http_add_header(request, "WWW-Authenticate", "Bearer realm=\"grapevine\"");
    gv_http_error(request, 401, given ? "wrong-token" : "no-token",
                  "send the header \"Authorization: Bearer TOKEN\"; `grapevine token` prints the "
                  "token");
}

static void get_openapi(struct gv_http_request *request, void *context)
{
    const struct gv_port *port = context;

    if (!gv_answer_unchanged(request, port->etag))
        gv_http_respond(request, 200, "application/json", gv_openapi, gv_openapi_len);
}

static void add(struct gv_port *port, const char *method, const char *path, gv_http_handler handler,
                void *context, bool open)
{
    gv_assert(port->count < ROUTES_MAX);
    struct guard *guard = &port->guards[port->count];
    *guard = (struct guard){port, handler, context, open};
    port->routes[port->count++] = (struct gv_http_bound_route){{method, path, guarded}, guard};
}

/* For whoever may ask at all. */
static void add_public(struct gv_port *port, const char *path, gv_http_handler handler)
{
    gv_assert(port->count < ROUTES_MAX);
    port->routes[port->count++] = (struct gv_http_bound_route){{"GET", path, handler}, port};
}

int gv_port_start(struct gv_port **out, const struct gv_port_options *options)
{
    struct gv_port *port = calloc(1, sizeof *port);
    size_t count, published;

    *out = NULL;
    if (!port)
        return GV_ERR_MEMORY;
    port->options = *options;
    gv_answer_etag(port->etag, gv_openapi, gv_openapi_len);
    const struct gv_http_route *routes = gv_api_routes(&count, &published);
    for (size_t i = 0; i < published; i++)
        add(port, routes[i].method, routes[i].path, routes[i].handler,
            (void *)(uintptr_t)options->api, false);
    add(port, "GET", "/api/v1/openapi.json", get_openapi, port, true);
    add_public(port, "/", gv_dashboard_find);
    add_public(port, "/dashboard", gv_dashboard_find);
    add_public(port, "/dashboard/*", gv_dashboard_get);
    add(port, "GET", "/metrics", gv_metrics_get, options->metrics, true);
    add(port, "GET", "/blocklist.txt", gv_blocklist_get_text, options->blocklist, true);
    add(port, "GET", "/blocklist.json", gv_blocklist_get_json, options->blocklist, true);
    add(port, "GET", "/blocklist.cidr", gv_blocklist_get_cidr, options->blocklist, true);
    add(port, "GET", "/blocklist.map", gv_blocklist_get_map, options->blocklist, true);
    *out = port;
    return GV_OK;
}

void gv_port_stop(struct gv_port *port)
{
    free(port);
}

const struct gv_http_bound_route *gv_port_routes(const struct gv_port *port, size_t *count)
{
    *count = port->count;
    return port->routes;
}
