#include "node/serve/dnsbl.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/listener.h"
#include "node/base/log.h"
#include "node/host/net.h"
#include "node/serve/dnsbl_internal.h"

#define BATCH       64 /* datagrams a system call */
#define AHEAD       8  /* questions: so far ahead what they read is asked of the memory */
#define TURN        4  /* batches before others in the loop have their turn */
#define UDP_RECEIVE (1 << 20)

/* One batch: the kernel's view of it, made once. */
struct batch {
    struct mmsghdr in[BATCH], out[BATCH];
    struct iovec in_at[BATCH], out_at[BATCH];
    struct sockaddr_storage from[BATCH];
    uint8_t query[BATCH][GV_DNS_QUERY_MAX + 1]; /* one more, so that a longer one is seen as such */
    struct gv_dns_question question[BATCH];
    uint8_t answer[BATCH][GV_DNS_ANSWER_MAX];
};

struct listener {
    struct gv_dnsbl *dnsbl;
    uv_poll_t poll;
    struct gv_listener door; /* TCP */
    bool polling, has_door;
    int fd; /* UDP; -1: none */
    uint16_t port;
};

struct gv_dnsbl {
    struct gv_dnsbl_server server; /* what the TCP connections see */
    struct gv_prefix *clients;     /* owned */
    size_t client_count;
    struct listener *listeners; /* owned */
    size_t listener_count;
    size_t handles; /* open; the last to close frees it all */
    bool stopping;
    struct batch batch;
};

/* ---- who may ask, and the answer ------------------------------------------------------------ */

bool gv_dnsbl_welcome(const struct gv_dnsbl_server *server, const struct sockaddr *from)
{
    const struct gv_dnsbl *d = server->dnsbl;
    struct gv_address address;

    if (!gv_net_from_sockaddr(&address, from))
        return false;
    struct gv_subject subject = gv_address_subject(&address);
    if (gv_subject_scope(&subject) == GV_SCOPE_LOOPBACK)
        return true;
    for (size_t i = 0; i < d->client_count; i++)
        if (gv_prefix_matches(&d->clients[i], &subject))
            return true;
    return false;
}

size_t gv_dnsbl_answer(struct gv_dnsbl_server *server, uint8_t out[GV_DNS_ANSWER_MAX],
                       const uint8_t *query, const struct gv_dns_question *question, bool welcome)
{
    struct gv_dnsbl_counters *c = &server->counters;
    size_t n = gv_dns_write(out, query, question, &server->source, welcome);

    if (n == 0) {
        c->malformed++;
        return 0;
    }
    c->queries++;
    unsigned rcode = out[3] & 15u;
    c->listed += rcode == 0 && out[7] > 0;
    c->refused += rcode == 5;
    c->malformed += rcode == 1;
    return n;
}

/* ---- UDP ------------------------------------------------------------------------------------ */

static void prepare(struct batch *b)
{
    for (size_t i = 0; i < BATCH; i++) {
        b->in_at[i] = (struct iovec){b->query[i], sizeof b->query[i]};
        b->in[i].msg_hdr = (struct msghdr){.msg_name = &b->from[i],
                                           .msg_namelen = sizeof b->from[i],
                                           .msg_iov = &b->in_at[i],
                                           .msg_iovlen = 1};
        b->out[i].msg_hdr = (struct msghdr){.msg_iov = &b->out_at[i], .msg_iovlen = 1};
    }
}

/* Sends what a batch has; a full socket loses the rest, as UDP may. */
static void send_batch(int fd, struct batch *b, size_t count)
{
    for (size_t sent = 0; sent < count;) {
        int n = sendmmsg(fd, b->out + sent, (unsigned)(count - sent), MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        else if (n >= 0 || errno != EINTR)
            sent++; /* this one cannot be sent (no route back, forged source): the next may */
    }
}

/* A million addresses are in no cache while others work: the memory needs as long as an answer
 * does, but for several at a time. */
static void read_ahead(const struct gv_dnsbl_server *server, struct batch *b, size_t number)
{
    struct gv_dns_question *question = &b->question[number];

    gv_dns_read(question, b->query[number], b->in[number].msg_len);
    if (server->soon && question->about_address)
        server->soon(server->source.context, &question->subject);
}

/* Returns how many datagrams came. */
static size_t turn(struct listener *listener)
{
    struct gv_dnsbl *d = listener->dnsbl;
    struct batch *b = &d->batch;
    size_t answers = 0;

    for (size_t i = 0; i < BATCH; i++)
        b->in[i].msg_hdr.msg_namelen = sizeof b->from[i];
    int n = recvmmsg(listener->fd, b->in, BATCH, MSG_DONTWAIT, NULL);
    if (n <= 0)
        return 0;
    d->server.source.serial = d->server.serial(d->server.source.context);
    for (size_t i = 0; i < AHEAD && i < (size_t)n; i++)
        read_ahead(&d->server, b, i);
    for (size_t i = 0; i < (size_t)n; i++) {
        if (i + AHEAD < (size_t)n)
            read_ahead(&d->server, b, i + AHEAD);
        const struct sockaddr *from = (const struct sockaddr *)&b->from[i];
        size_t len = gv_dnsbl_answer(&d->server, b->answer[answers], b->query[i], &b->question[i],
                                     gv_dnsbl_welcome(&d->server, from));
        if (len == 0)
            continue;
        b->out_at[answers] = (struct iovec){b->answer[answers], len};
        b->out[answers].msg_hdr.msg_name = &b->from[i];
        b->out[answers].msg_hdr.msg_namelen = b->in[i].msg_hdr.msg_namelen;
        answers++;
    }
    send_batch(listener->fd, b, answers);
    return (size_t)n;
}

static void on_datagrams(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;

    (void)events;
    if (status < 0)
        return;
    for (int i = 0; i < TURN && turn(listener) == BATCH; i++)
        continue;
}

/* ---- starting and stopping ------------------------------------------------------------------ */

static void destroy(struct gv_dnsbl *d)
{
    if (d->handles > 0 || d->server.connections)
        return;
    free(d->clients);
    free(d->listeners);
    free(d);
}

void gv_dnsbl_connection_gone(struct gv_dnsbl_server *server)
{
    if (server->dnsbl->stopping)
        destroy(server->dnsbl);
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    struct gv_dnsbl *d = listener->dnsbl;

    close(listener->fd);
    listener->fd = -1;
    d->handles--;
    destroy(d);
}

static void on_listener_closed(void *context)
{
    struct gv_dnsbl *d = context;

    d->handles--;
    destroy(d);
}

static int cannot(const struct gv_address *address, int status, struct gv_text *error)
{
    char text[GV_ADDRESS_TEXT];

    gv_address_text(text, address);
    if (status == UV_EADDRINUSE)
        return gv_fail(error, GV_ERR_BUSY,
                       "cannot answer DNS on %s: the port is in use; set another in [dnsbl] listen",
                       text);
    if (status == UV_EACCES)
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "cannot answer DNS on %s: not allowed; choose a port above 1023 in [dnsbl] "
                       "listen, or give the service CAP_NET_BIND_SERVICE",
                       text);
    return gv_fail(error, GV_ERR_IO, "cannot answer DNS on %s: %s; see [dnsbl] listen", text,
                   uv_strerror(status));
}

static int open_udp(struct gv_dnsbl *d, struct listener *listener, const struct gv_address *address)
{
    struct sockaddr_storage to;
    socklen_t len = sizeof to;
    int one = 1, room = UDP_RECEIVE, whole4 = IP_PMTUDISC_DO, whole6 = IPV6_PMTUDISC_DO;

    gv_net_to_sockaddr(&to, address);
    listener->fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return uv_translate_sys_error(errno);
    if (to.ss_family == AF_INET6)
        (void)setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    /* No answer is as long as the shortest packet that every path takes (576 bytes): none is ever
     * in fragments, so none can be forged by one, and the kernel need not number them. */
    if (to.ss_family == AF_INET6)
        (void)setsockopt(listener->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &whole6, sizeof whole6);
    else
        (void)setsockopt(listener->fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole4, sizeof whole4);
    socklen_t size =
        to.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (bind(listener->fd, (const struct sockaddr *)&to, size) != 0 ||
        getsockname(listener->fd, (struct sockaddr *)&to, &len) != 0)
        return uv_translate_sys_error(errno);
    struct gv_address bound;
    (void)gv_net_from_sockaddr(&bound, (const struct sockaddr *)&to);
    listener->port = bound.port;
    int rc = uv_poll_init(d->server.loop, &listener->poll, listener->fd);
    if (rc != 0)
        return rc;
    listener->poll.data = listener;
    listener->polling = true;
    d->handles++;
    return uv_poll_start(&listener->poll, UV_READABLE, on_datagrams);
}

static void on_connection(void *context, int fd)
{
    struct gv_dnsbl *d = context;

    gv_dnsbl_accept(&d->server, fd);
}

static bool on_trouble(void *context, int error)
{
    (void)context;
    gv_log_limited(GV_LOG_WARNING, "DNS: a connection waits and cannot be accepted: %s%s",
                   uv_strerror(error),
                   error != UV_EMFILE ? ""
                                      : "; raise the limit of open files (LimitNOFILE= of the "
                                        "service)");
    return false; /* those who are there soon go, if they do not ask */
}

static int open_tcp(struct gv_dnsbl *d, struct listener *listener, const struct gv_address *address)
{
    struct sockaddr_storage to;
    struct gv_address same = *address;
    const struct gv_listener_options options = {.loop = d->server.loop,
                                                .at = (const struct sockaddr *)&to,
                                                .v6_only = address->family == GV_FAMILY_IPV6,
                                                .backlog = 64,
                                                .context = d,
                                                .connection = on_connection,
                                                .trouble = on_trouble,
                                                .closed = on_listener_closed};

    same.port = listener->port;
    gv_net_to_sockaddr(&to, &same);
    int rc = gv_listener_open(&listener->door, &options);
    if (rc == 0) {
        listener->has_door = true;
        d->handles++;
    }
    return rc;
}

static int start_once(struct gv_dnsbl **out, const struct gv_dnsbl_options *options,
                      struct gv_text *error)
{
    struct gv_dnsbl *d = calloc(1, sizeof *d);
    int rc = 0;

    *out = NULL;
    if (!d)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    d->server = (struct gv_dnsbl_server){.dnsbl = d,
                                         .loop = options->loop,
                                         .source = options->source,
                                         .serial = options->serial,
                                         .soon = options->soon};
    d->listeners = calloc(options->listen_count ? options->listen_count : 1, sizeof *d->listeners);
    d->clients = calloc(options->client_count ? options->client_count : 1, sizeof *d->clients);
    if (!d->listeners || !d->clients) {
        destroy(d);
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    }
    if (options->client_count > 0)
        memcpy(d->clients, options->clients, options->client_count * sizeof *d->clients);
    d->client_count = options->client_count;
    prepare(&d->batch);
    for (size_t i = 0; i < options->listen_count && rc == 0; i++) {
        struct listener *listener = &d->listeners[i];
        listener->dnsbl = d;
        listener->fd = -1;
        d->listener_count++;
        rc = open_udp(d, listener, &options->listen[i]);
        if (rc == 0)
            rc = open_tcp(d, listener, &options->listen[i]);
        if (rc != 0)
            rc = cannot(&options->listen[i], rc, error);
    }
    if (rc != 0) {
        gv_dnsbl_stop(d);
        return rc;
    }
    *out = d;
    return GV_OK;
}

static bool kernel_chooses(const struct gv_dnsbl_options *options)
{
    bool chooses = options->listen_count > 0;

    for (size_t i = 0; i < options->listen_count; i++)
        chooses = chooses && options->listen[i].port == 0;
    return chooses;
}

/* A port that the kernel finds free for datagrams need not be free for connections. */
int gv_dnsbl_start(struct gv_dnsbl **out, const struct gv_dnsbl_options *options,
                   struct gv_text *error)
{
    int rc = GV_ERR_BUSY;

    for (unsigned tries = 0; rc == GV_ERR_BUSY && tries < (kernel_chooses(options) ? 64 : 1);
         tries++)
        rc = start_once(out, options, error);
    return rc;
}

void gv_dnsbl_stop(struct gv_dnsbl *dnsbl)
{
    if (!dnsbl || dnsbl->stopping)
        return;
    dnsbl->stopping = true;
    dnsbl->handles++; /* until all are closing */
    gv_dnsbl_close_connections(&dnsbl->server);
    for (size_t i = 0; i < dnsbl->listener_count; i++) {
        struct listener *listener = &dnsbl->listeners[i];
        if (listener->polling)
            uv_close((uv_handle_t *)&listener->poll, on_closed);
        else if (listener->fd >= 0)
            close(listener->fd);
        if (listener->has_door)
            gv_listener_close(&listener->door);
    }
    dnsbl->handles--;
    destroy(dnsbl);
}

void gv_dnsbl_counters(const struct gv_dnsbl *dnsbl, struct gv_dnsbl_counters *out)
{
    *out = dnsbl->server.counters;
}

uint16_t gv_dnsbl_port(const struct gv_dnsbl *dnsbl)
{
    return dnsbl->listener_count > 0 ? dnsbl->listeners[0].port : 0;
}
