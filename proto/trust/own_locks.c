#include "proto/trust/own_locks.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

void gv_own_locks_init(struct gv_own_locks *locks, const uint8_t hash_key[16], size_t max)
{
    memset(locks, 0, sizeof *locks);
    memcpy(locks->hash_key, hash_key, sizeof locks->hash_key);
    locks->max = max;
}

void gv_own_locks_free(struct gv_own_locks *locks)
{
    gv_table_free_all(&locks->table);
}

/* By the subject alone: those of all authors lie in one chain. */
static uint64_t hash_of(const struct gv_own_locks *locks, const struct gv_subject *subject)
{
    return gv_siphash(locks->hash_key, subject, sizeof *subject);
}

static bool is_same(const void *item, const void *key)
{
    const struct gv_own_lock *row = item, *wanted = key;

    return gv_subject_equal(&row->subject, &wanted->subject) &&
           memcmp(row->author, wanted->author, GV_ID_LEN) == 0;
}

/* key->until_ms: now. */
static bool holds(const void *item, const void *key)
{
    const struct gv_own_lock *row = item, *wanted = key;

    return gv_subject_equal(&row->subject, &wanted->subject) && row->until_ms > wanted->until_ms;
}

static void drop(struct gv_own_locks *locks, struct gv_own_lock *row)
{
    gv_table_remove(&locks->table, hash_of(locks, &row->subject), row);
    free(row);
}

int gv_own_locks_set(struct gv_own_locks *locks, bool *changed, const struct gv_own_lock *lock,
                     uint64_t now_ms)
{
    uint64_t hash = hash_of(locks, &lock->subject);
    struct gv_own_lock *row = gv_table_find(&locks->table, hash, is_same, lock);

    /* One that is over and was not taken out yet holds no more. */
    *changed = (row && row->until_ms > now_ms) != (lock->until_ms > now_ms);
    if (lock->until_ms == 0) {
        if (row)
            drop(locks, row);
        return GV_OK;
    }
    if (row) {
        row->until_ms = lock->until_ms;
        return GV_OK;
    }
    if (locks->table.count >= locks->max)
        return GV_ERR_FULL;
    row = malloc(sizeof *row);
    if (!row)
        return GV_ERR_MEMORY;
    *row = *lock;
    if (gv_table_insert(&locks->table, hash, row) != GV_OK) {
        free(row);
        return GV_ERR_MEMORY;
    }
    return GV_OK;
}

const struct gv_own_lock *gv_own_locks_find(const struct gv_own_locks *locks,
                                            const struct gv_subject *subject, uint64_t now_ms)
{
    struct gv_own_lock key = {.subject = *subject, .until_ms = now_ms};

    if (locks->table.count == 0)
        return NULL;
    return gv_table_find(&locks->table, hash_of(locks, subject), holds, &key);
}

bool gv_own_locks_take(struct gv_own_locks *locks, size_t *cursor, struct gv_own_lock *gone,
                       uint64_t now_ms, const uint8_t *author)
{
    struct gv_own_lock *row;

    while ((row = gv_table_next(&locks->table, cursor))) {
        if (row->until_ms > now_ms && (!author || memcmp(row->author, author, GV_ID_LEN) != 0))
            continue;
        *gone = *row;
        drop(locks, row);
        --*cursor; /* what came after may lie there now */
        return true;
    }
    return false;
}
