#include "node/base/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/wipe.h"

#define TEXT_LEN (2 * GV_SECRET_LEN + 1) /* hex digits and a newline */

/* Also the folder, because a key that is gone after a power cut is an identity lost. */
static int sync_both(int fd, const char *path)
{
    char copy[4096];

    snprintf(copy, sizeof copy, "%s", path);
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -1;
    int rc = fsync(fd) == 0 && fsync(folder) == 0 ? 0 : -1;
    close(folder);
    return rc;
}

int gv_keyfile_create(uint8_t secret[GV_SECRET_LEN], const char *path, struct gv_text *error)
{
    char text[TEXT_LEN + 1];
    int rc = GV_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && errno == EEXIST)
        return gv_fail(error, GV_ERR_DUPLICATE, "%s: there is a key already; it is kept", path);
    if (fd < 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
    randombytes_buf(secret, GV_SECRET_LEN);
    gv_hex(text, secret, GV_SECRET_LEN);
    text[TEXT_LEN - 1] = '\n';
    if (fchmod(fd, 0600) != 0 || write(fd, text, TEXT_LEN) != TEXT_LEN ||
        sync_both(fd, path) != 0) {
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
        unlink(path);
        gv_wipe(secret, GV_SECRET_LEN);
    }
    close(fd);
    gv_wipe(text, sizeof text);
    return rc;
}

static int check_rights(int fd, const char *path, struct gv_text *error)
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return gv_fail(error, GV_ERR_FORBIDDEN, "%s: a key must be a regular file", path);
    if (info.st_mode & (S_IRWXG | S_IRWXO))
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: others than its owner can use this key (mode %04o); "
                       "run: chmod 600 %s",
                       path, (unsigned)(info.st_mode & 07777), path);
    return GV_OK;
}

int gv_keyfile_read(uint8_t secret[GV_SECRET_LEN], const char *path, struct gv_text *error)
{
    char text[TEXT_LEN + 2]; /* one more than allowed, to see that there is more */
    int rc;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us up */

    if (fd < 0)
        return gv_fail(error, errno == ENOENT ? GV_ERR_NOT_FOUND : GV_ERR_IO, "%s: %s", path,
                       strerror(errno));
    memset(text, 0, sizeof text);
    rc = check_rights(fd, path, error);
    if (rc != GV_OK)
        goto out;
    ssize_t n = read(fd, text, TEXT_LEN + 1);
    if (n < 0) {
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (n == TEXT_LEN && text[n - 1] == '\n')
        text[n - 1] = '\0';
    rc = gv_unhex(secret, GV_SECRET_LEN, text);
    if (rc != GV_OK)
        gv_fail(error, rc,
                "%s: not a key file: 64 hex digits and a newline are wanted; "
                "restore it from a backup, or move it away to start anew",
                path);
out:
    close(fd);
    gv_wipe(text, sizeof text);
    if (rc != GV_OK)
        gv_wipe(secret, GV_SECRET_LEN);
    return rc;
}

int gv_keyfile_ensure(uint8_t secret[GV_SECRET_LEN], const char *path, struct gv_text *error)
{
    int rc = gv_keyfile_read(secret, path, error);

    return rc == GV_ERR_NOT_FOUND ? gv_keyfile_create(secret, path, error) : rc;
}
