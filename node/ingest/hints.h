/* What an auth service (Dovecot's, saslauthd) said of attempts that another line will settle, of
 * this log or of another one. Rings: the oldest goes first, and what goes was only the why of an
 * attempt, never the attempt. */
#ifndef GV_INGEST_HINTS_H
#define GV_INGEST_HINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "node/ingest/memory.h"
#include "node/ingest/parse.h"

/* About 160 KB; at 10 failures a second, three minutes. More than one poll of a file can bring. */
#define GV_HINTS        2048
#define GV_HINT_BUCKETS 1024 /* by address */
#define GV_SASL_HINTS   64   /* of saslauthd, for ten seconds each */

struct gv_hint {
    struct gv_ip_address address;
    uint8_t kind;
    uint8_t blame;
    bool taken;
    uint16_t next;  /* in its bucket; GV_HINTS ends it */
    uint16_t times; /* how many attempts it is of: a line may say that it came again */
    uint64_t ms;
    uint64_t account; /* hashes; 0: none */
    uint64_t session;
    uint64_t origin;
};

/* saslauthd names no address, but account and service. */
struct gv_sasl_hint {
    uint64_t account;
    uint64_t ms;
    uint8_t service;
    uint8_t kind;
    uint8_t blame;
    bool taken;
};

/* What the log has shown of the auth service's configuration; bits. */
enum gv_hints_learnt {
    GV_HINTS_SPEAKS = 1 << 0, /* it tells of failures of login sessions (auth_verbose) */
    GV_HINTS_SEVERAL = 1 << 1 /* one attempt may ask several passdbs: one said no, another yes */
};

struct gv_hints {
    struct gv_hint ring[GV_HINTS];
    struct gv_sasl_hint sasl[GV_SASL_HINTS];
    uint32_t head, count;
    uint32_t sasl_head, sasl_count;
    uint32_t learnt; /* enum gv_hints_learnt */
    uint16_t first[GV_HINT_BUCKETS], last[GV_HINT_BUCKETS];
};

void gv_hints_init(struct gv_hints *hints);

/* See gv_reader_memory. */
#define GV_HINTS_AREAS 2
size_t gv_hints_memory(struct gv_hints *hints, struct gv_memory_area out[GV_HINTS_AREAS]);
void gv_hints_recall(struct gv_hints *hints);

/* See gv_reader_erase. */
void gv_hints_erase(struct gv_hints *hints, const struct gv_subject *subject);

/* Adds one, or folds it into what another passdb has just said of the same attempt. again: the line
 * says that another one came again. */
void gv_hints_add(struct gv_hints *hints, const struct gv_hint *hint, bool again);

/* The sum of the hints of one visit. */
struct gv_hint_sum {
    uint32_t refused, faults, unknown, wrong;
    uint64_t account; /* of the client's failures; 0: several, or not known */
    uint64_t ms;      /* of the last of them */
};

/* How a visit ended whose hints are taken. */
struct gv_hint_end {
    uint64_t account; /* that the last attempt was at */
    uint64_t ms;
    bool
        answered; /* the last attempt was answered otherwise than with a failure of the client's: */
    bool right;   /* its password was right */
};

/* Takes all hints of a login session. Those that may be of a last attempt which was answered
 * otherwise, because one passdb had said no before another one was asked, are not in the sum (SPEC
 * 10.3). */
void gv_hints_take_session(struct gv_hints *hints, struct gv_hint_sum *sum,
                           const struct gv_ip_address *address, uint64_t session,
                           const struct gv_hint_end *end);

/* Takes the oldest hint without a session for this address that is of this connection (from
 * `since_ms` on, not older than two minutes, nor of the future) and not about another account (0:
 * any). False when there is none. */
bool gv_hints_take_one(struct gv_hints *hints, struct gv_hint_sum *sum,
                       const struct gv_ip_address *address, uint64_t account, uint64_t since_ms,
                       uint64_t now_ms);

/* Forgets the hints without a session for this address that are about this account (0: any), or
 * none: the client got in after all. */
void gv_hints_forget(struct gv_hints *hints, const struct gv_ip_address *address, uint64_t account);

void gv_hints_add_sasl(struct gv_hints *hints, const struct gv_sasl_hint *hint);

/* What saslauthd said of the attempt of this account in the last seconds, if it did, and takes it;
 * NULL otherwise. It has no address, so it can excuse or name an attempt, never make one. Borrowed
 * until the next call. */
const struct gv_sasl_hint *gv_hints_take_sasl(struct gv_hints *hints, uint64_t account,
                                              uint8_t service, uint64_t ms);

#endif
