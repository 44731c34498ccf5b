#include "sim/queue.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/world.h"

#define NONE  UINT32_MAX
#define SPAN  GV_SIM_QUEUE_SPAN
#define WORDS (SPAN / 64)
struct gv_sim_slot {
    struct gv_sim_event event;
    uint32_t next; /* of its list, or free */
    bool taken;
};

/* ---- places --------------------------------------------------------------------------------- */

static void begin(struct gv_sim_queue *queue)
{
    queue->first = malloc(SPAN * sizeof *queue->first);
    queue->last = malloc(SPAN * sizeof *queue->last);
    queue->taken = calloc(WORDS, sizeof *queue->taken);
    gv_assert(queue->first && queue->last && queue->taken);
    queue->free = NONE;
}

static uint32_t new_slot(struct gv_sim_queue *queue)
{
    uint32_t at = queue->free;

    if (at != NONE) {
        queue->free = queue->slots[at].next;
        return at;
    }
    if (queue->used == queue->cap) {
        queue->cap = queue->cap ? 2 * queue->cap : 1024;
        queue->slots = realloc(queue->slots, queue->cap * sizeof *queue->slots);
        gv_assert(queue->slots);
    }
    return queue->used++;
}

static void append(struct gv_sim_queue *queue, uint32_t slot)
{
    size_t at = queue->slots[slot].event.at_ms % SPAN;
    uint64_t bit = (uint64_t)1 << at % 64;

    queue->slots[slot].next = NONE;
    if (queue->taken[at / 64] & bit)
        queue->slots[queue->last[at]].next = slot;
    else
        queue->first[at] = slot;
    queue->last[at] = slot;
    queue->taken[at / 64] |= bit;
}

/* The first list from here on, within the span, that is not empty: its millisecond. */
static uint64_t next_list(const struct gv_sim_queue *queue, uint64_t from_ms, uint64_t until_ms)
{
    while (from_ms < until_ms) {
        uint64_t rest = queue->taken[from_ms % SPAN / 64] >> from_ms % 64;
        if (rest) {
            from_ms += (uint64_t)__builtin_ctzll(rest);
            return from_ms < until_ms ? from_ms : UINT64_MAX;
        }
        from_ms += 64 - from_ms % 64;
    }
    return UINT64_MAX;
}

/* ---- what is later -------------------------------------------------------------------------- */

static bool before(const struct gv_sim_queue *queue, uint32_t a, uint32_t b)
{
    const struct gv_sim_event *x = &queue->slots[a].event, *y = &queue->slots[b].event;

    return x->at_ms != y->at_ms ? x->at_ms < y->at_ms : x->serial < y->serial;
}

static void push_later(struct gv_sim_queue *queue, uint32_t slot)
{
    size_t at = queue->later_count++;

    if (queue->later_count > queue->later_cap) {
        queue->later_cap = queue->later_cap ? 2 * queue->later_cap : 256;
        queue->later = realloc(queue->later, queue->later_cap * sizeof *queue->later);
        gv_assert(queue->later);
    }
    while (at > 0 && before(queue, slot, queue->later[(at - 1) / 2])) {
        queue->later[at] = queue->later[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->later[at] = slot;
}

static uint32_t pop_later(struct gv_sim_queue *queue)
{
    uint32_t first = queue->later[0], moved = queue->later[--queue->later_count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= queue->later_count)
            break;
        if (child + 1 < queue->later_count &&
            before(queue, queue->later[child + 1], queue->later[child]))
            child++;
        if (before(queue, moved, queue->later[child]))
            break;
        queue->later[at] = queue->later[child];
        at = child;
    }
    queue->later[at] = moved;
    return first;
}

/* What the lists reach now goes into them before anything that is queued from here on: so each list
 * is in the order in which it was queued. */
static void advance(struct gv_sim_queue *queue, uint64_t at_ms)
{
    queue->at_ms = at_ms;
    while (queue->later_count > 0 &&
           queue->slots[queue->later[0]].event.at_ms - at_ms < (uint64_t)SPAN)
        append(queue, pop_later(queue));
}

/* ---- the queue ------------------------------------------------------------------------------ */

void gv_world_queue(struct gv_world *world, struct gv_sim_event event)
{
    struct gv_sim_queue *queue = &world->queue;

    if (!queue->first)
        begin(queue);
    gv_assert(event.at_ms >= queue->at_ms);
    event.serial = world->serial++;
    uint32_t slot = new_slot(queue);
    queue->slots[slot].event = event;
    queue->slots[slot].taken = true;
    if (event.at_ms - queue->at_ms < SPAN)
        append(queue, slot);
    else
        push_later(queue, slot);
    queue->count++;
}

uint64_t gv_world_next_ms(const struct gv_world *world)
{
    const struct gv_sim_queue *queue = &world->queue;

    if (queue->count > queue->later_count)
        return next_list(queue, queue->at_ms, queue->at_ms + SPAN);
    return queue->count > 0 ? queue->slots[queue->later[0]].event.at_ms : UINT64_MAX;
}

struct gv_sim_event gv_world_unqueue(struct gv_world *world)
{
    struct gv_sim_queue *queue = &world->queue;
    uint64_t at_ms = gv_world_next_ms(world);

    gv_assert(at_ms != UINT64_MAX);
    if (at_ms != queue->at_ms)
        advance(queue, at_ms);
    size_t list = at_ms % SPAN;
    uint32_t slot = queue->first[list];
    struct gv_sim_event event = queue->slots[slot].event;

    queue->first[list] = queue->slots[slot].next;
    if (queue->first[list] == NONE)
        queue->taken[list / 64] &= ~((uint64_t)1 << list % 64);
    queue->slots[slot].taken = false;
    queue->slots[slot].next = queue->free;
    queue->free = slot;
    queue->count--;
    return event;
}

struct gv_sim_event *gv_world_queued(struct gv_world *world, size_t *cursor)
{
    struct gv_sim_queue *queue = &world->queue;

    while (*cursor < queue->used) {
        struct gv_sim_slot *slot = &queue->slots[(*cursor)++];
        if (slot->taken)
            return &slot->event;
    }
    return NULL;
}

void gv_queue_free(struct gv_world *world)
{
    struct gv_sim_queue *queue = &world->queue;
    struct gv_sim_event *event;
    size_t cursor = 0;

    while ((event = gv_world_queued(world, &cursor)))
        free(event->data);
    free(queue->slots);
    free(queue->first);
    free(queue->last);
    free(queue->taken);
    free(queue->later);
    memset(queue, 0, sizeof *queue);
}
