#include "sim/latency.h"

#include <stdlib.h>

#include "crypto/error.h"

#define MAP       1000u /* a square of so many */
#define DIAGONAL  1414u
#define ACROSS_MS 116u /* the diagonal: half around the world in fibre */
#define END_MS    4u

struct place {
    int32_t x, y;
};

void gv_latency_uniform(uint16_t *out, size_t members, uint32_t low_ms, uint32_t high_ms,
                        struct gv_drbg *drbg)
{
    for (size_t a = 0; a < members; a++)
        for (size_t b = a + 1; b < members; b++)
            *out++ = (uint16_t)(low_ms + gv_drbg_below(drbg, high_ms - low_ms + 1));
}

/* In whole numbers: every compiler must come to the same. */
static uint32_t root_of(uint32_t square)
{
    uint32_t root = 0;

    for (uint32_t bit = 1u << 15; bit > 0; bit >>= 1)
        if ((root + bit) * (root + bit) <= square)
            root += bit;
    return root;
}

size_t gv_latency_place(size_t members, size_t a, size_t b)
{
    size_t low = a < b ? a : b, high = a < b ? b : a;

    return low * (2 * members - low - 1) / 2 + high - low - 1;
}

static uint32_t travel_ms(const struct place *a, const struct place *b, struct gv_drbg *drbg)
{
    int32_t x = a->x - b->x, y = a->y - b->y;
    uint32_t straight = root_of((uint32_t)(x * x + y * y)) * ACROSS_MS / DIAGONAL;

    return END_MS + straight + (uint32_t)gv_drbg_below(drbg, straight / 4 + 1) +
           (uint32_t)gv_drbg_below(drbg, END_MS);
}

void gv_latency_networks(uint16_t *out, uint16_t *network_of, size_t members, size_t networks,
                         struct gv_drbg *drbg)
{
    struct place *places = calloc(networks, sizeof *places);

    gv_assert(places && networks > 0 && networks <= UINT16_MAX);
    for (size_t i = 0; i < networks; i++) {
        places[i].x = (int32_t)gv_drbg_below(drbg, MAP);
        places[i].y = (int32_t)gv_drbg_below(drbg, MAP);
    }
    for (size_t i = 0; i < members; i++)
        network_of[i] = (uint16_t)gv_drbg_below(drbg, networks);
    for (size_t a = 0; a < members; a++)
        for (size_t b = a + 1; b < members; b++)
            *out++ =
                (uint16_t)(network_of[a] == network_of[b]
                               ? 1 + gv_drbg_below(drbg, GV_LATENCY_NEAR_MS)
                               : travel_ms(&places[network_of[a]], &places[network_of[b]], drbg));
    free(places);
}
