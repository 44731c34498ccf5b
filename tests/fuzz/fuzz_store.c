/* A node's store and a backup of it as files that somebody, or a bad disk, has changed. Byte 0
 * picks what is done with it: 0  the daemon opens, mends and loads it 1  it is restored as a backup
 *   2  it is salvaged
 * A backup is sealed anew after that, so that what lies behind the seal is reached too; with 64 set
 * in byte 0 it is not. The rest is applied to a genuine file of 30 rows: triplets (two bytes of
 * offset, one to exclusive- or) over its pages; offset 65535 cuts the file. With byte 0 from 128 on
 * the edits are made in the rows instead, by SQL: a plain change of bytes would mostly stop at
 * SQLite's own checks.
 *
 * Whatever is done: a row that comes out is one that went in, under the same key, because its MAC
 * says so; and what is in place afterwards is a store that opens. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/backup.h"
#include "node/base/backup_seal.h"
#include "node/base/db.h"
#include "node/base/file.h"
#include "node/base/keyfile.h"
#include "node/base/log.h"
#include "node/base/store.h"
#include "node/host/persist.h"

#define ROWS 30

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/dev/shm/gv-fuzz-XXXXXX";
static char store[64], backup[64];
static struct gv_identity identity;
static struct gv_buf genuine[2]; /* the files: a store, a backup */

static void remove_folder(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays behind\n", folder);
}

/* Row n: its table, key and value follow from n. */
static void row_of(unsigned n, enum gv_row *row, uint8_t key[17], uint8_t value[60])
{
    static const enum gv_row rows[] = {GV_ROW_RECORD, GV_ROW_HISTORY, GV_ROW_LIST, GV_ROW_PEER,
                                       GV_ROW_SENT};

    *row = rows[n % 5];
    memset(key, (int)(n + 1), 17);
    memset(value, (int)(n + 101), 60);
    value[0] = (uint8_t)(n % 7 + 1);
}

static void fill(void)
{
    struct gv_persist *persist;
    struct gv_effects effects;
    uint8_t key[17], value[60];
    enum gv_row row;

    gv_assert(gv_persist_open(&persist, store, identity.store_key, NULL) == GV_OK);
    gv_effects_init(&effects);
    for (unsigned n = 0; n < ROWS; n++) {
        row_of(n, &row, key, value);
        gv_effect_persist(&effects, row, key, sizeof key, value, sizeof value);
    }
    gv_assert(gv_persist_keep(persist, "/var/log/mail.log", "0123456789", 10) == GV_OK);
    gv_assert(gv_persist_commit(persist, &effects, 1795348800000u, NULL) == GV_OK);
    gv_effects_free(&effects);
    gv_persist_close(persist);
}

static void prepare(void)
{
    char key_path[64];
    uint8_t secret[GV_SECRET_LEN];
    bool fresh;

    gv_assert(mkdtemp(folder));
    atexit(remove_folder);
    gv_log_open("fuzz", 0);
    snprintf(store, sizeof store, "%s/store.db", folder);
    snprintf(backup, sizeof backup, "%s/backup", folder);
    snprintf(key_path, sizeof key_path, "%s/key", folder);
    gv_assert(gv_keyfile_ensure(secret, &fresh, key_path, NULL) == GV_OK);
    gv_identity_from_secret(&identity, secret);
    fill();
    gv_assert(gv_backup_make(folder, backup, NULL) == GV_OK);
    gv_assert(gv_file_read(&genuine[0], store, 1 << 20, NULL) == GV_OK);
    gv_assert(gv_file_read(&genuine[1], backup, 1 << 20, NULL) == GV_OK);
}

/* ---- the changes ---------------------------------------------------------------------------- */

static void change_bytes(const char *path, const struct gv_buf *from, const uint8_t *data,
                         size_t size)
{
    size_t len = from->len;
    uint8_t *copy = malloc(len);

    gv_assert(copy);
    memcpy(copy, from->data, len);
    for (; size >= 3; data += 3, size -= 3) {
        size_t at = (size_t)(data[0] << 8 | data[1]);
        if (at == 65535)
            len = len * data[2] / 256;
        else
            copy[at % from->len] ^= data[2];
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    gv_assert(fd >= 0 && write(fd, copy, len) == (ssize_t)len);
    close(fd);
    free(copy);
}

/* Who can write to the file, and does not have the key. */
static void change_rows(const char *path, const uint8_t *data, size_t size)
{
    static const char *const orders[] = {
        "UPDATE record SET value = randomblob(%u) WHERE length(value) > 9",
        "UPDATE record SET kind = %u",
        "UPDATE history SET key = zeroblob(%u) WHERE key = (SELECT min(key) FROM history)",
        "INSERT OR REPLACE INTO list SELECT key, value, mac FROM record LIMIT %u",
        "INSERT OR REPLACE INTO peer SELECT key, value, mac FROM history LIMIT %u",
        "UPDATE peer SET mac = zeroblob(%u)",
        "UPDATE list SET value = 'text %u'",
        "UPDATE sent SET created_ms = -%u",
        "UPDATE kept SET value = %u",
        "PRAGMA user_version = %u",
        "DROP TABLE history",
        "DELETE FROM record",
        "INSERT INTO record SELECT zeroblob(%u + 70000), 3, value, mac FROM record LIMIT 1",
        "CREATE TRIGGER t AFTER INSERT ON list BEGIN DELETE FROM record; END",
        "CREATE VIEW v%u AS SELECT 1",
        "UPDATE backup SET store_key = zeroblob(%u)",
        "UPDATE self SET value = zeroblob(%u)",
    };
    sqlite3 *db;
    char sql[256];

    gv_assert(sqlite3_open(path, &db) == SQLITE_OK);
    sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    for (; size >= 2; data += 2, size -= 2) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(sql, sizeof sql, orders[data[0] % (sizeof orders / sizeof *orders)], data[1]);
#pragma GCC diagnostic pop
        sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
    sqlite3_close(db);
}

static void change(const char *path, const struct gv_buf *from, const uint8_t *data, size_t size)
{
    if (data[0] < 128) {
        change_bytes(path, from, data + 1, size - 1);
    } else {
        change_bytes(path, from, NULL, 0);
        change_rows(path, data + 1, size - 1);
    }
}

/* A checksum without a key: whoever changes a backup on purpose makes that anew as well. */
static void change_backup(const uint8_t *data, size_t size)
{
    bool as_it_is = data[0] & 64;
    struct gv_buf bytes = genuine[1];

    gv_assert(bytes.len > GV_BACKUP_SEAL_LEN);
    bytes.len -= as_it_is ? 0 : GV_BACKUP_SEAL_LEN;
    change(backup, &bytes, data, size);
    if (!as_it_is)
        gv_assert(gv_backup_seal(backup, NULL) == GV_OK);
}

/* ---- what comes out ------------------------------------------------------------------------- */

static void on_row(void *context, enum gv_row row, const uint8_t *key, size_t key_len,
                   const uint8_t *value, size_t value_len)
{
    uint8_t its_key[17], its_value[60];
    enum gv_row its_row;

    (void)context;
    gv_assert(key_len == sizeof its_key && key[0] >= 1 && key[0] <= ROWS);
    row_of(key[0] - 1u, &its_row, its_key, its_value);
    gv_assert(row == its_row && memcmp(key, its_key, key_len) == 0);
    gv_assert(value_len == sizeof its_value && memcmp(value, its_value, value_len) == 0);
}

static void load(void)
{
    struct gv_persist *persist;
    struct gv_text why = {""};
    char kept[10];
    size_t bad = 0;
    int rc = gv_persist_open(&persist, store, identity.store_key, &why);

    if (rc != GV_OK) {
        gv_assert(why.text[0] && rc != GV_ERR_MALFORMED); /* which is mended */
        return;
    }
    (void)gv_persist_load(persist, on_row, NULL, &bad, NULL);
    if (gv_persist_kept(persist, "/var/log/mail.log", kept, sizeof kept) == GV_OK)
        gv_assert(memcmp(kept, "0123456789", 10) == 0);
    gv_persist_close(persist);
}

/* All but the key; nothing half-done may be there. */
static void clean(void)
{
    char path[400];
    struct dirent *entry;
    DIR *dir = opendir(folder);

    gv_assert(dir);
    while ((entry = readdir(dir))) {
        gv_assert(strcmp(entry->d_name, "restore.part") != 0 &&
                  strcmp(entry->d_name, "store.db.new") != 0);
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "key") != 0)
            gv_assert(unlink(path) == 0);
    }
    closedir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_backup_report report;
    struct gv_text why = {""};

    if (size == 0)
        return 0;
    if (!genuine[0].data)
        prepare();
    switch (data[0] % 3) {
    case 0:
        change(store, &genuine[0], data, size);
        break;
    case 1:
        change_backup(data, size);
        if (gv_backup_restore(&report, folder, backup, &why) != GV_OK)
            gv_assert(why.text[0] && access(store, F_OK) != 0);
        break;
    default:
        change(store, &genuine[0], data, size);
        (void)gv_store_salvage(store, identity.store_key, &why);
    }
    load();
    clean();
    return 0;
}
