/* An attacker that knows the rule and the trace, and searches its own parameters: one after
 * the other is changed, and stays changed where that does more harm. */
#ifndef GV_SIM_TABLE_ADAPT_H
#define GV_SIM_TABLE_ADAPT_H

#include "sim/table/play.h"

/* Harm: refused logins and users locked out. */
uint64_t gv_adapt_harm(const struct gv_score *score);
/* Leaves the worst that was found in *out and its campaign in *campaign, which holds the first. */
void gv_adapt(struct gv_score *out, struct gv_campaign *campaign, const struct gv_scene *scene,
              const struct gv_rule *rule);
/* What a score's `found` says that it changed, one after the other; *cursor starts at 0, NULL
 * behind the last. */
const char *gv_adapt_found(uint32_t found, size_t *cursor);

#endif
