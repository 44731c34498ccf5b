/* Each rival on a world of a dozen members that a reader can follow: who must be listed, and who
 * must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/rivals/rule.h"

#define HONEST    12u
#define HOSTILE   6u
#define MEMBERS   (HONEST + HOSTILE)
#define ADDRESSES 400u
#define START     30000000u

/* Members 0 and 1 are pretrusted; 10 is young; 11 is a second instance of 9's owner; 7 and 8 stand
 * in one network. Hostile: 12 to 17, old enough, each in a network of its own. */
static struct {
    struct gv_scene scene;
    struct gv_address_row addresses[ADDRESSES];
    struct gv_member members[MEMBERS];
    uint32_t owners[MEMBERS], groups[MEMBERS];
    struct gv_ground ground;
    const struct gv_rule *rule;
    void *state;
    uint64_t sequence;
    uint32_t now;
} w;

static void open_world(const char *rule)
{
    memset(&w, 0, sizeof w);
    w.scene.seed = 5;
    w.scene.nodes = HONEST;
    for (uint32_t i = 0; i < ADDRESSES; i++)
        w.addresses[i].subject =
            (struct gv_subject){GV_FAMILY_IPV4, {50, (uint8_t)(i >> 8), (uint8_t)i, 1}};
    for (uint32_t i = 0; i < MEMBERS; i++) {
        w.owners[i] = w.members[i].owner = i == 11 ? 9 : i > 11 ? i - 1 : i;
        w.groups[i] = i == 8 ? 7 : i;
        w.members[i].group = w.groups[i];
        w.members[i].since_min = START - 100 * GV_DAY_MIN;
        w.members[i].pretrusted = i < 2;
    }
    w.members[10].since_min = START - GV_DAY_MIN;
    gv_policy_default(&w.ground.policy, false);
    w.ground.scene = &w.scene;
    w.ground.addresses = w.addresses;
    w.ground.address_count = ADDRESSES;
    w.ground.members = w.members;
    w.ground.owner_of = w.owners;
    w.ground.group_of = w.groups;
    w.ground.member_count = MEMBERS;
    w.ground.honest = HONEST;
    w.ground.owner_count = MEMBERS - 1;
    w.ground.group_count = MEMBERS;
    w.ground.genesis_min = START - 130 * GV_DAY_MIN;
    w.ground.start_min = START;
    w.now = START;
    w.rule = gv_rule_find(rule);
    assert_non_null(w.rule);
    w.state = w.rule->open(w.rule, &w.ground);
}

static void close_world(void)
{
    w.rule->close(w.state);
}

static void say(uint32_t member, uint32_t subject)
{
    struct gv_word word = {.subject = subject,
                           .member = member,
                           .at_min = w.now,
                           .count = 5,
                           .sequence = ++w.sequence};

    w.rule->heard(w.state, &word);
}

static void take_back(uint32_t member, uint32_t subject)
{
    struct gv_word word = {.subject = subject,
                           .member = member,
                           .at_min = w.now,
                           .sequence = ++w.sequence,
                           .retract = true};

    w.rule->heard(w.state, &word);
}

static struct gv_listing ask_at(uint32_t subject, uint32_t node)
{
    struct gv_asked asked = {subject, node, w.now, true};
    struct gv_listing listing;

    w.rule->ask(w.state, &listing, &asked);
    return listing;
}

static bool refused(uint32_t subject)
{
    return ask_at(subject, 5).refuse;
}

static bool untrusted(uint32_t subject)
{
    return ask_at(subject, 5).state == GV_VERDICT_UNTRUSTED;
}

static void pass_days(uint32_t days)
{
    for (uint32_t i = 0; i < days; i++) {
        w.now += GV_DAY_MIN;
        if (w.rule->day)
            w.rule->day(w.state, w.now);
    }
}

static void test_quorums(void **state)
{
    open_world("quorum-2");
    say(7, 0);
    assert_false(refused(0));
    say(8, 0); /* the same network */
    assert_true(refused(0));
    say(9, 1);
    say(11, 1); /* the same owner */
    assert_false(refused(1));
    close_world();

    open_world("quorum-3");
    say(7, 0);
    say(8, 0);
    assert_false(refused(0));
    say(10, 0);
    assert_true(refused(0));
    take_back(10, 0);
    assert_false(refused(0));
    close_world();

    open_world("quorum-2-networks");
    say(7, 0);
    say(8, 0);
    assert_false(refused(0));
    say(9, 0);
    assert_true(refused(0));
    w.now += GV_DAY_MIN + 1; /* votes live a day */
    assert_false(refused(0));
    close_world();

    open_world("quorum-3-networks");
    say(7, 0);
    say(8, 0);
    say(9, 0);
    assert_false(refused(0));
    say(10, 0);
    assert_true(refused(0));
    close_world();
}

static void test_tenured_quorum(void **state)
{
    open_world("tenured-quorum");
    say(3, 0);
    say(4, 0);
    say(10, 0); /* a day old */
    assert_false(refused(0));
    say(5, 0);
    assert_true(refused(0));
    pass_days(40);
    say(3, 1);
    say(4, 1);
    say(10, 1); /* old by now */
    assert_true(refused(1));
    close_world();
}

static void test_local_log_and_oracle(void **state)
{
    struct gv_asked user = {0, 5, START, false};
    struct gv_listing listing;

    open_world("local-log");
    for (uint32_t i = 0; i < MEMBERS; i++)
        say(i, 0);
    assert_false(refused(0) || untrusted(0));
    close_world();

    open_world("oracle");
    say(12, 0); /* hostile members tell it nothing */
    assert_false(refused(0));
    say(3, 0);
    assert_true(refused(0));
    w.rule->ask(w.state, &listing, &user);
    assert_false(listing.refuse);
    close_world();
}

/* Subjects from `first` on that all of `members` report, one after the other, over some days. */
static void agree(const uint32_t *members, size_t count, uint32_t first, uint32_t days)
{
    for (uint32_t d = 0; d < days; d++) {
        for (uint32_t x = 0; x < 5; x++)
            for (size_t i = 0; i < count; i++)
                say(members[i], first + 5 * d + x);
        pass_days(1);
    }
}

static void test_beta(void **state)
{
    const uint32_t honest[] = {3, 4, 5};

    open_world("beta");
    say(3, 0);
    say(4, 0);
    say(5, 0);
    assert_false(refused(0)); /* nobody is known yet */
    agree(honest, 3, 10, 8);
    say(3, 1);
    say(4, 1);
    assert_true(refused(1)); /* confirmed again and again */
    say(12, 2);
    say(13, 2);
    say(14, 2);
    assert_false(refused(2)); /* strangers */
    /* Who is never confirmed falls below the neutral reputation. */
    for (uint32_t d = 0; d < 8; d++) {
        for (uint32_t x = 0; x < 5; x++)
            say(6, 100 + 5 * d + x);
        pass_days(2);
    }
    say(6, 3);
    uint32_t weight = ask_at(3, 5).weight;
    assert_int_equal(weight, 0);
    close_world();
}

/* The published weakness: who echoes what honest members say is as good as they are. */
static void test_beta_falls_to_echo(void **state)
{
    const uint32_t all[] = {3, 4, 5, 6, 12, 13, 14, 15};

    open_world("beta");
    agree(all, 8, 10, 9);
    say(12, 0);
    say(13, 0);
    assert_true(refused(0));
    close_world();
}

static void test_eigentrust(void **state)
{
    const uint32_t honest[] = {3, 4, 0, 1};
    const uint32_t echoing[] = {12, 13, 3, 4, 0, 1};

    open_world("eigentrust");
    say(12, 0);
    say(13, 0);
    say(14, 0);
    say(15, 0);
    assert_false(refused(0)); /* they trust each other, but nobody else does */
    agree(honest, 4, 10, 6);
    say(3, 1);
    say(4, 1);
    assert_true(refused(1)); /* the pretrusted found the same out after them */
    for (uint32_t i = 12; i < MEMBERS; i++)
        say(i, 2);
    assert_false(refused(2));
    agree(echoing, 6, 100, 9);
    say(12, 3);
    say(13, 3);
    assert_true(refused(3)); /* those that echo are trusted */
    close_world();
}

static void test_fides(void **state)
{
    open_world("fides");
    say(12, 0);
    say(13, 0);
    assert_false(refused(0)); /* strangers do not make it confident */
    say(0, 1);
    assert_true(refused(1)); /* a pretrusted one does */
    /* Whoever was right where this node could see it is believed by this node alone. */
    for (uint32_t x = 10; x < 110; x++) {
        struct gv_asked here = {x, 5, w.now, true};
        say(3, x);
        say(4, x);
        w.rule->followed(w.state, &here, false);
    }
    say(3, 2);
    assert_true(ask_at(2, 5).refuse);
    assert_false(ask_at(2, 6).refuse);
    /* And who called users of this node attackers is not. */
    for (uint32_t x = 110; x < 250; x++) {
        struct gv_asked here = {x, 5, w.now, false};
        say(3, x);
        w.rule->followed(w.state, &here, true);
    }
    say(3, 3);
    assert_false(ask_at(3, 5).refuse);
    close_world();
}

static void test_crowd(void **state)
{
    const uint32_t honest[] = {3, 4, 5, 0};

    open_world("crowdsec-like");
    say(3, 0);
    say(4, 0);
    say(5, 0);
    assert_false(refused(0)); /* no rank yet */
    agree(honest, 4, 10, 10);
    say(3, 1);
    say(4, 1);
    assert_false(refused(1)); /* two networks are not enough */
    say(5, 1);
    assert_true(refused(1));
    for (uint32_t i = 12; i < MEMBERS; i++)
        say(i, 2);
    assert_false(refused(2));
    close_world();
}

/* A burnt address buys what an honest first witness earns. */
static void test_first_witness(void **state)
{
    open_world("first-witness");
    for (uint32_t i = 12; i < MEMBERS; i++)
        say(i, 0);
    assert_false(refused(0)); /* together they weigh 0.3 */
    for (uint32_t x = 10; x < 50; x++) {
        say(12 + x % 3, x); /* three of them give own machines away, to two pretrusted */
        say(x % 2, x);
        if (x % 5 == 0)
            pass_days(1);
    }
    pass_days(1);
    say(12, 1);
    say(13, 1);
    say(14, 1);
    assert_true(refused(1));
    pass_days(120); /* credit fades */
    say(12, 2);
    say(13, 2);
    say(14, 2);
    assert_false(refused(2));
    close_world();
}

static void test_local_record(void **state)
{
    open_world("local-record");
    say(3, 0);
    say(4, 0);
    assert_true(untrusted(0));
    say(3, 1);
    say(10, 1); /* too young */
    assert_false(untrusted(1));
    /* A user logs in daily from an address that they report: they are heard here no more. */
    struct gv_asked here = {0, 5, w.now, false};
    w.rule->followed(w.state, &here, true);
    say(3, 2);
    say(4, 2);
    assert_false(untrusted(2));
    assert_int_equal(ask_at(2, 6).state, GV_VERDICT_UNTRUSTED); /* elsewhere they are */
    close_world();
}

/* Ours, through the very functions that ship. */
static void test_shipped(void **state)
{
    open_world("grapevine");
    say(3, 0);
    say(10, 0); /* a day old: weighs nothing */
    assert_false(untrusted(0));
    say(4, 0);
    assert_true(untrusted(0));
    assert_false(refused(0)); /* the mesh alone refuses nobody */
    assert_int_equal(ask_at(0, 5).weight, 2000);
    say(7, 1);
    say(8, 1); /* one network */
    assert_false(untrusted(1));
    say(9, 2);
    say(11, 2); /* one owner */
    assert_false(untrusted(2));
    take_back(4, 0);
    assert_false(untrusted(0));
    say(3, 3);
    say(4, 3);
    assert_true(untrusted(3));
    w.now += GV_DAY_MIN + 1;
    assert_false(untrusted(3));
    close_world();
}

static void test_shipped_contradiction_and_quota(void **state)
{
    open_world("grapevine");
    say(3, 0);
    say(4, 0);
    assert_true(untrusted(0));
    w.sequence--; /* 4 says something else under the same number */
    say(4, 1);
    assert_false(untrusted(0));
    w.sequence++;
    /* The 33rd signal of an hour is not held. */
    for (uint32_t x = 10; x < 43; x++) {
        say(5, x);
        say(6, x);
    }
    assert_true(untrusted(41));
    assert_false(untrusted(42));
    assert_false(w.rule->may_say(w.state, 5, w.now));
    assert_true(w.rule->may_say(w.state, 3, w.now));
    /* The very same record again changes nothing. */
    struct gv_word again = {.subject = 100, .member = 3, .at_min = w.now, .sequence = 9000};
    again.count = 5;
    w.rule->heard(w.state, &again);
    w.rule->heard(w.state, &again);
    say(7, 100);
    assert_true(untrusted(100));
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quorums),
        cmocka_unit_test(test_tenured_quorum),
        cmocka_unit_test(test_local_log_and_oracle),
        cmocka_unit_test(test_beta),
        cmocka_unit_test(test_beta_falls_to_echo),
        cmocka_unit_test(test_eigentrust),
        cmocka_unit_test(test_fides),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_first_witness),
        cmocka_unit_test(test_local_record),
        cmocka_unit_test(test_shipped),
        cmocka_unit_test(test_shipped_contradiction_and_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
