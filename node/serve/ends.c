#include "node/serve/ends.h"

#include <stdlib.h>

#include "crypto/error.h"
#include "node/serve/listing.h"

#define NEAR   128u
#define FAR    127u
#define FAR_MS (GV_ENDS_FAR_MS / 2)
/* Entries whose subject has moved to an earlier slot, beyond as many as wait. */
#define MOVED_MAX 65536u
#define KEEP      1024u /* a slot that was larger gives its memory back */

struct slot {
    struct gv_subject *items; /* owned */
    size_t count, cap, at;    /* at: how many are gone through */
};

struct gv_ends {
    struct gv_listing *where; /* number of the subject's slot, from 1 */
    struct slot slots[NEAR + FAR];
    uint64_t near, far; /* the step of each wheel whose slot is emptied next, or just now */
    size_t queued;      /* in all slots, also what has moved */
};

struct gv_ends *gv_ends_new(const uint8_t key[16], uint64_t now_ms)
{
    struct gv_ends *ends = calloc(1, sizeof *ends);

    if (!ends)
        return NULL;
    ends->where = gv_listing_new(key);
    if (!ends->where) {
        free(ends);
        return NULL;
    }
    ends->near = now_ms / GV_ENDS_STEP_MS + 1;
    ends->far = now_ms / FAR_MS + 1;
    return ends;
}

void gv_ends_free(struct gv_ends *ends)
{
    if (!ends)
        return;
    for (size_t i = 0; i < NEAR + FAR; i++)
        free(ends->slots[i].items);
    gv_listing_free(ends->where);
    free(ends);
}

/* When the slot will be emptied. */
static uint64_t time_of(const struct gv_ends *ends, unsigned slot)
{
    if (slot < NEAR)
        return (ends->near + (slot + NEAR - ends->near % NEAR) % NEAR) * GV_ENDS_STEP_MS;
    slot -= NEAR;
    return (ends->far + (slot + FAR - ends->far % FAR) % FAR) * FAR_MS;
}

/* Never one that is just being emptied: what is put there again and again would keep it from ever
 * being empty. */
static unsigned slot_for(const struct gv_ends *ends, uint64_t at_ms)
{
    uint64_t step = at_ms / GV_ENDS_STEP_MS + 1;

    if (step <= ends->near)
        step = ends->near + 1;
    if (step < ends->near + NEAR)
        return (unsigned)(step % NEAR);
    step = at_ms / FAR_MS - 1; /* so early that there is time for many */
    if (step <= ends->far)
        step = ends->far + 1;
    if (step >= ends->far + FAR)
        step = ends->far + FAR - 1;
    return NEAR + (unsigned)(step % FAR);
}

static int append(struct slot *slot, const struct gv_subject *subject)
{
    if (slot->count == slot->cap) {
        size_t cap = slot->cap ? slot->cap + slot->cap / 2 : 64;
        struct gv_subject *items = realloc(slot->items, cap * sizeof *items);
        if (!items)
            return GV_ERR_MEMORY;
        slot->items = items;
        slot->cap = cap;
    }
    slot->items[slot->count++] = *subject;
    return GV_OK;
}

int gv_ends_put(struct gv_ends *ends, const struct gv_subject *subject, uint64_t at_ms)
{
    unsigned before = gv_listing_get(ends->where, subject), slot = slot_for(ends, at_ms);

    if (before && time_of(ends, before - 1) <= time_of(ends, slot))
        return GV_OK;
    if (before && ends->queued >= 2 * gv_listing_count(ends->where) + MOVED_MAX)
        return GV_ERR_FULL;
    int rc = gv_listing_set(ends->where, subject, slot + 1);
    if (rc != GV_OK)
        return rc;
    rc = append(&ends->slots[slot], subject);
    if (rc != GV_OK)
        (void)gv_listing_set(ends->where, subject, before);
    ends->queued += rc == GV_OK;
    return rc;
}

static void empty(struct slot *slot)
{
    if (slot->cap > KEEP) {
        free(slot->items);
        *slot = (struct slot){.items = NULL};
    }
    slot->count = slot->at = 0;
}

/* The slot that is being emptied, from 1; 0: none has come. */
static unsigned due(struct gv_ends *ends, uint64_t now_ms)
{
    for (;;) {
        bool near = ends->near * GV_ENDS_STEP_MS <= now_ms;
        if (!near && ends->far * FAR_MS > now_ms)
            return 0;
        unsigned number = (unsigned)(near ? ends->near % NEAR : NEAR + ends->far % FAR);
        struct slot *slot = &ends->slots[number];
        if (slot->at < slot->count)
            return number + 1;
        empty(slot);
        if (near)
            ends->near++;
        else
            ends->far++;
    }
}

uint64_t gv_ends_look(uint64_t at_ms, uint64_t now_ms)
{
    uint64_t from_ms = at_ms > now_ms + GV_ENDS_FAR_MS ? at_ms - GV_ENDS_FAR_MS : now_ms;

    return from_ms + GV_ENDS_STEP_MS;
}

uint64_t gv_ends_when(const struct gv_ends *ends)
{
    uint64_t when = UINT64_MAX;

    for (unsigned i = 0; i < NEAR + FAR; i++) {
        uint64_t at = ends->slots[i].count > 0 ? time_of(ends, i) : UINT64_MAX;
        when = at < when ? at : when;
    }
    return when;
}

bool gv_ends_due(struct gv_ends *ends, uint64_t now_ms)
{
    return due(ends, now_ms) != 0;
}

bool gv_ends_next(struct gv_ends *ends, struct gv_subject *out, uint64_t now_ms)
{
    unsigned number = due(ends, now_ms);

    if (number == 0)
        return false;
    struct slot *slot = &ends->slots[number - 1];
    *out = slot->items[slot->at++];
    ends->queued--;
    if (gv_listing_get(ends->where, out) == number) /* else it has moved */
        (void)gv_listing_set(ends->where, out, 0);
    return true;
}

size_t gv_ends_count(const struct gv_ends *ends)
{
    return gv_listing_count(ends->where);
}

size_t gv_ends_bytes(const struct gv_ends *ends)
{
    size_t bytes = sizeof *ends + gv_listing_bytes(ends->where);

    for (size_t i = 0; i < NEAR + FAR; i++)
        bytes += ends->slots[i].cap * sizeof *ends->slots[i].items;
    return bytes;
}
