/* Local history: stories of what a host sees, remembers and locks (SPEC 12.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "proto/trust/history_row.h"
#include "tests/unit/helper_history.h"

/* ---- visits and points ---------------------------------------------------------------------- */

static void a_visit_is_a_point_and_an_unknown_account_another(void **state)
{
    fails(&attacker);
    assert_true(last.counted);
    assert_int_equal(facts_of(&attacker).points, 1);
    after(HOUR);
    fails_unknown(&attacker);
    assert_int_equal(facts_of(&attacker).points, 3);
    /* More failures of the same connection make no further visit. */
    struct gv_observation same = failure(&attacker);
    same.new_visit = false;
    same.kind = GV_KIND_UNKNOWN_ACCOUNT;
    see(same, false);
    assert_int_equal(facts_of(&attacker).points, 3);
    assert_int_equal(summary_of(&attacker).visits_week, 2);
    assert_int_equal(summary_of(&attacker).failures_day, 3);
}

static void a_known_account_first_and_an_unknown_one_later_in_one_visit(void **state)
{
    struct gv_observation o = failure(&attacker);

    see(o, false);
    o.new_visit = false;
    o.kind = GV_KIND_UNKNOWN_ACCOUNT;
    see(o, false);
    assert_int_equal(facts_of(&attacker).points, 2);
}

static void points_expire_72_hours_after_the_last_visit(void **state)
{
    fails(&attacker);
    after(71 * HOUR);
    fails(&attacker);
    after(72 * HOUR - SECOND);
    assert_int_equal(facts_of(&attacker).points, 2);
    after(SECOND);
    assert_int_equal(facts_of(&attacker).points, 0);
    fails(&attacker);
    assert_int_equal(facts_of(&attacker).points, 1);
}

static void a_failed_visit_is_evidence_to_refuse_for_six_hours(void **state)
{
    assert_false(facts_of(&attacker).failed_lately);
    fails_unknown(&attacker);
    assert_true(facts_of(&attacker).failed_lately);
    after(6 * HOUR - SECOND);
    assert_true(facts_of(&attacker).failed_lately);
    after(SECOND);
    assert_false(facts_of(&attacker).failed_lately);
    assert_int_equal(facts_of(&attacker).points, 2);
    fails(&attacker);
    assert_true(facts_of(&attacker).failed_lately);
    assert_false(facts_of(&neighbour).failed_lately);
}

/* SPEC 12.2: what is refused for without the mesh's word names several accounts. */
static void failures_at_one_account_stay_those_of_one_client(void **state)
{
    static const uint64_t accounts[] = {ALICE, ALICE, ALICE, BOB};

    for (size_t i = 0; i < 4; i++, after(HOUR)) {
        struct gv_observation o = failure(&attacker);
        o.account = accounts[i];
        see(o, true);
        assert_int_equal(facts_of(&attacker).many_accounts, i == 3);
    }
    logs_in(&attacker, ALICE);
    assert_false(facts_of(&attacker).many_accounts);
}

static void a_login_clears_the_points(void **state)
{
    fails_unknown(&attacker);
    after(MINUTE);
    logs_in(&attacker, ALICE);
    assert_true(last.counted);
    assert_int_equal(facts_of(&attacker).points, 0);
    assert_true(facts_of(&attacker).known_here);
    assert_true(facts_of(&attacker).network_known_here);
    assert_false(facts_of(&attacker).clean);
    /* A line about an older failure that comes late does not bring them back. */
    struct gv_observation late = failure(&attacker);
    late.unix_ms -= 30 * SECOND;
    see(late, false);
    assert_int_equal(facts_of(&attacker).points, 0);
}

static void aborted_attempts_are_no_visit(void **state)
{
    struct gv_observation o = failure(&attacker);

    o.kind = GV_KIND_ABORTED;
    for (int i = 0; i < 50; i++) {
        see(o, true);
        assert_false(last.signal || last.locked_now || last.counted);
    }
    assert_int_equal(gv_history_count(history), 0);
    /* Where something else fails too, they count no more, but are named. */
    fails(&attacker);
    see(o, false);
    assert_int_equal(facts_of(&attacker).points, 1);
    /* The connection that began with one makes a visit once a password fails in it. */
    struct gv_observation real = failure(&attacker);
    real.new_visit = false;
    see(real, false);
    assert_int_equal(facts_of(&attacker).points, 2);
    fails(&attacker);
    assert_true(last.signal);
    assert_int_equal(last.statement.kinds, GV_KIND_WRONG_PASSWORD | GV_KIND_ABORTED);
    assert_int_equal(last.statement.count, 2); /* three failed */
}

static void refused_attempts_leave_no_trace(void **state)
{
    struct gv_observation o = failure(&attacker);

    o.refused = true;
    o.attempts = 100;
    for (int i = 0; i < 10; i++) {
        see(o, true);
        assert_false(last.counted || last.signal || last.locked_now);
        after(MINUTE);
    }
    assert_int_equal(gv_history_count(history), 0);
}

/* ---- the local limit ------------------------------------------------------------------------ */

static void five_failures_in_ten_minutes_lock_for_an_hour(void **state)
{
    for (int i = 0; i < 4; i++) {
        fails(&attacker);
        /* Two points make it one-strike: that is another story, so it logs in between. */
        logs_in(&attacker, ALICE);
        assert_false(facts_of(&attacker).locked_here);
        after(150 * SECOND);
    }
    fails(&attacker); /* exactly ten minutes after the first */
    assert_true(last.locked_now);
    assert_true(facts_of(&attacker).locked_here);
    assert_int_equal(summary_of(&attacker).locked_until_ms, now + HOUR);
    after(HOUR - SECOND);
    assert_true(facts_of(&attacker).locked_here);
    after(SECOND);
    assert_false(facts_of(&attacker).locked_here);
}

static void five_failures_in_eleven_minutes_do_not(void **state)
{
    for (int i = 0; i < 10; i++) {
        fails(&attacker);
        logs_in(&attacker, ALICE);
        assert_false(last.locked_now || facts_of(&attacker).locked_here);
        after(165 * SECOND);
    }
}

static void five_attempts_of_one_line_lock_at_once(void **state)
{
    struct gv_observation o = failure(&attacker);

    o.attempts = 4;
    see(o, false);
    assert_false(last.locked_now);
    o.attempts = 1;
    o.new_visit = false;
    see(o, false);
    assert_true(last.locked_now);
    see(o, false);
    assert_false(last.locked_now); /* it was already */
}

static void five_visits_in_a_week_lock(void **state)
{
    struct gv_history_row row = {.subject = attacker};
    struct gv_observation o = failure(&attacker);
    uint32_t t = (uint32_t)(START / SECOND);

    /* One-strike would lock it earlier, so this asks the rule itself. */
    for (uint32_t visit = 1; visit <= 6; visit++, t += 40 * 3600) {
        assert_true(gv_row_failure(&row, t, &o));
        assert_int_equal(gv_row_limit(&row, t, false), visit >= 5);
        assert_false(gv_row_limit(&row, t, true));
    }
    /* Of visits 50 hours apart, a week never holds five. */
    memset(&row, 0, sizeof row);
    for (uint32_t visit = 1; visit <= 20; visit++, t += 50 * 3600) {
        (void)gv_row_failure(&row, t, &o);
        assert_false(gv_row_limit(&row, t, false));
    }
    /* A login starts the count again. */
    memset(&row, 0, sizeof row);
    for (uint32_t visit = 1; visit <= 20; visit++, t += 24 * 3600) {
        (void)gv_row_failure(&row, t, &o);
        assert_false(gv_row_limit(&row, t, false));
        if (visit % 4 == 0)
            (void)gv_row_success(&row, t, ALICE);
    }
}

static void clean_addresses_may_fail_four_times_as_often(void **state)
{
    becomes_clean(&attacker);
    after(HOUR);
    for (int i = 1; i <= 20; i++) {
        fails(&attacker);
        assert_int_equal(last.locked_now, i == 20);
        assert_false(last.signal);
        after(SECOND);
    }
}

static void an_untrusted_address_has_one_guess(void **state)
{
    see(failure(&attacker), true);
    assert_true(last.locked_now);
    assert_true(facts_of(&attacker).locked_here);
}

/* SPEC 12.1: the mesh's word alone, against an address that users come from. */
static void where_users_come_from_it_has_two(void **state)
{
    struct gv_observation o = failure(&attacker);

    logs_in(&attacker, ALICE);
    after(10 * DAY);
    o.unix_ms = now;
    see(o, true);
    assert_false(last.locked_now);
    after(30 * SECOND);
    o.unix_ms = now;
    o.new_visit = false;
    see(o, true);
    assert_true(last.locked_now); /* the second within ten minutes */
}

static void and_a_neighbour_of_users_too_once_their_network_is_clean(void **state)
{
    becomes_clean(&neighbour);
    see(failure(&attacker), true);
    assert_false(last.locked_now);
    after(11 * MINUTE);
    see(failure(&attacker), true); /* one in ten minutes: two points now */
    assert_false(last.locked_now);
    after(11 * MINUTE);
    see(failure(&attacker), true);
    assert_true(last.locked_now); /* it failed here twice: own evidence */
}

static void but_not_for_an_account_that_does_not_exist(void **state)
{
    struct gv_observation o = failure(&attacker);

    becomes_clean(&neighbour);
    o.unix_ms = now;
    o.kind = GV_KIND_UNKNOWN_ACCOUNT;
    see(o, true);
    assert_true(last.locked_now);
}

static void nor_after_one_login_of_a_neighbour(void **state)
{
    logs_in(&neighbour, ALICE);
    see(failure(&attacker), true);
    assert_true(last.locked_now);
}

static void so_has_one_that_failed_here_twice(void **state)
{
    fails(&attacker);
    after(HOUR);
    fails(&attacker);
    assert_false(last.locked_now);
    after(HOUR);
    fails(&attacker);
    assert_true(last.locked_now);
}

static void a_second_failure_of_the_visit_that_made_it_so_is_no_new_visit(void **state)
{
    struct gv_observation o = failure(&attacker);

    o.kind = GV_KIND_UNKNOWN_ACCOUNT;
    see(o, false);
    assert_int_equal(facts_of(&attacker).points, 2);
    o.new_visit = false;
    see(o, false);
    assert_false(last.locked_now);
    o.new_visit = true;
    see(o, false);
    assert_true(last.locked_now);
}

static void clean_history_means_five_guesses_whatever_the_mesh_says(void **state)
{
    becomes_clean(&attacker);
    after(HOUR);
    see(failure(&attacker), true);
    assert_false(last.locked_now);
}

/* ---- clean ---------------------------------------------------------------------------------- */

static void logins_over_a_week_make_clean_for_a_month(void **state)
{
    logs_in(&attacker, ALICE);
    after(7 * DAY - SECOND);
    logs_in(&attacker, ALICE);
    assert_false(facts_of(&attacker).clean);
    after(SECOND);
    logs_in(&attacker, ALICE);
    assert_true(facts_of(&attacker).clean);
    fails(&attacker); /* points do not matter here */
    assert_true(facts_of(&attacker).clean);
    after(30 * DAY);
    assert_true(facts_of(&attacker).clean);
    after(SECOND);
    assert_false(facts_of(&attacker).clean);
    /* After such a gap the week begins again. */
    logs_in(&attacker, ALICE);
    assert_false(facts_of(&attacker).clean);
}

static void two_accounts_in_three_days_make_clean_while_nothing_fails(void **state)
{
    logs_in(&attacker, ALICE);
    logs_in(&attacker, ALICE);
    assert_false(facts_of(&attacker).clean);
    after(DAY);
    logs_in(&attacker, BOB);
    assert_true(facts_of(&attacker).clean);
    fails(&attacker);
    assert_false(facts_of(&attacker).clean);
    logs_in(&attacker, BOB);
    assert_true(facts_of(&attacker).clean);
    after(48 * HOUR + SECOND); /* Alice's is now over 72 h old */
    assert_false(facts_of(&attacker).clean);
    logs_in(&attacker, 0); /* an account that is not known is not a third one */
    assert_false(facts_of(&attacker).clean);
}

static void a_network_is_clean_by_its_members(void **state)
{
    logs_in(&neighbour, ALICE);
    after(7 * DAY);
    logs_in(&attacker, ALICE);
    assert_false(facts_of(&attacker).clean);
    assert_true(facts_of(&attacker).clean_network);
    struct gv_subject third = {GV_FAMILY_IPV4, {203, 0, 113, 77}};
    assert_true(facts_of(&third).clean_network);
    assert_true(facts_of(&third).network_known_here);
    assert_false(facts_of(&third).known_here);
    third.bytes[2] = 114;
    assert_false(facts_of(&third).clean_network);
}

static void a_network_of_two_accounts_is_clean_while_no_member_fails(void **state)
{
    logs_in(&neighbour, ALICE);
    logs_in(&neighbour, BOB);
    assert_true(facts_of(&attacker).clean_network);
    after(HOUR);
    fails(&attacker);
    assert_false(facts_of(&attacker).clean_network);
    after(MINUTE);
    logs_in(&neighbour, ALICE);
    assert_true(facts_of(&attacker).clean_network);
}

/* ---- imported logs -------------------------------------------------------------------------- */

static void imported(const struct gv_subject *subject, uint64_t days_ago, bool success)
{
    struct gv_observation o = failure(subject);

    o.unix_ms = now - days_ago * DAY;
    o.success = success;
    o.attempts = success ? 0 : 5;
    o.account = ALICE;
    o.past = true;
    see(o, false);
}

static void old_logins_make_clean_history_on_the_first_day(void **state)
{
    imported(&attacker, 20, true);
    assert_true(last.counted);
    assert_false(facts_of(&attacker).clean);
    imported(&attacker, 10, true);
    assert_true(facts_of(&attacker).clean);
    assert_true(facts_of(&attacker).clean_network);
    /* Once more changes nothing, in any order. */
    imported(&attacker, 10, true);
    imported(&attacker, 20, true);
    assert_false(last.counted);
    assert_int_equal(summary_of(&attacker).last_success_ms, now - 10 * DAY);
    /* What comes after the first live login goes to its front, and is stored. */
    logs_in(&neighbour, ALICE);
    imported(&neighbour, 8, true);
    assert_true(last.counted);
    assert_true(facts_of(&neighbour).clean);
}

static void logins_older_than_clean_history_lives_are_refused(void **state)
{
    struct gv_observation o = failure(&attacker);

    o.past = o.success = true;
    o.attempts = 0;
    o.unix_ms = now - 30 * DAY - 1000;
    assert_int_equal(gv_history_observe(history, &last, now, &o, GV_STRICT_NOT, true),
                     GV_ERR_RANGE);
    o.unix_ms = now - 29 * DAY;
    assert_int_equal(gv_history_observe(history, &last, now, &o, GV_STRICT_NOT, true), GV_OK);
    o.past = false; /* a live log that shows such a line teaches nothing */
    assert_int_equal(gv_history_observe(history, &last, now, &o, GV_STRICT_NOT, true),
                     GV_ERR_RANGE);
}

static void imported_failures_neither_lock_nor_signal_nor_count(void **state)
{
    for (unsigned i = 0; i < 20; i++) {
        imported(&attacker, 0, false);
        assert_false(last.signal || last.locked_now || last.counted || last.broken_login);
    }
    assert_int_equal(gv_history_count(history), 0);
    /* Nor do they help a live failure over a limit, which they may be the same lines as. */
    fails(&attacker);
    imported(&attacker, 0, false);
    fails(&attacker);
    assert_false(last.signal);
    assert_int_equal(summary_of(&attacker).failures_day, 2);
    assert_int_equal(facts_of(&attacker).points, 2);
}

static void an_old_login_does_not_forgive_what_came_after_it(void **state)
{
    fails(&attacker);
    fails(&attacker);
    imported(&attacker, 3, true);
    assert_int_equal(facts_of(&attacker).points, 2);
}

/* ---- keeping -------------------------------------------------------------------------------- */

static void times_that_cannot_be_are_refused(void **state)
{
    struct gv_observation o = failure(&attacker);

    o.unix_ms = now + 10 * MINUTE + 1;
    assert_int_equal(gv_history_observe(history, &last, now, &o, GV_STRICT_NOT, true),
                     GV_ERR_RANGE);
    o.unix_ms = now - 7 * DAY - 1;
    assert_int_equal(gv_history_observe(history, &last, now, &o, GV_STRICT_NOT, true),
                     GV_ERR_RANGE);
    o.unix_ms = 0;
    assert_int_equal(gv_history_observe(history, &last, 5, &o, GV_STRICT_NOT, true), GV_ERR_RANGE);
    o.unix_ms = now;
    o.subject.family = GV_FAMILY_NONE;
    assert_int_equal(gv_history_observe(history, &last, now, &o, GV_STRICT_NOT, true),
                     GV_ERR_RANGE);
    assert_int_equal(gv_history_count(history), 0);
    /* A log clock that is ahead of ours does not put anything into the future. */
    o.subject = attacker;
    o.unix_ms = now + 10 * MINUTE;
    see(o, false);
    assert_int_equal(summary_of(&attacker).last_failure_ms, now);
}

static void a_clock_that_was_ahead_is_forgiven(void **state)
{
    struct gv_subject gone;

    after(3 * 365 * DAY);
    see(failure(&attacker), true);
    see(failure(&neighbour), true);
    now -= 3 * 365 * DAY;
    assert_true(gv_history_expire(history, &gone, now, 100));
    assert_false(gv_history_expire(history, &gone, now, 0));
    const struct gv_subject *left = gv_subject_equal(&gone, &attacker) ? &neighbour : &attacker;
    fails(left);
    assert_int_equal(facts_of(left).points, 1);
    assert_false(facts_of(left).locked_here);
    assert_int_equal(summary_of(left).last_failure_ms, now);
}

static void what_came_out_of_order_is_counted_all_the_same(void **state)
{
    static const uint64_t ago[] = {0, 200, 100, 400, 599};

    after(HOUR);
    for (size_t i = 0; i < 5; i++) {
        struct gv_observation o = failure(&attacker);
        o.unix_ms = now - ago[i] * SECOND;
        o.new_visit = i == 0;
        see(o, false);
        assert_int_equal(last.locked_now, i == 4);
    }
    assert_int_equal(summary_of(&attacker).failures_day, 5);
    assert_int_equal(summary_of(&attacker).first_failure_ms, now / SECOND * SECOND - 599 * SECOND);
}

static void rows_go_when_they_no_longer_matter(void **state)
{
    struct gv_subject gone, key;

    fails(&attacker);
    logs_in(&neighbour, ALICE);
    after(7 * DAY);
    assert_false(gv_history_expire(history, &gone, now, 100));
    after(SECOND);
    assert_true(gv_history_expire(history, &gone, now, 100));
    assert_true(gv_subject_equal(&gone, &attacker));
    assert_false(gv_history_expire(history, &gone, now, 100));
    after(24 * DAY);
    assert_true(gv_history_expire(history, &gone, now, 100));
    gv_history_hidden_key(history, &key, &neighbour);
    assert_true(gv_subject_equal(&gone, &key));
    assert_false(gv_history_expire(history, &gone, now, 100));
    assert_int_equal(gv_history_count(history), 0);
    assert_false(facts_of(&attacker).network_known_here);
}

static void forgetting_is_complete(void **state)
{
    struct gv_history_summary s;

    fails(&attacker);
    assert_true(gv_history_forget(history, &attacker));
    assert_false(gv_history_forget(history, &attacker));
    assert_int_equal(gv_history_summarise(history, &s, &attacker, now), GV_ERR_NOT_FOUND);
    assert_int_equal(s.points, 0);
    assert_int_equal(facts_of(&attacker).points, 0);
}

static void a_flood_does_not_push_out_clean_history(void **state)
{
    unsigned kept = 0;

    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 200; i++) {
            struct gv_subject s = user(i);
            logs_in(&s, ALICE);
        }
        after(7 * DAY);
    }
    for (unsigned i = 0; i < 50000; i++) {
        struct gv_subject s = {GV_FAMILY_IPV4,
                               {8, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        fails_unknown(&s);
        assert_true(gv_history_count(history) <= 1000);
        if (last.has_evicted)
            assert_false(gv_subject_equal(&last.evicted, &s));
    }
    for (unsigned i = 0; i < 200; i++) {
        struct gv_subject s = user(i);
        kept += facts_of(&s).clean;
    }
    /* Eight draws of which all are clean come up in one of 400,000 evictions. */
    assert_in_range(kept, 199, 200);
}

static void rows_survive_a_restart(void **state)
{
    struct gv_history *other = gv_history_new(1000, stage_key);
    struct gv_action_facts before, then;
    struct gv_history_summary a, b;
    struct gv_buf row;
    size_t cursor = 0;
    struct gv_subject s;

    becomes_clean(&neighbour);
    logs_in(&neighbour, BOB);
    fails_unknown(&attacker);
    after(HOUR);
    fails(&attacker);
    after(HOUR);
    fails(&attacker);
    assert_true(last.locked_now);
    gv_buf_init(&row);
    while (gv_history_next(history, &cursor, &s)) {
        gv_buf_clear(&row);
        assert_int_equal(gv_history_pack(history, &row, &s), GV_OK);
        assert_int_equal(gv_history_load(other, row.data, row.len), GV_OK);
        assert_int_equal(gv_history_load(other, row.data, row.len), GV_OK); /* twice is once */
    }
    assert_int_equal(gv_history_count(other), 2);
    for (int i = 0; i < 2; i++) {
        s = i ? attacker : neighbour;
        before = facts_of(&s);
        a = summary_of(&s);
        memset(&then, 0, sizeof then);
        gv_history_facts(other, &then, &s, now);
        assert_int_equal(gv_history_summarise(other, &b, &s, now), GV_OK);
        assert_memory_equal(&before, &then, sizeof then);
        assert_memory_equal(&a, &b, sizeof a);
    }
    s.bytes[0] = 1;
    assert_int_equal(gv_history_pack(history, &row, &s), GV_ERR_NOT_FOUND);
    gv_buf_free(&row);
    gv_history_free(other);
}

static void a_spoilt_row_is_refused(void **state)
{
    struct gv_buf row;
    struct gv_history *other = gv_history_new(1, stage_key);

    fails_unknown(&attacker);
    gv_buf_init(&row);
    assert_int_equal(gv_history_pack(history, &row, &attacker), GV_OK);
    assert_int_equal(gv_history_load(other, row.data, 0), GV_ERR_MALFORMED);
    for (size_t len = 1; len < row.len; len++)
        assert_int_equal(gv_history_load(other, row.data, len), GV_ERR_MALFORMED);
    row.data[0] = 3;
    assert_int_equal(gv_history_load(other, row.data, row.len), GV_ERR_VERSION);
    row.data[0] = 1;
    row.data[1] = 1; /* a hash, and the form of an address */
    assert_int_equal(gv_history_load(other, row.data, row.len), GV_ERR_MALFORMED);
    row.data[1] = 5; /* no family */
    assert_int_equal(gv_history_load(other, row.data, row.len), GV_ERR_MALFORMED);
    row.data[1] = GV_FAMILY_IPV4;
    row.data[9] = 1; /* an IPv4 address of more than four bytes */
    assert_int_equal(gv_history_load(other, row.data, row.len), GV_ERR_MALFORMED);
    row.data[9] = 0;
    row.data[28] = 1; /* a third newest failure, and no second */
    assert_int_equal(gv_history_load(other, row.data, row.len), GV_ERR_MALFORMED);
    row.data[28] = 0;
    assert_int_equal(gv_history_load(other, row.data, row.len), GV_OK);
    row.data[2]++; /* another subject, and no room */
    assert_int_equal(gv_history_load(other, row.data, row.len), GV_ERR_FULL);
    gv_buf_free(&row);
    gv_history_free(other);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, history_up, history_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_visit_is_a_point_and_an_unknown_account_another),
        STORY(a_known_account_first_and_an_unknown_one_later_in_one_visit),
        STORY(points_expire_72_hours_after_the_last_visit),
        STORY(a_failed_visit_is_evidence_to_refuse_for_six_hours),
        STORY(failures_at_one_account_stay_those_of_one_client),
        STORY(a_login_clears_the_points),
        STORY(aborted_attempts_are_no_visit),
        STORY(refused_attempts_leave_no_trace),
        STORY(five_failures_in_ten_minutes_lock_for_an_hour),
        STORY(five_failures_in_eleven_minutes_do_not),
        STORY(five_attempts_of_one_line_lock_at_once),
        STORY(five_visits_in_a_week_lock),
        STORY(clean_addresses_may_fail_four_times_as_often),
        STORY(an_untrusted_address_has_one_guess),
        STORY(where_users_come_from_it_has_two),
        STORY(and_a_neighbour_of_users_too_once_their_network_is_clean),
        STORY(but_not_for_an_account_that_does_not_exist),
        STORY(nor_after_one_login_of_a_neighbour),
        STORY(so_has_one_that_failed_here_twice),
        STORY(a_second_failure_of_the_visit_that_made_it_so_is_no_new_visit),
        STORY(clean_history_means_five_guesses_whatever_the_mesh_says),
        STORY(logins_over_a_week_make_clean_for_a_month),
        STORY(two_accounts_in_three_days_make_clean_while_nothing_fails),
        STORY(a_network_is_clean_by_its_members),
        STORY(a_network_of_two_accounts_is_clean_while_no_member_fails),
        STORY(times_that_cannot_be_are_refused),
        STORY(old_logins_make_clean_history_on_the_first_day),
        STORY(logins_older_than_clean_history_lives_are_refused),
        STORY(imported_failures_neither_lock_nor_signal_nor_count),
        STORY(an_old_login_does_not_forgive_what_came_after_it),
        STORY(a_clock_that_was_ahead_is_forgiven),
        STORY(what_came_out_of_order_is_counted_all_the_same),
        STORY(rows_go_when_they_no_longer_matter),
        STORY(forgetting_is_complete),
        STORY(a_flood_does_not_push_out_clean_history),
        STORY(rows_survive_a_restart),
        STORY(a_spoilt_row_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
