/* Links by which an owner ends his registration, mailed to him. */
#include "crypto/error.h"
#include "node/registry/records_internal.h"

int gv_records_leaving_put(struct gv_records *records, const uint8_t link[GV_HASH_LEN],
                           const uint8_t owner[GV_ID_LEN], uint32_t expires_min, uint32_t now_min)
{
    struct gv_sql *sql = records->sql;
    int rc = gv_records_room(records, LEAVING_PURGE, LEAVING_COUNT, GV_LEAVING_MAX, false, now_min);

    if (rc != GV_OK)
        return rc;
    return gv_sql_run(sql, LEAVING_PUT, "bbi", link, (size_t)GV_HASH_LEN, owner, (size_t)GV_ID_LEN,
                      (int64_t)expires_min);
}

int gv_records_leaving_drop(struct gv_records *records, const uint8_t link[GV_HASH_LEN])
{
    return gv_sql_run(records->sql, LEAVING_DROP, "b", link, (size_t)GV_HASH_LEN);
}

int gv_records_leaving(struct gv_records *records, uint8_t owner[GV_ID_LEN],
                       const uint8_t link[GV_HASH_LEN], uint32_t now_min)
{
    struct gv_sql *sql = records->sql;
    int rc = gv_sql_query(sql, LEAVING_GET, "b", link, (size_t)GV_HASH_LEN);

    if (rc == GV_OK)
        rc = gv_sql_step(sql, LEAVING_GET);
    if (rc == 1)
        rc = gv_sql_number(sql, LEAVING_GET, 1) <= now_min
                 ? GV_ERR_NOT_FOUND
                 : gv_sql_blob(sql, LEAVING_GET, 0, owner, GV_ID_LEN);
    else if (rc == 0)
        rc = GV_ERR_NOT_FOUND;
    gv_sql_end(sql, LEAVING_GET);
    return rc;
}
