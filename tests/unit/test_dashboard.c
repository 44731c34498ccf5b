/* The dashboard's side of the HTTP port: its files, what a browser may and may not ask for, and the
 * answers that were made for it. What it looks like is for tests/e2e/dashboard.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_port.h"
#include "node/base/options.h"
#include "node/serve/dashboard.h"

static int setup(void **state)
{
    static const struct gv_settings settings = {.share = GV_SHARE_YES};

    port_open(&settings);
    return 0;
}

static void test_a_page_of_another_site_gets_nothing(void **state)
{
    static const char *const foreign[] = {"Origin: https://evil.example\r\n",
                                          "Origin: null\r\n",
                                          "Origin: localhost:4729\r\n",
                                          "Origin: http://localhost\r\n",
                                          "Origin: http://localhost:4729.evil.example\r\n",
                                          "Origin: http://127.0.0.1:4729\r\n",
                                          "Origin: \r\n",
                                          "Sec-Fetch-Site: cross-site\r\n",
                                          "Sec-Fetch-Site: same-site\r\n",
                                          "Sec-Fetch-Site: \r\n"};
    char with[256];
    json_t *json;

    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        snprintf(with, sizeof with, "%s%s", port_token, foreign[i]);
        assert_int_equal(port_post("deny", with, "{\"addr\":\"192.0.2.99\"}"), 403);
        assert_non_null(strstr(port_body(), "\"cross-site\""));
        assert_int_equal(port_ask("GET", "/api/v1/status", with), 403);
        assert_int_equal(port_ask("GET", "/blocklist.txt", foreign[i]), 403);
    }
    /* The target's own word for the host is what the server goes by, not the header's. */
    snprintf(with, sizeof with, "%sOrigin: http://localhost:4729\r\n", port_token);
    assert_int_equal(port_ask("GET", "http://127.0.0.1:4729/api/v1/status", with), 403);
    assert_non_null(strstr(port_body(), "\"cross-site\""));
    assert_int_equal(port_ask("GET", "http://localhost:4729/api/v1/status", with), 200);
    assert_int_equal(port_post("deny", "", "{\"addr\":\"192.0.2.99\"}"), 401);
    assert_int_equal(node_get(&port_node, "ip?addr=192.0.2.99", &json), 200);
    assert_false(json_is_true(json_object_get(json, "deny_listed")));
    json_decref(json);
    /* The dashboard's own. */
    snprintf(with, sizeof with,
             "%sOrigin: http://localhost:4729\r\nSec-Fetch-Site: same-origin\r\n", port_token);
    assert_int_equal(port_post("deny", with, "{\"addr\":\"192.0.2.99\"}"), 200);
    assert_int_equal(node_get(&port_node, "ip?addr=192.0.2.99", &json), 200);
    assert_true(json_is_true(json_object_get(json, "deny_listed")));
    json_decref(json);
    assert_int_equal(port_post("unlist", with, "{\"addr\":\"192.0.2.99\"}"), 200);
    assert_int_equal(port_post("allow", with, "{\"addr\":\"<script>\"}"), 400);
}

static void test_the_dashboard_is_files(void **state)
{
    char etag[128], with[256];

    assert_int_equal(port_ask("GET", "/", ""), 303);
    assert_non_null(strstr(port_answer, "Location: /dashboard/\r\n"));
    assert_int_equal(port_ask("GET", "/dashboard", ""), 303);
    assert_int_equal(port_ask("GET", "/dashboard/", ""), 200);
    assert_non_null(
        strstr(port_answer, "Content-Security-Policy: default-src 'none'; script-src 'self'; "));
    assert_null(strstr(port_answer, "unsafe-"));
    assert_non_null(strstr(port_answer, "Referrer-Policy: no-referrer\r\n"));
    assert_non_null(strstr(port_answer, "X-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(port_body(), "<!doctype html>"));
    assert_null(strstr(port_body(), "http")); /* nothing from elsewhere */
    assert_int_equal(port_ask("GET", "/dashboard/style.css", "Accept-Encoding: br, gzip;q=1.0\r\n"),
                     200);
    assert_non_null(strstr(port_answer, "Content-Encoding: gzip\r\n"));
    assert_memory_equal(port_body(), "\x1f\x8b", 2);
    port_header(etag, "ETag: ");
    snprintf(with, sizeof with, "If-None-Match: %s\r\n", etag);
    assert_int_equal(port_ask("GET", "/dashboard/style.css", with),
                     200); /* of the compressed one */
    strcat(with, "Accept-Encoding: gzip\r\n");
    assert_int_equal(port_ask("GET", "/dashboard/style.css", with), 304);
    static const char *const plain[] = {"", "Accept-Encoding: gzip;q=0\r\n",
                                        "Accept-Encoding: gzip2, x\r\n",
                                        "Accept-Encoding: gzip; q=0.000\r\n"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        assert_int_equal(port_ask("GET", "/dashboard/style.css", plain[i]), 200);
        assert_null(strstr(port_answer, "Content-Encoding"));
        assert_non_null(strstr(port_body(), ":root"));
    }
    static const char *const none[] = {"/dashboard/nothing", "/dashboard/../api.token",
                                       "/dashboard/%2e%2e/x", "/dashboard//",
                                       "/dashboard/style.css/"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(port_ask("GET", none[i], port_token), 404);
    size_t plain_len = 0, packed_len = 0; /* of what a page loads */
    for (size_t i = 0; i < gv_dashboard_file_count; i++) {
        bool loaded = strcmp(gv_dashboard_files[i].name, "licences.txt") != 0;
        plain_len += loaded ? gv_dashboard_files[i].plain_len : 0;
        packed_len += loaded ? gv_dashboard_files[i].packed_len : 0;
    }
    assert_in_range(plain_len, 200000, 250000);
    assert_in_range(packed_len, 50000, 100000);
    assert_int_equal(port_ask("GET", "/dashboard/licences.txt", ""), 200);
    assert_non_null(strstr(port_body(), "Permission is hereby granted"));
    assert_int_equal(port_ask("POST", "/dashboard/", port_token), 405);
    assert_int_equal(port_ask("HEAD", "/dashboard/", ""), 200);
    assert_string_equal(port_body(), "");
}

static void test_attackers(void **state)
{
    json_t *json;
    char address[32];

    assert_int_equal(port_ask("GET", "/api/v1/attackers", port_token), 200);
    assert_string_equal(port_body(), "{\"attackers\":[],\"addresses\":0,\"attempts\":0}");
    for (int i = 1; i <= 30; i++) { /* the later the more */
        snprintf(address, sizeof address, "198.51.100.%d", i);
        node_fails(&port_node, address, (unsigned)(1 + i / 10));
    }
    usleep(2100000); /* what was found is told for two seconds */
    assert_int_equal(node_get(&port_node, "attackers", &json), 200);
    const json_t *list = json_object_get(json, "attackers");
    assert_int_equal(json_array_size(list), 20);
    assert_int_equal(json_integer_value(json_object_get(json, "addresses")), 30);
    assert_int_equal(json_integer_value(json_object_get(json, "attempts")),
                     9 * 1 + 10 * 2 + 10 * 3 + 4);
    json_int_t last = 100;
    for (size_t i = 0; i < 20; i++) {
        json_int_t failures =
            json_integer_value(json_object_get(json_array_get(list, i), "failures"));
        assert_true(failures <= last && failures >= 2);
        last = failures;
    }
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "subject")),
                        "198.51.100.30");
    json_decref(json);
}

static bool is_attacker(const char *address)
{
    bool found = false;
    size_t i;
    json_t *json, *one;

    usleep(2100000); /* what was found is told for two seconds */
    assert_int_equal(node_get(&port_node, "attackers", &json), 200);
    json_array_foreach(json_object_get(json, "attackers"), i, one) found |=
        strcmp(json_string_value(json_object_get(one, "subject")), address) == 0;
    json_decref(json);
    return found;
}

/* A user who mistypes is on no page (SPEC 15); one who is locked is. */
static void test_a_user_is_no_attacker(void **state)
{
    static const char user[] = "198.51.100.77";
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION,
                             .observation = {.service = GV_SERVICE_IMAP,
                                             .kind = GV_KIND_UNSPECIFIED,
                                             .account = 7,
                                             .success = true}};
    int result;

    node_fails(&port_node, user, 1);
    assert_true(is_attacker(user));
    assert_int_equal(gv_subject_parse(&event.observation.subject, user, strlen(user)), GV_OK);
    event.observation.unix_ms = gv_unix_ms();
    node_command(&port_node, &event, &result);
    assert_int_equal(result, GV_OK);
    node_fails(&port_node, user, 1);
    assert_false(is_attacker(user));
    node_fails(&port_node, user, 6);
    assert_true(is_attacker(user));
}

/* Every key with its value, its line or its default; a webhook's path is a secret. */
static void test_settings_say_where_they_come_from(void **state)
{
    char path[] = "/tmp/gv-settings.XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    struct gv_options options;
    struct gv_buf errors;
    size_t i;
    json_t *one;

    fputs("[share]\nmode = yes\n[policy]\ndeny = 192.0.2.0/24,\n  198.51.100.7\n"
          "[hooks]\nwebhook = https://user:pass@hooks.example/services/T0/secret\n",
          file);
    fclose(file);
    gv_buf_init(&errors);
    assert_int_equal(gv_options_load(&options, path, &errors), GV_OK);
    json_t *json = gv_options_json(&options, NULL, path);
    assert_true(json_is_null(json_object_get(json, "restart")));
    assert_string_equal(json_string_value(json_object_get(json, "file")), path);
    const json_t *list = json_object_get(json, "settings");
    assert_int_equal(json_array_size(list), gv_options_table()->count);
    unsigned seen = 0;
    json_array_foreach(list, i, one)
    {
        const char *key = json_string_value(json_object_get(one, "key"));
        const char *value = json_string_value(json_object_get(one, "value"));
        const json_t *line = json_object_get(one, "line");
        if (strcmp(key, "mode") == 0) {
            assert_string_equal(value, "yes");
            assert_int_equal(json_integer_value(line), 2);
            assert_string_equal(json_string_value(json_object_get(one, "default")), "preview");
        } else if (strcmp(key, "deny") == 0) {
            assert_string_equal(value, "192.0.2.0/24, 198.51.100.7");
            assert_int_equal(json_integer_value(line), 4);
        } else if (strcmp(key, "webhook") == 0) {
            assert_string_equal(value, "https:///...");
            assert_int_equal(json_integer_value(line), 7);
        } else {
            assert_true(json_is_null(line));
            assert_string_equal(value, json_string_value(json_object_get(one, "default")));
            continue;
        }
        seen++;
    }
    assert_int_equal(seen, 3);
    json_decref(json);
    /* What it started with was another file. */
    file = fopen(path, "w");
    fputs("[share]\nmode = no\n[limits]\nstatements = 5000\n", file);
    fclose(file);
    struct gv_options started;
    assert_int_equal(gv_options_load(&started, path, &errors), GV_OK);
    json = gv_options_json(&options, &started, path);
    assert_string_equal(json_string_value(json_object_get(json, "restart")), "[limits] statements");
    json_decref(json);
    gv_options_free(&started);
    gv_options_free(&options);
    gv_buf_free(&errors);
    unlink(path);
}

static void test_what_was_said_of_one_address(void **state)
{
    json_t *json;
    const char *subject;

    for (int i = 1; i <= 5; i++) {
        char address[32];
        snprintf(address, sizeof address, "198.51.100.%d", i);
        node_fails(&port_node, address, 3);
    }
    node_fails(&port_node, "2001:db8:7::9", 3);
    assert_int_equal(node_get(&port_node, "telemetry", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "telemetry")), 6);
    assert_true(json_integer_value(json_object_get(json, "kept_s")) > 0);
    json_decref(json);
    for (json_int_t before = 7; before > 1; before -= 2) { /* pages of two, the newest first */
        char path[64];
        json_int_t one, two;
        snprintf(path, sizeof path, "telemetry?limit=2&before=%d", (int)before);
        assert_int_equal(node_get(&port_node, path, &json), 200);
        assert_int_equal(
            json_unpack(json, "{s:[{s:I}, {s:I}!]}", "telemetry", "number", &one, "number", &two),
            0);
        assert_int_equal(one, before - 2);
        assert_int_equal(two, before - 1);
        json_decref(json);
    }
    assert_int_equal(node_get(&port_node, "telemetry?before=x", NULL), 400);
    static const char *const asked[][2] = {{"198.51.100.3", "198.51.100.3"},
                                           {"2001:db8:7::1", "2001:db8:7::/64"}};
    for (size_t i = 0; i < 2; i++) {
        char path[96];
        snprintf(path, sizeof path, "telemetry?limit=1&addr=%s", asked[i][0]);
        assert_int_equal(node_get(&port_node, path, &json), 200);
        assert_int_equal(json_array_size(json_object_get(json, "telemetry")), 1);
        assert_int_equal(
            json_unpack(json, "{s:[{s:{s:s}}]}", "telemetry", "statement", "subject", &subject), 0);
        assert_string_equal(subject, asked[i][1]);
        json_decref(json);
    }
    assert_int_equal(node_get(&port_node, "telemetry?addr=198.51.100.77", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "telemetry")), 0);
    json_decref(json);
    assert_int_equal(node_get(&port_node, "telemetry?addr=", NULL), 400);
    assert_int_equal(node_get(&port_node, "telemetry?addr=%3Cscript%3E", NULL), 400);
}

/* A stolen token is shut out at once, also of what it opened before. */
static void test_a_new_token_ends_what_the_old_one_opened(void **state)
{
    char request[1024], serial[64];
    json_t *json;
    int fds[2];

    assert_int_equal(node_get(&port_node, "changes", &json), 200);
    snprintf(serial, sizeof serial, "%s", json_string_value(json_object_get(json, "serial")));
    json_decref(json);
    const char *const asked[2] = {"changes?wait=50&since=", "telemetry?follow=1&x="};
    for (size_t i = 0; i < 2; i++) {
        fds[i] = tcp_connect(port_node.http_port);
        int n = snprintf(request, sizeof request,
                         "GET /api/v1/%s%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", asked[i], serial,
                         port_token);
        tcp_send(fds[i], request, (size_t)n);
    }
    usleep(300000);
    int kept = unix_connect(port_node.socket); /* on the control socket nobody needs a token */
    int n = snprintf(request, sizeof request,
                     "GET /api/v1/changes?wait=50&since=%s HTTP/1.1\r\nHost: x\r\n\r\n", serial);
    tcp_send(kept, request, (size_t)n);
    usleep(300000);
    assert_int_equal(node_post(&port_node, "token", "{}", NULL), 200);
    assert_true(tcp_read(fds[0], port_answer, sizeof port_answer, 3000) > 0);
    assert_non_null(strstr(port_answer, "HTTP/1.1 401 "));
    assert_true(tcp_read(fds[1], port_answer, sizeof port_answer, 1000) > 0);
    assert_non_null(strstr(port_answer, "\r\n0\r\n\r\n")); /* the end of the stream */
    assert_int_equal(tcp_read(kept, port_answer, sizeof port_answer, 500), 0);
    node_fails(&port_node, "198.51.100.7", 6);
    assert_true(tcp_read(kept, port_answer, sizeof port_answer, 3000) > 0);
    assert_non_null(strstr(port_answer, "198.51.100.7"));
    for (size_t i = 0; i < 2; i++)
        close(fds[i]);
    close(kept);
    assert_int_equal(port_ask("GET", "/api/v1/status", port_token), 401);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, port_close)
    const struct CMUnitTest tests[] = {
        WITH(test_the_dashboard_is_files),
        WITH(test_a_page_of_another_site_gets_nothing),
        WITH(test_attackers),
        WITH(test_a_user_is_no_attacker),
        WITH(test_what_was_said_of_one_address),
        WITH(test_a_new_token_ends_what_the_old_one_opened),
        cmocka_unit_test(test_settings_say_where_they_come_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
