/* What both ways of counting votes share: verdict_few.c for up to GV_FEW signals on a subject,
 * which nearly all are, and verdict.c for any number. Internal to trust/verdict*.c. */
#ifndef GV_PROTO_TRUST_VERDICT_PART_H
#define GV_PROTO_TRUST_VERDICT_PART_H

#include <string.h>

#include "proto/trust/verdict.h"

#define GV_FEW 64u

/* The first minute at which the signal counts: its own, or the end of its owner's fault. */
static inline uint64_t gv_vote_from(const struct gv_policy *policy, const struct gv_vote *v)
{
    uint64_t from = v->time_min;

    if (v->fault_min != GV_NEVER && (uint64_t)v->fault_min + policy->fault_min > from)
        from = (uint64_t)v->fault_min + policy->fault_min;
    return from;
}

/* The last minute at which it counts. */
static inline uint64_t gv_vote_last(const struct gv_policy *policy, const struct gv_vote *v)
{
    return (uint64_t)v->time_min + policy->alive_min;
}

/* Of one owner: the newer, and of equal ones the one with the larger hash. */
static inline bool gv_vote_is_newer(const struct gv_vote *a, const struct gv_vote *b)
{
    if (a->time_min != b->time_min)
        return a->time_min > b->time_min;
    return memcmp(a->signal, b->signal, sizeof a->signal) > 0;
}

/* Highest standing first, then smallest id: the order in which votes are canonical. */
static inline int gv_vote_by_rank(const struct gv_vote *a, const struct gv_vote *b)
{
    if (a->standing != b->standing)
        return a->standing > b->standing ? -1 : 1;
    return memcmp(a->signal, b->signal, sizeof a->signal);
}

struct gv_tally {
    enum gv_verdict_state state;
    uint32_t weight, owners, groups;
};

static inline enum gv_verdict_state gv_tally_state(const struct gv_policy *policy,
                                                   const struct gv_tally *t)
{
    if (t->owners == 0)
        return GV_VERDICT_UNKNOWN;
    if (t->owners >= 2 && t->groups >= 2 && t->weight >= policy->untrusted_weight)
        return GV_VERDICT_UNTRUSTED;
    return GV_VERDICT_REPORTED;
}

/* The next minute after `at` at which a signal begins to count (dated ahead of our clock, or its
 * owner's fault ends); UINT64_MAX: none. */
uint64_t gv_vote_next_start(const struct gv_policy *policy, uint64_t at,
                            const struct gv_vote *votes, size_t count);

/* Fills in *out, which is zero, from at most GV_FEW candidates (verdict.c), whose standing is
 * known. The votes stay as they are. */
void gv_verdict_judge_few(struct gv_verdict *out, const struct gv_policy *policy, uint32_t now_min,
                          const struct gv_vote *votes, size_t count);

#endif
