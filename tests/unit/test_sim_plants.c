/* Each planted bug is found by the checker that is for it, within a hundred seeds of the small swarm,
 * and nothing is found where nothing is planted: the checkers can fail, and do not cry wolf. Prints who was found by which
 * seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/run.h"

#define SEEDS 100

static struct gv_sim_result play(enum gv_plant plant, uint64_t seed)
{
    struct gv_sim_options options = {.nodes = 7,
                                     .hours = 2,
                                     .seed = seed,
                                     .last_seed = seed,
                                     .sightings = 4,
                                     .plant = plant,
                                     .mb_per_hour = 1}; /* the swarm's */
    struct gv_sim_result result;

    gv_faults_draw(&options.faults, seed);
    gv_sim_run(&result, &options, plant != GV_PLANT_NONE);
    return result;
}

/* Another checker may stumble over it too: that does not show that this one can fail. */
static bool is_found(enum gv_plant plant, uint64_t seed)
{
    struct gv_sim_result result = play(plant, seed);

    return gv_broken_has(&result.broken, gv_plant_sentence(plant));
}

static void each_is_found_within_a_hundred_seeds(void **state)
{
    unsigned missed = 0;

    assert_true(gv_plant_wraps());
    for (enum gv_plant plant = GV_PLANT_NONE + 1; plant < GV_PLANT_COUNT; plant++) {
        uint64_t seed = 1;
        while (seed <= SEEDS && !is_found(plant, seed))
            seed++;
        if (seed > SEEDS)
            missed++;
        print_message("%-16s %s by seed %u: %s\n", gv_plant_name(plant),
                      seed > SEEDS ? "MISSED" : "found", (unsigned)(seed > SEEDS ? SEEDS : seed),
                      gv_plant_sentence(plant));
    }
    assert_int_equal(missed, 0);
}

static void nothing_is_found_where_nothing_is_planted(void **state)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        assert_int_equal(play(GV_PLANT_NONE, seed).violations, 0);
}

static void names_are_found_again(void **state)
{
    for (enum gv_plant plant = GV_PLANT_NONE; plant < GV_PLANT_COUNT; plant++) {
        assert_int_equal(gv_plant_find(gv_plant_name(plant)), plant);
        assert_true(strlen(gv_plant_what(plant)) > 10);
    }
    assert_int_equal(gv_plant_find("weeds"), GV_PLANT_COUNT);
    assert_true(GV_PLANT_COUNT > 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_again),
        cmocka_unit_test(nothing_is_found_where_nothing_is_planted),
        cmocka_unit_test(each_is_found_within_a_hundred_seeds),
    };

    gv_assert(sodium_init() >= 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
