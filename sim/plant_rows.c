/* Planted bugs in what a core writes to its disk (see plant.h). */
#include <string.h>

#include "crypto/certificate.h"
#include "proto/effect.h"
#include "proto/wire/record.h"
#include "sim/plant.h"

#define WEAK __attribute__((weak))

#define KEPT    0x80u
#define ROW_MAX 4096u
/* Behind the kind and the signature of a statement: array head, its kind, and the head of the id.
 */
#define PAPERS_AT (1 + GV_SIGNATURE_LEN + 4)

void __real_gv_effect_persist(struct gv_effects *effects, enum gv_row row, const void *key,
                              size_t key_len, const void *value, size_t value_len) WEAK;
void __wrap_gv_effect_persist(struct gv_effects *effects, enum gv_row row, const void *key,
                              size_t key_len, const void *value, size_t value_len);

bool gv_plant_wraps_rows(void)
{
    return __real_gv_effect_persist != NULL;
}

static bool now_and_then(const uint8_t *row)
{
    return row[2] % 5 == 0; /* of its signature */
}

/* Returns the length that it has now. */
static size_t spoil_statement(uint8_t *row, size_t len)
{
    if (gv_plant_is(GV_PLANT_OVER_AND_OVER) && (row[0] & KEPT) && 4 * len <= ROW_MAX) {
        for (size_t i = 1; i < 4; i++)
            memcpy(row + i * len, row, len);
        return 4 * len;
    }
    if (!now_and_then(row))
        return len;
    if (gv_plant_is(GV_PLANT_CUT_ROWS))
        return len - 1;
    if (gv_plant_is(GV_PLANT_OTHER_PAPERS))
        row[PAPERS_AT] ^= 1;
    return len;
}

static size_t spoil_fault(uint8_t *row, size_t len)
{
    if (gv_plant_is(GV_PLANT_CUT_PROOFS))
        return len - 1;
    if (gv_plant_is(GV_PLANT_FALSE_PROOFS))
        row[10] ^= 1; /* of the first signature */
    return len;
}

static size_t spoil(uint8_t *row, size_t len)
{
    switch (row[0] & ~KEPT) {
    case GV_RECORD_SIGNAL:
    case GV_RECORD_RETRACT:
        return spoil_statement(row, len);
    case GV_RECORD_FAULT:
        return spoil_fault(row, len);
    case GV_RECORD_REVOCATION:
        row[1] ^= gv_plant_is(GV_PLANT_SPOIL_REVOCATIONS);
        return len;
    case GV_RECORD_CERTIFICATE:
        row[12] ^= gv_plant_is(GV_PLANT_SPOIL_PAPERS); /* of the key */
        return len;
    case GV_RECORD_ADDRESS:
        if (gv_plant_is(GV_PLANT_ODD_ROWS))
            row[0] = 99;
        return len;
    default:
        return len;
    }
}

void __wrap_gv_effect_persist(struct gv_effects *effects, enum gv_row row, const void *key,
                              size_t key_len, const void *value, size_t value_len)
{
    uint8_t copy[ROW_MAX];

    if (row != GV_ROW_RECORD || value_len < 20 || value_len > sizeof copy) {
        __real_gv_effect_persist(effects, row, key, key_len, value, value_len);
        return;
    }
    memcpy(copy, value, value_len);
    __real_gv_effect_persist(effects, row, key, key_len, copy, spoil(copy, value_len));
}
