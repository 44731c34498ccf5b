/* The verdict (SPEC 11): one table of cases per rule, times in minutes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/trust/verdict.h"

#define HOUR    60u
#define DAY     (24u * HOUR)
#define GENESIS 1000000u
#define NOW     (GENESIS + 400 * DAY)
#define OLD     (NOW - 200 * DAY) /* since: full standing */
#define YOUNG   (NOW - 31 * DAY)  /* tenured, hardly more */
#define FRESH   (NOW - 10 * DAY)  /* no standing yet */

static const struct gv_policy normal = {
    .tenure_min = 30 * DAY,
    .full_min = 90 * DAY,
    .alive_min = DAY,
    .untrusted_weight = 2000,
    .consensus_weight = 5000,
    .consensus_groups = 5,
    .signals_per_hour = 32,
    .votes_max = 16,
    .fault_min = 90 * DAY,
    .grace_min = 30 * DAY,
};

static uint8_t serial;

static struct gv_vote vote(uint8_t owner, uint64_t group, uint32_t since, uint32_t time)
{
    struct gv_vote v = {.group = group,
                        .sequence = 1,
                        .time_min = time,
                        .since_min = since,
                        .revoked_min = GV_NEVER,
                        .fault_min = GV_NEVER};

    v.owner[0] = v.instance[0] = owner;
    v.signal[0] = ++serial;
    return v;
}

static struct gv_verdict judge_at(uint32_t now, struct gv_vote *votes, size_t count)
{
    struct gv_verdict out;

    gv_verdict_judge(&out, &normal, GENESIS, now, votes, count);
    return out;
}

static int setup(void **state)
{
    serial = 0;
    return 0;
}

/* ---- standing ------------------------------------------------------------------------------- */

static void standing_follows_the_table(void **state)
{
    static const struct {
        uint32_t genesis, since, time, expected;
    } cases[] = {
        /* An old network: tenure 30 days, full at 90. */
        {0, 1000 * DAY, 1000 * DAY, 0},
        {0, 1000 * DAY, 1030 * DAY - 1, 0},
        {0, 1000 * DAY, 1030 * DAY, 500},
        {0, 1000 * DAY, 1060 * DAY, 750},
        {0, 1000 * DAY, 1090 * DAY - 1, 999},
        {0, 1000 * DAY, 1090 * DAY, 1000},
        {0, 1000 * DAY, 2000 * DAY, 1000},
        /* A young one, 20 days old: tenure 10 days, full at 15. */
        {0, 10 * DAY + 1, 20 * DAY, 0},
        {0, 10 * DAY, 20 * DAY, 500},
        {0, 7 * DAY + 720, 20 * DAY, 750},
        {0, 5 * DAY, 20 * DAY, 1000},
        /* Divisions round down: 7 minutes old, tenure 3, full 5. */
        {100, 105, 107, 0},
        {100, 104, 107, 500},
        {100, 103, 107, 750},
        {100, 102, 107, 1000},
        /* The network's first minute: tenure and full are 0. */
        {100, 100, 100, 1000},
        /* Dated before the network, or before its author was admitted. */
        {100, 50, 99, 0},
        {100, 120, 119, 0},
        /* The ends of the number range. */
        {0, 0, UINT32_MAX, 1000},
        {0, UINT32_MAX, UINT32_MAX, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(gv_standing(&normal, cases[i].genesis, cases[i].since, cases[i].time),
                         cases[i].expected);
}

static void a_lab_network_gives_full_standing_at_once(void **state)
{
    struct gv_policy lab = normal;

    lab.tenure_min = lab.full_min = 0;
    assert_int_equal(gv_standing(&lab, 100, 500, 500), 1000);
    assert_int_equal(gv_standing(&lab, 100, 500, 499), 0);
}

/* ---- who has a vote ------------------------------------------------------------------------- */

static void two_old_owners_in_two_networks_make_a_verdict(void **state)
{
    struct gv_vote v[] = {vote(1, 1, OLD, NOW - 10), vote(2, 2, OLD, NOW - 5)};
    struct gv_verdict out = judge_at(NOW, v, 2);

    assert_int_equal(out.state, GV_VERDICT_UNTRUSTED);
    assert_true(out.published);
    assert_int_equal(out.weight, 2000);
    assert_int_equal(out.owners, 2);
    assert_int_equal(out.groups, 2);
    assert_int_equal(out.vote_count, 2);
    assert_int_equal(out.since_min, NOW - 5);
    assert_int_equal(out.until_min, NOW - 10 + DAY + 1);
}

static void so_do_four_young_ones_in_four_and_not_three(void **state)
{
    struct gv_vote v[] = {vote(1, 1, NOW - 30 * DAY, NOW), vote(2, 2, NOW - 30 * DAY, NOW),
                          vote(3, 3, NOW - 30 * DAY, NOW), vote(4, 4, NOW - 30 * DAY, NOW)};

    assert_int_equal(judge_at(NOW, v, 3).state, GV_VERDICT_REPORTED);
    assert_int_equal(judge_at(NOW, v, 4).state, GV_VERDICT_UNTRUSTED);
}

static void nothing_is_unknown(void **state)
{
    struct gv_verdict out = judge_at(NOW, NULL, 0);

    assert_int_equal(out.state, GV_VERDICT_UNKNOWN);
    assert_int_equal(out.until_min, GV_NEVER);
    assert_int_equal(out.since_min, 0);
    assert_int_equal(out.vote_count, 0);
}

static void what_does_not_count(void **state)
{
    enum { FUTURE, EXPIRED, NO_TENURE, FAULT, REVOKED, CASES };

    for (int i = 0; i < CASES; i++) {
        struct gv_vote v[] = {vote(1, 1, OLD, NOW - 10), vote(2, 2, OLD, NOW - 10)};
        if (i == FUTURE)
            v[1].time_min = NOW + 1;
        else if (i == EXPIRED)
            v[1].time_min = NOW - DAY - 1;
        else if (i == NO_TENURE)
            v[1].since_min = FRESH;
        else if (i == FAULT)
            v[1].fault_min = NOW - 90 * DAY + 1;
        else
            v[1].revoked_min = NOW - 10;
        struct gv_verdict out = judge_at(NOW, v, 2);
        assert_int_equal(out.state, GV_VERDICT_REPORTED);
        assert_int_equal(out.owners, 1);
        assert_int_equal(out.weight, 1000);
        assert_false(out.published);
    }
}

static void what_counts_to_the_last_minute(void **state)
{
    struct gv_vote v[] = {vote(1, 1, OLD, NOW), vote(2, 2, OLD, NOW - DAY)};

    assert_int_equal(judge_at(NOW, v, 2).state, GV_VERDICT_UNTRUSTED);
    /* A fault weighs for 90 days from the later time of its proof, and not a minute longer. */
    struct gv_vote past[] = {vote(1, 1, OLD, NOW), vote(2, 2, OLD, NOW)};
    past[1].fault_min = NOW - 90 * DAY;
    assert_int_equal(judge_at(NOW, past, 2).state, GV_VERDICT_UNTRUSTED);
    /* Revoked after the signal. */
    struct gv_vote later[] = {vote(1, 1, OLD, NOW), vote(2, 2, OLD, NOW - 5)};
    later[1].revoked_min = NOW - 4;
    assert_int_equal(judge_at(NOW, later, 2).state, GV_VERDICT_UNTRUSTED);
}

static void an_owner_has_one_vote_its_newest(void **state)
{
    /* Owner 1 has two instances in two networks: it cannot publish or convict by itself. */
    struct gv_vote alone[] = {vote(1, 1, OLD, NOW - 10), vote(1, 2, OLD, NOW - 5)};
    struct gv_verdict out = judge_at(NOW, alone, 2);

    assert_int_equal(out.state, GV_VERDICT_REPORTED);
    assert_int_equal(out.owners, 1);
    assert_int_equal(out.groups, 1);
    assert_int_equal(out.votes[0].group, 2);
    /* Nor with a friend in the network of its newest. */
    struct gv_vote pair[] = {vote(1, 1, OLD, NOW - 10), vote(1, 2, OLD, NOW - 5),
                             vote(2, 2, OLD, NOW - 5)};
    out = judge_at(NOW, pair, 3);
    assert_int_equal(out.state, GV_VERDICT_REPORTED);
    assert_false(out.published);
    assert_int_equal(out.weight, 1000);
}

static void of_two_as_new_the_larger_hash_counts(void **state)
{
    for (int turn = 0; turn < 2; turn++) {
        struct gv_vote v[] = {vote(1, 1, OLD, NOW), vote(1, 2, OLD, NOW)};
        memset(v[turn].signal, 0xff, sizeof v[turn].signal);
        uint64_t expected = v[turn].group;
        struct gv_verdict out = judge_at(NOW, v, 2);
        assert_int_equal(out.votes[0].group, expected);
    }
}

/* ---- weight --------------------------------------------------------------------------------- */

static void a_network_weighs_as_its_best(void **state)
{
    struct gv_vote v[] = {vote(1, 1, NOW - 60 * DAY, NOW), vote(2, 1, OLD, NOW),
                          vote(3, 1, NOW - 30 * DAY, NOW), vote(4, 2, NOW - 60 * DAY, NOW)};
    struct gv_verdict out = judge_at(NOW, v, 4);

    assert_int_equal(out.weight, 1750);
    assert_int_equal(out.state, GV_VERDICT_REPORTED);
    assert_int_equal(out.owners, 4);
    assert_int_equal(out.groups, 2);
}

static void canonical_votes_are_one_a_group_best_first(void **state)
{
    struct gv_vote v[40];
    size_t count = 0;

    for (uint8_t i = 0; i < 20; i++) {
        v[count++] = vote((uint8_t)(2 * i), i, OLD, NOW);
        v[count++] = vote((uint8_t)(2 * i + 1), i, i < 3 ? YOUNG : OLD, NOW);
    }
    v[0].since_min = v[2].since_min = v[4].since_min = YOUNG; /* groups 0, 1, 2 stand lower */
    struct gv_verdict out = judge_at(NOW, v, count);
    assert_int_equal(out.vote_count, 16);
    assert_int_equal(out.groups, 20);
    assert_int_equal(out.owners, 40);
    for (uint32_t i = 0; i < 16; i++) {
        /* Groups 3 to 18, by their smaller ids: the first vote of each. */
        assert_int_equal(out.votes[i].group, i + 3);
        assert_int_equal(out.votes[i].owner[0], 2 * (i + 3));
        assert_int_equal(out.votes[i].standing, 1000);
    }
}

static void the_list_of_votes_obeys_the_policy(void **state)
{
    struct gv_policy few = normal;
    struct gv_vote v[] = {vote(1, 1, YOUNG, NOW), vote(2, 2, OLD, NOW), vote(3, 3, OLD, NOW)};
    struct gv_verdict out;

    few.votes_max = 1;
    gv_verdict_judge(&out, &few, GENESIS, NOW, v, 3);
    assert_int_equal(out.vote_count, 1);
    assert_int_equal(out.votes[0].owner[0], 2);
    few.votes_max = 0;
    gv_verdict_judge(&out, &few, GENESIS, NOW, v, 3);
    assert_int_equal(out.vote_count, 0);
    assert_int_equal(out.state, GV_VERDICT_UNTRUSTED);
}

static void standing_is_filled_in_for_all(void **state)
{
    struct gv_vote v[] = {vote(1, 1, OLD, NOW), vote(2, 2, FRESH, NOW), vote(3, 3, OLD, NOW),
                          vote(4, 4, OLD, NOW - 2 * DAY)};

    v[2].fault_min = NOW - 1;
    (void)judge_at(NOW, v, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(v[i].standing, v[i].owner[0] == 1 || v[i].owner[0] == 4 ? 1000 : 0);
}

/* ---- since and until ------------------------------------------------------------------------ */

static void since_is_when_the_votes_sufficed(void **state)
{
    struct gv_vote v[] = {vote(1, 1, OLD, NOW - 300), vote(2, 1, OLD, NOW - 200),
                          vote(3, 2, OLD, NOW - 100), vote(4, 3, OLD, NOW - 50)};
    struct gv_verdict out = judge_at(NOW, v, 4);

    assert_int_equal(out.since_min, NOW - 100);
    assert_int_equal(judge_at(NOW - 100, v, 4).since_min, NOW - 100);
    out = judge_at(NOW - 101, v, 4);
    assert_int_equal(out.state, GV_VERDICT_REPORTED);
    assert_int_equal(out.since_min, NOW - 300);
}

static void until_is_when_too_few_are_left(void **state)
{
    struct gv_vote v[] = {vote(1, 1, OLD, NOW - 300), vote(2, 1, OLD, NOW - 200),
                          vote(3, 2, OLD, NOW - 100)};
    struct gv_verdict out = judge_at(NOW, v, 3);

    assert_int_equal(out.until_min, NOW - 200 + DAY + 1);
    assert_int_equal(judge_at(out.until_min - 1, v, 3).state, GV_VERDICT_UNTRUSTED);
    out = judge_at(out.until_min, v, 3);
    assert_int_equal(out.state, GV_VERDICT_REPORTED);
    assert_int_equal(out.until_min, NOW - 100 + DAY + 1);
    assert_int_equal(judge_at(out.until_min, v, 3).state, GV_VERDICT_UNKNOWN);
}

static void until_sees_what_begins_by_itself(void **state)
{
    /* A signal dated three minutes ahead of our clock. */
    struct gv_vote ahead[] = {vote(1, 1, OLD, NOW), vote(2, 2, OLD, NOW + 3)};
    struct gv_verdict out = judge_at(NOW, ahead, 2);

    assert_int_equal(out.state, GV_VERDICT_REPORTED);
    assert_int_equal(out.until_min, NOW + 3);
    /* The end of a fault. */
    struct gv_vote fault[] = {vote(1, 1, OLD, NOW), vote(2, 2, OLD, NOW)};
    fault[1].fault_min = NOW - 90 * DAY + 7;
    out = judge_at(NOW, fault, 2);
    assert_int_equal(out.state, GV_VERDICT_REPORTED);
    assert_int_equal(out.until_min, NOW + 7);
    /* One that takes over when another goes, so that the state goes on. */
    struct gv_vote relay[] = {vote(1, 1, OLD, NOW - DAY + 5), vote(2, 2, OLD, NOW),
                              vote(3, 3, OLD, NOW + 6)};
    out = judge_at(NOW, relay, 3);
    assert_int_equal(out.state, GV_VERDICT_UNTRUSTED);
    assert_int_equal(out.until_min, NOW + DAY + 1);
    relay[0] = vote(1, 1, OLD, NOW - DAY + 5);
    relay[1] = vote(2, 2, OLD, NOW);
    relay[2] = vote(3, 3, OLD, NOW + 7); /* a minute too late */
    assert_int_equal(judge_at(NOW, relay, 3).until_min, NOW + 6);
}

static void times_at_the_end_of_the_range_do_not_wrap(void **state)
{
    uint32_t now = UINT32_MAX - 10;
    struct gv_vote v[] = {vote(1, 1, OLD, now), vote(2, 2, OLD, now)};
    struct gv_verdict out = judge_at(now, v, 2);

    assert_int_equal(out.state, GV_VERDICT_UNTRUSTED);
    assert_int_equal(out.until_min, GV_NEVER);
}

static void states_have_names(void **state)
{
    assert_string_equal(gv_verdict_state_name(GV_VERDICT_UNKNOWN), "unknown");
    assert_string_equal(gv_verdict_state_name(GV_VERDICT_REPORTED), "reported");
    assert_string_equal(gv_verdict_state_name(GV_VERDICT_UNTRUSTED), "untrusted");
}

/* ---- few and many --------------------------------------------------------------------------- */

static uint64_t random_state = 20261122;

static uint32_t below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 11) % bound);
}

/* Some owners several times, dated back and ahead, young and old, revoked and at fault. */
static struct gv_vote random_vote(uint32_t owners, uint32_t groups)
{
    struct gv_vote v = {.sequence = 1 + below(9), .revoked_min = GV_NEVER, .fault_min = GV_NEVER};
    uint32_t owner = below(owners), id = below(UINT32_MAX);

    memcpy(v.signal, &id, sizeof id);
    v.owner[0] = (uint8_t)(owner % 3); /* many begin alike */
    v.owner[15] = v.instance[0] = (uint8_t)owner;
    v.group = (uint64_t)below(groups) << below(2) * 40;
    v.time_min = NOW + 10 - below(DAY + 60);
    if (below(2) == 0) /* many end in the very minute in which others begin */
        v.time_min = NOW + below(10) - below(2) * (DAY + 1);
    v.since_min = below(6) > 0 ? OLD - below(90 * DAY) : v.time_min - below(100 * DAY);
    if (below(20) == 0)
        v.revoked_min = v.time_min + below(2);
    if (owner % 7 == 0) /* of the owner, so the same in all of his */
        v.fault_min = NOW - normal.fault_min + owner % 5 * 200 - 300;
    return v;
}

/* Up to 64 signals are counted one way and more another; repetition never matters, so the same
 * ones, and again until they are too many, must give the same verdict to the last bit. */
static void few_and_many_say_the_same(void **state)
{
    struct gv_vote votes[64], again[256 + 64];
    uint32_t untrusted = 0, later = 0;

    for (int i = 0; i < 4000; i++) {
        uint32_t count = 1 + below(i % 2 ? 5 : 64), owners = 1 + below(40), groups = 1 + below(20);
        for (uint32_t v = 0; v < count; v++)
            votes[v] = random_vote(owners, groups);
        uint32_t all = (256 / count + 1) * count;
        for (uint32_t v = 0; v < all; v++)
            again[v] = votes[v % count];
        struct gv_verdict few = judge_at(NOW, votes, count);
        struct gv_verdict many = judge_at(NOW, again, all);
        assert_memory_equal(&few, &many, sizeof few);
        untrusted += few.state == GV_VERDICT_UNTRUSTED;
        later += few.until_min != GV_NEVER && few.until_min > NOW + 1;
    }
    assert_in_range(untrusted, 500, 3500); /* what is compared is of every kind */
    assert_true(later > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standing_follows_the_table),
        cmocka_unit_test(a_lab_network_gives_full_standing_at_once),
        cmocka_unit_test_setup(two_old_owners_in_two_networks_make_a_verdict, setup),
        cmocka_unit_test_setup(so_do_four_young_ones_in_four_and_not_three, setup),
        cmocka_unit_test_setup(nothing_is_unknown, setup),
        cmocka_unit_test_setup(what_does_not_count, setup),
        cmocka_unit_test_setup(what_counts_to_the_last_minute, setup),
        cmocka_unit_test_setup(an_owner_has_one_vote_its_newest, setup),
        cmocka_unit_test_setup(of_two_as_new_the_larger_hash_counts, setup),
        cmocka_unit_test_setup(a_network_weighs_as_its_best, setup),
        cmocka_unit_test_setup(canonical_votes_are_one_a_group_best_first, setup),
        cmocka_unit_test_setup(the_list_of_votes_obeys_the_policy, setup),
        cmocka_unit_test_setup(standing_is_filled_in_for_all, setup),
        cmocka_unit_test_setup(since_is_when_the_votes_sufficed, setup),
        cmocka_unit_test_setup(until_is_when_too_few_are_left, setup),
        cmocka_unit_test_setup(until_sees_what_begins_by_itself, setup),
        cmocka_unit_test_setup(times_at_the_end_of_the_range_do_not_wrap, setup),
        cmocka_unit_test_setup(few_and_many_say_the_same, setup),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
