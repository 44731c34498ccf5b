#include "node/base/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/file.h"

#define VERSION_MARK 0x67760000 /* "gv", two bytes for the version */

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
    case SQLITE_ERROR: /* our statements are right: the schema is not what it was */
        return GV_ERR_MALFORMED;
    case SQLITE_NOMEM:
        return GV_ERR_MEMORY;
    default:
        return GV_ERR_IO;
    }
}

static int errno_of_file(sqlite3_file *file)
{
    int number = 0;

    if (file && file->pMethods)
        (void)file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &number);
    return number;
}

/* Why a file could not be written or opened. A COMMIT that fails does not tell its connection: then
 * the log of writes knows, or the file. */
static int system_errno(sqlite3 *db)
{
    int number = sqlite3_system_errno(db);
    sqlite3_file *file = NULL;

    if (number == 0 &&
        sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) == SQLITE_OK)
        number = errno_of_file(file);
    if (number == 0 &&
        sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK)
        number = errno_of_file(file);
    return number;
}

/* ENOSPC or its like; 0: that was not it. */
static int full_errno(sqlite3 *db)
{
    int code = sqlite3_errcode(db) & 0xff;

    if (code == SQLITE_FULL)
        return ENOSPC;
    if (code != SQLITE_IOERR && code != SQLITE_CANTOPEN)
        return 0;
    int number = system_errno(db);
    return gv_file_is_full(number) ? number : 0;
}

bool gv_db_full(sqlite3 *db)
{
    return full_errno(db) != 0;
}

const char *gv_db_said(sqlite3 *db)
{
    int number = full_errno(db);

    return number ? gv_file_error(number) : sqlite3_errmsg(db);
}

int gv_db_exec(sqlite3 *db, const char *sql, struct gv_text *error)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

    if (code == SQLITE_OK)
        return GV_OK;
    return gv_fail(error, error_of(code), "%s: %s", sqlite3_db_filename(db, "main"),
                   gv_db_said(db));
}

static int read_number(sqlite3 *db, const char *sql, int *number, struct gv_text *error)
{
    sqlite3_stmt *statement = NULL;
    int rc = gv_db_prepare(db, &statement, sql, error);

    if (rc == GV_OK && sqlite3_step(statement) == SQLITE_ROW)
        *number = sqlite3_column_int(statement, 0);
    else if (rc == GV_OK)
        rc = gv_fail(error, error_of(sqlite3_errcode(db)), "%s: %s",
                     sqlite3_db_filename(db, "main"), gv_db_said(db));
    sqlite3_finalize(statement);
    return rc;
}

/* The version stands in the file twice: in application_id with a mark before it. So one wrong bit
 * is not taken for the file of a newer program. Files of the first days have no mark (0). */
static int check_version(const char *path, int version, int mark, size_t count,
                         struct gv_text *error)
{
    bool agree = version >= 0 && version <= 0xffff && mark == (VERSION_MARK | version);

    if (agree && (size_t)version > count)
        return gv_fail(error, GV_ERR_VERSION,
                       "%s: made by a newer version of this program (schema %d, this one knows "
                       "%zu); install that version, or move the file away",
                       path, version, count);
    if (!agree && (mark != 0 || version < 0 || (size_t)version > count))
        return gv_fail(error, GV_ERR_MALFORMED,
                       "%s: the file is damaged: its version (%d) cannot be right", path, version);
    return GV_OK;
}

/* What a file with these migrations looks like. */
#define SCHEMA_SQL                                                                                 \
    "SELECT ifnull(group_concat(t, char(10)), '') FROM (SELECT type || ' ' || name || ' ' || "     \
    "tbl_name || ' ' || ifnull(sql, '') AS t FROM sqlite_schema ORDER BY name, type)"

static bool same_text(sqlite3 *a, sqlite3 *b, int *rc, struct gv_text *error)
{
    sqlite3_stmt *one = NULL, *other = NULL;
    bool same = false;

    *rc = gv_db_prepare(a, &one, SCHEMA_SQL, error);
    if (*rc == GV_OK)
        *rc = gv_db_prepare(b, &other, SCHEMA_SQL, error);
    if (*rc == GV_OK && sqlite3_step(one) == SQLITE_ROW && sqlite3_step(other) == SQLITE_ROW) {
        const char *left = (const char *)sqlite3_column_text(one, 0);
        const char *right = (const char *)sqlite3_column_text(other, 0);
        same = left && right && strcmp(left, right) == 0;
        *rc = left && right ? GV_OK : gv_fail(error, GV_ERR_MEMORY, "out of memory");
    } else if (*rc == GV_OK) {
        *rc = error_of(sqlite3_errcode(a) != SQLITE_ROW ? sqlite3_errcode(a) : sqlite3_errcode(b));
        gv_fail(error, *rc, "%s: %s", sqlite3_db_filename(a, "main"), gv_db_said(a));
    }
    sqlite3_finalize(one);
    sqlite3_finalize(other);
    return same;
}

/* A table that is gone, a trigger that somebody added: what a check of the pages lets pass. */
static int check_schema(sqlite3 *db, const char *path, const char *const *migrations,
                        size_t version, struct gv_text *error)
{
    sqlite3 *model = NULL;
    int rc = GV_OK;

    if (sqlite3_open_v2(":memory:", &model, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) !=
        SQLITE_OK)
        rc = gv_fail(error, GV_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < version && rc == GV_OK; i++)
        rc = gv_db_exec(model, migrations[i], error) == GV_OK ? GV_OK : GV_ERR_MEMORY;
    if (rc == GV_OK && !same_text(db, model, &rc, error) && rc == GV_OK)
        rc = gv_fail(error, GV_ERR_MALFORMED,
                     "%s: the file is damaged: its tables are not those of version %zu", path,
                     version);
    sqlite3_close(model);
    return rc;
}

static int migrate(sqlite3 *db, const char *path, const char *const *migrations, size_t count,
                   struct gv_text *error)
{
    int version = 0, mark = 0;
    char set[128];
    int rc = read_number(db, "PRAGMA user_version", &version, error);

    if (rc == GV_OK)
        rc = read_number(db, "PRAGMA application_id", &mark, error);
    if (rc == GV_OK)
        rc = check_version(path, version, mark, count, error);
    if (rc == GV_OK)
        rc = check_schema(db, path, migrations, (size_t)version, error);
    size_t first = (size_t)version;
    if (rc == GV_OK && first == count && count > 0 && mark == 0)
        first--; /* only the mark is missing */
    for (size_t i = first; rc == GV_OK && i < count; i++) {
        snprintf(set, sizeof set, "PRAGMA user_version = %zu; PRAGMA application_id = %zu", i + 1,
                 VERSION_MARK + i + 1);
        rc = gv_db_exec(db, "BEGIN IMMEDIATE", error);
        if (rc == GV_OK && i >= (size_t)version)
            rc = gv_db_exec(db, migrations[i], error);
        if (rc != GV_OK && (sqlite3_errcode(db) & 0xff) == SQLITE_ERROR)
            rc = GV_ERR_IO; /* the schema was right: a mistake of ours */
        if (rc == GV_OK)
            rc = gv_db_exec(db, set, error);
        if (rc == GV_OK)
            rc = gv_db_exec(db, "COMMIT", error);
        if (rc != GV_OK)
            sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return rc;
}

/* What SQLite would take for a file that may not be written, or of another kind of program. */
static bool head_sound(int fd, off_t size)
{
    static const uint8_t fixed[] = {0, 64, 32, 32}; /* bytes 20 to 23 */
    uint8_t head[100];

    if (size == 0)
        return true;
    return pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
           memcmp(head, "SQLite format 3", 16) == 0 && head[18] >= 1 && head[18] <= 2 &&
           head[19] >= 1 && head[19] <= 2 && memcmp(head + 20, fixed, sizeof fixed) == 0;
}

/* What stands where SQLite wants its own files. It would say no more than that it cannot open the
 * database. Looked at by name: closing a file that this process has open already drops its locks.
 */
static int check_beside(const char *path, struct gv_text *error)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
    char name[PATH_MAX];
    struct stat info;

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if ((size_t)snprintf(name, sizeof name, "%s%s", path, suffixes[i]) >= sizeof name)
            return gv_fail(error, GV_ERR_RANGE, "%.64s...: the path is too long", path);
        if (lstat(name, &info) != 0) {
            if (errno != ENOENT)
                return gv_fail(error, GV_ERR_IO, "%s: %s", name, strerror(errno));
        } else if (!S_ISREG(info.st_mode)) {
            return gv_fail(error, GV_ERR_FORBIDDEN, "%s: not a regular file; move it away", name);
        } else if ((info.st_mode & (S_IRWXG | S_IRWXO)) && chmod(name, 0600) != 0) {
            return gv_fail(error, GV_ERR_FORBIDDEN,
                           "%s: others can use it and that cannot be changed (%s); run: chmod 600 "
                           "%s",
                           name, strerror(errno), name);
        } else if (faccessat(AT_FDCWD, name, R_OK | W_OK, AT_EACCESS) != 0) {
            return gv_fail(error, GV_ERR_IO, "%s: %s; it has to be the same user's as %s", name,
                           strerror(errno), path);
        }
    }
    return GV_OK;
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
    if (fd < 0 && gv_file_is_full(errno))
        return gv_fail(error, GV_ERR_SPACE, "%s: %s", path, gv_file_error(errno));
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
    else if (!head_sound(fd, info.st_size))
        rc = gv_fail(error, GV_ERR_MALFORMED, "%s: the file is damaged, or no database", path);
    close(fd);
    return rc;
}

/* When the file or its -shm cannot be opened for writing, SQLite opens it for reading alone and
 * says nothing; every write would fail for as long as the program runs. */
static int check_writable(sqlite3 *db, const char *path, bool wait, struct gv_text *error)
{
    if (sqlite3_db_readonly(db, "main") != 0)
        return gv_fail(error, GV_ERR_IO, "%s: cannot be opened for writing", path);
    int rc = gv_db_exec(db, "BEGIN IMMEDIATE", error);
    if (rc == GV_ERR_BUSY && !wait)
        return GV_OK; /* somebody else writes; it can be read meanwhile */
    return rc == GV_OK ? gv_db_exec(db, "ROLLBACK", error) : rc;
}

static int open_for_writing(sqlite3 **out, const char *path, const char *const *migrations,
                            size_t count, bool wait, struct gv_text *error)
{
    sqlite3 *db = NULL;
    int rc;

    *out = NULL;
    rc = check_beside(path, error);
    if (rc == GV_OK)
        rc = ready_file(path, error);
    if (rc != GV_OK)
        return rc;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) !=
        SQLITE_OK) {
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", path, db ? gv_db_said(db) : "out of memory");
        goto out;
    }
    sqlite3_busy_timeout(db, wait ? GV_DB_BUSY_MS : 0);
    rc = gv_db_exec(db,
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                    "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
                    error);
    if (rc == GV_OK)
        rc = migrate(db, path, migrations, count, error);
    if (rc == GV_OK)
        rc = check_writable(db, path, wait, error);
    /* When it could not make one of its files, SQLite does not say why. */
    if (rc == GV_ERR_IO) {
        int why = full_errno(db);
        if (why == 0)
            why = gv_file_no_room(path);
        if (why != 0)
            rc = gv_fail(error, GV_ERR_SPACE, "%s: %s", path, gv_file_error(why));
    }
    if (rc == GV_OK) {
        *out = db;
        db = NULL;
    }
out:
    sqlite3_close(db);
    return rc;
}

int gv_db_open(sqlite3 **out, const char *path, const char *const *migrations, size_t count,
               struct gv_text *error)
{
    return open_for_writing(out, path, migrations, count, true, error);
}

int gv_db_open_again(sqlite3 **out, const char *path, const char *const *migrations, size_t count,
                     struct gv_text *error)
{
    return open_for_writing(out, path, migrations, count, false, error);
}

/* ---- for reading alone ---------------------------------------------------------------------- */

/* The path as a URI: SQLite would take what stands behind a "?" or after a "%" for its own. */
static bool put_uri(char *out, size_t cap, const char *path)
{
    size_t len = (size_t)snprintf(out, cap, "file:");

    while (path[0] == '/' && path[1] == '/') /* a name of a host would follow */
        path++;
    for (; *path && len + 4 < cap; path++)
        len += (size_t)snprintf(out + len, cap - len, strchr("%?#", *path) ? "%%%02x" : "%c",
                                (unsigned char)*path);
    return !*path && (size_t)snprintf(out + len, cap - len, "?immutable=1") < cap - len;
}

static bool has_bytes(const char *path, const char *suffix)
{
    char name[PATH_MAX];
    struct stat info;

    return (size_t)snprintf(name, sizeof name, "%s%s", path, suffix) < sizeof name &&
           stat(name, &info) == 0 && info.st_size > 0;
}

static int open_nothing(sqlite3 **db, const char *const *migrations, size_t count,
                        struct gv_text *error)
{
    int rc = GV_OK;

    if (sqlite3_open_v2(":memory:", db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) !=
        SQLITE_OK)
        rc = gv_fail(error, GV_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count && rc == GV_OK; i++)
        rc = gv_db_exec(*db, migrations[i], error);
    return rc;
}

static int open_unchanging(sqlite3 **db, const char *path, struct gv_text *error)
{
    char uri[3 * PATH_MAX];

    if (!put_uri(uri, sizeof uri, path))
        return gv_fail(error, GV_ERR_RANGE, "%.64s...: the path is too long", path);
    if (sqlite3_open_v2(uri, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_FULLMUTEX,
                        NULL) != SQLITE_OK)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, *db ? gv_db_said(*db) : "out of memory");
    return GV_OK;
}

static int open_with_log(sqlite3 **db, const char *path, struct gv_text *error)
{
    if (sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) != SQLITE_OK)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, *db ? gv_db_said(*db) : "out of memory");
    sqlite3_busy_timeout(*db, GV_DB_BUSY_MS);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return gv_db_exec(*db, "PRAGMA locking_mode = EXCLUSIVE", error);
}

/* Of the last version, and with its tables. */
static int check_last(sqlite3 *db, const char *path, const char *const *migrations, size_t count,
                      struct gv_text *error)
{
    int version = 0, mark = 0;
    int rc = read_number(db, "PRAGMA user_version", &version, error);

    if (rc == GV_OK)
        rc = read_number(db, "PRAGMA application_id", &mark, error);
    if (rc == GV_OK)
        rc = check_version(path, version, mark, count, error);
    if (rc == GV_OK && (size_t)version < count)
        rc = gv_fail(
            error, GV_ERR_VERSION,
            "%s: made by an older version of this program, and cannot be brought up to date "
            "as long as the disk is full",
            path);
    if (rc == GV_OK)
        rc = check_schema(db, path, migrations, count, error);
    return rc;
}

int gv_db_open_reading(sqlite3 **out, const char *path, const char *const *migrations, size_t count,
                       struct gv_text *error)
{
    sqlite3 *db = NULL;
    bool there = has_bytes(path, "");
    int rc;

    *out = NULL;
    if (!there)
        rc = open_nothing(&db, migrations, count, error);
    else if (has_bytes(path, "-wal"))
        rc = open_with_log(&db, path, error);
    else
        rc = open_unchanging(&db, path, error);
    if (rc == GV_OK)
        rc = gv_db_exec(db, "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF", error);
    if (rc == GV_OK && there)
        rc = check_last(db, path, migrations, count, error);
    if (rc == GV_OK) {
        *out = db;
        db = NULL;
    }
    sqlite3_close(db);
    return rc;
}

/* ---- statements ----------------------------------------------------------------------------- */

void gv_db_close(sqlite3 *db)
{
    if (db)
        gv_assert(sqlite3_close(db) == SQLITE_OK);
}

int gv_db_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql, struct gv_text *error)
{
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) == SQLITE_OK)
        return GV_OK;
    return gv_fail(error, error_of(sqlite3_errcode(db)), "%s: %s", sql, gv_db_said(db));
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

/* ---- a copy --------------------------------------------------------------------------------- */

int gv_db_copy(sqlite3 *to, sqlite3 *from, struct gv_text *error)
{
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", from, "main");
    int code = copy ? sqlite3_backup_step(copy, -1) : sqlite3_errcode(to);

    if (copy) {
        int end = sqlite3_backup_finish(copy);
        code = code == SQLITE_DONE ? end : code;
    }
    if (code == SQLITE_OK)
        return GV_OK;
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return gv_fail(error, GV_ERR_MALFORMED, "%s: the file is damaged",
                       sqlite3_db_filename(from, "main"));
    return gv_fail(error, GV_ERR_IO, "%s: %s", sqlite3_db_filename(to, "main"),
                   gv_db_full(to) ? gv_db_said(to) : sqlite3_errstr(code));
}
