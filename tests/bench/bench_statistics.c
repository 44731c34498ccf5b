/* What the statistics add to the reading of a log by a node (SPEC 10.8): all that grapevined does with
 * a log that it reads from its start (reading, lexing, the core, the store with its positions), with
 * the flow of mail counted and stored and without, in turns, each in a folder of its own. CPU seconds of
 * the process. bench_statistics LOG LINES [ROUNDS]; the log's time is of the last days, in UTC. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "helper_node.h"
#include "node/ingest/follow.h"

#define ROUNDS_MAX 99

struct run {
    struct node node;
    struct gv_follow *follow;
    const char *path;
    bool counts;
    json_int_t lines;
};

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* As node/logs.c has them. */
static void on_observation(void *context, const struct gv_observation *observation)
{
    struct run *run = context;
    struct gv_observation rest = *observation;

    if (!gv_surfaces_absorb(run->node.surfaces, &rest))
        return;
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION, .observation = rest};
    gv_surfaces_watch(run->node.surfaces, &rest);
    (void)gv_driver_event(run->node.driver, &event);
    gv_surfaces_about(run->node.surfaces, &rest.subject);
}

static void on_keep(void *context, const char *name, const void *data, size_t len)
{
    struct run *run = context;

    gv_driver_keep(run->node.driver, name, data, len);
}

static bool on_kept(void *context, const char *name, void *data, size_t len)
{
    (void)context, (void)name, (void)data, (void)len;
    return false;
}

static void on_count(void *context, unsigned which, int64_t delta, uint64_t unix_ms)
{
    struct run *run = context;

    gv_driver_count(run->node.driver, which, delta, unix_ms);
}

static void start(void *context)
{
    struct run *run = context;
    struct gv_text error;
    struct gv_follow_options options = {.loop = &run->node.thread.loop,
                                        .paths = &run->path,
                                        .path_count = 1,
                                        .from_start = true,
                                        .context = run,
                                        .observation = on_observation,
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

static void stop(void *context)
{
    struct run *run = context;

    gv_follow_stop(run->follow);
}

static double measure(const char *path, json_int_t lines, bool counts)
{
    struct run run = {.path = path, .counts = counts};

    node_make(&run.node);
    gv_assert(node_start(&run.node) == GV_OK);
    double began = seconds();
    loop_thread_call(&run.node.thread, start, &run);
    do {
        usleep(20000);
        loop_thread_call(&run.node.thread, look, &run);
    } while (run.lines < lines);
    usleep(20000); /* the last commit */
    double took = seconds() - began;
    loop_thread_call(&run.node.thread, stop, &run);
    usleep(50000);
    node_stop(&run.node);
    node_remove(&run.node);
    return took;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
    double took[2][ROUNDS_MAX];
    int rounds = argc > 3 ? atoi(argv[3]) : 5;
    long long lines = argc > 2 ? atoll(argv[2]) : 0;

    if (lines < 1 || rounds < 1 || rounds > ROUNDS_MAX) {
        fputs("usage: bench_statistics LOG LINES [ROUNDS]\n", stderr);
        return 64;
    }
    (void)measure(argv[1], lines, true); /* warm */
    for (int i = 0; i < 2 * rounds; i++)
        took[i % 2][i / 2] = measure(argv[1], lines, i % 2);
    for (int i = 0; i < 2; i++)
        qsort(took[i], (size_t)rounds, sizeof **took, compare);
    double without = took[0][rounds / 2], with = took[1][rounds / 2];
    double best_without = took[0][0], best_with = took[1][0];
    printf("%lld lines: %.0f ns a line without the statistics, %.0f ns with them: %+.1f%% (the best "
           "of %d: %.0f and %.0f ns, %+.1f%%)\n",
           lines, without * 1e9 / (double)lines, with * 1e9 / (double)lines,
           (with / without - 1) * 100, rounds, best_without * 1e9 / (double)lines,
           best_with * 1e9 / (double)lines, (best_with / best_without - 1) * 100);
    return 0;
}
