#include "sim/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"

static void print_weather(FILE *out, const struct gv_weather_counts *weather)
{
#define GV_WEATHER_PRINT(name, text)                                                               \
    if (weather->name > 0)                                                                         \
        fprintf(out, "  %-34s %" PRIu64 "\n", text, weather->name);
    GV_WEATHER_MAP(GV_WEATHER_PRINT)
#undef GV_WEATHER_PRINT
}

static void print_healing(FILE *out, const char *what, double after_s)
{
    if (after_s < 0)
        fprintf(out, "%-20s not before the end\n", what);
    else
        fprintf(out, "%-20s %.0f s after the healing\n", what, after_s);
}

void gv_report_text(FILE *out, const struct gv_sim_options *options,
                    const struct gv_sim_result *result, const struct gv_sim_cost *cost)
{
    fprintf(out, "nodes                %zu, of them on line %zu\n", options->nodes, result->online);
    fprintf(out, "attackers            %zu, of them published %zu\n", result->attackers,
            result->published);
    fprintf(out, "signals              %" PRIu64 "\n", result->signals);
    print_weather(out, &result->weather);
    fprintf(out, "bytes per hour       mean %.0f, max %.0f (in and out, with headers)\n",
            result->bytes_mean, result->bytes_max);
    for (int cause = 0; cause < GV_CAUSE_COUNT; cause++)
        fprintf(out, "  %-18s mean %.0f, max %.0f: %s\n", gv_cause_name((enum gv_cause)cause),
                result->cause_mean[cause], result->cause_max[cause],
                gv_cause_text((enum gv_cause)cause));
    fprintf(out, "records              mean %.0f came to a node, and %.0f that it knew already\n",
            result->records_mean, result->again_mean);
    fprintf(out, "second owner's signal to untrusted on a node  p50 %.3f s, p99 %.3f s\n",
            result->delay_p50_s, result->delay_p99_s);
    if (gv_faults_any(&options->faults)) {
        print_healing(out, "the same verdicts", result->agreed_s);
        print_healing(out, "the same set", result->equal_s);
    }
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

/* null: it never was so, or nothing had to heal. */
static json_t *pack_healing(double after_s, bool healed)
{
    return healed && after_s >= 0 ? json_real(after_s) : json_null();
}

static json_t *pack(const struct gv_sim_options *options, const struct gv_sim_result *result,
                    const struct gv_sim_cost *cost)
{
    char faults[GV_FAULTS_TEXT], seed[24], line[GV_SIM_LINE];
    bool healed = gv_faults_any(&options->faults);

    gv_faults_text(faults, &options->faults);
    gv_sim_options_line(line, options);
    /* A string: 64 bits without a sign are more than a number in JSON holds. */
    snprintf(seed, sizeof seed, "%" PRIu64, options->seed);
    json_t *of_run =
        json_pack("{s:s, s:s, s:I, s:I, s:f, s:s, s:s, s:s, s:I, s:o}", "command", line, "seed",
                  seed, "nodes", (json_int_t)options->nodes, "online", (json_int_t)result->online,
                  "hours", options->hours, "faults", faults, "plant", gv_plant_name(options->plant),
                  "trace_hash", result->trace_hash, "violations", (json_int_t)result->violations,
                  "weather", pack_weather(&result->weather));
    json_t *of_mesh = json_pack(
        "{s:f, s:f, s:o, s:o, s:f, s:f, s:o, s:o, s:f, s:I}", "bytes_per_hour_mean",
        result->bytes_mean, "bytes_per_hour_max", result->bytes_max, "bytes_by_cause_mean",
        pack_causes(result->cause_mean), "bytes_by_cause_max", pack_causes(result->cause_max),
        "verdict_delay_p50_s", result->delay_p50_s, "verdict_delay_p99_s", result->delay_p99_s,
        "verdicts_equal_s", pack_healing(result->agreed_s, healed), "set_equal_s",
        pack_healing(result->equal_s, healed), "told_mean", result->told_mean, "told_max",
        (json_int_t)result->told_max);
    json_t *of_cost = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "attackers", (json_int_t)result->attackers,
        "published", (json_int_t)result->published, "signals", (json_int_t)result->signals,
        "events", (json_int_t)result->events, "core_bytes_max", (json_int_t)result->core_bytes_max,
        "wall_s", cost->wall_s, "cpu_s", cost->cpu_s, "peak_mb", cost->peak_mb);
    gv_assert(of_run && of_mesh && of_cost);
    json_object_update(of_run, of_mesh);
    json_object_update(of_run, of_cost);
    json_decref(of_mesh);
    json_decref(of_cost);
    return of_run;
}

static int tell_unwritten(const char *path, int error)
{
    fprintf(stderr, "grapevine-sim: %s: could not be written: %s\n", path, strerror(error));
    return EX_CANTCREAT;
}

static int reach(const char *path)
{
    struct stat there;

    if (!path || strcmp(path, "-") == 0)
        return 0;
    if (stat(path, &there) == 0) { /* not opened: it may be a FIFO with somebody at its end */
        if (S_ISDIR(there.st_mode))
            return tell_unwritten(path, EISDIR);
        return access(path, W_OK) == 0 ? 0 : tell_unwritten(path, errno);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return tell_unwritten(path, errno);
    close(fd);
    unlink(path);
    return 0;
}

int gv_report_reach(const struct gv_sim_options *options)
{
    int rc = reach(options->json_path);

    return rc ? rc : reach(options->html_path);
}

/* What waits in a stream is written when it is flushed or closed: a full disk says so there. */
static int write_json(const char *path, const json_t *object)
{
    FILE *file = fopen(path, "w");
    bool written;

    if (!file)
        return tell_unwritten(path, errno);
    written =
        json_dumpf(object, file, JSON_COMPACT) == 0 && fputc('\n', file) >= 0 && fflush(file) == 0;
    int error = errno;
    if (fclose(file) != 0 && written) {
        error = errno;
        written = false;
    }
    return written ? 0 : tell_unwritten(path, error);
}

static int flushed(void)
{
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : tell_unwritten("standard output", errno);
}

int gv_report_json(const char *path, const json_t *object)
{
    if (strcmp(path, "-") != 0)
        return write_json(path, object);
    if (json_dumpf(object, stdout, JSON_COMPACT) == 0)
        putchar('\n');
    return flushed();
}

int gv_report(const struct gv_sim_options *options, const struct gv_sim_result *result,
              const struct gv_sim_cost *cost)
{
    bool json_on_stdout = options->json_path && strcmp(options->json_path, "-") == 0;
    int rc = 0;

    gv_report_text(json_on_stdout ? stderr : stdout, options, result, cost);
    if (options->json_path) {
        json_t *object = pack(options, result, cost);
        rc = gv_report_json(options->json_path, object);
        json_decref(object);
    }
    return rc ? rc : flushed();
}
