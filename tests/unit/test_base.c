/* The ground of node/: log lines, secrets in files, the database, JSON, text forms. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/error.h"
#include "node/base/db.h"
#include "node/base/file.h"
#include "node/base/json.h"
#include "node/base/keyfile.h"
#include "node/base/log.h"

static char folder[64], path[128];

static int setup(void **state)
{
    assert_true(sodium_init() >= 0);
    strcpy(folder, "/tmp/gv-base-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void test_log_lines_are_made_safe(void **state)
{
    static const struct {
        const char *text, *safe;
    } cases[] = {
        {"plain text", "plain text"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"two\nlines\r", "two\\x0alines\\x0d"},
        {"\x1b[31mred\x7f", "\\x1b[31mred\\x7f"},
        {"\xff\xc0\xaf", "\\xff\\xc0\\xaf"}, /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* surrogate */
        {"\xc2\x9b", "\\xc2\\x9b"},          /* C1: as good as ESC [ */
        {"a\xe2\x80\xae"
         "b",
         "a\\xe2\\x80\\xae"
         "b"}, /* right-to-left override */
        {"\xf0\x9f\x8d\x87", "\xf0\x9f\x8d\x87"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
        {"cut \xe2\x82", "cut \\xe2\\x82"},
    };
    char out[64];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gv_log_safe(out, sizeof out, cases[i].text, strlen(cases[i].text));
        assert_string_equal(out, cases[i].safe);
    }
    assert_int_equal(gv_log_safe(out, 5, "abcdefgh", 8), 4);
    assert_int_equal(gv_log_safe(out, 6, "ab\ncd", 5), 2); /* an escape is never cut */
    assert_int_equal(gv_log_safe(out, 1, "a", 1), 0);
}

/* What really comes out on stderr, under systemd too. */
static void test_log_output(void **state)
{
    char text[4096], longer[3000];
    struct gv_buf out;
    int saved = dup(STDERR_FILENO);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    dup2(fd, STDERR_FILENO);
    gv_log_open("prog", GV_LOG_INFO);
    gv_log(GV_LOG_WARNING, "a%sb", "\n<0>forged");
    gv_log(GV_LOG_DEBUG, "not shown");
    setenv("JOURNAL_STREAM", "1:2", 1);
    gv_log_open("prog", GV_LOG_DEBUG);
    gv_log(GV_LOG_DEBUG, "%s", longer);
    unsetenv("JOURNAL_STREAM");
    gv_log_open("prog", GV_LOG_INFO);
    for (int i = 0; i < 100; i++)
        gv_log_limited(GV_LOG_INFO, "often");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    gv_buf_init(&out);
    assert_int_equal(gv_file_read(&out, path, sizeof text - 1, NULL), GV_OK);
    memcpy(text, out.data, out.len);
    text[out.len] = '\0';
    gv_buf_free(&out);
    assert_true(strncmp(text, "prog: warning: a\\x0a<0>forgedb\n<7>xxxx", 37) == 0);
    char *second = strchr(text, '\n') + 1;
    assert_true(strcspn(second, "\n") <= GV_LOG_LINE + 3);
    int often = 0;
    for (char *at = text; (at = strstr(at, "often")); at++)
        often++;
    assert_true(often == GV_LOG_BURST || often == 2 * GV_LOG_BURST); /* a minute may turn */
}

static void test_a_key_file(void **state)
{
    uint8_t made[GV_SECRET_LEN], read[GV_SECRET_LEN];
    struct gv_text why;
    struct stat info;
    bool fresh = true;
    FILE *file;

    assert_int_equal(gv_keyfile_read(read, path, &why), GV_ERR_NOT_FOUND);
    assert_int_equal(gv_keyfile_create(made, path, &why), GV_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(info.st_size, 65);
    assert_int_equal(gv_keyfile_read(read, path, &why), GV_OK);
    assert_memory_equal(made, read, GV_SECRET_LEN);
    assert_int_equal(gv_keyfile_create(read, path, &why), GV_ERR_DUPLICATE);
    assert_int_equal(gv_keyfile_ensure(read, &fresh, path, &why), GV_OK);
    assert_memory_equal(made, read, GV_SECRET_LEN);
    assert_false(fresh);
    static const mode_t open_modes[] = {0640, 0604, 0620, 0660, 0644, 0601};
    for (size_t i = 0; i < 6; i++) {
        chmod(path, open_modes[i]);
        assert_int_equal(gv_keyfile_read(read, path, &why), GV_ERR_FORBIDDEN);
        assert_non_null(strstr(why.text, "run: chmod 600 "));
    }
    assert_int_equal(gv_keyfile_read(read, folder, &why), GV_ERR_FORBIDDEN);
    chmod(path, 0600);
    static const char *const bad[] = {"", "\n", "00", "zz"};
    for (size_t i = 0; i < 4; i++) {
        file = fopen(path, "w");
        fputs(bad[i], file);
        fclose(file);
        assert_int_equal(gv_keyfile_read(read, path, &why), GV_ERR_MALFORMED);
    }
    file = fopen(path, "w");
    for (int i = 0; i < 66; i++)
        fputc('0', file);
    fclose(file);
    assert_int_equal(gv_keyfile_read(read, path, &why), GV_ERR_MALFORMED);
}

/* Read at path `deep`, whose folder above is as it is now. */
static void above_is(const char *above, const char *deep, mode_t mode, uid_t owner,
                     const char *answer)
{
    uint8_t read[GV_SECRET_LEN];
    struct gv_text why = {""};

    assert_int_equal(chmod(above, mode), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(above, owner, (gid_t)-1), 0);
    int rc = gv_keyfile_read(read, deep, &why);
    if (answer)
        assert_non_null(strstr(why.text, answer));
    assert_int_equal(rc, answer ? GV_ERR_FORBIDDEN : GV_OK);
}

static void test_folders_above_a_key(void **state)
{
    char above[] = "/tmp/gv-above.XXXXXX", own[64], deep[80];
    uint8_t made[GV_SECRET_LEN];

    assert_non_null(mkdtemp(above));
    snprintf(own, sizeof own, "%s/data", above);
    snprintf(deep, sizeof deep, "%s/key", own);
    assert_int_equal(mkdir(own, 0700), 0);
    assert_int_equal(gv_keyfile_create(made, deep, NULL), GV_OK);
    above_is(above, deep, 0700, geteuid(), NULL);
    above_is(above, deep, 0755, geteuid(), NULL);
    above_is(above, deep, 0775, geteuid(), "its group can rename what is in here");
    above_is(above, deep, 0757, geteuid(), "everybody can rename what is in here");
    above_is(above, deep, 0777, geteuid(), "run: chmod go-w /tmp/gv-above.");
    above_is(above, deep, 01777, geteuid(), NULL);
    above_is(above, deep, 01775, geteuid(), NULL);
    if (geteuid() == 0) { /* the sticky bit does not bind the folder's own owner */
        above_is(above, deep, 0755, 12345, "belongs to another user (id 12345)");
        above_is(above, deep, 01777, 12345, "run: chown root /tmp/gv-above.");
        /* Root looks after the key of a node's own user. */
        assert_int_equal(chown(deep, 12345, (gid_t)-1), 0);
        assert_int_equal(chown(own, 12345, (gid_t)-1), 0);
        above_is(above, deep, 0755, 12345, NULL);
        above_is(above, deep, 0755, 0, NULL);
        above_is(above, deep, 0755, 12346, "belongs to another user (id 12346)");
    }
    unlink(deep);
    rmdir(own);
    rmdir(above);
}

static void writers_are(mode_t mode, int wanted)
{
    struct gv_text why = {""};

    assert_int_equal(chmod(path, mode), 0);
    assert_int_equal(gv_file_check_writers(path, &why), wanted);
    if (wanted == GV_ERR_FORBIDDEN)
        assert_non_null(strstr(why.text, mode & 022 ? "run: chmod go-w " : "run: chown root "));
}

static void test_who_can_write_a_file(void **state)
{
    bool root = geteuid() == 0;

    assert_int_equal(gv_file_check_writers("/nonexistent", NULL), GV_ERR_IO);
    assert_int_equal(gv_file_write(path, "one", 3, 0640, NULL), GV_OK);
    writers_are(0644, GV_OK);
    writers_are(0646, GV_ERR_FORBIDDEN);
    writers_are(0666, GV_ERR_FORBIDDEN);
    writers_are(0602, GV_ERR_FORBIDDEN);
    if (root) { /* its own group is root's, another is not */
        writers_are(0664, GV_OK);
        assert_int_equal(chown(path, 0, 12345), 0);
        writers_are(0664, GV_ERR_FORBIDDEN);
        writers_are(0644, GV_OK);
        assert_int_equal(chown(path, 12345, 0), 0);
        writers_are(0644, GV_ERR_FORBIDDEN);
    } else {
        writers_are(0664, GV_OK);
    }
    assert_int_equal(unlink(path), 0);
}

static void test_files(void **state)
{
    struct gv_buf out;
    struct stat info;

    gv_buf_init(&out);
    assert_int_equal(gv_file_write(path, "one", 3, 0640, NULL), GV_OK);
    assert_int_equal(gv_file_write(path, "second", 6, 0600, NULL), GV_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(gv_file_read(&out, path, 6, NULL), GV_OK);
    assert_int_equal(out.len, 6);
    assert_int_equal(gv_file_read(&out, path, 5, NULL), GV_ERR_RANGE);
    assert_int_equal(out.len, 6);
    assert_int_equal(gv_file_read(&out, "/nonexistent", 5, NULL), GV_ERR_NOT_FOUND);
    assert_int_equal(gv_file_write("/nonexistent/x", "a", 1, 0600, NULL), GV_ERR_IO);
    /* What is no regular file never makes it wait. */
    struct gv_text error = {""};
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(gv_file_read(&out, path, 6, &error), GV_ERR_IO);
    assert_non_null(strstr(error.text, "not a regular file"));
    assert_int_equal(gv_file_read(&out, "/dev/zero", 6, NULL), GV_ERR_IO);
    assert_int_equal(gv_file_read(&out, "/tmp", 6, NULL), GV_ERR_IO);
    assert_int_equal(unlink(path), 0);
    gv_buf_free(&out);
}

static const char *const migrations[] = {
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB, c TEXT)",
    "ALTER TABLE t ADD COLUMN d INTEGER",
    "CREATE TABLE half (a); this is not SQL",
};

static void test_database(void **state)
{
    sqlite3 *db;
    sqlite3_stmt *put = NULL, *get = NULL;
    struct gv_text why;
    struct stat info;
    uint8_t blob[3];

    assert_int_equal(gv_db_open(&db, path, migrations, 1, &why), GV_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    gv_db_close(db);
    assert_int_equal(gv_db_open(&db, path, migrations, 2, &why), GV_OK);
    assert_int_equal(gv_db_prepare(db, &put, "INSERT INTO t VALUES (?, ?, ?, ?)", &why), GV_OK);
    assert_int_equal(gv_db_prepare(db, &get, "SELECT b, c, d FROM t WHERE a = ?", &why), GV_OK);
    assert_int_equal(gv_db_run(put, "ibtn", (int64_t)1, "abc", (size_t)3, "text"), GV_OK);
    assert_int_equal(gv_db_run(put, "ibtn", (int64_t)1, "abc", (size_t)3, "text"),
                     GV_ERR_DUPLICATE);
    assert_int_equal(gv_db_bind(get, "i", (int64_t)1), GV_OK);
    assert_int_equal(gv_db_step(get), 1);
    assert_int_equal(gv_db_blob(get, 0, blob, 3), GV_OK);
    assert_memory_equal(blob, "abc", 3);
    assert_int_equal(gv_db_blob(get, 0, blob, 2), GV_ERR_MALFORMED);
    assert_int_equal(gv_db_step(get), 0);
    sqlite3_finalize(put);
    sqlite3_finalize(get);
    gv_db_close(db);
    /* a migration that fails leaves everything as it was */
    assert_int_equal(gv_db_open(&db, path, migrations, 3, &why), GV_ERR_IO);
    assert_null(db);
    assert_int_equal(gv_db_open(&db, path, migrations, 1, &why), GV_ERR_VERSION);
    assert_non_null(strstr(why.text, "newer version of this program"));
    assert_int_equal(gv_db_open(&db, path, migrations, 2, &why), GV_OK);
    gv_db_close(db);
    assert_int_equal(gv_file_write(path, "this is no database, is it? ......", 34, 0600, NULL),
                     GV_OK);
    snprintf(why.text, sizeof why.text, "%s-wal", path);
    unlink(why.text);
    assert_int_equal(gv_db_open(&db, path, migrations, 2, &why), GV_ERR_MALFORMED);
}

static void rows_are(sqlite3 *db, int64_t rows)
{
    sqlite3_stmt *get = NULL;

    assert_int_equal(gv_db_prepare(db, &get, "SELECT count(*) FROM t", NULL), GV_OK);
    assert_int_equal(gv_db_step(get), 1);
    assert_int_equal(sqlite3_column_int64(get, 0), rows);
    sqlite3_finalize(get);
    assert_int_equal(gv_db_exec(db, "INSERT INTO t (b) VALUES ('x')", NULL), GV_ERR_IO);
    gv_db_close(db);
}

/* For reading alone: nothing comes to be beside the file, whatever its name is; a log is read
 * along. */
static void test_database_for_reading(void **state)
{
    static const char *const names[] = {"/a", "/b?mode=memory", "/c#d%41", "//e"};
    char here[] = "/tmp/gv-reading-XXXXXX", name[96], log[112], command[128];
    struct gv_text why;
    sqlite3 *db;

    assert_non_null(mkdtemp(here));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "%s%s%s", i == 3 ? "/" : "", here, names[i]);
        snprintf(log, sizeof log, "%s-wal", name);
        assert_int_equal(gv_db_open_reading(&db, name, migrations, 2, &why), GV_OK);
        rows_are(db, 0);
        assert_int_equal(access(name, F_OK), -1);
        assert_int_equal(gv_db_open(&db, name, migrations, 1, &why), GV_OK);
        gv_db_close(db);
        assert_int_equal(gv_db_open_reading(&db, name, migrations, 2, &why), GV_ERR_VERSION);
        assert_non_null(strstr(why.text, "older version"));
        assert_int_equal(gv_db_open(&db, name, migrations, 2, &why), GV_OK);
        assert_int_equal(gv_db_exec(db, "INSERT INTO t (b) VALUES ('x')", &why), GV_OK);
        gv_db_close(db);
        assert_int_equal(gv_db_open_reading(&db, name, migrations, 2, &why), GV_OK);
        rows_are(db, 1);
        assert_int_equal(access(log, F_OK), -1);
        assert_int_equal(gv_db_open(&db, name, migrations, 2, &why), GV_OK);
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* the log stays */
        assert_int_equal(gv_db_exec(db, "INSERT INTO t (b) VALUES ('y')", &why), GV_OK);
        gv_db_close(db);
        snprintf(command, sizeof command, "rm '%s-shm'", name);
        (void)!system(command);
        assert_int_equal(gv_db_open_reading(&db, name, migrations, 2, &why), GV_OK);
        rows_are(db, 2);
        assert_int_equal(access(log, F_OK), 0);
        assert_int_equal(gv_db_open_reading(&db, name, migrations, 1, &why), GV_ERR_VERSION);
    }
    snprintf(command, sizeof command, "rm -r %s", here);
    assert_int_equal(system(command), 0);
}

static void test_json(void **state)
{
    json_t *json;
    struct gv_text why;
    const char *text = "{\"s\":\"abc\",\"n\":7,\"neg\":-1,\"h\":\"00fF\",\"b\":\"AQI=\",\"t\":true,"
                       "\"null\":null,\"o\":{}}";
    const char *s = NULL;
    uint64_t n = 0;
    uint8_t bytes[4];
    size_t len;
    bool yes = false;

    assert_int_equal(gv_json_parse(&json, text, strlen(text), 1000, &why), GV_OK);
    assert_int_equal(gv_json_string(&s, json, "s", 3, &why), GV_OK);
    assert_int_equal(gv_json_string(&s, json, "s", 2, &why), GV_ERR_RANGE);
    assert_int_equal(gv_json_string(&s, json, "n", 9, &why), GV_ERR_MALFORMED);
    assert_string_equal(why.text, "\"n\" must be a string");
    assert_int_equal(gv_json_string(&s, json, "none", 9, &why), GV_ERR_NOT_FOUND);
    assert_int_equal(gv_json_string(&s, json, "null", 9, &why), GV_ERR_NOT_FOUND);
    assert_int_equal(gv_json_u64(&n, json, "n", 7, &why), GV_OK);
    assert_int_equal(gv_json_u64(&n, json, "n", 6, &why), GV_ERR_RANGE);
    assert_int_equal(gv_json_u64(&n, json, "neg", 6, &why), GV_ERR_RANGE);
    assert_int_equal(gv_json_bool(&yes, json, "t", &why), GV_OK);
    assert_true(yes);
    assert_int_equal(gv_json_hex(bytes, 2, json, "h", &why), GV_OK);
    assert_memory_equal(bytes, "\x00\xff", 2);
    assert_int_equal(gv_json_hex(bytes, 1, json, "h", &why), GV_ERR_RANGE);
    assert_int_equal(gv_json_hex(bytes, 3, json, "h", &why), GV_ERR_MALFORMED);
    assert_int_equal(gv_json_base64(bytes, 2, &len, json, "b", &why), GV_OK);
    assert_int_equal(len, 2);
    assert_int_equal(gv_json_base64(bytes, 1, &len, json, "b", &why), GV_ERR_MALFORMED);
    assert_int_equal(gv_json_base64(bytes, 4, &len, json, "s", &why), GV_ERR_MALFORMED);
    assert_int_equal(gv_json_string(&s, NULL, "s", 3, &why), GV_ERR_NOT_FOUND);
    json_decref(json);
    assert_int_equal(gv_json_parse(&json, "{\"a\":1,\"a\":2}", 13, 1000, &why), GV_ERR_MALFORMED);
    assert_int_equal(gv_json_parse(&json, "\"a\\u0000\"", 9, 1000, &why), GV_ERR_MALFORMED);
    assert_int_equal(gv_json_parse(&json, "{} x", 4, 1000, &why), GV_ERR_MALFORMED);
    /* The sentence quotes what was there, and is shown on terminals and sent as JSON. */
    assert_int_equal(gv_json_parse(&json, "{\x1b[2J\n}", 7, 1000, &why), GV_ERR_MALFORMED);
    assert_true(strstr(why.text, "\\x1b") && !strpbrk(why.text, "\x1b\n"));
    assert_int_equal(gv_json_parse(&json, "", 0, 1000, &why), GV_ERR_MALFORMED);
    assert_int_equal(gv_json_parse(&json, "[1]", 3, 2, &why), GV_ERR_RANGE);
    assert_int_equal(gv_json_parse(&json, "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", 34, 99, &why),
                     GV_ERR_RANGE);
    assert_int_equal(gv_json_parse(&json, "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", 32, 99, &why), GV_OK);
    json_decref(json);
}

static void test_base64_of_every_length(void **state)
{
    uint8_t in[20], out[20];
    size_t len;

    for (size_t n = 0; n <= sizeof in; n++) {
        randombytes_buf(in, sizeof in);
        char *text = gv_base64(in, n);
        assert_int_equal(gv_unbase64(out, n, &len, text), GV_OK); /* exactly enough room */
        assert_int_equal(len, n);
        assert_memory_equal(in, out, n);
        if (n > 0)
            assert_int_not_equal(gv_unbase64(out, n - 1, &len, text), GV_OK);
        free(text);
    }
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_lines_are_made_safe),
        WITH(test_log_output),
        WITH(test_a_key_file),
        WITH(test_folders_above_a_key),
        WITH(test_who_can_write_a_file),
        WITH(test_files),
        WITH(test_database),
        WITH(test_database_for_reading),
        WITH(test_json),
        cmocka_unit_test(test_base64_of_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
