/* How far simulated nodes are from each other (SPEC 17.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/latency.h"
#include "sim/run.h"

#define MEMBERS  200u
#define NETWORKS 8u

static uint16_t table[MEMBERS * (MEMBERS - 1) / 2], again[MEMBERS * (MEMBERS - 1) / 2];
static uint16_t network_of[MEMBERS], network_again[MEMBERS];

static uint32_t way(size_t a, size_t b)
{
    return table[gv_latency_place(MEMBERS, a, b)];
}

static void draw(uint16_t *out, uint16_t *networks, uint8_t number)
{
    uint8_t seed[GV_SEED_LEN] = {number};
    struct gv_drbg drbg;

    gv_drbg_init(&drbg, seed);
    gv_latency_networks(out, networks, MEMBERS, NETWORKS, &drbg);
}

static void each_pair_has_a_place_of_its_own(void **state)
{
    size_t next = 0;

    for (size_t a = 0; a < MEMBERS; a++)
        for (size_t b = a + 1; b < MEMBERS; b++, next++) {
            assert_int_equal(gv_latency_place(MEMBERS, a, b), next);
            assert_int_equal(gv_latency_place(MEMBERS, b, a), next);
        }
    assert_int_equal(next, sizeof table / sizeof *table);
}

static void near_is_near_and_far_is_far(void **state)
{
    uint32_t far_least = UINT32_MAX, far_most = 0;
    unsigned near_pairs = 0;

    draw(table, network_of, 1);
    for (size_t a = 0; a < MEMBERS; a++)
        for (size_t b = 0; b < MEMBERS; b++) {
            uint32_t ms = a == b ? 0 : way(a, b);
            if (a == b)
                continue;
            assert_int_equal(ms, way(b, a));
            if (network_of[a] == network_of[b]) {
                near_pairs++;
                assert_in_range(ms, 1, GV_LATENCY_NEAR_MS);
                continue;
            }
            assert_in_range(ms, GV_LATENCY_NEAR_MS + 1, GV_LATENCY_FAR_MS);
            far_least = ms < far_least ? ms : far_least;
            far_most = ms > far_most ? ms : far_most;
        }
    assert_true(near_pairs > MEMBERS); /* an eighth of 39,800 */
    assert_true(far_most > 2 * far_least);
}

/* Two members of one network are as far from a third as the map says, but for the way and the ends.
 */
static void who_is_near_each_other_is_as_far_from_others(void **state)
{
    draw(table, network_of, 2);
    for (size_t a = 0; a < MEMBERS; a++)
        for (size_t b = a + 1; b < MEMBERS; b++)
            for (size_t c = 0; network_of[a] == network_of[b] && c < MEMBERS; c++) {
                if (network_of[c] == network_of[a])
                    continue;
                uint32_t one = way(a, c), two = way(b, c);
                assert_true(one <= two + two / 4 + 4 && two <= one + one / 4 + 4);
            }
}

static void the_seed_draws_it(void **state)
{
    draw(table, network_of, 3);
    draw(again, network_again, 3);
    assert_memory_equal(table, again, sizeof table);
    assert_memory_equal(network_of, network_again, sizeof network_of);
    draw(again, network_again, 4);
    assert_memory_not_equal(table, again, sizeof table);
}

static void hash_of(char out[17], size_t networks)
{
    struct gv_sim_options options = {
        .nodes = 6, .hours = 0.1, .seed = 9, .sightings = 20, .networks = networks};
    struct gv_sim_result result;

    gv_sim_run(&result, &options, true);
    assert_int_equal(result.violations, 0);
    memcpy(out, result.trace_hash, 17);
}

static void a_run_takes_it_from_the_model(void **state)
{
    char without[17], with[17], repeated[17];

    hash_of(without, 0);
    hash_of(with, 3);
    hash_of(repeated, 3);
    assert_string_equal(with, repeated);
    assert_string_not_equal(with, without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pair_has_a_place_of_its_own),
        cmocka_unit_test(near_is_near_and_far_is_far),
        cmocka_unit_test(who_is_near_each_other_is_as_far_from_others),
        cmocka_unit_test(the_seed_draws_it),
        cmocka_unit_test(a_run_takes_it_from_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
