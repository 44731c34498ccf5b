/* SQLite as we use it: WAL, foreign keys on, synchronous NORMAL, a busy timeout, a file only its
 * owner can read, and a schema that migrates forward by PRAGMA user_version. */
#ifndef GV_NODE_BASE_DB_H
#define GV_NODE_BASE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/text.h"

#define GV_DB_BUSY_MS 5000

/* Opens or creates `path` (0600) and runs migrations[user_version..count-1], each in a transaction
 * of its own: one that is interrupted has not happened. A file that others may use is closed to
 * them (chmod 600), and so are its -wal, -shm and -journal. Returns GV_OK, GV_ERR_VERSION (made by
 * a newer program), GV_ERR_FORBIDDEN (one of the four is a symbolic link or no regular file),
 * GV_ERR_MALFORMED (damaged, or no database), GV_ERR_SPACE (the disk is full), GV_ERR_IO (also: it
 * can be read, and not written). */
int gv_db_open(sqlite3 **out, const char *path, const char *const *migrations, size_t count,
               struct gv_text *error);
/* The same of a file that this program had open, while others wait for its answers: whoever has a
 * lock is not waited for (the busy timeout is 0), and who writes just then is no obstacle. Also
 * GV_ERR_BUSY: somebody has it for himself alone. */
int gv_db_open_again(sqlite3 **out, const char *path, const char *const *migrations, size_t count,
                     struct gv_text *error);
/* After GV_ERR_SPACE: what can be read without a byte being written, for reading alone. Without a
 * log the file is taken for unchanging; with one, the index over it that SQLite wants beside them
 * is kept in memory, and nobody else can open the file meanwhile. Where there is no file, or an
 * empty one, an empty database in memory. Returns GV_OK; GV_ERR_VERSION (not of the last schema:
 * that takes room), GV_ERR_MALFORMED, GV_ERR_MEMORY, GV_ERR_IO. */
int gv_db_open_reading(sqlite3 **out, const char *path, const char *const *migrations, size_t count,
                       struct gv_text *error);
void gv_db_close(sqlite3 *db); /* NULL is allowed; all statements must be finalised */

/* What was wrong the last time, for the admin: "the disk is full; make room on it", or SQLite's
 * word, which for a file that could not grow is no more than "disk I/O error". Borrowed. */
const char *gv_db_said(sqlite3 *db);
bool gv_db_full(sqlite3 *db); /* whether that was it */

/* All of `from` into `to`, another database, in one step: it sees one moment of what is written
 * meanwhile, and holds up nobody. GV_OK, GV_ERR_MALFORMED (`from` is damaged), GV_ERR_IO. */
int gv_db_copy(sqlite3 *to, sqlite3 *from, struct gv_text *error);

/* Prepares a statement to be kept. GV_OK or GV_ERR_IO. */
int gv_db_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql, struct gv_text *error);

/* One character a parameter, in order: 'i' int64_t, 'b' const void *, size_t (NULL: SQL NULL;
 * must live until the reset), 't' const char * (NULL: SQL NULL; likewise), 'n' SQL NULL.
 * Resets the statement first. GV_OK or GV_ERR_IO. */
int gv_db_bind(sqlite3_stmt *statement, const char *types, ...);

/* 1: a row stands; 0: done, and reset; GV_ERR_BUSY; GV_ERR_MALFORMED (the file is damaged);
 * GV_ERR_IO. After an error it is reset too. */
int gv_db_step(sqlite3_stmt *statement);

/* Binds, runs to the end and resets: for INSERT, UPDATE, DELETE. GV_OK, GV_ERR_DUPLICATE (a
 * constraint), GV_ERR_BUSY, GV_ERR_MALFORMED, GV_ERR_IO. */
int gv_db_run(sqlite3_stmt *statement, const char *types, ...);

/* Copies a blob column into out. GV_OK, or GV_ERR_MALFORMED if its length is not exactly len. */
int gv_db_blob(sqlite3_stmt *statement, int column, void *out, size_t len);

/* SQL without parameters or rows ("BEGIN IMMEDIATE", "COMMIT", ...). */
int gv_db_exec(sqlite3 *db, const char *sql, struct gv_text *error);

#endif
