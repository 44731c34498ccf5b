#include "node/base/http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/http_tls.h"
#include "node/base/log.h"

#define SWEEP_MS 1000
#define TURN_NS  500000u /* of one turn of the loop */
#define RUNS     2u  /* of MHD_run, from one request of a connection to the one right behind it */
#define PAUSE    63u /* answers at most between two corks that gather nothing */
/* Left alone the kernel takes 4 MB of answers for a client that reads nothing: 500 of those were
 * 2 GB, and seconds of work in which nobody else was served. Enough for 2.5 MB/s at 100 ms. */
#define SEND_ROOM (256 << 10)
/* Without a file for the first client libmicrohttpd would try again and again, at the cost of a
 * whole core; files are closed again within seconds mostly. */
#define STARVED_MS 100

/* ---- connections ---------------------------------------------------------------------------- */

/* The bytes that the limit per client counts by. An IPv6 client holds a /64 at the least. */
static bool client_key(uint8_t key[16], const struct sockaddr *address)
{
    memset(key, 0, 16);
    if (!address)
        return false;
    if (address->sa_family == AF_INET) {
        memcpy(key, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
        key[15] = 4;
        return true;
    }
    if (address->sa_family == AF_INET6) {
        memcpy(key, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 8);
        key[15] = 6;
        return true;
    }
    return false;
}

static void connected(struct gv_http_server *server, struct MHD_Connection *mhd, void **slot);
static void sweep(uv_timer_t *timer);

static void on_connection(void *context, struct MHD_Connection *mhd, void **slot,
                          enum MHD_ConnectionNotificationCode code)
{
    struct gv_http_server *server = context;
    struct gv_http_connection *connection = *slot;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connected(server, mhd, slot);
        return;
    }
    if (server->opening) /* it looks at its door when it runs the next time */
        gv_http_kick(server);
    server->opening = false;
    if (connection) {
        LIST_REMOVE(connection, list);
        if (connection->corked)
            LIST_REMOVE(connection, corked_list);
        server->counters.open--;
        free(connection);
        *slot = NULL;
    }
}

/* The address it came in on, for the check of the Host header. */
static void remember_local(struct gv_http_connection *connection)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;

    connection->local_known =
        getsockname(connection->fd, (struct sockaddr *)&address, &size) == 0 &&
        gv_http_address_bytes(connection->local, (struct sockaddr *)&address);
}

/* When hardly a connection is left, the one goes that has kept its request back for longest: who
 * opens a thousand and says nothing shuts nobody out. */
static void make_room(struct gv_http_server *server)
{
    struct gv_http_connection *connection, *slowest = NULL;
    unsigned max = server->options.connections_max;

    if (server->counters.open + max / 16 < max)
        return;
    LIST_FOREACH(connection, &server->connections, list)
    {
        if (connection->awaited && connection->deadline_ms &&
            (!slowest || connection->deadline_ms < slowest->deadline_ms))
            slowest = connection;
    }
    if (!slowest)
        return;
    slowest->deadline_ms = 0;
    server->counters.too_slow++;
    shutdown(slowest->fd, SHUT_RDWR);
}

static void connected(struct gv_http_server *server, struct MHD_Connection *mhd, void **slot)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct gv_http_connection *connection = calloc(1, sizeof *connection), *other;
    unsigned same = 0;
    int fd = info ? info->connect_fd : -1;

    *slot = connection;
    if (!connection) {
        shutdown(fd, SHUT_RDWR);
        return;
    }
    connection->mhd = mhd;
    connection->fd = fd;
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *peer = info ? info->client_addr : NULL;
    /* A trusted proxy's address stands for everybody behind it: the proxy must limit those. */
    connection->counted = client_key(connection->key, peer) && !gv_http_trusts(server, peer);
    LIST_FOREACH(other, &server->connections, list)
    same += other->counted && !other->refused && memcmp(other->key, connection->key, 16) == 0;
    connection->deadline_ms = uv_now(server->loop) + 2000ULL * server->options.timeout_s;
    connection->awaited = true;
    remember_local(connection);
    make_room(server);
    LIST_INSERT_HEAD(&server->connections, connection, list);
    server->counters.connections++;
    server->counters.open++;
    if (connection->counted && same >= server->options.connections_per_ip) {
        connection->refused = true;
        gv_log_limited(GV_LOG_NOTICE, "HTTP: a client holds %u connections already, one refused",
                       same);
        shutdown(fd, SHUT_RDWR);
    }
    if (!uv_is_active((uv_handle_t *)&server->sweep))
        uv_timer_start(&server->sweep, sweep, SWEEP_MS, SWEEP_MS);
}

/* Where no file may be opened, libmicrohttpd accepts nobody until a connection has ended, and one
 * may stay for hours: so one comes that ends at once. There is no other way to tell it. */
static void open_again(struct gv_http_server *server)
{
    const struct sockaddr_un nobody = {.sun_family = AF_UNIX};
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return; /* none yet */
    close(pair[0]);
    /* Which closes it, whatever comes. */
    server->opening = MHD_add_connection(server->daemon, pair[1], (const struct sockaddr *)&nobody,
                                         sizeof nobody.sun_family) == MHD_YES;
    server->shut = !server->opening;
    if (!server->shut)
        uv_timer_start(&server->sweep, sweep, SWEEP_MS, SWEEP_MS);
    gv_http_kick(server);
}

/* libmicrohttpd's timeout starts anew with every byte, so a client that drips could stay for
 * hours: a whole request must come within twice the timeout. */
static void sweep(uv_timer_t *timer)
{
    struct gv_http_server *server = timer->data;
    struct gv_http_connection *connection;
    struct gv_http_request *request;
    uint64_t now = uv_now(server->loop);

    LIST_FOREACH(connection, &server->connections, list)
    {
        if (connection->deadline_ms && now > connection->deadline_ms) {
            connection->deadline_ms = 0;
            server->counters.too_slow += !connection->refused;
            shutdown(connection->fd, SHUT_RDWR);
        }
    }
    LIST_FOREACH(request, &server->requests, list)
    {
        if (request->state == GV_HTTP_STREAM && request->beat &&
            now - request->pushed_ms >= GV_HTTP_BEAT_MS)
            gv_http_stream_push(request, request->beat, strlen(request->beat));
    }
    gv_http_sweep_left(server);
    if (server->shut)
        open_again(server);
    else if (LIST_EMPTY(&server->connections))
        uv_timer_stop(timer);
}

/* ---- libmicrohttpd in the loop -------------------------------------------------------------- */

static void finish_stop(struct gv_http_server *server);
static void on_timer(uv_timer_t *timer);
static void on_ready(uv_poll_t *poll, int status, int events);

static void cork(struct gv_http_connection *connection, int on)
{
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_CORK, &on,
                     sizeof on); /* not of TCP: no harm */
    connection->corked = on;
}

/* libmicrohttpd sends each answer by itself, which is most of what one costs. A client that asks
 * again as soon as it has its answer looks like one that sends many in one go: its corks gather one
 * answer each, and are tried ever less often. */
void gv_http_gather(struct gv_http_server *server, struct gv_http_connection *connection)
{
    bool behind = connection->answered + RUNS >= server->runs;

    connection->answered = server->runs;
    connection->gathered++;
    if (!behind || connection->corked)
        return;
    if (connection->spare > 0) {
        connection->spare--;
        return;
    }
    cork(connection, 1);
    connection->gathered = 1;
    LIST_INSERT_HEAD(&server->corked, connection, corked_list);
}

/* Those that had no answer in this run have had them all. */
static void let_go(struct gv_http_server *server, bool all)
{
    struct gv_http_connection *connection, *next;

    for (connection = LIST_FIRST(&server->corked); connection; connection = next) {
        next = LIST_NEXT(connection, corked_list);
        if (!all && connection->answered + RUNS > server->runs)
            continue;
        LIST_REMOVE(connection, corked_list);
        cork(connection, 0);
        connection->pause = connection->gathered > 1 ? 0 : 2 * connection->pause + 1;
        connection->pause = connection->pause > PAUSE ? PAUSE : connection->pause;
        connection->spare = connection->pause;
    }
}

/* What a client sent in one go, request behind request, is answered in one turn of the loop, and so
 * is what came meanwhile, as long as nobody else has to wait for that: a turn costs two calls of
 * epoll_wait. */
static void run(struct gv_http_server *server)
{
    MHD_UNSIGNED_LONG_LONG wait = 0;
    uint64_t start = uv_hrtime(), requests;
    bool timed;

    if (server->stopped)
        return;
    do {
        server->running = true;
        server->woken = false;
        requests = server->counters.requests;
        server->runs++;
        MHD_run(server->daemon);
        let_go(server, false);
        server->running = false;
        if (server->stop_wanted) {
            finish_stop(server);
            return;
        }
        timed = MHD_get_timeout(server->daemon, &wait) == MHD_YES;
    } while ((server->woken || (timed && wait == 0) || requests != server->counters.requests) &&
             uv_hrtime() - start < TURN_NS);
    let_go(server, true);
    if (server->starved) { /* who waits at the door would wake the loop at once, for ever */
        uv_poll_stop(&server->poll);
        uv_timer_start(&server->timer, on_timer, STARVED_MS, 0);
        return;
    }
    /* Never 0 from here: libuv runs a timer that is due again at once before anything else, and a
     * flood of requests would keep the loop for itself. */
    if (server->woken || (timed && wait == 0))
        uv_timer_start(&server->timer, on_timer, 1, 0);
    else if (timed)
        uv_timer_start(&server->timer, on_timer, wait, 0);
    else
        uv_timer_stop(&server->timer);
}

static void on_timer(uv_timer_t *timer)
{
    struct gv_http_server *server = timer->data;

    if (server->starved) {
        server->starved = false;
        uv_poll_start(&server->poll, UV_READABLE, on_ready);
    }
    run(server);
}

void gv_http_kick(struct gv_http_server *server)
{
    server->woken = true;
    if (!server->running && !server->stopped)
        uv_timer_start(&server->timer, on_timer, 0, 0);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void log_line(void *context, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void log_line(void *context, const char *format, va_list args)
{
    char line[256];

    if (strstr(format, "`Content-Length'") || strstr(format, "'Content-Length'"))
        gv_http_refuse_lengths(context);
    if (strstr(format, "system resource limit at")) {
        struct gv_http_server *server = context;
        if (strstr(format, "FIRST connection")) {
            server->starved = true;
        } else {
            server->shut = true;
            uv_timer_start(&server->sweep, sweep, STARVED_MS, STARVED_MS);
        }
        gv_log_limited(GV_LOG_WARNING,
                       "HTTP: a client waits, and no file may be opened for it; "
                       "raise the limit of open files (LimitNOFILE= of the service)");
        return;
    }
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    gv_log_limited(GV_LOG_DEBUG, "HTTP: %s", line);
}

/* ---- the listening socket ------------------------------------------------------------------- */

static int socket_path_free(const char *path, const struct sockaddr_un *address,
                            struct gv_text *error)
{
    struct stat info;

    if (lstat(path, &info) != 0)
        return errno == ENOENT ? GV_OK : gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(info.st_mode))
        return gv_fail(error, GV_ERR_IO, "%s: exists and is not a socket; move it away", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return gv_fail(error, GV_ERR_IO, "socket: %s", strerror(errno));
    int refused = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                  errno == ECONNREFUSED;
    close(fd);
    if (!refused)
        return gv_fail(error, GV_ERR_BUSY,
                       "%s: another process listens there; stop it, or choose another path", path);
    return GV_OK;
}

static int listen_unix(int *out, const char *path, struct gv_text *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX}, temporary = address;
    int fd = -1, rc;

    /* Bound under another name first, so that the socket is never there with other rights. */
    if (strlen(path) + 5 > sizeof address.sun_path)
        return gv_fail(error, GV_ERR_RANGE, "%s: longer than the %zu bytes a socket path may have",
                       path, sizeof address.sun_path - 5);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    snprintf(temporary.sun_path, sizeof temporary.sun_path, "%s.new", path);
    rc = socket_path_free(path, &address, error);
    if (rc != GV_OK)
        return rc;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(temporary.sun_path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&temporary, sizeof temporary) != 0 ||
        chmod(temporary.sun_path, 0660) != 0 || listen(fd, 64) != 0 ||
        rename(temporary.sun_path, path) != 0) {
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
        unlink(temporary.sun_path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    *out = fd;
    return GV_OK;
}

static int listen_tcp(int *out, uint16_t *port, const char *host, struct gv_text *error)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&address;
    socklen_t len = sizeof *v6;
    int on = 1, room = SEND_ROOM, rc = GV_OK;

    if (uv_ip4_addr(host, *port, v4) == 0)
        len = sizeof *v4;
    else if (uv_ip6_addr(host, *port, v6) != 0)
        return gv_fail(error, GV_ERR_RANGE, "%s: not an IP address to listen on", host);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return gv_fail(error, GV_ERR_IO, "socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room); /* of its connections */
    if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 256) != 0) {
        if (errno == EADDRINUSE)
            rc = gv_fail(error, GV_ERR_BUSY,
                         "%s port %u is in use; stop the other program, or choose another port",
                         host, *port);
        else
            rc = gv_fail(error, GV_ERR_IO, "%s port %u: %s", host, *port, strerror(errno));
        close(fd);
        return rc;
    }
    len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        *port = ntohs(address.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
    *out = fd;
    return GV_OK;
}

/* ---- start and stop ------------------------------------------------------------------------- */

static void fill_defaults(struct gv_http_options *options)
{
    if (!options->head_max)
        options->head_max = GV_HTTP_HEAD_MAX;
    if (!options->body_max)
        options->body_max = 65536;
    if (!options->connections_max)
        options->connections_max = 256;
    if (!options->connections_per_ip)
        options->connections_per_ip = 32;
    if (!options->timeout_s)
        options->timeout_s = 15;
}

static struct MHD_Daemon *start_daemon(struct gv_http_server *server, int fd)
{
    const struct gv_http_options *options = &server->options;
    const struct MHD_OptionItem secure[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, gv_tls_callback()},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)GV_TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL}};
    static const struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};

    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
            (options->tls ? (unsigned)MHD_USE_TLS : 0),
        0, NULL, NULL, gv_http_access, server, MHD_OPTION_ARRAY, options->tls ? secure : plain,
        MHD_OPTION_EXTERNAL_LOGGER, log_line, server,
        /* At 1 it would refuse a missing Host by itself, with two heads; see check_head. */
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_STRICT_FOR_CLIENT, gv_http_strictness(),
        MHD_OPTION_CONNECTION_LIMIT, options->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
        options->timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->head_max,
        MHD_OPTION_NOTIFY_COMPLETED, gv_http_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_URI_LOG_CALLBACK, gv_http_check_uri, server,
        MHD_OPTION_END);
}

int gv_http_start(struct gv_http_server **out, uv_loop_t *loop,
                  const struct gv_http_options *options, struct gv_text *error)
{
    int fd = -1, rc = GV_ERR_MEMORY;
    struct gv_http_server *server = calloc(1, sizeof *server);

    *out = NULL;
    if (!server)
        goto out;
    server->loop = loop;
    server->options = *options;
    server->port = options->unix_path ? 0 : options->port;
    fill_defaults(&server->options);
    LIST_INIT(&server->connections);
    LIST_INIT(&server->requests);
    if (options->unix_path) {
        server->unix_path = strdup(options->unix_path);
        if (!server->unix_path)
            goto out;
        rc = listen_unix(&fd, options->unix_path, error);
    } else {
        rc = listen_tcp(&fd, &server->port, options->host, error);
    }
    if (rc != GV_OK)
        goto out;
    server->daemon = start_daemon(server, fd);
    if (!server->daemon) {
        rc = gv_fail(error, GV_ERR_IO, "the HTTP server does not start (out of memory or files)");
        goto out;
    }
    uv_poll_init(loop, &server->poll,
                 MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
    uv_timer_init(loop, &server->timer);
    uv_timer_init(loop, &server->sweep);
    server->poll.data = server->timer.data = server->sweep.data = server;
    server->handles = 3;
    uv_poll_start(&server->poll, UV_READABLE, on_ready);
    *out = server;
    server = NULL; /* handed over */
    fd = -1;
out:
    if (fd >= 0)
        close(fd);
    if (server)
        free(server->unix_path);
    free(server);
    return rc;
}

uint16_t gv_http_port(const struct gv_http_server *server)
{
    return server->port;
}

void gv_http_counters(const struct gv_http_server *server, struct gv_http_counters *out)
{
    *out = server->counters;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct gv_http_server *server = handle->data;

    if (--server->handles == 0) {
        free(server->unix_path);
        free(server);
    }
}

static void finish_stop(struct gv_http_server *server)
{
    server->stopped = true;
    /* libmicrohttpd must not be stopped while a connection is suspended; a turn of it lets those
     * that were woken take their 503. */
    gv_http_abandon_all(server);
    MHD_run(server->daemon);
    gv_http_abandon_all(server);
    MHD_run(server->daemon);
    uv_close((uv_handle_t *)&server->poll, on_handle_closed); /* before its epoll fd is closed */
    MHD_stop_daemon(server->daemon);
    gv_http_spares_free(server);
    if (server->unix_path)
        unlink(server->unix_path);
    uv_close((uv_handle_t *)&server->timer, on_handle_closed);
    uv_close((uv_handle_t *)&server->sweep, on_handle_closed);
}

void gv_http_stop(struct gv_http_server *server)
{
    if (!server || server->stop_wanted)
        return;
    server->stop_wanted = true;
    if (!server->running) /* from within a handler it waits for the end of MHD_run */
        finish_stop(server);
}
