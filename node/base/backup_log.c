#include "node/base/backup_log.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/db.h"
#include "node/base/file.h"
#include "node/base/transparency.h"

#define LOG_MAX  (256u << 20) /* a million looks */
#define PATH_LEN 4096

static int path_of(char out[PATH_LEN], const char *folder, struct gv_text *error)
{
    if ((size_t)snprintf(out, PATH_LEN, "%s/" GV_TRANSPARENCY_FILE, folder) < PATH_LEN)
        return GV_OK;
    return gv_fail(error, GV_ERR_RANGE, "%.64s...: the path is too long", folder);
}

/* Nothing where there is no file. */
static int read_log(struct gv_buf *out, const char *path, struct gv_text *error)
{
    int rc = gv_file_read(out, path, LOG_MAX, error);

    return rc == GV_ERR_NOT_FOUND ? GV_OK : rc;
}

/* Each line with its newline; the last may have been cut off. */
static int put_lines(sqlite3_stmt *insert, const struct gv_buf *log)
{
    size_t at = 0;
    int rc = GV_OK;

    for (int64_t line = 1; at < log->len && rc == GV_OK; line++) {
        const uint8_t *end = memchr(log->data + at, '\n', log->len - at);
        size_t len = end ? (size_t)(end - log->data) + 1 - at : log->len - at;
        rc = gv_db_run(insert, "ib", line, log->data + at, len);
        at += len;
    }
    return rc;
}

int gv_backup_log_take(sqlite3 *to, const char *folder, struct gv_text *error)
{
    sqlite3_stmt *insert = NULL;
    char path[PATH_LEN];
    struct gv_buf log;

    gv_buf_init(&log);
    int rc = path_of(path, folder, error);
    if (rc == GV_OK)
        rc = read_log(&log, path, error);
    if (rc != GV_OK || log.len == 0)
        goto out;
    rc = gv_db_exec(
        to, "BEGIN; CREATE TABLE transparency (line INTEGER PRIMARY KEY, text BLOB NOT NULL)",
        error);
    if (rc == GV_OK)
        rc = gv_db_prepare(to, &insert, "INSERT INTO transparency VALUES (?1, ?2)", error);
    if (rc == GV_OK && (rc = put_lines(insert, &log)) != GV_OK)
        gv_fail(error, rc, "%s: %s", sqlite3_db_filename(to, "main"), sqlite3_errmsg(to));
    sqlite3_finalize(insert);
    if (rc == GV_OK)
        rc = gv_db_exec(to, "COMMIT", error);
out:
    gv_buf_free(&log);
    return rc;
}

int gv_backup_log_read(struct gv_buf *out, sqlite3 *db, struct gv_text *error)
{
    sqlite3_stmt *row = NULL;

    if (sqlite3_table_column_metadata(db, "main", "transparency", "text", NULL, NULL, NULL, NULL,
                                      NULL) != SQLITE_OK)
        return GV_OK;
    int rc = gv_db_prepare(db, &row, "SELECT text FROM transparency ORDER BY line", error);
    while (rc == GV_OK && (rc = gv_db_step(row)) == 1) {
        gv_buf_append(out, sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0));
        rc = out->failed ? gv_fail(error, GV_ERR_MEMORY, "out of memory") : GV_OK;
        if (out->len > LOG_MAX)
            rc = gv_fail(error, GV_ERR_RANGE, "its transparency log has more than %u bytes",
                         (unsigned)LOG_MAX);
    }
    sqlite3_finalize(row);
    if (rc == GV_OK)
        rc = gv_db_exec(db, "DROP TABLE transparency", error);
    return rc;
}

static bool begins_with(const struct gv_buf *whole, const struct gv_buf *part)
{
    return part->len == 0 ||
           (part->len <= whole->len && memcmp(whole->data, part->data, part->len) == 0);
}

/* The daemon's user and group are the folder's. */
static int put_log(const char *path, const char *folder, const struct gv_buf *log,
                   struct gv_text *error)
{
    struct stat home;
    int rc = gv_file_write(path, log->data, log->len, 0640, error);

    if (rc == GV_OK && geteuid() == 0 && stat(folder, &home) == 0)
        (void)!chown(path, (uid_t)-1, home.st_gid);
    return rc;
}

int gv_backup_log_give(enum gv_backup_log *out, char *beside, size_t len, const char *folder,
                       const struct gv_buf *log, struct gv_text *error)
{
    char path[PATH_LEN];
    struct gv_buf there;

    *out = GV_BACKUP_LOG_NONE;
    beside[0] = 0;
    if (log->len == 0)
        return GV_OK;
    gv_buf_init(&there);
    int rc = path_of(path, folder, error);
    if (rc == GV_OK)
        rc = read_log(&there, path, error);
    if (rc != GV_OK)
        goto out;
    if (begins_with(&there, log)) {
        *out = GV_BACKUP_LOG_KEPT;
    } else if (begins_with(log, &there)) {
        *out = GV_BACKUP_LOG_BACK;
        rc = put_log(path, folder, log, error);
    } else {
        *out = GV_BACKUP_LOG_BESIDE;
        gv_file_aside_name(beside, len, path, "of-backup");
        rc = put_log(beside, folder, log, error);
    }
out:
    gv_buf_free(&there);
    return rc;
}
