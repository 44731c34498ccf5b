/* Records as the checkers read them: from the bytes and from SPEC 3 and 8, with nothing of proto's
 * own reading, so that a mistake there is not made here again. */
#ifndef GV_SIM_RECORD_H
#define GV_SIM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "crypto/identity.h"
#include "proto/subject.h"

/* A signal (kind 1) or a retraction (2). */
struct gv_said {
    uint8_t kind;
    uint8_t id[GV_ID_LEN]; /* of the record */
    uint8_t certificate[GV_ID_LEN];
    uint64_t sequence;
    struct gv_subject subject;
    uint32_t last_min;
};
/* record = kind byte || wire. False: it is not of this form. */
bool gv_said_read(struct gv_said *out, const uint8_t *record, size_t len);
/* The two wires within a fault proof, borrowed. */
bool gv_fault_read(const uint8_t *record, size_t len, const uint8_t *wires[2], size_t lens[2]);

struct gv_struck {
    uint8_t id[GV_ID_LEN]; /* of the record */
    uint8_t instance[GV_ID_LEN];
    uint32_t minute;
    const uint8_t *signature, *body; /* borrowed */
    size_t body_len;
};
/* A revocation (kind 4) that this registry key signed, by its first bytes. */
bool gv_struck_read(struct gv_struck *out, const uint8_t *record, size_t len,
                    const uint8_t key[GV_KEY_LEN]);

struct gv_papers {
    uint8_t id[GV_ID_LEN]; /* of the certificate */
    uint8_t key[GV_KEY_LEN], owner[GV_ID_LEN], instance[GV_ID_LEN];
    uint64_t group;
    uint32_t since_min, issued_min, expires_min;
};
bool gv_papers_read(struct gv_papers *out, const uint8_t *wire, size_t len);

/* Ed25519 over domain || 00 || network id || body, by libsodium itself. */
bool gv_record_signed(const uint8_t key[GV_KEY_LEN], const char *domain,
                      const uint8_t network_id[GV_KEY_LEN], const uint8_t *body, size_t len,
                      const uint8_t *signature);

#endif
