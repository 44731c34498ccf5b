#include "proto/wire/by_registry.h"

#include "crypto/certificate.h"
#include "crypto/error.h"

int gv_by_registry_issue(struct gv_buf *out, const struct gv_buf *body, const char *domain,
                         const uint8_t registry_secret[64], const uint8_t network_id[GV_KEY_LEN])
{
    uint8_t signature[GV_SIGNATURE_LEN];

    if (body->failed)
        return GV_ERR_MEMORY;
    gv_sign(signature, registry_secret, domain, network_id, body->data, body->len);
    gv_buf_append(out, signature, sizeof signature);
    gv_buf_append(out, registry_secret + 32, 4); /* libsodium: seed || public */
    gv_buf_append(out, body->data, body->len);
    return out->failed ? GV_ERR_MEMORY : GV_OK;
}

int gv_by_registry_parse(uint32_t *signer, const uint8_t *wire, size_t len, size_t max,
                         void (*read)(void *out, struct gv_reader *reader), void *out)
{
    struct gv_reader reader;

    if (len <= GV_BY_REGISTRY_HEAD || len > max)
        return GV_ERR_MALFORMED;
    *signer = gv_certificate_signer(wire + GV_SIGNATURE_LEN);
    int rc = gv_reader_open(&reader, NULL, wire + GV_BY_REGISTRY_HEAD, len - GV_BY_REGISTRY_HEAD);
    if (rc == GV_OK) {
        read(out, &reader);
        rc = gv_reader_done(&reader);
    }
    gv_reader_close(&reader);
    return rc;
}

int gv_by_registry_verify(const struct gv_verifier *verifier, const uint8_t *key,
                          const char *domain, const uint8_t network_id[GV_KEY_LEN],
                          const uint8_t *wire, size_t len)
{
    if (!key)
        return GV_ERR_SIGNER;
    return gv_verify(verifier, key, domain, network_id, wire + GV_BY_REGISTRY_HEAD,
                     len - GV_BY_REGISTRY_HEAD, wire);
}
