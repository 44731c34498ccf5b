#include "proto/wire/revocation.h"

#include <string.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "proto/wire/codec.h"

#define SIGNER_LEN 4
#define HEAD       (GV_SIGNATURE_LEN + SIGNER_LEN)

int gv_revocation_issue(struct gv_buf *out, const struct gv_revocation *revocation,
                        const uint8_t registry_secret[64], const uint8_t network_id[GV_KEY_LEN])
{
    uint8_t signature[GV_SIGNATURE_LEN];
    struct gv_buf body;
    int rc = GV_ERR_RANGE;

    gv_buf_init(&body);
    if (revocation->reason >= GV_REVOKED_REASONS)
        goto out;
    gv_put_array(&body, 4);
    gv_put_u64(&body, GV_REVOCATION_TYPE);
    gv_put_bin(&body, revocation->instance, GV_ID_LEN);
    gv_put_u64(&body, revocation->revoked_min);
    gv_put_u64(&body, revocation->reason);
    rc = GV_ERR_MEMORY;
    if (body.failed)
        goto out;
    gv_sign(signature, registry_secret, GV_REVOCATION_DOMAIN, network_id, body.data, body.len);
    gv_buf_append(out, signature, sizeof signature);
    gv_buf_append(out, registry_secret + 32, SIGNER_LEN); /* libsodium: seed || public */
    gv_buf_append(out, body.data, body.len);
    rc = out->failed ? GV_ERR_MEMORY : GV_OK;
out:
    gv_buf_free(&body);
    return rc;
}

static int parse(struct gv_revocation *out, const uint8_t *body, size_t len)
{
    struct gv_reader reader;
    int rc = gv_reader_open(&reader, NULL, body, len);

    if (rc == GV_OK) {
        if (gv_get_u64(&reader, GV_REVOCATION_TYPE) != GV_REVOCATION_TYPE)
            reader.error = GV_ERR_MALFORMED;
        gv_get_bin_exact(&reader, out->instance, GV_ID_LEN);
        out->revoked_min = (uint32_t)gv_get_u64(&reader, UINT32_MAX);
        out->reason = (uint8_t)gv_get_u64(&reader, GV_REVOKED_REASONS - 1);
        rc = gv_reader_done(&reader);
    }
    gv_reader_close(&reader);
    return rc;
}

int gv_revocation_open(struct gv_revocation *out, const struct gv_verifier *verifier,
                       const struct gv_descriptor *descriptor, const uint8_t *wire, size_t len)
{
    memset(out, 0, sizeof *out);
    if (len <= HEAD || len > GV_REVOCATION_MAX)
        return GV_ERR_MALFORMED;
    int rc = parse(out, wire + HEAD, len - HEAD);
    if (rc != GV_OK)
        return rc;
    uint32_t signer =
        (uint32_t)wire[64] << 24 | (uint32_t)wire[65] << 16 | (uint32_t)wire[66] << 8 | wire[67];
    const uint8_t *key = gv_descriptor_key(descriptor, signer, out->revoked_min);
    if (!key)
        return GV_ERR_SIGNER;
    return gv_verify(verifier, key, GV_REVOCATION_DOMAIN, descriptor->network_id, wire + HEAD,
                     len - HEAD, wire);
}

const char *gv_revocation_reason_name(unsigned reason)
{
    static const char *const names[GV_REVOKED_REASONS] = {"unspecified", "by-owner", "compromised",
                                                          "abuse"};

    return reason < GV_REVOKED_REASONS ? names[reason] : NULL;
}
