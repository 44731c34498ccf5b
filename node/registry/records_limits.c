/* What the admin allows an owner or a domain beside registry.conf, and the codes of a domain's day,
 * which all processes of a registry count together. */
#include <string.h>

#include "crypto/error.h"
#include "node/registry/records_internal.h"

int gv_records_allow(struct gv_records *records, enum gv_allowance kind, const void *who,
                     size_t len, int64_t value)
{
    if (value < 0)
        return gv_sql_run(records->sql, ALLOWANCE_DROP, "ib", (int64_t)kind, who, len);
    return gv_sql_run(records->sql, ALLOWANCE_PUT, "ibi", (int64_t)kind, who, len, value);
}

int gv_records_each_allowance(struct gv_records *records,
                              int (*each)(void *context, enum gv_allowance kind, const void *who,
                                          size_t len, int64_t value),
                              void *context)
{
    struct gv_sql *sql = records->sql;
    int rc = gv_sql_query(sql, ALLOWANCE_ALL, "");

    while (rc == GV_OK && (rc = gv_sql_step(sql, ALLOWANCE_ALL)) == 1) {
        size_t len = 0;
        const void *who = gv_sql_bytes(sql, ALLOWANCE_ALL, 1, &len);
        rc = who ? each(context, (enum gv_allowance)gv_sql_number(sql, ALLOWANCE_ALL, 0), who, len,
                        gv_sql_number(sql, ALLOWANCE_ALL, 2))
                 : GV_ERR_MALFORMED;
    }
    gv_sql_end(sql, ALLOWANCE_ALL);
    return rc;
}

int gv_records_domain_take(struct gv_records *records, struct gv_domain_day *out, const char *name,
                           const uint8_t domain[GV_ID_LEN], uint32_t now_min)
{
    struct gv_sql *sql = records->sql;
    int rc = gv_sql_query(sql, DOMAIN_TAKE, "bib", domain, (size_t)GV_ID_LEN, (int64_t)now_min,
                          name, strlen(name));

    *out = (struct gv_domain_day){.allowed = -1};
    if (rc == GV_OK)
        rc = gv_sql_step(sql, DOMAIN_TAKE);
    if (rc == 1) {
        out->codes = (uint32_t)gv_sql_number(sql, DOMAIN_TAKE, 0);
        out->wait_min = (uint32_t)gv_sql_number(sql, DOMAIN_TAKE, 1) + 1440 - now_min;
        if (!gv_sql_is_null(sql, DOMAIN_TAKE, 2))
            out->allowed = gv_sql_number(sql, DOMAIN_TAKE, 2);
    }
    gv_sql_end(sql, DOMAIN_TAKE);
    return rc == 1 ? GV_OK : rc < 0 ? rc : GV_ERR_IO;
}

int gv_records_domain_codes(struct gv_records *records, uint32_t *codes,
                            const uint8_t domain[GV_ID_LEN], uint32_t now_min)
{
    struct gv_sql *sql = records->sql;
    int rc = gv_sql_query(sql, DOMAIN_GET, "bi", domain, (size_t)GV_ID_LEN, (int64_t)now_min);

    if (rc == GV_OK)
        rc = gv_sql_step(sql, DOMAIN_GET);
    *codes = rc == 1 ? (uint32_t)gv_sql_number(sql, DOMAIN_GET, 0) : 0;
    gv_sql_end(sql, DOMAIN_GET);
    return rc < 0 ? rc : GV_OK;
}
