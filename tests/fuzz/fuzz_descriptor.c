/* A network descriptor from a stranger. Signatures are taken for good, so that the parser behind
 * them is reached; whatever opens must then be signed anew, by a key of ours, into the same bytes
 * (one descriptor, one encoding) and open again for real. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/wire/descriptor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool believe(void *context, const uint8_t key[GV_KEY_LEN],
                    const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *message,
                    size_t message_len)
{
    (void)context, (void)key, (void)signature, (void)message, (void)message_len;
    return true;
}

static void sign_anew(struct gv_descriptor *opened, const uint8_t *data, size_t size)
{
    struct gv_identity root;
    struct gv_descriptor again;
    struct gv_buf wire;
    uint8_t secret[GV_SECRET_LEN] = {1};

    gv_identity_from_secret(&root, secret);
    gv_buf_init(&wire);
    gv_assert(gv_descriptor_issue(&wire, opened, root.sign_secret) == GV_OK);
    gv_assert(wire.len == size);
    gv_assert(memcmp(wire.data + GV_SIGNATURE_LEN, data + GV_SIGNATURE_LEN,
                     size - GV_SIGNATURE_LEN) == 0);
    gv_buf_clear(&wire);
    memcpy(opened->root_key, root.sign_public, GV_KEY_LEN);
    gv_assert(gv_descriptor_issue(&wire, opened, root.sign_secret) == GV_OK);
    gv_assert(gv_descriptor_open(&again, NULL, wire.data, wire.len) == GV_OK);
    gv_assert(memcmp(&again, opened, sizeof again) == 0);
    gv_buf_free(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gv_verifier verifier = {.verify = believe};
    struct gv_descriptor *opened = malloc(sizeof *opened);

    gv_assert(opened);
    if (gv_descriptor_open(opened, &verifier, data, size) == GV_OK) {
        gv_descriptor_key(opened, opened->version, opened->activation_min);
        sign_anew(opened, data, size);
    }
    free(opened);
    return 0;
}
