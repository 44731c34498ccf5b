/* Bytes of a stranger into the HTTP server (node/base/http.h), over a real socket and through
 * libmicrohttpd: requests of any form, several on one connection, cut anywhere. What a handler gets
 * is one request and the whole of it: a body of exactly the Content-Length that was sent once, no
 * transfer encoding, a path without control characters. What comes back is nothing, or begins as
 * HTTP does; and the server still answers a plain request. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/http.h"
#include "node/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uv_loop_t loop;
static struct gv_http_server *server;
static char path[] = "/dev/shm/gv-fuzz-http-XXXXXX";
static unsigned handled;

static void remove_socket(void)
{
    unlink(path);
}

/* ---- handlers ------------------------------------------------------------------------------- */

static void check_request(struct gv_http_request *request)
{
    const char *length = gv_http_header(request, "Content-Length");
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    handled++;
    gv_assert(body && len <= 512);
    gv_assert(len == (length ? strtoul(length, NULL, 10) : 0));
    gv_assert(!gv_http_header(request, "Transfer-Encoding"));
    gv_assert(gv_http_path(request)[0] == '/' && gv_http_method(request)[0]);
    (void)gv_http_query(request, "a");
}

static void on_echo(struct gv_http_request *request, void *context)
{
    const char *a = gv_http_query(request, "a");
    size_t len;

    (void)context;
    check_request(request);
    const uint8_t *body = gv_http_body(request, &len);
    if (a) /* a word of the request in the sentence of an error */
        gv_http_error(request, 400, "no", "not \"%.100s\"", a);
    else
        gv_http_respond(request, 200, "application/octet-stream", body, len);
}

static void on_stream(struct gv_http_request *request, void *context)
{
    (void)context;
    check_request(request);
    gv_http_stream_begin(request, 200, "application/x-ndjson", "\n");
    if (gv_http_stream_push(request, "{}\n", 3))
        gv_http_stream_end(request);
}

static const struct gv_http_route routes[] = {{"GET", "/echo", on_echo},
                                              {"POST", "/echo", on_echo},
                                              {"POST", "/any/*", on_echo},
                                              {"GET", "/stream", on_stream}};

/* ---- the stranger --------------------------------------------------------------------------- */

static void start(void)
{
    struct gv_http_options options = {.unix_path = path,
                                      .routes = routes,
                                      .route_count = sizeof routes / sizeof *routes,
                                      .body_max = 512};
    int fd = mkstemp(path);

    gv_assert(fd >= 0);
    close(fd);
    unlink(path);
    gv_log_open("fuzz", 0);
    gv_assert(uv_loop_init(&loop) == 0);
    gv_assert(gv_http_start(&server, &loop, &options, NULL) == GV_OK);
    atexit(remove_socket);
}

/* Says all of it, hears all of the answer. */
static size_t talk(char *out, size_t cap, const void *data, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0, sent = 0;
    ssize_t n = -1;

    memcpy(address.sun_path, path, sizeof path);
    gv_assert(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    for (int turn = 0; turn < 4000 && n != 0; turn++) {
        if (sent < size) {
            ssize_t s =
                send(fd, (const char *)data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent = s > 0 ? sent + (size_t)s : s < 0 && errno == EPIPE ? size : sent;
        }
        if (sent == size)
            shutdown(fd, SHUT_WR);
        uv_run(&loop, UV_RUN_NOWAIT);
        n = recv(fd, out + len, cap - len, MSG_DONTWAIT);
        if (n > 0)
            len += (size_t)n;
        else if (n < 0 && errno == ECONNRESET)
            n = 0;
        if (len == cap)
            break;
    }
    gv_assert(n == 0 || len == cap); /* it is not left waiting */
    close(fd);
    uv_run(&loop, UV_RUN_NOWAIT);
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char plain[] = "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static char out[1 << 16];

    if (!server)
        start();
    size_t len = talk(out, sizeof out, data, size);
    gv_assert(len == 0 || (len > 12 && memcmp(out, "HTTP/1.", 7) == 0));
    unsigned before = handled;
    len = talk(out, sizeof out, plain, sizeof plain - 1);
    gv_assert(handled == before + 1 && len > 12 && memcmp(out + 9, "200", 3) == 0);
    return 0;
}
