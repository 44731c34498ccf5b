/* Verdicts as the set changes: judged again where something came, went or lapsed. Lives on this
 * floor because dropping a statement touches set, store and rows at once. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/mesh/base.h"
#include "proto/mesh/state.h"
#include "proto/limits.h"

enum gv_verdict_state gv_state_of(const struct gv_core *core, const struct gv_subject *subject)
{
    const struct gv_case *row = gv_store_case(&core->store, subject);

    return row ? row->state : GV_VERDICT_UNKNOWN;
}

struct gv_vote *gv_scratch_votes(struct gv_core *core, size_t count)
{
    if (count > core->votes_cap) {
        size_t cap = count < 64 ? 64 : 2 * count;
        struct gv_vote *grown = realloc(core->votes, cap * sizeof *grown);
        if (!grown)
            return NULL;
        core->votes = grown;
        core->votes_cap = cap;
    }
    return core->votes;
}

/* What stands on the same verdict may still be another action (own evidence, the quorum of
 * `refuse_on = consensus`), so whoever serves it is told of that, too. */
static void note_change(struct gv_core *core, const struct gv_subject *subject,
                        enum gv_verdict_state before, enum gv_verdict_state now, uint32_t weight,
                        bool touched)
{
    if (now == before && !touched)
        return;
    struct gv_effect *note =
        gv_effect_note(core->effects, now == before ? GV_NOTE_EVIDENCE : GV_NOTE_VERDICT);
    note->subject = *subject;
    note->from = before;
    note->to = now;
    note->number = weight;
}

/* touched: a statement came or went. */
static void judge(struct gv_core *core, struct gv_case *row, enum gv_verdict_state before,
                  bool touched)
{
    struct gv_vote *votes = gv_scratch_votes(core, row->count);
    struct gv_verdict verdict;

    if (!votes) {
        gv_effect_note(core->effects, GV_NOTE_MEMORY);
        return;
    }
    gv_store_judge(&verdict, row, &core->descriptor.policy, core->descriptor.genesis_min,
                   core->now_min, votes);
    touched = touched || verdict.weight != row->weight;
    gv_store_settle(&core->store, row, &verdict);
    note_change(core, &row->subject, before, verdict.state, verdict.weight, touched);
}

void gv_rejudge(struct gv_core *core, const struct gv_subject *subject,
                enum gv_verdict_state before)
{
    if (core->set.loading) /* gv_core_step judges all when the last row has come */
        return;
    struct gv_case *row = gv_store_case(&core->store, subject);
    if (row)
        judge(core, row, before, true);
    else
        note_change(core, subject, before, GV_VERDICT_UNKNOWN, 0, true);
}

void gv_rejudge_all(struct gv_core *core)
{
    size_t cursor = 0;
    struct gv_case *row;

    /* Judging neither adds nor removes rows of the table that is walked. */
    while ((row = gv_table_next(&core->store.cases, &cursor)))
        judge(core, row, row->state, false);
}

/* Lets go of an instance of which nothing is held any more. */
static void release(struct gv_core *core, const struct gv_instance *instance)
{
    if (instance && gv_roster_is_idle(instance) && !gv_store_holds(&core->store, instance))
        gv_roster_release(&core->roster, instance);
}

void gv_drop_statement(struct gv_core *core, struct gv_held *held)
{
    struct gv_subject subject = held->statement.subject;
    enum gv_verdict_state before = held->subject->state;
    uint8_t author[GV_ID_LEN];
    struct gv_item *item = held->item;

    memcpy(author, held->author->id, GV_ID_LEN);

    gv_store_drop(&core->store, held);
    gv_admit_leave(core, item);
    release(core, gv_roster_instance(&core->roster, author));
    gv_rejudge(core, &subject, before);
}

void gv_drop_author(struct gv_core *core, const struct gv_instance *author, uint32_t from_min)
{
    /* From the end of each tree, because dropping shifts what comes after. The author stays: the
     * caller holds something of his. */
    for (int tree = GV_TREE_STATEMENTS; tree < GV_TREES_HELD; tree++)
        for (size_t index = core->set.trees[tree].count; index > 0; index--) {
            const struct gv_item *item = core->set.trees[tree].items[index - 1];
            struct gv_held *held;
            if (item->key.minute < from_min)
                break;
            held = item->row;
            if (gv_same_author(held->author, author))
                gv_drop_statement(core, held);
        }
}

/* ---- expiry --------------------------------------------------------------------------------- */

static void expire_statements(struct gv_core *core)
{
    for (int tree = GV_TREE_STATEMENTS; tree < GV_TREES_HELD; tree++) {
        const struct gv_tree_order *order = &core->set.trees[tree];
        while (order->count > 0 &&
               (uint64_t)order->items[0]->key.minute + core->descriptor.policy.alive_min <
                   core->now_min)
            gv_drop_statement(core, order->items[0]->row);
    }
}

/* A row that may be changed. NULL: no memory, and the next minute tries again. */
struct gv_instance *gv_own_row(struct gv_core *core, const struct gv_instance *instance)
{
    struct gv_instance *own = gv_roster_own(&core->roster, instance);

    if (!own)
        gv_effect_note(core->effects, GV_NOTE_MEMORY);
    return own;
}

static void drop_address(struct gv_core *core, const struct gv_instance *instance)
{
    struct gv_instance *own = instance->address_item ? gv_own_row(core, instance) : NULL;

    if (!own)
        return;
    gv_admit_leave(core, own->address_item);
    own->address_item = NULL;
    own->address = (struct gv_address){0};
}

static const struct gv_owner *owner_now(const void *roster, const struct gv_owner *before)
{
    return gv_roster_owner(roster, before);
}

void gv_owners_moved(struct gv_core *core)
{
    gv_store_find_owners(&core->store, owner_now, &core->roster);
}

void gv_blame(struct gv_core *core)
{
    core->blame_due = gv_roster_blame(&core->roster) != GV_OK;
    if (core->blame_due)
        gv_effect_note(core->effects, GV_NOTE_MEMORY);
    gv_owners_moved(core);
}

static void drop_fault(struct gv_core *core, const struct gv_instance *instance)
{
    struct gv_instance *own = gv_own_row(core, instance);

    if (!own)
        return;
    gv_admit_leave(core, own->fault);
    own->fault = NULL;
    own->fault_min = GV_NEVER;
    gv_blame(core);
}

/* Nobody can read what is left of an instance without a certificate, and newcomers would refuse it:
 * it must not make sets differ. */
static void drop_orphaned(struct gv_core *core, struct gv_instance *instance)
{
    drop_address(core, instance);
    if (instance->revocation)
        gv_admit_leave(core, instance->revocation);
    instance->revocation = NULL;
    if (instance->fault)
        drop_fault(core, instance);
}

void gv_drop_certificate(struct gv_core *core, const struct gv_certificate_row *row)
{
    struct gv_item *item = row->item;
    struct gv_instance *instance = gv_roster_drop(&core->roster, row);

    if (!instance) {
        gv_effect_note(core->effects, GV_NOTE_MEMORY);
        return;
    }
    gv_admit_leave(core, item);
    if (instance->certificates == 0)
        drop_orphaned(core, instance);
    release(core, instance);
}

static void expire_instance(struct gv_core *core, const struct gv_instance *instance)
{
    if (instance->fault &&
        (uint64_t)instance->fault_min + core->descriptor.policy.fault_min <= core->now_min)
        drop_fault(core, instance);
    instance = gv_roster_instance(&core->roster, instance->id);
    if (instance->address_item &&
        instance->address_item->key.minute + GV_ADDRESS_LIFE_MIN < core->now_min)
        drop_address(core, instance);
}

/* Has anything of what the base holds run out? Mostly not, and then its rows are not looked at. */
static bool base_is_due(const struct gv_core *core)
{
    const struct gv_base *base = core->roster.base;

    return base &&
           ((uint64_t)base->address_min + GV_ADDRESS_LIFE_MIN < core->now_min ||
            gv_certificate_held_until(&core->descriptor, base->expires_min) < core->now_min);
}

/* Removing shifts a table's rows, so a walk may skip some: the next minute finds them. */
static void expire_roster(struct gv_core *core)
{
    gv_next_row next = base_is_due(core) ? gv_roster_next : gv_roster_next_own;
    size_t cursor = 0;
    const struct gv_certificate_row *row;
    const struct gv_instance *instance;

    while ((row = next(&core->roster, GV_ROWS_CERTIFICATES, &cursor))) {
        if (gv_certificate_held_until(&core->descriptor, row->expires_min) >= core->now_min)
            continue;
        gv_drop_certificate(core, row);
    }
    for (cursor = 0; (instance = next(&core->roster, GV_ROWS_INSTANCES, &cursor));) {
        uint8_t id[GV_ID_LEN];
        memcpy(id, instance->id, GV_ID_LEN);
        expire_instance(core, instance);
        release(core, gv_roster_instance(&core->roster, id));
    }
}

void gv_forget_ahead(struct gv_core *core)
{
    uint32_t latest = core->now_min + GV_AHEAD_MIN;
    const struct gv_instance *instance;
    size_t cursor = 0;

    for (int tree = GV_TREE_STATEMENTS; tree < GV_TREES_HELD; tree++) {
        const struct gv_tree_order *order = &core->set.trees[tree];
        while (order->count > 0 && order->items[order->count - 1]->key.minute > latest)
            gv_drop_statement(core, order->items[order->count - 1]->row);
    }
    while ((instance = gv_roster_next(&core->roster, GV_ROWS_INSTANCES, &cursor))) {
        if (instance->address_item && instance->address_item->key.minute > latest)
            drop_address(core, instance);
        instance = gv_roster_instance(&core->roster, instance->id);
        if (instance->fault && instance->fault_min > latest)
            drop_fault(core, instance);
    }
    gv_log_heads_expire(core, latest);
    core->address_min = 0;
    gv_rejudge_all(core);
}

static void lapse_verdicts(struct gv_core *core)
{
    struct gv_store *store = &core->store;
    size_t cursor = 0;
    struct gv_case *row;

    if (store->lapse_min > core->now_min && store->by_state[GV_VERDICT_UNKNOWN] == 0)
        return;
    store->lapse_min = UINT32_MAX;
    /* Unknown has no end of its own: what is dated ahead of our clock begins to count some time. */
    while ((row = gv_table_next(&store->cases, &cursor))) {
        if (row->until_min <= core->now_min || row->state == GV_VERDICT_UNKNOWN)
            judge(core, row, row->state, false);
        gv_store_lapses(store, row);
    }
}

static void expire_history(struct gv_core *core)
{
    struct gv_subject gone;
    size_t looked = 0;

    if (core->clock_doubtful)
        return; /* once gone, the veto would not come back with the right time */
    while (looked++ < 1024 && gv_history_expire(core->history, &gone, core->unix_ms, 256))
        gv_effect_forget(core->effects, GV_ROW_HISTORY, &gone, sizeof gone);
}

void gv_expire(struct gv_core *core)
{
    if (core->has_descriptor) {
        gv_activate_descriptor(core);
        expire_statements(core);
        expire_roster(core);
        if (core->blame_due) {
            gv_blame(core);
            gv_rejudge_all(core);
        }
        gv_log_heads_expire(core, UINT32_MAX);
        lapse_verdicts(core);
        gv_keep_look_all(core); /* what was published may have run out, and another vote not */
    }
    expire_history(core);
    gv_own_expire(core);
}
