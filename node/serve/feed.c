#include "node/serve/feed.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/log.h"

struct gv_feed {
    const struct gv_core *core;
    struct gv_listing *listing;
    struct gv_feed_watcher *watchers;
    uv_timer_t timer;
    size_t of_listing, of_mesh, of_history, of_own; /* where the sweep is */
};

static bool vetoed(enum gv_reason reason)
{
    return reason == GV_REASON_ALLOW_LISTED || reason == GV_REASON_CLEAN_HERE;
}

static unsigned decide(const struct gv_core *core, const struct gv_subject *subject)
{
    struct gv_verdict verdict;
    struct gv_decision decision = gv_core_decide(core, &verdict, NULL, subject);
    unsigned bits = 0;

    if (decision.action == GV_ACTION_REFUSE)
        bits |= GV_LISTED_REFUSED;
    if (verdict.state == GV_VERDICT_UNTRUSTED && !vetoed(decision.reason))
        bits |= GV_LISTED_UNTRUSTED;
    return bits;
}

void gv_feed_subject(struct gv_feed *feed, const struct gv_subject *subject)
{
    unsigned was = gv_listing_get(feed->listing, subject), is = decide(feed->core, subject);

    if (was == is)
        return;
    if (gv_listing_set(feed->listing, subject, is) != GV_OK) {
        gv_log_limited(GV_LOG_ERROR, "out of memory: an address is not listed for enforcement");
        return; /* the sweep tries again */
    }
    for (struct gv_feed_watcher *w = feed->watchers; w; w = w->next)
        w->changed(w->context, subject, was, is);
}

void gv_feed_watch(struct gv_feed *feed, struct gv_feed_watcher *watcher)
{
    watcher->next = feed->watchers;
    feed->watchers = watcher;
}

static void sweep(struct gv_feed *feed, size_t count)
{
    struct gv_subject subject;
    unsigned bits;

    for (size_t i = 0; i < count; i++) {
        if (!gv_listing_next(feed->listing, &feed->of_listing, &subject, &bits)) {
            feed->of_listing = 0;
            break;
        }
        gv_feed_subject(feed, &subject);
    }
    for (size_t i = 0; i < count; i++) {
        if (!gv_core_next_subject(feed->core, &feed->of_mesh, &subject)) {
            feed->of_mesh = 0;
            break;
        }
        gv_feed_subject(feed, &subject);
    }
    for (size_t i = 0; i < count; i++) {
        if (!gv_core_next_local(feed->core, &feed->of_history, &subject)) {
            feed->of_history = 0;
            break;
        }
        gv_feed_subject(feed, &subject);
    }
    for (size_t i = 0; i < count; i++) {
        if (!gv_core_next_own_lock(feed->core, &feed->of_own, &subject)) {
            feed->of_own = 0;
            break;
        }
        gv_feed_subject(feed, &subject);
    }
}

static void on_timer(uv_timer_t *timer)
{
    sweep(timer->data, GV_FEED_SWEEP_COUNT);
}

/* Single addresses of the deny list, of IPv6 whatever lies in one /64, so that what enumerates the
 * listing has them. */
static void list_denied(struct gv_feed *feed)
{
    const struct gv_settings *settings = gv_core_settings(feed->core);
    struct gv_prefix prefix;
    size_t cursor = 0;
    bool deny;

    for (size_t i = 0; i < settings->deny_count; i++)
        if (settings->deny[i].bits >= (settings->deny[i].family == GV_FAMILY_IPV4 ? 32 : 64)) {
            struct gv_subject subject = {.family = settings->deny[i].family};
            memcpy(subject.bytes, settings->deny[i].bytes, sizeof subject.bytes);
            gv_feed_subject(feed, &subject);
        }
    while (gv_core_next_listed(feed->core, &cursor, &prefix, &deny))
        if (deny && prefix.bits >= (prefix.family == GV_FAMILY_IPV4 ? 32 : 64)) {
            struct gv_subject subject = {.family = prefix.family};
            memcpy(subject.bytes, prefix.bytes, sizeof subject.bytes);
            gv_feed_subject(feed, &subject);
        }
}

void gv_feed_all(struct gv_feed *feed)
{
    feed->of_listing = feed->of_mesh = feed->of_history = feed->of_own = 0;
    sweep(feed, SIZE_MAX);
    list_denied(feed);
}

static bool has_deny_range(const struct gv_core *core)
{
    struct gv_prefix prefix;
    size_t cursor = 0;
    bool deny;

    if (gv_core_settings(core)->deny_count > 0)
        return true;
    while (gv_core_next_listed(core, &cursor, &prefix, &deny))
        if (deny)
            return true;
    return false;
}

unsigned gv_feed_look(const struct gv_feed *feed, const struct gv_subject *subject)
{
    unsigned bits = gv_listing_get(feed->listing, subject);

    return bits == 0 && has_deny_range(feed->core) ? decide(feed->core, subject) : bits;
}

const struct gv_listing *gv_feed_listing(const struct gv_feed *feed)
{
    return feed->listing;
}

int gv_feed_start(struct gv_feed **out, uv_loop_t *loop, const struct gv_core *core)
{
    struct gv_feed *feed = calloc(1, sizeof *feed);
    uint8_t key[16];

    *out = NULL;
    if (!feed)
        return GV_ERR_MEMORY;
    randombytes_buf(key, sizeof key);
    feed->core = core;
    feed->listing = gv_listing_new(key);
    gv_wipe(key, sizeof key);
    if (!feed->listing) {
        free(feed);
        return GV_ERR_MEMORY;
    }
    gv_feed_all(feed);
    uv_timer_init(loop, &feed->timer);
    feed->timer.data = feed;
    uv_timer_start(&feed->timer, on_timer, GV_FEED_SWEEP_MS, GV_FEED_SWEEP_MS);
    uv_unref((uv_handle_t *)&feed->timer);
    *out = feed;
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_feed *feed = handle->data;

    gv_listing_free(feed->listing);
    free(feed);
}

void gv_feed_stop(struct gv_feed *feed)
{
    if (!feed)
        return;
    feed->core = NULL;
    uv_close((uv_handle_t *)&feed->timer, on_closed);
}
