/* The attack table: every rule under every attack, over several seeds (SPEC 20). */
#ifndef GV_SIM_TABLE_CHART_H
#define GV_SIM_TABLE_CHART_H

#include <stdio.h>

#include "sim/table/play.h"

struct gv_chart_options {
    bool quick;
    uint32_t nodes, days;
    uint64_t seed, last_seed;
    uint32_t jobs;         /* seeds at a time */
    const char *json_path; /* "-": standard output; NULL: none */
    const char *html_path;
    const char *keep_path;       /* a directory; NULL: none */
    const char *rules, *attacks; /* only these, with commas between; NULL: all */
    struct gv_scene_numbers numbers;
    char changed[512]; /* --set options, as they were given */
};

/* Parses what follows `grapevine-sim attack-table`; on a wrong option prints what would be right
 * and ends with EX_USAGE. */
void gv_chart_options_parse(struct gv_chart_options *out, int argc, char **argv);

/* One attack at one hostile share under one rule. */
struct gv_cell {
    const struct gv_attack *attack;
    const struct gv_rule *rule;
    uint32_t share_permille;
    struct gv_score *scores; /* borrowed from the table; one a seed */
};

/* A figure over the seeds. */
struct gv_spread {
    int64_t least, median, most;
};

enum gv_figure {
    GV_FIGURE_THROUGH, /* per 10,000 guesses without mesh and memory */
    GV_FIGURE_SPRAY,   /* likewise of spraying addresses */
    GV_FIGURE_GUARDED, /* likewise of the attacker's own machines */
    GV_FIGURE_REFUSED, /* legitimate logins refused, not by a lock here */
    GV_FIGURE_SHARED,  /* likewise from addresses that an attacker has or had */
    GV_FIGURE_CLEAN,   /* likewise of users with clean history */
    GV_FIGURE_LOCKED,  /* refused because this host had locked the address */
    GV_FIGURE_LOCKOUTS /* users locked out by one typo, more than by the local log alone */
};

struct gv_chart {
    const struct gv_chart_options *options;
    struct gv_cell *cells; /* owned */
    size_t cell_count;
    struct gv_score *scores; /* owned */
    struct gv_score *base;   /* owned: the local log alone, nobody lies; one a seed */
    uint32_t seeds;
    uint64_t hash; /* of all scores: the same on every machine */
};

/* Runs everything; tells how far it is on standard error. Returns 0 or an exit status. */
int gv_chart_open(struct gv_chart *out, const struct gv_chart_options *options);
void gv_chart_close(struct gv_chart *table);

struct gv_spread gv_chart_spread(const struct gv_chart *table, const struct gv_cell *cell,
                                 enum gv_figure figure);
/* The cell in which this rule suffers most by this figure's median; NULL: it never does. */
const struct gv_cell *gv_chart_worst(const struct gv_chart *table, const char *rule,
                                     enum gv_figure figure);
const struct gv_cell *gv_chart_find(const struct gv_chart *table, const char *rule,
                                    const char *attack, uint32_t share_permille);

/* Which cells a table has (cells.c). */
void gv_chart_cells(struct gv_chart *table);

/* The three forms. Each returns 0, or EX_CANTCREAT with its reason on standard error. */
void gv_chart_text(FILE *out, const struct gv_chart *table);
int gv_chart_json(const struct gv_chart *table);
int gv_chart_html(const struct gv_chart *table);

/* grapevine-sim attack-table: argv[0] is "attack-table". Returns the exit status. */
int gv_chart_main(int argc, char **argv);

#endif
