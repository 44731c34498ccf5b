/* The roster: all certified instances known here, with what the set says of them: certificates,
 * revocations, faults, addresses (SPEC 9.2). Rows are never removed while a statement of theirs is
 * held. */
#ifndef GV_PROTO_MESH_ROSTER_H
#define GV_PROTO_MESH_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/certificate.h"
#include "proto/limits.h"
#include "proto/mesh/set.h"
#include "proto/trust/author.h"
#include "proto/wire/descriptor.h"

struct gv_roster {
    uint8_t hash_key[16];
    struct gv_table instances, certificates, owners;
};

void gv_roster_init(struct gv_roster *roster, const uint8_t hash_key[16]);
void gv_roster_free(struct gv_roster *roster);

struct gv_instance *gv_roster_instance(const struct gv_roster *roster, const uint8_t id[GV_ID_LEN]);
struct gv_certificate_row *gv_roster_certificate(const struct gv_roster *roster,
                                                 const uint8_t id[GV_ID_LEN]);
/* The certificates whose ids begin so, max at most; how many. */
size_t gv_roster_prefixed(const struct gv_roster *roster, const struct gv_certificate_row **out,
                          size_t max, const uint8_t prefix[GV_PREFIX_LEN]);

/* Enters a verified certificate, held in the set as item. Returns GV_OK or GV_ERR_MEMORY (nothing
 * changed). */
int gv_roster_add(struct gv_roster *roster, const struct gv_certificate *certificate,
                  struct gv_item *item);
/* Works out which owners are at fault: all that a certificate of an instance at fault names, from
 * the latest minute. After any change of either; rare, so it looks at everything. */
void gv_roster_blame(struct gv_roster *roster);
/* Removes a certificate's row and works out what the others say of its instance, which stays: release
 * it after. */
void gv_roster_drop(struct gv_roster *roster, struct gv_certificate_row *row);
/* Frees the instance if nothing holds it any more; returns whether it went. */
bool gv_roster_release(struct gv_roster *roster, struct gv_instance *instance);

/* May this certificate be used now? Parses, finds the registry key, checks signature and times.
 * Returns GV_OK, GV_ERR_MALFORMED, GV_ERR_VERSION, GV_ERR_SIGNER, GV_ERR_SIGNATURE, GV_ERR_EARLY or
 * GV_ERR_EXPIRED. Revocation is for the caller, who has the roster. */
int gv_certificate_accept(struct gv_certificate *out, const struct gv_descriptor *descriptor,
                          const struct gv_verifier *verifier, uint32_t now_min,
                          const uint8_t *wire, size_t len);

#endif
