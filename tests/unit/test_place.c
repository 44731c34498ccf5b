/* The store's files under their names (SPEC 9.7), where not even looking at them or putting one in
 * another's place succeeds.
 *
 * The linker wraps lstat and gv_file_sync_folder of this program (tests/CMakeLists.txt). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/store.h"
#include "node/host/persist.h"

int __real_lstat(const char *path, struct stat *out);
int __wrap_lstat(const char *path, struct stat *out);
int __real_gv_file_sync_folder(const char *path);
int __wrap_gv_file_sync_folder(const char *path);

static int looks_fail, syncs_fail; /* errno, 0: they do not */

int __wrap_lstat(const char *path, struct stat *out)
{
    if (looks_fail && strstr(path, "store.db")) {
        errno = looks_fail;
        return -1;
    }
    return __real_lstat(path, out);
}

int __wrap_gv_file_sync_folder(const char *path)
{
    if (syncs_fail) {
        errno = syncs_fail;
        return -1;
    }
    return __real_gv_file_sync_folder(path);
}

static char folder[64], store[80];
static const uint8_t store_key[GV_KEY_LEN] = {7};

static int setup(void **state)
{
    looks_fail = syncs_fail = 0;
    snprintf(folder, sizeof folder, "/tmp/gv-place-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(store, sizeof store, "%s/store.db", folder);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static size_t count_names(const char *part)
{
    DIR *list = opendir(folder);
    struct dirent *entry;
    size_t count = 0;

    assert_non_null(list);
    while ((entry = readdir(list)))
        count += entry->d_name[0] != '.' && strstr(entry->d_name, part) != NULL;
    closedir(list);
    return count;
}

static char *beside(const char *suffix)
{
    static char path[128];

    snprintf(path, sizeof path, "%s%s", store, suffix);
    return path;
}

static void put(const char *suffix, const char *text)
{
    assert_int_equal(gv_file_write(beside(suffix), text, strlen(text), 0600, NULL), GV_OK);
}

static void holds(const char *suffix, const char *text)
{
    struct gv_buf bytes;

    gv_buf_init(&bytes);
    assert_int_equal(gv_file_read(&bytes, beside(suffix), 100, NULL), GV_OK);
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.len);
    gv_buf_free(&bytes);
}

/* What cannot be put in place leaves everything as it was, however often it is tried. */
static void what_fails_leaves_no_names(void **state)
{
    char fresh[96], aside[128];
    struct gv_text error;

    put("", "damaged");
    put("-wal", "its log");
    put(".new", "mended");
    assert_int_equal(mkdir(beside("-shm"), 0700), 0);
    snprintf(fresh, sizeof fresh, "%s.new", store);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(gv_store_replace(store, fresh, "corrupt", aside, sizeof aside, &error),
                         GV_ERR_IO);
        assert_non_null(strstr(error.text, "store.db-shm: "));
        assert_int_equal(count_names(""), 4);
        holds("", "damaged");
        holds("-wal", "its log");
    }
    assert_int_equal(rmdir(beside("-shm")), 0);
    assert_int_equal(gv_store_replace(store, fresh, "corrupt", aside, sizeof aside, &error), GV_OK);
    holds("", "mended");
    assert_int_equal(count_names(""), 3);
    assert_int_equal(count_names(".corrupt-"), 2);
}

static struct gv_persist *open_store(void)
{
    struct gv_persist *persist = NULL;

    assert_int_equal(gv_persist_open(&persist, store, store_key, NULL), GV_OK);
    return persist;
}

static void expect_kept(struct gv_persist *persist, uint8_t wanted)
{
    uint8_t value = 0;

    assert_int_equal(gv_persist_kept(persist, "value", &value, 1), GV_OK);
    assert_int_equal(value, wanted);
}

static int keep(struct gv_persist *persist, uint8_t value, struct gv_text *error)
{
    struct gv_effects none;

    memset(&none, 0, sizeof none);
    assert_int_equal(gv_persist_keep(persist, "value", &value, 1), GV_OK);
    return gv_persist_commit(persist, &none, 1000, error);
}

/* A folder that cannot be synced: the file is in place, and is not copied again with each commit.
 */
static void a_folder_that_cannot_be_synced(void **state)
{
    struct gv_persist *persist = open_store();
    struct gv_text error = {""};

    assert_int_equal(keep(persist, 1, &error), GV_OK);
    put(".other", "somebody's");
    assert_int_equal(rename(beside(".other"), store), 0);
    syncs_fail = EIO;
    for (uint8_t i = 2; i < 6; i++)
        assert_int_equal(keep(persist, i, &error), GV_OK);
    assert_int_equal(count_names(".replaced-"), 1);
    assert_int_equal(count_names(".new"), 0);
    syncs_fail = 0;
    gv_persist_close(persist);
    persist = open_store();
    expect_kept(persist, 5);
    gv_persist_close(persist);
}

/* Who cannot look does not know that it is gone: nothing is touched, and it goes on afterwards. */
static void what_cannot_be_looked_at_is_not_replaced(void **state)
{
    static const int numbers[] = {EACCES, EIO, ENOMEM};
    struct gv_persist *persist = open_store();
    struct gv_text error = {""};

    assert_int_equal(keep(persist, 1, &error), GV_OK);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        looks_fail = numbers[i];
        assert_int_equal(keep(persist, 2, &error), GV_ERR_IO);
        assert_non_null(strstr(error.text, strerror(numbers[i])));
        looks_fail = 0;
        assert_int_equal(count_names(".replaced-"), 0);
        assert_int_equal(keep(persist, (uint8_t)(3 + i), &error), GV_OK);
    }
    expect_kept(persist, 5);
    gv_persist_close(persist);
    assert_int_equal(count_names(""), 1);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(what_fails_leaves_no_names),
        WITH(a_folder_that_cannot_be_synced),
        WITH(what_cannot_be_looked_at_is_not_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
