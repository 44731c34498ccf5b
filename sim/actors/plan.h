/* Attackers as code (SPEC 20.2). An attack is a plan: which hostile members there are, how old they
 * are, and what they do at which second. What depends on the run (repeating others' signals) is
 * asked for as it goes. Every attack knows the rules, the trace and all parameters. */
#ifndef GV_SIM_ACTORS_PLAN_H
#define GV_SIM_ACTORS_PLAN_H

#include "sim/actors/dice.h"
#include "sim/actors/scene.h"

/* What a plan is made from. An adaptive attacker searches these (sim/table/adaptive.c). */
struct gv_campaign {
    uint32_t owners;            /* hostile owners, each with one mailbox verified by the registry */
    uint32_t instances;         /* of each */
    uint32_t groups;            /* networks that their instances stand in */
    uint32_t age_days;          /* of their certificates when the scored days begin; 0: fresh */
    uint32_t voters;            /* that signal each target; 0: as many as are worth it */
    uint32_t on_days, off_days; /* active, and silent, in turns; off 0: always active */
    uint32_t renew_days;        /* new identities so often; 0: never */
    uint32_t back_min;          /* signals are dated back by */
    uint32_t burnt;     /* own addresses given away before the attack, each first reported by one */
    uint32_t footholds; /* provider addresses from which real guesses are made */
    uint32_t foothold_nodes;  /* a day at each, besides those that are pretrusted; 0: the scene's */
    uint32_t foothold_rounds; /* of them, so often at the same node, evenly over the day; 0: once */
    bool lies;                /* signals on the targets */
    bool providers_only, clients_only; /* the targets; neither: both */
    bool echoes;      /* repeats honest signals until the scored days, to earn standing */
    bool equivocates; /* says two things under one number */
    bool replays;     /* sends again what others said the day before */
    bool fills;       /* votes on its own machines, and takes all back when others follow */
    bool suppresses;  /* keepers withhold signals on own machines */
    bool leaks;       /* keepers repeat at once what only they have seen yet */
    uint32_t spray;   /* own addresses that guess once a node */
    uint32_t broken;  /* honest nodes whose login backend fails for six hours */
    bool unchecked;   /* and that do not notice (the reporter's own check is off) */
};

struct gv_plan {
    const struct gv_scene *scene;
    struct gv_campaign campaign;
    struct gv_member *members; /* owned; hostile ones, numbered from scene->nodes on */
    uint32_t member_count;
    struct gv_address_row *addresses; /* owned: own addresses, numbered from scene's on */
    size_t address_count;
    struct gv_moments moments; /* owned */
    uint32_t owners;           /* over the whole time: re-registration makes more */
    uint32_t age_days;         /* waited until the attack */
    uint32_t addresses_used;   /* burnt or footholds */
    uint32_t visits;           /* that they make at honest nodes */
};

void gv_plan_open(struct gv_plan *out, const struct gv_scene *scene,
                  const struct gv_campaign *campaign);
void gv_plan_close(struct gv_plan *plan);

/* plan_lies.c, plan_visits.c. Internal to plan*.c. */
void gv_plan_lie(struct gv_plan *plan);
void gv_plan_fill(struct gv_plan *plan, struct gv_dice *dice);
void gv_plan_visits(struct gv_plan *plan, struct gv_dice *dice);
uint32_t gv_plan_address(struct gv_plan *plan, enum gv_address_kind kind);

/* The attacks by name (attacks.c). */
struct gv_attack {
    const char *name, *what;
    bool shares;   /* the number of hostile owners follows from the share; otherwise its own */
    bool searches; /* its campaign is where a search begins (sim/table/adapt.h) */
    void (*campaign)(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners);
};
extern const struct gv_attack gv_attacks[];
extern const size_t gv_attack_count;
const struct gv_attack *gv_attack_find(const char *name);
/* Owners that make this share of all, in per mille, with so many honest ones. */
uint32_t gv_attack_owners(uint32_t honest, uint32_t share_permille);
void gv_attack_campaign(struct gv_campaign *out, const struct gv_attack *attack,
                        const struct gv_scene *scene, uint32_t share_permille);

#endif
