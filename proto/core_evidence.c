/* Evidence leaves a core (evidence.h). */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/evidence.h"
#include "proto/mesh/state.h"

struct gathering {
    const struct gv_core *core;
    struct gv_buf *out;
    const struct gv_item **written; /* owned: what is in it already */
    size_t count, cap;
    bool failed;
};

static void put(struct gathering *g, const struct gv_item *item)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->written[i] == item)
            return;
    if (!item || g->failed)
        return;
    if (g->count == g->cap) {
        size_t cap = g->cap ? 2 * g->cap : 64;
        const struct gv_item **grown = realloc(g->written, cap * sizeof *grown);
        if (!grown) {
            g->failed = true;
            return;
        }
        g->written = grown;
        g->cap = cap;
    }
    g->written[g->count++] = item;
    const uint8_t len[2] = {(uint8_t)(item->len >> 8), (uint8_t)item->len};
    gv_buf_append(g->out, len, sizeof len);
    gv_buf_append(g->out, item->record, item->len);
}

static const struct gv_item *descriptor_in_force(const struct gv_core *core)
{
    for (size_t i = 0; i < core->descriptor_count; i++)
        if (core->descriptors[i].version == core->descriptor.version)
            return core->descriptors[i].item;
    return NULL;
}

static bool concerns(const struct gv_case *subject, const struct gv_certificate_row *row)
{
    for (uint32_t i = 0; i < subject->count; i++) {
        const struct gv_held *held = gv_case_at(subject, i);
        if (memcmp(held->owner->tag, row->owner->tag, GV_ID_LEN) == 0 ||
            gv_same_author(held->author, row->instance))
            return true;
    }
    return false;
}

enum part { CERTIFICATES, REVOCATIONS, FAULTS };

static void put_roster(struct gathering *g, const struct gv_case *subject, enum part part)
{
    const struct gv_certificate_row *row;
    size_t cursor = 0;

    while ((row = gv_roster_next(&g->core->roster, GV_ROWS_CERTIFICATES, &cursor))) {
        if (!concerns(subject, row))
            continue;
        const struct gv_instance *instance = gv_roster_author(&g->core->roster, row);
        put(g, part == CERTIFICATES  ? row->item
               : part == REVOCATIONS ? instance->revocation
                                     : instance->fault);
    }
}

/* In an order in which they can be taken in again: whoever is at fault or revoked may say no more.
 */
int gv_core_evidence(const struct gv_core *core, struct gv_buf *out, uint32_t *minute,
                     const struct gv_subject *subject)
{
    const struct gv_case *row = gv_store_case(&core->store, subject);
    struct gathering g = {.core = core, .out = out};
    const struct gv_item *descriptor = core->has_descriptor ? descriptor_in_force(core) : NULL;

    *minute = core->now_min;
    if (!descriptor)
        return GV_ERR_STATE;
    put(&g, descriptor);
    if (row) {
        put_roster(&g, row, CERTIFICATES);
        for (uint32_t i = 0; i < row->count; i++)
            put(&g, gv_case_at(row, i)->item);
        put_roster(&g, row, REVOCATIONS);
        put_roster(&g, row, FAULTS);
    }
    free(g.written);
    return g.failed || out->failed ? GV_ERR_MEMORY : GV_OK;
}
