/* A deterministic random bit generator: ChaCha20 (RFC 8439) keyed by a 32-byte seed, which the
 * shell takes from the kernel and the simulator from its run's seed. Forward secret: each fill
 * replaces the key (the "fast key erasure" construction of D. J. Bernstein, 2017). */
#ifndef GV_CRYPTO_DRBG_H
#define GV_CRYPTO_DRBG_H

#include <stddef.h>
#include <stdint.h>

#define GV_SEED_LEN 32

struct gv_drbg {
    uint8_t key[GV_SEED_LEN]; /* secret */
};

void gv_drbg_init(struct gv_drbg *drbg, const uint8_t seed[GV_SEED_LEN]);
void gv_drbg_fill(struct gv_drbg *drbg, void *out, size_t len);
uint64_t gv_drbg_u64(struct gv_drbg *drbg);
/* Uniform in [0, bound), without modulo bias. bound >= 1. */
uint64_t gv_drbg_below(struct gv_drbg *drbg, uint64_t bound);
void gv_drbg_wipe(struct gv_drbg *drbg);

#endif
