#include "helper_bouncer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_tcp.h"
#include "node/serve/bouncer_internal.h"

static struct loop_thread thread;
static struct network network;
static struct host host;
static struct puppet reporters[2];
static struct gv_feed *feed;
static struct gv_http_server *server;
static struct gv_bouncers *bouncers;
static char folder[64];
static size_t lifted_max;
static bool enforced = true, untrusted;
static bool running; /* false: only the core is there */

char bouncer_key[GV_BOUNCER_KEY_TEXT];
const char *bouncer_from, *bouncer_agent;
char *bouncer_body;
char bouncer_type[64];
size_t bouncer_body_len;
json_t *bouncer_json;

/* ---- the stage ------------------------------------------------------------------------------ */

static void handle(struct gv_http_request *request, void *context)
{
    gv_bouncers_handle(bouncers, request);
}

static const struct gv_http_route routes[] = {
    {"GET", "/v1/decisions/stream", handle},
    {"GET", "/v1/decisions", handle},
    {"POST", "/v1/usage-metrics", handle},
    {"GET", "/health", handle},
};

static uint64_t stage_clock(void *context)
{
    return host_unix_ms(&host);
}

static void open_all(void *context)
{
    static const char *const hosts[] = {"localhost"};
    const uint8_t store_key[GV_KEY_LEN] = {9};
    struct gv_text error = {""};
    struct gv_http_options http = {.host = "127.0.0.1",
                                   .hosts = hosts,
                                   .host_count = 1,
                                   .routes = routes,
                                   .route_count = 4,
                                   .connections_max = 1024,
                                   .connections_per_ip = 1024};
    struct gv_bouncers_options options = {.loop = &thread.loop,
                                          .core = host.core,
                                          .folder = folder,
                                          .store_key = store_key,
                                          .host = "127.0.0.1",
                                          .port = 4729,
                                          .enforced = enforced,
                                          .untrusted = untrusted,
                                          .unix_ms = stage_clock,
                                          .lifted_max = lifted_max};

    gv_assert(gv_feed_start(&feed, &(struct gv_feed_options){.loop = &thread.loop,
                                                             .core = host.core,
                                                             .unix_ms = stage_clock}) == GV_OK);
    options.feed = feed;
    if (gv_bouncers_start(&bouncers, &options, &error) != GV_OK) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    gv_assert(gv_http_start(&server, &thread.loop, &http, NULL) == GV_OK);
}

static void close_all(void *context)
{
    gv_http_stop(server);
    gv_bouncers_stop(bouncers);
    gv_feed_stop(feed);
}

void bouncer_start(size_t max)
{
    lifted_max = max;
    loop_thread_call(&thread, open_all, NULL);
    running = true;
}

void bouncer_stop(void)
{
    loop_thread_call(&thread, close_all, NULL);
    running = false;
}

int bouncer_set_up(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/gv-bouncer.XXXXXX");
    assert_non_null(mkdtemp(folder));
    network_open(&network, 1, true);
    assert_int_equal(host_open(&host, &network, 1, NULL), GV_OK);
    for (unsigned i = 0; i < 2; i++) {
        puppet_make(&reporters[i], &network, 2 + i);
        assert_true(puppet_join(&reporters[i], &host));
    }
    loop_thread_start(&thread);
    enforced = true;
    untrusted = false;
    bouncer_from = NULL;
    bouncer_agent = "test/1";
    bouncer_start(0);
    bouncer_add_key("fw", bouncer_key);
    return 0;
}

int bouncer_tear_down(void **state)
{
    char path[128];

    bouncer_stop();
    loop_thread_stop(&thread);
    for (unsigned i = 0; i < 2; i++)
        puppet_free(&reporters[i]);
    host_close(&host);
    network_close(&network);
    snprintf(path, sizeof path, "%s/bouncers.json", folder);
    unlink(path);
    rmdir(folder);
    free(bouncer_body);
    bouncer_body = NULL;
    json_decref(bouncer_json);
    bouncer_json = NULL;
    return 0;
}

uint16_t bouncer_port(void)
{
    return gv_http_port(server);
}

static void configure(void *context)
{
    gv_bouncers_configure(bouncers, enforced, untrusted);
    gv_slices_finish(&bouncers->slices);
}

void bouncer_configure(bool on, bool all)
{
    enforced = on;
    untrusted = all;
    loop_thread_call(&thread, configure, NULL);
}

/* ---- what happens --------------------------------------------------------------------------- */

static struct gv_subject parse(const char *address)
{
    struct gv_subject subject;

    assert_int_equal(gv_subject_parse(&subject, address, strlen(address)), GV_OK);
    return subject;
}

static void decide_all(void)
{
    gv_feed_all(feed);
    gv_feed_finish(feed);
    gv_bouncers_lists_changed(bouncers);
}

static void step_observation(struct gv_subject subject, unsigned account, bool success)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION};

    event.observation =
        (struct gv_observation){.subject = subject,
                                .unix_ms = host_unix_ms(&host),
                                .account = 100 + account,
                                .attempts = !success,
                                .service = GV_SERVICE_IMAP,
                                .kind = success ? GV_KIND_UNSPECIFIED : GV_KIND_WRONG_PASSWORD,
                                .success = success,
                                .new_visit = true};
    host_step(&host, &event);
    gv_feed_subject(feed, &subject);
}

static void lock(void *context)
{
    for (unsigned i = 0; i < 5; i++)
        step_observation(*(struct gv_subject *)context, 0, false);
}

static void guess(void *context)
{
    for (unsigned i = 0; i < 5; i++)
        step_observation(*(struct gv_subject *)context, i, false);
}

void bouncer_guess(const char *address)
{
    struct gv_subject subject = parse(address);

    loop_thread_call(&thread, guess, &subject);
}

void bouncer_lock(const char *address)
{
    struct gv_subject subject = parse(address);

    loop_thread_call(&thread, lock, &subject);
}

static void log_in(void *context)
{
    for (unsigned i = 0; i < 2; i++)
        step_observation(*(struct gv_subject *)context, i, true);
}

void bouncer_logins(const char *address)
{
    struct gv_subject subject = parse(address);

    loop_thread_call(&thread, log_in, &subject);
}

struct listing_command {
    enum gv_command command;
    struct gv_prefix prefix;
};

static void give_command(void *context)
{
    const struct listing_command *given = context;
    struct gv_event event = {.kind = GV_EVENT_COMMAND,
                             .command = {.command = given->command, .prefix = given->prefix}};

    host_step(&host, &event);
    if (running)
        decide_all();
}

void bouncer_command(enum gv_command command, const char *prefix)
{
    struct listing_command given = {.command = command};

    assert_int_equal(gv_prefix_parse(&given.prefix, prefix, strlen(prefix)), GV_OK);
    loop_thread_call(&thread, give_command, &given);
}

static void say(void *context)
{
    unsigned number = *(unsigned *)context;
    struct gv_subject subject = subject_of(number);

    for (unsigned i = 0; i < 2; i++)
        puppet_hand(&reporters[i], puppet_signal_on(&reporters[i], number, host_minute(&host)));
    gv_feed_subject(feed, &subject);
}

void bouncer_mesh_says(unsigned number, char address[GV_SUBJECT_TEXT])
{
    struct gv_subject subject = subject_of(number);

    gv_subject_text(address, &subject);
    loop_thread_call(&thread, say, &number);
    assert_int_equal(host_verdict(&host, &subject), GV_VERDICT_UNTRUSTED);
}

static void retract(void *context)
{
    unsigned number = *(unsigned *)context;
    struct gv_subject subject = subject_of(number);

    for (unsigned i = 0; i < 2; i++) /* silent for an hour, they were hung up on */
        if (reporters[i].closed)
            gv_assert(puppet_join(&reporters[i], &host));
    for (unsigned i = 0; i < 2; i++)
        puppet_hand(&reporters[i], puppet_retraction_on(&reporters[i], number, host_minute(&host)));
    gv_feed_subject(feed, &subject);
}

void bouncer_mesh_retracts(unsigned number)
{
    loop_thread_call(&thread, retract, &number);
}

static void run(void *context)
{
    host_run(&host, *(unsigned *)context * 1000ULL);
    gv_feed_all(feed);
    gv_feed_finish(feed);
}

void bouncer_run(unsigned seconds)
{
    loop_thread_call(&thread, run, &seconds);
}

static void turn(void *context)
{
    for (int i = 0; i < 2; i++) {
        gv_bouncers_renew(bouncers);
        gv_slices_finish(&bouncers->slices);
    }
}

void bouncer_settle(void)
{
    loop_thread_call(&thread, turn, NULL);
}

struct refusal {
    struct gv_subject subject;
    bool refused;
};

static void decide(void *context)
{
    struct refusal *r = context;

    r->refused = gv_core_decide(host.core, NULL, NULL, &r->subject).action == GV_ACTION_REFUSE;
}

bool bouncer_refused(const char *address)
{
    struct refusal r = {.subject = parse(address)};

    loop_thread_call(&thread, decide, &r);
    return r.refused;
}

static void fill(void *context)
{
    unsigned count = *(unsigned *)context;

    for (unsigned i = 0; i < count; i++) {
        struct gv_target target = {.family = GV_FAMILY_IPV4, .bits = 32};
        target.bytes[0] = 45;
        target.bytes[1] = (uint8_t)(i >> 16);
        target.bytes[2] = (uint8_t)(i >> 8);
        target.bytes[3] = (uint8_t)i;
        gv_assert(gv_bans_set(bouncers->bans, &target, GV_BAN_RANGE, GV_SCENARIO_DENY_LIST,
                              gv_bouncers_now_s(bouncers) + 80000,
                              gv_bouncers_now_s(bouncers)) == GV_OK);
    }
}

void bouncer_fill(unsigned count)
{
    loop_thread_call(&thread, fill, &count);
}

/* ---- the client ----------------------------------------------------------------------------- */

static int connect_from(int receive_buffer)
{
    struct sockaddr_in own = {.sin_family = AF_INET}, address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 20};

    address.sin_port = htons(bouncer_port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (bouncer_from) {
        assert_int_equal(inet_pton(AF_INET, bouncer_from, &own.sin_addr), 1);
        assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    }
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_request(int fd, const char *method, const char *path, const char *key,
                         const char *body)
{
    char text[4096];
    int n = snprintf(
        text, sizeof text,
        "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nUser-Agent: %s\r\n%s%s%s",
        method, path, bouncer_agent, key ? "X-Api-Key: " : "", key ? key : "", key ? "\r\n" : "");

    assert_true(n > 0 && (size_t)n < sizeof text);
    tcp_send(fd, text, (size_t)n);
    n = body ? snprintf(text, sizeof text, "Content-Length: %zu\r\n\r\n%s", strlen(body), body)
             : snprintf(text, sizeof text, "\r\n");
    tcp_send(fd, text, (size_t)n);
}

static char *read_all(int fd, size_t *len)
{
    size_t cap = 1 << 16;
    char *text = malloc(cap);
    ssize_t n;

    *len = 0;
    while ((n = recv(fd, text + *len, cap - *len - 1, 0)) > 0) {
        *len += (size_t)n;
        if (cap - *len < 2)
            text = realloc(text, cap *= 2);
        assert_non_null(text);
    }
    text[*len] = 0;
    return text;
}

/* Takes a chunked body apart, in place. An answer that is not whole fails the test. */
static size_t join_chunks(char *body)
{
    char *from = body, *to = body;

    for (;;) {
        char *end;
        size_t n = strtoul(from, &end, 16);
        assert_memory_equal(end, "\r\n", 2);
        from = end + 2;
        if (n == 0)
            break;
        memmove(to, from, n);
        to += n;
        from += n;
        assert_memory_equal(from, "\r\n", 2);
        from += 2;
    }
    *to = 0;
    return (size_t)(to - body);
}

unsigned bouncer_ask(const char *method, const char *path, const char *key, const char *body)
{
    size_t len;
    int fd = connect_from(0);

    send_request(fd, method, path, key, body);
    char *text = read_all(fd, &len), *head_end = strstr(text, "\r\n\r\n");
    close(fd);
    assert_non_null(head_end);
    *head_end = 0;
    unsigned status = (unsigned)atoi(text + strlen("HTTP/1.1 "));
    const char *type = strstr(text, "Content-Type: ");
    snprintf(bouncer_type, sizeof bouncer_type, "%.*s", type ? (int)strcspn(type + 14, "\r\n") : 0,
             type ? type + 14 : "");
    bool chunked = strstr(text, "Transfer-Encoding: chunked") != NULL;
    free(bouncer_body);
    bouncer_body_len = len - (size_t)(head_end + 4 - text);
    bouncer_body = malloc(bouncer_body_len + 1);
    assert_non_null(bouncer_body);
    memcpy(bouncer_body, head_end + 4, bouncer_body_len + 1);
    free(text);
    if (chunked && strcmp(method, "HEAD") != 0)
        bouncer_body_len = join_chunks(bouncer_body);
    json_decref(bouncer_json);
    bouncer_json = json_loads(bouncer_body, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    return status;
}

const char *asked(const char *path)
{
    assert_int_equal(bouncer_ask("GET", path, bouncer_key, NULL), 200);
    return bouncer_body;
}

const json_t *bouncer_list(const char *query)
{
    char path[1024];

    snprintf(path, sizeof path, "/v1/decisions?%s", query);
    asked(path);
    assert_non_null(bouncer_json);
    return bouncer_json;
}

const json_t *bouncer_stream(const char *which, const char *query)
{
    char path[1024];

    snprintf(path, sizeof path, "/v1/decisions/stream?%s", query);
    asked(path);
    assert_int_equal(json_object_size(bouncer_json), 2);
    return json_object_get(bouncer_json, which);
}

const json_t *bouncer_new(const char *query)
{
    return bouncer_stream("new", query);
}

static const char *values(const json_t *list)
{
    static char text[4096];
    size_t len = 0;

    text[0] = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "",
                                bouncer_text(json_array_get(list, i), "value"));
    assert_true(len < sizeof text);
    return text;
}

const char *bouncer_list_values(const char *query)
{
    return values(bouncer_list(query));
}

const char *bouncer_values(const char *which, const char *query)
{
    return values(bouncer_stream(which, query));
}

const char *bouncer_last_values(const char *which)
{
    return values(json_object_get(bouncer_json, which));
}

bool bouncer_has(const json_t *list, const char *value)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(bouncer_text(json_array_get(list, i), "value"), value) == 0)
            return true;
    return false;
}

bool bouncer_told(const char *which, const char *query, const char *value)
{
    return bouncer_has(bouncer_stream(which, query), value);
}

const char *bouncer_text(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text ? text : "(none)";
}

size_t bouncer_hang_up(const char *path, size_t bytes)
{
    struct linger reset = {.l_onoff = 1};
    char text[4096];
    size_t len = 0;
    ssize_t n = 1;
    int fd = connect_from(8192);

    send_request(fd, "GET", path, bouncer_key, NULL);
    while (len < bytes && (n = recv(fd, text, sizeof text, 0)) > 0)
        len += (size_t)n;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    usleep(300000); /* the server has noticed */
    return len;
}

/* ---- keys and counters ---------------------------------------------------------------------- */

struct key_call {
    const char *name;
    char *key;
    int rc;
};

static void add_key(void *context)
{
    struct key_call *call = context;
    json_t *json = gv_bouncers_add(bouncers, call->name, &call->rc, NULL);

    snprintf(call->key, GV_BOUNCER_KEY_TEXT, "%s", json ? bouncer_text(json, "key") : "");
    json_decref(json);
}

void bouncer_add_key(const char *name, char key[GV_BOUNCER_KEY_TEXT])
{
    struct key_call call = {.name = name, .key = key};

    loop_thread_call(&thread, add_key, &call);
    assert_int_equal(call.rc, GV_OK);
    assert_int_equal(strlen(key), 64);
}

static void delete_key(void *context)
{
    struct key_call *call = context;

    call->rc = gv_bouncers_delete(bouncers, call->name, NULL);
}

void bouncer_delete_key(const char *name)
{
    struct key_call call = {.name = name};

    loop_thread_call(&thread, delete_key, &call);
    assert_int_equal(call.rc, GV_OK);
}

static void get_json(void *context)
{
    *(json_t **)context = gv_bouncers_json(bouncers);
}

int64_t bouncer_counter(const char *name)
{
    json_t *json = NULL;

    loop_thread_call(&thread, get_json, &json);
    int64_t value = json_integer_value(json_object_get(json, name));
    assert_non_null(json_object_get(json, name));
    json_decref(json);
    return value;
}
