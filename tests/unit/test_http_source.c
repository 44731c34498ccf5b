/* Long answers of the HTTP server, and answers that are long in coming: read as the client takes
 * them, how they ended, and who left meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_tcp.h"
#include "node/base/http.h"

static struct loop_thread thread;
static struct gv_http_server *server;
static size_t total, given, reads,
    largest;         /* of the answer; how much of it was read, in how many */
static int complete; /* -1: not over yet */
static unsigned done_count;

/* Letters that say where they are. */
static size_t give(void *context, char *out, size_t room)
{
    size_t n = 0;

    gv_assert(context == &given && room > 0 && done_count == 0);
    for (; n < room && given < total; n++, given++)
        out[n] = (char)('a' + given / 7 % 26);
    reads++;
    largest = n > largest ? n : largest;
    return n;
}

static void on_done(void *context, bool was_complete)
{
    complete = was_complete;
    done_count++;
}

static void get_long(struct gv_http_request *request, void *context)
{
    const struct gv_http_source source = {&given, give, on_done};

    given = reads = largest = done_count = 0;
    complete = -1;
    gv_http_respond_source(request, 200, "text/plain", &source);
}

static void get_short(struct gv_http_request *request, void *context)
{
    gv_http_respond(request, 200, "text/plain", "short", 5);
}

static struct gv_http_request *waiting;
static unsigned left;

static void on_left(void *context)
{
    waiting = NULL;
    left++;
}

static void get_later(struct gv_http_request *request, void *context)
{
    waiting = request;
    gv_http_on_closed(request, on_left, NULL);
    gv_http_watch(request);
}

/* An answer that is on its way, such as one that a thread works on. */
static void get_soon(struct gv_http_request *request, void *context)
{
    waiting = request;
    gv_http_on_closed(request, on_left, NULL);
}

static void answer_waiting(void *context)
{
    gv_http_respond(waiting, 200, "text/plain", "later", 5);
    waiting = NULL;
}

static const struct gv_http_route routes[] = {
    {"GET", "/long", get_long},
    {"GET", "/short", get_short},
    {"GET", "/later", get_later},
    {"GET", "/soon", get_soon},
};

static void open_server(void *context)
{
    struct gv_http_options http = {.host = "127.0.0.1", .routes = routes, .route_count = 4};

    gv_assert(gv_http_start(&server, &thread.loop, &http, NULL) == GV_OK);
}

static void close_server(void *context)
{
    gv_http_stop(server);
    server = NULL;
}

static int set_up(void **state)
{
    loop_thread_start(&thread);
    loop_thread_call(&thread, open_server, NULL);
    return 0;
}

static int tear_down(void **state)
{
    if (server)
        loop_thread_call(&thread, close_server, NULL);
    loop_thread_stop(&thread);
    return 0;
}

static void nothing(void *context)
{
}

/* What the loop's thread has written is to be seen here. */
static void look(void)
{
    loop_thread_call(&thread, nothing, NULL);
}

static int ask(const char *path)
{
    char text[256];
    int fd = tcp_connect(gv_http_port(server));
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                     path);

    tcp_send(fd, text, (size_t)n);
    return fd;
}

static void a_short_one_has_a_length(void **state)
{
    static char answer[2 * GV_HTTP_PIECE];
    const size_t lengths[] = {0, 1, 5, GV_HTTP_PIECE - 1};

    for (size_t i = 0; i < 4; i++) {
        char wanted[64];
        total = lengths[i];
        int fd = ask("/long");
        size_t len = tcp_read(fd, answer, sizeof answer, 2000);
        close(fd);
        look();
        snprintf(wanted, sizeof wanted, "Content-Length: %zu\r\n", total);
        assert_non_null(strstr(answer, wanted));
        assert_int_equal(len - (size_t)(strstr(answer, "\r\n\r\n") + 4 - answer), total);
        assert_int_equal(complete, 1);
        assert_int_equal(done_count, 1);
    }
}

static void a_long_one_comes_in_pieces(void **state)
{
    size_t cap = 9000000, at = 0;
    char *answer = malloc(cap), *from;

    assert_non_null(answer);
    total = 8000000;
    int fd = ask("/long");
    size_t len = tcp_read(fd, answer, cap, 5000);
    close(fd);
    look();
    assert_true(len > total);
    assert_non_null(strstr(answer, "Transfer-Encoding: chunked"));
    from = strstr(answer, "\r\n\r\n") + 4;
    for (size_t n; (n = strtoul(from, &from, 16)) > 0; from += 2) {
        from += 2;
        for (size_t i = 0; i < n; i++, at++)
            if (*from++ != (char)('a' + at / 7 % 26))
                fail_msg("byte %zu is another", at);
    }
    assert_int_equal(at, total);
    assert_int_equal(complete, 1);
    assert_int_equal(done_count, 1);
    assert_true(largest <= GV_HTTP_PIECE); /* never more than a piece of it in memory */
    free(answer);
}

static void who_leaves_has_not_had_all(void **state)
{
    struct linger reset = {.l_onoff = 1};
    char some[4096];

    total = 50000000;
    int fd = ask("/long");
    assert_true(tcp_read(fd, some, sizeof some, 2000) > 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    for (int i = 0; i < 50 && complete < 0; i++) {
        usleep(20000);
        look();
    }
    assert_int_equal(complete, 0);
    assert_int_equal(done_count, 1);
    assert_true(given < total);
}

static void who_does_not_read_holds_nobody_up(void **state)
{
    char answer[1024];
    int slow;

    total = 50000000;
    slow = ask("/long");
    size_t before;
    do { /* until the kernel takes no more */
        before = given;
        usleep(200000);
        look();
    } while (given != before || given == 0);
    assert_true(before < total); /* as much as the kernel takes */
    for (int i = 0; i < 20; i++) {
        int fd = ask("/short");
        assert_true(tcp_read(fd, answer, sizeof answer, 1000) > 0);
        assert_non_null(strstr(answer, "short"));
        close(fd);
    }
    look();
    assert_int_equal(given, before);
    assert_int_equal(complete, -1);
    /* The server stops with it under way. */
    loop_thread_call(&thread, close_server, NULL);
    look();
    assert_int_equal(complete, 0);
    assert_int_equal(done_count, 1);
    close(slow);
}

static bool somebody_waits(bool wanted)
{
    for (int i = 0; i < 1000; i++) {
        look();
        if ((waiting != NULL) == wanted)
            return true;
        usleep(20000);
    }
    return false;
}

/* Who leaves while he waits holds no place until his time is up; who stays gets his answer. */
static void who_leaves_before_the_answer_is_noticed(void **state)
{
    char answer[1024];
    int fd = ask("/later");

    left = 0;
    assert_true(somebody_waits(true));
    sleep(3); /* the server has looked more than once */
    look();
    assert_int_equal(left, 0);
    loop_thread_call(&thread, answer_waiting, NULL);
    tcp_read(fd, answer, sizeof answer, 2000);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    close(fd);

    fd = ask("/later");
    assert_true(somebody_waits(true));
    sleep(2);
    close(fd);
    assert_true(somebody_waits(false));
    assert_int_equal(left, 1);
    fd = ask("/short"); /* and the next is served */
    tcp_read(fd, answer, sizeof answer, 2000);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    close(fd);
}

/* Nor does who has more to ask leave by that, or who has no more to say and waits for an answer
 * that is made already. */
static void who_waits_has_not_left(void **state)
{
    static const char later[] = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n",
                      more[] = "GET /short HTTP/1.1\r\nHost: a\r\n\r\n";
    char answer[1024];
    int fd = tcp_connect(gv_http_port(server));

    left = 0;
    tcp_send(fd, later, sizeof later - 1);
    assert_true(somebody_waits(true));
    tcp_send(fd, more, sizeof more - 1);
    sleep(3); /* the server has looked more than once */
    look();
    assert_int_equal(left, 0);
    loop_thread_call(&thread, answer_waiting, NULL);
    tcp_read(fd, answer, sizeof answer, 2000);
    const char *first = strstr(answer, "\r\n\r\nlater");
    assert_non_null(first);
    assert_non_null(strstr(first, "\r\n\r\nshort"));
    close(fd);

    fd = ask("/soon");
    assert_true(somebody_waits(true));
    shutdown(fd, SHUT_WR);
    sleep(3);
    look();
    assert_int_equal(left, 0);
    loop_thread_call(&thread, answer_waiting, NULL);
    tcp_read(fd, answer, sizeof answer, 2000);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    close(fd);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_short_one_has_a_length),
        WITH(a_long_one_comes_in_pieces),
        WITH(who_leaves_has_not_had_all),
        WITH(who_does_not_read_holds_nobody_up),
        WITH(who_leaves_before_the_answer_is_noticed),
        WITH(who_waits_has_not_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
