/* What the statistics add to the reading of a log by a node (SPEC 10.8): all that grapevined does
 * with a log that it reads from its start (reading, lexing, the core, the store with its
 * positions). Two nodes do it at once, one with the flow of mail counted and stored and one
 * without, so that both have the same neighbours on the machine; CPU seconds of each one's thread.
 *   bench_statistics LOG LINES [ROUNDS]   the log's time is of the last days, in UTC
 *   bench_statistics --once LOG LINES yes|no
 *                                         one node alone, with the statistics or without, for
 *                                         who counts its instructions; nothing is said
 *   bench_statistics --live LOG SECONDS   the same of a log to which a hundred lines a second are
 *                                         written, those of LOG with stamps of now */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "helper_node.h"
#include "node/base/sealed.h"
#include "node/ingest/follow.h"
#include "node/ingest/memory.h"

#define ROUNDS_MAX 99

struct run {
    struct node node; /* first: on_storing gets it */
    struct gv_follow *follow;
    const char *path;
    bool counts;
    bool steady; /* a commit for each batch, whatever the time: two runs do the same */
    json_int_t lines;
};

/* As node/logs.c has them. */
static void on_observation(void *context, const struct gv_observation *observation)
{
    struct run *run = context;
    struct gv_observation rest = *observation;

    if (!gv_surfaces_absorb(run->node.surfaces, &rest))
        return;
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION, .observation = rest};
    gv_surfaces_watch(run->node.surfaces, &rest);
    (void)gv_driver_read(run->node.driver, &event);
    gv_surfaces_about(run->node.surfaces, &rest.subject);
}

static void on_keep(void *context, const char *name, const void *data, size_t len)
{
    struct run *run = context;
    uint8_t sealed[GV_MEMORY_ROW + GV_SEALED_MORE];

    if (len != GV_MEMORY_ROW && len != sizeof(struct gv_position)) {
        gv_driver_keep(run->node.driver, name, data, len);
        return;
    }
    gv_seal(sealed, run->node.identity.store_key, data, len);
    gv_driver_keep(run->node.driver, name, sealed, len + GV_SEALED_MORE);
}

static bool on_kept(void *context, const char *name, void *data, size_t len)
{
    (void)context, (void)name, (void)data, (void)len;
    return false;
}

static void on_later(void *context, bool again)
{
    struct run *run = context;

    gv_driver_later(run->node.driver);
    if (!again || run->steady)
        gv_driver_hurry(run->node.driver);
}

static void on_storing(void *node)
{
    gv_follow_keep(((struct run *)node)->follow);
}

static void on_count(void *context, unsigned which, int64_t delta, uint64_t unix_ms)
{
    struct run *run = context;

    gv_driver_count(run->node.driver, which, delta, unix_ms);
}

static void start_following(void *context)
{
    struct run *run = context;
    struct gv_text error;
    struct gv_follow_options options = {.loop = &run->node.thread.loop,
                                        .paths = &run->path,
                                        .path_count = 1,
                                        .from_start = true,
                                        .context = run,
                                        .observation = on_observation,
                                        .later = on_later,
                                        .keep = on_keep,
                                        .kept = on_kept,
                                        .count = run->counts ? on_count : NULL};

    gv_assert(gv_follow_start(&run->follow, &options, &error) == GV_OK);
}

static void look(void *context)
{
    struct run *run = context;
    json_t *list = gv_follow_json(run->follow);

    run->lines = json_integer_value(json_object_get(json_array_get(list, 0), "lines"));
    json_decref(list);
}

static void commit(void *context)
{
    struct run *run = context;

    gv_driver_hurry(run->node.driver);
}

static void stop(void *context)
{
    struct run *run = context;

    gv_follow_stop(run->follow);
    run->follow = NULL;
}

static double thread_seconds(const struct run *run)
{
    struct timespec now;
    clockid_t clock;

    gv_assert(pthread_getcpuclockid(run->node.thread.thread, &clock) == 0 &&
              clock_gettime(clock, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void begin_one(struct run *run, const char *path, bool counts)
{
    *run = (struct run){.path = path, .counts = counts, .node.storing = on_storing};
    node_make(&run->node);
    gv_assert(node_start(&run->node) == GV_OK);
}

static void end_one(struct run *run)
{
    loop_thread_call(&run->node.thread, stop, run);
    usleep(50000);
    node_stop(&run->node);
    node_remove(&run->node);
}

static void read_all(struct run *run, json_int_t lines)
{
    do {
        usleep(20000);
        loop_thread_call(&run->node.thread, look, run);
    } while (run->lines < lines);
}

static int once(const char *path, json_int_t lines, bool counts)
{
    struct run run;

    begin_one(&run, path, counts);
    run.steady = true;
    loop_thread_call(&run.node.thread, start_following, &run);
    read_all(&run, lines);
    loop_thread_call(&run.node.thread, commit, &run);
    end_one(&run);
    return 0;
}

/* Without the statistics, and with them. */
static void begin(struct run runs[2], const char *path)
{
    for (int i = 0; i < 2; i++)
        begin_one(&runs[i], path, i == 1);
}

static void end(struct run runs[2])
{
    for (int i = 0; i < 2; i++)
        end_one(&runs[i]);
}

/* Both read at once, so that both have the same neighbours on the machine. */
static void measure(double took[2], const char *path, json_int_t lines)
{
    struct run runs[2];
    double began[2];

    begin(runs, path);
    for (int i = 0; i < 2; i++) {
        began[i] = thread_seconds(&runs[i]);
        loop_thread_call(&runs[i].node.thread, start_following, &runs[i]);
    }
    for (int i = 0; i < 2; i++)
        read_all(&runs[i], lines);
    for (int i = 0; i < 2; i++)
        loop_thread_call(&runs[i].node.thread, commit, &runs[i]);
    usleep(50000);
    for (int i = 0; i < 2; i++)
        took[i] = thread_seconds(&runs[i]) - began[i];
    end(runs);
}

/* ---- live ----------------------------------------------------------------------------------- */

static void sleep_until(const struct timespec *start, uint64_t ns)
{
    ns += (uint64_t)start->tv_nsec;
    struct timespec then = {.tv_sec = start->tv_sec + (time_t)(ns / 1000000000u),
                            .tv_nsec = (long)(ns % 1000000000u)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL) != 0)
        ;
}

/* The lines behind the log's stamps, each with a stamp of now. Returns how many were written. */
static unsigned write_live(const char *log, FILE *to, unsigned count)
{
    FILE *from = fopen(log, "r");
    struct timespec start, now;
    char line[8192], stamp[32];
    struct tm tm;
    unsigned n = 0;

    gv_assert(from);
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (n < count && fgets(line, sizeof line, from)) {
        if (strlen(line) < 17)
            continue;
        sleep_until(&start, 10000000ull * n++);
        clock_gettime(CLOCK_REALTIME, &now);
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
        fprintf(to, "%s.%06ldZ %s", stamp, now.tv_nsec / 1000, line + 16);
        fflush(to);
    }
    fclose(from);
    return n;
}

static int live(const char *log, unsigned seconds_long)
{
    char folder[] = "/tmp/gv-live.XXXXXX", path[64];
    struct run runs[2];
    double before[2], share[2];
    struct timespec start;

    gv_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log", folder);
    FILE *to = fopen(path, "w");
    gv_assert(to);
    begin(runs, path);
    for (int i = 0; i < 2; i++)
        loop_thread_call(&runs[i].node.thread, start_following, &runs[i]);
    clock_gettime(CLOCK_MONOTONIC, &start);
    sleep_until(&start, 3000000000u); /* what a beginning costs is over */
    for (int i = 0; i < 2; i++)
        before[i] = thread_seconds(&runs[i]);
    unsigned lines = write_live(log, to, 100 * seconds_long);
    for (int i = 0; i < 2; i++)
        share[i] = 100 * (thread_seconds(&runs[i]) - before[i]) / seconds_long;
    printf("%u lines at 100 a second: %.4f%% of a core without the statistics, %.4f%% with them: "
           "%+.1f%%, %.4f%% of a core\n",
           lines, share[0], share[1], (share[1] / share[0] - 1) * 100, share[1] - share[0]);
    end(runs);
    fclose(to);
    unlink(path);
    rmdir(folder);
    return 0;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
    double took[2], all[3][ROUNDS_MAX];
    int rounds = argc > 3 ? atoi(argv[3]) : 5;
    long long lines = argc > 2 ? atoll(argv[2]) : 0;

    if (argc == 4 && strcmp(argv[1], "--live") == 0 && rounds > 0)
        return live(argv[2], (unsigned)rounds);
    if (argc == 5 && strcmp(argv[1], "--once") == 0)
        return once(argv[2], atoll(argv[3]), strcmp(argv[4], "yes") == 0);
    if (lines < 1 || rounds < 1 || rounds > ROUNDS_MAX) {
        fputs("usage: bench_statistics LOG LINES [ROUNDS] | --once LOG LINES yes|no | "
              "--live LOG SECONDS\n",
              stderr);
        return 64;
    }
    measure(took, argv[1], lines); /* warm */
    for (int i = 0; i < rounds; i++) {
        measure(took, argv[1], lines);
        all[0][i] = took[0] * 1e9 / (double)lines;
        all[1][i] = took[1] * 1e9 / (double)lines;
        all[2][i] = (took[1] / took[0] - 1) * 100;
    }
    for (int i = 0; i < 3; i++)
        qsort(all[i], (size_t)rounds, sizeof **all, compare);
    printf("%lld lines: %.0f ns a line without the statistics, %.0f ns with them: %+.1f%% (medians "
           "of %d; from %+.1f to %+.1f%%)\n",
           lines, all[0][rounds / 2], all[1][rounds / 2], all[2][rounds / 2], rounds, all[2][0],
           all[2][rounds - 1]);
    return 0;
}
