/* What the surfaces list: every subject that this host refuses, or that the mesh calls untrusted,
 * in 7 to 11 bytes an IPv4 entry, 12 to 18 an IPv6 one. feed.c keeps it; DNSBL and the like read
 * it, so that one query never costs a verdict. (SPEC 18.1) */
#ifndef GV_NODE_SERVE_LISTING_H
#define GV_NODE_SERVE_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/subject.h"

enum gv_listed {
    GV_LISTED_REFUSED = 1,  /* the action here is `refuse` */
    GV_LISTED_UNTRUSTED = 2 /* the verdict of the mesh is `untrusted`, and nothing here vetoes it */
};

struct gv_listing;

/* `key`: 16 secret bytes for the hash, copied; strangers choose what is listed. NULL when out of
 * memory. */
struct gv_listing *gv_listing_new(const uint8_t key[16]);
void gv_listing_free(struct gv_listing *listing);
/* With the same key; NULL when out of memory. A million IPv4 subjects take 5 ms. */
struct gv_listing *gv_listing_copy(const struct gv_listing *listing);
/* Takes everything off, and has room for as much as `like` holds, so that it need not grow soon. */
void gv_listing_clear(struct gv_listing *listing, const struct gv_listing *like);

/* Bits of enum gv_listed; 0: not listed. */
unsigned gv_listing_get(const struct gv_listing *listing, const struct gv_subject *subject);
/* It is asked for in a moment: its line of memory may come meanwhile. */
void gv_listing_soon(const struct gv_listing *listing, const struct gv_subject *subject);
/* `bits` 0 takes it off. Returns GV_OK, or GV_ERR_MEMORY: then it is as before. */
int gv_listing_set(struct gv_listing *listing, const struct gv_subject *subject, unsigned bits);

/* *cursor starts at 0; order is the table's own. Entries that are set or taken off meanwhile may be
 * left out or come twice. */
bool gv_listing_next(const struct gv_listing *listing, size_t *cursor, struct gv_subject *subject,
                     unsigned *bits);

size_t gv_listing_count(const struct gv_listing *listing);
/* How many changes there have been: the same number is the same listing. */
uint64_t gv_listing_serial(const struct gv_listing *listing);
size_t gv_listing_bytes(const struct gv_listing *listing); /* of memory */

#endif
