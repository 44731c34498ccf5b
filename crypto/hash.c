#include "crypto/hash.h"

#include <sodium.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"

/* One HMAC over up to three pieces, so that no caller has to join them in a buffer first. */
struct piece {
    const uint8_t *data;
    size_t len;
};

static void hmac_pieces(uint8_t out[GV_HASH_LEN], const uint8_t *key, size_t key_len,
                        const struct piece *pieces, size_t count)
{
    static const uint8_t no_key[GV_HASH_LEN];
    crypto_auth_hmacsha256_state state;

    /* HMAC pads a key with zeros, so an empty one is the "HashLen zeros" of RFC 5869, 2.2, too. */
    crypto_auth_hmacsha256_init(&state, key_len > 0 ? key : no_key, key_len);
    for (size_t i = 0; i < count; i++)
        crypto_auth_hmacsha256_update(&state, pieces[i].data, pieces[i].len);
    crypto_auth_hmacsha256_final(&state, out);
    gv_wipe(&state, sizeof state);
}

void gv_hash(uint8_t out[GV_HASH_LEN], const char *domain, const uint8_t *data, size_t len)
{
    crypto_hash_sha256_state state;

    /* With its terminating zero, so that no domain is the beginning of another one's input. */
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)domain, strlen(domain) + 1);
    crypto_hash_sha256_update(&state, data, len);
    crypto_hash_sha256_final(&state, out);
    gv_wipe(&state, sizeof state);
}

void gv_hash_id(uint8_t out[GV_ID_LEN], const char *domain, const uint8_t *data, size_t len)
{
    uint8_t full[GV_HASH_LEN];

    gv_hash(full, domain, data, len);
    memcpy(out, full, GV_ID_LEN);
    gv_wipe(full, sizeof full);
}

void gv_hash_tree(uint8_t out[GV_HASH_LEN], uint8_t prefix, const uint8_t *a, size_t a_len,
                  const uint8_t *b, size_t b_len)
{
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, &prefix, 1);
    crypto_hash_sha256_update(&state, a, a_len);
    if (b_len > 0)
        crypto_hash_sha256_update(&state, b, b_len);
    crypto_hash_sha256_final(&state, out);
}

static crypto_auth_hmacsha256_state *inner(struct gv_hmac_state *state)
{
    _Static_assert(sizeof(crypto_auth_hmacsha256_state) <= sizeof *state &&
                       _Alignof(crypto_auth_hmacsha256_state) <= _Alignof(uint64_t),
                   "libsodium's state fits");
    return (void *)state->opaque;
}

void gv_hmac_begin(struct gv_hmac_state *out, const uint8_t *key, size_t key_len,
                   const char *domain)
{
    crypto_auth_hmacsha256_init(inner(out), key, key_len);
    gv_hmac_add(out, domain, strlen(domain) + 1);
}

void gv_hmac_add(struct gv_hmac_state *state, const void *data, size_t len)
{
    crypto_auth_hmacsha256_update(inner(state), data, len);
}

void gv_hmac_end(uint8_t out[GV_HASH_LEN], struct gv_hmac_state *state)
{
    crypto_auth_hmacsha256_final(inner(state), out);
    gv_wipe(state, sizeof *state);
}

void gv_hmac(uint8_t out[GV_HASH_LEN], const uint8_t *key, size_t key_len, const char *domain,
             const uint8_t *data, size_t len)
{
    struct gv_hmac_state state;

    gv_hmac_begin(&state, key, key_len, domain);
    gv_hmac_add(&state, data, len);
    gv_hmac_end(out, &state);
}

/* RFC 5869, section 2.3: T(i) = HMAC(prk, T(i-1) || info || i). `previous` may be `out`. */
static void expand_block(uint8_t out[GV_HASH_LEN], const uint8_t prk[GV_HASH_LEN],
                         const uint8_t *previous, size_t previous_len, const uint8_t *info,
                         size_t info_len, uint8_t counter)
{
    const struct piece pieces[] = {{previous, previous_len}, {info, info_len}, {&counter, 1}};

    hmac_pieces(out, prk, GV_HASH_LEN, pieces, 3);
}

/* The outputs may overwrite the chaining key or the input: both are used up by the extraction. */
void gv_hkdf(uint8_t out1[GV_HASH_LEN], uint8_t out2[GV_HASH_LEN], uint8_t out3[GV_HASH_LEN],
             const uint8_t chaining_key[GV_HASH_LEN], const uint8_t *input, size_t input_len)
{
    const struct piece whole = {input, input_len};
    uint8_t prk[GV_HASH_LEN];

    hmac_pieces(prk, chaining_key, GV_HASH_LEN, &whole, 1);
    expand_block(out1, prk, NULL, 0, NULL, 0, 1);
    expand_block(out2, prk, out1, GV_HASH_LEN, NULL, 0, 2);
    if (out3)
        expand_block(out3, prk, out2, GV_HASH_LEN, NULL, 0, 3);
    gv_wipe(prk, sizeof prk);
}

int gv_hkdf_rfc5869(uint8_t *out, size_t len, const uint8_t *salt, size_t salt_len,
                    const uint8_t *input, size_t input_len, const uint8_t *info, size_t info_len)
{
    const struct piece whole = {input, input_len};
    uint8_t prk[GV_HASH_LEN], block[GV_HASH_LEN];
    size_t done = 0;

    if (len > (size_t)255 * GV_HASH_LEN)
        return GV_ERR_RANGE;

    hmac_pieces(prk, salt, salt_len, &whole, 1);
    for (uint8_t counter = 1; done < len; counter++) {
        size_t take = len - done < GV_HASH_LEN ? len - done : GV_HASH_LEN;

        expand_block(block, prk, block, counter == 1 ? 0 : GV_HASH_LEN, info, info_len, counter);
        memcpy(out + done, block, take);
        done += take;
    }
    gv_wipe(prk, sizeof prk);
    gv_wipe(block, sizeof block);
    return GV_OK;
}

uint64_t gv_siphash(const uint8_t key[16], const void *data, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t value;

    _Static_assert(sizeof value == sizeof out, "all of it");
    crypto_shorthash(out, data, len, key);
    memcpy(&value, out, sizeof value);
    /* The same on every machine: the first byte is the lowest. */
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(value) : value;
}
