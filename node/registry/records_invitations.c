/* One-time invitations, for a network that admits the invited only. */
#include "crypto/error.h"
#include "node/registry/records_internal.h"

int gv_records_invite(struct gv_records *records, const uint8_t code[GV_HASH_LEN],
                      const uint8_t *owner, uint32_t expires_min, uint32_t now_min)
{
    struct gv_sql *sql = records->sql;
    int rc = gv_sql_run(sql, INVITATION_PURGE, "i", (int64_t)now_min);

    if (rc == GV_OK)
        rc = gv_sql_query(sql, INVITATION_COUNT, "i", (int64_t)now_min);
    if (rc == GV_OK)
        rc = gv_sql_step(sql, INVITATION_COUNT);
    int64_t out = rc == 1 ? gv_sql_number(sql, INVITATION_COUNT, 0) : 0;
    gv_sql_end(sql, INVITATION_COUNT);
    if (rc < 0)
        return rc;
    if (out >= GV_INVITATIONS_MAX)
        return GV_ERR_FULL;
    if (!owner)
        return gv_sql_run(sql, INVITATION_PUT, "bni", code, (size_t)GV_HASH_LEN,
                          (int64_t)expires_min);
    return gv_sql_run(sql, INVITATION_PUT, "bbi", code, (size_t)GV_HASH_LEN, owner,
                      (size_t)GV_ID_LEN, (int64_t)expires_min);
}

int gv_records_claim(struct gv_records *records, const uint8_t code[GV_HASH_LEN],
                     const uint8_t owner[GV_ID_LEN], const uint8_t key[GV_KEY_LEN],
                     uint32_t now_min)
{
    struct gv_sql *sql = records->sql;
    int rc = gv_sql_run(sql, INVITATION_CLAIM, "bbib", key, (size_t)GV_KEY_LEN, code,
                        (size_t)GV_HASH_LEN, (int64_t)now_min, owner, (size_t)GV_ID_LEN);

    if (rc != GV_OK)
        return rc;
    return gv_sql_changes(sql) == 1 ? GV_OK : GV_ERR_FORBIDDEN;
}
