/* The registry's log from a stranger (SPEC 14.7): a head, whose signature is taken for good and
 * which must be issued again as the same bytes; and a proof, which must never show what is not so.
 * The first byte says which. */
#include <stdbool.h>
#include <string.h>

#include "by_registry.h"
#include "crypto/error.h"
#include "proto/merkle.h"
#include "proto/wire/log_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TREE 100

static void try_head(const uint8_t *data, size_t size)
{
    const struct fuzz_registry *registry = fuzz_registry();
    struct gv_log_head opened;
    struct gv_buf wire;

    if (gv_log_head_open(&opened, &fuzz_verifier, &registry->descriptor, data, size) != GV_OK)
        return;
    gv_assert(!gv_log_heads_contradict(&opened, &opened));
    gv_buf_init(&wire);
    fuzz_same_again(&wire,
                    gv_log_head_issue(&wire, &opened, registry->signer.sign_secret,
                                      registry->descriptor.network_id),
                    data, size);
}

/* index, size (or first, second), whether to begin with the true proof, then bytes that are put
 * over it: a true statement may be shown, an untrue one never. */
static void try_proof(const uint8_t *data, size_t size, bool inclusion)
{
    static struct gv_merkle tree;
    struct gv_merkle_proof proof = {0};
    uint8_t one[GV_HASH_LEN], two[GV_HASH_LEN];

    for (uint8_t i = 0; tree.size < TREE; i++)
        gv_assert(gv_merkle_append(&tree, &i, 1) == GV_OK);
    if (size < 4)
        return;
    uint64_t a = data[0], b = data[1];
    uint8_t leaf_of = data[3];
    if ((data[2] & 1) && inclusion && a < b && b <= TREE)
        gv_merkle_inclusion(&proof, &tree, a, b);
    if ((data[2] & 1) && !inclusion && a > 0 && a <= b && b <= TREE)
        gv_merkle_consistency(&proof, &tree, a, b);
    size_t bytes = size - 4 < sizeof proof.hashes ? size - 4 : sizeof proof.hashes;
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)proof.hashes)[i] ^= data[4 + i];
    if (data[2] & 2)
        proof.count = data[2] >> 2; /* also more than there is room for */
    /* A head signs size and root together: a root under a size that is not its own proves nothing,
     * and some proofs fit several sizes. It must be survived, no more. */
    gv_merkle_root(two, &tree, b <= TREE ? b : TREE);
    if (inclusion) {
        gv_merkle_leaf(one, &leaf_of, 1);
        if (gv_merkle_included(&proof, one, a, b, two) && b <= TREE)
            gv_assert(leaf_of == a);
    } else {
        gv_merkle_root(one, &tree, leaf_of % (TREE + 1));
        if (gv_merkle_consistent(&proof, a, one, b, two) && b <= TREE)
            gv_assert(a == leaf_of % (TREE + 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 3 == 0)
        try_head(data + 1, size - 1);
    else
        try_proof(data + 1, size - 1, data[0] % 3 == 1);
    return 0;
}
