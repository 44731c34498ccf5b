/* Hauls (SPEC 9.3): what a part of the mesh had missed comes at once; it is offered, compared soon,
 * and what that costs is bounded, whatever anybody says. */
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

static void run(uint64_t ms)
{
    host_run(&host, ms);
    puppet_work(&puppet);
    puppet_work(&other);
}

static void offer_all(struct puppet *who, const uint8_t *marks, size_t count)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_offer(&message, marks, count);
    puppet_say_buf(who, &message);
}

enum { MANY = GV_HAUL + 1 };

static void free_many(struct gv_buf records[MANY])
{
    for (unsigned i = 0; i < MANY; i++)
        gv_buf_free(&records[i]);
}

static void give_many(struct gv_buf records[MANY], uint8_t *marks, uint32_t minute)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_records_start(&message, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        records[i] = puppet_signal_on(&puppet, 1 + i, minute);
        gv_message_record(&message, records[i].data, records[i].len);
        record_mark(marks + i * GV_MARK_LEN, &records[i]);
    }
    puppet_forget(&other);
    puppet_say_buf(&puppet, &message);
}

/* What a half of the mesh had missed comes in one message, and would come from every neighbour: it
 * goes on as marks, and whoever asks for many is given these. */
static void a_haul_is_offered_and_not_pushed(void **state)
{
    struct gv_buf records[MANY], message;
    uint8_t marks[MANY * GV_MARK_LEN];

    give_many(records, marks, NOW - GV_HAUL_OLD_MIN);
    run(GV_OFFER_AGE_MS - 1);
    assert_int_equal(other.records[GV_RECORD_SIGNAL], 0);
    assert_int_equal(other.count[GV_MESSAGE_OFFER], 1);
    assert_int_equal(other.heard.len, 4 + sizeof marks);
    assert_int_equal(puppet.count[GV_MESSAGE_OFFER], 0);
    gv_buf_init(&message);
    gv_message_graft(&message, 0, marks, MANY);
    puppet_say_buf(&other, &message);
    for (unsigned i = 0; i < MANY; i++)
        assert_true(puppet_heard_record(&other, &records[i]));
    assert_int_equal(other.records[GV_RECORD_SIGNAL], MANY);
    free_many(records);
}

/* As many that were just said are a burst in a storm: a second more would be a second lost. */
static void a_burst_of_news_is_pushed(void **state)
{
    struct gv_buf records[MANY];
    uint8_t marks[MANY * GV_MARK_LEN];

    give_many(records, marks, NOW - GV_HAUL_OLD_MIN + 1);
    run(GV_OFFER_AGE_MS - 1);
    assert_int_equal(other.records[GV_RECORD_SIGNAL], MANY);
    assert_int_equal(other.count[GV_MESSAGE_OFFER], 0);
    free_many(records);
}

static unsigned ask_repair(void)
{
    static const uint8_t wrong[GV_ID_LEN];
    struct gv_range all = {
        .high = {.minute = UINT32_MAX}, .mode = GV_RANGE_FINGERPRINT, .data = wrong};
    struct gv_buf message;

    puppet_forget(&other);
    gv_buf_init(&message);
    gv_message_reconcile(&message, GV_TREE_STATEMENTS, 0, &all, 1);
    puppet_say_buf(&other, &message);
    run(0);
    return other.count[GV_MESSAGE_RECONCILE];
}

/* All have given each other half a mesh, and have little left: whom something passed by gets it all
 * the same. Later repair waits for the bucket again. */
static void after_a_haul_repair_is_news(void **state)
{
    struct gv_traffic *traffic = &host.core->traffic;
    struct gv_buf records[MANY];
    uint8_t marks[MANY * GV_MARK_LEN];

    for (size_t i = 0; i < host.core->link_count; i++)
        host.core->links[i]->joined = true;
    traffic->tokens = traffic->depth / 8;
    traffic->saved = 0;
    assert_int_equal(ask_repair(), 0);
    give_many(records, marks, NOW - GV_HAUL_OLD_MIN);
    assert_int_equal(ask_repair(), 1);
    run(GV_HAUL_FOR_MS);
    traffic->tokens = traffic->depth / 8;
    assert_int_equal(ask_repair(), 0);
    free_many(records);
}

/* The bucket is empty, and stays so for the minutes that these take. */
static void spend_all(void)
{
    host.core->traffic.tokens = -host.core->traffic.depth;
    host.core->traffic.reserve = host.core->traffic.saved = 0;
    puppet_forget(&puppet);
    puppet_forget(&other);
}

static unsigned compared(void)
{
    return puppet.count[GV_MESSAGE_RECONCILE] + other.count[GV_MESSAGE_RECONCILE];
}

/* Who gave most away, and has nothing left, would lack verdicts longest. */
static void who_gave_all_away_compares_all_the_same(void **state)
{
    struct gv_buf records[MANY];
    uint8_t marks[MANY * GV_MARK_LEN];

    give_many(records, marks, NOW - GV_HAUL_OLD_MIN);
    spend_all();
    run(2 * GV_HAUL_REPAIR_MS);
    assert_true(compared() >= 2);
    host.core->traffic.tokens = -host.core->traffic.depth;
    run(2 * GV_HAUL_FOR_MS); /* nobody answers: of both trees so often, and no more */
    assert_int_equal(compared(), 2 * GV_HAUL_TRIES);
    free_many(records);
}

enum said { SAME, NOTHING, OTHERS };

/* A peer says that he holds the same; or nothing; or 512 that nobody has, and that the rest
 * differs, so that it is not over. */
static void say_he_holds(struct puppet *who, enum said what, unsigned number)
{
    static uint8_t ids[512 * GV_ID_LEN];
    struct gv_range ranges[2] = {{.mode = GV_RANGE_IDS, .data = ids},
                                 {.mode = GV_RANGE_FINGERPRINT, .data = ids}};
    struct gv_buf message;

    for (unsigned i = 0; i < 512; i++) {
        memcpy(ids + i * GV_ID_LEN, &number, sizeof number);
        memcpy(ids + i * GV_ID_LEN + sizeof number, &i, sizeof i);
    }
    ranges[0].count = what == OTHERS ? 512 : 0;
    ranges[0].high.minute = what == OTHERS ? 1 : UINT32_MAX;
    ranges[1].high.minute = UINT32_MAX;
    gv_buf_init(&message);
    gv_message_reconcile(&message, GV_TREE_STATEMENTS, 0, ranges, (uint32_t)what);
    puppet_say_buf(who, &message);
}

/* Whatever they ask for, and say that they hold: comparing takes half of the reserve, and of the
 * cap no more than what nothing else takes. */
static void what_a_haul_costs_is_bounded(void **state)
{
    const uint64_t *out = host.core->traffic.total.out;
    uint8_t marks[MANY * GV_MARK_LEN];
    struct gv_buf records[MANY];

    for (size_t i = 0; i < host.core->link_count; i++)
        host.core->links[i]->joined = true;
    memset(marks, 0x5a, sizeof marks);
    for (unsigned i = 0; i < MANY; i++)
        marks[i * GV_MARK_LEN] = (uint8_t)i;
    spend_all();
    host.core->traffic.reserve = host.core->traffic.reserve_depth;
    uint64_t before = out[GV_CAUSE_REPAIR];
    offer_all(&other, marks, MANY);
    for (unsigned i = 0; i < 240; i++) {
        host.core->traffic.tokens = -host.core->traffic.depth;
        for (size_t j = 0; j < host.core->link_count; j++) /* nobody is sent away for it */
            host.core->links[j]->spent.bytes = 0;
        if (i == 60) /* the offer has led to all that it may */
            give_many(records, marks, NOW - GV_HAUL_OLD_MIN);
        for (unsigned j = 0; j < 2; j++) {
            say_he_holds(&puppet, i % 8 ? OTHERS : NOTHING, 2 * i + j);
            say_he_holds(&other, i % 8 ? OTHERS : NOTHING, 2 * i + j);
        }
        run(1000);
    }
    const struct gv_traffic *traffic = &host.core->traffic;
    uint64_t sent = out[GV_CAUSE_REPAIR] - before;
    uint64_t reserved = (uint64_t)(traffic->reserve_depth - traffic->reserve);
    print_message("an empty bucket, a haul: %u bytes, of them %u of the reserve\n", (unsigned)sent,
                  (unsigned)reserved);
    assert_true(traffic->reserve > 0);
    assert_in_range(sent, reserved, reserved + 40000);
    assert_false(puppet.closed || other.closed);
    free_many(records);
}

/* Comparing in turn: whoever does not answer is dry, another is asked soon, and then somebody new.
 */
static void who_is_not_answered_looks_beyond(void **state)
{
    const uint64_t never = UINT64_MAX / 2;
    struct gv_core *core = host.core;

    puppet_forget(&puppet);
    puppet_forget(&other);
    core->feeler_ms = never;
    core->repair_ms = core->now_ms;
    run(1000);
    assert_int_equal(compared(), 2); /* of both trees */
    say_he_holds(puppet.count[GV_MESSAGE_RECONCILE] ? &puppet : &other, SAME, 0);
    run(2 * GV_HAUL_REPAIR_MS);
    assert_int_equal(compared(), 2);
    core->repair_ms = core->now_ms;
    run(2 * GV_HAUL_REPAIR_MS);
    assert_int_equal(compared(), 2 + 2 * GV_REPAIR_UNANSWERED);
    assert_int_equal(core->feeler_ms, never);
    run(2 * GV_HAUL_REPAIR_MS);
    assert_true(core->feeler_ms < never);
    assert_int_equal(compared(), 2 + 2 * GV_REPAIR_UNANSWERED);
}

/* More than anybody may have of the savings. */
static void hold_much(void)
{
    for (unsigned i = 0; i < 60; i++) {
        struct gv_buf message;
        struct puppet author;
        puppet_make(&author, host.network, 100 + i);
        puppet_hand(&puppet, certificate_record(&author));
        gv_buf_init(&message);
        gv_message_records_start(&message, 30);
        for (unsigned j = 0; j < 30; j++) {
            struct gv_buf record = puppet_signal_on(&author, 1000 + 30 * i + j, NOW);
            gv_message_record(&message, record.data, record.len);
            gv_buf_free(&record);
        }
        puppet_say_buf(&puppet, &message);
        puppet_free(&author);
        host.core->traffic.tokens = host.core->traffic.depth;
    }
    run(GV_MINUTE_MS);
}

static uint64_t pull(struct puppet *who)
{
    const uint64_t *out = host.core->traffic.total.out, before = out[GV_CAUSE_REPAIR];

    for (unsigned i = 0; i < 10; i++) {
        say_he_holds(who, NOTHING, i);
        run(1000);
        puppet_forget(who);
    }
    return out[GV_CAUSE_REPAIR] - before;
}

/* What was saved is there for a real haul, and is not one peer's: who brings nothing has a third of
 * it at most, and all of them together all of it, once an hour; and news waits for none of them. */
static void savings_are_nobodys_alone(void **state)
{
    struct gv_traffic *traffic = &host.core->traffic;
    const uint64_t each = 100000, answer = 50000;
    uint8_t marks[MANY * GV_MARK_LEN];
    struct gv_buf records[MANY];

    for (size_t i = 0; i < host.core->link_count; i++)
        host.core->links[i]->joined = true;
    hold_much();
    traffic->saved = traffic->saved_depth;
    traffic->tokens = traffic->depth / 8;
    assert_int_equal(pull(&other), 0); /* no haul has come */
    give_many(records, marks, NOW - GV_HAUL_OLD_MIN);
    int64_t tokens = traffic->tokens;
    uint64_t one = pull(&other), more = pull(&other);
    print_message("of the savings: %u bytes for one, then %u\n", (unsigned)one, (unsigned)more);
    assert_in_range(one, each, each + answer);
    assert_true(more < 1000);
    assert_in_range(pull(&puppet), each, each + answer);
    assert_true(traffic->tokens >= tokens);
    run(GV_HAUL_FOR_MS);
    free_many(records);
    give_many(records, marks, NOW - GV_HAUL_OLD_MIN - 1); /* too soon */
    traffic->tokens = traffic->depth / 8;
    assert_true(pull(&other) < 1000);
    free_many(records);
}

/* An offer is only a word: it makes us compare once an hour, and leaves its turn to what really
 * comes. Then one who says that he holds the same is not believed alone. */
static void words_leave_a_haul_its_turn(void **state)
{
    uint8_t marks[MANY * GV_MARK_LEN] = {1};
    struct gv_buf records[MANY];

    for (size_t i = 0; i < sizeof marks; i++)
        marks[i] = (uint8_t)(7 * i + 1);
    spend_all();
    for (unsigned i = 0; i < 3; i++) {
        offer_all(&other, marks, MANY);
        run(GV_HAUL_FOR_MS);
        assert_int_equal(compared(), 2 * GV_HAUL_TRIES);
        host.core->traffic.tokens = -host.core->traffic.depth;
    }
    give_many(records, marks, NOW - GV_HAUL_OLD_MIN);
    spend_all();
    for (unsigned i = 0; i < 2 * GV_HAUL_REPAIR_MS / 1000; i++) {
        run(1000);
        if (compared() == 2) {
            say_he_holds(puppet.count[GV_MESSAGE_RECONCILE] ? &puppet : &other, SAME, 0);
            say_he_holds(puppet.count[GV_MESSAGE_RECONCILE] ? &puppet : &other, SAME, 0);
        }
    }
    run(2 * GV_HAUL_REPAIR_MS);
    assert_true(compared() >= 4);
    free_many(records);
}

/* Two that offer the same haul: one is asked, and the other when that one did not give it. */
static void a_haul_is_asked_for_once(void **state)
{
    uint8_t marks[(GV_HAUL + 1) * GV_MARK_LEN];

    for (size_t i = 0; i < sizeof marks; i++)
        marks[i] = (uint8_t)(7 * i + 1);
    puppet_forget(&puppet);
    puppet_forget(&other);
    offer_all(&puppet, marks, GV_HAUL + 1);
    offer_all(&other, marks, GV_HAUL + 1);
    run(0);
    assert_int_equal(puppet.count[GV_MESSAGE_GRAFT], 1);
    assert_int_equal(puppet.heard.len, 5 + sizeof marks); /* 93 0b 00 c4 24: no tree */
    assert_int_equal(other.count[GV_MESSAGE_GRAFT], 0);
    run(GV_ASKED_MS);
    offer_all(&other, marks, GV_HAUL + 1);
    run(0);
    assert_int_equal(other.count[GV_MESSAGE_GRAFT], 1);
    /* A real one offers it once: so repair follows, whoever gave nothing. */
    unsigned asked = compared();
    run(2 * GV_HAUL_REPAIR_MS);
    assert_true(compared() > asked);
    offer_all(&other, marks, GV_HAUL); /* so few are a gap in a tree: asked for wherever they are */
    run(0);
    assert_int_equal(other.count[GV_MESSAGE_GRAFT], 2);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, settled_up, stage_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_haul_is_offered_and_not_pushed), STORY(a_burst_of_news_is_pushed),
        STORY(after_a_haul_repair_is_news),      STORY(who_gave_all_away_compares_all_the_same),
        STORY(what_a_haul_costs_is_bounded),     STORY(words_leave_a_haul_its_turn),
        STORY(savings_are_nobodys_alone),        STORY(who_is_not_answered_looks_beyond),
        STORY(a_haul_is_asked_for_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
