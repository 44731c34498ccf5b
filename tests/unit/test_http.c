/* The HTTP server, over real sockets: what it serves, and what it does not fall for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_tcp.h"
#include "node/base/fetch.h"
#include "node/base/http.h"

static struct loop_thread thread;
static struct gv_http_server *server;
static struct gv_http_request *waiting, *stream;
static int closed_count;

static void get_hello(struct gv_http_request *request, void *context)
{
    char text[256];
    const char *name = gv_http_query(request, "name");
    uint8_t peer[16];
    bool inet = gv_http_peer_bytes(request, peer);

    int len = snprintf(text, sizeof text, "hello %s from %d.%d", name ? name : "-",
                       inet ? peer[12] : 0, inet ? peer[15] : 0);
    gv_http_respond(request, 200, "text/plain", text, (size_t)len);
}

static void get_client(struct gv_http_request *request, void *context)
{
    char text[64];
    uint8_t client[16];

    assert_true(gv_http_client_bytes(request, client));
    gv_hex(text, client, sizeof client);
    gv_http_respond(request, 200, "text/plain", text, strlen(text));
}

static void post_echo(struct gv_http_request *request, void *context)
{
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    gv_http_respond(request, 200, "application/octet-stream", body, len);
}

static void on_closed(void *context)
{
    *(struct gv_http_request **)context = NULL;
    closed_count++;
}

static void get_later(struct gv_http_request *request, void *context)
{
    waiting = request;
    gv_http_on_closed(request, on_closed, &waiting);
}

static void get_stream(struct gv_http_request *request, void *context)
{
    stream = request;
    gv_http_on_closed(request, on_closed, &stream);
    gv_http_stream_begin(request, 200, "application/x-ndjson", "\n");
}

static const struct gv_http_route routes[] = {
    {"GET", "/hello", get_hello},   {"POST", "/echo", post_echo},  {"GET", "/later", get_later},
    {"GET", "/stream", get_stream}, {"GET", "/tree/*", get_hello}, {"GET", "/client", get_client},
};
static const char *const hosts[] = {"localhost", "mesh.example"};

static struct gv_http_options options = {
    .host = "127.0.0.1",
    .routes = routes,
    .route_count = sizeof routes / sizeof *routes,
    .hosts = hosts,
    .host_count = 2,
    .body_max = 1000,
    .connections_per_ip = 6,
    .timeout_s = 1,
};

static void start_it(void *context)
{
    struct gv_text why = {""};

    if (gv_http_start(&server, &thread.loop, &options, &why) != GV_OK) {
        fprintf(stderr, "%s\n", why.text);
        abort();
    }
}

static void stop_it(void *context)
{
    gv_http_stop(server);
    server = NULL;
}

static int setup(void **state)
{
    closed_count = 0;
    waiting = stream = NULL;
    loop_thread_start(&thread);
    loop_thread_call(&thread, start_it, NULL);
    return 0;
}

static int teardown(void **state)
{
    if (server)
        loop_thread_call(&thread, stop_it, NULL);
    loop_thread_stop(&thread);
    return 0;
}

#define HOST "Host: localhost\r\n"

static void expect(const char *request, const char *status, const char *part)
{
    char answer[8192];

    tcp_talk(gv_http_port(server), request, answer, sizeof answer);
    if (strncmp(answer, status, strlen(status)) != 0 || (part && !strstr(answer, part)))
        fail_msg("to:\n%s\nwanted '%s' with '%s', got:\n%s", request, status, part, answer);
}

static void test_what_it_serves(void **state)
{
    expect("GET /hello?name=a%20b HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200",
           "hello a b from 127.1");
    expect("GET /tree/x/y HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200", "hello -");
    expect("HEAD /hello HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200", "Content-Length: 18");
    expect("GET /nothing HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 404", "\"error\":\"not-found\"");
    expect("DELETE /hello HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 405", "Allow: GET");
    expect("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", "HTTP/1.1 200",
           "\r\n\r\nabc");
}

static void test_two_requests_on_one_connection(void **state)
{
    expect("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
           "GET /hello?name=second HTTP/1.1\r\n" HOST "\r\n",
           "HTTP/1.1 200", "hello second");
}

/* Whatever could be framed in two ways is refused, and the connection ends: the "smuggled" request
 * behind it is never answered. */
static void test_smuggling(void **state)
{
#define SMUGGLED "GET /hello?name=smuggled HTTP/1.1\r\n" HOST "\r\n"
    static const char *const attempts[] = {
        "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "Content-Length: 0\r\nContent-Length: 60\r\n\r\n",
        "content-length: 0\r\nCONTENT-LENGTH: 60\r\n\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length : 0\r\n\r\n",
        "Content-Length: +0\r\n\r\n",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 0x0\r\n\r\n",
        "Content-Length: 0,0\r\n\r\n",
        "Content-Length: 99999999999999999999999\r\n\r\n",
        "Content-Length:\r\n\r\n",
        "Content-Length\t: 0\r\n\r\n",
        "X(y): z\r\nContent-Length: 0\r\n\r\n",
        "Host: other.example\r\nContent-Length: 0\r\n\r\n",
        "X: a\x01z\r\nContent-Length: 0\r\n\r\n",
        "X: a\x7f\r\nContent-Length: 0\r\n\r\n",
        "X: a\rContent-Length: 60\r\nContent-Length: 0\r\n\r\n",
    };
    char request[1024], answer[8192];

    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        snprintf(request, sizeof request, "POST /echo HTTP/1.1\r\n" HOST "%s" SMUGGLED,
                 attempts[i]);
        tcp_talk(gv_http_port(server), request, answer, sizeof answer);
        if (strstr(answer, "smuggled") || strstr(answer, "HTTP/1.1 200"))
            fail_msg("fell for: %s\n%s", attempts[i], answer);
        if (*answer && strncmp(answer, "HTTP/1.1 4", 10) != 0)
            fail_msg("to %s:\n%s", attempts[i], answer);
    }
}

static void test_hosts(void **state)
{
    expect("GET /hello HTTP/1.1\r\nHost: MESH.example:8080\r\n\r\n", "HTTP/1.1 200", NULL);
    expect("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:4729\r\n\r\n", "HTTP/1.1 200", NULL);
    expect("GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 421", "\"host\"");
    expect("GET /hello HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", "HTTP/1.1 421", NULL);
    expect("GET /hello HTTP/1.1\r\nHost: 127.0.0.2\r\n\r\n", "HTTP/1.1 421", NULL);
    expect("GET /hello HTTP/1.1\r\nHost:\r\n\r\n", "HTTP/1.1 4", NULL);
    expect("GET /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 400",
           "{\"error\":\"bad-request\",\"message\":\"send a Host header\"}");
    char answer[8192];
    tcp_talk(gv_http_port(server), "GET /hello HTTP/1.1\r\n\r\n", answer, sizeof answer);
    assert_null(strstr(answer + 1, "HTTP/1.1")); /* one head */
    expect("GET /hello HTTP/1.0\r\n\r\n", "HTTP/1.", "421");
}

/* ---- proxies -------------------------------------------------------------------------------- */

static int setup_proxy(void **state)
{
    static struct gv_config_address trusted[2];

    assert_int_equal(gv_config_address_parse(&trusted[0], "2001:db8::/32"), GV_OK);
    assert_int_equal(gv_config_address_parse(&trusted[1], "127.0.0.0/8"), GV_OK);
    options.trusted = trusted;
    options.trusted_count = 2;
    return setup(state);
}

static int teardown_proxy(void **state)
{
    options.trusted = NULL;
    options.trusted_count = 0;
    return teardown(state);
}

/* More than a connection's memory has room for: an answer, and no connection that hangs. */
static void test_many_arguments(void **state)
{
    static const struct {
        unsigned arguments, length; /* beside name=x */
        const char *status;
    } cases[] = {{31, 0, "HTTP/1.1 200"},   {32, 0, "HTTP/1.1 414"},    {300, 0, "HTTP/1.1 414"},
                 {2000, 0, "HTTP/1.1 414"}, {31, 1000, "HTTP/1.1 200"}, {31, 9000, "HTTP/1.1 414"},
                 {1, 20000, "HTTP/1.1 414"}};
    static char request[40000];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t at = (size_t)sprintf(request, "GET /hello?name=x");
        for (unsigned n = 0; n < cases[i].arguments; n++)
            at += (size_t)sprintf(request + at, "&a=");
        memset(request + at, '1', cases[i].length);
        sprintf(request + at + cases[i].length, " HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
        expect(request, cases[i].status, NULL);
    }
}

/* Sixteen in one go, on a connection that stays: answers that wait for those behind wait no longer.
 */
static void test_requests_in_one_go(void **state)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(gv_http_port(server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[2048], answer[8192];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t at = 0;

    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    for (unsigned n = 0; n < 16; n++)
        at += (size_t)sprintf(request + at, "GET /hello?name=%u HTTP/1.1\r\n" HOST "\r\n", n);
    uint64_t start = uv_hrtime();
    for (unsigned round = 0; round < 40; round++) {
        size_t len = 0;
        assert_int_equal(send(fd, request, at, MSG_NOSIGNAL), at);
        for (answer[0] = '\0'; !strstr(answer, "hello 15 from"); answer[len] = '\0') {
            ssize_t got = recv(fd, answer + len, sizeof answer - 1 - len, 0);
            assert_true(got > 0);
            len += (size_t)got;
        }
        const char *found = answer;
        for (unsigned n = 0; n < 16; n++) {
            char wanted[64];
            snprintf(wanted, sizeof wanted, "hello %u from", n);
            found = strstr(found, wanted);
            assert_non_null(found);
        }
    }
    assert_true(uv_hrtime() - start < 40 * 200000000ull / 2); /* the kernel's patience is 200 ms */
    close(fd);
}

static void expect_client(const char *headers, const char *client)
{
    char request[512], wanted[64];

    snprintf(request, sizeof request, "GET /client HTTP/1.1\r\n" HOST "%s\r\n", headers);
    snprintf(wanted, sizeof wanted, "\r\n\r\n%s", client ? client : "{\"error\":\"forwarded\",");
    expect(request, client ? "HTTP/1.1 200" : "HTTP/1.1 400", wanted);
}

#define V4(hex) "00000000000000000000ffff" hex
#define XFF     "X-Forwarded-For: "

static void test_a_trusted_proxy_names_its_client(void **state)
{
    static const struct {
        const char *headers, *client; /* NULL: refused */
    } cases[] = {
        {XFF "192.0.2.1\r\n", V4("c0000201")},
        {"x-forwarded-FOR: 192.0.2.1 \t\r\n", V4("c0000201")},
        {XFF "192.0.2.1:4711\r\n", V4("c0000201")},
        {XFF "::ffff:192.0.2.1\r\n", V4("c0000201")},
        {XFF "2001:db8::1\r\n", "20010db8000000000000000000000001"},
        {XFF "[2001:db8::1]\r\n", "20010db8000000000000000000000001"},
        {XFF "[2001:db8::1]:4711\r\n", "20010db8000000000000000000000001"},
        {XFF "198.51.100.9, 192.0.2.1\r\n", V4("c0000201")},
        {XFF "garbage of the client's,192.0.2.1\r\n", V4("c0000201")},
        {"", NULL},
        {XFF "\r\n", NULL},
        {XFF "192.0.2.1\r\n" XFF "192.0.2.2\r\n", NULL},
        {XFF "192.0.2.1,\r\n", NULL},
        {XFF "unknown\r\n", NULL},
        {XFF "192.0.2\r\n", NULL},
        {XFF "192.0.2.01\r\n", NULL},
        {XFF "192.0.2.1 192.0.2.2\r\n", NULL},
        {XFF "192.0.2.1:\r\n", NULL},
        {XFF "192.0.2.1:0\r\n", NULL},
        {XFF "192.0.2.1:65536\r\n", NULL},
        {XFF "192.0.2.1:+80\r\n", NULL},
        {XFF "192.0.2.1/24\r\n", NULL},
        {XFF "[192.0.2.1]\r\n", NULL},
        {XFF "[2001:db8::1\r\n", NULL},
        {XFF "2001:db8::1]\r\n", NULL},
        {XFF "[[2001:db8::1]]\r\n", NULL},
        {XFF "[2001:db8::1]x\r\n", NULL},
        {XFF "[2001:db8::1]:\r\n", NULL},
        {XFF "[]\r\n", NULL},
        {XFF "[\r\n", NULL},
        {XFF ":\r\n", NULL},
        {XFF ":80\r\n", NULL},
        {XFF "fe80::1%eth0\r\n", NULL},
        {XFF "\"192.0.2.1\"\r\n", NULL},
        {"Forwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\n", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_client(cases[i].headers, cases[i].client);
}

static void test_others_name_nobody(void **state)
{
    expect_client(XFF "192.0.2.1\r\n", V4("7f000001"));
    expect_client(XFF "192.0.2.1\r\n" XFF "nonsense\r\n", V4("7f000001"));
    expect_client("", V4("7f000001"));
}

/* More than six at once: they are the proxy's clients'. */
static void test_connections_of_a_trusted_proxy(void **state)
{
    int fds[12];

    for (int i = 0; i < 12; i++)
        fds[i] = tcp_connect(gv_http_port(server));
    usleep(100000);
    expect_client(XFF "192.0.2.1\r\n", V4("c0000201"));
    for (int i = 0; i < 12; i++)
        close(fds[i]);
}

static void test_paths(void **state)
{
    expect("GET /hello%00/x HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400", NULL);
    expect("GET /hello?name=a%00b HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400", NULL);
    expect("GET /hello\x01 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400", NULL);
    expect("GET /hel\xc3\xb6 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400", NULL);
}

static void test_sizes(void **state)
{
    char request[40000], answer[8192];

    expect("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", "HTTP/1.1 413",
           "too-large");
    int n = snprintf(request, sizeof request,
                     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    memset(request + n, 'x', 1000);
    request[n + 1000] = '\0';
    expect(request, "HTTP/1.1 200", "xxxxx");
    n = snprintf(request, sizeof request, "GET /hello HTTP/1.1\r\n" HOST "X: ");
    memset(request + n, 'x', 30000);
    strcpy(request + n + 30000, "\r\n\r\n");
    tcp_talk(gv_http_port(server), request, answer, sizeof answer);
    assert_null(strstr(answer, "HTTP/1.1 200"));
}

/* With a timeout of one second, neither silence nor dripping holds a connection for long. */
static void test_slow_clients(void **state)
{
    char answer[512];
    int silent = tcp_connect(gv_http_port(server)), dripping = tcp_connect(gv_http_port(server));
    uint64_t start = uv_hrtime();

    tcp_send(silent, "GET /hello HT", 13);
    tcp_send(dripping, "GET /hello HTTP/1.1\r\nX: ", 24);
    for (int i = 0; i < 14; i++) {
        usleep(400000);
        tcp_send(dripping, "x", 1);
    }
    assert_true(uv_hrtime() - start < 10000000000ULL);
    tcp_read(silent, answer, sizeof answer, 100);
    assert_null(strstr(answer, "200"));
    assert_int_equal(
        send(silent, "x", 1, MSG_NOSIGNAL) < 0 || send(silent, "x", 1, MSG_NOSIGNAL) < 0, 1);
    tcp_send(dripping, "\r\n" HOST "\r\n", 21);
    tcp_read(dripping, answer, sizeof answer, 300);
    assert_null(strstr(answer, "200"));
    close(silent);
    close(dripping);
    expect("GET /hello HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200", NULL);
}

static void test_connections_per_client(void **state)
{
    int fds[6];
    char answer[512];

    for (int i = 0; i < 6; i++)
        fds[i] = tcp_connect(gv_http_port(server));
    usleep(100000);
    assert_int_equal(tcp_talk(gv_http_port(server), "GET /hello HTTP/1.1\r\n" HOST "\r\n", answer,
                              sizeof answer),
                     0);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    usleep(100000);
    expect("GET /hello HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200", NULL);
}

static void answer_it(void *context)
{
    gv_http_error(waiting, 503, "busy", "try \"again\" in %d s", 5);
}

static void wait_for(struct gv_http_request **request)
{
    for (int i = 0; i < 200 && !*(struct gv_http_request *volatile *)request; i++)
        usleep(10000);
    assert_non_null(*request);
}

static void test_an_answer_that_comes_later(void **state)
{
    char answer[1024];
    int fd = tcp_connect(gv_http_port(server));

    tcp_send(fd, "GET /later HTTP/1.1\r\n" HOST "\r\n", 40);
    wait_for(&waiting);
    usleep(1500000); /* longer than the timeout: the client has done its part */
    loop_thread_call(&thread, answer_it, NULL);
    tcp_read(fd, answer, sizeof answer, 300);
    assert_non_null(strstr(answer, "HTTP/1.1 503"));
    assert_non_null(
        strstr(answer, "{\"error\":\"busy\",\"message\":\"try \\\"again\\\" in 5 s\"}"));
    close(fd);
    assert_int_equal(closed_count, 0);
}

static void push_lines(void *context)
{
    assert_true(gv_http_stream_push(stream, "{\"n\":1}\n", 8));
}

static void end_stream(void *context)
{
    gv_http_stream_end(stream);
    stream = NULL;
}

static int count_line(void *context, const char *line, size_t len)
{
    assert_int_equal(len, 7);
    assert_memory_equal(line, "{\"n\":1}", 7);
    ++*(int *)context;
    return 0;
}

static void *push_slowly(void *context)
{
    wait_for(&stream);
    for (int i = 0; i < 5; i++) {
        usleep(50000);
        loop_thread_call(&thread, push_lines, NULL);
    }
    loop_thread_call(&thread, end_stream, NULL);
    return NULL;
}

static void test_a_stream_and_its_reader(void **state)
{
    char url[64];
    int lines = 0;
    pthread_t pusher;
    struct gv_fetch_result result;

    snprintf(url, sizeof url, "http://127.0.0.1:%u/stream", gv_http_port(server));
    pthread_create(&pusher, NULL, push_slowly, NULL);
    struct gv_fetch_request request = {.url = url};
    assert_int_equal(gv_fetch_lines(&result, &request, count_line, &lines), GV_OK);
    pthread_join(pusher, NULL);
    assert_int_equal(result.status, 200);
    assert_int_equal(lines, 5);
    assert_int_equal(closed_count, 0);
    gv_fetch_result_free(&result);
}

static void flood(void *context)
{
    static char block[65536];

    memset(block, 'x', sizeof block);
    for (int i = 0; i < 64 && stream; i++)
        if (!gv_http_stream_push(stream, block, sizeof block))
            break;
}

/* A reader that does not read is cut off, and one that left is noticed. */
static void test_a_stream_without_a_reader(void **state)
{
    char head[1024];
    int fd = tcp_connect(gv_http_port(server));

    tcp_send(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n", 41);
    wait_for(&stream);
    tcp_read(fd, head, sizeof head, 200); /* the head does not wait for the first push */
    assert_non_null(strstr(head, "HTTP/1.1 200"));
    for (int i = 0; i < 40 && stream; i++) {
        loop_thread_call(&thread, flood, NULL);
        usleep(20000);
    }
    assert_null(stream);
    assert_int_equal(closed_count, 1);
    close(fd);

    fd = tcp_connect(gv_http_port(server));
    tcp_send(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n", 41);
    wait_for(&stream);
    close(fd);
    for (int i = 0; i < 40 && stream; i++) {
        loop_thread_call(&thread, push_lines, NULL);
        usleep(20000);
    }
    assert_null(stream);
    assert_int_equal(closed_count, 2);
}

static void test_stopping_with_requests_open(void **state)
{
    char answer[1024];
    int fd = tcp_connect(gv_http_port(server)), other = tcp_connect(gv_http_port(server));

    tcp_send(fd, "GET /later HTTP/1.1\r\n" HOST "\r\n", 40);
    tcp_send(other, "GET /stream HTTP/1.1\r\n" HOST "\r\n", 41);
    wait_for(&waiting);
    wait_for(&stream);
    loop_thread_call(&thread, stop_it, NULL);
    tcp_read(fd, answer, sizeof answer, 1000);
    assert_non_null(strstr(answer, "HTTP/1.1 503"));
    assert_int_equal(closed_count, 2);
    close(fd);
    close(other);
}

static void test_a_port_in_use(void **state)
{
    struct gv_http_options second = options;
    struct gv_http_server *none;
    struct gv_text why;
    uv_loop_t loop;

    uv_loop_init(&loop);
    second.port = gv_http_port(server);
    assert_int_equal(gv_http_start(&none, &loop, &second, &why), GV_ERR_BUSY);
    assert_non_null(strstr(why.text, "is in use; stop the other program"));
    second.host = "not-an-address";
    assert_int_equal(gv_http_start(&none, &loop, &second, &why), GV_ERR_RANGE);
    uv_loop_close(&loop);
}

/* ---- unix socket ---------------------------------------------------------------------------- */

static char folder[] = "/tmp/gv-http-XXXXXX", path[64];

static int setup_unix(void **state)
{
    strcpy(folder, "/tmp/gv-http-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/control", folder);
    options.unix_path = path;
    return setup(state);
}

static int teardown_unix(void **state)
{
    int rc = teardown(state);

    assert_int_not_equal(access(path, F_OK), 0); /* removed */
    rmdir(folder);
    options.unix_path = NULL;
    return rc;
}

static void test_unix_socket(void **state)
{
    struct stat info;
    struct gv_fetch_result result;
    struct gv_fetch_request request = {.url = "http://localhost/hello?name=u", .unix_path = path};
    struct gv_http_server *none;
    struct gv_text why;
    uv_loop_t loop;

    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0660);
    assert_int_equal(gv_fetch_blocking(&result, &request), GV_OK);
    assert_int_equal(result.status, 200);
    assert_string_equal((char *)result.body, "hello u from 0.0");
    gv_fetch_result_free(&result);

    uv_loop_init(&loop);
    assert_int_equal(gv_http_start(&none, &loop, &options, &why), GV_ERR_BUSY);
    assert_non_null(strstr(why.text, "another process listens there"));
    uv_loop_close(&loop);
}

static void test_a_stale_socket_is_replaced_and_a_file_is_not(void **state)
{
    struct gv_http_server *none;
    struct gv_text why;
    char file[64], saved[64];
    struct gv_fetch_result result;
    struct gv_fetch_request request = {.url = "http://localhost/hello", .unix_path = path};

    snprintf(saved, sizeof saved, "%s/saved", folder);
    assert_int_equal(rename(path, saved), 0); /* what a crash leaves behind */
    loop_thread_call(&thread, stop_it, NULL);
    assert_int_equal(rename(saved, path), 0);
    loop_thread_call(&thread, start_it, NULL);
    assert_int_equal(gv_fetch_blocking(&result, &request), GV_OK);
    gv_fetch_result_free(&result);

    uv_loop_t loop;
    uv_loop_init(&loop);
    snprintf(file, sizeof file, "%s/file", folder);
    fclose(fopen(file, "w"));
    struct gv_http_options second = options;
    second.unix_path = file;
    assert_int_equal(gv_http_start(&none, &loop, &second, &why), GV_ERR_IO);
    assert_non_null(strstr(why.text, "is not a socket"));
    assert_int_equal(access(file, F_OK), 0);
    unlink(file);
    uv_loop_close(&loop);
}

int main(void)
{
#define WITH(test)       cmocka_unit_test_setup_teardown(test, setup, teardown)
#define WITH_PROXY(test) cmocka_unit_test_setup_teardown(test, setup_proxy, teardown_proxy)
#define WITH_UNIX(test)  cmocka_unit_test_setup_teardown(test, setup_unix, teardown_unix)
    const struct CMUnitTest tests[] = {
        WITH(test_what_it_serves),
        WITH(test_many_arguments),
        WITH(test_requests_in_one_go),
        WITH(test_two_requests_on_one_connection),
        WITH(test_smuggling),
        WITH(test_hosts),
        WITH_PROXY(test_a_trusted_proxy_names_its_client),
        WITH(test_others_name_nobody),
        WITH_PROXY(test_connections_of_a_trusted_proxy),
        WITH(test_paths),
        WITH(test_sizes),
        WITH(test_slow_clients),
        WITH(test_connections_per_client),
        WITH(test_an_answer_that_comes_later),
        WITH(test_a_stream_and_its_reader),
        WITH(test_a_stream_without_a_reader),
        WITH(test_stopping_with_requests_open),
        WITH(test_a_port_in_use),
        WITH_UNIX(test_unix_socket),
        WITH_UNIX(test_a_stale_socket_is_replaced_and_a_file_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
