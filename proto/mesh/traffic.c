#include "proto/mesh/traffic.h"

#include <string.h>

#include "proto/limits.h"

#define HOUR_MS 3600000u

static const struct {
    const char *name, *text;
} causes[] = {
#define GV_CAUSE_ROW(id, name, text) {name, text},
    GV_CAUSE_MAP(GV_CAUSE_ROW)
#undef GV_CAUSE_ROW
};

static const char *const worths[] = {
#define GV_WORTH_ROW(id, name, text) name,
    GV_WORTH_MAP(GV_WORTH_ROW)
#undef GV_WORTH_ROW
};

const char *gv_cause_name(enum gv_cause cause)
{
    return causes[cause].name;
}

const char *gv_cause_text(enum gv_cause cause)
{
    return causes[cause].text;
}

const char *gv_worth_name(enum gv_worth worth)
{
    return worths[worth];
}

void gv_traffic_init(struct gv_traffic *traffic, uint64_t cap, uint64_t now_ms)
{
    memset(traffic, 0, sizeof *traffic);
    traffic->cap = cap;
    /* A full bucket and an hour's flow are under the cap together, whichever hour is looked at. */
    traffic->depth = (int64_t)(cap / 100 * GV_TRAFFIC_DEPTH_PERCENT);
    traffic->per_hour = cap / 100 * GV_TRAFFIC_FLOW_PERCENT;
    traffic->tokens = traffic->depth;
    traffic->saved_depth = (int64_t)(cap / 100 * GV_SAVED_PERCENT);
    traffic->reserve_depth = (int64_t)(cap / 100 * GV_RESERVE_DEPTH_PERCENT);
    traffic->reserve_per_hour = cap / 100 * GV_RESERVE_FLOW_PERCENT;
    traffic->reserve = traffic->reserve_depth;
    traffic->filled_ms = now_ms;
    traffic->slot = now_ms / GV_TRAFFIC_SLOT_MS;
}

static bool is_outside_cap(enum gv_cause cause)
{
    return cause == GV_CAUSE_JOIN || cause == GV_CAUSE_EXCESS;
}

uint64_t gv_traffic_share(const struct gv_traffic *traffic)
{
    return traffic->cap / 60;
}

static void note_most(struct gv_traffic *traffic)
{
    struct gv_traffic_sum hour;

    gv_traffic_recent(traffic, &hour, GV_TRAFFIC_HOUR);
    uint64_t moved = gv_traffic_under_cap(&hour);
    traffic->most = moved > traffic->most ? moved : traffic->most;
}

static void turn_slots(struct gv_traffic *traffic, uint64_t now_ms)
{
    uint64_t slot = now_ms / GV_TRAFFIC_SLOT_MS;

    if (slot == traffic->slot)
        return;
    note_most(traffic);
    for (uint64_t i = 0; i < GV_TRAFFIC_SLOTS && traffic->slot < slot; i++)
        memset(&traffic->slots[++traffic->slot % GV_TRAFFIC_SLOTS], 0, sizeof *traffic->slots);
    traffic->slot = slot;
}

/* Returns what found no room. */
static int64_t fill(int64_t *tokens, int64_t depth, uint64_t per_hour, uint64_t *rest,
                    uint64_t passed)
{
    uint64_t flow = passed * per_hour + *rest;
    int64_t over;

    *rest = flow % HOUR_MS;
    *tokens += (int64_t)(flow / HOUR_MS);
    if (*tokens <= depth)
        return 0;
    over = *tokens - depth;
    *tokens = depth;
    return over;
}

/* Of the last 60 to 70 minutes: no hour in them had more. */
static uint64_t moved_lately(const struct gv_traffic *traffic)
{
    struct gv_traffic_sum sum;

    gv_traffic_recent(traffic, &sum, GV_TRAFFIC_HOUR + 1);
    return gv_traffic_under_cap(&sum);
}

/* What the savings gave comes off what the bucket may pour out before the hour is over. */
static void close_hour(struct gv_traffic *traffic)
{
    uint64_t most = traffic->cap / 100 * (GV_TRAFFIC_DEPTH_PERCENT + GV_TRAFFIC_FLOW_PERCENT);

    if (traffic->filled_ms < traffic->spent_until_ms && traffic->tokens > 0 &&
        moved_lately(traffic) >= most)
        traffic->tokens = 0;
}

void gv_traffic_tick(struct gv_traffic *traffic, uint64_t now_ms)
{
    uint64_t passed = now_ms - traffic->filled_ms;

    turn_slots(traffic, now_ms);
    traffic->filled_ms = now_ms;
    if (passed > 2 * (uint64_t)HOUR_MS) /* more than any debt, and no product overflows */
        passed = 2 * (uint64_t)HOUR_MS;
    traffic->saved +=
        fill(&traffic->tokens, traffic->depth, traffic->per_hour, &traffic->rest, passed);
    if (traffic->saved > traffic->saved_depth)
        traffic->saved = traffic->saved_depth;
    close_hour(traffic);
    fill(&traffic->reserve, traffic->reserve_depth, traffic->reserve_per_hour,
         &traffic->reserve_rest, passed);
}

static void add(uint32_t *count, uint64_t bytes)
{
    *count = bytes > UINT32_MAX - *count ? UINT32_MAX : *count + (uint32_t)bytes;
}

static bool is_shared(const struct gv_traffic *traffic)
{
    return traffic->filled_ms < traffic->shared_ms && traffic->reserve > traffic->reserve_depth / 2;
}

bool gv_traffic_saves_for(const struct gv_traffic *traffic, enum gv_cause cause)
{
    return traffic->filled_ms < traffic->shared_ms &&
           (cause == GV_CAUSE_REPAIR || cause == GV_CAUSE_TREES);
}

static bool has_saved(const struct gv_traffic *traffic)
{
    return traffic->saved > 0 &&
           moved_lately(traffic) < traffic->cap / 100 * GV_SAVED_UNTIL_PERCENT;
}

static bool takes_of_reserve(const struct gv_traffic *traffic, enum gv_cause cause)
{
    if (cause == GV_CAUSE_SPREAD)
        return traffic->reserve > 0;
    return (cause == GV_CAUSE_REPAIR || cause == GV_CAUSE_TREES) && is_shared(traffic);
}

void gv_traffic_count(struct gv_traffic *traffic, enum gv_cause cause, bool out, uint64_t bytes)
{
    struct gv_traffic_slot *slot = &traffic->slots[traffic->slot % GV_TRAFFIC_SLOTS];

    *(out ? &traffic->total.out[cause] : &traffic->total.in[cause]) += bytes;
    add(out ? &slot->out[cause] : &slot->in[cause], bytes);
    if (is_outside_cap(cause))
        return;
    if (gv_traffic_saves_for(traffic, cause) && has_saved(traffic)) {
        traffic->saved -= (int64_t)(bytes < traffic->cap ? bytes : traffic->cap);
        traffic->spent_until_ms = traffic->filled_ms + HOUR_MS + GV_TRAFFIC_SLOT_MS;
        return;
    }
    if (out && traffic->tokens <= 0 && takes_of_reserve(traffic, cause)) {
        traffic->reserve -= (int64_t)(bytes < traffic->cap ? bytes : traffic->cap);
        return;
    }
    /* As deep as it takes to notice, and to be paid back within minutes. */
    int64_t least = -traffic->depth;
    traffic->tokens =
        traffic->tokens - (int64_t)bytes < least ? least : traffic->tokens - (int64_t)bytes;
}

bool gv_traffic_allows(struct gv_traffic *traffic, enum gv_worth worth)
{
    static const int64_t eighths[GV_WORTH_COUNT] = {
        [GV_WORTH_NEWS] = 0, [GV_WORTH_REPAIR] = 2, [GV_WORTH_ROSTER] = 3};

    if (worth == GV_WORTH_OWN || traffic->tokens > traffic->depth / 8 * eighths[worth])
        return true;
    if (worth == GV_WORTH_NEWS && traffic->reserve > 0)
        return true;
    traffic->deferred[worth]++;
    return false;
}

void gv_traffic_share_reserve(struct gv_traffic *traffic, uint64_t until_ms)
{
    traffic->shared_ms = until_ms;
}

bool gv_traffic_allows_shared(const struct gv_traffic *traffic)
{
    return traffic->filled_ms < traffic->shared_ms &&
           (has_saved(traffic) || traffic->tokens > 0 || is_shared(traffic));
}

bool gv_traffic_is_busy(const struct gv_traffic *traffic)
{
    struct gv_traffic_sum recent;
    uint64_t span = GV_TRAFFIC_SLOT_MS + traffic->filled_ms % GV_TRAFFIC_SLOT_MS;

    gv_traffic_recent(traffic, &recent, 2);
    return gv_traffic_under_cap(&recent) >= traffic->cap / 100 * GV_BUSY_PERCENT * span / HOUR_MS;
}

bool gv_traffic_overdrawn(const struct gv_traffic *traffic)
{
    return traffic->tokens < -traffic->depth / 2;
}

bool gv_traffic_exhausted(const struct gv_traffic *traffic)
{
    return traffic->tokens < -traffic->depth / 4;
}

bool gv_traffic_recovered(const struct gv_traffic *traffic)
{
    return traffic->tokens > traffic->depth / 4;
}

void gv_traffic_recent(const struct gv_traffic *traffic, struct gv_traffic_sum *out, size_t slots)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < slots && i <= traffic->slot; i++) {
        const struct gv_traffic_slot *slot =
            &traffic->slots[(traffic->slot - i) % GV_TRAFFIC_SLOTS];
        for (int cause = 0; cause < GV_CAUSE_COUNT; cause++) {
            out->in[cause] += slot->in[cause];
            out->out[cause] += slot->out[cause];
        }
    }
}

uint64_t gv_traffic_under_cap(const struct gv_traffic_sum *sum)
{
    uint64_t moved = 0;

    for (int cause = 0; cause < GV_CAUSE_COUNT; cause++)
        if (!is_outside_cap((enum gv_cause)cause))
            moved += sum->in[cause] + sum->out[cause];
    return moved;
}

uint64_t gv_traffic_wire(uint64_t bytes)
{
    return bytes + (bytes + GV_SEGMENT - 1) / GV_SEGMENT * GV_SEGMENT_HEADERS;
}
