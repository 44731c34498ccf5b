/* The instance certificate: a fixed layout of 152 bytes, signed by a registry key (SPEC 3).
 *
 *  off len  field                    integers are big-endian
 *    0   1  version, 1
 *    1   1  flags, 0
 *    2   4  signer: the first 4 bytes of the registry key
 *    6  32  instance key (Ed25519 public)
 *   38  16  owner tag
 *   54   8  placement id
 *   62   8  network group
 *   70   4  since      minutes since 1970, when the instance was first admitted; kept by renewal
 *   74   4  issued     minutes
 *   78   4  expires    minutes
 *   82   6  zero, reserved
 *   88  64  signature, domain "grapevine certificate 1", over bytes 0..87
 */
#ifndef GV_CRYPTO_CERTIFICATE_H
#define GV_CRYPTO_CERTIFICATE_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/identity.h"

#define GV_CERTIFICATE_BODY   88
#define GV_CERTIFICATE_LEN    152
#define GV_CERTIFICATE_DOMAIN "grapevine certificate 1"

struct gv_certificate {
    uint8_t id[GV_ID_LEN];       /* gv_hash_id("grapevine certificate id 1", body) */
    uint8_t instance[GV_ID_LEN]; /* from the instance key */
    uint8_t key[GV_KEY_LEN];
    uint8_t owner[GV_ID_LEN];
    uint64_t placement;
    uint64_t group;
    uint32_t signer;
    uint32_t since_min;
    uint32_t issued_min;
    uint32_t expires_min;
};

/* Network group (SPEC 3.2): kind << 56 | value. AS number, IPv4 /16, IPv6 /32. */
enum gv_group_kind { GV_GROUP_AS = 1, GV_GROUP_IPV4 = 4, GV_GROUP_IPV6 = 6 };

/* Parses the layout without checking the signature. Strict: len must be 152, version 1, flags and
 * reserved bytes zero, since <= issued < expires, group kind known.
 * Returns GV_OK, GV_ERR_MALFORMED or GV_ERR_VERSION. */
int gv_certificate_parse(struct gv_certificate *out, const uint8_t *wire, size_t len);

/* The signer's 4 bytes of a registry key as an integer. */
uint32_t gv_certificate_signer(const uint8_t registry_key[GV_KEY_LEN]);

/* Returns GV_OK or GV_ERR_SIGNATURE. `wire` holds GV_CERTIFICATE_LEN bytes that parsed. */
int gv_certificate_verify(const struct gv_verifier *verifier, const uint8_t *wire,
                          const uint8_t registry_key[GV_KEY_LEN],
                          const uint8_t network_id[GV_KEY_LEN]);

/* Writes and signs the layout from the fields; id, instance and signer are derived, and set in
 * *certificate. */
void gv_certificate_issue(uint8_t wire[GV_CERTIFICATE_LEN], struct gv_certificate *certificate,
                          const uint8_t registry_secret[64], const uint8_t network_id[GV_KEY_LEN]);

#endif
