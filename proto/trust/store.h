/* The store of statements: which signals and retractions the set holds on which subject, what an
 * instance may still say in an hour, and the verdict last given (SPEC 8.3, 11). It keeps the set's
 * law: what is held depends on what exists, never on the order in which it came. */
#ifndef GV_PROTO_TRUST_STORE_H
#define GV_PROTO_TRUST_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/table.h"
#include "proto/trust/author.h"
#include "proto/trust/signal.h"
#include "proto/trust/verdict.h"

/* What judging reads comes first and together: among a million each line is a wait for memory. */
struct gv_held {
    const struct gv_instance *author; /* as it was then: who it is, and not how he stands */
    const struct gv_owner *owner;     /* of the certificate it names; gv_store_find_owners */
    uint64_t group;                   /* likewise */
    uint32_t since_min;               /* likewise */
    bool weightless;                  /* it had no standing when it came */
    bool kept;             /* whispered, and not public (SPEC 9.10): has a quota of its own */
    bool unheard;          /* one's own, and nobody has said yet that he holds it */
    uint8_t id[GV_ID_LEN]; /* of the record */
    struct gv_statement statement;
    struct gv_case *subject;
    struct gv_hour *hour;
    struct gv_item *item; /* in the set */
};

#define GV_CASE_FEW 2

/* All that is held on one subject. */
struct gv_case {
    struct gv_subject subject;
    uint32_t count, cap; /* cap 0: they are in `few` */
    union {
        struct gv_held *few[GV_CASE_FEW]; /* four in five subjects have one signal */
        struct gv_held **many;            /* owned */
    } held;                               /* oldest here first; gv_case_at */
    uint32_t kept;                        /* of them not public */
    uint32_t retracts; /* of them retractions: nearly always none, and then nobody looks */
    enum gv_verdict_state state; /* last judged */
    uint32_t weight, until_min;
};

struct gv_store {
    uint8_t hash_key[16];
    struct gv_table cases, sequences, hours;
    size_t count, max;
    size_t weightless;  /* of them without standing: half of max at most */
    size_t by_state[3]; /* cases, by state */
    uint32_t lapse_min; /* no verdict that was settled lapses before; of those unknown, nobody can
                           tell */
};

void gv_store_init(struct gv_store *store, const uint8_t hash_key[16], size_t max);
void gv_store_free(struct gv_store *store); /* rows, not the set's items */

struct gv_case *gv_store_case(const struct gv_store *store, const struct gv_subject *subject);
/* Where it lies among the cases. */
size_t gv_store_place(const struct gv_store *store, const struct gv_case *row);
/* The i-th of row->count, newest here first. */
static inline struct gv_held *gv_case_at(const struct gv_case *row, uint32_t i)
{
    return (row->cap > 0 ? row->held.many : row->held.few)[row->count - 1 - i];
}

/* What would become of a statement of this author, before its signature is looked at. */
struct gv_admission {
    int error; /* GV_OK: hold it. GV_ERR_SUPERSEDED: a retraction covers it.
                  GV_ERR_RATE: beyond its hour's quota. GV_ERR_FULL. GV_ERR_FAULT:
                  `contradicts` has the same sequence number. */
    struct gv_held *contradicts;
    struct gv_held *displaced; /* to be dropped when it is held: beyond the quota then */
};
struct gv_admission gv_store_weigh(const struct gv_store *store,
                                   const struct gv_statement *statement,
                                   const struct gv_instance *author, uint32_t per_hour,
                                   uint32_t retracts_per_hour, bool weightless, bool kept);

/* Holds a statement that gv_store_weigh let pass and whose signature is good. The caller has
 * dropped `displaced`. Returns NULL without memory. */
struct gv_held *gv_store_hold(struct gv_store *store, const struct gv_statement *statement,
                              const uint8_t id[GV_ID_LEN], struct gv_item *item,
                              const struct gv_certificate_row *certificate, bool weightless,
                              bool kept);
/* Whether anything of this author is held: looks at everything. */
bool gv_store_holds(const struct gv_store *store, const struct gv_instance *author);
/* The rows of owners have changed places (mesh/roster.h): `now` tells where each is. */
typedef const struct gv_owner *(*gv_owner_now)(const void *context, const struct gv_owner *before);
void gv_store_find_owners(struct gv_store *store, gv_owner_now now, const void *context);
/* Makes a kept one public. Returns GV_OK, GV_ERR_RATE (beyond the public quota of its hour),
 * GV_ERR_BUSY (*displaced is to be dropped first) or GV_ERR_MEMORY. */
int gv_store_publish(struct gv_store *store, struct gv_held *held, uint32_t per_hour,
                     uint32_t retracts_per_hour, struct gv_held **displaced);
/* The retraction that covers this signal; NULL: none. */
struct gv_held *gv_store_covering(const struct gv_store *store, const struct gv_statement *signal,
                                  const struct gv_instance *author);
/* Lets go of one. Its case goes with the last. */
void gv_store_drop(struct gv_store *store, struct gv_held *held);

/* A signal on the same subject, of the same author, that a retraction with this sequence number
 * cancels; NULL when there is none (any more). */
struct gv_held *gv_store_cancelled(const struct gv_store *store, const struct gv_statement *retract,
                                   const struct gv_instance *author);

/* How many signals of this author are held in the clock hour of this minute, public or kept. */
uint32_t gv_store_said(const struct gv_store *store, const struct gv_instance *author,
                       uint32_t minute);

/* Judges a case from what is held. `votes` is scratch of at least subject->count entries. */
void gv_store_judge(struct gv_verdict *out, const struct gv_case *subject,
                    const struct gv_policy *policy, uint32_t genesis_min, uint32_t now_min,
                    struct gv_vote *votes);
/* The same from what of it is public. */
void gv_store_judge_public(struct gv_verdict *out, const struct gv_case *subject,
                           const struct gv_policy *policy, uint32_t genesis_min, uint32_t now_min,
                           struct gv_vote *votes);
/* Remembers the verdict last given. */
void gv_store_settle(struct gv_store *store, struct gv_case *subject,
                     const struct gv_verdict *verdict);
/* Counts it for lapse_min, which may be set up anew so. */
void gv_store_lapses(struct gv_store *store, const struct gv_case *subject);

#endif
