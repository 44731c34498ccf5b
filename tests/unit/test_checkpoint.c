/* No commit waits for the disk: the store's log of writes is copied into its file, and synced, in a
 * thread of its own (node/host/checkpoint.h); the log stays bounded, nothing is lost by it, and a
 * disk that does not answer does not stop the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_node.h"
#include "helper_store.h"
#include "node/host/checkpoint.h"

#define ROWS       60000u
#define PAGE_BYTES (4096u + 24u) /* of the log */

/* ---- SQLite's way to the disk ---------------------------------------------------------------- */

static pthread_t loop; /* which must not wait */
static atomic_uint here, elsewhere, delay_ms,
    kill_at; /* kill_at: before that sync of the copying */
static atomic_bool hangs;

static void synced(void)
{
    if (pthread_equal(pthread_self(), loop)) {
        here++;
        return;
    }
    if (++elsewhere == kill_at)
        kill(getpid(), SIGKILL);
    usleep(delay_ms * 1000);
    while (hangs)
        usleep(1000);
}

/* Instead of the C library's. */
int fdatasync(int fd)
{
    synced();
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    synced();
    return (int)syscall(SYS_fsync, fd);
}

static int setup(void **state)
{
    loop = pthread_self();
    here = elsewhere = delay_ms = kill_at = 0;
    hangs = false;
    return store_setup(state);
}

static atomic_uint runs;

static void count_run(void *context)
{
    (void)context;
    runs++;
}

static off_t log_size(const struct store *s)
{
    char path[128];
    struct stat info;

    snprintf(path, sizeof path, "%s-wal", s->path);
    return stat(path, &info) == 0 ? info.st_size : 0;
}

/* As the driver does: what comes while the log is copied waits. */
static void commit_after_copying(struct store *s)
{
    while (gv_persist_copying(s->persist) >= 0)
        usleep(1000);
    store_commit(s, NOW);
}

/* What is stored already is not written again, so each has another value. */
static void put_row(struct store *s, unsigned number)
{
    static uint32_t value_number;
    uint8_t key[9] = {4, (uint8_t)(number >> 8), (uint8_t)number}, value[120] = {1};

    value_number++;
    memcpy(value + 1, &value_number, sizeof value_number);
    gv_effect_persist(&s->effects, GV_ROW_HISTORY, key, sizeof key, value, sizeof value);
}

static void fill(struct store *s)
{
    for (unsigned i = 0; i < ROWS; i++) {
        put_row(s, i);
        if (i % 250 == 249)
            commit_after_copying(s);
    }
}

static void commits_do_not_sync(void **state)
{
    struct store *s = *state;
    size_t bad = 0;

    store_open(s);
    gv_persist_apart(s->persist, count_run, NULL);
    runs = here = elsewhere = 0;
    fill(s);
    assert_int_equal(here, 0);
    assert_in_range(runs, 2, 100);
    assert_in_range(elsewhere, 2 * runs, 4 * runs + 4);
    /* The log began anew each time. */
    assert_in_range(log_size(s), 1, (GV_CHECKPOINT_PAGES + 100) * PAGE_BYTES);

    /* And without the thread SQLite does it by itself, in a commit. */
    gv_persist_apart(s->persist, NULL, NULL);
    fill(s);
    assert_in_range(here, 2, 1000);
    store_open(s);
    assert_int_equal(store_load(s, &bad).of[GV_ROW_HISTORY], ROWS);
    assert_int_equal(bad, 0);
    assert_int_equal(store_number(s, "PRAGMA user_version"), gv_store_version);
}

/* Rows that lie on 500 pages. */
static void touch(struct store *s)
{
    for (unsigned i = 0; i < 500; i++)
        put_row(s, i * 110);
    store_commit(s, NOW);
}

/* Nobody waits for the copying, which is slow, so that it never gets to the end of the log. */
static void a_log_that_never_rests_is_bounded(void **state)
{
    struct store *s = *state;
    off_t largest = 0;

    store_open(s);
    gv_persist_apart(s->persist, count_run, NULL);
    fill(s);
    delay_ms = 200;
    for (int i = 0; i < 45; i++) {
        touch(s);
        if (log_size(s) > largest)
            largest = log_size(s);
    }
    assert_in_range(largest, 2 * GV_CHECKPOINT_PAGES * PAGE_BYTES,
                    (GV_CHECKPOINT_MAX + 1000) * PAGE_BYTES);
}

/* Commits, of 250 rows each, and says how many there were, until it is killed. */
static void live(struct store *s, int say, unsigned n, bool waits)
{
    store_open(s);
    gv_persist_apart(s->persist, count_run, NULL);
    elsewhere = 0;
    kill_at = n;
    delay_ms = 5;
    for (unsigned i = 0; i < ROWS; i++) {
        put_row(s, i);
        if (i % 250 < 249)
            continue;
        while (waits && gv_persist_copying(s->persist) >= 0)
            usleep(1000);
        store_commit(s, NOW);
        if (write(say, &i, sizeof i) != sizeof i)
            break;
    }
    _exit(1);
}

/* Wherever a run is when the node is killed: what was committed is there. */
static void nothing_is_lost_when_it_is_killed(void **state)
{
    struct store *s = *state;

    for (unsigned n = 1; n <= 8; n++) {
        unsigned last = 0, more;
        size_t bad = 0;
        int ends[2], status;
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0)
            live(s, ends[1], (n + 1) / 2, n % 2);
        close(ends[1]);
        while (read(ends[0], &more, sizeof more) == sizeof more)
            last = more;
        close(ends[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        store_open(s);
        size_t held = store_load(s, &bad).of[GV_ROW_HISTORY];
        assert_in_range(held, last + 1, last + 251);
        assert_int_equal(bad, 0);
        assert_int_equal(store_count_aside(s, "corrupt"), 0);
        store_close(s);
        store_sql(s, "DELETE FROM history");
    }
}

/* What was erased is not in the log either, also where that is being copied just then. */
static void the_log_is_emptied_after_a_run(void **state)
{
    struct store *s = *state;
    struct gv_text error = {""};

    store_open(s);
    gv_persist_apart(s->persist, count_run, NULL);
    fill(s);
    gv_persist_empty_log(s->persist, &error);
    delay_ms = 200;
    while (gv_persist_copying(s->persist) < 0)
        touch(s);
    assert_int_equal(gv_persist_empty_log(s->persist, &error), GV_OK);
    assert_int_equal(log_size(s), 0);
    while (gv_persist_copying(s->persist) < 0)
        touch(s);
    assert_int_equal(gv_persist_mend(s->persist, &error), GV_OK); /* waits likewise, and goes on */
    runs = 0;
    delay_ms = 0;
    for (int i = 0; i < 20 && runs == 0; i++) {
        touch(s);
        while (gv_persist_copying(s->persist) >= 0)
            usleep(1000);
    }
    assert_in_range(runs, 1, 20);
}

/* ---- the driver ----------------------------------------------------------------------------- */

static struct node node;

struct told {
    uint64_t turns;
    int64_t copying;
};

static void take_loop(void *context)
{
    (void)context;
    loop = pthread_self();
}

static void observe(void *context)
{
    static uint32_t number;
    uint8_t bytes[4] = {11, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION,
                             .observation = {.unix_ms = gv_unix_ms(),
                                             .service = GV_SERVICE_IMAP,
                                             .kind = GV_KIND_WRONG_PASSWORD,
                                             .attempts = 1,
                                             .new_visit = true}};

    (void)context;
    number += 7919;
    assert_int_equal(gv_subject_from_address(&event.observation.subject, bytes, 4), GV_OK);
    assert_int_equal(gv_driver_event(node.driver, &event), GV_OK);
}

static void look(void *context)
{
    struct told *told = context;
    struct gv_driver_status status;

    gv_driver_status(node.driver, &status);
    told->turns = status.turns;
    told->copying = gv_persist_copying(node.persist);
}

static struct told turn(bool observed)
{
    struct told told;

    if (observed)
        loop_thread_call(&node.thread, observe, NULL);
    loop_thread_call(&node.thread, look, &told);
    return told;
}

static void a_disk_that_hangs_does_not_stop_the_loop(void **state)
{
    struct told begin = {0}, then = {0};

    (void)state;
    hangs = false;
    memset(&node, 0, sizeof node);
    node_make(&node);
    assert_int_equal(node_start(&node), GV_OK);
    loop_thread_call(&node.thread, take_loop, NULL);
    here = 0;
    hangs = true;
    do
        begin = turn(true);
    while (begin.copying < 0);
    /* It answers, and what comes waits for the log, but not for long. */
    then = turn(true);
    if (then.copying >= 0 && then.copying < 100)
        assert_int_equal(then.turns, begin.turns);
    for (int i = 0; i < 3000 && then.turns == begin.turns; i++) {
        usleep(10000);
        then = turn(false);
    }
    assert_int_equal(then.turns, begin.turns + 1);
    assert_in_range(then.copying, 200, INT64_MAX);
    hangs = false;
    for (int i = 0; i < 3000 && then.copying >= 0; i++) {
        usleep(10000);
        then = turn(false);
    }
    assert_int_equal(then.copying, -1);
    begin = turn(true);
    for (int i = 0; i < 3000 && begin.turns == then.turns; i++) {
        usleep(10000);
        begin = turn(false);
    }
    assert_in_range(begin.turns, then.turns + 1, then.turns + 2);
    assert_int_equal(here, 0); /* there was no word of its own */
    node_stop(&node);
    node_remove(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commits_do_not_sync, setup, store_teardown),
        cmocka_unit_test_setup_teardown(a_log_that_never_rests_is_bounded, setup, store_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_lost_when_it_is_killed, setup, store_teardown),
        cmocka_unit_test_setup_teardown(the_log_is_emptied_after_a_run, setup, store_teardown),
        cmocka_unit_test(a_disk_that_hangs_does_not_stop_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
