#include "crypto/noise.h"

#include <sodium.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"

/* Quoted in the comments: The Noise Protocol Framework, revision 34.
 *
 *   XX:  -> e
 *        <- e, ee, s, es
 *        -> s, se
 *
 * The initiator writes messages 0 and 2, the responder message 1. */

#define MESSAGES       3
#define SEALED_KEY     (GV_KEY_LEN + GV_NOISE_TAG)
#define NONCE_RESERVED UINT64_MAX /* section 5.1: 2^64 - 1 is for REKEY alone */

/* Section 5.2, InitializeSymmetric: a name of 32 bytes or fewer is the first hash itself. This one
 * has exactly 32, so nothing is padded. */
static const char protocol_name[] = "Noise_XX_25519_ChaChaPoly_SHA256";
_Static_assert(sizeof protocol_name - 1 == GV_HASH_LEN, "the name is its own hash");

/* CipherState (section 5.1) */

/* Section 12: "32 bits of zeros followed by little-endian encoding of n". */
static void encode_nonce(uint8_t out[crypto_aead_chacha20poly1305_ietf_NPUBBYTES], uint64_t nonce)
{
    memset(out, 0, 4);
    for (size_t i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(nonce >> 8 * i);
}

static void cipher_init(struct gv_noise_cipher *cipher, const uint8_t key[GV_KEY_LEN])
{
    memmove(cipher->key, key, GV_KEY_LEN);
    cipher->nonce = 0;
    cipher->keyed = true;
}

/* Writes len + GV_NOISE_TAG bytes. GV_OK or GV_ERR_STATE. */
static int cipher_seal(struct gv_noise_cipher *cipher, uint8_t *out, const uint8_t *plain,
                       size_t len, const uint8_t *ad, size_t ad_len)
{
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

    if (!cipher->keyed || cipher->nonce == NONCE_RESERVED)
        return GV_ERR_STATE;
    encode_nonce(nonce, cipher->nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, len, ad, ad_len, NULL, nonce,
                                              cipher->key);
    cipher->nonce++;
    return GV_OK;
}

/* Writes len - GV_NOISE_TAG bytes; len is at least that. GV_OK, GV_ERR_STATE or GV_ERR_DECRYPT.
 * "If an authentication failure occurs, n is not incremented." */
static int cipher_open(struct gv_noise_cipher *cipher, uint8_t *out, const uint8_t *sealed,
                       size_t len, const uint8_t *ad, size_t ad_len)
{
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

    if (!cipher->keyed || cipher->nonce == NONCE_RESERVED)
        return GV_ERR_STATE;
    encode_nonce(nonce, cipher->nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len, ad, ad_len, nonce,
                                                  cipher->key) != 0)
        return GV_ERR_DECRYPT;
    cipher->nonce++;
    return GV_OK;
}

/* SymmetricState (section 5.2) */

static void mix_hash(struct gv_noise_handshake *hs, const uint8_t *data, size_t len)
{
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, hs->hash, sizeof hs->hash);
    crypto_hash_sha256_update(&state, data, len);
    crypto_hash_sha256_final(&state, hs->hash);
}

static void mix_key(struct gv_noise_handshake *hs, const uint8_t input[GV_KEY_LEN])
{
    uint8_t key[GV_HASH_LEN];

    gv_hkdf(hs->chaining_key, key, NULL, hs->chaining_key, input, GV_KEY_LEN);
    cipher_init(&hs->cipher, key);
    gv_wipe(key, sizeof key);
}

/* Before the first key, "encrypting" is copying: the payload of message 0 travels in clear. */
static size_t tag_len(const struct gv_noise_handshake *hs)
{
    return hs->cipher.keyed ? GV_NOISE_TAG : 0;
}

static int encrypt_and_hash(struct gv_noise_handshake *hs, uint8_t *out, const uint8_t *plain,
                            size_t len)
{
    const size_t sealed_len = len + tag_len(hs);

    if (hs->cipher.keyed) {
        int rc = cipher_seal(&hs->cipher, out, plain, len, hs->hash, sizeof hs->hash);
        if (rc != GV_OK)
            return rc;
    } else if (len > 0) {
        memmove(out, plain, len);
    }
    mix_hash(hs, out, sealed_len);
    return GV_OK;
}

static int decrypt_and_hash(struct gv_noise_handshake *hs, uint8_t *out, const uint8_t *sealed,
                            size_t len)
{
    if (hs->cipher.keyed) {
        int rc = cipher_open(&hs->cipher, out, sealed, len, hs->hash, sizeof hs->hash);
        if (rc != GV_OK)
            return rc;
    } else if (len > 0) {
        memcpy(out, sealed, len);
    }
    mix_hash(hs, sealed, len);
    return GV_OK;
}

/* HandshakeState (section 5.3) */

/* Section 9.2 leaves it to the application whether an all-zero result ends the handshake: here it
 * does, or a low-order key would give a session that is bound to no key at all. */
static int mix_dh(struct gv_noise_handshake *hs, const uint8_t secret[GV_KEY_LEN],
                  const uint8_t public[GV_KEY_LEN])
{
    uint8_t shared[crypto_scalarmult_BYTES];
    int rc = GV_ERR_PROTOCOL;

    if (crypto_scalarmult(shared, secret, public) == 0) {
        mix_key(hs, shared);
        rc = GV_OK;
    }
    gv_wipe(shared, sizeof shared);
    return rc;
}

static int mix_ee(struct gv_noise_handshake *hs)
{
    return mix_dh(hs, hs->ephemeral_secret, hs->remote_ephemeral);
}

/* es: the initiator's ephemeral key with the responder's static key. */
static int mix_es(struct gv_noise_handshake *hs)
{
    return hs->initiator ? mix_dh(hs, hs->ephemeral_secret, hs->remote_static)
                         : mix_dh(hs, hs->static_secret, hs->remote_ephemeral);
}

/* se: the initiator's static key with the responder's ephemeral key. */
static int mix_se(struct gv_noise_handshake *hs)
{
    return hs->initiator ? mix_dh(hs, hs->static_secret, hs->remote_ephemeral)
                         : mix_dh(hs, hs->ephemeral_secret, hs->remote_static);
}

static void write_ephemeral(struct gv_noise_handshake *hs, uint8_t *out)
{
    memcpy(out, hs->ephemeral_public, GV_KEY_LEN);
    mix_hash(hs, out, GV_KEY_LEN);
}

static void read_ephemeral(struct gv_noise_handshake *hs, const uint8_t *in)
{
    memcpy(hs->remote_ephemeral, in, GV_KEY_LEN);
    mix_hash(hs, in, GV_KEY_LEN);
}

static int write_static(struct gv_noise_handshake *hs, uint8_t *out)
{
    return encrypt_and_hash(hs, out, hs->static_public, GV_KEY_LEN);
}

static int read_static(struct gv_noise_handshake *hs, const uint8_t *in)
{
    return decrypt_and_hash(hs, hs->remote_static, in, SEALED_KEY);
}

/* The bytes of a message before its payload, and what is added to that payload. */
static size_t keys_len(uint8_t step)
{
    static const size_t len[MESSAGES] = {GV_KEY_LEN, GV_KEY_LEN + SEALED_KEY, SEALED_KEY};
    return len[step];
}

static size_t overhead(uint8_t step)
{
    return keys_len(step) + (step == 0 ? 0 : GV_NOISE_TAG);
}

static bool my_turn(const struct gv_noise_handshake *hs, bool writing)
{
    const bool initiator_writes = hs->step % 2 == 0;

    return !hs->failed && hs->step < MESSAGES && writing == (hs->initiator == initiator_writes);
}

/* Nothing is kept of a handshake that failed, so that no caller can go on with half of one. */
static int fail(struct gv_noise_handshake *hs, int rc)
{
    gv_wipe(hs, sizeof *hs);
    hs->failed = true;
    return rc;
}

void gv_noise_start(struct gv_noise_handshake *handshake, bool initiator,
                    const uint8_t static_secret[GV_KEY_LEN],
                    const uint8_t static_public[GV_KEY_LEN], const uint8_t ephemeral[GV_KEY_LEN],
                    const uint8_t *prologue, size_t prologue_len)
{
    memset(handshake, 0, sizeof *handshake);
    handshake->initiator = initiator;
    memcpy(handshake->hash, protocol_name, GV_HASH_LEN);
    memcpy(handshake->chaining_key, protocol_name, GV_HASH_LEN);
    memcpy(handshake->static_secret, static_secret, GV_KEY_LEN);
    memcpy(handshake->static_public, static_public, GV_KEY_LEN);
    memcpy(handshake->ephemeral_secret, ephemeral, GV_KEY_LEN);
    crypto_scalarmult_base(handshake->ephemeral_public, handshake->ephemeral_secret);
    mix_hash(handshake, prologue, prologue_len);
}

static int write_keys(struct gv_noise_handshake *hs, uint8_t *out)
{
    int rc;

    switch (hs->step) {
    case 0: /* -> e */
        write_ephemeral(hs, out);
        return GV_OK;
    case 1: /* <- e, ee, s, es */
        write_ephemeral(hs, out);
        if ((rc = mix_ee(hs)) != GV_OK || (rc = write_static(hs, out + GV_KEY_LEN)) != GV_OK)
            return rc;
        return mix_es(hs);
    default: /* -> s, se */
        rc = write_static(hs, out);
        return rc == GV_OK ? mix_se(hs) : rc;
    }
}

static int read_keys(struct gv_noise_handshake *hs, const uint8_t *in)
{
    int rc;

    switch (hs->step) {
    case 0:
        read_ephemeral(hs, in);
        return GV_OK;
    case 1:
        read_ephemeral(hs, in);
        if ((rc = mix_ee(hs)) != GV_OK || (rc = read_static(hs, in + GV_KEY_LEN)) != GV_OK)
            return rc;
        return mix_es(hs);
    default:
        rc = read_static(hs, in);
        return rc == GV_OK ? mix_se(hs) : rc;
    }
}

int gv_noise_write(struct gv_noise_handshake *handshake, uint8_t *out, size_t cap, size_t *out_len,
                   const uint8_t *payload, size_t payload_len)
{
    int rc;

    *out_len = 0;
    if (!my_turn(handshake, true))
        return fail(handshake, GV_ERR_STATE);

    const size_t keys = keys_len(handshake->step);
    const size_t extra = overhead(handshake->step);
    if (payload_len > GV_NOISE_MAX - extra || cap < extra + payload_len)
        return fail(handshake, GV_ERR_SPACE);

    if ((rc = write_keys(handshake, out)) != GV_OK ||
        (rc = encrypt_and_hash(handshake, out + keys, payload, payload_len)) != GV_OK)
        return fail(handshake, rc);
    handshake->step++;
    *out_len = extra + payload_len;
    return GV_OK;
}

int gv_noise_read(struct gv_noise_handshake *handshake, uint8_t *payload, size_t cap,
                  size_t *payload_len, const uint8_t *message, size_t message_len)
{
    int rc;

    *payload_len = 0;
    if (!my_turn(handshake, false))
        return fail(handshake, GV_ERR_STATE);

    const size_t keys = keys_len(handshake->step);
    const size_t extra = overhead(handshake->step);
    if (message_len < extra || message_len > GV_NOISE_MAX)
        return fail(handshake, GV_ERR_MALFORMED);
    if (cap < message_len - extra)
        return fail(handshake, GV_ERR_SPACE);

    if ((rc = read_keys(handshake, message)) != GV_OK ||
        (rc = decrypt_and_hash(handshake, payload, message + keys, message_len - keys)) != GV_OK)
        return fail(handshake, rc);
    handshake->step++;
    *payload_len = message_len - extra;
    return GV_OK;
}

bool gv_noise_done(const struct gv_noise_handshake *handshake)
{
    return !handshake->failed && handshake->step == MESSAGES;
}

void gv_noise_split(struct gv_noise_handshake *handshake, struct gv_noise_cipher *send,
                    struct gv_noise_cipher *receive)
{
    struct gv_noise_handshake kept = {.initiator = handshake->initiator, .step = MESSAGES};
    uint8_t first[GV_HASH_LEN], second[GV_HASH_LEN];

    /* A handshake that was split already has no key left, and would give ciphers without one. */
    gv_assert(gv_noise_done(handshake) && handshake->cipher.keyed);
    gv_hkdf(first, second, NULL, handshake->chaining_key, NULL, 0);
    cipher_init(handshake->initiator ? send : receive, first);
    cipher_init(handshake->initiator ? receive : send, second);
    gv_wipe(first, sizeof first);
    gv_wipe(second, sizeof second);

    memcpy(kept.hash, handshake->hash, sizeof kept.hash);
    memcpy(kept.remote_static, handshake->remote_static, sizeof kept.remote_static);
    gv_wipe(handshake, sizeof *handshake);
    *handshake = kept;
}

int gv_noise_encrypt(struct gv_noise_cipher *cipher, uint8_t *out, size_t cap, size_t *out_len,
                     const uint8_t *plain, size_t plain_len)
{
    *out_len = 0;
    if (plain_len > GV_NOISE_MAX - GV_NOISE_TAG || cap < plain_len + GV_NOISE_TAG)
        return GV_ERR_SPACE;
    int rc = cipher_seal(cipher, out, plain, plain_len, NULL, 0);
    if (rc == GV_OK)
        *out_len = plain_len + GV_NOISE_TAG;
    return rc;
}

int gv_noise_decrypt(struct gv_noise_cipher *cipher, uint8_t *out, size_t cap, size_t *out_len,
                     const uint8_t *message, size_t message_len)
{
    *out_len = 0;
    if (message_len < GV_NOISE_TAG || message_len > GV_NOISE_MAX)
        return GV_ERR_MALFORMED;
    if (cap < message_len - GV_NOISE_TAG)
        return GV_ERR_SPACE;
    int rc = cipher_open(cipher, out, message, message_len, NULL, 0);
    if (rc == GV_OK)
        *out_len = message_len - GV_NOISE_TAG;
    return rc;
}

void gv_noise_rekey(struct gv_noise_cipher *cipher)
{
    static const uint8_t zeros[GV_KEY_LEN];
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
    uint8_t sealed[GV_KEY_LEN + GV_NOISE_TAG];

    gv_assert(cipher->keyed);
    encode_nonce(nonce, NONCE_RESERVED);
    crypto_aead_chacha20poly1305_ietf_encrypt(sealed, NULL, zeros, sizeof zeros, NULL, 0, NULL,
                                              nonce, cipher->key);
    memcpy(cipher->key, sealed, GV_KEY_LEN);
    gv_wipe(sealed, sizeof sealed);
}

void gv_noise_wipe(struct gv_noise_handshake *handshake)
{
    gv_wipe(handshake, sizeof *handshake);
    handshake->failed = true;
}
