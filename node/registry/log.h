/* The log of issued certificates (SPEC 14.7) as a tree in memory, brought up to date from the
 * records before it is used: several processes may share these. */
#ifndef GV_NODE_REGISTRY_LOG_H
#define GV_NODE_REGISTRY_LOG_H

#include "crypto/identity.h"
#include "node/registry/records.h"
#include "proto/merkle.h"
#include "proto/wire/descriptor.h"

#define GV_LOGS_MAX 8 /* as many as a descriptor names keys */

struct gv_log {
    uint32_t signer; /* whose certificates these are */
    struct gv_merkle tree;
};

struct gv_logs {
    struct gv_log *items[GV_LOGS_MAX]; /* owned; made when first asked for */
    struct gv_log_head head;           /* the newest of our own key that this process knows */
    struct gv_buf head_wire;
    uint32_t looked_min;  /* when it was last looked at whether a new one is due */
    uint32_t guarded_min; /* of the head in that file, as far as this process wrote it */
    char *guard_path;     /* owned; NULL: none. Beside the keys: a copy of the last head, which a
                             database     that was set back to an old backup does not take along */
};

void gv_logs_init(struct gv_logs *logs);
void gv_logs_free(struct gv_logs *logs);
/* Another key signs from now on. */
void gv_logs_forget_head(struct gv_logs *logs);

/* The log of this key, with all that is committed. GV_ERR_FULL: too many keys were asked for. */
int gv_logs_get(struct gv_logs *logs, const struct gv_log **out, struct gv_records *records,
                uint32_t signer);

/* A registry that issued certificates before it kept a log enters each instance's last one. Once,
 * at the start. */
int gv_logs_backfill(struct gv_records *records);

/* Brings logs->head up to date: one is signed an hour at most, when the log has grown since, and
 * after a day in any case. GV_ERR_STATE: what is in the database contradicts what was signed, and
 * nothing is signed any more; GV_ERR_SIGNER: the descriptor does not name our key for now. */
int gv_logs_sign(struct gv_logs *logs, struct gv_records *records,
                 const struct gv_descriptor *descriptor, const struct gv_identity *signer,
                 uint32_t now_min);

#endif
