#include "proto/table.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

void gv_table_free(struct gv_table *table)
{
    free(table->slots);
    memset(table, 0, sizeof *table);
}

void gv_table_free_all(struct gv_table *table)
{
    size_t cursor = 0;
    void *item;

    while ((item = gv_table_next(table, &cursor)))
        free(item);
    gv_table_free(table);
}

void *gv_table_find(const struct gv_table *table, uint64_t hash, gv_table_equal equal,
                    const void *key)
{
    if (table->cap == 0)
        return NULL;
    size_t mask = table->cap - 1;
    for (size_t i = hash & mask; table->slots[i].item; i = (i + 1) & mask)
        if (table->slots[i].hash == hash && equal(table->slots[i].item, key))
            return table->slots[i].item;
    return NULL;
}

static void place(struct gv_table *table, uint64_t hash, void *item)
{
    size_t mask = table->cap - 1, i = hash & mask;

    while (table->slots[i].item)
        i = (i + 1) & mask;
    table->slots[i].hash = hash;
    table->slots[i].item = item;
}

static int grow(struct gv_table *table)
{
    struct gv_table old = *table;
    size_t cap = old.cap ? 2 * old.cap : 16;
    struct gv_table_slot *slots = calloc(cap, sizeof *slots);

    if (!slots)
        return GV_ERR_MEMORY;
    table->slots = slots;
    table->cap = cap;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].item)
            place(table, old.slots[i].hash, old.slots[i].item);
    free(old.slots);
    return GV_OK;
}

int gv_table_insert(struct gv_table *table, uint64_t hash, void *item)
{
    /* At most three quarters full. */
    if ((table->count + 1) * 4 > table->cap * 3 && grow(table) != GV_OK)
        return GV_ERR_MEMORY;
    place(table, hash, item);
    table->count++;
    return GV_OK;
}

void gv_table_remove(struct gv_table *table, uint64_t hash, const void *item)
{
    size_t mask = table->cap - 1, hole = gv_table_place(table, hash, item);

    for (size_t i = (hole + 1) & mask; table->slots[i].item; i = (i + 1) & mask) {
        size_t home = table->slots[i].hash & mask;
        /* Moves back unless its home lies cyclically in (hole, i]. */
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            table->slots[hole] = table->slots[i];
            hole = i;
        }
    }
    table->slots[hole].item = NULL;
    table->count--;
}

size_t gv_table_place(const struct gv_table *table, uint64_t hash, const void *item)
{
    gv_assert(table->cap > 0);
    size_t mask = table->cap - 1, at = hash & mask;
    while (table->slots[at].item != item) {
        gv_assert(table->slots[at].item);
        at = (at + 1) & mask;
    }
    return at;
}

void *gv_table_next(const struct gv_table *table, size_t *cursor)
{
    while (*cursor < table->cap) {
        void *item = table->slots[(*cursor)++].item;
        if (item)
            return item;
    }
    return NULL;
}
