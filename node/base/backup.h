/* Backups of a node's store. A backup is one SQLite file, 0600: the store as it was at one moment,
 * the transparency log, and who made it. It holds the key that authenticates its rows, so that it
 * can be verified anywhere, and not the secret that signs: who finds a backup reads it, and cannot
 * speak for the node. A digest over everything shows what was cut, left out or mixed in by
 * accident, or by somebody who cannot read the file; who can read and write it could make another
 * one. */
#ifndef GV_NODE_BASE_BACKUP_H
#define GV_NODE_BASE_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/identity.h"
#include "node/base/backup_log.h"
#include "node/base/text.h"

/* Copies the store of the data folder to a new file and verifies the copy. The daemon may run.
 * GV_OK; GV_ERR_NOT_FOUND (no key or no store there), GV_ERR_DUPLICATE (the file exists),
 * GV_ERR_FORBIDDEN (also: there others could use it), GV_ERR_VERSION, GV_ERR_MALFORMED (the store is
 * damaged), GV_ERR_IO. */
int gv_backup_make(const char *folder, const char *path, struct gv_text *error);

struct gv_backup_report {
    uint8_t instance[GV_ID_LEN]; /* of the node now */
    bool same_node;              /* the key here is that of the backup */
    bool new_key;                /* there was none, and one was made */
    uint64_t made_ms;            /* unix, when the backup was made */
    size_t rows;
    char aside[4096]; /* what the store that was there is called now; "" without */
    enum gv_backup_log log;
    char log_aside[4096]; /* the name of the backup's transparency log, where another is there */
};

/* Verifies the whole backup, then puts its rows in place of the store of the data folder (made when
 * absent). The key that is there stays; where there is none a new one is made, because two machines
 * must never sign with one key. The daemon must be stopped. Nothing is changed when it fails:
 * GV_ERR_NOT_FOUND, GV_ERR_FORBIDDEN (others can use the file), GV_ERR_MALFORMED (damaged, changed,
 * no backup), GV_ERR_VERSION (of a newer program), GV_ERR_BUSY (the daemon runs), GV_ERR_IO. */
int gv_backup_restore(struct gv_backup_report *out, const char *folder, const char *path,
                      struct gv_text *error);

#endif
