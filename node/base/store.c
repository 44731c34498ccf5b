#include "node/base/store.h"

#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "node/base/db.h"

/* migrations[i] brings user_version i to i + 1; what has been released is never changed.
 * `kind` repeats the first byte of the value, and is not under its MAC: nothing reads it. */
static const char *const migrations[] = {
    "CREATE TABLE record (key BLOB PRIMARY KEY, kind INTEGER NOT NULL, value BLOB NOT NULL,"
    "                     mac BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE history (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL)"
    "    WITHOUT ROWID;"
    "CREATE TABLE list (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL)"
    "    WITHOUT ROWID;"
    "CREATE TABLE self (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL)"
    "    WITHOUT ROWID;"
    "CREATE TABLE peer (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL)"
    "    WITHOUT ROWID;"
    "CREATE TABLE sent (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE,"
    "                   value BLOB NOT NULL, mac BLOB NOT NULL, created_ms INTEGER NOT NULL,"
    "                   sent_ms INTEGER, preview INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX sent_created ON sent (created_ms);"
    "CREATE TABLE ack (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL,"
    "                  acked_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE kept (name TEXT PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL)"
    "    WITHOUT ROWID;",

    /* 2: signals that have left the set, for the admin (SPEC 9.7). The subject repeats bytes of the
     * value, so that those of one address are found. */
    "CREATE TABLE journal (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL,"
    "                      subject BLOB NOT NULL, left_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX journal_subject ON journal (subject, left_ms);"
    "CREATE INDEX journal_left ON journal (left_ms);",

    /* 3: the flow of mail, and what was odd in it (SPEC 10.8). */
    ("CREATE TABLE statistic (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL)"
     "    WITHOUT ROWID;"),

    /* 4: rows of history with a login stand under a keyed hash (SPEC 12.1). The core writes them
     * anew, as it alone can; a program that would take them for damaged must not open the file. */
    "",

    /* 5: the position in a log is longer, and sealed (SPEC 10.5). It is written anew with the next
     * lines; a program that would not find it, and begin at the log's end, must not open the file.
     */
    "",
};
const size_t gv_store_version = sizeof migrations / sizeof *migrations;

int gv_store_open(sqlite3 **out, const char *path, struct gv_text *error)
{
    return gv_db_open(out, path, migrations, gv_store_version, error);
}

int gv_store_open_again(sqlite3 **out, const char *path, struct gv_text *error)
{
    return gv_db_open_again(out, path, migrations, gv_store_version, error);
}

int gv_store_open_reading(sqlite3 **out, const char *path, struct gv_text *error)
{
    return gv_db_open_reading(out, path, migrations, gv_store_version, error);
}

/* One wrong number is enough that no statement can be numbered any more: SQLite says then that the
 * file is full, and would say so for good. */
int gv_store_check_numbers(sqlite3 *db, struct gv_text *error)
{
    sqlite3_stmt *row = NULL;
    int rc = gv_db_prepare(
        db, &row,
        "SELECT seq FROM sqlite_sequence WHERE typeof(seq) <> 'integer' OR seq < 0 OR seq > ?1"
        " UNION ALL SELECT min(number) FROM sent HAVING min(number) < 1"
        " UNION ALL SELECT max(number) FROM sent HAVING max(number) > ?1 LIMIT 1",
        error);

    if (rc != GV_OK)
        return rc;
    rc = gv_db_bind(row, "i", (int64_t)GV_STORE_NUMBER_MAX);
    if (rc == GV_OK)
        rc = gv_db_step(row);
    if (rc == 1) {
        const char *number = (const char *)sqlite3_column_text(row, 0);
        rc = gv_fail(error, GV_ERR_MALFORMED,
                     "%s: the file is damaged: its statements cannot have reached the number %.32s",
                     sqlite3_db_filename(db, "main"), number ? number : "nothing");
    } else if (rc < 0) {
        gv_fail(error, rc, "%s: %s", sqlite3_db_filename(db, "main"), gv_db_said(db));
    }
    sqlite3_finalize(row);
    return rc;
}

static int check_pages(sqlite3 *db, struct gv_text *error)
{
    sqlite3_stmt *row = NULL;
    int rc = gv_db_prepare(db, &row, "PRAGMA quick_check(1)", error);

    if (rc == GV_OK) {
        rc = gv_db_step(row);
        if (rc < 0)
            gv_fail(error, rc, "%s: %s", sqlite3_db_filename(db, "main"), gv_db_said(db));
        else if (rc == 1 && !sqlite3_column_text(row, 0)) /* damage must not be guessed */
            rc =
                gv_fail(error, GV_ERR_MEMORY, "%s: out of memory", sqlite3_db_filename(db, "main"));
        else if (rc == 1 && strcmp((const char *)sqlite3_column_text(row, 0), "ok") == 0)
            rc = GV_OK;
        else
            rc = gv_fail(error, GV_ERR_MALFORMED, "%s: the file is damaged: %.200s",
                         sqlite3_db_filename(db, "main"),
                         rc == 1 ? (const char *)sqlite3_column_text(row, 0) : "no answer");
    }
    sqlite3_finalize(row);
    return rc;
}

int gv_store_check(sqlite3 *db, struct gv_text *error)
{
    int rc = check_pages(db, error);

    return rc == GV_OK ? gv_store_check_numbers(db, error) : rc;
}

void gv_store_mac_key(struct gv_hmac_state *out, const uint8_t store_key[GV_KEY_LEN])
{
    gv_hmac_begin(out, store_key, GV_KEY_LEN, "grapevine row 1");
}

void gv_store_mac(uint8_t out[GV_STORE_MAC], const struct gv_hmac_state *mac_key, uint8_t table,
                  const void *key, size_t key_len, const void *value, size_t value_len)
{
    const uint8_t head[3] = {table, (uint8_t)(key_len >> 8), (uint8_t)key_len};
    struct gv_hmac_state state = *mac_key;
    uint8_t mac[GV_HASH_LEN];

    gv_hmac_add(&state, head, sizeof head);
    gv_hmac_add(&state, key, key_len);
    gv_hmac_add(&state, value, value_len);
    gv_hmac_end(mac, &state);
    memcpy(out, mac, GV_STORE_MAC);
}
