/* Owners whose word this host's admin does not want to hear: they have no vote here, and here alone
 * (SPEC 11.5). */
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

static size_t place_of(const struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    size_t i = 0;

    while (i < core->silenced_count && memcmp(core->silenced[i], owner, GV_ID_LEN) != 0)
        i++;
    return i;
}

bool gv_is_silenced(const struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    return place_of(core, owner) < core->silenced_count;
}

/* False: no memory, nothing is changed. An owner who is not known yet is silenced when he is. */
static bool apply(struct gv_core *core, const uint8_t owner[GV_ID_LEN], bool silenced)
{
    const struct gv_owner *row;
    size_t cursor = 0;

    while ((row = gv_roster_next(&core->roster, GV_ROWS_OWNERS, &cursor))) {
        if (memcmp(row->tag, owner, GV_ID_LEN) != 0)
            continue;
        struct gv_owner *own = gv_roster_own_owner(&core->roster, row);
        if (!own)
            return false;
        own->silenced = silenced;
        break;
    }
    gv_owners_moved(core);
    gv_rejudge_all(core);
    return true;
}

int gv_silence(struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    if (core->has_certificate && memcmp(owner, core->certificate.owner, GV_ID_LEN) == 0)
        return GV_ERR_FORBIDDEN;
    if (gv_is_silenced(core, owner))
        return GV_ERR_DUPLICATE;
    if (core->silenced_count == GV_TRUSTED_MAX)
        return GV_ERR_FULL;
    if (!apply(core, owner, true))
        return GV_ERR_MEMORY;
    memcpy(core->silenced[core->silenced_count++], owner, GV_ID_LEN);
    return GV_OK;
}

int gv_hear_again(struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    size_t place = place_of(core, owner);

    if (place == core->silenced_count)
        return GV_ERR_NOT_FOUND;
    if (!apply(core, owner, false))
        return GV_ERR_MEMORY;
    memmove(core->silenced[place], core->silenced[--core->silenced_count], GV_ID_LEN);
    return GV_OK;
}

uint32_t gv_core_unheard(const struct gv_core *core, const struct gv_subject *subject)
{
    const struct gv_case *row = gv_store_case(&core->store, subject);
    const struct gv_owner *owners[GV_TRUSTED_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; row && i < row->count; i++) {
        const struct gv_held *held = gv_case_at(row, i);
        uint64_t last = (uint64_t)held->statement.last_min + core->descriptor.policy.alive_min;
        uint32_t at = 0;
        if (!held->owner->silenced || held->statement.kind != GV_STATEMENT_SIGNAL ||
            last < core->now_min)
            continue;
        while (at < count && owners[at] != held->owner)
            at++;
        if (at == count && count < GV_TRUSTED_MAX)
            owners[count++] = held->owner;
    }
    return count;
}
