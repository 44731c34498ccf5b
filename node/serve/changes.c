#include "node/serve/changes.h"

#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "crypto/error.h"
#include "node/base/rfc3339.h"
#include "node/host/driver.h"
#include "proto/core.h"

#define TICK_MS     250u /* how often those who have waited long enough are looked for */
#define SERIAL_TEXT 32

struct change {
    struct gv_subject subject;
    uint8_t was, is;
    uint64_t at_ms;
};

struct waiter {
    TAILQ_ENTRY(waiter) list;
    struct gv_changes *changes;
    struct gv_http_request *request;
    uint64_t since, until_ms;
};

struct gv_changes {
    uv_loop_t *loop;
    uv_timer_t timer;
    const struct gv_core *core;
    struct gv_feed_watcher watcher;
    /* A serial of another run of the daemon, or of a server before, is told by this. */
    uint32_t run;
    uint64_t count;                      /* changes so far: the serial */
    uint64_t first;                      /* those before it name who was erased since: gone */
    struct change kept[GV_CHANGES_KEPT]; /* the last of them, change n at n % GV_CHANGES_KEPT */
    uint64_t changed_ms;
    TAILQ_HEAD(, waiter) waiters; /* in the order they came */
    size_t waiting, refused, untrusted;
    /* The latest answer: those who wait mostly wait for the same. */
    struct gv_http_shared *latest;
    uint64_t latest_since, latest_count;
};

/* ---- serials -------------------------------------------------------------------------------- */

static void serial_text(char out[SERIAL_TEXT], const struct gv_changes *c, uint64_t serial)
{
    snprintf(out, SERIAL_TEXT, "%08" PRIx32 "-%" PRIu64, c->run, serial);
}

static bool digits(uint64_t *out, const char *text, size_t len, unsigned base)
{
    static const char all[] = "0123456789abcdef";

    *out = 0;
    for (size_t i = 0; i < len; i++) {
        const char *found = text[i] ? memchr(all, text[i], base) : NULL;
        if (!found)
            return false;
        *out = *out * base + (uint64_t)(found - all);
    }
    return len > 0;
}

/* False: it is none. A serial of another run is the one before the first. */
static bool read_serial(uint64_t *out, bool *foreign, const struct gv_changes *c, const char *text)
{
    uint64_t run;
    size_t len = strlen(text);

    if (len < 10 || len > 28 || text[8] != '-' || !digits(&run, text, 8, 16) ||
        !digits(out, text + 9, len - 9, 10))
        return false;
    *foreign = run != c->run || *out > c->count;
    return true;
}

/* ---- answers -------------------------------------------------------------------------------- */

static json_t *bits_json(unsigned bits)
{
    json_t *list = json_array();

    if (bits & GV_LISTED_REFUSED)
        json_array_append_new(list, json_string("refuse"));
    if (bits & GV_LISTED_UNTRUSTED)
        json_array_append_new(list, json_string("untrusted"));
    return list;
}

static json_t *change_json(const struct gv_changes *c, const struct change *change)
{
    struct gv_verdict verdict;
    char text[GV_SUBJECT_TEXT];
    struct gv_decision decision = gv_core_decide(c->core, &verdict, NULL, &change->subject);

    gv_subject_text(text, &change->subject);
    char at[GV_RFC3339_TEXT];
    gv_rfc3339(at, change->at_ms);
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:s}", "subject", text, "time", at, "was",
                     bits_json(change->was), "is", bits_json(change->is), "verdict",
                     gv_verdict_state_name(verdict.state), "action",
                     gv_action_name(decision.action));
}

static struct gv_http_shared *render(const struct gv_changes *c, uint64_t since, bool reset)
{
    json_t *list = json_array();
    char serial[SERIAL_TEXT];
    uint64_t end =
        reset || c->count - since <= GV_CHANGES_ANSWER ? c->count : since + GV_CHANGES_ANSWER;

    for (uint64_t n = reset ? end : since; n < end; n++)
        json_array_append_new(list, change_json(c, &c->kept[n % GV_CHANGES_KEPT]));
    serial_text(serial, c, end);
    json_t *json =
        json_pack("{s:s, s:b, s:o}", "serial", serial, "reset", (int)reset, "changes", list);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text ? gv_http_shared_new(text, strlen(text)) : NULL;
}

/* `reset`: what the client knows is of another run, or too long ago; it must read the lists anew.
 */
static void answer(struct gv_changes *c, struct gv_http_request *request, uint64_t since,
                   bool reset)
{
    reset = reset || since < c->first || c->count - since > GV_CHANGES_KEPT;
    if (reset)
        since = UINT64_MAX;
    if (!c->latest || c->latest_since != since || c->latest_count != c->count) {
        gv_http_shared_release(c->latest);
        c->latest = render(c, since, reset);
        c->latest_since = since;
        c->latest_count = c->count;
    }
    if (c->latest)
        gv_http_respond_shared(request, 200, "application/json", c->latest);
    else
        gv_http_respond_json(request, 500, NULL);
}

/* ---- who waits ------------------------------------------------------------------------------ */

static void remove_waiter(struct waiter *waiter)
{
    struct gv_changes *c = waiter->changes;

    TAILQ_REMOVE(&c->waiters, waiter, list);
    c->waiting--;
    free(waiter);
}

static void gone(void *context)
{
    remove_waiter(context);
}

static void on_timer(uv_timer_t *timer);

static void set_timer(struct gv_changes *c, uint64_t ms)
{
    if (c->waiting > 0)
        uv_timer_start(&c->timer, on_timer, ms, 0);
}

/* Those who have something to hear, a few at a time, and those who have waited long enough. */
static void on_timer(uv_timer_t *timer)
{
    struct gv_changes *c = timer->data;
    uint64_t now = uv_now(c->loop), next = TICK_MS;
    unsigned answered = 0;

    for (struct waiter *w = TAILQ_FIRST(&c->waiters), *after; w; w = after) {
        after = TAILQ_NEXT(w, list);
        if (w->since == c->count && now < w->until_ms)
            continue;
        if (answered++ == GV_CHANGES_AT_ONCE) {
            next = 1;
            break;
        }
        struct gv_http_request *request = w->request;
        uint64_t since = w->since;
        gv_http_on_closed(request, NULL, NULL);
        remove_waiter(w);
        answer(c, request, since, false);
    }
    set_timer(c, next);
}

static void changed(void *context, const struct gv_subject *subject, unsigned was, unsigned is)
{
    struct gv_changes *c = context;

    c->kept[c->count++ % GV_CHANGES_KEPT] = (struct change){
        .subject = *subject, .was = (uint8_t)was, .is = (uint8_t)is, .at_ms = gv_unix_ms()};
    c->refused += ((is & GV_LISTED_REFUSED) != 0) - (size_t)((was & GV_LISTED_REFUSED) != 0);
    c->untrusted += ((is & GV_LISTED_UNTRUSTED) != 0) - (size_t)((was & GV_LISTED_UNTRUSTED) != 0);
    uint64_t now = uv_now(c->loop);
    if (now - c->changed_ms >= GV_CHANGES_GATHER) {
        c->changed_ms = now;
        set_timer(c, GV_CHANGES_GATHER);
    }
}

static void wait_for_change(struct gv_changes *c, struct gv_http_request *request, uint64_t since,
                            uint64_t ms)
{
    struct waiter *waiter = c->waiting < GV_CHANGES_WAITING ? calloc(1, sizeof *waiter) : NULL;

    if (!waiter) {
        gv_http_add_header(request, "Retry-After", "5");
        gv_http_error(request, 503, "busy", "%u requests wait for changes already; ask again later",
                      GV_CHANGES_WAITING);
        return;
    }
    waiter->changes = c;
    waiter->request = request;
    waiter->since = since;
    waiter->until_ms = uv_now(c->loop) + ms;
    TAILQ_INSERT_TAIL(&c->waiters, waiter, list);
    if (c->waiting++ == 0)
        set_timer(c, TICK_MS);
    gv_http_on_closed(request, gone, waiter);
    gv_http_watch(request);
}

void gv_changes_handle(struct gv_changes *c, struct gv_http_request *request)
{
    const char *since_text = gv_http_query(request, "since");
    const char *wait_text = gv_http_query(request, "wait");
    uint64_t since = c->count, wait = 0;
    bool foreign = false;

    if (wait_text && (strlen(wait_text) > 2 || !digits(&wait, wait_text, strlen(wait_text), 10) ||
                      wait > GV_CHANGES_WAIT_S)) {
        gv_http_error(request, 400, "bad-request", "wait must be a number of seconds from 0 to %u",
                      GV_CHANGES_WAIT_S);
    } else if (since_text && !read_serial(&since, &foreign, c, since_text)) {
        gv_http_error(request, 400, "bad-request",
                      "since must be the serial of an earlier answer, such as 5f3a9c1e-1234");
    } else if (foreign) {
        answer(c, request, c->count, true);
    } else if (since == c->count && since_text && wait > 0 &&
               strcmp(gv_http_method(request), "HEAD") != 0) {
        wait_for_change(c, request, since, wait * 1000);
    } else {
        answer(c, request, since, false);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

int gv_changes_start(struct gv_changes **out, uv_loop_t *loop, struct gv_feed *feed,
                     const struct gv_core *core)
{
    struct gv_changes *c = calloc(1, sizeof *c);
    struct gv_subject subject;
    size_t cursor = 0;
    unsigned bits;

    *out = NULL;
    if (!c)
        return GV_ERR_MEMORY;
    c->loop = loop;
    c->core = core;
    c->run = randombytes_random();
    TAILQ_INIT(&c->waiters);
    while (gv_listing_next(gv_feed_listing(feed), &cursor, &subject, &bits)) {
        c->refused += (bits & GV_LISTED_REFUSED) != 0;
        c->untrusted += (bits & GV_LISTED_UNTRUSTED) != 0;
    }
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    c->watcher = (struct gv_feed_watcher){.context = c, .changed = changed};
    gv_feed_watch(feed, &c->watcher);
    *out = c;
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void gv_changes_stop(struct gv_changes *changes)
{
    struct waiter *waiter;

    if (!changes)
        return;
    while ((waiter = TAILQ_FIRST(&changes->waiters)) != NULL) {
        struct gv_http_request *request = waiter->request;
        gv_http_on_closed(request, NULL, NULL);
        remove_waiter(waiter);
        gv_http_error(request, 503, "stopping", "the node is stopping, try again later");
    }
    gv_http_shared_release(changes->latest);
    uv_close((uv_handle_t *)&changes->timer, on_closed);
}

void gv_changes_dismiss(struct gv_changes *changes)
{
    struct waiter *after;

    for (struct waiter *w = TAILQ_FIRST(&changes->waiters); w; w = after) {
        struct gv_http_request *request = w->request;
        after = TAILQ_NEXT(w, list);
        if (!gv_http_peer(request)) /* on the control socket */
            continue;
        gv_http_on_closed(request, NULL, NULL);
        remove_waiter(w);
        gv_http_error(request, 401, "wrong-token",
                      "the token is another now; `grapevine token` prints it");
    }
}

void gv_changes_forget(struct gv_changes *c, const struct gv_subject *subject)
{
    uint64_t kept = c->count < GV_CHANGES_KEPT ? c->count : GV_CHANGES_KEPT, n = c->count;

    while (n > c->count - kept && n > c->first &&
           !gv_subject_equal(&c->kept[(n - 1) % GV_CHANGES_KEPT].subject, subject))
        n--;
    if (n == c->count - kept || n == c->first)
        return;
    /* Who has not heard of the last of them reads the list, where the subject is no more. */
    for (uint64_t gone = c->count - kept; gone < n; gone++)
        memset(&c->kept[gone % GV_CHANGES_KEPT], 0, sizeof c->kept[0]);
    c->first = n;
    gv_http_shared_release(c->latest);
    c->latest = NULL;
}

void gv_changes_counters(const struct gv_changes *changes, struct gv_changes_counters *out)
{
    uint64_t kept = changes->count - changes->first;

    *out = (struct gv_changes_counters){.kept =
                                            kept < GV_CHANGES_KEPT ? (size_t)kept : GV_CHANGES_KEPT,
                                        .refused = changes->refused,
                                        .untrusted = changes->untrusted,
                                        .changes = changes->count,
                                        .waiting = changes->waiting};
}
