/* What runs of the attack table gave, on disk, so that a table that takes an hour can be stopped
 * and gone on with: one file a seed, DIR/seed-N, to which each score is appended. */
#ifndef GV_SIM_TABLE_KEEP_H
#define GV_SIM_TABLE_KEEP_H

#include "sim/table/chart.h"

/* Opens the file of a seed, reads the scores it holds into the table, and says how many these are
 * (the base first, then the cells). *out is NULL, and *done 0, without options->keep_path. Returns
 * 0, EX_CANTCREAT, or EX_DATAERR for a file of another table or of another build of this program;
 * the reason is on standard error. */
int gv_keep_open(FILE **out, size_t *done, struct gv_chart *table, uint32_t seed);
/* Appends one; does nothing without a file. Returns 0 or EX_IOERR. */
int gv_keep_add(FILE *keep, const struct gv_score *score);

/* Where the n-th score of a seed belongs. */
struct gv_score *gv_chart_score(struct gv_chart *table, uint32_t seed, size_t n);

#endif
