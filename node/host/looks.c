#include "node/host/looks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/base/text.h"
#include "node/host/driver.h"
#include "node/host/persist_schema.h"

#define NAME "looks"
#define HASH GV_HASH_LEN
#define ROW  (8 + HASH + 8 + HASH + 8) /* head; lost; when */

struct gv_looks {
    uv_timer_t timer;
    struct gv_persist *persist;
    struct gv_transparency_chain chain;
    struct gv_looks_mark head, lost;
    uint64_t lost_ms;
    bool found; /* the head, in what was read so far */
    bool read, unsaved;
    bool changed; /* what came does not follow from what was read before: all must be read again */
    dev_t device;
    ino_t inode;
    struct timespec written;
    off_t offset;
    char line[GV_TRANSPARENCY_LINE + 1]; /* what is longer is no entry */
    size_t len;
};

/* ---- the row -------------------------------------------------------------------------------- */

static void put_mark(uint8_t *out, const struct gv_looks_mark *mark)
{
    for (size_t i = 0; i < 8; i++)
        out[i] = (uint8_t)(mark->entry >> 8 * (7 - i));
    if (!mark->entry || gv_unhex(out + 8, HASH, mark->hash) != GV_OK)
        memset(out + 8, 0, HASH);
}

static uint64_t take_number(const uint8_t in[8])
{
    uint64_t value = 0;

    for (size_t i = 0; i < 8; i++)
        value = value << 8 | in[i];
    return value;
}

static void take_mark(struct gv_looks_mark *out, const uint8_t *in)
{
    out->entry = take_number(in);
    gv_hex(out->hash, in + 8, HASH);
}

static void load(struct gv_looks *looks)
{
    uint8_t row[ROW];

    if (gv_persist_kept(looks->persist, NAME, row, sizeof row) != GV_OK)
        return;
    take_mark(&looks->head, row);
    take_mark(&looks->lost, row + 8 + HASH);
    looks->lost_ms = take_number(row + 2 * (8 + HASH));
}

/* Again with the next look, when the store fails. */
static void save(struct gv_looks *looks)
{
    uint8_t row[ROW];
    struct gv_looks_mark when = {.entry = looks->lost_ms};
    uint8_t number[8 + HASH];

    put_mark(row, &looks->head);
    put_mark(row + 8 + HASH, &looks->lost);
    put_mark(number, &when);
    memcpy(row + 2 * (8 + HASH), number, 8);
    looks->unsaved = gv_persist_put(looks->persist, NAME, row, sizeof row) != GV_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void begin(struct gv_looks *looks)
{
    gv_transparency_begin(&looks->chain);
    looks->offset = 0;
    looks->len = 0;
    looks->found = looks->head.entry == 0;
    looks->read = false;
    looks->changed = false;
}

static void take_line(struct gv_looks *looks)
{
    const char *json;
    size_t json_len;

    enum gv_transparency_said said =
        gv_transparency_take(&looks->chain, &json, &json_len, looks->line, looks->len);
    if (said != GV_TRANSPARENCY_CUT && looks->chain.entries == looks->head.entry)
        looks->found = memcmp(looks->chain.head, looks->head.hash, GV_TRANSPARENCY_HASH) == 0;
    looks->changed |= said == GV_TRANSPARENCY_BROKEN && looks->read;
    looks->len = 0;
}

static void take_bytes(struct gv_looks *looks, const char *bytes, size_t n)
{
    looks->offset += (off_t)n;
    for (size_t i = 0; i < n; i++)
        if (bytes[i] == '\n')
            take_line(looks);
        else if (looks->len < sizeof looks->line)
            looks->line[looks->len++] = bytes[i];
}

/* All of it was read. What is lost first is what stays noted: nobody makes it less by doing it
 * again. */
static void conclude(struct gv_looks *looks)
{
    bool more = looks->chain.entries != looks->head.entry;

    looks->read = true;
    if (!looks->found) {
        gv_log(
            GV_LOG_ERROR,
            "the transparency log has lost entries: %llu (%s) was its last, and is not in it any "
            "more; now there are %llu",
            (unsigned long long)looks->head.entry, looks->head.hash,
            (unsigned long long)looks->chain.entries);
        if (looks->lost_ms == 0) {
            looks->lost = looks->head;
            looks->lost_ms = gv_unix_ms();
        }
    }
    if (more || !looks->found) {
        looks->head.entry = looks->chain.entries;
        memcpy(looks->head.hash, looks->chain.head, sizeof looks->head.hash);
        looks->found = true;
        save(looks);
    } else if (looks->unsaved) {
        save(looks);
    }
}

/* Of a file that was opened, or of none. True: to its end. */
static bool read_slice(struct gv_looks *looks, int fd, off_t size)
{
    char *bytes = fd >= 0 ? malloc(GV_LOOKS_SLICE) : NULL;
    ssize_t n = bytes ? pread(fd, bytes, GV_LOOKS_SLICE, looks->offset) : 0;
    bool ended = fd < 0 || (bytes && n >= 0 && looks->offset + n >= size);

    if (n > 0)
        take_bytes(looks, bytes, (size_t)n);
    free(bytes);
    return ended;
}

bool gv_looks_read(struct gv_looks *looks)
{
    const char *store = looks->persist->path, *slash = strrchr(store, '/');
    struct stat st = {.st_size = 0};
    char path[4096];

    if ((size_t)snprintf(path, sizeof path, "%.*s" GV_TRANSPARENCY_FILE,
                         slash ? (int)(slash + 1 - store) : 0, store) >= sizeof path)
        return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno != ENOENT && errno != ELOOP)
        return true; /* it cannot be read now, which is not that it is gone */
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        fd = -1;
        st = (struct stat){.st_size = 0};
    }
    bool written =
        st.st_mtim.tv_sec != looks->written.tv_sec || st.st_mtim.tv_nsec != looks->written.tv_nsec;
    if (st.st_dev != looks->device || st.st_ino != looks->inode || st.st_size < looks->offset ||
        (written && st.st_size == looks->offset))
        begin(looks);
    looks->device = st.st_dev;
    looks->inode = st.st_ino;
    looks->written = st.st_mtim;
    bool ended = read_slice(looks, fd, st.st_size);
    if (looks->changed) {
        begin(looks);
        ended = read_slice(looks, fd, st.st_size);
    }
    if (fd >= 0)
        close(fd);
    if (ended)
        conclude(looks);
    return ended;
}

void gv_looks_status(const struct gv_looks *looks, struct gv_looks_status *out)
{
    *out = (struct gv_looks_status){.entries = looks->chain.entries,
                                    .read = looks->read,
                                    .head = looks->head,
                                    .lost = looks->lost,
                                    .lost_ms = looks->lost_ms};
}

/* ---- life ----------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct gv_looks *looks = timer->data;

    uv_timer_start(timer, on_timer, gv_looks_read(looks) ? GV_LOOKS_MS : 1, 0);
}

int gv_looks_new(struct gv_looks **out, uv_loop_t *loop, struct gv_persist *persist)
{
    struct gv_looks *looks = calloc(1, sizeof *looks);

    *out = looks;
    if (!looks)
        return GV_ERR_MEMORY;
    looks->persist = persist;
    load(looks);
    begin(looks);
    uv_timer_init(loop, &looks->timer);
    looks->timer.data = looks;
    uv_timer_start(&looks->timer, on_timer, 1, 0);
    uv_unref((uv_handle_t *)&looks->timer);
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void gv_looks_free(struct gv_looks *looks)
{
    if (looks)
        uv_close((uv_handle_t *)&looks->timer, on_closed);
}
