#include "node/ingest/tail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"

/* Writers go on with a renamed file until they are told to reopen it; a second of silence while its
 * successor has begun means that they have been. */
#define GV_TAIL_QUIET_MS 1000
/* Enough of a first line to be unlike every other: it begins with a time stamp. */
#define GV_TAIL_CHECKED 512

int gv_tail_init(struct gv_tail *tail, const char *path, const struct gv_position *position,
                 bool from_start)
{
    memset(tail, 0, sizeof *tail);
    tail->path = path;
    tail->fd = -1;
    tail->from_start = from_start;
    if (position)
        tail->position = *position;
    return gv_splitter_init(&tail->splitter) ? GV_OK : GV_ERR_MEMORY;
}

void gv_tail_close(struct gv_tail *tail)
{
    if (tail->fd >= 0)
        close(tail->fd);
    tail->fd = -1;
    gv_splitter_free(&tail->splitter);
}

/* 0 as long as the file has no whole first line (or GV_TAIL_CHECKED bytes of one). */
static uint64_t checksum_of(int fd)
{
    char text[GV_TAIL_CHECKED];
    ssize_t n = pread(fd, text, sizeof text, 0);
    uint64_t sum = 0xcbf29ce484222325u; /* FNV-1a */

    if (n <= 0)
        return 0;
    const char *newline = memchr(text, '\n', (size_t)n);
    if (!newline && n < (ssize_t)sizeof text)
        return 0;
    size_t len = newline ? (size_t)(newline - text) : (size_t)n;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (uint8_t)text[i]) * 0x100000001b3u;
    return sum ? sum : 1;
}

static bool same_file(const struct gv_position *position, const struct stat *st)
{
    return position->inode == (uint64_t)st->st_ino && position->device == (uint64_t)st->st_dev;
}

/* True when `position` is a place in this very file: an inode may have been given to another file,
 * or the file may have been emptied and filled anew. */
static bool still_there(const struct gv_position *position, int fd, const struct stat *st)
{
    return same_file(position, st) && position->offset <= (uint64_t)st->st_size &&
           (position->checksum == 0 ? position->offset == 0
                                    : checksum_of(fd) == position->checksum);
}

/* Whether the byte in front of `offset` is no newline: then the rest of a line comes first. */
static bool inside_line(int fd, uint64_t offset)
{
    char before;

    return offset > 0 && pread(fd, &before, 1, (off_t)offset - 1) == 1 && before != '\n';
}

static void fail(struct gv_tail *tail, int error)
{
    tail->error = error;
    tail->state = error == ENOENT || error == ENOTDIR  ? GV_SOURCE_WAITING
                  : error == EACCES || error == EPERM  ? GV_SOURCE_DENIED
                  : error == EISDIR || error == EINVAL ? GV_SOURCE_NOT_A_FILE
                                                       : GV_SOURCE_FAILED;
}

/* Opens a regular file; a FIFO or a device must not block or surprise us. */
static int open_regular(const char *path, struct stat *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -errno;
    int error = fstat(fd, st) != 0      ? errno
                : S_ISDIR(st->st_mode)  ? EISDIR
                : !S_ISREG(st->st_mode) ? EINVAL
                                        : 0;
    if (error) {
        close(fd);
        return -error;
    }
    return fd;
}

/* Begins to read `fd` at `offset`. Takes the descriptor. */
static void adopt(struct gv_tail *tail, int fd, const struct stat *st, uint64_t offset)
{
    if (tail->fd >= 0)
        close(tail->fd);
    tail->fd = fd;
    tail->position.device = (uint64_t)st->st_dev;
    tail->position.inode = (uint64_t)st->st_ino;
    tail->position.offset = offset;
    tail->position.checksum = checksum_of(fd);
    tail->base = offset;
    tail->quiet_ms = 0;
    tail->elsewhere = false;
    tail->resumed = true;
    tail->state = GV_SOURCE_READING;
    tail->error = 0;
    gv_splitter_reset(&tail->splitter, inside_line(fd, offset));
}

/* The file was renamed while nobody followed it: look for it among its neighbours, whose names
 * begin with its own ("mail.log.1", "mail.log-20261122"). Returns a descriptor or -1. */
static int find_renamed(const struct gv_tail *tail, struct stat *st)
{
    char folder[4096], path[4096 + 256 + 2];
    const char *slash = strrchr(tail->path, '/');
    const char *name = slash ? slash + 1 : tail->path;
    size_t folder_len = slash ? (size_t)(slash - tail->path) + (slash == tail->path) : 1;
    size_t name_len = strlen(name);
    struct dirent *entry;
    int found = -1;

    if (folder_len >= sizeof folder)
        return -1;
    memcpy(folder, slash ? tail->path : ".", folder_len);
    folder[folder_len] = '\0';
    DIR *dir = opendir(folder);
    while (dir && found < 0 && (entry = readdir(dir))) {
        if ((uint64_t)entry->d_ino != tail->position.inode ||
            strncmp(entry->d_name, name, name_len) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        int fd = open_regular(path, st);
        if (fd >= 0 && still_there(&tail->position, fd, st))
            found = fd;
        else if (fd >= 0)
            close(fd);
    }
    if (dir)
        closedir(dir);
    return found;
}

/* The first opening, or one after the file was away. */
static void open_first(struct gv_tail *tail)
{
    struct stat st, old;
    bool known = tail->position.inode != 0;
    uint64_t resume = tail->position.offset;
    int fd = open_regular(tail->path, &st);

    if (known && (fd < 0 || !same_file(&tail->position, &st))) {
        int renamed = find_renamed(tail, &old);
        if (renamed >= 0) {
            if (fd >= 0)
                close(fd);
            adopt(tail, renamed, &old, resume);
            tail->elsewhere = true;
            return;
        }
    }
    if (fd < 0) {
        fail(tail, -fd);
        /* What comes after nothing was there is new as a whole. */
        if (tail->state == GV_SOURCE_WAITING || tail->state == GV_SOURCE_NOT_A_FILE)
            tail->resumed = true;
        return;
    }
    if (known)
        adopt(tail, fd, &st, still_there(&tail->position, fd, &st) ? resume : 0);
    else
        adopt(tail, fd, &st, tail->from_start || tail->resumed ? 0 : (uint64_t)st.st_size);
}

/* The open file was emptied (copytruncate): by its size, or, if it has grown past us since, by its
 * first line. */
static bool emptied(struct gv_tail *tail, const struct stat *st)
{
    uint64_t read_to = tail->base + tail->splitter.taken + tail->splitter.pending +
                       (tail->splitter.end - tail->splitter.start);

    if ((uint64_t)st->st_size < read_to)
        return true;
    uint64_t checksum = checksum_of(tail->fd);
    if (tail->position.checksum == 0)
        tail->position.checksum = checksum;
    return tail->position.checksum != 0 && checksum != tail->position.checksum;
}

static void restart_emptied(struct gv_tail *tail, const struct stat *st)
{
    int fd = tail->fd;

    tail->fd = -1;
    adopt(tail, fd, st, 0);
    tail->rotations++;
}

static void give_lines(struct gv_tail *tail, gv_tail_line *on_line, void *context)
{
    struct gv_splitter *s = &tail->splitter;
    const char *line;
    size_t len;
    enum gv_split split;

    while ((split = gv_splitter_next(s, &line, &len)) != GV_SPLIT_NONE) {
        tail->position.offset = tail->base + s->taken;
        on_line(context, line, split == GV_SPLIT_LINE ? len : SIZE_MAX);
    }
    tail->position.offset = tail->base + s->taken;
}

/* Returns the bytes read, at most the budget. */
static size_t read_some(struct gv_tail *tail, gv_tail_line *on_line, void *context)
{
    struct gv_splitter *s = &tail->splitter;
    size_t total = 0;

    while (total < GV_TAIL_BUDGET) {
        uint64_t at = tail->base + s->taken + s->pending + (s->end - s->start);
        size_t space;
        char *into = gv_splitter_space(s, &space);
        ssize_t n = pread(tail->fd, into, space, (off_t)at);

        if (n < 0 && errno != EINTR && errno != EAGAIN)
            fail(tail, errno);
        if (n <= 0)
            break;
        gv_splitter_filled(s, (size_t)n);
        total += (size_t)n;
        give_lines(tail, on_line, context);
    }
    if (total > 0 && tail->position.checksum == 0)
        tail->position.checksum = checksum_of(tail->fd);
    return total;
}

/* The name leads to another file than the open one, and that has begun. */
static bool succeeded(struct gv_tail *tail)
{
    struct stat st;

    if (stat(tail->path, &st) != 0 || !S_ISREG(st.st_mode))
        return false; /* nothing to go to yet */
    if (same_file(&tail->position, &st)) {
        tail->elsewhere = false;
        return false;
    }
    tail->elsewhere = true;
    return st.st_size > 0;
}

/* Deleted: its name leads nowhere, and it has no other. It is read on all the same, for a writer
 * goes on with it until it is told to reopen its log. */
static void look_whether_deleted(struct gv_tail *tail)
{
    struct stat open_file, named;

    bool gone = fstat(tail->fd, &open_file) == 0 && open_file.st_nlink == 0 &&
                stat(tail->path, &named) != 0 && errno == ENOENT;
    if (gone) {
        fail(tail, ENOENT);
    } else if (tail->state == GV_SOURCE_WAITING) {
        tail->state = GV_SOURCE_READING;
        tail->error = 0;
    }
}

static void follow_successor(struct gv_tail *tail)
{
    struct stat st;
    int fd = open_regular(tail->path, &st);

    if (fd < 0) {
        fail(tail, -fd);
        return;
    }
    adopt(tail, fd, &st, 0);
    tail->rotations++;
}

bool gv_tail_poll(struct gv_tail *tail, uint64_t now_ms, gv_tail_line *on_line, void *context)
{
    struct stat st;

    if (tail->fd < 0)
        open_first(tail);
    if (tail->fd < 0)
        return false;
    if (!tail->elsewhere && fstat(tail->fd, &st) == 0 && emptied(tail, &st))
        restart_emptied(tail, &st);
    size_t total = read_some(tail, on_line, context);
    if (total >= GV_TAIL_BUDGET)
        return true;
    if (!succeeded(tail)) {
        look_whether_deleted(tail);
        tail->quiet_ms = 0;
        return false;
    }
    if (total > 0 || tail->quiet_ms == 0) {
        tail->quiet_ms = now_ms;
        return false;
    }
    if (now_ms - tail->quiet_ms < GV_TAIL_QUIET_MS)
        return false;
    follow_successor(tail);
    return true;
}
