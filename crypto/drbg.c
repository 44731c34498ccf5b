#include "crypto/drbg.h"

#include <sodium.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"

#define BLOCK_LEN 64 /* ChaCha20: one counter value */

/* Every key is used for one fill only, so the nonce may be the same each time. */
static const uint8_t zero_nonce[crypto_stream_chacha20_ietf_NONCEBYTES];

void gv_drbg_init(struct gv_drbg *drbg, const uint8_t seed[GV_SEED_LEN])
{
    memcpy(drbg->key, seed, GV_SEED_LEN);
}

/* The key stream's first 32 bytes are the next key, what follows them is the output: whoever reads
 * the state afterwards cannot compute what was given out before. */
void gv_drbg_fill(struct gv_drbg *drbg, void *out, size_t len)
{
    uint8_t block[BLOCK_LEN];
    uint8_t *at = out;
    size_t head = len < BLOCK_LEN - GV_SEED_LEN ? len : BLOCK_LEN - GV_SEED_LEN;

    gv_assert(len <= UINT32_MAX); /* well below the 2^38 bytes of a 32-bit block counter */
    crypto_stream_chacha20_ietf(block, sizeof block, zero_nonce, drbg->key);
    if (len > head) {
        memset(at + head, 0, len - head);
        crypto_stream_chacha20_ietf_xor_ic(at + head, at + head, len - head, zero_nonce, 1,
                                           drbg->key);
    }
    if (head > 0)
        memcpy(at, block + GV_SEED_LEN, head);
    memcpy(drbg->key, block, GV_SEED_LEN);
    gv_wipe(block, sizeof block);
}

/* Put together byte by byte, so that a seed replays the same run on every machine. */
uint64_t gv_drbg_u64(struct gv_drbg *drbg)
{
    uint8_t bytes[8];
    uint64_t value = 0;

    gv_drbg_fill(drbg, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        value = value << 8 | bytes[i];
    gv_wipe(bytes, sizeof bytes);
    return value;
}

uint64_t gv_drbg_below(struct gv_drbg *drbg, uint64_t bound)
{
    gv_assert(bound >= 1);

    /* 2^64 mod bound: what lies below it would favour the small remainders, so draw again. At
     * worst every second draw is kept. */
    const uint64_t surplus = (UINT64_MAX - bound + 1) % bound;
    uint64_t value;
    do {
        value = gv_drbg_u64(drbg);
    } while (value < surplus);
    return value % bound;
}

void gv_drbg_wipe(struct gv_drbg *drbg)
{
    gv_wipe(drbg, sizeof *drbg);
}
