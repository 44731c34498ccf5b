/* Attackers as the workload has them: who visits whom, when and how often (SPEC 20.1). */
#include "sim/actors/dice.h"
#include "sim/actors/scene.h"

#define STREAM 3u
#define HOUR_S 3600u

struct bot {
    uint32_t address, start_s, life_s;
    bool slow;
};

static uint32_t draw_victims(struct gv_scene *scene, struct gv_dice *dice)
{
    uint32_t most = scene->nodes / 3 > 2 ? scene->nodes / 3 : 2;

    if (gv_dice_percent(dice, scene->numbers.one_victim_percent))
        return 1;
    uint32_t more = gv_dice_pareto(dice, most);
    return 1 + more < most ? 1 + more : most;
}

static void draw_visits(struct gv_scene *scene, struct gv_dice *dice, const struct bot *bot,
                        uint32_t node, uint32_t first_s)
{
    uint32_t left_s = bot->start_s + bot->life_s - first_s, visits;

    if (bot->slow) {
        visits = left_s / GV_SCENE_DAY_S * 7 / 10 + 1;
        visits = visits > 45 ? 45 : visits;
    } else {
        visits = gv_dice_run(dice, 50, 6);
    }
    if (gv_dice_percent(dice, scene->numbers.known_net_percent)) {
        uint32_t sibling = gv_scene_sibling(scene, bot->address, GV_ADDRESS_SIBLING, node % 240);
        gv_scene_make_clean(scene, sibling, node, first_s);
    }
    for (uint32_t i = 0; i < visits; i++) {
        uint32_t later = i > 0 && left_s > 0 ? gv_dice_below(dice, left_s) : 0;
        uint8_t guesses = bot->slow ? 1 : (uint8_t)gv_dice_run(dice, 67, 12);
        bool unknown = gv_dice_percent(dice, scene->numbers.unknown_percent);
        if (first_s + later >= scene->end_s)
            continue;
        gv_moments_add(&scene->moments,
                       (struct gv_moment){.at_s = first_s + later,
                                          .subject = bot->address,
                                          .account = (uint32_t)gv_dice_next(dice),
                                          .node = (uint16_t)node,
                                          .kind = GV_MOMENT_VISIT,
                                          .n = guesses,
                                          .flags = unknown ? GV_MOMENT_UNKNOWN : 0});
    }
}

/* Users who share the attacker's address, or get it after him. */
static void draw_shared_logins(struct gv_scene *scene, struct gv_dice *dice, const struct bot *bot,
                               uint32_t node, uint32_t from_s, uint32_t span_s, uint32_t count,
                               bool clean)
{
    uint32_t first_s = UINT32_MAX;
    bool known_net = gv_dice_percent(dice, 50);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at_s = from_s + gv_dice_below(dice, span_s);
        bool wrong = gv_dice_permille(dice, scene->numbers.mistype_permille);
        if (at_s >= scene->end_s || at_s < scene->score_s)
            continue;
        first_s = at_s < first_s ? at_s : first_s;
        gv_moments_add(&scene->moments,
                       (struct gv_moment){.at_s = at_s,
                                          .subject = bot->address,
                                          .account = 1 + node,
                                          .node = (uint16_t)node,
                                          .kind = GV_MOMENT_LOGIN,
                                          .flags = (uint8_t)(GV_MOMENT_SHARED |
                                                             (wrong ? GV_MOMENT_MISTYPED : 0))});
    }
    if (first_s == UINT32_MAX)
        return;
    /* Their history began before the attacker came. */
    uint32_t before_s = bot->start_s < first_s ? bot->start_s : first_s;
    if (clean)
        gv_scene_make_clean(scene, bot->address, node, before_s);
    else if (known_net)
        gv_scene_make_clean(scene, gv_scene_sibling(scene, bot->address, GV_ADDRESS_SIBLING, 241),
                            node, before_s);
}

static void draw_sharers(struct gv_scene *scene, struct gv_dice *dice, const struct bot *bot)
{
    uint32_t kind = gv_dice_below(dice, 100), moves = scene->numbers.renumbered_percent;

    if (kind < moves) {
        if (gv_dice_percent(dice, 2))
            draw_shared_logins(scene, dice, bot, gv_dice_below(dice, scene->nodes),
                               bot->start_s + bot->life_s, GV_SCENE_DAY_S, 6, false);
        return;
    }
    if (kind >= moves + scene->numbers.cgnat_percent)
        return;
    uint32_t pairs = gv_dice_poisson(dice, 2000);
    for (uint32_t i = 0; i < pairs; i++) {
        uint32_t node = gv_dice_below(dice, scene->nodes);
        bool clean = gv_dice_percent(dice, 80);
        uint32_t logins = gv_dice_poisson(dice, 2000 * (bot->life_s / GV_SCENE_DAY_S + 1));
        draw_shared_logins(scene, dice, bot, node, bot->start_s, bot->life_s + GV_SCENE_DAY_S,
                           logins, clean);
    }
}

static void draw_bot(struct gv_scene *scene, struct gv_dice *dice, uint32_t start_s)
{
    struct bot bot = {.start_s = start_s};

    bot.slow = gv_dice_permille(dice, scene->numbers.slow_permille);
    uint32_t victims = draw_victims(scene, dice);
    if (bot.slow && victims < 2)
        victims = 2;
    uint32_t mean_h = bot.slow ? scene->numbers.slow_days * 24 : scene->numbers.life_hours;
    uint32_t life_h = 1 + gv_dice_exponential(dice, mean_h);
    bot.life_s = life_h * HOUR_S + gv_dice_below(dice, HOUR_S);
    bot.address = gv_scene_address(scene, GV_ADDRESS_BOT);
    scene->addresses[bot.address].guarded = scene->attackers % 10 == 0;
    scene->attackers++;
    for (uint32_t v = 0; v < victims; v++) {
        uint32_t node = gv_dice_below(dice, scene->nodes);
        uint32_t first_s = start_s + (v > 0 ? gv_dice_below(dice, bot.life_s) : 0);
        draw_visits(scene, dice, &bot, node, first_s);
    }
    draw_sharers(scene, dice, &bot);
}

void gv_scene_draw_attackers(struct gv_scene *scene)
{
    struct gv_dice dice;

    gv_dice_seed(&dice, scene->seed, STREAM);
    for (uint32_t hour = 0; hour < scene->days * 24; hour++) {
        uint32_t count = gv_dice_poisson(&dice, scene->numbers.attackers_milli * scene->nodes);
        for (uint32_t i = 0; i < count; i++)
            draw_bot(scene, &dice, hour * HOUR_S + gv_dice_below(&dice, HOUR_S));
    }
}
