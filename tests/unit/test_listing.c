/* The index of what is listed, against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/drbg.h"
#include "crypto/error.h"
#include "node/serve/listing.h"

#define SUBJECTS 6000u

/* Every other one is an IPv6 /64. */
static struct gv_subject subject(uint32_t number)
{
    const uint8_t low[3] = {(uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    const uint8_t v4[4] = {10, low[0], low[1], low[2]};
    const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, 10, low[0], low[1], low[2]};
    struct gv_subject out;

    assert_int_equal(number % 2 ? gv_subject_from_address(&out, v6, sizeof v6)
                                : gv_subject_from_address(&out, v4, sizeof v4),
                     GV_OK);
    return out;
}

static uint32_t number_of(const struct gv_subject *one)
{
    const uint8_t *low = one->bytes + (one->family == GV_FAMILY_IPV6 ? 5 : 1);

    return (uint32_t)low[0] << 16 | (uint32_t)low[1] << 8 | low[2];
}

static void compare(const struct gv_listing *listing, const uint8_t *model)
{
    size_t cursor = 0, count = 0, seen = 0;
    struct gv_subject one;
    unsigned bits;

    for (uint32_t i = 0; i < SUBJECTS; i++) {
        one = subject(i);
        assert_int_equal(gv_listing_get(listing, &one), model[i]);
        count += model[i] != 0;
    }
    while (gv_listing_next(listing, &cursor, &one, &bits)) {
        struct gv_subject same = subject(number_of(&one));
        assert_true(gv_subject_equal(&one, &same));
        assert_int_equal(bits, model[number_of(&one)]);
        seen++;
    }
    assert_int_equal(seen, count);
    assert_int_equal(gv_listing_count(listing), count);
}

/* Fills, churns and empties: at every stage it holds what was put in, no more and no less. */
static void holds_what_was_set(void **state)
{
    const uint8_t key[16] = {3}, seed[GV_SEED_LEN] = {4};
    const unsigned odds[] = {10, 50, 90, 100}; /* of a removal, in per cent, stage by stage */
    uint8_t model[SUBJECTS] = {0};
    struct gv_listing *listing = gv_listing_new(key);
    struct gv_drbg drbg;
    uint64_t changes = 0;

    assert_non_null(listing);
    gv_drbg_init(&drbg, seed);
    for (size_t stage = 0; stage < 4; stage++) {
        for (int i = 0; i < 20000; i++) {
            uint32_t number = (uint32_t)gv_drbg_below(&drbg, SUBJECTS);
            unsigned bits = 1 + (unsigned)gv_drbg_below(&drbg, 3);
            struct gv_subject one = subject(number);
            if (gv_drbg_below(&drbg, 100) < odds[stage])
                bits = 0;
            changes += model[number] != bits;
            model[number] = (uint8_t)bits;
            assert_int_equal(gv_listing_set(listing, &one, bits), GV_OK);
        }
        compare(listing, model);
        assert_int_equal(gv_listing_serial(listing), changes);
    }
    gv_listing_free(listing);
}

/* Of the smallest table, nearly full: searches go over its end and begin again. */
static void goes_round(void **state)
{
    for (uint8_t round = 0; round < 100; round++) {
        const uint8_t key[16] = {round}, seed[GV_SEED_LEN] = {round, 1};
        uint8_t model[SUBJECTS] = {0};
        struct gv_listing *listing = gv_listing_new(key);
        struct gv_drbg drbg;

        assert_non_null(listing);
        gv_drbg_init(&drbg, seed);
        for (int i = 0; i < 2000; i++) {
            uint32_t number = (uint32_t)gv_drbg_below(&drbg, 280);
            struct gv_subject one = subject(number);
            model[number] = gv_drbg_below(&drbg, 100) < 80;
            assert_int_equal(gv_listing_set(listing, &one, model[number]), GV_OK);
        }
        compare(listing, model);
        gv_listing_free(listing);
    }
}

/* 60 bytes an entry at most, from the point on where the smallest table is left behind; and what
 * was large does not stay so. */
static void is_small(void **state)
{
    const uint8_t key[16] = {5};
    struct gv_listing *listing = gv_listing_new(key);
    struct gv_subject one;

    assert_non_null(listing);
    for (uint32_t i = 0; i < 100000; i++) {
        one = subject(i);
        assert_int_equal(gv_listing_set(listing, &one, 1), GV_OK);
        if (i >= 1000)
            assert_true(gv_listing_bytes(listing) <= 60 * gv_listing_count(listing));
    }
    for (uint32_t i = 0; i < 100000; i++) {
        one = subject(i);
        assert_int_equal(gv_listing_set(listing, &one, 0), GV_OK);
    }
    assert_int_equal(gv_listing_count(listing), 0);
    assert_true(gv_listing_bytes(listing) < 100000);
    gv_listing_free(listing);
    gv_listing_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_set),
        cmocka_unit_test(goes_round),
        cmocka_unit_test(is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
