#include "sim/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "crypto/error.h"

static void print_weather(FILE *out, const struct gv_weather_counts *weather)
{
#define GV_WEATHER_PRINT(name, text)                                                               \
    if (weather->name > 0)                                                                         \
        fprintf(out, "  %-34s %" PRIu64 "\n", text, weather->name);
    GV_WEATHER_MAP(GV_WEATHER_PRINT)
#undef GV_WEATHER_PRINT
}

static void print(FILE *out, const struct gv_sim_result *result, const struct gv_sim_cost *cost)
{
    fprintf(out, "attackers            %zu, of them published %zu\n", result->attackers,
            result->published);
    fprintf(out, "signals              %" PRIu64 "\n", result->signals);
    print_weather(out, &result->weather);
    fprintf(out, "bytes per hour       mean %.0f, max %.0f (in and out, with headers)\n",
            result->bytes_mean, result->bytes_max);
    for (int cause = 0; cause < GV_CAUSE_COUNT; cause++)
        fprintf(out, "  %-18s mean %.0f, max %.0f: %s\n", gv_cause_name((enum gv_cause)cause),
                result->cause_mean[cause], result->cause_max[cause], gv_cause_text((enum gv_cause)cause));
    fprintf(out, "records              mean %.0f came to a node, and %.0f that it knew already\n",
            result->records_mean, result->again_mean);
    fprintf(out, "second owner's signal to untrusted on a node  p50 %.3f s, p99 %.3f s\n",
            result->delay_p50_s, result->delay_p99_s);
    fprintf(out, "told of whom one owner reported   mean %.1f nodes, max %zu\n", result->told_mean,
            result->told_max);
    if (result->core_bytes_max > 0)
        fprintf(out, "memory of a core     %.2f MB at most\n",
                (double)result->core_bytes_max / 1e6);
    fprintf(out, "events               %" PRIu64 " in %.2f s (%.2f CPU s), %.0f MB at most\n",
            result->events, cost->wall_s, cost->cpu_s, cost->peak_mb);
    fprintf(out, "signatures           %" PRIu64 " asked for, %" PRIu64 " computed\n",
            result->verifications, result->verifications_computed);
    fprintf(out, "trace hash           %s\n", result->trace_hash);
    fprintf(out, "violations           %" PRIu64 "\n", result->violations);
}

static json_t *pack_weather(const struct gv_weather_counts *weather)
{
    json_t *object = json_object();

#define GV_WEATHER_PACK(name, text)                                                                \
    json_object_set_new(object, #name, json_integer((json_int_t)weather->name));
    GV_WEATHER_MAP(GV_WEATHER_PACK)
#undef GV_WEATHER_PACK
    return object;
}

static json_t *pack_causes(const double bytes[GV_CAUSE_COUNT])
{
    json_t *object = json_object();

    for (int cause = 0; cause < GV_CAUSE_COUNT; cause++)
        json_object_set_new(object, gv_cause_name((enum gv_cause)cause), json_real(bytes[cause]));
    return object;
}

static json_t *pack(const struct gv_sim_options *options, const struct gv_sim_result *result,
                    const struct gv_sim_cost *cost)
{
    char faults[GV_FAULTS_TEXT], seed[24];

    gv_faults_text(faults, &options->faults);
    /* A string: 64 bits without a sign are more than a number in JSON holds. */
    snprintf(seed, sizeof seed, "%" PRIu64, options->seed);
    return json_pack(
        "{s:s, s:I, s:f, s:s, s:s, s:s, s:I, s:f, s:f, s:o, s:o, s:f, s:f, s:I, s:I, s:I, s:I, "
        "s:f, s:I, s:o, s:f, s:f, s:f}",
        "seed", seed, "nodes", (json_int_t)options->nodes, "hours",
        options->hours, "faults", faults, "plant", gv_plant_name(options->plant), "trace_hash",
        result->trace_hash, "violations", (json_int_t)result->violations, "bytes_per_hour_mean",
        result->bytes_mean, "bytes_per_hour_max", result->bytes_max, "bytes_by_cause_mean",
        pack_causes(result->cause_mean), "bytes_by_cause_max", pack_causes(result->cause_max),
        "verdict_delay_p50_s",
        result->delay_p50_s, "verdict_delay_p99_s", result->delay_p99_s, "attackers",
        (json_int_t)result->attackers, "published", (json_int_t)result->published, "signals",
        (json_int_t)result->signals, "core_bytes_max", (json_int_t)result->core_bytes_max,
        "told_mean", result->told_mean, "told_max", (json_int_t)result->told_max, "weather", pack_weather(&result->weather), "wall_s", cost->wall_s, "cpu_s", cost->cpu_s,
        "peak_mb", cost->peak_mb);
}

static int tell_unwritten(const char *path, int error)
{
    fprintf(stderr, "grapevine-sim: %s: could not be written: %s\n", path, strerror(error));
    return EX_CANTCREAT;
}

/* What waits in a stream is written when it is flushed or closed: a full disk says so there. */
static int write_json(const char *path, const json_t *object)
{
    FILE *file = fopen(path, "w");
    bool written;

    if (!file)
        return tell_unwritten(path, errno);
    written = json_dumpf(object, file, JSON_COMPACT) == 0 && fputc('\n', file) >= 0 &&
              fflush(file) == 0;
    int error = errno;
    if (fclose(file) != 0 && written) {
        error = errno;
        written = false;
    }
    return written ? 0 : tell_unwritten(path, error);
}

int gv_report(const struct gv_sim_options *options, const struct gv_sim_result *result,
              const struct gv_sim_cost *cost)
{
    bool json_on_stdout = options->json_path && strcmp(options->json_path, "-") == 0;
    int rc = 0;

    print(json_on_stdout ? stderr : stdout, result, cost);
    if (options->json_path) {
        json_t *object = pack(options, result, cost);
        gv_assert(object);
        if (!json_on_stdout)
            rc = write_json(options->json_path, object);
        else if (json_dumpf(object, stdout, JSON_COMPACT) == 0)
            putchar('\n');
        json_decref(object);
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        rc = tell_unwritten("standard output", errno);
    return rc;
}
