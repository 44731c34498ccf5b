#include "node/registry/sql.h"

#include <stdarg.h>
#include <string.h>

#include "crypto/error.h"
#include "node/registry/sql_internal.h"

bool gv_sql_is_server(const char *database)
{
    return strncmp(database, "postgresql://", 13) == 0 || strncmp(database, "postgres://", 11) == 0;
}

int gv_sql_open(struct gv_sql **out, const char *database, const struct gv_sql_schema *schema,
                struct gv_text *error)
{
    *out = NULL;
    return gv_sql_is_server(database) ? gv_postgres_open(out, database, schema, error)
                                      : gv_sqlite_open(out, database, schema, error);
}

void gv_sql_close(struct gv_sql *sql)
{
    if (sql)
        sql->backend->close(sql);
}

static size_t take_values(struct gv_sql_value values[GV_SQL_VALUES], const char *types,
                          va_list args)
{
    size_t count = 0;

    memset(values, 0, GV_SQL_VALUES * sizeof *values);

    for (; *types; types++) {
        gv_assert(count < GV_SQL_VALUES);
        struct gv_sql_value *value = &values[count++];
        value->type = *types;
        if (*types == 'i') {
            value->number = va_arg(args, int64_t);
        } else if (*types == 'b') {
            value->data = va_arg(args, const void *);
            value->len = va_arg(args, size_t);
        } else if (*types == 't') {
            value->data = va_arg(args, const char *);
            value->len = value->data ? strlen(value->data) : 0;
        }
        if (*types != 'i' && !value->data)
            value->type = 'n';
    }
    return count;
}

static int start(struct gv_sql *sql, unsigned statement, const char *types, va_list args)
{
    struct gv_sql_value values[GV_SQL_VALUES];
    size_t count = take_values(values, types, args);

    return sql->backend->query(sql, statement, values, count);
}

int gv_sql_query(struct gv_sql *sql, unsigned statement, const char *types, ...)
{
    va_list args;

    va_start(args, types);
    int rc = start(sql, statement, types, args);
    va_end(args);
    return rc;
}

static int run_out(struct gv_sql *sql, unsigned statement, int rc)
{
    if (rc != GV_OK)
        return rc;
    do
        rc = gv_sql_step(sql, statement);
    while (rc == 1);
    gv_sql_end(sql, statement);
    return rc;
}

int gv_sql_run(struct gv_sql *sql, unsigned statement, const char *types, ...)
{
    va_list args;

    va_start(args, types);
    int rc = start(sql, statement, types, args);
    va_end(args);
    return run_out(sql, statement, rc);
}

int gv_sql_later(struct gv_sql *sql, unsigned statement, const char *types, ...)
{
    struct gv_sql_value values[GV_SQL_VALUES];
    va_list args;

    va_start(args, types);
    size_t count = take_values(values, types, args);
    va_end(args);
    if (sql->backend->later)
        return sql->backend->later(sql, statement, values, count);
    return run_out(sql, statement, sql->backend->query(sql, statement, values, count));
}

uint64_t gv_sql_changes(const struct gv_sql *sql)
{
    return sql->backend->changes(sql);
}

int gv_sql_step(struct gv_sql *sql, unsigned statement)
{
    return sql->backend->step(sql, statement);
}

void gv_sql_end(struct gv_sql *sql, unsigned statement)
{
    sql->backend->end(sql, statement);
}

const void *gv_sql_bytes(struct gv_sql *sql, unsigned statement, int column, size_t *len)
{
    return sql->backend->bytes(sql, statement, column, len);
}

int gv_sql_blob(struct gv_sql *sql, unsigned statement, int column, void *out, size_t len)
{
    size_t got = 0;
    const void *data = gv_sql_bytes(sql, statement, column, &got);

    if (!data || got != len)
        return GV_ERR_MALFORMED;
    memcpy(out, data, len);
    return GV_OK;
}

void gv_sql_text(struct gv_sql *sql, unsigned statement, int column, char *out, size_t cap)
{
    size_t len = 0;
    const void *data = gv_sql_bytes(sql, statement, column, &len);

    if (len >= cap)
        len = cap - 1;
    if (data && len)
        memcpy(out, data, len);
    out[data ? len : 0] = '\0';
}

int64_t gv_sql_number(struct gv_sql *sql, unsigned statement, int column)
{
    return sql->backend->number(sql, statement, column);
}

bool gv_sql_is_null(struct gv_sql *sql, unsigned statement, int column)
{
    return sql->backend->is_null(sql, statement, column);
}

int gv_sql_begin(struct gv_sql *sql)
{
    return sql->backend->begin(sql);
}

int gv_sql_finish(struct gv_sql *sql, int rc)
{
    if (rc == GV_OK)
        rc = sql->backend->commit(sql);
    if (rc != GV_OK)
        sql->backend->rollback(sql);
    return rc;
}
