/* The head of an HTTP request over a real socket: what one server may read in one way and another
 * in another way is refused with one answer, and what follows it is not (SPEC 18.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper_http.h"

#define HOST     "Host: localhost\r\n"
#define SMUGGLED "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"

static void handle(struct gv_http_request *request, void *context)
{
    (void)context;
    gv_http_respond(request, 200, "text/plain", gv_http_path(request),
                    strlen(gv_http_path(request)));
}

static struct http_stage stage;

static int setup(void **state)
{
    static const char *const hosts[] = {"localhost"};
    static const struct gv_http_route routes[] = {{"GET", "/*", handle}, {"POST", "/*", handle}};
    static const struct gv_http_options options = {
        .host = "127.0.0.1", .hosts = hosts, .host_count = 1, .routes = routes, .route_count = 2};

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

static char answer[16384];

/* `step` 0: in one go, else so many bytes at a time. */
static void talk(const char *bytes, size_t len, size_t step)
{
    int fd = tcp_connect(gv_http_port(stage.server));

    for (size_t at = 0; at < len; at += step ? step : len) {
        tcp_send(fd, bytes + at, step && step < len - at ? step : step ? len - at : len);
        if (step)
            usleep(500);
    }
    (void)tcp_read(fd, answer, sizeof answer, 3000);
    close(fd);
}

static unsigned heads(void)
{
    unsigned count = 0;

    for (const char *at = answer; (at = strstr(at, "HTTP/1.1 ")) != NULL; at++)
        count++;
    return count;
}

struct attempt {
    const char *bytes;
    size_t len;
};
#define RAW(text)                                                                                  \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define WITHIN(lines) RAW("POST /first HTTP/1.1\r\n" HOST lines)

static void refused(const struct attempt *attempts, size_t count)
{
    char request[2048];

    for (size_t i = 0; i < count; i++)
        for (size_t step = 0; step < 8; step += 7) {
            memcpy(request, attempts[i].bytes, attempts[i].len);
            memcpy(request + attempts[i].len, SMUGGLED, sizeof SMUGGLED);
            talk(request, attempts[i].len + sizeof SMUGGLED - 1, step);
            if (strncmp(answer, "HTTP/1.1 400 ", 13) != 0 || heads() != 1 ||
                strstr(answer, "smuggled"))
                fail_msg("attempt %zu, %zu bytes at a time: %s", i, step, answer);
        }
}

/* A control character, wherever it stands in a value and however long that is; a tab, and what is
 * not ASCII, are none. */
static void test_a_control_character_anywhere(void **state)
{
    static const char controls[] = {0x01, 0x1f, 0x7f};
    char value[32], request[256];

    (void)state;
    for (size_t len = 7; len <= 25; len += 9)
        for (size_t at = 0; at <= len; at++) {
            for (size_t i = 0; i < len; i++)
                value[i] = "az ~!\t\x80\xff"[(i + at) % 8];
            value[0] = value[len - 1] = 'x';
            value[len] = 0;
            if (at < len)
                value[at] = controls[at % 3];
            int n = snprintf(request, sizeof request,
                             "POST /first HTTP/1.1\r\n" HOST "X: %s\r\nContent-Length: 0\r\n"
                             "Connection: close\r\n\r\n",
                             value);
            talk(request, (size_t)n, 0);
            if (strncmp(answer, at < len ? "HTTP/1.1 400 " : "HTTP/1.1 200 ", 13) != 0)
                fail_msg("%zu of %zu: %s", at, len, answer);
        }
}

static void test_a_zero_byte_hides_nothing(void **state)
{
    static const struct attempt attempts[] = {
        WITHIN("X: a\0b\r\nContent-Length: 0\r\n\r\n"),
        WITHIN("X: a\0\r\nContent-Length: 0\r\n\r\n"),
        WITHIN("X: a\0\0\r\nContent-Length: 0\r\n\r\n"),
        WITHIN("X: \0\r\nContent-Length: 0\r\n\r\n"),
        WITHIN("Content-Length: 0\x00"
               "60\r\n\r\n"),
        WITHIN("Content-Length: 0\r\nTransfer-Encoding: \0chunked\r\n\r\n"),
        WITHIN("Content-Length: 0\r\nTransfer-Encoding\0: chunked\r\n\r\n"),
        WITHIN("Content-Length: 0\r\nX: a\0\r\n\r\n"),
        WITHIN("Content-Length: 0\r\n\0\r\n\r\n"), /* libmicrohttpd's end of a head */
        WITHIN("\0\r\nContent-Length: 0\r\n\r\n"),
        WITHIN("Content-Length: 0\r\nX\0: a\r\n\r\n"),
        RAW("GET /first HTTP/1.1\r\nHost: localhost\0.example\r\n\r\n"),
        RAW("GET /first\0/second HTTP/1.1\r\n" HOST "\r\n"),
        RAW("GET /first\0HTTP/1.1 HTTP/1.1\r\n" HOST "\r\n"),
        RAW("GET /first\0HTTP/1.1\0\0 HTTP/1.1\r\n" HOST "\r\n"),
        RAW("GET\0 /first HTTP/1.1\r\n" HOST "\r\n"),
        RAW("G\0ET /first HTTP/1.1\r\n" HOST "\r\n"),
        RAW("\0GET /first HTTP/1.1\r\n" HOST "\r\n"),
        RAW("GET /first HTTP/1.1\0\r\n" HOST "\r\n"),
    };

    (void)state;
    refused(attempts, sizeof attempts / sizeof *attempts);
}

static void test_a_line_ends_with_cr_lf_and_is_one(void **state)
{
    static const struct attempt attempts[] = {
        WITHIN("X: a\nContent-Length: 0\r\n\r\n"),
        WITHIN("X: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
        WITHIN("X: a\r\n\tb: c\r\nContent-Length: 0\r\n\r\n"),
        WITHIN("Content-Length: 0\r\nX: a\r\n b\r\n\r\n"),
        WITHIN("Content-Length: 0\r\n\n"),
        WITHIN("Content-Length: 0\n\r\n"),
        RAW("GET /first HTTP/1.1\n" HOST "\r\n"),
        RAW("GET  /first HTTP/1.1\r\n" HOST "\r\n"),
        RAW("GET /first  HTTP/1.1\r\n" HOST "\r\n"),
    };

    (void)state;
    refused(attempts, sizeof attempts / sizeof *attempts);
}

/* libmicrohttpd's own answer to these has its head twice. */
static void test_a_length_that_is_none_gets_one_answer(void **state)
{
    static const struct attempt attempts[] = {
        WITHIN("Content-Length: 3x\r\n\r\nabc"),
        WITHIN("Content-Length: -1\r\n\r\n"),
        WITHIN("Content-Length: +0\r\n\r\n"),
        WITHIN("Content-Length:\r\n\r\n"),
        WITHIN("Content-Length: 99999999999999999999999999\r\n\r\n"),
        WITHIN("Content-Length: 0, 0\r\n\r\n"),
        WITHIN("Content-Length: 0x10\r\n\r\n"),
    };

    (void)state;
    /* Others, whose heads are on their way meanwhile, are none the worse for it. */
    int others[8];
    for (size_t i = 0; i < 8; i++) {
        others[i] = tcp_connect(gv_http_port(stage.server));
        const char begin[] = "POST /other HTTP/1.1\r\n" HOST "Content-Length: 2\r\nX: ";
        tcp_send(others[i], begin, sizeof begin - 1);
    }
    refused(attempts, sizeof attempts / sizeof *attempts);
    for (size_t i = 0; i < 8; i++) {
        tcp_send(others[i], "y\r\n\r\nok", 7);
        (void)tcp_read(others[i], answer, sizeof answer, 300);
        assert_non_null(strstr(answer, "\r\n\r\n/other"));
        close(others[i]);
    }
}

/* What is right in every byte is answered, however it comes. */
static void test_what_is_right_is_answered(void **state)
{
    static const struct attempt good[] = {
        RAW("GET /first HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"),
        RAW("GET /first HTTP/1.0\r\n" HOST "\r\n"),
        RAW("\r\n\r\nGET /first HTTP/1.1\r\nHost:localhost\r\nConnection: \t close\r\n\r\n"),
        RAW("GET /first HTTP/1.1\r\nX:\r\nY: \r\nZ: a  \r\nCookie: a=b; c=\"d\"; e\r\n" HOST
            "Connection: close\r\n\r\n"),
        RAW("POST /first?a=b%20c&d HTTP/1.1\r\n" HOST
            "Content-Length: 5\r\nConnection: close\r\n\r\n\0\0\n\r\n"),
    };
    static char many[8000];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t step = 0; step < 3; step++) {
            talk(good[i].bytes, good[i].len, step);
            if (strncmp(answer, "HTTP/1.", 7) != 0 || !strstr(answer, " 200 OK\r\n") ||
                !strstr(answer, "\r\n\r\n/first") || heads() != 1)
                fail_msg("good %zu, %zu bytes at a time: %s", i, step, answer);
        }
    /* The buffer grows while such a head comes; and requests that follow each other in it. */
    size_t len = (size_t)snprintf(many, sizeof many, "GET /long HTTP/1.1\r\n" HOST);
    for (unsigned i = 0; i < 30; i++)
        len += (size_t)snprintf(many + len, sizeof many - len, "X-%u: %0*d\r\n", i, 60, 0);
    len += (size_t)snprintf(many + len, sizeof many - len,
                            "\r\nGET /two HTTP/1.1\r\n" HOST "\r\nGET /three HTTP/1.1\r\n" HOST
                            "Connection: close\r\n\r\n");
    for (size_t step = 0; step < 200; step += 97) {
        talk(many, len, step);
        assert_int_equal(heads(), 3);
        assert_non_null(strstr(answer, "/long"));
        assert_non_null(strstr(answer, "/three"));
    }
}

/* The target's own word for the host counts, and the header's does not (RFC 9112, section 3.2.2).
 */
static void test_a_target_that_names_its_host(void **state)
{
    static const struct {
        const char *target, *host, *status, *path;
    } cases[] = {{"http://localhost/a", "evil.example", "200", "\r\n\r\n/a"},
                 {"HTTP://LOCALHOST:80/a?b=c", "localhost", "200", "\r\n\r\n/a"},
                 {"https://127.0.0.1:9/a//b", "localhost", "200", "\r\n\r\n/a//b"},
                 {"http://localhost", "localhost", "200", "\r\n\r\n/"},
                 {"http://localhost?b=c", "localhost", "200", "\r\n\r\n/"},
                 {"http://evil.example/a", "localhost", "421", NULL},
                 {"http://a@localhost/a", "localhost", "421", NULL},
                 {"http://localhost:x/a", "localhost", "421", NULL},
                 {"http:///a", "localhost", "400", NULL},
                 {"http://localhost%2Fa", "localhost", "400", NULL},
                 {"http%3A//localhost/a", "localhost", "404", NULL},
                 {"/a", "localhost", "200", "\r\n\r\n/a"}};
    char request[512], status[32];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int bytes = snprintf(request, sizeof request,
                             "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                             cases[i].target, cases[i].host);
        talk(request, (size_t)bytes, 0);
        snprintf(status, sizeof status, "HTTP/1.1 %s ", cases[i].status);
        const char *end = cases[i].path ? strstr(answer, cases[i].path) : NULL;
        if (strncmp(answer, status, strlen(status)) != 0 ||
            (cases[i].path && (!end || strcmp(end, cases[i].path) != 0)))
            fail_msg("%s for %s: %s", cases[i].target, cases[i].host, answer);
    }
    size_t len = (size_t)snprintf(request, sizeof request, "GET http://");
    memset(request + len, 'x', 300);
    snprintf(request + len + 300, sizeof request - len - 300, "/a HTTP/1.1\r\n" HOST "\r\n");
    talk(request, strlen(request), 0);
    assert_int_equal(strncmp(answer, "HTTP/1.1 421 ", 13), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_zero_byte_hides_nothing),
        cmocka_unit_test(test_a_control_character_anywhere),
        cmocka_unit_test(test_a_line_ends_with_cr_lf_and_is_one),
        cmocka_unit_test(test_a_length_that_is_none_gets_one_answer),
        cmocka_unit_test(test_what_is_right_is_answered),
        cmocka_unit_test(test_a_target_that_names_its_host),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
