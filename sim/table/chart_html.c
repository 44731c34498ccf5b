/* The table as a page with plots: one file, nothing is fetched, no script. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#include "sim/table/chart.h"

#define WIDTH 900
#define LEFT  190
#define RIGHT 120
#define STEP  20

/* Widths are on a logarithmic scale for counts, since rules differ by factors of hundreds: 0 to
 * 100,000 in steps of ten. In whole thousandths, without libm. */
static double log_scale(int64_t value)
{
    double at = 0, v = (double)(value < 0 ? 0 : value) + 1;

    while (v >= 10 && at < 5) {
        v /= 10;
        at++;
    }
    return at >= 5 ? 1 : (at + (v - 1) / 9) / 5;
}

static double linear_scale(int64_t per_10000)
{
    return per_10000 < 0 ? 0 : (double)per_10000 / 10000;
}

static double scaled(enum gv_figure figure, int64_t value)
{
    return figure == GV_FIGURE_THROUGH || figure == GV_FIGURE_SPRAY ? linear_scale(value)
                                                                    : log_scale(value);
}

static void bar(FILE *out, size_t line, const char *label, enum gv_figure figure,
                struct gv_spread s)
{
    double room = WIDTH - LEFT - RIGHT;
    double y = (double)(line * STEP), end = LEFT + room * scaled(figure, s.median);
    char text[48];

    if (figure == GV_FIGURE_THROUGH || figure == GV_FIGURE_SPRAY)
        snprintf(text, sizeof text, "%.3f", (double)s.median / 10000);
    else
        snprintf(text, sizeof text, "%" PRId64, s.median);
    fprintf(
        out,
        "<text class=l x='%d' y='%.0f'>%s</text><rect x='%d' y='%.0f' width='%.1f' "
        "height='12'/><path d='M%.1f %.0fH%.1f'/><text x='%.1f' y='%.0f'>%s</text>\n",
        LEFT - 8, y + 13, label, LEFT, y + 3, end - LEFT, LEFT + room * scaled(figure, s.least),
        y + 9, LEFT + room * scaled(figure, s.most),
        (LEFT + room * scaled(figure, s.most) > end ? LEFT + room * scaled(figure, s.most) : end) +
            6,
        y + 13, text);
}

/* One bar a rule, of one attack. */
static void plot_rules(FILE *out, const struct gv_chart *table, const char *attack, uint32_t share,
                       enum gv_figure figure, const char *title)
{
    size_t lines = 0;

    for (size_t r = 0; r < gv_rule_count; r++)
        lines += gv_chart_find(table, gv_rules[r].name, attack, share) != NULL;
    if (lines == 0)
        return;
    fprintf(out, "<h2>%s</h2>\n<svg viewBox='0 0 %d %zu' role='img' aria-label='%s'>\n", title,
            WIDTH, lines * STEP + 4, title);
    lines = 0;
    for (size_t r = 0; r < gv_rule_count; r++) {
        const struct gv_cell *cell = gv_chart_find(table, gv_rules[r].name, attack, share);
        if (cell)
            bar(out, lines++, gv_rules[r].name, figure, gv_chart_spread(table, cell, figure));
    }
    fprintf(out, "</svg>\n");
}

/* One bar an attack, of our rule. */
static void plot_attacks(FILE *out, const struct gv_chart *table, enum gv_figure figure,
                         const char *title)
{
    size_t lines = 0;

    for (size_t i = 0; i < table->cell_count; i++)
        lines += strcmp(table->cells[i].rule->name, "grapevine") == 0;
    fprintf(out, "<h2>%s</h2>\n<svg viewBox='0 0 %d %zu' role='img' aria-label='%s'>\n", title,
            WIDTH, lines * STEP + 4, title);
    lines = 0;
    for (size_t i = 0; i < table->cell_count; i++) {
        const struct gv_cell *cell = &table->cells[i];
        char label[64];
        if (strcmp(cell->rule->name, "grapevine") != 0)
            continue;
        snprintf(label, sizeof label, "%s", cell->attack->name);
        if (cell->share_permille > 0)
            snprintf(label, sizeof label, "%s, %g%%", cell->attack->name,
                     cell->share_permille / 10.0);
        bar(out, lines++, label, figure, gv_chart_spread(table, cell, figure));
    }
    fprintf(out, "</svg>\n");
}

static void put_escaped(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '<' || *text == '>' || *text == '&')
            fprintf(out, "&#%d;", *text);
        else
            fputc(*text, out);
}

static void page(FILE *out, const struct gv_chart *table)
{
    const struct gv_chart_options *o = table->options;

    fprintf(out,
            "<!DOCTYPE html>\n<html lang='en'><meta charset='utf-8'><title>grapevine: the attack "
            "table</title>\n<style>body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;"
            "padding:0 1em}svg{width:100%%;height:auto;font:12px sans-serif}rect{fill:#4a7a9d}"
            "path{stroke:#222;stroke-width:2}.l{text-anchor:end}pre{overflow:auto;font-size:12px}"
            "@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}text{fill:#ddd}"
            "path{stroke:#fff}}</style>\n<h1>The attack table</h1>\n<p>%u honest nodes, %u days, "
            "the last %u scored, seeds %" PRIu64 " to %" PRIu64 "",
            o->nodes, o->days, o->days / 3, o->seed, o->last_seed);
    put_escaped(out, o->changed);
    fprintf(out, ". Bars are medians over the seeds, lines go from the least to the most. Counts "
                 "are on a logarithmic scale.</p>\n");
    plot_rules(out, table, "none", 0, GV_FIGURE_THROUGH,
               "Guesses that get through, of those without mesh and memory");
    plot_rules(out, table, "flood", 10, GV_FIGURE_REFUSED,
               "Legitimate logins refused: 1% of the owners hostile, flood");
    plot_rules(out, table, "flood", 500, GV_FIGURE_REFUSED,
               "Legitimate logins refused: half of the owners hostile, flood");
    plot_rules(out, table, "registry-aged", 0, GV_FIGURE_REFUSED,
               "Legitimate logins refused: 1,000 certificates, 30 days old");
    plot_attacks(out, table, GV_FIGURE_REFUSED, "The rule that ships: logins refused, by attack");
    plot_attacks(out, table, GV_FIGURE_LOCKOUTS,
                 "The rule that ships: users locked out by a typo, by attack");
}

int gv_chart_html(const struct gv_chart *table)
{
    const char *path = table->options->html_path;
    FILE *out = fopen(path, "w"), *text = tmpfile();
    char line[1024];
    int rc = 0;

    if (out && text) {
        page(out, table);
        gv_chart_text(text, table);
        rewind(text);
        fprintf(out, "<h2>All figures</h2>\n<pre>\n");
        while (fgets(line, sizeof line, text))
            put_escaped(out, line);
        fprintf(out, "</pre>\n</html>\n");
    }
    if (!out || !text || ferror(out)) {
        fprintf(stderr, "grapevine-sim: %s: %s\n", path, strerror(errno));
        rc = EX_CANTCREAT;
    }
    if (text)
        fclose(text);
    if (out && fclose(out) != 0)
        rc = EX_CANTCREAT;
    return rc;
}
