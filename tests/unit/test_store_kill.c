/* kill -9 at every point where the store is written, and at random moments: no signal that a peer
 * has acknowledged is lost, no sequence number is used twice, and every next start is clean.
 * GV_KILLS says how many random moments (150); an argument filters the tests by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper_lives.h"

#define KILLS_PER_NODE 200 /* then another identity: a log has 22 hours of 20 signals */
#define POINTS_MAX     2000

static uint64_t clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Starts, joins, signals if wanted, stops. */
static void live_clean(struct lives *lives, bool signals)
{
    unsigned before = recorder_sessions(&lives->recorder, NULL);

    lives_start(lives, NULL);
    if (!lives_await_session(lives, before))
        fail_msg("it does not start: %s", lives_said(lives));
    if (signals) {
        struct gv_subject subject = lives_feed(lives);
        if (!lives_await(lives, &subject, 60000))
            fail_msg("it does not signal: %s", lives_said(lives));
    }
    lives_kill(lives, SIGTERM);
    assert_int_equal(lives_wait(lives), 0);
    lives_check_said(lives);
}

static void live_whole(struct lives *lives)
{
    live_clean(lives, true);
}

static void remove_store(const struct lives *lives)
{
    char command[300];

    snprintf(command, sizeof command, "rm -f %s/store.db*", lives->data);
    assert_int_equal(system(command), 0);
}

/* ---- every point ---------------------------------------------------------------------------- */

/* One life that ends at the n-th write, in which somebody removes the store. True when it did end
 * so; false when it came to its end before. */
static bool live_until(struct lives *lives, unsigned n, bool torn, bool removed)
{
    char at[64], folder[160], half[] = "GV_SHIM_TORN=1";
    char *environment[] = {at, folder, torn ? half : NULL, NULL};
    unsigned before = recorder_sessions(&lives->recorder, NULL);
    int status;

    snprintf(at, sizeof at, "GV_SHIM_KILL=%u", n);
    snprintf(folder, sizeof folder, "GV_SHIM_FOLDER=%s/", lives->data);
    lives_start(lives, environment);
    if (lives_await_session(lives, before)) {
        if (removed)
            remove_store(lives);
        struct gv_subject subject = lives_feed(lives);
        for (int i = 0; i < 2000 && !lives_ended(lives, &status); i++) {
            if (recorder_has(&lives->recorder, &subject))
                break;
            usleep(1000);
        }
        if (lives->pid)
            lives_kill(lives, SIGTERM);
    }
    if (lives->pid)
        status = lives_wait(lives);
    lives_check_said(lives);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    assert_int_equal(status, 0);
    return false;
}

static void kill_at_every_point(bool fresh)
{
    struct lives lives;
    unsigned points = 0, lives_lived = 0;

    lives_make(&lives, fresh ? 1 : 2);
    if (!fresh)
        live_whole(&lives);
    /* Before each write, and in the middle of it. A first start takes long enough with the latter.
     */
    for (int torn = fresh; torn < 2; torn++) {
        unsigned n = 1;
        for (; n < POINTS_MAX; n++) {
            if (fresh) { /* the points of a first start: the store is made */
                remove_store(&lives);
                assert_int_equal(truncate(lives.log, 0), 0); /* or all is signalled anew */
            }
            bool killed = live_until(&lives, n, torn, false);
            lives_lived++;
            if (!fresh)
                lives_check_store(&lives);
            if (!killed)
                break;
            points++;
            if (fresh) { /* what was begun is taken up */
                live_clean(&lives, n % 8 == 0);
                recorder_check_numbers(&lives.recorder);
            }
            if (lives.fed > 400) {
                lives_remove(&lives);
                lives_make(&lives, 10 + n % 200);
            }
        }
        assert_in_range(n, 10, POINTS_MAX - 1);
    }
    if (!fresh)
        live_whole(&lives);
    print_message("%s: killed at %u points in %u lives, %zu signals acknowledged\n",
                  fresh ? "first starts" : "one node", points, lives_lived,
                  recorder_count(&lives.recorder));
    lives_remove(&lives);
}

static void test_killed_at_every_point(void **state)
{
    kill_at_every_point(false);
}

/* The store is removed from under a node, which is killed while it writes it anew. What was in it
 * may be gone with it; no number is used twice, and the next start is clean. Every 4th point,
 * beginning with another one each day; GV_KILL_STEP=1: all. */
static void test_killed_while_a_store_is_written_anew(void **state)
{
    struct lives lives;
    const char *text = getenv("GV_KILL_STEP");
    unsigned step = text ? (unsigned)strtoul(text, NULL, 10) : 4, points = 0;
    unsigned n = 1 + (unsigned)(time(NULL) / 86400) % step;

    lives_make(&lives, 4);
    live_whole(&lives);
    for (bool killed = true; killed && n < POINTS_MAX; n += step) {
        killed = live_until(&lives, n, n % 2, true);
        points += killed;
        live_clean(&lives, points % 8 == 0);
        recorder_check_numbers(&lives.recorder);
        if (lives.fed > 400) {
            lives_remove(&lives);
            lives_make(&lives, 10 + n % 200);
        }
    }
    assert_in_range(n, 60, POINTS_MAX - 1);
    print_message("a store written anew: killed at %u points\n", points);
    lives_remove(&lives);
}

/* Every time the store is gone too: numbers must not be used twice even so. */
static void test_killed_at_every_point_of_a_first_start(void **state)
{
    kill_at_every_point(true);
}

/* ---- random moments ------------------------------------------------------------------------- */

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (*seed >> 33) % below;
}

static void test_killed_at_random_moments(void **state)
{
    const char *wanted = getenv("GV_KILLS");
    unsigned kills = wanted ? (unsigned)strtoul(wanted, NULL, 10) : 150, done = 0, sessions = 0;
    uint64_t seed = (uint64_t)time(NULL), begun = clock_us();
    size_t acknowledged = 0, stored = 0;
    struct lives lives;

    print_message("seed %llu\n", (unsigned long long)seed);
    for (unsigned node = 0; done < kills; node++) {
        lives_make(&lives, 100 + node);
        uint64_t start = clock_us();
        live_whole(&lives);
        uint64_t whole = clock_us() - start;
        for (unsigned i = 0; i < KILLS_PER_NODE && done < kills; i++, done++) {
            unsigned before = recorder_sessions(&lives.recorder, NULL);
            uint64_t end = clock_us() + draw(&seed, whole + 10000);
            bool open = false, late = false;
            lives_feed(&lives);
            lives_start(&lives, NULL);
            while (clock_us() < end) {
                usleep((useconds_t)draw(&seed, 1000));
                if (!late && recorder_sessions(&lives.recorder, &open) > before && open) {
                    lives_feed(&lives);
                    late = true;
                }
            }
            lives_kill(&lives, SIGKILL);
            lives_check_said(&lives);
            sessions += recorder_sessions(&lives.recorder, NULL) > before;
        }
        live_whole(&lives);
        stored += lives_check_store(&lives);
        acknowledged += recorder_count(&lives.recorder);
        lives_remove(&lives);
    }
    print_message("killed at %u random moments, %u of them in a session; %zu signals stored, %zu "
                  "acknowledged, none lost, no number twice; %.1f s\n",
                  done, sessions, stored, acknowledged, (double)(clock_us() - begun) / 1e6);
    assert_true(acknowledged > 0 && stored >= acknowledged);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_every_point),
        cmocka_unit_test(test_killed_at_every_point_of_a_first_start),
        cmocka_unit_test(test_killed_while_a_store_is_written_anew),
        cmocka_unit_test(test_killed_at_random_moments),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
