/* How much memory a core holds, by the allocator's own count. In programs linked with
 * --wrap=malloc and its like (grapevine-sim, the simulator's tests) every allocation and release
 * that happens while an account is open is booked on it. */
#ifndef GV_SIM_ACCOUNT_H
#define GV_SIM_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this program counts at all. */
bool gv_account_counts(void);
/* Before the first core: its rarely used tables lie in pages of their own, so that those it never
 * touches cost nothing, as in a daemon. */
void gv_account_prepare(void);
/* Opens this account (NULL: none) and returns the one that was open. */
int64_t *gv_account_switch(int64_t *to);

#endif
