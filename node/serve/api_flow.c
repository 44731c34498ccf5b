/* Where this host's mail stands among its direct peers (SPEC 9.11): GET stats/peers. */
#include <stdio.h>

#include "crypto/error.h"
#include "node/serve/answer.h"
#include "node/serve/api_internal.h"
#include "node/serve/flow_share.h"

#define PEERS_MAX 1024 /* as many links as there can be */
#define PEERS_FEW 3    /* with fewer a place among them says nothing */

static json_t *flow_json(const struct gv_flow *flow)
{
    return flow->size == 0
               ? json_null()
               : json_pack("{s:i, s:i, s:i, s:i}", "size", flow->size, "bounced", flow->bounced,
                           "deferred", flow->deferred, "rejected", flow->rejected);
}

static uint8_t figure(const struct gv_flow *flow, unsigned which)
{
    return which == 0 ? flow->bounced : which == 1 ? flow->deferred : flow->rejected;
}

static json_t *standing(const struct gv_flow *mine, const struct gv_flow *peers, size_t count,
                        unsigned which)
{
    static const char *const names[][2] = {
        {"bounced", "bounce rate"}, {"deferred", "deferred"}, {"rejected", "rejected"}};
    size_t less = 0, more = 0;
    char text[120];

    for (size_t i = 0; i < count; i++) {
        less += figure(&peers[i], which) < figure(mine, which);
        more += figure(&peers[i], which) > figure(mine, which);
    }
    if (mine->size == 0 || count < PEERS_FEW)
        return json_pack("{s:s, s:o, s:n, s:n, s:n}", "name", names[which][0], "percent",
                         mine->size ? json_integer(figure(mine, which)) : json_null(),
                         "higher_than", "lower_than", "text");
    int higher = (int)(100 * less / count), lower = (int)(100 * more / count);
    if (higher == lower)
        snprintf(text, sizeof text, "%s %u%%: in the middle of the peers", names[which][1],
                 figure(mine, which));
    else
        snprintf(text, sizeof text, "%s %u%%: %s than %d%% of peers", names[which][1],
                 figure(mine, which), higher > lower ? "higher" : "lower",
                 higher > lower ? higher : lower);
    return json_pack("{s:s, s:i, s:i, s:i, s:s}", "name", names[which][0], "percent",
                     figure(mine, which), "higher_than", higher, "lower_than", lower, "text", text);
}

void gv_api_get_stats_peers(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_flow peers[PEERS_MAX], told, mine;
    size_t count = gv_core_flows(gv_driver_core(api->options.driver), &told, peers, PEERS_MAX);
    int rc = gv_flow_of_day(&mine, gv_driver_persist(api->options.driver), gv_unix_ms());

    if (rc != GV_OK) {
        gv_http_error(request, 503, "store", "the store cannot be read: %s", gv_strerror(rc));
        return;
    }
    json_t *figures = json_array();
    for (unsigned which = 0; which < 3; which++)
        json_array_append_new(figures, standing(&mine, peers, count, which));
    gv_answer_json(request, json_pack("{s:o, s:o, s:i, s:o}", "mine", flow_json(&mine), "told",
                                      flow_json(&told), "peers", (int)count, "figures", figures));
}
