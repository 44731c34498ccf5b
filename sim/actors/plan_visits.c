/* What hostile machines do at honest nodes: guesses from shared networks (framing), from machines
 * that are burnt to earn standing, from many addresses once each (spray); and honest nodes whose
 * login backend breaks. */
#include "sim/actors/plan.h"

#define BROKEN_FROM_S (2 * GV_SCENE_DAY_S + 9 * 3600u) /* after the scored days' begin */
#define BROKEN_S      (6 * 3600u)
#define BROKEN_USERS  40u
#define BURNT_VISITS  5u

static void visit(struct gv_plan *plan, struct gv_dice *dice, uint32_t subject, uint32_t node,
                  uint32_t at_s, uint8_t guesses)
{
    bool unknown = gv_dice_percent(dice, plan->scene->numbers.unknown_percent);
    uint32_t account = (uint32_t)gv_dice_next(dice);

    if (at_s >= plan->scene->end_s)
        return;
    plan->visits++;
    gv_moments_add(&plan->moments, (struct gv_moment){.at_s = at_s,
                                                      .subject = subject,
                                                      .account = account,
                                                      .node = (uint16_t)node,
                                                      .kind = GV_MOMENT_VISIT,
                                                      .n = guesses,
                                                      .flags = unknown ? GV_MOMENT_UNKNOWN : 0});
}

/* Real guesses from addresses that users share, every day at every pretrusted node (they count in
 * rules that have such) and at others: so honest reporters say what is true, and the users suffer.
 */
static void frame(struct gv_plan *plan, struct gv_dice *dice)
{
    const struct gv_scene *scene = plan->scene;
    uint32_t nodes = plan->campaign.foothold_nodes;
    uint32_t rounds = plan->campaign.foothold_rounds > 0 ? plan->campaign.foothold_rounds : 1;
    uint32_t round_s = GV_SCENE_DAY_S / rounds;

    if (nodes == 0)
        nodes = scene->numbers.foothold_nodes;
    for (uint32_t day = 0; day < scene->scored_days; day++) {
        uint32_t day_s = scene->score_s + day * GV_SCENE_DAY_S;
        for (uint32_t i = 0; i < plan->campaign.footholds && i < scene->numbers.providers; i++) {
            for (uint32_t a = 0; a < scene->pretrusted; a++)
                visit(plan, dice, i, a, day_s + gv_dice_below(dice, 72000), 3);
            for (uint32_t v = 0; v < nodes / rounds; v++) {
                uint32_t at_s = day_s + gv_dice_below(dice, rounds > 1 ? round_s : 72000);
                uint32_t node = gv_dice_below(dice, scene->nodes);
                for (uint32_t n = 0; n < rounds; n++)
                    visit(plan, dice, i, node, at_s + n * round_s, 3);
            }
        }
    }
}

static void burn(struct gv_plan *plan, struct gv_dice *dice)
{
    const struct gv_scene *scene = plan->scene;

    for (uint32_t i = 0; i < plan->campaign.burnt && plan->member_count > 0; i++) {
        uint32_t subject = gv_plan_address(plan, GV_ADDRESS_BURNT);
        uint32_t at_s = gv_dice_below(dice, scene->end_s - GV_SCENE_DAY_S);
        uint32_t reporter = gv_dice_below(dice, plan->member_count);
        gv_moments_add(&plan->moments,
                       (struct gv_moment){.at_s = at_s,
                                          .subject = subject,
                                          .node = (uint16_t)(scene->nodes + reporter),
                                          .kind = GV_MOMENT_SAY});
        for (uint32_t v = 0; v < BURNT_VISITS; v++) {
            uint32_t later_s = 1800 + gv_dice_below(dice, 36000);
            uint32_t node = gv_dice_below(dice, v < 3 ? scene->pretrusted : scene->nodes);
            visit(plan, dice, subject, node, at_s + later_s, 3);
        }
    }
}

static void spray(struct gv_plan *plan, struct gv_dice *dice)
{
    const struct gv_scene *scene = plan->scene;
    uint32_t span_s = scene->end_s - scene->score_s, day_s = GV_SCENE_DAY_S;
    uint32_t nodes = scene->nodes < 600 ? 10 : 20;

    for (uint32_t i = 0; i < plan->campaign.spray; i++) {
        uint32_t subject = gv_plan_address(plan, GV_ADDRESS_SPRAY);
        uint32_t at_s = scene->score_s + gv_dice_below(dice, span_s > day_s ? span_s - day_s : 1);
        for (uint32_t v = 0; v < nodes; v++) {
            uint32_t later_s = gv_dice_below(dice, day_s);
            visit(plan, dice, subject, gv_dice_below(dice, scene->nodes), at_s + later_s, 1);
        }
    }
}

/* For six hours every login fails: each user's program tries again, every 7 to 20 minutes, from a
 * provider's address or one's own; one in five has no clean history. */
static void break_logins(struct gv_plan *plan, struct gv_dice *dice)
{
    const struct gv_scene *scene = plan->scene;
    uint32_t from_s = scene->score_s + BROKEN_FROM_S;

    for (uint32_t i = 0; i < plan->campaign.broken && scene->scored_days > 2; i++) {
        uint32_t node = gv_dice_below(dice, scene->nodes);
        for (uint32_t user = 0; user < BROKEN_USERS; user++) {
            bool shared = user < 15 && user < scene->numbers.providers;
            uint32_t subject = shared ? gv_dice_below(dice, scene->numbers.providers)
                                      : gv_plan_address(plan, GV_ADDRESS_CLIENT);
            bool clean = !gv_dice_percent(dice, 20);
            for (uint8_t back = 9; clean && back < 10; back = (uint8_t)(back - 8))
                gv_moments_add(&plan->moments, (struct gv_moment){.at_s = from_s - 60,
                                                                  .subject = subject,
                                                                  .account = 1000 + user,
                                                                  .node = (uint16_t)node,
                                                                  .kind = GV_MOMENT_QUIET,
                                                                  .n = back});
            for (uint32_t at_s = from_s + gv_dice_below(dice, 900); at_s < from_s + BROKEN_S;
                 at_s += 420 + gv_dice_below(dice, 780))
                gv_moments_add(&plan->moments, (struct gv_moment){.at_s = at_s,
                                                                  .subject = subject,
                                                                  .account = 1000 + user,
                                                                  .node = (uint16_t)node,
                                                                  .kind = GV_MOMENT_BROKEN});
        }
    }
}

/* Sends again, a day later, what honest nodes had said: the plan names the second, the run the
 * signal. */
static void replay(struct gv_plan *plan, struct gv_dice *dice)
{
    const struct gv_scene *scene = plan->scene;

    for (uint32_t at_s = scene->score_s + GV_SCENE_DAY_S; at_s < scene->end_s;
         at_s += 60 + gv_dice_below(dice, 60))
        gv_moments_add(&plan->moments, (struct gv_moment){.at_s = at_s,
                                                          .account = (uint32_t)gv_dice_next(dice),
                                                          .node = (uint16_t)scene->nodes,
                                                          .kind = GV_MOMENT_REPEAT});
}

void gv_plan_visits(struct gv_plan *plan, struct gv_dice *dice)
{
    const struct gv_campaign *c = &plan->campaign;

    if (c->footholds > 0)
        frame(plan, dice);
    if (c->burnt > 0)
        burn(plan, dice);
    if (c->spray > 0)
        spray(plan, dice);
    if (c->broken > 0)
        break_logins(plan, dice);
    if (c->replays)
        replay(plan, dice);
    plan->addresses_used = c->footholds + c->burnt + c->spray;
}
