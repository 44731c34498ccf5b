/* What grapevined tells grapevine-firewall, and what that answers: records of 24 bytes on a Unix
 * socket. (SPEC 18.8)
 *
 *   0 op | 1 family | 2 bits | 3 zero | 4..7 number, big-endian | 8..23 address, network order
 *
 * IPv4 uses the first 4 bytes of the address; all that is unused is zero. */
#ifndef GV_NODE_BASE_FIREWALL_RECORD_H
#define GV_NODE_BASE_FIREWALL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/settings.h"

#define GV_FIREWALL_RECORD  24
#define GV_FIREWALL_VERSION 2u
/* An entry goes by itself this long after it was last confirmed: a node that died refuses nobody
 * for long. */
#define GV_FIREWALL_LEASE_S 3600u
/* Entries at most: about 24 bytes each in the daemon, 32 in the helper and 150 in the kernel. */
#define GV_FIREWALL_ENTRIES 500000u
#define GV_FIREWALL_RANGES  20000u /* of the deny list, and as many of the allow list */
/* Wider ranges are a mistake or an attack: 1/256 of IPv4. */
#define GV_FIREWALL_BITS_IPV4 8
#define GV_FIREWALL_BITS_IPV6 16

#define GV_FIREWALL_LISTS_ONLY 1u

enum gv_firewall_op {
    GV_FIREWALL_HELLO = 1, /* first of all; number: the version */
    GV_FIREWALL_BEGIN,     /* a whole list follows: at the next COMMIT all that is not in it goes;
                              number GV_FIREWALL_LISTS_ONLY: but single entries stay */
    GV_FIREWALL_ADD,       /* number: seconds it lasts, 1..GV_FIREWALL_LEASE_S; anew or again */
    GV_FIREWALL_DROP,      /* not any more */
    GV_FIREWALL_ALLOW,     /* never refused; forgotten by BEGIN */
    GV_FIREWALL_COMMIT,    /* apply what came since the last; number: comes back in the answer */
    GV_FIREWALL_DONE       /* the answer: family: enum gv_firewall_result; address: entries in
                              place, then records that were not taken, four bytes each */
};

enum gv_firewall_result {
    GV_FIREWALL_OK,
    GV_FIREWALL_PARTLY, /* some were not taken */
    GV_FIREWALL_KERNEL, /* the kernel would not; tried again every second */
    GV_FIREWALL_RESULTS
};

struct gv_firewall_record {
    enum gv_firewall_op op;
    uint32_t number;
    struct gv_prefix prefix;        /* ADD, DROP, ALLOW: /32, /64 or shorter; ALLOW: to /128 */
    enum gv_firewall_result result; /* DONE */
    uint32_t in_place, not_taken;   /* DONE */
};

void gv_firewall_record_write(uint8_t out[GV_FIREWALL_RECORD],
                              const struct gv_firewall_record *record);
/* Whether a firewall of ours may hold it back at all: not loopback, link-local, multicast or the
 * like, not too wide. */
bool gv_firewall_may_refuse(const struct gv_prefix *prefix);

/* Exactly one form for each record. Returns GV_OK, GV_ERR_MALFORMED (no record: whoever sent it
 * speaks another language), or GV_ERR_RANGE: an ADD of what may not be refused. */
int gv_firewall_record_read(struct gv_firewall_record *out, const uint8_t wire[GV_FIREWALL_RECORD]);

#endif
