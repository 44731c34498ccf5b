/* A revocation from a stranger. Signatures are taken for good; what opens must be issued again as
 * the same bytes. The input's four signer bytes are those of the descriptor's key, or not. */
#include <stdbool.h>
#include <string.h>

#include "by_registry.h"
#include "crypto/error.h"
#include "proto/wire/revocation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct fuzz_registry *registry = fuzz_registry();
    struct gv_revocation opened;
    struct gv_buf wire;

    if (gv_revocation_open(&opened, &fuzz_verifier, &registry->descriptor, data, size) != GV_OK)
        return 0;
    gv_assert(gv_revocation_reason_name(opened.reason) != NULL);
    gv_buf_init(&wire);
    fuzz_same_again(&wire,
                    gv_revocation_issue(&wire, &opened, registry->signer.sign_secret,
                                        registry->descriptor.network_id),
                    data, size);
    return 0;
}
