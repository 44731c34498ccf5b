/* Stories of a few cores in a simulated world: joining, spreading, repairing, ending. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/world.h"

static struct gv_world *small_world(size_t nodes)
{
    struct gv_world_options options = {.nodes = nodes,
                                       .seed = 7,
                                       .latency_min_ms = 5,
                                       .latency_max_ms = 40,
                                       .lab = true,
                                       .age_min = 10};

    return gv_world_new(&options);
}

static struct gv_core_status status_of(const struct gv_world *world, size_t node)
{
    struct gv_core_status status;

    gv_core_status(world->nodes[node].core, &status);
    return status;
}

static enum gv_verdict_state verdict_at(const struct gv_world *world, size_t node,
                                        const struct gv_subject *subject)
{
    struct gv_verdict verdict;

    gv_core_verdict(world->nodes[node].core, &verdict, subject);
    return verdict.state;
}

static void assert_same_set(const struct gv_world *world, size_t nodes)
{
    struct gv_core_status first = status_of(world, 0);

    for (size_t i = 1; i < nodes; i++) {
        struct gv_core_status other = status_of(world, i);
        assert_memory_equal(first.set_fingerprint, other.set_fingerprint, GV_ID_LEN);
    }
}

static void five_nodes_find_each_other(void **state)
{
    struct gv_world *world = small_world(5);

    gv_world_run(world, 30000);
    for (size_t i = 0; i < 5; i++) {
        struct gv_core_status status = status_of(world, i);
        assert_int_equal(status.peers, 4);
        assert_int_equal(status.instances, 5);
        assert_int_equal(status.links, 4);
    }
    gv_world_free(world);
}

static void two_owners_make_it_untrusted_everywhere_within_two_seconds(void **state)
{
    struct gv_world *world = small_world(5);
    struct gv_subject attacker = gv_world_subject(1);

    gv_world_run(world, 30000);
    gv_world_fail(world, 0, &attacker, 5);
    gv_world_run(world, 32000);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(verdict_at(world, i, &attacker), GV_VERDICT_REPORTED);
    gv_world_fail(world, 1, &attacker, 5);
    gv_world_run(world, 34000);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(verdict_at(world, i, &attacker), GV_VERDICT_UNTRUSTED);
    assert_same_set(world, 5);
    gv_world_free(world);
}

static void a_verdict_expires_after_a_day(void **state)
{
    struct gv_world *world = small_world(3);
    struct gv_subject attacker = gv_world_subject(1);

    gv_world_run(world, 30000);
    gv_world_fail(world, 0, &attacker, 5);
    gv_world_fail(world, 1, &attacker, 5);
    gv_world_run(world, 23 * 3600000u);
    assert_int_equal(verdict_at(world, 2, &attacker), GV_VERDICT_UNTRUSTED);
    gv_world_run(world, 25 * 3600000u);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(verdict_at(world, i, &attacker), GV_VERDICT_UNKNOWN);
        assert_int_equal(status_of(world, i).statements, 0);
    }
    gv_world_free(world);
}

static void a_partition_heals(void **state)
{
    struct gv_world *world = small_world(6);

    gv_world_run(world, 30000);
    for (size_t a = 0; a < 3; a++)
        for (size_t b = 3; b < 6; b++)
            gv_world_cut(world, a, b, true);
    for (uint32_t i = 0; i < 40; i++) {
        struct gv_subject subject = gv_world_subject(100 + i);
        gv_world_run(world, 60000 + 1000 * i);
        gv_world_fail(world, i % 6, &subject, 5);
    }
    gv_world_run(world, 600000);
    assert_int_equal(status_of(world, 0).statements + status_of(world, 5).statements, 40);
    assert_true(status_of(world, 0).statements > 10);
    assert_true(status_of(world, 5).statements > 10);
    for (size_t a = 0; a < 3; a++)
        for (size_t b = 3; b < 6; b++)
            gv_world_cut(world, a, b, false);
    gv_world_run(world, 600000 + 900000);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(status_of(world, i).statements, 40);
    assert_same_set(world, 6);
    gv_world_free(world);
}

static void a_crash_with_disk_loses_nothing_and_repeats_no_sequence(void **state)
{
    struct gv_world *world = small_world(3);
    struct gv_subject one = gv_world_subject(1), two = gv_world_subject(2);

    gv_world_run(world, 30000);
    gv_world_fail(world, 0, &one, 5);
    gv_world_crash(world, 0, false);
    gv_world_run(world, 40000);
    gv_world_start(world, 0);
    gv_world_fail(world, 0, &two, 5);
    gv_world_run(world, 120000);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(status_of(world, i).statements, 2);
    assert_same_set(world, 3);
    gv_world_free(world);
}

static void a_crash_without_disk_fetches_everything_again(void **state)
{
    struct gv_world *world = small_world(4);

    gv_world_run(world, 30000);
    for (uint32_t i = 0; i < 100; i++) {
        struct gv_subject subject = gv_world_subject(i);
        gv_world_fail(world, i % 4, &subject, 5);
    }
    gv_world_run(world, 60000);
    gv_world_crash(world, 3, true);
    gv_world_run(world, 90000);
    gv_world_start(world, 3);
    gv_world_run(world, 180000);
    assert_int_equal(status_of(world, 3).statements, 100);
    assert_same_set(world, 4);
    gv_world_free(world);
}

static void a_retraction_equals_never_having_signalled(void **state)
{
    struct gv_world *world = small_world(3);
    struct gv_subject subject = gv_world_subject(1);
    struct gv_event retract = {.kind = GV_EVENT_COMMAND};

    gv_world_run(world, 30000);
    gv_world_fail(world, 0, &subject, 5);
    gv_world_fail(world, 1, &subject, 5);
    gv_world_run(world, 35000);
    assert_int_equal(verdict_at(world, 2, &subject), GV_VERDICT_UNTRUSTED);
    retract.command.command = GV_COMMAND_RETRACT;
    retract.command.subject = subject;
    assert_int_equal(gv_world_step(world, 0, &retract), GV_OK);
    gv_world_run(world, 40000);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(verdict_at(world, i, &subject), GV_VERDICT_REPORTED);
    assert_same_set(world, 3);
    assert_int_equal(gv_world_step(world, 2, &retract), GV_ERR_NOT_FOUND);
    gv_world_free(world);
}

static void the_same_seed_is_the_same_run(void **state)
{
    char text[2][17];

    for (int run = 0; run < 2; run++) {
        struct gv_world *world = small_world(5);
        struct gv_subject subject = gv_world_subject(1);
        gv_world_run(world, 30000);
        gv_world_fail(world, 2, &subject, 5);
        gv_world_run(world, 600000);
        gv_trace_text(text[run], &world->trace);
        gv_world_free(world);
    }
    assert_string_equal(text[0], text[1]);
}

static void an_idle_day_stays_far_below_the_promise(void **state)
{
    struct gv_world *world = small_world(5);
    uint64_t worst = 0;

    gv_world_run(world, 3600000);
    for (size_t i = 0; i < 5; i++)
        world->nodes[i].bytes_in = world->nodes[i].bytes_out = 0;
    gv_world_run(world, 25 * 3600000u);
    for (size_t i = 0; i < 5; i++) {
        uint64_t bytes = (world->nodes[i].bytes_in + world->nodes[i].bytes_out) / 24;
        worst = bytes > worst ? bytes : worst;
        assert_int_equal(status_of(world, i).peers, 4);
    }
    print_message("idle: %u bytes per hour at worst, in and out with headers\n", (unsigned)worst);
    assert_true(worst < 60000);
    gv_world_free(world);
}

static struct gv_world *world_of_one_owner(void)
{
    struct gv_world_options options = {.nodes = 4,
                                       .seed = 9,
                                       .latency_min_ms = 5,
                                       .latency_max_ms = 40,
                                       .lab = true,
                                       .age_min = 10,
                                       .per_owner = 2};

    return gv_world_new(&options);
}

static struct gv_decision decision_at(const struct gv_world *world, size_t node,
                                      const struct gv_subject *subject)
{
    return gv_core_decide(world->nodes[node].core, NULL, NULL, subject);
}

/* Nodes 0 and 1 are one owner's, 2 and 3 another's. */
static void what_one_server_locks_the_owners_others_refuse(void **state)
{
    struct gv_world *world = world_of_one_owner();
    struct gv_subject subject = gv_world_subject(1);

    gv_world_run(world, 30000);
    gv_world_fail(world, 0, &subject, 5);
    gv_world_run(world, 32000);
    assert_int_equal(decision_at(world, 0, &subject).reason, GV_REASON_LOCKED_HERE);
    assert_int_equal(decision_at(world, 1, &subject).action, GV_ACTION_REFUSE);
    assert_int_equal(decision_at(world, 1, &subject).reason, GV_REASON_LOCKED_BY_OWN);
    assert_int_equal(decision_at(world, 2, &subject).action, GV_ACTION_ALLOW);
    gv_world_run(world, 62 * 60000);
    assert_int_equal(decision_at(world, 1, &subject).action, GV_ACTION_ONE_STRIKE);
    gv_world_free(world);
}

static void share(struct gv_world *world, size_t node, enum gv_share mode)
{
    struct gv_settings settings = *gv_core_settings(world->nodes[node].core);
    struct gv_event event = {.kind = GV_EVENT_COMMAND};

    settings.share = mode;
    event.command.command = GV_COMMAND_CONFIGURE;
    event.command.settings = &settings;
    assert_int_equal(gv_world_step(world, node, &event), GV_OK);
}

static void what_was_only_previewed_is_signalled_once_sharing_is_on(void **state)
{
    for (int mode = GV_SHARE_NO; mode <= GV_SHARE_PREVIEW; mode++) {
        struct gv_world *world = small_world(3);
        struct gv_subject subject = gv_world_subject(1);
        gv_world_run(world, 30000);
        share(world, 0, (enum gv_share)mode);
        gv_world_fail(world, 0, &subject, 5);
        gv_world_run(world, 40000);
        assert_int_equal(verdict_at(world, 1, &subject), GV_VERDICT_UNKNOWN);
        share(world, 0, GV_SHARE_YES);
        gv_world_fail(world, 0, &subject, 1);
        gv_world_run(world, 50000);
        assert_int_equal(verdict_at(world, 1, &subject), GV_VERDICT_REPORTED);
        assert_int_equal(status_of(world, 0).signals_made, 1);
        gv_world_fail(world, 0, &subject, 5); /* and not again within 12 hours */
        assert_int_equal(status_of(world, 0).signals_made, 1);
        gv_world_free(world);
    }
}

/* Whoever has heard of it has; what waits for somebody to hear it does not go out any more. */
static void what_nobody_heard_stays_once_sharing_is_off(void **state)
{
    struct gv_world *world = small_world(3);
    struct gv_subject heard = gv_world_subject(1), waits = gv_world_subject(2);

    gv_world_run(world, 30000);
    gv_world_fail(world, 0, &heard, 5);
    gv_world_run(world, 40000);
    for (size_t other = 1; other < 3; other++)
        gv_world_cut(world, 0, other, true);
    gv_world_fail(world, 0, &waits, 5);
    gv_world_run(world, 50000);
    assert_int_equal(status_of(world, 0).statements, 2);
    share(world, 0, GV_SHARE_NO);
    assert_int_equal(status_of(world, 0).statements, 1);
    for (size_t other = 1; other < 3; other++)
        gv_world_cut(world, 0, other, false);
    gv_world_run(world, 2 * 3600000);
    assert_int_equal(verdict_at(world, 1, &heard), GV_VERDICT_REPORTED);
    assert_int_equal(verdict_at(world, 1, &waits), GV_VERDICT_UNKNOWN);
    assert_same_set(world, 3);
    gv_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_nodes_find_each_other),
        cmocka_unit_test(two_owners_make_it_untrusted_everywhere_within_two_seconds),
        cmocka_unit_test(a_verdict_expires_after_a_day),
        cmocka_unit_test(a_partition_heals),
        cmocka_unit_test(a_crash_with_disk_loses_nothing_and_repeats_no_sequence),
        cmocka_unit_test(a_crash_without_disk_fetches_everything_again),
        cmocka_unit_test(a_retraction_equals_never_having_signalled),
        cmocka_unit_test(what_one_server_locks_the_owners_others_refuse),
        cmocka_unit_test(what_was_only_previewed_is_signalled_once_sharing_is_on),
        cmocka_unit_test(what_nobody_heard_stays_once_sharing_is_off),
        cmocka_unit_test(the_same_seed_is_the_same_run),
        cmocka_unit_test(an_idle_day_stays_far_below_the_promise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
