#include "node/serve/flow_share.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

#define AGAIN_MS 300000u /* an hour's row is whole soon after it */

struct gv_flow_share {
    uv_timer_t timer;
    struct gv_driver *driver;
    bool on;
};

/* ---- the figures ---------------------------------------------------------------------------- */

static uint8_t percent(int64_t part, int64_t whole)
{
    if (part <= 0 || whole <= 0)
        return 0;
    if (part >= whole)
        return GV_FLOW_PERCENT;
    return (uint8_t)((double)part / (double)whole * 100.0 + 0.5);
}

struct gv_flow gv_flow_of(const struct gv_statistics *day)
{
    const int64_t *c = day->counts;
    int64_t all = c[GV_MAIL_RECEIVED] + c[GV_MAIL_REJECTED] + c[GV_MAIL_DELIVERED];
    struct gv_flow flow = {0};

    for (; all >= 10 && flow.size < GV_FLOW_SIZE_MAX; all /= 10)
        flow.size++;
    if (flow.size < GV_FLOW_SIZE_MIN)
        return (struct gv_flow){0};
    int64_t gone = c[GV_MAIL_BOUNCED] + c[GV_MAIL_EXPIRED];
    flow.bounced = percent(c[GV_MAIL_BOUNCED], c[GV_MAIL_DELIVERED] + gone);
    flow.deferred = percent(c[GV_MAIL_DEFERRED], c[GV_MAIL_RECEIVED]);
    flow.rejected = percent(c[GV_MAIL_REJECTED], c[GV_MAIL_RECEIVED] + c[GV_MAIL_REJECTED]);
    return flow;
}

static void add(void *context, uint64_t minute, const struct gv_statistics *row)
{
    (void)minute;
    gv_statistics_add(context, row, UINT16_MAX);
}

int gv_flow_of_day(struct gv_flow *out, struct gv_persist *persist, uint64_t unix_ms)
{
    uint64_t hour = unix_ms / 3600000, from = hour > 24 ? hour - 24 : 0;
    struct gv_statistics day = {.watched = 0};

    *out = (struct gv_flow){0};
    int rc =
        gv_persist_read_statistics(persist, GV_STATISTICS_HOUR, from * 60, hour * 60, add, &day);
    if (rc == GV_OK)
        *out = gv_flow_of(&day);
    return rc;
}

/* ---- telling -------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct gv_flow_share *share = timer->data;
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = GV_COMMAND_FLOW}};

    if (share->on)
        (void)gv_flow_of_day(&event.command.flow, gv_driver_persist(share->driver), gv_unix_ms());
    (void)gv_driver_command(share->driver, &event);
}

int gv_flow_share_start(struct gv_flow_share **out, uv_loop_t *loop, struct gv_driver *driver,
                        bool on)
{
    struct gv_flow_share *share = calloc(1, sizeof *share);

    *out = share;
    if (!share)
        return GV_ERR_MEMORY;
    share->driver = driver;
    share->on = on;
    uv_timer_init(loop, &share->timer);
    share->timer.data = share;
    uv_timer_start(&share->timer, on_timer, 0, AGAIN_MS);
    uv_unref((uv_handle_t *)&share->timer);
    return GV_OK;
}

void gv_flow_share_switch(struct gv_flow_share *share, bool on)
{
    if (!share || share->on == on)
        return;
    share->on = on;
    on_timer(&share->timer);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void gv_flow_share_stop(struct gv_flow_share *share)
{
    if (share)
        uv_close((uv_handle_t *)&share->timer, on_closed);
}
