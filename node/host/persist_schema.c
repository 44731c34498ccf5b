#include "node/host/persist_schema.h"

#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"

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
    /* Of what was erased meanwhile, the retraction that this needs too, nothing comes back. */
    [GV_SQL_PUT_ACK] = "INSERT INTO ack (key, value, mac, acked_ms) SELECT ?1, ?2, ?3, ?4"
                       " WHERE EXISTS (SELECT 1 FROM sent WHERE key = substr(?1, 1, 16))"
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
                         " AND number < ?3 ORDER BY number DESC LIMIT ?2) ORDER BY 1",
    [GV_SQL_LIST_ABOUT] = "SELECT * FROM (SELECT " SENT_COLUMNS " FROM sent WHERE instr(value, ?1)"
                          " ORDER BY number DESC LIMIT ?2) ORDER BY 1",
    [GV_SQL_ONE_SENT] = "SELECT " SENT_COLUMNS " FROM sent WHERE key = ?1",
    [GV_SQL_LIST_ACKS] = "SELECT key, mac, acked_ms FROM ack WHERE key > ?1 AND key < ?2"
                         " ORDER BY key",
    [GV_SQL_EXPIRE_ACKS] = "DELETE FROM ack WHERE acked_ms < ?1 AND NOT EXISTS (SELECT 1 FROM sent"
                           " WHERE sent.key = substr(ack.key, 1, 16) AND created_ms >= ?1)",
    [GV_SQL_EXPIRE_SENT] = "DELETE FROM sent WHERE created_ms < ?1",
    /* The MAC stays that of a record: table, key and value are the same. */
    [GV_SQL_GET_RECORD] = "SELECT value, mac FROM record WHERE key = ?1 AND"
                          " substr(value, 1, 1) IN (x'01', x'02', x'81', x'82')",
    [GV_SQL_PUT_JOURNAL] = "INSERT INTO journal (key, value, mac, subject, left_ms)"
                           " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO NOTHING",
    [GV_SQL_LIST_JOURNAL] = "SELECT key, value, mac, left_ms FROM journal WHERE subject = ?1"
                            " ORDER BY left_ms DESC LIMIT ?2",
    [GV_SQL_EXPIRE_JOURNAL] = "DELETE FROM journal WHERE key IN (SELECT key FROM journal"
                              " WHERE left_ms < ?1 ORDER BY left_ms LIMIT ?2)",
    [GV_SQL_SHRINK_JOURNAL] = "DELETE FROM journal WHERE key IN (SELECT key FROM journal"
                              " ORDER BY left_ms LIMIT max(0,"
                              " (SELECT count(*) FROM journal) - ?1))",
    [GV_SQL_EXPIRE_ERASED] = "DELETE FROM kept WHERE name GLOB 'erased *' AND value < ?1",
    [GV_SQL_PUT_STATISTIC] = PUT("statistic"),
    [GV_SQL_GET_STATISTIC] = "SELECT value, mac FROM statistic WHERE key = ?1",
    [GV_SQL_LIST_STATISTIC] = "SELECT key, value, mac FROM statistic WHERE key >= ?1 AND key < ?2"
                              " ORDER BY key LIMIT ?3",
    [GV_SQL_LATEST_STATISTIC] = "SELECT key, value, mac FROM statistic WHERE key >= ?1 AND key < ?2"
                                " ORDER BY key DESC LIMIT ?3",
    [GV_SQL_EXPIRE_STATISTIC] = "DELETE FROM statistic WHERE key >= ?1 AND key < ?2",
    [GV_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [GV_SQL_COMMIT] = "COMMIT",
};

void gv_persist_mac(const struct gv_persist *persist, uint8_t out[GV_PERSIST_MAC], uint8_t table,
                    const void *key, size_t key_len, const void *value, size_t value_len)
{
    gv_store_mac(out, &persist->mac_key, table, key, key_len, value, value_len);
}

bool gv_persist_genuine(const struct gv_persist *persist, sqlite3_stmt *row, int mac_column,
                        uint8_t table, const void *key, size_t key_len, const void *value,
                        size_t value_len)
{
    uint8_t wanted[GV_PERSIST_MAC], found[GV_PERSIST_MAC];

    if (key_len > UINT16_MAX || gv_db_blob(row, mac_column, found, sizeof found) != GV_OK)
        return false;
    gv_persist_mac(persist, wanted, table, key, key_len, value, value_len);
    return gv_equal_secret(wanted, found, sizeof wanted);
}
