/* What a node said under its last certificate is read again after a renewal and a restart, also
 * when nobody else is there to give it back: the certificate that was given at the start has a row,
 * too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>

#include "crypto/error.h"
#include "sim/world.h"

#define MINUTE_MS 60000u

static size_t statements(const struct gv_world *world)
{
    struct gv_core_status status;

    gv_core_status(world->nodes[0].core, &status);
    return status.statements;
}

static struct gv_world *one_node_that_said_something(void)
{
    struct gv_world_options options = {.nodes = 1,
                                       .seed = 1,
                                       .latency_min_ms = 1,
                                       .latency_max_ms = 2,
                                       .age_min = 200 * 1440,
                                       .faults = {.life = 240}};
    struct gv_world *world = gv_world_new(&options);
    struct gv_subject subject = gv_world_subject(1);

    gv_world_run(world, 121 * MINUTE_MS);
    gv_world_fail(world, 0, &subject, 5);
    assert_int_equal(statements(world), 1);
    return world;
}

static void a_restart_keeps_what_was_said_before_a_renewal(void **state)
{
    struct gv_world *world = one_node_that_said_something();

    gv_world_renew(world, 0);
    assert_int_equal(world->counts.renewals, 1);
    gv_world_crash(world, 0, false);
    gv_world_start(world, 0);
    assert_int_equal(statements(world), 1);
    gv_world_free(world);
}

static void also_one_that_was_renewed_while_it_was_down(void **state)
{
    struct gv_world *world = one_node_that_said_something();

    gv_world_crash(world, 0, false);
    gv_world_renew(world, 0);
    assert_int_equal(world->counts.renewals, 1);
    gv_world_start(world, 0);
    assert_int_equal(statements(world), 1);
    gv_world_free(world);
}

/* Its certificate ended, and it is out: until it has enrolled again it still knows what it said. */
static void also_one_whose_certificate_has_ended(void **state)
{
    struct gv_world_options options = {.nodes = 1,
                                       .seed = 1,
                                       .latency_min_ms = 1,
                                       .latency_max_ms = 2,
                                       .age_min = 200 * 1440,
                                       .faults = {.grace = 1}};
    struct gv_world *world = gv_world_new(&options);
    struct gv_subject subject = gv_world_subject(1);
    struct gv_core_status status;

    gv_world_run(world, 10000);
    gv_world_fail(world, 0, &subject, 5);
    assert_int_equal(statements(world), 1);
    gv_world_run(world, 40 * MINUTE_MS);
    for (int life = 0; life < 2; life++) {
        gv_world_crash(world, 0, false);
        gv_world_start(world, 0);
        gv_core_status(world->nodes[0].core, &status);
        assert_false(status.has_certificate);
        assert_int_equal(statements(world), 1);
    }
    gv_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_keeps_what_was_said_before_a_renewal),
        cmocka_unit_test(also_one_that_was_renewed_while_it_was_down),
        cmocka_unit_test(also_one_whose_certificate_has_ended),
    };

    gv_assert(sodium_init() >= 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
