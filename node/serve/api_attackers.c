/* GET attackers: who has tried passwords here in the last hour, those with the most failures of the
 * day first. All of local history is gone through a few rows at a time, once for all who ask
 * meanwhile, and what was found is told for two seconds more: a thousand dashboards cost what one
 * does. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/serve/answer.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"

#define SLICE      512u /* subjects in one turn of the loop */
#define TOP        20u
#define HOUR_MS    3600000u
#define KEPT_MS    2000u
#define ASKING_MAX 64u

struct attacker {
    struct gv_subject subject;
    struct gv_history_summary history;
};

struct gv_api_attackers {
    uv_timer_t timer;
    uv_loop_t *loop;
    const struct gv_core *core;
    struct gv_http_request *asking[ASKING_MAX]; /* NULL: free */
    size_t cursor;
    struct attacker top[TOP];
    size_t count, addresses;
    uint64_t attempts; /* of the day, by all of them */
    bool walking;
    json_t *latest;
    uint64_t latest_ms;
};

static bool before(const struct attacker *x, const struct attacker *y)
{
    if (x->history.failures_day != y->history.failures_day)
        return x->history.failures_day > y->history.failures_day;
    return x->history.last_failure_ms > y->history.last_failure_ms;
}

static void offer(struct gv_api_attackers *a, const struct attacker *one)
{
    size_t at = a->count;

    while (at > 0 && before(one, &a->top[at - 1]))
        at--;
    if (at == TOP)
        return;
    size_t moved = (a->count < TOP ? a->count : TOP - 1) - at;
    memmove(&a->top[at + 1], &a->top[at], moved * sizeof *a->top);
    a->top[at] = *one;
    a->count += a->count < TOP;
}

/* A user's slip of the finger is no attack, and his address on no page (SPEC 15); one that is
 * locked here is shown, whoever logged in from it. */
static bool attacks(const struct gv_history_summary *h, uint64_t now)
{
    return h->last_failure_ms != 0 && h->last_failure_ms + HOUR_MS >= now &&
           (h->last_success_ms == 0 || h->locked_until_ms > now);
}

/* False: that was all. */
static bool go_on(struct gv_api_attackers *a)
{
    uint64_t now = gv_unix_ms();
    struct attacker one;

    for (unsigned i = 0; i < SLICE; i++) {
        if (!gv_core_next_local(a->core, &a->cursor, &one.subject))
            return false;
        if (gv_core_history(a->core, &one.history, &one.subject) != GV_OK ||
            !attacks(&one.history, now))
            continue;
        a->addresses++;
        a->attempts += one.history.failures_day;
        offer(a, &one);
    }
    return true;
}

static json_t *attacker_json(const struct gv_core *core, const struct attacker *one)
{
    struct gv_verdict verdict;
    struct gv_decision decision = gv_core_decide(core, &verdict, NULL, &one->subject);
    char text[GV_SUBJECT_TEXT];

    gv_subject_text(text, &one->subject);
    return json_pack(
        "{s:s, s:I, s:I, s:o, s:o, s:s, s:s, s:b}", "subject", text, "failures",
        (json_int_t)one->history.failures_day, "visits", (json_int_t)one->history.visits_week,
        "first", gv_api_time(one->history.first_failure_ms), "last",
        gv_api_time(one->history.last_failure_ms), "verdict", gv_verdict_state_name(verdict.state),
        "action", gv_action_name(decision.action), "locked",
        (int)(one->history.locked_until_ms > gv_unix_ms()));
}

static json_t *found_json(const struct gv_api_attackers *a)
{
    json_t *list = json_array();

    for (size_t i = 0; i < a->count; i++)
        json_array_append_new(list, attacker_json(a->core, &a->top[i]));
    return json_pack("{s:o, s:I, s:I}", "attackers", list, "addresses", (json_int_t)a->addresses,
                     "attempts", (json_int_t)a->attempts);
}

static void on_timer(uv_timer_t *timer)
{
    struct gv_api_attackers *a = timer->data;

    if (go_on(a)) {
        uv_timer_start(timer, on_timer, 1, 0);
        return;
    }
    a->walking = false;
    json_decref(a->latest);
    a->latest = found_json(a);
    a->latest_ms = uv_now(a->loop);
    for (size_t i = 0; i < ASKING_MAX; i++) {
        struct gv_http_request *request = a->asking[i];
        a->asking[i] = NULL;
        if (!request)
            continue;
        gv_http_on_closed(request, NULL, NULL);
        gv_answer_json(request, json_incref(a->latest));
    }
}

static void gone(void *context)
{
    *(struct gv_http_request **)context = NULL;
}

static void start_walk(struct gv_api_attackers *a)
{
    if (a->walking)
        return;
    a->walking = true;
    a->cursor = a->count = a->addresses = 0;
    a->attempts = 0;
    uv_timer_start(&a->timer, on_timer, 0, 0);
}

static struct gv_api_attackers *of(struct gv_api *api)
{
    struct gv_api_attackers *a = api->attackers;

    if (a || !(a = calloc(1, sizeof *a)))
        return a;
    a->loop = api->options.loop;
    a->core = gv_driver_core(api->options.driver);
    uv_timer_init(a->loop, &a->timer);
    a->timer.data = a;
    return api->attackers = a;
}

void gv_api_get_attackers(struct gv_http_request *request, void *context)
{
    struct gv_api_attackers *a = of(context);
    size_t free_at = 0;

    if (!a) {
        gv_http_respond_json(request, 500, NULL);
        return;
    }
    if (a->latest && uv_now(a->loop) - a->latest_ms < KEPT_MS) {
        gv_answer_json(request, json_incref(a->latest));
        return;
    }
    while (free_at < ASKING_MAX && a->asking[free_at])
        free_at++;
    if (free_at == ASKING_MAX) {
        gv_http_add_header(request, "Retry-After", "5");
        gv_http_error(request, 503, "busy", "%u ask for the attackers already; ask again later",
                      ASKING_MAX);
        return;
    }
    a->asking[free_at] = request;
    gv_http_on_closed(request, gone, &a->asking[free_at]);
    start_walk(a);
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_api_attackers *a = handle->data;

    json_decref(a->latest);
    free(a);
}

void gv_api_attackers_free(struct gv_api_attackers *attackers)
{
    if (attackers)
        uv_close((uv_handle_t *)&attackers->timer, on_closed);
}
