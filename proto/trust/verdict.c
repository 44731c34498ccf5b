#include "proto/trust/verdict.h"

#include <stdlib.h>
#include <string.h>

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

/* ---- one signal in time --------------------------------------------------------------------- */

/* The first minute at which the signal counts: its own, or the end of its owner's fault. */
static uint64_t vote_from(const struct gv_policy *policy, const struct gv_vote *v)
{
    uint64_t from = v->time_min;

    if (v->fault_min != GV_NEVER && (uint64_t)v->fault_min + policy->fault_min > from)
        from = (uint64_t)v->fault_min + policy->fault_min;
    return from;
}

/* The last minute at which it counts. */
static uint64_t vote_last(const struct gv_policy *policy, const struct gv_vote *v)
{
    return (uint64_t)v->time_min + policy->alive_min;
}

/* ---- orders --------------------------------------------------------------------------------- */

/* Of one owner the newest first; ties: the larger hash. */
static int by_owner(const void *left, const void *right)
{
    const struct gv_vote *a = left, *b = right;
    int order = memcmp(a->owner, b->owner, sizeof a->owner);

    if (order != 0)
        return order;
    if (a->time_min != b->time_min)
        return a->time_min > b->time_min ? -1 : 1;
    return memcmp(b->signal, a->signal, sizeof a->signal);
}

/* Highest standing first, then smallest id: the order in which votes are canonical. */
static int by_rank(const struct gv_vote *a, const struct gv_vote *b)
{
    if (a->standing != b->standing)
        return a->standing > b->standing ? -1 : 1;
    return memcmp(a->signal, b->signal, sizeof a->signal);
}

static int by_group(const void *left, const void *right)
{
    const struct gv_vote *a = left, *b = right;

    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    return by_rank(a, b);
}

static void swap(struct gv_vote *a, struct gv_vote *b)
{
    struct gv_vote kept = *a;

    *a = *b;
    *b = kept;
}

/* Nearly all subjects have few signals, and for them qsort's own work is most of the verdict's. */
#define FEW 24u

static inline void sort(struct gv_vote *votes, size_t count,
                        int (*order)(const void *left, const void *right))
{
    if (count > FEW) {
        qsort(votes, count, sizeof *votes, order);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        size_t at = i;
        while (at > 0 && order(&votes[i], &votes[at - 1]) < 0)
            at--;
        if (at == i)
            continue;
        struct gv_vote kept = votes[i];
        memmove(&votes[at + 1], &votes[at], (i - at) * sizeof *votes);
        votes[at] = kept;
    }
}

/* ---- judging at one minute ------------------------------------------------------------------ */

struct tally {
    enum gv_verdict_state state;
    uint32_t weight, owners, groups;
};

static enum gv_verdict_state state_of(const struct gv_policy *policy, const struct tally *t)
{
    if (t->owners == 0)
        return GV_VERDICT_UNKNOWN;
    if (t->owners >= 2 && t->groups >= 2 && t->weight >= policy->untrusted_weight)
        return GV_VERDICT_UNTRUSTED;
    return GV_VERDICT_REPORTED;
}

/* Which part of the votes a tally takes. */
struct window {
    uint64_t from_max; /* those that count from this minute or earlier */
    uint64_t last_min; /* and to this minute or later */
};

/* `votes` holds one vote an owner, in by_group order: the first of a group that is in the window
 * has the group's largest standing. */
static struct tally tally_window(const struct gv_policy *policy, const struct gv_vote *votes,
                                 size_t count, struct window w)
{
    struct tally t = {GV_VERDICT_UNKNOWN, 0, 0, 0};
    uint64_t group = 0;

    for (size_t i = 0; i < count; i++) {
        if (vote_from(policy, &votes[i]) > w.from_max || vote_last(policy, &votes[i]) < w.last_min)
            continue;
        t.owners++;
        if (t.groups > 0 && votes[i].group == group)
            continue;
        group = votes[i].group;
        t.groups++;
        t.weight += votes[i].standing;
    }
    t.state = state_of(policy, &t);
    return t;
}

/* Moves to the front the vote of each owner at minute `at`, in by_group order, and returns how
 * many there are. Later expiry goes with later time, so an owner's newest signal that has begun is
 * its vote, or the owner has none. */
static size_t votes_at(const struct gv_policy *policy, uint64_t at, struct gv_vote *votes,
                       size_t count)
{
    size_t kept = 0;

    sort(votes, count, by_owner);
    for (size_t i = 0; i < count;) {
        size_t next = i + 1;
        while (next < count &&
               memcmp(votes[next].owner, votes[i].owner, sizeof votes[i].owner) == 0)
            next++;
        while (i < next && vote_from(policy, &votes[i]) > at)
            i++;
        /* kept <= i, and what is swapped back has been looked at. */
        if (i < next && vote_last(policy, &votes[i]) >= at)
            swap(&votes[kept++], &votes[i]);
        i = next;
    }
    sort(votes, kept, by_group);
    return kept;
}

/* ---- since and until ------------------------------------------------------------------------ */

/* The minutes at which a state can change: the votes' own, or, of many votes, all between the first
 * and the last. */
struct minutes {
    uint64_t at[FEW], low;
    size_t count;
    bool listed;
};

static void note_minute(struct minutes *m, uint64_t minute)
{
    size_t at = m->count++;

    for (; at > 0 && m->at[at - 1] > minute; at--)
        m->at[at] = m->at[at - 1];
    m->at[at] = minute;
}

static void collect_minutes(struct minutes *m, const struct gv_policy *policy,
                            const struct gv_vote *votes, size_t count,
                            uint64_t (*minute)(const struct gv_policy *policy,
                                               const struct gv_vote *v))
{
    uint64_t high = 0;

    m->count = 0;
    m->low = UINT64_MAX;
    m->listed = count <= FEW;
    for (size_t i = 0; i < count; i++) {
        uint64_t one = minute(policy, &votes[i]);
        m->low = one < m->low ? one : m->low;
        high = one > high ? one : high;
        if (m->listed)
            note_minute(m, one);
    }
    if (!m->listed)
        m->count = (size_t)(high - m->low + 1);
}

static uint64_t minute_at(const struct minutes *m, size_t i)
{
    return m->listed ? m->at[i] : m->low + i;
}

/* Among votes that are all counted at `now`, weight and groups only grow as those of later times
 * are added, so the state is reached once: by bisection. */
static uint32_t since_of(const struct gv_policy *policy, const struct gv_vote *votes, size_t count,
                         uint64_t now, enum gv_verdict_state state)
{
    struct minutes m;

    collect_minutes(&m, policy, votes, count, vote_from);
    if (state == GV_VERDICT_REPORTED)
        return (uint32_t)m.low; /* the first of them made it so, and no part of them more */
    size_t low = 0, high = m.count - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct window w = {minute_at(&m, middle), now};
        if (tally_window(policy, votes, count, w).state == state)
            high = middle;
        else
            low = middle + 1;
    }
    return (uint32_t)minute_at(&m, high);
}

static uint64_t vote_over(const struct gv_policy *policy, const struct gv_vote *v)
{
    return vote_last(policy, v) + 1;
}

/* The first minute after `at` at which expiry alone changes the state; at the latest when the last
 * vote is over. */
static uint64_t expiry_of(const struct gv_policy *policy, const struct gv_vote *votes, size_t count,
                          uint64_t at, enum gv_verdict_state state)
{
    struct minutes m;

    if (count == 0)
        return at + 1;
    collect_minutes(&m, policy, votes, count, vote_over);
    size_t low = 0, high = m.count - 1;
    if (state == GV_VERDICT_REPORTED)
        low = high; /* while any of them lives */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct window w = {at, minute_at(&m, middle)};
        if (tally_window(policy, votes, count, w).state != state)
            high = middle;
        else
            low = middle + 1;
    }
    return minute_at(&m, low);
}

/* The next minute after `at` at which a signal begins to count (dated ahead of our clock, or its
 * owner's fault ends); UINT64_MAX: none. */
static uint64_t next_start(const struct gv_policy *policy, uint64_t at, const struct gv_vote *votes,
                           size_t count)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < count; i++) {
        uint64_t from = vote_from(policy, &votes[i]);
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
        uint64_t start = next_start(policy, at, votes, count);
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
        while (at > 0 && by_rank(&votes[i], &out->votes[at - 1]) < 0)
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
        if (v->standing > 0 && vote_last(policy, v) >= now_min &&
            vote_from(policy, v) <= vote_last(policy, v)) {
            if (kept != i)
                swap(&votes[kept], v);
            kept++;
        }
    }
    return kept;
}

void gv_verdict_judge(struct gv_verdict *out, const struct gv_policy *policy, uint32_t genesis_min,
                      uint32_t now_min, struct gv_vote *votes, size_t count)
{
    memset(out, 0, sizeof *out);
    size_t live = candidates(policy, genesis_min, now_min, votes, count);
    size_t voting = votes_at(policy, now_min, votes, live);
    struct window now = {now_min, now_min};
    struct tally t = tally_window(policy, votes, voting, now);

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
