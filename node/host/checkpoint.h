/* What stands in the store's log of writes goes into its file in a thread of its own, so that the
 * loop does not wait for the disk: SQLite itself would do it within a commit, several times a
 * second where many rows are new. One run copies, syncs both files, and begins the log anew (which
 * is one more sync) where no commit came between. All that SQLite promises of a commit stays so:
 * the log is synced before the file is written, and the file before the log is begun anew. */
#ifndef GV_NODE_HOST_CHECKPOINT_H
#define GV_NODE_HOST_CHECKPOINT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* Pages of the log from which on it is copied, as SQLite's own 1000; after a run that did not end
 * it, so many more; and from which on the loop waits for the disk after all: 64 MiB. */
#define GV_CHECKPOINT_PAGES 1000
#define GV_CHECKPOINT_AGAIN 250
#define GV_CHECKPOINT_MAX   16384

struct gv_checkpoint;

/* Of the file that `db` is open on, which has to outlive it; from now on none of its commits copies
 * anything. `done` is called in the other thread after each run: it may do no more than wake the
 * loop. Returns GV_OK, GV_ERR_MEMORY. */
int gv_checkpoint_new(struct gv_checkpoint **out, sqlite3 *db, void (*done)(void *context),
                      void *context);
/* Waits for a run that is under way. `db` goes back to SQLite's own way. NULL is allowed. */
void gv_checkpoint_free(struct gv_checkpoint *checkpoint);

/* For how long a run has been under way, in milliseconds; -1: none is. What is not committed until
 * it ends lets the log begin anew. */
int64_t gv_checkpoint_under_way(struct gv_checkpoint *checkpoint);
/* Until none is under way. NULL is allowed. */
void gv_checkpoint_wait(struct gv_checkpoint *checkpoint);

#endif
