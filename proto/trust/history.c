#include "proto/trust/history.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "proto/trust/history_pool.h"
#include "proto/trust/history_row.h"

#define AHEAD_MS          600000u                             /* a log's clock may be ahead by */
#define BEHIND_MS         ((uint64_t)GV_WEEK_S * 1000u)       /* older lines teach nothing */
#define PAST_MS           ((uint64_t)GV_CLEAN_LIFE_S * 1000u) /* the same of an imported log */
#define SAMPLE            8 /* rows looked at to find one to forget */
#define ONE_STRIKE_POINTS 2 /* SPEC 12.2 */
#define LENIENT_GUESSES   2 /* SPEC 12.1 */

/* A login backend that is broken fails everybody: of at least so many failing subjects of the last
 * hour more than one in so many has clean history (SPEC 12.5). */
#define BROKEN_SUBJECTS 10u
#define BROKEN_SHARE    5u
#define MINUTES         60u

struct minute {
    uint32_t minute;         /* since 1970 */
    uint32_t failing, clean; /* subjects whose newest failure is of this minute */
};

struct gv_history {
    struct gv_pool subjects; /* of struct gv_history_row */
    struct gv_pool networks; /* of struct gv_network_row: only where somebody logged in */
    struct minute hour[MINUTES];
    uint32_t clean_held; /* the sum of `clean` over hour[], the overdue minutes too */
    uint8_t key[16], hide_key[16];
    size_t hidden; /* rows that are known by a hash alone */
    uint64_t draws;
    size_t cursor, network_cursor; /* of gv_history_expire */
};

struct gv_history *gv_history_new(size_t capacity, const uint8_t key[16])
{
    struct gv_history *h = calloc(1, sizeof *h);

    gv_assert(capacity > 0);
    if (!h)
        return NULL;
    memcpy(h->key, key, sizeof h->key);
    if (gv_pool_init(&h->subjects, sizeof(struct gv_history_row), capacity, key) != GV_OK ||
        gv_pool_init(&h->networks, sizeof(struct gv_network_row), capacity, key) != GV_OK) {
        gv_history_free(h);
        return NULL;
    }
    return h;
}

void gv_history_free(struct gv_history *history)
{
    if (!history)
        return;
    gv_pool_free(&history->subjects);
    gv_pool_free(&history->networks);
    free(history);
}

void gv_history_hide_under(struct gv_history *history, const uint8_t key[16])
{
    gv_assert(gv_history_count(history) == 0);
    memcpy(history->hide_key, key, sizeof history->hide_key);
}

/* ---- who logged in is stored as a keyed hash (SPEC 12.1) ------------------------------------- */

/* SipHash-2-4 under a secret key; of the rows that a table can hold two in 10^9 tables collide. */
static struct gv_subject hide(const struct gv_history *h, const struct gv_subject *subject)
{
    struct gv_subject hidden = {.family = GV_FAMILY_HIDDEN};
    uint64_t hash = gv_siphash(h->hide_key, subject, sizeof *subject);

    memcpy(hidden.bytes, &hash, sizeof hidden.bytes);
    return hidden;
}

/* 192.0.2.0/24 is another than 192.0.2.0. */
static struct gv_subject hide_network(const struct gv_history *h, const struct gv_subject *subject)
{
    struct gv_subject network = gv_subject_network(subject);

    network.family |= 0x80;
    return hide(h, &network);
}

static struct gv_history_row *find(const struct gv_history *h, const struct gv_subject *subject)
{
    struct gv_history_row *row = gv_pool_find(&h->subjects, subject);

    if (row || h->hidden == 0)
        return row;
    struct gv_subject hidden = hide(h, subject);
    return gv_pool_find(&h->subjects, &hidden);
}

static struct gv_network_row *find_network(const struct gv_history *h,
                                           const struct gv_subject *subject)
{
    if (h->networks.count == 0)
        return NULL;
    struct gv_subject network = hide_network(h, subject);
    return gv_pool_find(&h->networks, &network);
}

static struct gv_subject key_of(const struct gv_history *h, const struct gv_history_row *row)
{
    bool plain = row->last_success == 0 || row->subject.family == GV_FAMILY_HIDDEN;

    return plain ? row->subject : hide(h, &row->subject);
}

/* Whether the key of its row is a hash. */
static bool has_hidden_key(const struct gv_history_row *row)
{
    return row && (row->last_success != 0 || row->subject.family == GV_FAMILY_HIDDEN);
}

static void drop(struct gv_history *h, struct gv_history_row *row)
{
    h->hidden -= row->subject.family == GV_FAMILY_HIDDEN;
    gv_pool_remove(&h->subjects, row);
}

/* A hidden subject is met again: from now on, in memory, it has its name. */
static struct gv_history_row *unhide(struct gv_history *h, struct gv_history_row *row,
                                     const struct gv_subject *subject)
{
    struct gv_history_row copy = *row;

    drop(h, row);
    row = gv_pool_add(&h->subjects, subject);
    if (row) {
        *row = copy;
        row->subject = *subject;
    }
    return row;
}

static uint32_t seconds(uint64_t ms)
{
    return ms / 1000 < UINT32_MAX ? (uint32_t)(ms / 1000) : UINT32_MAX;
}

/* ---- making room ---------------------------------------------------------------------------- */

static size_t draw(struct gv_history *h, size_t bound)
{
    h->draws++;
    return (size_t)(gv_siphash(h->key, &h->draws, sizeof h->draws) % bound);
}

static struct gv_history_row *least_interesting(struct gv_history *h, uint32_t now)
{
    struct gv_history_row *least = NULL;
    uint64_t lowest = UINT64_MAX;

    for (int i = 0; i < SAMPLE; i++) {
        struct gv_history_row *row = gv_pool_at(&h->subjects, draw(h, h->subjects.count));
        uint64_t interest = gv_row_interest(row, now);
        if (!least || interest < lowest) {
            least = row;
            lowest = interest;
        }
    }
    return least;
}

/* The row that was found, under its name, or a new one, forgetting another when there is no room.
 * NULL: no memory at all. */
static struct gv_history_row *subject_row(struct gv_history *h, struct gv_history_result *out,
                                          struct gv_history_row *row,
                                          const struct gv_subject *subject, uint32_t now)
{
    if (row && row->subject.family == GV_FAMILY_HIDDEN)
        row = unhide(h, row, subject);
    /* Written while the clock was ahead by more than a day: it would hold for as long. */
    if (row && gv_row_impossible(row, now)) {
        memset(row, 0, sizeof *row);
        row->subject = *subject;
    }
    if (!row)
        row = gv_pool_add(&h->subjects, subject);
    if (!row && h->subjects.count > 0) {
        struct gv_history_row *least = least_interesting(h, now);
        out->has_evicted = true;
        out->evicted = key_of(h, least);
        drop(h, least);
        row = gv_pool_add(&h->subjects, subject);
    }
    return row;
}

/* `network`: hidden. NULL when there is no memory: then cleannet is merely not known. */
static struct gv_network_row *network_row(struct gv_history *h, const struct gv_subject *network,
                                          uint32_t now)
{
    struct gv_network_row *row = gv_pool_find(&h->networks, network);

    /* As a subject's: its one login from now on would be the second of two a week apart. */
    if (row && gv_network_impossible(row, now)) {
        memset(row, 0, sizeof *row);
        row->subject = *network;
    }
    if (!row)
        row = gv_pool_add(&h->networks, network);
    if (!row && h->networks.count > 0) {
        struct gv_network_row *oldest = NULL;
        for (int i = 0; i < SAMPLE; i++) {
            struct gv_network_row *one = gv_pool_at(&h->networks, draw(h, h->networks.count));
            if (!oldest || one->last_success < oldest->last_success)
                oldest = one;
        }
        gv_pool_remove(&h->networks, oldest);
        row = gv_pool_add(&h->networks, network);
    }
    return row;
}

/* ---- the broken login backend --------------------------------------------------------------- */

/* The bucket of a minute, emptied of an older one's numbers; NULL when it is a newer one's. */
static struct minute *bucket(struct gv_history *h, uint32_t minute)
{
    struct minute *m = &h->hour[minute % MINUTES];

    if (m->minute > minute)
        return NULL;
    if (m->minute < minute) {
        h->clean_held -= m->clean;
        *m = (struct minute){.minute = minute};
    }
    return m;
}

/* Counts a failing subject in the minute of its newest failure; before the failure is entered. A
 * subject that was clean when it began to fail stays so for the hour: its failures alone must not
 * make a broken backend look like an attack. */
static void note_failing(struct gv_history *h, struct gv_history_row *row, uint32_t now, bool clean)
{
    uint32_t minute = now / GV_MINUTE_S, before = row->last_failure / GV_MINUTE_S;

    if (now < row->last_failure)
        return;
    if (row->last_failure != 0 && minute - before < MINUTES) {
        struct minute *m = &h->hour[before % MINUTES];
        if (m->minute == before && m->failing > 0) {
            m->failing--;
            if (row->flags & GV_ROW_HOUR_CLEAN && m->clean > 0) {
                m->clean--;
                h->clean_held--;
            }
        }
    } else {
        row->flags &= (uint8_t)~GV_ROW_HOUR_CLEAN;
    }
    if (clean)
        row->flags |= GV_ROW_HOUR_CLEAN;
    struct minute *m = bucket(h, minute);
    if (!m)
        return;
    m->failing++;
    if (row->flags & GV_ROW_HOUR_CLEAN) {
        m->clean++;
        h->clean_held++;
    }
}

static bool login_broken(const struct gv_history *h, uint32_t now)
{
    uint32_t failing = 0, clean = 0;

    if (h->clean_held == 0)
        return false; /* the usual case, and asked at every failure */
    for (size_t i = 0; i < MINUTES; i++)
        if (gv_elapsed(now / GV_MINUTE_S, h->hour[i].minute) < MINUTES) {
            failing += h->hour[i].failing;
            clean += h->hour[i].clean;
        }
    return failing >= BROKEN_SUBJECTS && (uint64_t)clean * BROKEN_SHARE > failing;
}

/* ---- observing ------------------------------------------------------------------------------ */

/* Each is given the row that was found, or NULL, and leaves in its place the one there is now. */
static int observe_success(struct gv_history *h, struct gv_history_result *out,
                           struct gv_history_row **found, uint32_t wall, uint32_t now,
                           const struct gv_observation *observation)
{
    struct gv_history_row *row = subject_row(h, out, *found, &observation->subject, wall);

    *found = row;
    if (!row)
        return GV_ERR_MEMORY;
    uint32_t first = row->first_success;
    out->counted = gv_row_success(row, now, observation->account);
    out->counted |= row->first_success != first;
    struct gv_subject prefix = hide_network(h, &observation->subject);
    struct gv_network_row *network = network_row(h, &prefix, wall);
    if (network)
        gv_network_success(network, now, observation->account);
    return GV_OK;
}

static void observe_aborted(struct gv_history_result *out, struct gv_history_row *row, uint32_t now,
                            const struct gv_observation *observation)
{
    /* Alone it is nothing, so it does not make a row. */
    if (row)
        out->counted = gv_row_aborted(row, now, observation);
}

/* A lock that goes on is told again when it has moved on so far: where nobody enforces it, each
 * further failure moves it by a second. */
#define LOCK_STEP_S 600u

static void lock(struct gv_history_row *row, struct gv_history_result *out, uint32_t wall,
                 uint32_t latest, bool tell)
{
    bool was = gv_row_locked(row, wall), told = was && row->flags & GV_ROW_LOCK_TOLD;
    uint32_t until = latest + GV_LOCK_S;

    out->locked_now = !was && wall < until;
    out->lock_news =
        tell && wall < until && (!told || until / LOCK_STEP_S != row->locked_until / LOCK_STEP_S);
    row->locked_until = until;
    row->flags &= (uint8_t)~GV_ROW_LOCK_TOLD;
    if (tell)
        row->flags |= GV_ROW_LOCK_TOLD;
}

/* What the subject was when it tried, not what trying made of it. */
struct standing {
    bool clean;
    bool familiar;   /* a login on record from it, or clean history of its network */
    bool stranger;   /* no login on record from either */
    bool untrusted;  /* the mesh says so, */
    bool suspicious; /* or evidence of one's own */
};

static struct standing standing_of(const struct gv_history_row *row,
                                   const struct gv_network_row *network, uint32_t now,
                                   enum gv_strictness strict)
{
    bool known = row->last_success != 0;

    return (struct standing){
        .clean = gv_row_clean(row, now),
        .familiar = known || (network && gv_network_clean(network, now)),
        .stranger = !known && !(network && network->last_success != 0),
        .untrusted = strict != GV_STRICT_NOT,
        .suspicious = strict == GV_STRICT_OWN || gv_row_points(row, now) >= ONE_STRIKE_POINTS,
    };
}

/* SPEC 12.1: one failed visit while one-strike locks. Where the mesh's word alone makes it so, and
 * users come from here, a second guess at an account that exists is free: a typo is not worth an
 * hour, and lies about providers cost a tenth of the lock-outs (SPEC 20.5). */
static bool strikes_out(const struct gv_history_row *row, const struct standing *was,
                        const struct gv_observation *observation, bool visit, uint32_t now)
{
    bool unknown = observation->kind == GV_KIND_UNKNOWN_ACCOUNT;

    if (was->clean || (!was->untrusted && !was->suspicious))
        return false;
    if (visit && (was->suspicious || !was->familiar || unknown))
        return true;
    return was->untrusted && was->familiar && gv_row_burst(row, now) >= LENIENT_GUESSES;
}

static int observe_failure(struct gv_history *h, struct gv_history_result *out,
                           struct gv_history_row **found, uint32_t wall, uint32_t now,
                           const struct gv_observation *observation, enum gv_strictness strict,
                           bool share_allowed)
{
    struct gv_history_row *row = subject_row(h, out, *found, &observation->subject, wall);

    *found = row;
    if (!row)
        return GV_ERR_MEMORY;
    struct gv_network_row *network = find_network(h, &observation->subject);
    struct standing was = standing_of(row, network, now, strict);

    note_failing(h, row, now, was.clean);
    bool visit = gv_row_failure(row, now, observation);
    out->counted = true;
    if (visit && network)
        gv_network_visit(network, now);
    uint32_t latest = row->last_failure < wall ? row->last_failure : wall;
    out->broken_login = login_broken(h, latest);
    bool tell = !out->broken_login && !was.clean && share_allowed;
    if (strikes_out(row, &was, observation, visit, latest) || gv_row_limit(row, latest, was.clean))
        lock(row, out, wall, latest, tell && !gv_row_repeats(row));
    if (!tell || gv_elapsed(wall, latest) > GV_DAY_S)
        return GV_OK;
    out->signal =
        gv_row_signal(row, &out->statement, &out->rule, &out->repeats, latest, was.stranger);
    if (out->signal)
        row->signalled = latest;
    return GV_OK;
}

int gv_history_observe(struct gv_history *history, struct gv_history_result *out, uint64_t now_ms,
                       const struct gv_observation *observation, enum gv_strictness strict,
                       bool share_allowed)
{
    uint64_t at_ms = observation->unix_ms < now_ms ? observation->unix_ms : now_ms;
    uint64_t behind_ms = observation->past ? PAST_MS : BEHIND_MS;
    uint8_t family = observation->subject.family;

    memset(out, 0, sizeof *out);
    if ((family != GV_FAMILY_IPV4 && family != GV_FAMILY_IPV6) ||
        observation->unix_ms - at_ms > AHEAD_MS || now_ms - at_ms > behind_ms || at_ms < 1000 ||
        now_ms / 1000 > UINT32_MAX - GV_WEEK_S)
        return GV_ERR_RANGE;
    uint32_t now = seconds(at_ms), wall = seconds(now_ms);
    /* SPEC 12.1: a verdict must not feed itself. */
    if (observation->refused)
        return GV_OK;
    /* Failures of the past are no news, and where the log is followed too they are in here. */
    if (!observation->success && (observation->attempts == 0 || observation->past))
        return GV_OK;
    struct gv_history_row *row = find(history, &observation->subject);
    bool known = row != NULL, was_hidden = has_hidden_key(row);
    int rc = GV_OK;
    if (observation->success)
        rc = observe_success(history, out, &row, wall, now, observation);
    else if (observation->kind == GV_KIND_ABORTED)
        observe_aborted(out, row, now, observation);
    else
        rc = observe_failure(history, out, &row, wall, now, observation, strict, share_allowed);
    /* Of a subject the key is either its name or one hash, so the row moved when that changed. */
    out->has_moved = known && was_hidden != has_hidden_key(row);
    if (out->has_moved)
        out->moved = was_hidden ? hide(history, &observation->subject) : observation->subject;
    return rc;
}

/* ---- hints ----------------------------------------------------------------------------------- */

void gv_history_place(const struct gv_history *history, struct gv_history_place *out,
                      const struct gv_subject *subject)
{
    struct gv_subject network = hide_network(history, subject);

    out->subject = gv_pool_hash(&history->subjects, subject);
    out->network = gv_pool_hash(&history->networks, &network);
}

void gv_history_fetch(const struct gv_history *history, const struct gv_history_place *place)
{
    gv_pool_fetch(&history->subjects, place->subject);
    gv_pool_fetch(&history->networks, place->network);
}

void gv_history_fetch_rows(const struct gv_history *history, const struct gv_history_place *place)
{
    gv_pool_fetch_item(&history->subjects, place->subject);
    gv_pool_fetch_item(&history->networks, place->network);
}

/* ---- asking --------------------------------------------------------------------------------- */

void gv_history_facts(const struct gv_history *history, struct gv_action_facts *out,
                      const struct gv_subject *subject, uint64_t now_ms)
{
    uint32_t now = seconds(now_ms);
    const struct gv_history_row *row = find(history, subject);
    const struct gv_network_row *wide = find_network(history, subject);

    out->points = row ? gv_row_points(row, now) : 0;
    out->failed_lately = row && gv_row_failed_lately(row, now);
    out->many_accounts = row && gv_row_many_accounts(row);
    out->locked_here = row && gv_row_locked(row, now);
    out->clean = row && gv_row_clean(row, now);
    out->known_here = row && row->last_success != 0;
    out->clean_network = wide && gv_network_clean(wide, now);
    out->network_known_here = wide && wide->last_success != 0;
}

uint32_t gv_history_told_lock(const struct gv_history *history, const struct gv_subject *subject,
                              uint64_t now_ms)
{
    uint32_t now = seconds(now_ms);
    const struct gv_history_row *row = find(history, subject);

    return row && row->flags & GV_ROW_LOCK_TOLD && gv_row_locked(row, now) ? row->locked_until - now
                                                                           : 0;
}

int gv_history_summarise(const struct gv_history *history, struct gv_history_summary *out,
                         const struct gv_subject *subject, uint64_t now_ms)
{
    uint32_t now = seconds(now_ms);
    const struct gv_history_row *row = find(history, subject);

    memset(out, 0, sizeof *out);
    if (!row)
        return GV_ERR_NOT_FOUND;
    out->failures_day = gv_row_failures_day(row, now);
    out->visits_week = gv_row_visits_week(row, now);
    out->points = gv_row_points(row, now);
    out->first_failure_ms = 1000ull * row->first_failure;
    out->last_failure_ms = 1000ull * row->last_failure;
    out->last_visit_ms = 1000ull * row->last_visit;
    out->last_success_ms = 1000ull * row->last_success;
    out->locked_until_ms = gv_row_locked(row, now) ? 1000ull * row->locked_until : 0;
    out->signalled_ms = 1000ull * row->signalled;
    out->clean = gv_row_clean(row, now);
    return GV_OK;
}

/* ---- keeping and forgetting ----------------------------------------------------------------- */

void gv_history_signalled(struct gv_history *history, const struct gv_subject *subject,
                          uint32_t minute)
{
    struct gv_history_row *row = find(history, subject);
    uint64_t at = (uint64_t)minute * GV_MINUTE_S;

    if (row && at <= UINT32_MAX && at > row->signalled)
        row->signalled = (uint32_t)at;
}

void gv_history_unsignal(struct gv_history *history, const struct gv_subject *subject)
{
    struct gv_history_row *row = find(history, subject);

    if (row)
        row->signalled = 0;
}

static void expire_networks(struct gv_history *h, uint32_t now, size_t limit)
{
    for (size_t i = 0; i < limit && h->networks.count > 0; i++) {
        if (h->network_cursor >= h->networks.count)
            h->network_cursor = 0;
        struct gv_network_row *row = gv_pool_at(&h->networks, h->network_cursor);
        if (gv_network_expired(row, now))
            gv_pool_remove(&h->networks, row);
        else
            h->network_cursor++;
    }
}

bool gv_history_expire(struct gv_history *history, struct gv_subject *gone, uint64_t now_ms,
                       size_t limit)
{
    uint32_t now = seconds(now_ms);

    if (limit > history->subjects.count)
        limit = history->subjects.count;
    for (size_t i = 0; i < limit; i++) {
        if (history->cursor >= history->subjects.count)
            history->cursor = 0;
        struct gv_history_row *row = gv_pool_at(&history->subjects, history->cursor);
        if (gv_row_expired(row, now)) {
            *gone = key_of(history, row);
            drop(history, row);
            return true;
        }
        history->cursor++;
    }
    expire_networks(history, now, limit + 1);
    return false;
}

bool gv_history_forget(struct gv_history *history, const struct gv_subject *subject)
{
    struct gv_history_row *row = find(history, subject);

    if (!row)
        return false;
    drop(history, row);
    return true;
}

int gv_history_pack(const struct gv_history *history, struct gv_buf *out,
                    const struct gv_subject *subject)
{
    const struct gv_history_row *row = find(history, subject);

    if (!row)
        return GV_ERR_NOT_FOUND;
    if (row->last_success == 0) {
        gv_row_pack(row, NULL, out);
    } else {
        struct gv_history_row hidden = *row;
        struct gv_subject network = hide_network(history, subject);
        hidden.subject = hide(history, subject);
        gv_row_pack(&hidden, &network, out);
    }
    return out->failed ? GV_ERR_MEMORY : GV_OK;
}

void gv_history_key(const struct gv_history *history, struct gv_subject *out,
                    const struct gv_subject *subject)
{
    const struct gv_history_row *row = find(history, subject);

    *out = row ? key_of(history, row) : *subject;
}

void gv_history_hidden_key(const struct gv_history *history, struct gv_subject *out,
                           const struct gv_subject *subject)
{
    *out = hide(history, subject);
}

int gv_history_load(struct gv_history *history, const uint8_t *row, size_t len)
{
    struct gv_history_row loaded;
    struct gv_subject prefix;
    int rc = gv_row_unpack(&loaded, &prefix, row, len);

    if (rc != GV_OK || find(history, &loaded.subject))
        return rc;
    if (history->subjects.count == history->subjects.capacity)
        return GV_ERR_FULL;
    struct gv_history_row *held = gv_pool_add(&history->subjects, &loaded.subject);
    if (!held)
        return GV_ERR_MEMORY;
    *held = loaded;
    if (loaded.subject.family == GV_FAMILY_HIDDEN)
        history->hidden++;
    else
        prefix = hide_network(history, &loaded.subject);
    if (loaded.last_failure != 0) {
        struct minute *m = bucket(history, loaded.last_failure / GV_MINUTE_S);
        if (m) {
            uint32_t clean = loaded.flags & GV_ROW_HOUR_CLEAN ? 1 : 0;
            m->failing++;
            m->clean += clean;
            history->clean_held += clean;
        }
    }
    if (loaded.last_success != 0) {
        struct gv_network_row *network =
            network_row(history, &prefix, UINT32_MAX); /* no clock yet */
        if (network)
            gv_network_merge(network, &loaded);
    }
    return GV_OK;
}

size_t gv_history_count(const struct gv_history *history)
{
    return history->subjects.count;
}

bool gv_history_next(const struct gv_history *history, size_t *cursor, struct gv_subject *out)
{
    while (*cursor < history->subjects.count) {
        const struct gv_history_row *row = gv_pool_at(&history->subjects, (*cursor)++);
        if (row->subject.family == GV_FAMILY_HIDDEN)
            continue;
        *out = row->subject;
        return true;
    }
    return false;
}
