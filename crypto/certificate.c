#include "crypto/certificate.h"

#include <string.h>

#include "crypto/error.h"

/* The offsets of the layout in certificate.h (SPEC 3). */
enum {
    AT_VERSION = 0,
    AT_FLAGS = 1,
    AT_SIGNER = 2,
    AT_KEY = 6,
    AT_OWNER = 38,
    AT_PLACEMENT = 54,
    AT_GROUP = 62,
    AT_SINCE = 70,
    AT_ISSUED = 74,
    AT_EXPIRES = 78,
    AT_RESERVED = 82,
    RESERVED_LEN = 6,
};
#define VERSION 1

_Static_assert(AT_RESERVED + RESERVED_LEN == GV_CERTIFICATE_BODY, "the body ends where it says");
_Static_assert(GV_CERTIFICATE_BODY + GV_SIGNATURE_LEN == GV_CERTIFICATE_LEN,
               "body and signature are the whole");

static uint64_t get_be(const uint8_t *at, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++)
        value = value << 8 | at[i];
    return value;
}

static void put_be(uint8_t *at, size_t len, uint64_t value)
{
    for (size_t i = len; i-- > 0; value >>= 8)
        at[i] = (uint8_t)value;
}

static bool group_kind_known(uint64_t group)
{
    switch (group >> 56) {
    case GV_GROUP_AS:
    case GV_GROUP_IPV4:
    case GV_GROUP_IPV6:
        return true;
    default:
        return false;
    }
}

/* What is computed from the body and its key rather than written there. */
static void derive(struct gv_certificate *certificate, const uint8_t *wire)
{
    gv_hash_id(certificate->id, "grapevine certificate id 1", wire, GV_CERTIFICATE_BODY);
    gv_instance_id(certificate->instance, certificate->key);
}

/* Strict, so that one certificate has one encoding and its id cannot be varied. */
int gv_certificate_parse(struct gv_certificate *out, const uint8_t *wire, size_t len)
{
    struct gv_certificate c;

    if (len != GV_CERTIFICATE_LEN)
        return GV_ERR_MALFORMED;
    if (wire[AT_VERSION] != VERSION)
        return GV_ERR_VERSION;
    if (wire[AT_FLAGS] != 0 || get_be(wire + AT_RESERVED, RESERVED_LEN) != 0)
        return GV_ERR_MALFORMED;

    c.signer = (uint32_t)get_be(wire + AT_SIGNER, 4);
    memcpy(c.key, wire + AT_KEY, GV_KEY_LEN);
    memcpy(c.owner, wire + AT_OWNER, GV_ID_LEN);
    c.placement = get_be(wire + AT_PLACEMENT, 8);
    c.group = get_be(wire + AT_GROUP, 8);
    c.since_min = (uint32_t)get_be(wire + AT_SINCE, 4);
    c.issued_min = (uint32_t)get_be(wire + AT_ISSUED, 4);
    c.expires_min = (uint32_t)get_be(wire + AT_EXPIRES, 4);
    if (c.since_min > c.issued_min || c.issued_min >= c.expires_min || !group_kind_known(c.group))
        return GV_ERR_MALFORMED;
    derive(&c, wire);
    *out = c;
    return GV_OK;
}

uint32_t gv_certificate_signer(const uint8_t registry_key[GV_KEY_LEN])
{
    return (uint32_t)get_be(registry_key, 4);
}

int gv_certificate_verify(const struct gv_verifier *verifier, const uint8_t *wire,
                          const uint8_t registry_key[GV_KEY_LEN],
                          const uint8_t network_id[GV_KEY_LEN])
{
    /* The signer is a hint for finding the key; one that points elsewhere is not honest, and
     * refusing it here saves the verification. */
    if (get_be(wire + AT_SIGNER, 4) != gv_certificate_signer(registry_key))
        return GV_ERR_SIGNATURE;
    return gv_verify(verifier, registry_key, GV_CERTIFICATE_DOMAIN, network_id, wire,
                     GV_CERTIFICATE_BODY, wire + GV_CERTIFICATE_BODY);
}

void gv_certificate_issue(uint8_t wire[GV_CERTIFICATE_LEN], struct gv_certificate *certificate,
                          const uint8_t registry_secret[64], const uint8_t network_id[GV_KEY_LEN])
{
    /* libsodium's secret key is seed || public key. */
    certificate->signer = gv_certificate_signer(registry_secret + 32);

    memset(wire, 0, GV_CERTIFICATE_LEN);
    wire[AT_VERSION] = VERSION;
    put_be(wire + AT_SIGNER, 4, certificate->signer);
    memcpy(wire + AT_KEY, certificate->key, GV_KEY_LEN);
    memcpy(wire + AT_OWNER, certificate->owner, GV_ID_LEN);
    put_be(wire + AT_PLACEMENT, 8, certificate->placement);
    put_be(wire + AT_GROUP, 8, certificate->group);
    put_be(wire + AT_SINCE, 4, certificate->since_min);
    put_be(wire + AT_ISSUED, 4, certificate->issued_min);
    put_be(wire + AT_EXPIRES, 4, certificate->expires_min);
    derive(certificate, wire);
    gv_sign(wire + GV_CERTIFICATE_BODY, registry_secret, GV_CERTIFICATE_DOMAIN, network_id, wire,
            GV_CERTIFICATE_BODY);
}
