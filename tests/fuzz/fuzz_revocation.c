/* A revocation from a stranger. Signatures are taken for good; what opens must be issued again as
 * the same bytes. The input's four signer bytes are those of the descriptor's key, or not. */
#include <stdbool.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/wire/revocation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool believe(void *context, const uint8_t key[GV_KEY_LEN],
                    const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *message,
                    size_t message_len)
{
    (void)context, (void)key, (void)signature, (void)message, (void)message_len;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gv_verifier verifier = {.verify = believe};
    static struct gv_descriptor descriptor;
    static struct gv_identity signer;
    struct gv_revocation opened;
    struct gv_buf wire;

    if (descriptor.key_count == 0) {
        uint8_t secret[GV_SECRET_LEN] = {1};
        gv_identity_from_secret(&signer, secret);
        descriptor.key_count = 1;
        memcpy(descriptor.keys[0].key, signer.sign_public, GV_KEY_LEN);
        descriptor.keys[0].until_min = UINT32_MAX;
    }
    if (gv_revocation_open(&opened, &verifier, &descriptor, data, size) != GV_OK)
        return 0;
    gv_assert(gv_revocation_reason_name(opened.reason) != NULL);
    gv_buf_init(&wire);
    gv_assert(gv_revocation_issue(&wire, &opened, signer.sign_secret, descriptor.network_id) ==
              GV_OK);
    gv_assert(wire.len == size);
    gv_assert(memcmp(wire.data + GV_SIGNATURE_LEN, data + GV_SIGNATURE_LEN,
                     size - GV_SIGNATURE_LEN) == 0);
    gv_buf_free(&wire);
    return 0;
}
