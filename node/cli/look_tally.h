/* Names and what they did, in a table of fixed size that anybody's log may fill. Where it is full,
 * the half that weighs least is forgotten, and how much a name may have lost by that is known. */
#ifndef GV_NODE_CLI_LOOK_TALLY_H
#define GV_NODE_CLI_LOOK_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GV_TALLY_MAX      4096u
#define GV_TALLY_NAME     96 /* bytes of a name that are shown; the whole of it tells names apart */
#define GV_TALLY_NETWORKS 64 /* told apart; more are "64 or more" */

struct gv_tally_entry {
    uint64_t hash;   /* 0: free */
    uint64_t weight; /* what it is sorted and forgotten by */
    uint64_t count, recipients, bytes, first_ms, last_ms;
    uint64_t hour;          /* since 1970, the one that in_hour counts */
    uint32_t in_hour, most; /* the fullest of the hours */
    uint16_t network_count;
    uint16_t name_len, example_len;
    uint64_t networks[GV_TALLY_NETWORKS];
    char name[GV_TALLY_NAME], example[GV_TALLY_NAME];
};

struct gv_tally;
struct gv_tally *gv_tally_new(const uint8_t key[16]); /* NULL: out of memory; about 3 MB */
void gv_tally_free(struct gv_tally *tally);           /* wipes it */

/* Valid until the next call. */
struct gv_tally_entry *gv_tally_at(struct gv_tally *tally, const char *name, size_t len);
struct gv_tally_entry *gv_tally_find(struct gv_tally *tally, uint64_t hash);
uint64_t gv_tally_hash(const struct gv_tally *tally, const char *name, size_t len);

/* One more at that time. */
void gv_tally_count(struct gv_tally_entry *entry, uint64_t ms);
/* True when it is new to the entry. */
bool gv_tally_network(struct gv_tally_entry *entry, uint64_t network);

/* The heaviest, those of no weight left out; returns how many, at most `cap`. */
size_t gv_tally_top(const struct gv_tally *tally, const struct gv_tally_entry **out, size_t cap);
/* How many names are in it; how many were forgotten; the weight that any name may have lost. */
size_t gv_tally_size(const struct gv_tally *tally);
uint64_t gv_tally_forgotten(const struct gv_tally *tally);
uint64_t gv_tally_lost(const struct gv_tally *tally);

#endif
