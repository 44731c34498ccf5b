/* SQLite behind node/registry/sql.h. */
#include <stdlib.h>

#include "crypto/error.h"
#include "node/base/db.h"
#include "node/registry/sql_internal.h"

struct gv_sqlite {
    struct gv_sql base;
    sqlite3 *db;
    sqlite3_stmt **statements; /* owned */
};

static sqlite3_stmt *statement_of(struct gv_sql *sql, unsigned statement)
{
    return ((struct gv_sqlite *)sql)->statements[statement];
}

static void close_file(struct gv_sql *sql)
{
    struct gv_sqlite *self = (struct gv_sqlite *)sql;

    for (size_t i = 0; self->statements && i < sql->schema->statement_count; i++)
        sqlite3_finalize(self->statements[i]);
    gv_db_close(self->db);
    free(self->statements);
    free(self);
}

static int query(struct gv_sql *sql, unsigned statement, const struct gv_sql_value *values,
                 size_t count)
{
    sqlite3_stmt *s = statement_of(sql, statement);
    int rc = gv_db_bind(s, ""); /* resets it */

    for (size_t i = 0; rc == GV_OK && i < count; i++) {
        const struct gv_sql_value *v = &values[i];
        int at = (int)i + 1, code;
        if (v->type == 'i')
            code = sqlite3_bind_int64(s, at, v->number);
        else if (v->type == 'b')
            code = sqlite3_bind_blob(s, at, v->data, (int)v->len, SQLITE_TRANSIENT);
        else if (v->type == 't')
            code = sqlite3_bind_text(s, at, v->data, (int)v->len, SQLITE_TRANSIENT);
        else
            code = sqlite3_bind_null(s, at);
        rc = code == SQLITE_OK ? GV_OK : code == SQLITE_NOMEM ? GV_ERR_MEMORY : GV_ERR_IO;
    }
    return rc;
}

static int step(struct gv_sql *sql, unsigned statement)
{
    return gv_db_step(statement_of(sql, statement));
}

static void end(struct gv_sql *sql, unsigned statement)
{
    sqlite3_reset(statement_of(sql, statement));
    sqlite3_clear_bindings(statement_of(sql, statement));
}

static const void *bytes(struct gv_sql *sql, unsigned statement, int column, size_t *len)
{
    const void *data = sqlite3_column_blob(statement_of(sql, statement), column);

    *len = (size_t)sqlite3_column_bytes(statement_of(sql, statement), column);
    return data;
}

static int64_t number(struct gv_sql *sql, unsigned statement, int column)
{
    return sqlite3_column_int64(statement_of(sql, statement), column);
}

static bool is_null(struct gv_sql *sql, unsigned statement, int column)
{
    return sqlite3_column_type(statement_of(sql, statement), column) == SQLITE_NULL;
}

static uint64_t changes(const struct gv_sql *sql)
{
    return (uint64_t)sqlite3_changes(((const struct gv_sqlite *)sql)->db);
}

static int begin(struct gv_sql *sql)
{
    return gv_db_exec(((struct gv_sqlite *)sql)->db, "BEGIN IMMEDIATE", NULL);
}

static int commit(struct gv_sql *sql)
{
    return gv_db_exec(((struct gv_sqlite *)sql)->db, "COMMIT", NULL);
}

static void rollback(struct gv_sql *sql)
{
    (void)gv_db_exec(((struct gv_sqlite *)sql)->db, "ROLLBACK", NULL);
}

static const struct gv_sql_backend backend = {
    close_file, query, NULL, step, end, bytes, number, is_null, changes, begin, commit, rollback,
};

int gv_sqlite_open(struct gv_sql **out, const char *path, const struct gv_sql_schema *schema,
                   struct gv_text *error)
{
    struct gv_sqlite *self = calloc(1, sizeof *self);
    int rc = GV_ERR_MEMORY;

    if (!self)
        return gv_fail(error, rc, "out of memory");
    self->base = (struct gv_sql){.backend = &backend, .schema = schema};
    self->statements = calloc(schema->statement_count, sizeof *self->statements);
    if (!self->statements) {
        gv_fail(error, rc, "out of memory");
        goto out;
    }
    rc = gv_db_open(&self->db, path, schema->sqlite, schema->migration_count, error);
    if (rc == GV_ERR_SPACE)
        rc = GV_ERR_IO;
    if (rc == GV_OK) /* an erased email is overwritten, not only unlinked */
        rc = gv_db_exec(self->db, "PRAGMA secure_delete = ON", error);
    /* A certificate that was handed out and is missing in the log after a power cut would look as
     * if it had been minted: what is committed is on disk. */
    if (rc == GV_OK)
        rc = gv_db_exec(self->db, "PRAGMA synchronous = FULL", error);
    for (size_t i = 0; rc == GV_OK && i < schema->statement_count; i++)
        rc = gv_db_prepare(self->db, &self->statements[i], schema->statements[i], error);
    if (rc == GV_OK) {
        *out = &self->base;
        self = NULL; /* handed over */
    }
out:
    if (self)
        close_file(&self->base);
    return rc;
}
