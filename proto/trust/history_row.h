/* One subject's local history as a compact row, and the rules that read it (SPEC 12). Internal to
 * history*.c. Times are unix seconds; 0 means never. */
#ifndef GV_PROTO_TRUST_HISTORY_ROW_H
#define GV_PROTO_TRUST_HISTORY_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/observation.h"
#include "proto/trust/action.h"
#include "proto/trust/signal.h"

#define GV_MINUTE_S 60u
#define GV_HOUR_S   3600u
#define GV_DAY_S    (24u * GV_HOUR_S)

#define GV_POINTS_LIFE_S    (72u * GV_HOUR_S)
#define GV_LOCK_S           GV_HOUR_S
#define GV_WEEK_S           (7u * GV_DAY_S)  /* visits, and slow attackers, are remembered for */
#define GV_CLEAN_SPAN_S     GV_WEEK_S        /* logins over at least */
#define GV_CLEAN_LIFE_S     (30u * GV_DAY_S) /* the last of them within */
#define GV_CLEAN_ACCOUNTS_S (72u * GV_HOUR_S)
#define GV_SIGNAL_EVERY_S   (12u * GV_HOUR_S)

/* The local limit: 5 failures or visits, 4 times as much where the history is clean. The rings
 * below hold as many as the larger limit needs. */
#define GV_LIMIT       5u
#define GV_LIMIT_CLEAN 20u

/* A ring keeps the newest times in units of `unit` seconds, modulo 256, newest first. All are
 * within `span` units of the newest, whose full time the row has, so that one byte tells each. */
#define GV_RING       20
#define GV_BURST_UNIT 3u /* 10 minutes are 200 units */
#define GV_BURST_SPAN 200u
#define GV_VISIT_UNIT GV_HOUR_S /* 7 days are 168 units */
#define GV_VISIT_SPAN 168u

#define GV_HOURS 25 /* buckets of an hour: they cover 24 hours at any time of the hour */

enum gv_history_flag {
    GV_ROW_VISIT_UNKNOWN = 1 << 0,    /* the visit has its point for an unknown account */
    GV_ROW_VISIT_ABORTED = 1 << 1,    /* a connection was seen, so far with aborted attempts only */
    GV_ROW_MANY_ACCOUNTS = 1 << 2,    /* failures at more than one account, or one not named */
    GV_ROW_MANY_PASSWORDS = 1 << 3,   /* two different hashed passwords failed */
    GV_ROW_PASSWORD_MISSING = 1 << 4, /* some failure came without a hashed password */
    GV_ROW_OTHER_KIND = 1 << 5,       /* a failure that is no wrong password of a known account */
    GV_ROW_HOUR_CLEAN = 1 << 6,       /* counted as clean among the hour's failing subjects */
    GV_ROW_LOCK_TOLD = 1 << 7,        /* own hosts may be told of the lock (SPEC 9.8) */
    GV_ROW_FLAGS = (1 << 8) - 1
};

/* Who logged in is on disk as a keyed hash alone: so a row that came from there, and whose subject
 * has not been met since, has eight bytes of that in place of an address (SPEC 12.1). Below the
 * true families, so that such rows are read before those with an address. */
#define GV_FAMILY_HIDDEN 1

struct gv_history_row {
    struct gv_subject subject; /* perhaps hidden */
    uint8_t flags;             /* enum gv_history_flag */
    uint16_t points;
    /* Failures. The run begins with the first failure after 7 days without any. */
    uint32_t first_failure, last_failure;
    uint32_t older[2];     /* second and third newest failed attempt */
    uint32_t last_unknown; /* newest attempt at an unknown account */
    uint32_t last_visit;
    /* Logins. */
    uint32_t first_success, last_success;
    uint32_t login_account[2], login_time[2]; /* the two latest different accounts; newest first */
    /* What followed. */
    uint32_t locked_until, signalled;
    /* One client that repeats one old password (see gv_row_repeats). */
    uint32_t account, password; /* folded hashes of the first that failed; 0: none yet */
    uint32_t last_tick, period; /* seconds */
    uint32_t bits_since;        /* services[0], kinds[0] are of the day that began here */
    uint16_t hours[GV_HOURS];   /* failed attempts by hour modulo GV_HOURS, anchor last_failure */
    uint8_t burst[GV_RING];     /* failed attempts, anchor last_failure */
    uint8_t visits[GV_RING];    /* visits since the last success, anchor last_visit */
    uint8_t burst_count, visit_count;
    uint8_t tick_attempts, even, odd;
    uint8_t services[2], kinds[2]; /* this day's, and those before */
};

/* Logins from a whole network: what cleannet needs and no more. */
struct gv_network_row {
    struct gv_subject subject; /* the network, hidden */
    uint32_t first_success, last_success;
    uint32_t login_account[2], login_time[2];
    uint32_t last_visit; /* the newest failed visit that no success followed; 0: none */
};

uint32_t gv_elapsed(uint32_t now, uint32_t then); /* 0 when then lies ahead */

uint32_t gv_row_points(const struct gv_history_row *row, uint32_t now);
bool gv_row_failed_lately(const struct gv_history_row *row, uint32_t now);
bool gv_row_many_accounts(const struct gv_history_row *row);
bool gv_row_clean(const struct gv_history_row *row, uint32_t now);
bool gv_row_locked(const struct gv_history_row *row, uint32_t now);
bool gv_network_clean(const struct gv_network_row *row, uint32_t now);
uint32_t gv_row_failures_day(const struct gv_history_row *row, uint32_t now);
uint32_t gv_row_visits_week(const struct gv_history_row *row, uint32_t now);
/* True when its times lie more than a day ahead (all others follow the last failure's and the last
 * login's): a clock that once ran years ahead must not leave rows behind for years. */
bool gv_row_impossible(const struct gv_history_row *row, uint32_t now);
bool gv_network_impossible(const struct gv_network_row *row, uint32_t now);
/* True when nothing in the row matters any more. */
bool gv_row_expired(const struct gv_history_row *row, uint32_t now);
bool gv_network_expired(const struct gv_network_row *row, uint32_t now);
/* What to forget first when the table is full: the smallest. */
uint64_t gv_row_interest(const struct gv_history_row *row, uint32_t now);

/* Each enters one observation, at `now` seconds. A failure returns whether it made a visit. A
 * success or an aborted attempt returns whether the row should be persisted. */
bool gv_row_failure(struct gv_history_row *row, uint32_t now,
                    const struct gv_observation *observation);
bool gv_row_success(struct gv_history_row *row, uint32_t now, uint64_t account);
bool gv_row_aborted(struct gv_history_row *row, uint32_t now,
                    const struct gv_observation *observation);
void gv_network_visit(struct gv_network_row *row, uint32_t now);
void gv_network_success(struct gv_network_row *row, uint32_t now, uint64_t account);
/* Takes over the logins and the last visit of a row that was loaded. */
void gv_network_merge(struct gv_network_row *row, const struct gv_history_row *from);

/* Failed attempts within 10 minutes, up to GV_RING. */
uint32_t gv_row_burst(const struct gv_history_row *row, uint32_t now);
/* SPEC 12.1: the local limit is reached. */
bool gv_row_limit(const struct gv_history_row *row, uint32_t now, bool clean);
struct gv_signal_rule; /* history.h */
/* SPEC 12.3: enough has failed to signal; 12 h have passed; not a user with an old or mistyped one
 * (*repeats: that alone speaks against it). Fills in everything but certificate and sequence.
 * stranger: before this failure there was no login on record from the subject or its network. */
bool gv_row_signal(const struct gv_history_row *row, struct gv_statement *out,
                   struct gv_signal_rule *rule, bool *repeats, uint32_t now, bool stranger);
/* SPEC 12.4: the failures of the run look like a user who mistypes, or whose client repeats one old
 * password. */
bool gv_row_repeats(const struct gv_history_row *row);

/* Persistence; see history.h. `network`: hidden, of a row that is hidden; of others it is neither
 * written nor set. */
void gv_row_pack(const struct gv_history_row *row, const struct gv_subject *network,
                 struct gv_buf *out);
int gv_row_unpack(struct gv_history_row *out, struct gv_subject *network, const uint8_t *data,
                  size_t len);

#endif
