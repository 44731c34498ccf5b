/* Plays one trace and one attack under one rule, and counts what came of it (SPEC 20.4). */
#ifndef GV_SIM_TABLE_PLAY_H
#define GV_SIM_TABLE_PLAY_H

#include "sim/actors/plan.h"
#include "sim/rivals/rule.h"

/* All counts are of the scored days. */
#define GV_SCORE_MAP(X)                                                                            \
    X(visits, "attacking visits")                                                                  \
    X(visits_refused, "of them refused")                                                           \
    X(attempts_base, "guesses without a mesh and without memory: five a visit at most")            \
    X(attempts, "guesses that got through")                                                        \
    X(spray_base, "the same of addresses that spray")                                              \
    X(spray, "")                                                                                   \
    X(guarded_base, "the same of the attacker's own machines")                                     \
    X(guarded, "")                                                                                 \
    X(logins, "legitimate logins")                                                                 \
    X(logins_clean, "of them from where there is clean history")                                   \
    X(logins_shared, "others, from an address that an attacker has or had")                        \
    X(refused, "legitimate logins refused, not by a lock here")                                    \
    X(refused_shared, "of the shared likewise")                                                    \
    X(refused_clean, "of those with clean history, both kinds")                                    \
    X(refused_locked, "refused because the address was locked by this host")                       \
    X(refused_locked_shared, "of the shared likewise")                                             \
    X(lockouts, "users locked out by one typo, or one broken login")                               \
    X(lockouts_shared, "of the shared likewise")                                                   \
    X(signals, "honest signals")                                                                   \
    X(broken_signals, "of them of nodes whose login is broken, on their users")                    \
    X(broken_alarms, "failures at which such a node saw that it is broken")                        \
    X(messages, "hostile statements, of all days")                                                 \
    X(echoes, "of them repeats of honest ones")

struct gv_score {
#define GV_SCORE_FIELD(name, text) uint64_t name;
    GV_SCORE_MAP(GV_SCORE_FIELD)
#undef GV_SCORE_FIELD
    uint32_t identities, age_days, addresses, own_visits; /* what the attack took */
    uint32_t found; /* of an attack that searches: what it changed (adapt.h) */
};

void gv_play(struct gv_score *out, const struct gv_scene *scene, const struct gv_plan *plan,
             const struct gv_rule *rule);

#endif
