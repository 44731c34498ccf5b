#include "sim/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

struct figures {
    char trace_hash[17];
    double mean, max, p50, p99;
    size_t published;
    uint64_t signals;
};

static void gather(struct figures *out, const struct gv_sim_options *options,
                   struct gv_checks *checks)
{
    const struct gv_world *world = checks->world;
    double total = 0;

    memset(out, 0, sizeof *out);
    gv_trace_text(out->trace_hash, &world->trace);
    for (size_t i = 0; i < world->options.nodes; i++) {
        double bytes =
            (double)(world->nodes[i].bytes_in + world->nodes[i].bytes_out) / options->hours;
        total += bytes;
        out->max = bytes > out->max ? bytes : out->max;
    }
    out->mean = total / (double)world->options.nodes;
    out->p50 = gv_checks_delay(checks, 0.5);
    out->p99 = gv_checks_delay(checks, 0.99);
    for (size_t i = 0; i < checks->attackers; i++)
        out->published += checks->published_ms[i] != 0;
    out->signals = checks->issued.count;
}

static void print(FILE *out, const struct gv_checks *checks, const struct figures *figures,
                  double cpu_s, double peak_mb)
{
    fprintf(out, "attackers            %zu, of them published %zu\n", checks->attackers,
            figures->published);
    fprintf(out, "signals              %" PRIu64 "\n", figures->signals);
    fprintf(out, "bytes per hour       mean %.0f, max %.0f (in and out, with headers)\n",
            figures->mean, figures->max);
    fprintf(out, "second owner's signal to untrusted on a node  p50 %.3f s, p99 %.3f s\n",
            figures->p50, figures->p99);
    fprintf(out, "events               %" PRIu64 " in %.2f CPU s, %.0f MB at most\n",
            checks->world->events, cpu_s, peak_mb);
    fprintf(out, "trace hash           %s\n", figures->trace_hash);
    fprintf(out, "violations           %" PRIu64 "\n", checks->violations);
}

static int write_json(const struct gv_sim_options *options, const struct gv_checks *checks,
                      const struct figures *figures, double cpu_s, double peak_mb)
{
    json_t *object = json_pack(
        "{s:I, s:I, s:f, s:s, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:f, s:f}", "seed",
        (json_int_t)options->seed, "nodes", (json_int_t)options->nodes, "hours", options->hours,
        "trace_hash", figures->trace_hash, "violations", (json_int_t)checks->violations,
        "bytes_per_hour_mean", figures->mean, "bytes_per_hour_max", figures->max,
        "verdict_delay_p50_s", figures->p50, "verdict_delay_p99_s", figures->p99, "attackers",
        (json_int_t)checks->attackers, "published", (json_int_t)figures->published, "signals",
        (json_int_t)figures->signals, "cpu_s", cpu_s, "peak_mb", peak_mb);
    bool to_stdout = strcmp(options->json_path, "-") == 0;
    FILE *file = to_stdout ? stdout : fopen(options->json_path, "w");
    int rc = 0;

    if (!object || !file || json_dumpf(object, file, JSON_COMPACT) != 0 || fputc('\n', file) < 0) {
        fprintf(stderr, "grapevine-sim: %s: %s\n", options->json_path,
                file ? "could not be written" : strerror(errno));
        rc = EX_CANTCREAT;
    }
    if (file && !to_stdout && fclose(file) != 0)
        rc = EX_CANTCREAT;
    json_decref(object);
    return rc;
}

int gv_report(const struct gv_sim_options *options, struct gv_checks *checks, double cpu_s,
              double peak_mb)
{
    struct figures figures;
    bool json_on_stdout = options->json_path && strcmp(options->json_path, "-") == 0;

    gather(&figures, options, checks);
    print(json_on_stdout ? stderr : stdout, checks, &figures, cpu_s, peak_mb);
    return options->json_path ? write_json(options, checks, &figures, cpu_s, peak_mb) : 0;
}
