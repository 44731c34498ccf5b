/* The queue of what is to happen, in a total order. */
#include <stdlib.h>

#include "crypto/error.h"
#include "sim/world.h"

static bool before(const struct gv_sim_event *a, const struct gv_sim_event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->serial < b->serial;
}

void gv_world_queue(struct gv_world *world, struct gv_sim_event event)
{
    size_t at = world->queued++;

    if (world->queued > world->queue_cap) {
        world->queue_cap = world->queue_cap ? 2 * world->queue_cap : 1024;
        world->queue = realloc(world->queue, world->queue_cap * sizeof *world->queue);
        gv_assert(world->queue);
    }
    event.serial = world->serial++;
    while (at > 0 && before(&event, &world->queue[(at - 1) / 2])) {
        world->queue[at] = world->queue[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world->queue[at] = event;
}

struct gv_sim_event gv_world_unqueue(struct gv_world *world)
{
    struct gv_sim_event first = world->queue[0], last = world->queue[--world->queued];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= world->queued)
            break;
        if (child + 1 < world->queued && before(&world->queue[child + 1], &world->queue[child]))
            child++;
        if (before(&last, &world->queue[child]))
            break;
        world->queue[at] = world->queue[child];
        at = child;
    }
    if (world->queued > 0)
        world->queue[at] = last;
    return first;
}
