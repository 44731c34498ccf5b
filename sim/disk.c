#include "sim/disk.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "proto/wire/record.h"

struct row_key {
    enum gv_row row;
    const uint8_t *key;
    size_t len;
};

static uint64_t hash_of(const struct row_key *key)
{
    static const uint8_t no_secret[16];
    uint8_t bytes[41];

    gv_assert(key->len <= sizeof bytes - 1);
    bytes[0] = (uint8_t)key->row;
    memcpy(bytes + 1, key->key, key->len);
    return gv_siphash(no_secret, bytes, 1 + key->len);
}

static bool is_row(const void *item, const void *key)
{
    const struct gv_disk_row *row = item;
    const struct row_key *wanted = key;

    return row->row == wanted->row && row->key_len == wanted->len &&
           memcmp(row->key, wanted->key, wanted->len) == 0;
}

void gv_disk_put(struct gv_disk *disk, enum gv_row row, const uint8_t *key, size_t key_len,
                 const uint8_t *value, size_t value_len)
{
    struct row_key wanted = {row, key, key_len};
    struct gv_disk_row *found = gv_table_find(&disk->rows, hash_of(&wanted), is_row, &wanted);

    if (!found) {
        found = calloc(1, sizeof *found);
        gv_assert(found && key_len <= sizeof found->key);
        found->row = row;
        found->key_len = key_len;
        memcpy(found->key, key, key_len);
        gv_assert(gv_table_insert(&disk->rows, hash_of(&wanted), found) == GV_OK);
    }
    free(found->value);
    found->value = malloc(value_len + 1);
    gv_assert(found->value);
    if (value_len)
        memcpy(found->value, value, value_len);
    found->value_len = value_len;
}

void gv_disk_remove(struct gv_disk *disk, enum gv_row row, const uint8_t *key, size_t key_len)
{
    struct row_key wanted = {row, key, key_len};
    struct gv_disk_row *found = gv_table_find(&disk->rows, hash_of(&wanted), is_row, &wanted);

    if (!found)
        return;
    gv_table_remove(&disk->rows, hash_of(&wanted), found);
    free(found->value);
    free(found);
}

void gv_disk_wipe(struct gv_disk *disk)
{
    size_t cursor = 0;
    struct gv_disk_row *row;

    while ((row = gv_table_next(&disk->rows, &cursor))) {
        free(row->value);
        free(row);
    }
    gv_table_free(&disk->rows);
}

static int rank(const struct gv_disk_row *row)
{
    if (row->row == GV_ROW_SELF)
        return 0;
    if (row->row != GV_ROW_RECORD)
        return 10 + (int)row->row;
    switch (row->value[0]) {
    case GV_RECORD_DESCRIPTOR:
        return 1;
    case GV_RECORD_CERTIFICATE:
        return 2;
    case GV_RECORD_REVOCATION:
        return 3;
    case GV_RECORD_FAULT:
        return 4;
    default:
        return 5;
    }
}

static int compare_rows(const void *a, const void *b)
{
    const struct gv_disk_row *x = *(const struct gv_disk_row *const *)a;
    const struct gv_disk_row *y = *(const struct gv_disk_row *const *)b;

    if (rank(x) != rank(y))
        return rank(x) - rank(y);
    return memcmp(x->key, y->key, sizeof x->key);
}

const struct gv_disk_row **gv_disk_rows(const struct gv_disk *disk, size_t *count)
{
    const struct gv_disk_row **rows = malloc((disk->rows.count + 1) * sizeof *rows);
    size_t cursor = 0, n = 0;
    const struct gv_disk_row *row;

    gv_assert(rows);
    while ((row = gv_table_next(&disk->rows, &cursor)))
        rows[n++] = row;
    qsort(rows, n, sizeof *rows, compare_rows);
    *count = n;
    return rows;
}
