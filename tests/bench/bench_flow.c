/* What the statistics add to the reading of a mail log (SPEC 10.8): the same lines through the
 * reader, with the count of the mail flow and without, in turns; CPU seconds, the best of each. The
 * first run of the two includes what every daemon does with a log: read(2) and the split into
 * lines. bench_flow LOG [ROUNDS] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/ingest/ingest.h"
#include "node/ingest/mail_flow.h"
#include "node/ingest/splitter.h"

static uint64_t sums[GV_MAIL_COUNT_MAX];

static void on_count(void *context, enum gv_mail_count which, int64_t delta, uint64_t ms)
{
    (void)context;
    (void)ms;
    sums[which] += (uint64_t)delta;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double run(const char *path, bool counts, uint64_t *lines)
{
    struct gv_mail_flow_config flow_config = {.key = 1, .on_count = on_count};
    struct gv_mail_flow *flow = counts ? gv_mail_flow_new(&flow_config) : NULL;
    struct gv_reader_config config = {.flow = flow};
    struct gv_reader *reader = gv_reader_new(&config);
    struct gv_reading out[GV_READINGS_MAX];
    struct gv_splitter splitter;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    double began = seconds();
    const char *line;
    size_t len, space;
    ssize_t n;

    gv_assert(reader && (flow || !counts) && fd >= 0 && gv_splitter_init(&splitter));
    do {
        char *into = gv_splitter_space(&splitter, &space);
        n = read(fd, into, space);
        if (n > 0)
            gv_splitter_filled(&splitter, (size_t)n);
        while (gv_splitter_next(&splitter, &line, &len) == GV_SPLIT_LINE)
            (void)gv_reader_line(reader, out, line, len, now_ms);
    } while (n > 0);
    double took = seconds() - began;
    *lines = gv_reader_counters(reader)->lines;
    close(fd);
    gv_splitter_free(&splitter);
    gv_reader_free(reader);
    gv_mail_flow_free(flow);
    return took;
}

int main(int argc, char **argv)
{
    double best[2] = {1e9, 1e9};
    int rounds = argc > 2 ? atoi(argv[2]) : 9;
    uint64_t lines = 0;

    if (argc < 2 || rounds < 1) {
        fputs("usage: bench_flow LOG [ROUNDS]\n", stderr);
        return 64;
    }
    for (int i = 0; i < 2 * rounds; i++) {
        double took = run(argv[1], i % 2, &lines);
        if (took < best[i % 2])
            best[i % 2] = took;
    }
    printf("%llu lines: %.1f ns a line without the mail flow, %.1f ns with it: %+.0f%%\n",
           (unsigned long long)lines, best[0] * 1e9 / (double)lines, best[1] * 1e9 / (double)lines,
           (best[1] / best[0] - 1) * 100);
    return 0;
}
