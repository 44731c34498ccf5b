/* SipHash-2-4, for machines without libsodium (portable.sh): what crypto/hash.c gives, which
 * tests/unit/test_hash.c holds it to. Aumasson and Bernstein 2012. */
#include "crypto/hash.h"

static uint64_t word(const uint8_t *at, size_t len)
{
    uint64_t value = 0;

    for (size_t i = len; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

static uint64_t turn(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static void mix(uint64_t v[4], int rounds)
{
    while (rounds-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = turn(v[1], 13) ^ v[0];
        v[3] = turn(v[3], 16) ^ v[2];
        v[0] = turn(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = turn(v[1], 17) ^ v[2];
        v[3] = turn(v[3], 21) ^ v[0];
        v[2] = turn(v[2], 32);
    }
}

uint64_t gv_siphash(const uint8_t key[16], const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t a = word(key, 8), b = word(key + 8, 8);
    uint64_t v[4] = {a ^ 0x736f6d6570736575u, b ^ 0x646f72616e646f6du, a ^ 0x6c7967656e657261u,
                     b ^ 0x7465646279746573u};

    for (size_t left = len;; left -= 8, at += 8) {
        uint64_t m = left >= 8 ? word(at, 8) : word(at, left) | (uint64_t)len << 56;
        v[3] ^= m;
        mix(v, 2);
        v[0] ^= m;
        if (left < 8)
            break;
    }
    v[2] ^= 0xff;
    mix(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
