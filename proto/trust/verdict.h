/* The verdict: what the mesh says of a subject. A pure function, in integers, of the signals on it
 * and the parameters, so that two nodes that hold the same set say the same bit for bit, in
 * whatever order things arrived (SPEC 11). */
#ifndef GV_PROTO_TRUST_VERDICT_H
#define GV_PROTO_TRUST_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "proto/wire/descriptor.h"

#define GV_STANDING_FULL 1000
#define GV_VOTES_MAX     16 /* upper bound of policy.votes_max */
#define GV_NEVER         UINT32_MAX

/* One signal on the subject as the rule sees it: what the statement says, and what the set knows
 * of its author. */
struct gv_vote {
    uint8_t signal[GV_ID_LEN]; /* record id: breaks ties */
    uint8_t instance[GV_ID_LEN];
    uint8_t owner[GV_ID_LEN];
    uint64_t group;
    uint64_t sequence;
    uint32_t time_min;    /* s.t */
    uint32_t since_min;   /* of the certificate */
    uint32_t revoked_min; /* GV_NEVER when not revoked */
    uint32_t fault_min;   /* later_min of the newest proof against the OWNER; GV_NEVER: none */
    uint32_t standing;    /* filled by gv_verdict_judge */
};

enum gv_verdict_state { GV_VERDICT_UNKNOWN, GV_VERDICT_REPORTED, GV_VERDICT_UNTRUSTED };

struct gv_verdict {
    enum gv_verdict_state state;
    bool published;
    uint32_t weight;         /* W(X) */
    uint32_t owners, groups; /* with an alive vote */
    uint32_t since_min;      /* earliest minute at which the alive votes up to it gave this state */
    uint32_t until_min; /* first minute at which, with nothing new, the state is no longer this one;
                           GV_NEVER for unknown */
    uint32_t vote_count; /* canonical votes below, <= policy.votes_max */
    struct gv_vote
        votes[GV_VOTES_MAX]; /* one per group, highest standing first, then smallest id */
};

/* SPEC 11.1. Uses integers only; genesis, since and time in minutes. */
uint32_t gv_standing(const struct gv_policy *policy, uint32_t genesis_min, uint32_t since_min,
                     uint32_t time_min);

/* Judges `votes` (all signals of the set on one subject that are not cancelled by a retraction and
 * are within the hour's quota; any order, repetitions allowed) at now_min. Reorders the array and
 * fills in standing. */
void gv_verdict_judge(struct gv_verdict *out, const struct gv_policy *policy, uint32_t genesis_min,
                      uint32_t now_min, struct gv_vote *votes, size_t count);

const char *gv_verdict_state_name(enum gv_verdict_state state); /* "unknown", "reported", ... */

#endif
