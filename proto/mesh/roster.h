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

enum gv_rows { GV_ROWS_INSTANCES, GV_ROWS_CERTIFICATES, GV_ROWS_OWNERS, GV_ROWS_KINDS };

/* Rows of a base are found behind this core's own, and are copied before they change: pointers to
 * rows are good until the next change, or found again by their id. */
struct gv_base;

struct gv_roster {
    uint8_t hash_key[16];
    struct gv_table rows[GV_ROWS_KINDS]; /* this core's own */
    uint32_t came;                       /* so many instances were made */
    uint64_t changes;                    /* certificates came or went so often */
    uint64_t moves; /* rows of any kind came, went or were copied so often: pointers are good, and
                       who is there is the same, while it is */
    const struct gv_base *base;      /* the set holds it; NULL: none */
    uint64_t *hidden[GV_ROWS_KINDS]; /* a bit for each row of it: gone, or copied. Owned */
    size_t hidden_count[GV_ROWS_KINDS];
};

void gv_roster_init(struct gv_roster *roster, const uint8_t hash_key[16]);
void gv_roster_free(struct gv_roster *roster);

size_t gv_roster_count(const struct gv_roster *roster, enum gv_rows kind);
/* *cursor starts at 0; NULL at the end. Own rows in their table's order, then the base's. */
const void *gv_roster_next(const struct gv_roster *roster, enum gv_rows kind, size_t *cursor);
/* Without those of the base. */
const void *gv_roster_next_own(const struct gv_roster *roster, enum gv_rows kind, size_t *cursor);
/* What the base's instances were given by the registry, by their number; and one of them, NULL if
 * it is here no more, or as a copy. */
const uint64_t *gv_roster_placements(const struct gv_roster *roster, size_t *count);
const struct gv_instance *gv_roster_numbered(const struct gv_roster *roster, size_t number);
typedef const void *(*gv_next_row)(const struct gv_roster *, enum gv_rows, size_t *);
const struct gv_instance *gv_roster_instance(const struct gv_roster *roster,
                                             const uint8_t id[GV_ID_LEN]);
/* The same of those alone that are not as they stand in the base: who is revoked or at fault is one
 * of them. */
const struct gv_instance *gv_roster_own_instance(const struct gv_roster *roster,
                                                 const uint8_t id[GV_ID_LEN]);
/* Of a certificate's row, as they are now. */
const struct gv_instance *gv_roster_author(const struct gv_roster *roster,
                                           const struct gv_certificate_row *row);
const struct gv_owner *gv_roster_owner(const struct gv_roster *roster,
                                       const struct gv_owner *owner);
/* To be changed: a row that is this core's own. NULL without memory. Where own_owner copies one,
 * the caller lets the store know. */
struct gv_instance *gv_roster_own(struct gv_roster *roster, const struct gv_instance *instance);
struct gv_owner *gv_roster_own_owner(struct gv_roster *roster, const struct gv_owner *owner);
/* For base.c. */
bool gv_roster_stand_on(struct gv_roster *roster, const struct gv_base *base);
void gv_roster_stand_off(struct gv_roster *roster);
uint64_t gv_roster_hash(const uint8_t hash_key[16], enum gv_rows kind, const uint8_t *id);
const struct gv_certificate_row *gv_roster_certificate(const struct gv_roster *roster,
                                                       const uint8_t id[GV_ID_LEN]);
/* The certificates whose ids begin so, max at most; how many. */
size_t gv_roster_prefixed(const struct gv_roster *roster, const struct gv_certificate_row **out,
                          size_t max, const uint8_t prefix[GV_PREFIX_LEN]);

/* Enters a verified certificate, held in the set as item. Returns GV_OK or GV_ERR_MEMORY (nothing
 * changed). */
int gv_roster_add(struct gv_roster *roster, const struct gv_certificate *certificate,
                  struct gv_item *item);
/* Works out which owners are at fault: all that a certificate of an instance at fault names, from
 * the latest minute. After any change of either; rare, so it looks at everything. Returns GV_OK or
 * GV_ERR_MEMORY. Pointers to owners are to be found anew (gv_roster_owner). */
int gv_roster_blame(struct gv_roster *roster);
/* Removes a certificate's row and works out what the others say of its instance, which stays:
 * release it after. Returns it, NULL without memory: then nothing changed. */
struct gv_instance *gv_roster_drop(struct gv_roster *roster, const struct gv_certificate_row *row);
/* Frees the instance if nothing of the roster holds it any more; the caller knows that no statement
 * does. Returns whether it went. */
bool gv_roster_release(struct gv_roster *roster, const struct gv_instance *instance);
bool gv_roster_is_idle(const struct gv_instance *instance); /* but for statements */

/* May this certificate be used now? Parses, finds the registry key, checks signature and times.
 * Returns GV_OK, GV_ERR_MALFORMED, GV_ERR_VERSION, GV_ERR_SIGNER, GV_ERR_SIGNATURE, GV_ERR_EARLY or
 * GV_ERR_EXPIRED. Revocation is for the caller, who has the roster. */
int gv_certificate_accept(struct gv_certificate *out, const struct gv_descriptor *descriptor,
                          const struct gv_verifier *verifier, uint32_t now_min, const uint8_t *wire,
                          size_t len);

#endif
