/* What sql.c asks of an implementation. */
#ifndef GV_NODE_REGISTRY_SQL_INTERNAL_H
#define GV_NODE_REGISTRY_SQL_INTERNAL_H

#include "node/registry/sql.h"

struct gv_sql_value {
    char type; /* 'i', 'b', 't', 'n' */
    int64_t number;
    const void *data;
    size_t len;
};

struct gv_sql_backend {
    void (*close)(struct gv_sql *sql);
    int (*query)(struct gv_sql *sql, unsigned statement, const struct gv_sql_value *values,
                 size_t count);
    /* NULL: what is for later is run at once. */
    int (*later)(struct gv_sql *sql, unsigned statement, const struct gv_sql_value *values,
                 size_t count);
    int (*step)(struct gv_sql *sql, unsigned statement);
    void (*end)(struct gv_sql *sql, unsigned statement);
    const void *(*bytes)(struct gv_sql *sql, unsigned statement, int column, size_t *len);
    int64_t (*number)(struct gv_sql *sql, unsigned statement, int column);
    bool (*is_null)(struct gv_sql *sql, unsigned statement, int column);
    uint64_t (*changes)(const struct gv_sql *sql);
    int (*begin)(struct gv_sql *sql);
    int (*commit)(struct gv_sql *sql);
    void (*rollback)(struct gv_sql *sql);
};

struct gv_sql { /* what each implementation's own struct begins with */
    const struct gv_sql_backend *backend;
    const struct gv_sql_schema *schema;
};

int gv_sqlite_open(struct gv_sql **out, const char *path, const struct gv_sql_schema *schema,
                   struct gv_text *error);
int gv_postgres_open(struct gv_sql **out, const char *url, const struct gv_sql_schema *schema,
                     struct gv_text *error);

#endif
