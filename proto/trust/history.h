/* Local history: what this host saw of a subject itself. Feeds the action, and decides when to
 * signal (SPEC 12.1, 12.3). Never leaves the host. A table of fixed capacity; when it is full, the
 * least interesting of a sample of subjects is forgotten. Memory grows with the subjects held,
 * about 250 bytes each, and shrinks again. */
#ifndef GV_PROTO_TRUST_HISTORY_H
#define GV_PROTO_TRUST_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/observation.h"
#include "proto/trust/action.h"
#include "proto/trust/signal.h"

struct gv_history;

/* capacity: subjects held at most. key: for hashing subjects into the table (from the seed, so that
 * nobody outside can make collisions). Returns NULL when out of memory. */
struct gv_history *gv_history_new(size_t capacity, const uint8_t key[16]);
/* Under which key subjects with a login are hidden in what is stored (SPEC 12.1): secret, the same
 * at each start, and set before anything is observed or loaded. Not set: all zero. */
void gv_history_hide_under(struct gv_history *history, const uint8_t key[16]);
void gv_history_free(struct gv_history *history);

/* Which rule of SPEC 12.3 a signal met: so many failed attempts within a day or a week, and at
 * least how many there were. */
struct gv_signal_rule {
    uint32_t failures;
    uint8_t enough;
    bool week;
};

/* What an observation led to. */
struct gv_history_result {
    bool counted;      /* it made a difference: the row should be persisted */
    bool locked_now;   /* this observation locked the subject */
    bool lock_news;    /* own hosts should hear of its lock: it begins, or moved on (SPEC 9.8) */
    bool broken_login; /* the login backend looks broken: nothing is signalled, tell the admin */
    bool repeats; /* it would have signalled, but looks like a user's old or mistyped password */
    bool signal;  /* `statement` should be signed and sent */
    bool has_evicted; /* to make room another was forgotten: the stored row of key `evicted` should
                       */
    bool has_moved;   /* its row has another key from now on: that of key `moved` should go */
    struct gv_subject evicted, moved; /* keys of rows, not addresses */
    struct gv_signal_rule rule;       /* of `signal` */
    struct gv_statement statement; /* kind, subject, first, last, count, services, kinds are set */
};

/* Why a subject without points here is one-strike (SPEC 12.2). */
enum gv_strictness {
    GV_STRICT_NOT,
    GV_STRICT_MESH, /* the mesh calls it untrusted */
    GV_STRICT_OWN   /* own hosts hold something against it: as evidence of this one */
};

/* now_ms: wall clock, unix milliseconds.
 * share_allowed: the subject is shareable and not allow-listed. Returns GV_OK, GV_ERR_RANGE (no
 * subject; an observation of the future beyond 10 minutes, or older than 7 days, or than 30 where
 * it is of the past: ignored) or GV_ERR_MEMORY (ignored). The history's time is that of the
 * observations, at most now_ms. */
int gv_history_observe(struct gv_history *history, struct gv_history_result *out, uint64_t now_ms,
                       const struct gv_observation *observation, enum gv_strictness strict,
                       bool share_allowed);

/* Fills points, failed_lately, locked_here, clean, clean_network, known_here and
 * network_known_here. */
void gv_history_facts(const struct gv_history *history, struct gv_action_facts *out,
                      const struct gv_subject *subject, uint64_t now_ms);

/* Hints that a subject is asked about, or observed, soon: where memory is large most of either is
 * waiting for it. A place is the same in all histories with the same keys. First its place in the
 * tables is fetched and, once that may have come, its rows. */
struct gv_history_place {
    uint64_t subject, network;
};
void gv_history_place(const struct gv_history *history, struct gv_history_place *out,
                      const struct gv_subject *subject);
void gv_history_fetch(const struct gv_history *history, const struct gv_history_place *place);
void gv_history_fetch_rows(const struct gv_history *history, const struct gv_history_place *place);

/* For how many seconds more the subject is locked, as far as own hosts may be told; 0: not. */
uint32_t gv_history_told_lock(const struct gv_history *history, const struct gv_subject *subject,
                              uint64_t now_ms);

/* What `grapevine ip` shows. Days and weeks are coarse to an hour at their far end; visits are
 * those since the last login, and counted up to 20. */
struct gv_history_summary {
    uint32_t failures_day; /* failed attempts in the last 24 h */
    uint32_t visits_week;
    uint32_t points;
    uint64_t first_failure_ms, last_failure_ms; /* 0: none */
    uint64_t last_visit_ms;                     /* the last with a failure; 0: none */
    uint64_t last_success_ms;                   /* 0: none */
    uint64_t locked_until_ms;                   /* 0: not locked */
    uint64_t signalled_ms;                      /* last own signal; 0: none */
    bool clean;
};
/* Returns GV_OK or GV_ERR_NOT_FOUND (and an all-zero summary). */
int gv_history_summarise(const struct gv_history *history, struct gv_history_summary *out,
                         const struct gv_subject *subject, uint64_t now_ms);

/* The signal that was made did not go out (preview, rate): let the subject signal again. */
void gv_history_unsignal(struct gv_history *history, const struct gv_subject *subject);
/* It did after all, at this minute. */
void gv_history_signalled(struct gv_history *history, const struct gv_subject *subject,
                          uint32_t minute);

/* Forgets what is too old to matter. At most `limit` rows are looked at a call (a cursor goes
 * round). The key of a row that goes is written to *gone and true is returned: call again until
 * false. */
bool gv_history_expire(struct gv_history *history, struct gv_subject *gone, uint64_t now_ms,
                       size_t limit);

bool gv_history_forget(struct gv_history *history, const struct gv_subject *subject);

/* Persistence: one row per subject, opaque bytes with a version, under a key of a subject's form:
 * the subject itself, or where there is a login on record a keyed hash, and then the row holds no
 * address either. Pack returns GV_ERR_NOT_FOUND for
 * a subject without a row, GV_ERR_MEMORY, or GV_OK; load validates everything (the file is not
 * trusted): GV_OK (also for a subject that is held already: the newer row stays),
 * GV_ERR_MALFORMED, GV_ERR_VERSION, GV_ERR_FULL, GV_ERR_MEMORY. The history of networks (cleannet)
 * has no rows of its own: it is made again from those of its subjects. Hashed passwords are not
 * packed. */
void gv_history_key(const struct gv_history *history, struct gv_subject *out,
                    const struct gv_subject *subject);
/* The one it has if there is a login on record. */
void gv_history_hidden_key(const struct gv_history *history, struct gv_subject *out,
                           const struct gv_subject *subject);
int gv_history_pack(const struct gv_history *history, struct gv_buf *out,
                    const struct gv_subject *subject);
int gv_history_load(struct gv_history *history, const uint8_t *row, size_t len);

size_t gv_history_count(const struct gv_history *history);
/* Iteration in table order: *cursor starts at 0; false at the end. A subject that is added or
 * forgotten meanwhile may be missed or met twice. One that was loaded as a hash, and has not been
 * observed since, is passed over. */
bool gv_history_next(const struct gv_history *history, size_t *cursor, struct gv_subject *out);

#endif
