/* What a rule may know, put together from a scene and a plan. Internal to play.c. */
#ifndef GV_SIM_TABLE_GROUND_H
#define GV_SIM_TABLE_GROUND_H

#include "sim/actors/plan.h"
#include "sim/rivals/rule.h"

void gv_ground_open(struct gv_ground *out, const struct gv_scene *scene,
                    const struct gv_plan *plan);
void gv_ground_close(struct gv_ground *ground);

#endif
