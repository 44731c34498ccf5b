/* What records.c and records_log.c share. */
#ifndef GV_NODE_REGISTRY_RECORDS_INTERNAL_H
#define GV_NODE_REGISTRY_RECORDS_INTERNAL_H

#include "node/registry/records.h"
#include "node/registry/sql.h"

enum gv_records_statement {
    PENDING_PURGE,
    PENDING_COUNT,
    PENDING_PUT,
    PENDING_GET,
    PENDING_BY_LINK,
    PENDING_APPROVE,
    PENDING_TRIES,
    PENDING_DROP,
    OWNER_PUT,
    OWNER_ERASE,
    OWNER_KNOWN,
    OWNER_FORGET,
    PENDING_FORGET,
    INSTANCE_GET,
    INSTANCE_COUNT,
    INSTANCE_ADMISSION,
    INSTANCE_OF_OWNER,
    INSTANCE_PUT,
    INSTANCE_RENEW,
    INSTANCE_REVOKE,
    INSTANCE_REVOCATIONS,
    INSTANCE_ALL,
    INVITATION_PURGE,
    INVITATION_PUT,
    INVITATION_CLAIM,
    INVITATION_BIND,
    INVITATION_FORGET,
    INVITATION_COUNT,
    LEAVING_PURGE,
    LEAVING_COUNT,
    LEAVING_PUT,
    LEAVING_DROP,
    LEAVING_GET,
    LEAVING_FORGET,
    ALLOWANCE_PUT,
    ALLOWANCE_DROP,
    ALLOWANCE_ALL,
    HELD_ALL,
    DOMAIN_PURGE,
    DOMAIN_TAKE,
    DOMAIN_GET,
    LOG_ANY,
    LOG_SIZE,
    LOG_APPEND,
    LOG_RANGE,
    LOG_FIND,
    LOG_HEAD_LAST,
    LOG_HEAD_PUT,
    STATEMENTS
};

struct gv_records {
    struct gv_sql *sql;
    uint8_t email_key[GV_SECRET_LEN]; /* secret */
    uint32_t counted_min;             /* when the codes that are out were last counted; 0: never */
    int64_t pending;                  /* so many then, and those added since */
};

/* Expired rows go, and then: how many are out, by a statement that counts (`with_now`: those that
 * end later). GV_ERR_FULL from `max` on. */
int gv_records_room(struct gv_records *records, enum gv_records_statement purge,
                    enum gv_records_statement count, int64_t max, bool with_now, uint32_t now_min);

extern const struct gv_sql_schema gv_records_schema;

#endif
