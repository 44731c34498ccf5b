/* Legitimate users: where they come from, and how often they mistype (SPEC 20.1). */
#include <stdlib.h>

#include "crypto/error.h"
#include "sim/actors/dice.h"
#include "sim/actors/scene.h"

#define STREAM        2u
#define HALF_DAY_S    (GV_SCENE_DAY_S / 2)
#define PER_NETWORK   5u /* provider addresses in one network */
#define QUIET_EVERY_S (5 * GV_SCENE_DAY_S)

static void login(struct gv_scene *scene, struct gv_dice *dice, uint32_t address, uint32_t node,
                  uint32_t at_s, uint32_t account)
{
    bool wrong = gv_dice_permille(dice, scene->numbers.mistype_permille);
    bool unknown = gv_dice_percent(dice, scene->numbers.typo_unknown_percent);
    bool scored = at_s >= scene->score_s;

    if (at_s < scene->end_s)
        gv_moments_add(&scene->moments,
                       (struct gv_moment){.at_s = at_s,
                                          .subject = address,
                                          .account = account,
                                          .node = (uint16_t)node,
                                          .kind = scored ? GV_MOMENT_LOGIN : GV_MOMENT_QUIET,
                                          .flags = (uint8_t)((wrong ? GV_MOMENT_MISTYPED : 0) |
                                                             (unknown ? GV_MOMENT_UNKNOWN : 0))});
}

/* One node's users behind one provider address: one to three accounts, two logins a day. Nine in
 * ten such pairs are old; the others begin from a week before the scored days to their end. */
static void draw_pair(struct gv_scene *scene, struct gv_dice *dice, uint32_t address, uint32_t node)
{
    uint32_t accounts = 1 + gv_dice_below(dice, 3), base = 1000 + 3 * node;
    bool old = gv_dice_percent(dice, 90);
    uint32_t week_s = 7 * GV_SCENE_DAY_S;
    uint32_t early_s = scene->score_s > week_s ? scene->score_s - week_s : 0;
    uint32_t at_s = early_s + gv_dice_below(dice, scene->end_s - early_s);

    if (old) {
        gv_scene_make_clean(scene, address, node, 0);
        for (uint32_t t = 0; t < scene->score_s; t += QUIET_EVERY_S)
            login(scene, dice, address, node, t, base);
        at_s = scene->score_s;
    }
    for (at_s += gv_dice_exponential(dice, HALF_DAY_S); at_s < scene->end_s;
         at_s += gv_dice_exponential(dice, HALF_DAY_S))
        login(scene, dice, address, node, at_s, base + gv_dice_below(dice, accounts));
}

static void draw_providers(struct gv_scene *scene, struct gv_dice *dice)
{
    const struct gv_scene_numbers *n = &scene->numbers;

    for (uint32_t i = 0; i < n->providers; i++) {
        uint32_t address = i % PER_NETWORK == 0
                               ? gv_scene_address(scene, GV_ADDRESS_PROVIDER)
                               : gv_scene_sibling(scene, i / PER_NETWORK * PER_NETWORK,
                                                  GV_ADDRESS_PROVIDER, i % PER_NETWORK);
        for (uint32_t node = 0; node < scene->nodes; node++)
            if (gv_dice_percent(dice, n->provider_percent))
                draw_pair(scene, dice, address, node);
    }
    /* A login where the node has not seen the provider's address before: a user on a journey. */
    uint32_t visitors = n->providers * scene->nodes * (100 - n->provider_percent) / 100;
    uint32_t logins = gv_dice_poisson(dice, visitors * 20 * scene->scored_days);
    for (uint32_t i = 0; i < logins && n->providers > 0; i++) {
        uint32_t at_s = scene->score_s + gv_dice_below(dice, scene->end_s - scene->score_s);
        uint32_t node = gv_dice_below(dice, scene->nodes);
        login(scene, dice, gv_dice_below(dice, n->providers), node, at_s, 500000 + i);
    }
}

static void draw_client(struct gv_scene *scene, struct gv_dice *dice, uint32_t client)
{
    uint32_t node = gv_dice_below(dice, scene->nodes);
    bool moves = gv_dice_percent(dice, scene->numbers.renumbered_percent);
    uint32_t first = gv_scene_address(scene, GV_ADDRESS_CLIENT);

    scene->client_first[client] = first;
    scene->client_moves[client] = moves;
    if (!moves) {
        gv_scene_make_clean(scene, first, node, 0);
        for (uint32_t t = 0; t < scene->score_s; t += QUIET_EVERY_S)
            login(scene, dice, first, node, t, 900000 + client);
    }
    for (uint32_t day = 1; moves && day < scene->days; day++)
        (void)gv_scene_sibling(scene, first, GV_ADDRESS_CLIENT, day % 240);
    /* Nineteen homes in twenty have seen the network of a client that moves. */
    if (moves && gv_dice_percent(dice, 95))
        gv_scene_make_clean(scene, gv_scene_sibling(scene, first, GV_ADDRESS_SIBLING, 244), node,
                            scene->score_s - 1);
    for (uint32_t t = scene->score_s + gv_dice_exponential(dice, GV_SCENE_DAY_S / 3);
         t < scene->end_s; t += gv_dice_exponential(dice, GV_SCENE_DAY_S / 3))
        login(scene, dice, gv_scene_client(scene, client, t / GV_SCENE_DAY_S), node, t,
              900000 + client);
    /* Somebody there fails and gives up: about once in 36 days. */
    uint32_t typos = gv_dice_poisson(dice, 29 * scene->days);
    for (uint32_t i = 0; i < typos; i++) {
        uint32_t at_s = gv_dice_below(dice, scene->end_s);
        bool unknown = gv_dice_percent(dice, scene->numbers.typo_unknown_percent);
        gv_moments_add(
            &scene->moments,
            (struct gv_moment){.at_s = at_s,
                               .subject = gv_scene_client(scene, client, at_s / GV_SCENE_DAY_S),
                               .account = 900000 + client,
                               .node = (uint16_t)node,
                               .kind = GV_MOMENT_TYPO,
                               .flags = unknown ? GV_MOMENT_UNKNOWN : 0});
    }
}

/* The same from provider addresses: one in fifty nodes a day. */
static void draw_provider_typos(struct gv_scene *scene, struct gv_dice *dice)
{
    uint32_t typos = gv_dice_poisson(dice, 20 * scene->nodes * scene->days);

    for (uint32_t i = 0; i < typos && scene->numbers.providers > 0; i++) {
        bool unknown = gv_dice_percent(dice, scene->numbers.typo_unknown_percent);
        uint32_t at_s = gv_dice_below(dice, scene->end_s);
        uint32_t address = gv_dice_below(dice, scene->numbers.providers);
        uint32_t node = gv_dice_below(dice, scene->nodes);
        gv_moments_add(&scene->moments,
                       (struct gv_moment){.at_s = at_s,
                                          .subject = address,
                                          .account = 700000 + i,
                                          .node = (uint16_t)node,
                                          .kind = GV_MOMENT_TYPO,
                                          .flags = unknown ? GV_MOMENT_UNKNOWN : 0});
    }
}

void gv_scene_draw_users(struct gv_scene *scene)
{
    struct gv_dice dice;
    uint32_t clients = scene->numbers.clients;

    gv_dice_seed(&dice, scene->seed, STREAM);
    scene->client_first = calloc(clients + 1, sizeof *scene->client_first);
    scene->client_moves = calloc(clients + 1, sizeof *scene->client_moves);
    gv_assert(scene->client_first && scene->client_moves);
    draw_providers(scene, &dice);
    for (uint32_t i = 0; i < clients; i++)
        draw_client(scene, &dice, i);
    draw_provider_typos(scene, &dice);
}
