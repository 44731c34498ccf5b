#include "helper_feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/firewall/table.h"
#include "node/serve/blocklist.h"
#include "node/serve/bouncer_keys.h"
#include "node/serve/changes.h"
#include "node/serve/firewall.h"

#define HOUR_MS  3600000u
#define FETCH_NS 20000000000u

struct host feed_host;
struct gv_feed *feed_stage_feed;
struct gv_bouncers *feed_stage_bouncers;
struct feed_turns feed_turns;

static struct network network;
static uv_loop_t loop;
static uv_timer_t steady;
static uv_check_t check;
static uv_prepare_t prepare;
static struct gv_changes *changes;
static struct gv_firewall *firewall;
static struct gv_blocklist *blocklist;
static struct gv_http_server *http;
static char bouncer_key[GV_BOUNCER_KEY_TEXT];
static struct gv_feed_watcher counter;
static char folder[64];
static uint64_t began_ns, began_unix_ms, began_host_ms, turn_ns;
static unsigned in_turn, denied_ranges;

static uint64_t thread_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the helper of nftables, without a kernel ------------------------------------------------ */

static uv_pipe_t listener, client;
static struct gv_nft_table *table;
static uint8_t pending[1 << 16];
static size_t pending_len;
static unsigned commits;
static bool accepted;

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)handle, (void)size;
    *buf = uv_buf_init((char *)pending + pending_len, (unsigned)(sizeof pending - pending_len));
}

static void on_records(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct gv_firewall_record record;
    uint64_t start = thread_ns();
    size_t at = 0;

    (void)buf;
    if (got <= 0)
        return;
    for (pending_len += (size_t)got; pending_len - at >= GV_FIREWALL_RECORD;
         at += GV_FIREWALL_RECORD) {
        uint8_t wire[GV_FIREWALL_RECORD];
        int rc = gv_firewall_record_read(&record, pending + at);
        gv_assert(rc == GV_OK);
        gv_assert(gv_nft_table_apply(table, &record, 1) == GV_OK);
        if (record.op != GV_FIREWALL_COMMIT)
            continue;
        commits++;
        gv_firewall_record_write(
            wire, &(struct gv_firewall_record){.op = GV_FIREWALL_DONE, .number = record.number});
        uv_buf_t answer = uv_buf_init((char *)wire, sizeof wire);
        gv_assert(uv_try_write(stream, &answer, 1) == sizeof wire);
    }
    memmove(pending, pending + at, pending_len - at);
    pending_len -= at;
    turn_ns += thread_ns() - start; /* it is another process's */
}

static void on_caller(uv_stream_t *stream, int status)
{
    gv_assert(status == 0 && !accepted);
    gv_assert(uv_pipe_init(&loop, &client, 0) == 0 &&
              uv_accept(stream, (uv_stream_t *)&client) == 0);
    gv_assert(uv_read_start((uv_stream_t *)&client, on_alloc, on_records) == 0);
    accepted = true;
}

static void open_helper(const char *path)
{
    const uint8_t key[16] = {3};

    table = gv_nft_table_new(key, GV_FIREWALL_ENTRIES);
    gv_assert(table && uv_pipe_init(&loop, &listener, 0) == 0);
    gv_assert(uv_pipe_bind(&listener, path) == 0);
    gv_assert(uv_listen((uv_stream_t *)&listener, 1, on_caller) == 0);
}

struct feed_helper feed_stage_helper(void)
{
    struct gv_plan plan;

    gv_assert(gv_nft_table_plan(table, &plan, 1) == GV_OK);
    gv_nft_table_lost(table); /* so that the next plan has the lists again */
    struct feed_helper out = {.entries = gv_nft_table_count(table),
                              .ranges = plan.range_count,
                              .allowed = plan.allowed_count,
                              .commits = commits};
    gv_plan_free(&plan);
    return out;
}

/* ---- time ------------------------------------------------------------------------------------ */

static uint64_t elapsed_ms(void)
{
    return began_ns ? (uv_hrtime() - began_ns) / 1000000u : 0;
}

uint64_t feed_stage_unix_ms(void)
{
    return began_unix_ms + elapsed_ms();
}

static uint64_t unix_ms(void *context)
{
    (void)context;
    return feed_stage_unix_ms();
}

static void tell_clock(void *context)
{
    struct gv_event event = {.kind = GV_EVENT_TIMER};

    (void)context;
    feed_host.now_ms = began_host_ms + elapsed_ms();
    host_step(&feed_host, &event);
}

static void on_prepare(uv_prepare_t *handle)
{
    uint64_t took = thread_ns() - turn_ns;

    (void)handle;
    if (feed_turns.turns++ > 0 && took > feed_turns.longest_ns)
        feed_turns.longest_ns = took;
    if (in_turn > feed_turns.busiest)
        feed_turns.busiest = in_turn;
}

static void on_check(uv_check_t *handle)
{
    (void)handle;
    turn_ns = thread_ns();
    in_turn = 0;
}

static void on_steady(uv_timer_t *timer)
{
    (void)timer;
}

static void on_changed(void *context, const struct gv_subject *subject, unsigned was, unsigned is)
{
    (void)context, (void)subject, (void)was, (void)is;
    feed_turns.last_ms = feed_stage_unix_ms();
    if (feed_turns.changes++ == 0)
        feed_turns.first_ms = feed_turns.last_ms;
    in_turn++;
}

/* ---- the stage ------------------------------------------------------------------------------- */

struct gv_subject feed_stage_subject(unsigned number)
{
    return (struct gv_subject){
        .family = GV_FAMILY_IPV4,
        .bytes = {11, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

static void lock_them(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct gv_event event = {.kind = GV_EVENT_OBSERVATION};
        event.observation = (struct gv_observation){.subject = feed_stage_subject(i),
                                                    .unix_ms = host_unix_ms(&feed_host),
                                                    .account = i,
                                                    .attempts = 5,
                                                    .service = GV_SERVICE_IMAP,
                                                    .kind = GV_KIND_WRONG_PASSWORD,
                                                    .new_visit = true};
        host_step(&feed_host, &event);
    }
}

static void on_bouncer(struct gv_http_request *request, void *context)
{
    (void)context;
    gv_bouncers_handle(feed_stage_bouncers, request);
}

static void on_list(struct gv_http_request *request, void *context)
{
    (void)context;
    gv_blocklist_get_text(request, blocklist);
}

static void open_http(void)
{
    static const struct gv_http_route routes[] = {{"GET", "/v1/decisions/stream", on_bouncer},
                                                  {"GET", "/v1/decisions", on_bouncer},
                                                  {"GET", "/blocklist.txt", on_list}};
    struct gv_http_options options = {.host = "127.0.0.1", .routes = routes, .route_count = 3};

    int rc;
    json_t *json = gv_bouncers_add(feed_stage_bouncers, "fw", &rc, NULL);

    gv_assert(json);
    snprintf(bouncer_key, sizeof bouncer_key, "%s",
             json_string_value(json_object_get(json, "key")));
    json_decref(json);
    gv_assert(gv_blocklist_start(&blocklist, &loop, feed_stage_feed, feed_host.core) == GV_OK);
    gv_assert(gv_http_start(&http, &loop, &options, NULL) == GV_OK);
}

static void open_surfaces(void)
{
    const uint8_t key[GV_KEY_LEN] = {9};
    struct gv_text error = {""};
    char path[96];
    struct gv_options options = {.enforced = GV_ENFORCE_NFTABLES, .firewall_socket = path};

    snprintf(path, sizeof path, "%s/socket", folder);
    open_helper(path);
    gv_assert(gv_feed_start(&feed_stage_feed, &(struct gv_feed_options){.loop = &loop,
                                                                        .core = feed_host.core,
                                                                        .unix_ms = unix_ms,
                                                                        .clock = tell_clock}) ==
              GV_OK);
    gv_assert(gv_changes_start(&changes, &loop, feed_stage_feed, feed_host.core) == GV_OK);
    gv_assert(gv_bouncers_start(&feed_stage_bouncers,
                                &(struct gv_bouncers_options){.loop = &loop,
                                                              .core = feed_host.core,
                                                              .feed = feed_stage_feed,
                                                              .folder = folder,
                                                              .store_key = key,
                                                              .enforced = true,
                                                              .unix_ms = unix_ms},
                                &error) == GV_OK);
    gv_assert(gv_firewall_start(&firewall, &loop, feed_host.core, feed_stage_feed, &options) ==
              GV_OK);
    open_http();
    counter.changed = on_changed;
    gv_feed_watch(feed_stage_feed, &counter);
}

void feed_stage_open(unsigned count, uint64_t left_ms)
{
    const struct gv_settings settings = {.share = GV_SHARE_NO, .max_links = 16};

    began_ns = 0;
    commits = denied_ranges = 0;
    pending_len = 0;
    accepted = false;
    strcpy(folder, "/tmp/gv-feed-XXXXXX");
    gv_assert(mkdtemp(folder));
    network_open(&network, 1, false);
    gv_assert(host_open(&feed_host, &network, 1, &settings) == GV_OK);
    lock_them(count);
    host_run(&feed_host, HOUR_MS - left_ms);
    gv_assert(uv_loop_init(&loop) == 0);
    began_host_ms = feed_host.now_ms;
    began_unix_ms = host_unix_ms(&feed_host);
    open_surfaces();
    began_ns = uv_hrtime(); /* however long all that took */
    uv_timer_init(&loop, &steady);
    uv_timer_start(&steady, on_steady, 1, 1); /* questions, say */
    uv_prepare_init(&loop, &prepare);
    uv_prepare_start(&prepare, on_prepare);
    uv_check_init(&loop, &check);
    uv_check_start(&check, on_check);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void feed_stage_close(void)
{
    char path[96];

    gv_http_stop(http);
    gv_blocklist_stop(blocklist);
    gv_changes_stop(changes);
    gv_firewall_stop(firewall);
    gv_bouncers_stop(feed_stage_bouncers);
    gv_feed_stop(feed_stage_feed);
    uv_walk(&loop, close_handle, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    gv_assert(uv_loop_close(&loop) == 0);
    gv_nft_table_free(table);
    host_close(&feed_host);
    network_close(&network);
    snprintf(path, sizeof path, "%s/socket", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/bouncers.json", folder);
    unlink(path);
    rmdir(folder);
}

void feed_stage_list(enum gv_command command, const char *text)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = command}};

    gv_assert(gv_prefix_parse(&event.command.prefix, text, strlen(text)) == GV_OK);
    denied_ranges += command == GV_COMMAND_DENY && event.command.prefix.bits < 32;
    feed_host.now_ms = began_host_ms + elapsed_ms();
    gv_assert(host_step(&feed_host, &event) == GV_OK);
    gv_firewall_lists_changed(firewall);
    gv_feed_prefix(feed_stage_feed, &event.command.prefix);
    gv_bouncers_lists_changed(feed_stage_bouncers);
    gv_blocklist_ranges_changed(blocklist);
}

char *feed_stage_fetch(const char *path)
{
    return feed_stage_fetch_while(path, NULL);
}

char *feed_stage_fetch_while(const char *path, void (*meanwhile)(unsigned turn))
{
    uint64_t start = uv_hrtime();
    unsigned turn = 0;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(gv_http_port(http))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char request[256], *body;
    struct gv_buf all;
    ssize_t n;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    gv_assert(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    int len =
        snprintf(request, sizeof request,
                 "GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\nX-Api-Key: %s\r\n\r\n", path, bouncer_key);
    gv_assert(write(fd, request, (size_t)len) == len);
    gv_buf_init(&all);
    do {
        char some[16384];
        uv_run(&loop, UV_RUN_NOWAIT);
        if (meanwhile)
            meanwhile(turn++);
        n = recv(fd, some, sizeof some, MSG_DONTWAIT);
        if (n > 0)
            gv_buf_append(&all, some, (size_t)n);
    } while (n != 0 && uv_hrtime() - start < FETCH_NS);
    close(fd);
    if (n != 0) {
        gv_buf_free(&all);
        return NULL;
    }
    gv_buf_append(&all, "", 1);
    gv_assert(strncmp((char *)all.data, "HTTP/1.1 200", 12) == 0);
    body = strdup(strstr((char *)all.data, "\r\n\r\n") + 4);
    gv_buf_free(&all);
    return body;
}

static size_t banned(void)
{
    json_t *json = gv_bouncers_json(feed_stage_bouncers);
    size_t count = (size_t)json_integer_value(json_object_get(json, "fed"));

    json_decref(json);
    return count;
}

bool feed_stage_run(size_t listed, uint64_t ms)
{
    uint64_t start = uv_hrtime();

    feed_turns = (struct feed_turns){0};
    while (uv_hrtime() - start < ms * 1000000u) {
        uv_run(&loop, UV_RUN_ONCE);
        if (gv_listing_count(gv_feed_listing(feed_stage_feed)) == listed &&
            banned() == listed + denied_ranges && !gv_feed_busy(feed_stage_feed) && accepted &&
            gv_nft_table_count(table) == listed)
            return true;
    }
    return false;
}
