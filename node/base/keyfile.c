#include "node/base/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/file.h"

#define TEXT_LEN (2 * GV_SECRET_LEN + 1) /* hex digits and a newline */

/* Who may write to the folder can put another key there. The owner of the folder is this node, or
 * root for it. */
static int check_folder(const char *path, struct stat *folder, struct gv_text *error)
{
    char copy[4096];

    snprintf(copy, sizeof copy, "%s", path);
    const char *name = dirname(copy);
    if (stat(name, folder) != 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", name, strerror(errno));
    if (folder->st_mode & (S_IWGRP | S_IWOTH))
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: others than its owner can write here, and so put another key into it "
                       "(mode %04o); run: chmod 700 %s",
                       name, (unsigned)(folder->st_mode & 07777), name);
    if (folder->st_uid != geteuid() && folder->st_uid != 0 && geteuid() != 0)
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s belongs to another user (id %u); run: chown %u %s", name,
                       (unsigned)folder->st_uid, (unsigned)geteuid(), name);
    return GV_OK;
}

/* Who may rename what is in a folder above can put another one in the key's place: its owner, and
 * all who can write to it, but with the sticky bit (/tmp) those only what is theirs. */
static int check_one_above(const char *name, uid_t owner, struct gv_text *error)
{
    struct stat info;

    if (stat(name, &info) != 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", name, strerror(errno));
    if (info.st_uid != 0 && info.st_uid != geteuid() && (geteuid() != 0 || info.st_uid != owner))
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s belongs to another user (id %u), who can rename what is in here, and so "
                       "put another key in its place; run: chown root %s",
                       name, (unsigned)info.st_uid, name);
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) && !(info.st_mode & S_ISVTX))
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: %s can rename what is in here, and so put another key in "
                       "its place (mode %04o); run: chmod go-w %s",
                       name, info.st_mode & S_IWOTH ? "everybody" : "its group",
                       (unsigned)(info.st_mode & 07777), name);
    return GV_OK;
}

/* `owner`: of the key's own folder, whose key root may look after. */
static int check_above(const char *path, uid_t owner, struct gv_text *error)
{
    char copy[4096], real[PATH_MAX];
    int rc = GV_OK;

    snprintf(copy, sizeof copy, "%s", path);
    if (!realpath(dirname(copy), real))
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
    while (rc == GV_OK && strcmp(real, "/") != 0) {
        char *slash = strrchr(real, '/');
        slash[slash == real] = '\0';
        rc = check_one_above(real, owner, error);
    }
    return rc;
}

static int check_rights(int fd, const char *path, struct gv_text *error)
{
    struct stat info, folder;

    if (fstat(fd, &info) != 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return gv_fail(error, GV_ERR_FORBIDDEN, "%s: a key must be a regular file", path);
    if (info.st_mode & (S_IRWXG | S_IRWXO))
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: others than its owner can use this key (mode %04o); "
                       "run: chmod 600 %s",
                       path, (unsigned)(info.st_mode & 07777), path);
    int rc = check_folder(path, &folder, error);
    if (rc == GV_OK)
        rc = check_above(path, folder.st_uid, error);
    if (rc != GV_OK)
        return rc;
    /* Root may look at the key of a node's own user, which has its folder too. */
    if (info.st_uid != geteuid() && (geteuid() != 0 || info.st_uid != folder.st_uid))
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s belongs to another user (id %u), who can use it; run: chown %u %s", path,
                       (unsigned)info.st_uid, (unsigned)geteuid(), path);
    return GV_OK;
}

int gv_keyfile_own_folder(const char *folder, struct gv_text *error)
{
    struct stat info;

    if (geteuid() != 0 || stat(folder, &info) != 0 || info.st_uid == 0)
        return GV_OK;
    return gv_fail(error, GV_ERR_FORBIDDEN,
                   "%s belongs to another user (id %u), who can use the key in it; name that user "
                   "in [node] user, or run: chown -R 0 %s",
                   folder, (unsigned)info.st_uid, folder);
}

static int write_key(int fd, const char *path, const uint8_t secret[GV_SECRET_LEN],
                     struct gv_text *error)
{
    char text[TEXT_LEN + 1];

    gv_hex(text, secret, GV_SECRET_LEN);
    text[TEXT_LEN - 1] = '\n';
    errno = ENOSPC; /* of a write that is cut short, which says nothing else */
    bool written = fchmod(fd, 0600) == 0 && write(fd, text, TEXT_LEN) == TEXT_LEN && fsync(fd) == 0;
    gv_wipe(text, sizeof text);
    if (!written)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(errno));
    return check_rights(fd, path, error);
}

/* Under another name until it is whole: half a key, left by a crash, would stand in the way of the
 * next start. link() refuses to replace what is there. */
int gv_keyfile_create(uint8_t secret[GV_SECRET_LEN], const char *path, struct gv_text *error)
{
    char fresh[4096];

    if (access(path, F_OK) == 0)
        return gv_fail(error, GV_ERR_DUPLICATE, "%s: there is a key already; it is kept", path);
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh)
        return gv_fail(error, GV_ERR_RANGE, "%.64s...: the path is too long", path);
    unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(errno));
    randombytes_buf(secret, GV_SECRET_LEN);
    int rc = write_key(fd, path, secret, error);
    if (rc == GV_OK && link(fresh, path) != 0)
        rc = errno == EEXIST
                 ? gv_fail(error, GV_ERR_DUPLICATE, "%s: there is a key already; it is kept", path)
                 : gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(errno));
    else if (rc == GV_OK && gv_file_sync_folder(path) != 0) {
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(errno));
        unlink(path);
    }
    unlink(fresh);
    close(fd);
    if (rc != GV_OK)
        gv_wipe(secret, GV_SECRET_LEN);
    return rc;
}

int gv_keyfile_read(uint8_t secret[GV_SECRET_LEN], const char *path, struct gv_text *error)
{
    char text[TEXT_LEN + 2]; /* one more than allowed, to see that there is more */
    int rc;
    /* A FIFO must not hold us up, and a link would have its own owner and rights. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);

    if (fd < 0 && errno == ELOOP)
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: a symbolic link; put the key itself there, or set [node] data", path);
    if (fd < 0 && errno == EACCES)
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: belongs to another user than this one (id %u); run: chown %u %s", path,
                       (unsigned)geteuid(), (unsigned)geteuid(), path);
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

int gv_keyfile_ensure(uint8_t secret[GV_SECRET_LEN], bool *fresh, const char *path,
                      struct gv_text *error)
{
    int rc = gv_keyfile_read(secret, path, error);

    *fresh = rc == GV_ERR_NOT_FOUND;
    return *fresh ? gv_keyfile_create(secret, path, error) : rc;
}
