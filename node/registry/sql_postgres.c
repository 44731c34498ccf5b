/* PostgreSQL (libpq) behind node/registry/sql.h. Calls wait for the server, so every wait is
 * bounded by a timeout; a connection that is lost is made anew with the next call, once a second at
 * most. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/registry/sql_internal.h"

#define OID_BYTEA 17u
#define OID_INT8  20u
#define OID_TEXT  25u

/* One number for "grapevine registry": who holds it is the only writer. */
#define LOCK "SELECT pg_advisory_xact_lock(7381240501168453)"

struct gv_postgres {
    struct gv_sql base;
    char *url; /* owned */
    PGconn *connection;
    struct prepared {
        PGresult *result; /* of the query that runs */
        int row;
        bool ready; /* prepared on this connection */
    } * statements; /* owned */
    uint64_t changes;
    bool in_transaction;
    time_t tried; /* monotonic, when it was last connected */
    struct gv_text why;
};

static struct gv_postgres *self_of(struct gv_sql *sql)
{
    return (struct gv_postgres *)sql;
}

/* The server's own sentence, on one line and without what it quotes of a row. */
static void note_why(struct gv_postgres *self, const char *message)
{
    size_t len = strcspn(message, "\n");

    gv_log_safe(self->why.text, sizeof self->why.text, message, len);
}

static void forget_statements(struct gv_postgres *self)
{
    for (size_t i = 0; i < self->base.schema->statement_count; i++) {
        PQclear(self->statements[i].result);
        self->statements[i] = (struct prepared){NULL, -1, false};
    }
}

static time_t monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Messages that only the server's admin wants. */
static void ignore_notice(void *context, const char *message)
{
    (void)context, (void)message;
}

static int run_plain(struct gv_postgres *self, const char *sql)
{
    PGresult *result = PQexec(self->connection, sql);
    ExecStatusType status = PQresultStatus(result);

    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        note_why(self, PQerrorMessage(self->connection));
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? GV_OK : GV_ERR_IO;
}

static int connect_server(struct gv_postgres *self)
{
    /* What the URL itself says wins. */
    static const char *const keys[] = {"connect_timeout", "tcp_user_timeout", "application_name",
                                       "options",         "dbname",           NULL};
    const char *const values[] = {
        "5",       "5000", "grapevine-registry", "-c statement_timeout=10000 -c lock_timeout=5000",
        self->url, NULL};

    forget_statements(self);
    PQfinish(self->connection);
    self->in_transaction = false;
    self->tried = monotonic();
    self->connection = PQconnectdbParams(keys, values, 1);
    if (PQstatus(self->connection) != CONNECTION_OK) {
        note_why(self, PQerrorMessage(self->connection));
        return GV_ERR_IO;
    }
    PQsetNoticeProcessor(self->connection, ignore_notice, NULL);
    return run_plain(self, "SET synchronous_commit = on");
}

/* Before a statement: a lost connection is made anew, but not inside a transaction, whose first
 * half is gone. */
static int ensure(struct gv_postgres *self)
{
    if (PQstatus(self->connection) == CONNECTION_OK)
        return GV_OK;
    if (self->in_transaction || self->tried == monotonic())
        return GV_ERR_IO;
    if (connect_server(self) != GV_OK) {
        gv_log_limited(GV_LOG_ERROR, "the database cannot be reached: %s; it is tried again",
                       self->why.text);
        return GV_ERR_IO;
    }
    gv_log(GV_LOG_NOTICE, "connected to the database again");
    return GV_OK;
}

/* The server ended the connection since the last statement (a restart, a balancer's idle limit): once
 * more on a new one, unless half of a transaction went with it. */
static bool may_retry(struct gv_postgres *self)
{
    return !self->in_transaction && PQstatus(self->connection) != CONNECTION_OK &&
           ensure(self) == GV_OK;
}

/* ?1 as $1. */
static void translate(char *out, size_t cap, const char *sql)
{
    snprintf(out, cap, "%s", sql);
    for (char *at = out; (at = strchr(at, '?'));)
        *at = '$';
}

static int failed(struct gv_postgres *self, const PGresult *result)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

    note_why(self, PQerrorMessage(self->connection));
    if (state && strcmp(state, "23505") == 0) /* unique_violation */
        return GV_ERR_DUPLICATE;
    /* lock_not_available, query_canceled, serialization_failure, deadlock_detected */
    if (state && (strcmp(state, "55P03") == 0 || strcmp(state, "57014") == 0 ||
                  strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0))
        return GV_ERR_BUSY;
    gv_log_limited(GV_LOG_ERROR, "the database says: %s", self->why.text);
    return GV_ERR_IO;
}

static int prepare(struct gv_postgres *self, unsigned statement, const struct gv_sql_value *values,
                   size_t count)
{
    char name[16], sql[1024];
    Oid types[GV_SQL_VALUES];

    for (size_t i = 0; i < count; i++)
        types[i] = values[i].type == 'i' ? OID_INT8 : values[i].type == 't' ? OID_TEXT : OID_BYTEA;
    snprintf(name, sizeof name, "s%u", statement);
    translate(sql, sizeof sql, self->base.schema->statements[statement]);
    PGresult *result = PQprepare(self->connection, name, sql, (int)count, types);
    int rc = PQresultStatus(result) == PGRES_COMMAND_OK ? GV_OK : failed(self, result);
    PQclear(result);
    self->statements[statement].ready = rc == GV_OK;
    return rc;
}

static void end(struct gv_sql *sql, unsigned statement)
{
    struct prepared *prepared = &self_of(sql)->statements[statement];

    PQclear(prepared->result);
    prepared->result = NULL;
    prepared->row = -1;
}

static int query_once(struct gv_sql *sql, unsigned statement, const struct gv_sql_value *values,
                      size_t count)
{
    struct gv_postgres *self = self_of(sql);
    uint8_t numbers[GV_SQL_VALUES][8];
    const char *data[GV_SQL_VALUES];
    int lengths[GV_SQL_VALUES], formats[GV_SQL_VALUES];
    char name[16];
    int rc = ensure(self);

    if (rc == GV_OK && !self->statements[statement].ready)
        rc = prepare(self, statement, values, count);
    if (rc != GV_OK)
        return rc;
    for (size_t i = 0; i < count; i++) {
        formats[i] = 1;
        data[i] = values[i].type == 'n' ? NULL : values[i].data;
        lengths[i] = (int)values[i].len;
        if (values[i].type != 'i')
            continue;
        for (unsigned b = 0; b < 8; b++)
            numbers[i][b] = (uint8_t)((uint64_t)values[i].number >> (56 - 8 * b));
        data[i] = (const char *)numbers[i];
        lengths[i] = 8;
    }
    end(sql, statement);
    snprintf(name, sizeof name, "s%u", statement);
    PGresult *result =
        PQexecPrepared(self->connection, name, (int)count, data, lengths, formats, 1);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        rc = failed(self, result);
        PQclear(result);
        return rc;
    }
    self->changes = strtoull(PQcmdTuples(result), NULL, 10);
    self->statements[statement].result = result;
    return GV_OK;
}

/* Every statement may run twice: what it writes is the same then. */
static int query(struct gv_sql *sql, unsigned statement, const struct gv_sql_value *values,
                 size_t count)
{
    int rc = query_once(sql, statement, values, count);

    return rc == GV_ERR_IO && may_retry(self_of(sql)) ? query_once(sql, statement, values, count)
                                                      : rc;
}

static int step(struct gv_sql *sql, unsigned statement)
{
    struct prepared *prepared = &self_of(sql)->statements[statement];

    if (!prepared->result || PQresultStatus(prepared->result) == PGRES_COMMAND_OK)
        return 0;
    return ++prepared->row < PQntuples(prepared->result);
}

static bool is_null(struct gv_sql *sql, unsigned statement, int column)
{
    const struct prepared *prepared = &self_of(sql)->statements[statement];

    return PQgetisnull(prepared->result, prepared->row, column) != 0;
}

static const void *bytes(struct gv_sql *sql, unsigned statement, int column, size_t *len)
{
    const struct prepared *prepared = &self_of(sql)->statements[statement];

    *len = 0;
    if (is_null(sql, statement, column))
        return NULL;
    *len = (size_t)PQgetlength(prepared->result, prepared->row, column);
    return PQgetvalue(prepared->result, prepared->row, column);
}

/* Integers of any width and booleans, big-endian. */
static int64_t number(struct gv_sql *sql, unsigned statement, int column)
{
    size_t len;
    const uint8_t *data = bytes(sql, statement, column, &len);
    uint64_t value = 0;

    for (size_t i = 0; data && i < len && i < 8; i++)
        value = value << 8 | data[i];
    return (int64_t)value;
}

static uint64_t changes(const struct gv_sql *sql)
{
    return ((const struct gv_postgres *)sql)->changes;
}

static int begin(struct gv_sql *sql)
{
    struct gv_postgres *self = self_of(sql);
    int rc = ensure(self);

    if (rc == GV_OK)
        rc = run_plain(self, "BEGIN");
    if (rc != GV_OK && may_retry(self))
        rc = run_plain(self, "BEGIN");
    if (rc != GV_OK)
        return rc;
    self->in_transaction = true;
    PGresult *result = PQexec(self->connection, LOCK);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        rc = failed(self, result);
    PQclear(result);
    return rc == GV_OK ? GV_OK : gv_sql_finish(sql, rc);
}

static int commit(struct gv_sql *sql)
{
    struct gv_postgres *self = self_of(sql);
    PGresult *result = PQexec(self->connection, "COMMIT");
    /* After a failed statement the server answers ROLLBACK, with success. */
    bool done =
        PQresultStatus(result) == PGRES_COMMAND_OK && strcmp(PQcmdStatus(result), "COMMIT") == 0;
    int rc = done ? GV_OK : failed(self, result);

    PQclear(result);
    self->in_transaction = !done;
    return rc;
}

static void rollback(struct gv_sql *sql)
{
    struct gv_postgres *self = self_of(sql);

    if (PQstatus(self->connection) == CONNECTION_OK)
        (void)run_plain(self, "ROLLBACK");
    self->in_transaction = false;
}

static void close_connection(struct gv_sql *sql)
{
    struct gv_postgres *self = self_of(sql);

    if (self->statements)
        forget_statements(self);
    PQfinish(self->connection);
    free(self->statements);
    free(self->url);
    free(self);
}

static const struct gv_sql_backend backend = {
    close_connection, query, step, end, bytes, number, is_null, changes, begin, commit, rollback,
};

/* The version of the schema is a row; the lock keeps two that start together apart. */
static int migrate(struct gv_postgres *self)
{
    const struct gv_sql_schema *schema = self->base.schema;
    char sql[64];
    int rc = begin(&self->base);

    if (rc != GV_OK)
        return rc;
    rc = run_plain(self, "CREATE TABLE IF NOT EXISTS grapevine_schema (version BIGINT NOT NULL)");
    if (rc != GV_OK)
        return gv_sql_finish(&self->base, rc);
    PGresult *result = PQexec(self->connection, "SELECT version FROM grapevine_schema");
    size_t version =
        PQntuples(result) > 0 ? (size_t)strtoull(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        rc = GV_ERR_IO;
    else if (version > schema->migration_count)
        rc = gv_fail(&self->why, GV_ERR_VERSION, "it was made by a newer grapevine-registry");
    PQclear(result);
    for (size_t i = version; rc == GV_OK && i < schema->migration_count; i++)
        rc = run_plain(self, schema->postgres[i]);
    if (rc == GV_OK && version < schema->migration_count) {
        rc = run_plain(self, "DELETE FROM grapevine_schema");
        snprintf(sql, sizeof sql, "INSERT INTO grapevine_schema VALUES (%zu)",
                 schema->migration_count);
        if (rc == GV_OK)
            rc = run_plain(self, sql);
    }
    return gv_sql_finish(&self->base, rc);
}

int gv_postgres_open(struct gv_sql **out, const char *url, const struct gv_sql_schema *schema,
                     struct gv_text *error)
{
    struct gv_postgres *self = calloc(1, sizeof *self);
    int rc = GV_ERR_MEMORY;

    if (!self)
        return gv_fail(error, rc, "out of memory");
    self->base = (struct gv_sql){.backend = &backend, .schema = schema};
    self->url = strdup(url);
    self->statements = calloc(schema->statement_count, sizeof *self->statements);
    if (!self->url || !self->statements) {
        gv_fail(error, rc, "out of memory");
        goto out;
    }
    rc = connect_server(self);
    if (rc == GV_OK)
        rc = migrate(self);
    if (rc != GV_OK) { /* the URL may hold a password: it is not shown */
        gv_fail(error, rc, "[registry] database: %s", self->why.text);
        goto out;
    }
    *out = &self->base;
    self = NULL; /* handed over */
out:
    if (self)
        close_connection(&self->base);
    return rc;
}
