/* What the store holds of one subject, and how much it holds at all: for access and erasure. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/error.h"
#include "node/host/persist_schema.h"
#include "proto/trust/signal.h"
#include "proto/wire/codec.h"

#define PART 256 /* own statements that are looked at before any is deleted */

/* ---- the mark of an erasure ------------------------------------------------------------------ */

struct mark {
    char name[8 + 2 * GV_HASH_LEN + 1];
};

/* Under the store's key: whoever reads the file alone cannot try addresses. */
static void mark_of(struct mark *out, const struct gv_persist *persist,
                    const struct gv_subject *subject)
{
    uint8_t hash[GV_HASH_LEN];
    char hex[2 * GV_HASH_LEN + 1];

    gv_hmac(hash, persist->store_key, GV_KEY_LEN, "grapevine erased 1", (const uint8_t *)subject,
            sizeof *subject);
    gv_hex(hex, hash, sizeof hash);
    snprintf(out->name, sizeof out->name, "erased %s", hex);
}

static void big_endian(uint8_t out[8], uint64_t value)
{
    for (size_t i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> 8 * (7 - i));
}

bool gv_persist_is_erased(struct gv_persist *persist, const struct gv_subject *subject,
                          uint64_t unix_ms)
{
    uint8_t until[8], now[8];
    struct mark mark;

    mark_of(&mark, persist, subject);
    big_endian(now, unix_ms);
    return gv_persist_kept(persist, mark.name, until, sizeof until) == GV_OK &&
           memcmp(now, until, sizeof until) < 0;
}

int gv_persist_put(struct gv_persist *persist, const char *name, const void *data, size_t len)
{
    uint8_t mac[GV_PERSIST_MAC];

    if (!persist->db)
        return GV_ERR_IO;
    gv_persist_mac(persist, mac, GV_STORE_KEPT, name, strlen(name), data, len);
    return gv_db_run(persist->sql[GV_SQL_PUT_KEPT], "tbb", name, data, len, mac, sizeof mac);
}

static int put_mark(struct gv_persist *persist, const struct gv_subject *subject, uint64_t until_ms)
{
    uint8_t value[8];
    struct mark mark;

    mark_of(&mark, persist, subject);
    big_endian(value, until_ms);
    return gv_persist_put(persist, mark.name, value, sizeof value);
}

int gv_persist_expire_marks(struct gv_persist *persist, uint64_t unix_ms)
{
    uint8_t now[8];

    if (!persist->db)
        return GV_ERR_IO;
    big_endian(now, unix_ms);
    return gv_db_run(persist->sql[GV_SQL_EXPIRE_ERASED], "b", now, sizeof now);
}

/* ---- own statements ------------------------------------------------------------------------- */

struct about {
    const struct gv_subject *subject;
    gv_persist_each_sent each;
    void *context;
    uint8_t ids[PART][GV_ID_LEN];
    size_t count;
};

static bool is_about(const struct gv_persist_sent *sent, const struct gv_subject *subject)
{
    struct gv_statement statement;

    return sent->value_len >= 2 &&
           gv_statement_parse(&statement, sent->value + 1, sent->value_len - 1) == GV_OK &&
           memcmp(&statement.subject, subject, sizeof *subject) == 0;
}

static void pass_on(void *context, const struct gv_persist_sent *sent)
{
    const struct about *about = context;

    if (is_about(sent, about->subject))
        about->each(about->context, sent);
}

/* As the subject stands in a statement: SQLite finds it in 23,000 of them in 7 ms, where reading
 * each takes more than a second. */
int gv_persist_sent_about(struct gv_persist *persist, const struct gv_subject *subject,
                          size_t limit, gv_persist_each_sent each, void *context)
{
    struct about about = {.subject = subject, .each = each, .context = context};
    struct gv_buf wire;

    gv_buf_init(&wire);
    gv_put_bin(&wire, subject->bytes, subject->family == GV_FAMILY_IPV4 ? 4 : 8);
    int rc = wire.failed
                 ? GV_ERR_MEMORY
                 : gv_persist_list_about(persist, wire.data, wire.len, limit, pass_on, &about);
    gv_buf_free(&wire);
    return rc;
}

static void gather(void *context, const struct gv_persist_sent *sent)
{
    struct about *about = context;

    if (about->count < PART && is_about(sent, about->subject))
        memcpy(about->ids[about->count++], sent->id, GV_ID_LEN);
}

/* ---- erasing -------------------------------------------------------------------------------- */

static int run(struct gv_persist *persist, const char *sql, const void *key, size_t len,
               size_t *deleted)
{
    sqlite3_stmt *statement = NULL;
    int rc = gv_db_prepare(persist->db, &statement, sql, NULL);

    if (rc == GV_OK)
        rc = gv_db_run(statement, "b", key, len);
    if (rc == GV_OK)
        *deleted += (size_t)sqlite3_changes(persist->db);
    sqlite3_finalize(statement);
    return rc;
}

static int erase_sent(struct gv_persist *persist, const struct gv_subject *subject,
                      struct gv_persist_erased *out)
{
    struct about about = {.subject = subject};
    int rc;

    do {
        about.count = 0;
        rc = gv_persist_telemetry(persist, 0, INT32_MAX, gather, &about);
        for (size_t i = 0; i < about.count && rc == GV_OK; i++) {
            rc = run(persist, "DELETE FROM sent WHERE key = ?1", about.ids[i], GV_ID_LEN,
                     &out->sent);
            if (rc == GV_OK)
                rc = run(persist, "DELETE FROM ack WHERE substr(key, 1, 16) = ?1", about.ids[i],
                         GV_ID_LEN, &out->acks);
        }
    } while (rc == GV_OK && about.count == PART);
    return rc;
}

int gv_persist_erase(struct gv_persist *persist, const struct gv_subject *subject,
                     uint64_t until_ms, struct gv_persist_erased *out, struct gv_text *error)
{
    memset(out, 0, sizeof *out);
    if (!persist->db)
        return gv_fail(error, GV_ERR_IO, "%s cannot be opened", persist->path);
    if (persist->full.text[0])
        return gv_fail(error, GV_ERR_IO, "%s", persist->full.text);
    int rc = gv_persist_stay(persist, error); /* else the file that has the address is set aside */
    gv_checkpoint_wait(persist->checkpoint);  /* it may be writing */
    if (rc == GV_OK)
        rc = gv_db_exec(persist->db, "BEGIN IMMEDIATE", error);
    if (rc != GV_OK)
        return rc;
    rc = put_mark(persist, subject, until_ms);
    if (rc == GV_OK)
        rc = erase_sent(persist, subject, out);
    if (rc == GV_OK)
        rc = run(persist, "DELETE FROM journal WHERE subject = ?1", subject, sizeof *subject,
                 &out->journal);
    if (rc == GV_OK)
        rc = gv_db_exec(persist->db, "COMMIT", error);
    else
        gv_fail(error, rc, "%s: %s", persist->path, gv_db_said(persist->db));
    if (rc != GV_OK) {
        sqlite3_exec(persist->db, "ROLLBACK", NULL, NULL, NULL);
        return rc;
    }
    return gv_persist_empty_log(persist, error);
}

int gv_persist_empty_log(struct gv_persist *persist, struct gv_text *error)
{
    if (!persist->db)
        return gv_fail(error, GV_ERR_IO, "%s cannot be opened", persist->path);
    gv_checkpoint_wait(persist->checkpoint);
    /* A reader in the way, such as a backup, is not waited for: it is tried again. */
    sqlite3_busy_timeout(persist->db, 0);
    int code = sqlite3_wal_checkpoint_v2(persist->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(persist->db, persist->lock_ms);
    persist->log_left = code != SQLITE_OK;
    if (code == SQLITE_OK) {
        persist->log_names = false;
        return GV_OK;
    }
    if ((code & 0xff) != SQLITE_BUSY && (code & 0xff) != SQLITE_LOCKED)
        return gv_fail(error, GV_ERR_IO, "%s: %s", persist->path, gv_db_said(persist->db));
    return gv_fail(error, GV_ERR_BUSY,
                   "another program reads %s; what was deleted leaves the disk when it has ended",
                   persist->path);
}

bool gv_persist_log_left(const struct gv_persist *persist)
{
    return persist->log_left && persist->db && !persist->full.text[0];
}

bool gv_persist_log_names(const struct gv_persist *persist)
{
    return persist->log_names && persist->db && !persist->full.text[0];
}

/* ---- how much there is ---------------------------------------------------------------------- */

int gv_persist_held(struct gv_persist *persist, struct gv_persist_held *out)
{
    sqlite3_stmt *row = NULL;
    struct stat info;

    memset(out, 0, sizeof *out);
    if (!persist->db)
        return GV_ERR_IO;
    int rc = gv_db_prepare(persist->db, &row,
                           "SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM history),"
                           " (SELECT count(*) FROM list), (SELECT count(*) FROM peer),"
                           " (SELECT count(*) FROM sent), (SELECT count(*) FROM ack),"
                           " (SELECT count(*) FROM journal),"
                           " (SELECT count(*) FROM statistic WHERE substr(key, 1, 1) = x'6d'),"
                           " (SELECT count(*) FROM statistic WHERE substr(key, 1, 1) = x'68'),"
                           " (SELECT count(*) FROM statistic WHERE substr(key, 1, 1) = x'61'),"
                           " (SELECT count(*) FROM kept WHERE length(value) > 64 AND"
                           "  (name GLOB 'visits *' OR name GLOB 'hints *')),"
                           " (SELECT count(*) FROM kept WHERE length(value) > 64 AND"
                           "  name GLOB 'mail flow *'),"
                           " (SELECT count(*) FROM kept WHERE name GLOB 'erased *')",
                           NULL);
    if (rc == GV_OK && (rc = gv_db_step(row)) == 1) {
        size_t *const to[] = {&out->records, &out->history, &out->lists,   &out->peers,
                              &out->sent,    &out->acks,    &out->journal, &out->minutes,
                              &out->hours,   &out->alerts,  &out->visits,  &out->under_way,
                              &out->marks};
        for (int i = 0; i < (int)(sizeof to / sizeof *to); i++)
            *to[i] = (size_t)sqlite3_column_int64(row, i);
        rc = GV_OK;
    }
    sqlite3_finalize(row);
    if (stat(persist->path, &info) == 0)
        out->bytes = (uint64_t)info.st_size;
    return rc;
}
