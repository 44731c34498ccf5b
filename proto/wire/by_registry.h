/* What a registry key signs besides certificates (revocations, heads of its log; SPEC 4.3, 14.7):
 * wire = signature (64) || signer (4) || body. The signature is over body, in the domain of its
 * kind, by the registry key whose first 4 bytes are `signer`. */
#ifndef GV_PROTO_WIRE_BY_REGISTRY_H
#define GV_PROTO_WIRE_BY_REGISTRY_H

#include "proto/wire/codec.h"
#include "proto/wire/descriptor.h"

#define GV_BY_REGISTRY_HEAD (GV_SIGNATURE_LEN + 4)

/* Appends the wire form of a body. GV_OK or GV_ERR_MEMORY (also when the body ran out of it). */
int gv_by_registry_issue(struct gv_buf *out, const struct gv_buf *body, const char *domain,
                         const uint8_t registry_secret[64], const uint8_t network_id[GV_KEY_LEN]);

/* The signer's 4 bytes, and a reader for the body, which `read` takes the fields from; it sets
 * reader->error for what is not valid. Nothing may follow. GV_OK, GV_ERR_MALFORMED or GV_ERR_RANGE.
 */
int gv_by_registry_parse(uint32_t *signer, const uint8_t *wire, size_t len, size_t max,
                         void (*read)(void *out, struct gv_reader *reader), void *out);

/* Of what parsed: by this key, NULL: GV_ERR_SIGNER. GV_OK or GV_ERR_SIGNATURE. */
int gv_by_registry_verify(const struct gv_verifier *verifier, const uint8_t *key,
                          const char *domain, const uint8_t network_id[GV_KEY_LEN],
                          const uint8_t *wire, size_t len);

#endif
