/* Tells direct peers of this host's mail, as coarse figures (SPEC 9.11): makes them of the stored
 * hours and hands them to the core, which tells whom it should. */
#ifndef GV_SERVE_FLOW_SHARE_H
#define GV_SERVE_FLOW_SHARE_H

#include <stdbool.h>
#include <uv.h>

#include "node/base/statistics.h"
#include "node/host/driver.h"
#include "node/host/persist.h"
#include "proto/flow.h"

/* Of the sums of a day: size 0 where there is too little of it to be told. Pure. */
struct gv_flow gv_flow_of(const struct gv_statistics *day);
/* The last 24 whole hours. GV_OK, or why the store cannot be read. */
int gv_flow_of_day(struct gv_flow *out, struct gv_persist *persist, uint64_t unix_ms);

struct gv_flow_share;
/* GV_OK or GV_ERR_MEMORY. `driver` is borrowed until gv_flow_share_stop. */
int gv_flow_share_start(struct gv_flow_share **out, uv_loop_t *loop, struct gv_driver *driver,
                        bool on);
/* After a reload: at once. NULL is allowed, also below. */
void gv_flow_share_switch(struct gv_flow_share *share, bool on);
/* The loop must run on until its handle is closed. */
void gv_flow_share_stop(struct gv_flow_share *share);

#endif
