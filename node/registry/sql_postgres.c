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
#define BEGIN "BEGIN; SELECT pg_advisory_xact_lock(7381240501168453)"

/* Writes that wait for the next query or the commit. Few enough that their answers, some 40 bytes
 * each, fit into the socket while nobody reads them. */
#define LATER_MAX 64

struct later {
    unsigned statement;
    size_t count;
    struct gv_sql_value values[GV_SQL_VALUES];
    uint8_t *bytes; /* owned: what they point to */
};

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
    struct later later[LATER_MAX];
    size_t later_count;
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

static void forget_later(struct gv_postgres *self)
{
    while (self->later_count > 0) {
        struct later *later = &self->later[--self->later_count];
        free(later->bytes);
        later->bytes = NULL;
    }
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
    forget_later(self);
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

/* The server ended the connection since the last statement (a restart, a balancer's idle limit):
 * once more on a new one, unless half of a transaction went with it. */
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

    const char *said = PQresultErrorMessage(result);
    note_why(self, *said ? said : PQerrorMessage(self->connection));
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

/* Values as libpq wants them; they point into `values` and into itself. */
struct parameters {
    uint8_t numbers[GV_SQL_VALUES][8];
    const char *data[GV_SQL_VALUES];
    int lengths[GV_SQL_VALUES], formats[GV_SQL_VALUES];
    char name[16];
};

static void fill_in(struct parameters *out, unsigned statement, const struct gv_sql_value *values,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out->formats[i] = 1;
        out->data[i] = values[i].type == 'n' ? NULL : values[i].data;
        out->lengths[i] = (int)values[i].len;
        if (values[i].type != 'i')
            continue;
        for (unsigned b = 0; b < 8; b++)
            out->numbers[i][b] = (uint8_t)((uint64_t)values[i].number >> (56 - 8 * b));
        out->data[i] = (const char *)out->numbers[i];
        out->lengths[i] = 8;
    }
    snprintf(out->name, sizeof out->name, "s%u", statement);
}

static bool went_well(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/* ---- what waits ----------------------------------------------------------------------------- */

static bool send_later(struct gv_postgres *self)
{
    struct parameters p;

    for (size_t i = 0; i < self->later_count; i++) {
        const struct later *l = &self->later[i];
        fill_in(&p, l->statement, l->values, l->count);
        if (!PQsendQueryPrepared(self->connection, p.name, (int)l->count, p.data, p.lengths,
                                 p.formats, 1))
            return false;
    }
    return true;
}

/* The answer to one of what was sent, NULL when the connection is lost; the empty one after it is
 * taken. */
static PGresult *take_answer(struct gv_postgres *self)
{
    PGresult *result = PQgetResult(self->connection);

    if (result)
        PQclear(PQgetResult(self->connection));
    return result;
}

/* All that waits, and then one more: a statement, or COMMIT (values NULL). One way to the server
 * and back. *out is the answer to the last; the first that failed is the error. */
static int send_all(struct gv_postgres *self, PGresult **out, unsigned statement,
                    const struct gv_sql_value *values, size_t count)
{
    struct parameters p;
    int rc = GV_OK;

    *out = NULL;
    if (!PQenterPipelineMode(self->connection))
        return GV_ERR_IO;
    bool sent = send_later(self);
    if (values) {
        fill_in(&p, statement, values, count);
        sent = sent && PQsendQueryPrepared(self->connection, p.name, (int)count, p.data, p.lengths,
                                           p.formats, 1);
    } else {
        sent = sent && PQsendQueryParams(self->connection, "COMMIT", 0, NULL, NULL, NULL, NULL, 1);
    }
    sent = sent && PQpipelineSync(self->connection);
    for (size_t i = 0; sent && i < self->later_count; i++) {
        PGresult *result = take_answer(self);
        if (!went_well(result) && rc == GV_OK)
            rc = failed(self, result);
        PQclear(result);
    }
    forget_later(self);
    if (sent)
        *out = take_answer(self);
    if (sent)
        PQclear(PQgetResult(self->connection)); /* the end of the pipeline */
    if (!sent || !PQexitPipelineMode(self->connection)) {
        note_why(self, PQerrorMessage(self->connection));
        PQclear(*out);
        *out = NULL;
        /* Half a conversation cannot go on; and nothing more of this transaction may run, on
         * whatever connection (see ensure). */
        PQfinish(self->connection);
        self->connection = NULL;
        return GV_ERR_IO;
    }
    return rc == GV_OK && !went_well(*out) ? failed(self, *out) : rc;
}

/* ---- statements ----------------------------------------------------------------------------- */

static int query_once(struct gv_sql *sql, unsigned statement, const struct gv_sql_value *values,
                      size_t count)
{
    struct gv_postgres *self = self_of(sql);
    struct parameters p;
    PGresult *result;
    int rc = ensure(self);

    if (rc == GV_OK && !self->statements[statement].ready)
        rc = prepare(self, statement, values, count);
    if (rc != GV_OK)
        return rc;
    end(sql, statement);
    if (self->later_count > 0) {
        rc = send_all(self, &result, statement, values, count);
    } else {
        fill_in(&p, statement, values, count);
        result =
            PQexecPrepared(self->connection, p.name, (int)count, p.data, p.lengths, p.formats, 1);
        rc = went_well(result) ? GV_OK : failed(self, result);
    }
    if (rc != GV_OK) {
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

static int copy_values(struct later *out, const struct gv_sql_value *values, size_t count)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++)
        total += values[i].len;
    out->bytes = malloc(total + 1);
    if (!out->bytes)
        return GV_ERR_MEMORY;
    memcpy(out->values, values, count * sizeof *values);
    for (size_t i = 0, at = 0; i < count; at += values[i++].len)
        if (values[i].data) {
            memcpy(out->bytes + at, values[i].data, values[i].len);
            out->values[i].data = out->bytes + at;
        }
    return GV_OK;
}

static int later(struct gv_sql *sql, unsigned statement, const struct gv_sql_value *values,
                 size_t count)
{
    struct gv_postgres *self = self_of(sql);
    int rc = GV_OK;

    if (!self->in_transaction || self->later_count == LATER_MAX) {
        rc = query(sql, statement, values, count); /* takes along what waits */
        end(sql, statement);
        return rc;
    }
    if (!self->statements[statement].ready)
        rc = prepare(self, statement, values, count);
    struct later *l = &self->later[self->later_count];
    if (rc == GV_OK)
        rc = copy_values(l, values, count);
    if (rc != GV_OK)
        return rc;
    l->statement = statement;
    l->count = count;
    self->later_count++;
    return GV_OK;
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

    if (rc != GV_OK)
        return rc;
    PGresult *result = PQexec(self->connection, BEGIN);
    if (!went_well(result) && may_retry(self)) {
        PQclear(result);
        result = PQexec(self->connection, BEGIN);
    }
    self->in_transaction = true;
    rc = went_well(result) ? GV_OK : failed(self, result);
    PQclear(result);
    return rc == GV_OK ? GV_OK : gv_sql_finish(sql, rc);
}

static int commit(struct gv_sql *sql)
{
    struct gv_postgres *self = self_of(sql);
    PGresult *result = NULL;
    int rc = GV_OK;

    if (self->later_count > 0) {
        rc = send_all(self, &result, 0, NULL, 0);
    } else {
        result = PQexec(self->connection, "COMMIT");
        rc = went_well(result) ? GV_OK : failed(self, result);
    }
    /* After a failed statement the server answers ROLLBACK, with success. */
    if (rc == GV_OK && strcmp(PQcmdStatus(result), "COMMIT") != 0)
        rc = GV_ERR_IO;
    PQclear(result);
    self->in_transaction = rc != GV_OK;
    return rc;
}

static void rollback(struct gv_sql *sql)
{
    struct gv_postgres *self = self_of(sql);

    forget_later(self);
    if (PQstatus(self->connection) == CONNECTION_OK)
        (void)run_plain(self, "ROLLBACK");
    self->in_transaction = false;
}

static void close_connection(struct gv_sql *sql)
{
    struct gv_postgres *self = self_of(sql);

    if (self->statements)
        forget_statements(self);
    forget_later(self);
    PQfinish(self->connection);
    free(self->statements);
    free(self->url);
    free(self);
}

static const struct gv_sql_backend backend = {
    close_connection, query,   later,   step,  end,    bytes,
    number,           is_null, changes, begin, commit, rollback,
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
