/* Noise_XX_25519_ChaChaPoly_SHA256 (The Noise Protocol Framework, revision 34), and no other
 * pattern. No allocation, no randomness: the ephemeral secret is handed in. (SPEC 5) */
#ifndef GV_CRYPTO_NOISE_H
#define GV_CRYPTO_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/identity.h"

#define GV_NOISE_TAG 16
#define GV_NOISE_MAX 65535 /* longest Noise message */

struct gv_noise_cipher {
    uint8_t key[GV_KEY_LEN]; /* secret */
    uint64_t nonce;
    bool keyed;
};

struct gv_noise_handshake {
    struct gv_noise_cipher cipher;
    uint8_t chaining_key[GV_HASH_LEN];
    uint8_t hash[GV_HASH_LEN];
    uint8_t static_secret[GV_KEY_LEN], static_public[GV_KEY_LEN];
    uint8_t ephemeral_secret[GV_KEY_LEN], ephemeral_public[GV_KEY_LEN];
    uint8_t remote_static[GV_KEY_LEN], remote_ephemeral[GV_KEY_LEN];
    bool initiator;
    bool failed;  /* any error is final */
    uint8_t step; /* messages done: 0..3 */
};

/* `ephemeral` is 32 fresh random bytes, secret. */
void gv_noise_start(struct gv_noise_handshake *handshake, bool initiator,
                    const uint8_t static_secret[GV_KEY_LEN],
                    const uint8_t static_public[GV_KEY_LEN], const uint8_t ephemeral[GV_KEY_LEN],
                    const uint8_t *prologue, size_t prologue_len);

/* Writes the next handshake message with its payload. Returns GV_OK, GV_ERR_STATE (not our turn),
 * GV_ERR_SPACE or GV_ERR_PROTOCOL (X25519 gave zero: a low-order key). */
int gv_noise_write(struct gv_noise_handshake *handshake, uint8_t *out, size_t cap, size_t *out_len,
                   const uint8_t *payload, size_t payload_len);

/* Reads the next one and gives its payload. Returns GV_OK, GV_ERR_STATE, GV_ERR_SPACE,
 * GV_ERR_MALFORMED (too short or too long), GV_ERR_DECRYPT or GV_ERR_PROTOCOL (a low-order key).
 * `payload` may equal no part of `message`. */
int gv_noise_read(struct gv_noise_handshake *handshake, uint8_t *payload, size_t cap,
                  size_t *payload_len, const uint8_t *message, size_t message_len);

bool gv_noise_done(const struct gv_noise_handshake *handshake);

/* After the third message, once: the two transport ciphers; wipes the handshake except hash and
 * remote_static. */
void gv_noise_split(struct gv_noise_handshake *handshake, struct gv_noise_cipher *send,
                    struct gv_noise_cipher *receive);

/* Transport messages; empty associated data. out needs len + 16, and len - 16. In-place is
 * allowed. Returns GV_OK, GV_ERR_SPACE, GV_ERR_DECRYPT, GV_ERR_MALFORMED, or GV_ERR_STATE when the
 * nonce is used up (2^64 - 1 is reserved). */
int gv_noise_encrypt(struct gv_noise_cipher *cipher, uint8_t *out, size_t cap, size_t *out_len,
                     const uint8_t *plain, size_t plain_len);
int gv_noise_decrypt(struct gv_noise_cipher *cipher, uint8_t *out, size_t cap, size_t *out_len,
                     const uint8_t *message, size_t message_len);

/* Noise section 4.2 REKEY: k = the first 32 bytes of ENCRYPT(k, 2^64 - 1, "", zeros[32]). The nonce
 * goes on. */
void gv_noise_rekey(struct gv_noise_cipher *cipher);

void gv_noise_wipe(struct gv_noise_handshake *handshake);

#endif
