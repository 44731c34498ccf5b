/* What was sent, and to whom: from the store, and live. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/serve/answer.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"

/* ---- what there is -------------------------------------------------------------------------- */

static void add_to_list(void *context, const struct gv_persist_sent *sent)
{
    json_array_append_new(context, gv_api_sent_json(sent));
}

/* Pushes one line. */
static bool push_line(struct gv_http_request *request, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    size_t len = text ? strlen(text) : 0;
    bool going = true;

    if (text) {
        text[len] =
            '\n'; /* in place of the zero: jansson's buffer ends there, push takes a length */
        going = gv_http_stream_push(request, text, len + 1);
    }
    free(text);
    json_decref(json);
    return going;
}

/* ---- who follows ---------------------------------------------------------------------------- */

static void follower_gone(void *context)
{
    struct gv_api_follower *follower = context;

    follower->request = NULL;
}

static void push_to_follower(void *context, const struct gv_persist_sent *sent)
{
    struct gv_api_follower *follower = context;

    if (follower->request)
        push_line(follower->request, gv_api_sent_json(sent));
}

static void follow(struct gv_api *api, struct gv_http_request *request,
                   const struct gv_api_telemetry_query *query)
{
    struct gv_api_follower *follower = NULL;

    for (size_t i = 0; i < GV_API_FOLLOWERS_MAX && !follower; i++)
        if (!api->followers[i].request)
            follower = &api->followers[i];
    if (!follower) {
        gv_http_error(request, 503, "busy", "%d commands follow already; stop one of them",
                      GV_API_FOLLOWERS_MAX);
        return;
    }
    follower->api = api;
    follower->request = request;
    gv_http_on_closed(request, follower_gone, follower);
    gv_http_stream_begin(request, 200, "application/x-ndjson", "\n");
    gv_persist_telemetry(gv_driver_persist(api->options.driver), query->since_ms, query->limit,
                         push_to_follower, follower);
}

void gv_api_recorded(struct gv_api *api, const uint8_t id[GV_ID_LEN])
{
    struct gv_persist *persist = gv_driver_persist(api->options.driver);

    for (size_t i = 0; i < GV_API_FOLLOWERS_MAX; i++)
        if (api->followers[i].request)
            gv_persist_one_sent(persist, id, push_to_follower, &api->followers[i]);
}

void gv_api_get_telemetry(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_api_telemetry_query query;
    struct gv_text error;

    if (gv_api_telemetry_query(&query, gv_unix_ms(), gv_http_query(request, "since"),
                               gv_http_query(request, "limit"), gv_http_query(request, "follow"),
                               &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    if (query.follow) {
        follow(api, request, &query);
        return;
    }
    json_t *list = json_array();
    int rc = gv_persist_telemetry(gv_driver_persist(api->options.driver), query.since_ms,
                                  query.limit, add_to_list, list);
    if (rc != GV_OK) {
        json_decref(list);
        gv_http_error(request, 500, "store", "the store cannot be read: %s", gv_strerror(rc));
        return;
    }
    gv_answer_json(request, json_pack("{s:o}", "telemetry", list));
}
