/* Whisper, then shout (SPEC 9.10): who keeps a subject, who is told of it and who is not, when it
 * is published, and how it is taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"
#include "sim/world.h"

#define NODES 24

static struct gv_world *world;
static struct gv_subject attacker;

static struct gv_world *world_of(size_t nodes)
{
    struct gv_world_options options = {.nodes = nodes,
                                       .seed = 11,
                                       .latency_min_ms = 5,
                                       .latency_max_ms = 40,
                                       .lab = true,
                                       .known = true,
                                       .age_min = 10};

    return gv_world_new(&options);
}

static int stage_up(void **state)
{
    world = world_of(NODES);
    attacker = gv_world_subject(1);
    gv_world_run(world, 60000);
    return 0;
}

static int stage_down(void **state)
{
    gv_world_free(world);
    return 0;
}

static struct gv_core_status status_of(size_t node)
{
    struct gv_core_status status;

    gv_core_status(world->nodes[node].core, &status);
    return status;
}

static enum gv_verdict_state verdict_at(size_t node)
{
    struct gv_verdict verdict;

    gv_core_verdict(world->nodes[node].core, &verdict, &attacker);
    return verdict.state;
}

static size_t node_of(const uint8_t instance[GV_ID_LEN])
{
    size_t node = 0;

    while (memcmp(world->nodes[node].identity.id, instance, GV_ID_LEN) != 0)
        node++;
    return node;
}

/* The ranking as this node sees it, as node numbers. */
static size_t ranked(size_t seen_by, size_t out[GV_KEEPERS_RANKED])
{
    const struct gv_instance *keepers[GV_KEEPERS_RANKED];
    size_t count = gv_keepers_of(world->nodes[seen_by].core, keepers, &attacker);

    for (size_t i = 0; i < count; i++)
        out[i] = node_of(keepers[i]->id);
    return count;
}

/* Two that keep nothing of the attacker. */
static void find_reporters(size_t out[2])
{
    size_t keepers[GV_KEEPERS_RANKED], count = ranked(0, keepers), found = 0;

    for (size_t node = 0; node < NODES && found < 2; node++) {
        bool keeps = false;
        for (size_t i = 0; i < count; i++)
            keeps = keeps || keepers[i] == node;
        if (!keeps)
            out[found++] = node;
    }
    assert_int_equal(found, 2);
}

static size_t who_holds(void)
{
    size_t holders = 0;

    for (size_t node = 0; node < NODES; node++)
        holders += world->nodes[node].core && status_of(node).kept > 0;
    return holders;
}

static size_t who_has_it_public(void)
{
    size_t holders = 0;

    for (size_t node = 0; node < NODES; node++)
        holders += world->nodes[node].core && status_of(node).statements > 0;
    return holders;
}

/* ---- who ------------------------------------------------------------------------------------- */

static void everybody_ranks_alike(void **state)
{
    size_t first[GV_KEEPERS_RANKED], other[GV_KEEPERS_RANKED];

    for (uint32_t number = 1; number < 50; number++) {
        attacker = gv_world_subject(number);
        assert_int_equal(ranked(0, first), GV_KEEPERS_RANKED);
        for (size_t node = 1; node < NODES; node++) {
            assert_int_equal(ranked(node, other), GV_KEEPERS_RANKED);
            assert_memory_equal(first, other, sizeof first);
        }
        for (size_t i = 0; i < GV_KEEPERS_RANKED; i++)
            for (size_t j = 0; j < i; j++)
                assert_int_not_equal(first[i], first[j]);
    }
}

/* The score is SipHash of the placement id under a key of network and subject: a change of either
 * would split the mesh in two. */
static void the_score_is_what_the_specification_says(void **state)
{
    static const uint8_t key[GV_ID_LEN] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

    /* The vector of SipHash-2-4 for the message 00 01 .. 07. */
    assert_true(gv_keeper_score(key, 0x0001020304050607) == 0x93f5f5799a932462);
}

static void work_is_spread_evenly(void **state)
{
    unsigned kept[NODES] = {0};

    for (uint32_t number = 0; number < 2400; number++) {
        size_t keepers[GV_KEEPERS_RANKED];
        attacker = gv_world_subject(number);
        ranked(0, keepers);
        for (size_t i = 0; i < GV_KEEPERS; i++)
            kept[keepers[i]]++;
    }
    for (size_t node = 0; node < NODES; node++) /* 700 expected */
        assert_in_range(kept[node], 560, 840);
}

static void a_small_mesh_has_no_secrets(void **state)
{
    struct gv_world *before = world;

    world = world_of(GV_KEEPERS);
    gv_world_run(world, 60000);
    gv_world_fail(world, 0, &attacker, 5);
    gv_world_run(world, 62000);
    for (size_t node = 0; node < GV_KEEPERS; node++) {
        assert_int_equal(status_of(node).statements, 1);
        assert_int_equal(status_of(node).kept, 0);
    }
    gv_world_free(world);
    world = before;
}

/* ---- whisper --------------------------------------------------------------------------------- */

static void one_owners_word_goes_to_seven_and_no_further(void **state)
{
    size_t reporters[2], keepers[GV_KEEPERS_RANKED];

    find_reporters(reporters);
    ranked(0, keepers);
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_run(world, 4 * 3600000);
    assert_int_equal(who_holds(), 1 + GV_KEEPERS);
    assert_int_equal(who_has_it_public(), 0);
    for (size_t i = 0; i < GV_KEEPERS; i++)
        assert_int_equal(status_of(keepers[i]).kept, 1);
    assert_int_equal(status_of(reporters[0]).errands, 0); /* done */
}

static void others_stand_in_for_keepers_that_are_down(void **state)
{
    size_t reporters[2], keepers[GV_KEEPERS_RANKED];

    find_reporters(reporters);
    ranked(0, keepers);
    for (size_t i = 0; i < 5; i++)
        gv_world_crash(world, keepers[i], false);
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_run(world, 60000 + 8000);
    assert_true(who_holds() >= 1 + GV_KEEPER_ACKS);
    assert_int_equal(status_of(reporters[0]).errands, 1); /* the first seven are still to hear */
    for (size_t i = 0; i < 5; i++)
        gv_world_start(world, keepers[i]);
    gv_world_run(world, 60000 + 1500000);
    for (size_t i = 0; i < GV_KEEPERS; i++)
        assert_int_equal(status_of(keepers[i]).kept, 1);
    assert_int_equal(status_of(reporters[0]).errands, 0);
}

static void a_crash_forgets_neither_errand_nor_secret(void **state)
{
    size_t reporters[2], keepers[GV_KEEPERS_RANKED];

    find_reporters(reporters);
    ranked(0, keepers);
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_crash(world, reporters[0], false); /* before a byte of it arrived */
    gv_world_run(world, 70000);
    assert_true(who_holds() < GV_KEEPERS); /* those that had a session with him already */
    gv_world_start(world, reporters[0]);
    gv_world_run(world, 70000 + GV_ERRAND_RESUME_MS + 5000);
    assert_int_equal(who_holds(), 1 + GV_KEEPERS);
    for (size_t i = 0; i < GV_KEEPERS; i++) {
        gv_world_crash(world, keepers[i], false);
        gv_world_start(world, keepers[i]);
    }
    gv_world_run(world, 700000);
    assert_int_equal(who_holds(), 1 + GV_KEEPERS);
    assert_int_equal(who_has_it_public(), 0);
}

/* ---- shout ----------------------------------------------------------------------------------- */

static void two_owners_words_are_everybodys_within_seconds(void **state)
{
    size_t reporters[2];

    find_reporters(reporters);
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_run(world, 70000);
    gv_world_fail(world, reporters[1], &attacker, 5);
    gv_world_run(world, 73000);
    for (size_t node = 0; node < NODES; node++) {
        assert_int_equal(verdict_at(node), GV_VERDICT_UNTRUSTED);
        assert_int_equal(status_of(node).statements, 2);
        assert_int_equal(status_of(node).kept, 0);
    }
}

static void the_first_keepers_may_be_dead(void **state)
{
    size_t reporters[2], keepers[GV_KEEPERS_RANKED];

    find_reporters(reporters);
    ranked(0, keepers);
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_run(world, 70000);
    gv_world_crash(world, keepers[0], false);
    gv_world_crash(world, keepers[1], false);
    gv_world_fail(world, reporters[1], &attacker, 5);
    gv_world_run(world, 70000 + 2 * GV_SHOUT_STEP_MS + 3000);
    for (size_t node = 0; node < NODES; node++)
        if (world->nodes[node].core)
            assert_int_equal(verdict_at(node), GV_VERDICT_UNTRUSTED);
}

/* Halves that cannot hear each other: each holds one word; healed, the errands go on. */
static void a_partition_heals(void **state)
{
    size_t reporters[2];

    find_reporters(reporters);
    for (size_t a = 0; a < NODES; a++)
        for (size_t b = 0; b < a; b++)
            if ((a == reporters[0] || a % 2 == 0) != (b == reporters[0] || b % 2 == 0))
                gv_world_cut(world, a, b, true);
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_fail(world, reporters[1], &attacker, 5);
    gv_world_run(world, 3600000);
    for (size_t a = 0; a < NODES; a++)
        for (size_t b = 0; b < a; b++)
            if ((a == reporters[0] || a % 2 == 0) != (b == reporters[0] || b % 2 == 0))
                gv_world_cut(world, a, b, false);
    gv_world_run(world, 3600000 + 1500000);
    for (size_t node = 0; node < NODES; node++)
        assert_int_equal(verdict_at(node), GV_VERDICT_UNTRUSTED);
}

/* What is published is what the verdicts need: of twelve reporters four, for `consensus`. */
static void no_more_is_published_than_is_needed(void **state)
{
    for (size_t node = 0; node < 12; node++) {
        gv_world_fail(world, node, &attacker, 5);
        gv_world_run(world, 60000 + 10000 * (node + 1));
    }
    gv_world_run(world, 600000);
    for (size_t node = 0; node < NODES; node++) {
        assert_int_equal(status_of(node).statements, 4);
        assert_int_equal(verdict_at(node), GV_VERDICT_UNTRUSTED);
    }
}

/* One more vote on who is untrusted already need not hurry: it stays with its reporter while he is
 * busy, and comes when he is not. */
static void a_busy_node_keeps_what_changes_no_verdict(void **state)
{
    size_t reporters[2], keepers[GV_KEEPERS_RANKED], third = 0;

    find_reporters(reporters);
    size_t count = ranked(0, keepers);
    for (size_t i = 0; i < count; i++)
        if (third == reporters[0] || third == reporters[1] || third == keepers[i]) {
            third++;
            i = SIZE_MAX; /* from the beginning */
        }
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_fail(world, reporters[1], &attacker, 5);
    gv_world_run(world, 70000);
    assert_int_equal(status_of(third).statements, 2);
    gv_traffic_count(&world->nodes[third].core->traffic, GV_CAUSE_SPREAD, true, 100000);
    gv_world_fail(world, third, &attacker, 5);
    gv_world_run(world, 400000);
    assert_int_equal(who_holds(), 1);
    assert_int_equal(status_of(third).errands, 1);
    gv_world_run(world, 3600000);
    assert_int_equal(status_of(third).errands, 0);
    for (size_t node = 0; node < NODES; node++)
        assert_int_equal(status_of(node).statements, 3);
}

/* Each session costs 1.5 kB: who moves much already opens one less, and is done with that. */
static void a_busy_node_tells_six(void **state)
{
    size_t reporters[2];

    find_reporters(reporters);
    gv_traffic_count(&world->nodes[reporters[0]].core->traffic, GV_CAUSE_SPREAD, true, 100000);
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_run(world, 80000);
    assert_int_equal(who_holds(), 1 + GV_KEEPERS_BUSY);
    assert_int_equal(status_of(reporters[0]).errands, 0);
    gv_world_fail(world, reporters[1], &attacker, 5);
    gv_world_run(world, 90000);
    for (size_t node = 0; node < NODES; node++)
        assert_int_equal(verdict_at(node), GV_VERDICT_UNTRUSTED);
}

static void without_a_drop_in_the_bucket_a_signal_waits(void **state)
{
    size_t reporters[2];

    find_reporters(reporters);
    struct gv_traffic *traffic = &world->nodes[reporters[0]].core->traffic;
    traffic->tokens = -traffic->depth / 3;
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_run(world, 80000);
    assert_int_equal(who_holds(), 1);
    traffic->tokens = traffic->depth;
    gv_world_run(world, 200000);
    assert_int_equal(who_holds(), 1 + GV_KEEPERS);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int ask(size_t node)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND,
                             .command = {.command = GV_COMMAND_ASK, .subject = attacker}};

    return gv_world_step(world, node, &event);
}

/* What a keeper holds comes back, is kept where it was asked for, and goes no further. */
static void whoever_asks_the_keepers_is_told(void **state)
{
    size_t reporters[2];

    find_reporters(reporters);
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_run(world, 70000);
    assert_int_equal(verdict_at(reporters[1]), GV_VERDICT_UNKNOWN);
    assert_int_equal(ask(reporters[1]), GV_OK);
    gv_world_run(world, 73000);
    assert_int_equal(verdict_at(reporters[1]), GV_VERDICT_REPORTED);
    assert_int_equal(who_holds(), 2 + GV_KEEPERS);
    gv_world_run(world, 700000);
    assert_int_equal(who_holds(), 2 + GV_KEEPERS);
    assert_int_equal(who_has_it_public(), 0);
}

static void not_everything_may_be_asked(void **state)
{
    size_t reporters[2];

    find_reporters(reporters);
    attacker = (struct gv_subject){GV_FAMILY_IPV4, {192, 168, 1, 1}};
    assert_int_equal(ask(reporters[0]), GV_ERR_SUBJECT);
    for (uint32_t i = 0; i < GV_QUESTIONS_MAX; i++) {
        attacker = gv_world_subject(i);
        assert_int_equal(ask(reporters[0]), GV_OK);
    }
    assert_int_equal(ask(reporters[0]), GV_ERR_BUSY);
    gv_world_run(world, 60000 + GV_QUESTION_MS + 1);
    assert_int_equal(ask(reporters[0]), GV_OK);
}

/* ---- taking back ----------------------------------------------------------------------------- */

static void retract(size_t node)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND,
                             .command = {.command = GV_COMMAND_RETRACT, .subject = attacker}};

    assert_int_equal(gv_world_step(world, node, &event), GV_OK);
}

static void what_is_kept_is_taken_back_in_silence(void **state)
{
    size_t reporters[2];

    find_reporters(reporters);
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_run(world, 70000);
    retract(reporters[0]);
    gv_world_run(world, 80000);
    gv_world_fail(world, reporters[1], &attacker, 5);
    gv_world_run(world, 140000);
    assert_int_equal(who_has_it_public(), 0);
    for (size_t node = 0; node < NODES; node++)
        assert_int_not_equal(verdict_at(node), GV_VERDICT_UNTRUSTED);
}

static void what_is_public_is_taken_back_from_everybody(void **state)
{
    size_t reporters[2];

    find_reporters(reporters);
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_fail(world, reporters[1], &attacker, 5);
    gv_world_run(world, 80000);
    assert_int_equal(verdict_at(0), GV_VERDICT_UNTRUSTED);
    retract(reporters[0]);
    gv_world_run(world, 85000); /* at once, not by repair */
    for (size_t node = 0; node < NODES; node++)
        assert_int_equal(verdict_at(node), GV_VERDICT_REPORTED);
}

/* At the same moment as the second word: whoever published did not know yet. */
static void a_retraction_catches_up_with_its_signal(void **state)
{
    size_t reporters[2];

    find_reporters(reporters);
    gv_world_fail(world, reporters[0], &attacker, 5);
    gv_world_run(world, 70000);
    gv_world_fail(world, reporters[1], &attacker, 5);
    retract(reporters[0]);
    gv_world_run(world, 600000);
    for (size_t node = 0; node < NODES; node++)
        assert_int_not_equal(verdict_at(node), GV_VERDICT_UNTRUSTED);
}

/* Who is nearest is remembered, and looked for anew when a row of the roster moves; who may keep is
 * asked each time. */
static void the_nearest_are_those_of_the_roster_as_it_is(void **state)
{
    struct gv_core *core = world->nodes[0].core;
    const struct gv_instance *before[GV_KEEPERS_RANKED], *after[GV_KEEPERS_RANKED];
    size_t count = gv_keepers_of(core, before, &attacker);
    uint8_t ids[GV_KEEPERS_RANKED][GV_ID_LEN];

    assert_int_equal(count, GV_KEEPERS_RANKED);
    for (size_t i = 0; i < count; i++)
        memcpy(ids[i], before[i]->id, GV_ID_LEN);
    struct gv_instance *own = gv_roster_own(&core->roster, before[0]); /* copied out of the base */
    assert_non_null(own);
    assert_int_equal(gv_keepers_of(core, after, &attacker), count);
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(after[i]->id, ids[i], GV_ID_LEN);
        assert_ptr_equal(after[i], gv_roster_instance(&core->roster, ids[i]));
    }
    own->revoked_min = 1; /* without a row that moves */
    assert_int_equal(gv_keepers_of(core, after, &attacker), count);
    for (size_t i = 0; i + 1 < count; i++)
        assert_memory_equal(after[i]->id, ids[i + 1], GV_ID_LEN);
    own->revoked_min = GV_NEVER;
    /* All of them are out: those behind them take their places. */
    struct gv_instance *out[NODES];
    const struct gv_instance *instance;
    size_t cursor = 0, outs = 0;
    for (size_t i = 0; i < count; i++) {
        out[outs] = gv_roster_own(&core->roster, gv_roster_instance(&core->roster, ids[i]));
        out[outs++]->revoked_min = 1;
    }
    size_t left = gv_keepers_of(core, after, &attacker), able = 0;
    while ((instance = gv_roster_next(&core->roster, GV_ROWS_INSTANCES, &cursor)))
        able += instance->revoked_min == GV_NEVER;
    assert_int_equal(left, able);
    for (size_t i = 0; i < outs; i++)
        out[i]->revoked_min = GV_NEVER;
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(the_nearest_are_those_of_the_roster_as_it_is),
        STORY(everybody_ranks_alike),
        STORY(the_score_is_what_the_specification_says),
        STORY(work_is_spread_evenly),
        STORY(a_small_mesh_has_no_secrets),
        STORY(one_owners_word_goes_to_seven_and_no_further),
        STORY(others_stand_in_for_keepers_that_are_down),
        STORY(a_crash_forgets_neither_errand_nor_secret),
        STORY(two_owners_words_are_everybodys_within_seconds),
        STORY(the_first_keepers_may_be_dead),
        STORY(a_partition_heals),
        STORY(no_more_is_published_than_is_needed),
        STORY(a_busy_node_keeps_what_changes_no_verdict),
        STORY(a_busy_node_tells_six),
        STORY(without_a_drop_in_the_bucket_a_signal_waits),
        STORY(whoever_asks_the_keepers_is_told),
        STORY(not_everything_may_be_asked),
        STORY(what_is_kept_is_taken_back_in_silence),
        STORY(what_is_public_is_taken_back_from_everybody),
        STORY(a_retraction_catches_up_with_its_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
