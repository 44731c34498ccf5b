#include "crypto/identity.h"

#include <sodium.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"

#define DOMAIN_MAX  64 /* with its zero; the longest of ours has 27 characters */
#define MESSAGE_MAX (DOMAIN_MAX + GV_KEY_LEN + GV_SIGN_MAX)

void gv_identity_from_secret(struct gv_identity *out, const uint8_t secret[GV_SECRET_LEN])
{
    uint8_t seed[GV_HASH_LEN];

    gv_hmac(seed, secret, GV_SECRET_LEN, "grapevine sign 1", NULL, 0);
    crypto_sign_seed_keypair(out->sign_public, out->sign_secret, seed);
    gv_hmac(out->session_secret, secret, GV_SECRET_LEN, "grapevine session 1", NULL, 0);
    crypto_scalarmult_base(out->session_public, out->session_secret);
    gv_hmac(out->store_key, secret, GV_SECRET_LEN, "grapevine store 1", NULL, 0);
    gv_instance_id(out->id, out->sign_public);
    gv_wipe(seed, sizeof seed);
}

void gv_identity_wipe(struct gv_identity *identity)
{
    gv_wipe(identity, sizeof *identity);
}

void gv_instance_id(uint8_t out[GV_ID_LEN], const uint8_t sign_public[GV_KEY_LEN])
{
    gv_hash_id(out, "grapevine instance 1", sign_public, GV_KEY_LEN);
}

static int pair_key(uint8_t out[GV_HASH_LEN], const uint8_t secret[GV_KEY_LEN],
                    const uint8_t public[GV_KEY_LEN], const uint8_t sign_public[GV_KEY_LEN],
                    const uint8_t session_public[GV_KEY_LEN])
{
    uint8_t shared[crypto_scalarmult_BYTES], both[2 * GV_KEY_LEN];
    int rc = GV_ERR_PROTOCOL;

    memcpy(both, sign_public, GV_KEY_LEN);
    memcpy(both + GV_KEY_LEN, session_public, GV_KEY_LEN);
    if (crypto_scalarmult(shared, secret, public) == 0) {
        gv_hmac(out, shared, sizeof shared, "grapevine pair 1", both, sizeof both);
        rc = GV_OK;
    }
    gv_wipe(shared, sizeof shared);
    return rc;
}

int gv_pair_key_prove(uint8_t out[GV_HASH_LEN], const struct gv_identity *self,
                      const uint8_t session_public[GV_KEY_LEN])
{
    uint8_t secret[GV_KEY_LEN];
    int rc = GV_ERR_PROTOCOL;

    if (crypto_sign_ed25519_sk_to_curve25519(secret, self->sign_secret) == 0)
        rc = pair_key(out, secret, session_public, self->sign_public, session_public);
    gv_wipe(secret, sizeof secret);
    return rc;
}

int gv_pair_key_check(uint8_t out[GV_HASH_LEN], const struct gv_identity *self,
                      const uint8_t sign_public[GV_KEY_LEN])
{
    uint8_t public[GV_KEY_LEN];

    if (crypto_sign_ed25519_pk_to_curve25519(public, sign_public) != 0)
        return GV_ERR_PROTOCOL;
    return pair_key(out, self->session_secret, public, sign_public, self->session_public);
}

/* M = domain || 0x00 || network id || body. Joined in a buffer because plain Ed25519 reads its
 * message twice: libsodium's streaming interface is Ed25519ph, another scheme. */
static size_t join_message(uint8_t out[MESSAGE_MAX], const char *domain,
                           const uint8_t network_id[GV_KEY_LEN], const uint8_t *body,
                           size_t body_len)
{
    const size_t domain_len = strlen(domain) + 1;

    gv_assert(domain_len <= DOMAIN_MAX);
    memcpy(out, domain, domain_len);
    memcpy(out + domain_len, network_id, GV_KEY_LEN);
    if (body_len > 0)
        memcpy(out + domain_len + GV_KEY_LEN, body, body_len);
    return domain_len + GV_KEY_LEN + body_len;
}

void gv_sign(uint8_t out[GV_SIGNATURE_LEN], const uint8_t sign_secret[64], const char *domain,
             const uint8_t network_id[GV_KEY_LEN], const uint8_t *body, size_t body_len)
{
    uint8_t message[MESSAGE_MAX];

    gv_assert(body_len <= GV_SIGN_MAX);
    const size_t len = join_message(message, domain, network_id, body, body_len);
    crypto_sign_detached(out, NULL, message, len, sign_secret);
}

int gv_verify(const struct gv_verifier *verifier, const uint8_t key[GV_KEY_LEN], const char *domain,
              const uint8_t network_id[GV_KEY_LEN], const uint8_t *body, size_t body_len,
              const uint8_t signature[GV_SIGNATURE_LEN])
{
    uint8_t message[MESSAGE_MAX];
    bool valid;

    if (body_len > GV_SIGN_MAX)
        return GV_ERR_RANGE;
    const size_t len = join_message(message, domain, network_id, body, body_len);
    if (verifier && verifier->verify)
        valid = verifier->verify(verifier->context, key, signature, message, len);
    else
        valid = crypto_sign_verify_detached(signature, message, len, key) == 0;
    return valid ? GV_OK : GV_ERR_SIGNATURE;
}
