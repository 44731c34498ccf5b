/* A disk that is not lost keeps what it promised: after a synced commit, what the node ever sent
 * and all statements that it held (SPEC 9.7). */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "sim/check.h"

static void add(struct gv_promises *promises, const uint8_t *id,
                const struct gv_known_record *record)
{
    if (promises->count == promises->cap) {
        promises->cap = promises->cap ? 2 * promises->cap : 64;
        promises->rows = realloc(promises->rows, promises->cap * sizeof *promises->rows);
        gv_assert(promises->rows);
    }
    struct gv_promise *row = &promises->rows[promises->count++];
    memcpy(row->id, id, GV_ID_LEN);
    row->record = record;
}

/* An own word was just synced, and with it all that lay on the disk. */
void gv_check_promise(struct gv_checks *checks, size_t node)
{
    struct gv_promises *promises = &checks->promises[node];
    const struct gv_disk_row *row;
    size_t cursor = 0;

    if (!gv_faults_any(&checks->world->options.faults))
        return; /* nobody starts a second time */
    promises->count = 0;
    while ((row = gv_table_next(&checks->world->nodes[node].disk.rows, &cursor))) {
        const struct gv_known_record *known =
            row->row == GV_ROW_RECORD ? gv_checks_record(checks, row->key) : NULL;
        if (row->row == GV_ROW_SENT)
            add(promises, row->key, NULL);
        else if (known && !known->author->liar)
            add(promises, row->key, known);
    }
}

/* While it ran: expired, retracted, displaced, revoked. What is forgotten while the disk is read
 * has to be justified (below). */
void gv_check_forgotten(struct gv_checks *checks, size_t node, const uint8_t id[GV_ID_LEN])
{
    struct gv_promises *promises = &checks->promises[node];

    if (checks->world->nodes[node].loading)
        return;
    for (size_t i = promises->count; i > 0; i--)
        if (promises->rows[i - 1].record && memcmp(promises->rows[i - 1].id, id, GV_ID_LEN) == 0)
            promises->rows[i - 1] = promises->rows[--promises->count];
}

/* A certificate from the future is not taken, and without it nothing can be read: by a clock that
 * is slow at the start. Repair brings it back. */
static bool is_readable(const struct gv_known_record *known, uint32_t now_min)
{
    return known->author->papers.issued_min <= now_min + GV_AHEAD_MIN;
}

void gv_check_kept(struct gv_checks *checks, size_t node)
{
    const struct gv_world *world = checks->world;
    struct gv_promises *promises = &checks->promises[node];
    uint32_t now_min = (uint32_t)(gv_world_unix_ms(world, node) / GV_MINUTE_MS);

    for (size_t i = promises->count; i-- > 0;) {
        const struct gv_known_record *known = promises->rows[i].record;
        if (gv_disk_find(&world->nodes[node].disk, known ? GV_ROW_RECORD : GV_ROW_SENT,
                         promises->rows[i].id, GV_ID_LEN))
            continue;
        bool alive =
            !known ||
            ((uint64_t)known->said.last_min + world->descriptor.policy.alive_min >= now_min &&
             is_readable(known, now_min) && !gv_checks_is_void(checks, known));
        if (alive)
            gv_violation(checks, "came back without what was safe on its disk", node,
                         known ? known->author->node : node);
        promises->rows[i] = promises->rows[--promises->count]; /* told once, or rightly gone */
    }
}
