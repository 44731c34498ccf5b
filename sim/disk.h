/* A simulated disk: the rows that a core asked to persist, found again after a crash. */
#ifndef GV_SIM_DISK_H
#define GV_SIM_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "proto/event.h"
#include "proto/table.h"

struct gv_disk_row {
    enum gv_row row;
    size_t key_len, value_len;
    uint8_t *value;                 /* owned */
    uint8_t key[40];
};

struct gv_disk {
    struct gv_table rows;
};

void gv_disk_put(struct gv_disk *disk, enum gv_row row, const uint8_t *key, size_t key_len,
                 const uint8_t *value, size_t value_len);
void gv_disk_remove(struct gv_disk *disk, enum gv_row row, const uint8_t *key, size_t key_len);
void gv_disk_wipe(struct gv_disk *disk);
/* All rows in the order in which a core wants them (event.h), as an array of the caller's to free;
 * they borrow from the disk. */
const struct gv_disk_row **gv_disk_rows(const struct gv_disk *disk, size_t *count);

#endif
