#include "helper_port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"

struct node port_node;
char port_token[128], port_answer[1 << 20];

void port_open(const struct gv_settings *settings)
{
    json_t *json;

    memset(&port_node, 0, sizeof port_node);
    port_node.enrolled = port_node.http = true;
    port_node.share = GV_SHARE_YES;
    port_node.settings = settings;
    node_make(&port_node);
    if (node_start(&port_node) != GV_OK)
        fail_msg("%s", port_node.error.text);
    assert_int_equal(node_get(&port_node, "token", &json), 200);
    snprintf(port_token, sizeof port_token, "Authorization: Bearer %s\r\n",
             json_string_value(json_object_get(json, "token")));
    json_decref(json);
}

int port_close(void **state)
{
    node_stop(&port_node);
    node_remove(&port_node);
    return 0;
}

static int talk(const char *request)
{
    tcp_talk(port_node.http_port, request, port_answer, sizeof port_answer);
    return strncmp(port_answer, "HTTP/1.1 ", 9) == 0 ? atoi(port_answer + 9) : 0;
}

int port_ask(const char *method, const char *target, const char *headers)
{
    char request[4096];

    snprintf(request, sizeof request,
             "%s %s HTTP/1.1\r\nHost: localhost:4729\r\nConnection: close\r\n%s\r\n", method,
             target, headers);
    return talk(request);
}

int port_post(const char *path, const char *headers, const char *json)
{
    char request[2048];

    snprintf(request, sizeof request,
             "POST /api/v1/%s HTTP/1.1\r\nHost: localhost:4729\r\nConnection: close\r\n"
             "Content-Length: %zu\r\n%s\r\n%s",
             path, strlen(json), headers, json);
    return talk(request);
}

const char *port_body(void)
{
    const char *end = strstr(port_answer, "\r\n\r\n");

    return end ? end + 4 : "";
}

void port_header(char out[128], const char *name)
{
    const char *found = strstr(port_answer, name);

    assert_non_null(found);
    snprintf(out, 128, "%.*s", (int)strcspn(found + strlen(name), "\r"), found + strlen(name));
}
