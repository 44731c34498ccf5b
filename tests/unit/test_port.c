/* The HTTP port of a real node over real sockets: who may ask what, ETags, long polls, block
 * lists, metrics; and that its description names every path (SPEC 18.4, 18.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_port.h"
#include "node/base/file.h"
#include "node/serve/openapi.h"

static int setup(void **state)
{
    static struct gv_prefix deny[2], allow[1];
    static const struct gv_settings settings = {.share = GV_SHARE_YES,
                                                .max_links = 16,
                                                .deny_count = 2,
                                                .deny = deny,
                                                .allow_count = 1,
                                                .allow = allow};

    assert_int_equal(gv_prefix_parse(&deny[0], "203.0.113.0/30", 14), GV_OK);
    assert_int_equal(gv_prefix_parse(&deny[1], "2001:db8:5::7", 13), GV_OK);
    assert_int_equal(gv_prefix_parse(&allow[0], "203.0.113.1", 11), GV_OK);
    port_open(&settings);
    return 0;
}

/* ---- who may ask ---------------------------------------------------------------------------- */

static const char *const closed[] = {"status",
                                     "peers",
                                     "traffic",
                                     "roster",
                                     "lists",
                                     "ip?addr=192.0.2.7",
                                     "verdict?addr=192.0.2.7",
                                     "list",
                                     "changes",
                                     "telemetry",
                                     "received",
                                     "network"};
static const char *const open_paths[] = {"/api/v1/openapi.json", "/metrics",
                                         "/blocklist.txt",       "/blocklist.json",
                                         "/blocklist.cidr",      "/blocklist.map"};

static void test_the_api_wants_the_token(void **state)
{
    char target[64], wrong[128];

    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        snprintf(target, sizeof target, "/api/v1/%s", closed[i]);
        assert_int_equal(port_ask("GET", target, ""), 401);
        assert_non_null(strstr(port_answer, "WWW-Authenticate: Bearer"));
        assert_non_null(
            strstr(port_body(), "{\"error\":\"no-token\",\"message\":\"send the header"));
        assert_int_equal(port_ask("GET", target, port_token), 200);
        for (size_t at = 22; at < 22 + 64; at += 21) { /* one digit of it is wrong */
            strcpy(wrong, port_token);
            wrong[at] = wrong[at] == '0' ? '1' : '0';
            assert_int_equal(port_ask("GET", target, wrong), 401);
            assert_non_null(strstr(port_body(), "\"wrong-token\""));
        }
    }
    snprintf(wrong, sizeof wrong, "authorization: bEARER %s", port_token + 22);
    assert_int_equal(port_ask("GET", "/api/v1/status", wrong), 200);
    static const char *const others[] = {"Authorization: Bearer \r\n", "Authorization:\r\n",
                                         "Authorization: Basic Zm9vOmJhcg==\r\n"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(port_ask("GET", "/api/v1/status", others[i]), 401);
    snprintf(wrong, sizeof wrong, "%.*sa\r\n", (int)strlen(port_token) - 2, port_token);
    assert_int_equal(port_ask("GET", "/api/v1/status", wrong), 401);
    snprintf(wrong, sizeof wrong, "%.*s\r\n", (int)strlen(port_token) - 3, port_token);
    assert_int_equal(port_ask("GET", "/api/v1/status", wrong), 401);
    snprintf(wrong, sizeof wrong, "Authorization: %s", port_token + 22);
    assert_int_equal(port_ask("GET", "/api/v1/status", wrong), 401);
}

static void test_lists_and_figures_are_open_to_this_host(void **state)
{
    for (size_t i = 0; i < sizeof open_paths / sizeof *open_paths; i++) {
        assert_int_equal(port_ask("GET", open_paths[i], ""), 200);
        assert_int_equal(port_ask("GET", open_paths[i], port_token), 200);
        /* Through a proxy on this host: somebody else's question. */
        assert_int_equal(port_ask("GET", open_paths[i], "X-Forwarded-For: 192.0.2.1\r\n"), 401);
        assert_int_equal(port_ask("GET", open_paths[i], "Forwarded: for=192.0.2.1\r\n"), 401);
        assert_int_equal(port_ask("GET", open_paths[i], "Authorization: Bearer 00\r\n"), 401);
        assert_int_equal(port_ask("POST", open_paths[i], port_token), 405);
        assert_non_null(strstr(port_answer, "Allow: GET"));
    }
}

static void test_commands_stay_on_the_socket(void **state)
{
    size_t count, published;
    const struct gv_http_route *routes = gv_api_routes(&count, &published);

    for (size_t i = published; i < count; i++) {
        int status = port_ask(routes[i].method, routes[i].path, port_token);
        assert_true(status == 404 || status == 405 || status == 411);
    }
    /* But for what a click in the dashboard does to one address. */
    static const char *const clicks = "allow deny unlist retract ask";
    for (size_t i = 0; i < published; i++)
        assert_true(strcmp(routes[i].method, "GET") == 0 ||
                    strstr(clicks, routes[i].path + strlen("/api/v1/")));
}

static void test_a_new_token(void **state)
{
    char path[128], old[128];
    struct stat info;
    struct gv_buf file;
    json_t *json;

    strcpy(old, port_token);
    assert_int_equal(node_post(&port_node, "token", "{}", &json), 200);
    const char *fresh = json_string_value(json_object_get(json, "token"));
    snprintf(port_token, sizeof port_token, "Authorization: Bearer %s\r\n", fresh);
    assert_string_not_equal(port_token, old);
    assert_int_equal(port_ask("GET", "/api/v1/status", old), 401);
    assert_int_equal(port_ask("GET", "/api/v1/status", port_token), 200);
    snprintf(path, sizeof path, "%s/api.token", port_node.folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    gv_buf_init(&file);
    assert_int_equal(gv_file_read(&file, path, 100, NULL), GV_OK);
    assert_int_equal(file.len, 65);
    assert_memory_equal(file.data, fresh, 64);
    gv_buf_free(&file);
    json_decref(json);
    node_stop(&port_node); /* it is the same after a restart */
    assert_int_equal(node_start(&port_node), GV_OK);
    assert_int_equal(port_ask("GET", "/api/v1/status", port_token), 200);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void test_what_has_not_changed_is_not_sent(void **state)
{
    static const char *const targets[] = {
        "/api/v1/lists",   "/api/v1/roster",  "/api/v1/list",   "/blocklist.txt",
        "/blocklist.json", "/blocklist.cidr", "/blocklist.map", "/api/v1/openapi.json"};
    char etag[128], with[512];

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        assert_int_equal(port_ask("GET", targets[i], port_token), 200);
        port_header(etag, "ETag: ");
        static const char *const forms[] = {"%sIf-None-Match: %s\r\n", "%sIf-None-Match: W/%s\r\n",
                                            "%sIf-None-Match: \"x\", \"y\" ,%s\r\n"};
        for (size_t f = 0; f < 3; f++) {
            snprintf(with, sizeof with, forms[f], port_token, etag);
            assert_int_equal(port_ask("GET", targets[i], with), 304);
            assert_string_equal(port_body(), "");
            assert_non_null(strstr(port_answer, etag));
        }
        snprintf(with, sizeof with, "%sIf-None-Match: *\r\n", port_token);
        assert_int_equal(port_ask("GET", targets[i], with), 304);
        static const char *const not_it[] = {"\"x\"", "x", "\"x", "\"", ",", ""};
        for (size_t f = 0; f < sizeof not_it / sizeof *not_it; f++) {
            snprintf(with, sizeof with, "%sIf-None-Match: %s\r\n", port_token, not_it[f]);
            assert_int_equal(port_ask("GET", targets[i], with), 200);
        }
    }
    assert_int_equal(port_ask("GET", "/blocklist.txt", ""), 200);
    port_header(etag, "ETag: ");
    snprintf(with, sizeof with, "If-None-Match: %s\r\n", etag);
    assert_int_equal(port_ask("GET", "/blocklist.txt?list=untrusted", with), 200);
    node_fails(&port_node, "198.51.100.7", 6);
    usleep(600000); /* so long may a list be late */
    assert_int_equal(port_ask("GET", "/blocklist.txt", with), 200);
    assert_non_null(strstr(port_body(), "198.51.100.7\n"));
}

static void test_head_is_get_without_a_body(void **state)
{
    char length[128], type[128], other[128];

    for (size_t i = 0; i < sizeof open_paths / sizeof *open_paths; i++) {
        if (strcmp(open_paths[i], "/metrics") == 0)
            continue; /* never twice the same length */
        assert_int_equal(port_ask("GET", open_paths[i], ""), 200);
        port_header(length, "Content-Length: ");
        port_header(type, "Content-Type: ");
        assert_int_equal(port_ask("HEAD", open_paths[i], ""), 200);
        assert_string_equal(port_body(), "");
        port_header(other, "Content-Length: ");
        assert_string_equal(other, length);
        port_header(other, "Content-Type: ");
        assert_string_equal(other, type);
    }
    assert_int_equal(port_ask("HEAD", "/api/v1/changes?wait=9", port_token), 200);
    assert_int_equal(port_ask("HEAD", "/api/v1/status", ""), 401);
    assert_string_equal(port_body(), "");
}

static void test_block_lists(void **state)
{
    node_fails(&port_node, "198.51.100.7", 6);
    node_fails(&port_node, "2001:db8:77::1", 6);
    node_fails(&port_node, "203.0.113.2", 6); /* in a range that is denied anyway */
    assert_int_equal(port_ask("GET", "/blocklist.txt", ""), 200);
    assert_string_equal(port_body(), "198.51.100.7\n203.0.113.0\n203.0.113.2/31\n2001:db8:5::/64\n"
                                     "2001:db8:77::/64\n");
    assert_int_equal(port_ask("GET", "/blocklist.json?list=refuse", ""), 200);
    assert_string_equal(port_body(),
                        "{\"list\":\"refuse\",\"count\":5,\"entries\":[\"198.51.100.7\","
                        "\"203.0.113.0\",\"203.0.113.2/31\",\"2001:db8:5::/64\","
                        "\"2001:db8:77::/64\"]}");
    assert_int_equal(port_ask("GET", "/blocklist.cidr", ""), 200);
    assert_non_null(
        strstr(port_body(), "198.51.100.7 REJECT Refused by grapevine\n203.0.113.0 REJECT"));
    assert_int_equal(port_ask("GET", "/blocklist.map", ""), 200);
    assert_non_null(strstr(port_body(), "# grapevine: refused by this host\n198.51.100.7\n"));
    assert_int_equal(port_ask("GET", "/blocklist.json?list=untrusted", ""), 200);
    assert_string_equal(port_body(), "{\"list\":\"untrusted\",\"count\":0,\"entries\":[]}");
    static const char *const wrong[] = {"all", "", "refused", "refuse%00"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char target[64];
        snprintf(target, sizeof target, "/blocklist.txt?list=%s", wrong[i]);
        assert_int_equal(port_ask("GET", target, ""), 400);
    }
    /* A command of the admin's shows. */
    assert_int_equal(node_post(&port_node, "deny", "{\"addr\":\"192.0.2.0/29\"}", NULL), 200);
    usleep(600000);
    assert_int_equal(port_ask("GET", "/blocklist.txt", ""), 200);
    assert_non_null(strstr(port_body(), "192.0.2.0/29\n198.51.100.7\n"));
}

static void test_a_verdict(void **state)
{
    node_fails(&port_node, "198.51.100.7", 3);
    assert_int_equal(port_ask("GET", "/api/v1/verdict?addr=198.51.100.7", port_token), 200);
    assert_string_equal(port_body(),
                        "{\"subject\":\"198.51.100.7\",\"verdict\":\"reported\",\"action\":"
                        "\"refuse\",\"reason\":\"This host has locked this address for an "
                        "hour after failed logins here.\"}");
    assert_int_equal(port_ask("GET", "/api/v1/verdict?addr=2001:db8::1", port_token), 200);
    assert_non_null(strstr(port_body(), "\"subject\":\"2001:db8::/64\",\"verdict\":\"unknown\""));
    assert_int_equal(port_ask("GET", "/api/v1/verdict", port_token), 400);
    assert_int_equal(port_ask("GET", "/api/v1/verdict?addr=example.org", port_token), 400);
    assert_int_equal(port_ask("GET", "/api/v1/verdict?addr=1.2.3.4%27%22%3C", port_token), 400);
}

static void test_pages(void **state)
{
    char address[32];
    json_t *json;

    for (int i = 1; i <= 7; i++) {
        snprintf(address, sizeof address, "198.51.100.%d", i);
        node_fails(&port_node, address, 3);
    }
    size_t seen = 0;
    for (json_int_t cursor = 0, pages = 0; cursor >= 0; pages++) {
        char path[64];
        snprintf(path, sizeof path, "received?limit=3&cursor=%d", (int)cursor);
        assert_int_equal(node_get(&port_node, path, &json), 200);
        seen += json_array_size(json_object_get(json, "signals"));
        const json_t *next = json_object_get(json, "next");
        cursor = json_is_null(next) ? -1 : json_integer_value(next);
        json_decref(json);
        assert_true(pages < 4);
    }
    assert_int_equal(seen, 7);
    char first[64] = "";
    for (int offset = 0; offset <= 7; offset++) {
        char path[64];
        snprintf(path, sizeof path, "list?limit=1&offset=%d", offset);
        assert_int_equal(node_get(&port_node, path, &json), 200);
        const json_t *subjects = json_object_get(json, "subjects");
        assert_int_equal(json_array_size(subjects), offset < 7);
        assert_int_equal(json_integer_value(json_object_get(json, "matches")), 7);
        const char *subject =
            json_string_value(json_object_get(json_array_get(subjects, 0), "subject"));
        if (subject) {
            assert_string_not_equal(subject, first);
            snprintf(first, sizeof first, "%s", subject);
        }
        json_decref(json);
    }
    assert_int_equal(node_get(&port_node, "list?limit=1&offset=10000", NULL), 400);
    assert_int_equal(node_get(&port_node, "list?offset=-1", NULL), 400);
    assert_int_equal(node_get(&port_node, "received?cursor=100000001", NULL), 400);
    assert_int_equal(node_get(&port_node, "received?cursor=x", NULL), 400);
}

static void test_figures(void **state)
{
    node_fails(&port_node, "198.51.100.7", 6);
    assert_int_equal(port_ask("GET", "/metrics", ""), 200);
    assert_non_null(strstr(port_answer, "Content-Type: text/plain; version=0.0.4"));
    /* What a strange file is called does not break the format. */
    assert_non_null(strstr(port_body(), "\ngrapevine_log_lines_total{log=\"/var/log/a "
                                        "\\\"strange\\\\name\\\"\\n\"} 42\n"));
    assert_non_null(
        strstr(port_body(), "\ngrapevine_listed{list=\"refuse\"} 2\n")); /* and one denied */
    assert_non_null(strstr(port_body(), "\ngrapevine_signals_made_total 1\n"));
    assert_non_null(strstr(port_body(), "\ngrapevine_enforced{surface=\"dovecot\"} 0\n"));
    assert_non_null(strstr(port_body(), "\n# TYPE grapevine_http_requests_total counter\n"));
    assert_non_null(strstr(port_body(), "\n# TYPE grapevine_http_connections gauge\n"));
    assert_non_null(strstr(port_body(), "\ngrapevine_http_connections 1\n"));
}

/* ---- changes -------------------------------------------------------------------------------- */

static void serial_now(char out[40])
{
    json_t *json;

    assert_int_equal(node_get(&port_node, "changes", &json), 200);
    snprintf(out, 40, "%s", json_string_value(json_object_get(json, "serial")));
    assert_int_equal(json_array_size(json_object_get(json, "changes")), 0);
    json_decref(json);
}

/* Until so many changes are told of: of what comes in one turn of the loop, the rest comes in the
 * next ones. */
static void wait_for_changes(unsigned long long count, char out[40])
{
    for (uint64_t end = uv_hrtime() + 10000000000u;;) {
        serial_now(out);
        if (strtoull(strchr(out, '-') + 1, NULL, 10) == count)
            return;
        if (uv_hrtime() > end)
            fail_msg("serial %s, not %llu", out, count);
        usleep(1000);
    }
}

static int begin_wait(const char *serial, unsigned seconds)
{
    char request[512];
    int fd = tcp_connect(port_node.http_port);

    int len = snprintf(request, sizeof request,
                       "GET /api/v1/changes?since=%s&wait=%u HTTP/1.1\r\nHost: localhost\r\n"
                       "Connection: close\r\n%s\r\n",
                       serial, seconds, port_token);
    tcp_send(fd, request, (size_t)len);
    return fd;
}

static void test_a_long_poll(void **state)
{
    char serial[40];
    uint64_t start;

    serial_now(serial);
    int fd = begin_wait(serial, 30);
    usleep(300000);
    start = uv_hrtime();
    node_fails(&port_node, "198.51.100.7", 6);
    assert_true(tcp_read(fd, port_answer, sizeof port_answer, 5000) > 0);
    assert_true(uv_hrtime() - start < 1000000000u); /* SPEC 18.1: under a second */
    assert_non_null(strstr(port_body(),
                           "\"reset\":false,\"changes\":[{\"subject\":\"198.51.100.7\","
                           "\"time\":\"20"));
    assert_non_null(strstr(port_body(), "Z\",\"was\":[],\"is\":[\"refuse\"],\"verdict\":"));
    close(fd);
    start = uv_hrtime(); /* nothing happens: an answer all the same, when the time is up */
    serial_now(serial);
    fd = begin_wait(serial, 1);
    assert_true(tcp_read(fd, port_answer, sizeof port_answer, 5000) > 0);
    assert_in_range(uv_hrtime() - start, 900000000u, 2900000000u);
    assert_non_null(strstr(port_body(), "\"changes\":[]"));
    close(fd);
}

static void test_serials(void **state)
{
    static const char *const wrong[] = {
        "since=1",          "since=",
        "since=00000000-",  "since=00000000-x",
        "since=0000000g-1", "wait=61",
        "wait=-1",          "wait=",
        "wait=1s",          "since=00000000-123456789012345678901234567890"};
    char target[96], serial[40];

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(target, sizeof target, "/api/v1/changes?%s", wrong[i]);
        if (port_ask("GET", target, port_token) != 400)
            fail_msg("%s: %s", wrong[i], port_answer);
    }
    serial_now(serial);
    snprintf(target, sizeof target, "/api/v1/changes?wait=9&since=%.9s999", serial);
    assert_int_equal(port_ask("GET", target, port_token), 200); /* of the future: of another run */
    assert_non_null(strstr(port_body(), "\"reset\":true,\"changes\":[]"));
    snprintf(target, sizeof target, "/api/v1/changes?wait=9&since=%c%s", *serial == 'a' ? 'b' : 'a',
             serial + 1);
    assert_int_equal(port_ask("GET", target, port_token), 200);
    assert_non_null(strstr(port_body(), "\"reset\":true,\"changes\":[]"));
}

/* More changes than one answer holds come in several; more than are kept: read anew. */
static void test_many_changes(void **state)
{
    char serial[40], address[32], path[96];
    size_t seen = 0;
    json_t *json;

    serial_now(serial);
    for (unsigned i = 0; i < 600; i++) {
        snprintf(address, sizeof address, "198.18.%u.%u", i / 256, i % 256);
        node_fails(&port_node, address, 6);
    }
    char now[40];
    wait_for_changes(600, now);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "changes?since=%s", serial);
        assert_int_equal(node_get(&port_node, path, &json), 200);
        assert_true(json_is_false(json_object_get(json, "reset")));
        seen += json_array_size(json_object_get(json, "changes"));
        snprintf(serial, sizeof serial, "%s", json_string_value(json_object_get(json, "serial")));
        json_decref(json);
    }
    assert_int_equal(seen, 600);
    assert_string_equal(serial, now);
    snprintf(path, sizeof path, "changes?since=%.9s0", serial);
    for (unsigned i = 600; i < GV_CHANGES_KEPT; i++) {
        snprintf(address, sizeof address, "198.18.%u.%u", i / 256, i % 256);
        node_fails(&port_node, address, 6);
    }
    wait_for_changes(GV_CHANGES_KEPT, now);
    assert_int_equal(node_get(&port_node, path, &json), 200);
    assert_true(json_is_false(json_object_get(json, "reset"))); /* just so many are kept */
    json_decref(json);
    node_fails(&port_node, "192.0.2.200", 6);
    wait_for_changes(GV_CHANGES_KEPT + 1, now);
    assert_int_equal(node_get(&port_node, path, &json), 200);
    assert_true(json_is_true(json_object_get(json, "reset")));
    json_decref(json);
}

/* ---- a crowd -------------------------------------------------------------------------------- */

#define CROWD 520

/* As many as may wait do, eight are told to come later, others are served meanwhile, and one
 * change answers all. */
static void test_a_crowd_that_waits(void **state)
{
    static int fds[CROWD];
    char serial[40], small[1024];
    unsigned told = 0, busy = 0;

    serial_now(serial);
    for (int i = 0; i < CROWD; i++)
        fds[i] = begin_wait(serial, 60);
    for (int i = 0; i < 50; i++) {
        uint64_t start = uv_hrtime();
        assert_int_equal(port_ask("GET", "/api/v1/verdict?addr=192.0.2.7", port_token), 200);
        assert_true(uv_hrtime() - start < 1000000000u);
    }
    node_fails(&port_node, "198.51.100.7", 6);
    for (int i = 0; i < CROWD; i++) {
        assert_true(tcp_read(fds[i], small, sizeof small, 5000) > 0);
        told += strncmp(small, "HTTP/1.1 200", 12) == 0 && strstr(small, "198.51.100.7");
        busy += strncmp(small, "HTTP/1.1 503", 12) == 0 && strstr(small, "Retry-After: 5");
        close(fds[i]);
    }
    assert_int_equal(told, GV_CHANGES_WAITING);
    assert_int_equal(busy, CROWD - GV_CHANGES_WAITING);
}

/* A long list is gone through a few at a time: it is whole, in its order, without anybody twice,
 * and whoever asks and is stopped meanwhile hears of it. */
static void test_a_long_list(void **state)
{
    char address[32], last[64] = "";
    json_t *json, *one;
    size_t at, reported = 0;

    for (unsigned i = 0; i < 1500; i++) {
        snprintf(address, sizeof address, "198.18.%u.%u", i / 256, i % 256);
        node_fails(&port_node, address, 3);
    }
    for (unsigned i = 1; i <= 5; i++) { /* these the mesh is told of, so they come first */
        snprintf(address, sizeof address, "198.51.100.%u", i);
        node_fails(&port_node, address, 3);
    }
    assert_int_equal(node_get(&port_node, "list?limit=10000&action=refuse", &json), 200);
    assert_int_equal(json_integer_value(json_object_get(json, "matches")), 1505);
    assert_int_equal(json_array_size(json_object_get(json, "subjects")), 1505);
    json_array_foreach(json_object_get(json, "subjects"), at, one)
    {
        const char *subject = json_string_value(json_object_get(one, "subject"));
        assert_string_not_equal(subject, last);
        snprintf(last, sizeof last, "%s", subject);
        bool spoken = strcmp(json_string_value(json_object_get(one, "verdict")), "reported") == 0;
        assert_true(!spoken || reported == at);
        reported += spoken;
    }
    assert_int_equal(reported, 5);
    json_decref(json);
    int fd = tcp_connect(port_node.http_port);
    char request[512];
    int len = snprintf(request, sizeof request,
                       "GET /api/v1/list HTTP/1.1\r\nHost: localhost\r\n%s\r\n", port_token);
    tcp_send(fd, request, (size_t)len);
    node_stop(&port_node);
    tcp_read(fd, port_answer, sizeof port_answer, 2000);
    assert_true(*port_answer == 0 || strstr(port_answer, "HTTP/1.1 503") ||
                strstr(port_answer, "HTTP/1.1 200"));
    close(fd);
    assert_int_equal(node_start(&port_node), GV_OK);
}

/* Takes back what was said, a few at each turn of the loop from the one on that brings the request.
 */
struct taker {
    uv_prepare_t prepare;
    int fd;
    unsigned next;
};

#define SPOKEN 30u

static void take_back(uv_prepare_t *prepare)
{
    struct taker *taker = prepare->data;

    for (unsigned i = 0; i < 4 && taker->next <= SPOKEN; i++, taker->next++) {
        struct gv_event event = {.kind = GV_EVENT_COMMAND,
                                 .command = {.command = GV_COMMAND_RETRACT}};
        char address[32];
        int len = snprintf(address, sizeof address, "198.51.100.%u", taker->next);
        if (taker->next > 0 &&
            (gv_subject_parse(&event.command.subject, address, (size_t)len) != GV_OK ||
             gv_driver_command(port_node.driver, &event) != GV_OK))
            taker->next = 99;
    }
}

static void ask_and_take(void *context)
{
    struct taker *taker = context;
    char request[512];
    int len = snprintf(request, sizeof request,
                       "GET /api/v1/list?limit=10000&action=refuse HTTP/1.1\r\n"
                       "Host: localhost\r\nConnection: close\r\n%s\r\n",
                       port_token);

    tcp_send(taker->fd, request, (size_t)len);
    uv_prepare_init(&port_node.thread.loop, &taker->prepare);
    taker->prepare.data = taker;
    uv_prepare_start(&taker->prepare, take_back);
}

static void stop_taking(void *context)
{
    uv_close((uv_handle_t *)&((struct taker *)context)->prepare, NULL);
}

/* What the mesh knows is gone through first, what only this host knows then: who passes from the
 * one to the other meanwhile is in the list once. */
static void test_a_list_of_what_changes(void **state)
{
    static struct taker taker; /* the loop closes it later */
    char address[32];

    for (unsigned i = 0; i < 3000; i++) {
        snprintf(address, sizeof address, "198.18.%u.%u", i / 256, i % 256);
        node_fails(&port_node, address, 1);
    }
    for (unsigned i = 1; i <= SPOKEN; i++) {
        snprintf(address, sizeof address, "198.51.100.%u", i);
        node_fails(&port_node, address, 6);
    }
    taker.next = 0;
    taker.fd = tcp_connect(port_node.http_port);
    tcp_send(taker.fd, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 42);
    assert_true(tcp_read(taker.fd, port_answer, sizeof port_answer, 500) > 0);
    loop_thread_call(&port_node.thread, ask_and_take, &taker);
    assert_true(tcp_read(taker.fd, port_answer, sizeof port_answer, 5000) > 0);
    loop_thread_call(&port_node.thread, stop_taking, &taker);
    close(taker.fd);
    assert_in_range(taker.next, 8, SPOKEN + 1);
    json_t *json = json_loads(port_body(), 0, NULL);
    assert_int_equal(json_array_size(json_object_get(json, "subjects")), SPOKEN);
    assert_int_equal(json_integer_value(json_object_get(json, "matches")), SPOKEN);
    json_decref(json);
}

/* Clients that leave while they wait are not remembered for ever, and stopping ends all that wait.
 */
static void test_stopping_with_a_crowd(void **state)
{
    static int fds[40];
    char serial[40], small[1024];

    serial_now(serial);
    for (int i = 0; i < 40; i++)
        fds[i] = begin_wait(serial, 60);
    usleep(300000);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    node_stop(&port_node);
    for (int i = 20; i < 40; i++) {
        tcp_read(fds[i], small, sizeof small, 5000);
        assert_non_null(strstr(small, "HTTP/1.1 503"));
        close(fds[i]);
    }
    assert_int_equal(node_start(&port_node), GV_OK);
}

/* ---- the description ------------------------------------------------------------------------ */

static void test_every_route_is_described_and_nothing_else(void **state)
{
    size_t count, published, described = 0, named = 0, others = 0;
    const struct gv_http_route *routes = gv_api_routes(&count, &published);
    json_t *file = json_loadb((const char *)gv_openapi, gv_openapi_len, 0, NULL);
    const json_t *paths = json_object_get(file, "paths");
    const char *path, *method;
    json_t *item, *operation;

    assert_non_null(paths);
    json_object_foreach((json_t *)(uintptr_t)paths, path, item)
    {
        json_object_foreach(item, method, operation)
        {
            char upper[8] = "";
            bool on_port = !json_object_get(operation, "servers"), found = false;
            for (size_t i = 0; method[i] && i < 7; i++)
                upper[i] = (char)(method[i] - 'a' + 'A');
            for (size_t i = 0; i < count; i++)
                if (strcmp(routes[i].path, path) == 0 && strcmp(routes[i].method, upper) == 0) {
                    found = true;
                    named++;
                    if (on_port != (i < published))
                        fail_msg("%s %s: the file says it is %son the port", upper, path,
                                 on_port ? "" : "not ");
                }
            described++;
            if (on_port) {
                int status = port_ask(upper, path, port_token);
                if (status == 404 && strcmp(path, "/api/v1/network") != 0)
                    fail_msg("%s is described and not served", path);
                if (strcmp(upper, "GET") != 0 && !found) /* /dovecot */
                    others++;
            } else if (!found) {
                fail_msg("%s %s is described and not on the socket", upper, path);
            }
        }
    }
    assert_int_equal(named, count);
    assert_int_equal(described, count + others + sizeof open_paths / sizeof *open_paths);
    routes = gv_surfaces_routes(&count);
    for (size_t i = 0; i < count; i++) {
        /* What bouncers ask is CrowdSec's local API, which its makers describe. */
        if (strncmp(routes[i].path, "/v1/", 4) == 0 || strcmp(routes[i].path, "/health") == 0)
            continue;
        if (!json_object_get(json_object_get(paths, routes[i].path),
                             strcmp(routes[i].method, "POST") == 0 ? "post" : "get"))
            fail_msg("%s %s is served and not described", routes[i].method, routes[i].path);
    }
    json_decref(file);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, port_close)
    const struct CMUnitTest tests[] = {
        WITH(test_the_api_wants_the_token),
        WITH(test_lists_and_figures_are_open_to_this_host),
        WITH(test_commands_stay_on_the_socket),
        WITH(test_a_new_token),
        WITH(test_what_has_not_changed_is_not_sent),
        WITH(test_head_is_get_without_a_body),
        WITH(test_block_lists),
        WITH(test_a_verdict),
        WITH(test_pages),
        WITH(test_figures),
        WITH(test_a_long_poll),
        WITH(test_serials),
        WITH(test_many_changes),
        WITH(test_a_crowd_that_waits),
        WITH(test_a_long_list),
        WITH(test_a_list_of_what_changes),
        WITH(test_stopping_with_a_crowd),
        WITH(test_every_route_is_described_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
