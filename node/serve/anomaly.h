/* Notices what is odd in a host's mail flow: surges of outgoing mail, bounces, rejections and
 * failed logins, a queue that grows, silence. Pure: sums in, changes out; integers, no clock, no
 * file.
 *
 * The baseline of an hour is robust: the median, and the median of the deviations from it (MAD), of
 * what that hour of the week held in the last twelve weeks, the hours beside it likewise; each
 * sample is the most that was seen at any minute of an hour, so that traffic which comes in bursts
 * has a baseline of bursts. One odd day moves neither. (SPEC 10.9) */
#ifndef GV_SERVE_ANOMALY_H
#define GV_SERVE_ANOMALY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/statistics.h"

#define GV_ANOMALY_HOURS 2040u /* 85 days: twelve weeks, and the hour beside */

/* Of one hour. */
struct gv_anomaly_hour {
    uint16_t watched;                /* minutes; below 50 it is no sample */
    uint32_t value[GV_SERIES_COUNT]; /* peaks; of ACTIVITY the whole hour's sum */
};

struct gv_anomaly;

/* 70 kB. NULL when out of memory. */
struct gv_anomaly *gv_anomaly_new(void);
void gv_anomaly_free(struct gv_anomaly *anomaly);

/* An hour that is over, `hour` since 1970. Again: it takes the place of what it was. */
void gv_anomaly_learn(struct gv_anomaly *anomaly, uint64_t hour,
                      const struct gv_anomaly_hour *sample);

/* How long the node has to look before it says anything. */
enum gv_anomaly_state {
    GV_ANOMALY_LEARNING, /* less than a week: nothing */
    GV_ANOMALY_WARMING, /* less than three weeks: surges over the most that this hour of the day saw
                         */
    GV_ANOMALY_KNOWING  /* by hour of the week */
};
enum gv_anomaly_state gv_anomaly_state(const struct gv_anomaly *anomaly, uint64_t hour);

struct gv_anomaly_baseline {
    enum gv_anomaly_state state;
    uint32_t usual; /* the median; while warming up, the most */
    uint32_t limit; /* from here on it is odd; of silence: minutes without anything; 0: never */
    uint32_t end;   /* below it for 15 minutes, it is over */
};
void gv_anomaly_baseline(const struct gv_anomaly *anomaly, struct gv_anomaly_baseline *out,
                         uint64_t hour, enum gv_series series);

/* One alarm that begins, or ends. */
struct gv_anomaly_change {
    enum gv_series series;
    bool begins;
    uint32_t value, usual, limit; /* value: now, or at its end the most; of silence, minutes */
};
/* What is judged of a count: its sum in five minutes, without their bursts, so that letters to
 * whole mailing lists are no surge. */
uint32_t gv_anomaly_rate(enum gv_series series, const uint32_t minutes[5]);
/* A minute that is over. `values`: gv_anomaly_rate of the five that end with it; of QUEUE what it
 * holds; of ACTIVITY the sum of this minute alone. Minutes come in order; one that does not follow
 * the last makes silence begin anew. Returns how many of `out` are set. */
size_t gv_anomaly_minute(struct gv_anomaly *anomaly, struct gv_anomaly_change out[GV_SERIES_COUNT],
                         uint64_t minute, const uint32_t values[GV_SERIES_COUNT]);

/* After a restart: this alarm had begun, and is not to be told again. */
void gv_anomaly_resume(struct gv_anomaly *anomaly, enum gv_series series, uint32_t value,
                       uint32_t usual, uint32_t limit);

#endif
