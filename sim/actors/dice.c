#include "sim/actors/dice.h"

#include <stddef.h>

#include "crypto/error.h"

#define FRACTION 20u     /* bits of the fixed-point logarithm */
#define LN2      726817u /* ln 2 * 2^20 */

/* SplitMix64 (Steele, Lea and Flood, 2014): one word of state, good enough for workloads. */
uint64_t gv_dice_next(struct gv_dice *dice)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void gv_dice_seed(struct gv_dice *dice, uint64_t seed, uint64_t stream)
{
    dice->state = seed * 0x2545f4914f6cdd1du + stream * 0xd6e8feb86659fd93u;
    (void)gv_dice_next(dice);
}

uint32_t gv_dice_below(struct gv_dice *dice, uint32_t bound)
{
    gv_assert(bound > 0);
    return (uint32_t)((gv_dice_next(dice) >> 32) * bound >> 32);
}

bool gv_dice_percent(struct gv_dice *dice, uint32_t percent)
{
    return gv_dice_below(dice, 100) < percent;
}

bool gv_dice_permille(struct gv_dice *dice, uint32_t permille)
{
    return gv_dice_below(dice, 1000) < permille;
}

/* -log2(U) of a uniform U in (0, 1], in fixed point: the whole part by shifting, each further bit
 * by squaring the mantissa. */
static uint64_t draw_log2(struct gv_dice *dice)
{
    uint64_t u = (gv_dice_next(dice) >> 32) + 1; /* of 2^32 */
    uint64_t whole = 32, part = 0;

    while (u < UINT64_C(1) << 32) {
        u <<= 1;
        whole--;
    }
    /* u / 2^32 in [1, 2): log2(U) = whole - 32 + log2(mantissa) */
    uint64_t mantissa = u >> 1;
    for (unsigned bit = 0; bit < FRACTION; bit++) {
        mantissa = mantissa * mantissa >> 31;
        part <<= 1;
        if (mantissa >= UINT64_C(1) << 32) {
            mantissa >>= 1;
            part |= 1;
        }
    }
    return ((32 - whole) << FRACTION) - part;
}

uint32_t gv_dice_exponential(struct gv_dice *dice, uint32_t mean)
{
    return (uint32_t)((draw_log2(dice) * LN2 >> FRACTION) * mean >> FRACTION);
}

uint64_t gv_dice_root(uint64_t square)
{
    uint64_t low = 0, high = UINT64_C(1) << 32;

    while (low + 1 < high) {
        uint64_t middle = low + (high - low) / 2;
        if (middle * middle <= square)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* 2^x, x in fixed point, rounded down; at most `cap`. */
static uint32_t power2(uint64_t x, uint32_t cap)
{
    static uint64_t factors[FRACTION]; /* 2^(1/2), 2^(1/4), ... * 2^30 */
    uint64_t value = UINT64_C(1) << 30;

    if (factors[0] == 0)
        for (size_t i = 0; i < FRACTION; i++)
            factors[i] = gv_dice_root((i == 0 ? UINT64_C(2) << 30 : factors[i - 1]) << 30);
    for (size_t i = 0; i < FRACTION; i++)
        if (x >> (FRACTION - 1 - i) & 1)
            value = value * factors[i] >> 30;
    uint64_t whole = x >> FRACTION;
    if (whole >= 31)
        return cap;
    value = value << whole >> 30;
    return value < cap ? (uint32_t)value : cap;
}

uint32_t gv_dice_pareto(struct gv_dice *dice, uint32_t cap)
{
    return power2(draw_log2(dice) * 10 / 11, cap);
}

uint32_t gv_dice_poisson(struct gv_dice *dice, uint32_t mean_milli)
{
    uint64_t at = 0, end = (uint64_t)mean_milli << FRACTION;
    uint32_t count = 0;

    for (;; count++) {
        at += (draw_log2(dice) * LN2 >> FRACTION) * 1000;
        if (at >= end)
            return count;
    }
}

uint32_t gv_dice_run(struct gv_dice *dice, uint32_t percent, uint32_t most)
{
    uint32_t count = 1;

    while (count < most && gv_dice_percent(dice, percent))
        count++;
    return count;
}
