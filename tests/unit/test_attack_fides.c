/* Fides' published case first (results.md of its repository, scenario with 25% pre-trusted peers,
 * the hardest environment): eight peers, two of them pretrusted and right, six that are right for
 * 50 clicks and lie from then on, two targets, 200 clicks, a history of 100. Judged by distance
 * from the aggregate, with the average aggregation, it classifies both targets rightly whatever the
 * initial reputation; judged by threshold it does not. So the rival is implemented fairly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/actors/dice.h"
#include "sim/rivals/fides_model.h"

#define ONE        GV_FIDES_ONE
#define PEERS      8u
#define PRETRUSTED 2u
#define CLICKS     200u
#define LIE_FROM   50u
#define FIXED      (ONE * 95 / 100)

enum strategy { DISTANCE, THRESHOLD };

/* A normal deviate: twelve uniforms, as the central limit has it. */
static int32_t normal(struct gv_dice *dice, int32_t mean, int32_t deviation)
{
    int64_t sum = 0;

    for (int i = 0; i < 12; i++)
        sum += gv_dice_below(dice, ONE);
    return mean + (int32_t)((sum - 6 * (int64_t)ONE) * deviation / ONE);
}

static int32_t bound(int32_t value, int32_t low)
{
    return value < low ? low : value > ONE ? ONE : value;
}

/* Returns the mean distance of the two final scores from the truth: below 1 is right. */
static int64_t published_case(enum strategy strategy, uint32_t reputation, uint64_t seed,
                              uint32_t trust_of_liars[1])
{
    struct gv_fides_peer peers[PEERS] = {{0, 0, 0}};
    struct gv_fides_word words[PEERS], all;
    struct gv_dice dice;
    int64_t distance = 0;

    gv_dice_seed(&dice, seed, 0);
    for (uint32_t click = 0; click < CLICKS; click++)
        for (int target = 0; target < 2; target++) {
            int32_t truth = target == 0 ? ONE : -ONE;
            for (uint32_t i = 0; i < PEERS; i++) {
                int32_t sign = i >= PRETRUSTED && click >= LIE_FROM ? -1 : 1;
                int32_t score = bound(normal(&dice, ONE * 9 / 10, ONE / 10), -ONE);
                words[i].score = truth > 0 ? sign * score : -sign * score;
                words[i].confidence = (uint32_t)bound(normal(&dice, ONE * 9 / 10, ONE / 10), 0);
                words[i].trust = i < PRETRUSTED ? FIXED : gv_fides_trust(&peers[i], reputation);
            }
            gv_fides_aggregate(&all, words, PEERS);
            bool even = strategy == THRESHOLD && all.confidence < ONE / 2;
            for (uint32_t i = 0; i < PEERS; i++)
                gv_fides_add(&peers[i], even ? ONE : gv_fides_distance(&words[i], &all));
            if (click == CLICKS - 1)
                distance += truth > all.score ? truth - all.score : all.score - truth;
        }
    *trust_of_liars = gv_fides_trust(&peers[PEERS - 1], reputation);
    return distance / 2;
}

static void test_published_case_of_eight_peers_by_distance(void **state)
{
    const uint32_t reputations[] = {0, ONE / 2, ONE * 95 / 100};
    uint32_t trust;

    for (size_t r = 0; r < 3; r++)
        for (uint64_t seed = 1; seed <= 20; seed++)
            assert_true(published_case(DISTANCE, reputations[r], seed, &trust) < ONE);
}

static void test_published_case_of_eight_peers_by_threshold(void **state)
{
    uint32_t trust;
    int wrong = 0;

    for (uint64_t seed = 1; seed <= 20; seed++)
        wrong += published_case(THRESHOLD, ONE * 95 / 100, seed, &trust) > ONE;
    assert_int_equal(wrong, 20);
    assert_true(trust > ONE / 3); /* liars that it still trusts */
}

static void test_trust_is_of_own_experience(void **state)
{
    struct gv_fides_peer good = {0, 0, 0}, bad = {0, 0, 0};

    assert_int_equal(gv_fides_trust(&good, 1000), 1000); /* nothing known: reputation */
    for (int i = 0; i < 300; i++) {
        gv_fides_add(&good, ONE);
        gv_fides_add(&bad, 0);
    }
    assert_true(gv_fides_trust(&good, 0) > ONE * 98 / 100);
    assert_int_equal(gv_fides_trust(&bad, ONE), 0);
    /* One that wavers is trusted less than one of the same mean that does not. */
    struct gv_fides_peer even = {0, 0, 0}, wavers = {0, 0, 0};
    for (int i = 0; i < 100; i++) {
        gv_fides_add(&even, ONE / 2);
        gv_fides_add(&wavers, i % 2 ? ONE : 0);
    }
    assert_in_range(gv_fides_trust(&even, 0), ONE * 49 / 100, ONE * 51 / 100);
    assert_in_range(gv_fides_trust(&wavers, 0), ONE * 24 / 100, ONE * 26 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_case_of_eight_peers_by_distance),
        cmocka_unit_test(test_published_case_of_eight_peers_by_threshold),
        cmocka_unit_test(test_trust_is_of_own_experience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
