#include "proto/wire/record.h"

#include <string.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/wire/codec.h"

#define ADDRESS_DOMAIN "grapevine address 1"

int gv_record_id(uint8_t out[GV_ID_LEN], const uint8_t *record, size_t len)
{
    uint8_t scratch[GV_RECORD_MAX];
    const uint8_t *signed_part = record + 1;
    size_t signed_len;

    if (len < 2 || len > GV_RECORD_MAX)
        return GV_ERR_MALFORMED;
    signed_len = len - 1;
    switch (record[0]) {
    case GV_RECORD_FAULT:
        break;
    case GV_RECORD_CERTIFICATE: /* the signature comes last */
        if (signed_len != GV_CERTIFICATE_LEN)
            return GV_ERR_MALFORMED;
        signed_len = GV_CERTIFICATE_BODY;
        break;
    case GV_RECORD_SIGNAL:
    case GV_RECORD_RETRACT:
    case GV_RECORD_REVOCATION:
    case GV_RECORD_ADDRESS:
    case GV_RECORD_DESCRIPTOR:
    case GV_RECORD_LOG_HEAD:
        if (signed_len <= GV_SIGNATURE_LEN)
            return GV_ERR_MALFORMED;
        signed_part += GV_SIGNATURE_LEN;
        signed_len -= GV_SIGNATURE_LEN;
        break;
    default:
        return GV_ERR_MALFORMED;
    }
    scratch[0] = record[0];
    memcpy(scratch + 1, signed_part, signed_len);
    gv_hash_id(out, "grapevine record 1", scratch, 1 + signed_len);
    return GV_OK;
}

int gv_address_record_sign(struct gv_buf *out, const struct gv_address_record *record,
                           const uint8_t sign_secret[64], const uint8_t network_id[GV_KEY_LEN])
{
    struct gv_buf body;
    uint8_t packed[18], signature[GV_SIGNATURE_LEN];
    size_t packed_len = gv_address_pack(packed, &record->address);
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&body);
    gv_put_array(&body, 4);
    gv_put_u64(&body, GV_RECORD_ADDRESS);
    gv_put_bin(&body, record->instance, GV_ID_LEN);
    gv_put_u64(&body, record->minute);
    gv_put_bin(&body, packed, packed_len);
    if (body.failed)
        goto out;
    gv_sign(signature, sign_secret, ADDRESS_DOMAIN, network_id, body.data, body.len);
    gv_buf_append(out, signature, sizeof signature);
    gv_buf_append(out, body.data, body.len);
    rc = out->failed ? GV_ERR_MEMORY : GV_OK;
out:
    gv_buf_free(&body);
    return rc;
}

int gv_address_record_parse(struct gv_address_record *out, const uint8_t *wire, size_t len)
{
    struct gv_reader reader;
    const uint8_t *packed;
    size_t packed_len;
    int rc;

    memset(out, 0, sizeof *out);
    if (len <= GV_SIGNATURE_LEN || len > GV_ADDRESS_WIRE_MAX)
        return GV_ERR_MALFORMED;
    rc = gv_reader_open(&reader, NULL, wire + GV_SIGNATURE_LEN, len - GV_SIGNATURE_LEN);
    if (rc != GV_OK)
        goto out;
    if (gv_get_u64(&reader, GV_RECORD_ADDRESS) != GV_RECORD_ADDRESS) {
        rc = GV_ERR_MALFORMED;
        goto out;
    }
    gv_get_bin_exact(&reader, out->instance, GV_ID_LEN);
    out->minute = (uint32_t)gv_get_u64(&reader, UINT32_MAX);
    packed = gv_get_bin(&reader, &packed_len, 0, 18);
    rc = gv_reader_done(&reader);
    if (rc == GV_OK && packed_len > 0)
        rc = gv_address_unpack(&out->address, packed, packed_len);
out:
    gv_reader_close(&reader);
    return rc;
}

int gv_address_record_verify(const struct gv_verifier *verifier, const uint8_t *wire, size_t len,
                             const uint8_t key[GV_KEY_LEN], const uint8_t network_id[GV_KEY_LEN])
{
    if (len <= GV_SIGNATURE_LEN)
        return GV_ERR_SIGNATURE;
    return gv_verify(verifier, key, ADDRESS_DOMAIN, network_id, wire + GV_SIGNATURE_LEN,
                     len - GV_SIGNATURE_LEN, wire);
}
