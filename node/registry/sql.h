/* The registry's database: one set of statements, two implementations, SQLite in a file and
 * PostgreSQL (sql_sqlite.c, sql_postgres.c). Statements are written with ?1, ?2, ...; blobs, texts
 * and integers of 64 bits are all there is. Used by records*.c alone. Not for several threads. */
#ifndef GV_NODE_REGISTRY_SQL_H
#define GV_NODE_REGISTRY_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/text.h"

#define GV_SQL_VALUES 12 /* parameters of a statement */

struct gv_sql_schema {
    const char *const *statements;
    size_t statement_count;
    const char *const *sqlite, *const *postgres; /* migrations, each run once, in order */
    size_t migration_count;
};

struct gv_sql; /* one connection */

/* `database`: postgresql://... or postgres://..., or a file's path. The schema is borrowed. Returns
 * as gv_db_open, or GV_ERR_IO when the server cannot be reached. */
int gv_sql_open(struct gv_sql **out, const char *database, const struct gv_sql_schema *schema,
                struct gv_text *error);
void gv_sql_close(struct gv_sql *sql); /* NULL is allowed */
bool gv_sql_is_server(const char *database);

/* Types as for gv_db_bind ('i', 'b', 't', 'n'). All return GV_OK, GV_ERR_BUSY, GV_ERR_IO (the
 * connection is lost too: it is made anew with the next call outside a transaction, at most once a
 * second), GV_ERR_MALFORMED, GV_ERR_MEMORY. */
int gv_sql_run(struct gv_sql *sql, unsigned statement, const char *types, ...);
uint64_t gv_sql_changes(const struct gv_sql *sql); /* rows that the last run changed */

/* A write whose outcome is that of its transaction: it goes out with the next query or the commit,
 * which saves a way to the server and back. Outside a transaction it is run at once. */
int gv_sql_later(struct gv_sql *sql, unsigned statement, const char *types, ...);

/* A query, its rows one by one (1: a row stands; 0: no more), and its end, always. */
int gv_sql_query(struct gv_sql *sql, unsigned statement, const char *types, ...);
int gv_sql_step(struct gv_sql *sql, unsigned statement);
void gv_sql_end(struct gv_sql *sql, unsigned statement);
/* Of the row that stands. A blob of exactly len bytes: GV_OK or GV_ERR_MALFORMED. */
int gv_sql_blob(struct gv_sql *sql, unsigned statement, int column, void *out, size_t len);
const void *gv_sql_bytes(struct gv_sql *sql, unsigned statement, int column, size_t *len);
void gv_sql_text(struct gv_sql *sql, unsigned statement, int column, char *out, size_t cap);
int64_t gv_sql_number(struct gv_sql *sql, unsigned statement, int column);
bool gv_sql_is_null(struct gv_sql *sql, unsigned statement, int column);

/* A transaction that no other writer runs beside, in this process or another. */
int gv_sql_begin(struct gv_sql *sql);
/* Commits when rc is GV_OK, and rolls back otherwise or when that fails. Returns rc, or why not. A
 * commit is on disk. */
int gv_sql_finish(struct gv_sql *sql, int rc);

#endif
