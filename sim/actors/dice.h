/* Draws for the attack table, in integers: the same seed gives the same trace on every machine and
 * under every compiler (SPEC 20). One draw an expression: C does not say which of two comes first.
 */
#ifndef GV_SIM_ACTORS_DICE_H
#define GV_SIM_ACTORS_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct gv_dice {
    uint64_t state;
};

/* Streams of one seed do not depend on each other: what attackers draw changes no login. */
void gv_dice_seed(struct gv_dice *dice, uint64_t seed, uint64_t stream);
uint64_t gv_dice_next(struct gv_dice *dice);
uint32_t gv_dice_below(struct gv_dice *dice, uint32_t bound); /* 0 .. bound - 1; bound > 0 */
bool gv_dice_percent(struct gv_dice *dice, uint32_t percent);
bool gv_dice_permille(struct gv_dice *dice, uint32_t permille);
/* Exponential with this mean, rounded down. */
uint32_t gv_dice_exponential(struct gv_dice *dice, uint32_t mean);
/* Pareto with shape 1.1 and least value 1, rounded down, at most `cap`. */
uint32_t gv_dice_pareto(struct gv_dice *dice, uint32_t cap);
/* Moments of a Poisson process with `mean_milli` thousandths of an moment expected. */
uint32_t gv_dice_poisson(struct gv_dice *dice, uint32_t mean_milli);
/* How often in a row it comes up, from 1 to `most`, at `percent` for one more. */
uint32_t gv_dice_run(struct gv_dice *dice, uint32_t percent, uint32_t most);

/* The square root, rounded down. */
uint64_t gv_dice_root(uint64_t square);

#endif
