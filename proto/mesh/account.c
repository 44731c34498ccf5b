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
    case GV_MESSAGE_FLOW:
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

/* What one peer sends unasked in a minute beyond a share of the cap, or all strangers together, is
 * excess: it is not ours to hold back, and must not keep the news of others waiting. */
static bool is_strangers_excess(struct gv_core *core, uint64_t bytes)
{
    if (core->now_ms - core->strangers_ms >= GV_MINUTE_MS) {
        core->strangers_ms = core->now_ms;
        core->strangers_bytes = 0;
    }
    core->strangers_bytes += bytes;
    return core->strangers_bytes > gv_traffic_share(&core->traffic);
}

static bool is_excess(struct gv_core *core, struct gv_link *link, uint64_t bytes)
{
    if (!link->member)
        return is_strangers_excess(core, bytes);
    if (link->followed) /* the locks of hosts that we follow are welcome */
        return false;
    /* What he begins to compare is his doing, however often he does; records that were new come off
     * again, whoever asked for them. Where we began, most of it is ours. */
    link->spent.bytes += core->now_ms < link->asked_ms ? bytes / GV_ASKED_PART : bytes;
    return link->spent.bytes > gv_traffic_share(&core->traffic);
}

static void count(struct gv_core *core, struct gv_link *link, enum gv_cause cause, bool out,
                  uint64_t bytes)
{
    /* Of a stranger's connection the answers, too, are his doing. */
    bool imposed = link->member ? !out && cause != GV_CAUSE_JOIN : !link->outbound;

    if (imposed && is_excess(core, link, bytes))
        cause = GV_CAUSE_EXCESS;
    if (out && gv_traffic_saves_for(&core->traffic, cause))
        link->spent.hauled += bytes;
    gv_traffic_count(&core->traffic, cause, out, bytes);
}

void gv_account_connection(struct gv_core *core, struct gv_link *link)
{
    count(core, link, GV_CAUSE_SESSIONS, true, GV_CONNECTION_HEADERS);
    count(core, link, GV_CAUSE_SESSIONS, false, GV_CONNECTION_HEADERS);
}

static void count_stranger(struct gv_core *core, uint64_t in, uint64_t out)
{
    enum gv_cause cause = is_strangers_excess(core, in + out) ? GV_CAUSE_EXCESS : GV_CAUSE_SESSIONS;

    gv_traffic_count(&core->traffic, cause, false, in);
    gv_traffic_count(&core->traffic, cause, true, out);
}

void gv_account_call(struct gv_core *core)
{
    count_stranger(core, GV_CONNECTION_HEADERS, GV_CONNECTION_HEADERS);
}

void gv_account_challenge(struct gv_core *core, size_t in, size_t out)
{
    core->bytes_in += in;
    core->bytes_out += out;
    count_stranger(core, gv_traffic_wire(in), gv_traffic_wire(out));
}

/* What a step sends on a link goes in one go, and what came with one event came so: frames share
 * their segments. */
static uint64_t headers(const struct gv_core *core, struct gv_link *link, bool out, size_t bytes)
{
    if (link->going[out].step != core->step) {
        link->going[out].step = core->step;
        link->going[out].bytes = 0;
    }
    uint64_t before = gv_traffic_wire(link->going[out].bytes);
    link->going[out].bytes += bytes;
    return gv_traffic_wire(link->going[out].bytes) - before - bytes;
}

void gv_account_handshake(struct gv_core *core, struct gv_link *link, bool out, size_t bytes)
{
    count(core, link, GV_CAUSE_SESSIONS, out, bytes + headers(core, link, out, bytes));
}

void gv_account_frame(struct gv_core *core, struct gv_link *link, enum gv_cause cause, bool out,
                      size_t plain)
{
    const size_t own = 2 + GV_NOISE_TAG;

    count(core, link, cause, out, own + headers(core, link, out, plain + own));
}

void gv_account_message(struct gv_core *core, struct gv_link *link, enum gv_cause cause, bool out,
                        size_t bytes)
{
    count(core, link, cause, out, bytes);
}

void gv_account_exchange(struct gv_core *core, struct gv_link *link)
{
    link->exchange_ms = gv_core_after(core, GV_EXCHANGE_MS);
}

void gv_account_asked(struct gv_core *core, struct gv_link *link)
{
    gv_account_exchange(core, link);
    link->asked_ms = link->exchange_ms;
}

void gv_account_record(const struct gv_core *core, struct gv_link *link, size_t len, bool fresh)
{
    uint64_t worth = fresh ? len + 2 * GV_ID_LEN : 0;

    /* In an exchange that was begun here it was charged an eighth in the first place. */
    if (!fresh && core->now_ms < link->exchange_ms && core->now_ms >= link->asked_ms)
        worth = len - len / GV_ASKED_PART;
    link->spent.bytes -= worth < link->spent.bytes ? worth : link->spent.bytes;
    if (fresh)
        link->spent.hauled -= len < link->spent.hauled ? len : link->spent.hauled;
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
    uint64_t all = 0;
    bool flooded = false; /* by somebody who goes at the end of his minute */

    settle_joins(core);
    for (size_t i = 0; i < core->link_count; i++) {
        struct gv_link *link = core->links[i];
        uint64_t sent = link->bytes_in - link->bytes_before;
        link->bytes_before = link->bytes_in;
        if (!link->member || link->closing)
            continue;
        flooded = flooded || gv_account_is_flooding(core, link);
        all += sent;
    }
    /* Nobody in particular, but those who are there, all together. */
    if (!flooded && gv_traffic_overdrawn(&core->traffic) && all > gv_traffic_share(&core->traffic))
        gv_tree_deafen(core);
}

bool gv_account_is_flooding(const struct gv_core *core, const struct gv_link *link)
{
    return link->member && link->spent.bytes > GV_FLOOD_SHARES * gv_traffic_share(&core->traffic);
}
