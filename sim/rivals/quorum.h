/* Rivals that count: quorums with and without diversity and tenure, the local log, the oracle. */
#ifndef GV_SIM_RIVALS_QUORUM_H
#define GV_SIM_RIVALS_QUORUM_H

#include "sim/rivals/rule.h"

void *gv_quorum_open(const struct gv_rule *rule, const struct gv_ground *ground);
void gv_quorum_close(void *state);
void gv_quorum_heard(void *state, const struct gv_word *said);
void gv_quorum_ask(void *state, struct gv_listing *out, const struct gv_asked *asked);
void gv_quorum_day(void *state, uint32_t now_min);

#endif
