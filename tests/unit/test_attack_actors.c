/* Each attacker does what it is said to do: ground truth of its plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/actors/plan.h"

#define HALF 500

static struct gv_scene scene;

static int open_scene(void **state)
{
    struct gv_scene_numbers numbers;

    (void)state;
    gv_scene_standard(&numbers);
    gv_scene_open(&scene, &numbers, 60, 30, 4);
    return 0;
}

static int close_scene(void **state)
{
    (void)state;
    gv_scene_close(&scene);
    return 0;
}

static void open_plan(struct gv_plan *plan, const char *attack, uint32_t share)
{
    struct gv_campaign campaign;

    assert_non_null(gv_attack_find(attack));
    gv_attack_campaign(&campaign, gv_attack_find(attack), &scene, share);
    gv_plan_open(plan, &scene, &campaign);
}

static size_t count_kind(const struct gv_plan *plan, enum gv_moment_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->moments.count; i++)
        count += plan->moments.at[i].kind == kind;
    return count;
}

static uint32_t age_of(const struct gv_member *member)
{
    return (scene.start_min + scene.score_s / 60 - member->since_min) / GV_DAY_MIN;
}

static enum gv_address_kind kind_of(const struct gv_plan *plan, uint32_t subject)
{
    return subject < scene.address_count ? scene.addresses[subject].kind
                                         : plan->addresses[subject - scene.address_count].kind;
}

static void test_a_share_is_of_all_owners(void **state)
{
    assert_int_equal(gv_attack_owners(600, 10), 6);
    assert_int_equal(gv_attack_owners(600, 100), 67);
    assert_int_equal(gv_attack_owners(600, 500), 600);
    assert_int_equal(gv_attack_owners(600, 0), 0);
}

static void test_nobody_does_nothing(void **state)
{
    struct gv_plan plan;

    open_plan(&plan, "none", HALF);
    assert_int_equal(plan.moments.count, 0);
    assert_int_equal(plan.member_count, 0);
    gv_plan_close(&plan);
}

/* Every target of every day is spoken of by every owner, within the quota. */
static void test_flood(void **state)
{
    struct gv_plan plan;
    uint32_t *said, hours = scene.days * 24;

    open_plan(&plan, "flood", HALF);
    assert_int_equal(plan.owners, 60);
    assert_int_equal(count_kind(&plan, GV_MOMENT_SAY), plan.moments.count);
    assert_int_equal(plan.moments.count, 550u * 60 * scene.scored_days);
    said = calloc((size_t)plan.member_count * hours, sizeof *said);
    for (size_t i = 0; i < plan.moments.count; i++) {
        const struct gv_moment *m = &plan.moments.at[i];
        enum gv_address_kind kind = kind_of(&plan, m->subject);
        assert_true(kind == GV_ADDRESS_PROVIDER || kind == GV_ADDRESS_CLIENT);
        assert_true(m->at_s >= scene.score_s);
        assert_in_range(++said[(m->node - scene.nodes) * hours + m->at_s / 3600], 1, 32);
    }
    for (uint32_t i = 0; i < plan.member_count; i++)
        assert_int_equal(age_of(&plan.members[i]), 31);
    free(said);
    gv_plan_close(&plan);
}

static void test_identities(void **state)
{
    struct gv_plan plan;

    open_plan(&plan, "one-owner", HALF);
    assert_int_equal(plan.owners, 1);
    assert_int_equal(plan.member_count, 60);
    for (uint32_t i = 1; i < plan.member_count; i++)
        assert_int_equal(plan.members[i].owner, plan.members[0].owner);
    assert_true(plan.members[1].group != plan.members[0].group);
    gv_plan_close(&plan);

    open_plan(&plan, "one-group", HALF);
    for (uint32_t i = 1; i < plan.member_count; i++) {
        assert_int_equal(plan.members[i].group, plan.members[0].group);
        assert_true(plan.members[i].owner != plan.members[0].owner);
    }
    gv_plan_close(&plan);

    open_plan(&plan, "registry-fresh", HALF);
    assert_int_equal(plan.owners, 1000);
    assert_int_equal(age_of(&plan.members[999]), 0);
    gv_plan_close(&plan);

    open_plan(&plan, "registry-aged", 0);
    assert_int_equal(age_of(&plan.members[999]), 30);
    gv_plan_close(&plan);
}

/* New identities every five days; nobody speaks before he is registered. */
static void test_whitewash(void **state)
{
    struct gv_plan plan;

    open_plan(&plan, "whitewash", HALF);
    assert_int_equal(plan.owners, 60u * ((scene.scored_days + 4) / 5));
    for (size_t i = 0; i < plan.moments.count; i++) {
        const struct gv_moment *m = &plan.moments.at[i];
        uint32_t since = plan.members[m->node - scene.nodes].since_min;
        uint32_t at = scene.start_min + m->at_s / 60;
        assert_true(at >= since && at < since + 5 * GV_DAY_MIN + 60);
    }
    gv_plan_close(&plan);
}

static void test_oscillate(void **state)
{
    struct gv_plan plan;

    open_plan(&plan, "oscillate", HALF);
    assert_true(plan.moments.count > 0);
    for (size_t i = 0; i < plan.moments.count; i++)
        assert_true((plan.moments.at[i].at_s - scene.score_s) / GV_SCENE_DAY_S % 7 < 2);
    gv_plan_close(&plan);
}

static void test_badmouth(void **state)
{
    struct gv_plan plan;

    open_plan(&plan, "bad-mouth", HALF);
    for (size_t i = 0; i < plan.moments.count; i++)
        assert_int_equal(kind_of(&plan, plan.moments.at[i].subject), GV_ADDRESS_CLIENT);
    gv_plan_close(&plan);
}

/* Real guesses, from addresses that users share, at nodes that are honest. */
static void test_framing(void **state)
{
    struct gv_plan plan;

    open_plan(&plan, "framing", 0);
    assert_int_equal(plan.member_count, 0);
    assert_int_equal(plan.addresses_used, 10);
    assert_true(count_kind(&plan, GV_MOMENT_VISIT) == plan.moments.count);
    for (size_t i = 0; i < plan.moments.count; i++) {
        assert_true(plan.moments.at[i].subject < 10);
        assert_int_equal(plan.moments.at[i].n, 3);
        assert_true(plan.moments.at[i].node < scene.nodes);
    }
    gv_plan_close(&plan);
    open_plan(&plan, "framing+flood", HALF);
    assert_true(count_kind(&plan, GV_MOMENT_VISIT) > 0 && count_kind(&plan, GV_MOMENT_SAY) > 0);
    gv_plan_close(&plan);
    struct gv_scene_numbers standard = scene.numbers;
    assert_true(gv_scene_set(&scene.numbers, "footholds", 4));
    assert_true(gv_scene_set(&scene.numbers, "foothold_nodes", 70));
    open_plan(&plan, "framing", 0);
    scene.numbers = standard;
    assert_int_equal(plan.addresses_used, 4);
    assert_in_range(count_kind(&plan, GV_MOMENT_VISIT), 4 * 70 * scene.scored_days,
                    4 * (70 + scene.pretrusted) * scene.scored_days);
    gv_plan_close(&plan);
}

/* Each burnt address is first reported by its owner, then visits honest nodes. */
static void test_burn(void **state)
{
    struct gv_plan plan;
    size_t told = 0;

    open_plan(&plan, "burn", 100);
    assert_int_equal(plan.addresses_used, 5 * plan.owners);
    uint32_t *said_s = calloc(plan.address_count, sizeof *said_s);
    for (size_t i = 0; i < plan.moments.count; i++) {
        const struct gv_moment *m = &plan.moments.at[i];
        if (kind_of(&plan, m->subject) != GV_ADDRESS_BURNT)
            continue;
        uint32_t *at_s = &said_s[m->subject - scene.address_count];
        if (m->kind == GV_MOMENT_SAY) {
            *at_s = m->at_s + 1;
            told++;
        } else {
            assert_true(*at_s > 0 && m->at_s > *at_s);
        }
    }
    assert_int_equal(told, plan.address_count);
    free(said_s);
    gv_plan_close(&plan);
}

static void test_spray(void **state)
{
    struct gv_plan plan;

    open_plan(&plan, "spray", 0);
    assert_int_equal(plan.address_count, 4 * scene.nodes);
    for (size_t i = 0; i < plan.moments.count; i++)
        assert_int_equal(plan.moments.at[i].n, 1);
    assert_in_range(plan.moments.count, 4 * scene.nodes * 9, 4 * scene.nodes * 10);
    gv_plan_close(&plan);
}

/* What is said of own machines is taken back, by the same, two minutes later. */
static void test_fill(void **state)
{
    struct gv_plan plan;

    open_plan(&plan, "fill", HALF);
    size_t said = count_kind(&plan, GV_MOMENT_SAY);
    assert_true(said > 0);
    assert_in_range(count_kind(&plan, GV_MOMENT_RETRACT), said - 16, said);
    for (size_t i = 0; i < plan.moments.count; i++)
        assert_true(scene.addresses[plan.moments.at[i].subject].guarded);
    gv_plan_close(&plan);
}

static void test_back_dating_and_contradiction(void **state)
{
    struct gv_plan plan;

    open_plan(&plan, "replay", HALF);
    assert_true(count_kind(&plan, GV_MOMENT_REPEAT) > 0);
    for (size_t i = 0; i < plan.moments.count; i++)
        if (plan.moments.at[i].kind == GV_MOMENT_SAY)
            assert_int_equal(plan.moments.at[i].account, 20 * 60);
    gv_plan_close(&plan);
    open_plan(&plan, "equivocate", HALF);
    for (size_t i = 0; i < plan.moments.count; i++)
        assert_true(plan.moments.at[i].flags & GV_MOMENT_TWICE);
    gv_plan_close(&plan);
    open_plan(&plan, "keepers", HALF);
    assert_true(plan.campaign.leaks && plan.campaign.suppresses);
    gv_plan_close(&plan);
    open_plan(&plan, "protect", HALF);
    assert_true(plan.campaign.echoes && plan.moments.count == 0 && plan.member_count == 60);
    gv_plan_close(&plan);
}

/* Ten nodes, six hours, forty users each, at least every twenty minutes. */
static void test_broken(void **state)
{
    struct gv_plan plan;
    uint32_t first_s = UINT32_MAX, last_s = 0;
    bool broken[60] = {false};
    size_t nodes = 0;

    open_plan(&plan, "broken", 0);
    for (size_t i = 0; i < plan.moments.count; i++) {
        const struct gv_moment *m = &plan.moments.at[i];
        if (m->kind != GV_MOMENT_BROKEN)
            continue;
        first_s = m->at_s < first_s ? m->at_s : first_s;
        last_s = m->at_s > last_s ? m->at_s : last_s;
        broken[m->node] = true;
    }
    for (size_t i = 0; i < 60; i++)
        nodes += broken[i];
    assert_in_range(nodes, 7, 10); /* one may be drawn twice */
    assert_in_range(last_s - first_s, 5 * 3600, 6 * 3600);
    assert_in_range(count_kind(&plan, GV_MOMENT_BROKEN), 400 * 18, 400 * 52);
    gv_plan_close(&plan);
}

/* What an attack does follows from the seed alone, for every one there is. */
static void test_plans_repeat(void **state)
{
    for (size_t a = 0; a < gv_attack_count; a++) {
        struct gv_plan one, same;
        open_plan(&one, gv_attacks[a].name, 100);
        open_plan(&same, gv_attacks[a].name, 100);
        assert_int_equal(one.moments.count, same.moments.count);
        for (size_t i = 0; i < one.moments.count; i++)
            assert_memory_equal(&one.moments.at[i].subject, &same.moments.at[i].subject, 4);
        gv_plan_close(&one);
        gv_plan_close(&same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_share_is_of_all_owners),
        cmocka_unit_test(test_nobody_does_nothing),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_whitewash),
        cmocka_unit_test(test_oscillate),
        cmocka_unit_test(test_badmouth),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_burn),
        cmocka_unit_test(test_spray),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_back_dating_and_contradiction),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_plans_repeat),
    };
    return cmocka_run_group_tests(tests, open_scene, close_scene);
}
