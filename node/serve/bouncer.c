#include "node/serve/bouncer.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/log.h"
#include "node/host/driver.h"
#include "node/serve/api_json.h"
#include "node/serve/bouncer_internal.h"
#include "proto/ip.h"

#define TURN_MS      250u
#define IDLE_TURN_MS 2000u
#define FIREWALL     "crowdsec-firewall-bouncer/" /* what Debian's says it is */

/* ---- who knows how much --------------------------------------------------------------------- */

static struct gv_bouncer_cursor *find_cursor(struct gv_bouncers *b, uint64_t number,
                                             const uint8_t address[16])
{
    for (size_t i = 0; i < GV_BOUNCER_CURSORS; i++)
        if (b->cursors[i].number == number && memcmp(b->cursors[i].address, address, 16) == 0)
            return &b->cursors[i];
    return NULL;
}

uint64_t gv_bouncers_cursor(struct gv_bouncers *b, uint64_t number, const uint8_t address[16])
{
    const struct gv_bouncer_cursor *cursor = find_cursor(b, number, address);

    return cursor && cursor->change >= gv_bans_forgotten(b->bans) ? cursor->change : UINT64_MAX;
}

void gv_bouncers_move_cursor(struct gv_bouncers *b, uint64_t number, const uint8_t address[16],
                             uint64_t change)
{
    struct gv_bouncer_cursor *cursor = find_cursor(b, number, address);

    if (!cursor) {
        cursor = &b->cursors[0];
        for (size_t i = 1; i < GV_BOUNCER_CURSORS; i++)
            if (b->cursors[i].used < cursor->used)
                cursor = &b->cursors[i];
        *cursor = (struct gv_bouncer_cursor){.number = number};
        memcpy(cursor->address, address, 16);
    }
    cursor->used = ++b->use;
    if (cursor->change < change)
        cursor->change = change;
}

/* ---- requests ------------------------------------------------------------------------------- */

static const char *argument(const void *request, const char *name)
{
    return gv_http_query(request, name);
}

static void respond(struct gv_http_request *request, unsigned status, const char *text)
{
    gv_http_respond(request, status, "application/json", text, strlen(text));
}

static struct gv_bouncer *who(struct gv_bouncers *b, struct gv_http_request *request)
{
    struct gv_bouncer *bouncer =
        gv_bouncer_keys_find(b->keys, gv_http_header(request, "X-Api-Key"));

    if (!bouncer) {
        b->counters.forbidden++;
        gv_log_limited(GV_LOG_WARNING, "a bouncer without a valid key was turned away; `grapevine "
                                       "bouncers add NAME` makes one");
        respond(request, 403, "{\"message\":\"access forbidden\"}");
        return NULL;
    }
    return bouncer;
}

static void get_decisions(struct gv_bouncers *b, struct gv_http_request *request,
                          struct gv_bouncer *bouncer, bool stream)
{
    struct gv_bouncer_query query;
    struct gv_text error;

    if (gv_bouncer_query(&query, stream, argument, request, &error) != GV_OK) {
        gv_http_respond_json(request, 400, json_pack("{s:s}", "message", error.text));
        return;
    }
    if (strcmp(gv_http_method(request), "HEAD") == 0) {
        respond(request, 200, "");
        return;
    }
    /* In nftables mode it drops the length of a prefix; it does not say in which mode it is. */
    const char *agent = gv_http_header(request, "User-Agent");
    query.singles = stream && agent && strncmp(agent, FIREWALL, strlen(FIREWALL)) == 0 &&
                    !gv_http_query(request, "scopes");
    b->counters.pulls++;
    bouncer->pulls++;
    bouncer->last_pull_ms = gv_bouncers_now_ms(b);
    (void)gv_http_client_bytes(request, bouncer->last_address);
    gv_bouncers_answer(b, request, &query, stream, bouncer->number);
}

void gv_bouncers_handle(struct gv_bouncers *b, struct gv_http_request *request)
{
    const char *path = gv_http_path(request);

    if (strcmp(path, "/health") == 0) {
        respond(request, 200, "{\"status\":\"up\"}");
        return;
    }
    struct gv_bouncer *bouncer = who(b, request);
    if (!bouncer)
        return;
    if (strcmp(path, "/v1/usage-metrics") == 0) { /* taken, and not kept */
        b->counters.metrics++;
        respond(request, 201, "");
        return;
    }
    get_decisions(b, request, bouncer, strcmp(path, "/v1/decisions/stream") == 0);
}

/* ---- keys ----------------------------------------------------------------------------------- */

json_t *gv_bouncers_add(struct gv_bouncers *b, const char *name, int *rc, struct gv_text *error)
{
    char key[GV_BOUNCER_KEY_TEXT], url[128];
    json_t *json = NULL;

    *rc = gv_bouncer_keys_add(b->keys, key, name, gv_bouncers_now_ms(b), error);
    if (*rc != GV_OK)
        return NULL;
    snprintf(url, sizeof url, strchr(b->host, ':') ? "http://[%s]:%u/" : "http://%s:%u/", b->host,
             b->options.port);
    json = json_pack("{s:s, s:s, s:o, s:b}", "name", name, "key", key, "api_url",
                     b->options.host ? json_string(url) : json_null(), "enforced",
                     (int)b->options.enforced);
    gv_wipe(key, sizeof key);
    if (!json)
        *rc = gv_fail(error, GV_ERR_MEMORY, "out of memory");
    return json;
}

int gv_bouncers_delete(struct gv_bouncers *b, const char *name, struct gv_text *error)
{
    return gv_bouncer_keys_delete(b->keys, name, error);
}

static void address_text(char out[GV_IP_TEXT], const uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t v4[16] = {0};

    memcpy(v4, address + 12, 4);
    if (memcmp(address, mapped, sizeof mapped) == 0)
        gv_ip_text(out, GV_FAMILY_IPV4, v4);
    else
        gv_ip_text(out, GV_FAMILY_IPV6, address);
}

json_t *gv_bouncers_list(const struct gv_bouncers *b)
{
    json_t *list = json_array();
    size_t count;
    const struct gv_bouncer *all = gv_bouncer_keys_all(b->keys, &count);

    for (size_t i = 0; i < count; i++) {
        char text[GV_IP_TEXT];
        address_text(text, all[i].last_address);
        json_array_append_new(list,
                              json_pack("{s:s, s:o, s:o, s:o, s:I}", "name", all[i].name, "created",
                                        gv_api_time(all[i].created_ms), "last_pull",
                                        gv_api_time(all[i].last_pull_ms), "address",
                                        all[i].last_pull_ms ? json_string(text) : json_null(),
                                        "pulls", (json_int_t)all[i].pulls));
    }
    return json_pack("{s:o}", "bouncers", list);
}

json_t *gv_bouncers_json(const struct gv_bouncers *b)
{
    const struct gv_bouncer_counters *c = &b->counters;
    size_t keys, banned = gv_bans_count(b->bans);

    (void)gv_bouncer_keys_all(b->keys, &keys);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "keys", (json_int_t)keys,
                     "fed", (json_int_t)banned, "would_have_fed",
                     (json_int_t)(b->options.enforced ? 0 : gv_bouncers_would(b)), "pulls",
                     (json_int_t)c->pulls, "full", (json_int_t)c->full, "cut_short",
                     (json_int_t)c->cut, "told", (json_int_t)c->told, "lifted",
                     (json_int_t)c->lifted, "forbidden", (json_int_t)c->forbidden, "metrics",
                     (json_int_t)c->metrics);
}

/* ---- life ----------------------------------------------------------------------------------- */

static uint64_t wall_clock(void *context)
{
    (void)context;
    return gv_unix_ms();
}

/* With nothing to renew there is no hurry, and the process is woken with others that have none. */
static void on_timer(uv_timer_t *timer)
{
    bool busy = gv_bouncers_renew(timer->data);
    uint64_t idle_ms = IDLE_TURN_MS - uv_now(timer->loop) % IDLE_TURN_MS;

    uv_timer_start(timer, on_timer, busy ? TURN_MS : idle_ms, 0);
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_bouncers *b = handle->data;

    if (--b->handles == 0)
        free(b);
}

int gv_bouncers_start(struct gv_bouncers **out, const struct gv_bouncers_options *options,
                      struct gv_text *error)
{
    struct gv_bouncers *b = calloc(1, sizeof *b);
    uint8_t key[16];

    *out = NULL;
    if (!b)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    b->options = *options;
    b->options.store_key = NULL;
    if (!b->options.unix_ms)
        b->options.unix_ms = wall_clock;
    snprintf(b->host, sizeof b->host, "%s", options->host ? options->host : "");
    int rc = gv_bouncer_keys_open(&b->keys, options->folder, options->store_key, error);
    if (rc == GV_OK) {
        randombytes_buf(key, sizeof key);
        /* Ids that no run before this one has given. */
        b->bans = gv_bans_new(key, gv_bouncers_now_ms(b), options->lifted_max);
        gv_wipe(key, sizeof key);
        if (!b->bans)
            rc = gv_fail(error, GV_ERR_MEMORY, "out of memory");
    }
    if (rc != GV_OK) {
        gv_bouncer_keys_close(b->keys);
        free(b);
        return rc;
    }
    gv_slices_init(&b->slices, options->loop, gv_bouncers_slice, b);
    b->handles = 2;
    gv_bouncers_sync(b);
    gv_slices_finish(&b->slices); /* nobody is served yet */
    gv_bouncers_watch(b);
    uv_timer_init(options->loop, &b->timer);
    b->timer.data = b;
    uv_timer_start(&b->timer, on_timer, TURN_MS, 0);
    uv_unref((uv_handle_t *)&b->timer);
    *out = b;
    return GV_OK;
}

void gv_bouncers_stop(struct gv_bouncers *b)
{
    if (!b)
        return;
    b->stopped = true;
    gv_bouncers_end_sync(b);
    free(b->ranges);
    b->ranges = NULL;
    gv_bans_free(b->bans);
    b->bans = NULL;
    gv_bouncer_keys_close(b->keys);
    b->keys = NULL;
    uv_close((uv_handle_t *)&b->timer, on_closed);
    gv_slices_close(&b->slices, on_closed);
}

void gv_bouncers_configure(struct gv_bouncers *b, bool enforced, bool untrusted)
{
    if (!b)
        return;
    bool same = b->options.enforced == enforced && b->options.untrusted == untrusted;
    b->options.enforced = enforced;
    b->options.untrusted = untrusted;
    if (same)
        gv_bouncers_tell_ranges(b);
    else
        gv_bouncers_sync(b);
}

void gv_bouncers_lists_changed(struct gv_bouncers *b)
{
    if (b)
        gv_bouncers_tell_ranges(b);
}
