/* Our rule, by the functions that ship: proto/trust/store.c and verdict.c. One set for all honest
 * nodes, since every honest node holds the same. */
#ifndef GV_SIM_RIVALS_SHIPPED_H
#define GV_SIM_RIVALS_SHIPPED_H

#include "sim/rivals/rule.h"

void *gv_shipped_open(const struct gv_rule *rule, const struct gv_ground *ground);
void gv_shipped_close(void *state);
void gv_shipped_heard(void *state, const struct gv_word *said);
void gv_shipped_ask(void *state, struct gv_listing *out, const struct gv_asked *asked);
void gv_shipped_day(void *state, uint32_t now_min);
bool gv_shipped_may_say(void *state, uint32_t member, uint32_t at_min);

#endif
