#include "node/serve/flow_watch.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/host/driver.h"

#define GRACE_MS 5000u /* lines of a minute may be read a little later */

struct gv_flow_watch {
    struct gv_flow_watch_options options;
    uv_timer_t timer;
    struct gv_anomaly *anomaly;
    struct gv_alert open[GV_SERIES_COUNT]; /* number 0: none */
    uint64_t last;                         /* the minute that was dealt with last */
    uint64_t learnt;                       /* hours before this one */
};

/* ---- learning ------------------------------------------------------------------------------- */

static void learn(void *context, uint64_t minute, const struct gv_statistics *row)
{
    struct gv_flow_watch *watch = context;
    struct gv_anomaly_hour sample = {.watched = row->watched};

    memcpy(sample.value, row->peaks, sizeof sample.value);
    sample.value[GV_SERIES_ACTIVITY] = gv_statistics_series(row, GV_SERIES_ACTIVITY);
    gv_anomaly_learn(watch->anomaly, minute / 60, &sample);
}

/* The hours that are over, and were not learnt yet. */
static void learn_hours(struct gv_flow_watch *watch, uint64_t hour)
{
    uint64_t from = hour > GV_ANOMALY_HOURS ? hour - GV_ANOMALY_HOURS + 1 : 0;

    if (watch->learnt == hour)
        return;
    /* A clock that was ahead has come back: its hours took the places of true ones. */
    if (watch->learnt > from && watch->learnt < hour)
        from = watch->learnt;
    if (gv_persist_read_statistics(watch->options.persist, GV_STATISTICS_HOUR, from * 60, hour * 60,
                                   learn, watch) == GV_OK)
        watch->learnt = hour;
}

enum gv_anomaly_state gv_flow_watch_state(const struct gv_flow_watch *watch, uint64_t unix_ms)
{
    return gv_anomaly_state(watch->anomaly, unix_ms / 3600000);
}

/* ---- alerts --------------------------------------------------------------------------------- */

static void resume(void *context, const struct gv_alert *alert)
{
    struct gv_flow_watch *watch = context;

    if (alert->ended_ms != 0 || watch->open[alert->series].number != 0)
        return;
    watch->open[alert->series] = *alert;
    gv_anomaly_resume(watch->anomaly, alert->series, alert->value, alert->usual, alert->limit);
}

static void change(struct gv_flow_watch *watch, const struct gv_anomaly_change *c, uint64_t unix_ms)
{
    struct gv_alert *alert = &watch->open[c->series];
    char text[160];

    if (c->begins)
        *alert = (struct gv_alert){.series = c->series, .began_ms = unix_ms};
    else
        alert->ended_ms = unix_ms;
    alert->value = c->value;
    alert->usual = c->usual;
    alert->limit = c->limit;
    int rc = gv_persist_alert(watch->options.persist, alert);
    gv_alert_text(text, sizeof text, alert);
    if (c->begins)
        gv_log(GV_LOG_WARNING, "alert: %s", text);
    else
        gv_log(GV_LOG_NOTICE, "alert is over: %s", text);
    if (rc != GV_OK)
        gv_log(GV_LOG_WARNING, "the alert could not be stored: %s", gv_strerror(rc));
    if (watch->options.alerted)
        watch->options.alerted(watch->options.context, alert);
    if (!c->begins)
        memset(alert, 0, sizeof *alert);
}

/* ---- a minute ------------------------------------------------------------------------------- */

struct window {
    uint64_t first;
    uint32_t of[GV_SERIES_COUNT][5];
};

static void look(void *context, uint64_t minute, const struct gv_statistics *row)
{
    struct window *window = context;

    for (size_t s = 0; s < GV_SERIES_COUNT; s++)
        window->of[s][minute - window->first] = gv_statistics_series(row, (enum gv_series)s);
}

void gv_flow_watch_minute(struct gv_flow_watch *watch, uint64_t unix_ms)
{
    uint64_t minute = (unix_ms - GRACE_MS) / 60000 - 1, oldest_ms = 0;
    struct window window = {.first = minute - 4};
    struct gv_statistics noted = {.watched = 1};
    struct gv_anomaly_change changes[GV_SERIES_COUNT];
    uint32_t values[GV_SERIES_COUNT];

    if (minute == watch->last ||
        !watch->options.queue(watch->options.context, &noted.queue, &oldest_ms))
        return;
    watch->last = minute;
    noted.queue_max = noted.queue;
    if (oldest_ms > 0 && oldest_ms < unix_ms)
        noted.queue_age_s = (unix_ms - oldest_ms) / 1000;
    if (gv_persist_read_statistics(watch->options.persist, GV_STATISTICS_MINUTE, window.first,
                                   minute + 1, look, &window) != GV_OK)
        return; /* the driver says why */
    for (size_t s = 0; s < GV_SERIES_COUNT; s++)
        values[s] = gv_anomaly_rate((enum gv_series)s, window.of[s]);
    values[GV_SERIES_QUEUE] = noted.queue < UINT32_MAX ? (uint32_t)noted.queue : UINT32_MAX;
    values[GV_SERIES_ACTIVITY] = window.of[GV_SERIES_ACTIVITY][4];
    memcpy(noted.peaks, values, sizeof values);
    noted.peaks[GV_SERIES_ACTIVITY] = 0; /* the hour's sum says it */
    (void)gv_persist_statistics(watch->options.persist, minute, &noted);
    learn_hours(watch, minute / 60);
    size_t n = gv_anomaly_minute(watch->anomaly, changes, minute, values);
    for (size_t i = 0; i < n; i++)
        change(watch, &changes[i], unix_ms);
}

static void on_timer(uv_timer_t *timer);

static void arm(struct gv_flow_watch *watch)
{
    uint64_t within = (gv_unix_ms() - GRACE_MS) % 60000;

    uv_timer_start(&watch->timer, on_timer, 60000 - within, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct gv_flow_watch *watch = timer->data;

    gv_flow_watch_minute(watch, gv_unix_ms());
    arm(watch);
}

/* ---- life ----------------------------------------------------------------------------------- */

int gv_flow_watch_start(struct gv_flow_watch **out, const struct gv_flow_watch_options *options)
{
    struct gv_flow_watch *watch = calloc(1, sizeof *watch);

    *out = NULL;
    if (!watch || !(watch->anomaly = gv_anomaly_new())) {
        free(watch);
        return GV_ERR_MEMORY;
    }
    watch->options = *options;
    (void)gv_persist_alerts(options->persist, 0, GV_ALERTS_MAX, resume, watch);
    learn_hours(watch, gv_unix_ms() / 3600000); /* who asks at once is told what it knows */
    uv_timer_init(options->loop, &watch->timer);
    watch->timer.data = watch;
    arm(watch);
    uv_unref((uv_handle_t *)&watch->timer);
    *out = watch;
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_flow_watch *watch = handle->data;

    gv_anomaly_free(watch->anomaly);
    free(watch);
}

void gv_flow_watch_stop(struct gv_flow_watch *watch)
{
    if (watch)
        uv_close((uv_handle_t *)&watch->timer, on_closed);
}
