/* Plots as SVG within a page: axes, lines, areas; nothing is fetched, no script. */
#ifndef GV_SIM_PLOT_H
#define GV_SIM_PLOT_H

#include <stddef.h>
#include <stdio.h>

struct gv_plot {
    const char *title, *x_name, *y_name;
    double x_most, y_most; /* both axes begin at 0; set by gv_plot_begin to the last tick */
    size_t names;          /* of the legend, so far */
};

/* In this order: begin, any of the others, end. Colours are the n-th of a fixed row. */
void gv_plot_begin(FILE *out, struct gv_plot *plot);
/* Between two lines of `count` points; low NULL: from the axis on. */
void gv_plot_area(FILE *out, const struct gv_plot *plot, const double *x, const double *low,
                  const double *high, size_t count, size_t colour);
void gv_plot_line(FILE *out, const struct gv_plot *plot, const double *x, const double *y,
                  size_t count, size_t colour);
/* A mark across the plot, if it lies within. */
void gv_plot_level(FILE *out, const struct gv_plot *plot, double y, const char *name);
/* What a colour stands for. */
void gv_plot_name(FILE *out, struct gv_plot *plot, size_t colour, const char *name);
void gv_plot_end(FILE *out);
/* As text of the page. */
void gv_plot_text(FILE *out, const char *text);

#endif
