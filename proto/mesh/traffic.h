/* What a node moves, by cause, and the bucket that holds it under the cap (SPEC 9.9, 13.2). The
 * same counters in daemon and simulator. */
#ifndef GV_PROTO_MESH_TRAFFIC_H
#define GV_PROTO_MESH_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, what it is */
#define GV_CAUSE_MAP(X)                                                                            \
    X(SESSIONS, "sessions", "connections, handshakes, greetings, pings")                           \
    X(SPREAD, "spread", "what is new, passed on, and acknowledgements")                            \
    X(WHISPER, "whisper", "own words to their keepers, and as a keeper; without the sessions")     \
    X(TREES, "trees", "keeping the trees along which it is passed on")                             \
    X(REPAIR, "repair", "comparing sets, and what that brings")                                    \
    X(JOIN, "join", "the same on a new session; outside the cap")                                  \
    X(EXCESS, "excess", "what strangers, or one peer, sent beyond a share; outside the cap")

enum gv_cause {
#define GV_CAUSE_ENUM(id, name, text) GV_CAUSE_##id,
    GV_CAUSE_MAP(GV_CAUSE_ENUM)
#undef GV_CAUSE_ENUM
        GV_CAUSE_COUNT
};

/* What may wait, the least valuable last: each may be sent only while the bucket is fuller than
 * the one before demands. */
#define GV_WORTH_MAP(X)                                                                            \
    X(OWN, "own", "own words, and what keeps a session alive: never waits")                        \
    X(NEWS, "news", "others' statements, proofs and revocations")                                  \
    X(REPAIR, "repair", "comparing sets")                                                          \
    X(ROSTER, "roster", "others' certificates, addresses, descriptors")

enum gv_worth {
#define GV_WORTH_ENUM(id, name, text) GV_WORTH_##id,
    GV_WORTH_MAP(GV_WORTH_ENUM)
#undef GV_WORTH_ENUM
        GV_WORTH_COUNT
};

const char *gv_cause_name(enum gv_cause cause);
const char *gv_cause_text(enum gv_cause cause);
const char *gv_worth_name(enum gv_worth worth);

struct gv_traffic_sum {
    uint64_t in[GV_CAUSE_COUNT], out[GV_CAUSE_COUNT]; /* bytes, with headers */
};

#define GV_TRAFFIC_SLOT_MS 600000u
#define GV_TRAFFIC_SLOTS   144u /* a day */
#define GV_TRAFFIC_HOUR    6u   /* slots of it */

struct gv_traffic {
    struct gv_traffic_sum total; /* since the start */
    struct gv_traffic_slot {
        uint32_t in[GV_CAUSE_COUNT], out[GV_CAUSE_COUNT];
    } slots[GV_TRAFFIC_SLOTS];
    uint64_t slot; /* number of the current one, since the origin of the clock */
    uint64_t most; /* the most that an hour had under the cap, in and out */
    uint64_t deferred[GV_WORTH_COUNT]; /* how often something waited */
    /* The bucket: below zero while more was moved than it held (others' bytes are not ours to
     * hold back). */
    int64_t tokens, depth;
    int64_t reserve, reserve_depth; /* of news alone, while the bucket is empty: not below zero but
                                     * by the last thing sent */
    uint64_t shared_ms;             /* until then repair takes of the savings, and of the reserve
                                     * half */
    int64_t saved, saved_depth;     /* what flowed by a full bucket: for what follows a haul */
    uint64_t spent_until_ms;        /* savings were taken less than an hour and a slot ago */
    uint64_t per_hour, reserve_per_hour; /* what flows into them */
    uint64_t cap;
    uint64_t filled_ms, rest, reserve_rest; /* rests: of a byte, in 1/3600000 */
};

/* cap: bytes of an hour, in and out, at most GV_TRAFFIC_CAP_MAX. */
void gv_traffic_init(struct gv_traffic *traffic, uint64_t cap, uint64_t now_ms);
/* Time goes on; it never goes back. */
void gv_traffic_tick(struct gv_traffic *traffic, uint64_t now_ms);
void gv_traffic_count(struct gv_traffic *traffic, enum gv_cause cause, bool out, uint64_t bytes);
/* May something of this worth be sent now? Counts those that may not. */
bool gv_traffic_allows(struct gv_traffic *traffic, enum gv_worth worth);
/* Until then repair, and what offers it, may take of the savings, and of the reserve down to half
 * of it. */
void gv_traffic_share_reserve(struct gv_traffic *traffic, uint64_t until_ms);
/* Is that so now, and the cause one that takes of the savings first? */
bool gv_traffic_saves_for(const struct gv_traffic *traffic, enum gv_cause cause);
/* Is there something left for repair, at worst of that? */
bool gv_traffic_allows_shared(const struct gv_traffic *traffic);
/* Is more moved than a quarter of the cap, at the pace of the last 10 to 20 minutes? Then what may
 * well be left undone is. */
bool gv_traffic_is_busy(const struct gv_traffic *traffic);
/* Others send more than this node may move: it has to send one of them away. */
bool gv_traffic_overdrawn(const struct gv_traffic *traffic);
/* Even own words wait, but for retractions. */
bool gv_traffic_exhausted(const struct gv_traffic *traffic);
/* After either: there is room for all again. */
bool gv_traffic_recovered(const struct gv_traffic *traffic);
/* The sum of the last `slots` slots, the present one included. */
void gv_traffic_recent(const struct gv_traffic *traffic, struct gv_traffic_sum *out, size_t slots);
/* What one peer may send unasked in a minute, in bytes: a sixtieth of the cap. */
uint64_t gv_traffic_share(const struct gv_traffic *traffic);
/* In and out, all causes under the cap. */
uint64_t gv_traffic_under_cap(const struct gv_traffic_sum *sum);
/* What so many bytes of one send cost on the wire: TCP and IP headers, half an acknowledgement. */
uint64_t gv_traffic_wire(uint64_t bytes);

#endif
