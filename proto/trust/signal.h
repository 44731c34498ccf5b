/* Signals, retractions and fault proofs: what an instance says, signed (SPEC 8).
 *
 * wire of a signal or a retraction = signature (64) || body
 *   signal   body = [1, certificate id bin16, sequence, subject bin4|bin8, first minute,
 *                    last minute, count, services, kinds]           domain "grapevine signal 1"
 *   retract  body = [2, certificate id bin16, sequence, subject bin4|bin8, minute]
 *                                                                   domain "grapevine retract 1"
 * wire of a fault proof = body = [3, wire A bin, wire B bin]: two different statements (signals or
 *   retractions) of one instance under one sequence number; body of A < body of B as bytes
 */
#ifndef GV_PROTO_TRUST_SIGNAL_H
#define GV_PROTO_TRUST_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/identity.h"
#include "proto/buf.h"
#include "proto/subject.h"

#define GV_SIGNAL_WIRE_MAX  160 /* 64 + 1 + 1 + 18 + 9 + 10 + 5 + 5 + 5 + 1 + 1 = 120, and room */
#define GV_FAULT_WIRE_MAX   336 /* two of them and their heads */
#define GV_SIGNAL_COUNT_MAX 100000u

enum gv_statement_kind { GV_STATEMENT_SIGNAL = 1, GV_STATEMENT_RETRACT = 2 };

/* A signal, or a retraction (then first_min = last_min, count = services = kinds = 0). */
struct gv_statement {
    enum gv_statement_kind kind;
    uint8_t certificate[GV_ID_LEN];
    uint64_t sequence; /* 1 .. 2^63 - 1 */
    struct gv_subject subject;
    uint32_t first_min, last_min; /* minutes since 1970, first <= last <= first + 7 days */
    uint32_t count;               /* of the series 1, 2, 5, 10, ... 100000 */
    uint8_t services, kinds;      /* bits of enum gv_service, enum gv_kind; never zero */
};

/* The largest number of the 1-2-5 series that is not above attempts (1 for 0). */
uint32_t gv_signal_count_bucket(uint64_t attempts);
/* The step of the series that a count of it is on, 0 to 15, and back. */
unsigned gv_signal_count_step(uint32_t count);
uint32_t gv_signal_count_at(unsigned step);

/* Appends the body that is signed. */
void gv_statement_body(struct gv_buf *out, const struct gv_statement *statement);
/* Appends the signed wire form. Returns GV_OK, GV_ERR_RANGE (a field is not valid) or
 * GV_ERR_MEMORY. */
int gv_statement_sign(struct gv_buf *out, const struct gv_statement *statement,
                      const uint8_t sign_secret[64], const uint8_t network_id[GV_KEY_LEN]);

/* Parses without checking the signature: all fields are valid on success (a subject that could
 * never be shared, not even in a lab network, is GV_ERR_SUBJECT). Returns GV_OK,
 * GV_ERR_MALFORMED, GV_ERR_RANGE, GV_ERR_SUBJECT or GV_ERR_MEMORY. */
int gv_statement_parse(struct gv_statement *out, const uint8_t *wire, size_t len);

/* Checks the signature of a wire that parsed. Returns GV_OK or GV_ERR_SIGNATURE. */
int gv_statement_verify(const struct gv_verifier *verifier, const struct gv_statement *statement,
                        const uint8_t *wire, size_t len, const uint8_t key[GV_KEY_LEN],
                        const uint8_t network_id[GV_KEY_LEN]);

/* Builds a proof from two statement wires (in any order). Returns GV_OK, GV_ERR_MALFORMED (one
 * does not parse, the sequence numbers differ, or the bodies are equal), GV_ERR_MEMORY. That both
 * are of one instance, and the signatures, are checked by who knows the certificates. */
int gv_fault_build(struct gv_buf *out, const uint8_t *a, size_t a_len, const uint8_t *b,
                   size_t b_len);

struct gv_fault {
    struct gv_statement a, b;
    const uint8_t *a_wire, *b_wire; /* borrow from the proof's wire */
    size_t a_len, b_len;
    uint32_t later_min; /* the later last_min of the two: the fault counts from here */
};
/* Returns GV_OK, GV_ERR_MALFORMED or GV_ERR_MEMORY. Signatures are not checked here. */
int gv_fault_parse(struct gv_fault *out, const uint8_t *wire, size_t len);

#endif
