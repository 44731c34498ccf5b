/* Each planted bug is found by the checker that is for it, within a hundred seeds of the small
 * swarm, and nothing is found where nothing is planted: the checkers can fail, and do not cry wolf.
 * Prints who was found by which seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "sim/run.h"

#define SEEDS 100

static void halves_of(struct gv_sim_options *options)
{
    options->nodes = 5;
    options->hours = 1.5;
    options->faults.halves = 50;
}

static void losses_of(struct gv_sim_options *options)
{
    options->nodes = 5;
    options->hours = 2;
    options->known = false;
    options->faults =
        (struct gv_faults){.crashes = 5, .down_s = 60, .disks = 100, .jumps = 5, .jump_s = 3600};
}

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

    if (gv_plant_is_of_calm(plant)) {
        options.nodes = 16;
        options.hours = 0.5;
        options.known = true;
    } else if (gv_plant_is_of_halves(plant)) {
        halves_of(&options);
    } else if (gv_plant_is_of_losses(plant)) {
        losses_of(&options);
    } else {
        gv_faults_draw(&options.faults, seed);
    }
    gv_sim_run(&result, &options, plant != GV_PLANT_NONE);
    return result;
}

/* Another checker may stumble over it too: that does not show that these can fail. Each sentence
 * has its seed. Returns how many were never said. */
static unsigned look_for(enum gv_plant plant)
{
    struct gv_sim_result results[SEEDS];
    uint64_t played = 0;
    unsigned missed = 0;

    for (size_t i = 0; gv_plant_sentence(plant, i); i++) {
        const char *sentence = gv_plant_sentence(plant, i);
        uint64_t seed = 1;
        for (; seed <= SEEDS; seed++) {
            if (seed > played)
                results[played++] = play(plant, seed);
            if (gv_broken_has(&results[seed - 1].broken, sentence))
                break;
        }
        missed += seed > SEEDS;
        print_message("%-18s %s by seed %u: %s\n", gv_plant_name(plant),
                      seed > SEEDS ? "MISSED" : "found", (unsigned)(seed > SEEDS ? SEEDS : seed),
                      sentence);
    }
    return missed;
}

static void each_is_found_within_a_hundred_seeds(void **state)
{
    unsigned missed = 0;

    assert_true(gv_plant_wraps());
    for (enum gv_plant plant = GV_PLANT_NONE + 1; plant < GV_PLANT_COUNT; plant++) {
        assert_non_null(gv_plant_sentence(plant, 0));
        missed += look_for(plant);
    }
    assert_int_equal(missed, 0);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool is_claimed(const char *sentence, size_t len)
{
    for (enum gv_plant plant = GV_PLANT_NONE + 1; plant < GV_PLANT_COUNT; plant++)
        for (size_t i = 0; gv_plant_sentence(plant, i); i++)
            if (strlen(gv_plant_sentence(plant, i)) == len &&
                memcmp(gv_plant_sentence(plant, i), sentence, len) == 0)
                return true;
    return false;
}

/* Returns how many calls it has. */
static unsigned claims_of(const char *path, unsigned *unclaimed)
{
    static const char call[] = "gv_violation(checks, \"";
    struct gv_buf text;
    unsigned calls = 0;

    gv_buf_init(&text);
    assert_int_equal(gv_file_read(&text, path, 1 << 20, NULL), 0);
    gv_buf_append(&text, "", 1);
    for (const char *at = (const char *)text.data; (at = strstr(at, call)); calls++) {
        at += strlen(call);
        size_t len = strcspn(at, "\"");
        if (!is_claimed(at, len)) {
            print_message("no plant for: %.*s\n", (int)len, at);
            (*unclaimed)++;
        }
    }
    gv_buf_free(&text);
    return calls;
}

static void every_checker_has_a_planted_bug(void **state)
{
    unsigned calls = 0, unclaimed = 0;
    glob_t found;

    assert_int_equal(glob(GV_SOURCE_DIR "/sim/*.c", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        calls += claims_of(found.gl_pathv[i], &unclaimed);
    globfree(&found);
    assert_int_equal(unclaimed, 0);
    assert_true(calls > 40);
}

static void nothing_is_found_where_nothing_is_planted(void **state)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        assert_int_equal(play(GV_PLANT_NONE, seed).violations, 0);
    /* Nor in the weather of those that need a calm. */
    struct gv_sim_options calm = {.nodes = 16,
                                  .hours = 0.5,
                                  .seed = 1,
                                  .last_seed = 1,
                                  .sightings = 4,
                                  .known = true,
                                  .mb_per_hour = 1};
    struct gv_sim_result result;
    gv_sim_run(&result, &calm, false);
    assert_int_equal(result.violations, 0);
    /* Nor where there are halves. */
    for (calm.seed = 1; calm.seed <= 6; calm.seed++) {
        halves_of(&calm);
        gv_sim_run(&result, &calm, false);
        assert_int_equal(result.violations, 0);
    }
    /* Nor where databases are lost over and over. */
    for (calm.seed = 1; calm.seed <= 6; calm.seed++) {
        losses_of(&calm);
        gv_sim_run(&result, &calm, false);
        assert_int_equal(result.violations, 0);
    }
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
        cmocka_unit_test(every_checker_has_a_planted_bug),
        cmocka_unit_test(nothing_is_found_where_nothing_is_planted),
        cmocka_unit_test(each_is_found_within_a_hundred_seeds),
    };

    gv_assert(sodium_init() >= 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
