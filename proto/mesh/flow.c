/* The flow of mail at peers (SPEC 9.11): told to those who speak version 2, once an hour, and kept
 * with the link alone. Nothing here passes on what it hears, and nothing judges by it. */
#include "proto/limits.h"
#include "proto/mesh/state.h"

static bool may_tell(const struct gv_core *core, const struct gv_link *link)
{
    return core->flow.size >= GV_FLOW_SIZE_MIN && link->greeted && link->version >= 2 &&
           !link->feeler && gv_link_is_peer(link);
}

uint64_t gv_flow_deadline(const struct gv_core *core, const struct gv_link *link)
{
    return may_tell(core, link) ? link->flow_due_ms : UINT64_MAX;
}

void gv_flow_tick(struct gv_core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        struct gv_link *link = core->links[i];
        if (!may_tell(core, link) || link->flow_due_ms > core->now_ms)
            continue;
        link->flow_due_ms = gv_core_after(core, GV_FLOW_TELL_MS);
        gv_buf_clear(&core->scratch);
        gv_message_flow(&core->scratch, &core->flow);
        gv_link_post(core, link, &core->scratch, false);
    }
}

void gv_flow_heard(struct gv_core *core, struct gv_link *link)
{
    link->flow = core->message.flow;
    link->flow_heard_ms = core->now_ms;
}

bool gv_flow_counts(const struct gv_core *core, const struct gv_link *link)
{
    return link->member && link->flow.size >= GV_FLOW_SIZE_MIN &&
           core->now_ms - link->flow_heard_ms < GV_FLOW_KEPT_MS;
}
