/* The HTTP port of a real node among clients that mean no good: what cannot be framed in one way
 * only, bombs, and crowds of slow ones, while others are answered (SPEC 18.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_node.h"
#include "node/base/file.h"
#include "node/base/http.h"

#define CROWD_MAX 1200

static struct node node;
static char token[128], key[128], answer[1 << 18];
static int fds[CROWD_MAX];

static void read_secret(char out[128], const char *name, const char *header)
{
    char path[128];
    struct gv_buf file;

    snprintf(path, sizeof path, "%s/%s", node.folder, name);
    gv_buf_init(&file);
    assert_int_equal(gv_file_read(&file, path, 100, NULL), GV_OK);
    snprintf(out, 128, "%s%.64s\r\n", header, (const char *)file.data);
    gv_buf_free(&file);
}

static int setup(void **state)
{
    struct rlimit files;

    memset(&node, 0, sizeof node);
    node.enrolled = node.http = true;
    node.share = GV_SHARE_PREVIEW;
    /* Both ends of every connection are in this process. */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur < 4096 && files.rlim_max >= 4096) {
        files.rlim_cur = 4096;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    }
    node_make(&node);
    if (node_start(&node) != GV_OK)
        fail_msg("%s", node.error.text);
    read_secret(token, "api.token", "Authorization: Bearer ");
    read_secret(key, "dovecot.key", "X-Api-Key: ");
    return 0;
}

static int teardown(void **state)
{
    node_stop(&node);
    node_remove(&node);
    return 0;
}

static int say(const char *request)
{
    tcp_talk(node.http_port, request, answer, sizeof answer);
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

static int dovecot(const char *json, size_t len)
{
    static char request[1 << 18];
    int fd = tcp_connect(node.http_port);

    int n = snprintf(request, 1024,
                     "POST /dovecot?command=allow HTTP/1.1\r\nHost: localhost\r\n"
                     "Connection: close\r\n%sContent-Length: %zu\r\n\r\n",
                     key, len);
    memcpy(request + n, json, len);
    tcp_send(fd, request, (size_t)n + len);
    tcp_read(fd, answer, sizeof answer, 5000);
    close(fd);
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

#define QUESTION                                                                                   \
    "{\"device_id\":\"\",\"login\":\"u\",\"protocol\":\"imap\",\"pwhash\":\"ab\",\"remote\":"      \
    "\"198.51.100.9\",\"session_id\":\"s\",\"mech\":\"PLAIN\",\"tls\":false}"

/* A verdict and a login, each within so many ms. Every login is a session of its own that is never
 * reported, so its address changes. */
static void others_are_served(unsigned times, uint64_t limit_ms)
{
    static unsigned number;
    char request[512], json[512];

    snprintf(request, sizeof request,
             "GET /api/v1/verdict?addr=192.0.2.7 HTTP/1.1\r\nHost: localhost\r\n"
             "Connection: close\r\n%s\r\n",
             token);
    for (unsigned i = 0; i < times; i++) {
        uint64_t start = uv_hrtime();
        if (say(request) != 200)
            fail_msg("a verdict: %s", answer);
        number++;
        int len = snprintf(json, sizeof json,
                           "{\"login\":\"u%u\",\"protocol\":\"imap\",\"pwhash\":\"ab\",\"remote\":"
                           "\"198.18.%u.%u\",\"session_id\":\"s%u\",\"mech\":\"PLAIN\"}",
                           number, number / 256 % 256, number % 256, number);
        if (dovecot(json, (size_t)len) != 200 || !strstr(answer, "\"status\":0"))
            fail_msg("a login: %s", answer);
        assert_true(uv_hrtime() - start < limit_ms * 1000000u);
    }
}

/* ---- what is no request --------------------------------------------------------------------- */

#define SMUGGLED "GET /blocklist.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

static void test_requests_in_two_ways(void **state)
{
    static const char *const attempts[] = {
        "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "Content-Length: 0\r\nContent-Length: 76\r\n\r\n",
        "Content-Length: 0, 76\r\n\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding:\013chunked\r\n\r\n0\r\n\r\n",
        "Content-Length : 0\r\n\r\n",
        " Content-Length: 0\r\n\r\n",
        "Content-Length: 18446744073709551617\r\n\r\n",
        "Host: localhost\r\n\r\n",
    };
    static const char *const starts[] = {"GET /blocklist.txt", "POST /dovecot?command=allow",
                                         "GET /api/v1/status", "HEAD /metrics"};
    char request[1024];

    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
        for (size_t j = 0; j < sizeof starts / sizeof *starts; j++) {
            snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: localhost\r\n%s%s%s", starts[j],
                     j == 2 ? token : "", attempts[i], SMUGGLED);
            int status = say(request);
            if (status / 100 != 4 && status != 0)
                fail_msg("%s: %s", attempts[i], answer);
            if (strstr(answer, "HTTP/1.1 200"))
                fail_msg("smuggled by: %s", attempts[i]);
        }
    others_are_served(1, 5000);
}

static void test_names_that_are_not_ours(void **state)
{
    static const char *const paths[] = {"/blocklist.txt", "/metrics", "/api/v1/status",
                                        "/api/v1/openapi.json"};
    static const char *const names[] = {"evil.example",   "localhost.evil.example",
                                        "127.0.0.1.evil", "127.0.0.2",
                                        "[::1]",          "0.0.0.0",
                                        "localhost@evil", "a b"};
    char request[1024];

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", paths[i],
                     names[j], token);
            if (say(request) != 421)
                fail_msg("%s: %s", names[j], answer);
            assert_non_null(strstr(answer, "{\"error\":\"host\""));
        }
    assert_int_equal(say("POST /dovecot?command=allow HTTP/1.1\r\nHost: evil.example\r\n"
                         "Content-Length: 2\r\n\r\n{}"),
                     421);
}

static void test_huge_questions(void **state)
{
    static char request[1 << 18];
    static const size_t sizes[] = {4000, 7000, 9000, 20000, 200000};
    static const char *const ends[] = {"/api/v1/verdict?addr=", "/api/v1/changes?since=",
                                       "/blocklist.txt?list=", "/api/v1/list?verdict=", "/"};

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++)
            for (unsigned many = 0; many < 2; many++) { /* one long value, and many arguments */
                size_t n = (size_t)sprintf(request, "GET %s", ends[i]);
                for (size_t k = 0; k < sizes[j]; k++)
                    request[n++] = many ? "a=&b&"[k % 5] : 'x';
                sprintf(request + n, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n",
                        token);
                int status = say(request);
                if (status != 0 && status / 100 != 4 && !(many && status == 200))
                    fail_msg("%s, %zu: %s", ends[i], sizes[j], answer);
                assert_true(strlen(answer) < 4096); /* nothing of it comes back at length */
            }
    others_are_served(1, 5000);
}

static void test_bombs(void **state)
{
    static char bomb[60000];
    size_t len = sizeof bomb;

    assert_int_equal(dovecot(QUESTION, strlen(QUESTION)), 200);
    static const struct {
        const char *unit, *before;
    } bombs[] = {
        {"[", ""},        {"{\"a\":", ""}, {"[[],", ""},      {"\"a\":1,", "{"},
        {"9", "{\"a\":"}, {"1e9", "[1e9"}, {"\\u0000", "\""}, {"\xf0\x9f\x98\x80", "\""},
        {" ", ""},        {"-", ""},
    };
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        size_t n = strlen(bombs[i].before), unit = strlen(bombs[i].unit);
        memcpy(bomb, bombs[i].before, n);
        for (; n + unit <= len; n += unit)
            memcpy(bomb + n, bombs[i].unit, unit);
        uint64_t start = uv_hrtime();
        assert_int_equal(dovecot(bomb, n), 400);
        assert_true(uv_hrtime() - start < 2000000000u);
    }
    /* Well-formed, and much too much of it. */
    size_t n = (size_t)sprintf(bomb, "{\"remote\":\"198.51.100.9\",\"login\":\"");
    memset(bomb + n, 'u', 50000);
    n += 50000;
    n += (size_t)sprintf(bomb + n, "\"}");
    assert_int_equal(dovecot(bomb, n) / 100 * 100, 200);
    assert_int_equal(say("POST /dovecot?command=allow HTTP/1.1\r\nHost: localhost\r\n"
                         "Content-Length: 70000\r\n\r\n"),
                     413);
    others_are_served(1, 5000);
}

/* ---- crowds --------------------------------------------------------------------------------- */

/* Silent ones, some in the middle of a head, some in the middle of a body, and some who ask and do
 * not take their answers. */
static void gather(unsigned count)
{
    static const char *const beginnings[] = {
        "", "GET /blocklist.txt HT", "GET /blocklist.txt HTTP/1.1\r\nHost: localhost\r\nX: y",
        "POST /dovecot?command=allow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{",
        "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\nGET /metrics HTTP/1.1\r\n"};

    for (unsigned i = 0; i < count; i++) {
        const char *text = beginnings[i % (sizeof beginnings / sizeof *beginnings)];
        fds[i] = tcp_connect(node.http_port);
        (void)send(fds[i], text, strlen(text), MSG_NOSIGNAL);
    }
}

static void disperse(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

static void test_500_slow_clients(void **state)
{
    gather(500);
    others_are_served(40, 1000);
    for (unsigned i = 0; i < 500; i++) /* they drip */
        (void)send(fds[i], "x", 1, MSG_NOSIGNAL);
    others_are_served(40, 1000);
    disperse(500);
    others_are_served(5, 1000);
}

/* More than there are places: who says nothing for longest makes room. */
static void test_more_than_there_are_places(void **state)
{
    gather(CROWD_MAX);
    others_are_served(40, 1000);
    disperse(CROWD_MAX);
    usleep(200000);
    others_are_served(5, 1000);
}

/* ---- one copy for all ----------------------------------------------------------------------- */

#define LARGE ((size_t)8 << 20)

static struct gv_http_server *large_server;
static struct gv_http_shared *large;

static void get_large(struct gv_http_request *request, void *context)
{
    gv_http_respond_shared(request, 200, "text/plain", large);
}

static void get_middling(struct gv_http_request *request, void *context)
{
    static char text[100000];

    memset(text, 'x', sizeof text);
    gv_http_respond(request, 200, "text/plain", text, sizeof text);
}

static void open_large(void *context)
{
    static const struct gv_http_bound_route routes[] = {{{"GET", "/large", get_large}, NULL},
                                                        {{"GET", "/middling", get_middling}, NULL}};
    struct gv_http_options options = {
        .host = "127.0.0.1", .bound = routes, .bound_count = 2, .connections_per_ip = 100};
    char *bytes = malloc(LARGE);

    assert_non_null(bytes);
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (char)('a' + i % 26);
    large = gv_http_shared_new(bytes, LARGE);
    assert_int_equal(gv_http_start(&large_server, &node.thread.loop, &options, NULL), GV_OK);
}

static void release_large(void *context)
{
    gv_http_shared_release(large); /* while it is on its way to forty */
}

static void close_large(void *context)
{
    gv_http_stop(large_server);
}

static size_t resident_mb(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE) >> 20;
}

/* Forty who do not take 8 MB each cost no 320 MB, and he who takes them gets every byte. */
static void test_readers_share_one_copy(void **state)
{
    static const char request[] =
        "GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static char all[LARGE + 4096];
    int small = 4096;

    loop_thread_call(&node.thread, open_large, NULL);
    size_t before = resident_mb();
    for (unsigned i = 0; i < 40; i++) {
        fds[i] = tcp_connect(gv_http_port(large_server));
        if (i > 0)
            assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
        tcp_send(fds[i], request, sizeof request - 1);
    }
    usleep(500000);
    loop_thread_call(&node.thread, release_large, NULL);
    assert_true(resident_mb() < before + 100);
    size_t len = tcp_read(fds[0], all, sizeof all, 5000);
    const char *body = strstr(all, "\r\n\r\n") + 4;
    assert_int_equal(len - (size_t)(body - all), LARGE);
    for (size_t i = 0; i < LARGE; i++)
        if (body[i] != (char)('a' + i % 26))
            fail_msg("byte %zu is wrong", i);
    disperse(40);
    loop_thread_call(&node.thread, close_large, NULL);
}

static void count_requests(void *context)
{
    struct gv_http_counters counters;

    gv_http_counters(large_server, &counters);
    *(uint64_t *)context = counters.requests;
}

/* Sixty who ask for 2 MB in twenty requests each and take nothing: each costs the kernel half a
 * megabyte and the loop no work beyond that. */
static void test_who_asks_for_much_and_takes_nothing(void **state)
{
    static const char request[] = "GET /middling HTTP/1.1\r\nHost: localhost\r\n\r\n";
    uint64_t requests = 0, before;
    int small = 4096;

    loop_thread_call(&node.thread, open_large, NULL);
    for (unsigned i = 0; i < 60; i++) {
        fds[i] = tcp_connect(gv_http_port(large_server));
        assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
        for (unsigned n = 0; n < 20; n++)
            tcp_send(fds[i], request, sizeof request - 1);
    }
    do {
        before = requests;
        usleep(500000);
        loop_thread_call(&node.thread, count_requests, &requests);
    } while (requests != before);
    others_are_served(10, 1000);
    disperse(60);
    loop_thread_call(&node.thread, release_large, NULL);
    loop_thread_call(&node.thread, close_large, NULL);
    assert_in_range(requests, 60, 60 * 9);
}

/* No file may be opened any more, and a client waits at the door: that costs hardly any work, and
 * he is served as soon as there is a file again. */
static void test_a_door_without_a_file_to_open(void **state)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    struct rlimit was, few;
    struct timespec before, after;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    int fd = tcp_connect(node.http_port), free_one;
    tcp_send(fd, request, sizeof request - 1);
    assert_true(tcp_read(fd, answer, sizeof answer, 2000) > 0);
    close(fd);
    free_one = dup(0);
    assert_true(free_one > 0);
    close(free_one);
    few = was;
    few.rlim_cur = (rlim_t)free_one + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    fd = tcp_connect(node.http_port);
    assert_int_equal(fd, free_one);
    tcp_send(fd, request, sizeof request - 1);
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
    usleep(1000000);
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_true(tcp_read(fd, answer, sizeof answer, 2000) > 0);
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
    close(fd);
    double spent =
        (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    if (spent > 0.1)
        fail_msg("%.3f s of the processor in a second of waiting", spent);
}

/* The same while another connection is open, and stays so: nobody has to wait for its end. */
static void test_a_door_that_was_shut_for_a_moment(void **state)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    struct rlimit was, few;
    int there = tcp_connect(node.http_port), free_one;

    tcp_send(there, request, 20);
    usleep(200000);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    free_one = dup(0);
    assert_true(free_one > 0);
    close(free_one);
    few = was;
    few.rlim_cur = (rlim_t)free_one + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int fd = tcp_connect(node.http_port);
    tcp_send(fd, request, sizeof request - 1);
    usleep(300000);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_true(tcp_read(fd, answer, sizeof answer, 8000) > 0);
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
    close(fd);
    tcp_send(there, request + 20, sizeof request - 1 - 20);
    assert_true(tcp_read(there, answer, sizeof answer, 8000) > 0);
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
    close(there);
}

int main(int argc, char **argv)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(test_requests_in_two_ways),
        WITH(test_names_that_are_not_ours),
        WITH(test_huge_questions),
        WITH(test_bombs),
        WITH(test_500_slow_clients),
        WITH(test_more_than_there_are_places),
        WITH(test_readers_share_one_copy),
        WITH(test_who_asks_for_much_and_takes_nothing),
        WITH(test_a_door_without_a_file_to_open),
        WITH(test_a_door_that_was_shut_for_a_moment),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
