#include "node/host/persist_schema.h"

#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"

/* `kind` repeats the first byte of the value, so that records can be loaded by kind. */
const char *const gv_persist_migrations[] = {
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
};
const size_t gv_persist_migration_count =
    sizeof gv_persist_migrations / sizeof *gv_persist_migrations;

#define PUT(table)                                                                                 \
    "INSERT INTO " table " (key, value, mac) VALUES (?1, ?2, ?3)"                                  \
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value, mac = excluded.mac"
#define SENT_COLUMNS "number, key, value, mac, created_ms, ifnull(sent_ms, 0), preview"

/* ?1 key, ?2 value, ?3 mac, ?4 kind or time. */
const char *const gv_persist_sql_text[GV_SQL_COUNT] = {
    [GV_SQL_PUT_RECORD] = "INSERT INTO record (key, value, mac, kind) VALUES (?1, ?2, ?3, ?4)"
                          " ON CONFLICT (key) DO UPDATE SET value = excluded.value,"
                          " mac = excluded.mac, kind = excluded.kind",
    [GV_SQL_PUT_HISTORY] = PUT("history"),
    [GV_SQL_PUT_LIST] = PUT("list"),
    [GV_SQL_PUT_SELF] = PUT("self"),
    [GV_SQL_PUT_PEER] = PUT("peer"),
    [GV_SQL_PUT_SENT] = "INSERT INTO sent (key, value, mac, created_ms) VALUES (?1, ?2, ?3, ?4)"
                        " ON CONFLICT (key) DO UPDATE SET value = excluded.value,"
                        " mac = excluded.mac, preview = 0",
    [GV_SQL_PUT_ACK] = "INSERT INTO ack (key, value, mac, acked_ms) VALUES (?1, ?2, ?3, ?4)"
                       " ON CONFLICT (key) DO NOTHING",
    [GV_SQL_DELETE_RECORD] = "DELETE FROM record WHERE key = ?1",
    [GV_SQL_DELETE_HISTORY] = "DELETE FROM history WHERE key = ?1",
    [GV_SQL_DELETE_LIST] = "DELETE FROM list WHERE key = ?1",
    [GV_SQL_DELETE_SELF] = "DELETE FROM self WHERE key = ?1",
    [GV_SQL_DELETE_PEER] = "DELETE FROM peer WHERE key = ?1",
    [GV_SQL_DELETE_SENT] = "DELETE FROM sent WHERE key = ?1",
    [GV_SQL_DELETE_ACK] = "DELETE FROM ack WHERE key = ?1",
    [GV_SQL_MARK_SENT] = "UPDATE sent SET sent_ms = ?2 WHERE key = substr(?1, 1, 16)"
                         " AND sent_ms IS NULL",
    [GV_SQL_MARK_PREVIEW] = "UPDATE sent SET preview = 1 WHERE key = ?1",
    [GV_SQL_PUT_KEPT] = "INSERT INTO kept (name, value, mac) VALUES (?1, ?2, ?3)"
                        " ON CONFLICT (name) DO UPDATE SET value = excluded.value,"
                        " mac = excluded.mac",
    [GV_SQL_GET_KEPT] = "SELECT value, mac FROM kept WHERE name = ?1",
    [GV_SQL_LIST_SENT] = "SELECT * FROM (SELECT " SENT_COLUMNS " FROM sent WHERE created_ms >= ?1"
                         " ORDER BY number DESC LIMIT ?2) ORDER BY 1",
    [GV_SQL_ONE_SENT] = "SELECT " SENT_COLUMNS " FROM sent WHERE key = ?1",
    [GV_SQL_LIST_ACKS] = "SELECT key, mac, acked_ms FROM ack WHERE key > ?1 AND key < ?2"
                         " ORDER BY key",
    [GV_SQL_EXPIRE_ACKS] = "DELETE FROM ack WHERE acked_ms < ?1 AND NOT EXISTS (SELECT 1 FROM sent"
                           " WHERE sent.key = substr(ack.key, 1, 16) AND created_ms >= ?1)",
    [GV_SQL_EXPIRE_SENT] = "DELETE FROM sent WHERE created_ms < ?1",
};

bool gv_persist_mac(struct gv_persist *persist, uint8_t out[GV_PERSIST_MAC], uint8_t table,
                    const void *key, size_t key_len, const void *value, size_t value_len)
{
    uint8_t head[3] = {table, (uint8_t)(key_len >> 8), (uint8_t)key_len};
    uint8_t mac[GV_HASH_LEN];

    gv_buf_clear(&persist->scratch);
    gv_buf_append(&persist->scratch, head, sizeof head);
    gv_buf_append(&persist->scratch, key, key_len);
    gv_buf_append(&persist->scratch, value, value_len);
    if (persist->scratch.failed)
        return false;
    gv_hmac(mac, persist->store_key, sizeof persist->store_key, "grapevine row 1",
            persist->scratch.data, persist->scratch.len);
    memcpy(out, mac, GV_PERSIST_MAC);
    return true;
}

bool gv_persist_genuine(struct gv_persist *persist, sqlite3_stmt *row, int mac_column,
                        uint8_t table, const void *key, size_t key_len, const void *value,
                        size_t value_len)
{
    uint8_t wanted[GV_PERSIST_MAC], found[GV_PERSIST_MAC];

    return key_len <= UINT16_MAX && gv_db_blob(row, mac_column, found, sizeof found) == GV_OK &&
           gv_persist_mac(persist, wanted, table, key, key_len, value, value_len) &&
           gv_equal_secret(wanted, found, sizeof wanted);
}
