/* grapevine-sim: the protocol's own code among simulated nodes. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "sim/explain.h"
#include "sim/page.h"
#include "sim/report.h"
#include "sim/scenario.h"
#include "sim/swarm.h"
#include "sim/table/chart.h"
#include "sim/trial.h"

#define LONG_RUN 300.0 /* node hours: half a minute and more */

struct progress {
    double start_s;
    uint64_t tenth;
    bool terminal, is_long;
};

/* The one look at the wall clock in sim/: how long a run took is told, and is no part of it. */
static double wall_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void list_plants(void)
{
    for (enum gv_plant plant = GV_PLANT_NONE + 1; plant < GV_PLANT_COUNT; plant++)
        printf("%-16s %s\n", gv_plant_name(plant), gv_plant_what(plant));
}

static void list_faults(void)
{
    char line[160];

    for (size_t i = 0; gv_faults_help(i, line); i++)
        puts(line);
}

struct onlookers {
    struct progress progress;
    struct gv_samples samples;
    bool sampled;
};

/* How far it is: on a terminal each simulated minute, elsewhere each tenth of a long run. */
static void show_progress(struct progress *progress, const struct gv_checks *checks,
                          uint64_t end_ms)
{
    uint64_t now_ms = checks->world->now_ms, tenth = 10 * now_ms / end_ms;

    if (progress->terminal)
        fprintf(stderr, "\r%.0f of %.0f minutes%s", (double)now_ms / 60000, (double)end_ms / 60000,
                now_ms >= end_ms ? "\n" : "");
    else if (progress->is_long && tenth > progress->tenth)
        fprintf(stderr, "%.0f of %.0f minutes, %.0f s\n", (double)now_ms / 60000,
                (double)end_ms / 60000, wall_s() - progress->start_s);
    progress->tenth = tenth;
}

static void look(void *context, const struct gv_checks *checks, uint64_t end_ms)
{
    struct onlookers *onlookers = context;

    show_progress(&onlookers->progress, checks, end_ms);
    if (onlookers->sampled)
        gv_samples_look(&onlookers->samples, checks, end_ms);
}

static int run(const struct gv_sim_options *options)
{
    struct onlookers onlookers = {
        .progress = {.start_s = wall_s(),
                     .terminal = isatty(STDERR_FILENO),
                     .is_long = (double)options->nodes * options->hours > LONG_RUN},
        .sampled = options->html_path != NULL};
    struct gv_sim_watch watch = {.context = &onlookers, .stop_ms = UINT64_MAX, .look = look};
    char line[GV_SIM_LINE];
    struct gv_sim_result result;
    struct gv_sim_cost cost;
    struct rusage usage;

    if (gv_report_reach(options) != 0)
        return EX_CANTCREAT;
    /* First, so that a run that dies can be run again. */
    gv_sim_options_line(line, options);
    fprintf(stderr, "%s\n", line);
    gv_sim_run_watched(&result, options, false, &watch);
    getrusage(RUSAGE_SELF, &usage);
    cost.wall_s = wall_s() - onlookers.progress.start_s;
    cost.cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    cost.peak_mb = (double)usage.ru_maxrss / 1024;
    int rc = gv_report(options, &result, &cost);
    if (rc == 0 && options->html_path)
        rc = gv_page(options, &result, &cost, &onlookers.samples);
    gv_samples_free(&onlookers.samples);
    return rc == 0 && result.violations > 0 ? 1 : rc;
}

/* What was printed may still wait in the stream: a full disk says so here. */
static int flushed(int rc)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return rc;
    fprintf(stderr, "grapevine-sim: standard output: could not be written: %s\n", strerror(errno));
    return EX_CANTCREAT;
}

/* Started by mpirun it shares the seeds with the others; with whom it has nothing else to do. */
static int swarm(const struct gv_sim_options *options, int *argc, char ***argv)
{
#ifdef GV_MPI
    const struct gv_ranks *ranks = gv_ranks_start(argc, argv);
    int rc = gv_swarm(options, wall_s, ranks);

    if (ranks)
        gv_ranks_end();
    return rc;
#else
    (void)argc;
    (void)argv;
    return gv_swarm(options, wall_s, NULL);
#endif
}

int main(int argc, char **argv)
{
    struct gv_sim_options options;

    if (sodium_init() < 0)
        return EX_OSERR;
    if (argc > 1 && strcmp(argv[1], "attack-table") == 0)
        return gv_chart_main(argc - 1, argv + 1);
    gv_sim_options_parse(&options, argc, argv);
    switch (options.command) {
    case GV_SIM_PLANTS:
        list_plants();
        return flushed(0);
    case GV_SIM_FAULTS:
        list_faults();
        return flushed(0);
    case GV_SIM_SCENARIO:
        gv_scenario_help(stdout);
        return flushed(0);
    case GV_SIM_SWARM:
        return flushed(swarm(&options, &argc, &argv));
    case GV_SIM_REPLAY:
        return flushed(gv_replay(&options));
    case GV_SIM_MINIMISE:
        return flushed(gv_minimise(&options));
    case GV_SIM_TRACE:
        return flushed(gv_trace_run(&options));
    case GV_SIM_EXPLAIN:
        return flushed(gv_explain(&options));
    default:
        return run(&options);
    }
}
