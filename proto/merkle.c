#include "proto/merkle.h"

#include <string.h>

#include "crypto/error.h"

#define LEAF 0x00
#define NODE 0x01

void gv_merkle_leaf(uint8_t out[GV_HASH_LEN], const uint8_t *entry, size_t len)
{
    gv_hash_tree(out, LEAF, entry, len, NULL, 0);
}

static void join(uint8_t out[GV_HASH_LEN], const uint8_t left[GV_HASH_LEN],
                 const uint8_t right[GV_HASH_LEN])
{
    gv_hash_tree(out, NODE, left, GV_HASH_LEN, right, GV_HASH_LEN);
}

void gv_merkle_init(struct gv_merkle *tree)
{
    memset(tree, 0, sizeof *tree);
}

void gv_merkle_free(struct gv_merkle *tree)
{
    for (size_t i = 0; i < GV_MERKLE_LEVELS; i++)
        gv_buf_free(&tree->levels[i]);
    tree->size = 0;
}

int gv_merkle_append(struct gv_merkle *tree, const uint8_t *entry, size_t len)
{
    uint8_t hash[GV_HASH_LEN];
    uint64_t at = tree->size;
    unsigned level = 0;

    if (tree->size >> (GV_MERKLE_LEVELS - 1))
        return GV_ERR_FULL;
    gv_merkle_leaf(hash, entry, len);
    for (;; level++, at >>= 1) {
        gv_buf_append(&tree->levels[level], hash, GV_HASH_LEN);
        if (tree->levels[level].failed)
            break;
        if ((at & 1) == 0) {
            tree->size++;
            return GV_OK;
        }
        join(hash, tree->levels[level].data + (at - 1) * GV_HASH_LEN, hash);
    }
    tree->levels[level].failed = false;
    gv_merkle_cut(tree, tree->size);
    return GV_ERR_MEMORY;
}

void gv_merkle_cut(struct gv_merkle *tree, uint64_t size)
{
    for (unsigned level = 0; level < GV_MERKLE_LEVELS; level++)
        if (tree->levels[level].len > (size >> level) * GV_HASH_LEN)
            tree->levels[level].len = (size >> level) * GV_HASH_LEN;
    tree->size = size;
}

/* The largest power of two below n; n > 1. */
static unsigned split(uint64_t n)
{
    unsigned level = 0;

    while ((uint64_t)1 << (level + 1) < n)
        level++;
    return level;
}

/* MTH of the n entries from `start` on, which begins where a subtree does: the recursion goes to
 * the right only, along the complete subtrees. n > 0. */
static void subtree(uint8_t out[GV_HASH_LEN], const struct gv_merkle *tree, uint64_t start,
                    uint64_t n)
{
    unsigned level = n == 1 ? 0 : split(n);
    uint64_t left = (uint64_t)1 << level;
    uint8_t right[GV_HASH_LEN];

    if (n > 1 && n == left << 1) { /* complete */
        level++;
        left <<= 1;
    }
    memcpy(out, tree->levels[level].data + (start >> level) * GV_HASH_LEN, GV_HASH_LEN);
    if (n == left)
        return;
    subtree(right, tree, start + left, n - left);
    join(out, out, right);
}

void gv_merkle_root(uint8_t out[GV_HASH_LEN], const struct gv_merkle *tree, uint64_t size)
{
    static const uint8_t nothing[] = "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9"
                                     "\x24\x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52"
                                     "\xb8\x55"; /* SHA-256 of no bytes */

    gv_assert(size <= tree->size);
    if (size == 0)
        memcpy(out, nothing, GV_HASH_LEN);
    else
        subtree(out, tree, 0, size);
}

/* Walks from the root to where the proof begins and puts what stands beside the way, last first. */
static void reverse(struct gv_merkle_proof *proof)
{
    uint8_t hash[GV_HASH_LEN];

    for (size_t i = 0; i < proof->count / 2; i++) {
        size_t other = proof->count - 1 - i;
        memcpy(hash, proof->hashes[i], GV_HASH_LEN);
        memcpy(proof->hashes[i], proof->hashes[other], GV_HASH_LEN);
        memcpy(proof->hashes[other], hash, GV_HASH_LEN);
    }
}

void gv_merkle_inclusion(struct gv_merkle_proof *out, const struct gv_merkle *tree, uint64_t index,
                         uint64_t size)
{
    uint64_t start = 0;

    gv_assert(index < size && size <= tree->size);
    out->count = 0;
    while (size > 1) {
        uint64_t left = (uint64_t)1 << split(size);
        uint8_t *hash = out->hashes[out->count++];
        if (index < left) {
            subtree(hash, tree, start + left, size - left);
            size = left;
        } else {
            subtree(hash, tree, start, left);
            start += left;
            index -= left;
            size -= left;
        }
    }
    reverse(out);
}

void gv_merkle_consistency(struct gv_merkle_proof *out, const struct gv_merkle *tree,
                           uint64_t first, uint64_t second)
{
    uint64_t start = 0, size = second;
    bool whole = true; /* SUBPROOF's flag: the subtree that is left is the old tree itself */

    gv_assert(first > 0 && first <= second && second <= tree->size);
    out->count = 0;
    while (first != size) {
        uint64_t left = (uint64_t)1 << split(size);
        uint8_t *hash = out->hashes[out->count++];
        if (first <= left) {
            subtree(hash, tree, start + left, size - left);
            size = left;
        } else {
            subtree(hash, tree, start, left);
            start += left;
            first -= left;
            size -= left;
            whole = false;
        }
    }
    if (!whole)
        subtree(out->hashes[out->count++], tree, start, size);
    reverse(out);
}

bool gv_merkle_included(const struct gv_merkle_proof *proof, const uint8_t leaf[GV_HASH_LEN],
                        uint64_t index, uint64_t size, const uint8_t root[GV_HASH_LEN])
{
    uint8_t hash[GV_HASH_LEN];
    uint64_t last = size - 1;

    if (index >= size || proof->count > GV_MERKLE_PATH)
        return false;
    memcpy(hash, leaf, GV_HASH_LEN);
    for (size_t i = 0; i < proof->count; i++) {
        if (last == 0)
            return false; /* longer than the tree is high */
        if ((index & 1) == 0 && index != last) {
            join(hash, hash, proof->hashes[i]);
        } else {
            join(hash, proof->hashes[i], hash);
            while ((index & 1) == 0 && index != 0) {
                index >>= 1;
                last >>= 1;
            }
        }
        index >>= 1;
        last >>= 1;
    }
    return last == 0 && memcmp(hash, root, GV_HASH_LEN) == 0;
}

bool gv_merkle_consistent(const struct gv_merkle_proof *proof, uint64_t first,
                          const uint8_t first_root[GV_HASH_LEN], uint64_t second,
                          const uint8_t second_root[GV_HASH_LEN])
{
    uint8_t old[GV_HASH_LEN], fresh[GV_HASH_LEN];
    size_t i = 0;

    if (first == 0 || first > second || proof->count > GV_MERKLE_PATH + 1)
        return false;
    if (first == second)
        return proof->count == 0 && memcmp(first_root, second_root, GV_HASH_LEN) == 0;
    bool power = (first & (first - 1)) == 0;
    if (!power && proof->count == 0)
        return false;
    memcpy(old, power ? first_root : proof->hashes[i++], GV_HASH_LEN);
    memcpy(fresh, old, GV_HASH_LEN);
    uint64_t at = first - 1, last = second - 1;
    while (at & 1) {
        at >>= 1;
        last >>= 1;
    }
    for (; i < proof->count; i++) {
        if (last == 0)
            return false;
        if ((at & 1) || at == last) {
            join(old, proof->hashes[i], old);
            join(fresh, proof->hashes[i], fresh);
            while ((at & 1) == 0 && at != 0) {
                at >>= 1;
                last >>= 1;
            }
        } else {
            join(fresh, fresh, proof->hashes[i]);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && memcmp(old, first_root, GV_HASH_LEN) == 0 &&
           memcmp(fresh, second_root, GV_HASH_LEN) == 0;
}
