#include "helper_http.h"

#include "crypto/error.h"

struct start {
    struct http_stage *stage;
    const struct gv_http_options *options;
};

static void start_it(void *context)
{
    const struct start *start = context;

    gv_assert(gv_http_start(&start->stage->server, &start->stage->thread.loop, start->options,
                            NULL) == GV_OK);
}

static void stop_it(void *context)
{
    const struct http_stage *stage = context;

    gv_http_stop(stage->server);
}

void http_stage_start(struct http_stage *stage, const struct gv_http_options *options)
{
    struct start start = {stage, options};

    loop_thread_start(&stage->thread);
    loop_thread_call(&stage->thread, start_it, &start);
}

void http_stage_stop(struct http_stage *stage)
{
    loop_thread_call(&stage->thread, stop_it, stage);
    loop_thread_stop(&stage->thread);
}
