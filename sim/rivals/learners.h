/* Rivals that earn or lose standing by what they say (SPEC 20.3). Integers throughout: thousandths,
 * or 2^-20. */
#ifndef GV_SIM_RIVALS_LEARNERS_H
#define GV_SIM_RIVALS_LEARNERS_H

#include "sim/rivals/rule.h"

#define GV_RIVAL_FUNCTIONS(name)                                                                   \
    void *gv_##name##_open(const struct gv_rule *rule, const struct gv_ground *ground);            \
    void gv_##name##_close(void *state);                                                           \
    void gv_##name##_heard(void *state, const struct gv_word *said);                               \
    void gv_##name##_ask(void *state, struct gv_listing *out, const struct gv_asked *asked);       \
    void gv_##name##_day(void *state, uint32_t now_min);

GV_RIVAL_FUNCTIONS(beta)   /* Beta reputation: Josang and Ismail, 2002 */
GV_RIVAL_FUNCTIONS(eigen)  /* EigenTrust: Kamvar, Schlosser and Garcia-Molina, 2003 */
GV_RIVAL_FUNCTIONS(crowd)  /* after what CrowdSec publishes of its consensus */
GV_RIVAL_FUNCTIONS(credit) /* credit for the first true witness (tried for this project, dropped) */
GV_RIVAL_FUNCTIONS(record) /* who was right in one's own log (tried for this project, dropped) */
GV_RIVAL_FUNCTIONS(fides)  /* Fides: Forst, 2022, on SORT: Can and Bhargava, 2013 */
void gv_record_followed(void *state, const struct gv_asked *asked, bool success);
void gv_fides_followed(void *state, const struct gv_asked *asked, bool success);

#undef GV_RIVAL_FUNCTIONS

#endif
