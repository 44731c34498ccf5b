/* One-time invitations, for a network that admits the invited only. */
#include "crypto/error.h"
#include "node/registry/records_internal.h"

int gv_records_invite(struct gv_records *records, const uint8_t code[GV_HASH_LEN],
                      const uint8_t *owner, uint32_t expires_min, uint32_t now_min)
{
    struct gv_sql *sql = records->sql;
    int rc = gv_records_room(records, INVITATION_PURGE, INVITATION_COUNT, GV_INVITATIONS_MAX, true,
                             now_min);

    if (rc != GV_OK)
        return rc;
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

int gv_records_bind_invitation(struct gv_records *records, const uint8_t key[GV_KEY_LEN],
                               const uint8_t owner[GV_ID_LEN])
{
    return gv_sql_later(records->sql, INVITATION_BIND, "bb", owner, (size_t)GV_ID_LEN, key,
                        (size_t)GV_KEY_LEN);
}
