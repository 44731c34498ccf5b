#include "proto/mesh/common.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

struct gv_common *gv_common_new(void)
{
    return calloc(1, sizeof(struct gv_common));
}

void gv_common_free(struct gv_common *common)
{
    if (!common)
        return;
    gv_base_release(common->base);
    gv_shelf_free(&common->shelf);
    free(common);
}

void gv_common_settle(struct gv_core *core)
{
    struct gv_common *common = core->common;

    if (core->set.base || gv_roster_count(&core->roster, GV_ROWS_INSTANCES) == 0)
        return;
    /* Rows of owners stay where they are in memory; without memory all stays as it was. */
    if (gv_base_freeze(&core->roster, &core->set) != GV_OK || !common || common->base)
        return;
    common->base = core->set.base;
    common->base->holders++;
    memcpy(common->network_id, core->descriptor.network_id, GV_KEY_LEN);
}

/* Would each of its rows be taken now? */
static bool is_good(const struct gv_core *core, const struct gv_common *common)
{
    const struct gv_base *base = common->base;

    return base && core->has_descriptor &&
           memcmp(common->network_id, core->descriptor.network_id, GV_KEY_LEN) == 0 &&
           base->latest_min <= core->now_min + GV_AHEAD_MIN &&
           (uint64_t)base->address_min + GV_ADDRESS_LIFE_MIN >= core->now_min &&
           gv_certificate_held_until(&core->descriptor, base->expires_min) >= core->now_min;
}

/* Addresses that may be in the book, by a hash of each: looking through a book of a thousand for
 * each of a thousand took longer than all else that a core begins with. */
#define SEEN_BITS 65536u
struct seen {
    uint64_t bits[SEEN_BITS / 64];
};

/* Whether it may have been noted before; and notes it. */
static bool note(struct seen *seen, const struct gv_core *core, const struct gv_address *address)
{
    size_t bit = gv_siphash(core->hash_key, address->bytes, sizeof address->bytes) % SEEN_BITS;
    uint64_t before = seen->bits[bit / 64];

    seen->bits[bit / 64] |= (uint64_t)1 << bit % 64;
    return before >> bit % 64 & 1;
}

static void learn(struct gv_core *core, struct seen *seen, const struct gv_instance *instance)
{
    if (memcmp(instance->id, core->identity.id, GV_ID_LEN) == 0) {
        core->address_min = instance->address_item->key.minute;
        core->address_said = instance->address;
    } else if (instance->address.family != GV_FAMILY_NONE) {
        if (note(seen, core, &instance->address))
            gv_book_learn(core, &instance->address, instance->id, false);
        else
            gv_book_learn_new(core, &instance->address, instance->id);
    }
}

/* All addresses, or as many as the book has room for, each with the same odds. */
static void learn_addresses(struct gv_core *core, const struct gv_base *base)
{
    void *const *all = base->all[GV_ROWS_INSTANCES];
    size_t left = 0;
    size_t room = core->book.count < GV_PEER_BOOK_MAX ? GV_PEER_BOOK_MAX - core->book.count : 0;
    struct seen seen = {{0}};

    for (size_t i = 0; i < core->book.count; i++) /* seeds: of what instance is not known */
        if (!core->book.entries[i].host)
            note(&seen, core, &core->book.entries[i].address);
    for (size_t i = 0; i < base->rows[GV_ROWS_INSTANCES].count; i++) {
        const struct gv_instance *instance = all[i];
        left += instance->address_item != NULL;
    }
    gv_book_expect(&core->book, core->book.count + (left < room ? left : room));
    for (size_t i = 0; left > 0; i++) {
        const struct gv_instance *instance = all[i];
        bool self = memcmp(instance->id, core->identity.id, GV_ID_LEN) == 0;
        if (!instance->address_item)
            continue;
        size_t of = left--;
        if (!self && of > room && gv_drbg_below(&core->drbg, of) >= room)
            continue;
        learn(core, &seen, instance);
        room -= room > 0 && !self;
    }
}

int gv_common_begin(struct gv_core *core)
{
    struct gv_common *common = core->common;

    if (!common || !is_good(core, common))
        return GV_ERR_NOT_FOUND;
    if (!gv_base_take(common->base, &core->roster, &core->set))
        return GV_ERR_MEMORY;
    learn_addresses(core, common->base);
    return GV_OK;
}
