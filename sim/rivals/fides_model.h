/* The trust model of Fides (Forst, 2022): service trust after SORT, aggregation of what peers say,
 * and how a peer's answer is judged; in fixed point. Written from its published description. The
 * window of the last 100 interactions is an exponential one here, of the same length. */
#ifndef GV_SIM_RIVALS_FIDES_MODEL_H
#define GV_SIM_RIVALS_FIDES_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define GV_FIDES_ONE     65536 /* 1.0 */
#define GV_FIDES_HISTORY 100u

struct gv_fides_peer {
    uint32_t count;        /* interactions, at most GV_FIDES_HISTORY */
    uint32_t sum, squares; /* of satisfactions, and of their squares */
};
void gv_fides_add(struct gv_fides_peer *peer, uint32_t satisfaction);
/* Service trust, 0 to GV_FIDES_ONE: own experience in so far as there is any, else reputation. */
uint32_t gv_fides_trust(const struct gv_fides_peer *peer, uint32_t reputation);

/* What one peer says of a target: score -1 (bad) to 1 (good), confidence 0 to 1. */
struct gv_fides_word {
    int32_t score;
    uint32_t confidence, trust;
};
/* Trust-weighted mean of the scores; confidence is the mean of trust times confidence. */
void gv_fides_aggregate(struct gv_fides_word *out, const struct gv_fides_word *words, size_t count);
/* How satisfied one is with a word, by its distance from a base line. */
uint32_t gv_fides_distance(const struct gv_fides_word *word, const struct gv_fides_word *base);

#endif
