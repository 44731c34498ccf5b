#include "proto/mesh/shelf.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

struct shelved {
    uint8_t id[GV_ID_LEN];
    size_t holders, len;
    uint8_t bytes[];
};

static bool has_id(const void *item, const void *id)
{
    return memcmp(((const struct shelved *)item)->id, id, GV_ID_LEN) == 0;
}

/* An id is a hash already, and nobody but the cores of this process looks here. */
static uint64_t hash_of(const uint8_t id[GV_ID_LEN])
{
    uint64_t hash;

    memcpy(&hash, id, sizeof hash);
    return hash;
}

const uint8_t *gv_shelf_take(struct gv_shelf *shelf, const uint8_t id[GV_ID_LEN],
                             const uint8_t *record, size_t len)
{
    struct shelved *found = gv_table_find(&shelf->records, hash_of(id), has_id, id);

    if (found && (found->len != len || memcmp(found->bytes, record, len) != 0))
        return NULL;
    if (!found) {
        found = malloc(sizeof *found + len);
        if (!found)
            return NULL;
        memcpy(found->id, id, GV_ID_LEN);
        found->holders = 0;
        found->len = len;
        memcpy(found->bytes, record, len);
        if (gv_table_insert(&shelf->records, hash_of(id), found) != GV_OK) {
            free(found);
            return NULL;
        }
    }
    found->holders++;
    return found->bytes;
}

void gv_shelf_give_back(struct gv_shelf *shelf, const uint8_t id[GV_ID_LEN])
{
    struct shelved *found = gv_table_find(&shelf->records, hash_of(id), has_id, id);

    gv_assert(found && found->holders > 0);
    if (--found->holders > 0)
        return;
    gv_table_remove(&shelf->records, hash_of(id), found);
    free(found);
}

void gv_shelf_free(struct gv_shelf *shelf)
{
    struct shelved *left;
    size_t cursor = 0;

    while ((left = gv_table_next(&shelf->records, &cursor)))
        free(left);
    gv_table_free(&shelf->records);
}
