#include "node/serve/anomaly.h"

#include <stdlib.h>
#include <string.h>

#define WATCHED_MIN  50u /* minutes: an hour that was mostly watched */
#define WEEK         168u
#define WEEKS        12u
#define WEEKS_LEAST  3u
#define DAYS         20u
#define DAYS_LEAST   7u
#define SAMPLES_MAX  (3 * DAYS)
#define CALM_MIN     15u /* an alarm is over after so many calm minutes */
#define QUEUE_MIN    5u  /* a queue must stay so long */
#define SILENT_MIN   15u /* silence is at least so long, */
#define SILENT_LINES 40u /* and at least so many lines are missing */

/* Below these nothing is worth an alarm, whatever is usual: of gv_anomaly_rate; messages of the
 * queue. */
static const uint32_t floors[GV_SERIES_COUNT] = {
    [GV_SERIES_OUTGOING] = 15,       [GV_SERIES_BOUNCED] = 20, [GV_SERIES_REJECTED] = 60,
    [GV_SERIES_LOGIN_FAILURES] = 60, [GV_SERIES_QUEUE] = 60,
};

struct alarm {
    bool on;
    uint32_t most, usual, limit;
    unsigned calm;   /* minutes, one after the other, below its end */
    unsigned raised; /* minutes, one after the other, above its limit; of the queue */
};

struct gv_anomaly {
    struct {
        uint64_t hour;
        struct gv_anomaly_hour sample;
    } hours[GV_ANOMALY_HOURS]; /* by hour % GV_ANOMALY_HOURS */
    struct alarm alarms[GV_SERIES_COUNT];
    uint64_t minute;        /* the last */
    unsigned quiet;         /* minutes without activity */
    uint64_t missing_60ths; /* lines that were to be expected in them, times 60 */
    struct {
        bool known;
        uint64_t hour;
        struct gv_anomaly_baseline of[GV_SERIES_COUNT];
        uint32_t expected; /* lines an hour, rather too few */
    } now;
};

struct gv_anomaly *gv_anomaly_new(void)
{
    return calloc(1, sizeof(struct gv_anomaly));
}

void gv_anomaly_free(struct gv_anomaly *anomaly)
{
    free(anomaly);
}

static uint32_t capped(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Of outgoing mail a minute counts up to twice the second calmest of the five, and two: letters to
 * lists may go out in three of them, a surge lifts at least four. So little is left of the bursts
 * that ten messages a minute are seen where one is usual. What comes in small bursts alone
 * (bounces, guesses) has no such floor: there the fullest minute is left out. */
uint32_t gv_anomaly_rate(enum gv_series series, const uint32_t minutes[5])
{
    uint32_t sorted[5];
    uint64_t sum = 0, most;

    memcpy(sorted, minutes, sizeof sorted);
    qsort(sorted, 5, sizeof *sorted, compare);
    most = series == GV_SERIES_OUTGOING ? 2 * (uint64_t)sorted[1] + 2 : UINT32_MAX;
    for (size_t i = 0; i < (series == GV_SERIES_OUTGOING ? 5 : 4); i++)
        sum += sorted[i] < most ? sorted[i] : most;
    return capped(sum);
}

void gv_anomaly_learn(struct gv_anomaly *anomaly, uint64_t hour,
                      const struct gv_anomaly_hour *sample)
{
    anomaly->hours[hour % GV_ANOMALY_HOURS].hour = hour;
    anomaly->hours[hour % GV_ANOMALY_HOURS].sample = *sample;
    anomaly->now.known = false;
}

/* ---- the baseline --------------------------------------------------------------------------- */

struct samples {
    uint32_t values[SAMPLES_MAX];
    size_t count;
    unsigned periods; /* weeks or days with a sample */
};

/* An hour and `beside` neighbours on each side, `count` periods back. */
static void gather(struct samples *out, const struct gv_anomaly *anomaly, uint64_t hour,
                   unsigned beside, unsigned period, unsigned count, enum gv_series series)
{
    memset(out, 0, sizeof *out);
    for (unsigned i = 1; i <= count && hour > (uint64_t)i * period; i++) {
        size_t before = out->count;
        for (uint64_t h = hour - i * period - beside; h <= hour - i * period + beside; h++) {
            size_t at = h % GV_ANOMALY_HOURS;
            if (anomaly->hours[at].hour == h && anomaly->hours[at].sample.watched >= WATCHED_MIN)
                out->values[out->count++] = anomaly->hours[at].sample.value[series];
        }
        out->periods += out->count > before;
    }
}

/* Sorts them; the value at num/den of the way. */
static uint32_t quantile(struct samples *samples, size_t num, size_t den)
{
    qsort(samples->values, samples->count, sizeof *samples->values, compare);
    return samples->values[(samples->count - 1) * num / den];
}

/* Rounded up. */
static uint32_t root(uint32_t value)
{
    uint32_t r = 0;

    for (uint32_t bit = 1u << 15; bit; bit >>= 1)
        if ((uint64_t)(r + bit) * (r + bit) <= value)
            r += bit;
    return (uint64_t)r * r < value ? r + 1 : r;
}

static void set_limits(struct gv_anomaly_baseline *out, uint32_t deviation, uint32_t high,
                       enum gv_series series)
{
    /* A MAD of 2 is a standard deviation of 3. With few samples it may be 0 by chance, and what is
     * counted varies by its root at the least. */
    uint64_t spread = (3 * (uint64_t)deviation + 1) / 2, least = root(out->usual);
    uint64_t far = series == GV_SERIES_OUTGOING ? 4 : 5; /* its bursts are cut already */
    uint64_t limit = (uint64_t)out->usual + far * (spread > least ? spread : least);

    if (limit < 2 * (uint64_t)out->usual)
        limit = 2 * (uint64_t)out->usual;
    if (limit < 5 * (uint64_t)high / 4) /* bursts too rare to show in the median */
        limit = 5 * (uint64_t)high / 4;
    if (limit < floors[series])
        limit = floors[series];
    out->limit = capped(limit);
    out->end = out->usual + (out->limit - out->usual) / 2;
}

enum gv_anomaly_state gv_anomaly_state(const struct gv_anomaly *anomaly, uint64_t hour)
{
    struct samples samples;

    gather(&samples, anomaly, hour, 1, WEEK, WEEKS, GV_SERIES_ACTIVITY);
    if (samples.periods >= WEEKS_LEAST)
        return GV_ANOMALY_KNOWING;
    gather(&samples, anomaly, hour, 1, 24, DAYS, GV_SERIES_ACTIVITY);
    return samples.periods >= DAYS_LEAST ? GV_ANOMALY_WARMING : GV_ANOMALY_LEARNING;
}

/* The greatest of the medians of three hours: traffic may double within one. Returns the MAD, each
 * sample's deviation being from its own hour's median, so that a steep morning is no deviation. */
static uint32_t weekly(struct gv_anomaly_baseline *out, const struct gv_anomaly *anomaly,
                       uint64_t hour, enum gv_series series)
{
    struct samples deviations = {.count = 0};

    for (uint64_t h = hour - 1; h <= hour + 1; h++) {
        struct samples samples;
        gather(&samples, anomaly, h, 0, WEEK, WEEKS, series);
        if (samples.count == 0)
            continue;
        uint32_t median = quantile(&samples, 1, 2);
        for (size_t i = 0; i < samples.count; i++)
            deviations.values[deviations.count++] = samples.values[i] > median
                                                        ? samples.values[i] - median
                                                        : median - samples.values[i];
        if (median > out->usual)
            out->usual = median;
    }
    return quantile(&deviations, 1, 2);
}

void gv_anomaly_baseline(const struct gv_anomaly *anomaly, struct gv_anomaly_baseline *out,
                         uint64_t hour, enum gv_series series)
{
    struct samples samples;

    memset(out, 0, sizeof *out);
    gather(&samples, anomaly, hour, 1, WEEK, WEEKS, series);
    if (samples.periods >= WEEKS_LEAST) {
        out->state = GV_ANOMALY_KNOWING;
        if (series == GV_SERIES_ACTIVITY) { /* half of what even a slow week's hour held */
            out->usual = quantile(&samples, 1, 4) / 2;
            if (out->usual == 0)
                return;
            uint32_t minutes = 60 * SILENT_LINES / out->usual + 1;
            out->limit = minutes > SILENT_MIN ? minutes : SILENT_MIN;
            return;
        }
        uint32_t high = quantile(&samples, 9, 10), deviation = weekly(out, anomaly, hour, series);
        set_limits(out, deviation, high, series);
        return;
    }
    gather(&samples, anomaly, hour, 1, 24, DAYS, series);
    if (samples.periods < DAYS_LEAST || series == GV_SERIES_ACTIVITY)
        return;
    out->state = GV_ANOMALY_WARMING;
    out->usual = quantile(&samples, 1, 1);
    set_limits(out, 0, out->usual, series);
}

static void look_up(struct gv_anomaly *anomaly, uint64_t hour)
{
    if (anomaly->now.known && anomaly->now.hour == hour)
        return;
    anomaly->now.known = true;
    anomaly->now.hour = hour;
    for (size_t i = 0; i < GV_SERIES_COUNT; i++)
        gv_anomaly_baseline(anomaly, &anomaly->now.of[i], hour, (enum gv_series)i);
    anomaly->now.expected = anomaly->now.of[GV_SERIES_ACTIVITY].usual;
}

/* ---- alarms --------------------------------------------------------------------------------- */

void gv_anomaly_resume(struct gv_anomaly *anomaly, enum gv_series series, uint32_t value,
                       uint32_t usual, uint32_t limit)
{
    anomaly->alarms[series] =
        (struct alarm){.on = true, .most = value, .usual = usual, .limit = limit};
}

static size_t raise_alarm(struct alarm *alarm, struct gv_anomaly_change *out, enum gv_series series,
                          uint32_t value, uint32_t usual, uint32_t limit)
{
    *alarm = (struct alarm){.on = true, .most = value, .usual = usual, .limit = limit};
    *out = (struct gv_anomaly_change){series, true, value, usual, limit};
    return 1;
}

static size_t end_alarm(struct alarm *alarm, struct gv_anomaly_change *out, enum gv_series series)
{
    *out = (struct gv_anomaly_change){series, false, alarm->most, alarm->usual, alarm->limit};
    memset(alarm, 0, sizeof *alarm);
    return 1;
}

/* It begins above one limit and ends below a lower one, after a while: what swings about one limit
 * is one alarm. An alarm ends by the limits that it began with where the hour's are lower. */
static size_t surge(struct alarm *alarm, struct gv_anomaly_change *out, enum gv_series series,
                    uint32_t value, const struct gv_anomaly_baseline *b)
{
    bool high = b->limit > 0 && value >= b->limit;

    if (!alarm->on) {
        alarm->raised = high ? alarm->raised + 1 : 0;
        if (alarm->raised < (series == GV_SERIES_QUEUE ? QUEUE_MIN : 1))
            return 0;
        return raise_alarm(alarm, out, series, value, b->usual, b->limit);
    }
    if (value > alarm->most)
        alarm->most = value;
    uint32_t began = alarm->usual + (alarm->limit - alarm->usual) / 2;
    alarm->calm = value < (b->end > began ? b->end : began) ? alarm->calm + 1 : 0;
    return alarm->calm < CALM_MIN ? 0 : end_alarm(alarm, out, series);
}

static size_t silence(struct gv_anomaly *anomaly, struct gv_anomaly_change *out, uint32_t activity)
{
    struct alarm *alarm = &anomaly->alarms[GV_SERIES_ACTIVITY];
    const struct gv_anomaly_baseline *b = &anomaly->now.of[GV_SERIES_ACTIVITY];

    if (activity > 0) {
        anomaly->quiet = 0;
        anomaly->missing_60ths = 0;
        return alarm->on ? end_alarm(alarm, out, GV_SERIES_ACTIVITY) : 0;
    }
    anomaly->quiet++;
    anomaly->missing_60ths += anomaly->now.expected;
    if (alarm->on) {
        alarm->most++;
        return 0;
    }
    if (b->limit == 0 || anomaly->quiet < SILENT_MIN || anomaly->missing_60ths < 60 * SILENT_LINES)
        return 0;
    return raise_alarm(alarm, out, GV_SERIES_ACTIVITY, anomaly->quiet,
                       capped(anomaly->missing_60ths / 60), b->limit);
}

size_t gv_anomaly_minute(struct gv_anomaly *anomaly, struct gv_anomaly_change out[GV_SERIES_COUNT],
                         uint64_t minute, const uint32_t values[GV_SERIES_COUNT])
{
    size_t n = 0;

    look_up(anomaly, minute / 60);
    if (minute != anomaly->minute + 1) {
        anomaly->quiet = 0;
        anomaly->missing_60ths = 0;
    }
    anomaly->minute = minute;
    for (size_t i = 0; i < GV_SERIES_ACTIVITY; i++)
        n += surge(&anomaly->alarms[i], &out[n], (enum gv_series)i, values[i], &anomaly->now.of[i]);
    return n + silence(anomaly, &out[n], values[GV_SERIES_ACTIVITY]);
}
