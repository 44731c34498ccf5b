/* An instance's keys: one 32-byte secret from which an Ed25519 signing key pair and an X25519
 * session key pair are derived, and the instance id (SPEC 2.3). */
#ifndef GV_CRYPTO_IDENTITY_H
#define GV_CRYPTO_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"

#define GV_KEY_LEN       32    /* any public key, X25519 secret key, network id */
#define GV_SECRET_LEN    32    /* the secret in the key file */
#define GV_SIGNATURE_LEN 64    /* Ed25519 */
#define GV_SIGN_MAX      16384 /* longest body that may be signed: the descriptor is the largest */

struct gv_identity {
    uint8_t id[GV_ID_LEN];
    uint8_t sign_public[GV_KEY_LEN];
    uint8_t session_public[GV_KEY_LEN];
    uint8_t sign_secret[64];            /* secret (libsodium: seed || public) */
    uint8_t session_secret[GV_KEY_LEN]; /* secret */
    uint8_t store_key[GV_KEY_LEN];      /* secret: authenticates rows of the local store */
};

/* Derives everything from the secret (gv_hmac with empty data):
 *   sign seed = HMAC(secret, "grapevine sign 1")
 *   session secret = HMAC(secret, "grapevine session 1")
 *   store key = HMAC(secret, "grapevine store 1") */
void gv_identity_from_secret(struct gv_identity *out, const uint8_t secret[GV_SECRET_LEN]);
void gv_identity_wipe(struct gv_identity *identity);

/* The instance id of a public signing key: gv_hash_id("grapevine instance 1", key). */
void gv_instance_id(uint8_t out[GV_ID_LEN], const uint8_t sign_public[GV_KEY_LEN]);

/* A secret that two instances share before they have spoken, from X25519 between the Ed25519 key of
 * the one who proves himself (converted) and the session key of the one who checks:
 *   HMAC(X25519, "grapevine pair 1" || 00 || sign public of the first || session public of the
 * other) Each costs about two verifications. Returns GV_OK or GV_ERR_PROTOCOL (no key of the
 * curve). */
int gv_pair_key_prove(uint8_t out[GV_HASH_LEN], const struct gv_identity *self,
                      const uint8_t session_public[GV_KEY_LEN]);
int gv_pair_key_check(uint8_t out[GV_HASH_LEN], const struct gv_identity *self,
                      const uint8_t sign_public[GV_KEY_LEN]);

/* Everything that is signed is signed as M = domain || 0x00 || network id || body, plain Ed25519
 * (RFC 8032), so a signature of one network or purpose is worth nothing in another. body_len <=
 * GV_SIGN_MAX (asserted when signing, refused when verifying). */
void gv_sign(uint8_t out[GV_SIGNATURE_LEN], const uint8_t sign_secret[64], const char *domain,
             const uint8_t network_id[GV_KEY_LEN], const uint8_t *body, size_t body_len);

/* The primitive enters as a function so that a simulator may memoise it. */
typedef bool (*gv_verify_fn)(void *context, const uint8_t key[GV_KEY_LEN],
                             const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *message,
                             size_t message_len);
struct gv_verifier {
    gv_verify_fn verify; /* NULL: libsodium's */
    void *context;
};
/* Returns GV_OK, GV_ERR_SIGNATURE or GV_ERR_RANGE. `verifier` may be NULL (libsodium's). */
int gv_verify(const struct gv_verifier *verifier, const uint8_t key[GV_KEY_LEN], const char *domain,
              const uint8_t network_id[GV_KEY_LEN], const uint8_t *body, size_t body_len,
              const uint8_t signature[GV_SIGNATURE_LEN]);

#endif
