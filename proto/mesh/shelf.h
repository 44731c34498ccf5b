/* Records that several cores hold, each once (mesh/common.h): bytes that never change, counted by
 * who holds them. */
#ifndef GV_PROTO_MESH_SHELF_H
#define GV_PROTO_MESH_SHELF_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "proto/table.h"

struct gv_shelf {
    struct gv_table records;
};

/* The bytes, held once more. NULL: no memory, or other bytes lie there under this id (a signature
 * is not part of it): then they are for the caller to keep. */
const uint8_t *gv_shelf_take(struct gv_shelf *shelf, const uint8_t id[GV_ID_LEN],
                             const uint8_t *record, size_t len);
/* What gv_shelf_take gave. */
void gv_shelf_give_back(struct gv_shelf *shelf, const uint8_t id[GV_ID_LEN]);
void gv_shelf_free(struct gv_shelf *shelf); /* and what is still on it */

#endif
