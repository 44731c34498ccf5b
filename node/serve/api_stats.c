/* The flow of mail, and what was odd in it: GET stats and GET alerts. Sums alone; no row names a
 * mailbox, an address or a message. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/serve/answer.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"
#include "node/serve/api_request.h"

#define DAY_MIN 1440u

/* ---- stats ---------------------------------------------------------------------------------- */

/* Lines alone tell nothing of the queue: only a minute that is over and was watched knows it. */
static void set_looked(json_t *object, const char *name, const struct gv_statistics *row,
                       uint64_t value)
{
    json_object_set_new(object, name, row->watched ? json_integer((json_int_t)value) : json_null());
}

static json_t *row_json(uint64_t minute, const struct gv_statistics *row)
{
    json_t *object = json_object();

    json_object_set_new(object, "at", gv_api_time(minute * 60000));
    json_object_set_new(object, "watched", json_integer(row->watched));
    for (unsigned i = 0; i < GV_STATISTICS_COUNT; i++)
        json_object_set_new(object, gv_statistics_name(i), json_integer(row->counts[i]));
    set_looked(object, "queue", row, row->queue);
    set_looked(object, "queue_max", row, row->queue_max);
    set_looked(object, "queue_age", row, row->queue_age_s);
    return object;
}

struct gathering {
    json_t *rows;
    uint64_t step; /* minutes */
    uint64_t start;
    bool open; /* `row` holds something */
    struct gv_statistics row, sum;
};

static void close_row(struct gathering *g)
{
    if (g->open)
        json_array_append_new(g->rows, row_json(g->start, &g->row));
    g->open = false;
}

static void gather(void *context, uint64_t minute, const struct gv_statistics *row)
{
    struct gathering *g = context;
    uint64_t start = minute - minute % g->step;

    if (g->open && start != g->start)
        close_row(g);
    if (!g->open)
        memset(&g->row, 0, sizeof g->row);
    g->open = true;
    g->start = start;
    gv_statistics_add(&g->row, row, (unsigned)g->step);
    gv_statistics_add(&g->sum, row, UINT16_MAX);
}

static uint64_t step_of(const char *by)
{
    return !by || strcmp(by, "hour") == 0 ? 60
           : strcmp(by, "minute") == 0    ? 1
           : strcmp(by, "day") == 0       ? DAY_MIN
                                          : 0;
}

static const char *state_name(const struct gv_api *api)
{
    static const char *const names[] = {"learning", "warming", "knowing"};

    return api->watch ? names[gv_flow_watch_state(api->watch, gv_unix_ms())] : "off";
}

/* The queue as it is now, as in status; null where no log tells of one. */
static json_t *queue_json(const struct gv_api *api)
{
    json_t *mail = api->options.mail ? api->options.mail(api->options.logs_context) : NULL;
    json_t *queue = mail ? json_incref(json_object_get(mail, "queue")) : NULL;

    json_decref(mail);
    return queue ? queue : json_null();
}

void gv_api_get_stats(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    const char *by = gv_http_query(request, "by"), *since = gv_http_query(request, "since");
    struct gv_api_telemetry_query query;
    struct gathering g = {.step = step_of(by)};
    struct gv_text error;
    uint64_t now = gv_unix_ms();

    if (g.step == 0) {
        gv_http_error(request, 400, "bad-request", "by must be minute, hour or day");
        return;
    }
    if (gv_api_telemetry_query(&query, now,
                               since         ? since
                               : g.step == 1 ? "2h"
                               : g.step > 60 ? "90d"
                                             : "48h",
                               NULL, NULL, &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    struct gv_driver_retention kept;
    gv_driver_retention(api->options.driver, &kept);
    uint64_t from = query.since_ms / 60000, oldest = now / 60000;
    oldest -= g.step == 1 ? GV_STATISTICS_MINUTES_KEPT : kept.statistics_ms / 60000;
    from = from > oldest ? from : oldest; /* before that is nothing */
    from -= from % g.step;
    g.rows = json_array();
    int rc = gv_persist_read_statistics(gv_driver_persist(api->options.driver),
                                        g.step == 1 ? GV_STATISTICS_MINUTE : GV_STATISTICS_HOUR,
                                        from, now / 60000 + 1, gather, &g);
    if (rc != GV_OK) {
        json_decref(g.rows);
        gv_http_error(request, 503, "store", "the store cannot be read: %s", gv_strerror(rc));
        return;
    }
    close_row(&g);
    json_t *sum = row_json(from, &g.sum);
    json_object_del(sum, "at");
    json_object_del(sum, "watched");
    gv_answer_json(request, json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o}", "by",
                                      g.step == 1    ? "minute"
                                      : g.step == 60 ? "hour"
                                                     : "day",
                                      "since", gv_api_time(from * 60000), "until",
                                      gv_api_time(now - now % 60000), "baseline", state_name(api),
                                      "rows", g.rows, "sum", sum, "queue", queue_json(api)));
}

/* ---- alerts --------------------------------------------------------------------------------- */

json_t *gv_api_alert_json(const struct gv_alert *alert)
{
    char text[160];

    gv_alert_text(text, sizeof text, alert);
    return json_pack("{s:I, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "number",
                     (json_int_t)alert->number, "series", gv_series_name(alert->series), "state",
                     alert->ended_ms ? "over" : "on", "text", text, "began",
                     gv_api_time(alert->began_ms), "ended", gv_api_time(alert->ended_ms), "value",
                     (json_int_t)alert->value, "usual", (json_int_t)alert->usual, "limit",
                     (json_int_t)alert->limit);
}

static void add_alert(void *context, const struct gv_alert *alert)
{
    json_array_append_new(context, gv_api_alert_json(alert));
}

void gv_api_alerted(struct gv_api *api, const struct gv_alert *alert)
{
    for (size_t i = 0; i < GV_API_FOLLOWERS_MAX; i++)
        if (api->followers[i].request && api->followers[i].alerts)
            gv_api_push_line(api->followers[i].request, gv_api_alert_json(alert));
}

void gv_api_get_alerts(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_api_telemetry_query query;
    struct gv_text error;

    if (gv_api_telemetry_query(&query, gv_unix_ms(), NULL, gv_http_query(request, "limit"),
                               gv_http_query(request, "follow"), &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    json_t *list = json_array();
    int rc =
        gv_persist_alerts(gv_driver_persist(api->options.driver), 0, query.limit, add_alert, list);
    if (rc != GV_OK) {
        json_decref(list);
        gv_http_error(request, 503, "store", "the store cannot be read: %s", gv_strerror(rc));
        return;
    }
    if (!query.follow) {
        gv_answer_json(request,
                       json_pack("{s:s, s:o}", "baseline", state_name(api), "alerts", list));
        return;
    }
    struct gv_api_follower *follower = gv_api_follow(api, request, true);
    for (size_t i = json_array_size(list); follower && follower->request && i > 0; i--)
        gv_api_push_line(follower->request, json_incref(json_array_get(list, i - 1)));
    json_decref(list);
}
