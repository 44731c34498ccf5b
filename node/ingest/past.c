#include "node/ingest/past.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/ingest/timestamp.h"

static uint64_t first_stamp(const char *text, size_t len, uint64_t now_ms)
{
    struct gv_clock clock = {.ahead_ms = 0};
    struct gv_stamp stamp;
    uint64_t ms;

    for (const char *end; len > 0; len -= (size_t)(end - text), text = end) {
        const char *newline = memchr(text, '\n', len);
        end = newline ? newline + 1 : text + len;
        if (gv_stamp_find(&stamp, text, (size_t)(end - text)) &&
            gv_clock_convert(&clock, &ms, &stamp, now_ms))
            return ms;
    }
    return 0;
}

int gv_past_open(struct gv_past *past, const char *name, uint64_t now_ms, bool look)
{
    bool input = strcmp(name, "-") == 0;
    int fd = input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                   : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    struct stat st;

    memset(past, 0, sizeof *past);
    past->name = name;
    if (fd < 0)
        return errno;
    past->regular = !input && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    int rc = gv_archive_open(&past->archive, fd);
    if (rc != 0) {
        close(fd);
        return -rc;
    }
    while (look && past->head_len < sizeof past->head) {
        ssize_t n = gv_archive_read(past->archive, past->head + past->head_len,
                                    sizeof past->head - past->head_len);
        if (n <= 0)
            break; /* an error comes again when the file is read */
        past->head_len += (size_t)n;
    }
    past->first_ms = first_stamp(past->head, past->head_len, now_ms);
    return 0;
}

void gv_past_close(struct gv_past *past)
{
    gv_archive_free(past->archive);
    past->archive = NULL;
}

void gv_past_rest(struct gv_past *past)
{
    if (!past->regular)
        return;
    gv_past_close(past);
    past->head_len = past->head_at = 0;
}

int gv_past_resume(struct gv_past *past)
{
    if (past->archive)
        return 0;
    int fd = open(past->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int rc = fd < 0 ? -errno : gv_archive_open(&past->archive, fd);
    if (fd >= 0 && rc != 0)
        close(fd);
    return -rc;
}

static int compare(const void *a, const void *b)
{
    const struct gv_past *x = a, *y = b;
    uint64_t x_ms = x->first_ms ? x->first_ms : UINT64_MAX;
    uint64_t y_ms = y->first_ms ? y->first_ms : UINT64_MAX;

    if (x_ms != y_ms)
        return x_ms < y_ms ? -1 : 1;
    return x->given < y->given ? -1 : 1;
}

void gv_past_sort(struct gv_past *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        list[i].given = i;
    if (count > 1)
        qsort(list, count, sizeof *list, compare);
}

ssize_t gv_past_read(struct gv_past *past, char *into, size_t cap)
{
    size_t have = past->head_len - past->head_at;

    if (have == 0)
        return gv_archive_read(past->archive, into, cap);
    if (have > cap)
        have = cap;
    memcpy(into, past->head + past->head_at, have);
    past->head_at += have;
    return (ssize_t)have;
}

const char *gv_past_error(ssize_t answer)
{
    return answer == -ENODATA       ? "the compressed data ends too early"
           : answer == -EBADMSG     ? "the compressed data is damaged"
           : answer == -EMEDIUMTYPE ? "compressed by something other than gzip; unpack it into a "
                                      "pipe: xzcat FILE | ... -"
                                    : strerror((int)-answer);
}
