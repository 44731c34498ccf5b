/* The counters of what a node moves, and the bucket that holds it under the cap (SPEC 9.9, 13.2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "crypto/drbg.h"
#include "proto/limits.h"
#include "proto/mesh/traffic.h"
#include "sim/world.h"

#define HOUR_MS 3600000u

static uint64_t moved(const struct gv_traffic *traffic, size_t slots)
{
    struct gv_traffic_sum sum;

    gv_traffic_recent(traffic, &sum, slots);
    return gv_traffic_under_cap(&sum);
}

static void the_least_valuable_waits_first(void **state)
{
    struct gv_traffic traffic;

    gv_traffic_init(&traffic, 1000000, 0);
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_ROSTER));
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, true, 124999);
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_ROSTER));
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, true, 1); /* three eighths are left */
    assert_false(gv_traffic_allows(&traffic, GV_WORTH_ROSTER));
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_REPAIR));
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, false, 25000);
    assert_false(gv_traffic_allows(&traffic, GV_WORTH_REPAIR));
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_NEWS));
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, true, 50000);
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_NEWS));  /* the reserve is for it alone */
    gv_traffic_count(&traffic, GV_CAUSE_REPAIR, true, 50000); /* which nothing else takes from */
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, true, 39999);
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_NEWS));
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, true, 1);
    assert_false(gv_traffic_allows(&traffic, GV_WORTH_NEWS));
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_OWN));
    assert_false(gv_traffic_overdrawn(&traffic));
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, false, 50001);
    assert_true(gv_traffic_overdrawn(&traffic));
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_OWN));
    assert_int_equal(traffic.deferred[GV_WORTH_OWN], 0);
    assert_int_equal(traffic.deferred[GV_WORTH_NEWS], 1);
    assert_int_equal(traffic.deferred[GV_WORTH_REPAIR], 1);
    assert_int_equal(traffic.deferred[GV_WORTH_ROSTER], 1);
}

static void a_join_costs_no_token_and_is_shown(void **state)
{
    struct gv_traffic traffic;

    gv_traffic_init(&traffic, 1000000, 0);
    gv_traffic_count(&traffic, GV_CAUSE_JOIN, false, 5000000);
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_ROSTER));
    assert_int_equal(moved(&traffic, GV_TRAFFIC_SLOTS), 0);
    assert_int_equal(traffic.total.in[GV_CAUSE_JOIN], 5000000);
}

/* What others force upon a node must not keep the news waiting. */
static void excess_costs_no_token_and_is_shown(void **state)
{
    struct gv_traffic traffic;

    gv_traffic_init(&traffic, 1000000, 0);
    assert_int_equal(gv_traffic_share(&traffic), 16666);
    gv_traffic_count(&traffic, GV_CAUSE_EXCESS, false, 5000000);
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_ROSTER));
    assert_false(gv_traffic_overdrawn(&traffic));
    assert_int_equal(moved(&traffic, GV_TRAFFIC_SLOTS), 0);
    assert_int_equal(traffic.total.in[GV_CAUSE_EXCESS], 5000000);
}

static void hours_and_days_pass(void **state)
{
    struct gv_traffic traffic;

    gv_traffic_init(&traffic, 1000000, 7 * HOUR_MS);
    gv_traffic_count(&traffic, GV_CAUSE_REPAIR, true, 1000);
    gv_traffic_tick(&traffic, 7 * HOUR_MS + 3000000);
    assert_int_equal(moved(&traffic, GV_TRAFFIC_HOUR), 1000);
    gv_traffic_tick(&traffic, 8 * HOUR_MS);
    assert_int_equal(moved(&traffic, GV_TRAFFIC_HOUR), 0);
    assert_int_equal(moved(&traffic, GV_TRAFFIC_SLOTS), 1000);
    assert_int_equal(traffic.most, 1000);
    gv_traffic_tick(&traffic, 31 * HOUR_MS);
    assert_int_equal(moved(&traffic, GV_TRAFFIC_SLOTS), 0);
    gv_traffic_tick(&traffic, UINT64_MAX / 2); /* a long sleep */
    assert_int_equal(moved(&traffic, GV_TRAFFIC_SLOTS), 0);
    assert_int_equal(traffic.total.out[GV_CAUSE_REPAIR], 1000);
}

/* After a haul repair takes the bucket's last and half of the reserve, and the rest stays news'. */
static void repair_takes_half_of_the_reserve_and_pays_for_it(void **state)
{
    struct gv_traffic traffic;
    uint64_t sent = 0;

    gv_traffic_init(&traffic, 1000000, 0);
    traffic.tokens = 0;
    assert_false(gv_traffic_allows_shared(&traffic));
    gv_traffic_share_reserve(&traffic, GV_HAUL_FOR_MS);
    for (; sent < 1000000 && gv_traffic_allows_shared(&traffic); sent += 1000)
        gv_traffic_count(&traffic, GV_CAUSE_REPAIR, true, 1000);
    assert_int_equal(sent, 20000);
    assert_int_equal(traffic.reserve, 20000);
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_NEWS));
    traffic.tokens = 1;
    assert_true(gv_traffic_allows_shared(&traffic));
    gv_traffic_tick(&traffic, GV_HAUL_FOR_MS);
    assert_false(gv_traffic_allows_shared(&traffic));
}

/* What a full bucket lets by is for what follows a haul, and comes off the hour's rest. */
static void savings_pay_for_a_haul(void **state)
{
    struct gv_traffic traffic;
    uint64_t sent = 0;

    gv_traffic_init(&traffic, 1000000, 0);
    assert_int_equal(traffic.saved, 0);
    gv_traffic_tick(&traffic, HOUR_MS / 7); /* a node that has just begun has saved little */
    assert_in_range(traffic.saved, 99999, 100000);
    gv_traffic_tick(&traffic, 2 * HOUR_MS);
    assert_int_equal(traffic.saved, 300000);
    gv_traffic_count(&traffic, GV_CAUSE_REPAIR, true, 50000); /* no haul: as ever */
    assert_int_equal(traffic.tokens, 150000);
    gv_traffic_share_reserve(&traffic, 2 * HOUR_MS + GV_HAUL_FOR_MS);
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, true, 50000);
    for (; sent < 300000; sent += 10000)
        gv_traffic_count(&traffic, GV_CAUSE_REPAIR, sent % 20000 == 0, 10000);
    assert_int_equal(traffic.saved, 0);
    assert_int_equal(traffic.tokens, 100000);
    gv_traffic_count(&traffic, GV_CAUSE_REPAIR, true, 10000);
    assert_int_equal(traffic.tokens, 90000);
    /* 900 kB of the hour are used up: the bucket stays closed until it is over. */
    gv_traffic_tick(&traffic, 2 * HOUR_MS + HOUR_MS / 2);
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, false, 490000);
    gv_traffic_tick(&traffic, 3 * HOUR_MS - 1);
    assert_int_equal(traffic.tokens, 0);
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_NEWS)); /* but for the reserve */
    gv_traffic_tick(&traffic, 3 * HOUR_MS + 2 * GV_TRAFFIC_SLOT_MS);
    assert_true(traffic.tokens > 100000);
}

/* Who moved much lately takes none of them: his hour is full. */
static void savings_wait_for_a_quieter_hour(void **state)
{
    struct gv_traffic traffic;

    gv_traffic_init(&traffic, 1000000, 0);
    gv_traffic_tick(&traffic, 2 * HOUR_MS);
    traffic.tokens = traffic.reserve = 0;
    gv_traffic_share_reserve(&traffic, 2 * HOUR_MS + GV_HAUL_FOR_MS);
    assert_true(gv_traffic_allows_shared(&traffic));
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, false, 749999);
    assert_true(gv_traffic_allows_shared(&traffic));
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, false, 1);
    assert_false(gv_traffic_allows_shared(&traffic));
    gv_traffic_count(&traffic, GV_CAUSE_REPAIR, true, 1000);
    assert_int_equal(traffic.saved, 300000);
}

/* The law: whoever sends only what is allowed never moves more than the cap in any hour, however
 * greedy he is and whatever the moments; with repair that takes of savings and reserve after a
 * haul.
 */
static void no_hour_is_over_the_cap(void **state)
{
    struct gv_drbg drbg;
    uint8_t seed[GV_SEED_LEN] = {6};
    uint64_t worst = 0;

    gv_drbg_init(&drbg, seed);
    for (unsigned run = 0; run < 20; run++) {
        struct gv_traffic traffic;
        uint64_t now = gv_drbg_below(&drbg, HOUR_MS);
        uint64_t share = now;
        gv_traffic_init(&traffic, 1000000, now);
        for (unsigned i = 0; i < 20000; i++) {
            now += gv_drbg_below(&drbg, 2000) * gv_drbg_below(&drbg, 2);
            if (gv_drbg_below(&drbg, 6000) == 0) /* it rests, and saves */
                now += gv_drbg_below(&drbg, 2 * HOUR_MS);
            gv_traffic_tick(&traffic, now);
            enum gv_worth worth = 1 + (enum gv_worth)gv_drbg_below(&drbg, GV_WORTH_COUNT - 1);
            if (gv_traffic_allows(&traffic, worth))
                gv_traffic_count(&traffic, GV_CAUSE_SPREAD, gv_drbg_below(&drbg, 2) == 0,
                                 gv_drbg_below(&drbg, 16384));
            if (now >= share) {
                gv_traffic_share_reserve(&traffic, now + GV_HAUL_FOR_MS);
                share = now + GV_HAUL_AGAIN_MS;
            }
            if (gv_traffic_allows_shared(&traffic))
                gv_traffic_count(&traffic, GV_CAUSE_REPAIR, gv_drbg_below(&drbg, 4) > 0,
                                 gv_drbg_below(&drbg, GV_MESSAGE_MAX));
            worst =
                moved(&traffic, GV_TRAFFIC_HOUR) > worst ? moved(&traffic, GV_TRAFFIC_HOUR) : worst;
        }
        assert_true(traffic.most <= 1000000);
        assert_true(traffic.most > 600000); /* and the cap is used */
    }
    assert_true(worst <= 1000000);
}

static void what_may_be_left_undone_ends_first(void **state)
{
    struct gv_traffic traffic;

    gv_traffic_init(&traffic, 1000000, 0);
    /* At the end of the second ten minutes: a quarter of the cap, a third of an hour long. */
    gv_traffic_tick(&traffic, HOUR_MS / 3 - HOUR_MS / 1000);
    uint64_t pace = 1000000ull / 100 * GV_BUSY_PERCENT * (HOUR_MS / 3 - HOUR_MS / 1000) / HOUR_MS;
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, false, pace - 1);
    gv_traffic_count(&traffic, GV_CAUSE_JOIN, false, 1000000);
    assert_false(gv_traffic_is_busy(&traffic));
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, true, 1);
    assert_true(gv_traffic_is_busy(&traffic));
    gv_traffic_tick(&traffic, HOUR_MS);
    assert_false(gv_traffic_is_busy(&traffic));
}

static void counts_do_not_wrap(void **state)
{
    struct gv_traffic traffic;

    gv_traffic_init(&traffic, GV_TRAFFIC_CAP_MAX, 0);
    for (int i = 0; i < 4; i++)
        gv_traffic_count(&traffic, GV_CAUSE_SPREAD, false, UINT32_MAX);
    assert_int_equal(moved(&traffic, 1), UINT32_MAX);
    assert_int_equal(traffic.total.in[GV_CAUSE_SPREAD], 4 * (uint64_t)UINT32_MAX);
    assert_false(gv_traffic_allows(&traffic, GV_WORTH_REPAIR));
    gv_traffic_count(&traffic, GV_CAUSE_SPREAD, true, UINT64_MAX); /* the reserve's, too */
    assert_false(gv_traffic_allows(&traffic, GV_WORTH_NEWS));
    gv_traffic_tick(&traffic, 48 * (uint64_t)HOUR_MS); /* no debt is for ever */
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_NEWS));
    assert_true(gv_traffic_allows(&traffic, GV_WORTH_REPAIR));
}

/* ---- in a core ------------------------------------------------------------------------------ */

static void the_core_counts_what_the_world_moves(void **state)
{
    struct gv_world_options options = {.nodes = 12,
                                       .seed = 3,
                                       .latency_min_ms = 5,
                                       .latency_max_ms = 40,
                                       .lab = true,
                                       .age_min = 10};
    struct gv_world *world = gv_world_new(&options);

    for (uint32_t i = 0; i < 300; i++) { /* each of two owners */
        struct gv_subject subject = gv_world_subject(i / 2);
        gv_world_run(world, 30000 + 2000 * i);
        gv_world_fail(world, i % 12, &subject, 5);
    }
    gv_world_run(world, 1200000);
    uint64_t by_cause[GV_CAUSE_COUNT] = {0};
    for (size_t i = 0; i < 12; i++) {
        const struct gv_sim_node *node = &world->nodes[i];
        struct gv_traffic_sum sum;
        uint64_t most, in = 0, out = 0;
        gv_world_traffic(world, i, &sum, &most);
        for (int cause = 0; cause < GV_CAUSE_COUNT; cause++) {
            in += sum.in[cause];
            out += sum.out[cause];
            by_cause[cause] += sum.in[cause] + sum.out[cause];
        }
        assert_true(in <= node->bytes_in && node->bytes_in - in < 4000);
        assert_true(out >= node->bytes_out && out - node->bytes_out < 4000);
    }
    for (int cause = 0; cause < GV_CAUSE_COUNT; cause++)
        if (cause != GV_CAUSE_EXCESS && by_cause[cause] == 0) /* nobody floods here */
            fail_msg("nothing was %s", gv_cause_name((enum gv_cause)cause));
    gv_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_valuable_waits_first),
        cmocka_unit_test(a_join_costs_no_token_and_is_shown),
        cmocka_unit_test(excess_costs_no_token_and_is_shown),
        cmocka_unit_test(hours_and_days_pass),
        cmocka_unit_test(repair_takes_half_of_the_reserve_and_pays_for_it),
        cmocka_unit_test(savings_pay_for_a_haul),
        cmocka_unit_test(savings_wait_for_a_quieter_hour),
        cmocka_unit_test(no_hour_is_over_the_cap),
        cmocka_unit_test(what_may_be_left_undone_ends_first),
        cmocka_unit_test(counts_do_not_wrap),
        cmocka_unit_test(the_core_counts_what_the_world_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
