/* What meshes are like: nodes behind NAT, nodes that are never up, many that die at once, halves
 * that know nothing of each other, and as many attackers as are asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/net.h"
#include "sim/run.h"
#include "sim/workload.h"
#include "sim/world.h"

static struct gv_world_options mesh(size_t nodes)
{
    return (struct gv_world_options){.nodes = nodes,
                                     .seed = 7,
                                     .latency_min_ms = 5,
                                     .latency_max_ms = 50,
                                     .age_min = 200 * 1440,
                                     .run_min = 60,
                                     .known = true};
}

static void nobody_dials_who_is_behind_nat_and_nobody_meets_who_is_away(void **state)
{
    struct gv_world_options options = mesh(40);
    size_t outbound = 0, away = 0;

    options.behind_nat = 20;
    options.offline = 10;
    struct gv_world *world = gv_world_new(&options);
    gv_world_run(world, 600000);
    for (size_t i = 0; i < 40; i++) {
        const struct gv_sim_node *node = &world->nodes[i];
        struct gv_core_status status;
        outbound += node->outbound;
        away += node->away;
        assert_false(node->away && node->outbound);
        assert_true(i >= 5 || (!node->away && !node->outbound));
        assert_int_equal(node->lives, !node->away);
        if (node->away)
            continue;
        gv_core_status(node->core, &status);
        assert_true(status.peers > 0);
    }
    assert_int_equal(outbound, 8);
    assert_int_equal(away, 4);
    assert_int_equal(gv_world_online(world), 36);
    assert_true(world->wire_count > 40);
    for (size_t w = 0; w < world->wire_count; w++) {
        assert_false(world->nodes[world->wires[w].node[1]].outbound);
        assert_false(world->nodes[world->wires[w].node[0]].away ||
                     world->nodes[world->wires[w].node[1]].away);
    }
    /* Nor can it be dialled by one who knows where it is. */
    size_t behind = 0, wires = 0;
    while (!world->nodes[behind].outbound)
        behind++;
    gv_net_connect(world, 0, 77777, &world->nodes[behind].address);
    gv_net_connect(world, 0, 77778, &world->nodes[1].address);
    gv_world_run(world, world->now_ms + 10000);
    for (size_t w = 0; w < world->wire_count; w++) {
        assert_int_not_equal(world->wires[w].link[0], 77777);
        wires += world->wires[w].link[0] == 77778;
    }
    assert_int_equal(wires, 1);
    gv_world_free(world);
}

/* Every verdict on every node that is up, and nobody told too many, though keepers are down. */
static void a_mesh_with_both_keeps_what_is_promised(void **state)
{
    struct gv_sim_options options = {.nodes = 40,
                                     .hours = 0.3,
                                     .seed = 2,
                                     .sightings = 8,
                                     .known = true,
                                     .behind_nat = 20,
                                     .offline = 10,
                                     .mb_per_hour = 1};
    struct gv_sim_result result;

    gv_sim_run(&result, &options, false);
    assert_int_equal(result.violations, 0);
    assert_int_equal(result.online, 36);
    assert_true(result.published > 0 && result.delay_p99_s > 0 && result.delay_p99_s < 5);
}

static struct gv_sim_result run_with(const char *faults)
{
    struct gv_sim_options options = {
        .nodes = 20, .hours = 1, .seed = 3, .sightings = 8, .known = true};
    struct gv_sim_result result;
    const char *where;

    assert_null(gv_faults_parse(&options.faults, faults, &where));
    gv_sim_run(&result, &options, false);
    assert_int_equal(result.violations, 0);
    return result;
}

static void half_of_the_nodes_die_at_once_and_catch_up(void **state)
{
    struct gv_sim_result result = run_with("kill=50,kill_min=15");

    assert_int_equal(result.weather.killed, 10);
    assert_int_equal(result.weather.crashes, 0);
    assert_true(result.agreed_s >= 0 && result.equal_s >= 0);
    /* Who was dead is not slow. */
    assert_true(result.delay_p99_s < 60);
}

static void halves_hear_of_each_other_when_they_are_joined(void **state)
{
    struct gv_sim_result result = run_with("halves=25");

    assert_int_equal(result.weather.partitions, 1);
    assert_true(result.agreed_s > 0 && result.equal_s > 0);
    /* What the other half said came after the healing. */
    assert_true(result.delay_p99_s > 60);
}

/* Small meshes have few who could meet by chance: whoever lost somebody has to look for him. */
static void small_meshes_find_each_other_within_a_minute(void **state)
{
    static const size_t sizes[] = {2, 4, 20};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct gv_sim_options options = {
                .nodes = sizes[i], .hours = 1.5, .seed = seed, .sightings = 4, .known = true};
            struct gv_sim_result result;
            options.faults.halves = 55;
            gv_sim_run(&result, &options, false);
            assert_int_equal(result.violations, 0);
            if (result.agreed_s < 0 || result.agreed_s > 60)
                fail_msg("%zu nodes, seed %u: %.0f s", sizes[i], (unsigned)seed, result.agreed_s);
        }
}

static void a_slow_line_makes_bytes_wait(void **state)
{
    struct gv_sim_result fast = run_with("kbit=1000000"), slow = run_with("kbit=24");

    assert_true(slow.weather.queued > 10 * fast.weather.queued);
    assert_true(slow.delay_p50_s > fast.delay_p50_s);
}

static void count_visits(const struct gv_workload *workload, uint32_t visits[2048])
{
    memset(visits, 0, 2048 * sizeof *visits);
    for (size_t i = 0; i < workload->count; i++) {
        assert_true(workload->visits[i].attacker < workload->attackers);
        visits[workload->visits[i].attacker]++;
    }
}

static void as_many_attackers_come_as_were_asked_for(void **state)
{
    static const double asked[] = {10, 100, 1500};
    struct gv_world_options options = mesh(50);
    struct gv_world *world = gv_world_new(&options);
    struct gv_sim_options run = {.sightings = 8};

    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct gv_workload workload;
        uint32_t visits[2048];
        run.attackers = asked[i];
        gv_workload_draw(&workload, world, &run, 3600000, 0, 0);
        assert_int_equal(workload.attackers, (size_t)asked[i] + 1);
        count_visits(&workload, visits);
        for (size_t a = 0; a < workload.attackers; a++)
            assert_in_range(visits[a], 1, 50);
        /* 8 on 50 nodes in an hour; never fewer than the attackers. */
        size_t wanted = asked[i] > 402 ? (size_t)asked[i] + 1 : 402;
        assert_in_range(workload.count, wanted * 9 / 10, wanted);
        gv_workload_free(&workload);
    }
    gv_world_free(world);
}

/* Where there are too few for what the nodes see, four in five still have one victim. */
static void no_more_attackers_come_than_there_are(void **state)
{
    struct gv_world_options options = mesh(50);
    struct gv_world *world = gv_world_new(&options);
    struct gv_sim_options run = {.sightings = 8, .attackers_most = 60};
    struct gv_workload crowded, as_drawn, free_drawn;
    uint32_t visits[2048];
    size_t single = 0;

    gv_workload_draw(&crowded, world, &run, 3600000, 0, 0);
    assert_int_equal(crowded.attackers, 61);
    count_visits(&crowded, visits);
    for (size_t a = 0; a < crowded.attackers; a++) {
        assert_in_range(visits[a], 1, 50);
        single += visits[a] == 1;
    }
    assert_in_range(single, 35, 58);
    assert_in_range(crowded.count, 300, 402);
    run.attackers_most = 2000; /* more than come */
    gv_workload_draw(&as_drawn, world, &run, 3600000, 0, 0);
    run.attackers_most = 0;
    gv_workload_draw(&free_drawn, world, &run, 3600000, 0, 0);
    assert_int_equal(as_drawn.count, free_drawn.count);
    assert_memory_equal(as_drawn.visits, free_drawn.visits,
                        as_drawn.count * sizeof *as_drawn.visits);
    gv_workload_free(&crowded);
    gv_workload_free(&as_drawn);
    gv_workload_free(&free_drawn);
    gv_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_dials_who_is_behind_nat_and_nobody_meets_who_is_away),
        cmocka_unit_test(a_mesh_with_both_keeps_what_is_promised),
        cmocka_unit_test(half_of_the_nodes_die_at_once_and_catch_up),
        cmocka_unit_test(halves_hear_of_each_other_when_they_are_joined),
        cmocka_unit_test(small_meshes_find_each_other_within_a_minute),
        cmocka_unit_test(a_slow_line_makes_bytes_wait),
        cmocka_unit_test(as_many_attackers_come_as_were_asked_for),
        cmocka_unit_test(no_more_attackers_come_than_there_are),
    };

    gv_assert(sodium_init() >= 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
