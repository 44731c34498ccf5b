/* What is banned: what the listing has, and the ranges of the deny list. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/serve/bouncer_internal.h"

#define DAY_S       86400u
#define HOUR_S      3600u
#define RENEW_S     600u /* so long before its end a ban is said to last longer */
#define STILL_S     60u  /* what is past its end and still refused lasts so much longer */
#define SWEEP_TURNS 40u  /* of the timer, until all have been looked at */
#define SWEEP_LEAST 1000u
#define STEPS       16u /* of a slice between two looks at the clock */

uint64_t gv_bouncers_now_ms(const struct gv_bouncers *b)
{
    return b->options.unix_ms(b->options.context);
}

uint32_t gv_bouncers_now_s(const struct gv_bouncers *b)
{
    return (uint32_t)(gv_bouncers_now_ms(b) / 1000);
}

/* ---- why, and until when -------------------------------------------------------------------- */

struct facts {
    struct gv_verdict verdict;
    struct gv_action_facts action;
    struct gv_decision decision;
    struct gv_history_summary history;
};

static void look(const struct gv_bouncers *b, struct facts *out, const struct gv_subject *subject)
{
    out->decision = gv_core_decide(b->options.core, &out->verdict, &out->action, subject);
    if (gv_core_history(b->options.core, &out->history, subject) != GV_OK)
        memset(&out->history, 0, sizeof out->history);
}

static enum gv_bouncer_scenario scenario_of(const struct facts *facts)
{
    switch (facts->decision.reason) {
    case GV_REASON_DENY_LISTED:
        return GV_SCENARIO_DENY_LIST;
    case GV_REASON_LOCKED_HERE:
        return GV_SCENARIO_LOCKED;
    case GV_REASON_LOCKED_BY_OWN:
        return GV_SCENARIO_LOCKED_OWN;
    case GV_REASON_UNTRUSTED_AND_FAILED_HERE:
        return GV_SCENARIO_UNTRUSTED_FAILED;
    case GV_REASON_FAILED_HERE_AGAIN:
        return GV_SCENARIO_FAILED_AGAIN;
    default:
        return GV_SCENARIO_UNTRUSTED;
    }
}

static uint32_t later(uint32_t a, uint64_t b)
{
    return b > UINT32_MAX ? UINT32_MAX : b > a ? (uint32_t)b : a;
}

/* The latest end of all that it is refused for; a day where there is none, or a later one: it is
 * said again before that is over. */
static uint32_t until_of(const struct gv_bouncers *b, const struct facts *facts, uint32_t now_s)
{
    uint64_t untrusted_s = facts->verdict.until_min * 60ULL;
    uint64_t lately_s = facts->history.last_failure_ms / 1000 + GV_LATELY_S;
    uint32_t until = now_s + 1;

    if (facts->action.deny_listed)
        return now_s + DAY_S;
    until = later(until, (facts->history.locked_until_ms + 999) / 1000);
    if (facts->action.locked_by_own)
        until = later(until, now_s + HOUR_S);
    if (gv_action_has_failed_again(&facts->action))
        until = later(until, lately_s);
    if (facts->verdict.state == GV_VERDICT_UNTRUSTED) {
        if (b->options.untrusted || facts->decision.reason == GV_REASON_CONSENSUS)
            until = later(until, untrusted_s);
        else if (facts->action.points >= 2 && !facts->action.known_here &&
                 !facts->action.network_known_here)
            until = later(until, untrusted_s < lately_s ? untrusted_s : lately_s);
    }
    return until > now_s + DAY_S ? now_s + DAY_S : until;
}

/* ---- single subjects ------------------------------------------------------------------------ */

static bool wanted(const struct gv_bouncers *b, unsigned bits)
{
    unsigned mask = GV_LISTED_REFUSED | (b->options.untrusted ? GV_LISTED_UNTRUSTED : 0u);

    return b->options.enforced && bits & mask;
}

static void tell_of_subject(struct gv_bouncers *b, const struct gv_subject *subject, unsigned bits)
{
    struct gv_target target = gv_target_of_subject(subject);
    uint32_t now_s = gv_bouncers_now_s(b);
    struct facts facts;

    if (!wanted(b, bits)) {
        gv_bans_clear(b->bans, &target, GV_BAN_SUBJECT, now_s);
        return;
    }
    look(b, &facts, subject);
    if (facts.action.allow_listed) /* whatever the listing has not heard of yet */
        gv_bans_clear(b->bans, &target, GV_BAN_SUBJECT, now_s);
    else if (gv_bans_set(b->bans, &target, GV_BAN_SUBJECT, scenario_of(&facts),
                         until_of(b, &facts, now_s), now_s) != GV_OK)
        gv_log_limited(GV_LOG_ERROR, "out of memory: bouncers are not told of an address");
}

static void on_changed(void *context, const struct gv_subject *subject, unsigned was, unsigned is)
{
    struct gv_bouncers *b = context;

    (void)was;
    if (!b->stopped)
        tell_of_subject(b, subject, is);
}

void gv_bouncers_watch(struct gv_bouncers *b)
{
    b->watcher.context = b;
    b->watcher.changed = on_changed;
    gv_feed_watch(b->options.feed, &b->watcher);
}

/* ---- ranges of the deny list ---------------------------------------------------------------- */

struct prefixes {
    struct gv_target *items;
    size_t count, cap;
    bool failed;
};

static void append(struct prefixes *list, const struct gv_prefix *prefix)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        struct gv_target *items = realloc(list->items, cap * sizeof *items);
        if (!items) {
            list->failed = true;
            return;
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = gv_target_of_prefix(prefix);
}

static void gather(const struct gv_bouncers *b, struct prefixes *allow, struct prefixes *deny)
{
    const struct gv_settings *settings = gv_core_settings(b->options.core);
    struct gv_prefix prefix;
    size_t cursor = 0;
    bool denied;

    for (size_t i = 0; i < settings->allow_count; i++)
        append(allow, &settings->allow[i]);
    for (size_t i = 0; i < settings->deny_count; i++)
        append(deny, &settings->deny[i]);
    while (gv_core_next_listed(b->options.core, &cursor, &prefix, &denied))
        append(denied ? deny : allow, &prefix);
}

static int compare(const void *a, const void *b)
{
    const struct gv_target *x = a, *y = b;
    int by_family = (int)x->family - (int)y->family;
    int by_bytes = by_family ? by_family : memcmp(x->bytes, y->bytes, sizeof x->bytes);

    return by_bytes ? by_bytes : (int)x->bits - (int)y->bits;
}

/* Whether an entry of the sorted allow list lies within the range, or the range within one. */
static bool holds_allowed(const struct gv_bouncers *b, const struct prefixes *allow,
                          const struct gv_target *range)
{
    struct gv_subject first = gv_target_subject(range);
    size_t low = 0, high = allow->count;
    struct facts facts;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&allow->items[middle], range) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < allow->count && gv_target_holds(range, &allow->items[low]))
        return true;
    look(b, &facts, &first);
    return facts.action.allow_listed;
}

/* Whether the range is told from now on. */
static bool tell_of_range(struct gv_bouncers *b, const struct prefixes *allow,
                          const struct gv_target *range, uint32_t now_s)
{
    if (gv_target_is_address(range))
        return false; /* the listing has it */
    if (holds_allowed(b, allow, range)) {
        char text[GV_PREFIX_TEXT];
        gv_target_text(text, range);
        gv_log_limited(GV_LOG_NOTICE,
                       "%s is denied, but overlaps what is allowed: bouncers are not told", text);
        return false;
    }
    if (gv_bans_set(b->bans, range, GV_BAN_RANGE, GV_SCENARIO_DENY_LIST, now_s + DAY_S, now_s) !=
        GV_OK)
        return false;
    gv_bans_find(b->bans, range)->mark = b->mark;
    return true;
}

/* What was told and is no more. */
static void lift_ranges(struct gv_bouncers *b, uint32_t now_s)
{
    for (size_t i = 0; i < b->range_count; i++) {
        const struct gv_ban *ban = gv_bans_find(b->bans, &b->ranges[i]);
        if (ban && ban->sources & GV_BAN_RANGE && ban->mark != b->mark)
            gv_bans_clear(b->bans, &b->ranges[i], GV_BAN_RANGE, now_s);
    }
}

void gv_bouncers_tell_ranges(struct gv_bouncers *b)
{
    struct prefixes allow = {0}, deny = {0};
    uint32_t now_s = gv_bouncers_now_s(b);
    size_t told = 0;

    gather(b, &allow, &deny);
    if (allow.failed || deny.failed) { /* better none than one too many */
        gv_log_limited(GV_LOG_ERROR, "out of memory: bouncers are not told of denied ranges");
        deny.count = 0;
    }
    if (allow.count > 0)
        qsort(allow.items, allow.count, sizeof *allow.items, compare);
    b->mark++;
    for (size_t i = 0; b->options.enforced && i < deny.count; i++)
        if (tell_of_range(b, &allow, &deny.items[i], now_s))
            deny.items[told++] = deny.items[i];
    lift_ranges(b, now_s);
    free(allow.items);
    free(b->ranges);
    b->ranges = deny.items;
    b->range_count = told;
}

/* ---- all of it ------------------------------------------------------------------------------ */

void gv_bouncers_end_sync(struct gv_bouncers *b)
{
    gv_bans_walk_end(&b->sync_bans);
    gv_listing_free(b->sync);
    b->sync = NULL;
}

/* What changes meanwhile is told as always, and what is told already costs one look. */
void gv_bouncers_sync(struct gv_bouncers *b)
{
    gv_bouncers_end_sync(b);
    gv_bouncers_tell_ranges(b);
    b->sync = gv_listing_copy(gv_feed_listing(b->options.feed));
    b->sync_wanted = !b->sync;
    if (!b->sync) {
        gv_log_limited(GV_LOG_ERROR, "out of memory: bouncers are told later");
        return;
    }
    gv_bans_walk_begin(&b->sync_bans, b->bans, false, 0, gv_bans_change(b->bans));
    b->sync_cursor = 0;
    gv_slices_begin(&b->slices);
}

/* What is banned and should not be. */
static bool sync_ban(struct gv_bouncers *b)
{
    const struct gv_ban *ban = gv_bans_walk_next(&b->sync_bans);
    struct gv_subject subject;

    if (!ban)
        return false;
    subject = gv_target_subject(&ban->target);
    if (ban->sources & GV_BAN_SUBJECT &&
        !wanted(b, gv_listing_get(gv_feed_listing(b->options.feed), &subject)))
        tell_of_subject(b, &subject, 0);
    return true;
}

/* What should be banned and is not. */
static bool sync_listed(struct gv_bouncers *b)
{
    struct gv_subject subject;
    unsigned bits;

    if (!gv_listing_next(b->sync, &b->sync_cursor, &subject, &bits)) {
        gv_bouncers_end_sync(b);
        return false;
    }
    bits = gv_listing_get(gv_feed_listing(b->options.feed), &subject);
    if (wanted(b, bits)) {
        struct gv_target target = gv_target_of_subject(&subject);
        const struct gv_ban *ban = gv_bans_find(b->bans, &target);
        if (!ban || !(ban->sources & GV_BAN_SUBJECT))
            tell_of_subject(b, &subject, bits);
    }
    return true;
}

static void renew(struct gv_bouncers *b, struct gv_ban *ban, uint32_t now_s)
{
    struct gv_subject subject = gv_target_subject(&ban->target);
    struct facts facts;

    if (ban->again_s && ban->again_s < now_s) {
        gv_bans_repeat(b->bans, ban, now_s);
        return;
    }
    if (ban->until_s > now_s + RENEW_S)
        return;
    uint32_t until = now_s + DAY_S;
    if (!(ban->sources & GV_BAN_RANGE)) {
        look(b, &facts, &subject);
        until = until_of(b, &facts, now_s);
    }
    if (ban->until_s <= now_s && until < now_s + STILL_S)
        until = now_s + STILL_S; /* listed all the same */
    if (until > ban->until_s + STILL_S / 2)
        gv_bans_renew(b->bans, ban, until, now_s);
}

static bool some_of_sweep(struct gv_bouncers *b)
{
    uint32_t now_s = gv_bouncers_now_s(b);

    for (unsigned left = STEPS; left > 0 && b->sweep_left > 0; left--, b->sweep_left--) {
        struct gv_ban *ban = gv_bans_next(b->bans, &b->sweep);
        if (!ban) {
            b->sweep = b->sweep_left = 0;
            break;
        }
        if (ban->sources)
            renew(b, ban, now_s);
    }
    return b->sweep_left > 0;
}

bool gv_bouncers_slice(void *bouncers)
{
    struct gv_bouncers *b = bouncers;

    if (b->stopped)
        return false;
    for (unsigned left = STEPS; b->sync && left > 0; left--)
        if (!sync_ban(b))
            (void)sync_listed(b);
    return b->sync || some_of_sweep(b);
}

bool gv_bouncers_renew(struct gv_bouncers *b)
{
    size_t all = gv_bans_count(b->bans) + gv_bans_lifted_count(b->bans);

    if (all == 0 && !b->sync && !b->sync_wanted)
        return false;
    b->sweep_left = all / SWEEP_TURNS > SWEEP_LEAST ? all / SWEEP_TURNS : SWEEP_LEAST;
    gv_slices_begin(&b->slices);
    if (b->sync_wanted)
        gv_bouncers_sync(b);
    gv_bans_prune(b->bans, gv_bouncers_now_s(b));
    return true;
}

size_t gv_bouncers_would(const struct gv_bouncers *b)
{
    if (b->options.enforced)
        return gv_bans_count(b->bans);
    return b->options.untrusted ? gv_listing_count(gv_feed_listing(b->options.feed))
                                : gv_feed_refused(b->options.feed);
}
