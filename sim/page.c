#include "sim/page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "crypto/error.h"
#include "sim/plot.h"

#define POINTS 400u   /* of a curve over nodes or delays: more than are seen */
#define CAP_KB 1000.0 /* what is promised of any node, an hour */

/* A column of the samples; the caller frees it. */
static double *column(const struct gv_samples *samples, size_t offset, double factor)
{
    double *out = calloc(samples->count + 1, sizeof *out);

    gv_assert(out);
    for (size_t i = 0; i < samples->count; i++)
        out[i] = *(const double *)(const void *)((const char *)&samples->list[i] + offset) * factor;
    return out;
}

static double largest(const double *values, size_t count)
{
    double most = 0;

    for (size_t i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

static struct gv_plot over_time(const struct gv_samples *samples, const char *title,
                                const char *y_name, double y_most)
{
    double minutes = samples->count ? samples->list[samples->count - 1].minute : 1;

    return (struct gv_plot){.title = title,
                            .x_name = "simulated minutes",
                            .y_name = y_name,
                            .x_most = minutes,
                            .y_most = y_most};
}

/* One on the other, so that the uppermost is the sum. */
static void plot_causes(FILE *out, const struct gv_samples *samples)
{
    double *x = column(samples, offsetof(struct gv_sample, minute), 1);
    double *sums[GV_CAUSE_COUNT + 1];

    sums[0] = calloc(samples->count + 1, sizeof(double));
    gv_assert(sums[0]);
    for (size_t c = 0; c < GV_CAUSE_COUNT; c++) {
        sums[c + 1] =
            column(samples, offsetof(struct gv_sample, cause) + c * sizeof(double), 0.001);
        for (size_t i = 0; i < samples->count; i++)
            sums[c + 1][i] += sums[c][i];
    }
    struct gv_plot plot = over_time(samples, "Traffic of a node by cause, on average",
                                    "kB a minute", largest(sums[GV_CAUSE_COUNT], samples->count));
    gv_plot_begin(out, &plot);
    for (size_t c = 0; c < GV_CAUSE_COUNT; c++) {
        gv_plot_area(out, &plot, x, sums[c], sums[c + 1], samples->count, c);
        gv_plot_name(out, &plot, c, gv_cause_name((enum gv_cause)c));
    }
    gv_plot_end(out);
    for (size_t c = 0; c <= GV_CAUSE_COUNT; c++)
        free(sums[c]);
    free(x);
}

/* What share of a sorted row lies below a value: at most POINTS of them. */
static void plot_row(FILE *out, struct gv_plot *plot, const double *row, size_t count,
                     double factor, bool values_on_x)
{
    double shares[POINTS + 1], values[POINTS + 1];
    size_t points = count < POINTS ? count : POINTS;

    for (size_t i = 0; i < points; i++) {
        size_t at = points > 1 ? i * (count - 1) / (points - 1) : 0;
        shares[i] = count > 1 ? 100 * (double)at / (double)(count - 1) : 100;
        values[i] = row[at] * factor;
    }
    gv_plot_line(out, plot, values_on_x ? values : shares, values_on_x ? shares : values, points,
                 0);
}

static void plot_nodes(FILE *out, const struct gv_samples *samples)
{
    size_t count = samples->node_count;
    struct gv_plot plot = {.title = "Traffic of each node, in and out, joins apart",
                           .x_name = "percent of the nodes, by traffic",
                           .y_name = "kB an hour",
                           .x_most = 100,
                           .y_most = count ? samples->node_bytes[count - 1] / 1000 : 1};

    gv_plot_begin(out, &plot);
    plot_row(out, &plot, samples->node_bytes, count, 0.001, false);
    gv_plot_level(out, &plot, CAP_KB, "promised: at most");
    gv_plot_end(out);
}

static void plot_delays(FILE *out, const struct gv_samples *samples)
{
    size_t count = samples->delay_count;
    struct gv_plot plot = {.title = "From the second owner's signal to the verdict on a node",
                           .x_name = "seconds (up to the 99.5th percentile)",
                           .y_name = "percent of nodes and addresses",
                           .x_most = count ? samples->delays_s[(count - 1) * 995 / 1000] : 1,
                           .y_most = 100};

    gv_plot_begin(out, &plot);
    plot_row(out, &plot, samples->delays_s, count, 1, true);
    gv_plot_end(out);
}

static void plot_known(FILE *out, const struct gv_samples *samples)
{
    double *x = column(samples, offsetof(struct gv_sample, minute), 1);
    double *known = column(samples, offsetof(struct gv_sample, known), 100);
    struct gv_plot plot =
        over_time(samples, "Convergence: of all verdicts that there should be on all nodes",
                  "percent that are", 100);

    gv_plot_begin(out, &plot);
    gv_plot_line(out, &plot, x, known, samples->count, 2);
    gv_plot_end(out);
    free(x);
    free(known);
}

static void plot_memory(FILE *out, const struct gv_samples *samples)
{
    double *x = column(samples, offsetof(struct gv_sample, minute), 1);
    double *mean = column(samples, offsetof(struct gv_sample, memory_mean), 1e-6);
    double *most = column(samples, offsetof(struct gv_sample, memory_most), 1e-6);
    struct gv_plot plot =
        over_time(samples, "Memory of a core", "MB", largest(most, samples->count));

    gv_plot_begin(out, &plot);
    gv_plot_line(out, &plot, x, mean, samples->count, 0);
    gv_plot_name(out, &plot, 0, "mean");
    gv_plot_line(out, &plot, x, most, samples->count, 4);
    gv_plot_name(out, &plot, 4, "most");
    gv_plot_end(out);
    free(x);
    free(mean);
    free(most);
}

static void page(FILE *out, const struct gv_sim_options *options,
                 const struct gv_sim_result *result, const struct gv_sim_cost *cost,
                 const struct gv_samples *samples)
{
    char line[GV_SIM_LINE];

    gv_sim_options_line(line, options);
    fputs("<!DOCTYPE html>\n<html lang='en'><meta charset='utf-8'><title>grapevine: a simulated "
          "mesh</title>\n<style>body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;"
          "padding:0 1em}svg{width:100%;height:auto;font:12px sans-serif}.r{text-anchor:end}"
          ".m{text-anchor:middle}.g{stroke:#8884;fill:none}path.k{stroke:#e15759;fill:none;"
          "stroke-dasharray:6 4}pre{overflow:auto;font-size:12px}code{word-break:break-word}"
          "@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}text{fill:#ddd}}"
          "</style>\n<h1>A simulated mesh</h1>\n<p>",
          out);
    fprintf(out, "%zu nodes, %g hours. ", options->nodes, options->hours);
    if (result->violations > 0)
        fprintf(out, "<strong>%" PRIu64 " violations</strong>:", result->violations);
    else
        fputs("Nothing was violated.", out);
    for (size_t i = 0; i < result->broken.count; i++) {
        fputs(i ? "; " : " ", out);
        gv_plot_text(out, result->broken.sentences[i]);
    }
    fputs("</p>\n<p>The same run again: <code>", out);
    gv_plot_text(out, line);
    fputs("</code></p>\n", out);
    plot_causes(out, samples);
    plot_nodes(out, samples);
    plot_delays(out, samples);
    plot_known(out, samples);
    plot_memory(out, samples);
    fputs("<h2>All figures</h2>\n<pre>\n", out);
    gv_report_text(out, options, result, cost);
    fputs("</pre>\n</html>\n", out);
}

int gv_page(const struct gv_sim_options *options, const struct gv_sim_result *result,
            const struct gv_sim_cost *cost, const struct gv_samples *samples)
{
    FILE *out = fopen(options->html_path, "w");
    int error = errno;
    bool written = out != NULL;

    if (out) {
        page(out, options, result, cost, samples);
        written = fflush(out) == 0 && !ferror(out);
        error = errno;
        if (fclose(out) != 0 && written) {
            error = errno;
            written = false;
        }
    }
    if (!written)
        fprintf(stderr, "grapevine-sim: %s: could not be written: %s\n", options->html_path,
                strerror(error));
    return written ? 0 : EX_CANTCREAT;
}
