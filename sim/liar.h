/* A member that lies: its key, certificate and sessions are real, what it says is not. It forges
 * others' words, dates its own wrongly, speaks of private addresses, contradicts itself, says more
 * than its quota, repeats what it heard, and sends rubbish. */
#ifndef GV_SIM_LIAR_H
#define GV_SIM_LIAR_H

#include "sim/world.h"

struct gv_liar *gv_liar_new(struct gv_world *world, size_t node);
void gv_liar_free(struct gv_liar *liar);
/* CONNECTED, DISCONNECTED, BYTES and TIMER, as a core would get them. */
void gv_liar_event(struct gv_world *world, size_t node, const struct gv_event *event);

#endif
