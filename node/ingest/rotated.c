#include "node/ingest/rotated.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/ingest/anchor.h"
#include "node/ingest/timestamp.h"
#include "node/ingest/words.h"

#define CHECKED    512
#define NAME       256
#define SETTLED_NS 20000000 /* longer than the tick that a folder's time stamp is taken at */
#define AHEAD_MS   600000u

void gv_rotated_close(struct gv_rotated *rotated)
{
    gv_archive_free(rotated->archive);
    if (rotated->fd >= 0)
        close(rotated->fd);
    rotated->archive = NULL;
    rotated->fd = -1;
}

static uint64_t sum_of(const char *text, size_t n)
{
    uint64_t sum = 0xcbf29ce484222325u; /* FNV-1a */
    const char *newline = n > 0 ? memchr(text, '\n', n) : NULL;

    if (!newline && n < CHECKED)
        return 0;
    size_t len = newline ? (size_t)(newline - text) : n;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (uint8_t)text[i]) * 0x100000001b3u;
    return sum ? sum : 1;
}

static uint64_t stamp_of(const char *text, size_t n)
{
    struct gv_clock clock = {.ahead_ms = AHEAD_MS};
    struct gv_stamp stamp;
    uint64_t ms = 0;

    if (!gv_stamp_find(&stamp, text, n) ||
        !gv_clock_convert(&clock, &ms, &stamp, (uint64_t)time(NULL) * 1000))
        return 0;
    return ms;
}

uint64_t gv_rotated_checksum(int fd)
{
    char text[CHECKED];
    ssize_t n = pread(fd, text, sizeof text, 0);

    return n > 0 ? sum_of(text, (size_t)n) : 0;
}

void gv_rotated_look(struct gv_rotated *file)
{
    char text[CHECKED];
    ssize_t n = pread(file->fd, text, sizeof text, 0);

    file->checksum = n > 0 ? sum_of(text, (size_t)n) : 0;
    file->first_ms = file->checksum ? stamp_of(text, (size_t)n) : 0;
}

static void look_packed(struct gv_rotated *file, struct gv_archive *archive)
{
    char text[CHECKED];
    size_t have = 0;

    while (have < sizeof text) {
        ssize_t n = gv_archive_read(archive, text + have, sizeof text - have);
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    file->checksum = sum_of(text, have);
    file->first_ms = file->checksum ? stamp_of(text, have) : 0;
}

/* Opens one that may be a generation. False when it is none, or cannot be read. */
static bool open_one(struct gv_rotated *out, int folder, const char *name)
{
    struct gv_archive *probe = NULL;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    memset(out, 0, sizeof *out);
    out->fd = fd;
    if (fd < 0)
        return false;
    int copy =
        fstat(fd, &out->st) == 0 && S_ISREG(out->st.st_mode) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (copy < 0 || gv_archive_open(&probe, copy) != 0) {
        if (copy >= 0)
            close(copy);
        gv_rotated_close(out);
        return false;
    }
    bool packed = gv_archive_compressed(probe);
    if (packed)
        look_packed(out, probe);
    else
        gv_rotated_look(out);
    gv_archive_free(probe);
    if (lseek(fd, 0, SEEK_SET) != 0) { /* the duplicate shares the offset */
        gv_rotated_close(out);
        return false;
    }
    if (!packed)
        return true;
    if (gv_archive_open(&out->archive, fd) != 0) {
        gv_rotated_close(out);
        return false;
    }
    out->fd = -1; /* the archive's now */
    return true;
}

static bool later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

struct search {
    const struct gv_position *position; /* to be found; NULL: the next one is looked for */
    bool changed;                       /* in files that were changed */
    const struct gv_rotated_done *done;
    uint64_t live_checksum;
};

static bool was_read(const struct gv_rotated_done *done, uint64_t checksum)
{
    for (unsigned i = 0; i < GV_ROTATED_DONE; i++)
        if (done->checksums[i] == checksum)
            return true;
    return false;
}

static bool is_next(const struct search *s, const struct gv_rotated *one)
{
    const struct gv_rotated_done *done = s->done;
    bool replaces = !one->archive && done->replaced != 0 && one->checksum == done->replaced;

    return later(&one->st.st_mtim, &done->written) && one->checksum != 0 &&
           one->checksum != s->live_checksum && (replaces || !was_read(done, one->checksum)) &&
           (one->first_ms == 0 || one->first_ms >= done->first_ms);
}

/* How well it fits: 0 not at all, else the more the better. */
static int fit(const struct search *s, struct gv_rotated *one)
{
    const struct gv_position *p = s->position;

    if (!p)
        return is_next(s, one);
    if (s->changed)
        return !one->archive && gv_anchor_find(p, &one->behind, one->fd, (uint64_t)one->st.st_size);
    one->behind = p->offset;
    bool same = !one->archive && p->inode == (uint64_t)one->st.st_ino &&
                p->device == (uint64_t)one->st.st_dev;
    if (!one->archive && p->offset > (uint64_t)one->st.st_size)
        return 0;
    if (p->checksum == 0) /* nothing was read of it: only the inode tells */
        return same && p->offset == 0 ? 3 : 0;
    if (one->checksum != p->checksum || (!one->archive && !gv_anchor_holds(p, one->fd)))
        return 0;
    return same ? 3 : one->archive ? 1 : 2;
}

static bool better(const struct search *s, const struct gv_rotated *one,
                   const struct gv_rotated *best)
{
    if (best->fd < 0 && !best->archive)
        return true;
    return s->position ? one->fits > best->fits : later(&best->st.st_mtim, &one->st.st_mtim);
}

/* "-20261122", "-2026-11-22_0900", or ".1": logrotate's `extension` and daily names have it in
 * front of the extension. A date has six digits at least, as "mail-2.log" may well be another log.
 */
#define DATE_DIGITS 6
static bool is_date_or_number(const char *at, size_t len)
{
    size_t digits = 0;

    if (len < 2 || !strchr(".-_", at[0]))
        return false;
    for (size_t i = 1; i < len; i++) {
        if (!gv_is_digit(at[i]) && !strchr(".-_:T", at[i]))
            return false;
        digits += gv_is_digit(at[i]);
    }
    return digits >= DATE_DIGITS || (at[0] == '.' && digits == len - 1);
}

/* "mail.log.1", "mail.log-1", "mail.log_1", "mail.1.log.gz", "mail-20261122.log"; "mail.logger" is
 * another log. */
static bool is_generation(const char *entry, const char *name)
{
    size_t len = strlen(entry), name_len = strlen(name);

    if (strncmp(entry, name, name_len) == 0)
        return entry[name_len] && strchr(".-_", entry[name_len]);
    const char *extension = strrchr(name, '.');
    if (!extension || extension == name)
        return false;
    size_t stem = (size_t)(extension - name), tail = name_len - stem;
    if (len > 3 && strcmp(entry + len - 3, ".gz") == 0)
        len -= 3;
    return len > name_len && memcmp(entry, name, stem) == 0 &&
           memcmp(entry + len - tail, extension, tail) == 0 &&
           is_date_or_number(entry + stem, len - stem - tail);
}

static void scan(struct gv_rotated *out, DIR *dir, const char *name, const struct search *s)
{
    struct gv_rotated one;
    struct dirent *entry;

    while ((entry = readdir(dir))) {
        if (!is_generation(entry->d_name, name) || !open_one(&one, dirfd(dir), entry->d_name))
            continue;
        one.fits = fit(s, &one);
        if (one.fits > 0 && better(s, &one, out)) {
            gv_rotated_close(out);
            *out = one;
        } else {
            gv_rotated_close(&one);
        }
    }
}

/* Whether nothing has moved in the folder since a little before `before`. */
static bool settled(DIR *dir, const struct stat *before)
{
    struct stat after;
    struct timespec now;

    if (fstat(dirfd(dir), &after) != 0)
        return true;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age = (int64_t)(now.tv_sec - after.st_mtim.tv_sec) * 1000000000 +
                  (now.tv_nsec - after.st_mtim.tv_nsec);
    return before->st_mtim.tv_sec == after.st_mtim.tv_sec &&
           before->st_mtim.tv_nsec == after.st_mtim.tv_nsec && (age < 0 || age > SETTLED_NS);
}

static enum gv_rotated_answer search(struct gv_rotated *out, const char *path,
                                     const struct search *s, bool patient)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t folder_len = slash ? (size_t)(slash - path) + (slash == path) : 1;
    struct stat before = {0};

    memset(out, 0, sizeof *out);
    out->fd = -1;
    if (folder_len >= sizeof folder || !*name || strlen(name) >= NAME)
        return GV_ROTATED_NONE;
    memcpy(folder, slash ? path : ".", folder_len);
    folder[folder_len] = '\0';
    DIR *dir = opendir(folder);
    if (!dir)
        return GV_ROTATED_NONE;
    (void)fstat(dirfd(dir), &before);
    scan(out, dir, name, s);
    bool sure = !patient || settled(dir, &before);
    closedir(dir);
    if (!sure) {
        gv_rotated_close(out);
        return GV_ROTATED_UNSETTLED;
    }
    return out->fd >= 0 || out->archive ? GV_ROTATED_FOUND : GV_ROTATED_NONE;
}

enum gv_rotated_answer gv_rotated_find(struct gv_rotated *out, const char *path,
                                       const struct gv_position *position, bool changed,
                                       bool patient)
{
    struct search s = {.position = position, .changed = changed};

    return search(out, path, &s, patient);
}

enum gv_rotated_answer gv_rotated_next(struct gv_rotated *out, const char *path,
                                       const struct gv_rotated_done *done, bool patient)
{
    struct search s = {.done = done};
    int live = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (live >= 0) {
        s.live_checksum = gv_rotated_checksum(live);
        close(live);
    }
    return search(out, path, &s, patient);
}
