#include "node/cli/look_tally.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/wipe.h"

#define SLOTS (2 * GV_TALLY_MAX) /* a power of two */

struct gv_tally {
    uint8_t key[16];
    size_t size;
    uint64_t forgotten, lost;
    uint16_t slots[SLOTS]; /* index + 1; 0: none */
    struct gv_tally_entry entries[GV_TALLY_MAX];
    uint64_t weights[GV_TALLY_MAX]; /* scratch */
};

struct gv_tally *gv_tally_new(const uint8_t key[16])
{
    struct gv_tally *tally = calloc(1, sizeof *tally);

    if (tally)
        memcpy(tally->key, key, sizeof tally->key);
    return tally;
}

void gv_tally_free(struct gv_tally *tally)
{
    if (tally)
        gv_wipe(tally, sizeof *tally);
    free(tally);
}

uint64_t gv_tally_hash(const struct gv_tally *tally, const char *name, size_t len)
{
    uint64_t hash = gv_siphash(tally->key, name, len);

    return hash ? hash : 1;
}

static uint16_t *slot_of(struct gv_tally *tally, uint64_t hash)
{
    size_t i = hash % SLOTS;

    while (tally->slots[i] != 0 && tally->entries[tally->slots[i] - 1].hash != hash)
        i = (i + 1) % SLOTS;
    return &tally->slots[i];
}

struct gv_tally_entry *gv_tally_find(struct gv_tally *tally, uint64_t hash)
{
    uint16_t slot = *slot_of(tally, hash);

    return slot ? &tally->entries[slot - 1] : NULL;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* At least half of them go: so a name costs two visits here at most, however many there are. */
static void forget_light(struct gv_tally *tally)
{
    size_t kept = 0;

    for (size_t i = 0; i < tally->size; i++)
        tally->weights[i] = tally->entries[i].weight;
    qsort(tally->weights, tally->size, sizeof *tally->weights, by_number);
    uint64_t most = tally->weights[tally->size / 2];
    for (size_t i = 0; i < tally->size; i++) {
        if (tally->entries[i].weight <= most)
            tally->forgotten++;
        else if (kept++ != i)
            tally->entries[kept - 1] = tally->entries[i];
    }
    tally->lost += most;
    memset(tally->entries + kept, 0, (tally->size - kept) * sizeof *tally->entries);
    memset(tally->slots, 0, sizeof tally->slots);
    tally->size = kept;
    for (size_t i = 0; i < kept; i++)
        *slot_of(tally, tally->entries[i].hash) = (uint16_t)(i + 1);
}

struct gv_tally_entry *gv_tally_at(struct gv_tally *tally, const char *name, size_t len)
{
    uint64_t hash = gv_tally_hash(tally, name, len);
    struct gv_tally_entry *entry = gv_tally_find(tally, hash);

    if (entry)
        return entry;
    if (tally->size == GV_TALLY_MAX)
        forget_light(tally);
    entry = &tally->entries[tally->size++];
    *slot_of(tally, hash) = (uint16_t)tally->size;
    entry->hash = hash;
    entry->name_len = (uint16_t)(len < GV_TALLY_NAME ? len : GV_TALLY_NAME);
    memcpy(entry->name, name, entry->name_len);
    return entry;
}

void gv_tally_count(struct gv_tally_entry *entry, uint64_t ms)
{
    uint64_t hour = ms / 3600000;

    entry->count++;
    if (entry->first_ms == 0 || ms < entry->first_ms)
        entry->first_ms = ms;
    if (ms > entry->last_ms)
        entry->last_ms = ms;
    if (hour != entry->hour) {
        entry->hour = hour;
        entry->in_hour = 0;
    }
    if (entry->in_hour < UINT32_MAX)
        entry->in_hour++;
    if (entry->in_hour > entry->most)
        entry->most = entry->in_hour;
}

bool gv_tally_network(struct gv_tally_entry *entry, uint64_t network)
{
    for (size_t i = 0; i < entry->network_count; i++)
        if (entry->networks[i] == network)
            return false;
    if (entry->network_count == GV_TALLY_NETWORKS)
        return false;
    entry->networks[entry->network_count++] = network;
    return true;
}

static bool heavier(const struct gv_tally_entry *a, const struct gv_tally_entry *b)
{
    return a->weight != b->weight ? a->weight > b->weight : a->count > b->count;
}

size_t gv_tally_top(const struct gv_tally *tally, const struct gv_tally_entry **out, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < tally->size; i++) {
        const struct gv_tally_entry *entry = &tally->entries[i];
        size_t at = n;

        if (entry->weight == 0)
            continue;
        while (at > 0 && heavier(entry, out[at - 1]))
            at--;
        if (at == cap)
            continue;
        if (n < cap)
            n++;
        memmove(out + at + 1, out + at, (n - 1 - at) * sizeof *out);
        out[at] = entry;
    }
    return n;
}

size_t gv_tally_size(const struct gv_tally *tally)
{
    return tally->size;
}

uint64_t gv_tally_forgotten(const struct gv_tally *tally)
{
    return tally->forgotten;
}

uint64_t gv_tally_lost(const struct gv_tally *tally)
{
    return tally->lost;
}
