/* grapevine-sim: the protocol's own code among simulated nodes. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>

#include "sim/report.h"
#include "sim/swarm.h"
#include "sim/table/chart.h"

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

static int run(const struct gv_sim_options *options)
{
    char line[GV_SIM_LINE];
    struct gv_sim_result result;
    struct gv_sim_cost cost;
    struct rusage usage;
    double start_s = wall_s();

    /* First, so that a run that dies can be run again. */
    gv_sim_options_line(line, options);
    fprintf(stderr, "%s\n", line);
    gv_sim_run(&result, options, false);
    getrusage(RUSAGE_SELF, &usage);
    cost.wall_s = wall_s() - start_s;
    cost.cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    cost.peak_mb = (double)usage.ru_maxrss / 1024;
    int rc = gv_report(options, &result, &cost);
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
    case GV_SIM_SWARM:
        return flushed(gv_swarm(&options, wall_s));
    default:
        return run(&options);
    }
}
