#include "node/base/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"

static int error_of(int sqlite)
{
    switch (sqlite & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return GV_ERR_BUSY;
    case SQLITE_CONSTRAINT:
        return GV_ERR_DUPLICATE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return GV_ERR_MALFORMED;
    default:
        return GV_ERR_IO;
    }
}

int gv_db_exec(sqlite3 *db, const char *sql, struct gv_text *error)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

    if (code == SQLITE_OK)
        return GV_OK;
    return gv_fail(error, error_of(code), "%s: %s", sqlite3_db_filename(db, "main"),
                   sqlite3_errmsg(db));
}

static int schema_version(sqlite3 *db, int *version, struct gv_text *error)
{
    sqlite3_stmt *statement = NULL;
    int rc = gv_db_prepare(db, &statement, "PRAGMA user_version", error);

    if (rc == GV_OK && sqlite3_step(statement) == SQLITE_ROW)
        *version = sqlite3_column_int(statement, 0);
    else if (rc == GV_OK)
        rc = gv_fail(error, error_of(sqlite3_errcode(db)), "%s", sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    return rc;
}

static int migrate(sqlite3 *db, const char *path, const char *const *migrations, size_t count,
                   struct gv_text *error)
{
    int version = 0;
    char set[64];
    int rc = schema_version(db, &version, error);

    if (rc != GV_OK)
        return rc;
    if (version < 0 || (size_t)version > count)
        return gv_fail(error, GV_ERR_VERSION,
                       "%s: made by a newer version of this program (schema %d, this one knows "
                       "%zu); install that version, or move the file away",
                       path, version, count);
    for (size_t i = (size_t)version; rc == GV_OK && i < count; i++) {
        snprintf(set, sizeof set, "PRAGMA user_version = %zu", i + 1);
        rc = gv_db_exec(db, "BEGIN IMMEDIATE", error);
        if (rc == GV_OK)
            rc = gv_db_exec(db, migrations[i], error);
        if (rc == GV_OK)
            rc = gv_db_exec(db, set, error);
        if (rc == GV_OK)
            rc = gv_db_exec(db, "COMMIT", error);
        if (rc != GV_OK)
            sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return rc;
}

/* SQLite gives its -wal and -shm files the rights of the main file, so that is made first. One that
 * a careless copy left readable for others is closed again: who logged in here is in it. */
static int ready_file(const char *path, struct gv_text *error)
{
    struct stat info;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    int rc = GV_OK;

    if (fd < 0 && errno == ELOOP)
        return gv_fail(error, GV_ERR_FORBIDDEN, "%s: a symbolic link; put the file itself there",
                       path);
    if (fd < 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0)
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(info.st_mode))
        rc = gv_fail(error, GV_ERR_FORBIDDEN, "%s: not a regular file; move it away", path);
    else if ((info.st_mode & (S_IRWXG | S_IRWXO)) && fchmod(fd, 0600) != 0)
        rc = gv_fail(error, GV_ERR_FORBIDDEN,
                     "%s: others can use it and that cannot be changed (%s); run: chmod 600 %s",
                     path, strerror(errno), path);
    close(fd);
    return rc;
}

int gv_db_open(sqlite3 **out, const char *path, const char *const *migrations, size_t count,
               struct gv_text *error)
{
    sqlite3 *db = NULL;
    int rc;

    *out = NULL;
    rc = ready_file(path, error);
    if (rc != GV_OK)
        return rc;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) !=
        SQLITE_OK) {
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", path, db ? sqlite3_errmsg(db) : "out of memory");
        goto out;
    }
    sqlite3_busy_timeout(db, GV_DB_BUSY_MS);
    rc = gv_db_exec(db,
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                    "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
                    error);
    if (rc == GV_OK)
        rc = migrate(db, path, migrations, count, error);
    if (rc == GV_OK) {
        *out = db;
        db = NULL;
    }
out:
    sqlite3_close(db);
    return rc;
}

void gv_db_close(sqlite3 *db)
{
    if (db)
        gv_assert(sqlite3_close(db) == SQLITE_OK);
}

int gv_db_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql, struct gv_text *error)
{
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) == SQLITE_OK)
        return GV_OK;
    return gv_fail(error, error_of(sqlite3_errcode(db)), "%s: %s", sql, sqlite3_errmsg(db));
}

static int bind_list(sqlite3_stmt *statement, const char *types, va_list args)
{
    int rc = SQLITE_OK;

    sqlite3_reset(statement);
    for (int i = 1; types[i - 1] && rc == SQLITE_OK; i++) {
        const void *data;
        size_t len;
        switch (types[i - 1]) {
        case 'i':
            rc = sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
            break;
        case 'b':
            data = va_arg(args, const void *);
            len = va_arg(args, size_t);
            rc = sqlite3_bind_blob64(statement, i, data, len, SQLITE_STATIC);
            break;
        case 't':
            rc = sqlite3_bind_text(statement, i, va_arg(args, const char *), -1, SQLITE_STATIC);
            break;
        case 'n':
            rc = sqlite3_bind_null(statement, i);
            break;
        default:
            rc = SQLITE_MISUSE; /* a mistake of ours, which the first test of the caller shows */
        }
    }
    return rc == SQLITE_OK ? GV_OK : GV_ERR_IO;
}

int gv_db_bind(sqlite3_stmt *statement, const char *types, ...)
{
    va_list args;

    va_start(args, types);
    int rc = bind_list(statement, types, args);
    va_end(args);
    return rc;
}

int gv_db_step(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);

    if (rc == SQLITE_ROW)
        return 1;
    sqlite3_reset(statement);
    return rc == SQLITE_DONE ? 0 : error_of(rc);
}

int gv_db_run(sqlite3_stmt *statement, const char *types, ...)
{
    va_list args;

    va_start(args, types);
    int rc = bind_list(statement, types, args);
    va_end(args);
    if (rc != GV_OK)
        return rc;
    do
        rc = gv_db_step(statement);
    while (rc == 1);
    return rc;
}

int gv_db_blob(sqlite3_stmt *statement, int column, void *out, size_t len)
{
    const void *data = sqlite3_column_blob(statement, column);

    if ((size_t)sqlite3_column_bytes(statement, column) != len || (len && !data))
        return GV_ERR_MALFORMED;
    if (len)
        memcpy(out, data, len);
    return GV_OK;
}
