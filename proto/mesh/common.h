/* What several cores of one process hold together, each thing once: what never changes. A daemon's
 * core stands on a base of its own; the simulator gives one common to all. There is no clock and no
 * secret in it, and no way from one core to another: who takes from it gets what he would have
 * loaded himself. */
#ifndef GV_PROTO_MESH_COMMON_H
#define GV_PROTO_MESH_COMMON_H

#include "proto/mesh/base.h"
#include "proto/mesh/shelf.h"

struct gv_core;

struct gv_common {
    struct gv_shelf shelf;
    struct gv_base *base; /* held; of the first core that has read a roster; NULL: not yet */
    uint8_t network_id[GV_KEY_LEN];
};

/* Behind the last row: the roster that was read becomes the core's base, and the common's, if it
 * has none. */
void gv_common_settle(struct gv_core *core);
/* A core without a roster begins with the common's, as if it had read it, if it is good at this
 * time. Returns GV_OK, GV_ERR_NOT_FOUND or GV_ERR_MEMORY. */
int gv_common_begin(struct gv_core *core);

#endif
