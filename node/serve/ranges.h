/* The ranges that the admin's lists refuse, for whoever can hold a range but not a rule: deny with
 * its exceptions cut out. Pure. */
#ifndef GV_NODE_SERVE_RANGES_H
#define GV_NODE_SERVE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/settings.h"

struct gv_range_rule {
    struct gv_prefix prefix;
    bool deny;
    bool command;   /* the admin's command, not the configuration */
    uint8_t length; /* filled in: of the prefix as it was given */
};

/* Where the longest matching rule denies (of equal ones as gv_policy_look): disjoint, sorted by
 * family and address; of IPv6 no longer than /64. Sorts and changes `rules`. *out is malloc'd, NULL
 * for none. Returns GV_OK or GV_ERR_MEMORY. */
int gv_ranges_refused(struct gv_prefix **out, size_t *out_count, struct gv_range_rule *rules,
                      size_t count);

#endif
