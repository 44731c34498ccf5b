/* Stories of several cores when something is wrong with the world: clocks, outages, somebody who
 * must go, a network that changes its rules (SPEC 4, 8.3, 9.2, 9.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/wire/record.h"
#include "proto/wire/revocation.h"
#include "sim/world.h"

#define MINUTE 60000ull
#define HOUR   (60 * MINUTE)

static unsigned notes[16][GV_NOTE_ROW_REFUSED + 1]; /* by node and kind */

static void count_note(void *context, size_t node, const struct gv_effect *note)
{
    notes[node][note->note]++;
}

static struct gv_world *small_world(size_t nodes)
{
    struct gv_world_options options = {.nodes = nodes,
                                       .seed = 11,
                                       .latency_min_ms = 5,
                                       .latency_max_ms = 40,
                                       .lab = true,
                                       .age_min = 2000}; /* certificates are some hours old */
    struct gv_world *world = gv_world_new(&options);

    memset(notes, 0, sizeof notes);
    world->on_note = count_note;
    return world;
}

static struct gv_core_status status_of(const struct gv_world *world, size_t node)
{
    struct gv_core_status status;

    gv_core_status(world->nodes[node].core, &status);
    return status;
}

static bool knows(const struct gv_world *world, size_t node, const struct gv_subject *subject)
{
    struct gv_verdict verdict;

    gv_core_verdict(world->nodes[node].core, &verdict, subject);
    return verdict.state != GV_VERDICT_UNKNOWN;
}

static struct gv_instance_info instance_at(const struct gv_world *world, size_t node, size_t whose)
{
    struct gv_instance_info info;
    size_t cursor = 0;

    while (gv_core_next_instance(world->nodes[node].core, &cursor, &info))
        if (memcmp(info.instance, world->nodes[whose].identity.id, GV_ID_LEN) == 0)
            return info;
    fail_msg("node %zu does not know node %zu", node, whose);
    return info;
}

static void assert_same_set(const struct gv_world *world, size_t nodes)
{
    struct gv_core_status first = status_of(world, 0);

    for (size_t i = 1; i < nodes; i++) {
        struct gv_core_status other = status_of(world, i);
        assert_memory_equal(first.set_fingerprint, other.set_fingerprint, GV_ID_LEN);
    }
}

static void assert_nobody_was_blamed(size_t nodes)
{
    for (size_t i = 0; i < nodes; i++)
        assert_int_equal(notes[i][GV_NOTE_PEER_REFUSED], 0);
}

/* ---- clocks --------------------------------------------------------------------------------- */

static struct gv_world *world_with_a_wrong_clock(int64_t skew_ms)
{
    struct gv_world *world = small_world(5);

    gv_world_crash(world, 4, true);
    world->nodes[4].clock_skew_ms = skew_ms;
    gv_world_start(world, 4);
    gv_world_run(world, 3 * MINUTE);
    int64_t off = status_of(world, 4).clock_offset_ms;
    assert_true(off > -skew_ms - 1000 && off < -skew_ms + 1000);
    assert_true(notes[4][GV_NOTE_CLOCK_OFF] >= 1);
    assert_int_equal(notes[0][GV_NOTE_CLOCK_OFF], 0); /* one liar changes no median */
    assert_int_equal(status_of(world, 4).peers, 4);
    return world;
}

static void a_clock_15_minutes_fast_is_told_and_its_signals_come_later(void **state)
{
    struct gv_world *world = world_with_a_wrong_clock(15 * (int64_t)MINUTE);
    struct gv_subject subject = gv_world_subject(1);

    gv_world_fail(world, 4, &subject, 5);
    assert_true(knows(world, 4, &subject));
    gv_world_run(world, 6 * MINUTE);
    for (size_t i = 0; i < 4; i++)
        assert_false(knows(world, i, &subject)); /* 15 minutes ahead is not yet */
    gv_world_run(world, 25 * MINUTE);
    for (size_t i = 0; i < 4; i++)
        assert_true(knows(world, i, &subject));
    assert_nobody_was_blamed(5);
    gv_world_free(world);
}

static void a_clock_15_minutes_slow_is_told_and_hears_signals_later(void **state)
{
    struct gv_world *world = world_with_a_wrong_clock(-15 * (int64_t)MINUTE);
    struct gv_subject theirs = gv_world_subject(1), its = gv_world_subject(2);

    gv_world_fail(world, 0, &theirs, 5);
    gv_world_fail(world, 4, &its, 5);
    gv_world_run(world, 4 * MINUTE);
    assert_false(knows(world, 4, &theirs));
    for (size_t i = 0; i < 4; i++)
        assert_true(knows(world, i, &its));
    gv_world_run(world, 25 * MINUTE);
    assert_true(knows(world, 4, &theirs));
    assert_same_set(world, 5);
    assert_nobody_was_blamed(5);
    gv_world_free(world);
}

static void set_clock(struct gv_world *world, size_t node, int64_t skew_ms)
{
    struct gv_event clock = {.kind = GV_EVENT_CLOCK};

    world->nodes[node].clock_skew_ms = skew_ms;
    clock.clock.unix_ms = gv_world_unix_ms(world, node);
    assert_int_equal(gv_world_step(world, node, &clock), GV_OK);
}

/* Found by the simulator: a vote that counted by the fast clock lies ahead of the right one, and
 * what is remembered of the verdict (it makes one-strike) must not stay. */
static void a_clock_set_back_by_minutes_judges_anew(void **state)
{
    struct gv_world *world = small_world(5);
    struct gv_subject subject = gv_world_subject(1);
    struct gv_verdict verdict;

    gv_world_run(world, MINUTE);
    set_clock(world, 4, 5 * (int64_t)MINUTE);
    set_clock(world, 3, 5 * (int64_t)MINUTE);
    gv_world_fail(world, 3, &subject, 5);
    gv_world_fail(world, 4, &subject, 5);
    gv_world_run(world, MINUTE + 5000);
    assert_int_equal(status_of(world, 4).untrusted, 1);
    set_clock(world, 4, 0);
    gv_core_verdict(world->nodes[4].core, &verdict, &subject);
    assert_int_equal(verdict.state, GV_VERDICT_UNKNOWN);
    assert_int_equal(status_of(world, 4).untrusted, 0);
    gv_world_run(world, 8 * MINUTE); /* by then it counts for everybody */
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(status_of(world, i).untrusted, 1);
    assert_nobody_was_blamed(5);
    gv_world_free(world);
}

/* ---- members of all kinds -------------------------------------------------------------------- */

static void a_node_that_can_only_dial_out_is_a_full_member(void **state)
{
    struct gv_settings settings = {.share = GV_SHARE_YES}; /* advertises nothing */
    struct gv_event configure = {.kind = GV_EVENT_COMMAND};
    struct gv_subject its = gv_world_subject(1), theirs = gv_world_subject(2);
    struct gv_world *world = small_world(7);
    struct gv_peer_info peer;
    size_t cursor = 0;

    configure.command.command = GV_COMMAND_CONFIGURE;
    configure.command.settings = &settings;
    assert_int_equal(gv_world_step(world, 6, &configure), GV_OK);
    gv_world_run(world, 2 * MINUTE);
    gv_world_fail(world, 6, &its, 5);
    gv_world_fail(world, 0, &theirs, 5);
    gv_world_run(world, 3 * MINUTE);
    for (size_t i = 0; i < 7; i++)
        assert_true(knows(world, i, &its) && knows(world, i, &theirs));
    assert_int_equal(instance_at(world, 0, 6).address.family, GV_FAMILY_NONE);
    assert_true(status_of(world, 6).peers >= GV_PEERS_OUTBOUND);
    while (gv_core_next_peer(world->nodes[6].core, &cursor, &peer))
        assert_true(peer.outbound);
    gv_world_free(world);
}

static void cut_all(struct gv_world *world, size_t nodes, bool cut)
{
    for (size_t a = 0; a < nodes; a++)
        for (size_t b = a + 1; b < nodes; b++)
            gv_world_cut(world, a, b, cut);
}

static void after_an_outage_of_three_hours_they_find_each_other(void **state)
{
    struct gv_world *world = small_world(6);

    gv_world_run(world, MINUTE);
    cut_all(world, 6, true);
    for (uint32_t i = 0; i < 6; i++) {
        struct gv_subject subject = gv_world_subject(i);
        gv_world_run(world, HOUR / 2 + i * MINUTE);
        gv_world_fail(world, i, &subject, 5);
    }
    gv_world_run(world, 3 * HOUR);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(status_of(world, i).peers, 0);
        assert_int_equal(status_of(world, i).statements, 1);
    }
    cut_all(world, 6, false);
    /* The longest back-off is 10 minutes and a quarter; then repair. */
    gv_world_run(world, 3 * HOUR + 20 * MINUTE);
    for (size_t i = 0; i < 6; i++) {
        assert_true(status_of(world, i).peers >= 3);
        assert_int_equal(status_of(world, i).statements, 6);
    }
    assert_same_set(world, 6);
    assert_nobody_was_blamed(6);
    gv_world_free(world);
}

/* ---- what the registry and the root say ------------------------------------------------------ */

static int news(struct gv_world *world, size_t node, uint8_t kind, const struct gv_buf *wire)
{
    struct gv_event event = {.kind = GV_EVENT_NEWS};
    struct gv_buf record;

    gv_buf_init(&record);
    gv_buf_append(&record, &kind, 1);
    gv_buf_append(&record, wire->data, wire->len);
    event.news.record = record.data;
    event.news.len = record.len;
    int rc = gv_world_step(world, node, &event);
    gv_buf_free(&record);
    return rc;
}

static uint32_t minute_of(const struct gv_world *world)
{
    return (uint32_t)(gv_world_unix_ms(world, 0) / MINUTE);
}

static void a_revocation_told_to_one_reaches_all(void **state)
{
    struct gv_world *world = small_world(6);
    struct gv_subject before = gv_world_subject(1), after = gv_world_subject(2);
    struct gv_revocation revocation = {.reason = GV_REVOKED_COMPROMISED};
    struct gv_buf wire;

    gv_world_run(world, MINUTE);
    gv_world_fail(world, 3, &before, 5);
    gv_world_run(world, 3 * MINUTE);
    revocation.revoked_min = minute_of(world);
    memcpy(revocation.instance, world->nodes[3].identity.id, GV_ID_LEN);
    gv_buf_init(&wire);
    assert_int_equal(gv_revocation_issue(&wire, &revocation, world->registry_secret,
                                         world->descriptor.network_id),
                     GV_OK);
    assert_int_equal(news(world, 0, GV_RECORD_REVOCATION, &wire), GV_OK);
    gv_world_run(world, 3 * MINUTE + 2000);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(instance_at(world, i, 3).revoked_min, revocation.revoked_min);
    assert_true(status_of(world, 3).self_revoked);
    assert_int_equal(status_of(world, 3).peers, 0);
    gv_world_fail(world, 3, &after, 5);
    gv_world_run(world, 2 * HOUR);
    assert_int_equal(status_of(world, 3).peers, 0);
    for (size_t i = 0; i < 6; i++) {
        assert_true(knows(world, i, &before)); /* said while it was trusted */
        assert_false(knows(world, i, &after));
        assert_int_equal(status_of(world, i).peers, i == 3 ? 0 : 4);
    }
    gv_buf_free(&wire);
    gv_world_free(world);
}

static void a_new_descriptor_told_to_one_is_in_force_everywhere_in_its_time(void **state)
{
    struct gv_world *world = small_world(5);
    struct gv_descriptor next = world->descriptor;
    struct gv_subject subject = gv_world_subject(1);
    struct gv_buf wire;

    gv_world_run(world, MINUTE);
    gv_world_fail(world, 0, &subject, 5);
    gv_world_fail(world, 1, &subject, 5);
    next.version++;
    next.activation_min = minute_of(world) + 30;
    next.policy.untrusted_weight = 3000;
    gv_buf_init(&wire);
    assert_int_equal(gv_descriptor_issue(&wire, &next, world->root_secret), GV_OK);
    assert_int_equal(news(world, 2, GV_RECORD_DESCRIPTOR, &wire), GV_OK);
    gv_world_run(world, 28 * MINUTE);
    gv_world_crash(world, 3, false); /* waiting for its time survives a restart */
    gv_world_start(world, 3);
    gv_world_run(world, 29 * MINUTE);
    for (size_t i = 0; i < 5; i++) {
        struct gv_verdict verdict;
        gv_core_verdict(world->nodes[i].core, &verdict, &subject);
        assert_int_equal(gv_core_descriptor(world->nodes[i].core)->version, next.version - 1);
        assert_int_equal(verdict.state, GV_VERDICT_UNTRUSTED);
    }
    gv_world_run(world, 33 * MINUTE);
    for (size_t i = 0; i < 5; i++) {
        struct gv_verdict verdict;
        gv_core_verdict(world->nodes[i].core, &verdict, &subject);
        assert_int_equal(gv_core_descriptor(world->nodes[i].core)->version, next.version);
        assert_int_equal(verdict.state, GV_VERDICT_REPORTED); /* two owners are too few now */
    }
    assert_nobody_was_blamed(5);
    gv_buf_free(&wire);
    gv_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_15_minutes_fast_is_told_and_its_signals_come_later),
        cmocka_unit_test(a_clock_15_minutes_slow_is_told_and_hears_signals_later),
        cmocka_unit_test(a_clock_set_back_by_minutes_judges_anew),
        cmocka_unit_test(a_node_that_can_only_dial_out_is_a_full_member),
        cmocka_unit_test(after_an_outage_of_three_hours_they_find_each_other),
        cmocka_unit_test(a_revocation_told_to_one_reaches_all),
        cmocka_unit_test(a_new_descriptor_told_to_one_is_in_force_everywhere_in_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
