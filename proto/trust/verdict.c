#include <stdlib.h>
#include <string.h>

#include "proto/trust/verdict_part.h"

#define STANDING_TENURED 500u

/* SPEC 11.1: nothing before the tenure, one half from then on, all at the full age. A signal dated
 * before the network began, or before its author was admitted, weighs nothing. */
uint32_t gv_standing(const struct gv_policy *policy, uint32_t genesis_min, uint32_t since_min,
                     uint32_t time_min)
{
    if (time_min < genesis_min || time_min < since_min)
        return 0;
    uint64_t network_age = time_min - genesis_min;
    uint64_t age = time_min - since_min;
    uint64_t tenure = network_age / 2;
    uint64_t full = 3 * network_age / 4;

    if (tenure > policy->tenure_min)
        tenure = policy->tenure_min;
    if (full > policy->full_min)
        full = policy->full_min;
    if (age < tenure)
        return 0;
    if (full <= tenure)
        return GV_STANDING_FULL;
    uint64_t earned = age - tenure < full - tenure ? age - tenure : full - tenure;
    return (uint32_t)(STANDING_TENURED +
                      (GV_STANDING_FULL - STANDING_TENURED) * earned / (full - tenure));
}

/* ---- orders --------------------------------------------------------------------------------- */

/* Of one owner the newest first; ties: the larger hash. */
static int by_owner(const void *left, const void *right)
{
    const struct gv_vote *a = left, *b = right;
    int order = memcmp(a->owner, b->owner, sizeof a->owner);

    if (order != 0)
        return order;
    if (gv_vote_is_newer(a, b))
        return -1;
    return gv_vote_is_newer(b, a) ? 1 : 0;
}

static int by_group(const void *left, const void *right)
{
    const struct gv_vote *a = left, *b = right;

    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    return gv_vote_by_rank(a, b);
}

static void swap(struct gv_vote *a, struct gv_vote *b)
{
    struct gv_vote kept = *a;

    *a = *b;
    *b = kept;
}

/* ---- judging at one minute ------------------------------------------------------------------ */

/* Which part of the votes a tally takes. */
struct window {
    uint64_t from_max; /* those that count from this minute or earlier */
    uint64_t last_min; /* and to this minute or later */
};

/* `votes` holds one vote an owner, in by_group order: the first of a group that is in the window
 * has the group's largest standing. */
static struct gv_tally tally_window(const struct gv_policy *policy, const struct gv_vote *votes,
                                    size_t count, struct window w)
{
    struct gv_tally t = {GV_VERDICT_UNKNOWN, 0, 0, 0};
    uint64_t group = 0;

    for (size_t i = 0; i < count; i++) {
        if (gv_vote_from(policy, &votes[i]) > w.from_max ||
            gv_vote_last(policy, &votes[i]) < w.last_min)
            continue;
        t.owners++;
        if (t.groups > 0 && votes[i].group == group)
            continue;
        group = votes[i].group;
        t.groups++;
        t.weight += votes[i].standing;
    }
    t.state = gv_tally_state(policy, &t);
    return t;
}

/* Moves to the front the vote of each owner at minute `at`, in by_group order, and returns how
 * many there are. Later expiry goes with later time, so an owner's newest signal that has begun is
 * its vote, or the owner has none. */
static size_t votes_at(const struct gv_policy *policy, uint64_t at, struct gv_vote *votes,
                       size_t count)
{
    size_t kept = 0;

    qsort(votes, count, sizeof *votes, by_owner);
    for (size_t i = 0; i < count;) {
        size_t next = i + 1;
        while (next < count &&
               memcmp(votes[next].owner, votes[i].owner, sizeof votes[i].owner) == 0)
            next++;
        while (i < next && gv_vote_from(policy, &votes[i]) > at)
            i++;
        /* kept <= i, and what is swapped back has been looked at. */
        if (i < next && gv_vote_last(policy, &votes[i]) >= at)
            swap(&votes[kept++], &votes[i]);
        i = next;
    }
    qsort(votes, kept, sizeof *votes, by_group);
    return kept;
}

/* ---- since and until ------------------------------------------------------------------------ */

/* The first and the last minute at which a state can change. */
struct span {
    uint64_t low, high;
};

static struct span
span_of(const struct gv_policy *policy, const struct gv_vote *votes, size_t count,
        uint64_t (*minute)(const struct gv_policy *policy, const struct gv_vote *v))
{
    struct span span = {UINT64_MAX, 0};

    for (size_t i = 0; i < count; i++) {
        uint64_t one = minute(policy, &votes[i]);
        span.low = one < span.low ? one : span.low;
        span.high = one > span.high ? one : span.high;
    }
    return span;
}

/* Among votes that are all counted at `now`, weight and groups only grow as those of later times
 * are added, so the state is reached once: by bisection. */
static uint32_t since_of(const struct gv_policy *policy, const struct gv_vote *votes, size_t count,
                         uint64_t now, enum gv_verdict_state state)
{
    struct span span = span_of(policy, votes, count, gv_vote_from);

    if (state == GV_VERDICT_REPORTED)
        return (uint32_t)span.low; /* the first of them made it so, and no part of them more */
    while (span.low < span.high) {
        uint64_t middle = span.low + (span.high - span.low) / 2;
        struct window w = {middle, now};
        if (tally_window(policy, votes, count, w).state == state)
            span.high = middle;
        else
            span.low = middle + 1;
    }
    return (uint32_t)span.high;
}

static uint64_t vote_over(const struct gv_policy *policy, const struct gv_vote *v)
{
    return gv_vote_last(policy, v) + 1;
}

/* The first minute after `at` at which expiry alone changes the state; at the latest when the last
 * vote is over. */
static uint64_t expiry_of(const struct gv_policy *policy, const struct gv_vote *votes, size_t count,
                          uint64_t at, enum gv_verdict_state state)
{
    if (count == 0)
        return at + 1;
    struct span span = span_of(policy, votes, count, vote_over);
    if (state == GV_VERDICT_REPORTED)
        return span.high; /* while any of them lives */
    while (span.low < span.high) {
        uint64_t middle = span.low + (span.high - span.low) / 2;
        struct window w = {at, middle};
        if (tally_window(policy, votes, count, w).state != state)
            span.high = middle;
        else
            span.low = middle + 1;
    }
    return span.low;
}

uint64_t gv_vote_next_start(const struct gv_policy *policy, uint64_t at,
                            const struct gv_vote *votes, size_t count)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < count; i++) {
        uint64_t from = gv_vote_from(policy, &votes[i]);
        if (from > at && from < next)
            next = from;
    }
    return next;
}

/* Expiry by expiry, from one start to the next. votes[0..voting) are the votes at now. */
static uint32_t until_of(const struct gv_policy *policy, uint64_t now, enum gv_verdict_state state,
                         struct gv_vote *votes, size_t voting, size_t count)
{
    uint64_t at = now;

    for (;;) {
        uint64_t expiry = expiry_of(policy, votes, voting, at, state);
        uint64_t start = gv_vote_next_start(policy, at, votes, count);
        if (start > expiry) {
            at = expiry;
            break;
        }
        voting = votes_at(policy, start, votes, count);
        struct window w = {start, start};
        at = start;
        if (tally_window(policy, votes, voting, w).state != state)
            break;
    }
    return at < GV_NEVER ? (uint32_t)at : GV_NEVER;
}

/* ---- the verdict ---------------------------------------------------------------------------- */

/* Insertion into a list of at most `max`: the best of each group, which is its first. */
static void canonical(struct gv_verdict *out, size_t max, const struct gv_vote *votes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && votes[i].group == votes[i - 1].group)
            continue;
        size_t at = out->vote_count;
        while (at > 0 && gv_vote_by_rank(&votes[i], &out->votes[at - 1]) < 0)
            at--;
        if (at >= max)
            continue;
        size_t kept = out->vote_count < max ? out->vote_count : max - 1;
        memmove(&out->votes[at + 1], &out->votes[at], (kept - at) * sizeof *out->votes);
        out->votes[at] = votes[i];
        out->vote_count = (uint32_t)(kept + 1);
    }
}

/* Fills in standing, and moves to the front what counts now or may count later without anything
 * new. Returns how many these are. */
static size_t candidates(const struct gv_policy *policy, uint32_t genesis_min, uint32_t now_min,
                         struct gv_vote *votes, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct gv_vote *v = &votes[i];
        v->standing = v->revoked_min <= v->time_min
                          ? 0
                          : gv_standing(policy, genesis_min, v->since_min, v->time_min);
        if (v->standing > 0 && gv_vote_last(policy, v) >= now_min &&
            gv_vote_from(policy, v) <= gv_vote_last(policy, v)) {
            if (kept != i)
                swap(&votes[kept], v);
            kept++;
        }
    }
    return kept;
}

static void judge_many(struct gv_verdict *out, const struct gv_policy *policy, uint32_t now_min,
                       struct gv_vote *votes, size_t live)
{
    size_t voting = votes_at(policy, now_min, votes, live);
    struct window now = {now_min, now_min};
    struct gv_tally t = tally_window(policy, votes, voting, now);

    out->state = t.state;
    out->published = t.owners >= 2 && t.groups >= 2;
    out->weight = t.weight;
    out->owners = t.owners;
    out->groups = t.groups;
    out->until_min = GV_NEVER;
    canonical(out, policy->votes_max < GV_VOTES_MAX ? policy->votes_max : GV_VOTES_MAX, votes,
              voting);
    if (t.state != GV_VERDICT_UNKNOWN) {
        out->since_min = since_of(policy, votes, voting, now_min, t.state);
        out->until_min = until_of(policy, now_min, t.state, votes, voting, live);
    }
}

void gv_verdict_judge(struct gv_verdict *out, const struct gv_policy *policy, uint32_t genesis_min,
                      uint32_t now_min, struct gv_vote *votes, size_t count)
{
    memset(out, 0, sizeof *out);
    size_t live = candidates(policy, genesis_min, now_min, votes, count);

    if (live <= GV_FEW)
        gv_verdict_judge_few(out, policy, now_min, votes, live);
    else
        judge_many(out, policy, now_min, votes, live);
    /* An owner at fault stands at nothing now, though its signal may count later. */
    for (size_t i = 0; i < count; i++)
        if (votes[i].fault_min != GV_NEVER &&
            now_min < (uint64_t)votes[i].fault_min + policy->fault_min)
            votes[i].standing = 0;
}

const char *gv_verdict_state_name(enum gv_verdict_state state)
{
    switch (state) {
    case GV_VERDICT_UNKNOWN:
        return "unknown";
    case GV_VERDICT_REPORTED:
        return "reported";
    case GV_VERDICT_UNTRUSTED:
        return "untrusted";
    }
    return "unknown";
}
