/* nf_tables' netlink, as much of it as entries need (libmnl): one batch, one dump, one number. */
#ifndef GV_NODE_FIREWALL_NETLINK_H
#define GV_NODE_FIREWALL_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include <libmnl/libmnl.h>

#include "node/base/text.h"
#include "proto/buf.h"
#include "proto/subject.h"

#define GV_NFT_TABLE "grapevine"

struct gv_netlink {
    struct mnl_socket *socket;
    uint32_t sequence;
};

/* Returns GV_OK, GV_ERR_IO or GV_ERR_FORBIDDEN. */
int gv_netlink_open(struct gv_netlink *nl, struct gv_text *error);
void gv_netlink_close(struct gv_netlink *nl);

/* The number of the ruleset's generation: one more after each transaction of anybody's. 0: the
 * kernel would not say. */
uint32_t gv_netlink_generation(struct gv_netlink *nl);

/* ---- a transaction -------------------------------------------------------------------------- */

struct gv_batch {
    struct gv_buf wire;
    uint32_t sequence;
    struct nlmsghdr *open; /* the message that elements are put into, in `wire`; NULL: none */
    struct nlattr *elements;
    size_t at;       /* where `open` begins in wire */
    const char *set; /* of the open message */
    uint16_t type;   /* of the open message */
};

void gv_batch_begin(struct gv_batch *batch, uint32_t sequence);
/* One element: a key of 4 or 16 bytes. `type`: NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM. */
void gv_batch_element(struct gv_batch *batch, uint16_t type, const char *set, const uint8_t *key,
                      size_t key_len, uint32_t seconds, bool interval_end);
/* Everything out of the set. */
void gv_batch_flush(struct gv_batch *batch, const char *set);
/* Sends it; it is done, all or nothing, when this returns GV_OK. Otherwise GV_ERR_IO or
 * GV_ERR_MEMORY. The batch is freed in any case. */
int gv_batch_commit(struct gv_netlink *nl, struct gv_batch *batch, struct gv_text *error);

/* ---- a dump --------------------------------------------------------------------------------- */

struct gv_element {
    uint8_t key[16];
    size_t key_len;
    bool interval_end;
    uint64_t left_ms; /* 0: for ever */
};
typedef int (*gv_element_found)(void *context, const struct gv_element *element);
/* Returns GV_OK, GV_ERR_NOT_FOUND (no such set), GV_ERR_IO, or what `found` returned. */
int gv_netlink_each(struct gv_netlink *nl, const char *set, gv_element_found found, void *context);

#endif
