/* Heads of the registry's log (SPEC 14.7): held for three days and passed on, so that nodes to whom
 * the registry shows different faces hear of each other's. What is held is a function of what came,
 * not of its order: of each hour and signer the two smallest ids. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/mesh/state.h"
#include "proto/limits.h"

static bool too_old(const struct gv_core *core, uint32_t minute)
{
    return (uint64_t)minute + GV_LOG_HEAD_LIFE_MIN < core->now_min;
}

static void let_go(struct gv_core *core, size_t index)
{
    gv_admit_leave(core, core->log_heads[index].item);
    core->log_heads[index] = core->log_heads[--core->log_head_count];
}

/* Room among those of its hour: SIZE_MAX: there is; an index: in place of this one.
 * GV_ERR_SUPERSEDED when both that are held go before it. */
static int find_place(const struct gv_core *core, const struct gv_log_head *head,
                      const uint8_t id[GV_ID_LEN], size_t *place)
{
    size_t count = 0, last = SIZE_MAX;

    *place = SIZE_MAX;
    for (size_t i = 0; i < core->log_head_count; i++) {
        const struct gv_held_head *held = &core->log_heads[i];
        if (held->head.signer != head->signer || held->head.minute != head->minute)
            continue;
        count++;
        if (last == SIZE_MAX ||
            memcmp(held->item->key.id, core->log_heads[last].item->key.id, GV_ID_LEN) > 0)
            last = i;
    }
    if (count < GV_LOG_HEADS_PER_HOUR)
        return GV_OK;
    if (memcmp(id, core->log_heads[last].item->key.id, GV_ID_LEN) > 0)
        return GV_ERR_SUPERSEDED;
    *place = last;
    return GV_OK;
}

static bool reserve(struct gv_core *core)
{
    if (core->log_head_count < core->log_head_cap)
        return true;
    size_t cap = core->log_head_cap ? core->log_head_cap * 2 : 16;
    struct gv_held_head *heads = realloc(core->log_heads, cap * sizeof *heads);
    if (!heads)
        return false;
    core->log_heads = heads;
    core->log_head_cap = cap;
    return true;
}

/* Loudly, and once for each that comes: the shell tells the admin. */
static void compare(struct gv_core *core, struct gv_held_head *fresh)
{
    for (size_t i = 0; i < core->log_head_count; i++) {
        struct gv_held_head *held = &core->log_heads[i];
        if (held == fresh || !gv_log_heads_contradict(&held->head, &fresh->head))
            continue;
        held->contradicted = true;
        if (fresh->contradicted)
            continue;
        fresh->contradicted = true;
        struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_TWO_FACES);
        memcpy(note->id, fresh->item->key.id, GV_ID_LEN);
        note->number = fresh->head.minute;
    }
}

int gv_admit_log_head(struct gv_core *core, const struct gv_incoming *in)
{
    struct gv_log_head head;
    size_t place;
    int rc = gv_log_head_open(&head, &in->verifier, &core->descriptor, in->wire, in->wire_len);

    if (rc == GV_OK && too_old(core, head.minute))
        rc = GV_ERR_EXPIRED;
    if (rc == GV_OK && head.minute > core->now_min + GV_AHEAD_MIN && !gv_is_stored(in->source))
        rc = GV_ERR_EARLY;
    if (rc == GV_OK)
        rc = find_place(core, &head, in->id, &place);
    if (rc == GV_OK && !reserve(core))
        rc = GV_ERR_MEMORY;
    if (rc != GV_OK)
        return rc;
    struct gv_item *item = gv_admit_enter(core, in, GV_TREE_ROSTER, head.minute);
    if (!item)
        return GV_ERR_MEMORY;
    if (place != SIZE_MAX)
        let_go(core, place);
    struct gv_held_head *fresh = &core->log_heads[core->log_head_count++];
    *fresh = (struct gv_held_head){.item = item, .head = head};
    compare(core, fresh);
    return GV_OK;
}

void gv_log_heads_expire(struct gv_core *core, uint32_t latest)
{
    for (size_t i = core->log_head_count; i > 0; i--) {
        const struct gv_log_head *head = &core->log_heads[i - 1].head;
        if (too_old(core, head->minute) || head->minute > latest ||
            !gv_log_head_key(&core->descriptor, head))
            let_go(core, i - 1);
    }
}

bool gv_core_next_log_head(const struct gv_core *core, size_t *cursor, struct gv_log_head *out,
                           bool *contradicted, const uint8_t **wire, size_t *wire_len)
{
    if (*cursor >= core->log_head_count)
        return false;
    const struct gv_held_head *held = &core->log_heads[(*cursor)++];
    *out = held->head;
    *contradicted = held->contradicted;
    *wire = held->item->record + 1;
    *wire_len = held->item->len - 1;
    return true;
}

bool gv_core_next_certificate(const struct gv_core *core, size_t *cursor,
                              struct gv_certificate *out)
{
    const struct gv_certificate_row *row =
        gv_roster_next(&core->roster, GV_ROWS_CERTIFICATES, cursor);

    return row && gv_certificate_parse(out, row->item->record + 1, row->item->len - 1) == GV_OK;
}
