/* grapevine-sim: the protocol's own code among simulated nodes. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "sim/report.h"

#define WARMUP_MS 30000u /* time to find each other */
#define CALM_MS 30000u   /* at the end nothing new happens, and everything must have arrived */
#define CHECK_MS 60000u

static void run(struct gv_world *world, struct gv_checks *checks, const struct gv_workload *workload,
                uint64_t end_ms)
{
    uint64_t next_check = CHECK_MS;

    for (size_t i = 0; i < workload->count; i++) {
        const struct gv_visit *visit = &workload->visits[i];
        struct gv_subject subject = gv_world_subject(visit->attacker);
        while (next_check < visit->at_ms) {
            gv_world_run(world, next_check);
            gv_check_safety(checks);
            next_check += CHECK_MS;
        }
        gv_world_run(world, visit->at_ms);
        gv_world_fail(world, visit->node, &subject, 5);
    }
    gv_world_run(world, end_ms);
    gv_check_safety(checks);
    gv_check_liveness(checks);
}

int main(int argc, char **argv)
{
    struct gv_sim_options options;
    struct gv_world_options world_options = {
        .latency_min_ms = 5, .latency_max_ms = 120, .age_min = 200 * 1440, .skew_max_ms = 2000};
    struct gv_workload workload;
    struct gv_checks checks;
    struct rusage usage;

    gv_sim_options_parse(&options, argc, argv);
    if (sodium_init() < 0)
        return EX_OSERR;
    /* First, so that a run that dies can be run again. */
    fprintf(stderr, "grapevine-sim run --nodes %zu --hours %g --seed %" PRIu64 " --sightings %g\n",
            options.nodes, options.hours, options.seed, options.sightings);
    world_options.nodes = options.nodes;
    world_options.seed = options.seed;
    struct gv_world *world = gv_world_new(&world_options);
    uint64_t end_ms = (uint64_t)(options.hours * 3600000);
    uint64_t shortest = WARMUP_MS + CALM_MS + 10000;
    end_ms = end_ms < shortest ? shortest : end_ms;
    gv_workload_draw(&workload, world, options.sightings, end_ms, WARMUP_MS, CALM_MS);
    gv_checks_init(&checks, world, workload.attackers);
    run(world, &checks, &workload, end_ms);
    getrusage(RUSAGE_SELF, &usage);
    double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    int rc = gv_report(&options, &checks, cpu_s, (double)usage.ru_maxrss / 1024);
    if (rc == 0 && checks.violations > 0)
        rc = 1;
    gv_checks_free(&checks);
    gv_workload_free(&workload);
    gv_world_free(world);
    return rc;
}
