/* The network descriptor (SPEC 4): one signed, versioned file that says which network this is.
 *
 * wire = signature (64) || body, signed by the root key in domain "grapevine descriptor 1" over the
 * network id that the body itself gives. body = msgpack array of 12:
 *   [1, version, activation minute, root key bin32, name str, genesis minute, lab 0|1,
 *    [[registry key bin32, from minute, until minute], ...1..8], registry URL str,
 *    [seed "host:port" str, ...0..32], [policy integers, see below], terms version str]
 */
#ifndef GV_PROTO_WIRE_DESCRIPTOR_H
#define GV_PROTO_WIRE_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/identity.h"
#include "proto/buf.h"

#define GV_DESCRIPTOR_MAX   8192
#define GV_DESCRIPTOR_KEYS  8
#define GV_DESCRIPTOR_SEEDS 32
#define GV_NETWORK_NAME_MAX 63  /* [a-z0-9-], 1..63 */
#define GV_HOST_MAX         255 /* "host:port" or a URL */
#define GV_TERMS_MAX        31

/* The parameters of the rule (SPEC 11), in wire order; all are part of the verdict. */
struct gv_policy {
    uint32_t tenure_min;       /* longest tenure, minutes: 43200 (30 d) */
    uint32_t full_min;         /* age of full standing: 129600 (90 d) */
    uint32_t alive_min;        /* a signal counts for: 1440 (24 h) */
    uint32_t untrusted_weight; /* W1: 2000 */
    uint32_t consensus_weight; /* for refuse_on = consensus: 4000 */
    uint32_t consensus_groups; /* 4 */
    uint32_t signals_per_hour; /* 32 smallest sequence numbers of an instance in a clock hour */
    uint32_t votes_max;        /* 16 */
    uint32_t fault_min;        /* a fault weighs its owner 0 for: 129600 (90 d) */
    uint32_t grace_min;        /* a certificate is accepted past its end for: 43200 (30 d) */
};
#define GV_POLICY_FIELDS 10

struct gv_registry_key {
    uint8_t key[GV_KEY_LEN];
    uint32_t from_min, until_min;
};

struct gv_descriptor {
    uint8_t network_id[GV_KEY_LEN]; /* derived: gv_network_id */
    uint32_t version;
    uint32_t activation_min;
    uint8_t root_key[GV_KEY_LEN];
    char name[GV_NETWORK_NAME_MAX + 1];
    uint32_t genesis_min;
    bool lab;
    size_t key_count;
    struct gv_registry_key keys[GV_DESCRIPTOR_KEYS];
    char registry_url[GV_HOST_MAX + 1];
    size_t seed_count;
    char seeds[GV_DESCRIPTOR_SEEDS][GV_HOST_MAX + 1];
    struct gv_policy policy;
    char terms[GV_TERMS_MAX + 1]; /* version of the terms in force, e.g. "2026-11" */
};

/* hash("grapevine network 1", root key || name || genesis minute as 4 bytes big-endian). */
void gv_network_id(uint8_t out[GV_KEY_LEN], const uint8_t root_key[GV_KEY_LEN], const char *name,
                   uint32_t genesis_min);

/* The values in the comments above; a lab network has tenure_min and full_min 0. */
void gv_policy_default(struct gv_policy *policy, bool lab);

/* Fills network_id, checks every field, appends signature and body. Returns GV_OK, GV_ERR_RANGE
 * (a field is not valid), GV_ERR_MEMORY. */
int gv_descriptor_issue(struct gv_buf *out, struct gv_descriptor *descriptor,
                        const uint8_t root_secret[64]);

/* Parses, checks every field and the signature. Returns GV_OK, GV_ERR_MALFORMED, GV_ERR_VERSION,
 * GV_ERR_RANGE or GV_ERR_SIGNATURE. That it is the wanted network is for the caller to compare. */
int gv_descriptor_open(struct gv_descriptor *out, const struct gv_verifier *verifier,
                       const uint8_t *wire, size_t len);

/* The registry key that this certificate signer names and that was in force at issued_min, or
 * NULL. */
const uint8_t *gv_descriptor_key(const struct gv_descriptor *descriptor, uint32_t signer,
                                 uint32_t issued_min);

#endif
