/* The registry's rules (SPEC 14), without its sockets, disk, clock and dice: who is an owner, what
 * proves possession of a key, when a code is good, what a certificate says and when it is renewed.
 * The registry program and the simulator run the same ones. Nothing here logs or allocates, except
 * for the message that is signed. Times are minutes since 1970. */
#ifndef GV_PROTO_REGISTRY_H
#define GV_PROTO_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/certificate.h"
#include "crypto/identity.h"
#include "proto/wire/descriptor.h"

/* ---- owners --------------------------------------------------------------------------------- */

/* RFC 5321: 64 of local part, '@', and a path of 256 with its brackets. */
#define GV_EMAIL_MAX       254
#define GV_EMAIL_LOCAL_MAX 64

/* One address, however it was typed: lower case, without what follows a '+' in the local part, so
 * that one mailbox is one owner. Takes a dot-atom of RFC 5322 and a domain of at least two labels,
 * all ASCII (an international domain in its xn-- form); no quotes, comments, literals or blanks,
 * so nothing can be smuggled into a mail header or an SMTP command.
 * Returns GV_OK or GV_ERR_MALFORMED. */
int gv_email_normalise(char out[GV_EMAIL_MAX + 1], const char *text, size_t len);

/* The part after '@' of a normalised address. */
const char *gv_email_domain(const char *normalised);

/* First 16 bytes of HMAC(secret, "grapevine owner 1", normalised address): the same for the same
 * owner, and of no use for guessing the address without the registry's secret. */
void gv_owner_tag(uint8_t out[GV_ID_LEN], const uint8_t secret[GV_SECRET_LEN],
                  const char *normalised);

/* The network group of a client (SPEC 3.2): IPv4 /16 or IPv6 /32; ::ffff:a.b.c.d is IPv4. */
uint64_t gv_registry_group(const uint8_t address[16]);

/* ---- proof of possession -------------------------------------------------------------------- */

#define GV_PROOF_NONCE    8
#define GV_PROOF_SKEW_MIN 10 /* accepted so far from the registry's clock, either way */
#define GV_CODE_TEXT_MAX  16 /* a code as typed */

enum gv_proof_kind { GV_PROOF_ENROLL, GV_PROOF_CONFIRM, GV_PROOF_RENEW, GV_PROOF_LEAVE };

/* What a request says, signed by the instance key. Domain and msgpack body by kind:
 *   "grapevine enroll 1"   [minute, nonce bin8, key bin32, email str, terms str]
 *   "grapevine confirm 1"  [minute, nonce bin8, key bin32, code str]
 *   "grapevine renew 1"    [minute, nonce bin8, key bin32, certificate id bin16]
 *   "grapevine leave 1"    likewise */
struct gv_proof {
    enum gv_proof_kind kind;
    uint32_t minute;
    uint8_t nonce[GV_PROOF_NONCE];  /* random: a retry is then no replay */
    uint8_t key[GV_KEY_LEN];        /* instance key, Ed25519 public */
    const char *email;              /* enroll: as sent; borrowed */
    const char *terms;              /* enroll: borrowed */
    const char *code;               /* confirm: as sent; borrowed */
    uint8_t certificate[GV_ID_LEN]; /* renew, leave: the id of the one held */
};

/* Returns GV_OK, GV_ERR_RANGE (a text too long) or GV_ERR_MEMORY. */
int gv_proof_sign(uint8_t signature[GV_SIGNATURE_LEN], const struct gv_proof *proof,
                  const uint8_t sign_secret[64], const uint8_t network_id[GV_KEY_LEN]);

/* Returns GV_OK; GV_ERR_EXPIRED or GV_ERR_EARLY (the minute is more than GV_PROOF_SKEW_MIN off);
 * GV_ERR_SIGNATURE; GV_ERR_RANGE; GV_ERR_MEMORY. */
int gv_proof_verify(const struct gv_verifier *verifier, const struct gv_proof *proof,
                    const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t network_id[GV_KEY_LEN],
                    uint32_t now_min);

/* ---- codes ---------------------------------------------------------------------------------- */

#define GV_CODE_LEN    10 /* of 32 letters: 50 bits */
#define GV_CODE_RANDOM 8  /* random bytes for one */
#define GV_CODE_TRIES  5

/* Ten letters of Crockford's base32 (no I, L, O, U), shown as XXXXX-XXXXX. */
void gv_code_text(char out[GV_CODE_LEN + 2], const uint8_t random[GV_CODE_RANDOM]);

struct gv_code {
    uint8_t hash[GV_HASH_LEN]; /* of the code and the key it was asked for; the code is not kept */
    uint32_t expires_min;
    uint32_t tries; /* wrong ones so far */
};

/* `secret` is the registry's owner secret; a copy of the database alone cannot be searched. The
 * text is taken as typed: either case, '-' and blanks left out, O for 0, I and L for 1. */
int gv_code_make(struct gv_code *out, const uint8_t secret[GV_SECRET_LEN], const char *text,
                 const uint8_t key[GV_KEY_LEN], uint32_t expires_min);

/* Counts a wrong try in *code, which the caller must store before he answers. Constant time in the
 * code. Returns GV_OK, GV_ERR_FORBIDDEN (wrong), GV_ERR_RATE (no try left), GV_ERR_EXPIRED. */
int gv_code_check(struct gv_code *code, const uint8_t secret[GV_SECRET_LEN], const char *text,
                  const uint8_t key[GV_KEY_LEN], uint32_t now_min);

/* ---- certificates --------------------------------------------------------------------------- */

#define GV_CERTIFICATE_LIFE_MIN 129600 /* 90 days */
#define GV_INSTANCES_PER_OWNER  5
#define GV_CODE_LIFE_MIN        30

struct gv_registry_rules {
    uint32_t certificate_life_min;
    uint32_t
        grace_min; /* the descriptor's: renewed without a new code up to so long past its end */
    uint32_t instances_per_owner;
    uint32_t signer; /* the key that signs now; 0: a key is never changed */
};
void gv_registry_rules_default(struct gv_registry_rules *rules);

/* The fields of the certificate for a confirmed enrolment; gv_certificate_issue then signs them.
 * `held` is the last certificate of this key, or NULL; the same owner's enrolment of the same key
 * is a renewal: placement and since are kept and it takes no new place. `owner_count` counts the
 * owner's instances that are not revoked, without this one.
 * Returns GV_OK, GV_ERR_REVOKED, GV_ERR_DUPLICATE (the key is another owner's), GV_ERR_FULL. */
int gv_registry_admit(struct gv_certificate *out, const struct gv_registry_rules *rules,
                      const uint8_t key[GV_KEY_LEN], const uint8_t owner[GV_ID_LEN],
                      uint64_t placement, uint64_t group, uint32_t now_min,
                      const struct gv_certificate *held, bool revoked, uint32_t owner_count);

/* The same for a renewal. Returns GV_OK; GV_ERR_REVOKED; GV_ERR_EARLY (before half life, and signed
 * by the key that signs now); GV_ERR_EXPIRED (past its end and grace: enrol again). */
int gv_registry_renew(struct gv_certificate *out, const struct gv_registry_rules *rules,
                      uint64_t group, uint32_t now_min, const struct gv_certificate *held,
                      bool revoked);

/* The first minute at which a certificate may be renewed. */
uint32_t gv_certificate_half_life(const struct gv_certificate *certificate);

#endif
