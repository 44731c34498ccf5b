/* Locks told by servers of one admin (SPEC 9.8), at one host: a puppet says what it likes, and the
 * table is held against a plain list. test_own_hosts.c has the stories of many hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_puppet.h"
#include "proto/limits.h"
#include "proto/trust/own_locks.h"

/* ---- a puppet -------------------------------------------------------------------------------- */

static struct network network;
static struct host host;
static struct puppet own, stranger;

static int stage_up(void **state)
{
    (void)state;
    network_open(&network, 1, false);
    puppet_make(&own, &network, 2);
    puppet_make(&stranger, &network, 3);
    if (host_open(&host, &network, 1, NULL) != GV_OK)
        return -1;
    memcpy(own.facts.owner, host.facts.owner, GV_ID_LEN);
    puppet_certify(&own);
    return 0;
}

static int stage_down(void **state)
{
    (void)state;
    puppet_free(&own);
    puppet_free(&stranger);
    host_close(&host);
    network_close(&network);
    return 0;
}

static void say_lock(struct puppet *puppet, const struct gv_subject *of, uint32_t seconds)
{
    struct gv_told_lock lock = {*of, seconds};
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_locks(&message, &lock, 1);
    puppet_say_buf(puppet, &message);
}

static void say_follow(struct puppet *puppet, bool on)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_follow(&message, on);
    puppet_say_buf(puppet, &message);
}

static enum gv_action action_of(unsigned number)
{
    struct gv_subject of = subject_of(number);

    return gv_core_decide(host.core, NULL, NULL, &of).action;
}

static void only_an_own_host_is_believed(void **state)
{
    struct gv_subject first = subject_of(1), second = subject_of(2);

    assert_true(puppet_join(&own, &host));
    assert_true(puppet_join(&stranger, &host));
    assert_int_equal(own.count[GV_MESSAGE_FOLLOW], 1);
    assert_int_equal(stranger.count[GV_MESSAGE_FOLLOW], 0);
    say_lock(&stranger, &first, 3600);
    assert_int_equal(action_of(1), GV_ACTION_ALLOW);
    assert_false(stranger.closed); /* he may have been trusted a moment ago */
    say_lock(&own, &second, 100);
    assert_int_equal(action_of(2), GV_ACTION_REFUSE);
    assert_int_equal(host.notes[GV_NOTE_OWN_LOCK], 1);
    assert_int_equal(host.last[GV_NOTE_OWN_LOCK].number, 100);
    say_lock(&own, &second, 200); /* longer: nothing to tell anybody */
    assert_int_equal(host.notes[GV_NOTE_OWN_LOCK], 1);
    host_run(&host, 150000);
    assert_int_equal(action_of(2), GV_ACTION_REFUSE);
    host_run(&host, 51000);
    assert_int_equal(action_of(2), GV_ACTION_ALLOW);
    say_lock(&own, &second, 100);
    say_lock(&own, &second, 0);
    assert_int_equal(action_of(2), GV_ACTION_ALLOW);
    assert_int_equal(host.last[GV_NOTE_OWN_LOCK].number, 0);
}

static void each_is_listed_once(void **state)
{
    struct gv_subject first = subject_of(1), listed;
    struct puppet second;
    size_t cursor = 0;

    puppet_make(&second, &network, 4);
    memcpy(second.facts.owner, host.facts.owner, GV_ID_LEN);
    puppet_certify(&second);
    assert_true(puppet_join(&own, &host));
    assert_true(puppet_join(&second, &host));
    say_lock(&own, &first, 100);
    say_lock(&second, &first, 200);
    assert_true(gv_core_next_own_lock(host.core, &cursor, &listed));
    assert_true(gv_subject_equal(&listed, &first));
    assert_false(gv_core_next_own_lock(host.core, &cursor, &listed));
    host_run(&host, 150000);
    cursor = 0;
    assert_true(gv_core_next_own_lock(host.core, &cursor, &listed));
    assert_int_equal(action_of(1), GV_ACTION_REFUSE);
    host_run(&host, 60000);
    cursor = 0;
    assert_false(gv_core_next_own_lock(host.core, &cursor, &listed));
    puppet_free(&second);
}

static void it_goes_with_its_author(void **state)
{
    struct gv_subject first = subject_of(1);
    struct gv_buf record = revocation_record(&network, own.identity.id, STAGE_MINUTE);

    assert_true(puppet_join(&own, &host));
    assert_true(puppet_join(&stranger, &host));
    say_lock(&own, &first, 3600);
    puppet_leave(&own); /* a session that ends takes nothing back */
    assert_int_equal(action_of(1), GV_ACTION_REFUSE);
    puppet_hand(&stranger, record);
    assert_int_equal(action_of(1), GV_ACTION_ALLOW);
}

static void a_private_address_costs_the_session(void **state)
{
    struct gv_subject private = {GV_FAMILY_IPV4, {192, 168, 1, 1}};

    assert_true(puppet_join(&own, &host));
    say_lock(&own, &private, 3600);
    assert_true(own.closed);
    assert_int_equal(own.goodbye, GV_GOODBYE_INVALID);
}

/* The verdict stays what it was, and the action does not: who serves it is told all the same. */
static void own_evidence_is_noted_without_a_change_of_verdict(void **state)
{
    struct gv_subject first = subject_of(1);

    own.facts.since_min = STAGE_MINUTE - STAGE_DAY; /* too young to weigh anything */
    puppet_certify(&own);
    assert_true(puppet_join(&own, &host));
    assert_true(puppet_join(&stranger, &host));
    puppet_hand(&stranger, puppet_signal_on(&stranger, 1, STAGE_MINUTE));
    assert_int_equal(host.notes[GV_NOTE_VERDICT], 1);
    assert_int_equal(host.notes[GV_NOTE_EVIDENCE], 0);
    assert_int_equal(action_of(1), GV_ACTION_ALLOW);
    puppet_hand(&own, puppet_signal_on(&own, 1, STAGE_MINUTE - 120));
    assert_int_equal(host_verdict(&host, &first), GV_VERDICT_REPORTED);
    assert_int_equal(action_of(1), GV_ACTION_ONE_STRIKE);
    assert_int_equal(host.notes[GV_NOTE_VERDICT], 1);
    assert_int_equal(host.notes[GV_NOTE_EVIDENCE], 1);
    assert_true(gv_subject_equal(&host.last[GV_NOTE_EVIDENCE].subject, &first));
    puppet_hand(&own, puppet_retraction_on(&own, 1, STAGE_MINUTE));
    assert_int_equal(action_of(1), GV_ACTION_ALLOW);
    assert_true(host.notes[GV_NOTE_EVIDENCE] > 1);
    assert_int_equal(host.notes[GV_NOTE_VERDICT], 1);
}

/* What an own host signalled is reason to refuse for as long as a visit that failed here is. */
static void an_own_signal_is_late_after_six_hours(void **state)
{
    static const struct {
        uint32_t minutes_ago;
        bool lately;
    } cases[] = {{1, true}, {6 * 60 - 2, true}, {6 * 60 + 2, false}, {23 * 60, false}};

    assert_true(puppet_join(&own, &host));
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_action_facts facts;
        struct gv_subject of = subject_of(1 + i);
        puppet_hand(&own, puppet_signal_on(&own, 1 + i, STAGE_MINUTE - cases[i].minutes_ago));
        gv_core_decide(host.core, NULL, &facts, &of);
        assert_int_equal(facts.points, 2); /* while it lives */
        assert_int_equal(facts.failed_lately, cases[i].lately);
    }
}

/* A stranger who asks is told of what he could know from signals, and of nothing else. */
static void strangers_are_told_what_was_signalled(void **state)
{
    struct gv_subject first = subject_of(1), second = subject_of(2);
    struct gv_event silent = {.kind = GV_EVENT_OBSERVATION};

    assert_true(puppet_join(&own, &host));
    assert_true(puppet_join(&stranger, &host));
    say_follow(&own, true);
    say_follow(&stranger, true);
    /* Locked, and not signalled: a quota full of signals, say; here two visits without a name. */
    host_fails(&host, &first);
    host_run(&host, 3000);
    puppet_work(&own);
    puppet_work(&stranger);
    assert_int_equal(own.count[GV_MESSAGE_LOCKS], 1);
    assert_int_equal(stranger.count[GV_MESSAGE_LOCKS], 1);
    host_command(&host, GV_COMMAND_RETRACT, &first);
    host_run(&host, 3000);
    puppet_work(&own);
    puppet_work(&stranger);
    assert_int_equal(stranger.count[GV_MESSAGE_LOCKS], 2); /* not any more */
    /* From now on nothing may be signalled: the hour's quota is full. */
    for (unsigned i = 10; i < 10 + 32; i++) {
        struct gv_subject of = subject_of(i);
        host_fails(&host, &of);
    }
    host_run(&host, 60000);
    puppet_work(&own);
    puppet_work(&stranger);
    puppet_forget(&own);
    puppet_forget(&stranger);
    silent.observation = (struct gv_observation){.subject = second,
                                                 .attempts = 1,
                                                 .service = GV_SERVICE_IMAP,
                                                 .kind = GV_KIND_WRONG_PASSWORD};
    for (unsigned i = 0; i < 6; i++) {
        silent.observation.new_visit = true;
        silent.observation.account = i + 1;
        silent.observation.unix_ms = host_unix_ms(&host);
        host_step(&host, &silent);
    }
    assert_true(host.notes[GV_NOTE_SIGNAL_HELD] > 0);
    host_run(&host, 3000);
    puppet_work(&own);
    puppet_work(&stranger);
    assert_int_equal(own.count[GV_MESSAGE_LOCKS], 1);
    assert_int_equal(stranger.count[GV_MESSAGE_LOCKS], 0);
}

static void asking_again_and_again_is_answered_once_the_minute_is_over(void **state)
{
    struct gv_subject first = subject_of(1);

    host_fails(&host, &first);
    assert_true(puppet_join(&own, &host));
    for (unsigned i = 0; i < 3 * GV_FOLLOWS_PER_MINUTE; i++) {
        say_follow(&own, true);
        host_run(&host, 1500);
        puppet_work(&own);
    }
    assert_false(own.closed);
    assert_int_equal(own.count[GV_MESSAGE_LOCKS], GV_FOLLOWS_PER_MINUTE);
    host_run(&host, 61000);
    puppet_work(&own);
    assert_int_equal(own.count[GV_MESSAGE_LOCKS], GV_FOLLOWS_PER_MINUTE + 1);
    host_run(&host, 61000);
    puppet_forget(&own);
    say_follow(&own, true);
    say_follow(&own, false);
    struct gv_subject second = subject_of(2);
    host_fails(&host, &second);
    host_run(&host, 5000);
    puppet_work(&own);
    assert_int_equal(own.count[GV_MESSAGE_LOCKS], 1); /* of the first alone */
}

/* ---- the table, against a plain list --------------------------------------------------------- */

static uint64_t random_state = 88172645463325252ull;

static uint32_t below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 11) % bound);
}

static void the_table_is_a_list_of_locks(void **state)
{
    static const uint8_t key[16] = {5};
    struct gv_own_locks locks;
    uint64_t model[8][8] = {{0}}, now = 1;

    gv_own_locks_init(&locks, key, 40);
    for (unsigned step = 0; step < 100000; step++, now += below(3)) {
        unsigned s = below(8), a = below(8), held = 0;
        struct gv_own_lock lock = {.subject = {GV_FAMILY_IPV4, {203, 0, 113, (uint8_t)s}},
                                   .author = {(uint8_t)a}},
                           gone;
        bool changed, any = false;
        for (unsigned i = 0; i < 64; i++)
            held += model[i / 8][i % 8] != 0;
        if (below(20) == 0) {
            const uint8_t *author = below(2) ? lock.author : NULL;
            size_t cursor = 0;
            while (gv_own_locks_take(&locks, &cursor, &gone, now, author)) {
                uint64_t *m = &model[gone.subject.bytes[3]][gone.author[0]];
                assert_true(*m == gone.until_ms);
                assert_true(*m <= now || (author && gone.author[0] == a));
                *m = 0;
            }
            for (unsigned i = 0; i < 64; i++)
                assert_true(model[i / 8][i % 8] == 0 ||
                            (model[i / 8][i % 8] > now && (!author || i % 8 != a)));
        } else {
            lock.until_ms = below(3) ? now + 1 + below(200) : 0;
            int rc = gv_own_locks_set(&locks, &changed, &lock, now);
            if (rc == GV_OK) {
                assert_int_equal(changed, (model[s][a] > now) != (lock.until_ms > now));
                model[s][a] = lock.until_ms;
            } else {
                assert_int_equal(rc, GV_ERR_FULL);
                assert_true(held == 40 && model[s][a] == 0);
            }
        }
        s = below(8);
        lock.subject.bytes[3] = (uint8_t)s;
        for (unsigned i = 0; i < 8; i++)
            any = any || model[s][i] > now;
        const struct gv_own_lock *found = gv_own_locks_find(&locks, &lock.subject, now);
        assert_int_equal(found != NULL, any);
        if (found)
            assert_true(model[s][found->author[0]] == found->until_ms);
    }
    gv_own_locks_free(&locks);
}

#define STAGE_TEST(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(only_an_own_host_is_believed),
        STAGE_TEST(each_is_listed_once),
        STAGE_TEST(it_goes_with_its_author),
        STAGE_TEST(a_private_address_costs_the_session),
        STAGE_TEST(own_evidence_is_noted_without_a_change_of_verdict),
        STAGE_TEST(an_own_signal_is_late_after_six_hours),
        STAGE_TEST(strangers_are_told_what_was_signalled),
        STAGE_TEST(asking_again_and_again_is_answered_once_the_minute_is_over),
        cmocka_unit_test(the_table_is_a_list_of_locks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
