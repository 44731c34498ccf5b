/* What hostile members say. They know that each is heard 32 times an hour and that a signal lives a
 * day, so each says the same 24 hours later again, 30 times an hour at most. */
#include "sim/actors/plan.h"

#define PER_HOUR     30u
#define VOTERS_WORTH 64u /* more than the groups that they stand in: none would add weight */

static void say(struct gv_plan *plan, uint32_t member, uint32_t subject, uint32_t at_s,
                uint8_t kind)
{
    const struct gv_campaign *c = &plan->campaign;

    if (at_s < plan->scene->end_s)
        gv_moments_add(&plan->moments,
                       (struct gv_moment){.at_s = at_s,
                                          .subject = subject,
                                          .account = c->back_min,
                                          .node = (uint16_t)(plan->scene->nodes + member),
                                          .kind = kind,
                                          .flags = c->equivocates ? GV_MOMENT_TWICE : 0});
}

static uint32_t target(const struct gv_plan *plan, uint32_t i, uint32_t day)
{
    const struct gv_scene *scene = plan->scene;

    if (plan->campaign.clients_only)
        return gv_scene_client(scene, i, day);
    return i < scene->numbers.providers ? i
                                        : gv_scene_client(scene, i - scene->numbers.providers, day);
}

static uint32_t target_count(const struct gv_plan *plan)
{
    const struct gv_scene_numbers *n = &plan->scene->numbers;

    if (plan->campaign.clients_only)
        return n->clients;
    return plan->campaign.providers_only ? n->providers : n->providers + n->clients;
}

/* The v-th voter on target i on this day, among those who are registered by then. */
static uint32_t voter(const struct gv_plan *plan, uint32_t i, uint32_t v, uint32_t voters,
                      uint32_t day)
{
    const struct gv_campaign *c = &plan->campaign;
    uint32_t generation = c->renew_days > 0 ? day / c->renew_days : 0;
    uint32_t size = c->owners * c->instances;

    return generation * size + (i * voters + v) % size;
}

void gv_plan_lie(struct gv_plan *plan)
{
    const struct gv_scene *scene = plan->scene;
    const struct gv_campaign *c = &plan->campaign;
    uint32_t size = c->owners * c->instances, targets = target_count(plan);
    uint32_t voters = c->voters > 0 && c->voters < size ? c->voters : size;
    uint32_t cycle = c->on_days + c->off_days;

    if (voters > VOTERS_WORTH)
        voters = VOTERS_WORTH;
    for (uint32_t day = 0; size > 0 && day < scene->scored_days; day++) {
        uint32_t day_s = scene->score_s + day * GV_SCENE_DAY_S;
        if (c->off_days > 0 && day % cycle >= c->on_days)
            continue;
        for (uint32_t n = 0; n < targets * voters; n++) {
            uint32_t i = n / voters, turn = n / size; /* how many its speaker said before */
            if (turn >= 24 * PER_HOUR)
                break;
            uint32_t at_s = day_s + turn / PER_HOUR * 3600 + turn % PER_HOUR * (3600 / PER_HOUR);
            say(plan, voter(plan, i, n % voters, voters, day),
                target(plan, i, day_s / GV_SCENE_DAY_S), at_s, GV_MOMENT_SAY);
        }
    }
}

/* Filling the places of a case: 16 members in 16 networks speak of a machine of their own the
 * moment it begins, before its victim does, and take it back two minutes after, when the victim's
 * vote is gone if places are what counts. */
void gv_plan_fill(struct gv_plan *plan, struct gv_dice *dice)
{
    const struct gv_scene *scene = plan->scene;
    uint32_t size = plan->member_count;

    for (size_t i = 0; i < scene->moments.count && size > 0; i++) {
        const struct gv_moment *e = &scene->moments.at[i];
        if (e->kind != GV_MOMENT_VISIT || e->at_s < scene->score_s ||
            !scene->addresses[e->subject].guarded)
            continue;
        uint32_t first = gv_dice_below(dice, size);
        for (uint32_t v = 0; v < 16 && v < size; v++) {
            say(plan, (first + v) % size, e->subject, e->at_s - 1, GV_MOMENT_SAY);
            say(plan, (first + v) % size, e->subject, e->at_s + 120, GV_MOMENT_RETRACT);
        }
    }
}
