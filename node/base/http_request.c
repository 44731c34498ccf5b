#include "node/base/http_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "proto/ip.h"
#include "proto/subject.h"

/* ---- checks before any handler -------------------------------------------------------------- */

/* Is `host` (len bytes, without brackets) the address that this connection came in on? */
static bool local_address(const struct gv_http_request *request, const char *host, size_t len)
{
    const struct gv_http_connection *connection = gv_http_connection_of(request->mhd);
    uint8_t family, bytes[16], mapped[16] = {[10] = 0xff, [11] = 0xff};

    if (!connection || !connection->local_known || gv_ip_parse(&family, bytes, host, len) != GV_OK)
        return false;
    if (family == GV_FAMILY_IPV4)
        memcpy(mapped + 12, bytes, 4);
    return memcmp(connection->local, family == GV_FAMILY_IPV4 ? mapped : bytes, 16) == 0;
}

/* Nothing, or ":" and a port. */
static bool ends_with_port(const char *at)
{
    size_t digits = *at == ':' ? strspn(at + 1, "0123456789") : 0;

    return *at == '\0' || (digits <= 5 && at[1 + digits] == '\0' && *at == ':');
}

/* Against DNS rebinding: a page of a stranger may make a browser talk to this address, but the
 * browser then sends the stranger's name. */
static bool host_allowed(const struct gv_http_request *request)
{
    const struct gv_http_options *options = &request->server->options;
    const char *host = request->host;

    if (options->host_count == 0 || options->unix_path)
        return true;
    if (!host)
        return false;
    size_t len = strcspn(host, ":");
    const char *port = host + len;
    if (*host == '[') {
        host++;
        len = strcspn(host, "]");
        port = host + len + (host[len] == ']');
    }
    if (!ends_with_port(port))
        return false;
    if (local_address(request, host, len))
        return true;
    for (size_t i = 0; i < options->host_count; i++)
        if (strlen(options->hosts[i]) == len && strncasecmp(options->hosts[i], host, len) == 0)
            return true;
    return false;
}

/* A route that ends in "*" takes all that begins so. */
static bool route_matches(const struct gv_http_route *route, const char *path)
{
    const char *at = route->path;

    for (; *at && !(at[0] == '*' && !at[1]); at++, path++)
        if (*at != *path)
            return false;
    return *at == '*' || *path == '\0';
}

/* True: the route is set. Otherwise *allow is what the path takes, if it is one. */
static bool take_route(struct gv_http_request *request, const char **allow,
                       const struct gv_http_route *route, void *context)
{
    if (!route_matches(route, request->path))
        return false;
    if (strcmp(route->method, request->method) == 0 ||
        (strcmp(route->method, "GET") == 0 && strcmp(request->method, "HEAD") == 0)) {
        request->route = route;
        request->route_context = context;
        return true;
    }
    *allow = route->method;
    return false;
}

/* Sets the route, or answers 404 or 405. */
static void find_route(struct gv_http_request *request)
{
    const struct gv_http_options *options = &request->server->options;
    const char *allow = NULL;

    for (size_t i = 0; i < options->route_count; i++)
        if (take_route(request, &allow, &options->routes[i], options->context))
            return;
    for (size_t i = 0; i < options->bound_count; i++)
        if (take_route(request, &allow, &options->bound[i].route, options->bound[i].context))
            return;
    if (allow) {
        gv_http_add_header(request, "Allow", allow);
        gv_http_error(request, 405, "method", "this path takes %s only", allow);
    } else {
        gv_http_error(request, 404, "not-found", "there is nothing at this path");
    }
}

/* ---- whom it comes from ---------------------------------------------------------------------- */

bool gv_http_address_bytes(uint8_t out[16], const struct sockaddr *address)
{
    memset(out, 0, 16);
    if (!address)
        return false;
    if (address->sa_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
        return true;
    }
    if (address->sa_family != AF_INET)
        return false;
    out[10] = out[11] = 0xff;
    memcpy(out + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    return true;
}

bool gv_http_trusts(const struct gv_http_server *server, const struct sockaddr *peer)
{
    uint8_t bytes[16];

    if (!gv_http_address_bytes(bytes, peer))
        return false;
    for (size_t i = 0; i < server->options.trusted_count; i++)
        if (gv_config_address_contains(&server->options.trusted[i], bytes, sizeof bytes))
            return true;
    return false;
}

/* "" or ":1" .. ":65535" */
static bool port_or_nothing(const char *text, size_t len)
{
    unsigned value = 0;

    if (len == 0)
        return true;
    if (text[0] != ':' || len < 2 || len > 6)
        return false;
    for (size_t i = 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    return value >= 1 && value <= 65535;
}

/* An address as proxies write it: 192.0.2.1, 192.0.2.1:4711, 2001:db8::1, [2001:db8::1],
 * [2001:db8::1]:4711. */
static bool read_forwarded(uint8_t out[16], const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len), *end = text + len;
    bool bracket = len > 0 && text[0] == '[';
    uint8_t family, bytes[16];

    if (bracket) {
        text++;
        end = memchr(text, ']', len - 1);
        if (!end || !port_or_nothing(end + 1, len - 2 - (size_t)(end - text)))
            return false;
    } else if (colon && !memchr(colon + 1, ':', (size_t)(end - colon) - 1)) {
        if (!port_or_nothing(colon, (size_t)(end - colon)))
            return false;
        end = colon;
    }
    size_t n = (size_t)(end - text);
    if (memchr(text, '%', n) || memchr(text, '[', n) || (bracket && !memchr(text, ':', n)) ||
        gv_ip_parse(&family, bytes, text, n) != GV_OK)
        return false;
    memset(out, 0, 16);
    if (family == GV_FAMILY_IPV4) {
        out[10] = out[11] = 0xff;
        memcpy(out + 12, bytes, 4);
    } else {
        memcpy(out, bytes, 16);
    }
    return true;
}

/* Only the last entry is the proxy's own word: what stands before it may be the client's. */
static bool last_forwarded(uint8_t out[16], const char *value, size_t len)
{
    size_t start = len;

    while (start > 0 && value[start - 1] != ',')
        start--;
    while (start < len && (value[start] == ' ' || value[start] == '\t'))
        start++;
    while (len > start && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    return read_forwarded(out, value + start, len - start);
}

/* False: answered. Without the header everybody behind the proxy would be one client, in one
 * network group, so it is not a thing to overlook. */
static bool take_client(struct gv_http_request *request, const struct gv_http_head *head)
{
    if (!gv_http_trusts(request->server, gv_http_peer(request)))
        return true;
    request->proxied = true;
    if (head->forwards == 1 && last_forwarded(request->client, head->forward, head->forward_len))
        return true;
    gv_log_limited(GV_LOG_WARNING,
                   "HTTP: refused, a trusted proxy sent %u X-Forwarded-For headers%s; make it set "
                   "exactly one, with the client's address at its end",
                   head->forwards, head->forwards == 1 ? ", not ending in an address" : "");
    gv_http_error(request, 400, "forwarded",
                  "the proxy before this server must name its client: exactly one X-Forwarded-For "
                  "header that ends in an address; tell who runs the server");
    return false;
}

/* ---- who may ask ----------------------------------------------------------------------------- */

static bool from_here(const struct gv_http_request *request)
{
    static const uint8_t loopback4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    static const uint8_t loopback6[16] = {[15] = 1};
    const struct gv_http_connection *connection = gv_http_connection_of(request->mhd);
    uint8_t peer[16];

    if (!gv_http_peer_bytes(request, peer))
        return request->server->options.unix_path != NULL;
    return memcmp(peer, loopback4, sizeof loopback4) == 0 ||
           memcmp(peer, loopback6, sizeof loopback6) == 0 ||
           (connection && connection->local_known && memcmp(peer, connection->local, 16) == 0);
}

bool gv_http_local(const struct gv_http_request *request)
{
    return from_here(request) && !gv_http_header(request, "X-Forwarded-For") &&
           !gv_http_header(request, "Forwarded");
}

static bool welcome(const struct gv_http_request *request)
{
    const struct gv_http_options *options = &request->server->options;
    uint8_t peer[16];

    if (!options->guarded || from_here(request))
        return true;
    (void)gv_http_peer_bytes(request, peer);
    for (size_t i = 0; i < options->client_count; i++)
        if (gv_config_address_contains(&options->clients[i], peer, sizeof peer))
            return true;
    return false;
}

/* ---- the head as a whole --------------------------------------------------------------------- */

/* A target that names its host overrules the Host header (RFC 9112, section 3.2.2). */
static void take_target(struct gv_http_request *request)
{
    const struct gv_http_connection *connection = gv_http_connection_of(request->mhd);

    request->host = gv_http_header(request, "Host");
    if (!connection || connection->scheme == 0)
        return;
    const char *name = request->path + connection->scheme;
    size_t len = strcspn(name, "/");
    if (len < sizeof request->authority) /* otherwise it is nobody's name */
        memcpy(request->authority, name, len);
    request->host = request->authority;
    request->path = name[len] ? name + len : "/";
}

/* Request smuggling: what a proxy before us might have framed otherwise is refused, and the
 * connection closed (RFC 9112, section 6.3). Nobody needs a chunked upload here. */
static void check_head(struct gv_http_request *request, const char *url, const char *version,
                       bool uri_refused)
{
    struct gv_http_head head;

    gv_http_read_head(&head, request->mhd, url, request->method, version);
    if (!uri_refused)
        take_target(request);
    if (uri_refused)
        gv_http_error(request, 400, "bad-request",
                      "the path is none, or holds a control character");
    else if (head.malformed || head.lengths > 1 || head.hosts > 1 ||
             (head.encodings && head.lengths))
        gv_http_error(request, 400, "bad-request",
                      "malformed, repeated or contradicting headers; send one Content-Length");
    else if (head.encodings)
        gv_http_error(request, 411, "length-required",
                      "send a Content-Length, not a Transfer-Encoding");
    else if (head.hosts == 0 && strcmp(version, "HTTP/1.0") != 0) /* RFC 9112, section 3.2 */
        gv_http_error(request, 400, "bad-request", "send a Host header");
    else if (!welcome(request))
        gv_http_error(request, 403, "off-host",
                      "only this host and those that its configuration names may ask here");
    else if (!host_allowed(request))
        gv_http_error(request, 421, "host",
                      "this server does not go by that name; use one it is configured for");
    else if (head.length > request->server->options.body_max)
        gv_http_error(request, 413, "too-large", "the body may have %zu bytes at most",
                      request->server->options.body_max);
    else if (take_client(request, &head))
        find_route(request);
}

/* ---- the life of a request ------------------------------------------------------------------ */

/* `ms` 0: no end. */
static void set_deadline(struct gv_http_server *server, struct MHD_Connection *mhd, bool awaited,
                         uint64_t ms)
{
    struct gv_http_connection *connection = gv_http_connection_of(mhd);

    if (!connection)
        return;
    connection->awaited = awaited;
    connection->deadline_ms = ms ? uv_now(server->loop) + ms : 0;
}

static struct gv_http_request *new_request(struct gv_http_server *server,
                                           struct MHD_Connection *mhd, const char *path,
                                           const char *method)
{
    struct gv_http_request *request = calloc(1, sizeof *request);

    if (!request)
        return NULL;
    request->server = server;
    request->mhd = mhd;
    request->path = path;
    request->method = method;
    gv_buf_init(&request->body);
    gv_buf_init(&request->pending);
    LIST_INSERT_HEAD(&server->requests, request, list);
    server->counters.requests++;
    server->counters.pending++;
    return request;
}

static enum MHD_Result queue(struct gv_http_request *request)
{
    struct MHD_Response *response = request->response;

    request->response = NULL;
    /* A stream lasts; who does not read it is noticed by what waits in it. */
    set_deadline(request->server, request->mhd, false,
                 request->state == GV_HTTP_STREAM ? 0 : GV_HTTP_TAKE_MS);
    struct gv_http_connection *connection = gv_http_connection_of(request->mhd);
    if (connection && request->state == GV_HTTP_ANSWERED)
        gv_http_gather(request->server, connection);
    for (size_t i = 0; i < request->header_count; i++)
        MHD_add_response_header(response, request->header_names[i], request->header_values[i]);
    enum MHD_Result result = MHD_queue_response(request->mhd, request->status, response);
    if (!request->spare)
        MHD_destroy_response(response);
    return result;
}

static enum MHD_Result dispatch(struct gv_http_request *request)
{
    if (request->state == GV_HTTP_READING) {
        if (request->body.failed)
            return MHD_NO;
        set_deadline(request->server, request->mhd, false, 0);
        request->state = GV_HTTP_HANDLING;
        if (request->server->stop_wanted)
            gv_http_error(request, 503, "stopping", "the server is stopping, try again later");
        else
            request->route->handler(request, request->route_context);
        if (!request->response && !request->failed) {
            request->state = GV_HTTP_DEFERRED;
            request->suspended = true;
            MHD_suspend_connection(request->mhd);
            return MHD_YES;
        }
    }
    return request->response ? queue(request) : MHD_NO;
}

enum MHD_Result gv_http_access(void *context, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_len, void **slot)
{
    struct gv_http_request *request = *slot == &gv_http_bad_uri ? NULL : *slot;

    if (!request) {
        bool uri_refused = *slot == &gv_http_bad_uri;
        *slot = request = new_request(context, mhd, url, method);
        if (!request)
            return MHD_NO;
        check_head(request, url, version, uri_refused);
        if (!request->response)
            return request->route ? MHD_YES : MHD_NO;
        request->server->counters.refused++;
        /* Bytes of a body may follow that nobody reads: this connection is over. */
        gv_http_add_header(request, "Connection", "close");
        return queue(request);
    }
    if (*upload_len > 0) {
        if (request->body.len + *upload_len > request->server->options.body_max)
            return MHD_NO;
        gv_buf_append(&request->body, upload, *upload_len);
        *upload_len = 0;
        return MHD_YES;
    }
    return dispatch(request);
}

static void lost(struct gv_http_request *request)
{
    bool owned = request->state == GV_HTTP_DEFERRED || request->state == GV_HTTP_STREAM;
    void (*closed)(void *) = request->closed;

    request->state = GV_HTTP_ANSWERED;
    request->closed = NULL;
    if (owned && closed)
        closed(request->closed_context);
}

void gv_http_completed(void *context, struct MHD_Connection *mhd, void **slot,
                       enum MHD_RequestTerminationCode why)
{
    struct gv_http_server *server = context;
    struct gv_http_request *request = *slot == &gv_http_bad_uri ? NULL : *slot;

    /* For the next request on it. */
    set_deadline(server, mhd, true, 2000ULL * server->options.timeout_s);
    *slot = NULL;
    if (!request)
        return;
    lost(request);
    gv_http_source_done(request, why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    LIST_REMOVE(request, list);
    server->counters.pending--;
    gv_http_spare_back(request);
    if (request->response)
        MHD_destroy_response(request->response);
    for (size_t i = 0; i < request->header_count; i++) {
        free(request->header_names[i]);
        free(request->header_values[i]);
    }
    gv_buf_free(&request->body);
    gv_buf_free(&request->pending);
    free(request);
}

void gv_http_wake(struct gv_http_request *request)
{
    if (!request->suspended)
        return;
    request->suspended = false;
    MHD_resume_connection(request->mhd);
    gv_http_kick(request->server);
}

/* libmicrohttpd does not look at a connection that it was told to suspend. */
static bool has_left(const struct gv_http_request *request)
{
    const struct gv_http_connection *connection = gv_http_connection_of(request->mhd);
    struct pollfd look = {.fd = connection ? connection->fd : -1, .events = POLLRDHUP};

    return poll(&look, 1, 0) == 1;
}

void gv_http_sweep_left(struct gv_http_server *server)
{
    struct gv_http_request *request;

    LIST_FOREACH(request, &server->requests, list)
    {
        if (!request->watched || request->state != GV_HTTP_DEFERRED || !has_left(request))
            continue;
        lost(request); /* without an answer: libmicrohttpd closes it */
        gv_http_wake(request);
    }
}

void gv_http_abandon_all(struct gv_http_server *server)
{
    struct gv_http_request *request;

    LIST_FOREACH(request, &server->requests, list)
    {
        enum gv_http_state state = request->state;
        if (state != GV_HTTP_DEFERRED && state != GV_HTTP_STREAM)
            continue; /* ends with its connection */
        lost(request);
        request->ended = true;
        if (state == GV_HTTP_DEFERRED) {
            request->state = GV_HTTP_HANDLING;
            gv_http_error(request, 503, "stopping", "the server is stopping, try again later");
        }
        gv_http_wake(request);
    }
}

/* ---- what a handler sees -------------------------------------------------------------------- */

const char *gv_http_method(const struct gv_http_request *request)
{
    return request->method;
}

const char *gv_http_path(const struct gv_http_request *request)
{
    return request->path;
}

const char *gv_http_query(const struct gv_http_request *request, const char *name)
{
    const char *value = NULL;
    size_t len = 0;

    if (MHD_lookup_connection_value_n(request->mhd, MHD_GET_ARGUMENT_KIND, name, strlen(name),
                                      &value, &len) != MHD_YES)
        return NULL;
    return value ? value : "";
}

const char *gv_http_header(const struct gv_http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

const char *gv_http_host(const struct gv_http_request *request)
{
    return request->host;
}

const uint8_t *gv_http_body(const struct gv_http_request *request, size_t *len)
{
    static const uint8_t nothing[1];

    *len = request->body.len;
    return request->body.data ? request->body.data : nothing;
}

const struct sockaddr *gv_http_peer(const struct gv_http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    if (!info || !info->client_addr ||
        (info->client_addr->sa_family != AF_INET && info->client_addr->sa_family != AF_INET6))
        return NULL;
    return info->client_addr;
}

bool gv_http_peer_bytes(const struct gv_http_request *request, uint8_t out[16])
{
    return gv_http_address_bytes(out, gv_http_peer(request));
}

bool gv_http_client_bytes(const struct gv_http_request *request, uint8_t out[16])
{
    if (!request->proxied)
        return gv_http_peer_bytes(request, out);
    memcpy(out, request->client, 16);
    return true;
}

bool gv_http_proxied(const struct gv_http_request *request)
{
    return request->proxied;
}
