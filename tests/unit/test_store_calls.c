/* The real daemon when a call fails: each write of its start and its stop in turn, and each of the
 * other calls (tests/shim/disk.c: locks, rights, shared memory). Of the hundreds of those the first
 * 60 fail and every 7th, beginning with another one each day; GV_CALL_STEP=1: all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper_lives.h"

#define POINTS_MAX 2000

static const char *const crashes[] = {"Sanitizer", "runtime error", "assertion", "contradicted",
                                      NULL};

static const char *const troubles[] = {"error: ", "damaged", NULL};

/* A life whose n-th write fails, or its n-th other call (tests/shim/disk.c), and all for so many
 * milliseconds (0: that one alone). Returns how many there were, or 0 when that is not known. */
struct failing {
    bool others, fresh;
    int for_ms;
};

#define FIRST 60

static long next_of(const struct failing *failing, long n)
{
    const char *text = getenv("GV_CALL_STEP");
    bool long_one = failing->for_ms > 0;
    long step = text && !long_one ? strtol(text, NULL, 10) : long_one ? 23 : 7;

    do
        n++;
    while (failing->others && (n > FIRST || long_one) && n % step != time(NULL) / 86400 % step);
    return n;
}

static long live_with(struct lives *lives, const struct failing *failing, long n, int number)
{
    char at[64], folder[160], code[64], count[200], counted[128], others[32], for_ms[64];
    char *environment[] = {at, folder, code, count, others, for_ms, NULL};
    unsigned before = recorder_sessions(&lives->recorder, NULL);
    long calls = 0;

    snprintf(at, sizeof at, "GV_SHIM_FAIL=%ld", n);
    snprintf(folder, sizeof folder, "GV_SHIM_FOLDER=%s", lives->data); /* itself, too */
    snprintf(code, sizeof code, "GV_SHIM_ERRNO=%d", number);
    snprintf(others, sizeof others, "GV_SHIM_OTHERS=%d", failing->others);
    snprintf(for_ms, sizeof for_ms, "GV_SHIM_FAIL_MS=%d", failing->for_ms);
    snprintf(counted, sizeof counted, "%s/count", lives->folder);
    snprintf(count, sizeof count, "GV_SHIM_COUNT=%s", counted);
    unlink(counted);
    lives_start(lives, environment);
    if (failing->fresh ? lives_await_ready(lives) : lives_await_session(lives, before)) {
        struct gv_subject subject = lives_feed(lives);
        (void)lives_await(lives, &subject, 350); /* or the store fails: it is off the mesh */
        lives_kill(lives, SIGTERM);
    }
    int status = lives_wait(lives);
    lives_said_lacks(lives, crashes);
    if (!WIFEXITED(status))
        fail_msg("call %ld (%s): status %d: %s", n, strerror(number), status, lives_said(lives));
    if (WEXITSTATUS(status) != 0) /* it refused to go on, and says why */
        lives_said_has(lives, "error: ");
    FILE *file = fopen(counted, "r");
    if (file && fscanf(file, "%ld", &calls) != 1)
        calls = 0;
    if (file)
        fclose(file);
    return calls;
}

static void each_fails(unsigned number, const struct failing *failing)
{
    static const int of_writes[] = {ENOSPC, EIO, EDQUOT},
                     of_others[] = {EIO, ENOLCK, EAGAIN, EPERM};
    bool fresh = failing->fresh;
    struct lives lives;
    long n = 1, calls = 0, failed = 0;

    lives_make(&lives, number);
    /* One that gives up early makes fewer calls. */
    long total = failing->for_ms > 0 ? live_with(&lives, failing, 0, EIO) : 0;
    for (; n < POINTS_MAX; n = next_of(failing, n), failed++) {
        if (fresh) {
            char command[300];
            snprintf(command, sizeof command, "rm -f %s/store.db* %s/key", lives.data, lives.data);
            assert_int_equal(system(command), 0);
        }
        calls =
            live_with(&lives, failing, n, failing->others ? of_others[n % 4] : of_writes[n % 3]);
        if (n % 4 == 0 && !fresh) { /* the next start is clean */
            lives_start_up(&lives, NULL);
            lives_stop(&lives);
            lives_check_said(&lives);
            lives_check_store(&lives);
        }
        if (fresh) {
            lives_start(&lives, NULL);
            assert_true(lives_await_ready(&lives));
            lives_stop(&lives);
            lives_said_lacks(&lives, crashes);
            lives_said_lacks(&lives, troubles);
        }
        if (total > 0 ? n > total : calls > 0 && n > calls)
            break;
        if (lives.fed > 400) {
            lives_remove(&lives);
            lives_make(&lives, number + 20);
        }
    }
    assert_in_range(n, 10, POINTS_MAX - 1);
    print_message("%s: %ld of %ld %s failed, for %d ms\n",
                  fresh ? "a first start" : "start and stop", failed, total > 0 ? total : calls,
                  failing->others ? "locks, rights and mappings" : "writes", failing->for_ms);
    lives_remove(&lives);
}

static void test_each_write_of_start_and_stop_fails(void **state)
{
    each_fails(30, &(const struct failing){.others = false});
}

/* A first start makes key and store as well. Whatever is left of it, the next one is clean. */
static void test_each_write_of_a_first_start_fails(void **state)
{
    each_fails(31, &(const struct failing){.fresh = true});
}

/* What SQLite and we do beside writing: locks, rights, the shared memory of the log's index. */
static void test_each_other_call_of_start_and_stop_fails(void **state)
{
    each_fails(32, &(const struct failing){.others = true});
}

static void test_each_other_call_of_a_first_start_fails(void **state)
{
    each_fails(33, &(const struct failing){.others = true, .fresh = true});
}
/* Nothing can be locked, also by the first try after that (GV_STORE_FIRST_RETRY_MS). */
static void test_no_lock_for_a_while(void **state)
{
    each_fails(34, &(const struct failing){.others = true, .for_ms = 800});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_write_of_start_and_stop_fails),
        cmocka_unit_test(test_each_write_of_a_first_start_fails),
        cmocka_unit_test(test_each_other_call_of_start_and_stop_fails),
        cmocka_unit_test(test_each_other_call_of_a_first_start_fails),
        cmocka_unit_test(test_no_lock_for_a_while),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
