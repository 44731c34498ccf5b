#include "node/host/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

struct gv_waiting {
    uv_timer_t timer;
    gv_waiting_ask ask;
    void *context;
    uint64_t until_ms; /* of the loop's clock; 0: does not wait */
};

static void on_answer(void *context, const struct gv_enroll_answer *answer)
{
    /* "waiting" and what passes by itself: on with it. A code that has expired, or was handed in
     * meanwhile, will not come back. */
    if (answer->error == GV_OK || strcmp(answer->word, "expired") == 0 ||
        strcmp(answer->word, "revoked") == 0 || strcmp(answer->word, "limit") == 0 ||
        strcmp(answer->word, "key-taken") == 0)
        gv_waiting_stop(context);
}

static void on_timer(uv_timer_t *timer)
{
    struct gv_waiting *waiting = timer->data;

    if (uv_now(timer->loop) >= waiting->until_ms) {
        gv_waiting_stop(waiting);
        return;
    }
    /* The admin may be handing the code in at this moment: then it is asked later. */
    (void)waiting->ask(waiting->context, on_answer, waiting);
}

int gv_waiting_new(struct gv_waiting **out, uv_loop_t *loop, gv_waiting_ask ask, void *context)
{
    struct gv_waiting *waiting = calloc(1, sizeof *waiting);

    *out = waiting;
    if (!waiting)
        return GV_ERR_MEMORY;
    waiting->ask = ask;
    waiting->context = context;
    uv_timer_init(loop, &waiting->timer);
    waiting->timer.data = waiting;
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void gv_waiting_free(struct gv_waiting *waiting)
{
    if (waiting)
        uv_close((uv_handle_t *)&waiting->timer, on_closed);
}

void gv_waiting_start(struct gv_waiting *waiting, uint32_t seconds)
{
    waiting->until_ms = uv_now(waiting->timer.loop) + 1000ULL * seconds;
    uv_timer_start(&waiting->timer, on_timer, 1000ULL * GV_WAITING_S, 1000ULL * GV_WAITING_S);
}

void gv_waiting_stop(struct gv_waiting *waiting)
{
    waiting->until_ms = 0;
    uv_timer_stop(&waiting->timer);
}
