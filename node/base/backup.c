#include "node/base/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/wipe.h"
#include "node/base/backup_seal.h"
#include "node/base/db.h"
#include "node/base/file.h"
#include "node/base/keyfile.h"
#include "node/base/store.h"
#include "node/base/transparency.h"

#define PATH_LEN 4096

/* ---- what a backup says of itself ----------------------------------------------------------- */

struct facts {
    uint8_t instance[GV_ID_LEN], store_key[GV_KEY_LEN], digest[GV_HASH_LEN];
    int64_t made_ms;
};

/* The rows of all tables but our own, in order, into the chain: each column with its type and its
 * length. */
static void add_column(struct gv_buf *out, sqlite3_stmt *row, int column)
{
    int type = sqlite3_column_type(row, column);
    uint8_t head[1 + 8] = {(uint8_t)type};
    sqlite3_int64 number = sqlite3_column_int64(row, column);
    const void *data = NULL;

    if (type == SQLITE_BLOB || type == SQLITE_TEXT) {
        data = sqlite3_column_blob(row, column);
        number = sqlite3_column_bytes(row, column);
    }
    for (int i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
    gv_buf_append(out, head, sizeof head);
    if (data)
        gv_buf_append(out, data, (size_t)number);
}

static int add_table(struct facts *facts, uint64_t *rows, sqlite3 *db, const char *table,
                     struct gv_text *error)
{
    char *sql = sqlite3_mprintf("SELECT * FROM \"%w\" ORDER BY 1", table);
    sqlite3_stmt *row = NULL;
    struct gv_buf bytes;
    int rc = sql ? gv_db_prepare(db, &row, sql, error) : GV_ERR_MEMORY;

    gv_buf_init(&bytes);
    while (rc == GV_OK && (rc = gv_db_step(row)) == 1) {
        gv_buf_clear(&bytes);
        gv_buf_append(&bytes, facts->digest, sizeof facts->digest);
        gv_buf_append(&bytes, table, strlen(table) + 1);
        for (int i = 0; i < sqlite3_column_count(row); i++)
            add_column(&bytes, row, i);
        rc = bytes.failed ? GV_ERR_MEMORY : GV_OK;
        if (rc == GV_OK)
            gv_hmac(facts->digest, facts->store_key, GV_KEY_LEN, "grapevine backup 1", bytes.data,
                    bytes.len);
        ++*rows;
    }
    sqlite3_finalize(row);
    sqlite3_free(sql);
    gv_buf_free(&bytes);
    return rc;
}

/* facts->digest, over every row, how many they are, and the other facts (SPEC 9.7): a MAC for each
 * row does not show that one is missing, or comes from another backup of the same node. */
static int digest(struct facts *facts, sqlite3 *db, struct gv_text *error)
{
    sqlite3_stmt *table = NULL;
    uint8_t end[GV_HASH_LEN + GV_ID_LEN + 16];
    uint64_t numbers[2] = {(uint64_t)facts->made_ms, 0};
    int rc = gv_db_prepare(db, &table,
                           "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> "
                           "'backup' AND name NOT LIKE 'sqlite%' ORDER BY name",
                           error);

    memset(facts->digest, 0, sizeof facts->digest);
    while (rc == GV_OK && (rc = gv_db_step(table)) == 1)
        rc = add_table(facts, &numbers[1], db, (const char *)sqlite3_column_text(table, 0), error);
    sqlite3_finalize(table);
    memcpy(end, facts->digest, GV_HASH_LEN);
    memcpy(end + GV_HASH_LEN, facts->instance, GV_ID_LEN);
    for (size_t i = 0; i < 16; i++)
        end[GV_HASH_LEN + GV_ID_LEN + i] = (uint8_t)(numbers[i / 8] >> (56 - 8 * (i % 8)));
    gv_hmac(facts->digest, facts->store_key, GV_KEY_LEN, "grapevine backup 1", end, sizeof end);
    return rc == GV_OK ? GV_OK
                       : gv_fail(error, rc, "%s: %s", sqlite3_db_filename(db, "main"),
                                 rc == GV_ERR_MEMORY ? "out of memory" : gv_db_said(db));
}

static int write_facts(sqlite3 *db, const struct gv_identity *identity, struct gv_text *error)
{
    struct timespec now;
    struct facts facts;
    sqlite3_stmt *insert = NULL;

    clock_gettime(CLOCK_REALTIME, &now);
    memcpy(facts.instance, identity->id, GV_ID_LEN);
    memcpy(facts.store_key, identity->store_key, GV_KEY_LEN);
    facts.made_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    int rc = digest(&facts, db, error);
    if (rc == GV_OK)
        rc = gv_db_exec(db,
                        "CREATE TABLE backup (instance BLOB NOT NULL, store_key BLOB NOT NULL,"
                        "                     made_ms INTEGER NOT NULL, digest BLOB NOT NULL)",
                        error);
    if (rc == GV_OK)
        rc = gv_db_prepare(db, &insert, "INSERT INTO backup VALUES (?1, ?2, ?3, ?4)", error);
    if (rc == GV_OK && (rc = gv_db_run(insert, "bbib", facts.instance, (size_t)GV_ID_LEN,
                                       facts.store_key, (size_t)GV_KEY_LEN, facts.made_ms,
                                       facts.digest, sizeof facts.digest)) != GV_OK)
        gv_fail(error, rc, "%s: %s", sqlite3_db_filename(db, "main"), gv_db_said(db));
    sqlite3_finalize(insert);
    gv_wipe(&facts, sizeof facts);
    return rc;
}

static int read_facts(struct facts *out, sqlite3 *db, const char *path, struct gv_text *error)
{
    sqlite3_stmt *row = NULL;
    uint8_t told[GV_HASH_LEN];
    int rc =
        gv_db_prepare(db, &row, "SELECT instance, store_key, made_ms, digest FROM backup", NULL);

    if (rc == GV_OK && gv_db_step(row) == 1 &&
        gv_db_blob(row, 0, out->instance, GV_ID_LEN) == GV_OK &&
        gv_db_blob(row, 1, out->store_key, GV_KEY_LEN) == GV_OK &&
        gv_db_blob(row, 3, told, sizeof told) == GV_OK) {
        out->made_ms = sqlite3_column_int64(row, 2);
        if (gv_db_step(row) != 0)
            rc = gv_fail(error, GV_ERR_MALFORMED, "%s: more than one backup in one file", path);
    } else {
        rc = gv_fail(error, GV_ERR_MALFORMED, "%s: not a backup made by `grapevine backup`", path);
    }
    sqlite3_finalize(row);
    if (rc == GV_OK)
        rc = digest(out, db, error);
    if (rc == GV_OK && !gv_equal_secret(told, out->digest, sizeof told))
        rc = gv_fail(error, GV_ERR_MALFORMED,
                     "%s: this is not the backup that was made: something in it was changed by "
                     "somebody else, left out or put in; take an untouched copy",
                     path);
    return rc;
}

/* ---- copying a database --------------------------------------------------------------------- */

static int open_plain(sqlite3 **out, const char *path, int flags, struct gv_text *error)
{
    int code = sqlite3_open_v2(path, out, flags | SQLITE_OPEN_FULLMUTEX, NULL);

    if (code == SQLITE_OK)
        sqlite3_busy_timeout(*out, GV_DB_BUSY_MS);
    return code == SQLITE_OK ? GV_OK
                             : gv_fail(error, GV_ERR_IO, "%s: %s", path, sqlite3_errstr(code));
}

/* Every page and every row. */
static int verify(sqlite3 *db, const uint8_t store_key[GV_KEY_LEN], size_t *rows,
                  struct gv_text *error)
{
    struct gv_store_carry carry = {.from = db, .from_key = store_key, .positions = true};
    int rc = gv_store_check(db, error);

    if (rc == GV_OK)
        rc = gv_store_carry(&carry, error);
    if (rows)
        *rows = carry.carried;
    if (rc == GV_OK && carry.bad > 0)
        rc = gv_fail(error, GV_ERR_MALFORMED, "%s: %zu rows were changed by somebody else",
                     sqlite3_db_filename(db, "main"), carry.bad);
    return rc;
}

/* ---- making one ----------------------------------------------------------------------------- */

static int read_identity(struct gv_identity *out, const char *folder, struct gv_text *error)
{
    uint8_t secret[GV_SECRET_LEN];
    char path[PATH_LEN];

    snprintf(path, sizeof path, "%s/key", folder);
    int rc = gv_keyfile_read(secret, path, error);
    if (rc == GV_OK)
        gv_identity_from_secret(out, secret);
    gv_wipe(secret, sizeof secret);
    return rc;
}

static int fill_backup(const char *fresh, const char *store, const char *folder,
                       const struct gv_identity *identity, struct gv_text *error)
{
    sqlite3 *from = NULL, *to = NULL;
    int rc = open_plain(&from, store, SQLITE_OPEN_READWRITE, error);

    if (rc == GV_OK) /* the daemon looks after its log */
        sqlite3_db_config(from, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (rc == GV_OK)
        rc = open_plain(&to, fresh, SQLITE_OPEN_READWRITE, error);
    if (rc == GV_OK)
        rc = gv_db_copy(to, from, error);
    if (rc == GV_OK)
        rc = gv_db_exec(to, "PRAGMA journal_mode = DELETE", error);
    if (rc == GV_OK)
        rc = gv_backup_log_take(to, folder, error);
    if (rc == GV_OK)
        rc = write_facts(to, identity, error);
    if (rc == GV_OK)
        rc = verify(to, identity->store_key, NULL, error);
    sqlite3_close(to);
    sqlite3_close(from);
    return rc;
}

/* Not over a file that came there meanwhile. File systems of memory sticks, and some of shares,
 * know no second name for a file; of these some cannot be told to keep what is there, either. */
static int give_name(const char *fresh, const char *path, struct gv_text *error)
{
    struct stat info;
    int rc = link(fresh, path);

    if (rc != 0 && errno != EEXIST)
        rc = renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE);
    int why = rc != 0 ? errno : 0;
    if (why == EINVAL) { /* looked first, then; one that comes in between is replaced */
        if (lstat(path, &info) == 0)
            why = EEXIST;
        else if (errno == ENOENT)
            why = rename(fresh, path) == 0 ? 0 : errno;
    }
    if (why != 0)
        return gv_fail(error, why == EEXIST ? GV_ERR_DUPLICATE : GV_ERR_IO, "%s: %s", path,
                       gv_file_error(why));
    if (gv_file_sync_folder(path) == 0)
        return GV_OK;
    rc = gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(errno));
    unlink(path); /* nobody takes one for safe that may not be */
    return rc;
}

/* It holds the store key. A file system may give its files rights of its own. */
static int check_closed(int fd, const char *path, struct gv_text *error)
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
    if (info.st_mode & (S_IRWXG | S_IRWXO))
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: on this file system others could use it (mode %04o); mount it with "
                       "umask=077, or choose another folder",
                       path, (unsigned)(info.st_mode & 07777));
    return GV_OK;
}

int gv_backup_make(const char *folder, const char *path, struct gv_text *error)
{
    char store[PATH_LEN], fresh[PATH_LEN];
    struct gv_identity identity;
    struct stat info;

    if (!*path)
        return gv_fail(error, GV_ERR_RANGE, "the name of a file is missing");
    int rc = read_identity(&identity, folder, error);
    if (rc == GV_ERR_NOT_FOUND)
        gv_fail(error, rc,
                "%s: there is no key in it, and nothing to back up yet; start grapevined "
                "first, or see [node] data",
                folder);
    if (rc != GV_OK)
        return rc;
    snprintf(store, sizeof store, "%s/store.db", folder);
    if (access(store, F_OK) != 0)
        rc = gv_fail(error, GV_ERR_NOT_FOUND, "%s: %s", store, strerror(errno));
    else if (lstat(path, &info) == 0) /* a link that leads nowhere, too */
        rc = gv_fail(error, GV_ERR_DUPLICATE, "%s exists already; choose another name", path);
    else if ((size_t)snprintf(fresh, sizeof fresh, "%s.part", path) >= sizeof fresh)
        rc = gv_fail(error, GV_ERR_RANGE, "%.64s...: the path is too long", path);
    if (rc != GV_OK)
        goto out;
    int fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST) {
        rc = gv_fail(error, GV_ERR_DUPLICATE,
                     "%s exists already, perhaps of a backup that was ended; move it away", fresh);
        goto out;
    }
    if (fd < 0) {
        rc = gv_fail(error, errno == EACCES ? GV_ERR_FORBIDDEN : GV_ERR_IO, "%s: %s", path,
                     gv_file_error(errno));
        goto out;
    }
    rc = check_closed(fd, path, error);
    close(fd); /* now: it would drop SQLite's locks */
    if (rc == GV_OK)
        rc = fill_backup(fresh, store, folder, &identity, error);
    if (rc == GV_OK)
        rc = gv_backup_seal(fresh, error);
    if (rc == GV_OK)
        rc = give_name(fresh, path, error);
    unlink(fresh);
out:
    gv_identity_wipe(&identity);
    return rc;
}

/* ---- taking one back ------------------------------------------------------------------------ */

static int check_backup_file(const char *path, struct gv_text *error)
{
    struct stat info;

    if (lstat(path, &info) != 0)
        return gv_fail(error, errno == ENOENT ? GV_ERR_NOT_FOUND : GV_ERR_IO, "%s: %s", path,
                       strerror(errno));
    if (!S_ISREG(info.st_mode))
        return gv_fail(error, GV_ERR_FORBIDDEN, "%s: not a regular file", path);
    if (info.st_mode & (S_IRWXG | S_IRWXO))
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: others than its owner can use this backup (mode %04o), and may have "
                       "changed it; if you are sure that nobody did, run: chmod 600 %s",
                       path, (unsigned)(info.st_mode & 07777), path);
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0)
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: %s; run it as the user that the backup belongs to", path,
                       strerror(errno));
    return GV_OK;
}

/* A database of ours that is no store yet, with what belongs to it: a restore that was killed
 * leaves them, and SQLite would play an old log into the new file. */
static void remove_database(const char *path)
{
    static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};
    char name[PATH_LEN + 16];

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

/* What the copy says, if it is whole; then it is a store again, whose schema can be compared. */
static int take_apart(struct facts *facts, struct gv_buf *log, const char *staged, const char *path,
                      struct gv_text *error)
{
    sqlite3 *db = NULL;
    int rc = open_plain(&db, staged, SQLITE_OPEN_READWRITE, error);

    if (rc == GV_OK)
        rc = gv_db_exec(db, "PRAGMA trusted_schema = OFF", NULL);
    if (rc == GV_OK)
        rc = gv_store_check(db, NULL);
    if (rc == GV_ERR_MALFORMED)
        gv_fail(error, rc,
                "%s: damaged, cut short, or not a backup at all; give a whole file that `grapevine "
                "backup` has made",
                path);
    else if (rc != GV_OK)
        gv_fail(error, rc, "%s: cannot be read: %s", path, gv_strerror(rc));
    if (rc == GV_OK)
        rc = read_facts(facts, db, path, error);
    if (rc == GV_OK)
        rc = gv_db_exec(db, "DROP TABLE backup", error);
    if (rc == GV_OK)
        rc = gv_backup_log_read(log, db, error);
    sqlite3_close(db);
    return rc;
}

/* The backup as it is, verified, in a file of the data folder, with today's schema; its
 * transparency log apart. */
static int stage(sqlite3 **out, struct facts *facts, struct gv_buf *log, const char *staged,
                 const char *path, size_t *rows, struct gv_text *error)
{
    remove_database(staged);
    int rc = gv_backup_unseal(staged, path, error);
    if (rc == GV_OK)
        rc = take_apart(facts, log, staged, path, error);
    if (rc == GV_OK) {
        rc = gv_store_open(out, staged, error);
        if (rc == GV_ERR_VERSION)
            gv_fail(error, rc,
                    "%s: made by a newer version of this program; restore it with that one", path);
        else if (rc == GV_ERR_MALFORMED)
            gv_fail(error, rc, "%s: its tables are not those of a backup; take an untouched copy",
                    path);
    }
    if (rc == GV_OK)
        rc = verify(*out, facts->store_key, rows, error);
    return rc;
}

/* The owner of the folder is the daemon's user; files that root makes there are to be its, too. */
static void give_to_owner(const char *folder, const char *path)
{
    struct stat info;

    if (geteuid() == 0 && stat(folder, &info) == 0 && info.st_uid != 0)
        (void)!chown(path, info.st_uid, info.st_gid);
}

static void give_log_to_owner(const char *folder)
{
    char path[PATH_LEN];

    if ((size_t)snprintf(path, sizeof path, "%s/" GV_TRANSPARENCY_FILE, folder) < sizeof path)
        give_to_owner(folder, path);
}

static int own_identity(struct gv_identity *out, bool *fresh, const char *folder,
                        struct gv_text *error)
{
    uint8_t secret[GV_SECRET_LEN];
    char path[PATH_LEN];

    snprintf(path, sizeof path, "%s/key", folder);
    int rc = gv_keyfile_ensure(secret, fresh, path, error);
    if (rc == GV_OK)
        gv_identity_from_secret(out, secret);
    gv_wipe(secret, sizeof secret);
    if (rc == GV_OK && *fresh)
        give_to_owner(folder, path);
    return rc;
}

static int put_in_place(struct gv_backup_report *out, const char *folder, sqlite3 *staged,
                        const struct facts *facts, const struct gv_identity *identity,
                        struct gv_text *error)
{
    char store[PATH_LEN], fresh[PATH_LEN];
    struct gv_store_carry carry = {.from = staged,
                                   .from_key = facts->store_key,
                                   .to_key = identity->store_key,
                                   .positions = out->same_node};

    snprintf(store, sizeof store, "%s/store.db", folder);
    snprintf(fresh, sizeof fresh, "%s/store.db.new", folder);
    remove_database(fresh);
    int rc = gv_store_open(&carry.to, fresh, error);
    if (rc == GV_OK)
        rc = gv_store_carry(&carry, error);
    if (rc == GV_OK)
        rc = gv_db_exec(carry.to, "PRAGMA journal_mode = DELETE", error);
    gv_db_close(carry.to);
    if (rc == GV_OK) {
        give_to_owner(folder, fresh);
        rc = gv_store_replace(store, fresh, "before-restore", out->aside, sizeof out->aside, error);
    }
    if (rc != GV_OK)
        remove_database(fresh);
    out->rows = carry.carried;
    return rc;
}

static int restore_locked(struct gv_backup_report *out, const char *folder, const char *path,
                          struct gv_text *error)
{
    char staged[PATH_LEN];
    struct gv_identity identity;
    struct facts facts;
    struct gv_buf log;
    sqlite3 *db = NULL;

    memset(&facts, 0, sizeof facts);
    gv_buf_init(&log);
    snprintf(staged, sizeof staged, "%s/restore.part", folder);
    int rc = stage(&db, &facts, &log, staged, path, &out->rows, error);
    if (rc == GV_OK)
        rc = own_identity(&identity, &out->new_key, folder, error);
    if (rc == GV_OK) {
        memcpy(out->instance, identity.id, GV_ID_LEN);
        out->same_node = memcmp(identity.id, facts.instance, GV_ID_LEN) == 0;
        out->made_ms = (uint64_t)facts.made_ms;
        /* First: whoever restores must not be rid of the log by a mishap in between. */
        rc = gv_backup_log_give(&out->log, out->log_aside, sizeof out->log_aside, folder, &log,
                                error);
        if (rc == GV_OK && out->log == GV_BACKUP_LOG_BACK)
            give_log_to_owner(folder);
        if (rc == GV_OK)
            rc = put_in_place(out, folder, db, &facts, &identity, error);
        gv_identity_wipe(&identity);
    }
    gv_db_close(db);
    gv_buf_free(&log);
    remove_database(staged);
    gv_wipe(&facts, sizeof facts);
    return rc;
}

int gv_backup_restore(struct gv_backup_report *out, const char *folder, const char *path,
                      struct gv_text *error)
{
    memset(out, 0, sizeof *out);
    int rc = check_backup_file(path, error);
    if (rc == GV_OK)
        rc = gv_file_folder(folder, 0700, error);
    if (rc != GV_OK)
        return rc;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES)
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: not for the user with id %u; run it as root or as "
                       "the daemon's user",
                       folder, (unsigned)geteuid());
    if (fd < 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", folder, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        rc = gv_fail(error, GV_ERR_BUSY,
                     "%s is in use: stop grapevined first, and start it again afterwards", folder);
    if (rc == GV_OK)
        rc = restore_locked(out, folder, path, error);
    close(fd);
    return rc;
}
