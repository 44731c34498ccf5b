/* Work that would hold the loop for too long is done a quarter of a millisecond a turn, so that who
 * asks meanwhile waits no longer than that. */
#ifndef GV_NODE_SERVE_SLICES_H
#define GV_NODE_SERVE_SLICES_H

#include <stdbool.h>
#include <uv.h>

#define GV_SLICE_NS 250000u

struct gv_slices {
    uv_idle_t idle;
    void *context;
    bool (*some)(void *context); /* a few microseconds' worth of it. False: there is nothing more */
};

void gv_slices_init(struct gv_slices *slices, uv_loop_t *loop, bool (*some)(void *context),
                    void *context);
/* There is something to do, from the next turn of the loop on. */
void gv_slices_begin(struct gv_slices *slices);
bool gv_slices_busy(const struct gv_slices *slices);
/* All that is left, now. */
void gv_slices_finish(struct gv_slices *slices);
/* `closed` is given slices->idle, whose data is the context. */
void gv_slices_close(struct gv_slices *slices, uv_close_cb closed);

#endif
