/* The queue of what is to happen, in a total order: by time, and what was queued first comes first.
 * A list for each of the next milliseconds, and a heap of what is later: in a large world the queue
 * holds tens of thousands, and a heap of all of them is a walk through memory for each. */
#ifndef GV_SIM_QUEUE_H
#define GV_SIM_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct gv_sim_event;
struct gv_sim_slot;
struct gv_world;

#define GV_SIM_QUEUE_SPAN 65536u /* ms with a list of their own: a core sleeps a minute at most */

struct gv_sim_queue {
    struct gv_sim_slot *slots; /* owned */
    uint32_t *first, *last;    /* owned: of a millisecond, modulo the span */
    uint64_t *taken;           /* owned: a bit for each list that is not empty */
    uint32_t *later;           /* owned: binary heap of slots */
    size_t later_count, later_cap;
    size_t count; /* of all */
    uint32_t used, cap, free;
    uint64_t at_ms; /* the lists are for this one and those behind it */
};

void gv_queue_free(struct gv_world *world); /* with what its events own */
/* Puts an event into the queue: not before the one that was taken last. */
void gv_world_queue(struct gv_world *world, struct gv_sim_event event);
/* When the next comes; UINT64_MAX: nothing does. */
uint64_t gv_world_next_ms(const struct gv_world *world);
/* Takes it: there is one. */
struct gv_sim_event gv_world_unqueue(struct gv_world *world);
/* All of them, in no order, from *cursor 0 on; NULL behind the last. Nothing is queued meanwhile.
 */
struct gv_sim_event *gv_world_queued(struct gv_world *world, size_t *cursor);

#endif
