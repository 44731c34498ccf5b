/* Nodes that are down all the time, and nodes behind NAT: as shares of a mesh (SPEC 17.1). */
#include <stdlib.h>

#include "crypto/error.h"
#include "sim/world.h"

#define SEEDS 5u /* of the descriptor: somebody has to be found at a known address */

static size_t share(const struct gv_world *world, uint32_t percent)
{
    return (world->options.nodes * percent + 50) / 100;
}

void gv_world_draw_away(struct gv_world *world)
{
    size_t n = world->options.nodes, count = n > SEEDS ? n - SEEDS : 0;
    size_t away = share(world, world->options.offline),
           nat = share(world, world->options.behind_nat);
    uint8_t seed[GV_SEED_LEN] = {'a', 'w', 'a', 'y'};
    size_t *order = malloc((count + 1) * sizeof *order);
    struct gv_drbg drbg;

    gv_assert(order);
    for (size_t i = 0; i < 8; i++)
        seed[8 + i] = (uint8_t)(world->options.seed >> (56 - 8 * i));
    gv_drbg_init(&drbg, seed);
    for (size_t i = 0; i < count; i++) {
        size_t other = (size_t)gv_drbg_below(&drbg, i + 1);
        order[i] = order[other];
        order[other] = SEEDS + i;
    }
    away = away < count ? away : count;
    nat = nat < count - away ? nat : count - away;
    for (size_t i = 0; i < away + nat; i++) {
        struct gv_sim_node *node = &world->nodes[order[i]];
        node->away = i < away;
        node->outbound = i >= away;
    }
    gv_drbg_wipe(&drbg);
    free(order);
}

size_t gv_world_online(const struct gv_world *world)
{
    size_t online = 0;

    for (size_t i = 0; i < world->options.nodes; i++)
        online += !world->nodes[i].away;
    return online;
}
