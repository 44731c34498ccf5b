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

/* ---- rows that many disks have --------------------------------------------------------------- */

struct content {
    struct row_key key;
    const uint8_t *value;
    size_t value_len;
};

static bool has_content(const void *item, const void *content)
{
    const struct gv_disk_row *row = item;
    const struct content *wanted = content;

    return is_row(row, &wanted->key) && row->value_len == wanted->value_len &&
           memcmp(row->value, wanted->value, wanted->value_len) == 0;
}

static void let_go(struct gv_disk *disk, struct gv_disk_row *row)
{
    struct row_key key;

    if (!row || --row->holders > 0)
        return;
    key = (struct row_key){row->row, row->key, row->key_len};
    if (row->shelved)
        gv_table_remove(disk->shelf, hash_of(&key), row);
    free(row);
}

static struct gv_disk_row *make_row(struct gv_disk *disk, const struct row_key *key,
                                    const uint8_t *value, size_t value_len)
{
    struct content content = {*key, value, value_len};
    bool shelved = disk->shelf && key->row == GV_ROW_RECORD && value_len > 0;
    struct gv_disk_row *row =
        shelved ? gv_table_find(disk->shelf, hash_of(key), has_content, &content) : NULL;

    if (row) {
        row->holders++;
        return row;
    }
    row = calloc(1, sizeof *row + value_len);
    gv_assert(row && key->len <= sizeof row->key);
    row->holders = 1;
    row->row = key->row;
    row->shelved = shelved;
    row->key_len = (uint8_t)key->len;
    memcpy(row->key, key->key, key->len);
    row->value_len = value_len;
    if (value_len)
        memcpy(row->value, value, value_len);
    if (shelved)
        gv_assert(gv_table_insert(disk->shelf, hash_of(key), row) == GV_OK);
    return row;
}

/* ---- what a power cut takes back ------------------------------------------------------------- */

static void drop_undo(struct gv_disk *disk, size_t from_start)
{
    for (size_t i = 0; i < from_start; i++)
        let_go(disk, disk->undo[i].before);
    disk->undo_count -= from_start;
    if (disk->undo_count > 0)
        memmove(disk->undo, disk->undo + from_start, disk->undo_count * sizeof *disk->undo);
}

static void remember(struct gv_disk *disk, const struct row_key *key, struct gv_disk_row *before)
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
    undo->row = key->row;
    undo->key_len = key->len;
    memcpy(undo->key, key->key, key->len);
    undo->before = before;
    if (before)
        before->holders++;
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

static struct gv_disk_row *find(const struct gv_disk *disk, const struct row_key *wanted)
{
    return gv_table_find(&disk->rows, hash_of(wanted), is_row, wanted);
}

static void take_out(struct gv_disk *disk, const struct row_key *wanted)
{
    struct gv_disk_row *found = find(disk, wanted);

    if (!found)
        return;
    gv_table_remove(&disk->rows, hash_of(wanted), found);
    let_go(disk, found);
}

/* The hold on it is handed over. */
static void put(struct gv_disk *disk, const struct row_key *wanted, struct gv_disk_row *row)
{
    take_out(disk, wanted);
    gv_assert(gv_table_insert(&disk->rows, hash_of(wanted), row) == GV_OK);
}

void gv_disk_put(struct gv_disk *disk, enum gv_row row, const uint8_t *key, size_t key_len,
                 const uint8_t *value, size_t value_len)
{
    struct row_key wanted = {row, key, key_len};

    remember(disk, &wanted, find(disk, &wanted));
    put(disk, &wanted, make_row(disk, &wanted, value, value_len));
}

void gv_disk_remove(struct gv_disk *disk, enum gv_row row, const uint8_t *key, size_t key_len)
{
    struct row_key wanted = {row, key, key_len};
    struct gv_disk_row *found = find(disk, &wanted);

    if (!found)
        return;
    remember(disk, &wanted, found);
    take_out(disk, &wanted);
}

const struct gv_disk_row *gv_disk_find(const struct gv_disk *disk, enum gv_row row,
                                       const uint8_t *key, size_t key_len)
{
    struct row_key wanted = {row, key, key_len};

    return find(disk, &wanted);
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
        struct row_key key = {undo->row, undo->key, undo->key_len};
        if (undo->before)
            put(disk, &key, undo->before);
        else
            take_out(disk, &key);
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

    while ((row = gv_table_next(&disk->rows, &cursor)))
        let_go(disk, row);
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
