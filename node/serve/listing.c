#include "node/serve/listing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/wipe.h"

#define CAP_MIN   1024u
#define HUGE_PAGE ((size_t)2 << 20)

struct slot {
    uint32_t hash;             /* of the subject, to pass over strangers and to move entries */
    struct gv_subject subject; /* family GV_FAMILY_NONE: free */
    uint8_t bits;
};
_Static_assert(sizeof(struct slot) == 16, "60 bytes an entry is what was promised");

struct gv_listing {
    struct slot *slots; /* owned; linear probing, backward-shift deletion */
    size_t cap;         /* a power of two; at most three quarters are taken */
    size_t count;
    uint64_t serial;
    uint8_t key[16];
};

/* Zeroed. A large table lies in huge pages where the kernel has them: a lookup then misses its memory
 * once and not, for the address of it, once or twice more. */
static struct slot *new_slots(size_t cap)
{
    size_t bytes = cap * sizeof(struct slot);

    if (bytes < 2 * HUGE_PAGE)
        return calloc(cap, sizeof(struct slot));
    struct slot *slots = aligned_alloc(HUGE_PAGE, bytes);
    if (!slots)
        return NULL;
    (void)madvise(slots, bytes, MADV_HUGEPAGE);
    memset(slots, 0, bytes);
    return slots;
}

struct gv_listing *gv_listing_new(const uint8_t key[16])
{
    struct gv_listing *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    memcpy(l->key, key, sizeof l->key);
    l->cap = CAP_MIN;
    l->slots = new_slots(l->cap);
    if (!l->slots) {
        gv_listing_free(l);
        return NULL;
    }
    return l;
}

void gv_listing_free(struct gv_listing *listing)
{
    if (!listing)
        return;
    gv_wipe(listing->key, sizeof listing->key);
    free(listing->slots);
    free(listing);
}

static uint32_t hash_of(const struct gv_listing *l, const struct gv_subject *subject)
{
    return (uint32_t)gv_siphash(l->key, subject, sizeof *subject);
}

/* The slot that holds the subject, or the free one where it belongs. */
static size_t place(const struct gv_listing *l, const struct gv_subject *subject, uint32_t hash)
{
    size_t at = hash & (l->cap - 1);

    while (l->slots[at].subject.family != GV_FAMILY_NONE &&
           (l->slots[at].hash != hash || !gv_subject_equal(&l->slots[at].subject, subject)))
        at = (at + 1) & (l->cap - 1);
    return at;
}

unsigned gv_listing_get(const struct gv_listing *listing, const struct gv_subject *subject)
{
    return listing->slots[place(listing, subject, hash_of(listing, subject))].bits;
}

/* To the smallest power of two of which `count` is at most three quarters. */
static int resize(struct gv_listing *l, size_t count)
{
    size_t cap = CAP_MIN;

    while (cap / 4 * 3 < count)
        cap *= 2;
    if (cap == l->cap)
        return GV_OK;
    struct slot *old = l->slots, *slots = new_slots(cap);
    if (!slots)
        return GV_ERR_MEMORY;
    size_t old_cap = l->cap;
    l->slots = slots;
    l->cap = cap;
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].subject.family != GV_FAMILY_NONE)
            slots[place(l, &old[i].subject, old[i].hash)] = old[i];
    free(old);
    return GV_OK;
}

/* Closes the gap, so that no search ends too early. */
static void take_off(struct gv_listing *l, size_t gap)
{
    size_t mask = l->cap - 1;

    for (size_t at = (gap + 1) & mask; l->slots[at].subject.family != GV_FAMILY_NONE;
         at = (at + 1) & mask) {
        size_t home = l->slots[at].hash & mask;
        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        l->slots[gap] = l->slots[at];
        gap = at;
    }
    l->slots[gap] = (struct slot){.hash = 0};
    l->count--;
}

int gv_listing_set(struct gv_listing *listing, const struct gv_subject *subject, unsigned bits)
{
    uint32_t hash = hash_of(listing, subject);
    size_t at = place(listing, subject, hash);

    gv_assert(subject->family != GV_FAMILY_NONE && bits <= UINT8_MAX);
    if (listing->slots[at].bits == bits)
        return GV_OK;
    if (bits == 0) {
        take_off(listing, at);
        listing->serial++;
        if (listing->cap / 8 > listing->count)
            (void)resize(listing, 2 * listing->count); /* no memory: it stays large */
        return GV_OK;
    }
    if (listing->slots[at].subject.family == GV_FAMILY_NONE) {
        int rc = resize(listing, listing->count + 1 > listing->cap / 4 * 3 ? listing->count + 1
                                                                           : listing->cap / 4 * 3);
        if (rc != GV_OK)
            return rc;
        at = place(listing, subject, hash);
        listing->count++;
    }
    listing->slots[at] = (struct slot){.hash = hash, .subject = *subject, .bits = (uint8_t)bits};
    listing->serial++;
    return GV_OK;
}

bool gv_listing_next(const struct gv_listing *listing, size_t *cursor, struct gv_subject *subject,
                     unsigned *bits)
{
    for (; *cursor < listing->cap; ++*cursor) {
        const struct slot *slot = &listing->slots[*cursor];
        if (slot->subject.family == GV_FAMILY_NONE)
            continue;
        *subject = slot->subject;
        *bits = slot->bits;
        ++*cursor;
        return true;
    }
    return false;
}

size_t gv_listing_count(const struct gv_listing *listing)
{
    return listing->count;
}

uint64_t gv_listing_serial(const struct gv_listing *listing)
{
    return listing->serial;
}

size_t gv_listing_bytes(const struct gv_listing *listing)
{
    return sizeof *listing + listing->cap * sizeof *listing->slots;
}
