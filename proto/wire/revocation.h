/* A revocation (SPEC 4.3): a registry key says that an instance is out, for good. Spread by the
 * mesh and by the registry alike.
 *
 * wire = signature (64) || signer (4) || body; the signature is over body in domain
 * "grapevine revocation 1" by the registry key whose first 4 bytes are `signer`, which must have
 * been in force at the revoked minute. body = msgpack [4, instance id bin16, revoked minute,
 * reason 0..3]. */
#ifndef GV_PROTO_WIRE_REVOCATION_H
#define GV_PROTO_WIRE_REVOCATION_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "proto/wire/descriptor.h"

#define GV_REVOCATION_MAX    96 /* 64 + 4 + at most 25 of body */
#define GV_REVOCATION_DOMAIN "grapevine revocation 1"
#define GV_REVOCATION_TYPE   4
#define GV_REVOCATIONS_PAGE  4096 /* records the registry lists in one answer: 570 kB as JSON */

enum gv_revocation_reason {
    GV_REVOKED_UNSPECIFIED = 0,
    GV_REVOKED_BY_OWNER = 1,    /* the owner gave the instance up */
    GV_REVOKED_COMPROMISED = 2, /* its key is in other hands */
    GV_REVOKED_ABUSE = 3,       /* broke the terms */
    GV_REVOKED_REASONS
};

struct gv_revocation {
    uint8_t instance[GV_ID_LEN];
    uint32_t revoked_min;
    uint8_t reason; /* enum gv_revocation_reason */
};

/* Appends the wire form. Returns GV_OK, GV_ERR_RANGE (reason), GV_ERR_MEMORY. */
int gv_revocation_issue(struct gv_buf *out, const struct gv_revocation *revocation,
                        const uint8_t registry_secret[64], const uint8_t network_id[GV_KEY_LEN]);

/* Parses and verifies. Returns GV_OK, GV_ERR_MALFORMED, GV_ERR_SIGNER or GV_ERR_SIGNATURE. */
int gv_revocation_open(struct gv_revocation *out, const struct gv_verifier *verifier,
                       const struct gv_descriptor *descriptor, const uint8_t *wire, size_t len);

/* "unspecified", "by-owner", "compromised", "abuse"; NULL beyond. */
const char *gv_revocation_reason_name(unsigned reason);

#endif
