#include "node/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"

bool gv_file_is_full(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

const char *gv_file_error(int number)
{
    if (number == EFBIG)
        return "no file may become so large here; raise the limit (ulimit -f, LimitFSIZE= of the "
               "unit)";
    return gv_file_is_full(number) ? "the disk is full; make room on it" : strerror(number);
}

int gv_file_read(struct gv_buf *out, const char *path, size_t max, struct gv_text *error)
{
    size_t start = out->len;
    struct stat info;
    int rc = GV_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us up */

    if (fd < 0)
        return gv_fail(error, errno == ENOENT ? GV_ERR_NOT_FOUND : GV_ERR_IO, "%s: %s", path,
                       gv_file_error(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        rc = gv_fail(error, GV_ERR_IO, "%s: not a regular file; move it away", path);
        close(fd);
        return rc;
    }
    for (;;) {
        uint8_t *room = gv_buf_reserve(out, 4096);
        if (!room) {
            rc = gv_fail(error, GV_ERR_MEMORY, "%s: out of memory", path);
            break;
        }
        ssize_t n = read(fd, room, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(errno));
            break;
        }
        if (n == 0)
            break;
        out->len += (size_t)n;
        if (out->len - start > max) {
            rc = gv_fail(error, GV_ERR_RANGE, "%s: longer than %zu bytes", path, max);
            break;
        }
    }
    close(fd);
    if (rc != GV_OK)
        out->len = start;
    return rc;
}

static int write_all(int fd, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* The rename is only durable once the folder is. */
int gv_file_sync_folder(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');

    if (!slash)
        snprintf(folder, sizeof folder, ".");
    else if (slash == path)
        snprintf(folder, sizeof folder, "/");
    else
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int rc = fsync(fd);
    close(fd);
    return rc;
}

int gv_file_write(const char *path, const void *data, size_t len, mode_t mode,
                  struct gv_text *error)
{
    char temporary[4096];
    int fd = -1;

    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= sizeof temporary)
        return gv_fail(error, GV_ERR_RANGE, "%.64s...: the path is too long", path);
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(errno));
    bool written = fchmod(fd, mode) == 0 && write_all(fd, data, len) == 0 && fsync(fd) == 0;
    int saved = errno;
    if (close(fd) != 0 && written) {
        written = false;
        saved = errno;
    }
    if (written && rename(temporary, path) == 0 && gv_file_sync_folder(path) == 0)
        return GV_OK;
    if (written)
        saved = errno;
    unlink(temporary);
    return gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(saved));
}

int gv_file_no_room(const char *path)
{
    static const uint8_t zeros[32768]; /* the least that SQLite wants for the index of its log */
    char temporary[4096];

    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= sizeof temporary)
        return 0;
    int fd = mkostemp(temporary, O_CLOEXEC);
    int why = fd < 0 || write_all(fd, zeros, sizeof zeros) != 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
        unlink(temporary);
    }
    return gv_file_is_full(why) ? why : 0;
}

void gv_file_aside_name(char *out, size_t out_len, const char *path, const char *word)
{
    time_t now = time(NULL);
    char stamp[32];
    struct tm utc;

    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    snprintf(out, out_len, "%s.%s-%s", path, word, stamp);
    for (int n = 2; access(out, F_OK) == 0; n++)
        snprintf(out, out_len, "%s.%s-%s.%d", path, word, stamp, n);
}

int gv_file_check_writers(const char *path, struct gv_text *error)
{
    bool root = geteuid() == 0;
    struct stat info;

    if (stat(path, &info) != 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(errno));
    if ((info.st_mode & S_IWOTH) || (root && info.st_gid != 0 && (info.st_mode & S_IWGRP)))
        return gv_fail(
            error, GV_ERR_FORBIDDEN,
            "%s: others than its owner can write to it (mode %04o), and so say what this "
            "program does; run: chmod go-w %s",
            path, (unsigned)(info.st_mode & 07777), path);
    if (root && info.st_uid != 0)
        return gv_fail(
            error, GV_ERR_FORBIDDEN,
            "%s belongs to another user (id %u), who could say what this program, started "
            "as root, does; run: chown root %s",
            path, (unsigned)info.st_uid, path);
    return GV_OK;
}

int gv_file_folder(const char *path, mode_t mode, struct gv_text *error)
{
    struct stat info;

    if (mkdir(path, mode) == 0)
        return GV_OK;
    if (errno != EEXIST)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(errno));
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return gv_fail(error, GV_ERR_IO, "%s: not a folder", path);
    return GV_OK;
}
