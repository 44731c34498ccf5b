#include "proto/wire/revocation.h"

#include <string.h>

#include "crypto/error.h"
#include "proto/wire/by_registry.h"

int gv_revocation_issue(struct gv_buf *out, const struct gv_revocation *revocation,
                        const uint8_t registry_secret[64], const uint8_t network_id[GV_KEY_LEN])
{
    struct gv_buf body;

    if (revocation->reason >= GV_REVOKED_REASONS)
        return GV_ERR_RANGE;
    gv_buf_init(&body);
    gv_put_array(&body, 4);
    gv_put_u64(&body, GV_REVOCATION_TYPE);
    gv_put_bin(&body, revocation->instance, GV_ID_LEN);
    gv_put_u64(&body, revocation->revoked_min);
    gv_put_u64(&body, revocation->reason);
    int rc = gv_by_registry_issue(out, &body, GV_REVOCATION_DOMAIN, registry_secret, network_id);
    gv_buf_free(&body);
    return rc;
}

static void read_body(void *out, struct gv_reader *reader)
{
    struct gv_revocation *revocation = out;

    if (gv_get_u64(reader, GV_REVOCATION_TYPE) != GV_REVOCATION_TYPE)
        reader->error = GV_ERR_MALFORMED;
    gv_get_bin_exact(reader, revocation->instance, GV_ID_LEN);
    revocation->revoked_min = (uint32_t)gv_get_u64(reader, UINT32_MAX);
    revocation->reason = (uint8_t)gv_get_u64(reader, GV_REVOKED_REASONS - 1);
}

int gv_revocation_open(struct gv_revocation *out, const struct gv_verifier *verifier,
                       const struct gv_descriptor *descriptor, const uint8_t *wire, size_t len)
{
    uint32_t signer;

    memset(out, 0, sizeof *out);
    int rc = gv_by_registry_parse(&signer, wire, len, GV_REVOCATION_MAX, read_body, out);
    if (rc != GV_OK)
        return rc;
    return gv_by_registry_verify(verifier, gv_descriptor_key(descriptor, signer, out->revoked_min),
                                 GV_REVOCATION_DOMAIN, descriptor->network_id, wire, len);
}

const char *gv_revocation_reason_name(unsigned reason)
{
    static const char *const names[GV_REVOKED_REASONS] = {"unspecified", "by-owner", "compromised",
                                                          "abuse"};

    return reason < GV_REVOKED_REASONS ? names[reason] : NULL;
}
