/* What the node moved, by cause. */
#include "node/serve/api_json.h"

static json_t *cause_json(enum gv_cause cause, const struct gv_traffic_sum *hour,
                          const struct gv_traffic_sum *day, const struct gv_traffic_sum *total)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "cause", gv_cause_name(cause),
                     "what", gv_cause_text(cause), "hour_in", (json_int_t)hour->in[cause],
                     "hour_out", (json_int_t)hour->out[cause], "day_in", (json_int_t)day->in[cause],
                     "day_out", (json_int_t)day->out[cause], "total_in",
                     (json_int_t)total->in[cause], "total_out", (json_int_t)total->out[cause]);
}

json_t *gv_api_traffic_json(const struct gv_core *core)
{
    const struct gv_traffic *traffic = gv_core_traffic(core);
    struct gv_traffic_sum hour, day;
    json_t *causes = json_array(), *waited = json_object();

    gv_traffic_recent(traffic, &hour, GV_TRAFFIC_HOUR);
    gv_traffic_recent(traffic, &day, GV_TRAFFIC_SLOTS);
    for (int cause = 0; cause < GV_CAUSE_COUNT; cause++)
        json_array_append_new(causes,
                              cause_json((enum gv_cause)cause, &hour, &day, &traffic->total));
    for (int worth = GV_WORTH_OWN + 1; worth < GV_WORTH_COUNT; worth++)
        json_object_set_new(waited, gv_worth_name((enum gv_worth)worth),
                            json_integer((json_int_t)traffic->deferred[worth]));
    uint64_t now = gv_traffic_under_cap(&hour);
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o}", "cap_per_hour", (json_int_t)traffic->cap,
                     "hour", (json_int_t)now, "busiest_hour",
                     (json_int_t)(traffic->most > now ? traffic->most : now), "bucket",
                     (json_int_t)traffic->tokens, "waited", waited, "causes", causes);
}
