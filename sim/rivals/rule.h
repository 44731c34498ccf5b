/* The rules that the attack table compares: ours, run by the functions that ship, and rivals. Each
 * hears the same signals and is asked about the same visits; all stand on the same local log
 * (proto/trust/history.c and action.c), so that what differs is the mesh's word alone (SPEC 20.3).
 */
#ifndef GV_SIM_RIVALS_RULE_H
#define GV_SIM_RIVALS_RULE_H

#include "proto/trust/verdict.h"
#include "sim/actors/scene.h"

/* What every rule may know. All borrowed. */
struct gv_ground {
    const struct gv_scene *scene;
    const struct gv_address_row *addresses; /* the scene's, then the attack's */
    size_t address_count;
    const struct gv_member *members;     /* honest, then hostile */
    const uint32_t *owner_of, *group_of; /* by member: counted from 0 */
    uint32_t member_count, honest, owner_count, group_count;
    uint32_t genesis_min, start_min;
    struct gv_policy policy;
};

struct gv_word {
    uint32_t subject, member;
    uint32_t at_min; /* by its author's word */
    uint32_t count;  /* failed attempts that it tells of */
    uint64_t sequence;
    bool retract;
};

struct gv_listing {
    enum gv_verdict_state state;
    uint32_t weight, groups;
    bool refuse; /* the mesh alone refuses: rivals only */
};

struct gv_asked {
    uint32_t subject, node, now_min;
    bool attacker; /* the truth; the oracle alone looks */
};

struct gv_rule {
    const char *name, *what;
    bool ships;         /* the functions of proto/trust decide */
    bool learns;        /* from more than the last week: it needs the days before the scored ones */
    bool consensus;     /* refuse_on = consensus */
    bool standing_flat; /* a variant of ours: standing 0 or 1000 */
    bool searched;      /* in the whole table an attacker looks for what hurts it most */
    void *(*open)(const struct gv_rule *rule, const struct gv_ground *ground);
    void (*close)(void *state);
    /* A signal or retraction has reached everybody. */
    void (*heard)(void *state, const struct gv_word *said);
    void (*ask)(void *state, struct gv_listing *out, const struct gv_asked *asked);
    /* NULL: not wanted. What followed at the node, and a new day. */
    void (*followed)(void *state, const struct gv_asked *asked, bool success);
    void (*day)(void *state, uint32_t now_min);
    /* NULL: always. Whether an instance that ships would say one more. */
    bool (*may_say)(void *state, uint32_t member, uint32_t at_min);
};

extern const struct gv_rule gv_rules[];
extern const size_t gv_rule_count;
const struct gv_rule *gv_rule_find(const char *name);

#endif
