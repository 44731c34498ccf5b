#include "node/serve/feed.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/log.h"

#define LISTS 4 /* the listing, the mesh, local history, locks of own hosts */

struct gv_feed {
    const struct gv_core *core;
    struct gv_listing *listing;
    struct gv_feed_watcher *watchers;
    uv_timer_t timer;
    size_t of_listing, of_mesh, of_history, of_own; /* where the sweep is */
    bool done[LISTS];                               /* these are gone through */
    uint64_t round_ms[LISTS];                       /* since when */
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

/* Where the sweep is within one of the lists: false at its end. */
typedef bool next_subject(struct gv_feed *feed, struct gv_subject *out);

static bool next_listed(struct gv_feed *feed, struct gv_subject *out)
{
    unsigned bits;

    return gv_listing_next(feed->listing, &feed->of_listing, out, &bits);
}

static bool next_of_mesh(struct gv_feed *feed, struct gv_subject *out)
{
    return gv_core_next_subject(feed->core, &feed->of_mesh, out);
}

static bool next_of_history(struct gv_feed *feed, struct gv_subject *out)
{
    return gv_core_next_local(feed->core, &feed->of_history, out);
}

static bool next_own_lock(struct gv_feed *feed, struct gv_subject *out)
{
    return gv_core_next_own_lock(feed->core, &feed->of_own, out);
}

static next_subject *const lists[LISTS] = {next_listed, next_of_mesh, next_of_history,
                                           next_own_lock};

static void begin(struct gv_feed *feed, size_t list, uint64_t now_ms)
{
    size_t *const cursors[LISTS] = {&feed->of_listing, &feed->of_mesh, &feed->of_history,
                                    &feed->of_own};

    *cursors[list] = 0;
    feed->done[list] = false;
    feed->round_ms[list] = now_ms;
}

static void sweep(struct gv_feed *feed, size_t count)
{
    struct gv_subject subject;

    for (size_t list = 0; list < LISTS; list++)
        for (size_t i = 0; i < count && !feed->done[list]; i++) {
            if (lists[list](feed, &subject))
                gv_feed_subject(feed, &subject);
            else
                feed->done[list] = true;
        }
}

static void on_timer(uv_timer_t *timer)
{
    struct gv_feed *feed = timer->data;
    uint64_t now_ms = uv_now(timer->loop);

    for (size_t list = 0; list < LISTS; list++)
        if (feed->done[list] && now_ms - feed->round_ms[list] >= GV_FEED_ROUND_MS)
            begin(feed, list, now_ms);
    sweep(feed, GV_FEED_SWEEP_COUNT);
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
    for (size_t list = 0; list < LISTS; list++)
        begin(feed, list, uv_now(feed->timer.loop));
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
    uv_timer_init(loop, &feed->timer);
    feed->timer.data = feed;
    gv_feed_all(feed);
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
