/* Servers of one admin (SPEC 9.8): what one locks, the others refuse; who is told, and who is
 * believed. In a simulated world of real cores; test_own_locks.c has the single host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "sim/weather.h"
#include "sim/world.h"

/* ---- a world: nodes 0 and 1 are one owner's, 2 and 3 another's, and so on -------------------- */

static struct gv_world *world;
static struct gv_subject subject;

static void open_world(size_t nodes, size_t per_owner)
{
    struct gv_world_options options = {.nodes = nodes,
                                       .seed = 11,
                                       .latency_min_ms = 5,
                                       .latency_max_ms = 120,
                                       .lab = true,
                                       .age_min = 10,
                                       .per_owner = per_owner};

    world = gv_world_new(&options);
    subject = gv_world_subject(1);
    gv_world_run(world, 30000);
}

static struct gv_decision at(size_t node, const struct gv_subject *of)
{
    return gv_core_decide(world->nodes[node].core, NULL, NULL, of);
}

static bool told(size_t node, const struct gv_subject *of, uint32_t *seconds)
{
    uint8_t instance[GV_ID_LEN];
    uint32_t left = 0;
    bool is = gv_core_own_lock(world->nodes[node].core, of, &left, instance);

    if (seconds)
        *seconds = left;
    return is;
}

static void visits(size_t node, const struct gv_subject *of, unsigned count, bool unknown)
{
    for (unsigned i = 0; i < count; i++) {
        struct gv_event event = {.kind = GV_EVENT_OBSERVATION};
        event.observation = (struct gv_observation){.subject = *of,
                                                    .unix_ms = gv_world_unix_ms(world, node),
                                                    .account = 1 + i,
                                                    .attempts = 1,
                                                    .service = GV_SERVICE_IMAP,
                                                    .kind = unknown ? GV_KIND_UNKNOWN_ACCOUNT
                                                                    : GV_KIND_WRONG_PASSWORD,
                                                    .new_visit = true};
        assert_int_equal(gv_world_step(world, node, &event), GV_OK);
    }
}

static void login(size_t node, const struct gv_subject *of, uint64_t account)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION};

    event.observation = (struct gv_observation){.subject = *of,
                                                .unix_ms = gv_world_unix_ms(world, node),
                                                .account = account,
                                                .service = GV_SERVICE_IMAP,
                                                .kind = GV_KIND_UNSPECIFIED,
                                                .success = true};
    assert_int_equal(gv_world_step(world, node, &event), GV_OK);
}

/* Logins over more than a week: clean, whatever fails now. */
static void logins(size_t node, const struct gv_subject *of)
{
    for (uint64_t days = 9; days < 10; days--) {
        struct gv_event event = {.kind = GV_EVENT_OBSERVATION};
        event.observation = (struct gv_observation){.subject = *of,
                                                    .account = 71,
                                                    .service = GV_SERVICE_IMAP,
                                                    .kind = GV_KIND_UNSPECIFIED,
                                                    .success = true,
                                                    .past = true};
        event.observation.unix_ms = gv_world_unix_ms(world, node) - days * 86400000u;
        assert_int_equal(gv_world_step(world, node, &event), GV_OK);
    }
}

static int command(size_t node, enum gv_command what, const struct gv_subject *of,
                   const uint8_t *owner)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = what}};

    if (of) {
        event.command.subject = *of;
        event.command.prefix = (struct gv_prefix){.family = of->family, .bits = 32};
        memcpy(event.command.prefix.bytes, of->bytes, 4);
    }
    if (owner)
        memcpy(event.command.owner, owner, GV_ID_LEN);
    return gv_world_step(world, node, &event);
}

static void share(size_t node, enum gv_share mode)
{
    struct gv_settings settings = *gv_core_settings(world->nodes[node].core);
    struct gv_event event = {.kind = GV_EVENT_COMMAND,
                             .command = {.command = GV_COMMAND_CONFIGURE}};

    settings.share = mode;
    event.command.settings = &settings;
    assert_int_equal(gv_world_step(world, node, &event), GV_OK);
}

static int close_world(void **state)
{
    (void)state;
    gv_world_free(world);
    world = NULL;
    return 0;
}

static void what_one_locks_the_others_refuse_within_two_seconds(void **state)
{
    uint32_t seconds;

    open_world(4, 2);
    visits(0, &subject, 3, false); /* the third visit locks; no signal counts five */
    assert_int_equal(at(0, &subject).reason, GV_REASON_LOCKED_HERE);
    gv_world_run(world, 32000);
    assert_int_equal(at(1, &subject).action, GV_ACTION_REFUSE);
    assert_int_equal(at(1, &subject).reason, GV_REASON_LOCKED_BY_OWN);
    assert_true(told(1, &subject, &seconds) && seconds >= 3597 && seconds <= 3600);
    assert_int_equal(at(2, &subject).action, GV_ACTION_ALLOW);
    assert_int_equal(at(3, &subject).action, GV_ACTION_ALLOW);
    /* It ends when the lock there ends, and the signal leaves one guess. */
    gv_world_run(world, 30000 + 3590000);
    assert_int_equal(at(1, &subject).action, GV_ACTION_REFUSE);
    gv_world_run(world, 30000 + 3662000); /* a core that nothing happens to wakes once a minute */
    assert_int_equal(at(0, &subject).action, GV_ACTION_ONE_STRIKE);
    assert_int_equal(at(1, &subject).action, GV_ACTION_ONE_STRIKE);
}

static void a_signal_of_an_own_host_leaves_one_guess(void **state)
{
    open_world(4, 2);
    visits(0, &subject, 1, true);
    visits(0, &subject, 1, true); /* two at unknown accounts: p = 4, and a lock at the second */
    gv_world_run(world, 30000 + 3700000);
    assert_int_equal(at(1, &subject).action, GV_ACTION_ONE_STRIKE);
    visits(1, &subject, 1, false);
    assert_int_equal(at(1, &subject).reason, GV_REASON_LOCKED_HERE);
    assert_int_equal(at(2, &subject).action, GV_ACTION_ALLOW);
    visits(2, &subject, 1, false); /* for another owner it is the first of five */
    assert_int_equal(at(2, &subject).action, GV_ACTION_ALLOW);
}

static void a_lock_is_told_only_by_its_author(void **state)
{
    open_world(6, 3);
    visits(0, &subject, 3, false);
    gv_world_run(world, 32000);
    assert_true(told(1, &subject, NULL) && told(2, &subject, NULL));
    /* What node 1 was told it does not tell on: with node 0 gone, and its word with it, nobody else
     * keeps the lock alive. */
    gv_world_crash(world, 2, false);
    gv_world_crash(world, 0, false);
    gv_world_start(world, 2);
    gv_world_run(world, 120000);
    assert_true(told(1, &subject, NULL));
    assert_false(told(2, &subject, NULL));
    gv_world_start(world, 0);
    gv_world_run(world, 900000);
    assert_true(told(2, &subject, NULL)); /* the session brings it again */
}

static void clean_history_and_the_allow_list_stand_before_it(void **state)
{
    struct gv_subject other = gv_world_subject(2);

    open_world(4, 2);
    login(1, &subject, 71);
    login(1, &subject, 72);
    assert_int_equal(command(1, GV_COMMAND_ALLOW, &other, NULL), GV_OK);
    visits(0, &subject, 3, true);
    visits(0, &other, 3, true);
    gv_world_run(world, 32000);
    assert_true(told(1, &subject, NULL) && told(1, &other, NULL));
    assert_int_equal(at(1, &subject).reason, GV_REASON_CLEAN_HERE);
    assert_int_equal(at(1, &other).reason, GV_REASON_ALLOW_LISTED);
}

static void what_could_not_be_signalled_is_not_told(void **state)
{
    struct gv_subject private = {GV_FAMILY_IPV4, {10, 0, 0, 1}};
    struct gv_subject clean = gv_world_subject(3), late = gv_world_subject(4);

    open_world(4, 2);
    logins(0, &clean);
    visits(0, &clean, 25, true);
    visits(0, &private, 6, true);
    share(0, GV_SHARE_PREVIEW);
    visits(0, &late, 6, true);
    assert_int_equal(at(0, &private).action, GV_ACTION_REFUSE);
    assert_int_equal(at(0, &clean).action, GV_ACTION_REFUSE);
    assert_int_equal(at(0, &late).action, GV_ACTION_REFUSE);
    gv_world_run(world, 60000);
    assert_false(told(1, &private, NULL));
    assert_false(told(1, &clean, NULL));
    assert_false(told(1, &late, NULL));
}

static void what_the_admin_allows_is_told_no_more(void **state)
{
    open_world(4, 2);
    visits(0, &subject, 3, false);
    gv_world_run(world, 32000);
    assert_true(told(1, &subject, NULL));
    assert_int_equal(command(0, GV_COMMAND_ALLOW, &subject, NULL), GV_OK);
    gv_world_run(world, 34000);
    assert_false(told(1, &subject, NULL));
    assert_int_equal(command(0, GV_COMMAND_UNLIST, &subject, NULL), GV_OK);
    gv_world_run(world, 36000);
    assert_true(told(1, &subject, NULL));
}

/* Node 2 trusts the owner of 0 and 1; node 3 is of the same owner as 2, and decides for itself. */
static void an_owner_may_be_trusted(void **state)
{
    const uint8_t *owner;
    uint8_t listed[GV_ID_LEN];
    size_t cursor = 0;

    open_world(6, 2);
    owner = world->nodes[0].facts.owner;
    assert_int_equal(command(2, GV_COMMAND_DISTRUST, NULL, owner), GV_ERR_NOT_FOUND);
    assert_int_equal(command(2, GV_COMMAND_TRUST, NULL, world->nodes[2].facts.owner),
                     GV_ERR_DUPLICATE);
    assert_int_equal(command(2, GV_COMMAND_TRUST, NULL, owner), GV_OK);
    assert_int_equal(command(2, GV_COMMAND_TRUST, NULL, owner), GV_ERR_DUPLICATE);
    gv_world_run(world, 31000);
    visits(0, &subject, 3, false);
    gv_world_run(world, 33000);
    assert_int_equal(at(2, &subject).reason, GV_REASON_LOCKED_BY_OWN);
    assert_int_equal(at(3, &subject).action, GV_ACTION_ALLOW);
    assert_int_equal(at(4, &subject).action, GV_ACTION_ALLOW);
    /* It is not mutual. */
    struct gv_subject other = gv_world_subject(2);
    visits(2, &other, 3, false);
    gv_world_run(world, 35000);
    assert_int_equal(at(0, &other).action, GV_ACTION_ALLOW);
    assert_int_equal(at(3, &other).action, GV_ACTION_REFUSE);
    /* Trust outlives a restart, and the locks come again. */
    gv_world_crash(world, 2, false);
    gv_world_start(world, 2);
    assert_true(gv_core_next_trusted(world->nodes[2].core, &cursor, listed));
    assert_memory_equal(listed, owner, GV_ID_LEN);
    assert_false(gv_core_next_trusted(world->nodes[2].core, &cursor, listed));
    gv_world_run(world, 60000);
    assert_int_equal(at(2, &subject).reason, GV_REASON_LOCKED_BY_OWN);
    /* And goes at once when it is taken back, for good. */
    assert_int_equal(command(2, GV_COMMAND_DISTRUST, NULL, owner), GV_OK);
    assert_int_equal(at(2, &subject).action, GV_ACTION_ALLOW);
    struct gv_subject third = gv_world_subject(3);
    visits(0, &third, 3, false);
    gv_world_run(world, 62000);
    assert_false(told(2, &third, NULL));
    gv_world_crash(world, 2, false);
    gv_world_start(world, 2);
    cursor = 0;
    assert_false(gv_core_next_trusted(world->nodes[2].core, &cursor, listed));
}

static void no_more_owners_than_the_limit(void **state)
{
    uint8_t owner[GV_ID_LEN] = {7};

    open_world(2, 1);
    for (unsigned i = 0; i < GV_TRUSTED_MAX; i++) {
        owner[1] = (uint8_t)i;
        assert_int_equal(command(0, GV_COMMAND_TRUST, NULL, owner), GV_OK);
    }
    owner[0]++;
    assert_int_equal(command(0, GV_COMMAND_TRUST, NULL, owner), GV_ERR_FULL);
}

/* Twelve servers of one owner among forty nodes find each other, and the others too. */
static void own_hosts_dial_each_other_beside_their_peers(void **state)
{
    open_world(48, 12);
    gv_world_run(world, 300000);
    for (size_t i = 0; i < 12; i++) {
        struct gv_core_status status;
        gv_core_status(world->nodes[i].core, &status);
        assert_int_equal(status.own_hosts, 11);
        assert_in_range(status.peers - status.own_hosts, 3, GV_PEERS_MAX + 3);
    }
    visits(0, &subject, 3, false);
    gv_world_run(world, 302000);
    for (size_t i = 1; i < 48; i++)
        assert_int_equal(at(i, &subject).action == GV_ACTION_REFUSE, i < 12);
}

/* A thousand locks: one message a second, and all arrive. */
static void many_locks_are_told_in_turn(void **state)
{
    open_world(2, 2);
    gv_world_crash(world, 1, false);
    for (uint32_t i = 0; i < 1000; i++) {
        struct gv_subject one = gv_world_subject(100 + i);
        visits(0, &one, 3, false);
    }
    gv_world_start(world, 1);
    gv_world_run(world, 90000);
    struct gv_core_status status;
    gv_core_status(world->nodes[1].core, &status);
    assert_int_equal(status.own_locks, 1000);
    gv_world_run(world, 90000 + 3660000);
    gv_core_status(world->nodes[1].core, &status);
    assert_int_equal(status.own_locks, 0);
}

/* ---- whatever the weather -------------------------------------------------------------------- */

#define STORM_NODES    8u /* of three owners: 0 to 2, 3 to 5, 6 and 7 */
#define STORM_SUBJECTS 40u
#define STORM_MIN      60u

static bool has_locked[STORM_NODES][STORM_SUBJECTS];
static unsigned own_locks_heard, locks_known;

static void on_note(void *context, size_t node, const struct gv_effect *note)
{
    size_t author = 0;

    (void)context;
    uint32_t number = gv_world_subject_number(&note->subject);
    if (note->note == GV_NOTE_LOCKED && number < STORM_SUBJECTS)
        has_locked[node][number] = true;
    if (note->note != GV_NOTE_OWN_LOCK || note->number == 0)
        return;
    while (author < STORM_NODES &&
           memcmp(world->nodes[author].identity.id, note->instance, GV_ID_LEN) != 0)
        author++;
    assert_true(author < STORM_NODES && author != node && author / 3 == node / 3);
    assert_true(has_locked[author][number]);
    own_locks_heard++;
}

static bool is_locked_at(size_t node, const struct gv_subject *of)
{
    struct gv_history_summary summary;

    return gv_core_history(world->nodes[node].core, &summary, of) == GV_OK &&
           summary.locked_until_ms > gv_world_unix_ms(world, node) + 60000;
}

/* Everybody knows what those of his owner have locked, and nobody anything else. */
static void assert_locks_are_known(void)
{
    for (uint32_t number = 0; number < STORM_SUBJECTS; number++) {
        struct gv_subject of = gv_world_subject(number);
        for (size_t node = 0; node < STORM_NODES; node++) {
            bool wanted = false, possible = false;
            for (size_t other = 0; other < STORM_NODES; other++) {
                if (other == node || other / 3 != node / 3)
                    continue;
                wanted = wanted || is_locked_at(other, &of);
                possible = possible || has_locked[other][number];
            }
            locks_known += wanted;
            if (wanted != told(node, &of, NULL) && (wanted || !possible))
                fail_msg("node %zu, subject %u: %s", node, number, wanted ? "not told" : "told");
        }
    }
}

static void a_storm(uint64_t seed)
{
    struct gv_world_options options = {.nodes = STORM_NODES,
                                       .seed = seed,
                                       .latency_min_ms = 5,
                                       .latency_max_ms = 120,
                                       .age_min = 200 * 1440,
                                       .per_owner = 3,
                                       .faults = {.loss = 5,
                                                  .breaks = 20,
                                                  .split = 20,
                                                  .partitions = 10,
                                                  .partition_s = 600,
                                                  .partition_kinds = 15,
                                                  .crashes = 5,
                                                  .down_s = 300,
                                                  .disks = 20}};

    memset(has_locked, 0, sizeof has_locked);
    world = gv_world_new(&options);
    world->on_note = on_note;
    gv_weather_draw(world, STORM_MIN * 60000u);
    for (uint64_t i = 0; i < STORM_MIN * 6; i++) {
        size_t node = gv_drbg_below(&world->drbg, STORM_NODES);
        struct gv_subject of =
            gv_world_subject((uint32_t)gv_drbg_below(&world->drbg, STORM_SUBJECTS));
        gv_world_run(world, i * 10000);
        if (world->nodes[node].core)
            gv_world_fail(world, node, &of, 1 + (uint32_t)gv_drbg_below(&world->drbg, 3));
    }
    gv_world_run(world, STORM_MIN * 60000u);
    gv_weather_heal(world);
    gv_world_run(world, STORM_MIN * 60000u + 1500000); /* the longest back-off */
    assert_locks_are_known();
    gv_world_free(world);
    world = NULL;
}

static void locks_are_known_after_a_storm(void **state)
{
    (void)state;
    own_locks_heard = locks_known = 0;
    for (uint64_t seed = 1; seed <= 10; seed++)
        a_storm(seed);
    print_message("%u locks told, %u known at the ends\n", own_locks_heard, locks_known);
    assert_true(own_locks_heard > 500 && locks_known > 100);
}

#define WORLD_TEST(f) cmocka_unit_test_teardown(f, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(what_one_locks_the_others_refuse_within_two_seconds),
        WORLD_TEST(a_signal_of_an_own_host_leaves_one_guess),
        WORLD_TEST(a_lock_is_told_only_by_its_author),
        WORLD_TEST(clean_history_and_the_allow_list_stand_before_it),
        WORLD_TEST(what_could_not_be_signalled_is_not_told),
        WORLD_TEST(what_the_admin_allows_is_told_no_more),
        WORLD_TEST(an_owner_may_be_trusted),
        WORLD_TEST(no_more_owners_than_the_limit),
        WORLD_TEST(own_hosts_dial_each_other_beside_their_peers),
        WORLD_TEST(many_locks_are_told_in_turn),
        WORLD_TEST(locks_are_known_after_a_storm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
