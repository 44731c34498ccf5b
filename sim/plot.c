#include "sim/plot.h"

#define WIDTH  900.0
#define HEIGHT 300.0
#define LEFT   70.0
#define RIGHT  170.0 /* the legend stands there */
#define TOP    10.0
#define BOTTOM 45.0
#define TICKS  5.0

static const char *const colours[] = {"#4e79a7", "#f28e2b", "#59a14f", "#b07aa1",
                                      "#e15759", "#9c755f", "#bab0ac", "#76b7b2"};
#define COLOURS (sizeof colours / sizeof *colours)

/* 1, 2 or 5 times a power of ten, so that at most so many ticks lie below `most`. */
static double tick_step(double most)
{
    double step = 1e-6;

    for (int i = 0; step * TICKS < most && i < 60; i++)
        step *= i % 3 == 1 ? 2.5 : 2;
    return step;
}

static double at_x(const struct gv_plot *plot, double x)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (x < plot->x_most ? x : plot->x_most) / plot->x_most;
}

static double at_y(const struct gv_plot *plot, double y)
{
    return HEIGHT - BOTTOM -
           (HEIGHT - TOP - BOTTOM) * (y < plot->y_most ? y : plot->y_most) / plot->y_most;
}

void gv_plot_text(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '<' || *text == '>' || *text == '&' || *text == '\'' || *text == '"')
            fprintf(out, "&#%d;", *text);
        else
            fputc(*text, out);
}

void gv_plot_begin(FILE *out, struct gv_plot *plot)
{
    double x_step = tick_step(plot->x_most), y_step = tick_step(plot->y_most);

    fputs("<h2>", out);
    gv_plot_text(out, plot->title);
    fprintf(out, "</h2>\n<svg viewBox='0 0 %.0f %.0f' role='img'>\n", WIDTH, HEIGHT);
    plot->x_most = plot->x_most > 0 ? plot->x_most : x_step;
    for (double y = 0;; y += y_step) {
        if (y >= plot->y_most - y_step / 1000) {
            plot->y_most = y > 0 ? y : y_step;
            break;
        }
    }
    for (double y = 0; y <= plot->y_most + y_step / 1000; y += y_step)
        fprintf(out,
                "<path class=g d='M%.1f %.1fH%.1f'/><text class=r x='%.1f' y='%.1f'>%g</text>\n",
                LEFT, at_y(plot, y), WIDTH - RIGHT, LEFT - 6, at_y(plot, y) + 4, y);
    for (double x = 0; x <= plot->x_most + x_step / 1000; x += x_step)
        fprintf(out,
                "<path class=g d='M%.1f %.1fV%.1f'/><text class=m x='%.1f' y='%.1f'>%g</text>\n",
                at_x(plot, x), TOP, HEIGHT - BOTTOM, at_x(plot, x), HEIGHT - BOTTOM + 16, x);
    fprintf(out, "<text class=m x='%.1f' y='%.1f'>", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8);
    gv_plot_text(out, plot->x_name);
    fprintf(out, "</text><text class=m transform='translate(14 %.1f) rotate(-90)'>",
            (HEIGHT - BOTTOM + TOP) / 2);
    gv_plot_text(out, plot->y_name);
    fputs("</text>\n", out);
}

static void points(FILE *out, const struct gv_plot *plot, const double *x, const double *y,
                   size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%.1f %.1f", i ? "L" : "M", at_x(plot, x[i]), at_y(plot, y[i]));
}

void gv_plot_area(FILE *out, const struct gv_plot *plot, const double *x, const double *low,
                  const double *high, size_t count, size_t colour)
{
    if (count == 0)
        return;
    fputs("<path d='", out);
    points(out, plot, x, high, count);
    for (size_t i = count; i-- > 0;)
        fprintf(out, "L%.1f %.1f", at_x(plot, x[i]), at_y(plot, low ? low[i] : 0));
    fprintf(out, "Z' fill='%s'/>\n", colours[colour % COLOURS]);
}

void gv_plot_line(FILE *out, const struct gv_plot *plot, const double *x, const double *y,
                  size_t count, size_t colour)
{
    if (count == 0)
        return;
    fputs("<path d='", out);
    points(out, plot, x, y, count);
    fprintf(out, "' fill='none' stroke='%s' stroke-width='2'/>\n", colours[colour % COLOURS]);
}

void gv_plot_level(FILE *out, const struct gv_plot *plot, double y, const char *name)
{
    if (y > plot->y_most)
        return;
    fprintf(out, "<path class=k d='M%.1f %.1fH%.1f'/><text class=k x='%.1f' y='%.1f'>", LEFT,
            at_y(plot, y), WIDTH - RIGHT, WIDTH - RIGHT + 6, at_y(plot, y) + 4);
    gv_plot_text(out, name);
    fputs("</text>\n", out);
}

void gv_plot_name(FILE *out, struct gv_plot *plot, size_t colour, const char *name)
{
    double y = HEIGHT - BOTTOM - 18 * (double)plot->names++;

    fprintf(out, "<rect x='%.1f' y='%.1f' width='12' height='12' fill='%s'/>", WIDTH - RIGHT + 20,
            y - 12, colours[colour % COLOURS]);
    fprintf(out, "<text x='%.1f' y='%.1f'>", WIDTH - RIGHT + 38, y - 2);
    gv_plot_text(out, name);
    fputs("</text>\n", out);
}

void gv_plot_end(FILE *out)
{
    fputs("</svg>\n", out);
}
