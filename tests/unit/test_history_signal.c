/* When a host signals, and when it keeps quiet: stories (SPEC 12.3 to 12.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "proto/trust/history_row.h"
#include "tests/unit/helper_history.h"

/* ---- when a host signals -------------------------------------------------------------------- */

static void the_third_failure_signals(void **state)
{
    struct gv_observation o = failure(&attacker);

    fails(&attacker);
    assert_false(last.signal);
    after(9 * MINUTE);
    o.unix_ms = now;
    o.service = GV_SERVICE_IMAP;
    see(o, false);
    assert_false(last.signal);
    after(22 * MINUTE);
    fails(&attacker);
    assert_true(last.signal);
    assert_int_equal(last.statement.kind, GV_STATEMENT_SIGNAL);
    assert_true(gv_subject_equal(&last.statement.subject, &attacker));
    assert_int_equal(last.statement.first_min, START / MINUTE);
    assert_int_equal(last.statement.last_min, now / MINUTE);
    assert_int_equal(last.statement.count, 2);
    assert_int_equal(last.statement.services, GV_SERVICE_SUBMISSION | GV_SERVICE_IMAP);
    assert_int_equal(last.statement.kinds, GV_KIND_WRONG_PASSWORD);
    assert_int_equal(summary_of(&attacker).signalled_ms, now);
}

static void the_first_does_where_an_account_is_unknown_and_the_network_too(void **state)
{
    fails_unknown(&attacker);
    assert_true(last.signal);
    assert_int_equal(last.statement.count, 1);
    assert_int_equal(last.statement.first_min, now / MINUTE);
    assert_int_equal(last.statement.kinds, GV_KIND_UNKNOWN_ACCOUNT);
    fails_unknown(&attacker);
    assert_false(last.signal); /* once in 12 hours */
}

/* A user from the same network, once, may mistype his name. */
static void the_second_does_where_somebody_logged_in_from_there(void **state)
{
    logs_in(&neighbour, ALICE);
    after(20 * DAY);
    fails_unknown(&attacker);
    assert_false(last.signal);
    after(10 * HOUR);
    fails(&attacker);
    assert_true(last.signal);
    assert_int_equal(last.statement.kinds, GV_KIND_WRONG_PASSWORD | GV_KIND_UNKNOWN_ACCOUNT);
}

static void one_line_of_many_attempts_weighs_as_many(void **state)
{
    struct gv_observation o = failure(&attacker);

    o.attempts = 1234;
    see(o, false);
    assert_true(last.signal);
    assert_int_equal(last.statement.count, 1000);
}

static void a_slow_attacker_is_signalled_within_a_week(void **state)
{
    fails(&attacker);
    after(3 * DAY);
    fails(&attacker);
    assert_false(last.signal);
    after(3 * DAY);
    fails(&attacker);
    assert_true(last.signal);
    assert_int_equal(last.statement.count, 2);
    assert_in_range(last.statement.last_min - last.statement.first_min, 6 * 24 * 60 - 60,
                    6 * 24 * 60);
}

static void but_not_where_somebody_logged_in(void **state)
{
    fails(&attacker);
    after(3 * DAY);
    fails(&attacker);
    logs_in(&attacker, ALICE);
    after(3 * DAY);
    fails(&attacker);
    assert_false(last.signal);
    /* Within a day a login does not matter: the attacker may have found one password. */
    fails(&attacker);
    logs_in(&attacker, ALICE);
    fails(&attacker);
    assert_true(last.signal);
}

static void three_in_more_than_a_week_are_nothing(void **state)
{
    for (int i = 0; i < 10; i++) {
        fails(&attacker);
        assert_false(last.signal);
        after(4 * DAY);
    }
}

static void a_subject_is_signalled_again_after_twelve_hours(void **state)
{
    int signals = 0;

    for (int i = 0; i < 48; i++) { /* one failure each half hour, for a day */
        struct gv_observation o = failure(&attacker);
        o.kind = GV_KIND_UNKNOWN_ACCOUNT;
        see(o, false);
        signals += last.signal;
        after(30 * MINUTE);
    }
    assert_int_equal(signals, 2);
    gv_history_unsignal(history, &attacker); /* it did not go out */
    fails(&attacker);
    assert_true(last.signal);
}

static void what_may_not_be_shared_is_not_signalled(void **state)
{
    struct gv_observation o = failure(&attacker);

    o.attempts = 50;
    assert_int_equal(gv_history_observe(history, &last, now, &o, false, false), GV_OK);
    assert_false(last.signal);
    assert_int_equal(summary_of(&attacker).signalled_ms, 0);
    see(o, false);
    assert_true(last.signal);
}

static void old_news_is_not_signalled(void **state)
{
    struct gv_observation o = failure(&attacker);

    o.attempts = 50;
    o.unix_ms = now - 2 * DAY;
    see(o, false);
    assert_true(last.counted);
    assert_false(last.signal || last.locked_now);
    assert_false(facts_of(&attacker).locked_here);
    assert_int_equal(facts_of(&attacker).points, 1);
}

/* ---- a user who mistypes --------------------------------------------------------------------- */

static void who_logged_in_is_not_told_of_for_typos_at_his_own_account(void **state)
{
    logs_in(&attacker, BOB);
    logs_in(&attacker, ALICE);
    for (unsigned i = 0; i < 30; i++) {
        after(7 * SECOND);
        fails_at(&attacker, i < 15 ? ALICE : BOB, i); /* two runs of typos, a login between */
        assert_false(last.signal || last.lock_news);
        if (i == 14)
            logs_in(&attacker, ALICE);
    }
    fails_at(&attacker, 0xca701, 0); /* another account: he guesses after all */
    assert_true(last.signal);
}

static void an_account_of_others_is_guessed_at_also_where_somebody_logs_in(void **state)
{
    logs_in(&attacker, 0xd0d0);
    logs_in(&attacker, BOB);
    logs_in(&attacker, 0xcafe); /* the two latest count */
    for (unsigned i = 0; i < 3; i++) {
        assert_false(last.signal);
        after(i == 1 ? 3 * MINUTE : 100 * MINUTE);
        fails_at(&attacker, 0xd0d0, 0);
    }
    assert_true(last.signal);
}

static void a_login_of_last_month_is_no_excuse(void **state)
{
    logs_in(&attacker, ALICE);
    after(30 * DAY - 2 * MINUTE);
    fails_at(&attacker, ALICE, 1);
    fails_at(&attacker, ALICE, 2);
    after(MINUTE);
    fails_at(&attacker, ALICE, 3);
    assert_false(last.signal);
    after(2 * MINUTE);
    fails_at(&attacker, ALICE, 4);
    assert_true(last.signal);
}

/* ---- one client with one old password ------------------------------------------------------- */

static void the_same_hashed_password_is_not_signalled(void **state)
{
    for (int i = 0; i < 30; i++) {
        fails_at(&attacker, ALICE, 77);
        assert_false(last.signal);
        after((uint64_t)(i % 7 + 1) * 11 * SECOND);
    }
    fails_at(&attacker, ALICE, 78); /* it guesses after all */
    assert_true(last.signal);
}

static void one_password_at_many_accounts_is(void **state)
{
    fails_at(&attacker, ALICE, 77);
    fails_at(&attacker, BOB, 77);
    fails_at(&attacker, ALICE, 77);
    assert_true(last.signal);
}

static void a_client_that_polls_one_account_evenly_is_not_signalled(void **state)
{
    for (int i = 0; i < 40; i++) {
        fails_at(&attacker, ALICE, 0);
        assert_false(last.signal);
        if (i % 3 == 0) { /* a second connection of the same poll, as clients do */
            after(2 * SECOND);
            if (i > 2)
                fails_at(&attacker, ALICE, 0);
            assert_false(last.signal);
        }
        after(15 * MINUTE + (uint64_t)(i % 5) * 20 * SECOND);
        if (i == 20)
            after(15 * MINUTE); /* a poll is missed */
        if (i == 30)
            after(5 * HOUR + 7 * MINUTE); /* the machine sleeps */
    }
}

static void an_uneven_rhythm_is_signalled(void **state)
{
    fails_at(&attacker, ALICE, 0);
    after(10 * MINUTE);
    fails_at(&attacker, ALICE, 0);
    after(14 * MINUTE);
    fails_at(&attacker, ALICE, 0);
    assert_true(last.signal);
}

static void a_poll_may_be_missed_from_the_start(void **state)
{
    fails_at(&attacker, ALICE, 0);
    after(10 * MINUTE);
    fails_at(&attacker, ALICE, 0);
    after(20 * MINUTE + 30 * SECOND);
    fails_at(&attacker, ALICE, 0);
    assert_false(last.signal);
}

static void a_pause_is_forgiven_after_three_even_gaps_and_not_before(void **state)
{
    for (int early = 0; early < 2; early++) {
        const struct gv_subject *client = early ? &attacker : &neighbour;
        for (int i = 0; i < (early ? 4 : 5); i++) { /* two even gaps, or three */
            fails_at(client, ALICE, 0);
            assert_false(last.signal);
            after(15 * MINUTE);
        }
        after(22 * MINUTE);
        fails_at(client, ALICE, 0);
        assert_int_equal(last.signal, early);
    }
}

static void a_fast_rhythm_is_signalled(void **state)
{
    for (int i = 0; i < 3; i++) {
        fails_at(&attacker, ALICE, 0);
        after(40 * SECOND);
    }
    assert_true(last.signal);
}

static void so_is_one_of_many_guesses_a_poll(void **state)
{
    struct gv_observation o;

    for (int i = 0; i < 4; i++) {
        fails_at(&attacker, ALICE, 0);
        assert_false(last.signal);
        after(10 * MINUTE);
    }
    o = failure(&attacker);
    o.account = ALICE;
    o.attempts = 4;
    see(o, false);
    assert_false(last.signal);
    o.attempts = 1;
    see(o, false);
    assert_true(last.signal);
}

static void and_an_even_one_at_unknown_or_several_accounts(void **state)
{
    struct gv_subject third = {GV_FAMILY_IPV4, {198, 51, 100, 1}};

    for (int i = 0; i < 3; i++) {
        fails_at(&attacker, i == 1 ? BOB : ALICE, 0);
        assert_int_equal(last.signal, i == 2);
        struct gv_observation o = failure(&neighbour);
        o.account = ALICE;
        o.kind = GV_KIND_UNKNOWN_ACCOUNT;
        see(o, false);
        assert_int_equal(last.signal, i == 0);
        fails(&third); /* the log does not name the account */
        assert_int_equal(last.signal, i == 2);
        after(15 * MINUTE);
    }
}

/* ---- a broken login backend ----------------------------------------------------------------- */

static void while_clean_addresses_fail_nobody_is_accused(void **state)
{
    for (unsigned i = 0; i < 3; i++) {
        struct gv_subject s = user(i);
        logs_in(&s, ALICE);
    }
    after(7 * DAY);
    for (unsigned i = 0; i < 3; i++) {
        struct gv_subject s = user(i);
        logs_in(&s, ALICE);
    }
    after(HOUR);
    for (unsigned i = 0; i < 12; i++) { /* three clean, nine strangers */
        struct gv_subject s = user(i);
        struct gv_observation o = failure(&s);
        o.attempts = 3;
        see(o, false);
        /* Ten are needed to judge; from the tenth on 3 of 10, 11, 12 are over a fifth. */
        assert_int_equal(last.broken_login, i >= 9);
        assert_int_equal(last.signal, i >= 3 && i < 9);
        after(MINUTE);
    }
    for (unsigned i = 12; i < 15; i++) { /* 3 of 15 are a fifth and not more */
        struct gv_subject s = user(i);
        fails(&s);
        assert_int_equal(last.broken_login, i < 14);
    }
    /* An hour later the clean ones have gone out of the window. */
    after(50 * MINUTE);
    struct gv_subject s = user(20);
    struct gv_observation o = failure(&s);
    o.attempts = 3;
    see(o, false);
    assert_false(last.broken_login);
    assert_true(last.signal);
}

static void a_subject_counts_once_an_hour(void **state)
{
    for (unsigned week = 0; week < 2; week++, after(7 * DAY))
        for (unsigned i = 0; i < 3; i++) {
            struct gv_subject s = user(i);
            logs_in(&s, ALICE);
        }
    for (unsigned i = 0; i < 15; i++) {
        struct gv_subject s = user(i % 3);
        fails(&s);
        assert_false(last.broken_login);
        after(3 * MINUTE);
    }
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, history_up, history_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(the_third_failure_signals),
        STORY(the_first_does_where_an_account_is_unknown_and_the_network_too),
        STORY(the_second_does_where_somebody_logged_in_from_there),
        STORY(one_line_of_many_attempts_weighs_as_many),
        STORY(a_slow_attacker_is_signalled_within_a_week),
        STORY(but_not_where_somebody_logged_in),
        STORY(three_in_more_than_a_week_are_nothing),
        STORY(a_subject_is_signalled_again_after_twelve_hours),
        STORY(what_may_not_be_shared_is_not_signalled),
        STORY(old_news_is_not_signalled),
        STORY(who_logged_in_is_not_told_of_for_typos_at_his_own_account),
        STORY(an_account_of_others_is_guessed_at_also_where_somebody_logs_in),
        STORY(a_login_of_last_month_is_no_excuse),
        STORY(the_same_hashed_password_is_not_signalled),
        STORY(one_password_at_many_accounts_is),
        STORY(a_client_that_polls_one_account_evenly_is_not_signalled),
        STORY(an_uneven_rhythm_is_signalled),
        STORY(a_poll_may_be_missed_from_the_start),
        STORY(a_pause_is_forgiven_after_three_even_gaps_and_not_before),
        STORY(a_fast_rhythm_is_signalled),
        STORY(so_is_one_of_many_guesses_a_poll),
        STORY(and_an_even_one_at_unknown_or_several_accounts),
        STORY(while_clean_addresses_fail_nobody_is_accused),
        STORY(a_subject_counts_once_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
