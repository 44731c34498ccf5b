#include "node/serve/feed.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/log.h"
#include "node/host/driver.h"
#include "node/serve/ends.h"
#include "node/serve/slices.h"

#define LATELY_MS (1000ull * GV_LATELY_S)
#define MINUTE_MS 60000ull
#define STEPS     16u /* of a pass between two looks at the clock */

/* What is gone through: the listing, the deny lists, local history, locks of own hosts, the mesh.
 * Who is listed is in one of the others as well, or was on a deny list. */
enum list { LISTED, DENIED, HISTORY, OWN, MESH, LISTS };

struct walk {
    size_t cursor[LISTS];
    bool done[LISTS];
    size_t bytes; /* of the listing: of another size, all its places are others */
};

/* Once through everything, or through what lies in one prefix. */
struct pass {
    bool wanted, whole;
    struct gv_prefix prefix;
    struct walk walk;
};

struct gv_feed {
    struct gv_feed_options options;
    const struct gv_core *core; /* NULL: stopped */
    struct gv_listing *listing;
    size_t refused;
    struct gv_feed_watcher *watchers;
    struct gv_ends *ends;
    struct gv_slices slices;
    struct pass now, next; /* next: what changed meanwhile */
    bool ranges;           /* the deny lists have something */
    uv_timer_t timer, due; /* of the round; of what ends */
    unsigned handles;
    struct walk round;
    uint64_t round_ms[LISTS];       /* since when */
    uint64_t round_observed[LISTS]; /* gv_core_observed then */
    uint64_t due_ms;                /* when `due` fires; UINT64_MAX: it does not */
    uint64_t turn_ms;               /* of the loop, and how much was told of in it */
    unsigned told;
};

/* ---- one subject ----------------------------------------------------------------------------- */

static bool vetoed(enum gv_reason reason)
{
    return reason == GV_REASON_ALLOW_LISTED || reason == GV_REASON_CLEAN_HERE;
}

struct state {
    struct gv_verdict verdict;
    struct gv_action_facts facts;
    struct gv_decision decision;
};

static unsigned decide(const struct gv_core *core, struct state *out,
                       const struct gv_subject *subject)
{
    unsigned bits = 0;

    out->decision = gv_core_decide(core, &out->verdict, &out->facts, subject);
    if (out->decision.action == GV_ACTION_REFUSE)
        bits |= GV_LISTED_REFUSED;
    if (out->verdict.state == GV_VERDICT_UNTRUSTED && !vetoed(out->decision.reason))
        bits |= GV_LISTED_UNTRUSTED;
    return bits;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The first end of all that it may be listed for, unix milliseconds; UINT64_MAX: none is known.
 * What the core says is so still, although its end has come by this clock, is asked again soon. */
static uint64_t end_of(const struct gv_core *core, const struct state *state, uint64_t unix_ms,
                       const struct gv_subject *subject)
{
    struct gv_history_summary history;
    uint8_t instance[GV_ID_LEN];
    uint64_t end = UINT64_MAX;
    uint32_t seconds;

    if (gv_core_history(core, &history, subject) == GV_OK) {
        if (state->facts.locked_here)
            end = history.locked_until_ms;
        /* Lately may be what an own server says: then the row here is older. */
        if (state->facts.failed_lately && history.last_visit_ms + LATELY_MS > unix_ms)
            end = sooner(end, history.last_visit_ms + LATELY_MS);
    }
    if (state->facts.locked_by_own && gv_core_own_lock(core, subject, &seconds, instance))
        end = sooner(end, unix_ms + 1000ull * seconds);
    if (state->verdict.until_min != GV_NEVER)
        end = sooner(end, MINUTE_MS * state->verdict.until_min);
    return end;
}

static uint64_t unix_now(const struct gv_feed *feed)
{
    const struct gv_feed_options *o = &feed->options;

    return o->unix_ms ? o->unix_ms(o->context) : gv_unix_ms();
}

static void on_due(uv_timer_t *timer);

static void wake_at(struct gv_feed *feed, uint64_t at_ms)
{
    uint64_t now = uv_now(feed->options.loop);

    if (at_ms >= feed->due_ms)
        return;
    feed->due_ms = at_ms;
    uv_timer_start(&feed->due, on_due, at_ms > now ? at_ms - now : 0, 0);
}

static int put_end(struct gv_feed *feed, const struct gv_subject *subject, uint64_t at_ms)
{
    int rc = gv_ends_put(feed->ends, subject, at_ms);

    if (rc == GV_OK)
        wake_at(feed, gv_ends_look(at_ms, uv_now(feed->options.loop)));
    return rc;
}

/* Where that fails, the round comes by. */
static void await_end(struct gv_feed *feed, const struct state *state,
                      const struct gv_subject *subject)
{
    uint64_t unix_ms = unix_now(feed), end = end_of(feed->core, state, unix_ms, subject);

    if (end == UINT64_MAX)
        return;
    uint64_t ms = end > unix_ms ? end - unix_ms : 0;
    if (put_end(feed, subject, uv_now(feed->options.loop) + ms) != GV_OK)
        gv_log_limited(GV_LOG_WARNING, "what ends by itself may stay listed for minutes");
}

void gv_feed_subject(struct gv_feed *feed, const struct gv_subject *subject)
{
    struct state state;
    unsigned was = gv_listing_get(feed->listing, subject);
    unsigned is = decide(feed->core, &state, subject);

    if (is != 0)
        await_end(feed, &state, subject);
    if (was == is)
        return;
    if (gv_listing_set(feed->listing, subject, is) != GV_OK) {
        gv_log_limited(GV_LOG_ERROR, "out of memory: an address is not listed for enforcement");
        return; /* the round tries again */
    }
    feed->refused += (is & GV_LISTED_REFUSED) - (size_t)(was & GV_LISTED_REFUSED);
    for (struct gv_feed_watcher *w = feed->watchers; w; w = w->next)
        w->changed(w->context, subject, was, is);
}

void gv_feed_about(struct gv_feed *feed, const struct gv_subject *subject)
{
    uint64_t now = uv_now(feed->options.loop);

    if (now != feed->turn_ms)
        feed->told = 0;
    feed->turn_ms = now;
    if (feed->told++ < GV_FEED_AT_ONCE || put_end(feed, subject, now) != GV_OK)
        gv_feed_subject(feed, subject);
}

void gv_feed_watch(struct gv_feed *feed, struct gv_feed_watcher *watcher)
{
    watcher->next = feed->watchers;
    feed->watchers = watcher;
}

/* ---- going through them ---------------------------------------------------------------------- */

/* Single addresses of the deny lists, so that what enumerates the listing has them. A range gives
 * no subject. */
static bool next_denied(const struct gv_feed *feed, size_t *cursor, struct gv_subject *out)
{
    const struct gv_settings *settings = gv_core_settings(feed->core);
    struct gv_prefix prefix;
    bool deny = true;

    if (*cursor < settings->deny_count) {
        prefix = settings->deny[(*cursor)++];
    } else {
        size_t of_admin = *cursor - settings->deny_count;
        if (!gv_core_next_listed(feed->core, &of_admin, &prefix, &deny))
            return false;
        *cursor = of_admin + settings->deny_count;
    }
    *out = (struct gv_subject){.family = GV_FAMILY_NONE};
    if (deny && gv_prefix_is_single(&prefix))
        *out = gv_prefix_subject(&prefix);
    return true;
}

static bool next_of(const struct gv_feed *feed, enum list list, size_t *cursor,
                    struct gv_subject *out)
{
    unsigned bits;

    switch (list) {
    case LISTED:
        return gv_listing_next(feed->listing, cursor, out, &bits);
    case DENIED:
        return next_denied(feed, cursor, out);
    case HISTORY:
        return gv_core_next_local(feed->core, cursor, out);
    case OWN:
        return gv_core_next_own_lock(feed->core, cursor, out);
    default:
        return gv_core_next_subject(feed->core, cursor, out);
    }
}

/* One step of a walk through one list; false: it is at its end. `prefix` NULL: everything. */
static bool step(struct gv_feed *feed, struct walk *walk, enum list list,
                 const struct gv_prefix *prefix)
{
    struct gv_subject subject;
    size_t *cursor = &walk->cursor[list];
    uint64_t serial = gv_listing_serial(feed->listing);

    if (list == LISTED && walk->bytes != gv_listing_bytes(feed->listing)) {
        walk->bytes = gv_listing_bytes(feed->listing);
        *cursor = 0;
    }
    if (walk->done[list] || !next_of(feed, list, cursor, &subject)) {
        walk->done[list] = true;
        return false;
    }
    if (subject.family == GV_FAMILY_NONE || (prefix && !gv_prefix_matches(prefix, &subject)))
        return true;
    gv_feed_subject(feed, &subject);
    /* Another may have moved up into the place of what was taken off. */
    if (list == LISTED && gv_listing_serial(feed->listing) != serial)
        --*cursor;
    return true;
}

static void begin(struct walk *walk)
{
    *walk = (struct walk){.done = {false}};
}

/* ---- all of them at once --------------------------------------------------------------------- */

/* True: there may be more of it. */
static bool some_of_pass(struct gv_feed *feed)
{
    struct pass *pass = &feed->now;
    const struct gv_prefix *prefix = pass->whole ? NULL : &pass->prefix;
    unsigned left = STEPS;

    for (enum list list = LISTED; list < LISTS; list++)
        while (step(feed, &pass->walk, list, prefix))
            if (--left == 0)
                return true;
    *pass = feed->next;
    feed->next.wanted = false;
    return pass->wanted;
}

static bool some_of_ends(struct gv_feed *feed)
{
    uint64_t now = uv_now(feed->options.loop);
    struct gv_subject subject;
    unsigned left = STEPS;

    for (; left > 0 && gv_ends_next(feed->ends, &subject, now); left--)
        gv_feed_subject(feed, &subject);
    if (left > 0 && gv_ends_when(feed->ends) != UINT64_MAX)
        wake_at(feed, gv_ends_when(feed->ends));
    return left == 0;
}

static bool some(void *context)
{
    struct gv_feed *feed = context;
    bool ends = some_of_ends(feed), pass = feed->now.wanted && some_of_pass(feed);

    return ends || pass;
}

static void look_for_ranges(struct gv_feed *feed)
{
    struct gv_prefix prefix;
    size_t cursor = 0;

    feed->ranges = gv_core_settings(feed->core)->deny_count > 0;
    for (bool deny; !feed->ranges && gv_core_next_listed(feed->core, &cursor, &prefix, &deny);)
        feed->ranges = deny;
}

/* `prefix` NULL: everything. What changes during a pass is for the one after it. */
static void go_through(struct gv_feed *feed, const struct gv_prefix *prefix)
{
    struct pass *pass = feed->now.wanted ? &feed->next : &feed->now;

    pass->whole = !prefix || pass->wanted;
    if (prefix)
        pass->prefix = *prefix;
    pass->wanted = true;
    begin(&pass->walk);
    gv_slices_begin(&feed->slices);
}

/* Whom a denied range refuses and nothing else is not listed beside it. */
static bool is_of_range(const struct gv_feed *feed, const struct gv_subject *subject)
{
    struct gv_subject denied;
    struct state state;
    size_t cursor = 0;

    (void)decide(feed->core, &state, subject);
    if (state.decision.reason != GV_REASON_DENY_LISTED)
        return false;
    while (next_denied(feed, &cursor, &denied))
        if (gv_subject_equal(&denied, subject))
            return false;
    return true;
}

void gv_feed_prefix(struct gv_feed *feed, const struct gv_prefix *prefix)
{
    look_for_ranges(feed);
    if (gv_prefix_is_single(prefix)) {
        struct gv_subject subject = gv_prefix_subject(prefix);
        if (gv_listing_get(feed->listing, &subject) != 0 || !is_of_range(feed, &subject))
            gv_feed_subject(feed, &subject);
    } else {
        go_through(feed, prefix);
    }
}

void gv_feed_all(struct gv_feed *feed)
{
    look_for_ranges(feed);
    go_through(feed, NULL);
}

bool gv_feed_busy(const struct gv_feed *feed)
{
    return feed->now.wanted;
}

void gv_feed_finish(struct gv_feed *feed)
{
    gv_slices_finish(&feed->slices);
}

/* ---- in turn --------------------------------------------------------------------------------- */

/* When one of the lists is to be gone through further, or again: where few are on them, once in
 * two seconds and not eight times; and together with what else happens every two seconds, so that
 * the process is woken once for all of it. */
static uint64_t round_pause_ms(const struct gv_feed *feed, uint64_t now_ms)
{
    for (enum list list = LISTED; list < LISTS; list++)
        if (!feed->round.done[list])
            return GV_FEED_SWEEP_MS;
    return GV_FEED_ROUND_MS - now_ms % GV_FEED_ROUND_MS;
}

/* While nothing is observed here, the time alone makes something of a subject that nobody is told
 * of: then it is enough every now and then. */
static bool is_due_again(const struct gv_feed *feed, enum list list, uint64_t now_ms)
{
    return now_ms / GV_FEED_ROUND_MS > feed->round_ms[list] / GV_FEED_ROUND_MS &&
           (gv_core_observed(feed->core) != feed->round_observed[list] ||
            now_ms - feed->round_ms[list] >= GV_FEED_CALM_MS);
}

static void on_round(uv_timer_t *timer)
{
    struct gv_feed *feed = timer->data;
    uint64_t now_ms = uv_now(timer->loop);

    for (enum list list = LISTED; list < LISTS; list++) {
        if (feed->round.done[list] && is_due_again(feed, list, now_ms)) {
            feed->round.cursor[list] = 0;
            feed->round.done[list] = false;
            feed->round_ms[list] = now_ms;
            feed->round_observed[list] = gv_core_observed(feed->core);
        }
        for (unsigned i = 0; i < GV_FEED_SWEEP_COUNT && step(feed, &feed->round, list, NULL); i++)
            ;
    }
    uv_timer_start(timer, on_round, round_pause_ms(feed, now_ms), 0);
}

static void on_due(uv_timer_t *timer)
{
    struct gv_feed *feed = timer->data;
    bool due = gv_ends_due(feed->ends, uv_now(timer->loop));

    feed->due_ms = UINT64_MAX;
    if (due && feed->options.clock)
        feed->options.clock(feed->options.context);
    if (due)
        gv_slices_begin(&feed->slices); /* and then it is set again */
    else if (gv_ends_when(feed->ends) != UINT64_MAX)
        wake_at(feed, gv_ends_when(feed->ends));
}

/* ---- questions ------------------------------------------------------------------------------- */

unsigned gv_feed_look(const struct gv_feed *feed, const struct gv_subject *subject)
{
    struct state state;
    unsigned bits;

    if (feed->now.wanted)
        return decide(feed->core, &state, subject);
    /* What else it may be is listed; so one search for each length on the lists does. */
    bits = gv_listing_get(feed->listing, subject);
    if (!(bits & GV_LISTED_REFUSED) && feed->ranges && gv_core_is_denied(feed->core, subject))
        bits |= GV_LISTED_REFUSED;
    return bits;
}

const struct gv_listing *gv_feed_listing(const struct gv_feed *feed)
{
    return feed->listing;
}

size_t gv_feed_refused(const struct gv_feed *feed)
{
    return feed->refused;
}

size_t gv_feed_bytes(const struct gv_feed *feed)
{
    return sizeof *feed + gv_listing_bytes(feed->listing) + gv_ends_bytes(feed->ends);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void add_timer(struct gv_feed *feed, uv_timer_t *timer)
{
    uv_timer_init(feed->options.loop, timer);
    timer->data = feed;
    uv_unref((uv_handle_t *)timer);
    feed->handles++;
}

int gv_feed_start(struct gv_feed **out, const struct gv_feed_options *options)
{
    struct gv_feed *feed = calloc(1, sizeof *feed);
    uint8_t key[16];

    *out = NULL;
    if (!feed)
        return GV_ERR_MEMORY;
    randombytes_buf(key, sizeof key);
    feed->options = *options;
    feed->core = options->core;
    feed->listing = gv_listing_new(key);
    feed->ends = gv_ends_new(key, uv_now(options->loop));
    gv_wipe(key, sizeof key);
    if (!feed->listing || !feed->ends) {
        gv_listing_free(feed->listing);
        gv_ends_free(feed->ends);
        free(feed);
        return GV_ERR_MEMORY;
    }
    gv_slices_init(&feed->slices, options->loop, some, feed);
    feed->handles++;
    add_timer(feed, &feed->timer);
    add_timer(feed, &feed->due);
    feed->due_ms = UINT64_MAX;
    gv_feed_all(feed);
    gv_feed_finish(feed); /* nobody is served yet */
    uv_timer_start(&feed->timer, on_round, GV_FEED_SWEEP_MS, 0);
    *out = feed;
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_feed *feed = handle->data;

    if (--feed->handles > 0)
        return;
    gv_listing_free(feed->listing);
    gv_ends_free(feed->ends);
    free(feed);
}

void gv_feed_stop(struct gv_feed *feed)
{
    if (!feed)
        return;
    feed->core = NULL;
    uv_close((uv_handle_t *)&feed->timer, on_closed);
    uv_close((uv_handle_t *)&feed->due, on_closed);
    gv_slices_close(&feed->slices, on_closed);
}
