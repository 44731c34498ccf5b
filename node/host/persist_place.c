/* The store's files under their names (SPEC 9.7). Who removes one while it is open, or puts another
 * in its place, leaves the node with a file that nobody finds again: every commit succeeds, and
 * nothing of it is there at the next start. So what is open is written anew under its name. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
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

/* False: nothing is there. */
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
    int moved = 0;

    for (size_t i = 0; i < GV_PERSIST_FILES; i++)
        if (!look(persist, i, &persist->files[i]))
            persist->files[i].known = false;
    /* Replaced since it was opened, half a second ago: what lies there is not ours. */
    if (sqlite3_file_control(persist->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
        moved)
        persist->files[0] = (struct gv_persist_file){.known = true};
}

/* A folder that cannot be looked into, for a moment maybe, is no reason to write a store anew. */
static int check_seen(const struct gv_persist *persist, struct gv_text *error)
{
    struct stat info;

    if (lstat(persist->path, &info) == 0 || errno == ENOENT || errno == ENOTDIR)
        return GV_OK;
    return gv_fail(error, GV_ERR_IO, "%s: %s", persist->path, gv_file_error(errno));
}

/* Whether the one that was opened lies there. */
static bool is_own(const struct gv_persist *persist, size_t i)
{
    const struct gv_persist_file *was = &persist->files[i];
    struct gv_persist_file is;

    return look(persist, i, &is) && is.device == was->device && is.inode == was->inode;
}

static bool in_place(const struct gv_persist *persist)
{
    for (size_t i = 0; i < GV_PERSIST_FILES; i++)
        if (persist->files[i].known && !is_own(persist, i))
            return false;
    return true;
}

/* So that no copy is begun, again and again, that fills the disk of the mail. */
static int make_sure_of_room(const struct gv_persist *persist, struct gv_text *error)
{
    const char *slash = strrchr(persist->path, '/');
    sqlite3_stmt *row = NULL;
    char folder[PATH_MAX];
    struct statvfs disk;
    uint64_t needed = 0;

    snprintf(folder, sizeof folder, "%.*s.", slash ? (int)(slash - persist->path) + 1 : 0,
             persist->path);
    int rc = gv_db_prepare(persist->db, &row,
                           "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                           error);
    if (rc == GV_OK && gv_db_step(row) == 1)
        needed = (uint64_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    if (rc == GV_OK && statvfs(folder, &disk) != 0)
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", folder, gv_file_error(errno));
    else if (rc == GV_OK && (uint64_t)disk.f_bavail * disk.f_frsize < needed)
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", persist->path, gv_file_error(ENOSPC));
    return rc;
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

static int remove_beside(const struct gv_persist *persist, size_t i, struct gv_text *error)
{
    char name[PATH_MAX];

    snprintf(name, sizeof name, "%s%s", persist->path, suffixes[i]); /* look has seen it fit */
    if (unlink(name) == 0 || errno == ENOENT)
        return GV_OK;
    return gv_fail(error, GV_ERR_IO, "%s: %s", name, gv_file_error(errno));
}

/* The store itself is there, and only its log or the index over that is not: once all of the log is
 * in it, it can do without them, and whatever else lies there must not be played into it. */
static int take_in_log(struct gv_persist *persist, struct gv_text *error)
{
    int rc = gv_persist_empty_log(persist, error);

    for (size_t i = 1; i < GV_PERSIST_FILES && rc == GV_OK; i++)
        rc = remove_beside(persist, i, error);
    return rc;
}

/* What lies in the store's place is set aside, and all that is open stands there instead. */
static int write_anew(struct gv_persist *persist, char *aside, size_t aside_len,
                      struct gv_text *error)
{
    char fresh[PATH_MAX];

    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", persist->path) >= sizeof fresh)
        return gv_fail(error, GV_ERR_RANGE, "%.64s...: the path is too long", persist->path);
    unlink(fresh); /* of one that was cut short */
    int rc = make_sure_of_room(persist, error);
    if (rc == GV_OK)
        rc = write_fresh(persist, fresh, error);
    if (rc == GV_OK && is_own(persist, 1)) /* not to be set aside with somebody else's file */
        rc = remove_beside(persist, 1, error);
    if (rc == GV_OK) /* before what is open is closed, and gone */
        rc = gv_store_replace(persist->path, fresh, "replaced", aside, aside_len, error);
    if (rc != GV_OK)
        unlink(fresh);
    return rc;
}

int gv_persist_keep_place(struct gv_persist *persist, bool *again, struct gv_text *error)
{
    char aside[PATH_MAX] = "";
    int rc;

    *again = false;
    if (!persist->db || persist->full.text[0] || in_place(persist))
        return GV_OK;
    rc = check_seen(persist, error);
    if (rc != GV_OK)
        return rc;
    bool own = is_own(persist, 0);
    rc = own ? take_in_log(persist, error) : write_anew(persist, aside, sizeof aside, error);
    if (rc != GV_OK)
        return rc;
    gv_log(GV_LOG_WARNING,
           "%s: somebody removed or replaced %s while this node runs: it is %s%s%s; stop the node "
           "before touching these files",
           persist->path, own ? "its -wal or -shm" : "it",
           own ? "whole, and opened again" : "written anew from what the node has",
           *aside ? ", and what was there is set aside as " : "", aside);
    *again = true;
    return GV_OK;
}
