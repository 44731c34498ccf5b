/* The real daemon when writing fails: a disk that is full for a while, a store that is damaged, and
 * the month that passes. Each call in turn: test_store_calls.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper_lives.h"

#define POINTS_MAX 2000

static const char *const crashes[] = {"Sanitizer", "runtime error", "assertion", "contradicted",
                                      NULL};

static void path_of(char out[160], const struct lives *lives, const char *name)
{
    snprintf(out, 160, "%s/%s", lives->data, name);
}

static void signal_and_await(struct lives *lives)
{
    struct gv_subject subject = lives_feed(lives);

    if (!lives_await(lives, &subject, 60000))
        fail_msg("it does not signal: %s", lives_said(lives));
}

/* ---- a full disk ---------------------------------------------------------------------------- */

static json_t *status_of(struct lives *lives)
{
    struct gv_buf body;
    json_t *json = NULL;

    gv_buf_init(&body);
    if (lives_ask(lives, "status", 200, &body))
        json = json_loads((const char *)body.data, 0, NULL);
    gv_buf_free(&body);
    assert_non_null(json);
    return json;
}

/* Until what it answers about the subject holds the text, or does not. */
static void await_answer(struct lives *lives, const struct gv_subject *subject, const char *text,
                         bool there)
{
    char query[64] = "ip?addr=";
    struct gv_buf body;

    gv_subject_text(query + strlen(query), subject);
    for (int i = 0; i < 6000; i++) {
        gv_buf_init(&body);
        bool as_wanted = lives_ask(lives, query, 200, &body) &&
                         (strstr((const char *)body.data, text) != NULL) == there;
        gv_buf_free(&body);
        if (as_wanted)
            return;
        usleep(10000);
    }
    fail_msg("the answer %s %s: %s", there ? "lacks" : "still has", text, lives_said(lives));
}

static bool store_ok(struct lives *lives)
{
    json_t *json = status_of(lives);
    bool ok = json_is_true(json_object_get(json_object_get(json, "store"), "ok"));

    json_decref(json);
    return ok;
}

static void await_store(struct lives *lives, bool ok)
{
    for (int i = 0; i < 6000; i++) {
        if (store_ok(lives) == ok)
            return;
        usleep(10000);
    }
    fail_msg("the store is not %s: %s", ok ? "well again" : "failing", lives_said(lives));
}

static void test_a_full_disk_and_room_again(void **state)
{
    struct lives lives;
    char folder[160], full[160], flag[128];
    char *environment[] = {folder, full, NULL};

    lives_make(&lives, 60);
    snprintf(folder, sizeof folder, "GV_SHIM_FOLDER=%s", lives.data);
    snprintf(flag, sizeof flag, "%s/full", lives.folder);
    snprintf(full, sizeof full, "GV_SHIM_FULL=%s", flag);
    lives_start_up(&lives, environment);
    signal_and_await(&lives);
    size_t before = recorder_count(&lives.recorder);
    close(open(flag, O_CREAT | O_WRONLY, 0600));
    struct gv_subject during = lives_feed(&lives);
    await_store(&lives, false);
    lives_said_has(&lives, "the disk is full; make room on it");
    /* It answers (the store may have failed over an earlier line than the one that makes this a
     * subject to report), and says nothing to the mesh that is not safe. */
    await_answer(&lives, &during, "reported", true);
    assert_int_equal(recorder_count(&lives.recorder), before);
    unlink(flag);
    await_store(&lives, true);
    lives_said_has(&lives, "back on the mesh");
    assert_true(lives_await(&lives, &during, 60000));
    lives_stop(&lives);
    assert_int_equal(lives_check_store(&lives), 2);
    /* Room again just before the stop: what waits is stored then. */
    lives_start_up(&lives, environment);
    close(open(flag, O_CREAT | O_WRONLY, 0600));
    struct gv_subject last = lives_feed(&lives);
    await_store(&lives, false);
    await_answer(&lives, &last, "reported", true);
    unlink(flag);
    lives_stop(&lives);
    assert_int_equal(lives_check_store(&lives), 3);
    lives_remove(&lives);
}

/* Signals that end who does not ask for them: no file may grow beyond what the log of writes has.
 */
static void test_a_limit_on_the_size_of_files(void **state)
{
    struct rlimit before, tight;
    struct lives lives;

    lives_make(&lives, 61);
    lives_start_up(&lives, NULL);
    signal_and_await(&lives);
    assert_int_equal(prlimit(lives.pid, RLIMIT_FSIZE, NULL, &before), 0);
    tight = before;
    tight.rlim_cur = 32768;
    assert_int_equal(prlimit(lives.pid, RLIMIT_FSIZE, &tight, NULL), 0);
    struct gv_subject during = lives_feed(&lives);
    await_store(&lives, false);
    lives_said_has(&lives, "no file may become so large here");
    await_answer(&lives, &during, "reported", true);
    assert_int_equal(prlimit(lives.pid, RLIMIT_FSIZE, &before, NULL), 0);
    await_store(&lives, true);
    assert_true(lives_await(&lives, &during, 60000));
    lives_stop(&lives);
    assert_int_equal(lives_check_store(&lives), 2);
    lives_remove(&lives);
}

static bool await_file(const struct lives *lives, const char *name)
{
    char path[160];

    path_of(path, lives, name);
    for (int i = 0; i < 6000; i++) {
        if (access(path, F_OK) == 0)
            return true;
        usleep(10000);
    }
    return false;
}

/* rm and cp by somebody who forgot that the node runs. What it said before and what it says after
 * that is there after the next crash, and it goes on with its numbers. */
static void test_a_store_that_is_removed_or_replaced(void **state)
{
    static const char *const deeds[] = {
        "rm -f %s/store.db*", "rm -f %s/store.db-wal", "rm -f %s/store.db-shm %s/number",
        "cd %s && cp store.db x && mv x store.db", "rm -f %s/store.db && mkdir %s/store.db"};
    struct lives lives;
    char command[300], left[160];

    lives_make(&lives, 62);
    for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
        lives_start_up(&lives, NULL);
        signal_and_await(&lives);
        snprintf(command, sizeof command, deeds[i], lives.data, lives.data);
        assert_int_equal(system(command), 0);
        signal_and_await(&lives);
        lives_said_has(&lives, "somebody removed or replaced it");
        lives_said_lacks(&lives, (const char *const[]){"is damaged", "error: ", NULL});
        assert_true(store_ok(&lives));
        assert_true(await_file(&lives, "number"));
        lives_kill(&lives, SIGKILL);
        assert_int_equal(lives_check_store(&lives), 2 * (i + 1));
    }
    /* Of the first nothing lay there any more, and the next two have only lost what is beside it.
     */
    snprintf(command, sizeof command,
             "cd %s && test $(ls | grep -c 'store.db.replaced-') = 2 && test ! -e store.db.new",
             lives.data);
    assert_int_equal(system(command), 0);

    /* The whole folder: it cannot be mended until that is back, and is said to be so. */
    lives_start_up(&lives, NULL);
    snprintf(left, sizeof left, "%s.away", lives.data);
    assert_int_equal(rename(lives.data, left), 0);
    struct gv_subject during = lives_feed(&lives);
    await_store(&lives, false);
    await_answer(&lives, &during, "reported", true);
    assert_int_equal(rename(left, lives.data), 0);
    await_store(&lives, true);
    assert_true(lives_await(&lives, &during, 60000));
    lives_stop(&lives);
    assert_int_equal(lives_check_store(&lives), 11);
    lives_remove(&lives);
}

static void lose_store(const struct lives *lives)
{
    char command[300];

    snprintf(command, sizeof command, "rm -f %s/store.db*", lives->data);
    assert_int_equal(system(command), 0);
}

/* What the life before left in its folder. */
enum left { CLEAN, KILLED, KILLED_NO_INDEX, NO_STORE, LEFT_COUNT };

static void leave(struct lives *lives, enum left left)
{
    char path[160];

    if (left == KILLED || left == KILLED_NO_INDEX) {
        lives_kill(lives, SIGKILL);
        path_of(path, lives, "store.db-wal");
        assert_int_equal(access(path, F_OK), 0);
    } else {
        lives_stop(lives);
    }
    path_of(path, lives, "store.db-shm");
    if (left == KILLED_NO_INDEX)
        assert_int_equal(unlink(path), 0);
    if (left == NO_STORE)
        lose_store(lives);
}

/* A start when the disk is full already: what the store holds is answered, what is read from the
 * log too; nothing is said to the mesh until there is room again. */
static void test_a_start_on_a_full_disk(void **state)
{
    struct lives lives;
    char folder[160], full[160], flag[128];
    char *environment[] = {folder, full, NULL};

    lives_make(&lives, 65);
    snprintf(folder, sizeof folder, "GV_SHIM_FOLDER=%s", lives.data);
    snprintf(flag, sizeof flag, "%s/full", lives.folder);
    snprintf(full, sizeof full, "GV_SHIM_FULL=%s", flag);
    for (enum left left = CLEAN; left < LEFT_COUNT; left++) {
        lives_start_up(&lives, environment);
        struct gv_subject before = lives_feed(&lives);
        assert_true(lives_await(&lives, &before, 60000));
        leave(&lives, left);
        close(open(flag, O_CREAT | O_WRONLY, 0600));
        size_t told = recorder_count(&lives.recorder);
        lives_start(&lives, environment);
        assert_true(lives_await_ready(&lives));
        if (left != KILLED) /* which left all the files that SQLite wants: it fails at a write */
            assert_false(store_ok(&lives));
        lives_said_lacks(
            &lives, (const char *const[]){"could not be deleted", NULL}); /* nothing is tried */
        struct gv_subject during = lives_feed(&lives);
        await_answer(&lives, &during, "reported", true);
        await_store(&lives, false);
        lives_said_has(&lives, "store.db: the disk is full; make room on it");
        await_answer(&lives, &before, "reported", true); /* or what the log says, without a store */
        assert_int_equal(recorder_count(&lives.recorder), told);
        if (left == KILLED) { /* it stops without having stored that */
            lives_stop(&lives);
            lives_said_has(&lives, "could not be stored and are lost: ");
            lives_start(&lives, environment);
            assert_true(lives_await_ready(&lives));
            await_answer(&lives, &during, "reported", true); /* and reads the log again */
        }
        unlink(flag);
        assert_true(lives_await(&lives, &during, 60000));
        lives_said_has(&lives, "back on the mesh");
        assert_true(store_ok(&lives));
        signal_and_await(&lives);
        lives_stop(&lives);
        lives_said_lacks(&lives, crashes);
        if (left != NO_STORE)
            assert_int_equal(lives_check_store(&lives), 3 * (left + 1));
        recorder_check_numbers(&lives.recorder);
    }
    lives_remove(&lives);
}

/* The very first start needs room: for the key. */
static void test_a_first_start_on_a_full_disk(void **state)
{
    struct lives lives;
    char folder[160], full[160], path[160];
    char *environment[] = {folder, full, NULL};

    lives_make(&lives, 66);
    snprintf(folder, sizeof folder, "GV_SHIM_FOLDER=%s", lives.data);
    snprintf(full, sizeof full, "GV_SHIM_FULL=%s", lives.conf); /* there from the beginning */
    path_of(path, &lives, "key");
    assert_int_equal(unlink(path), 0);
    lives_start(&lives, environment);
    int status = lives_wait(&lives);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EX_IOERR);
    lives_said_has(&lives, "/data/key: ");
    lives_said_has(&lives, "the disk is full; make room on it");
    lives_said_lacks(&lives, crashes);
    lives_remove(&lives);
}

/* ---- damage --------------------------------------------------------------------------------- */

static void spoil(const struct lives *lives, int how)
{
    char path[160], rubbish[4096];
    struct stat info;

    path_of(path, lives, "store.db");
    assert_int_equal(stat(path, &info), 0);
    memset(rubbish, 'x', sizeof rubbish);
    int fd = open(path, O_RDWR);
    switch (how) {
    case 0: /* pages overwritten */
        for (off_t at = 4096; at < info.st_size; at += 3 * 4096)
            assert_int_equal(pwrite(fd, rubbish, sizeof rubbish, at), sizeof rubbish);
        break;
    case 1:
        assert_int_equal(ftruncate(fd, info.st_size / 2), 0);
        break;
    case 2:
        assert_int_equal(ftruncate(fd, 0), 0);
        break;
    case 3: /* no database */
        assert_int_equal(pwrite(fd, rubbish, 100, 0), 100);
        break;
    case 4: /* gone */
        unlink(path);
        break;
    }
    close(fd);
}

static void break_macs(const struct lives *lives)
{
    char path[160];
    sqlite3 *db = NULL;

    path_of(path, lives, "store.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE self SET mac = zeroblob(16);"
                                  "UPDATE record SET value = zeroblob(9)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
}

static uint64_t last_number(struct lives *lives)
{
    pthread_mutex_lock(&lives->recorder.lock);
    uint64_t number = lives->recorder.list[lives->recorder.count - 1].sequence;
    pthread_mutex_unlock(&lives->recorder.lock);
    return number;
}

/* However it is spoilt: the next start works, says so, and no number is used again. */
static void test_a_spoilt_store_is_set_aside(void **state)
{
    static const char *const says[] = {"is set aside as", "is set aside as", "a day ahead",
                                       "is set aside as", "a day ahead",     "were changed by"};
    struct lives lives;

    lives_make(&lives, 61);
    for (int how = 0; how < 6; how++) {
        lives_start_up(&lives, NULL);
        signal_and_await(&lives);
        lives_stop(&lives);
        if (how < 5)
            spoil(&lives, how);
        else
            break_macs(&lives);
        lives_start_up(&lives, NULL);
        lives_said_has(&lives, says[how]);
        lives_said_has(&lives, "numbers go on a day ahead of the clock");
        signal_and_await(&lives);
        assert_true(store_ok(&lives));
        assert_true(last_number(&lives) > ((uint64_t)time(NULL) + 86400 - 60) * 1000);
        lives_stop(&lives);
        lives_said_lacks(&lives, crashes);
        recorder_check_numbers(&lives.recorder);
    }
    assert_true(recorder_count(&lives.recorder) >= 12);
    lives_remove(&lives);
}

/* Lost, and lost again under a clock that was set back since: no number is used again, nor a lower
 * one. Without the file `number` the start says so and goes on by the clock. */
static void test_a_store_lost_twice(void **state)
{
    struct lives lives;
    char folder[160], path[160];
    char *environment[] = {"GV_SHIM_CLOCK=3600", folder, NULL}; /* the lines are 22 h old */
    struct stat info;
    uint64_t last = 0;

    lives_make(&lives, 64);
    snprintf(folder, sizeof folder, "GV_SHIM_FOLDER=%s", lives.data);
    path_of(path, &lives, "number");
    for (int life = 0; life < 4; life++) {
        lose_store(&lives);
        lives_start_up(&lives, life < 2 ? environment : NULL);
        signal_and_await(&lives);
        uint64_t number = last_number(&lives);
        if (number <= last)
            fail_msg("life %d: %llu after %llu", life, (unsigned long long)number,
                     (unsigned long long)last);
        last = number;
        lives_stop(&lives);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 07777, 0600);
    }
    recorder_check_numbers(&lives.recorder);
    /* In ordinary use it is left alone: less than a day has passed. */
    lives_start_up(&lives, NULL);
    signal_and_await(&lives);
    lives_stop(&lives);
    struct stat later;
    assert_int_equal(stat(path, &later), 0);
    assert_int_equal(later.st_ino, info.st_ino);
    assert_int_equal(truncate(path, 9), 0);
    lose_store(&lives);
    lives_start_up(&lives, NULL);
    lives_said_has(&lives, "/number: cannot be read, or was not written with this key");
    signal_and_await(&lives);
    lives_stop(&lives);
    lives_said_lacks(&lives, crashes);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 24);
    lives_remove(&lives);
}

/* ---- time passes ---------------------------------------------------------------------------- */

static long long count_rows(const struct lives *lives, const char *table)
{
    char path[160], sql[128];
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;

    path_of(path, lives, "store.db");
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    long long count = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return count;
}

/* Two days later the signals have left the set and are in the journal; thirty days after they were
 * made the telemetry is gone, and thirty after they left it, they. */
static void test_a_month_passes(void **state)
{
    struct lives lives;
    char clock[64], folder[160];
    char *environment[] = {clock, folder, NULL};

    lives_make(&lives, 62);
    snprintf(folder, sizeof folder, "GV_SHIM_FOLDER=%s", lives.data);
    lives_start_up(&lives, NULL);
    struct gv_subject subjects[2];
    for (int i = 0; i < 2; i++) {
        subjects[i] = lives_feed(&lives);
        assert_true(lives_await(&lives, &subjects[i], 60000));
    }
    lives_stop(&lives);
    assert_int_equal(count_rows(&lives, "sent"), 2);
    assert_int_equal(count_rows(&lives, "journal"), 0);
    static const struct {
        unsigned hours;
        int sent, acks, journal;
    } cases[] = {{48, 2, 2, 2}, {29 * 24, 2, 2, 2}, {30 * 24 + 12, 0, 0, 2}, {34 * 24, 0, 0, 0}};
    unsigned now = 0, day = 86000;
    for (size_t i = 0; i < 4; i++) {
        unsigned end = cases[i].hours * 3600;
        /* A day at a time: a clock that jumps is not believed at once (test_retention). */
        for (bool there = false; !there;) {
            there = now + day >= end;
            now = there ? end : now + day;
            snprintf(clock, sizeof clock, "GV_SHIM_CLOCK=%u", now);
            lives_start_up(&lives, environment);
            if (!there)
                lives_stop(&lives);
        }
        for (int j = 0; j < 2; j++)
            await_answer(&lives, &subjects[j], "\"left\":", cases[i].journal > 0);
        lives_stop(&lives);
        lives_said_lacks(&lives, crashes);
        assert_int_equal(count_rows(&lives, "sent"), cases[i].sent);
        assert_int_equal(count_rows(&lives, "ack"), cases[i].acks);
        assert_int_equal(count_rows(&lives, "journal"), cases[i].journal);
    }
    lives_remove(&lives);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_disk_and_room_again),
        cmocka_unit_test(test_a_limit_on_the_size_of_files),
        cmocka_unit_test(test_a_store_that_is_removed_or_replaced),
        cmocka_unit_test(test_a_start_on_a_full_disk),
        cmocka_unit_test(test_a_first_start_on_a_full_disk),
        cmocka_unit_test(test_a_spoilt_store_is_set_aside),
        cmocka_unit_test(test_a_store_lost_twice),
        cmocka_unit_test(test_a_month_passes),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
