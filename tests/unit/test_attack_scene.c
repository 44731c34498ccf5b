/* The workload of the attack table is what trust.md's section on it says, and the same for the same
 * seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/actors/dice.h"
#include "sim/actors/scene.h"

static void test_dice_have_their_distributions(void **state)
{
    struct gv_dice dice;
    uint64_t exponential = 0, poisson = 0, long_lived = 0, more_than_ten = 0, runs = 0;
    const uint32_t n = 200000;

    gv_dice_seed(&dice, 7, 0);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t life = gv_dice_exponential(&dice, 10000);
        exponential += life;
        long_lived += life > 20000;
        more_than_ten += gv_dice_pareto(&dice, 1000) >= 10;
        runs += gv_dice_run(&dice, 50, 6);
    }
    for (uint32_t i = 0; i < 2000; i++)
        poisson += gv_dice_poisson(&dice, 12000);
    assert_in_range(exponential / n, 9900, 10100);
    assert_in_range(long_lived * 1000 / n, 132, 139);  /* e^-2 = .1353 */
    assert_in_range(more_than_ten * 1000 / n, 77, 82); /* 10^-1.1 = .0794 */
    assert_in_range(runs * 1000 / n, 1950, 1990);      /* 1 + 1/2 + ... + 1/32 */
    assert_in_range(poisson, 23500, 24500);
    assert_int_equal(gv_dice_pareto(&dice, 1), 1);
}

struct tally {
    size_t visits, logins, shared, mistyped, quiet, typos, unknown;
};

static struct tally count(const struct gv_scene *scene)
{
    struct tally t = {0};

    for (size_t i = 0; i < scene->moments.count; i++) {
        const struct gv_moment *m = &scene->moments.at[i];
        t.visits += m->kind == GV_MOMENT_VISIT;
        t.unknown += m->kind == GV_MOMENT_VISIT && m->flags & GV_MOMENT_UNKNOWN;
        t.logins += m->kind == GV_MOMENT_LOGIN && !(m->flags & GV_MOMENT_SHARED);
        t.shared += m->kind == GV_MOMENT_LOGIN && m->flags & GV_MOMENT_SHARED;
        t.mistyped += m->kind == GV_MOMENT_LOGIN && m->flags & GV_MOMENT_MISTYPED;
        t.quiet += m->kind == GV_MOMENT_QUIET;
        t.typos += m->kind == GV_MOMENT_TYPO;
        assert_true(m->at_s < scene->end_s);
        assert_true(m->node < scene->nodes && m->subject < scene->address_count);
        assert_true(i == 0 || scene->moments.at[i - 1].at_s <= m->at_s);
        if (m->kind == GV_MOMENT_LOGIN)
            assert_true(m->at_s >= scene->score_s);
    }
    return t;
}

static void test_numbers_are_those_of_the_workload(void **state)
{
    struct gv_scene_numbers numbers;
    struct gv_scene scene;

    gv_scene_standard(&numbers);
    gv_scene_open(&scene, &numbers, 200, 45, 3);
    struct tally t = count(&scene);
    /* 0.2 attackers a node and hour. */
    assert_in_range(scene.attackers, 200u * 45 * 24 / 5 * 97 / 100, 200u * 45 * 24 / 5 * 103 / 100);
    assert_in_range(t.unknown * 100 / t.visits, 69, 71);
    assert_in_range(t.mistyped * 1000 / (t.logins + t.shared), 27, 33);
    /* 50 providers, 30% of the nodes, two logins a day; 500 clients, three. 15 days. */
    assert_in_range(t.logins, 105000, 120000);
    assert_true(t.shared > t.logins / 50);
    assert_true(t.typos > 0 && t.quiet > 0);
    gv_scene_close(&scene);
}

/* Four attackers in five have one victim. */
static void test_most_attackers_visit_one_node(void **state)
{
    struct gv_scene_numbers numbers;
    struct gv_scene scene;
    size_t bots = 0, alone = 0;

    gv_scene_standard(&numbers);
    gv_scene_open(&scene, &numbers, 200, 9, 3);
    uint32_t *victim = calloc(scene.address_count, sizeof *victim);
    for (size_t i = 0; i < scene.moments.count; i++) {
        const struct gv_moment *m = &scene.moments.at[i];
        if (m->kind != GV_MOMENT_VISIT)
            continue;
        if (victim[m->subject] == 0)
            victim[m->subject] = m->node + 1u;
        else if (victim[m->subject] != m->node + 1u)
            victim[m->subject] = UINT32_MAX;
    }
    for (size_t i = 0; i < scene.address_count; i++) {
        bots += victim[i] != 0;
        alone += victim[i] != 0 && victim[i] != UINT32_MAX;
    }
    assert_in_range(alone * 100 / bots, 77, 86);
    free(victim);
    gv_scene_close(&scene);
}

static void test_subjects_are_public_and_distinct(void **state)
{
    struct gv_scene_numbers numbers;
    struct gv_scene scene;
    size_t ipv6 = 0;

    gv_scene_standard(&numbers);
    gv_scene_open(&scene, &numbers, 60, 9, 5);
    for (size_t i = 0; i < scene.address_count; i++) {
        assert_true(gv_subject_shareable(&scene.addresses[i].subject, false));
        ipv6 += scene.addresses[i].subject.family == GV_FAMILY_IPV6;
        for (size_t j = i + 1; j < scene.address_count; j++)
            if (scene.addresses[i].kind != GV_ADDRESS_SIBLING &&
                scene.addresses[j].kind != GV_ADDRESS_SIBLING)
                assert_false(
                    gv_subject_equal(&scene.addresses[i].subject, &scene.addresses[j].subject));
    }
    assert_in_range(ipv6 * 100 / scene.address_count, 15, 25);
    gv_scene_close(&scene);
}

static void test_the_seed_is_the_trace(void **state)
{
    struct gv_scene_numbers numbers;
    struct gv_scene one, same, other;

    gv_scene_standard(&numbers);
    gv_scene_open(&one, &numbers, 60, 9, 11);
    gv_scene_open(&same, &numbers, 60, 9, 11);
    gv_scene_open(&other, &numbers, 60, 9, 12);
    assert_int_equal(one.moments.count, same.moments.count);
    for (size_t i = 0; i < one.moments.count; i++) {
        assert_int_equal(one.moments.at[i].at_s, same.moments.at[i].at_s);
        assert_int_equal(one.moments.at[i].account, same.moments.at[i].account);
    }
    assert_true(one.moments.count != other.moments.count);
    gv_scene_close(&one);
    gv_scene_close(&same);
    gv_scene_close(&other);
}

static void test_every_number_can_be_set(void **state)
{
    struct gv_scene_numbers numbers;
    struct gv_scene scene;
    char line[160];
    size_t count_of = 0;

    gv_scene_standard(&numbers);
    assert_true(gv_scene_set(&numbers, "attackers_milli", 0));
    assert_true(gv_scene_set(&numbers, "mistype_permille", 1000));
    assert_false(gv_scene_set(&numbers, "mistype_permille", 1001));
    assert_false(gv_scene_set(&numbers, "no_such_number", 1));
    gv_scene_standard(&numbers);
    (void)gv_scene_set(&numbers, "attackers_milli", 0);
    (void)gv_scene_set(&numbers, "mistype_permille", 1000);
    gv_scene_open(&scene, &numbers, 60, 9, 1);
    struct tally t = count(&scene);
    assert_int_equal(t.visits, 0);
    assert_int_equal(t.mistyped, t.logins);
    gv_scene_close(&scene);
    while (gv_scene_help(count_of, line))
        count_of++;
    assert_int_equal(count_of, sizeof numbers / sizeof(uint32_t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dice_have_their_distributions),
        cmocka_unit_test(test_numbers_are_those_of_the_workload),
        cmocka_unit_test(test_most_attackers_visit_one_node),
        cmocka_unit_test(test_subjects_are_public_and_distinct),
        cmocka_unit_test(test_the_seed_is_the_trace),
        cmocka_unit_test(test_every_number_can_be_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
