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

/* ---- what a power cut takes back ------------------------------------------------------------- */

static void drop_undo(struct gv_disk *disk, size_t from_start)
{
    for (size_t i = 0; i < from_start; i++)
        free(disk->undo[i].before.value);
    disk->undo_count -= from_start;
    if (disk->undo_count > 0)
        memmove(disk->undo, disk->undo + from_start, disk->undo_count * sizeof *disk->undo);
}

static void remember(struct gv_disk *disk, const struct row_key *key,
                     const struct gv_disk_row *before)
{
    if (disk->undo_count == disk->undo_cap) {
        disk->undo_cap = disk->undo_cap ? 2 * disk->undo_cap : 16;
        disk->undo = realloc(disk->undo, disk->undo_cap * sizeof *disk->undo);
        gv_assert(disk->undo);
    }
    struct gv_disk_undo *undo = &disk->undo[disk->undo_count++];
    memset(undo, 0, sizeof *undo);
    undo->commit = disk->commit;
    undo->at_ms = disk->now_ms;
    undo->before.row = key->row;
    undo->before.key_len = key->len;
    memcpy(undo->before.key, key->key, key->len);
    if (!before)
        return;
    undo->before.value_len = before->value_len;
    undo->before.value = malloc(before->value_len + 1);
    gv_assert(undo->before.value);
    memcpy(undo->before.value, before->value, before->value_len);
}

static void write_back(struct gv_disk *disk, uint64_t now_ms)
{
    size_t old = 0;

    while (old < disk->undo_count && disk->undo[old].at_ms + GV_DISK_WRITEBACK_MS <= now_ms)
        old++;
    drop_undo(disk, old);
}

void gv_disk_begin(struct gv_disk *disk, uint64_t now_ms)
{
    write_back(disk, now_ms);
    disk->now_ms = now_ms;
    disk->commit++;
}

void gv_disk_sync(struct gv_disk *disk)
{
    drop_undo(disk, disk->undo_count);
}

uint64_t gv_disk_unsafe(const struct gv_disk *disk, uint64_t now_ms)
{
    uint64_t commits = 0, last = 0;

    for (size_t i = 0; i < disk->undo_count; i++) {
        if (disk->undo[i].at_ms + GV_DISK_WRITEBACK_MS <= now_ms || disk->undo[i].commit == last)
            continue;
        last = disk->undo[i].commit;
        commits++;
    }
    return commits;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void put(struct gv_disk *disk, const struct row_key *wanted, const uint8_t *value,
                size_t value_len)
{
    struct gv_disk_row *found = gv_table_find(&disk->rows, hash_of(wanted), is_row, wanted);

    if (!found) {
        found = calloc(1, sizeof *found);
        gv_assert(found && wanted->len <= sizeof found->key);
        found->row = wanted->row;
        found->key_len = wanted->len;
        memcpy(found->key, wanted->key, wanted->len);
        gv_assert(gv_table_insert(&disk->rows, hash_of(wanted), found) == GV_OK);
    }
    free(found->value);
    found->value = malloc(value_len + 1);
    gv_assert(found->value);
    if (value_len)
        memcpy(found->value, value, value_len);
    found->value_len = value_len;
}

static void take_out(struct gv_disk *disk, const struct row_key *wanted)
{
    struct gv_disk_row *found = gv_table_find(&disk->rows, hash_of(wanted), is_row, wanted);

    if (!found)
        return;
    gv_table_remove(&disk->rows, hash_of(wanted), found);
    free(found->value);
    free(found);
}

void gv_disk_put(struct gv_disk *disk, enum gv_row row, const uint8_t *key, size_t key_len,
                 const uint8_t *value, size_t value_len)
{
    struct row_key wanted = {row, key, key_len};

    remember(disk, &wanted, gv_table_find(&disk->rows, hash_of(&wanted), is_row, &wanted));
    put(disk, &wanted, value, value_len);
}

void gv_disk_remove(struct gv_disk *disk, enum gv_row row, const uint8_t *key, size_t key_len)
{
    struct row_key wanted = {row, key, key_len};
    const struct gv_disk_row *found =
        gv_table_find(&disk->rows, hash_of(&wanted), is_row, &wanted);

    if (!found)
        return;
    remember(disk, &wanted, found);
    take_out(disk, &wanted);
}

const struct gv_disk_row *gv_disk_find(const struct gv_disk *disk, enum gv_row row,
                                       const uint8_t *key, size_t key_len)
{
    struct row_key wanted = {row, key, key_len};

    return gv_table_find(&disk->rows, hash_of(&wanted), is_row, &wanted);
}

size_t gv_disk_power_cut(struct gv_disk *disk, uint64_t lost)
{
    size_t rows = 0;
    uint64_t last = 0;

    while (disk->undo_count > 0) {
        struct gv_disk_undo *undo = &disk->undo[disk->undo_count - 1];
        if (undo->commit != last && lost-- == 0)
            break;
        last = undo->commit;
        struct row_key key = {undo->before.row, undo->before.key, undo->before.key_len};
        if (undo->before.value)
            put(disk, &key, undo->before.value, undo->before.value_len);
        else
            take_out(disk, &key);
        free(undo->before.value);
        disk->undo_count--;
        rows++;
    }
    gv_disk_sync(disk); /* what is left was there when the power came back */
    return rows;
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
    gv_disk_sync(disk);
    free(disk->undo);
    disk->undo = NULL;
    disk->undo_cap = 0;
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
