/* After a code was asked for: asks the registry now and then whether somebody has confirmed behind
 * the link in the mail, so that nobody needs to come back with the code. */
#ifndef GV_NODE_HOST_WAITING_H
#define GV_NODE_HOST_WAITING_H

#include <stdint.h>
#include <uv.h>

#include "node/host/enroll.h"

#define GV_WAITING_S 15u /* between two questions */

struct gv_waiting;

/* `ask` is gv_membership_confirm with an empty code, or the like: GV_OK and `done` later. */
typedef int (*gv_waiting_ask)(void *context, gv_enroll_done done, void *done_context);

/* GV_OK or GV_ERR_MEMORY. */
int gv_waiting_new(struct gv_waiting **out, uv_loop_t *loop, gv_waiting_ask ask, void *context);
/* The loop must run on until its handle is closed. NULL is allowed. */
void gv_waiting_free(struct gv_waiting *waiting);
/* For so long, from now on. */
void gv_waiting_start(struct gv_waiting *waiting, uint32_t seconds);
void gv_waiting_stop(struct gv_waiting *waiting);

#endif
