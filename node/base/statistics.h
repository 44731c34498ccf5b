/* What is kept of the flow of mail: server-wide sums of a minute or an hour, and what was noticed
 * of them. A row names no mailbox, no address, no message. Pure: the store has its own file
 * (node/host/persist_statistics.c). (SPEC 10.8) */
#ifndef GV_BASE_STATISTICS_H
#define GV_BASE_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/mail_counts.h"

/* The counts of mail_counts.h, and one more. New ones go to the end: rows hold them by number. */
enum { GV_STATISTICS_OUTGOING = GV_MAIL_COUNT_MAX, GV_STATISTICS_COUNT };

/* What is watched for what is odd (node/serve/anomaly.h). The number is in the store: a new one
 * goes to the end. */
enum gv_series {
    GV_SERIES_OUTGOING, /* recipients on other hosts that were served or given up */
    GV_SERIES_BOUNCED,  /* and expired */
    GV_SERIES_REJECTED,
    GV_SERIES_LOGIN_FAILURES,
    GV_SERIES_QUEUE,    /* messages in it; all others are sums */
    GV_SERIES_ACTIVITY, /* all that a log can tell: for silence */
    GV_SERIES_COUNT
};

struct gv_statistics {
    uint16_t watched;                    /* whole minutes in which this node was there to look */
    int64_t counts[GV_STATISTICS_COUNT]; /* of a row never negative; a change may be */
    uint64_t queue;                      /* messages in it, as last seen; */
    uint64_t queue_max;                  /* at most; */
    uint64_t queue_age_s;                /* and how old the oldest of them was at most */
    uint32_t
        peaks[GV_SERIES_COUNT]; /* of an hour: the most in five minutes; of the queue, its most */
};

enum gv_statistics_step { GV_STATISTICS_MINUTE = 'm', GV_STATISTICS_HOUR = 'h' };

#define GV_STATISTICS_MINUTES_KEPT 2880u /* 48 h */
#define GV_STATISTICS_KEY          9     /* step, start in minutes, 8 bytes */
#define GV_STATISTICS_PACKED       512   /* bytes of a row at most */

/* Adds what has changed, to a row or to another change. Sums end at 2^62. `minutes`: that the row
 * stands for, 1 or 60. */
void gv_statistics_add(struct gv_statistics *row, const struct gv_statistics *change,
                       unsigned minutes);
/* "received", ..., "outgoing"; and of a series. */
const char *gv_statistics_name(unsigned count);
const char *gv_series_name(enum gv_series series);
/* The value of a series in a row; of ACTIVITY the sum, of the queue queue_max. */
uint32_t gv_statistics_series(const struct gv_statistics *row, enum gv_series series);

/* Rows as they lie in the store. Pack returns the length; a sum of which more was taken back than
 * was there (its first half is lost) is packed as zero. Unpack: GV_OK, GV_ERR_MALFORMED,
 * GV_ERR_VERSION; what a row of an earlier version does not have is zero. */
size_t gv_statistics_pack(uint8_t out[GV_STATISTICS_PACKED], const struct gv_statistics *row);
int gv_statistics_unpack(struct gv_statistics *out, const uint8_t *data, size_t len);
void gv_statistics_key(uint8_t out[GV_STATISTICS_KEY], enum gv_statistics_step step,
                       uint64_t minute);

/* Something odd: a surge of a series, or silence. */
struct gv_alert {
    uint64_t number; /* 1, 2, ... */
    enum gv_series series;
    uint64_t began_ms, ended_ms; /* ended: 0 while it lasts */
    uint32_t value;              /* the most that was seen of it; of silence, minutes */
    uint32_t usual, limit;       /* the baseline, and from where on it was an alarm */
};
#define GV_ALERT_PACKED 37
void gv_alert_pack(uint8_t out[GV_ALERT_PACKED], const struct gv_alert *alert);
int gv_alert_unpack(struct gv_alert *out, uint64_t number, const uint8_t *data, size_t len);
/* One sentence about it: "outgoing mail: 412 in 5 minutes, usual are at most 31". */
void gv_alert_text(char *out, size_t cap, const struct gv_alert *alert);

#endif
