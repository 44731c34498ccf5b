#include "node/ingest/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/ingest/anchor.h"

/* Writers go on with a renamed file until they are told to reopen it; a second of silence while its
 * successor has begun means that they have been. */
#define GV_TAIL_QUIET_MS 1000
/* Polls that wait for a folder in which names are moving, before it is taken as it is. */
#define GV_TAIL_PATIENCE 16

int gv_tail_init(struct gv_tail *tail, const char *path, const struct gv_position *position,
                 bool from_start)
{
    memset(tail, 0, sizeof *tail);
    tail->path = path;
    tail->fd = -1;
    tail->from_start = from_start;
    if (position)
        tail->position = *position;
    tail->resumed = tail->position.inode == 0 && tail->position.checksum == GV_POSITION_AWAITED;
    return gv_splitter_init(&tail->splitter) ? GV_OK : GV_ERR_MEMORY;
}

static void shut(struct gv_tail *tail)
{
    gv_archive_free(tail->archive);
    if (tail->fd >= 0)
        close(tail->fd);
    tail->archive = NULL;
    tail->fd = -1;
}

void gv_tail_close(struct gv_tail *tail)
{
    shut(tail);
    gv_splitter_free(&tail->splitter);
}

static bool same_file(const struct gv_position *position, const struct stat *st)
{
    return position->inode == (uint64_t)st->st_ino && position->device == (uint64_t)st->st_dev;
}

/* The same log, as far as it was read; perhaps under another inode: copied back, or moved to
 * another disk. */
static bool copied(const struct gv_position *position, const struct gv_rotated *file)
{
    return position->checksum != 0 && file->checksum == position->checksum &&
           position->offset <= (uint64_t)file->st.st_size && gv_anchor_holds(position, file->fd);
}

/* True when the position is a place in this very file: an inode may have been given to another
 * file, or the file may have been emptied and filled anew. */
static bool still_there(const struct gv_position *position, const struct gv_rotated *file)
{
    return same_file(position, &file->st) &&
           (position->checksum == 0 ? position->offset == 0 : copied(position, file));
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

/* Opens a regular file; a FIFO or a device must not block or surprise us. Returns 0 or errno. */
static int open_regular(struct gv_rotated *out, const char *path)
{
    memset(out, 0, sizeof *out);
    out->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (out->fd < 0)
        return errno;
    int error = fstat(out->fd, &out->st) != 0 ? errno
                : S_ISDIR(out->st.st_mode)    ? EISDIR
                : !S_ISREG(out->st.st_mode)   ? EINVAL
                                              : 0;
    if (error)
        gv_rotated_close(out);
    else
        gv_rotated_look(out);
    return error;
}

/* Begins to read at `offset`. Takes the descriptor or the archive. */
static void adopt(struct gv_tail *tail, const struct gv_rotated *file, uint64_t offset)
{
    shut(tail);
    tail->fd = file->fd;
    tail->archive = file->archive;
    tail->skip = file->archive ? offset : 0;
    tail->position.device = (uint64_t)file->st.st_dev;
    tail->position.inode = (uint64_t)file->st.st_ino;
    tail->position.offset = offset;
    tail->position.checksum = file->checksum;
    tail->done.written = file->st.st_mtim;
    tail->done.first_ms = file->first_ms;
    tail->unsettled = 0;
    tail->damaged = 0;
    tail->base = offset;
    tail->quiet_ms = 0;
    tail->elsewhere = false;
    tail->resumed = true;
    tail->state = GV_SOURCE_READING;
    tail->error = 0;
    gv_splitter_reset(&tail->splitter, !file->archive && inside_line(file->fd, offset));
    if (offset == 0)
        tail->position.anchor_end = 0;
    else if (tail->position.anchor_end == 0 && !file->archive)
        gv_anchor_look_back(&tail->position, &tail->clock, file->fd);
}

/* Begins to read a file in which no position is known. Mostly it is new, and read from its start.
 * But where it begins as the log did, or with what is older than what was read, somebody has
 * changed the log: then it goes on behind the last line that was read, wherever that is now; and
 * where that is gone, too, nothing counts that is not younger than it. `rotated`: what was read is
 * still there beside it, so that of an older stamp another host's clock may be the reason. */
static void take_up(struct gv_tail *tail, const struct gv_rotated *file, bool rotated)
{
    const struct gv_position *p = &tail->position;
    uint64_t newest = gv_anchor_newest(p), at = 0, pass = 0;
    bool same = p->checksum != 0 && file->checksum == p->checksum;
    uint64_t first_s = file->first_ms / 1000, newest_s = newest / 1000;
    bool older = file->first_ms > 0 && first_s < newest_s;
    bool doubt = same || older || (!rotated && file->first_ms > 0 && first_s == newest_s);

    if (doubt && !file->archive && p->anchor != 0 &&
        !gv_anchor_find(p, &at, file->fd, (uint64_t)file->st.st_size) &&
        (same || (older && !rotated)))
        pass = newest;
    adopt(tail, file, at);
    tail->position.anchor_end = at;
    tail->position.pass_ms = pass;
}

/* Goes on in an older generation, if the position is in one: also in one that was changed, where
 * the log that is there now (`live`; NULL: none) does not hold what was read last. True also while
 * that cannot be said yet. */
static bool resume_rotated(struct gv_tail *tail, const struct gv_rotated *live)
{
    const struct gv_position *p = &tail->position;
    bool patient = tail->unsettled < GV_TAIL_PATIENCE, changed = false;
    struct gv_rotated old;
    uint64_t at;
    enum gv_rotated_answer answer = gv_rotated_find(&old, tail->path, p, false, patient);

    if (answer == GV_ROTATED_NONE && live && p->anchor != 0 &&
        !gv_anchor_find(p, &at, live->fd, (uint64_t)live->st.st_size)) {
        changed = true;
        answer = gv_rotated_find(&old, tail->path, p, true, patient);
    }
    if (answer == GV_ROTATED_UNSETTLED)
        tail->unsettled++;
    if (answer == GV_ROTATED_FOUND) {
        adopt(tail, &old, old.behind);
        if (changed)
            tail->position.anchor_end = old.behind;
        tail->elsewhere = tail->catching_up = true;
    }
    return answer != GV_ROTATED_NONE;
}

/* The first opening, or one after the file was away. */
static void open_first(struct gv_tail *tail)
{
    struct gv_rotated live;
    struct gv_position *position = &tail->position;
    bool known = position->inode != 0;
    int error = open_regular(&live, tail->path);

    if (known && (error || !still_there(position, &live)) &&
        resume_rotated(tail, error ? NULL : &live)) {
        if (!error)
            gv_rotated_close(&live);
        return;
    }
    if (error) {
        fail(tail, error);
        /* What comes after nothing was there is new as a whole. */
        if (tail->state == GV_SOURCE_WAITING || tail->state == GV_SOURCE_NOT_A_FILE) {
            tail->resumed = true;
            if (!known)
                position->checksum = GV_POSITION_AWAITED;
        }
        return;
    }
    if (known && (still_there(position, &live) || copied(position, &live)))
        adopt(tail, &live, position->offset);
    else if (known)
        take_up(tail, &live, false);
    else
        adopt(tail, &live, tail->from_start || tail->resumed ? 0 : (uint64_t)live.st.st_size);
}

/* The open file was emptied (copytruncate) or changed: by its size, or, if it has grown past us
 * since, by its first line or the last that was read. */
static bool emptied(struct gv_tail *tail, const struct stat *st)
{
    uint64_t read_to = tail->base + tail->splitter.taken + tail->splitter.pending +
                       (tail->splitter.end - tail->splitter.start);

    if ((uint64_t)st->st_size < read_to)
        return true;
    uint64_t checksum = gv_rotated_checksum(tail->fd);
    if (tail->position.checksum == 0)
        tail->position.checksum = checksum;
    if (tail->position.checksum != 0 && checksum != tail->position.checksum)
        return true;
    return (uint64_t)st->st_size > read_to && !gv_anchor_holds(&tail->position, tail->fd);
}

/* What was written between the last look and the copy is in the copy. */
static void restart_emptied(struct gv_tail *tail, const struct stat *st)
{
    /* A generation is taken up when its first line is whole: a position in nothing could not be
     * found again after another rotation. */
    struct gv_rotated file = {.fd = tail->fd, .st = *st};

    gv_rotated_look(&file);
    if (file.checksum == 0 || resume_rotated(tail, &file))
        return; /* it is asked again, as the file stays emptied */
    tail->fd = -1;
    take_up(tail, &file, false);
    tail->rotations++;
}

/* Of a file that was changed: whether the line was read before, by its age. */
static bool is_old(struct gv_tail *tail, const char *line, size_t len)
{
    uint64_t ms = gv_anchor_time(&tail->clock, line, len);

    if (ms <= tail->position.pass_ms)
        return true; /* or of no age */
    tail->position.pass_ms = 0;
    return false;
}

static void give_lines(struct gv_tail *tail, gv_line_taker *on_line, void *context)
{
    struct gv_splitter *s = &tail->splitter;
    const char *line;
    size_t len;
    enum gv_split split;

    while ((split = gv_splitter_next(s, &line, &len)) != GV_SPLIT_NONE) {
        tail->position.offset = tail->base + s->taken;
        if (tail->position.pass_ms != 0 && (split != GV_SPLIT_LINE || is_old(tail, line, len)))
            continue;
        on_line(context, line, split == GV_SPLIT_LINE ? len : SIZE_MAX);
    }
    tail->position.offset = tail->base + s->taken;
    gv_anchor_keep(&tail->position, &tail->clock, s->buffer, s->start, tail->position.offset);
}

/* What could be read of it was; the next generation follows. */
static void note_damage(struct gv_tail *tail, int error)
{
    if (tail->damaged == 0)
        tail->damages++;
    tail->damaged = error;
}

/* Passes over what was read of an archive before. Returns as read(2). */
static ssize_t skip_some(struct gv_tail *tail, char *into, size_t space)
{
    ssize_t n =
        gv_archive_read(tail->archive, into, space < tail->skip ? space : (size_t)tail->skip);

    if (n < 0)
        note_damage(tail, (int)-n);
    if (n <= 0)
        return n;
    tail->skip -= (uint64_t)n;
    if (tail->skip == 0)
        gv_splitter_reset(&tail->splitter, into[n - 1] != '\n');
    return n;
}

static ssize_t read_bytes(struct gv_tail *tail, char *into, size_t space, uint64_t at)
{
    ssize_t n = tail->archive ? gv_archive_read(tail->archive, into, space)
                              : pread(tail->fd, into, space, (off_t)at);

    if (n >= 0)
        return n;
    int error = tail->archive ? (int)-n : errno;
    if (tail->archive)
        note_damage(tail, error);
    else if (error != EINTR && error != EAGAIN)
        fail(tail, error);
    return -error;
}

/* Returns the bytes read, at most the budget. */
static size_t read_some(struct gv_tail *tail, gv_line_taker *on_line, void *context)
{
    struct gv_splitter *s = &tail->splitter;
    size_t total = 0;

    while (total < GV_TAIL_BUDGET) {
        uint64_t at = tail->base + s->taken + s->pending + (s->end - s->start);
        size_t space;
        char *into = gv_splitter_space(s, &space);
        bool skipping = tail->skip > 0;
        ssize_t n = skipping ? skip_some(tail, into, space) : read_bytes(tail, into, space, at);

        if (n <= 0)
            break;
        total += (size_t)n;
        if (skipping)
            continue;
        gv_splitter_filled(s, (size_t)n);
        give_lines(tail, on_line, context);
    }
    if (total > 0 && tail->position.checksum == 0 && !tail->archive)
        tail->position.checksum = gv_rotated_checksum(tail->fd);
    return total;
}

/* The name leads to another file than the open one, and that has begun. */
static bool succeeded(struct gv_tail *tail)
{
    struct stat st;

    if (stat(tail->path, &st) != 0 || !S_ISREG(st.st_mode))
        return false; /* nothing to go to yet */
    if (!tail->archive && same_file(&tail->position, &st)) {
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

    bool gone = !tail->archive && fstat(tail->fd, &open_file) == 0 && open_file.st_nlink == 0 &&
                stat(tail->path, &named) != 0 && errno == ENOENT;
    if (gone) {
        fail(tail, ENOENT);
    } else if (tail->state == GV_SOURCE_WAITING) {
        tail->state = GV_SOURCE_READING;
        tail->error = 0;
    }
}

/* Whether what was read is still beside the log, so that this was a rotation: the open file has
 * another name by now, or there is a copy. */
static bool is_beside(const struct gv_tail *tail)
{
    struct gv_rotated copy;
    struct stat st;

    if (tail->archive || (fstat(tail->fd, &st) == 0 && st.st_nlink > 0))
        return true;
    if (gv_rotated_find(&copy, tail->path, &tail->position, false, false) != GV_ROTATED_FOUND)
        return false;
    gv_rotated_close(&copy);
    return true;
}

static bool follow_successor(struct gv_tail *tail)
{
    struct gv_rotated file;
    int error = open_regular(&file, tail->path);

    if (error) {
        fail(tail, error);
        return false;
    }
    if (file.checksum == 0) { /* see restart_emptied */
        gv_rotated_close(&file);
        return false;
    }
    take_up(tail, &file, is_beside(tail));
    tail->rotations++;
    return true;
}

/* Behind the open generation: another one, when the log was rotated more than once in the meantime,
 * or else (and not while catching up, for somebody may still write to this one) the log itself.
 * True when there is something new to read. */
static bool move_on(struct gv_tail *tail)
{
    struct gv_rotated_done *done = &tail->done;
    struct gv_rotated file;
    struct stat st;

    done->replaced = 0;
    if (!tail->archive && fstat(tail->fd, &st) == 0) {
        done->written = st.st_mtim;
        done->replaced = st.st_nlink == 0 ? tail->position.checksum : 0;
    }
    if (tail->unsettled == 0)
        done->checksums[done->count++ % GV_ROTATED_DONE] = tail->position.checksum;
    switch (gv_rotated_next(&file, tail->path, done, tail->unsettled < GV_TAIL_PATIENCE)) {
    case GV_ROTATED_UNSETTLED:
        tail->unsettled++;
        return false;
    case GV_ROTATED_FOUND:
        take_up(tail, &file, true);
        tail->elsewhere = tail->catching_up = true;
        tail->rotations++;
        return true;
    default:
        break;
    }
    if (tail->catching_up) {
        tail->catching_up = false;
        return false;
    }
    return follow_successor(tail);
}

bool gv_tail_poll(struct gv_tail *tail, uint64_t now_ms, gv_line_taker *on_line, void *context)
{
    struct stat st;

    if (tail->fd < 0 && !tail->archive)
        open_first(tail);
    if (tail->fd < 0 && !tail->archive)
        return false;
    if (!tail->elsewhere && fstat(tail->fd, &st) == 0 && emptied(tail, &st))
        restart_emptied(tail, &st);
    if (!tail->elsewhere && fstat(tail->fd, &st) == 0 && emptied(tail, &st))
        return false; /* not yet */
    size_t total = read_some(tail, on_line, context);
    if (total >= GV_TAIL_BUDGET)
        return true;
    if (total == 0 && tail->catching_up)
        return move_on(tail);
    if (!succeeded(tail)) {
        look_whether_deleted(tail);
        tail->quiet_ms = 0;
        return false;
    }
    if (total > 0 || tail->quiet_ms == 0) {
        tail->quiet_ms = now_ms;
        return false;
    }
    return now_ms - tail->quiet_ms >= GV_TAIL_QUIET_MS && move_on(tail);
}

bool gv_tail_ahead(struct gv_tail *tail, uint64_t now_ms, gv_line_taker *on_line, void *context)
{
    struct stat st;

    bool first = !tail->resumed && tail->fd < 0 && !tail->archive && tail->unsettled == 0;

    if (first || tail->catching_up) /* then nobody writes to it any more */
        return gv_tail_poll(tail, now_ms, on_line, context);
    if (tail->fd < 0 || (!tail->elsewhere && fstat(tail->fd, &st) == 0 && emptied(tail, &st)))
        return false;
    size_t total = read_some(tail, on_line, context);
    if (total > 0 && tail->quiet_ms != 0)
        tail->quiet_ms = now_ms;
    return total >= GV_TAIL_BUDGET;
}
