/* The replicated set: every record that this node holds and would give to others, found by id and
 * ordered for repair. It knows bytes and places, not meanings; roster.c and trust/store.c hold
 * those and decide what enters and what leaves. (SPEC 9.1) */
#ifndef GV_PROTO_MESH_SET_H
#define GV_PROTO_MESH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "proto/table.h"
#include "proto/wire/messages.h"
#include "proto/wire/record.h"

struct gv_item {
    struct gv_key key; /* minute and record id: its place in the tree's order */
    enum gv_tree tree;
    void *row; /* for who entered it: what it means there (trust/store.c); borrowed */
    size_t len;
    const uint8_t *record; /* kind byte || wire: on the set's shelf, or here: */
    uint8_t bytes[];
};

struct gv_base;
struct gv_shelf;

struct gv_set {
    uint8_t hash_key[16];
    struct gv_shelf *shelf; /* of the cores that share their records; borrowed; NULL: none */
    struct gv_base *base;   /* held: items of the roster's tree beside those below; NULL: none */
    struct gv_gone {        /* those of them that have left */
        uint64_t *bits;     /* owned; NULL: none has */
        uint32_t *before;   /* of each word: how many in the words before; owned */
        size_t count;
    } gone;
    struct gv_table by_id;
    struct gv_tree_order {      /* read by gv_set_count and gv_set_at where there may be a base */
        struct gv_item **items; /* ascending; within base */
        size_t count;
        struct gv_item **base; /* owned, of cap places */
        size_t cap;
        uint32_t sum[GV_ID_LEN / 4]; /* of all ids: limbs, lowest first */
        bool unordered;              /* filled while loading: to be sorted once */
    } trees[GV_TREES_HELD];
    bool loading;
};

void gv_set_init(struct gv_set *set, const uint8_t hash_key[16]);
void gv_set_free(struct gv_set *set); /* and every item */
/* Begins with what a base has of it; the hold on it is handed over. False: no memory. For base.c,
 * as is the hash by which its table finds an item. */
bool gv_set_stand_on(struct gv_set *set, struct gv_base *base);
uint64_t gv_set_hash(const uint8_t hash_key[16], const uint8_t *id);
/* Adds an id to a sum of ids, or takes it off (SPEC 9.5). */
void gv_set_add_id(uint32_t sum[GV_ID_LEN / 4], const uint8_t id[GV_ID_LEN], bool off);

/* While loading, items come in any order and are sorted at its end: a hundred thousand insertions
 * in the middle would move gigabytes. */
void gv_set_loading(struct gv_set *set, bool loading);

struct gv_item *gv_set_find(const struct gv_set *set, const uint8_t id[GV_ID_LEN]);
/* The mark of an id in this spreading tree (SPEC 9.3): its first 29 bits, and 3 of the tree. */
void gv_set_mark(uint8_t out[GV_MARK_LEN], const uint8_t id[GV_ID_LEN], unsigned spreading);
unsigned gv_set_mark_tree(const uint8_t mark[GV_MARK_LEN]);
/* By what a mark has of the id. */
struct gv_item *gv_set_find_mark(const struct gv_set *set, const uint8_t *mark);
/* Copies the record in under its id, which must not be in the set. Returns NULL without memory. */
struct gv_item *gv_set_insert(struct gv_set *set, enum gv_tree tree, uint32_t minute,
                              const uint8_t id[GV_ID_LEN], const uint8_t *record, size_t len);
/* Room for one more in the tree. Returns false without memory. */
bool gv_set_reserve(struct gv_set *set, enum gv_tree tree);
/* Moves it into another tree, in which there is room. */
void gv_set_move(struct gv_set *set, struct gv_item *item, enum gv_tree tree);
/* Takes the item out and frees it. */
void gv_set_remove(struct gv_set *set, struct gv_item *item);

int gv_key_compare(const struct gv_key *a, const struct gv_key *b);
size_t gv_set_count(const struct gv_set *set, enum gv_tree tree);
/* The item with this index, in the tree's order. */
struct gv_item *gv_set_at(const struct gv_set *set, enum gv_tree tree, size_t index);
/* Index of the first item of the tree that is not below the key. */
size_t gv_set_lower(const struct gv_set *set, enum gv_tree tree, const struct gv_key *key);

/* What two nodes compare instead of ids: the first 16 bytes of SHA-256("grapevine fingerprint 1",
 * the sum of the ids modulo 2^128 as little-endian || count, 8 bytes big-endian) over the items
 * with index in [from, to). */
void gv_set_fingerprint(uint8_t out[GV_ID_LEN], const struct gv_set *set, enum gv_tree tree,
                        size_t from, size_t to);

#endif
