#include "node/registry/rate.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

#define NEIGHBOURS 16

int gv_rate_init(struct gv_rate *rate, size_t capacity, uint32_t window_min)
{
    gv_assert(capacity >= NEIGHBOURS && (capacity & (capacity - 1)) == 0);
    rate->entries = calloc(capacity, sizeof *rate->entries);
    rate->capacity = capacity;
    rate->window_min = window_min;
    randombytes_buf(rate->hash_key, sizeof rate->hash_key);
    return rate->entries ? GV_OK : GV_ERR_MEMORY;
}

void gv_rate_free(struct gv_rate *rate)
{
    free(rate->entries);
    rate->entries = NULL;
}

static size_t place_of(const struct gv_rate *rate, const uint8_t key[16])
{
    uint8_t hash[8];
    size_t place = 0;

    crypto_shorthash(hash, key, 16, rate->hash_key);
    for (size_t i = 0; i < sizeof hash; i++)
        place = place << 8 | hash[i];
    return place & (rate->capacity - 1);
}

/* The key's entry, or NULL; *room is where it would go: a free neighbour or the oldest. */
static struct gv_rate_entry *find(const struct gv_rate *rate, const uint8_t key[16],
                                  struct gv_rate_entry **room)
{
    size_t place = place_of(rate, key);

    *room = NULL;
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        struct gv_rate_entry *entry = &rate->entries[(place + i) & (rate->capacity - 1)];
        if (entry->count && memcmp(entry->key, key, 16) == 0)
            return entry;
        if (!*room || ((*room)->count && (!entry->count || entry->start_min < (*room)->start_min)))
            *room = entry;
    }
    return NULL;
}

bool gv_rate_take(struct gv_rate *rate, const uint8_t key[16], uint32_t limit, uint32_t now_min,
                  uint32_t *wait_min)
{
    struct gv_rate_entry *room, *entry = find(rate, key, &room);

    if (!entry) {
        entry = room;
        memcpy(entry->key, key, 16);
        entry->start_min = now_min;
        entry->count = 0;
    }
    /* A clock that was set back ends a window too: it must not last for ever. */
    if (now_min < entry->start_min || now_min - entry->start_min >= rate->window_min) {
        entry->start_min = now_min;
        entry->count = 0;
    }
    if (entry->count >= limit) {
        if (wait_min)
            *wait_min = entry->start_min + rate->window_min - now_min;
        return false;
    }
    entry->count++;
    return true;
}

void gv_rate_give_back(struct gv_rate *rate, const uint8_t key[16])
{
    struct gv_rate_entry *room, *entry = find(rate, key, &room);

    if (entry)
        entry->count--;
}
