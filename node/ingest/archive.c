#include "node/ingest/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define IN_BUFFER   65536
#define GZIP_WINDOW (15 + 16) /* zlib's word for: gzip only, any window */

struct gv_archive {
    int fd;
    bool compressed;
    bool inside;   /* a gzip member has begun and not ended */
    bool finished; /* the last member is over */
    int error;
    z_stream z; /* next_in, avail_in: what was read of the file and not used */
    unsigned char in[IN_BUFFER];
};

/* Returns the bytes that are in the buffer, 0 at the end of the file, or -errno. */
static ssize_t fill(struct gv_archive *a)
{
    ssize_t n;

    if (a->z.avail_in > 0)
        return (ssize_t)a->z.avail_in;
    do
        n = read(a->fd, a->in, sizeof a->in);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    a->z.next_in = a->in;
    a->z.avail_in = (uInt)n;
    return n;
}

/* What xz, zstd and bzip2 begin with, and no line of a log does. */
static bool foreign(const uint8_t *first)
{
    return (first[0] == 0xfd && first[1] == '7') || (first[0] == 0x28 && first[1] == 0xb5) ||
           (first[0] == 'B' && first[1] == 'Z');
}

/* The first two bytes tell; a pipe may give them one by one. */
static int look(struct gv_archive *a)
{
    a->z.next_in = a->in;
    while (a->z.avail_in < 2) {
        ssize_t n = read(a->fd, a->in + a->z.avail_in, sizeof a->in - a->z.avail_in);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        a->z.avail_in += (uInt)n;
    }
    a->compressed = a->z.avail_in >= 2 && a->in[0] == 0x1f && a->in[1] == 0x8b;
    if (!a->compressed)
        return a->z.avail_in >= 2 && foreign(a->in) ? -EMEDIUMTYPE : 0;
    a->inside = true;
    return inflateInit2(&a->z, GZIP_WINDOW) == Z_OK ? 0 : -ENOMEM;
}

int gv_archive_open(struct gv_archive **out, int fd)
{
    struct gv_archive *a = calloc(1, sizeof *a);

    if (!a)
        return -ENOMEM;
    a->fd = fd;
    int rc = look(a);
    if (rc != 0) {
        free(a);
        return rc;
    }
    *out = a;
    return 0;
}

void gv_archive_free(struct gv_archive *archive)
{
    if (!archive)
        return;
    if (archive->compressed)
        inflateEnd(&archive->z);
    close(archive->fd);
    free(archive);
}

bool gv_archive_compressed(const struct gv_archive *archive)
{
    return archive->compressed;
}

static ssize_t read_plain(struct gv_archive *a, char *into, size_t cap)
{
    if (a->z.avail_in > 0) { /* what was looked at */
        size_t n = a->z.avail_in < cap ? a->z.avail_in : cap;
        memcpy(into, a->z.next_in, n);
        a->z.next_in += n;
        a->z.avail_in -= (uInt)n;
        return (ssize_t)n;
    }
    for (;;) {
        ssize_t n = read(a->fd, into, cap);
        if (n >= 0 || errno != EINTR)
            return n >= 0 ? n : -errno;
    }
}

/* Behind a member: another one, the end, or padding that gzip ignores too. */
static void next_member(struct gv_archive *a, ssize_t have)
{
    if (have <= 0 || a->z.next_in[0] != 0x1f || inflateReset(&a->z) != Z_OK)
        a->finished = true;
    else
        a->inside = true;
}

static ssize_t read_packed(struct gv_archive *a, char *into, size_t cap)
{
    a->z.next_out = (unsigned char *)into;
    a->z.avail_out = (uInt)cap;
    while (a->z.avail_out == cap && !a->finished) {
        ssize_t have = fill(a);

        if (have < 0)
            return have;
        if (!a->inside) {
            next_member(a, have);
            continue;
        }
        /* At the end of the file too: zlib may hold back what did not fit into the last piece. */
        int rc = inflate(&a->z, Z_NO_FLUSH);
        if (rc == Z_STREAM_END)
            a->inside = false;
        else if (rc == Z_MEM_ERROR)
            return -ENOMEM;
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            /* What this call unpacked before the fault goes too: it is as little to be trusted. */
            return -EBADMSG;
        else if (have == 0 && a->z.avail_out == cap)
            return -ENODATA;
    }
    return (ssize_t)(cap - a->z.avail_out);
}

ssize_t gv_archive_read(struct gv_archive *archive, char *into, size_t cap)
{
    if (archive->error)
        return archive->error;
    if (cap > 1u << 30)
        cap = 1u << 30; /* zlib counts in 32 bits */
    ssize_t n =
        archive->compressed ? read_packed(archive, into, cap) : read_plain(archive, into, cap);
    if (n < 0 && n != -EAGAIN)
        archive->error = (int)n;
    return n;
}
