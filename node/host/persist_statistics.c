/* The flow of mail in the store: changes go into the rows of their minute and hour in the
 * transaction that also stores where the log was left, so that none is lost or counted twice. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/host/persist_schema.h"

#define HOUR_MIN    60u
#define AHEAD_MIN   1440u
#define MINUTES_MAX 4096u /* that wait for a store that fails: under 1.5 MB */
#define ALERT_STEP  ((enum gv_statistics_step)'a')

/* ---- what waits ----------------------------------------------------------------------------- */

/* Lines come in about the order of their time: the latest is looked at first. */
static struct gv_persist_minute *waiting(struct gv_persist *persist, uint64_t minute)
{
    struct gv_persist_minute *oldest = NULL;

    for (size_t i = persist->minute_count; i > 0; i--) {
        struct gv_persist_minute *m = &persist->minutes[i - 1];
        if (m->minute == minute)
            return m;
        if (!oldest || m->minute < oldest->minute)
            oldest = m;
    }
    if (persist->minute_count == MINUTES_MAX) { /* the store has failed for days */
        *oldest = (struct gv_persist_minute){.minute = minute};
        return oldest;
    }
    if (persist->minute_count == persist->minute_cap) {
        size_t cap = persist->minute_cap ? 2 * persist->minute_cap : 4;
        void *more = realloc(persist->minutes, cap * sizeof *persist->minutes);
        if (!more)
            return NULL;
        persist->minutes = more;
        persist->minute_cap = cap;
    }
    struct gv_persist_minute *m = &persist->minutes[persist->minute_count++];
    *m = (struct gv_persist_minute){.minute = minute};
    return m;
}

int gv_persist_statistics(struct gv_persist *persist, uint64_t minute,
                          const struct gv_statistics *change)
{
    struct gv_persist_minute *m = waiting(persist, minute);

    if (!m)
        return GV_ERR_MEMORY;
    gv_statistics_add(&m->change, change, 1);
    return GV_OK;
}

int gv_persist_count(struct gv_persist *persist, unsigned count, int64_t delta, uint64_t unix_ms)
{
    struct gv_persist_minute *m = waiting(persist, unix_ms / 60000);
    int64_t sum;

    gv_assert(count < GV_STATISTICS_COUNT);
    if (!m)
        return GV_ERR_MEMORY;
    if (!__builtin_add_overflow(m->change.counts[count], delta, &sum))
        m->change.counts[count] = sum;
    return GV_OK;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static int put(struct gv_persist *persist, const uint8_t key[GV_STATISTICS_KEY],
               const uint8_t *value, size_t len)
{
    uint8_t mac[GV_PERSIST_MAC];

    gv_persist_mac(persist, mac, GV_STORE_STATISTIC, key, GV_STATISTICS_KEY, value, len);
    return gv_db_run(persist->sql[GV_SQL_PUT_STATISTIC], "bbb", key, (size_t)GV_STATISTICS_KEY,
                     value, len, mac, sizeof mac);
}

static int begin(struct gv_persist *persist, enum gv_persist_sql sql, enum gv_statistics_step step,
                 uint64_t from, uint64_t to, size_t limit)
{
    uint8_t first[GV_STATISTICS_KEY], end[GV_STATISTICS_KEY];

    if (!persist->db)
        return GV_ERR_IO;
    gv_statistics_key(first, step, from);
    gv_statistics_key(end, step, to);
    sqlite3_stmt *row = persist->sql[sql];
    if (sql == GV_SQL_EXPIRE_STATISTIC)
        return gv_db_run(row, "bb", first, sizeof first, end, sizeof end);
    /* The keys must outlive the call: SQLite keeps copies. */
    sqlite3_reset(row);
    if (sqlite3_bind_blob(row, 1, first, sizeof first, SQLITE_TRANSIENT) != SQLITE_OK ||
        sqlite3_bind_blob(row, 2, end, sizeof end, SQLITE_TRANSIENT) != SQLITE_OK ||
        sqlite3_bind_int64(row, 3, (sqlite3_int64)limit) != SQLITE_OK)
        return GV_ERR_IO;
    return GV_OK;
}

static uint64_t minute_of(const uint8_t *key)
{
    uint64_t minute = 0;

    for (size_t i = 1; i < GV_STATISTICS_KEY; i++)
        minute = minute << 8 | key[i];
    return minute;
}

/* A row that is damaged, or of a later version, begins anew. */
static int read_row(struct gv_persist *persist, struct gv_statistics *out,
                    const uint8_t key[GV_STATISTICS_KEY])
{
    sqlite3_stmt *row = persist->sql[GV_SQL_GET_STATISTIC];
    int rc = gv_db_bind(row, "b", key, (size_t)GV_STATISTICS_KEY);

    if (rc == GV_OK)
        rc = gv_db_step(row);
    if (rc != 1)
        return rc;
    const uint8_t *old = sqlite3_column_blob(row, 0);
    size_t len = (size_t)sqlite3_column_bytes(row, 0);
    if (old &&
        gv_persist_genuine(persist, row, 1, GV_STORE_STATISTIC, key, GV_STATISTICS_KEY, old, len))
        (void)gv_statistics_unpack(out, old, len);
    sqlite3_reset(row);
    return GV_OK;
}

static int find_newest(struct gv_persist *persist, struct gv_persist_latest *latest,
                       enum gv_statistics_step step)
{
    sqlite3_stmt *row = persist->sql[GV_SQL_LATEST_STATISTIC];
    uint8_t key[GV_STATISTICS_KEY];
    int rc = begin(persist, GV_SQL_LATEST_STATISTIC, step, 0, UINT64_MAX, 1);

    if (rc == GV_OK)
        rc = gv_db_step(row);
    if (rc < 0)
        return rc;
    /* Behind a key that is none of ours there may be any: every row is looked for then. */
    latest->newest = rc == 1 ? UINT64_MAX : 0;
    if (rc == 1 && gv_db_blob(row, 0, key, sizeof key) == GV_OK)
        latest->newest = minute_of(key);
    latest->known = true;
    sqlite3_reset(row);
    return GV_OK;
}

/* What begins later than every row has none, and what was written last need not be read and
 * verified again: of the cost of a minute that is a third. */
static int add_to_row(struct gv_persist *persist, enum gv_statistics_step step, uint64_t start,
                      const struct gv_statistics *change)
{
    struct gv_persist_latest *latest = &persist->latest[step == GV_STATISTICS_HOUR];
    uint8_t key[GV_STATISTICS_KEY], value[GV_STATISTICS_PACKED];
    struct gv_statistics sum = {0};
    int rc = latest->known ? GV_OK : find_newest(persist, latest, step);

    gv_statistics_key(key, step, start);
    if (latest->held && latest->start == start)
        sum = latest->row;
    else if (rc == GV_OK && start <= latest->newest)
        rc = read_row(persist, &sum, key);
    if (rc != GV_OK)
        return rc;
    gv_statistics_add(&sum, change, step == GV_STATISTICS_MINUTE ? 1 : HOUR_MIN);
    rc = put(persist, key, value, gv_statistics_pack(value, &sum));
    if (rc != GV_OK)
        return rc;
    latest->held = true;
    latest->start = start;
    latest->row = sum;
    for (size_t i = 0; i < GV_STATISTICS_COUNT; i++) /* as a row says that is read */
        if (sum.counts[i] < 0)
            latest->row.counts[i] = 0;
    latest->newest = start > latest->newest ? start : latest->newest;
    return GV_OK;
}

void gv_persist_forget_latest(struct gv_persist *persist)
{
    memset(persist->latest, 0, sizeof persist->latest);
}

/* A log that is read from its beginning brings many minutes of one hour at a time, one behind the
 * other: the hour's row is written once for all of them. */
int gv_persist_put_minutes(struct gv_persist *persist, uint64_t unix_ms)
{
    uint64_t now = unix_ms / 60000, hour = UINT64_MAX;
    struct gv_statistics sum = {0};
    int rc = GV_OK;

    for (size_t i = 0; i < persist->minute_count && rc == GV_OK; i++) {
        struct gv_persist_minute *m = &persist->minutes[i];
        struct gv_statistics alone = m->change;

        if (m->minute > now + AHEAD_MIN)
            continue;
        memset(alone.peaks, 0, sizeof alone.peaks);
        if (m->minute + GV_STATISTICS_MINUTES_KEPT >= now)
            rc = add_to_row(persist, GV_STATISTICS_MINUTE, m->minute, &alone);
        if (rc == GV_OK && hour != m->minute / HOUR_MIN) {
            if (hour != UINT64_MAX)
                rc = add_to_row(persist, GV_STATISTICS_HOUR, hour * HOUR_MIN, &sum);
            memset(&sum, 0, sizeof sum);
            hour = m->minute / HOUR_MIN;
        }
        gv_statistics_add(&sum, &m->change, HOUR_MIN);
    }
    if (rc == GV_OK && hour != UINT64_MAX)
        rc = add_to_row(persist, GV_STATISTICS_HOUR, hour * HOUR_MIN, &sum);
    return rc;
}

/* The next row in [from, to) of a step: 1, or 0 at the end, or an error. Damaged ones are passed
 * over. The pointers borrow until the next step. */
static int next(struct gv_persist *persist, sqlite3_stmt *row, uint64_t *number,
                const uint8_t **value, size_t *len)
{
    int rc;

    while ((rc = gv_db_step(row)) == 1) {
        uint8_t key[GV_STATISTICS_KEY];
        *value = sqlite3_column_blob(row, 1);
        *len = (size_t)sqlite3_column_bytes(row, 1);
        if (!*value || gv_db_blob(row, 0, key, sizeof key) != GV_OK ||
            !gv_persist_genuine(persist, row, 2, GV_STORE_STATISTIC, key, sizeof key, *value, *len))
            continue;
        *number = minute_of(key);
        return 1;
    }
    return rc;
}

int gv_persist_read_statistics(struct gv_persist *persist, enum gv_statistics_step step,
                               uint64_t from, uint64_t to, gv_persist_each_statistics each,
                               void *context)
{
    sqlite3_stmt *row = persist->sql[GV_SQL_LIST_STATISTIC];
    struct gv_statistics sum;
    const uint8_t *value;
    uint64_t minute;
    size_t len;

    int rc = begin(persist, GV_SQL_LIST_STATISTIC, step, from, to, INT32_MAX);
    if (rc != GV_OK)
        return rc;
    while ((rc = next(persist, row, &minute, &value, &len)) == 1)
        if (gv_statistics_unpack(&sum, value, len) == GV_OK)
            each(context, minute, &sum);
    return rc;
}

/* ---- alerts --------------------------------------------------------------------------------- */

static void note_number(void *context, const struct gv_alert *alert)
{
    *(uint64_t *)context = alert->number;
}

int gv_persist_alert(struct gv_persist *persist, struct gv_alert *alert)
{
    uint8_t key[GV_STATISTICS_KEY], value[GV_ALERT_PACKED];
    uint64_t last = 0;
    int rc = GV_OK;

    if (!persist->db)
        return GV_ERR_IO;
    if (alert->number == 0) {
        rc = gv_persist_alerts(persist, 0, 1, note_number, &last);
        if (rc != GV_OK)
            return rc;
        alert->number = last + 1;
        if (alert->number > GV_ALERTS_MAX)
            (void)begin(persist, GV_SQL_EXPIRE_STATISTIC, ALERT_STEP, 0,
                        alert->number - GV_ALERTS_MAX + 1, 0);
    }
    gv_statistics_key(key, ALERT_STEP, alert->number);
    gv_alert_pack(value, alert);
    return put(persist, key, value, sizeof value);
}

int gv_persist_alerts(struct gv_persist *persist, uint64_t after, size_t limit,
                      gv_persist_each_alert each, void *context)
{
    sqlite3_stmt *row = persist->sql[GV_SQL_LATEST_STATISTIC];
    struct gv_alert alert;
    const uint8_t *value;
    uint64_t number;
    size_t len;

    int rc = begin(persist, GV_SQL_LATEST_STATISTIC, ALERT_STEP, after + 1, UINT64_MAX, limit);
    if (rc != GV_OK)
        return rc;
    while ((rc = next(persist, row, &number, &value, &len)) == 1)
        if (gv_alert_unpack(&alert, number, value, len) == GV_OK)
            each(context, &alert);
    return rc;
}

/* ---- retention ------------------------------------------------------------------------------ */

struct old_alerts {
    uint64_t before_ms, up_to; /* the highest number of those that go */
};

static void note_old(void *context, const struct gv_alert *alert)
{
    struct old_alerts *old = context;

    if (alert->began_ms < old->before_ms && alert->ended_ms != 0 && alert->number > old->up_to)
        old->up_to = alert->number;
}

int gv_persist_expire_statistics(struct gv_persist *persist, uint64_t unix_ms, uint64_t before_ms)
{
    uint64_t now = unix_ms / 60000, before = before_ms / 60000;
    struct old_alerts old = {before_ms, 0};

    gv_persist_forget_latest(persist);
    int rc = begin(persist, GV_SQL_EXPIRE_STATISTIC, GV_STATISTICS_MINUTE, 0,
                   now > GV_STATISTICS_MINUTES_KEPT ? now - GV_STATISTICS_MINUTES_KEPT : 0, 0);
    if (rc == GV_OK)
        rc = begin(persist, GV_SQL_EXPIRE_STATISTIC, GV_STATISTICS_HOUR, 0, before, 0);
    for (size_t i = 0; i < 2 && rc == GV_OK; i++)
        rc = begin(persist, GV_SQL_EXPIRE_STATISTIC, i ? GV_STATISTICS_HOUR : GV_STATISTICS_MINUTE,
                   now + AHEAD_MIN, UINT64_MAX, 0);
    if (rc == GV_OK)
        rc = gv_persist_alerts(persist, 0, GV_ALERTS_MAX, note_old, &old);
    if (rc == GV_OK && old.up_to > 0)
        rc = begin(persist, GV_SQL_EXPIRE_STATISTIC, ALERT_STEP, 0, old.up_to + 1, 0);
    return rc;
}
