/* SHA-256 and HMAC-SHA256 of libsodium's shape, by nettle: where the processor has instructions for
 * it nettle uses them, at a fifth of the time of libsodium's. A run hashes every byte that it moves
 * for the trace, and ids and handshakes besides. Put in their place at the link, in grapevine-sim
 * and the simulator's tests; the libraries stay as they ship. */
#include <nettle/sha2.h>
#include <sodium.h>
#include <string.h>

#define BLOCK ((size_t)64)

int __wrap_crypto_hash_sha256_init(crypto_hash_sha256_state *state);
int __wrap_crypto_hash_sha256_update(crypto_hash_sha256_state *state, const unsigned char *in,
                                     unsigned long long len);
int __wrap_crypto_hash_sha256_final(crypto_hash_sha256_state *state, unsigned char *out);
int __wrap_crypto_auth_hmacsha256_init(crypto_auth_hmacsha256_state *state,
                                       const unsigned char *key, size_t key_len);
int __wrap_crypto_auth_hmacsha256_update(crypto_auth_hmacsha256_state *state,
                                         const unsigned char *in, unsigned long long len);
int __wrap_crypto_auth_hmacsha256_final(crypto_auth_hmacsha256_state *state, unsigned char *out);

/* Whole blocks; nettle's own state has no room in libsodium's. */
static void compress(crypto_hash_sha256_state *state, const unsigned char *blocks, size_t len)
{
    struct sha256_ctx ctx;

    memcpy(ctx.state, state->state, sizeof state->state);
    ctx.count = 0;
    ctx.index = 0;
    sha256_update(&ctx, len, blocks);
    memcpy(state->state, ctx.state, sizeof state->state);
}

int __wrap_crypto_hash_sha256_init(crypto_hash_sha256_state *state)
{
    static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

    memcpy(state->state, first, sizeof first);
    state->count = 0;
    return 0;
}

/* count: in bits, as libsodium has it. */
int __wrap_crypto_hash_sha256_update(crypto_hash_sha256_state *state, const unsigned char *in,
                                     unsigned long long len)
{
    size_t held = (size_t)(state->count / 8 % BLOCK), left = (size_t)len;

    if (left == 0)
        return 0; /* `in` may be NULL */
    state->count += (uint64_t)len * 8;
    if (held > 0) {
        size_t take = left < BLOCK - held ? left : BLOCK - held;
        memcpy(state->buf + held, in, take);
        in += take;
        left -= take;
        if (held + take < BLOCK)
            return 0;
        compress(state, state->buf, BLOCK);
    }
    size_t whole = left / BLOCK * BLOCK;
    if (whole > 0)
        compress(state, in, whole);
    if (left > whole)
        memcpy(state->buf, in + whole, left - whole);
    return 0;
}

static void put_be(unsigned char *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
}

int __wrap_crypto_hash_sha256_final(crypto_hash_sha256_state *state, unsigned char *out)
{
    unsigned char end[2 * BLOCK] = {0};
    size_t held = (size_t)(state->count / 8 % BLOCK);
    size_t len = held < BLOCK - 8 ? BLOCK : 2 * BLOCK;

    memcpy(end, state->buf, held);
    end[held] = 0x80;
    put_be(end + len - 8, state->count, 8);
    compress(state, end, len);
    for (size_t i = 0; i < 8; i++)
        put_be(out + 4 * i, state->state[i], 4);
    sodium_memzero(end, sizeof end);
    sodium_memzero(state, sizeof *state);
    return 0;
}

/* ---- HMAC (RFC 2104) ------------------------------------------------------------------------- */

static void begin_with(crypto_hash_sha256_state *state, const unsigned char *key, size_t key_len,
                       unsigned char pad)
{
    unsigned char block[BLOCK];

    memset(block, pad, sizeof block);
    for (size_t i = 0; i < key_len; i++)
        block[i] ^= key[i];
    __wrap_crypto_hash_sha256_init(state);
    __wrap_crypto_hash_sha256_update(state, block, sizeof block);
    sodium_memzero(block, sizeof block);
}

int __wrap_crypto_auth_hmacsha256_init(crypto_auth_hmacsha256_state *state,
                                       const unsigned char *key, size_t key_len)
{
    unsigned char hashed[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state of_key;

    if (key_len > BLOCK) {
        __wrap_crypto_hash_sha256_init(&of_key);
        __wrap_crypto_hash_sha256_update(&of_key, key, key_len);
        __wrap_crypto_hash_sha256_final(&of_key, hashed);
        key = hashed;
        key_len = sizeof hashed;
    }
    begin_with(&state->ictx, key, key_len, 0x36);
    begin_with(&state->octx, key, key_len, 0x5c);
    sodium_memzero(hashed, sizeof hashed);
    return 0;
}

int __wrap_crypto_auth_hmacsha256_update(crypto_auth_hmacsha256_state *state,
                                         const unsigned char *in, unsigned long long len)
{
    return __wrap_crypto_hash_sha256_update(&state->ictx, in, len);
}

int __wrap_crypto_auth_hmacsha256_final(crypto_auth_hmacsha256_state *state, unsigned char *out)
{
    unsigned char inner[crypto_hash_sha256_BYTES];

    __wrap_crypto_hash_sha256_final(&state->ictx, inner);
    __wrap_crypto_hash_sha256_update(&state->octx, inner, sizeof inner);
    __wrap_crypto_hash_sha256_final(&state->octx, out);
    sodium_memzero(inner, sizeof inner);
    return 0;
}
