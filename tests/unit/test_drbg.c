/* The generator: RFC 8439's key stream, forward secrecy, and an even spread. */
#include "crypto/drbg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "helper_vectors.h"

static const uint8_t zero_seed[GV_SEED_LEN];

/* RFC 8439, appendix A.1, vectors 1 and 2: key and nonce zero, blocks 0 and 1. The first 32 bytes
 * become the next key, the output starts behind them. */
static void the_stream_is_chacha20_behind_the_next_key(void **state)
{
    struct gv_drbg drbg;
    uint8_t out[96];

    gv_drbg_init(&drbg, zero_seed);
    gv_drbg_fill(&drbg, out, sizeof out);
    vectors_assert_hex(drbg.key, sizeof drbg.key,
                       "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7");
    vectors_assert_hex(out, sizeof out,
                       "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
                       "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
                       "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f");
}

/* Whatever the length, the same seed gives the beginning of the same stream and the same key. */
static void every_length_is_a_beginning_of_the_same_stream(void **state)
{
    uint8_t longest[200], out[201];
    struct gv_drbg whole, part;

    gv_drbg_init(&whole, zero_seed);
    gv_drbg_fill(&whole, longest, sizeof longest);
    for (size_t len = 0; len <= sizeof longest; len++) {
        memset(out, 0xee, sizeof out);
        gv_drbg_init(&part, zero_seed);
        gv_drbg_fill(&part, out, len);
        assert_memory_equal(out, longest, len);
        assert_int_equal(out[len], 0xee);
        assert_memory_equal(part.key, whole.key, sizeof part.key);
    }
    gv_drbg_init(&part, zero_seed);
    gv_drbg_fill(&part, NULL, 0);
    assert_memory_equal(part.key, whole.key, sizeof part.key);
}

/* After a fill the state is that of a fresh generator seeded with the next key: nothing is left in
 * it from which the fill could be computed. */
static void a_fill_leaves_only_the_next_key(void **state)
{
    struct gv_drbg drbg, fresh;
    uint8_t first[40], second[40], again[40];

    gv_drbg_init(&drbg, zero_seed);
    gv_drbg_fill(&drbg, first, sizeof first);
    gv_drbg_init(&fresh, drbg.key);
    gv_drbg_fill(&drbg, second, sizeof second);
    gv_drbg_fill(&fresh, again, sizeof again);
    assert_memory_equal(second, again, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
}

static void numbers_are_big_endian_draws(void **state)
{
    struct gv_drbg drbg;

    gv_drbg_init(&drbg, zero_seed);
    assert_true(gv_drbg_u64(&drbg) == UINT64_C(0xda41597c5157488d));
}

static void below_stays_below(void **state)
{
    static const uint64_t bounds[] = {
        1, 2, 3, 10, 255, 256, UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1, UINT64_MAX};
    struct gv_drbg drbg;

    gv_drbg_init(&drbg, zero_seed);
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        for (int n = 0; n < 200; n++)
            assert_true(gv_drbg_below(&drbg, bounds[i]) < bounds[i]);
}

/* With 3 * 2^62 as bound, a plain modulo would give the lowest third twice as often as the others:
 * 6000 of 12000 instead of 4000. The standard deviation is 52; 300 away would be 5.8 of them, and
 * the seed is fixed, so this either always passes or never. */
static void below_has_no_modulo_bias(void **state)
{
    const uint64_t third = UINT64_C(1) << 62;
    unsigned counts[3] = {0};
    struct gv_drbg drbg;

    gv_drbg_init(&drbg, zero_seed);
    for (int n = 0; n < 12000; n++)
        counts[gv_drbg_below(&drbg, 3 * third) / third]++;
    for (int i = 0; i < 3; i++)
        assert_in_range(counts[i], 3700, 4300);
}

static void wiped_is_zero(void **state)
{
    uint8_t seed[GV_SEED_LEN];
    struct gv_drbg drbg;

    memset(seed, 1, sizeof seed);
    gv_drbg_init(&drbg, seed);
    gv_drbg_wipe(&drbg);
    assert_memory_equal(drbg.key, zero_seed, sizeof drbg.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_is_chacha20_behind_the_next_key),
        cmocka_unit_test(every_length_is_a_beginning_of_the_same_stream),
        cmocka_unit_test(a_fill_leaves_only_the_next_key),
        cmocka_unit_test(numbers_are_big_endian_draws),
        cmocka_unit_test(below_stays_below),
        cmocka_unit_test(below_has_no_modulo_bias),
        cmocka_unit_test(wiped_is_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
