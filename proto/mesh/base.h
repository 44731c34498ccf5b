/* A base: the certificates and address records that a core held when its rows had been read, with
 * all that is derived of them, frozen. Cores that begin alike hold one base together; what a core
 * hears after that, and what it lets go of, is its own (roster.h, set.h). Nothing in a base
 * changes, so nobody who shares one can be touched by another. (SPEC 9.1) */
#ifndef GV_PROTO_MESH_BASE_H
#define GV_PROTO_MESH_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/mesh/roster.h"
#include "proto/mesh/set.h"

struct gv_base {
    size_t holders;
    struct gv_shelf *shelf; /* where its records may lie; borrowed; NULL: none */
    uint8_t hash_key[16];   /* of all its tables */
    struct gv_table by_id, rows[GV_ROWS_KINDS];
    struct gv_item **items; /* ascending; owned, as all rows are */
    size_t count;
    uint32_t (*sums)[GV_ID_LEN / 4]; /* of the ids before each item, and of all */
    void **all[GV_ROWS_KINDS];       /* rows by their number, in the order in which they came */
    uint64_t *placements;            /* of the instances, side by side: all are looked through */
    uint32_t latest_min;             /* nothing in it is dated later */
    uint32_t expires_min;            /* no certificate ends before, */
    uint32_t address_min;            /* and no address record is older */
};

/* Takes what is fit out of a core's roster and set and makes it their base: instances with good
 * certificates, their certificates and addresses; who is revoked or at fault, or whose owner is,
 * stays where he is. They must not have a base yet. Returns GV_OK or GV_ERR_MEMORY: then nothing
 * changed. */
int gv_base_freeze(struct gv_roster *roster, struct gv_set *set);
/* What has no base and none of its rows begins with this one. False: no memory. */
bool gv_base_take(struct gv_base *base, struct gv_roster *roster, struct gv_set *set);
void gv_base_release(struct gv_base *base); /* NULL: nothing */

#endif
