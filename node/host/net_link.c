#include "node/host/net_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "proto/event.h"

static void dial_next(struct gv_net_link *link);

/* ---- the table ------------------------------------------------------------------------------ */

struct gv_net_link *gv_net_link_new(struct gv_net *net, uint32_t number)
{
    struct gv_net_link *link = calloc(1, sizeof *link);

    if (!link)
        return NULL;
    link->net = net;
    link->number = number;
    if (number == 0) { /* 2^31 of them: at 100 a second, eight months of unbroken attack */
        link->incoming = true;
        link->number = ++net->last_incoming | GV_LINK_INCOMING;
    }
    link->state = GV_NET_LINK_GONE;
    gv_buf_init(&link->out);
    link->next = net->links;
    if (net->links)
        net->links->previous = link;
    net->links = link;
    net->link_count++;
    struct gv_net_link **bucket = &net->buckets[link->number % GV_NET_BUCKETS];
    link->chain = *bucket;
    *bucket = link;
    return link;
}

struct gv_net_link *gv_net_link_find(const struct gv_net *net, uint32_t number)
{
    struct gv_net_link *link = net->buckets[number % GV_NET_BUCKETS];

    while (link && link->number != number)
        link = link->chain;
    return link;
}

static void link_free(struct gv_net_link *link)
{
    struct gv_net *net = link->net;
    struct gv_net_link **at = &net->buckets[link->number % GV_NET_BUCKETS];

    while (*at != link)
        at = &(*at)->chain;
    *at = link->chain;
    if (link->previous)
        link->previous->next = link->next;
    else
        net->links = link->next;
    if (link->next)
        link->next->previous = link->previous;
    net->link_count--;
    if (link->paused)
        net->paused--;
    uint32_t number = link->number;
    bool tell = !link->silent && !net->stopped;
    gv_buf_free(&link->out);
    free(link);
    if (tell)
        net->callbacks.disconnected(net->callbacks.context, number);
    gv_net_reap(net);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void on_gone(uv_handle_t *handle)
{
    struct gv_net_link *link = handle->data;

    if (link->redial && link->state == GV_NET_LINK_DIALLING) {
        link->redial = false;
        dial_next(link);
        return;
    }
    link_free(link);
}

/* Its place is free from now on; libuv lets go of the rest at the end of the turn, and a turn may
 * bring hundreds of strangers. */
static void become_gone(struct gv_net_link *link)
{
    link->state = GV_NET_LINK_GONE;
    link->deadline = 0;
    if (link->counted)
        link->net->incoming--;
    link->counted = false;
}

void gv_net_link_drop(struct gv_net_link *link)
{
    enum gv_net_link_state was = link->state;

    if (was == GV_NET_LINK_GONE)
        return;
    become_gone(link);
    if (was == GV_NET_LINK_RESOLVING) /* its callback finishes, now or when the resolver is done */
        uv_cancel((uv_req_t *)&link->request.resolve);
    else if (!link->redial) /* a redialling one is closing already: on_gone finishes */
        uv_close((uv_handle_t *)&link->tcp, on_gone);
}

/* Drops it with a reset: otherwise the kernel keeps what we said last for a peer that does not take
 * it, for minutes, and does not even tell him that it is over. */
static void reset(struct gv_net_link *link)
{
    if (link->state != GV_NET_LINK_UP || uv_tcp_close_reset(&link->tcp, on_gone) != 0) {
        gv_net_link_drop(link);
        return;
    }
    become_gone(link);
}

static void cut_slow(struct gv_net_link *link)
{
    link->net->counters.slow++;
    gv_log_limited(GV_LOG_NOTICE, "a peer reads too slowly and is cut off");
    reset(link);
}

void gv_net_link_expired(struct gv_net_link *link)
{
    if (link->state == GV_NET_LINK_UP && link->said)
        cut_slow(link);
    else if (link->state == GV_NET_LINK_UP)
        link->net->counters.silent++;
    if (link->state == GV_NET_LINK_DIALLING && link->try_next < link->try_count && !link->redial) {
        link->redial = true;
        link->deadline = 0;
        uv_close((uv_handle_t *)&link->tcp, on_gone);
        return;
    }
    gv_net_link_drop(link);
}

static void set_deadline(struct gv_net_link *link, uint64_t ms)
{
    link->deadline = uv_now(link->net->loop) + ms;
    gv_net_want_sweep(link->net);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct gv_net_link *link = handle->data;

    (void)suggested;
    /* One buffer for all: libuv reads into it and calls on_read before it asks again. */
    *buf = uv_buf_init(link->net->read, sizeof link->net->read);
}

/* What the peer may send, as of now. */
static void earn(struct gv_net_link *link)
{
    uint64_t now = uv_now(link->net->loop);

    link->credit += (int64_t)(now - link->credit_at) * GV_NET_READ_RATE / 1000;
    if (link->credit > GV_NET_READ_BURST)
        link->credit = GV_NET_READ_BURST;
    link->credit_at = now;
}

/* Used up: the rest waits in the kernel, and that of the peer holds him back. */
static void spend(struct gv_net_link *link, size_t count)
{
    earn(link);
    link->credit -= (int64_t)count;
    if (link->credit > 0)
        return;
    uv_read_stop((uv_stream_t *)&link->tcp);
    link->paused = true;
    link->net->paused++;
    link->net->counters.throttled++;
    gv_net_want_drip(link->net);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct gv_net_link *link = stream->data;
    struct gv_net *net = link->net;

    if (count < 0) {
        gv_net_link_drop(link);
        return;
    }
    if (count == 0 || link->state != GV_NET_LINK_UP)
        return;
    if (!link->heard) {
        link->heard = true;
        link->deadline = 0;
    }
    spend(link, (size_t)count);
    net->callbacks.bytes(net->callbacks.context, link->number, (const uint8_t *)buf->base,
                         (size_t)count);
}

void gv_net_link_drip(struct gv_net_link *link)
{
    earn(link);
    if (link->credit <= 0)
        return;
    link->paused = false;
    link->net->paused--;
    /* One that is being closed is read too, to its end. */
    if (link->state != GV_NET_LINK_UP && link->state != GV_NET_LINK_CLOSING)
        return;
    if (uv_read_start((uv_stream_t *)&link->tcp, on_alloc, on_read) < 0)
        gv_net_link_drop(link);
}

/* What came with the connection. A siege brings hundreds in one turn of the loop, and the last of
 * them would push out the first before those are read. */
static void read_now(struct gv_net_link *link)
{
    struct gv_net *net = link->net;
    uv_buf_t buf = uv_buf_init(net->read, sizeof net->read);
    uv_os_fd_t fd;

    if (link->state != GV_NET_LINK_UP || uv_fileno((uv_handle_t *)&link->tcp, &fd) < 0)
        return;
    ssize_t count = recv(fd, net->read, sizeof net->read, MSG_DONTWAIT);
    if (count > 0) /* its end, or an error, the loop will find */
        on_read((uv_stream_t *)&link->tcp, count, &buf);
}

static void limit_kernel(struct gv_net_link *link)
{
    int send = GV_NET_KERNEL_MAX, receive = GV_NET_KERNEL_MAX;

    /* Where it says no, it has limits of its own. */
    (void)uv_send_buffer_size((uv_handle_t *)&link->tcp, &send);
    (void)uv_recv_buffer_size((uv_handle_t *)&link->tcp, &receive);
}

static void link_up(struct gv_net_link *link, const struct gv_address *remote)
{
    struct gv_net *net = link->net;

    link->state = GV_NET_LINK_UP;
    link->deadline = 0;
    link->credit = GV_NET_READ_BURST;
    link->credit_at = uv_now(net->loop);
    uv_tcp_nodelay(&link->tcp, 1);
    limit_kernel(link);
    if (uv_read_start((uv_stream_t *)&link->tcp, on_alloc, on_read) < 0) {
        gv_net_link_drop(link); /* DISCONNECTED without CONNECTED: the core does not mind */
        return;
    }
    if (link->incoming)
        set_deadline(link, GV_NET_SILENT_MS);
    net->callbacks.connected(net->callbacks.context, link->number, remote);
    if (link->incoming)
        read_now(link);
}

void gv_net_link_accept(struct gv_net_link *link, uv_stream_t *server)
{
    struct gv_net *net = link->net;
    struct sockaddr_storage from;
    struct gv_address remote;
    int len = sizeof from;

    link->silent = true;
    if (uv_tcp_init(net->loop, &link->tcp) < 0) {
        link_free(link);
        return;
    }
    link->tcp.data = link;
    link->state = GV_NET_LINK_DIALLING;
    if (uv_accept(server, (uv_stream_t *)&link->tcp) < 0 ||
        uv_tcp_getpeername(&link->tcp, (struct sockaddr *)&from, &len) < 0 ||
        !gv_net_from_sockaddr(&remote, (struct sockaddr *)&from) || !gv_net_admit(net)) {
        gv_net_link_drop(link);
        return;
    }
    link->silent = false;
    link->counted = true;
    net->incoming++;
    link_up(link, &remote);
}

/* ---- dialling ------------------------------------------------------------------------------- */

static void dial_failed(struct gv_net_link *link, int status)
{
    char text[GV_ADDRESS_TEXT];

    gv_address_text(text, &link->tries[link->try_next - 1]);
    gv_log_limited(GV_LOG_DEBUG, "could not connect to %s: %s", text, uv_strerror(status));
    if (link->state == GV_NET_LINK_DIALLING)
        gv_net_link_expired(link);
}

static void on_connect(uv_connect_t *request, int status)
{
    struct gv_net_link *link = request->handle->data;

    if (link->state != GV_NET_LINK_DIALLING || link->redial)
        return; /* dropped meanwhile */
    if (status < 0)
        dial_failed(link, status);
    else
        link_up(link, &link->tries[link->try_next - 1]);
}

/* The source address that the admin chose. A family that he did not name is not used at all: a
 * node bound to one address must not be seen coming from another. */
static int bind_source(struct gv_net_link *link, const struct gv_address *to)
{
    const struct gv_net *net = link->net;
    struct sockaddr_storage from;

    if (net->bind_count == 0)
        return 0;
    for (size_t i = 0; i < net->bind_count; i++) {
        if (net->bind[i].family != to->family)
            continue;
        gv_net_to_sockaddr(&from, &net->bind[i]);
        return uv_tcp_bind(&link->tcp, (const struct sockaddr *)&from, 0);
    }
    return UV_EAFNOSUPPORT;
}

static void dial_next(struct gv_net_link *link)
{
    struct sockaddr_storage to;

    if (uv_tcp_init(link->net->loop, &link->tcp) < 0) {
        link_free(link);
        return;
    }
    link->tcp.data = link;
    link->state = GV_NET_LINK_DIALLING;
    if (!link->net->online || link->try_next >= link->try_count) {
        gv_net_link_drop(link);
        return;
    }
    const struct gv_address *address = &link->tries[link->try_next++];
    gv_net_to_sockaddr(&to, address);
    int status = bind_source(link, address);
    if (status == 0)
        status = uv_tcp_connect(&link->request.connect, &link->tcp, (const struct sockaddr *)&to,
                                on_connect);
    if (status < 0)
        dial_failed(link, status);
    else
        set_deadline(link, GV_NET_CONNECT_MS);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct gv_net_link *link = request->data;

    if (status < 0 && link->state == GV_NET_LINK_RESOLVING)
        gv_log_limited(GV_LOG_INFO, "the name %s does not resolve: %s", link->name,
                       uv_strerror(status));
    for (struct addrinfo *at = found; at && link->try_count < GV_NET_TRY_MAX; at = at->ai_next)
        if (at->ai_socktype == SOCK_STREAM &&
            gv_net_from_sockaddr(&link->tries[link->try_count], at->ai_addr))
            link->try_count++;
    uv_freeaddrinfo(found);
    if (link->state == GV_NET_LINK_RESOLVING)
        dial_next(link);
    else
        link_free(link);
}

/* "name:port" into its parts; the port stays text for the resolver. */
static bool split_host(char name[256], char port[8], const char *host, size_t len)
{
    const char *colon = memrchr(host, ':', len);

    if (!colon || colon == host)
        return false;
    size_t name_len = (size_t)(colon - host), port_len = len - name_len - 1;
    if (host[0] == '[' && name_len > 2 && host[name_len - 1] == ']') {
        host++;
        name_len -= 2;
    }
    if (name_len > 255 || port_len == 0 || port_len > 5)
        return false;
    memcpy(name, host, name_len);
    name[name_len] = 0;
    memcpy(port, colon + 1, port_len);
    port[port_len] = 0;
    return memchr(name, 0, name_len) == NULL && strspn(port, "0123456789") == port_len;
}

static void resolve(struct gv_net_link *link, const char *host, size_t len)
{
    static const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char port[8];

    link->request.resolve.data = link;
    link->state = GV_NET_LINK_RESOLVING;
    if (!link->net->online || !split_host(link->name, port, host, len) ||
        uv_getaddrinfo(link->net->loop, &link->request.resolve, on_resolved, link->name, port,
                       &hints) < 0)
        dial_next(link); /* no address to try: the link goes, from the loop */
}

int gv_net_connect(struct gv_net *net, uint32_t number, const struct gv_address *address,
                   const char *host, size_t host_len)
{
    if (number == 0 || (number & GV_LINK_INCOMING) || gv_net_link_find(net, number))
        return GV_ERR_STATE;
    struct gv_net_link *link = gv_net_link_new(net, number);
    if (!link)
        return GV_ERR_MEMORY;
    if (address || gv_address_parse(&link->tries[0], host, host_len) == GV_OK) {
        if (address)
            link->tries[0] = *address;
        link->try_count = 1;
        dial_next(link);
    } else {
        resolve(link, host, host_len);
    }
    return GV_OK;
}

/* ---- writing -------------------------------------------------------------------------------- */

struct write {
    uv_write_t request;
    char data[];
};

/* What waits must move: a peer that takes nothing must not hold a megabyte until he is silent for
 * ten minutes, and one that goes on talking, for ever. */
static void watch_queue(struct gv_net_link *link)
{
    if (uv_stream_get_write_queue_size((uv_stream_t *)&link->tcp) > 0)
        set_deadline(link, GV_NET_STALL_MS);
    else
        link->deadline = 0;
}

static void on_written(uv_write_t *request, int status)
{
    struct gv_net_link *link = request->handle->data;

    free(request);
    if (link->state == GV_NET_LINK_GONE)
        return;
    if (status < 0)
        gv_net_link_drop(link);
    else if (link->state == GV_NET_LINK_UP) /* it moves */
        watch_queue(link);
}

/* Hands the kernel what it takes now, without a copy, and queues a copy of the rest. */
static void link_flush(struct gv_net_link *link)
{
    uv_stream_t *stream = (uv_stream_t *)&link->tcp;
    size_t done = 0;

    link->dirty = false;
    if (link->out.len == 0 || (link->state != GV_NET_LINK_UP && link->state != GV_NET_LINK_CLOSING))
        return;
    uv_buf_t buf = uv_buf_init((char *)link->out.data, (unsigned)link->out.len);
    int took = uv_try_write(stream, &buf, 1);
    if (took > 0)
        done = (size_t)took;
    else if (took < 0 && took != UV_EAGAIN) {
        gv_net_link_drop(link);
        return;
    }
    size_t rest = link->out.len - done;
    if (rest > 0) {
        struct write *write = malloc(sizeof *write + rest);
        if (!write) {
            gv_net_link_drop(link);
            return;
        }
        memcpy(write->data, link->out.data + done, rest);
        buf = uv_buf_init(write->data, (unsigned)rest);
        if (uv_write(&write->request, stream, &buf, 1, on_written) < 0) {
            free(write);
            gv_net_link_drop(link);
            return;
        }
        if (link->deadline == 0 && link->state == GV_NET_LINK_UP)
            watch_queue(link);
    }
    gv_buf_free(&link->out); /* an idle link keeps no buffer: many links, little memory */
}

void gv_net_send(struct gv_net *net, uint32_t number, const uint8_t *data, size_t len)
{
    struct gv_net_link *link = gv_net_link_find(net, number);

    if (!link || link->state != GV_NET_LINK_UP || len == 0)
        return;
    if (link->out.len + len > GV_NET_QUEUE_MAX / 4)
        link_flush(link);
    if (link->state != GV_NET_LINK_UP)
        return;
    if (uv_stream_get_write_queue_size((uv_stream_t *)&link->tcp) + link->out.len + len >
        GV_NET_QUEUE_MAX) {
        cut_slow(link);
        return;
    }
    link->said = true;
    gv_buf_append(&link->out, data, len);
    if (link->out.failed) {
        gv_net_link_drop(link);
        return;
    }
    link->dirty = net->any_dirty = true;
}

void gv_net_flush(struct gv_net *net)
{
    if (!net->any_dirty)
        return;
    net->any_dirty = false;
    for (struct gv_net_link *l = net->links, *next; l; l = next) {
        next = l->next;
        if (l->dirty)
            link_flush(l);
    }
}

/* ---- closing -------------------------------------------------------------------------------- */

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct gv_net_link *link = request->handle->data;

    if (status < 0)
        gv_net_link_drop(link);
}

void gv_net_turn_away(struct gv_net *net, uint32_t number, const uint8_t *data, size_t len)
{
    struct gv_net_link *link = gv_net_link_find(net, number);

    if (!link || link->state == GV_NET_LINK_GONE)
        return;
    net->counters.turned_away += link->incoming;
    link->silent = true;
    uv_buf_t buf = uv_buf_init((char *)data, (unsigned)len);
    /* A few bytes, the first on this link: they fit into the kernel's buffer. */
    if (len > 0 && link->state == GV_NET_LINK_UP &&
        uv_try_write((uv_stream_t *)&link->tcp, &buf, 1) == (int)len)
        gv_net_link_drop(link);
    else
        reset(link);
}

/* Our end says that it is done and waits for the other's to say so too: closing a socket with
 * unread bytes in it would make the kernel throw away what we said last. */
void gv_net_close(struct gv_net *net, uint32_t number)
{
    struct gv_net_link *link = gv_net_link_find(net, number);

    if (!link || link->state == GV_NET_LINK_CLOSING || link->state == GV_NET_LINK_GONE)
        return;
    /* Whoever was turned away at the door is owed no last word, and must not stay two seconds. */
    if (link->state != GV_NET_LINK_UP || (link->incoming && !link->said)) {
        net->counters.turned_away += link->incoming;
        reset(link);
        return;
    }
    link->state = GV_NET_LINK_CLOSING;
    link_flush(link);
    if (link->state != GV_NET_LINK_CLOSING)
        return;
    if (uv_shutdown(&link->request.shutdown, (uv_stream_t *)&link->tcp, on_shutdown) < 0)
        gv_net_link_drop(link);
    else
        set_deadline(link, GV_NET_LINGER_MS);
}
