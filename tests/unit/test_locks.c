/* Another program that writes into the store (SPEC 9.7): nobody waits for it for long, what is
 * stored is read meanwhile, and nothing is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/db.h"
#include "node/host/persist.h"

static char folder[64], store[80];
static struct gv_persist *persist;
static const uint8_t store_key[GV_KEY_LEN] = {9};
static pid_t other;

static void somebody_ends(void)
{
    if (other <= 0)
        return;
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    other = 0;
}

static int setup(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/gv-locks-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(store, sizeof store, "%s/store.db", folder);
    assert_int_equal(gv_persist_open(&persist, store, store_key, NULL), GV_OK);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    somebody_ends();
    gv_persist_close(persist);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* Another program: SQLite's state does not outlive a fork. */
static void somebody_does(char *sql)
{
    char *words[] = {"test_locks", store, sql, NULL};
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    other = fork();
    assert_true(other >= 0);
    if (other == 0) {
        dup2(ready[1], 1);
        close(ready[0]);
        close(ready[1]);
        execv("/proc/self/exe", words);
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
}

static int be_somebody(char *path, const char *sql)
{
    sqlite3 *db = NULL;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sqlite3_open(path, &db) == SQLITE_OK && gv_db_exec(db, sql, NULL) == GV_OK &&
        write(1, "x", 1) == 1)
        pause();
    return 1;
}

static int keep(uint8_t value)
{
    struct gv_effects none = {0};
    struct gv_text error = {""};

    assert_int_equal(gv_persist_keep(persist, "value", &value, 1), GV_OK);
    int rc = gv_persist_commit(persist, &none, 1000, &error);
    if (rc == GV_ERR_BUSY)
        assert_non_null(strstr(error.text, "another program has it locked"));
    return rc;
}

static void expect(uint8_t wanted)
{
    uint8_t value = 0;

    assert_int_equal(gv_persist_kept(persist, "value", &value, 1), GV_OK);
    assert_int_equal(value, wanted);
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#define TRIES 10

/* Each try would be waited for, five seconds long, by all who ask the node something. */
static void another_program_writes(void **state)
{
    assert_int_equal(keep(1), GV_OK);
    somebody_does("BEGIN IMMEDIATE");
    double start = now_s();
    for (uint8_t i = 2; i < 2 + TRIES; i++) {
        assert_int_equal(keep(i), GV_ERR_BUSY);
        expect(1); /* it can be read */
    }
    double spent = now_s() - start;
    somebody_ends();
    assert_int_equal(keep(99), GV_OK);
    expect(99);
    if (spent > TRIES * GV_DB_BUSY_MS / 2000.0)
        fail_msg("%d tries took %.1f s", TRIES, spent);
}

/* The last try is worth a wait. */
static void at_the_stop_it_is_waited_for(void **state)
{
    assert_int_equal(keep(1), GV_OK);
    somebody_does("BEGIN IMMEDIATE");
    for (uint8_t i = 2; i < 5; i++)
        assert_int_equal(keep(i), GV_ERR_BUSY);
    pid_t waker = fork();
    assert_true(waker >= 0);
    if (waker == 0) {
        usleep(1000000);
        kill(other, SIGKILL);
        _exit(0);
    }
    gv_persist_patient(persist);
    int rc = keep(99);
    assert_int_equal(waitpid(waker, NULL, 0), waker);
    somebody_ends();
    assert_int_equal(rc, GV_OK);
    expect(99);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return be_somebody(argv[1], argv[2]);

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(another_program_writes),
        WITH(at_the_stop_it_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
