#include "node/host/persist.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/db.h"
#include "node/base/log.h"
#include "node/host/persist_schema.h"
#include "proto/trust/signal.h"

#define KEPT_MAX     1088 /* bytes of one kept value: 1 KiB, sealed */
#define EXPIRE_PART  5000
#define EXPIRE_PARTS 10
#define STUCK_MAX    3 /* tries at a lock that somebody has, until we think that it is ourselves */

/* ---- opening -------------------------------------------------------------------------------- */

static void close_db(struct gv_persist *persist)
{
    gv_checkpoint_free(persist->checkpoint);
    persist->checkpoint = NULL;
    gv_persist_forget_latest(persist);
    for (size_t i = 0; i < GV_SQL_COUNT; i++) {
        sqlite3_finalize(persist->sql[i]);
        persist->sql[i] = NULL;
    }
    gv_db_close(persist->db);
    persist->db = NULL;
}

static int prepare_all(struct gv_persist *persist, struct gv_text *error)
{
    int rc = GV_OK;

    for (size_t i = 0; rc == GV_OK && i < GV_SQL_COUNT; i++)
        rc = gv_db_prepare(persist->db, &persist->sql[i], gv_persist_sql_text[i], error);
    if (rc != GV_OK)
        close_db(persist);
    return rc;
}

/* Without memory for it, the commits do it. */
static void copy_apart(struct gv_persist *persist)
{
    gv_checkpoint_free(persist->checkpoint);
    persist->checkpoint = NULL;
    if (persist->db && persist->copied && !persist->full.text[0])
        (void)gv_checkpoint_new(&persist->checkpoint, persist->db, persist->copied,
                                persist->copied_context);
}

void gv_persist_apart(struct gv_persist *persist, void (*done)(void *context), void *context)
{
    persist->copied = done;
    persist->copied_context = context;
    copy_apart(persist);
}

int64_t gv_persist_copying(struct gv_persist *persist)
{
    return gv_checkpoint_under_way(persist->checkpoint);
}

/* `again`: others wait for answers meanwhile. The whole file is looked through: damage is better
 * found now than in a month; not where all that was wrong was a lock. */
static int open_db(struct gv_persist *persist, bool again, struct gv_text *error)
{
    bool look = !again || persist->stuck == 0;
    int rc = look ? gv_store_check_log(persist->path, error) : GV_OK;

    if (rc == GV_OK)
        rc = again && persist->lock_ms == GV_PERSIST_LOCK_MS
                 ? gv_store_open_again(&persist->db, persist->path, error)
                 : gv_store_open(&persist->db, persist->path, error);
    if (rc == GV_OK && look)
        rc = gv_store_check(persist->db, error);
    /* 1 MiB of page cache: the node's budget is 12 MiB in all, and reads are rare. A log that one
     * large batch has grown is cut back at the next checkpoint. */
    if (rc == GV_OK)
        rc = gv_db_exec(persist->db,
                        "PRAGMA cache_size = -1024; PRAGMA journal_size_limit = 4194304;"
                        "PRAGMA secure_delete = ON", /* what was forgotten is not found again */
                        error);
    persist->full_sync = false; /* as gv_db_open leaves it */
    persist->full.text[0] = 0;
    if (rc == GV_OK)
        sqlite3_busy_timeout(persist->db, persist->lock_ms);
    if (rc != GV_OK)
        close_db(persist);
    else
        rc = prepare_all(persist, error);
    if (rc == GV_OK) {
        copy_apart(persist);
        gv_persist_place_open(persist);
    }
    return rc;
}

/* The disk is full, as `why` says. Nothing is written, not even the files that SQLite wants beside
 * it: see gv_db_open_reading. `check`: all of it is looked through, as at a start. */
static int open_reading(struct gv_persist *persist, const struct gv_text *why, bool check)
{
    int rc = gv_store_open_reading(&persist->db, persist->path, NULL);

    if (rc == GV_OK && check)
        rc = gv_store_check(persist->db, NULL);
    if (rc == GV_OK)
        rc = gv_db_exec(persist->db, "PRAGMA cache_size = -1024", NULL);
    if (rc != GV_OK)
        close_db(persist);
    if (rc == GV_OK)
        rc = prepare_all(persist, NULL);
    if (rc == GV_OK)
        persist->full = *why;
    return rc;
}

bool gv_persist_reading(const struct gv_persist *persist, struct gv_text *why)
{
    *why = persist->full;
    return persist->full.text[0] != 0;
}

/* Once more for writing. Where that still fails, what could be read stays so. */
static int open_again(struct gv_persist *persist, struct gv_text *error)
{
    struct gv_text why = {""};
    bool was_reading = persist->full.text[0] != 0;

    close_db(persist);
    int rc = open_db(persist, true, &why);
    if (rc == GV_OK || rc == GV_ERR_MALFORMED || !was_reading)
        return rc == GV_OK ? rc : gv_fail(error, rc, "%s", why.text);
    (void)open_reading(persist, &why, false);
    return gv_fail(error, rc == GV_ERR_SPACE ? GV_ERR_IO : rc, "%s", why.text);
}

int gv_persist_stay(struct gv_persist *persist, struct gv_text *error)
{
    bool again;
    int rc = gv_persist_keep_place(persist, &again, error);

    if (rc != GV_OK || !again)
        return rc;
    persist->stuck = 0; /* it is another file, which is looked through */
    return open_again(persist, error);
}

int gv_persist_mend(struct gv_persist *persist, struct gv_text *error)
{
    close_db(persist);
    int rc = gv_store_salvage(persist->path, persist->store_key, error);
    int again = open_db(persist, false, rc == GV_OK ? error : NULL);

    return rc == GV_OK ? again : rc;
}

int gv_persist_open(struct gv_persist **out, const char *path, const uint8_t store_key[GV_KEY_LEN],
                    struct gv_text *error)
{
    struct gv_persist *persist = calloc(1, sizeof *persist);
    struct gv_text why = {""};

    if (!persist || !(persist->path = strdup(path))) {
        free(persist);
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    }
    memcpy(persist->store_key, store_key, GV_KEY_LEN);
    persist->lock_ms = GV_PERSIST_LOCK_MS;
    gv_buf_init(&persist->kept);
    gv_store_mac_key(&persist->mac_key, store_key);
    gv_buf_init(&persist->left);
    int rc = gv_persist_number_open(persist);
    if (rc != GV_OK)
        gv_fail(&why, rc, "out of memory");
    else
        rc = open_db(persist, false, &why);
    if (rc == GV_ERR_MALFORMED) {
        gv_log(GV_LOG_WARNING, "%s", why.text);
        rc = gv_persist_mend(persist, &why);
    }
    if (rc == GV_ERR_SPACE)
        rc = open_reading(persist, &why, true) == GV_OK ? GV_OK : GV_ERR_IO;
    if (rc == GV_OK) {
        *out = persist;
        return GV_OK;
    }
    gv_persist_close(persist);
    if (rc == GV_ERR_VERSION || rc == GV_ERR_FORBIDDEN)
        return gv_fail(error, rc, "%s", why.text);
    return gv_fail(error, rc, "the store cannot be used: %s", why.text);
}

void gv_persist_patient(struct gv_persist *persist)
{
    persist->lock_ms = GV_DB_BUSY_MS;
}

void gv_persist_close(struct gv_persist *persist)
{
    if (!persist)
        return;
    close_db(persist);
    gv_buf_free(&persist->kept);
    gv_buf_free(&persist->left);
    free(persist->minutes);
    gv_wipe(persist->store_key, sizeof persist->store_key);
    gv_wipe(&persist->mac_key, sizeof persist->mac_key);
    free(persist->path);
    free(persist->number_path);
    free(persist);
}

/* ---- one row -------------------------------------------------------------------------------- */

static int put_row(struct gv_persist *persist, const struct gv_effects *effects,
                   const struct gv_effect *effect, uint64_t unix_ms)
{
    const uint8_t *key = gv_effect_key(effects, effect), *value = gv_effect_data(effects, effect);
    size_t put = GV_SQL_PUT_RECORD + (size_t)effect->row - GV_ROW_RECORD;
    uint8_t mac[GV_PERSIST_MAC];
    int rc;

    if (effect->data_len == 0)
        value = (const uint8_t *)""; /* an empty blob: SQLite takes a null pointer for NULL */
    gv_persist_mac(persist, mac, (uint8_t)effect->row, key, effect->key_len, value,
                   effect->data_len);
    sqlite3_stmt *statement = persist->sql[put];
    switch (effect->row) {
    case GV_ROW_RECORD:
        return gv_db_run(statement, "bbbi", key, effect->key_len, value, effect->data_len, mac,
                         sizeof mac, effect->data_len ? (int64_t)value[0] : 0);
    case GV_ROW_SENT:
        return gv_db_run(statement, "bbbi", key, effect->key_len, value, effect->data_len, mac,
                         sizeof mac, (int64_t)unix_ms);
    case GV_ROW_ACK:
        rc = gv_db_run(statement, "bbbi", key, effect->key_len, value, effect->data_len, mac,
                       sizeof mac, (int64_t)unix_ms);
        return rc != GV_OK ? rc
                           : gv_db_run(persist->sql[GV_SQL_MARK_SENT], "bi", key, effect->key_len,
                                       (int64_t)unix_ms);
    default:
        return gv_db_run(statement, "bbb", key, effect->key_len, value, effect->data_len, mac,
                         sizeof mac);
    }
}

/* A signal or a retraction that leaves the set goes to the journal, with the MAC it has. */
static int to_journal(struct gv_persist *persist, const uint8_t *key, size_t key_len,
                      uint64_t unix_ms)
{
    sqlite3_stmt *row = persist->sql[GV_SQL_GET_RECORD];
    struct gv_statement statement;
    uint8_t mac[GV_PERSIST_MAC];
    bool genuine;

    int rc = gv_db_bind(row, "b", key, key_len);
    if (rc != GV_OK || (rc = gv_db_step(row)) != 1)
        return rc;
    gv_buf_clear(&persist->left);
    gv_buf_append(&persist->left, sqlite3_column_blob(row, 0),
                  (size_t)sqlite3_column_bytes(row, 0));
    genuine = gv_db_blob(row, 1, mac, sizeof mac) == GV_OK;
    sqlite3_reset(row);
    if (persist->left.failed)
        return GV_ERR_MEMORY;
    if (!genuine || persist->left.len < 2 ||
        gv_statement_parse(&statement, persist->left.data + 1, persist->left.len - 1) != GV_OK)
        return GV_OK; /* damaged: it is no loss */
    if (gv_persist_is_erased(persist, &statement.subject, unix_ms))
        return GV_OK;
    return gv_db_run(persist->sql[GV_SQL_PUT_JOURNAL], "bbbbi", key, key_len, persist->left.data,
                     persist->left.len, mac, sizeof mac, &statement.subject,
                     sizeof statement.subject, (int64_t)unix_ms);
}

static int delete_row(struct gv_persist *persist, const struct gv_effects *effects,
                      const struct gv_effect *effect, uint64_t unix_ms)
{
    size_t delete = GV_SQL_DELETE_RECORD + (size_t)effect->row - GV_ROW_RECORD;

    if (effect->row == GV_ROW_RECORD) {
        int rc = to_journal(persist, gv_effect_key(effects, effect), effect->key_len, unix_ms);
        if (rc != GV_OK)
            return rc;
    }
    return gv_db_run(persist->sql[delete], "b", gv_effect_key(effects, effect), effect->key_len);
}

static bool is_history(const struct gv_effects *effects, const struct gv_effect *effect,
                       enum gv_effect_kind kind, bool hidden)
{
    if (effect->kind != kind || effect->row != GV_ROW_HISTORY || effect->key_len == 0)
        return false;
    uint8_t family = gv_effect_key(effects, effect)[0];
    return (family != GV_FAMILY_IPV4 && family != GV_FAMILY_IPV6) == hidden;
}

/* A row goes under its name and one comes under a hash: somebody has logged in for the first time.
 * Of several steps it may have been another's row that went; the log is emptied once more then. */
static bool moves_history(const struct gv_effects *effects)
{
    bool went = false, came = false;

    for (size_t i = 0; i < effects->count; i++) {
        went = went || is_history(effects, &effects->list[i], GV_EFFECT_FORGET, false);
        came = came || is_history(effects, &effects->list[i], GV_EFFECT_PERSIST, true);
    }
    return went && came;
}

static int put_effects(struct gv_persist *persist, const struct gv_effects *effects,
                       uint64_t unix_ms)
{
    int rc = GV_OK;

    for (size_t i = 0; i < effects->count && rc == GV_OK; i++) {
        const struct gv_effect *e = &effects->list[i];
        if (e->kind == GV_EFFECT_PERSIST)
            rc = put_row(persist, effects, e, unix_ms);
        else if (e->kind == GV_EFFECT_FORGET)
            rc = delete_row(persist, effects, e, unix_ms);
    }
    /* After the rows, whichever came first: the note and its row are of one step. */
    for (size_t i = 0; i < effects->count && rc == GV_OK; i++) {
        const struct gv_effect *e = &effects->list[i];
        if (e->kind == GV_EFFECT_NOTE && e->note == GV_NOTE_PREVIEWED)
            rc = gv_db_run(persist->sql[GV_SQL_MARK_PREVIEW], "b", e->id, sizeof e->id);
    }
    return rc;
}

/* ---- what is kept beside the rows ----------------------------------------------------------- */

/* Entries lie one after the other: two lengths, the name with its zero, the value. */
struct entry {
    uint32_t name_len, value_len;
};

/* The entry that waits under a name, NULL: none. There is at most one. */
static uint8_t *waiting(const struct gv_persist *persist, const char *name, struct entry *entry)
{
    for (size_t at = 0; at < persist->kept.len;) {
        memcpy(entry, persist->kept.data + at, sizeof *entry);
        if (strcmp((const char *)persist->kept.data + at + sizeof *entry, name) == 0)
            return persist->kept.data + at;
        at += sizeof *entry + entry->name_len + 1U + entry->value_len;
    }
    return NULL;
}

/* Takes the place of what waits under that name, so that a store that fails for days does not make
 * the list grow. True when it has: the length is the same. */
static bool keep_again(struct gv_persist *persist, const char *name, const void *data, size_t len)
{
    struct entry entry;
    uint8_t *at = waiting(persist, name, &entry);

    if (!at)
        return false;
    size_t before_value = sizeof entry + entry.name_len + 1U;
    if (entry.value_len == len) {
        memcpy(at + before_value, data, len);
        return true;
    }
    uint8_t *next = at + before_value + entry.value_len;
    memmove(at, next, persist->kept.len - (size_t)(next - persist->kept.data));
    persist->kept.len -= (size_t)(next - at);
    return false;
}

int gv_persist_keep(struct gv_persist *persist, const char *name, const void *data, size_t len)
{
    struct entry entry = {(uint32_t)strlen(name), (uint32_t)len};

    if (entry.name_len > GV_PERSIST_NAME_MAX || len > KEPT_MAX)
        return GV_ERR_RANGE;
    if (keep_again(persist, name, data, len))
        return GV_OK;
    gv_buf_append(&persist->kept, &entry, sizeof entry);
    gv_buf_append(&persist->kept, name, entry.name_len + 1U);
    gv_buf_append(&persist->kept, data, len);
    if (!persist->kept.failed)
        return GV_OK;
    gv_buf_free(&persist->kept); /* lines may be read twice after a restart; nothing is lost */
    return GV_ERR_MEMORY;
}

bool gv_persist_dirty(const struct gv_persist *persist)
{
    return persist->kept.len > 0 || persist->minute_count > 0;
}

static int put_kept(struct gv_persist *persist)
{
    int rc = GV_OK;

    for (size_t at = 0; at < persist->kept.len && rc == GV_OK;) {
        struct entry entry;
        uint8_t mac[GV_PERSIST_MAC];
        memcpy(&entry, persist->kept.data + at, sizeof entry);
        const char *name = (const char *)persist->kept.data + at + sizeof entry;
        const uint8_t *value = (const uint8_t *)name + entry.name_len + 1;
        at += sizeof entry + entry.name_len + 1U + entry.value_len;
        gv_persist_mac(persist, mac, GV_STORE_KEPT, name, entry.name_len, value, entry.value_len);
        rc = gv_db_run(persist->sql[GV_SQL_PUT_KEPT], "tbb", name, value, (size_t)entry.value_len,
                       mac, sizeof mac);
    }
    return rc;
}

int gv_persist_kept(struct gv_persist *persist, const char *name, void *out, size_t len)
{
    sqlite3_stmt *row = persist->sql[GV_SQL_GET_KEPT];

    if (!persist->db)
        return GV_ERR_NOT_FOUND;
    int rc = gv_db_bind(row, "t", name);
    if (rc != GV_OK || gv_db_step(row) != 1)
        return GV_ERR_NOT_FOUND;
    if (gv_db_blob(row, 0, out, len) != GV_OK ||
        !gv_persist_genuine(persist, row, 1, GV_STORE_KEPT, name, strlen(name), out, len)) {
        memset(out, 0, len);
        rc = GV_ERR_NOT_FOUND;
    }
    sqlite3_reset(row);
    return rc;
}

int gv_persist_latest(struct gv_persist *persist, const char *name, void *out, size_t len)
{
    struct entry entry;
    const uint8_t *at = waiting(persist, name, &entry);

    if (!at)
        return gv_persist_kept(persist, name, out, len);
    if (entry.value_len != len)
        return GV_ERR_NOT_FOUND;
    memcpy(out, at + sizeof entry + entry.name_len + 1U, len);
    return GV_OK;
}

/* ---- the transaction ------------------------------------------------------------------------ */

static bool has_own_word(const struct gv_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++)
        if (gv_effect_is_own_word(effects, &effects->list[i]))
            return true;
    return false;
}

static int set_sync(struct gv_persist *persist, bool full, struct gv_text *error)
{
    if (persist->full_sync == full)
        return GV_OK;
    int rc = gv_db_exec(persist->db,
                        full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", error);
    if (rc == GV_OK)
        persist->full_sync = full;
    return rc;
}

/* A lock that the kernel would not give, or take back: SQLite goes on as if the other one were the
 * case, and every commit fails from then on. Who closes the file is rid of its locks. */
static void note_lock(struct gv_persist *persist)
{
    switch (sqlite3_extended_errcode(persist->db)) {
    case SQLITE_PROTOCOL:
    case SQLITE_IOERR_UNLOCK:
    case SQLITE_IOERR_RDLOCK:
    case SQLITE_IOERR_LOCK:
    case SQLITE_IOERR_CHECKRESERVEDLOCK:
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMLOCK:
    case SQLITE_IOERR_SHMMAP:
        persist->stuck = STUCK_MAX;
        break;
    case SQLITE_BUSY: /* mostly another program, whose turn it is */
    case SQLITE_BUSY_RECOVERY:
        persist->stuck++;
        break;
    default:
        persist->stuck = 0;
    }
}

static int fail_with(struct gv_persist *persist, int rc, struct gv_text *error)
{
    if (!persist->db)
        return gv_fail(error, GV_ERR_IO, "%s cannot be opened", persist->path);
    if (persist->full.text[0])
        return gv_fail(error, GV_ERR_IO, "%s", persist->full.text);
    int code = sqlite3_errcode(persist->db) & 0xff;
    note_lock(persist);
    const char *full = gv_db_full(persist->db) ? gv_db_said(persist->db) : NULL; /* static */
    const char *path = sqlite3_db_filename(persist->db, "main");

    if (code == SQLITE_FULL && gv_store_check_numbers(persist->db, error) == GV_ERR_MALFORMED)
        return GV_ERR_MALFORMED; /* not the disk: no number is left for a statement */
    if (full)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, full);
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return gv_fail(error, GV_ERR_MALFORMED,
                       "%s: the file is damaged; it is mended as far as it can be read", path);
    if (rc == GV_ERR_MEMORY)
        return gv_fail(error, rc, "%s: out of memory", path);
    if (code == SQLITE_BUSY)
        return gv_fail(error, rc, "%s: another program has it locked; end that one (fuser %s)",
                       path, path);
    return gv_fail(error, rc, "%s: %s", path, gv_db_said(persist->db));
}

static int begin_within(struct gv_persist *persist, int ms)
{
    sqlite3_busy_timeout(persist->db, ms);
    if (gv_db_run(persist->sql[GV_SQL_BEGIN], "") == GV_OK)
        return SQLITE_OK;
    int code = sqlite3_errcode(persist->db);
    return code != SQLITE_OK ? code : SQLITE_ERROR;
}

/* Another program that writes is waited for once, and shortly: whoever asks this node something
 * waits as well. Our own thread (checkpoint.h) is done as soon as the disk lets it. */
static int begin(struct gv_persist *persist)
{
    bool again = persist->stuck > 0 && persist->lock_ms == GV_PERSIST_LOCK_MS;
    int code = begin_within(persist, again ? 0 : persist->lock_ms);

    if ((code & 0xff) == SQLITE_BUSY && !again && gv_checkpoint_under_way(persist->checkpoint) >= 0)
        code = begin_within(persist, GV_DB_BUSY_MS);
    sqlite3_busy_timeout(persist->db, persist->lock_ms);
    return code == SQLITE_OK ? GV_OK : (code & 0xff) == SQLITE_BUSY ? GV_ERR_BUSY : GV_ERR_IO;
}

int gv_persist_commit(struct gv_persist *persist, const struct gv_effects *effects,
                      uint64_t unix_ms, struct gv_text *error)
{
    bool stuck = persist->stuck > 0 && persist->stuck % STUCK_MAX == 0;

    /* It could not even be opened again after it was mended; or the disk was full at the start; or
     * its locks are not what SQLite thinks. */
    if (!persist->db || persist->full.text[0] || stuck) {
        int rc = open_again(persist, error);
        if (rc != GV_OK)
            return rc;
    }
    int rc = gv_persist_stay(persist, error);
    if (rc == GV_OK)
        rc = gv_persist_reserve(persist, effects, error);
    if (rc != GV_OK)
        return rc;
    rc = set_sync(persist, has_own_word(effects), error);

    if (rc == GV_OK)
        rc = begin(persist);
    if (rc != GV_OK)
        return fail_with(persist, rc, error);
    rc = put_effects(persist, effects, unix_ms);
    if (rc == GV_OK)
        rc = put_kept(persist);
    if (rc == GV_OK)
        rc = gv_persist_put_minutes(persist, unix_ms);
    if (rc == GV_OK && gv_db_run(persist->sql[GV_SQL_COMMIT], "") != GV_OK)
        rc = GV_ERR_IO;
    if (rc != GV_OK) {
        rc = fail_with(persist, rc, error);
        sqlite3_exec(persist->db, "ROLLBACK", NULL, NULL, NULL);
        gv_persist_forget_latest(persist);
        return rc;
    }
    persist->stuck = 0;
    gv_buf_clear(&persist->kept);
    persist->minute_count = 0;
    persist->log_names = persist->log_names || moves_history(effects);
    return GV_OK;
}

/* The journal goes in parts: a month's worth of a large mesh at once would hold up the loop. */
static int expire_journal(struct gv_persist *persist, uint64_t before_unix_ms)
{
    int rc = GV_OK;

    for (int part = 0; rc == GV_OK && part < EXPIRE_PARTS; part++) {
        rc = gv_db_run(persist->sql[GV_SQL_EXPIRE_JOURNAL], "ii", (int64_t)before_unix_ms,
                       (int64_t)EXPIRE_PART);
        if (rc == GV_OK && sqlite3_changes(persist->db) < EXPIRE_PART)
            break;
    }
    if (rc == GV_OK)
        rc = gv_db_run(persist->sql[GV_SQL_SHRINK_JOURNAL], "i", (int64_t)GV_JOURNAL_MAX);
    return rc;
}

int gv_persist_expire(struct gv_persist *persist, uint64_t sent_before_ms,
                      uint64_t journal_before_ms, struct gv_text *error)
{
    if (!persist->db)
        return fail_with(persist, GV_ERR_IO, error);
    int rc = gv_db_run(persist->sql[GV_SQL_EXPIRE_SENT], "i", (int64_t)sent_before_ms);

    if (rc == GV_OK)
        rc = gv_db_run(persist->sql[GV_SQL_EXPIRE_ACKS], "i", (int64_t)sent_before_ms);
    if (rc == GV_OK)
        rc = expire_journal(persist, journal_before_ms);
    return rc == GV_OK ? GV_OK : fail_with(persist, rc, error);
}
