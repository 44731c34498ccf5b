#include "node/serve/slices.h"

static void on_idle(uv_idle_t *idle);

void gv_slices_init(struct gv_slices *slices, uv_loop_t *loop, bool (*some)(void *context),
                    void *context)
{
    slices->context = context;
    slices->some = some;
    uv_idle_init(loop, &slices->idle);
    slices->idle.data = slices;
    uv_unref((uv_handle_t *)&slices->idle);
}

static void on_idle(uv_idle_t *idle)
{
    struct gv_slices *slices = idle->data;
    uint64_t start = uv_hrtime();

    do {
        if (!slices->some(slices->context)) {
            uv_idle_stop(idle);
            return;
        }
    } while (uv_hrtime() - start < GV_SLICE_NS);
}

void gv_slices_begin(struct gv_slices *slices)
{
    uv_idle_start(&slices->idle, on_idle);
}

bool gv_slices_busy(const struct gv_slices *slices)
{
    return uv_is_active((const uv_handle_t *)&slices->idle);
}

void gv_slices_finish(struct gv_slices *slices)
{
    if (!gv_slices_busy(slices))
        return;
    while (slices->some(slices->context))
        ;
    uv_idle_stop(&slices->idle);
}

void gv_slices_close(struct gv_slices *slices, uv_close_cb closed)
{
    slices->idle.data = slices->context;
    uv_close((uv_handle_t *)&slices->idle, closed);
}
