/* What it costs: each byte is counted once, with the headers below it, under why it moved (SPEC
 * 9.9). */
#include "proto/limits.h"
#include "proto/mesh/state.h"

enum gv_cause gv_account_cause(const struct gv_core *core, const struct gv_link *link,
                               uint8_t message, bool out)
{
    enum gv_cause asked = link->joined ? GV_CAUSE_REPAIR : GV_CAUSE_JOIN;

    switch (message) {
    case GV_MESSAGE_RECORDS:
        if (out ? core->answering : core->now_ms < link->exchange_ms)
            return asked;
        return GV_CAUSE_SPREAD;
    case GV_MESSAGE_ACK:
        return link->errand ? GV_CAUSE_WHISPER : GV_CAUSE_SPREAD;
    case GV_MESSAGE_FOLLOW:
    case GV_MESSAGE_LOCKS:
        return GV_CAUSE_SPREAD;
    case GV_MESSAGE_PRUNE:
    case GV_MESSAGE_OFFER:
    case GV_MESSAGE_GRAFT:
        return GV_CAUSE_TREES;
    case GV_MESSAGE_ERRAND:
    case GV_MESSAGE_WHISPER:
    case GV_MESSAGE_ASK:
        return GV_CAUSE_WHISPER;
    case GV_MESSAGE_WANT:
    case GV_MESSAGE_RECONCILE:
        return asked;
    default:
        return GV_CAUSE_SESSIONS;
    }
}

void gv_account_connection(struct gv_core *core)
{
    gv_traffic_count(&core->traffic, GV_CAUSE_SESSIONS, true, GV_CONNECTION_HEADERS);
    gv_traffic_count(&core->traffic, GV_CAUSE_SESSIONS, false, GV_CONNECTION_HEADERS);
}

void gv_account_handshake(struct gv_core *core, bool out, size_t bytes)
{
    gv_traffic_count(&core->traffic, GV_CAUSE_SESSIONS, out, gv_traffic_wire(bytes));
}

void gv_account_frame(struct gv_core *core, enum gv_cause cause, bool out, size_t plain)
{
    gv_traffic_count(&core->traffic, cause, out,
                     gv_traffic_wire(plain + 2 + GV_NOISE_TAG) - plain);
}

void gv_account_message(struct gv_core *core, enum gv_cause cause, bool out, size_t bytes)
{
    gv_traffic_count(&core->traffic, cause, out, bytes);
}

void gv_account_exchange(struct gv_core *core, struct gv_link *link)
{
    link->exchange_ms = gv_core_after(core, GV_EXCHANGE_MS);
}

/* Who joins gets what it needs, and no longer than that. */
static void settle_joins(struct gv_core *core)
{
    for (size_t i = 0; i < core->link_count; i++)
        if (core->links[i]->member && core->now_ms - core->links[i]->member_ms >= GV_JOIN_MS)
            core->links[i]->joined = true;
}

void gv_account_minute(struct gv_core *core)
{
    struct gv_link *most = NULL;
    uint64_t share = core->traffic.cap / 60;

    settle_joins(core);
    for (size_t i = 0; i < core->link_count; i++) {
        struct gv_link *link = core->links[i];
        uint64_t sent = link->bytes_in - link->bytes_before;
        link->bytes_before = link->bytes_in;
        if (link->member && link->joined && !link->closing && sent > share) {
            most = link;
            share = sent;
        }
    }
    if (!gv_traffic_overdrawn(&core->traffic))
        return;
    if (!most) { /* nobody in particular: all of them together */
        gv_tree_deafen(core);
        return;
    }
    /* Told "no room" and not "invalid": it broke no rule. */
    gv_door_ban(core, most->instance);
    gv_link_close(core, most, GV_GOODBYE_BUSY);
}
