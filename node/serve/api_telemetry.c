/* What was sent, and to whom: from the store, and live. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/serve/answer.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"

/* ---- what there is -------------------------------------------------------------------------- */

/* An entry takes 50 us to read, verify and decode: so many hold the loop for 25 ms, and who wants
 * more asks for the page before. */
#define PAGE 500u

struct page {
    json_t *list;
    uint64_t first; /* the number of its oldest */
};

static void add_to_page(void *context, const struct gv_persist_sent *sent)
{
    struct page *page = context;

    if (page->first == 0)
        page->first = sent->number;
    json_array_append_new(page->list, gv_api_sent_json(sent));
}

bool gv_api_push_line(struct gv_http_request *request, json_t *json)
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
        gv_api_push_line(follower->request, gv_api_sent_json(sent));
}

struct gv_api_follower *gv_api_follow(struct gv_api *api, struct gv_http_request *request,
                                      bool alerts)
{
    struct gv_api_follower *follower = NULL;

    for (size_t i = 0; i < GV_API_FOLLOWERS_MAX && !follower; i++)
        if (!api->followers[i].request)
            follower = &api->followers[i];
    if (!follower) {
        gv_http_error(request, 503, "busy", "%d commands follow already; stop one of them",
                      GV_API_FOLLOWERS_MAX);
        return NULL;
    }
    follower->api = api;
    follower->request = request;
    follower->alerts = alerts;
    gv_http_on_closed(request, follower_gone, follower);
    gv_http_stream_begin(request, 200, "application/x-ndjson", "\n");
    return follower;
}

void gv_api_dismiss(struct gv_api *api)
{
    for (size_t i = 0; i < GV_API_FOLLOWERS_MAX; i++) {
        struct gv_http_request *request = api->followers[i].request;
        if (!request || !gv_http_peer(request)) /* on the control socket */
            continue;
        api->followers[i].request = NULL;
        gv_http_on_closed(request, NULL, NULL);
        gv_http_stream_end(request);
    }
    if (api->changes)
        gv_changes_dismiss(api->changes);
}

void gv_api_recorded(struct gv_api *api, const uint8_t id[GV_ID_LEN])
{
    struct gv_persist *persist = gv_driver_persist(api->options.driver);

    for (size_t i = 0; i < GV_API_FOLLOWERS_MAX; i++)
        if (api->followers[i].request && !api->followers[i].alerts)
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
        struct gv_api_follower *follower = gv_api_follow(api, request, false);
        if (follower)
            gv_persist_telemetry(gv_driver_persist(api->options.driver), query.since_ms,
                                 query.limit < PAGE ? query.limit : PAGE, push_to_follower,
                                 follower);
        return;
    }
    struct gv_subject subject;
    const char *about = gv_http_query(request, "addr"), *page = gv_http_query(request, "before");
    size_t before = INT64_MAX;
    if ((about && gv_api_subject(&subject, about, &error) != GV_OK) ||
        (page && gv_api_offset(&before, "before", page, &error) != GV_OK)) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    struct page found = {.list = json_array()};
    struct gv_persist *persist = gv_driver_persist(api->options.driver);
    size_t limit = query.limit < PAGE ? query.limit : PAGE;
    int rc = about ? gv_persist_sent_about(persist, &subject, limit, add_to_page, &found)
                   : gv_persist_telemetry_before(persist, query.since_ms, before, limit,
                                                 add_to_page, &found);
    if (rc != GV_OK) {
        json_decref(found.list);
        gv_http_error(request, 500, "store", "the store cannot be read: %s", gv_strerror(rc));
        return;
    }
    struct gv_driver_retention kept;
    gv_driver_retention(api->options.driver, &kept);
    json_t *answer = json_pack("{s:o, s:I}", "telemetry", found.list, "kept_s",
                               (json_int_t)(kept.telemetry_ms / 1000));
    if (answer && !about && query.limit > PAGE && json_array_size(found.list) == PAGE)
        json_object_set_new(answer, "next", json_integer((json_int_t)found.first));
    gv_answer_json(request, answer);
}
