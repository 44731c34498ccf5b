/* What is listed follows the core: what ends by itself leaves in time, however many end together;
 * what the admin allows is not listed from that moment on; and neither holds the loop up
 * (SPEC 18.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/drbg.h"
#include "crypto/error.h"
#include "helper_feed.h"
#include "node/serve/ends.h"

#define MANY      20000u
#define TOGETHER  50000u
#define IN_A_TURN 2000u  /* a quarter of a millisecond is a tenth of that on a fast machine */
#define PATIENCE  60000u /* ms, of a machine with other work */

static unsigned listed(unsigned number)
{
    struct gv_subject subject = feed_stage_subject(number);

    return gv_listing_get(gv_feed_listing(feed_stage_feed), &subject);
}

static unsigned seen(unsigned number)
{
    struct gv_subject subject = feed_stage_subject(number);

    return gv_feed_look(feed_stage_feed, &subject);
}

/* 50,000 locks end in the same second. Without the queue of ends the round takes 50 s. */
static void what_ends_together_leaves_together(void **state)
{
    (void)state;
    feed_stage_open(TOGETHER, 2000);
    assert_int_equal(gv_listing_count(gv_feed_listing(feed_stage_feed)), TOGETHER);
    uint64_t end = feed_stage_unix_ms() / 1000 * 1000 + 2000;
    assert_true(feed_stage_run(0, PATIENCE));
    assert_int_equal(feed_turns.changes, TOGETHER);
    assert_true(feed_turns.first_ms + 1000 >= end);
    assert_true(feed_turns.last_ms < end + 6000); /* tests/bench/feed.sh asks for 1000 */
    assert_true(feed_turns.busiest < IN_A_TURN);
    feed_stage_close();
}

static void an_allowed_address_is_off_at_once(void **state)
{
    (void)state;
    feed_stage_open(100, 1800000);
    assert_true(feed_stage_run(100, PATIENCE));
    feed_stage_list(GV_COMMAND_ALLOW, "11.0.0.7");
    assert_int_equal(listed(7), 0);
    assert_int_equal(seen(7), 0);
    assert_int_equal(listed(8), GV_LISTED_REFUSED);
    assert_false(gv_feed_busy(feed_stage_feed));
    assert_true(feed_stage_run(99, PATIENCE));
    struct feed_helper helper = feed_stage_helper();
    feed_stage_list(GV_COMMAND_UNLIST, "11.0.0.7");
    assert_int_equal(listed(7), GV_LISTED_REFUSED);
    assert_true(feed_stage_run(100, PATIENCE));
    assert_true(feed_stage_helper().allowed < helper.allowed);
    feed_stage_list(GV_COMMAND_DENY, "192.0.2.9");
    feed_stage_list(GV_COMMAND_DENY, "198.51.0.0/16");
    assert_true(feed_stage_run(101, PATIENCE));
    assert_int_equal(feed_stage_helper().ranges, 1);
    /* What only a range refuses is not in the listing, but in every answer. */
    struct gv_subject inside = {.family = GV_FAMILY_IPV4, .bytes = {198, 51, 100, 9}};
    struct gv_subject outside = {.family = GV_FAMILY_IPV4, .bytes = {198, 52, 100, 9}};
    assert_int_equal(gv_listing_get(gv_feed_listing(feed_stage_feed), &inside), 0);
    assert_int_equal(gv_feed_look(feed_stage_feed, &inside), GV_LISTED_REFUSED);
    assert_int_equal(gv_feed_look(feed_stage_feed, &outside), 0);
    feed_stage_list(GV_COMMAND_ALLOW, "198.51.100.0/24");
    gv_feed_finish(feed_stage_feed);
    assert_int_equal(gv_feed_look(feed_stage_feed, &inside), 0);
    feed_stage_close();
}

/* Of 20,000 a quarter is allowed by one entry: whoever asks hears of it at once, and it takes many
 * turns, in which the loop serves others. */
static void an_allowed_range_takes_many_turns(void **state)
{
    (void)state;
    feed_stage_open(MANY, 1800000);
    assert_true(feed_stage_run(MANY, PATIENCE));
    feed_stage_list(GV_COMMAND_ALLOW, "11.0.16.0/20"); /* 4,096 to 8,191 */
    assert_true(gv_feed_busy(feed_stage_feed));
    for (unsigned i = 0; i < MANY; i += 97)
        assert_int_equal(seen(i), i / 4096 == 1 ? 0 : GV_LISTED_REFUSED);
    assert_true(feed_stage_run(MANY - 4096, PATIENCE));
    assert_int_equal(feed_turns.changes, 4096);
    assert_true(feed_turns.busiest < IN_A_TURN);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(listed(i), i / 4096 == 1 ? 0 : GV_LISTED_REFUSED);
    /* Changes that come while the last is under way are not lost, whatever their order. */
    feed_stage_list(GV_COMMAND_UNLIST, "11.0.16.0/20");
    feed_stage_list(GV_COMMAND_ALLOW, "11.0.32.0/20");
    feed_stage_list(GV_COMMAND_ALLOW, "11.0.48.0/24");
    feed_stage_list(GV_COMMAND_ALLOW, "11.0.0.3");
    assert_int_equal(seen(3), 0);
    assert_int_equal(seen(8200), 0);
    assert_int_equal(seen(5000), GV_LISTED_REFUSED);
    assert_true(feed_stage_run(MANY - 4096 - 256 - 1, PATIENCE));
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(listed(i),
                         i / 4096 == 2 || i / 256 == 48 || i == 3 ? 0 : GV_LISTED_REFUSED);
    feed_stage_close();
}

/* How many of 11.0.0.0 to 11.0.255.255 the text names, and of them of 11.0.16.0/20. By hand: the
 * sanitizers' strstr looks for the end of the text first, each time. */
static unsigned named(const char *text, unsigned *allowed)
{
    unsigned count = 0;

    *allowed = 0;
    for (const char *at = text; *at; at++)
        if (at[0] == '1' && at[1] == '1' && at[2] == '.' && at[3] == '0' && at[4] == '.') {
            unsigned third = 0;
            for (at += 5; *at >= '0' && *at <= '9'; at++)
                third = third * 10 + (unsigned)(*at - '0');
            count++;
            *allowed += third / 16 == 1;
        }
    return count;
}

/* Whoever fetches all of it while a range is gone through is told nothing of whom it allows,
 * however long that takes: not by a list that was written before it came either. */
static void what_is_allowed_is_named_by_nobody(void **state)
{
    static const char *const paths[] = {"/v1/decisions/stream?startup=true", "/v1/decisions",
                                        "/blocklist.txt"};
    unsigned allowed;

    (void)state;
    feed_stage_open(MANY, 1800000);
    assert_true(feed_stage_run(MANY, PATIENCE));
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char *all = feed_stage_fetch(paths[i]);
        assert_int_equal(named(all, &allowed), MANY);
        assert_int_equal(allowed, 4096);
        free(all);
        feed_stage_list(GV_COMMAND_ALLOW, "11.0.16.0/20");
        assert_true(gv_feed_busy(feed_stage_feed));
        char *body = feed_stage_fetch(paths[i]), *from = strstr(body, "\"new\":");
        assert_int_equal(named(from ? from : body, &allowed), MANY - 4096);
        assert_int_equal(allowed, 0);
        free(body);
        feed_stage_list(GV_COMMAND_UNLIST, "11.0.16.0/20");
        assert_true(feed_stage_run(MANY, PATIENCE));
    }
    feed_stage_close();
}

/* A script that denies and unlists ranges, one after the other, without an end. */
static bool denied;

static void change_again(unsigned turn)
{
    if (turn % 8 == 0) {
        feed_stage_list(denied ? GV_COMMAND_UNLIST : GV_COMMAND_DENY, "198.51.0.0/16");
        denied = !denied;
    }
    assert_true(gv_feed_busy(feed_stage_feed));
}

static void who_changes_the_lists_all_the_time_keeps_nobody_waiting(void **state)
{
    static const char *const paths[] = {"/blocklist.txt", "/v1/decisions/stream?startup=true"};
    unsigned allowed;

    (void)state;
    feed_stage_open(MANY, 1800000);
    assert_true(feed_stage_run(MANY, PATIENCE));
    feed_stage_list(GV_COMMAND_ALLOW, "11.0.16.0/20"); /* the listing holds them all for now */
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char *all = feed_stage_fetch_while(paths[i], change_again);
        assert_non_null(all);
        char *from = strstr(all, "\"new\":");
        assert_int_equal(named(from ? from : all, &allowed), MANY - 4096);
        assert_int_equal(allowed, 0);
        free(all);
    }
    feed_stage_close();
}

/* Everything anew, as after a reload, ends with the same. */
static void everything_anew_changes_nothing(void **state)
{
    (void)state;
    feed_stage_open(MANY, 1800000);
    assert_true(feed_stage_run(MANY, PATIENCE));
    gv_bouncers_configure(feed_stage_bouncers, false, false);
    gv_feed_all(feed_stage_feed);
    assert_true(gv_feed_busy(feed_stage_feed));
    gv_bouncers_configure(feed_stage_bouncers, true, false);
    assert_true(feed_stage_run(MANY, PATIENCE));
    assert_int_equal(feed_turns.changes, 0);
    assert_int_equal(gv_feed_refused(feed_stage_feed), MANY);
    feed_stage_close();
}

/* A verdict that ends for thousands in one step of the core is told of in one turn. */
static void hundreds_told_in_one_turn_are_spread(void **state)
{
    (void)state;
    feed_stage_open(1000, 1800000);
    assert_true(feed_stage_run(1000, PATIENCE));
    for (unsigned i = 0; i < 1000; i++) {
        struct gv_subject subject = feed_stage_subject(i);
        struct gv_event event = {.kind = GV_EVENT_COMMAND,
                                 .command = {.command = GV_COMMAND_FORGET, .subject = subject}};
        assert_int_equal(host_step(&feed_host, &event), GV_OK);
    }
    for (unsigned i = 0; i < 1000; i++) {
        struct gv_subject subject = feed_stage_subject(i);
        gv_feed_about(feed_stage_feed, &subject);
    }
    assert_int_equal(gv_listing_count(gv_feed_listing(feed_stage_feed)), 1000 - GV_FEED_AT_ONCE);
    assert_true(feed_stage_run(0, PATIENCE));
    feed_stage_close();
}

/* ---- the wheels, against a plain array ------------------------------------------------------- */

#define SUBJECTS 4000u
#define NONE     UINT64_MAX

/* Moves on by `ms`. Whoever comes must be expected, and whoever is due must come. */
static void move_on(struct gv_ends *ends, uint64_t *due, uint64_t *now, uint64_t ms)
{
    struct gv_subject subject;

    *now += ms;
    while (gv_ends_next(ends, &subject, *now)) {
        unsigned number =
            (unsigned)(subject.bytes[1] << 16 | subject.bytes[2] << 8 | subject.bytes[3]);
        if (due[number] == NONE)
            continue; /* it was moved */
        /* As the feed does: whoever comes too soon waits on. */
        if (due[number] > *now)
            assert_int_equal(gv_ends_put(ends, &subject, due[number]), GV_OK);
        else
            due[number] = NONE;
    }
    for (unsigned i = 0; i < SUBJECTS; i++)
        assert_true(due[i] == NONE || due[i] + 2 * GV_ENDS_STEP_MS >= *now);
}

static void whoever_is_due_comes_in_time(void **state)
{
    const uint8_t key[16] = {1}, seed[GV_SEED_LEN] = {2};
    static uint64_t due[SUBJECTS];
    uint64_t now = 123456789;
    struct gv_drbg drbg;
    struct gv_ends *ends = gv_ends_new(key, now);

    (void)state;
    assert_non_null(ends);
    gv_drbg_init(&drbg, seed);
    for (unsigned i = 0; i < SUBJECTS; i++)
        due[i] = NONE;
    for (unsigned round = 0; round < 3000; round++) {
        for (unsigned i = 0; i < 20; i++) {
            unsigned number = (unsigned)gv_drbg_below(&drbg, SUBJECTS);
            struct gv_subject subject = feed_stage_subject(number);
            static const uint32_t far[] = {1, 1000, 40000, 3600000, 86400000};
            uint64_t at = now + gv_drbg_below(&drbg, far[i % 5]);
            assert_int_equal(gv_ends_put(ends, &subject, at), GV_OK);
            if (due[number] == NONE || at < due[number])
                due[number] = at;
        }
        move_on(ends, due, &now, gv_drbg_below(&drbg, round % 100 ? 100 : 20000));
    }
    assert_true(gv_ends_count(ends) <= SUBJECTS);
    move_on(ends, due, &now, 3ull * 86400000); /* the machine slept */
    for (unsigned i = 0; i < 500; i++)
        move_on(ends, due, &now, 250);
    assert_int_equal(gv_ends_count(ends), 0);
    gv_ends_free(ends);
}

static void put_at(struct gv_ends *ends, const struct gv_subject *subject, uint64_t at,
                   uint64_t now, uint64_t *wake)
{
    uint64_t look = gv_ends_look(at, now);

    assert_int_equal(gv_ends_put(ends, subject, at), GV_OK);
    *wake = look < *wake ? look : *wake;
}

/* Looks only when it has to, as the feed does: the loop sleeps in between. */
static void who_sleeps_in_between_has_nobody_come_late(void **state)
{
    const uint8_t key[16] = {1}, seed[GV_SEED_LEN] = {3};
    static const uint32_t far[] = {1, 1000, 40000, 600000, 90000000};
    uint64_t now = 123456789, wake = UINT64_MAX, due[200];
    struct gv_ends *ends = gv_ends_new(key, now);
    struct gv_subject subject;
    struct gv_drbg drbg;
    unsigned looks = 0;

    (void)state;
    assert_non_null(ends);
    gv_drbg_init(&drbg, seed);
    for (unsigned round = 0; round < 200; round++) {
        uint64_t until = now + gv_drbg_below(&drbg, far[round % 5] / 10 + 1);
        due[round] = now + gv_drbg_below(&drbg, far[gv_drbg_below(&drbg, 5)]);
        subject = feed_stage_subject(round);
        put_at(ends, &subject, due[round], now, &wake);
        for (; wake <= until; looks++) {
            now = wake > now ? wake : now;
            wake = UINT64_MAX;
            while (gv_ends_next(ends, &subject, now)) {
                unsigned number = (unsigned)(subject.bytes[2] << 8 | subject.bytes[3]);
                if (due[number] > now)
                    put_at(ends, &subject, due[number], now, &wake);
                else
                    due[number] = NONE;
            }
            wake = gv_ends_when(ends) < wake ? gv_ends_when(ends) : wake;
            for (unsigned i = 0; i <= round; i++)
                assert_true(due[i] == NONE || due[i] + 2 * GV_ENDS_STEP_MS >= now);
        }
        now = until;
        for (unsigned i = 0; i <= round; i++)
            assert_true(due[i] == NONE || due[i] + 2 * GV_ENDS_STEP_MS >= now);
    }
    assert_in_range(looks, 1, 20000);
    gv_ends_free(ends);
}

/* Whoever moves a time again and again, each time to a sooner one, fills no memory. */
static void what_moves_is_bounded(void **state)
{
    const uint8_t key[16] = {1};
    struct gv_ends *ends = gv_ends_new(key, 1000000);
    unsigned full = 0;

    (void)state;
    assert_non_null(ends);
    for (unsigned i = 0; i < 4000; i++) {
        struct gv_subject subject = feed_stage_subject(i);
        for (uint64_t ms = 1800000; ms > 1000; ms -= ms > 40000 ? 15000 : 250)
            full += gv_ends_put(ends, &subject, 1000000 + ms) != GV_OK;
    }
    assert_true(full > 0);
    assert_int_equal(gv_ends_count(ends), 4000);
    assert_true(gv_ends_bytes(ends) < 3000000);
    gv_ends_free(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_together_leaves_together),
        cmocka_unit_test(an_allowed_address_is_off_at_once),
        cmocka_unit_test(an_allowed_range_takes_many_turns),
        cmocka_unit_test(what_is_allowed_is_named_by_nobody),
        cmocka_unit_test(who_changes_the_lists_all_the_time_keeps_nobody_waiting),
        cmocka_unit_test(everything_anew_changes_nothing),
        cmocka_unit_test(hundreds_told_in_one_turn_are_spread),
        cmocka_unit_test(whoever_is_due_comes_in_time),
        cmocka_unit_test(who_sleeps_in_between_has_nobody_come_late),
        cmocka_unit_test(what_moves_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
