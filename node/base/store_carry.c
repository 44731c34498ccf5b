/* Carrying the rows of one store into another, and changing files without losing either. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/db.h"
#include "node/base/file.h"
#include "node/base/log.h"
#include "node/base/store.h"
#include "node/base/store_scan.h"
#include "proto/event.h"

#define PATH_MAX_LEN 4096

/* ---- rows ----------------------------------------------------------------------------------- */

/* Column 0 is the key, 1 the value, 2 the MAC; up to three more go along as they are. `at`: where
 * these stand in a record as it lies on the disk, of `columns` (the primary key first). */
static const struct table {
    uint8_t number;
    const char *name, *key, *more;
    int more_count;
    size_t columns;
    uint8_t at[6];
} tables[] = {
    {GV_ROW_RECORD, "record", "key", ", kind", 1, 4, {0, 2, 3, 1}},
    {GV_ROW_HISTORY, "history", "key", "", 0, 3, {0, 1, 2}},
    {GV_ROW_LIST, "list", "key", "", 0, 3, {0, 1, 2}},
    {GV_ROW_PEER, "peer", "key", "", 0, 3, {0, 1, 2}},
    {GV_ROW_SENT, "sent", "key", ", created_ms, sent_ms, preview", 3, 7, {1, 2, 3, 4, 5, 6}},
    {GV_ROW_ACK, "ack", "key", ", acked_ms", 1, 4, {0, 1, 2, 3}},
    {GV_ROW_RECORD, "journal", "key", ", subject, left_ms", 2, 5, {0, 1, 2, 3, 4}},
    {GV_STORE_STATISTIC, "statistic", "key", "", 0, 3, {0, 1, 2}},
    {GV_STORE_KEPT, "kept", "name", "", 0, 3, {0, 1, 2}},
};
#define TABLES (sizeof tables / sizeof *tables)

static int prepare_insert(struct gv_store_carry *carry, sqlite3_stmt **insert,
                          const struct table *table, struct gv_text *error)
{
    static const char *const marks[] = {"?, ?, ?", "?, ?, ?, ?", "?, ?, ?, ?, ?",
                                        "?, ?, ?, ?, ?, ?"};
    char sql[256];

    snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO %s (%s, value, mac%s) VALUES (%s)",
             table->name, table->key, table->more, marks[table->more_count]);
    return gv_db_prepare(carry->to, insert, sql, error);
}

struct mac_keys {
    struct gv_hmac_state from, to;
};

static int put(struct gv_store_carry *carry, sqlite3_stmt *insert, sqlite3_stmt *row,
               const struct table *table, const struct mac_keys *keys)
{
    const void *key = sqlite3_column_blob(row, 0), *value = sqlite3_column_blob(row, 1);
    size_t key_len = (size_t)sqlite3_column_bytes(row, 0);
    size_t value_len = (size_t)sqlite3_column_bytes(row, 1);
    uint8_t mac[GV_STORE_MAC], found[GV_STORE_MAC];

    if (!key || key_len > UINT16_MAX || gv_db_blob(row, 2, found, sizeof found) != GV_OK) {
        carry->bad++;
        return GV_OK;
    }
    gv_store_mac(mac, &keys->from, table->number, key, key_len, value, value_len);
    if (!gv_equal_secret(mac, found, sizeof mac)) {
        carry->bad++;
        return GV_OK;
    }
    if (!insert) {
        carry->carried++;
        return GV_OK;
    }
    gv_store_mac(mac, &keys->to, table->number, key, key_len, value, value_len);
    int code = sqlite3_bind_value(insert, 1, sqlite3_column_value(row, 0));
    if (code == SQLITE_OK)
        code = sqlite3_bind_value(insert, 2, sqlite3_column_value(row, 1));
    if (code == SQLITE_OK)
        code = sqlite3_bind_blob(insert, 3, mac, sizeof mac, SQLITE_TRANSIENT);
    for (int i = 0; i < table->more_count && code == SQLITE_OK; i++)
        code = sqlite3_bind_value(insert, 4 + i, sqlite3_column_value(row, 3 + i));
    if (code != SQLITE_OK)
        return GV_ERR_IO;
    int rc = gv_db_step(insert);
    carry->carried += rc == GV_OK && sqlite3_changes(carry->to) > 0;
    return rc;
}

/* One way through a table. *end: it was read to its end. */
static int carry_pass(struct gv_store_carry *carry, const struct table *table, const char *order,
                      bool *end, struct gv_text *error)
{
    char sql[256];
    sqlite3_stmt *row = NULL, *insert = NULL;
    struct mac_keys keys;
    int rc, read;

    *end = false;
    gv_store_mac_key(&keys.from, carry->from_key);
    if (carry->to)
        gv_store_mac_key(&keys.to, carry->to_key);
    rc = carry->to ? prepare_insert(carry, &insert, table, error) : GV_OK;
    if (rc != GV_OK)
        goto out;
    snprintf(sql, sizeof sql, "SELECT %s, value, mac%s FROM %s ORDER BY %s %s", table->key,
             table->more, table->name, strcmp(table->name, "sent") == 0 ? "number" : table->key,
             order);
    read = gv_db_prepare(carry->from, &row, sql, error);
    while (read >= 0 && (read = gv_db_step(row)) == 1) {
        rc = put(carry, insert, row, table, &keys);
        if (rc != GV_OK) {
            sqlite3 *at = carry->to ? carry->to : carry->from; /* NULL: rows are only verified */
            gv_fail(error, rc, "%s: %s", sqlite3_db_filename(at, "main"),
                    rc == GV_ERR_MEMORY ? "out of memory" : gv_db_said(at));
            goto out;
        }
    }
    *end = read == 0;
    if (read < 0 && !carry->damaged)
        rc = gv_fail(error, read, "%s: %s", sqlite3_db_filename(carry->from, "main"),
                     gv_db_said(carry->from));
out:
    sqlite3_finalize(row);
    sqlite3_finalize(insert);
    gv_wipe(&keys, sizeof keys);
    return rc;
}

/* A damaged page ends the way from either side; what lies beyond it is reached from the other. */
static int carry_table(struct gv_store_carry *carry, const struct table *table,
                       struct gv_text *error)
{
    bool end;
    int rc = carry_pass(carry, table, "ASC", &end, error);

    if (rc == GV_OK && !end) {
        carry->complete = false;
        rc = carry_pass(carry, table, "DESC", &end, error);
    }
    return rc;
}

/* ---- what stands on the pages, whatever SQLite says ----------------------------------------- */

struct found {
    struct gv_store_carry *carry;
    sqlite3_stmt *inserts[TABLES];
    struct gv_hmac_state mac_key; /* secret; that of both files */
    int rc;
};

static int bind_field(sqlite3_stmt *insert, int place, const struct gv_store_field *field)
{
    switch (field->kind) {
    case GV_STORE_NUMBER:
        return sqlite3_bind_int64(insert, place, field->number);
    case GV_STORE_BLOB:
        return sqlite3_bind_blob64(insert, place, field->len ? (const void *)field->data : "",
                                   field->len, SQLITE_TRANSIENT);
    case GV_STORE_TEXT:
        return sqlite3_bind_text64(insert, place, (const char *)field->data, field->len,
                                   SQLITE_TRANSIENT, SQLITE_UTF8);
    default:
        return sqlite3_bind_null(insert, place);
    }
}

static bool fits(const struct table *table, const struct gv_store_field *fields, size_t count)
{
    const struct gv_store_field *key = &fields[table->at[0]], *value = &fields[table->at[1]];

    return count == table->columns && key->len <= UINT16_MAX &&
           key->kind == (table->number == GV_STORE_KEPT ? GV_STORE_TEXT : GV_STORE_BLOB) &&
           value->kind == GV_STORE_BLOB && fields[table->at[2]].kind == GV_STORE_BLOB &&
           fields[table->at[2]].len == GV_STORE_MAC;
}

static bool on_found(void *context, const struct gv_store_field *fields, size_t count)
{
    struct found *found = context;
    struct gv_store_carry *carry = found->carry;
    uint8_t mac[GV_STORE_MAC];

    for (size_t i = 0; i < TABLES; i++) {
        const struct table *t = &tables[i];
        if (!fits(t, fields, count))
            continue;
        const struct gv_store_field *key = &fields[t->at[0]], *value = &fields[t->at[1]];
        gv_store_mac(mac, &found->mac_key, t->number, key->data, key->len, value->data, value->len);
        if (!gv_equal_secret(mac, fields[t->at[2]].data, sizeof mac))
            continue;
        int code = SQLITE_OK;
        for (int c = 0; c < 3 + t->more_count && code == SQLITE_OK; c++)
            code = bind_field(found->inserts[i], c + 1, &fields[t->at[c]]);
        found->rc = code == SQLITE_OK ? gv_db_step(found->inserts[i]) : GV_ERR_IO;
        carry->carried += found->rc == GV_OK && sqlite3_changes(carry->to) > 0;
        return found->rc == GV_OK;
    }
    return true;
}

static int scan_pages(struct gv_store_carry *carry, const struct gv_store_pages *pages,
                      struct gv_text *error)
{
    struct found found = {.carry = carry};
    int rc = GV_OK;

    gv_store_mac_key(&found.mac_key, carry->from_key);
    for (size_t i = 0; i < TABLES && rc == GV_OK; i++)
        rc = prepare_insert(carry, &found.inserts[i], &tables[i], error);
    if (rc == GV_OK)
        rc = gv_store_scan(pages->file, pages->file_len, pages->log, pages->log_len, on_found,
                           &found);
    if (rc == GV_OK && found.rc != GV_OK)
        rc = gv_fail(error, found.rc, "%s: %s", sqlite3_db_filename(carry->to, "main"),
                     gv_db_said(carry->to));
    for (size_t i = 0; i < TABLES; i++)
        sqlite3_finalize(found.inserts[i]);
    gv_wipe(&found.mac_key, sizeof found.mac_key);
    return rc;
}

static int carry_tables(struct gv_store_carry *carry, struct gv_text *error)
{
    int rc = GV_OK;

    for (size_t i = 0; carry->from && i < TABLES && rc == GV_OK; i++)
        if (tables[i].number != GV_STORE_KEPT || carry->positions)
            rc = carry_table(carry, &tables[i], error);
    return rc;
}

int gv_store_carry(struct gv_store_carry *carry, struct gv_text *error)
{
    const struct gv_store_pages *pages = carry->pages;

    carry->carried = carry->bad = 0;
    carry->complete = true;
    int rc = carry->to ? gv_db_exec(carry->to, "BEGIN IMMEDIATE", error) : GV_OK;

    /* What comes first stays. SQLite knows which page is of the tree; but not what a log held after
     * the frame that does not verify. */
    bool newer = pages && gv_store_log_damaged(pages->log, pages->log_len);
    if (rc == GV_OK && newer)
        rc = scan_pages(carry, pages, error);
    if (rc == GV_OK)
        rc = carry_tables(carry, error);
    if (rc == GV_OK && pages && !newer)
        rc = scan_pages(carry, pages, error);
    if (rc == GV_OK && carry->to)
        rc = gv_db_exec(carry->to, "COMMIT", error);
    if (rc != GV_OK && carry->to)
        sqlite3_exec(carry->to, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* Another user's file, a folder, or a file system where files have one name. */
static bool has_one_name(int number)
{
    return number == EPERM || number == EOPNOTSUPP || number == ENOSYS || number == EMLINK;
}

static int keep_aside(const char *path, const char *aside, const char *suffix,
                      struct gv_text *error)
{
    char from[PATH_MAX_LEN], to[PATH_MAX_LEN];

    snprintf(from, sizeof from, "%s%s", path, suffix);
    snprintf(to, sizeof to, "%s%s", aside, suffix);
    if (link(from, to) == 0 || errno == ENOENT)
        return GV_OK;
    if (has_one_name(errno) && rename(from, to) == 0)
        return GV_OK;
    return gv_fail(error, GV_ERR_IO, "%s: cannot be kept as %s: %s", from, to, strerror(errno));
}

/* As it was before: it is tried again every few seconds, and would leave a name each time; and a
 * damaged file is read again with its log. */
static void take_back_one(const char *path, const char *aside, const char *suffix)
{
    char from[PATH_MAX_LEN], to[PATH_MAX_LEN];
    struct stat one, other;

    snprintf(from, sizeof from, "%s%s", path, suffix);
    snprintf(to, sizeof to, "%s%s", aside, suffix);
    if (lstat(to, &other) != 0)
        return;
    if (lstat(from, &one) != 0)
        (void)rename(to, from);
    else if (one.st_ino == other.st_ino && one.st_dev == other.st_dev)
        unlink(to);
}

static void take_back(const char *path, char *aside)
{
    if (!*aside)
        return;
    take_back_one(path, aside, "");
    take_back_one(path, aside, "-wal");
    *aside = 0;
}

static int fail_to_replace(const char *path, char *aside, const char *what, struct gv_text *error)
{
    int rc = gv_fail(error, GV_ERR_IO, "%s: %s", what, gv_file_error(errno));

    take_back(path, aside);
    return rc;
}

int gv_store_replace(const char *path, const char *fresh, const char *word, char *aside,
                     size_t aside_len, struct gv_text *error)
{
    char other[PATH_MAX_LEN];

    aside[0] = 0;
    if (access(path, F_OK) == 0) {
        gv_file_aside_name(aside, aside_len, path, word);
        int rc = keep_aside(path, aside, "", error);
        if (rc == GV_OK)
            rc = keep_aside(path, aside, "-wal", error);
        if (rc != GV_OK) {
            take_back(path, aside);
            return rc;
        }
    }
    /* The new file must never meet the old one's log, which SQLite would play into it. Both are
     * linked under their other names by now. */
    static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(other, sizeof other, "%s%s", path, suffixes[i]);
        if (unlink(other) != 0 && errno != ENOENT)
            return fail_to_replace(path, aside, other, error);
    }
    if (rename(fresh, path) != 0)
        return fail_to_replace(path, aside, path, error);
    if (gv_file_sync_folder(path) != 0) /* it is done: to do it again would be a second copy */
        gv_log(GV_LOG_WARNING, "%s: its folder cannot be synced: %s", path, gv_file_error(errno));
    return GV_OK;
}

/* ---- a damaged store ------------------------------------------------------------------------ */

/* Opens it as it is, its log included, and leaves it so: no checkpoint, now or at the end. */
static sqlite3 *open_damaged(const char *path)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) ==
        SQLITE_OK) {
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_exec(db, "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF", NULL, NULL, NULL);
    }
    return db;
}

/* NULL, 0 when it is empty, absent, or no regular file. */
static const uint8_t *map_file(size_t *len, const char *path, const char *suffix)
{
    char name[PATH_MAX_LEN];
    struct stat info;
    void *data = MAP_FAILED;

    *len = 0;
    if ((size_t)snprintf(name, sizeof name, "%s%s", path, suffix) >= sizeof name)
        return NULL;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED)
        return NULL;
    *len = (size_t)info.st_size;
    return data;
}

static void unmap_file(const uint8_t *data, size_t len)
{
    if (data)
        munmap((void *)(uintptr_t)data, len);
}

int gv_store_check_log(const char *path, struct gv_text *error)
{
    size_t len;
    const uint8_t *log = map_file(&len, path, "-wal");
    bool damaged = gv_store_log_damaged(log, len);

    unmap_file(log, len);
    return !damaged ? GV_OK
                    : gv_fail(error, GV_ERR_MALFORMED,
                              "%s-wal: the log is damaged, and more was written after that", path);
}

int gv_store_salvage(const char *path, const uint8_t store_key[GV_KEY_LEN], struct gv_text *error)
{
    char fresh[PATH_MAX_LEN], aside[PATH_MAX_LEN];
    struct gv_store_carry carry = {
        .from_key = store_key, .to_key = store_key, .damaged = true, .positions = true};
    struct gv_store_pages pages;
    struct gv_text why = {""};

    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh)
        return gv_fail(error, GV_ERR_RANGE, "%.64s...: the path is too long", path);
    unlink(fresh); /* of a salvage that was cut short */
    int rc = gv_store_open(&carry.to, fresh, &why);
    if (rc == GV_OK) { /* one file, no log beside it, before it gets its name */
        pages.file = map_file(&pages.file_len, path, ""); /* before SQLite changes anything */
        pages.log = map_file(&pages.log_len, path, "-wal");
        carry.pages = &pages;
        carry.from = open_damaged(path);
        rc = gv_store_carry(&carry, &why);
        unmap_file(pages.file, pages.file_len);
        unmap_file(pages.log, pages.log_len);
    }
    if (rc == GV_OK)
        rc = gv_db_exec(carry.to, "PRAGMA journal_mode = DELETE", &why);
    sqlite3_close(carry.from);
    gv_db_close(carry.to);
    if (rc == GV_OK)
        rc = gv_store_replace(path, fresh, "corrupt", aside, sizeof aside, &why);
    if (rc != GV_OK) {
        unlink(fresh);
        return gv_fail(error, rc == GV_ERR_MEMORY ? rc : GV_ERR_IO,
                       "the store is damaged and could not be mended: %s", why.text);
    }
    gv_log(GV_LOG_ERROR,
           "%s is damaged and is set aside as %s; %zu rows were saved from it%s. What the mesh "
           "holds comes back by itself; look after the disk",
           path, aside, carry.carried, carry.bad ? ", others were changed and are left out" : "");
    return GV_OK;
}
