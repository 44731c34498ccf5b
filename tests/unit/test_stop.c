/* The real daemon is told to stop by somebody impatient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper_lives.h"

#define STOPS 12

/* One signal after the other until it has gone: it stops in order all the same. */
static void test_more_signals_do_not_kill_a_daemon_that_stops(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct lives lives;
    unsigned again = 0;

    lives_make(&lives, 71);
    for (int i = 0; i < STOPS; i++) {
        unsigned before = recorder_sessions(&lives.recorder, NULL);
        siginfo_t info = {0};
        lives_start(&lives, NULL);
        if (!lives_await_session(&lives, before))
            fail_msg("it does not start: %s", lives_said(&lives));
        lives_kill(&lives, SIGTERM);
        for (; info.si_pid == 0; again++) {
            lives_kill(&lives, signals[again % 3]);
            usleep(50);
            waitid(P_PID, (id_t)lives.pid, &info, WEXITED | WNOHANG | WNOWAIT);
        }
        int status = lives_wait(&lives);
        char *said = lives_said(&lives);
        if (status != 0 || !strstr(said, "stopped"))
            fail_msg("status %d: %s", status, said);
        free(said);
    }
    assert_true(again > STOPS); /* it was asked again meanwhile */
    lives_remove(&lives);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_signals_do_not_kill_a_daemon_that_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
