#include "sim/actors/plan.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

#define STREAM      9u
#define FIRST_GROUP 6000u
#define FIRST_OWNER 100000u

uint32_t gv_plan_address(struct gv_plan *plan, enum gv_address_kind kind)
{
    size_t number = plan->scene->address_count + plan->address_count;
    struct gv_subject s = {.family = GV_FAMILY_IPV4};

    if (plan->address_count % 1024 == 0) {
        plan->addresses =
            realloc(plan->addresses, (plan->address_count + 1024) * sizeof *plan->addresses);
        gv_assert(plan->addresses);
    }
    /* 130.0.0.0 and up: each in a network of its own, apart from the scene's. */
    s.bytes[0] = (uint8_t)(130 + (plan->address_count >> 16) % 30);
    s.bytes[1] = (uint8_t)(plan->address_count >> 8);
    s.bytes[2] = (uint8_t)plan->address_count;
    s.bytes[3] = 9;
    plan->addresses[plan->address_count++] =
        (struct gv_address_row){.subject = s, .kind = (uint8_t)kind};
    return (uint32_t)number;
}

/* One generation of identities. */
static void enrol(struct gv_plan *plan, uint32_t since_min)
{
    const struct gv_campaign *c = &plan->campaign;
    uint32_t count = c->owners * c->instances, first = plan->member_count;

    plan->members = realloc(plan->members, (first + count + 1) * sizeof *plan->members);
    gv_assert(plan->members);
    for (uint32_t i = 0; i < count; i++)
        plan->members[first + i] = (struct gv_member){
            .owner = FIRST_OWNER + plan->owners + i / c->instances,
            .group = FIRST_GROUP + i % (c->groups > 0 ? c->groups : 1),
            .since_min = since_min,
        };
    plan->member_count += count;
    plan->owners += c->owners;
}

void gv_plan_open(struct gv_plan *out, const struct gv_scene *scene,
                  const struct gv_campaign *campaign)
{
    struct gv_dice dice;
    uint32_t score_min = scene->start_min + scene->score_s / 60;

    memset(out, 0, sizeof *out);
    out->scene = scene;
    out->campaign = *campaign;
    out->age_days = campaign->age_days;
    gv_dice_seed(&dice, scene->seed, STREAM);
    if (campaign->instances == 0)
        out->campaign.instances = 1;
    enrol(out, score_min - campaign->age_days * GV_DAY_MIN);
    for (uint32_t day = campaign->renew_days; day > 0 && day < scene->scored_days;
         day += campaign->renew_days)
        enrol(out, score_min + day * GV_DAY_MIN);
    gv_assert(out->member_count + scene->nodes < UINT16_MAX);
    if (campaign->lies)
        gv_plan_lie(out);
    if (campaign->fills)
        gv_plan_fill(out, &dice);
    gv_plan_visits(out, &dice);
    gv_moments_sort(&out->moments);
}

void gv_plan_close(struct gv_plan *plan)
{
    gv_moments_free(&plan->moments);
    free(plan->addresses);
    free(plan->members);
    memset(plan, 0, sizeof *plan);
}
