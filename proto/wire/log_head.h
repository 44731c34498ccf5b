/* The registry's log of issued certificates (SPEC 14.7): its entries, and its signed head.
 *
 * entry = 01 || instance key (32) || owner tag (16) || certificate id (16).
 *
 * head: wire = signature (64) || signer (4) || body; the signature is over body in domain
 * "grapevine log head 1" by the registry key whose first 4 bytes are `signer` and whose log it is.
 * body = msgpack [8, size, minute, root bin32]; the minute is a multiple of 60. A registry signs
 * one head an hour: two different ones of an hour prove that it shows two faces. */
#ifndef GV_PROTO_WIRE_LOG_HEAD_H
#define GV_PROTO_WIRE_LOG_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "proto/wire/descriptor.h"

#define GV_LOG_ENTRY_LEN 65
#define GV_LOG_HEAD_MAX  120 /* 64 + 4 + at most 50 of body */
#define GV_LOG_HEAD_HOUR 60
#define GV_LOG_SLACK_MIN 10 /* the clocks of a registry's processes may differ by so much */
#define GV_LOG_SIZE_MAX  0xffffffffu
/* Entries that nodes copy of the log of a key: 80 bytes each in memory, 65 on disk. */
#define GV_LOG_COPY_MAX    400000u
#define GV_LOG_PAGE        1024 /* entries that the registry gives in one answer: 67 kB */
#define GV_LOG_HEAD_DOMAIN "grapevine log head 1"

struct gv_log_head {
    uint32_t signer;
    uint32_t minute;
    uint64_t size;
    uint8_t root[GV_HASH_LEN];
};

void gv_log_entry(uint8_t out[GV_LOG_ENTRY_LEN], const struct gv_certificate *certificate);
/* The certificate id in an entry. */
const uint8_t *gv_log_entry_certificate(const uint8_t entry[GV_LOG_ENTRY_LEN]);

/* The key of that signer if the head's hour is none before the one in which it came into force and
 * none after its closing hour, or NULL. */
const uint8_t *gv_log_head_key(const struct gv_descriptor *descriptor,
                               const struct gv_log_head *head);

/* The hour of the last head of a key: the first that begins 10 minutes after its end or later, when
 * every process of the registry has entered what it signed. 0: no such key. */
uint32_t gv_log_head_closing(const struct gv_descriptor *descriptor, uint32_t signer);

/* Appends the wire form; the signer is set from the key. GV_OK, GV_ERR_RANGE (minute, size),
 * GV_ERR_MEMORY. */
int gv_log_head_issue(struct gv_buf *out, const struct gv_log_head *head,
                      const uint8_t registry_secret[64], const uint8_t network_id[GV_KEY_LEN]);
/* Parses and verifies. GV_OK, GV_ERR_MALFORMED, GV_ERR_SIGNER or GV_ERR_SIGNATURE. */
int gv_log_head_open(struct gv_log_head *out, const struct gv_verifier *verifier,
                     const struct gv_descriptor *descriptor, const uint8_t *wire, size_t len);

/* Whether the two cannot be of one growing log: two of an hour, one size with two roots, or a later
 * one that is smaller. */
bool gv_log_heads_contradict(const struct gv_log_head *a, const struct gv_log_head *b);

#endif
