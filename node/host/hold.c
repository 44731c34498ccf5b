#include "node/host/hold.h"

#include <string.h>

/* A failure that was seen, the local history's row about it, and what would be said of it if
 * sharing were switched on: nobody is told of these, and the surfaces have heard of the subject
 * already. */
static bool may_wait(const struct gv_effects *effects, const struct gv_effect *effect)
{
    if (effect->kind == GV_EFFECT_NOTE)
        return effect->note == GV_NOTE_OBSERVED || effect->note == GV_NOTE_PREVIEWED;
    return gv_effect_is_row(effect) &&
           (effect->row == GV_ROW_HISTORY || gv_effect_is_preview(effects, effect));
}

bool gv_hold_over(struct gv_hold *hold, const struct gv_effects *effects, bool kept,
                  uint64_t now_ms)
{
    if (effects->count == 0 && !kept)
        return false;
    for (; hold->looked < effects->count && !hold->now; hold->looked++)
        hold->now = !may_wait(effects, &effects->list[hold->looked]);
    if (!hold->waits)
        hold->since_ms = now_ms;
    hold->waits = true;
    return hold->now || effects->count > GV_HOLD_COUNT || effects->bytes.len > GV_HOLD_BYTES ||
           now_ms - hold->since_ms >= GV_HOLD_MS;
}

void gv_hold_clear(struct gv_hold *hold)
{
    memset(hold, 0, sizeof *hold);
}

uint64_t gv_hold_deadline(const struct gv_hold *hold)
{
    return hold->waits ? hold->since_ms + GV_HOLD_MS : UINT64_MAX;
}
