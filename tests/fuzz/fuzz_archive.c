/* A compressed log, whole or broken, through the archive and the splitter to the reader; read in
 * pieces of two sizes it must give the same bytes and the same end. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "node/ingest/archive.h"
#include "node/ingest/ingest.h"
#include "node/ingest/splitter.h"

#define NOW_MS  1795348800000u
#define OUT_MAX (4u << 20) /* a bomb is not worth more of the fuzzer's time */

static const struct gv_reader_config config = {.key = "fuzz key 123456"};

static void must(int condition)
{
    if (!condition)
        abort();
}

static struct gv_archive *open_bytes(const uint8_t *data, size_t size)
{
    struct gv_archive *archive = NULL;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    must(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    must(gv_archive_open(&archive, fd) == 0);
    return archive;
}

/* Returns the bytes that came; *sum and *end are of them all and of how it ended. */
static size_t read_by(const uint8_t *data, size_t size, size_t piece, uint64_t *sum, ssize_t *end)
{
    struct gv_archive *archive = open_bytes(data, size);
    char *block = malloc(piece);
    size_t total = 0;
    ssize_t n;

    must(block != NULL);
    *sum = 0xcbf29ce484222325u;
    while ((n = gv_archive_read(archive, block, piece)) > 0 && total < OUT_MAX) {
        must((size_t)n <= piece);
        for (ssize_t i = 0; i < n; i++)
            *sum = (*sum ^ (uint8_t)block[i]) * 0x100000001b3u;
        total += (size_t)n;
    }
    *end = n;
    free(block);
    gv_archive_free(archive);
    return total;
}

static void read_lines(const uint8_t *data, size_t size)
{
    struct gv_archive *archive = open_bytes(data, size);
    struct gv_reader *reader = gv_reader_new(&config);
    struct gv_reading out[GV_READINGS_MAX];
    struct gv_splitter splitter;
    const char *line;
    size_t total = 0, len, space;
    enum gv_split split;

    must(reader && gv_splitter_init(&splitter));
    while (total < OUT_MAX) {
        char *into = gv_splitter_space(&splitter, &space);
        ssize_t n = gv_archive_read(archive, into, space);
        if (n <= 0)
            break;
        total += (size_t)n;
        gv_splitter_filled(&splitter, (size_t)n);
        while ((split = gv_splitter_next(&splitter, &line, &len)) != GV_SPLIT_NONE)
            if (split == GV_SPLIT_LINE)
                must(len <= GV_LINE_MAX &&
                     gv_reader_line(reader, out, line, len, NOW_MS) <= GV_READINGS_MAX);
    }
    gv_splitter_free(&splitter);
    gv_reader_free(reader);
    gv_archive_free(archive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t small_sum, large_sum;
    ssize_t small_end, large_end;

    if (size > 1 << 16)
        return 0;
    size_t large = read_by(data, size, 65536, &large_sum, &large_end);
    if (large < OUT_MAX) {
        size_t small = read_by(data, size, 1 + size % 97, &small_sum, &small_end);
        /* Damage ends a piece, so small pieces may give more of what came before it. */
        must(small_end == large_end);
        must(large_end == -EBADMSG ? small >= large : small == large && small_sum == large_sum);
    }
    read_lines(data, size);
    return 0;
}
