/* Records: the members of the one replicated set. Each is signed by who says it, so that anyone may
 * pass it on. On the wire and in the store a record is its kind byte and its wire form (SPEC 8). */
#ifndef GV_PROTO_WIRE_RECORD_H
#define GV_PROTO_WIRE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "proto/address.h"
#include "proto/buf.h"
#include "proto/wire/descriptor.h"

enum gv_record_kind {
    GV_RECORD_SIGNAL = 1,
    GV_RECORD_RETRACT = 2,
    GV_RECORD_FAULT = 3,
    GV_RECORD_REVOCATION = 4,
    GV_RECORD_CERTIFICATE = 5,
    GV_RECORD_ADDRESS = 6,
    GV_RECORD_DESCRIPTOR = 7,
    GV_RECORD_LOG_HEAD = 8
};
/* Set in the kind byte of a row of the local store (never on the wire): not public (SPEC 9.10). */
#define GV_RECORD_KEPT 0x80

#define GV_RECORD_MAX (1 + 64 + GV_DESCRIPTOR_MAX)

/* The record id: hash id "grapevine record 1" over the kind byte and the part that is signed (for a
 * fault proof, all of it), so that a second signature under the same words makes no second record.
 * record = kind byte || wire. Returns GV_OK or GV_ERR_MALFORMED (too short, kind unknown). */
int gv_record_id(uint8_t out[GV_ID_LEN], const uint8_t *record, size_t len);

/* An address record: where an instance can be reached, said by itself.
 * wire = signature (64) || body, domain "grapevine address 1",
 * body = [6, instance id bin16, minute, address bin 0|6|18] (empty: it only dials out). */
struct gv_address_record {
    uint8_t instance[GV_ID_LEN];
    uint32_t minute;
    struct gv_address address;
};
int gv_address_record_sign(struct gv_buf *out, const struct gv_address_record *record,
                           const uint8_t sign_secret[64], const uint8_t network_id[GV_KEY_LEN]);
/* Returns GV_OK or GV_ERR_MALFORMED; the signature is not checked. */
int gv_address_record_parse(struct gv_address_record *out, const uint8_t *wire, size_t len);
int gv_address_record_verify(const struct gv_verifier *verifier, const uint8_t *wire, size_t len,
                             const uint8_t key[GV_KEY_LEN], const uint8_t network_id[GV_KEY_LEN]);

#endif
