/* Whispers and errands from peers that are not honest (SPEC 9.10): what is kept is given to nobody,
 * questions are bounded, and an errand's session is for errands. And the law of what is published.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_stage.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

#define NOW   STAGE_MINUTE
#define CROWD 10 /* instances that could be keepers: more than seven */

/* The roster knows enough nodes that can be reached; none of them is there. */
static void make_crowd(void)
{
    for (unsigned i = 0; i < CROWD; i++) {
        struct puppet one;
        struct gv_address address = make_address(100 + i);
        puppet_make(&one, &network, 100 + i);
        struct gv_buf certificate = certificate_record(&one);
        struct gv_buf where = address_record(&one, &address, NOW);
        assert_int_equal(host_news(&host, certificate.data, certificate.len), GV_OK);
        assert_int_equal(host_news(&host, where.data, where.len), GV_OK);
        gv_buf_free(&certificate);
        gv_buf_free(&where);
        puppet_free(&one);
    }
}

static int crowded_up(void **state)
{
    if (lab_up(state) != 0)
        return -1;
    make_crowd();
    assert_true(puppet_join(&puppet, &host));
    assert_true(puppet_join(&other, &host));
    stage_settle();
    return 0;
}

static void run(uint64_t ms)
{
    host_run(&host, ms);
    puppet_work(&puppet);
    puppet_work(&other);
}

static void whisper(struct puppet *who, const struct gv_buf *record)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_whisper_start(&message, 1);
    gv_message_record(&message, record->data, record->len);
    puppet_say_buf(who, &message);
}

static void ask(struct puppet *who, unsigned subject)
{
    struct gv_subject about = subject_of(subject);
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_ask(&message, &about);
    puppet_say_buf(who, &message);
}

static void what_is_whispered_is_kept_and_acknowledged(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    whisper(&puppet, &record);
    assert_int_equal(host_status(&host).kept, 1);
    assert_int_equal(host_status(&host).statements, 0);
    assert_int_equal(puppet.count[GV_MESSAGE_ACK], 1);
    assert_int_equal(host.send_before_persist, 0);
    gv_buf_free(&record);
}

/* By no message that a member may send. */
static void what_is_kept_is_given_to_nobody(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW), message;
    uint8_t id[GV_ID_LEN];

    whisper(&puppet, &record);
    record_id(id, &record);
    run(60000);
    gv_buf_init(&message);
    gv_message_ids(&message, GV_MESSAGE_WANT, id, 1);
    puppet_say_buf(&other, &message);
    gv_buf_init(&message);
    gv_message_graft(&message, 0xff, id, 1);
    puppet_say_buf(&other, &message);
    puppet_ask(&other, GV_TREE_STATEMENTS);
    run(GV_REPAIR_MAX_MS);
    assert_int_equal(other.records[GV_RECORD_SIGNAL], 0);
    assert_false(other.closed);
    gv_buf_free(&record);
}

/* Whoever asks by name of the subject is told: that is what keepers are for. But not for ever. */
static void questions_are_answered_so_often_a_minute(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    whisper(&puppet, &record);
    ask(&other, 1);
    assert_int_equal(other.count[GV_MESSAGE_WHISPER], 1);
    assert_int_equal(other.whispered, 1);
    ask(&other, 2); /* nothing: an answer all the same */
    assert_int_equal(other.count[GV_MESSAGE_WHISPER], 2);
    for (unsigned i = 0; i < 1000; i++)
        ask(&other, i);
    assert_int_equal(other.count[GV_MESSAGE_WHISPER], GV_ASKS_PER_MINUTE);
    assert_false(other.closed);
    gv_buf_free(&record);
}

static void only_statements_may_be_whispered(void **state)
{
    struct gv_buf record = certificate_record(&puppet);

    whisper(&puppet, &record);
    assert_true(puppet.closed);
    assert_int_equal(puppet.goodbye, GV_GOODBYE_INVALID);
    gv_buf_free(&record);
}

static void a_forged_whisper_costs_the_session(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    record.data[5] ^= 1;
    whisper(&puppet, &record);
    assert_true(puppet.closed);
    assert_int_equal(host_status(&host).kept, 0);
    gv_buf_free(&record);
}

static void whispers_have_the_hours_quota(void **state)
{
    for (unsigned i = 0; i < 100; i++) {
        struct gv_buf record = puppet_signal_on(&puppet, i, NOW);
        whisper(&puppet, &record);
        gv_buf_free(&record);
    }
    assert_int_equal(host_status(&host).kept, 32);
    assert_false(puppet.closed);
    /* And they take no place of what is public: sets would differ. */
    struct gv_buf record = puppet_signal_on(&puppet, 200, NOW);
    puppet_give(&other, &record);
    assert_int_equal(host_status(&host).statements, 1);
    gv_buf_free(&record);
}

static void what_others_hold_public_is_public_here_too(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    whisper(&puppet, &record);
    puppet_forget(&puppet);
    puppet_give(&other, &record);
    run(0);
    assert_int_equal(host_status(&host).kept, 0);
    assert_int_equal(host_status(&host).statements, 1);
    assert_int_equal(puppet.records[GV_RECORD_SIGNAL], 1); /* passed on */
    whisper(&other, &record);                              /* and not made a secret again */
    assert_int_equal(host_status(&host).statements, 1);
    gv_buf_free(&record);
}

static void contradictions_in_whispers_are_exposed(void **state)
{
    struct gv_subject subject = subject_of(1);
    struct gv_statement s = puppet_signal(&puppet, &subject, NOW);
    struct gv_buf a = sign_statement(&puppet, &s);

    s.subject = subject_of(2);
    struct gv_buf b = sign_statement(&puppet, &s);
    whisper(&puppet, &a);
    whisper(&other, &b);
    run(0);
    assert_int_equal(host.notes[GV_NOTE_FAULT], 1);
    assert_int_equal(host_status(&host).kept, 0);
    assert_int_equal(other.records[GV_RECORD_FAULT], 1); /* everybody is told */
    gv_buf_free(&a);
    gv_buf_free(&b);
}

/* ---- the session of an errand ---------------------------------------------------------------- */

static void say_errand(struct puppet *who)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_errand(&message);
    puppet_say_buf(who, &message);
}

static void an_errand_gets_no_news_and_no_repair(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    say_errand(&other);
    puppet_give(&puppet, &record);
    puppet_ask(&other, GV_TREE_STATEMENTS);
    run(1000);
    assert_int_equal(other.records[GV_RECORD_SIGNAL], 0);
    assert_int_equal(other.count[GV_MESSAGE_RECONCILE], 0);
    puppet_give(&other, &record); /* what it pushes is not taken */
    assert_false(other.closed);
    assert_int_equal(host_status(&host).peers, 1);
    run(GV_ERRAND_PATIENCE_MS);
    assert_true(other.closed);
    gv_buf_free(&record);
}

/* ---- the law of what is published ------------------------------------------------------------ */

/* Whatever votes come, kept or public, in whatever order: what is public in the end says who is
 * untrusted as all that is held does, and as much for `consensus`; and one group alone publishes
 * nothing. */
static void what_is_public_suffices(void **state)
{
    struct gv_drbg drbg;
    uint8_t seed[GV_SEED_LEN] = {9};
    unsigned untrusted = 0;

    gv_drbg_init(&drbg, seed);
    for (unsigned round = 0; round < 120; round++) {
        struct gv_subject subject = subject_of(1000 + round);
        unsigned votes = 1 + (unsigned)gv_drbg_below(&drbg, 9);
        for (unsigned i = 0; i < votes; i++) {
            struct puppet voter;
            puppet_make(&voter, &network, 300 + round * 16 + i);
            voter.facts.group =
                make_facts(&network, &voter.identity, 1 + (unsigned)gv_drbg_below(&drbg, 8)).group;
            puppet_certify(&voter);
            struct gv_buf certificate = certificate_record(&voter);
            host_news(&host, certificate.data, certificate.len);
            struct gv_statement s = puppet_signal(&voter, &subject, NOW);
            struct gv_buf record = sign_statement(&voter, &s);
            if (gv_drbg_below(&drbg, 6) == 0)
                puppet_give(&puppet, &record);
            else
                whisper(&puppet, &record);
            gv_buf_free(&record);
            gv_buf_free(&certificate);
            puppet_free(&voter);
        }
        run(GV_KEEPERS_RANKED * GV_LATER_STEP_MS + GV_LATER_MS + 1);
        const struct gv_case *row = gv_store_case(&host.core->store, &subject);
        const struct gv_policy *policy = &host.core->descriptor.policy;
        struct gv_verdict all, known;
        struct gv_vote scratch[32];
        gv_store_judge(&all, row, policy, host.core->descriptor.genesis_min, host.core->now_min,
                       scratch);
        gv_store_judge_public(&known, row, policy, host.core->descriptor.genesis_min,
                              host.core->now_min, scratch);
        assert_int_equal(all.published && known.state != all.state, 0);
        bool all_consensus =
            all.weight >= policy->consensus_weight && all.groups >= policy->consensus_groups;
        bool known_consensus =
            known.weight >= policy->consensus_weight && known.groups >= policy->consensus_groups;
        assert_int_equal(all_consensus, known_consensus);
        untrusted += known.state == GV_VERDICT_UNTRUSTED;
    }
    print_message("120 subjects, %u of them untrusted\n", untrusted);
    assert_in_range(untrusted, 20, 119);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, crowded_up, stage_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(what_is_whispered_is_kept_and_acknowledged),
        STORY(what_is_kept_is_given_to_nobody),
        STORY(questions_are_answered_so_often_a_minute),
        STORY(only_statements_may_be_whispered),
        STORY(a_forged_whisper_costs_the_session),
        STORY(whispers_have_the_hours_quota),
        STORY(what_others_hold_public_is_public_here_too),
        STORY(contradictions_in_whispers_are_exposed),
        STORY(an_errand_gets_no_news_and_no_repair),
        STORY(what_is_public_suffices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
