/* What a run is made of: one table of named values, of which come the command line, the scenario
 * file, their help, and the line that gives a run again. */
#ifndef GV_SIM_KNOBS_H
#define GV_SIM_KNOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/options.h"

struct gv_knob {
    const char *name;
    int letter;       /* of the short option; 0: none */
    const char *unit; /* as the help names the value; NULL: a switch, yes or no in a file */
    const char *text;
};

/* NULL behind the last. */
const struct gv_knob *gv_knob(size_t index);
/* GV_KNOB_NONE: there is none of this name. */
#define GV_KNOB_NONE SIZE_MAX
size_t gv_knob_find(const char *name);
/* Sets it from text (a switch: yes or no). False: not so, and why says what would be right. */
#define GV_KNOB_WHY 160
bool gv_knob_set(struct gv_sim_options *options, size_t index, const char *text,
                 char why[GV_KNOB_WHY]);
/* Whether it can be a number as one writes it: digits, a point, an exponent. */
bool gv_is_decimal(const char *text);
/* As it is, to the last digit. Returns false for one that nobody has to name: a switch that is off,
 * a number that is zero. */
#define GV_KNOB_TEXT 64
bool gv_knob_text(char out[GV_KNOB_TEXT], const struct gv_sim_options *options, size_t index);
/* Puts it back to what a run has without it. */
void gv_knob_clear(struct gv_sim_options *options, size_t index);
/* Whether the value must be said in any case: a run without it would be another one. */
bool gv_knob_is_basic(size_t index);

#endif
