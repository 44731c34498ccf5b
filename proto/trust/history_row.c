#include "proto/trust/history_row.h"

#include <string.h>

uint32_t gv_elapsed(uint32_t now, uint32_t then)
{
    return now > then ? now - then : 0;
}

static bool within(uint32_t now, uint32_t then, uint32_t span)
{
    return then != 0 && gv_elapsed(now, then) <= span;
}

static uint32_t later(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* 32 bits of an account or password hash tell two apart well enough; 0 stays "not known". */
static uint32_t fold(uint64_t hash)
{
    uint32_t folded = (uint32_t)(hash ^ hash >> 32);

    return folded == 0 && hash != 0 ? 1 : folded;
}

/* ---- rings of times ------------------------------------------------------------------------- */

struct ring {
    uint8_t *at;
    uint8_t *count;
    uint32_t unit, span;
};

/* The full time, in units, of an entry at most 255 units older than the newest. */
static uint32_t ring_time(const uint8_t *at, size_t i, uint32_t newest_unit)
{
    return newest_unit - (uint8_t)(newest_unit - at[i]);
}

/* `newest` is the anchor before this entry, in seconds. An entry may come out of order. */
static void ring_insert(struct ring ring, uint32_t newest, uint32_t time)
{
    uint32_t old = newest / ring.unit, unit = time / ring.unit;
    uint32_t head = later(old, unit);
    size_t place = 0;

    while (*ring.count > 0 && head - ring_time(ring.at, *ring.count - 1U, old) > ring.span)
        --*ring.count;
    if (head - unit > ring.span)
        return;
    while (place < *ring.count && ring_time(ring.at, place, old) > unit)
        place++;
    if (place == GV_RING)
        return;
    if (*ring.count < GV_RING)
        ++*ring.count;
    memmove(ring.at + place + 1, ring.at + place, *ring.count - place - 1);
    ring.at[place] = (uint8_t)unit;
}

/* Entries at most span units older than `now`. */
static uint32_t ring_count(const uint8_t *at, uint8_t count, uint32_t newest, uint32_t now,
                           uint32_t unit, uint32_t span)
{
    uint32_t found = 0;

    for (size_t i = 0; i < count; i++)
        if (gv_elapsed(now / unit, ring_time(at, i, newest / unit)) <= span)
            found++;
    return found;
}

/* ---- failed attempts by hour ---------------------------------------------------------------- */

static void hours_add(struct gv_history_row *row, uint32_t now, uint32_t attempts)
{
    uint32_t anchor = row->last_failure / GV_HOUR_S, hour = now / GV_HOUR_S;

    if (row->last_failure == 0 || (hour > anchor && hour - anchor >= GV_HOURS))
        memset(row->hours, 0, sizeof row->hours);
    else
        for (uint32_t h = anchor + 1; h <= hour; h++)
            row->hours[h % GV_HOURS] = 0;
    if (row->last_failure != 0 && hour < anchor && anchor - hour >= GV_HOURS)
        return;
    uint16_t *bucket = &row->hours[hour % GV_HOURS];
    *bucket =
        attempts > (uint32_t)(UINT16_MAX - *bucket) ? UINT16_MAX : (uint16_t)(*bucket + attempts);
}

uint32_t gv_row_failures_day(const struct gv_history_row *row, uint32_t now)
{
    uint32_t anchor = row->last_failure / GV_HOUR_S, sum = 0;

    if (row->last_failure == 0)
        return 0;
    for (uint32_t back = 0; back < GV_HOURS && back <= anchor; back++)
        if (gv_elapsed(now / GV_HOUR_S, anchor - back) < GV_HOURS)
            sum += row->hours[(anchor - back) % GV_HOURS];
    return sum;
}

/* ---- reading the row ------------------------------------------------------------------------ */

uint32_t gv_row_points(const struct gv_history_row *row, uint32_t now)
{
    return gv_elapsed(now, row->last_visit) < GV_POINTS_LIFE_S ? row->points : 0;
}

bool gv_row_failed_lately(const struct gv_history_row *row, uint32_t now)
{
    return row->last_visit != 0 && gv_elapsed(now, row->last_visit) < GV_LATELY_S;
}

bool gv_row_many_accounts(const struct gv_history_row *row)
{
    return row->flags & GV_ROW_MANY_ACCOUNTS;
}

bool gv_row_locked(const struct gv_history_row *row, uint32_t now)
{
    return now < row->locked_until;
}

uint32_t gv_row_visits_week(const struct gv_history_row *row, uint32_t now)
{
    return ring_count(row->visits, row->visit_count, row->last_visit, now, GV_VISIT_UNIT,
                      GV_VISIT_SPAN);
}

/* SPEC 12.1, clean: the first alternative. */
static bool logins_over_a_week(uint32_t first, uint32_t last, uint32_t now)
{
    return within(now, last, GV_CLEAN_LIFE_S) && gv_elapsed(last, first) >= GV_CLEAN_SPAN_S;
}

/* The second: two different accounts lately, where nothing has failed. */
static bool two_accounts(const uint32_t account[2], const uint32_t time[2], uint32_t now)
{
    return account[0] != 0 && account[1] != 0 && within(now, time[0], GV_CLEAN_ACCOUNTS_S) &&
           within(now, time[1], GV_CLEAN_ACCOUNTS_S);
}

bool gv_row_clean(const struct gv_history_row *row, uint32_t now)
{
    if (logins_over_a_week(row->first_success, row->last_success, now))
        return true;
    return gv_row_points(row, now) == 0 && two_accounts(row->login_account, row->login_time, now);
}

bool gv_network_clean(const struct gv_network_row *row, uint32_t now)
{
    if (logins_over_a_week(row->first_success, row->last_success, now))
        return true;
    return (row->last_visit == 0 || gv_elapsed(now, row->last_visit) >= GV_POINTS_LIFE_S) &&
           two_accounts(row->login_account, row->login_time, now);
}

uint32_t gv_row_burst(const struct gv_history_row *row, uint32_t now)
{
    return ring_count(row->burst, row->burst_count, row->last_failure, now, GV_BURST_UNIT,
                      GV_BURST_SPAN);
}

bool gv_row_limit(const struct gv_history_row *row, uint32_t now, bool clean)
{
    uint32_t limit = clean ? GV_LIMIT_CLEAN : GV_LIMIT;

    return gv_row_burst(row, now) >= limit || gv_row_visits_week(row, now) >= limit;
}

static bool from_the_future(uint32_t now, uint32_t then)
{
    return gv_elapsed(then, now) > GV_DAY_S;
}

bool gv_row_impossible(const struct gv_history_row *row, uint32_t now)
{
    return from_the_future(now, row->last_failure) || from_the_future(now, row->last_success);
}

bool gv_network_impossible(const struct gv_network_row *row, uint32_t now)
{
    return from_the_future(now, row->last_success);
}

bool gv_row_expired(const struct gv_history_row *row, uint32_t now)
{
    if (gv_row_impossible(row, now))
        return true;
    return !within(now, row->last_success, GV_CLEAN_LIFE_S) &&
           !within(now, row->last_failure, GV_WEEK_S) && gv_row_points(row, now) == 0 &&
           !gv_row_locked(row, now) && !within(now, row->signalled, GV_SIGNAL_EVERY_S);
}

bool gv_network_expired(const struct gv_network_row *row, uint32_t now)
{
    return gv_network_impossible(row, now) || !within(now, row->last_success, GV_CLEAN_LIFE_S);
}

/* Clean history protects users and takes weeks to grow again, so a flood of new addresses must not
 * push it out; among equals the oldest goes. */
uint64_t gv_row_interest(const struct gv_history_row *row, uint32_t now)
{
    uint32_t last = later(row->last_failure, row->last_success);
    uint64_t rank = 0;

    if (gv_row_clean(row, now) || gv_row_locked(row, now))
        rank = 3;
    else if (within(now, row->last_success, GV_CLEAN_LIFE_S))
        rank = 2;
    else if (gv_row_points(row, now) > 0 || within(now, row->signalled, GV_SIGNAL_EVERY_S))
        rank = 1;
    return rank << 32 | last;
}

/* ---- failures ------------------------------------------------------------------------------- */

static void note_bits(struct gv_history_row *row, uint32_t now,
                      const struct gv_observation *observation)
{
    uint8_t service = observation->service & GV_SERVICE_ALL;
    uint8_t kind = observation->kind & GV_KIND_ALL;

    if (row->bits_since == 0 || gv_elapsed(now, row->bits_since) >= GV_DAY_S) {
        row->services[1] = row->services[0];
        row->kinds[1] = row->kinds[0];
        row->services[0] = row->kinds[0] = 0;
        row->bits_since = now;
    }
    row->services[0] |= service ? service : (uint8_t)GV_SERVICE_UNKNOWN;
    row->kinds[0] |= kind ? kind : (uint8_t)GV_KIND_UNSPECIFIED;
}

/* What is judged over a run of failures begins anew: after a login, or a week of quiet. */
static void forget_client(struct gv_history_row *row)
{
    row->flags &= (uint8_t) ~(GV_ROW_MANY_ACCOUNTS | GV_ROW_MANY_PASSWORDS |
                              GV_ROW_PASSWORD_MISSING | GV_ROW_OTHER_KIND);
    row->account = row->password = 0;
    row->last_tick = row->period = 0;
    row->tick_attempts = row->even = row->odd = 0;
}

static void forget_run(struct gv_history_row *row)
{
    forget_client(row);
    row->first_failure = 0;
    row->older[0] = row->older[1] = 0;
    row->last_unknown = 0;
    row->bits_since = 0;
    memset(row->services, 0, sizeof row->services);
    memset(row->kinds, 0, sizeof row->kinds);
}

/* The three newest failed attempts, exactly: the thresholds of a signal hang on them. */
static void note_newest(struct gv_history_row *row, uint32_t now)
{
    if (now >= row->last_failure) {
        row->older[1] = row->older[0];
        row->older[0] = row->last_failure;
        row->last_failure = now;
    } else if (now >= row->older[0]) {
        row->older[1] = row->older[0];
        row->older[0] = now;
    } else if (now > row->older[1]) {
        row->older[1] = now;
    }
}

/* ---- one client that repeats one old password ------------------------------------------------
 * From logs alone a client with an outdated password is told from an attacker by its rhythm: it
 * polls. Attempts less than TICK_S apart are one poll (a client opens several connections at once);
 * the first gap between polls gives the period, and each later gap is even when it is one, two or
 * three periods long (a poll may be missed), within an eighth of a period and at least JITTER_S.
 * Nobody polls faster than once a minute, or fails more than TICK_ATTEMPTS times a poll. After
 * three even gaps one odd one is forgiven: the machine slept. Of random gaps the second is even in
 * one case of nine, and the third too in one of 65. */
#define TICK_S         30u
#define TICK_ATTEMPTS  4u
#define PERIOD_MIN_S   60u
#define PERIODS_MISSED 3u
#define JITTER_S       5u
#define ODD_ALWAYS     UINT8_MAX

static bool gap_is_even(uint32_t gap, uint32_t period)
{
    uint32_t tolerance = later(period / 8, JITTER_S);
    uint64_t times = ((uint64_t)gap + period / 2) / period;
    uint64_t ideal = times * period;

    return times >= 1 && times <= PERIODS_MISSED &&
           (gap > ideal ? gap - ideal : ideal - gap) <= tolerance;
}

static void note_gap(struct gv_history_row *row, uint32_t gap)
{
    if (gap >= PERIOD_MIN_S && row->period == 0) {
        row->period = gap;
    } else if (gap >= PERIOD_MIN_S && gap_is_even(gap, row->period)) {
        if (row->even < UINT8_MAX)
            row->even++;
    } else if (row->odd < ODD_ALWAYS) {
        row->odd++;
    }
}

static void note_rhythm(struct gv_history_row *row, uint32_t now, uint32_t attempts)
{
    if (row->last_tick != 0 && now < row->last_tick)
        return;
    bool same = row->last_tick != 0 && now - row->last_tick < TICK_S;
    if (row->last_tick != 0 && !same)
        note_gap(row, now - row->last_tick);
    if (!same) {
        row->last_tick = now;
        row->tick_attempts = 0;
    }
    uint32_t total = attempts > UINT8_MAX ? UINT8_MAX : row->tick_attempts + attempts;
    row->tick_attempts = total > UINT8_MAX ? UINT8_MAX : (uint8_t)total;
    if (row->tick_attempts > TICK_ATTEMPTS)
        row->odd = ODD_ALWAYS;
}

static void note_client(struct gv_history_row *row, uint32_t now,
                        const struct gv_observation *observation)
{
    uint32_t account = fold(observation->account), password = fold(observation->password);

    if (row->account == 0)
        row->account = account;
    if (account == 0 || account != row->account)
        row->flags |= GV_ROW_MANY_ACCOUNTS;
    if (row->password == 0)
        row->password = password;
    if (password == 0)
        row->flags |= GV_ROW_PASSWORD_MISSING;
    else if (password != row->password)
        row->flags |= GV_ROW_MANY_PASSWORDS;
    if (observation->kind != GV_KIND_WRONG_PASSWORD && observation->kind != GV_KIND_UNSPECIFIED)
        row->flags |= GV_ROW_OTHER_KIND;
    note_rhythm(row, now, observation->attempts);
}

/* The account that failed is one whose user logged in from here: he mistypes it, or his other
 * device does not know the new password. */
static bool is_own_account(const struct gv_history_row *row)
{
    for (size_t i = 0; i < 2; i++)
        if (row->login_account[i] == row->account &&
            gv_elapsed(row->last_failure, row->login_time[i]) <= GV_CLEAN_LIFE_S)
            return true;
    return false;
}

bool gv_row_repeats(const struct gv_history_row *row)
{
    if (row->account == 0 || row->flags & GV_ROW_MANY_ACCOUNTS)
        return false;
    if (is_own_account(row))
        return true;
    if (row->flags & GV_ROW_MANY_PASSWORDS)
        return false;
    if (row->password != 0 && !(row->flags & GV_ROW_PASSWORD_MISSING))
        return true;
    return !(row->flags & GV_ROW_OTHER_KIND) && row->even >= 1 && row->odd * 3 <= row->even;
}

/* ---- entering observations ------------------------------------------------------------------ */

/* SPEC 12.1: a visit is a connection with a failed authentication. Its first observation may have
 * been an aborted attempt, which is no visit yet, or may never have been seen. */
static bool begins_visit(const struct gv_history_row *row, uint32_t now,
                         const struct gv_observation *observation)
{
    return observation->new_visit || row->flags & GV_ROW_VISIT_ABORTED || row->last_visit == 0 ||
           gv_elapsed(now, row->last_visit) > GV_HOUR_S;
}

static void add_point(struct gv_history_row *row)
{
    if (row->points < UINT16_MAX)
        row->points++;
}

bool gv_row_failure(struct gv_history_row *row, uint32_t now,
                    const struct gv_observation *observation)
{
    struct ring burst = {row->burst, &row->burst_count, GV_BURST_UNIT, GV_BURST_SPAN};
    struct ring visits = {row->visits, &row->visit_count, GV_VISIT_UNIT, GV_VISIT_SPAN};
    uint32_t attempts = observation->attempts;
    bool unknown = observation->kind == GV_KIND_UNKNOWN_ACCOUNT;

    if (row->last_failure != 0 && gv_elapsed(now, row->last_failure) > GV_WEEK_S)
        forget_run(row);
    if (row->first_failure == 0 || now < row->first_failure)
        row->first_failure = now;
    note_bits(row, now, observation);
    hours_add(row, now, attempts);
    for (uint32_t i = 0; i < attempts && i < GV_RING; i++) {
        ring_insert(burst, row->last_failure, now);
        note_newest(row, now);
    }
    if (unknown)
        row->last_unknown = later(row->last_unknown, now);
    /* A login since then has cleared it already. */
    if (now < row->last_success)
        return false;
    note_client(row, now, observation);
    bool visit = begins_visit(row, now, observation);
    if (visit) {
        if (gv_row_points(row, now) == 0)
            row->points = 0;
        ring_insert(visits, row->last_visit, now);
        row->last_visit = later(row->last_visit, now);
        row->flags &= (uint8_t) ~(GV_ROW_VISIT_UNKNOWN | GV_ROW_VISIT_ABORTED);
        add_point(row);
    }
    if (unknown && !(row->flags & GV_ROW_VISIT_UNKNOWN)) {
        row->flags |= GV_ROW_VISIT_UNKNOWN;
        add_point(row);
    }
    return visit;
}

bool gv_row_aborted(struct gv_history_row *row, uint32_t now,
                    const struct gv_observation *observation)
{
    uint8_t flags = row->flags, kinds = row->kinds[0];

    if (observation->new_visit)
        row->flags |= GV_ROW_VISIT_ABORTED;
    /* It colours a signal that other failures make, and makes none. */
    if (within(now, row->last_failure, GV_DAY_S))
        row->kinds[0] |= GV_KIND_ABORTED;
    return flags != row->flags || kinds != row->kinds[0];
}

/* Keeps the two latest different accounts, the latest first. Returns whether a new one came. */
static bool note_login(uint32_t account[2], uint32_t time[2], uint32_t now, uint64_t hash)
{
    uint32_t folded = fold(hash);
    bool fresh = folded != account[0] && folded != account[1];

    if (folded == 0 || (fresh && now < time[1]))
        return false;
    size_t i = folded == account[0] ? 0 : 1;
    account[i] = folded;
    time[i] = fresh ? now : later(time[i], now);
    if (i == 1 && time[1] >= time[0]) {
        uint32_t kept_account = account[0], kept_time = time[0];
        account[0] = account[1];
        time[0] = time[1];
        account[1] = kept_account;
        time[1] = kept_time;
    }
    return fresh;
}

static void note_success(uint32_t *first, uint32_t *last, uint32_t now)
{
    /* A history that lapsed starts again: one login a year apart is no clean history. */
    if (*last == 0 || gv_elapsed(now, *last) > GV_CLEAN_LIFE_S || now < *first)
        *first = now;
    *last = later(*last, now);
}

bool gv_row_success(struct gv_history_row *row, uint32_t now, uint64_t account)
{
    bool cleared = false;
    uint32_t last = row->last_success;

    if (now >= row->last_visit) {
        cleared = row->points != 0 || row->visit_count != 0;
        row->points = 0;
        row->visit_count = 0;
        row->flags &= (uint8_t)~GV_ROW_VISIT_UNKNOWN;
        forget_client(row);
    }
    note_success(&row->first_success, &row->last_success, now);
    bool fresh = note_login(row->login_account, row->login_time, now, account);
    /* A client that logs in every few minutes shall not cost a disk write each time. */
    return cleared || fresh || last / GV_HOUR_S != row->last_success / GV_HOUR_S;
}

void gv_network_visit(struct gv_network_row *row, uint32_t now)
{
    if (now >= row->last_success)
        row->last_visit = later(row->last_visit, now);
}

void gv_network_success(struct gv_network_row *row, uint32_t now, uint64_t account)
{
    if (now >= row->last_visit)
        row->last_visit = 0;
    note_success(&row->first_success, &row->last_success, now);
    (void)note_login(row->login_account, row->login_time, now, account);
}

void gv_network_merge(struct gv_network_row *row, const struct gv_history_row *from)
{
    if (from->last_success != 0) {
        if (row->last_success == 0 || from->first_success < row->first_success)
            row->first_success = from->first_success;
        row->last_success = later(row->last_success, from->last_success);
    }
    for (size_t i = 2; i-- > 0;)
        if (from->login_account[i] != 0)
            (void)note_login(row->login_account, row->login_time, from->login_time[i],
                             from->login_account[i]);
    if (from->points != 0)
        row->last_visit = later(row->last_visit, from->last_visit);
    if (row->last_visit <= row->last_success)
        row->last_visit = 0;
}
