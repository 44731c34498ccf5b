/* The log of issued certificates (SPEC 14.7) as rows. */
#include <string.h>

#include "crypto/error.h"
#include "node/registry/records_internal.h"

int gv_records_log_empty(struct gv_records *records, bool *empty)
{
    int rc = gv_sql_query(records->sql, LOG_ANY, "");

    if (rc == GV_OK)
        rc = gv_sql_step(records->sql, LOG_ANY);
    gv_sql_end(records->sql, LOG_ANY);
    *empty = rc == 0;
    return rc < 0 ? rc : GV_OK;
}

int gv_records_log_size(struct gv_records *records, uint32_t signer, uint64_t *size)
{
    int rc = gv_sql_query(records->sql, LOG_SIZE, "i", (int64_t)signer);

    *size = 0;
    if (rc == GV_OK)
        rc = gv_sql_step(records->sql, LOG_SIZE);
    if (rc == 1)
        *size = (uint64_t)gv_sql_number(records->sql, LOG_SIZE, 0);
    gv_sql_end(records->sql, LOG_SIZE);
    return rc == 1 ? GV_OK : rc < 0 ? rc : GV_ERR_IO;
}

int gv_records_log_append(struct gv_records *records, const struct gv_certificate *certificate)
{
    uint8_t entry[GV_LOG_ENTRY_LEN];

    gv_log_entry(entry, certificate);
    return gv_sql_later(records->sql, LOG_APPEND, "ibb", (int64_t)certificate->signer,
                        certificate->id, (size_t)GV_ID_LEN, entry, sizeof entry);
}

int gv_records_log_each(struct gv_records *records, uint32_t signer, uint64_t from, uint64_t limit,
                        int (*each)(void *context, const uint8_t entry[GV_LOG_ENTRY_LEN]),
                        void *context)
{
    uint8_t entry[GV_LOG_ENTRY_LEN];
    int rc = gv_sql_query(records->sql, LOG_RANGE, "iii", (int64_t)signer, (int64_t)from,
                          (int64_t)limit);

    while (rc == GV_OK && (rc = gv_sql_step(records->sql, LOG_RANGE)) == 1) {
        rc = gv_sql_blob(records->sql, LOG_RANGE, 0, entry, sizeof entry);
        if (rc == GV_OK)
            rc = each(context, entry);
    }
    gv_sql_end(records->sql, LOG_RANGE);
    return rc;
}

int gv_records_log_find(struct gv_records *records, const uint8_t certificate[GV_ID_LEN],
                        uint32_t *signer, uint64_t *place)
{
    int rc = gv_sql_query(records->sql, LOG_FIND, "b", certificate, (size_t)GV_ID_LEN);

    if (rc == GV_OK)
        rc = gv_sql_step(records->sql, LOG_FIND);
    if (rc == 1) {
        *signer = (uint32_t)gv_sql_number(records->sql, LOG_FIND, 0);
        *place = (uint64_t)gv_sql_number(records->sql, LOG_FIND, 1);
    }
    gv_sql_end(records->sql, LOG_FIND);
    return rc == 1 ? GV_OK : rc == 0 ? GV_ERR_NOT_FOUND : rc;
}

int gv_records_log_head(struct gv_records *records, uint32_t signer, struct gv_buf *wire)
{
    size_t len = 0;
    int rc = gv_sql_query(records->sql, LOG_HEAD_LAST, "i", (int64_t)signer);

    if (rc == GV_OK)
        rc = gv_sql_step(records->sql, LOG_HEAD_LAST);
    const void *data = rc == 1 ? gv_sql_bytes(records->sql, LOG_HEAD_LAST, 0, &len) : NULL;
    gv_buf_clear(wire);
    if (data)
        gv_buf_append(wire, data, len);
    gv_sql_end(records->sql, LOG_HEAD_LAST);
    if (wire->failed)
        return GV_ERR_MEMORY;
    return rc == 1 ? GV_OK : rc == 0 ? GV_ERR_NOT_FOUND : rc;
}

int gv_records_log_put_head(struct gv_records *records, const struct gv_log_head *head,
                            const uint8_t *wire, size_t len)
{
    return gv_sql_run(records->sql, LOG_HEAD_PUT, "iib", (int64_t)head->signer,
                      (int64_t)head->minute, wire, len);
}
