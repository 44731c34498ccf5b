/* Reading the store: the rows of a core that starts, and the telemetry. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/host/persist.h"
#include "node/host/persist_schema.h"

/* ---- a core that starts --------------------------------------------------------------------- */

/* By the first byte of the value, which is under the MAC; the column `kind` is not. */
#define RECORDS "SELECT key, value, mac FROM record WHERE substr(CAST(value AS BLOB), 1, 1) "

static const struct pass {
    enum gv_row row;
    const char *sql; /* key, value, mac */
} passes[] = {
    {GV_ROW_SELF, "SELECT key, value, mac FROM self"},
    {GV_ROW_RECORD, RECORDS "= x'07'"}, /* descriptor */
    {GV_ROW_RECORD, RECORDS "= x'05'"}, /* certificate */
    {GV_ROW_RECORD, RECORDS "= x'04'"}, /* revocation */
    {GV_ROW_RECORD, RECORDS "= x'03'"}, /* fault */
    {GV_ROW_RECORD, RECORDS "NOT IN (x'03', x'04', x'05', x'07')"},
    {GV_ROW_HISTORY, "SELECT key, value, mac FROM history"},
    {GV_ROW_LIST, "SELECT key, value, mac FROM list"},
    {GV_ROW_PEER, "SELECT key, value, mac FROM peer"},
    /* Of what is on record as said, what nobody has acknowledged. */
    {GV_ROW_SENT, "SELECT key, value, mac FROM sent WHERE sent_ms IS NULL AND preview = 0"},
};

static int load_pass(struct gv_persist *persist, const struct pass *pass, gv_persist_row each,
                     void *context, size_t *bad, struct gv_text *error)
{
    sqlite3_stmt *row = NULL;
    int rc = gv_db_prepare(persist->db, &row, pass->sql, error);

    if (rc != GV_OK)
        return rc;
    while ((rc = gv_db_step(row)) == 1) {
        const uint8_t *key = sqlite3_column_blob(row, 0), *value = sqlite3_column_blob(row, 1);
        size_t key_len = (size_t)sqlite3_column_bytes(row, 0);
        size_t value_len = (size_t)sqlite3_column_bytes(row, 1);
        if (key &&
            gv_persist_genuine(persist, row, 2, (uint8_t)pass->row, key, key_len, value, value_len))
            each(context, pass->row, key, key_len, value, value_len);
        else
            (*bad)++;
    }
    if (rc < 0)
        rc = gv_fail(error, rc, "%s: %s", sqlite3_db_filename(persist->db, "main"),
                     gv_db_said(persist->db));
    sqlite3_finalize(row);
    return rc;
}

int gv_persist_load(struct gv_persist *persist, gv_persist_row each, void *context, size_t *bad,
                    struct gv_text *error)
{
    int rc = GV_OK;

    *bad = 0;
    for (size_t i = 0; i < sizeof passes / sizeof *passes && rc == GV_OK; i++)
        rc = load_pass(persist, &passes[i], each, context, bad, error);
    return rc;
}

/* ---- telemetry ------------------------------------------------------------------------------ */

static size_t read_acks(struct gv_persist *persist, struct gv_persist_ack out[GV_PERSIST_ACKS_MAX],
                        const uint8_t id[GV_ID_LEN])
{
    sqlite3_stmt *row = persist->sql[GV_SQL_LIST_ACKS];
    uint8_t end[GV_ID_LEN + GV_ID_LEN + 1], key[2 * GV_ID_LEN];
    size_t count = 0;

    memcpy(end, id, GV_ID_LEN);
    memset(end + GV_ID_LEN, 0xff, sizeof end - GV_ID_LEN);
    if (gv_db_bind(row, "bb", id, (size_t)GV_ID_LEN, end, sizeof end) != GV_OK)
        return 0;
    while (gv_db_step(row) == 1) {
        if (gv_db_blob(row, 0, key, sizeof key) != GV_OK ||
            !gv_persist_genuine(persist, row, 1, GV_ROW_ACK, key, sizeof key, NULL, 0))
            continue;
        if (count < GV_PERSIST_ACKS_MAX) {
            memcpy(out[count].instance, key + GV_ID_LEN, GV_ID_LEN);
            out[count].acked_ms = (uint64_t)sqlite3_column_int64(row, 2);
        }
        count++;
    }
    return count;
}

static void hand_out(struct gv_persist *persist, sqlite3_stmt *row, gv_persist_each_sent each,
                     void *context)
{
    struct gv_persist_ack acks[GV_PERSIST_ACKS_MAX];
    struct gv_persist_sent sent = {.acks = acks};

    sent.number = (uint64_t)sqlite3_column_int64(row, 0);
    sent.value = sqlite3_column_blob(row, 2);
    sent.value_len = (size_t)sqlite3_column_bytes(row, 2);
    sent.created_ms = (uint64_t)sqlite3_column_int64(row, 4);
    sent.sent_ms = (uint64_t)sqlite3_column_int64(row, 5);
    sent.preview = sqlite3_column_int(row, 6) != 0;
    if (gv_db_blob(row, 1, sent.id, sizeof sent.id) != GV_OK ||
        !gv_persist_genuine(persist, row, 3, GV_ROW_SENT, sent.id, sizeof sent.id, sent.value,
                            sent.value_len)) {
        gv_log_limited(GV_LOG_WARNING,
                       "telemetry entry %" PRIu64 " was changed on disk and is not shown",
                       sent.number);
        return;
    }
    sent.ack_count = read_acks(persist, acks, sent.id);
    each(context, &sent);
}

int gv_persist_telemetry(struct gv_persist *persist, uint64_t since_ms, size_t limit,
                         gv_persist_each_sent each, void *context)
{
    return gv_persist_telemetry_before(persist, since_ms, INT64_MAX, limit, each, context);
}

int gv_persist_telemetry_before(struct gv_persist *persist, uint64_t since_ms, uint64_t before,
                                size_t limit, gv_persist_each_sent each, void *context)
{
    sqlite3_stmt *row = persist->sql[GV_SQL_LIST_SENT];

    if (!persist->db)
        return GV_ERR_IO;
    int rc = gv_db_bind(row, "iii", (int64_t)since_ms, (int64_t)limit, (int64_t)before);

    if (rc != GV_OK)
        return rc;
    while ((rc = gv_db_step(row)) == 1)
        hand_out(persist, row, each, context);
    return rc;
}

int gv_persist_list_about(struct gv_persist *persist, const void *bytes, size_t len, size_t limit,
                          gv_persist_each_sent each, void *context)
{
    sqlite3_stmt *row = persist->sql[GV_SQL_LIST_ABOUT];

    if (!persist->db)
        return GV_ERR_IO;
    int rc = gv_db_bind(row, "bi", bytes, len, (int64_t)limit);

    if (rc != GV_OK)
        return rc;
    while ((rc = gv_db_step(row)) == 1)
        hand_out(persist, row, each, context);
    return rc;
}

int gv_persist_one_sent(struct gv_persist *persist, const uint8_t id[GV_ID_LEN],
                        gv_persist_each_sent each, void *context)
{
    sqlite3_stmt *row = persist->sql[GV_SQL_ONE_SENT];

    if (!persist->db)
        return GV_ERR_IO;
    int rc = gv_db_bind(row, "b", id, (size_t)GV_ID_LEN);

    if (rc != GV_OK)
        return rc;
    if (gv_db_step(row) != 1)
        return GV_ERR_NOT_FOUND;
    hand_out(persist, row, each, context);
    sqlite3_reset(row);
    return GV_OK;
}

int gv_persist_journal(struct gv_persist *persist, const struct gv_subject *subject, size_t limit,
                       gv_persist_each_left each, void *context)
{
    sqlite3_stmt *row = persist->sql[GV_SQL_LIST_JOURNAL];

    if (!persist->db)
        return GV_ERR_IO;
    int rc = gv_db_bind(row, "bi", subject, sizeof *subject, (int64_t)limit);
    if (rc != GV_OK)
        return rc;
    while ((rc = gv_db_step(row)) == 1) {
        const uint8_t *value = sqlite3_column_blob(row, 1);
        size_t len = (size_t)sqlite3_column_bytes(row, 1);
        uint8_t id[GV_ID_LEN];
        if (gv_db_blob(row, 0, id, sizeof id) == GV_OK &&
            gv_persist_genuine(persist, row, 2, GV_ROW_RECORD, id, sizeof id, value, len))
            each(context, value, len, (uint64_t)sqlite3_column_int64(row, 3));
    }
    return rc;
}
