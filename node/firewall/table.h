/* What should be in the firewall, and what is: pure memory, no kernel, no clock. (SPEC 18.8)
 *
 * Records change what should be. gv_nft_table_plan gives the difference to what is in the kernel,
 * and gv_nft_table_done says that the kernel has it. */
#ifndef GV_NODE_FIREWALL_TABLE_H
#define GV_NODE_FIREWALL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/firewall_record.h"

struct gv_nft_table;

/* `key`: 16 secret bytes for the hash, copied. NULL when out of memory. */
struct gv_nft_table *gv_nft_table_new(const uint8_t key[16], size_t entries_max);
void gv_nft_table_free(struct gv_nft_table *table);

/* The helper's own: loopback, this host's addresses, the admin's allow list. Copied. Entries that
 * it covers are dropped. Returns GV_OK or GV_ERR_MEMORY. */
int gv_nft_table_protect(struct gv_nft_table *table, const struct gv_prefix *prefixes,
                         size_t count);

/* BEGIN, ADD, DROP, ALLOW, COMMIT of a valid record. now_s: a clock that only goes forward, from
 * any origin but 0. Returns GV_OK; GV_ERR_FORBIDDEN (an address that is protected), GV_ERR_FULL,
 * GV_ERR_STATE (ALLOW outside of a list) or GV_ERR_MEMORY: then it was not taken. */
int gv_nft_table_apply(struct gv_nft_table *table, const struct gv_firewall_record *record,
                       uint64_t now_s);
/* Whoever sent a BEGIN has gone before its COMMIT: what was there stays. */
void gv_nft_table_abandon(struct gv_nft_table *table);

/* ---- what the kernel has --------------------------------------------------------------------- */

/* The kernel has nothing. */
void gv_nft_table_lost(struct gv_nft_table *table);
/* The kernel turns out to have `subject`; after gv_nft_table_lost, for each. What should not be
 * there is in the next plan. Returns GV_OK or GV_ERR_MEMORY. */
int gv_nft_table_found(struct gv_nft_table *table, const struct gv_subject *subject);

struct gv_plan_entry {
    struct gv_subject subject;
    uint32_t seconds; /* 0: it goes */
    bool known;       /* the kernel has it */
};
struct gv_plan_range {
    struct gv_prefix prefix;
    uint32_t seconds; /* 0: for ever */
};
struct gv_plan {
    struct gv_plan_entry *entries; /* owned */
    size_t entry_count;
    /* Whole lists, in ascending order, none within another; only when they have changed. */
    bool with_ranges, with_allowed;
    struct gv_plan_range *ranges, *allowed; /* owned */
    size_t range_count, allowed_count;
};
/* What has to be done, also with entries whose time is over. Returns GV_OK or GV_ERR_MEMORY; free
 * with gv_plan_free. */
int gv_nft_table_plan(struct gv_nft_table *table, struct gv_plan *out, uint64_t now_s);
bool gv_plan_is_empty(const struct gv_plan *plan);
void gv_plan_free(struct gv_plan *plan);
/* The plan that was made last is in the kernel. */
void gv_nft_table_done(struct gv_nft_table *table);

/* Everything that should be there now. */
size_t gv_nft_table_count(const struct gv_nft_table *table);
/* Whether the entry should be there, and for how many seconds. 0: it should not. */
uint32_t gv_nft_table_look(const struct gv_nft_table *table, const struct gv_subject *subject,
                           uint64_t now_s);

#endif
