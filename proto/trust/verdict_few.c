/* Counting the votes of a few signals: what nearly every verdict is. Signals are 88 bytes, so they
 * stay where they are, and what is sorted is their minutes. */
#include "proto/trust/verdict_part.h"

#define BUCKETS 128u /* at most half full */

/* An owner's vote. */
struct seat {
    const struct gv_vote *vote;
    uint64_t from, over; /* it counts from, and no longer at */
    uint32_t group;
};

struct hall {
    const struct gv_policy *policy;
    const struct gv_vote *votes;
    size_t count;
    struct seat seats[GV_FEW];
    const struct gv_vote *best[GV_FEW]; /* of each group, by rank */
    struct gv_tally tally;              /* owners: seats; groups: of `best` */
};

/* ---- who has a vote ------------------------------------------------------------------------- */

/* Tags are hashes. Who makes them collide delays a walk over 64 places at most. */
static struct seat *seat_of(struct hall *hall, uint8_t table[BUCKETS], const struct gv_vote *vote)
{
    uint32_t at = vote->owner[0] % BUCKETS;

    for (; table[at] > 0; at = (at + 1) % BUCKETS) {
        struct seat *seat = &hall->seats[table[at] - 1];
        if (memcmp(seat->vote->owner, vote->owner, sizeof vote->owner) == 0)
            return seat;
    }
    struct seat *seat = &hall->seats[hall->tally.owners++];
    table[at] = (uint8_t)hall->tally.owners;
    seat->vote = NULL;
    return seat;
}

static uint32_t group_of(struct hall *hall, uint8_t table[BUCKETS], const struct gv_vote *vote)
{
    uint32_t at = (uint32_t)(vote->group * 0x9e3779b97f4a7c15u >> 57) % BUCKETS;

    for (; table[at] > 0; at = (at + 1) % BUCKETS)
        if (hall->best[table[at] - 1]->group == vote->group)
            return table[at] - 1u;
    hall->best[hall->tally.groups++] = vote;
    table[at] = (uint8_t)hall->tally.groups;
    return hall->tally.groups - 1;
}

/* The vote of each owner at a minute: its newest signal that has begun, if that is not over. Later
 * expiry goes with later time, so an older one is over, too. */
static void elect(struct hall *hall, uint64_t at)
{
    uint8_t owners[BUCKETS] = {0}, groups[BUCKETS] = {0};
    uint32_t kept = 0;

    hall->tally = (struct gv_tally){GV_VERDICT_UNKNOWN, 0, 0, 0};
    for (size_t i = 0; i < hall->count; i++) {
        const struct gv_vote *vote = &hall->votes[i];
        uint64_t from = gv_vote_from(hall->policy, vote);
        if (from > at)
            continue;
        struct seat *seat = seat_of(hall, owners, vote);
        if (!seat->vote || gv_vote_is_newer(vote, seat->vote))
            *seat = (struct seat){vote, from, gv_vote_last(hall->policy, vote) + 1, 0};
    }
    for (uint32_t i = 0; i < hall->tally.owners; i++)
        if (hall->seats[i].over > at)
            hall->seats[kept++] = hall->seats[i];
    hall->tally.owners = kept;
    for (uint32_t i = 0; i < kept; i++) {
        struct seat *seat = &hall->seats[i];
        seat->group = group_of(hall, groups, seat->vote);
        if (gv_vote_by_rank(seat->vote, hall->best[seat->group]) < 0)
            hall->best[seat->group] = seat->vote;
    }
    for (uint32_t g = 0; g < hall->tally.groups; g++)
        hall->tally.weight += hall->best[g]->standing;
    hall->tally.state = gv_tally_state(hall->policy, &hall->tally);
}

/* ---- since and until ------------------------------------------------------------------------ */

#define SEAT_BITS 6u /* below the minute, in what is sorted */

static void sort(uint64_t *keys, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        uint64_t key = keys[i];
        uint32_t at = i;
        for (; at > 0 && keys[at - 1] > key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* Weight and groups only grow as votes are added: the seat in whose turn they make somebody
 * untrusted. All together do. */
static const struct seat *turning(const struct hall *hall, const uint64_t *keys)
{
    uint32_t standing[GV_FEW] = {0};
    struct gv_tally t = {GV_VERDICT_UNKNOWN, 0, 0, 0};
    const struct seat *seat = hall->seats;

    for (uint32_t i = 0; i < hall->tally.owners && t.state != GV_VERDICT_UNTRUSTED; i++) {
        seat = &hall->seats[keys[i] % GV_FEW];
        uint32_t *group = &standing[seat->group], more = seat->vote->standing;
        t.owners++;
        t.groups += *group == 0;
        t.weight += more > *group ? more - *group : 0;
        *group = more > *group ? more : *group;
        t.state = gv_tally_state(hall->policy, &t);
    }
    return seat;
}

static uint64_t since_of(const struct hall *hall)
{
    uint64_t keys[GV_FEW], least = UINT64_MAX;

    for (uint32_t i = 0; i < hall->tally.owners; i++) {
        uint64_t from = hall->seats[i].from;
        keys[i] = from << SEAT_BITS | i;
        least = from < least ? from : least;
    }
    if (hall->tally.state == GV_VERDICT_REPORTED)
        return least; /* the first of them made it so, and no part of them more */
    sort(keys, hall->tally.owners);
    return turning(hall, keys)->from;
}

/* The first minute after `at` at which expiry alone changes the state. */
static uint64_t expiry_of(const struct hall *hall, uint64_t at)
{
    uint64_t keys[GV_FEW], most = at + 1;

    for (uint32_t i = 0; i < hall->tally.owners; i++) {
        uint64_t over = hall->seats[i].over;
        keys[i] = ((UINT64_MAX >> SEAT_BITS) - over) << SEAT_BITS | i; /* the last first */
        most = over > most ? over : most;
    }
    if (hall->tally.state != GV_VERDICT_UNTRUSTED)
        return most; /* while any of them lives */
    sort(keys, hall->tally.owners);
    return turning(hall, keys)->over;
}

/* Expiry by expiry, from one start to the next. */
static uint32_t until_of(struct hall *hall, uint64_t now)
{
    enum gv_verdict_state state = hall->tally.state;
    uint64_t at = now;

    for (;;) {
        uint64_t expiry = expiry_of(hall, at);
        uint64_t start = gv_vote_next_start(hall->policy, at, hall->votes, hall->count);
        if (start > expiry) {
            at = expiry;
            break;
        }
        elect(hall, start);
        at = start;
        if (hall->tally.state != state)
            break;
    }
    return at < GV_NEVER ? (uint32_t)at : GV_NEVER;
}

/* ---- the verdict ---------------------------------------------------------------------------- */

static void canonical(struct gv_verdict *out, struct hall *hall)
{
    uint32_t max = hall->policy->votes_max < GV_VOTES_MAX ? hall->policy->votes_max : GV_VOTES_MAX;
    const struct gv_vote *ranked[GV_VOTES_MAX + 1];
    uint32_t count = 0;

    for (uint32_t g = 0; g < hall->tally.groups; g++) {
        uint32_t at = count;
        for (; at > 0 && gv_vote_by_rank(hall->best[g], ranked[at - 1]) < 0; at--)
            ranked[at] = ranked[at - 1];
        ranked[at] = hall->best[g];
        count += count < max;
    }
    for (uint32_t i = 0; i < count; i++)
        out->votes[i] = *ranked[i];
    out->vote_count = count;
}

void gv_verdict_judge_few(struct gv_verdict *out, const struct gv_policy *policy, uint32_t now_min,
                          const struct gv_vote *votes, size_t count)
{
    struct hall hall;

    hall.policy = policy;
    hall.votes = votes;
    hall.count = count;
    elect(&hall, now_min);
    out->state = hall.tally.state;
    out->published = hall.tally.owners >= 2 && hall.tally.groups >= 2;
    out->weight = hall.tally.weight;
    out->owners = hall.tally.owners;
    out->groups = hall.tally.groups;
    out->until_min = GV_NEVER;
    canonical(out, &hall);
    if (hall.tally.state == GV_VERDICT_UNKNOWN)
        return;
    out->since_min = (uint32_t)since_of(&hall);
    out->until_min = until_of(&hall, now_min);
}
