#include "node/host/checkpoint.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "crypto/error.h"
#include "node/base/db.h"

struct gv_checkpoint {
    sqlite3 *db;    /* the loop's */
    sqlite3 *other; /* the thread's; NULL: not open yet */
    char *path;
    void (*done)(void *context);
    void *context;
    uv_thread_t thread;
    bool started; /* and not joined */
    atomic_bool ended;
    uint64_t since_ns;
    int next; /* pages of the log at which it is copied */
};

/* ---- the thread ----------------------------------------------------------------------------- */

static bool open_other(struct gv_checkpoint *checkpoint)
{
    if (checkpoint->other)
        return true;
    if (sqlite3_open_v2(checkpoint->path, &checkpoint->other,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) == SQLITE_OK &&
        sqlite3_exec(checkpoint->other,
                     "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -64;"
                     "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 4194304;"
                     "PRAGMA trusted_schema = OFF",
                     NULL, NULL, NULL) == SQLITE_OK)
        return true;
    sqlite3_close(checkpoint->other);
    checkpoint->other = NULL;
    return false;
}

static int take_version(void *context, int count, char **values, char **names)
{
    (void)names;
    return count == 1 && values[0] && sscanf(values[0], "%d", (int *)context) == 1 ? 0 : 1;
}

/* Who first writes into a log that was copied as a whole begins it anew, and syncs its head: better
 * here than in the loop. What is written is what stood there. */
static void begin_anew(sqlite3 *db)
{
    char set[64];
    int version = 0;

    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return; /* somebody else writes: he has begun it */
    if (sqlite3_exec(db, "PRAGMA user_version", take_version, &version, NULL) == SQLITE_OK) {
        snprintf(set, sizeof set, "PRAGMA user_version = %d; COMMIT", version);
        (void)sqlite3_exec(db, set, NULL, NULL, NULL);
    }
    if (!sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

/* An error is no news: the log only grows, and the commit that finds no room for that says so. */
static void run(void *context)
{
    struct gv_checkpoint *checkpoint = context;
    int pages = 0, copied = 0;

    if (open_other(checkpoint) &&
        sqlite3_wal_checkpoint_v2(checkpoint->other, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages,
                                  &copied) == SQLITE_OK &&
        pages > 0 && copied == pages)
        begin_anew(checkpoint->other);
    atomic_store(&checkpoint->ended, true);
    checkpoint->done(checkpoint->context);
}

/* ---- the loop ------------------------------------------------------------------------------- */

void gv_checkpoint_wait(struct gv_checkpoint *checkpoint)
{
    if (!checkpoint || !checkpoint->started)
        return;
    uv_thread_join(&checkpoint->thread);
    checkpoint->started = false;
}

int64_t gv_checkpoint_under_way(struct gv_checkpoint *checkpoint)
{
    if (!checkpoint || !checkpoint->started)
        return -1;
    if (!atomic_load(&checkpoint->ended))
        return (int64_t)((uv_hrtime() - checkpoint->since_ns) / 1000000);
    gv_checkpoint_wait(checkpoint); /* it is at its last line */
    return -1;
}

static bool start(struct gv_checkpoint *checkpoint)
{
    atomic_store(&checkpoint->ended, false);
    checkpoint->since_ns = uv_hrtime();
    checkpoint->started = uv_thread_create(&checkpoint->thread, run, checkpoint) == 0;
    return checkpoint->started;
}

/* SQLite calls it after each commit, with how many pages its log has. */
static int on_commit(void *context, sqlite3 *db, const char *name, int pages)
{
    struct gv_checkpoint *checkpoint = context;

    if (pages < GV_CHECKPOINT_PAGES)
        checkpoint->next = GV_CHECKPOINT_PAGES;
    if (pages < checkpoint->next ||
        (gv_checkpoint_under_way(checkpoint) >= 0 && pages < GV_CHECKPOINT_MAX))
        return SQLITE_OK;
    gv_checkpoint_wait(checkpoint);
    checkpoint->next = pages + GV_CHECKPOINT_AGAIN;
    if (pages >= GV_CHECKPOINT_MAX || !start(checkpoint))
        (void)sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return SQLITE_OK;
}

int gv_checkpoint_new(struct gv_checkpoint **out, sqlite3 *db, void (*done)(void *context),
                      void *context)
{
    struct gv_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);

    if (!checkpoint || !(checkpoint->path = strdup(sqlite3_db_filename(db, "main")))) {
        free(checkpoint);
        return GV_ERR_MEMORY;
    }
    checkpoint->db = db;
    checkpoint->done = done;
    checkpoint->context = context;
    checkpoint->next = GV_CHECKPOINT_PAGES;
    atomic_init(&checkpoint->ended, false);
    sqlite3_wal_hook(db, on_commit, checkpoint);
    *out = checkpoint;
    return GV_OK;
}

void gv_checkpoint_free(struct gv_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    gv_checkpoint_wait(checkpoint);
    sqlite3_wal_autocheckpoint(checkpoint->db, GV_CHECKPOINT_PAGES); /* and the hook is gone */
    sqlite3_close(checkpoint->other);
    free(checkpoint->path);
    free(checkpoint);
}
