/* A hash table of pointers that somebody else owns: open addressing, linear probing, backward-shift
 * deletion. Keys are whatever the caller compares; hashes are keyed (gv_siphash), so that nobody
 * outside can aim at one chain. */
#ifndef GV_PROTO_TABLE_H
#define GV_PROTO_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gv_table {
    struct gv_table_slot {
        uint64_t hash;
        void *item; /* NULL: free */
    } * slots;      /* owned */
    size_t cap;     /* a power of two, or 0 */
    size_t count;
};

typedef bool (*gv_table_equal)(const void *item, const void *key);

void gv_table_free(struct gv_table *table);     /* frees the table, not the items */
void gv_table_free_all(struct gv_table *table); /* and the items, which malloc gave */
/* A hint that this memory is read soon: in tables of millions of rows most of the work is waiting.
 */
static inline void gv_fetch(const void *soon)
{
    __builtin_prefetch(soon);
}
static inline void gv_table_fetch(const struct gv_table *table, uint64_t hash)
{
    if (table->cap > 0)
        gv_fetch(&table->slots[hash & (table->cap - 1)]);
}
/* And the item, where it lies in its first slot, as most do; NULL: it does not. */
static inline const void *gv_table_first(const struct gv_table *table, uint64_t hash)
{
    if (table->cap == 0)
        return NULL;
    const struct gv_table_slot *slot = &table->slots[hash & (table->cap - 1)];
    return slot->hash == hash ? slot->item : NULL;
}
static inline void gv_table_fetch_item(const struct gv_table *table, uint64_t hash)
{
    const void *item = gv_table_first(table, hash);

    if (item)
        gv_fetch(item);
}
void *gv_table_find(const struct gv_table *table, uint64_t hash, gv_table_equal equal,
                    const void *key);
/* The key must not be in it yet. Returns GV_OK or GV_ERR_MEMORY. */
int gv_table_insert(struct gv_table *table, uint64_t hash, void *item);
/* Removes this very pointer; it must be there. */
void gv_table_remove(struct gv_table *table, uint64_t hash, const void *item);
/* Where this item lies, which is there: gv_table_next gives them in this order. */
size_t gv_table_place(const struct gv_table *table, uint64_t hash, const void *item);
/* *cursor starts at 0; NULL at the end. Order is the table's own. */
void *gv_table_next(const struct gv_table *table, size_t *cursor);

#endif
