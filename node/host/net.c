#include "node/host/net.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/host/net_link.h"

/* ---- addresses ------------------------------------------------------------------------------ */

bool gv_net_from_sockaddr(struct gv_address *out, const struct sockaddr *from)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    memset(out, 0, sizeof *out);
    if (from->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof in);
        out->family = GV_FAMILY_IPV4;
        memcpy(out->bytes, &in.sin_addr, 4);
        out->port = ntohs(in.sin_port);
        return true;
    }
    if (from->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 in6;
    memcpy(&in6, from, sizeof in6);
    out->port = ntohs(in6.sin6_port);
    if (memcmp(&in6.sin6_addr, mapped, sizeof mapped) == 0) {
        out->family = GV_FAMILY_IPV4;
        memcpy(out->bytes, (const uint8_t *)&in6.sin6_addr + 12, 4);
    } else {
        out->family = GV_FAMILY_IPV6;
        memcpy(out->bytes, &in6.sin6_addr, 16);
    }
    return true;
}

void gv_net_to_sockaddr(struct sockaddr_storage *out, const struct gv_address *from)
{
    memset(out, 0, sizeof *out);
    if (from->family == GV_FAMILY_IPV4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(from->port)};
        memcpy(&in.sin_addr, from->bytes, 4);
        memcpy(out, &in, sizeof in);
    } else {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(from->port)};
        memcpy(&in6.sin6_addr, from->bytes, 16);
        memcpy(out, &in6, sizeof in6);
    }
}

/* ---- listening ------------------------------------------------------------------------------ */

/* The table is full: a link that is done with gives way, and then one that never said a word, so
 * that silent strangers cannot hold the door. Returns false when there is none. */
static bool make_way(struct gv_net *net)
{
    struct gv_net_link *done = NULL, *silent = NULL;

    for (struct gv_net_link *l = net->links; l; l = l->next) {
        struct gv_net_link **oldest = l->state == GV_NET_LINK_CLOSING ? &done : &silent;
        if (!l->incoming ||
            (l->state != GV_NET_LINK_CLOSING && (l->state != GV_NET_LINK_UP || l->heard)))
            continue;
        if (!*oldest || l->deadline < (*oldest)->deadline)
            *oldest = l;
    }
    if (!done && silent)
        net->counters.silent++;
    if (done || silent)
        gv_net_link_drop(done ? done : silent);
    return done || silent;
}

static void on_connection(void *context, int fd)
{
    struct gv_net *net = context;
    struct gv_net_link *link = gv_net_link_new(net, 0);

    if (!link) {
        close(fd);
        net->counters.turned_away++;
        gv_log_limited(GV_LOG_ERROR, "out of memory: a connection is not accepted");
        return;
    }
    gv_net_link_accept(link, fd);
}

/* Mostly the limit of open files: a silent link gives way, as it does where the table is full. */
static bool on_trouble(void *context, int error)
{
    struct gv_net *net = context;

    gv_log_limited(GV_LOG_WARNING, "a connection waits and cannot be accepted: %s%s",
                   uv_strerror(error),
                   error != UV_EMFILE ? ""
                                      : "; raise the limit of open files (LimitNOFILE= of the "
                                        "service) or lower [limits] connections");
    return error == UV_EMFILE && make_way(net);
}

/* Called by gv_net_link_accept once the peer is known: may it stay? */
bool gv_net_admit(struct gv_net *net)
{
    if (!net->online || (net->incoming >= net->incoming_max && !make_way(net))) {
        net->counters.turned_away++;
        return false;
    }
    net->counters.accepted++;
    return true;
}

static int listen_fail(const struct gv_address *address, int status, struct gv_text *error)
{
    char text[GV_ADDRESS_TEXT];

    gv_address_text(text, address);
    switch (status) {
    case UV_EADDRINUSE:
        return gv_fail(error, GV_ERR_BUSY,
                       "cannot listen on %s: the port is in use; stop the program that holds it "
                       "(ss -ltnp 'sport = :%u' names it) or set another in [node] listen",
                       text, address->port);
    case UV_EADDRNOTAVAIL:
        return gv_fail(error, GV_ERR_IO,
                       "cannot listen on %s: this host has no such address; correct [node] listen",
                       text);
    case UV_EACCES:
        return gv_fail(
            error, GV_ERR_IO,
            "cannot listen on %s: not allowed; choose a port above 1023 in [node] listen", text);
    default:
        return gv_fail(error, GV_ERR_IO, "cannot listen on %s: %s; see [node] listen", text,
                       uv_strerror(status));
    }
}

static void on_listener_closed(void *context)
{
    struct gv_net *net = context;

    net->handles--;
    gv_net_reap(net);
}

static int listen_once(struct gv_net *net, const struct gv_address *address)
{
    struct sockaddr_storage to;
    const struct gv_listener_options options = {.loop = net->loop,
                                                .at = (const struct sockaddr *)&to,
                                                .backlog = GV_NET_BACKLOG,
                                                .context = net,
                                                .connection = on_connection,
                                                .trouble = on_trouble,
                                                .closed = on_listener_closed};

    gv_net_to_sockaddr(&to, address);
    int status = gv_listener_open(&net->listeners[net->listener_count], &options);
    if (status == 0) {
        net->handles++;
        net->listener_count++;
    }
    return status;
}

static int listen_on(struct gv_net *net, const struct gv_address *address, struct gv_text *error)
{
    static const uint8_t any[16];

    int status = listen_once(net, address);
    if ((status == UV_EAFNOSUPPORT || status == UV_EADDRNOTAVAIL) &&
        address->family == GV_FAMILY_IPV6 && memcmp(address->bytes, any, sizeof any) == 0) {
        struct gv_address v4 = {.family = GV_FAMILY_IPV4, .port = address->port};
        gv_log(GV_LOG_NOTICE, "no IPv6 here: listening on IPv4 alone");
        status = listen_once(net, &v4);
    }
    if (status < 0)
        return listen_fail(address, status, error);
    return GV_OK;
}

uint16_t gv_net_port(const struct gv_net *net)
{
    struct sockaddr_storage at;
    struct gv_address address;

    for (size_t i = 0; i < net->listener_count; i++) {
        socklen_t len = sizeof at;
        if (getsockname(net->listeners[i].fd, (struct sockaddr *)&at, &len) == 0 &&
            gv_net_from_sockaddr(&address, (struct sockaddr *)&at))
            return address.port;
    }
    return 0;
}

/* ---- the sweep: deadlines of links, looked at once a second while there are any ------------- */

static void on_sweep(uv_timer_t *timer)
{
    struct gv_net *net = timer->data;
    uint64_t now = uv_now(net->loop);
    bool more = false;

    for (struct gv_net_link *l = net->links, *next; l; l = next) {
        next = l->next;
        if (l->deadline == 0)
            continue;
        if (l->deadline > now)
            more = true;
        else
            gv_net_link_expired(l);
    }
    if (!more)
        uv_timer_stop(&net->sweep);
}

void gv_net_want_sweep(struct gv_net *net)
{
    if (!net->stopped && !uv_is_active((uv_handle_t *)&net->sweep))
        uv_timer_start(&net->sweep, on_sweep, 1000, 1000);
}

/* ---- the drip: links that wait for credit to be read again ---------------------------------- */

static void on_drip(uv_timer_t *timer)
{
    struct gv_net *net = timer->data;

    for (struct gv_net_link *l = net->links; l; l = l->next)
        if (l->paused)
            gv_net_link_drip(l);
    if (net->paused == 0)
        uv_timer_stop(&net->drip);
}

void gv_net_want_drip(struct gv_net *net)
{
    if (!net->stopped && !uv_is_active((uv_handle_t *)&net->drip))
        uv_timer_start(&net->drip, on_drip, GV_NET_DRIP_MS, GV_NET_DRIP_MS);
}

/* ---- life ----------------------------------------------------------------------------------- */

int gv_net_new(struct gv_net **out, const struct gv_net_options *options, struct gv_text *error)
{
    struct gv_net *net = calloc(1, sizeof *net);
    int rc = GV_OK;

    if (!net)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    net->loop = options->loop;
    net->callbacks = options->callbacks;
    net->incoming_max = options->incoming_max;
    net->online = true;
    gv_assert(options->bind_count <= GV_NET_BIND_MAX && options->listen_count <= GV_NET_LISTEN_MAX);
    if (options->bind_count)
        memcpy(net->bind, options->bind, options->bind_count * sizeof *net->bind);
    net->bind_count = options->bind_count;
    uv_timer_init(net->loop, &net->sweep);
    uv_timer_init(net->loop, &net->drip);
    net->sweep.data = net->drip.data = net;
    net->handles = 2;
    for (size_t i = 0; i < options->listen_count && rc == GV_OK; i++)
        rc = listen_on(net, &options->listen[i], error);
    if (rc != GV_OK) {
        gv_net_free(net);
        return rc;
    }
    *out = net;
    return GV_OK;
}

/* Frees the net when it is stopped and the last of its handles and links has gone. */
void gv_net_reap(struct gv_net *net)
{
    if (net->stopped && net->handles == 0 && net->link_count == 0)
        free(net);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_listener_closed(handle->data);
}

void gv_net_free(struct gv_net *net)
{
    if (!net)
        return;
    net->stopped = true;
    for (struct gv_net_link *l = net->links, *next; l; l = next) {
        next = l->next;
        gv_net_link_drop(l);
    }
    for (size_t i = 0; i < net->listener_count; i++)
        gv_listener_close(&net->listeners[i]);
    uv_close((uv_handle_t *)&net->sweep, on_timer_closed);
    uv_close((uv_handle_t *)&net->drip, on_timer_closed);
}

void gv_net_set_online(struct gv_net *net, bool online)
{
    net->online = online;
    if (online)
        return;
    for (struct gv_net_link *l = net->links, *next; l; l = next) {
        next = l->next;
        gv_net_link_drop(l);
    }
}

void gv_net_set_incoming_max(struct gv_net *net, unsigned incoming_max)
{
    net->incoming_max = incoming_max;
}

size_t gv_net_links(const struct gv_net *net)
{
    return net->link_count;
}

struct gv_net_counters gv_net_counters(const struct gv_net *net)
{
    return net->counters;
}
