/* Backup and restore, with the real programs: while the node runs, on the same machine and on
 * another one, and everything that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_lives.h"
#include "node/base/backup_seal.h"

static char said[4096];

/* Runs `grapevine --config CONF WORD FILE`, keeps what it says, gives its exit status. */
static char environment[400]; /* of the next commands: "NAME=value " each */

static int ask(const char *conf, const char *word, const char *file)
{
    char command[512];

    snprintf(command, sizeof command, "%s%s/grapevine --config %s %s %s 2>&1", environment,
             GV_BIN_DIR, conf, word, file);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t len = fread(said, 1, sizeof said - 1, pipe);
    said[len] = 0;
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect(int wanted, const char *conf, const char *word, const char *file,
                   const char *text)
{
    int got = ask(conf, word, file);

    if (got != wanted || !strstr(said, text))
        fail_msg("%s %s: %d instead of %d, \"%s\" instead of \"%s\"", word, file, got, wanted, said,
                 text);
}

static void start(struct lives *lives)
{
    unsigned before = recorder_sessions(&lives->recorder, NULL);

    lives_start(lives, NULL);
    if (!lives_await_session(lives, before))
        fail_msg("it does not start: %s", lives_said(lives));
}

static void stop(struct lives *lives)
{
    lives_kill(lives, SIGTERM);
    assert_int_equal(lives_wait(lives), 0);
}

static struct gv_subject tell(struct lives *lives)
{
    struct gv_subject subject = lives_feed(lives);

    if (!lives_await(lives, &subject, 60000))
        fail_msg("it does not signal: %s", lives_said(lives));
    return subject;
}

static long long count(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    long long value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return value;
}

static struct lives lives;
static char file[128], store[128], key[128];

static void run(const char *format, const char *a, const char *b)
{
    char command[600];

    snprintf(command, sizeof command, format, a, b);
    if (system(command) != 0)
        fail_msg("%s", command);
}

/* A copy that others cannot use; as an older version would have written it, without the sum at its
 * end. */
static void copy_without_seal(const char *copy)
{
    struct stat info;

    run("cp %s %s", file, copy);
    assert_int_equal(chmod(copy, 0600), 0);
    assert_int_equal(stat(copy, &info), 0);
    assert_int_equal(truncate(copy, info.st_size - GV_BACKUP_SEAL_LEN), 0);
}

static int setup(void **state)
{
    lives_make(&lives, 80);
    run("mkdir -p -m 700 %s && printf 'first look\nsecond look\n' >%s/transparency.log", lives.data,
        lives.data);
    snprintf(file, sizeof file, "%s/backup", lives.folder);
    snprintf(store, sizeof store, "%s/store.db", lives.data);
    snprintf(key, sizeof key, "%s/key", lives.data);
    start(&lives);
    tell(&lives);
    tell(&lives);
    expect(0, lives.conf, "backup", file, "written and verified"); /* while it runs */
    return 0;
}

static int teardown(void **state)
{
    lives_remove(&lives);
    return 0;
}

/* Signals made after the backup are forgotten by the restore: their numbers are not used again. */
static void test_the_same_node_goes_back(void **state)
{
    struct stat info;

    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    expect(EX_CANTCREAT, lives.conf, "backup", file, "exists already");
    tell(&lives);
    tell(&lives);
    expect(EX_TEMPFAIL, lives.conf, "restore", file, "stop grapevined first");
    stop(&lives);
    assert_int_equal(count(store, "SELECT count(*) FROM sent"), 4);
    /* The log of looks is never shorter for it: one more, none, another. */
    run("echo 'third look' >>%s/transparency.log", lives.data, "");
    expect(0, lives.conf, "restore", file, "keeps its key");
    assert_null(strstr(said, "transparency"));
    run("grep -qx 'third look' %s/transparency.log", lives.data, "");
    run("echo 'first look' >%s/transparency.log", lives.data, "");
    expect(0, lives.conf, "restore", file, "The transparency log of the backup is back");
    run("test \"$(cat %s/transparency.log)\" = \"$(printf 'first look\nsecond look')\"", lives.data,
        "");
    run("echo 'another' >%s/transparency.log", lives.data, "");
    expect(0, lives.conf, "restore", file, "another than that of the backup");
    run("grep -qx another %s/transparency.log && grep -qx 'second look' "
        "%s/transparency.log.of-backup-*",
        lives.data, lives.data);
    assert_non_null(strstr(said, "before-restore-"));
    assert_int_equal(count(store, "SELECT count(*) FROM sent"), 2);
    assert_int_equal(count(store, "SELECT count(*) FROM self"), 0);
    assert_int_equal(stat(store, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    start(&lives);
    tell(&lives);
    stop(&lives);
    recorder_check_numbers(&lives.recorder);
    lives_check_said(&lives);
    /* A backup of a node that is stopped, too. */
    strcat(file, "2");
    expect(0, lives.conf, "backup", file, "written and verified");
}

/* Another machine gets another key, and the rows are authentic there. */
static void test_another_machine_gets_a_key_of_its_own(void **state)
{
    char folder[128], conf[128], other[160];
    struct stat info;

    stop(&lives);
    snprintf(folder, sizeof folder, "%s/second", lives.folder);
    snprintf(conf, sizeof conf, "%s/second.conf", lives.folder);
    FILE *out = fopen(conf, "w");
    fprintf(out,
            "[node]\ndata = %s\nlisten =\ncontrol = %s\n%s[log]\nfile = %s\n"
            "[network]\ndescriptor = %s/descriptor\n",
            folder, lives.socket, geteuid() == 0 ? "user = root\n" : "", lives.log, lives.folder);
    fclose(out);
    expect(0, conf, "restore", file, "a new key of its own");
    snprintf(other, sizeof other, "%s/key", folder);
    assert_int_equal(stat(other, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    char command[400];
    snprintf(command, sizeof command, "cmp -s %s %s", other, key);
    assert_int_not_equal(system(command), 0);
    snprintf(other, sizeof other, "%s/store.db", folder);
    assert_int_equal(count(other, "SELECT count(*) FROM sent"), 2);
    assert_int_equal(count(other, "SELECT count(*) FROM sqlite_schema WHERE name = 'transparency'"),
                     0);
    run("grep -qx 'second look' %s/transparency.log", folder, "");
    run("test \"$(stat -c %%a %s/transparency.log)\" = 640", folder, "");
    assert_int_equal(count(other, "SELECT count(*) FROM kept"), 0); /* places in logs over there */
    /* The secret that signs is not in the backup. */
    snprintf(command, sizeof command, "grep -qaF \"$(cat %s)\" %s", key, file);
    assert_int_not_equal(system(command), 0);

    /* The daemon there believes every row. */
    char before[sizeof lives.conf];
    memcpy(before, lives.conf, sizeof before);
    memcpy(lives.conf, conf, sizeof lives.conf);
    lives_start(&lives, NULL);
    for (int i = 0; i < 500 && !lives_ask(&lives, "status", 200, NULL); i++)
        usleep(10000);
    struct gv_buf body;
    gv_buf_init(&body);
    assert_true(lives_ask(&lives, "status", 200, &body));
    assert_non_null(strstr((const char *)body.data, "\"local_subjects\":2"));
    gv_buf_clear(&body);
    assert_true(lives_ask(&lives, "telemetry", 200, &body));
    assert_non_null(strstr((const char *)body.data, "45.1.0.7"));
    gv_buf_free(&body);
    stop(&lives);
    char *text = lives_said(&lives);
    assert_null(strstr(text, "were changed")); /* its MACs are those of the new key */
    free(text);
    memcpy(lives.conf, before, sizeof before);
}

static void test_what_is_refused(void **state)
{
    char copy[160], command[600];
    sqlite3 *db = NULL;

    stop(&lives);
    snprintf(copy, sizeof copy, "%s/copy", lives.folder);
    expect(EX_NOINPUT, lives.conf, "restore", copy, "No such file");
    static const struct {
        const char *sql, *says;
        int status;
    } cases[] = {
        {"UPDATE sent SET value = zeroblob(9)", "changed by somebody else", EX_DATAERR},
        {"UPDATE sent SET created_ms = created_ms + 1", "changed by somebody else", EX_DATAERR},
        {"DELETE FROM sent WHERE number = 1", "left out", EX_DATAERR},
        {"DELETE FROM history", "left out", EX_DATAERR},
        {"DELETE FROM transparency WHERE line = 2", "left out", EX_DATAERR},
        {"UPDATE transparency SET text = 'nobody looked'", "changed by somebody else", EX_DATAERR},
        {"DROP TABLE transparency", "left out", EX_DATAERR},
        {"UPDATE backup SET store_key = zeroblob(32)", "changed by somebody else", EX_DATAERR},
        {"UPDATE backup SET instance = zeroblob(16)", "changed by somebody else", EX_DATAERR},
        {"UPDATE backup SET made_ms = made_ms + 1", "changed by somebody else", EX_DATAERR},
        {"INSERT INTO backup SELECT * FROM backup", "more than one", EX_DATAERR},
        {"DROP TABLE backup", "not a backup", EX_DATAERR},
        {"DROP INDEX journal_left", "its tables are not", EX_DATAERR},
        {"PRAGMA user_version = 7", "its tables are not", EX_DATAERR},
        {"PRAGMA user_version = 99; PRAGMA application_id = 0x67760063",
         "copy: made by a newer version", EX_DATAERR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        copy_without_seal(copy);
        assert_int_equal(sqlite3_open(copy, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, cases[i].sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        expect(cases[i].status, lives.conf, "restore", copy, cases[i].says);
    }
    assert_int_equal(truncate(copy, 9000), 0);
    expect(EX_DATAERR, lives.conf, "restore", copy, "copy: damaged, cut short, or not a backup");
    assert_int_equal(truncate(copy, 0), 0);
    expect(EX_DATAERR, lives.conf, "restore", copy, "not a backup");
    snprintf(command, sizeof command, "cp %s %s && chmod 640 %s", file, copy, copy);
    assert_int_equal(system(command), 0);
    expect(EX_NOPERM, lives.conf, "restore", copy, "others than its owner");
    expect(EX_DATAERR, lives.conf, "restore", store, "not a backup made by");
    expect(EX_NOPERM, lives.conf, "restore", lives.folder, "not a regular file");
    expect(EX_NOPERM, lives.conf, "restore", "/dev/zero", "not a regular file");
    /* Nor is anything written where something is, or nothing can be. */
    expect(EX_CANTCREAT, lives.conf, "backup", lives.folder, "exists already");
    expect(EX_CANTCREAT, lives.conf, "backup", "/dev/full", "exists already");
    expect(EX_USAGE, lives.conf, "backup", "''", "name of a file is missing");
    snprintf(copy, sizeof copy, "%s/nowhere/copy", lives.folder);
    expect(EX_IOERR, lives.conf, "backup", copy, "/nowhere/copy: No such file");
    snprintf(copy, sizeof copy, "%s/leads-nowhere", lives.folder);
    assert_int_equal(symlink("/nonexistent/file", copy), 0);
    expect(EX_CANTCREAT, lives.conf, "backup", copy, "exists already");
    expect(EX_NOPERM, lives.conf, "restore", copy, "not a regular file");
    /* Somebody's file beside it is left alone. */
    snprintf(copy, sizeof copy, "%s/mine.part", lives.folder);
    int fd = open(copy, O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_int_equal(write(fd, "mine", 4), 4);
    close(fd);
    copy[strlen(copy) - strlen(".part")] = '\0';
    expect(EX_CANTCREAT, lives.conf, "backup", copy, "mine.part exists already");
    char away[160];
    snprintf(away, sizeof away, "%s.away", key);
    assert_int_equal(rename(key, away), 0);
    snprintf(copy, sizeof copy, "%s/of-nobody", lives.folder);
    expect(EX_NOINPUT, lives.conf, "backup", copy, "nothing to back up yet");
    assert_int_equal(rename(away, key), 0);
    /* Nothing of that has touched the store. */
    assert_int_equal(count(store, "SELECT count(*) FROM sent"), 2);
    snprintf(command, sizeof command, "ls %s | grep -E 'part|new|before'", lives.data);
    assert_int_not_equal(system(command), 0);
    start(&lives);
    stop(&lives);
    lives_check_said(&lives);
}

/* ---- a bad medium ---------------------------------------------------------------------------- */

static void flip(const char *path, off_t at, unsigned bit)
{
    unsigned char byte;
    int fd = open(path, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= (unsigned char)(1u << bit);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* A bit that fell over is seen wherever it is: also where no row is. */
static void test_a_wrong_bit_anywhere_is_seen(void **state)
{
    char copy[160], out[160];
    struct gv_text why;
    struct stat info;

    stop(&lives);
    snprintf(copy, sizeof copy, "%s/copy", lives.folder);
    snprintf(out, sizeof out, "%s/unsealed", lives.folder);
    run("cp %s %s", file, copy);
    assert_int_equal(chmod(copy, 0600), 0);
    assert_int_equal(stat(copy, &info), 0);
    for (off_t at = 0; at < info.st_size; at += at < info.st_size - 64 ? 251 : 1) {
        flip(copy, at, (unsigned)at % 8);
        assert_int_equal(gv_backup_unseal(out, copy, &why), GV_ERR_MALFORMED);
        flip(copy, at, (unsigned)at % 8);
        assert_int_equal(unlink(out), 0);
    }
    for (off_t cut = 1; cut < info.st_size; cut += 1021) {
        assert_int_equal(truncate(copy, info.st_size - cut), 0);
        if ((info.st_size - cut) % 512 != 0)
            assert_int_equal(gv_backup_unseal(out, copy, &why), GV_ERR_MALFORMED);
        unlink(out);
        run("cp %s %s", file, copy);
    }
    assert_int_equal(gv_backup_unseal(out, copy, &why), GV_OK);
    flip(copy, info.st_size - GV_BACKUP_SEAL_LEN - 5, 3);
    expect(EX_DATAERR, lives.conf, "restore", copy, "copy: damaged, cut short, or not a backup");
    flip(copy, info.st_size - GV_BACKUP_SEAL_LEN - 5, 3);
    expect(0, lives.conf, "restore", copy, "in place");
    copy_without_seal(copy);
    expect(0, lives.conf, "restore", copy, "in place"); /* an older one */
}

/* ---- where one is made ----------------------------------------------------------------------- */

/* A memory stick, or a share: no second name for a file, and no word that it may not be replaced.
 */
static void test_a_backup_where_files_have_one_name(void **state)
{
    char copy[160], part[180];

    for (int kind = 1; kind <= 2; kind++) {
        snprintf(copy, sizeof copy, "%s/stick.%d", lives.folder, kind);
        snprintf(part, sizeof part, "%s.part", copy);
        snprintf(environment, sizeof environment,
                 "LD_PRELOAD=%s/tests/libgv_shim_disk.so ASAN_OPTIONS=verify_asan_link_order=0 "
                 "GV_SHIM_FOLDER=%s GV_SHIM_NO_LINK=%d ",
                 GV_BUILD_DIR, lives.folder, kind);
        expect(0, lives.conf, "backup", copy, "written and verified");
        expect(EX_CANTCREAT, lives.conf, "backup", copy, "exists already");
        environment[0] = 0;
        assert_int_not_equal(access(part, F_OK), 0);
        run("grep -q 'grapevine backup' %s && test $(stat -c %%a %s) = 600", copy, copy);
    }
}

/* Such a stick, and a file that came while the backup was made. */
static void test_a_file_that_came_meanwhile_stays(void **state)
{
    char copy[160], part[180];

    snprintf(copy, sizeof copy, "%s/stick.3", lives.folder);
    snprintf(part, sizeof part, "%s.part", copy);
    snprintf(environment, sizeof environment,
             "LD_PRELOAD=%s/tests/libgv_shim_disk.so ASAN_OPTIONS=verify_asan_link_order=0 "
             "GV_SHIM_FOLDER=%s GV_SHIM_NO_LINK=3 ",
             GV_BUILD_DIR, lives.folder);
    expect(EX_CANTCREAT, lives.conf, "backup", copy, "File exists");
    environment[0] = 0;
    assert_int_not_equal(access(part, F_OK), 0);
    run("test -e %s && test ! -s %s", copy, copy);
}

/* What would not come back is no backup: it is read again, every row, before it gets its name. */
static void test_a_store_with_a_changed_row_is_no_backup(void **state)
{
    char copy[160];
    sqlite3 *db = NULL;

    snprintf(copy, sizeof copy, "%s/bad", lives.folder);
    stop(&lives);
    assert_int_equal(sqlite3_open(store, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE sent SET value = value || x'00' WHERE number = 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    expect(EX_DATAERR, lives.conf, "backup", copy, "1 rows were changed by somebody else");
    assert_int_not_equal(access(copy, F_OK), 0);
}

/* ---- a restore that was killed --------------------------------------------------------------- */

static void leave_behind(const char *name)
{
    run("head -c 9000 /dev/urandom >%s/%s", lives.data, name);
}

static void test_a_killed_restore_leaves_nothing_in_the_way(void **state)
{
    static const char *const names[] = {
        "restore.part", "restore.part-journal", "restore.part-wal", "restore.part-shm",
        "store.db.new", "store.db.new-journal", "store.db.new-wal", "store.db.new-shm"};
    char command[600];

    stop(&lives);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        leave_behind(names[i]);
    expect(0, lives.conf, "restore", file, "in place");
    snprintf(command, sizeof command, "ls %s | grep -E 'part|new'", lives.data);
    assert_int_not_equal(system(command), 0);
    assert_int_equal(count(store, "SELECT count(*) FROM sent"), 2);
    for (unsigned ms = 1; ms < 200; ms += ms / 4 + 1) { /* somewhere, each time elsewhere */
        pid_t pid = fork();
        if (pid == 0) {
            int nowhere = open("/dev/null", O_WRONLY);
            dup2(nowhere, STDOUT_FILENO);
            dup2(nowhere, STDERR_FILENO);
            execl(GV_BIN_DIR "/grapevine", "grapevine", "--config", lives.conf, "restore", file,
                  NULL);
            _exit(127);
        }
        assert_true(pid > 0);
        usleep(1000 * ms);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(access(store, F_OK), 0); /* there is a store at any moment */
    }
    expect(0, lives.conf, "restore", file, "in place");
    assert_int_not_equal(system(command), 0);
    assert_int_equal(count(store, "SELECT count(*) FROM sent"), 2);
    start(&lives);
    stop(&lives);
    lives_check_said(&lives);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_same_node_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_machine_gets_a_key_of_its_own, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_wrong_bit_anywhere_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_backup_where_files_have_one_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_came_meanwhile_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_store_with_a_changed_row_is_no_backup, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_killed_restore_leaves_nothing_in_the_way, setup,
                                        teardown),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
