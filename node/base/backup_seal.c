#include "node/base/backup_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "node/base/file.h"

#define PIECE     16384
#define MAGIC_LEN (GV_BACKUP_SEAL_LEN - GV_HASH_LEN)
/* Of SQLite: a file of whole pages is a multiple of it, and one with a seal is not. */
#define LEAST_PAGE 512

static void begin(struct gv_hmac_state *sum)
{
    gv_hmac_begin(sum, (const uint8_t *)"", 0, "grapevine backup file 1");
}

/* One piece, whole but at the end. */
static ssize_t read_piece(int fd, uint8_t *piece, off_t left)
{
    size_t wanted = left < PIECE ? (size_t)left : PIECE, got = 0;

    while (got < wanted) {
        ssize_t n = read(fd, piece + got, wanted - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -1 : (ssize_t)got;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* The next `len` bytes of `from` into the sum, and to `to` unless that is -1. 0, or errno. */
static int pass(struct gv_hmac_state *sum, int to, int from, off_t len)
{
    uint8_t piece[PIECE];

    while (len > 0) {
        ssize_t n = read_piece(from, piece, len);
        if (n <= 0)
            return n < 0 ? errno : EIO; /* it became shorter meanwhile */
        gv_hmac_add(sum, piece, (size_t)n);
        if (to >= 0 && !write_all(to, piece, (size_t)n))
            return errno;
        len -= n;
    }
    return 0;
}

int gv_backup_seal(const char *path, struct gv_text *error)
{
    uint8_t seal[GV_BACKUP_SEAL_LEN];
    struct gv_hmac_state sum;
    struct stat info;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW), failed = fd < 0 ? errno : 0;

    begin(&sum);
    if (!failed && fstat(fd, &info) != 0)
        failed = errno;
    if (!failed)
        failed = pass(&sum, -1, fd, info.st_size);
    memcpy(seal, GV_BACKUP_MAGIC, MAGIC_LEN);
    gv_hmac_end(seal + MAGIC_LEN, &sum);
    if (!failed && (!write_all(fd, seal, sizeof seal) || fsync(fd) != 0))
        failed = errno;
    if (fd >= 0)
        close(fd);
    return failed ? gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(failed)) : GV_OK;
}

static int damaged(const char *path, struct gv_text *error)
{
    return gv_fail(
        error, GV_ERR_MALFORMED,
        "%s: damaged, cut short, or not a backup at all; give a whole file that `grapevine "
        "backup` has made",
        path);
}

int gv_backup_unseal(const char *to, const char *path, struct gv_text *error)
{
    uint8_t seal[GV_BACKUP_SEAL_LEN], wanted[GV_HASH_LEN];
    struct gv_hmac_state sum;
    struct stat info;
    int out = -1, rc = GV_OK;
    int in = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (in < 0 || fstat(in, &info) != 0) {
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", path, gv_file_error(errno));
        goto out;
    }
    bool sealed = info.st_size % LEAST_PAGE != 0;
    if (!S_ISREG(info.st_mode) || (sealed && info.st_size <= GV_BACKUP_SEAL_LEN)) {
        rc = damaged(path, error);
        goto out;
    }
    out = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0) {
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", to, gv_file_error(errno));
        goto out;
    }
    begin(&sum);
    int failed = pass(&sum, out, in, info.st_size - (sealed ? GV_BACKUP_SEAL_LEN : 0));
    gv_hmac_end(wanted, &sum);
    if (failed) {
        rc = gv_fail(error, GV_ERR_IO, "%s, to be copied to %s: %s", path, to,
                     gv_file_error(failed));
        goto out;
    }
    if (sealed && (read_piece(in, seal, GV_BACKUP_SEAL_LEN) != GV_BACKUP_SEAL_LEN ||
                   memcmp(seal, GV_BACKUP_MAGIC, MAGIC_LEN) != 0 ||
                   memcmp(seal + MAGIC_LEN, wanted, sizeof wanted) != 0))
        rc = damaged(path, error);
out:
    if (out >= 0)
        close(out);
    if (in >= 0)
        close(in);
    return rc;
}
