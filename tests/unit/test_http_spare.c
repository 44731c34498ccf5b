/* Short answers of one length share what libmicrohttpd makes of them, one after the other (SPEC
 * 18.4): each has its own bytes, type and headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper_http.h"
#include "node/base/http_internal.h"

#define HOST "Host: localhost\r\n"

static void get_hello(struct gv_http_request *request, void *context)
{
    char text[300];
    const char *name = gv_http_query(request, "name");

    (void)context;
    int len = snprintf(text, sizeof text, "hello %s of this", name ? name : "-");
    gv_http_respond(request, 200, "text/plain", text, (size_t)len);
}

/* A header that comes to mind after the answer. */
static void get_marked(struct gv_http_request *request, void *context)
{
    get_hello(request, context);
    gv_http_add_header(request, "X-Mark", "yes");
}

static void post_echo(struct gv_http_request *request, void *context)
{
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    (void)context;
    gv_http_respond(request, 200, "application/octet-stream", body, len);
}

static struct http_stage stage;

static int setup(void **state)
{
    static const struct gv_http_route routes[] = {
        {"GET", "/hello", get_hello}, {"POST", "/echo", post_echo}, {"GET", "/marked", get_marked}};
    static const struct gv_http_options options = {
        .host = "127.0.0.1", .routes = routes, .route_count = 3};

    (void)state;
    http_stage_start(&stage, &options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_stage_stop(&stage);
    return 0;
}

static unsigned times(const char *text, const char *part)
{
    unsigned count = 0;

    for (; (text = strstr(text, part)) != NULL; text++)
        count++;
    return count;
}

static void answers_of_one_length(void **state)
{
    char answer[8192];

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        tcp_talk(gv_http_port(stage.server),
                 "GET /hello?name=aa HTTP/1.1\r\n" HOST "\r\n"
                 "GET /marked?name=bb HTTP/1.1\r\n" HOST "\r\n"
                 "GET /hello?name=cc HTTP/1.1\r\n" HOST "\r\n"
                 "HEAD /hello?name=dd HTTP/1.1\r\n" HOST "\r\n"
                 "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 16\r\n\r\n0123456789012345"
                 "GET /hello?name=ee HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
                 answer, sizeof answer);
        assert_int_equal(times(answer, "HTTP/1.1 200"), 6);
        assert_int_equal(times(answer, "Content-Length: 16\r\n"), 6);
        assert_int_equal(times(answer, "X-Content-Type-Options: nosniff\r\n"), 6);
        assert_int_equal(times(answer, "Cache-Control: no-store\r\n"), 6);
        assert_int_equal(times(answer, "Content-Type: text/plain\r\n"), 5);
        assert_int_equal(times(answer, "Content-Type: application/octet-stream\r\n"), 1);
        assert_int_equal(times(answer, "X-Mark: yes\r\n"), 1);
        assert_int_equal(times(answer, "Connection: close\r\n"), 1);
        const char *const bodies[] = {"hello aa of this", "hello bb of this", "hello cc of this",
                                      "0123456789012345", "hello ee of this"};
        const char *at = answer;
        for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
            at = strstr(at, bodies[i]);
            assert_non_null(at);
        }
        assert_null(strstr(answer, "hello dd"));
    }
    /* More of them than are kept. */
    for (unsigned len = 1; len < 250; len++) {
        char name[256];
        memset(name, 'x', len);
        name[len] = '\0';
        char whole[512], body[320];
        snprintf(whole, sizeof whole, "GET /hello?name=%s HTTP/1.0\r\n" HOST "\r\n", name);
        snprintf(body, sizeof body, "\r\n\r\nhello %s of this", name);
        tcp_talk(gv_http_port(stage.server), whole, answer, sizeof answer);
        assert_non_null(strstr(answer, body));
    }
}

static void count_in_loop(void *context)
{
    size_t *left = context; /* spares, and what of bodies they hold */

    for (size_t len = 0; len <= GV_HTTP_SPARE_LEN; len++)
        for (const struct gv_http_spare *s = stage.server->spares[len]; s; s = s->next) {
            left[0]++;
            for (size_t i = 0; i < len; i++)
                left[1] += ((const unsigned char *)s->data)[i] != 0;
        }
}

/* An answer may be a token. */
static void nothing_stays_in_a_spare(void **state)
{
    char answer[1024];
    size_t left[2] = {0};

    (void)state;
    for (int i = 0; i < 100 && left[0] == 0; i++) { /* it is back soon after the answer */
        tcp_talk(gv_http_port(stage.server), "GET /hello?name=ff HTTP/1.0\r\n" HOST "\r\n", answer,
                 sizeof answer);
        assert_non_null(strstr(answer, "hello ff of this"));
        loop_thread_call(&stage.thread, count_in_loop, left);
    }
    assert_true(left[0] > 0);
    assert_int_equal(left[1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_of_one_length, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_stays_in_a_spare, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
