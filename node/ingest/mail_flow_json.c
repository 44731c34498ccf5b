#include "node/ingest/mail_flow_json.h"

#include "node/base/rfc3339.h"

json_t *gv_mail_flow_json(const struct gv_mail_flow *flow)
{
    json_t *object = json_object();
    struct gv_mail_queue queue;
    char oldest[GV_RFC3339_TEXT];
    int failed = 0;

    for (int i = 0; i < GV_MAIL_COUNT_MAX; i++) {
        enum gv_mail_count which = (enum gv_mail_count)i;
        failed |= json_object_set_new(object, gv_mail_count_name(which),
                                      json_integer((json_int_t)gv_mail_flow_count(flow, which)));
    }
    gv_mail_flow_queue(flow, &queue);
    gv_rfc3339(oldest, queue.oldest_ms);
    failed |= json_object_set_new(
        object, "queue",
        json_pack("{s:I, s:s?, s:I}", "messages", (json_int_t)queue.messages, "oldest",
                  queue.messages ? oldest : NULL, "forgotten", (json_int_t)queue.forgotten));
    if (!failed)
        return object;
    json_decref(object);
    return NULL;
}
