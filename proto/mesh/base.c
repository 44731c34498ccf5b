#include "proto/mesh/base.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/shelf.h"

/* ---- what is fit ----------------------------------------------------------------------------- */

static bool is_good_owner(const struct gv_owner *owner)
{
    return owner->fault_min == GV_NEVER && !owner->silenced;
}

/* Of whom a base can tell all, by certificates of one owner and an address. */
static bool is_plain(const struct gv_instance *instance)
{
    return instance->certificates > 0 && !instance->fault && !instance->revocation &&
           instance->owner && is_good_owner(instance->owner);
}

/* While a base is made, the number of an instance's row says whether it goes in. */
#define FIT 0u

static void mark_fit(const struct gv_roster *roster)
{
    struct gv_instance *instance;
    struct gv_certificate_row *row;
    size_t cursor = 0;

    while ((instance = gv_table_next(&roster->rows[GV_ROWS_INSTANCES], &cursor)))
        instance->number = is_plain(instance) ? FIT : GV_NO_BASE;
    for (cursor = 0; (row = gv_table_next(&roster->rows[GV_ROWS_CERTIFICATES], &cursor));)
        if (row->owner != row->instance->owner)
            ((struct gv_instance *)(uintptr_t)row->instance)->number = GV_NO_BASE;
}

/* ---- making one
 * ---------------------------------------------------------------------------------- */

struct made {
    struct gv_base *base;
    struct gv_table rows[GV_ROWS_KINDS], by_id; /* what stays where it is */
    struct gv_item **stay;                      /* of the roster's tree, ascending */
    size_t stay_count;
};

static bool is_fit_row(enum gv_rows kind, const void *row)
{
    const struct gv_instance *instance = row;
    const struct gv_certificate_row *certificate = row;

    switch (kind) {
    case GV_ROWS_INSTANCES:
        return instance->number == FIT;
    case GV_ROWS_CERTIFICATES:
        return certificate->instance->number == FIT;
    default:
        return is_good_owner(row);
    }
}

static const uint8_t *id_of(const void *row)
{
    return row; /* all begin with it */
}

/* Sorts the rows of one kind into those that go and those that stay. */
static bool divide_rows(struct made *made, const struct gv_roster *roster, enum gv_rows kind)
{
    struct gv_base *base = made->base;
    const struct gv_table *from = &roster->rows[kind];
    size_t cursor = 0, count = 0;
    void *row;

    base->all[kind] = calloc(from->count + 1, sizeof *base->all[kind]);
    if (!base->all[kind])
        return false;
    while ((row = gv_table_next(from, &cursor))) {
        bool fit = is_fit_row(kind, row);
        struct gv_table *to = fit ? &base->rows[kind] : &made->rows[kind];
        if (gv_table_insert(to, gv_roster_hash(base->hash_key, kind, id_of(row)), row) != GV_OK)
            return false;
        if (fit)
            base->all[kind][count++] = row;
    }
    return true;
}

static int compare_came(const void *a, const void *b)
{
    const struct gv_instance *x = *(const struct gv_instance *const *)a;
    const struct gv_instance *y = *(const struct gv_instance *const *)b;

    return x->came < y->came ? -1 : x->came > y->came;
}

/* Items of fit rows carry a mark until they are divided. */
static void mark_items(const struct gv_roster *roster, bool mark)
{
    const struct gv_certificate_row *row;
    const struct gv_instance *instance;
    size_t cursor = 0;

    while ((row = gv_table_next(&roster->rows[GV_ROWS_CERTIFICATES], &cursor)))
        row->item->row = mark && is_fit_row(GV_ROWS_CERTIFICATES, row) ? row->item : NULL;
    for (cursor = 0; (instance = gv_table_next(&roster->rows[GV_ROWS_INSTANCES], &cursor));)
        if (instance->address_item)
            instance->address_item->row =
                mark && instance->number == FIT ? instance->address_item : NULL;
}

static bool goes(const struct gv_item *item)
{
    return item->tree == GV_TREE_ROSTER && item->row != NULL;
}

static bool divide_items(struct made *made, const struct gv_set *set)
{
    const struct gv_tree_order *order = &set->trees[GV_TREE_ROSTER];
    struct gv_base *base = made->base;
    struct gv_item *item;
    size_t cursor = 0;

    base->items = calloc(order->count + 1, sizeof *base->items);
    made->stay = calloc(order->count + 1, sizeof *made->stay);
    if (!base->items || !made->stay)
        return false;
    for (size_t i = 0; i < order->count; i++) {
        item = order->items[i];
        if (goes(item))
            base->items[base->count++] = item;
        else
            made->stay[made->stay_count++] = item;
    }
    while ((item = gv_table_next(&set->by_id, &cursor))) {
        struct gv_table *to = goes(item) ? &base->by_id : &made->by_id;
        if (gv_table_insert(to, gv_set_hash(set->hash_key, item->key.id), item) != GV_OK)
            return false;
    }
    return true;
}

static bool add_up(struct gv_base *base)
{
    base->sums = calloc(base->count + 1, sizeof *base->sums);
    base->placements = calloc(base->rows[GV_ROWS_INSTANCES].count + 1, sizeof *base->placements);
    if (!base->sums || !base->placements)
        return false;
    for (size_t i = 0; i < base->count; i++) {
        memcpy(base->sums[i + 1], base->sums[i], sizeof base->sums[i]);
        gv_set_add_id(base->sums[i + 1], base->items[i]->key.id, false);
    }
    return true;
}

/* ---- putting it in the place of the rows
 * ---------------------------------------------------------- */

static void number_rows(struct gv_base *base)
{
    qsort(base->all[GV_ROWS_INSTANCES], base->rows[GV_ROWS_INSTANCES].count, sizeof(void *),
          compare_came);
    for (uint32_t i = 0; i < base->rows[GV_ROWS_INSTANCES].count; i++) {
        struct gv_instance *instance = base->all[GV_ROWS_INSTANCES][i];
        instance->number = i;
        base->placements[i] = instance->placement;
        if (instance->address_item && instance->address_item->key.minute < base->address_min)
            base->address_min = instance->address_item->key.minute;
    }
    for (uint32_t i = 0; i < base->rows[GV_ROWS_CERTIFICATES].count; i++) {
        struct gv_certificate_row *row = base->all[GV_ROWS_CERTIFICATES][i];
        row->number = i;
        if (row->expires_min < base->expires_min)
            base->expires_min = row->expires_min;
    }
    for (uint32_t i = 0; i < base->rows[GV_ROWS_OWNERS].count; i++)
        ((struct gv_owner *)base->all[GV_ROWS_OWNERS][i])->number = i;
    base->latest_min = base->count ? base->items[base->count - 1]->key.minute : 0;
}

static void swap_in(struct made *made, struct gv_roster *roster, struct gv_set *set)
{
    struct gv_tree_order *order = &set->trees[GV_TREE_ROSTER];

    for (int kind = 0; kind < GV_ROWS_KINDS; kind++) {
        gv_table_free(&roster->rows[kind]);
        roster->rows[kind] = made->rows[kind];
    }
    gv_table_free(&set->by_id);
    set->by_id = made->by_id;
    free(order->base);
    order->items = order->base = made->stay;
    order->cap = order->count + 1;
    order->count = made->stay_count;
    memset(order->sum, 0, sizeof order->sum);
    for (size_t i = 0; i < order->count; i++)
        gv_set_add_id(order->sum, order->items[i]->key.id, false);
}

static void free_tables(struct gv_base *base)
{
    for (int kind = 0; kind < GV_ROWS_KINDS; kind++) {
        gv_table_free(&base->rows[kind]);
        free(base->all[kind]);
    }
    gv_table_free(&base->by_id);
    free(base->items);
    free(base->sums);
    free(base->placements);
    free(base);
}

/* None of the rows has moved yet. */
static void undo(struct made *made, const struct gv_roster *roster)
{
    struct gv_instance *instance;
    size_t cursor = 0;

    mark_items(roster, false);
    while ((instance = gv_table_next(&roster->rows[GV_ROWS_INSTANCES], &cursor)))
        instance->number = GV_NO_BASE;
    for (int kind = 0; kind < GV_ROWS_KINDS; kind++)
        gv_table_free(&made->rows[kind]);
    gv_table_free(&made->by_id);
    free(made->stay);
    free_tables(made->base);
}

int gv_base_freeze(struct gv_roster *roster, struct gv_set *set)
{
    struct made made = {.base = calloc(1, sizeof *made.base)};
    bool done = made.base != NULL;

    gv_assert(!roster->base && !set->base);
    if (!done)
        return GV_ERR_MEMORY;
    made.base->holders = 1;
    made.base->shelf = set->shelf;
    made.base->expires_min = made.base->address_min = UINT32_MAX;
    memcpy(made.base->hash_key, roster->hash_key, sizeof made.base->hash_key);
    mark_fit(roster);
    mark_items(roster, true);
    for (int kind = 0; done && kind < GV_ROWS_KINDS; kind++)
        done = divide_rows(&made, roster, (enum gv_rows)kind);
    done = done && divide_items(&made, set) && add_up(made.base);
    if (done && gv_roster_stand_on(roster, made.base)) {
        if (gv_set_stand_on(set, made.base)) {
            mark_items(roster, false);
            swap_in(&made, roster, set);
            number_rows(made.base);
            return GV_OK;
        }
        gv_roster_stand_off(roster);
    }
    undo(&made, roster);
    return GV_ERR_MEMORY;
}

/* ---- holding one
 * ---------------------------------------------------------------------------------- */

bool gv_base_take(struct gv_base *base, struct gv_roster *roster, struct gv_set *set)
{
    if (!gv_roster_stand_on(roster, base))
        return false;
    if (!gv_set_stand_on(set, base)) {
        gv_roster_stand_off(roster);
        return false;
    }
    base->holders++;
    return true;
}

void gv_base_release(struct gv_base *base)
{
    if (!base || --base->holders > 0)
        return;
    for (int kind = 0; kind < GV_ROWS_KINDS; kind++)
        for (size_t i = 0; i < base->rows[kind].count; i++)
            free(base->all[kind][i]);
    for (size_t i = 0; i < base->count; i++) {
        if (base->items[i]->record != base->items[i]->bytes)
            gv_shelf_give_back(base->shelf, base->items[i]->key.id);
        free(base->items[i]);
    }
    free_tables(base);
}
