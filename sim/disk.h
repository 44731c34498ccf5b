/* A simulated disk: the rows that a core asked to persist, found again after a crash. As SQLite in
 * WAL mode (node/host/persist.h): a commit is all or nothing; a killed process loses none; a power
 * cut may lose the last ones, back to the last that was synced, or to 30 s ago, when the kernel
 * writes by itself. */
#ifndef GV_SIM_DISK_H
#define GV_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/event.h"
#include "proto/table.h"

#define GV_DISK_WRITEBACK_MS 30000u

/* Never changes: another value is another row. What many disks have, a record of the mesh, they
 * have together. */
struct gv_disk_row {
    uint32_t holders; /* disks and what may be taken back on them */
    uint32_t row;     /* enum gv_row */
    bool shelved;     /* found again by whoever puts the same */
    uint8_t key_len, key[40];
    size_t value_len;
    uint8_t value[];
};

/* How a row was before a commit that is not synced yet. */
struct gv_disk_undo {
    struct gv_disk_row *before; /* held; NULL: there was none */
    enum gv_row row;
    size_t key_len;
    uint8_t key[40];
    uint64_t commit, at_ms;
};

struct gv_disk {
    struct gv_table *shelf; /* of the records on all disks; NULL: this one shares none */
    struct gv_table rows;
    /* The file `number` beside the database (SPEC 8.6), synced when it is written: the loss of the
     * database leaves it. 0: there is none. */
    uint64_t ceiling;
    struct gv_disk_undo *undo; /* owned */
    size_t undo_count, undo_cap;
    uint64_t commit; /* the current one */
    uint64_t now_ms;
};

/* What is put and removed from here on is one commit; synced: it and all before it are safe. */
void gv_disk_begin(struct gv_disk *disk, uint64_t now_ms);
void gv_disk_sync(struct gv_disk *disk);
/* The power went: takes back commits that are not safe, the youngest `lost` of them. Returns how
 * many rows that were. */
size_t gv_disk_power_cut(struct gv_disk *disk, uint64_t lost);
/* How many commits are not safe. */
uint64_t gv_disk_unsafe(const struct gv_disk *disk, uint64_t now_ms);
void gv_disk_put(struct gv_disk *disk, enum gv_row row, const uint8_t *key, size_t key_len,
                 const uint8_t *value, size_t value_len);
void gv_disk_remove(struct gv_disk *disk, enum gv_row row, const uint8_t *key, size_t key_len);
/* NULL: there is none. */
const struct gv_disk_row *gv_disk_find(const struct gv_disk *disk, enum gv_row row,
                                       const uint8_t *key, size_t key_len);
/* The database is lost, and not what lies beside it. */
void gv_disk_wipe(struct gv_disk *disk);
/* All rows in the order in which a core wants them (event.h), as an array of the caller's to free;
 * they borrow from the disk. */
const struct gv_disk_row **gv_disk_rows(const struct gv_disk *disk, size_t *count);

#endif
