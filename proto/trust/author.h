/* Who says something: the rows of the roster as the rule needs them. mesh/roster.c keeps them. */
#ifndef GV_PROTO_TRUST_AUTHOR_H
#define GV_PROTO_TRUST_AUTHOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/identity.h"
#include "proto/address.h"
#include "proto/trust/verdict.h"

struct gv_item;

/* All three rows begin with their id and with their number in a base (mesh/base.h), where nothing
 * changes; GV_NO_BASE: they are this core's own. */
#define GV_NO_BASE UINT32_MAX

struct gv_owner {
    uint8_t tag[GV_ID_LEN];
    uint32_t number;
    uint32_t fault_min; /* the latest fault of any instance; GV_NEVER: none */
    bool silenced;      /* by this host's admin: no vote here (SPEC 11.5) */
};

struct gv_instance {
    uint8_t id[GV_ID_LEN];
    uint32_t number;
    uint8_t key[GV_KEY_LEN];
    uint32_t came; /* in this order were they made */
    const struct gv_owner *owner;
    uint64_t group;            /* of the newest certificate */
    uint64_t placement;        /* of the first: renewals keep it */
    uint32_t since_min;        /* the earliest that a certificate of it says */
    uint32_t expires_min;      /* the latest */
    uint32_t issued_min;       /* of the newest; */
    uint8_t newest[GV_ID_LEN]; /* of equals, the one with the smallest id */
    uint32_t revoked_min;      /* GV_NEVER */
    uint32_t fault_min;        /* GV_NEVER; later_min of the proof held */
    struct gv_item *fault;     /* the proof held; NULL: none */
    struct gv_item *revocation;
    struct gv_item *address_item; /* newest address record; NULL: none */
    struct gv_address address;
    uint32_t budget_hour; /* the clock hour that these two count for: */
    uint32_t displaced;   /* signals that pushed others out */
    uint32_t replaced;    /* address records and fault proofs that took the place of one */
    size_t certificates;  /* held */
};

/* The same instance, whose row may have been copied out of a base in between. */
static inline bool gv_same_author(const struct gv_instance *a, const struct gv_instance *b)
{
    return a == b || memcmp(a->id, b->id, GV_ID_LEN) == 0;
}

struct gv_certificate_row {
    uint8_t id[GV_ID_LEN];
    uint32_t number;
    const struct gv_instance
        *instance; /* by gv_roster_author and gv_roster_owner: as they are now */
    const struct gv_owner *owner;
    uint64_t group;
    uint32_t since_min, issued_min, expires_min;
    struct gv_item *item;
};

#endif
