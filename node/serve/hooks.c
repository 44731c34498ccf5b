#include "node/serve/hooks.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/fetch.h"
#include "node/base/keyfile.h"
#include "node/base/log.h"
#include "node/serve/hook_exec.h"
#include "node/serve/hook_queue.h"

#define GATHER_MS    200u    /* what changes within it goes together */
#define BACKOFF_MS   1000u   /* doubled with each failure, */
#define BACKOFF_MAX  300000u /* up to this, and a quarter less or more at random */
#define REFUSALS_MAX 5u      /* then a batch that is refused for what it is goes */
#define ANSWER_MAX   65536u
#define RUN_TEXT     17

enum { EXEC, WEBHOOK, HOOKS };
static const char *const names[HOOKS] = {"exec", "webhook"};

/* Delivers one queue, a batch at a time, in order. */
struct sender {
    struct gv_hooks *hooks;
    int kind;
    char *target; /* owned; NULL: none */
    struct gv_hook_queue queue;
    uv_timer_t timer;
    struct gv_hook_exec *run;
    struct gv_fetch *fetch;
    bool busy;
    unsigned failures; /* in a row */
    uint64_t last, dropped;
    size_t count;
    uint64_t delivered, failed, lost; /* since the start; changes, deliveries, changes */
    struct gv_text error;             /* of the last failure; "" */
};

struct gv_hooks {
    uv_loop_t *loop;
    const struct gv_core *core;
    struct gv_feed_watcher watcher;
    struct sender senders[HOOKS];
    unsigned open; /* timers */
    bool stopping;
    uint64_t timeout_ms;
    uint8_t instance[GV_ID_LEN];
    char run[RUN_TEXT]; /* names this start of the daemon: numbers begin anew with it */
    bool has_key;
    uint8_t key[GV_SECRET_LEN];
};

/* ---- success and failure -------------------------------------------------------------------- */

static void on_due(uv_timer_t *timer);

static void plan(struct sender *s, uint64_t after_ms)
{
    if (!s->hooks->stopping && !s->busy && s->target && s->queue.count > 0)
        uv_timer_start(&s->timer, on_due, after_ms, 0);
}

static uint64_t backoff(unsigned failures)
{
    uint64_t ms = BACKOFF_MS;

    for (unsigned i = 1; i < failures && ms < BACKOFF_MAX; i++)
        ms *= 2;
    ms = ms < BACKOFF_MAX ? ms : BACKOFF_MAX;
    return ms * 3 / 4 + randombytes_uniform((uint32_t)(ms / 2));
}

static void succeeded(struct sender *s)
{
    s->busy = false;
    if (s->failures > 0)
        gv_log(GV_LOG_NOTICE, "[hooks] %s works again", names[s->kind]);
    s->failures = 0;
    s->error.text[0] = '\0';
    s->delivered += s->count;
    gv_hook_queue_done(&s->queue, s->last, s->dropped);
    plan(s, s->queue.count >= GV_HOOK_BATCH_MAX ? 0 : GATHER_MS);
}

/* `for_ever`: the same again will not do any better. */
static void failed(struct sender *s, bool for_ever, const struct gv_text *why)
{
    s->busy = false;
    if (!s->target)
        return; /* taken out of the configuration meanwhile */
    s->failed++;
    s->failures++;
    if (strcmp(s->error.text, why->text) != 0)
        gv_log_limited(GV_LOG_WARNING, "[hooks] %s: %s; tried again, with %zu changes waiting",
                       names[s->kind], why->text, s->queue.count);
    s->error = *why;
    if (for_ever && s->failures % REFUSALS_MAX == 0) {
        uint64_t before = s->queue.count;
        gv_hook_queue_done(&s->queue, s->last, 0);
        s->queue.dropped += before - s->queue.count;
        s->lost += before - s->queue.count;
        gv_log_limited(GV_LOG_ERROR, "[hooks] %s: %zu changes are given up after %u attempts",
                       names[s->kind], (size_t)(before - s->queue.count), REFUSALS_MAX);
    }
    plan(s, backoff(s->failures));
}

/* ---- the two ways --------------------------------------------------------------------------- */

static void on_run(void *context, int rc, const struct gv_text *why)
{
    struct sender *s = context;

    s->run = NULL;
    if (rc == GV_OK)
        succeeded(s);
    else
        failed(s, true, why);
}

static void run_program(struct sender *s, char *body)
{
    struct gv_text why = {""};

    if (gv_hook_exec_start(&s->run, s->hooks->loop, s->target, body, s->count, s->hooks->timeout_ms,
                           on_run, s, &why) != GV_OK)
        failed(s, false, &why);
}

static void on_answer(void *context, struct gv_fetch_result *result)
{
    struct sender *s = context;
    struct gv_text why = result->text;
    unsigned status = result->status;

    s->fetch = NULL;
    if (result->error == GV_OK && status / 100 == 2) {
        succeeded(s);
        return;
    }
    if (result->error == GV_OK)
        gv_fail(&why, 0, "it answered %u%s", status,
                status / 100 == 3 ? "; redirects are not followed, write the right address" : "");
    failed(s, result->error == GV_OK && status / 100 == 4 && status != 408 && status != 429, &why);
}

/* Over the time as well, so that an old delivery cannot be played again for ever. */
static void sign(const struct gv_hooks *hooks, char out[160], const char *body)
{
    crypto_auth_hmacsha256_state state;
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    char stamp[32], hex[2 * sizeof mac + 1];

    snprintf(stamp, sizeof stamp, "%lld.", (long long)time(NULL));
    crypto_auth_hmacsha256_init(&state, hooks->key, sizeof hooks->key);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)stamp, strlen(stamp));
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)body, strlen(body));
    crypto_auth_hmacsha256_final(&state, mac);
    gv_wipe(&state, sizeof state);
    gv_hex(hex, mac, sizeof mac);
    snprintf(out, 160, "X-Grapevine-Signature: t=%.*s,v1=%s", (int)strlen(stamp) - 1, stamp, hex);
}

static void post(struct sender *s, char *body)
{
    char signature[160];
    struct gv_text why = {""};
    struct gv_fetch_request request = {.url = s->target,
                                       .body = body,
                                       .body_len = strlen(body),
                                       .connect_ms = (uint32_t)s->hooks->timeout_ms,
                                       .total_ms = (uint32_t)s->hooks->timeout_ms,
                                       .response_max = ANSWER_MAX,
                                       /* The log has it not, nor the status. */
                                       .secret_url = true};

    if (s->hooks->has_key) {
        sign(s->hooks, signature, body);
        request.header = signature;
    }
    int rc = gv_fetch_start(&s->fetch, s->hooks->loop, &request, on_answer, s);
    free(body);
    if (rc != GV_OK) {
        gv_fail(&why, rc, "out of memory");
        failed(s, false, &why);
    }
}

static void on_due(uv_timer_t *timer)
{
    struct sender *s = timer->data;
    struct gv_text why = {""};

    if (s->busy || !s->target || s->queue.count == 0)
        return;
    char *body = gv_hook_queue_body(&s->queue, &s->last, &s->dropped, &s->count, s->hooks->instance,
                                    s->hooks->run);
    s->busy = true;
    if (!body) {
        gv_fail(&why, GV_ERR_MEMORY, "out of memory");
        failed(s, false, &why);
    } else if (s->kind == EXEC) {
        run_program(s, body);
    } else {
        post(s, body);
    }
}

static void push(struct gv_hooks *hooks, const struct gv_change *change)
{
    for (int i = 0; i < HOOKS; i++) {
        struct sender *s = &hooks->senders[i];
        if (!s->target)
            continue;
        if (!gv_hook_queue_push(&s->queue, change)) {
            s->lost++;
            gv_log_limited(GV_LOG_WARNING,
                           "[hooks] %s: the queue is full, the oldest change is "
                           "dropped",
                           names[i]);
        }
        if (!uv_is_active((uv_handle_t *)&s->timer))
            plan(s, GATHER_MS);
    }
}

static void on_changed(void *context, const struct gv_subject *subject, unsigned was, unsigned is)
{
    struct gv_hooks *hooks = context;
    struct timespec now;
    struct gv_verdict verdict;

    if (hooks->stopping || (!hooks->senders[EXEC].target && !hooks->senders[WEBHOOK].target))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    struct gv_decision decision = gv_core_decide(hooks->core, &verdict, NULL, subject);
    struct gv_change change = {.subject = *subject,
                               .unix_ms =
                                   (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
                               .was = (uint8_t)was,
                               .is = (uint8_t)is,
                               .verdict = (uint8_t)verdict.state,
                               .action = (uint8_t)decision.action,
                               .reason = (uint8_t)decision.reason};
    push(hooks, &change);
}

void gv_hooks_alert(struct gv_hooks *hooks, const struct gv_alert *alert)
{
    struct gv_change change = {.alert = *alert};

    if (hooks && !hooks->stopping)
        push(hooks, &change);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool wanted(const char *text)
{
    return text && *text;
}

static int read_key(struct gv_hooks *hooks, const struct gv_options *o, struct gv_text *error)
{
    uint8_t key[GV_SECRET_LEN];

    if (!wanted(o->webhook_key)) {
        hooks->has_key = false;
        return GV_OK;
    }
    int rc = gv_keyfile_read(key, o->webhook_key, error);
    if (rc == GV_OK) {
        memcpy(hooks->key, key, sizeof key);
        hooks->has_key = true;
    }
    gv_wipe(key, sizeof key);
    return rc;
}

static int set_target(struct sender *s, const char *target, struct gv_text *error)
{
    char *copy = wanted(target) ? strdup(target) : NULL;

    if (wanted(target) && !copy)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    free(s->target);
    s->target = copy;
    if (!copy) {
        uv_timer_stop(&s->timer);
        gv_hook_queue_limit(&s->queue, 0);
        s->queue.dropped = 0;
        s->error.text[0] = '\0';
    }
    return GV_OK;
}

/* Checked first, changed then. */
static int take_options(struct gv_hooks *hooks, const struct gv_options *o, struct gv_text *error)
{
    int rc = wanted(o->hook_exec) ? gv_hook_exec_check(o->hook_exec, error) : GV_OK;

    if (rc == GV_OK)
        rc = read_key(hooks, o, error);
    for (int i = 0; i < HOOKS && rc == GV_OK; i++)
        rc = set_target(&hooks->senders[i], i == EXEC ? o->hook_exec : o->webhook, error);
    if (rc != GV_OK)
        return rc;
    hooks->timeout_ms = (uint64_t)o->hook_timeout_s * 1000;
    for (int i = 0; i < HOOKS; i++)
        if (hooks->senders[i].target)
            gv_hook_queue_limit(&hooks->senders[i].queue, (size_t)o->hook_queue);
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_hooks *hooks = ((struct sender *)handle->data)->hooks;

    if (--hooks->open > 0)
        return;
    for (int i = 0; i < HOOKS; i++) {
        gv_hook_queue_free(&hooks->senders[i].queue);
        free(hooks->senders[i].target);
    }
    gv_wipe(hooks->key, sizeof hooks->key);
    free(hooks);
}

int gv_hooks_start(struct gv_hooks **out, uv_loop_t *loop, const struct gv_core *core,
                   struct gv_feed *feed, const struct gv_options *options, struct gv_text *error)
{
    struct gv_hooks *hooks = calloc(1, sizeof *hooks);
    struct gv_core_status status;
    uint8_t random[RUN_TEXT / 2];

    *out = NULL;
    if (!hooks)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    hooks->loop = loop;
    hooks->core = core;
    gv_core_status(core, &status);
    memcpy(hooks->instance, status.instance, sizeof hooks->instance);
    randombytes_buf(random, sizeof random);
    gv_hex(hooks->run, random, sizeof random);
    for (int i = 0; i < HOOKS; i++) {
        struct sender *s = &hooks->senders[i];
        s->hooks = hooks;
        s->kind = i;
        gv_hook_queue_init(&s->queue, 0);
        uv_timer_init(loop, &s->timer);
        s->timer.data = s;
        hooks->open++;
    }
    int rc = take_options(hooks, options, error);
    if (rc != GV_OK) {
        gv_hooks_stop(hooks);
        return rc;
    }
    hooks->watcher = (struct gv_feed_watcher){.context = hooks, .changed = on_changed};
    gv_feed_watch(feed, &hooks->watcher);
    *out = hooks;
    return GV_OK;
}

void gv_hooks_stop(struct gv_hooks *hooks)
{
    if (!hooks)
        return;
    hooks->stopping = true;
    for (int i = 0; i < HOOKS; i++) {
        gv_hook_exec_cancel(hooks->senders[i].run);
        gv_fetch_cancel(hooks->senders[i].fetch);
        uv_close((uv_handle_t *)&hooks->senders[i].timer, on_closed);
    }
}

void gv_hooks_configure(struct gv_hooks *hooks, const struct gv_options *options)
{
    struct gv_text why = {""};

    if (!hooks)
        return;
    if (take_options(hooks, options, &why) != GV_OK)
        gv_log(GV_LOG_ERROR, "%s; the hooks stay as they were", why.text);
    for (int i = 0; i < HOOKS; i++) {
        hooks->senders[i].failures = 0; /* perhaps it was mended */
        plan(&hooks->senders[i], GATHER_MS);
    }
}

static json_t *sender_json(const struct sender *s)
{
    if (!s->target)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "waiting", (json_int_t)s->queue.count,
                     "delivered", (json_int_t)s->delivered, "failed_deliveries",
                     (json_int_t)s->failed, "lost", (json_int_t)s->lost, "error",
                     s->error.text[0] ? json_string(s->error.text) : json_null());
}

json_t *gv_hooks_json(const struct gv_hooks *hooks)
{
    if (!hooks)
        return json_null();
    return json_pack("{s:o, s:o}", "exec", sender_json(&hooks->senders[EXEC]), "webhook",
                     sender_json(&hooks->senders[WEBHOOK]));
}
