/* What the summary remembers of a log; of interest to observe_summary.c, which gathers it, and to
 * observe_report.c, which prints it. */
#ifndef GV_CLI_OBSERVE_TABLE_H
#define GV_CLI_OBSERVE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/cli/observe_summary.h"
#include "proto/trust/history.h"

/* 16384 subjects in sets of eight: 1 MB. A subject has two sets where it may be, and goes where
 * more is free; with one only, sets are full long before the table is. Where both are full the
 * least interesting of the sixteen is forgotten: the one with the fewest attempts, the longest ago.
 * Like local history it keeps who logs in before a flood of strays, lest users be called attackers;
 * but in half of the places, as this is a report on attackers. */
#define SETS             2048
#define WAYS             8
#define CHOICES          2
#define PLACES           (CHOICES * WAYS)
#define LOGIN_PLACES     (PLACES / 2)
#define HISTORY_SUBJECTS 8192
#define DAY_MS           86400000u
#define MTAS             16u /* of enum gv_mta, with room */

/* One cache line. */
struct row {
    struct gv_subject subject;
    uint8_t services, kinds, signal_kinds;
    bool shareable, signalled, repeats;
    uint32_t attempts; /* aborted ones are not in it; these two stay at the greatest number */
    uint32_t aborted;
    uint32_t visits;
    uint32_t successes;
    uint64_t seen_ms;
    union {
        struct { /* the first and the latest, while it has not failed; 0: none */
            uint64_t ms[2];
            uint32_t account[2];
        } login;
        struct {
            uint64_t first_ms, last_ms; /* of the failures */
            uint32_t signal_failures;   /* of the first signal: how many were there, */
            uint16_t signal_minutes;
            uint8_t signal_enough; /* and how many are enough, within a day or a week */
            bool signal_week;
        };
    };
};
_Static_assert(sizeof(struct row) == 64, "one cache line");

/* Readings wait here until there are so many, and are then entered together: the rows of all come
 * from memory at once, not one after another. */
#define WAITING 32
struct waiting {
    struct gv_reading reading;
    uint64_t hash;
    uint32_t slot; /* of a login: where its network would be */
    bool allowed;
};

/* The latest login from each network, where the local history does not know it: no address of it
 * has failed. Open addressing, 256 KB; when all are taken, the half that was seen the longest ago
 * is forgotten, and how many were is said. */
#define NETWORK_SLOTS 16384u
#define NETWORKS      12288u
struct network {
    struct gv_subject prefix; /* of no family: free */
    uint32_t login_s;
};

/* Of a set, compared four at a time. */
typedef uint32_t tag_chunk __attribute__((vector_size(16)));
union tags {
    uint32_t of[WAYS];
    tag_chunk chunks[WAYS / 4];
};

struct gv_summary {
    _Alignas(64) struct row table[SETS][WAYS];
    union tags tags[SETS]; /* of the rows' hashes: one cache line finds the row */
    struct network networks[NETWORK_SLOTS];
    uint32_t network_count;
    struct gv_history *history;
    uint64_t key[2];
    bool lab;
    uint64_t forgotten, forgotten_logins; /* the latter among the former */
    uint64_t forgotten_networks;
    uint64_t first_ms, last_ms;
    uint64_t by_mta[MTAS], by_service[8], by_kind[8];
    uint64_t signals, broken;
    struct waiting waiting[WAITING];
    size_t waiting_count;
};

static inline bool has_failed(const struct row *row)
{
    return (row->attempts | row->aborted) > 0;
}

static inline uint64_t failures(const struct row *row)
{
    return (uint64_t)row->attempts + row->aborted;
}

/* What still waits to be entered. */
void gv_summary_settle(struct gv_summary *summary);

#endif
