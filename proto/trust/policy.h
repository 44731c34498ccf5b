/* This host's allow and deny lists: from the configuration file, and the admin's commands. */
#ifndef GV_PROTO_TRUST_POLICY_H
#define GV_PROTO_TRUST_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/settings.h"

/* Sorted by family, length and address: a question is one search for each length that there is. */
struct gv_prefix_list {
    struct gv_prefix *entries; /* owned */
    size_t count, cap;
    uint64_t lengths4, lengths6[3]; /* bit n: there is an entry of that length */
};

struct gv_policy_lists {
    struct gv_prefix_list config_allow, config_deny; /* replaced by a reload */
    struct gv_prefix_list admin_allow, admin_deny;   /* kept in the store */
};

void gv_policy_free(struct gv_policy_lists *lists);
/* Returns GV_OK or GV_ERR_MEMORY; the lists are as before then. */
int gv_policy_configure(struct gv_policy_lists *lists, const struct gv_settings *settings);
/* Adds one to the admin's list (and takes it off his other one). GV_OK, GV_ERR_DUPLICATE or
 * GV_ERR_MEMORY. */
int gv_policy_add(struct gv_policy_lists *lists, const struct gv_prefix *prefix, bool deny);
/* Takes it off both of the admin's lists. Returns GV_OK or GV_ERR_NOT_FOUND. */
int gv_policy_remove(struct gv_policy_lists *lists, const struct gv_prefix *prefix);
/* The longest matching prefix decides; of equal ones, the admin's command before the file and deny
 * before allow. */
void gv_policy_look(const struct gv_policy_lists *lists, const struct gv_subject *subject,
                    bool *allowed, bool *denied);

#endif
