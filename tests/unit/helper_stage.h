/* The stage that tests of peers play on: one network, a host whose core is tried, another host that
 * knows of it, and three puppets with certificates of the network. One stage a test program. */
#ifndef GV_TESTS_HELPER_STAGE_H
#define GV_TESTS_HELPER_STAGE_H

#include "helper_puppet.h"

extern struct network network;
extern struct host host, far;              /* numbers 1 and 4; they are not connected */
extern struct puppet puppet, other, third; /* numbers 2, 3 and 5 */

/* Setups and a teardown for cmocka: a public network or a lab, nobody connected. */
int stage_up(void **state);
int lab_up(void **state);
int stage_down(void **state);

/* The same, and puppet and other have joined the host; the third never does by itself. */
int joined_up(void **state);
int joined_lab_up(void **state);

/* Down, and up again with both joined. */
void stage_again(bool lab);

/* The sessions' first repair is behind them: what the two hear from now on was not asked for. */
void stage_settle(void);

/* What puppet has said cost it the session; or cost it nothing. */
void assert_offence(const char *what);
void assert_no_offence(const char *what);

#endif
