/* A Merkle tree over a growing list, hashed as RFC 6962, section 2.1 says: a leaf is SHA-256(00 ||
 * entry), a node SHA-256(01 || left || right), the empty tree SHA-256 of nothing. All complete
 * subtrees are kept, 64 bytes an entry, so that the root of any earlier size and every proof take
 * some dozens of hashes. Pure; the caller keeps the entries. */
#ifndef GV_PROTO_MERKLE_H
#define GV_PROTO_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "proto/buf.h"

#define GV_MERKLE_LEVELS 33               /* 2^32 entries */
#define GV_MERKLE_PATH   GV_MERKLE_LEVELS /* hashes of a proof at most (consistency: one more) */

struct gv_merkle {
    uint64_t size;
    struct gv_buf levels[GV_MERKLE_LEVELS]; /* [k]: the complete subtrees of 2^k leaves, in order */
};

void gv_merkle_init(struct gv_merkle *tree);
void gv_merkle_free(struct gv_merkle *tree); /* and resets */

/* GV_OK, GV_ERR_MEMORY (nothing changed), GV_ERR_FULL. */
int gv_merkle_append(struct gv_merkle *tree, const uint8_t *entry, size_t len);
/* Forgets what was appended after the first `size` entries. size <= tree->size. */
void gv_merkle_cut(struct gv_merkle *tree, uint64_t size);

/* The root of the first `size` entries. size <= tree->size. */
void gv_merkle_root(uint8_t out[GV_HASH_LEN], const struct gv_merkle *tree, uint64_t size);

/* A proof: hashes, one after the other. */
struct gv_merkle_proof {
    size_t count;
    uint8_t hashes[GV_MERKLE_PATH + 1][GV_HASH_LEN];
};
/* That entry `index` is among the first `size`: PATH(index, D[size]). index < size <= tree->size.
 */
void gv_merkle_inclusion(struct gv_merkle_proof *out, const struct gv_merkle *tree, uint64_t index,
                         uint64_t size);
/* That the first `first` of the first `second` entries are the tree of before: PROOF(first,
 * D[second]). 0 < first <= second <= tree->size; empty when they are equal. */
void gv_merkle_consistency(struct gv_merkle_proof *out, const struct gv_merkle *tree,
                           uint64_t first, uint64_t second);

void gv_merkle_leaf(uint8_t out[GV_HASH_LEN], const uint8_t *entry, size_t len);
/* Whether the proof shows it; anything from outside is allowed (RFC 9162, 2.1.3.2 and 2.1.4.2). */
bool gv_merkle_included(const struct gv_merkle_proof *proof, const uint8_t leaf[GV_HASH_LEN],
                        uint64_t index, uint64_t size, const uint8_t root[GV_HASH_LEN]);
bool gv_merkle_consistent(const struct gv_merkle_proof *proof, uint64_t first,
                          const uint8_t first_root[GV_HASH_LEN], uint64_t second,
                          const uint8_t second_root[GV_HASH_LEN]);

#endif
