/* What a request to the control socket asks for, parsed strictly and within bounds. Pure functions:
 * text in, a struct or one sentence for the admin out. Any bytes are allowed. */
#ifndef GV_NODE_SERVE_API_REQUEST_H
#define GV_NODE_SERVE_API_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "node/base/rfc3339.h"
#include "node/base/text.h"
#include "proto/settings.h"
#include "proto/trust/action.h"

#define GV_API_BODY_MAX      16384
#define GV_API_LIMIT_DEFAULT 100
#define GV_API_LIMIT_MAX     10000
#define GV_API_OFFSET_MAX    100000000
#define GV_API_RECEIVED_MAX  1000 /* subjects in one page of signals: a few ms */
#define GV_API_EMAIL_MAX     254  /* RFC 5321 */
#define GV_API_TEXT_MAX      255

/* An argument that is absent is NULL. All return GV_OK or GV_ERR_MALFORMED. */

int gv_api_subject(struct gv_subject *out, const char *address, struct gv_text *error);
int gv_api_limit(size_t *out, const char *limit, struct gv_text *error);
/* Where a page begins; absent: 0. `name` is the argument's. */
int gv_api_offset(size_t *out, const char *name, const char *text, struct gv_text *error);

struct gv_api_list_query {
    bool by_verdict, by_action;
    enum gv_verdict_state verdict;
    enum gv_action action;
    size_t limit, offset; /* the offset is for the caller to set */
};
int gv_api_list_query(struct gv_api_list_query *out, const char *verdict, const char *action,
                      const char *limit, struct gv_text *error);

struct gv_api_telemetry_query {
    uint64_t since_ms; /* 0: all */
    size_t limit;
    bool follow;
};
/* since: RFC 3339 in UTC ("2026-11-22T04:37:00Z"), or how long ago ("90s", "15m", "24h", "30d"). */
int gv_api_telemetry_query(struct gv_api_telemetry_query *out, uint64_t now_ms, const char *since,
                           const char *limit, const char *follow, struct gv_text *error);

/* Bodies, JSON objects: {"addr": ...}, {"registry": ..., "id": ...}, {"email": ..., "terms": ...},
 * {"code": ...}. */
int gv_api_prefix_body(struct gv_prefix *out, const void *body, size_t len, struct gv_text *error);
int gv_api_subject_body(struct gv_subject *out, const void *body, size_t len,
                        struct gv_text *error);
/* {"owner": 32 hex digits} */
int gv_api_owner_body(uint8_t out[GV_ID_LEN], const void *body, size_t len, struct gv_text *error);
struct gv_api_join {
    char registry[GV_API_TEXT_MAX + 1]; /* "": the configured one */
    bool has_id;
    uint8_t id[GV_KEY_LEN]; /* the only network to be joined */
};
int gv_api_join_body(struct gv_api_join *out, const void *body, size_t len, struct gv_text *error);
struct gv_api_enroll {
    char email[GV_API_EMAIL_MAX + 1];
    char terms[GV_API_TEXT_MAX + 1]; /* the version that the admin accepts */
    char invitation[64];             /* "": none */
};
int gv_api_enroll_body(struct gv_api_enroll *out, const void *body, size_t len,
                       struct gv_text *error);
struct gv_api_confirm {
    char code[64];
};
int gv_api_confirm_body(struct gv_api_confirm *out, const void *body, size_t len,
                        struct gv_text *error);
/* {"instance": ID} */
int gv_api_leave_body(uint8_t out[GV_ID_LEN], const void *body, size_t len, struct gv_text *error);

#endif
