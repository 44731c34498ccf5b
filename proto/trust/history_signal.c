/* When a host signals (SPEC 12.3). */
#include "proto/trust/history.h"
#include "proto/trust/history_row.h"

#include <string.h>

#define FAILURES          3u /* signalled from so many failed attempts on, */
#define FAILURES_UNKNOWN  2u /* or so many when one of them was at an unknown account; */
#define FAILURES_STRANGER 1u /* likewise, where nobody ever logged in from its network */

static bool within(uint32_t now, uint32_t then, uint32_t span)
{
    return then != 0 && gv_elapsed(now, then) <= span;
}

/* The newest n-th failed attempt, n = 1 to 3; 0 when there are fewer. */
static uint32_t newest(const struct gv_history_row *row, uint32_t n)
{
    return n == 1 ? row->last_failure : row->older[n - 2];
}

/* How many failed attempts within `span` are enough, or 0 when they are not there. */
static uint32_t enough_within(const struct gv_history_row *row, uint32_t now, uint32_t span,
                              bool stranger)
{
    uint32_t need = FAILURES;

    if (within(now, row->last_unknown, span))
        need = stranger ? FAILURES_STRANGER : FAILURES_UNKNOWN;
    return within(now, newest(row, need), span) ? need : 0;
}

/* The earliest failed attempt within the last day, coarse to its hour when others are newer. */
static uint32_t first_of_day(const struct gv_history_row *row, uint32_t now)
{
    uint32_t anchor = row->last_failure / GV_HOUR_S, first = row->last_failure;

    for (uint32_t back = 0; back < GV_HOURS && back <= anchor; back++)
        if (row->hours[(anchor - back) % GV_HOURS] != 0 &&
            gv_elapsed(now, (anchor - back) * GV_HOUR_S) <= GV_DAY_S)
            first = (anchor - back) * GV_HOUR_S;
    return first < row->last_failure ? first : row->last_failure;
}

/* The earliest visit within the last week, likewise. */
static uint32_t first_of_week(const struct gv_history_row *row)
{
    uint32_t hour = row->last_visit / GV_VISIT_UNIT, first = row->last_failure;

    for (size_t i = 0; i < row->visit_count; i++) {
        uint32_t visit = (hour - (uint8_t)(hour - row->visits[i])) * GV_VISIT_UNIT;
        if (visit < first)
            first = visit;
    }
    return first;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

bool gv_row_signal(const struct gv_history_row *row, struct gv_statement *out,
                   struct gv_signal_rule *rule, bool *repeats, uint32_t now, bool stranger)
{
    uint32_t span = GV_DAY_S;

    *repeats = false;
    if (row->signalled != 0 && gv_elapsed(now, row->signalled) < GV_SIGNAL_EVERY_S)
        return false;
    uint32_t need = enough_within(row, now, span, stranger);
    if (need == 0 && !within(now, row->last_success, GV_WEEK_S)) {
        span = GV_WEEK_S; /* the slow attacker */
        need = enough_within(row, now, span, stranger);
    }
    *repeats = need > 0 && gv_row_repeats(row);
    if (need == 0 || *repeats)
        return false;

    uint32_t count = larger(need, gv_row_failures_day(row, now));
    uint32_t first = span == GV_DAY_S ? first_of_day(row, now) : first_of_week(row);
    if (span == GV_WEEK_S)
        count = larger(count, gv_row_visits_week(row, now));
    if (newest(row, need) < first)
        first = newest(row, need);
    /* An hour's beginning lies before what happened in it. */
    first = larger(first, larger(row->first_failure, now > span ? now - span : 0));
    *rule = (struct gv_signal_rule){count, (uint8_t)need, span == GV_WEEK_S};
    memset(out, 0, sizeof *out);
    out->kind = GV_STATEMENT_SIGNAL;
    out->subject = row->subject;
    out->last_min = now / GV_MINUTE_S;
    out->first_min = first / GV_MINUTE_S < out->last_min ? first / GV_MINUTE_S : out->last_min;
    out->count = gv_signal_count_bucket(count);
    out->services = row->services[0] | row->services[1];
    out->kinds = row->kinds[0] | row->kinds[1];
    return true;
}
