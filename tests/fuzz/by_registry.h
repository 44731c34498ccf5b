/* What the fuzz targets of things that a registry key signs have in common: signatures are taken
 * for good, and what opens must be issued again as the same bytes. */
#ifndef GV_TESTS_FUZZ_BY_REGISTRY_H
#define GV_TESTS_FUZZ_BY_REGISTRY_H

#include <stdbool.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/wire/descriptor.h"

static inline bool fuzz_believe(void *context, const uint8_t key[GV_KEY_LEN],
                                const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *message,
                                size_t message_len)
{
    (void)context, (void)key, (void)signature, (void)message, (void)message_len;
    return true;
}

static const struct gv_verifier fuzz_verifier = {.verify = fuzz_believe};

/* A descriptor with one key, in force for ever, and that key. */
struct fuzz_registry {
    struct gv_descriptor descriptor;
    struct gv_identity signer;
};

static inline const struct fuzz_registry *fuzz_registry(void)
{
    static struct fuzz_registry made;

    if (made.descriptor.key_count == 0) {
        uint8_t secret[GV_SECRET_LEN] = {1};
        gv_identity_from_secret(&made.signer, secret);
        made.descriptor.key_count = 1;
        memcpy(made.descriptor.keys[0].key, made.signer.sign_public, GV_KEY_LEN);
        made.descriptor.keys[0].until_min = UINT32_MAX;
    }
    return &made;
}

/* Frees `wire`. The signature is another: nobody has signed the input. */
static inline void fuzz_same_again(struct gv_buf *wire, int issued, const uint8_t *data,
                                   size_t size)
{
    gv_assert(issued == GV_OK);
    gv_assert(wire->len == size);
    gv_assert(memcmp(wire->data + GV_SIGNATURE_LEN, data + GV_SIGNATURE_LEN,
                     size - GV_SIGNATURE_LEN) == 0);
    gv_buf_free(wire);
}

#endif
