/* The table `inet grapevine` in the kernel, and no other. Sets and rules are made by libnftables,
 * from a text with no word of a stranger's in it; entries go by netlink directly, at half of what
 * libnftables takes for the same. (SPEC 18.8) */
#ifndef GV_NODE_FIREWALL_NFT_H
#define GV_NODE_FIREWALL_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/text.h"
#include "node/firewall/table.h"

struct gv_nft;

struct gv_nft_options {
    const uint16_t *ports; /* copied, as are the others */
    size_t port_count;     /* at least 1 */
    bool reject;           /* with a TCP reset, instead of silence */
};

/* Opens sockets; nothing is changed yet. Returns GV_OK, GV_ERR_FORBIDDEN, GV_ERR_IO, GV_ERR_MEMORY,
 * with a sentence. */
int gv_nft_open(struct gv_nft **out, struct gv_text *error);
void gv_nft_close(struct gv_nft *nft);

/* Makes the table anew, with empty sets. */
int gv_nft_build(struct gv_nft *nft, const struct gv_nft_options *options, struct gv_text *error);
/* Deletes it; one that is not there is no error. */
int gv_nft_remove(struct gv_nft *nft, struct gv_text *error);
/* Carries out the plan in one transaction: all of it or nothing. */
int gv_nft_apply(struct gv_nft *nft, const struct gv_plan *plan, struct gv_text *error);

/* Whether somebody else has changed any table since the last call of this module. */
bool gv_nft_stirred(struct gv_nft *nft);
/* Whether our sets and rules are still what gv_nft_build made. */
bool gv_nft_is_whole(struct gv_nft *nft);
/* Whether the sets of ranges are still what gv_nft_apply put into them last. */
bool gv_nft_has_ranges(struct gv_nft *nft);

/* Calls `found` for each single entry in the kernel; seconds: what is left of it, 0 for ever.
 * Returns GV_OK, GV_ERR_NOT_FOUND (no table), GV_ERR_IO, or what `found` returned. */
typedef int (*gv_nft_found)(void *context, const struct gv_subject *subject, uint32_t seconds);
int gv_nft_each(struct gv_nft *nft, gv_nft_found found, void *context);

#endif
