#include "helper_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "crypto/error.h"
#include "node/base/file.h"

int store_setup(void **state)
{
    struct store *s = calloc(1, sizeof *s);
    uint8_t secret[GV_SECRET_LEN];

    memset(secret, 7, sizeof secret);
    gv_identity_from_secret(&s->identity, secret);
    /* In memory, if there is such a folder: hundreds of files are made safe here. */
    snprintf(s->folder, sizeof s->folder, "%s/gv-store-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->path, sizeof s->path, "%s/store.db", s->folder);
    gv_effects_init(&s->effects);
    *state = s;
    return 0;
}

int store_teardown(void **state)
{
    struct store *s = *state;
    char command[128];

    gv_persist_close(s->persist);
    gv_effects_free(&s->effects);
    snprintf(command, sizeof command, "rm -rf %s", s->folder);
    assert_int_equal(system(command), 0);
    free(s);
    return 0;
}

int store_try(struct store *s, struct gv_text *error)
{
    gv_persist_close(s->persist);
    s->persist = NULL;
    return gv_persist_open(&s->persist, s->path, s->identity.store_key, error);
}

void store_open(struct store *s)
{
    struct gv_text error = {""};

    if (store_try(s, &error) != GV_OK)
        fail_msg("%s", error.text);
}

void store_close(struct store *s)
{
    gv_persist_close(s->persist);
    s->persist = NULL;
}

void store_sql(struct store *s, const char *text)
{
    sqlite3 *db = NULL;
    char *error = NULL;

    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%.200s: %s", text, error);
    sqlite3_close(db);
}

long long store_number(struct store *s, const char *text)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;

    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    long long value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return value;
}

static void on_row(void *context, enum gv_row row, const uint8_t *key, size_t key_len,
                   const uint8_t *value, size_t value_len)
{
    struct counts *counts = context;

    counts->of[row]++;
}

struct counts store_load(struct store *s, size_t *bad)
{
    struct counts counts = {{0}};
    struct gv_text error = {""};

    if (gv_persist_load(s->persist, on_row, &counts, bad, &error) != GV_OK)
        fail_msg("%s", error.text);
    return counts;
}

void store_commit(struct store *s, uint64_t unix_ms)
{
    struct gv_text error = {""};

    if (gv_persist_commit(s->persist, &s->effects, unix_ms, &error) != GV_OK)
        fail_msg("%s", error.text);
    gv_effects_clear(&s->effects);
}

size_t store_count_aside(const struct store *s, const char *word)
{
    DIR *folder = opendir(s->folder);
    struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(folder)))
        count += strstr(entry->d_name, word) && !strstr(entry->d_name, "-wal");
    closedir(folder);
    return count;
}

void store_rows(struct store *s, unsigned first, unsigned count, bool forget)
{
    uint8_t key[9] = {4}, value[120] = {1};

    for (unsigned i = first; i < count; i++) {
        key[1] = (uint8_t)(i >> 8);
        key[2] = (uint8_t)i;
        if (forget)
            gv_effect_forget(&s->effects, GV_ROW_HISTORY, key, sizeof key);
        else
            gv_effect_persist(&s->effects, GV_ROW_HISTORY, key, sizeof key, value, sizeof value);
    }
}

void store_some_rows(struct store *s, unsigned count, bool forget)
{
    store_rows(s, 0, count, forget);
}

/* So many rows, a list entry, a sequence number, a place in a log. */
void store_fill_with(struct store *s, unsigned rows)
{
    uint64_t place = 4711;

    store_open(s);
    store_some_rows(s, rows, false);
    gv_effect_persist(&s->effects, GV_ROW_LIST, "entry", 5, NULL, 0);
    gv_effect_persist(&s->effects, GV_ROW_SELF, "\1", 1, "12345678", 8);
    assert_int_equal(gv_persist_keep(s->persist, "log /x", &place, sizeof place), GV_OK);
    store_commit(s, NOW);
}

void store_fill(struct store *s)
{
    store_fill_with(s, 2000);
}

void store_overwrite(const struct store *s, off_t at, size_t len)
{
    uint8_t *rubbish = malloc(len);
    int fd = open(s->path, O_WRONLY);

    memset(rubbish, 0xa5, len);
    assert_int_equal(pwrite(fd, rubbish, len, at), (ssize_t)len);
    close(fd);
    free(rubbish);
}

off_t store_size(const struct store *s)
{
    struct stat info;

    assert_int_equal(stat(s->path, &info), 0);
    return info.st_size;
}

void store_copy(const struct store *s, const char *from, const char *to)
{
    char command[400];

    snprintf(command, sizeof command, "cp %s%s %s%s", s->path, from, s->path, to);
    assert_int_equal(system(command), 0);
}
