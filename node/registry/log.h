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
    struct gv_log_head head; /* the newest that this process knows; of minute 0: none */
    struct gv_buf head_wire;
    uint32_t looked_min;  /* when it was last looked at whether a new one is due */
    uint32_t guarded_min; /* of the head in its file, as far as this process wrote it */
};

struct gv_logs {
    struct gv_log *items[GV_LOGS_MAX]; /* owned; made when first asked for */
    char *folder; /* owned; NULL: none. Beside the keys: a copy of each key's last head, which a
                   * database that was set back to an old backup does not take along */
};

void gv_logs_init(struct gv_logs *logs);
void gv_logs_free(struct gv_logs *logs);

/* The log of this key, with all that is committed. GV_ERR_FULL: too many keys were asked for. */
int gv_logs_get(struct gv_logs *logs, struct gv_log **out, struct gv_records *records,
                uint32_t signer);

/* A registry that issued certificates before it kept a log enters each instance's last one. Once,
 * at the start. */
int gv_logs_backfill(struct gv_records *records);

/* The last head as a version before 2026-11-23 kept it, in a file whose name did not tell the key,
 * goes on as that key's; or goes, if there is a newer one, or the descriptor does not name the key.
 * Once, at the start, when the folder is set. */
void gv_logs_adopt(const struct gv_logs *logs, const struct gv_descriptor *descriptor);

/* Brings the head of this key's log up to date, for (*out)->head: one is signed an hour at most,
 * when the log has grown since, and after a day in any case; after the key's end one more, the last
 * (gv_log_head_closing). GV_ERR_STATE: what is in the database contradicts what was signed, and
 * nothing is signed any more; GV_ERR_SIGNER: the descriptor does not name the key for now. */
int gv_logs_sign(struct gv_logs *logs, const struct gv_log **out, struct gv_records *records,
                 const struct gv_descriptor *descriptor, const struct gv_identity *signer,
                 uint32_t now_min);
/* The last head of a key that this process does not have, as another one signed it.
 * GV_ERR_NOT_FOUND: there is none and nothing in the log; GV_ERR_BUSY: none yet, of a log that is
 * not empty. */
int gv_logs_last(struct gv_logs *logs, const struct gv_log **out, struct gv_records *records,
                 const struct gv_descriptor *descriptor, uint32_t signer);
/* Of the newest head that this process knows of this key; 0: none. */
uint32_t gv_logs_head_minute(const struct gv_logs *logs, uint32_t signer);

#endif
