/* The store's files under their names (SPEC 9.7). Who removes one while it is open, or puts another
 * in its place, leaves the node with a file that nobody finds again: every commit succeeds, and
 * nothing of it is there at the next start. So what is open is written anew under its name. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/db.h"
#include "node/base/file.h"
#include "node/base/log.h"
#include "node/base/store.h"
#include "node/host/persist_schema.h"

/* The file, its log of writes, and the index over that, without which another process that opens
 * the store would not know of this one. */
static const char *const suffixes[GV_PERSIST_FILES] = {"", "-wal", "-shm"};

static bool look(const struct gv_persist *persist, size_t i, struct gv_persist_file *out)
{
    char name[PATH_MAX];
    struct stat info;

    if ((size_t)snprintf(name, sizeof name, "%s%s", persist->path, suffixes[i]) >= sizeof name ||
        lstat(name, &info) != 0)
        return false;
    *out = (struct gv_persist_file){.known = true, .device = info.st_dev, .inode = info.st_ino};
    return true;
}

void gv_persist_place_open(struct gv_persist *persist)
{
    for (size_t i = 0; i < GV_PERSIST_FILES; i++)
        if (!look(persist, i, &persist->files[i]))
            persist->files[i].known = false;
}

static bool in_place(const struct gv_persist *persist)
{
    for (size_t i = 0; i < GV_PERSIST_FILES; i++) {
        const struct gv_persist_file *was = &persist->files[i];
        struct gv_persist_file is;
        if (was->known &&
            (!look(persist, i, &is) || is.device != was->device || is.inode != was->inode))
            return false;
    }
    return true;
}

/* All that is open, log and all, as one finished file. */
static int write_fresh(struct gv_persist *persist, const char *fresh, struct gv_text *error)
{
    sqlite3 *to = NULL;
    int fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", fresh, gv_file_error(errno));
    close(fd);
    int rc = GV_OK, code = sqlite3_open_v2(fresh, &to, SQLITE_OPEN_READWRITE, NULL);
    if (code != SQLITE_OK)
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", fresh, sqlite3_errstr(code));
    if (rc == GV_OK)
        rc = gv_db_copy(to, persist->db, error);
    if (rc == GV_OK)
        rc = gv_db_exec(to, "PRAGMA journal_mode = DELETE", error);
    sqlite3_close(to);
    return rc;
}

int gv_persist_keep_place(struct gv_persist *persist, bool *again, struct gv_text *error)
{
    char fresh[PATH_MAX], aside[PATH_MAX];

    *again = false;
    if (!persist->db || persist->full.text[0] || in_place(persist))
        return GV_OK;
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", persist->path) >= sizeof fresh)
        return gv_fail(error, GV_ERR_RANGE, "%.64s...: the path is too long", persist->path);
    unlink(fresh); /* of one that was cut short */
    int rc = write_fresh(persist, fresh, error);
    if (rc == GV_OK) /* before what is open is closed, and gone */
        rc = gv_store_replace(persist->path, fresh, "replaced", aside, sizeof aside, error);
    if (rc != GV_OK) {
        unlink(fresh);
        return rc;
    }
    gv_log(GV_LOG_WARNING,
           "%s: somebody removed or replaced it, or a file beside it, while this node runs: it is "
           "written anew from what the node has%s%s; stop the node before touching these files",
           persist->path, *aside ? ", and what was there is set aside as " : "", aside);
    *again = true;
    return GV_OK;
}
