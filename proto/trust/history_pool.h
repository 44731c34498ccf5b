/* Items of one size, each beginning with its struct gv_subject, found by it. They lie in chunks, so
 * that memory follows their number, and densely, so that one can be drawn or walked by its place.
 * Internal to history*.c. */
#ifndef GV_PROTO_TRUST_HISTORY_POOL_H
#define GV_PROTO_TRUST_HISTORY_POOL_H

#include "proto/subject.h"
#include "proto/table.h"

struct gv_pool {
    struct gv_table table;
    uint8_t key[16];  /* of the hash */
    uint8_t **chunks; /* owned, and so is each */
    size_t item_size, capacity, count;
};

/* Returns GV_OK or GV_ERR_MEMORY. */
int gv_pool_init(struct gv_pool *pool, size_t item_size, size_t capacity, const uint8_t key[16]);
void gv_pool_free(struct gv_pool *pool);

uint64_t gv_pool_hash(const struct gv_pool *pool, const struct gv_subject *subject);
void *gv_pool_find(const struct gv_pool *pool, const struct gv_subject *subject);
/* Hints that the item of this hash is read soon: its place in the table, and a while later itself.
 */
void gv_pool_fetch(const struct gv_pool *pool, uint64_t hash);
void gv_pool_fetch_item(const struct gv_pool *pool, uint64_t hash);
/* A zeroed item with its subject, which must not be there yet; NULL when full or out of memory. */
void *gv_pool_add(struct gv_pool *pool, const struct gv_subject *subject);
/* The last item moves into its place: no other pointer into the pool stays valid. */
void gv_pool_remove(struct gv_pool *pool, void *item);
void *gv_pool_at(const struct gv_pool *pool, size_t place); /* place < count */

#endif
