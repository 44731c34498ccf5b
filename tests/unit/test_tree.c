/* Spread along trees (SPEC 9.3): who is pushed to, who is offered to, what a lost link does, and
 * what it costs when all is settled. */
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
#include "sim/world.h"

#define NOW STAGE_MINUTE

static int settled_up(void **state)
{
    if (lab_up(state) != 0)
        return -1;
    puppet.version = other.version = GV_PROTOCOL_VERSION;
    host_run(&host, 1);
    assert_true(puppet_join(&puppet, &host));
    assert_true(puppet_join(&other, &host));
    stage_settle();
    return 0;
}

static void say_trees(struct puppet *who, uint8_t prune, uint8_t graft)
{
    struct gv_buf message;

    gv_buf_init(&message);
    if (prune)
        gv_message_prune(&message, prune);
    if (graft)
        gv_message_graft(&message, graft, NULL, 0);
    puppet_say_buf(who, &message);
}

static void say_marks(struct puppet *who, bool offer, const struct gv_buf *record)
{
    uint8_t mark[GV_MARK_LEN];
    struct gv_buf message;

    record_mark(mark, record);
    gv_buf_init(&message);
    if (offer)
        gv_message_offer(&message, mark, 1);
    else
        gv_message_graft(&message, 0, mark, 1);
    puppet_say_buf(who, &message);
}

static void run(uint64_t ms)
{
    host_run(&host, ms);
    puppet_work(&puppet);
    puppet_work(&other);
}

static void a_duplicate_prunes_its_tree_alone(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    puppet_give(&puppet, &record);
    puppet_give(&other, &record);
    run(GV_COALESCE_MS);
    assert_int_equal(other.count[GV_MESSAGE_PRUNE], 1);
    assert_int_equal(puppet.count[GV_MESSAGE_PRUNE], 0);
    puppet_give(&other, &record); /* he has not understood */
    run(GV_COALESCE_MS);
    assert_int_equal(other.count[GV_MESSAGE_PRUNE], 2);
    gv_buf_free(&record);
}

/* Two that publish the same make waves that meet: what brought something new a moment ago survives
 * that, also when the other end has given it up. */
static void a_link_that_is_of_use_survives_a_duplicate(void **state)
{
    struct gv_buf first = puppet_signal_on(&puppet, 1, NOW);
    uint8_t tree = (uint8_t)(1u << record_tree(&first));

    puppet_give(&puppet, &first); /* of use to the core */
    puppet_give(&puppet, &first);
    run(GV_COALESCE_MS);
    assert_int_equal(puppet.count[GV_MESSAGE_PRUNE], 0);
    say_trees(&puppet, tree, 0);
    run(0);
    assert_int_equal(puppet.count[GV_MESSAGE_GRAFT], 1);
    say_trees(&other, tree, 0); /* of none */
    run(0);
    assert_int_equal(other.count[GV_MESSAGE_GRAFT], 0);
    gv_buf_free(&first);
}

static void who_pruned_is_offered_what_he_missed(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    say_trees(&other, 0xff, 0);
    puppet_give(&puppet, &record);
    run(GV_OFFER_AGE_MS - 1);
    assert_int_equal(other.records[GV_RECORD_SIGNAL], 0);
    assert_int_equal(other.count[GV_MESSAGE_OFFER], 0);
    run(GV_OFFER_MS + GV_OFFER_AGE_MS);
    assert_int_equal(other.records[GV_RECORD_SIGNAL], 0);
    assert_int_equal(other.count[GV_MESSAGE_OFFER], 1);
    assert_int_equal(puppet.count[GV_MESSAGE_OFFER], 0); /* it is his */
    say_marks(&other, false, &record);
    assert_true(puppet_heard_record(&other, &record));
    gv_buf_free(&record);
}

/* What is said of one subject goes one way, whoever says it. */
static void a_case_goes_along_one_tree(void **state)
{
    for (unsigned i = 1; i < 100; i++) {
        struct gv_buf one = puppet_signal_on(&puppet, i, NOW);
        struct gv_buf two = puppet_retraction_on(&other, i, NOW);
        assert_int_equal(record_tree(&one), record_tree(&two));
        gv_buf_free(&one);
        gv_buf_free(&two);
    }
}

/* How many offers come along with something else, when so much is in the bucket and an offer of its
 * own has no turn. */
static unsigned offered_along(int64_t tokens)
{
    struct gv_buf first = puppet_signal_on(&puppet, 1, NOW);
    struct gv_buf second = puppet_signal_on(&puppet, 2, NOW);

    assert_int_not_equal(record_tree(&first), record_tree(&second));
    for (unsigned i = 0; i < GV_OFFER_BURST; i++) { /* no turn is left for a while */
        struct gv_buf record = puppet_signal_on(&puppet, 8 + 8 * i, NOW);
        say_trees(&other, 0xff, 0);
        puppet_give(&puppet, &record);
        run(GV_OFFER_AGE_MS);
        gv_buf_free(&record);
    }
    puppet_forget(&other);
    puppet_give(&puppet, &first);
    run(GV_OFFER_AGE_MS);
    assert_int_equal(other.count[GV_MESSAGE_OFFER], 0);
    say_trees(&other, 0, (uint8_t)(1u << record_tree(&second)));
    host.core->traffic.tokens = tokens;
    puppet_give(&puppet, &second);
    run(0);
    assert_true(puppet_heard_record(&other, &second));
    gv_buf_free(&first);
    gv_buf_free(&second);
    return other.count[GV_MESSAGE_OFFER];
}

/* An offer goes along with whatever else goes out: it costs no frame of its own, so it does while
 * there is a drop in the bucket. */
static void offers_go_along(void **state)
{
    assert_int_equal(offered_along(host.core->traffic.depth / 8), 1);
}

static void no_offer_goes_along_out_of_the_reserve(void **state)
{
    assert_int_equal(offered_along(-host.core->traffic.depth / 8), 0);
}

/* The votes of a case that came together are offered by one mark, and asked for by it. */
static void a_case_is_offered_by_one_mark(void **state)
{
    struct gv_buf one = puppet_signal_on(&puppet, 1, NOW), two = puppet_signal_on(&other, 1, NOW);
    struct gv_buf message;

    say_trees(&other, 0xff, 0);
    gv_buf_init(&message);
    gv_message_records_start(&message, 2);
    gv_message_record(&message, one.data, one.len);
    gv_message_record(&message, two.data, two.len);
    puppet_say_buf(&puppet, &message);
    assert_int_equal(host_status(&host).statements, 2);
    puppet_forget(&other);
    run(GV_OFFER_MS + GV_OFFER_AGE_MS);
    assert_int_equal(other.count[GV_MESSAGE_OFFER], 1);
    assert_int_equal(other.heard.len, 4 + GV_MARK_LEN); /* 92 0a c4 04, and one mark */
    say_marks(&other, false, &one);
    assert_true(puppet_heard_record(&other, &one));
    assert_true(puppet_heard_record(&other, &two));
    gv_buf_free(&one);
    gv_buf_free(&two);
}

/* Who speaks version 1 knows other marks: he gets none, and his are not looked at. */
static void there_are_no_marks_between_versions(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);
    struct puppet old;

    puppet_make(&old, &network, 4);
    assert_true(puppet_join(&old, &host));
    host_run(&host, 2 * GV_EXCHANGE_MS);
    puppet_work(&old);
    puppet_forget(&old);
    say_trees(&old, 0xff, 0);
    puppet_give(&puppet, &record);
    run(GV_OFFER_MS * GV_OFFER_BURST);
    puppet_work(&old);
    assert_int_equal(old.count[GV_MESSAGE_OFFER], 0);
    say_marks(&old, false, &record);
    assert_int_equal(old.records[GV_RECORD_SIGNAL], 0);
    assert_false(old.closed);
    puppet_free(&old);
    gv_buf_free(&record);
}

static void a_graft_makes_a_link_eager_again(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    say_trees(&other, 0xff, 0);
    say_trees(&other, 0, 0xff);
    puppet_give(&puppet, &record);
    run(0);
    assert_true(puppet_heard_record(&other, &record));
    gv_buf_free(&record);
}

static void what_is_offered_and_missing_is_asked_for(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    say_marks(&other, true, &record);
    assert_int_equal(other.count[GV_MESSAGE_GRAFT], 1);
    puppet_give(&other, &record);
    say_marks(&other, true, &record);
    say_marks(&puppet, true, &record);
    assert_int_equal(other.count[GV_MESSAGE_GRAFT], 1);
    assert_int_equal(puppet.count[GV_MESSAGE_GRAFT], 0);
    assert_int_equal(host_status(&host).statements, 1);
    gv_buf_free(&record);
}

static void when_a_link_is_lost_the_others_may_feed_again(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    puppet_give(&puppet, &record);
    puppet_give(&other, &record);
    run(GV_COALESCE_MS);
    assert_int_equal(other.count[GV_MESSAGE_PRUNE], 1);
    puppet_leave(&puppet);
    run(0);
    assert_int_equal(other.count[GV_MESSAGE_GRAFT], 1);
    gv_buf_free(&record);
}

/* ---- more than may be moved ------------------------------------------------------------------ */

static void empty_the_bucket(void)
{
    host.core->traffic.tokens = -host.core->traffic.depth;
    run(60001);
}

/* Less than a sixtieth of the cap, and more than half of that. */
static void chatter(struct puppet *who)
{
    static const uint8_t ping[3] = {0x92, GV_MESSAGE_PING, 7};
    static uint8_t plain[9000];

    for (size_t at = 0; at < sizeof plain; at += sizeof ping)
        memcpy(plain + at, ping, sizeof ping);
    puppet_say(who, plain, sizeof plain);
}

/* It would be deaf for what somebody did who is gone. */
static void a_node_whose_peers_are_quiet_stays_in_the_trees(void **state)
{
    empty_the_bucket();
    assert_int_equal(puppet.count[GV_MESSAGE_PRUNE] + other.count[GV_MESSAGE_PRUNE], 0);
}

static void a_node_that_may_move_no_more_leaves_the_trees_and_comes_back(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW + 1);
    struct puppet late;

    chatter(&puppet); /* nobody sent much, but together they did */
    chatter(&other);
    empty_the_bucket();
    assert_int_equal(puppet.count[GV_MESSAGE_PRUNE], 1);
    assert_int_equal(other.count[GV_MESSAGE_PRUNE], 1);
    assert_false(puppet.closed || other.closed);
    say_marks(&other, true, &record); /* it asks for nothing, */
    assert_int_equal(other.count[GV_MESSAGE_GRAFT], 0);
    say_trees(&other, 0xff, 0);
    puppet_give(&puppet, &record); /* and takes what it is given without wanting more */
    run(0);
    assert_int_equal(puppet.count[GV_MESSAGE_GRAFT], 0);
    assert_int_equal(host_status(&host).statements, 1);
    puppet_make(&late, &network, 4);
    late.version = GV_PROTOCOL_VERSION;
    assert_true(puppet_join(&late, &host));
    run(GV_COALESCE_MS);
    puppet_work(&late);
    assert_int_equal(late.count[GV_MESSAGE_PRUNE], 1);
    puppet_forget(&puppet);
    puppet_forget(&other);
    for (unsigned minute = 0; minute < 25; minute++) { /* 290 kB flow in */
        struct puppet *all[] = {&puppet, &other, &late};
        for (size_t i = 0; i < 3; i++) {
            struct gv_buf ping;
            gv_buf_init(&ping);
            gv_message_ping(&ping, GV_MESSAGE_PING, minute);
            puppet_say_buf(all[i], &ping);
        }
        run(60000);
    }
    puppet_work(&late);
    assert_int_equal(late.count[GV_MESSAGE_GRAFT] + puppet.count[GV_MESSAGE_GRAFT] +
                         other.count[GV_MESSAGE_GRAFT],
                     GV_LOST_GRAFTS);
    assert_true(late.count[GV_MESSAGE_RECONCILE] + puppet.count[GV_MESSAGE_RECONCILE] +
                    other.count[GV_MESSAGE_RECONCILE] >
                0);
    puppet_free(&late);
    gv_buf_free(&record);
}

/* What makes an address untrusted goes on while the bucket has a drop; one more vote on one that is
 * untrusted already does not. */
static void the_verdict_goes_first(void **state)
{
    struct gv_buf first = puppet_signal_on(&puppet, 1, NOW);
    struct gv_buf second = puppet_signal_on(&other, 1, NOW);

    assert_true(puppet_join(&third, &host));
    host_run(&host, 2 * GV_EXCHANGE_MS);
    host.core->traffic.tokens = host.core->traffic.depth / 8;
    puppet_give(&puppet, &first);
    puppet_give(&other, &second);
    host_run(&host, GV_SPREAD_GAP_MS);
    puppet_work(&third);
    assert_true(puppet_heard_record(&third, &first));
    assert_true(puppet_heard_record(&third, &second));
    struct gv_buf more = puppet_signal_on(&third, 1, NOW);
    puppet_give(&third, &more);
    run(GV_COALESCE_MS);
    assert_int_equal(host_status(&host).statements, 3);
    assert_false(puppet_heard_record(&puppet, &more));
    gv_buf_free(&first);
    gv_buf_free(&second);
    gv_buf_free(&more);
}

/* ---- hostile -------------------------------------------------------------------------------- */

static void offers_of_nothing_are_answered_so_often_a_minute(void **state)
{
    uint8_t marks[GV_IDS_PER_MESSAGE * GV_MARK_LEN];

    for (unsigned i = 0; i < 1000 && !puppet.closed; i++) {
        struct gv_buf message;
        memset(marks, (int)(i % 251), sizeof marks);
        memcpy(marks, &i, sizeof i);
        gv_buf_init(&message);
        gv_message_offer(&message, marks, GV_IDS_PER_MESSAGE);
        puppet_say_buf(&puppet, &message);
    }
    assert_false(puppet.closed);
    assert_int_equal(puppet.count[GV_MESSAGE_GRAFT], GV_OFFERED_PER_MINUTE / GV_IDS_PER_MESSAGE);
}

static void grafts_of_everything_end_at_the_minutes_budget(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);
    uint8_t mark[GV_MARK_LEN], marks[GV_IDS_PER_MESSAGE * GV_MARK_LEN];

    puppet_give(&puppet, &record);
    record_mark(mark, &record);
    for (size_t i = 0; i < GV_IDS_PER_MESSAGE; i++)
        memcpy(marks + i * GV_MARK_LEN, mark, GV_MARK_LEN);
    puppet_forget(&other);
    for (unsigned i = 0; i < 100; i++) {
        struct gv_buf message;
        gv_buf_init(&message);
        gv_message_graft(&message, 0xff, marks, GV_IDS_PER_MESSAGE);
        puppet_say_buf(&other, &message);
    }
    /* The bucket ends it before the count of records does. */
    assert_in_range(other.records[GV_RECORD_SIGNAL], 1, GV_WANTS_PER_MINUTE);
    assert_true(other.records[GV_RECORD_SIGNAL] * record.len < GV_TRAFFIC_CAP / 2);
    gv_buf_free(&record);
}

/* The law: whatever a peer says of trees, what is new reaches every honest peer that takes up
 * offers, within two turns. */
static void nobody_can_talk_another_out_of_the_news(void **state)
{
    struct gv_drbg drbg;
    uint8_t seed[GV_SEED_LEN] = {4};

    gv_drbg_init(&drbg, seed);
    for (unsigned i = 1; i <= 60; i++) {
        struct gv_buf record = puppet_signal_on(&other, i, NOW);
        unsigned liar = (unsigned)gv_drbg_below(&drbg, 4);
        if (liar == 0)
            say_trees(&puppet, (uint8_t)gv_drbg_below(&drbg, 256), 0);
        if (liar == 1)
            say_trees(&puppet, 0, (uint8_t)gv_drbg_below(&drbg, 256));
        if (liar == 2)
            say_marks(&puppet, true, &record);
        puppet_give(liar == 3 ? &puppet : &other, &record);
        run(2 * (GV_OFFER_MS + GV_OFFER_AGE_MS));
        assert_int_equal(host_status(&host).statements, i <= 32 ? i : 32);
        if (liar == 3 && i <= 32 && !puppet_heard_record(&other, &record))
            assert_true(other.count[GV_MESSAGE_OFFER] > 0);
        gv_buf_free(&record);
    }
}

/* ---- what it costs -------------------------------------------------------------------------- */

static uint64_t duplicates(const struct gv_world *world)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < world->options.nodes; i++) {
        struct gv_core_status status;
        gv_core_status(world->nodes[i].core, &status);
        sum += status.records_duplicate;
    }
    return sum;
}

static void settled_trees_bring_each_record_once(void **state)
{
    struct gv_world_options options = {.nodes = 30,
                                       .seed = 5,
                                       .latency_min_ms = 5,
                                       .latency_max_ms = 120,
                                       .lab = true,
                                       .public_only = true,
                                       .age_min = 10};
    struct gv_world *world = gv_world_new(&options);
    uint64_t before = 0;

    gv_world_run(world, 600000);
    for (uint32_t i = 0; i < 600; i++) {
        struct gv_subject subject = gv_world_subject(i);
        if (i == 400)
            before = duplicates(world);
        gv_world_fail(world, i % 30, &subject, 5);
        gv_world_run(world, 600000 + 4000 * (i + 1));
    }
    gv_world_run(world, 600000 + 4000 * 600 + 60000);
    uint64_t again = duplicates(world) - before;
    print_message("200 records to 30 nodes: %u came twice\n", (unsigned)again);
    assert_true(again < 200 * 29 / 10);
    for (size_t i = 0; i < 30; i++) {
        struct gv_core_status status;
        gv_core_status(world->nodes[i].core, &status);
        assert_int_equal(status.statements, 600);
    }
    gv_world_free(world);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, settled_up, stage_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_duplicate_prunes_its_tree_alone),
        STORY(a_link_that_is_of_use_survives_a_duplicate),
        STORY(who_pruned_is_offered_what_he_missed),
        STORY(a_case_goes_along_one_tree),
        STORY(offers_go_along),
        STORY(no_offer_goes_along_out_of_the_reserve),
        STORY(a_case_is_offered_by_one_mark),
        STORY(there_are_no_marks_between_versions),
        STORY(a_graft_makes_a_link_eager_again),
        STORY(what_is_offered_and_missing_is_asked_for),
        STORY(when_a_link_is_lost_the_others_may_feed_again),
        STORY(offers_of_nothing_are_answered_so_often_a_minute),
        STORY(grafts_of_everything_end_at_the_minutes_budget),
        STORY(nobody_can_talk_another_out_of_the_news),
        STORY(a_node_whose_peers_are_quiet_stays_in_the_trees),
        STORY(a_node_that_may_move_no_more_leaves_the_trees_and_comes_back),
        STORY(the_verdict_goes_first),
        cmocka_unit_test(settled_trees_bring_each_record_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
