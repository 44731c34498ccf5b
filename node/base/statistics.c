#include "node/base/statistics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"

#define VERSION 1 /* of rows until schema 4, whose numbers have fixed lengths; of alerts */
/* Numbers of seven bits a byte, the lowest first: most are small, and a row's MAC is what it
 * costs (SPEC 10.8). */
#define SHORT   2
#define SUM_MAX (INT64_C(1) << 62)
#define LONGEST 10 /* bytes of such a number */

_Static_assert(3 + LONGEST * (4 + GV_STATISTICS_COUNT + GV_SERIES_COUNT) <= GV_STATISTICS_PACKED,
               "a row fits");

static const char *const series_names[] = {"outgoing",       "bounced", "rejected",
                                           "login_failures", "queue",   "silence"};
static const char *const series_texts[] = {"outgoing mail", "bounces",    "rejections",
                                           "failed logins", "mail queue", "silence"};

const char *gv_statistics_name(unsigned count)
{
    return count < GV_MAIL_COUNT_MAX ? gv_mail_count_name((enum gv_mail_count)count) : "outgoing";
}

const char *gv_series_name(enum gv_series series)
{
    return series_names[series];
}

void gv_statistics_add(struct gv_statistics *row, const struct gv_statistics *change,
                       unsigned minutes)
{
    unsigned watched = (unsigned)row->watched + change->watched;

    row->watched = (uint16_t)(watched < minutes ? watched : minutes);
    for (size_t i = 0; i < GV_STATISTICS_COUNT; i++) {
        int64_t sum;
        if (__builtin_add_overflow(row->counts[i], change->counts[i], &sum) || sum > SUM_MAX ||
            sum < -SUM_MAX)
            sum = (row->counts[i] < 0) ? -SUM_MAX : SUM_MAX;
        row->counts[i] = sum;
    }
    if (change->watched) { /* only who looked at the queue knows of it */
        row->queue = change->queue;
        if (change->queue_max > row->queue_max)
            row->queue_max = change->queue_max;
        if (change->queue_age_s > row->queue_age_s)
            row->queue_age_s = change->queue_age_s;
    }
    for (size_t i = 0; i < GV_SERIES_COUNT; i++)
        if (change->peaks[i] > row->peaks[i])
            row->peaks[i] = change->peaks[i];
}

uint32_t gv_statistics_series(const struct gv_statistics *row, enum gv_series series)
{
    const int64_t *c = row->counts;
    int64_t value = 0;

    switch (series) {
    case GV_SERIES_OUTGOING:
        value = c[GV_STATISTICS_OUTGOING];
        break;
    case GV_SERIES_BOUNCED:
        value = c[GV_MAIL_BOUNCED] + c[GV_MAIL_EXPIRED];
        break;
    case GV_SERIES_REJECTED:
        value = c[GV_MAIL_REJECTED];
        break;
    case GV_SERIES_LOGIN_FAILURES:
        value = c[GV_MAIL_LOGIN_FAILURES];
        break;
    case GV_SERIES_QUEUE:
        value = row->queue_max < UINT32_MAX ? (int64_t)row->queue_max : UINT32_MAX;
        break;
    default: /* each below 2^56 in any hour of this world; the sum of five does not overflow */
        for (size_t i = 0; i < 5; i++) {
            static const enum gv_mail_count of[] = {GV_MAIL_RECEIVED, GV_MAIL_DELIVERED,
                                                    GV_MAIL_REJECTED, GV_MAIL_LOGINS,
                                                    GV_MAIL_LOGIN_FAILURES};
            value += c[of[i]] < UINT32_MAX ? c[of[i]] : UINT32_MAX;
        }
        break;
    }
    return value < 0 ? 0 : value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i > 0; i--)
        *at++ = (uint8_t)(value >> 8 * (i - 1));
    return at;
}

static uint8_t *put_short(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static uint64_t get(const uint8_t **at, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | *(*at)++;
    return value;
}

size_t gv_statistics_pack(uint8_t out[GV_STATISTICS_PACKED], const struct gv_statistics *row)
{
    uint8_t *at = out;

    *at++ = SHORT;
    *at++ = GV_STATISTICS_COUNT;
    *at++ = GV_SERIES_COUNT;
    at = put_short(at, row->watched);
    at = put_short(at, row->queue);
    at = put_short(at, row->queue_max);
    at = put_short(at, row->queue_age_s);
    for (size_t i = 0; i < GV_STATISTICS_COUNT; i++)
        at = put_short(at, row->counts[i] > 0 ? (uint64_t)row->counts[i] : 0);
    for (size_t i = 0; i < GV_SERIES_COUNT; i++)
        at = put_short(at, row->peaks[i]);
    return (size_t)(at - out);
}

/* A row that is read: past its end all is zero, and `failed`. */
struct row_reader {
    const uint8_t *at, *end;
    bool is_short, failed;
};

static uint64_t next(struct row_reader *r, size_t bytes)
{
    uint64_t value = 0;

    if (!r->is_short) {
        if ((size_t)(r->end - r->at) >= bytes)
            return get(&r->at, bytes);
        r->failed = true;
        return 0;
    }
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        value |= (uint64_t)(*r->at & 0x7f) << shift;
        if (!(*r->at++ & 0x80))
            return value;
    }
    r->failed = true;
    return 0;
}

int gv_statistics_unpack(struct gv_statistics *out, const uint8_t *data, size_t len)
{
    struct gv_statistics row = {0};

    memset(out, 0, sizeof *out);
    if (len < 3 || (data[0] != VERSION && data[0] != SHORT))
        return len < 3 ? GV_ERR_MALFORMED : GV_ERR_VERSION;
    struct row_reader r = {.at = data + 3, .end = data + len, .is_short = data[0] == SHORT};
    size_t counts = data[1], peaks = data[2];
    if (counts > GV_STATISTICS_COUNT || peaks > GV_SERIES_COUNT)
        return GV_ERR_MALFORMED;
    row.watched = (uint16_t)next(&r, 2);
    row.queue = next(&r, 8);
    row.queue_max = next(&r, 8);
    row.queue_age_s = next(&r, 8);
    for (size_t i = 0; i < counts; i++) {
        uint64_t value = next(&r, 8);
        row.counts[i] = value < (uint64_t)SUM_MAX ? (int64_t)value : SUM_MAX;
    }
    for (size_t i = 0; i < peaks; i++)
        row.peaks[i] = (uint32_t)next(&r, 4);
    if (r.failed || r.at != r.end)
        return GV_ERR_MALFORMED;
    *out = row;
    return GV_OK;
}

void gv_statistics_key(uint8_t out[GV_STATISTICS_KEY], enum gv_statistics_step step,
                       uint64_t minute)
{
    out[0] = (uint8_t)step;
    put(out + 1, minute, 8);
}

/* ---- alerts --------------------------------------------------------------------------------- */

void gv_alert_pack(uint8_t out[GV_ALERT_PACKED], const struct gv_alert *alert)
{
    uint8_t *at = out;

    *at++ = VERSION;
    at = put(at, alert->series, 8);
    at = put(at, alert->began_ms, 8);
    at = put(at, alert->ended_ms, 8);
    at = put(at, alert->value, 4);
    at = put(at, alert->usual, 4);
    put(at, alert->limit, 4);
}

int gv_alert_unpack(struct gv_alert *out, uint64_t number, const uint8_t *data, size_t len)
{
    const uint8_t *at = data + 1;

    memset(out, 0, sizeof *out);
    if (len != GV_ALERT_PACKED || data[0] != VERSION)
        return GV_ERR_MALFORMED;
    uint64_t series = get(&at, 8);
    if (series >= GV_SERIES_COUNT)
        return GV_ERR_MALFORMED;
    out->number = number;
    out->series = (enum gv_series)series;
    out->began_ms = get(&at, 8);
    out->ended_ms = get(&at, 8);
    out->value = (uint32_t)get(&at, 4);
    out->usual = (uint32_t)get(&at, 4);
    out->limit = (uint32_t)get(&at, 4);
    return GV_OK;
}

void gv_alert_text(char *out, size_t cap, const struct gv_alert *alert)
{
    switch (alert->series) {
    case GV_SERIES_ACTIVITY:
        snprintf(out, cap,
                 "%s: for %" PRIu32 " minutes no log has told of mail or of a login, where %" PRIu32
                 " lines or more are usual",
                 series_texts[alert->series], alert->value, alert->usual);
        break;
    case GV_SERIES_QUEUE:
        snprintf(out, cap, "%s: %" PRIu32 " messages, usual are at most %" PRIu32,
                 series_texts[alert->series], alert->value, alert->usual);
        break;
    default:
        snprintf(out, cap, "%s: %" PRIu32 " in five minutes, usual are at most %" PRIu32,
                 series_texts[alert->series], alert->value, alert->usual);
        break;
    }
}
