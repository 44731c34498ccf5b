/* What Dovecot's auth service said of attempts that another line will settle. A ring: the oldest
 * goes first, and what goes was only the why of an attempt, never the attempt. */
#ifndef GV_INGEST_HINTS_H
#define GV_INGEST_HINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "node/ingest/parse.h"

#define GV_HINTS        2048 /* about 160 KB; at 10 failures a second, three minutes */
#define GV_HINT_BUCKETS 1024 /* by address */

struct gv_hint {
    struct gv_ip_address address;
    uint8_t kind;
    uint8_t blame;
    bool taken;
    uint16_t next; /* in its bucket; GV_HINTS ends it */
    uint64_t ms;
    uint64_t account; /* hashes; 0: none */
    uint64_t session;
    uint64_t origin;
};

struct gv_hints {
    struct gv_hint ring[GV_HINTS];
    uint16_t first[GV_HINT_BUCKETS], last[GV_HINT_BUCKETS];
    uint32_t head, count;
};

void gv_hints_init(struct gv_hints *hints);

/* Adds one, or folds it into what another passdb has just said of the same attempt. */
void gv_hints_add(struct gv_hints *hints, const struct gv_hint *hint);

/* The sum of the hints of one visit. */
struct gv_hint_sum {
    uint32_t refused, faults, unknown, wrong;
};

/* Takes all hints of a login session. */
void gv_hints_take_session(struct gv_hints *hints, struct gv_hint_sum *sum,
                           const struct gv_ip_address *address, uint64_t session);

/* Takes the oldest hint without a session for this address that is of this connection (from
 * `since_ms` on, not older than two minutes) and not about another account (0: any). False when
 * there is none. */
bool gv_hints_take_one(struct gv_hints *hints, struct gv_hint_sum *sum,
                       const struct gv_ip_address *address, uint64_t account, uint64_t since_ms,
                       uint64_t now_ms);

/* Forgets the hints without a session for this address: the client got in after all. */
void gv_hints_forget(struct gv_hints *hints, const struct gv_ip_address *address);

#endif
