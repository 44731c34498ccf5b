#include "node/base/sealed.h"

#include <sodium.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/wipe.h"

_Static_assert(GV_SEALED_MORE == crypto_stream_xchacha20_NONCEBYTES &&
                   GV_HASH_LEN == crypto_stream_xchacha20_KEYBYTES,
               "XChaCha20: a random nonce never comes twice");

static void key_of(uint8_t out[GV_HASH_LEN], const uint8_t store_key[GV_KEY_LEN])
{
    gv_hmac(out, store_key, GV_KEY_LEN, "grapevine sealed 1", NULL, 0);
}

void gv_seal(uint8_t *out, const uint8_t store_key[GV_KEY_LEN], const void *data, size_t len)
{
    uint8_t key[GV_HASH_LEN];

    key_of(key, store_key);
    randombytes_buf(out, GV_SEALED_MORE);
    crypto_stream_xchacha20_xor(out + GV_SEALED_MORE, data, len, out, key);
    gv_wipe(key, sizeof key);
}

void gv_unseal(void *out, const uint8_t store_key[GV_KEY_LEN], const uint8_t *sealed,
               size_t sealed_len)
{
    uint8_t key[GV_HASH_LEN];

    gv_assert(sealed_len >= GV_SEALED_MORE);
    key_of(key, store_key);
    crypto_stream_xchacha20_xor(out, sealed + GV_SEALED_MORE, sealed_len - GV_SEALED_MORE, sealed,
                                key);
    gv_wipe(key, sizeof key);
}
