/* What breaks and what heals, when: drawn once from the strengths of options.faults, so that each
 * kind keeps its own dates whatever the others do. */
#ifndef GV_SIM_WEATHER_H
#define GV_SIM_WEATHER_H

#include "sim/world.h"

enum gv_weather_kind {
    GV_WEATHER_CUT,  /* of a partition */
    GV_WEATHER_MEND, /* of the same */
    GV_WEATHER_CRASH,
    GV_WEATHER_START,
    GV_WEATHER_JUMP,     /* of a clock */
    GV_WEATHER_BREAK,    /* a connection */
    GV_WEATHER_REGISTRY, /* dead or alive: value */
    GV_WEATHER_RENEW,    /* a certificate is due */
    GV_WEATHER_REVOKE,   /* the registry revokes an instance */
    GV_WEATHER_TELL,     /* one node asks for a revocation: partner is its index */
    GV_WEATHER_RETRACT,  /* a node takes back something it said */
    GV_WEATHER_KILL,     /* many nodes die at one moment */
    GV_WEATHER_HALVES    /* the mesh falls into two halves, until all is healed */
};

struct gv_weather_event {
    uint64_t at_ms;
    enum gv_weather_kind kind;
    size_t node;
    uint64_t value; /* dice */
    size_t partner; /* MEND: index of its CUT; TELL */
};

/* Draws all that happens until heal_ms and puts it into the queue. */
void gv_weather_draw(struct gv_world *world, uint64_t heal_ms);
void gv_weather_happen(struct gv_world *world, const struct gv_sim_event *event);
/* Everybody is up, reachable, on time, and the registry answers; nothing breaks any more. */
void gv_weather_heal(struct gv_world *world);

#endif
