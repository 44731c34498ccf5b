/* The transparency log (SPEC 15.2) in a backup: a table of its lines, under the backup's digest. */
#ifndef GV_NODE_BASE_BACKUP_LOG_H
#define GV_NODE_BASE_BACKUP_LOG_H

#include <sqlite3.h>

#include "node/base/text.h"
#include "proto/buf.h"

/* Copies FOLDER/transparency.log into a table of `to`, if there is one. */
int gv_backup_log_take(sqlite3 *to, const char *folder, struct gv_text *error);

/* Appends the lines to *out, and drops the table. `db`: a copy of a backup; one without is fine. */
int gv_backup_log_read(struct gv_buf *out, sqlite3 *db, struct gv_text *error);

enum gv_backup_log {
    GV_BACKUP_LOG_NONE = 0, /* there is none in the backup */
    GV_BACKUP_LOG_KEPT,     /* what is there has all that is in the backup */
    GV_BACKUP_LOG_BACK,     /* there was none, or less: it is there again */
    GV_BACKUP_LOG_BESIDE    /* the two differ: the backup's lies beside it */
};
/* No line that is there is ever lost by it. `beside` (len bytes): the name, for the last case. */
int gv_backup_log_give(enum gv_backup_log *out, char *beside, size_t len, const char *folder,
                       const struct gv_buf *log, struct gv_text *error);

#endif
