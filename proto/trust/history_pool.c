#include "proto/trust/history_pool.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"

#define CHUNK 64 /* items */

int gv_pool_init(struct gv_pool *pool, size_t item_size, size_t capacity, const uint8_t key[16])
{
    memset(pool, 0, sizeof *pool);
    memcpy(pool->key, key, sizeof pool->key);
    pool->item_size = item_size;
    pool->capacity = capacity;
    pool->chunks = calloc(capacity / CHUNK + 1, sizeof *pool->chunks);
    return pool->chunks ? GV_OK : GV_ERR_MEMORY;
}

void gv_pool_free(struct gv_pool *pool)
{
    if (pool->chunks)
        for (size_t i = 0; i <= pool->capacity / CHUNK; i++)
            free(pool->chunks[i]);
    free(pool->chunks);
    gv_table_free(&pool->table);
    memset(pool, 0, sizeof *pool);
}

uint64_t gv_pool_hash(const struct gv_pool *pool, const struct gv_subject *subject)
{
    return gv_siphash(pool->key, subject, sizeof *subject);
}

static bool equal(const void *item, const void *key)
{
    return gv_subject_equal(item, key);
}

void *gv_pool_find(const struct gv_pool *pool, const struct gv_subject *subject)
{
    return gv_table_find(&pool->table, gv_pool_hash(pool, subject), equal, subject);
}

void gv_pool_fetch(const struct gv_pool *pool, uint64_t hash)
{
    gv_table_fetch(&pool->table, hash);
}

void gv_pool_fetch_item(const struct gv_pool *pool, uint64_t hash)
{
    const uint8_t *item = gv_table_first(&pool->table, hash);

    for (size_t line = 0; item && line < pool->item_size; line += 64)
        gv_fetch(item + line);
}

void *gv_pool_at(const struct gv_pool *pool, size_t place)
{
    gv_assert(place < pool->count);
    return pool->chunks[place / CHUNK] + place % CHUNK * pool->item_size;
}

void *gv_pool_add(struct gv_pool *pool, const struct gv_subject *subject)
{
    if (pool->count == pool->capacity)
        return NULL;
    uint8_t **chunk = &pool->chunks[pool->count / CHUNK];
    if (!*chunk)
        *chunk = malloc(CHUNK * pool->item_size);
    if (!*chunk)
        return NULL;
    void *item = *chunk + pool->count % CHUNK * pool->item_size;
    memset(item, 0, pool->item_size);
    memcpy(item, subject, sizeof *subject);
    if (gv_table_insert(&pool->table, gv_pool_hash(pool, subject), item) != GV_OK)
        return NULL;
    pool->count++;
    return item;
}

void gv_pool_remove(struct gv_pool *pool, void *item)
{
    void *last = gv_pool_at(pool, pool->count - 1);

    gv_table_remove(&pool->table, gv_pool_hash(pool, item), item);
    if (item != last) {
        gv_table_remove(&pool->table, gv_pool_hash(pool, last), last);
        memcpy(item, last, pool->item_size);
        int rc = gv_table_insert(&pool->table, gv_pool_hash(pool, item), item);
        gv_assert(rc == GV_OK); /* it was in the table a moment ago: there is room */
    }
    pool->count--;
    /* One empty chunk is kept, so that a row that comes and goes costs no allocation. */
    size_t spare = (pool->count + CHUNK - 1) / CHUNK + 1;
    if (spare <= pool->capacity / CHUNK) {
        free(pool->chunks[spare]);
        pool->chunks[spare] = NULL;
    }
}
