#include "helper_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/base/fetch.h"
#include "node/base/file.h"

static void write_file(const struct node *node, const char *name, const void *data, size_t len)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", node->folder, name);
    assert_int_equal(gv_file_write(path, data, len, 0600, NULL), GV_OK);
}

static void make_identity(struct gv_identity *out, uint8_t seed)
{
    uint8_t secret[GV_SECRET_LEN];

    memset(secret, seed, sizeof secret);
    gv_identity_from_secret(out, secret);
}

void node_make(struct node *node)
{
    gv_fetch_init();
    snprintf(node->folder, sizeof node->folder, "/tmp/gv-node-XXXXXX");
    assert_non_null(mkdtemp(node->folder));
    snprintf(node->socket, sizeof node->socket, "%s/control.sock", node->folder);
    make_identity(&node->identity, 1);
    make_identity(&node->root, 2);
    make_identity(&node->registry, 3);
}

/* A lab network whose only registry key is ours, and our certificate in it. */
static void join(struct node *node)
{
    uint32_t now = (uint32_t)(gv_unix_ms() / 60000);
    struct gv_descriptor *d = &node->descriptor;
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_buf buf;

    memset(d, 0, sizeof *d);
    d->version = 1;
    d->activation_min = d->genesis_min = now - 1440;
    memcpy(d->root_key, node->root.sign_public, GV_KEY_LEN);
    snprintf(d->name, sizeof d->name, "test");
    d->lab = true;
    d->key_count = 1;
    memcpy(d->keys[0].key, node->registry.sign_public, GV_KEY_LEN);
    d->keys[0].from_min = now - 1440;
    d->keys[0].until_min = now + 1440 * 365;
    /* Nobody answers there: the registry is down in these tests. */
    snprintf(d->registry_url, sizeof d->registry_url, "http://127.0.0.1:9");
    snprintf(d->terms, sizeof d->terms, "2026-11");
    gv_policy_default(&d->policy, true);
    gv_buf_init(&buf);
    assert_int_equal(gv_descriptor_issue(&buf, d, node->root.sign_secret), GV_OK);
    write_file(node, "descriptor", buf.data, buf.len);
    gv_buf_free(&buf);

    struct gv_certificate c = {.placement = 1,
                               .group = (uint64_t)GV_GROUP_IPV4 << 56 | 0x7f01,
                               .since_min = now - 60,
                               .issued_min = now - 60,
                               .expires_min = now + 1440 * 90};
    memcpy(c.key, node->identity.sign_public, GV_KEY_LEN);
    memset(c.owner, 9, sizeof c.owner);
    gv_certificate_issue(wire, &c, node->registry.sign_secret, d->network_id);
    write_file(node, "certificate", wire, sizeof wire);
}

static void on_recorded(void *context, const uint8_t id[GV_ID_LEN])
{
    struct node *node = context;

    if (node->api)
        gv_api_recorded(node->api, id);
}

static void on_about(void *context, const struct gv_subject *subject)
{
    struct node *node = context;

    gv_surfaces_about(node->surfaces, subject);
}

static void on_lists_changed(void *context, const struct gv_prefix *prefix)
{
    struct node *node = context;

    gv_surfaces_lists(node->surfaces, prefix);
}

static void on_observation(void *context, const struct gv_observation *observation)
{
    struct node *node = context;
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION, .observation = *observation};

    assert_int_equal(gv_driver_event(node->driver, &event), GV_OK);
}

static json_t *one_log(void *context)
{
    return json_pack("[{s:s, s:s, s:i, s:i}]", "path", "/var/log/a \"strange\\name\"\n", "state",
                     "reading", "lines", 42, "failures", 7);
}

static int start_surfaces(struct node *node)
{
    static const uint8_t key[16] = {5};
    struct gv_config_host host = {.host = "127.0.0.1"};
    struct gv_options options = {
        .data = node->folder, .http_listen = {1, &host}, .firewall_socket = "/nonexistent"};

    int rc = gv_surfaces_start(&node->surfaces,
                               &(struct gv_surfaces_options){.loop = &node->thread.loop,
                                                             .core = gv_driver_core(node->driver),
                                                             .options = &options,
                                                             .account_key = key,
                                                             .store_key = node->identity.store_key,
                                                             .api = node->api,
                                                             .driver = node->driver,
                                                             .context = node,
                                                             .observe = on_observation,
                                                             .logs = one_log},
                               &node->error);
    if (rc == GV_OK)
        node->http_port = gv_surfaces_http_port(node->surfaces);
    return rc;
}

static int start_parts(struct node *node)
{
    static struct gv_address at;
    char path[128];
    struct gv_driver_options driver = {
        .loop = &node->thread.loop,
        .core = {.identity = &node->identity, .settings = {.share = node->share, .max_links = 16}},
        .net = {.listen = &at, .listen_count = node->port ? 1 : 0, .incoming_max = 16},
        .context = node,
        .recorded = on_recorded,
        .about = on_about,
        .storing = node->storing,
    };

    if (node->settings)
        driver.core.settings = *node->settings;

    at = (struct gv_address){.family = GV_FAMILY_IPV4, .bytes = {127, 0, 0, 1}, .port = node->port};
    snprintf(path, sizeof path, "%s/store.db", node->folder);
    int rc = gv_persist_open(&node->persist, path, node->identity.store_key, &node->error);
    if (rc == GV_OK)
        rc = gv_membership_new(&node->membership,
                               &(struct gv_membership_options){.loop = &node->thread.loop,
                                                               .folder = node->folder,
                                                               .identity = &node->identity},
                               &node->error);
    if (rc != GV_OK)
        return rc;
    driver.persist = node->persist;
    driver.core.certificate = gv_membership_certificate(node->membership);
    driver.core.descriptor =
        gv_membership_descriptor(node->membership, &driver.core.descriptor_len);
    rc = gv_driver_new(&node->driver, &driver, &node->error);
    if (rc == GV_OK)
        rc = gv_api_start(&node->api,
                          &(struct gv_api_options){.loop = &node->thread.loop,
                                                   .driver = node->driver,
                                                   .membership = node->membership,
                                                   .socket_path = node->socket,
                                                   .token_folder = node->http ? node->folder : NULL,
                                                   .context = node,
                                                   .lists_changed = on_lists_changed},
                          &node->error);
    if (rc == GV_OK && node->http)
        rc = start_surfaces(node);
    if (rc == GV_OK)
        gv_membership_start(node->membership, node->driver);
    return rc;
}

static void start_in_loop(void *context)
{
    struct node *node = context;

    node->result = start_parts(node);
}

int node_start(struct node *node)
{
    if (node->enrolled && node->descriptor.version == 0)
        join(node);
    loop_thread_start(&node->thread);
    loop_thread_call(&node->thread, start_in_loop, node);
    return node->result;
}

static void stop_in_loop(void *context)
{
    struct node *node = context;

    gv_membership_free(node->membership);
    gv_surfaces_stop(node->surfaces);
    node->surfaces = NULL;
    gv_api_stop(node->api);
    node->api = NULL; /* before what is left is stored, which tells of it */
    gv_driver_free(node->driver);
    node->membership = NULL;
    node->driver = NULL;
}

void node_stop(struct node *node)
{
    loop_thread_call(&node->thread, stop_in_loop, node);
    loop_thread_stop(&node->thread);
    gv_persist_close(node->persist);
    node->persist = NULL;
}

void node_remove(struct node *node)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", node->folder);
    assert_int_equal(system(command), 0);
}

/* ---- asking --------------------------------------------------------------------------------- */

static unsigned ask(const struct node *node, const char *path, const char *body, json_t **json)
{
    char url[512];
    struct gv_fetch_result result;
    struct gv_fetch_request request = {
        .url = url, .unix_path = node->socket, .body = body, .body_len = body ? strlen(body) : 0};

    snprintf(url, sizeof url, "http://localhost/api/v1/%s", path);
    if (gv_fetch_blocking(&result, &request) != GV_OK)
        fail_msg("%s", result.text.text);
    unsigned status = result.status;
    if (json) {
        *json = json_loadb((const char *)result.body, result.len, 0, NULL);
        assert_non_null(*json);
    }
    gv_fetch_result_free(&result);
    return status;
}

unsigned node_get(const struct node *node, const char *path, json_t **json)
{
    return ask(node, path, NULL, json);
}

unsigned node_post(const struct node *node, const char *path, const char *body, json_t **json)
{
    return ask(node, path, body, json);
}

/* ---- events --------------------------------------------------------------------------------- */

struct call {
    struct node *node;
    struct gv_event event;
    unsigned count;
    int *result;
};

static void fail_in_loop(void *context)
{
    struct call *call = context;

    for (unsigned i = 0; i < call->count; i++) {
        call->event.observation.unix_ms = gv_unix_ms() - 1000 * (call->count - i);
        *call->result |= gv_driver_event(call->node->driver, &call->event);
    }
}

void node_fails(struct node *node, const char *address, unsigned count)
{
    int result = GV_OK;
    struct call call = {.node = node,
                        .event = {.kind = GV_EVENT_OBSERVATION,
                                  .observation = {.attempts = 1,
                                                  .service = GV_SERVICE_SUBMISSION,
                                                  .kind = GV_KIND_WRONG_PASSWORD,
                                                  .new_visit = true}},
                        .count = count,
                        .result = &result};

    assert_int_equal(gv_subject_parse(&call.event.observation.subject, address, strlen(address)),
                     GV_OK);
    loop_thread_call(&node->thread, fail_in_loop, &call);
    assert_int_equal(result, GV_OK);
}

static void command_in_loop(void *context)
{
    struct call *call = context;

    *call->result = gv_driver_command(call->node->driver, &call->event);
}

void node_command(struct node *node, const struct gv_event *event, int *result)
{
    struct call call = {.node = node, .event = *event, .result = result};

    loop_thread_call(&node->thread, command_in_loop, &call);
}
