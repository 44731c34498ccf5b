/* The stage of the stories about local history: one host, one clock, and mostly one address. */
#ifndef GV_TESTS_HELPER_HISTORY_H
#define GV_TESTS_HELPER_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/trust/history.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define START  (1790000000ull * SECOND)

#define ALICE 0xa11ce
#define BOB   0xb0b

extern const uint8_t stage_key[16];
extern struct gv_history *history;
extern uint64_t now;                                /* unix milliseconds */
extern struct gv_history_result last;               /* of what was seen last */
extern const struct gv_subject attacker, neighbour; /* of one network */

int history_up(void **state);
int history_down(void **state);
struct gv_observation failure(const struct gv_subject *subject);
void see(struct gv_observation o, bool untrusted);
void fails(const struct gv_subject *subject);
void fails_at(const struct gv_subject *subject, uint64_t account, uint64_t password);
void fails_unknown(const struct gv_subject *subject);
void logs_in(const struct gv_subject *subject, uint64_t account);
void after(uint64_t ms);
struct gv_action_facts facts_of(const struct gv_subject *subject);
struct gv_history_summary summary_of(const struct gv_subject *subject);
void becomes_clean(const struct gv_subject *subject);
struct gv_subject user(unsigned i);

#endif
