#include "node/cli/observe_summary.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/observe_table.h"

struct gv_summary *gv_summary_new(bool lab)
{
    struct gv_summary *s = aligned_alloc(_Alignof(struct gv_summary), sizeof *s);

    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    /* A secret key, so that nobody can aim addresses at one set. */
    randombytes_buf(s->key, sizeof s->key);
    s->lab = lab;
    s->history = gv_history_new(HISTORY_SUBJECTS, (const uint8_t *)s->key);
    if (!s->history) {
        free(s);
        return NULL;
    }
    return s;
}

void gv_summary_free(struct gv_summary *summary)
{
    if (summary)
        gv_history_free(summary->history);
    free(summary);
}

static bool only_logs_in(const struct row *row)
{
    return row->successes > 0 && !has_failed(row);
}

/* Of one that only logs in: its next failure would be of clean history (SPEC 12.1). */
static bool clean(const struct row *row)
{
    const uint32_t *account = row->login.account;

    return row->login.ms[1] >= row->login.ms[0] + 7ull * DAY_MS ||
           (account[0] != 0 && account[1] != 0 && account[0] != account[1]);
}

static bool less_interesting(const struct row *a, const struct row *b)
{
    if (only_logs_in(a) && clean(a) != clean(b))
        return clean(b);
    return failures(a) != failures(b) ? failures(a) < failures(b) : a->seen_ms < b->seen_ms;
}

/* The two sets of a hash; they may be the same. */
static uint32_t set_of(uint64_t h, unsigned choice)
{
    return (uint32_t)(choice == 0 ? h : h >> 11) % SETS;
}
_Static_assert(SETS == 1u << 11, "the second set's bits are not the first's");

static unsigned used(const struct row set[WAYS])
{
    unsigned n = 0;

    for (unsigned i = 0; i < WAYS; i++)
        n += set[i].subject.family != GV_FAMILY_NONE;
    return n;
}

/* The one to forget: where those that only log in have more than their half, of them. */
static struct row *least_interesting(struct gv_summary *s, uint64_t h)
{
    struct row *places[PLACES], *least = NULL;
    unsigned logins = 0;

    for (unsigned i = 0; i < PLACES; i++) {
        places[i] = &s->table[set_of(h, i / WAYS)][i % WAYS];
        logins += only_logs_in(places[i]);
    }
    for (unsigned i = 0; i < PLACES; i++)
        if (only_logs_in(places[i]) == (logins >= LOGIN_PLACES) &&
            (!least || less_interesting(places[i], least)))
            least = places[i];
    return least;
}

static uint64_t hash(const struct gv_summary *s, const struct gv_subject *subject)
{
    uint64_t h;

    memcpy(&h, subject->bytes, sizeof h);
    h = (h ^ s->key[0]) * (s->key[1] | 1);
    h = (h ^ h >> 32 ^ subject->family) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static struct row *free_place(struct row set[WAYS])
{
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].subject.family == GV_FAMILY_NONE)
            return &set[i];
    return NULL;
}

static void move(struct gv_summary *s, struct row *to, struct row *from)
{
    size_t there = (size_t)(to - s->table[0]), here = (size_t)(from - s->table[0]);

    *to = *from;
    s->tags[there / WAYS].of[there % WAYS] = s->tags[here / WAYS].of[here % WAYS];
}

/* A row of two full sets whose subject may as well be in its other one, where it goes; or NULL. */
static struct row *make_room(struct gv_summary *s, uint64_t h)
{
    for (unsigned i = 0; i < PLACES; i++) {
        uint32_t set = set_of(h, i / WAYS);
        struct row *row = &s->table[set][i % WAYS];
        uint64_t its = hash(s, &row->subject);
        struct row *room = free_place(s->table[set_of(its, set_of(its, 0) == set)]);
        if (room) {
            move(s, room, row);
            return row;
        }
    }
    return NULL;
}

/* A free row where there is one or can be made, or the one to forget. */
static struct row *room_for(struct gv_summary *s, uint64_t h)
{
    struct row *first = s->table[set_of(h, 0)], *second = s->table[set_of(h, 1)];
    struct row *room = free_place(used(second) < used(first) ? second : first);

    if (room)
        return room;
    room = make_room(s, h);
    if (!room)
        return least_interesting(s, h);
    memset(room, 0, sizeof *room);
    return room;
}

/* A bit for each of the places that is probably the one. */
static unsigned by_tag(const struct gv_summary *s, uint64_t h)
{
    static const tag_chunk bits[PLACES / 4] = {
        {1, 2, 4, 8}, {16, 32, 64, 128}, {256, 512, 1024, 2048}, {4096, 8192, 16384, 32768}};
    const tag_chunk *first = s->tags[set_of(h, 0)].chunks, *second = s->tags[set_of(h, 1)].chunks;
    uint32_t tag = (uint32_t)(h >> 32);
    tag_chunk wanted = {tag, tag, tag, tag};
    uint64_t halves[2];

    tag_chunk found =
        ((tag_chunk)(first[0] == wanted) & bits[0]) | ((tag_chunk)(first[1] == wanted) & bits[1]) |
        ((tag_chunk)(second[0] == wanted) & bits[2]) | ((tag_chunk)(second[1] == wanted) & bits[3]);
    memcpy(halves, &found, sizeof halves);
    halves[0] |= halves[1];
    return (unsigned)(halves[0] | halves[0] >> 32);
}
_Static_assert(WAYS == 8, "two chunks a set");

static struct row *place(struct gv_summary *s, uint64_t h, unsigned found)
{
    unsigned i = (unsigned)__builtin_ctz(found);

    return &s->table[set_of(h, i / WAYS)][i % WAYS];
}

static struct row *row_of(struct gv_summary *s, const struct gv_subject *subject, uint64_t h)
{
    for (unsigned found = by_tag(s, h); found; found &= found - 1)
        if (gv_subject_equal(&place(s, h, found)->subject, subject))
            return place(s, h, found);
    struct row *room = room_for(s, h);
    size_t at = (size_t)(room - s->table[0]);
    s->forgotten += room->subject.family != GV_FAMILY_NONE;
    s->forgotten_logins += only_logs_in(room);
    memset(room, 0, sizeof *room);
    s->tags[at / WAYS].of[at % WAYS] = (uint32_t)(h >> 32);
    room->subject = *subject;
    room->shareable = gv_subject_shareable(subject, s->lab);
    return room;
}

static size_t bit_index(unsigned bit)
{
    size_t i = 0;

    while (bit > 1 && i < 7) {
        bit >>= 1;
        i++;
    }
    return i;
}

static void add_attempts(uint32_t *sum, uint32_t attempts)
{
    *sum = attempts < UINT32_MAX - *sum ? *sum + attempts : UINT32_MAX;
}

static void add_failure(struct gv_summary *s, struct row *row, const struct gv_reading *r)
{
    const struct gv_observation *o = &r->observation;

    if (o->kind == GV_KIND_ABORTED)
        add_attempts(&row->aborted, o->attempts);
    else
        add_attempts(&row->attempts, o->attempts);
    row->visits += o->new_visit;
    row->services |= o->service;
    row->kinds |= o->kind;
    if (row->first_ms == 0 || o->unix_ms < row->first_ms)
        row->first_ms = o->unix_ms;
    if (o->unix_ms > row->last_ms)
        row->last_ms = o->unix_ms;
    s->by_mta[r->mta % MTAS] += o->attempts;
    s->by_service[bit_index(o->service)] += o->attempts;
    s->by_kind[bit_index(o->kind)] += o->attempts;
}

/* As local history keeps an account: 0 is "not known". */
static uint32_t fold(uint64_t account)
{
    uint32_t folded = (uint32_t)(account ^ account >> 32);

    return folded == 0 && account != 0 ? 1 : folded;
}

static uint32_t slot_of(const struct gv_summary *s, const struct gv_subject *prefix)
{
    return (uint32_t)(hash(s, prefix) % NETWORK_SLOTS);
}

/* The place of a network, or the free one where it would be. */
static struct network *network_at(struct gv_summary *s, const struct gv_subject *prefix,
                                  uint32_t slot)
{
    struct network *network = &s->networks[slot];

    while (network->prefix.family != GV_FAMILY_NONE && !gv_subject_equal(&network->prefix, prefix))
        network = &s->networks[slot = (slot + 1) % NETWORK_SLOTS];
    return network;
}

static int latest_first(const void *a, const void *b)
{
    const struct network *x = a, *y = b;

    if (x->login_s != y->login_s)
        return x->login_s < y->login_s ? 1 : -1;
    return memcmp(&x->prefix, &y->prefix, sizeof x->prefix);
}

/* Free places have no time, so they come last. */
static void forget_networks(struct gv_summary *s)
{
    struct network *keep = malloc(sizeof s->networks);

    if (keep) {
        memcpy(keep, s->networks, sizeof s->networks);
        qsort(keep, NETWORK_SLOTS, sizeof *keep, latest_first);
    }
    memset(s->networks, 0, sizeof s->networks);
    size_t kept = keep ? NETWORKS / 2 : 0;
    for (size_t i = 0; i < kept; i++)
        *network_at(s, &keep[i].prefix, slot_of(s, &keep[i].prefix)) = keep[i];
    s->forgotten_networks += s->network_count - kept;
    s->network_count = (uint32_t)kept;
    free(keep);
}

static void note_network(struct gv_summary *s, const struct gv_subject *prefix, uint32_t slot,
                         uint32_t login_s)
{
    struct network *network = network_at(s, prefix, slot);

    if (network->prefix.family == GV_FAMILY_NONE) {
        if (s->network_count == NETWORKS) {
            forget_networks(s);
            network = network_at(s, prefix, slot);
        }
        s->network_count++;
    }
    *network = (struct network){*prefix, login_s > 0 ? login_s : 1};
}

/* Most clients never fail, and the rule for signals is about those who do: local history hears of a
 * subject once it fails, after its first and latest login, which is what makes it clean. */
static void wait_for_failure(struct gv_summary *s, struct row *row, const struct waiting *w)
{
    const struct gv_observation *o = &w->reading.observation;
    struct gv_subject prefix = gv_subject_network(&o->subject);
    size_t slot = row->successes++ > 0;

    note_network(s, &prefix, w->slot, (uint32_t)(o->unix_ms / 1000));
    row->login.ms[slot] = o->unix_ms;
    row->login.account[slot] = fold(o->account);
}

static void first_failure(struct gv_summary *s, struct row *row)
{
    struct gv_observation login = {.subject = gv_subject_network(&row->subject), .success = true};
    struct gv_history_result ignored;
    const struct network *network = network_at(s, &login.subject, slot_of(s, &login.subject));

    /* Whoever logged in from the network stands in for all who did: 12.3 asks for no more. */
    if (network->prefix.family != GV_FAMILY_NONE) {
        login.unix_ms = 1000ull * network->login_s;
        (void)gv_history_observe(s->history, &ignored, login.unix_ms, &login, GV_STRICT_NOT, false);
    }
    login.subject = row->subject;
    for (size_t i = 0; i < 2; i++) {
        if (row->login.ms[i] == 0)
            continue;
        login.unix_ms = row->login.ms[i];
        login.account = row->login.account[i];
        (void)gv_history_observe(s->history, &ignored, login.unix_ms, &login, GV_STRICT_NOT, false);
    }
    memset(&row->login, 0, sizeof row->login);
}

static void enter(struct gv_summary *summary, const struct waiting *w)
{
    const struct gv_observation *o = &w->reading.observation;
    struct gv_history_result result;
    struct row *row = row_of(summary, &o->subject, w->hash);

    if (summary->first_ms == 0 || o->unix_ms < summary->first_ms)
        summary->first_ms = o->unix_ms;
    if (o->unix_ms > summary->last_ms)
        summary->last_ms = o->unix_ms;
    row->seen_ms = o->unix_ms;
    if (w->allowed)
        row->shareable = false;
    if (o->success && !has_failed(row)) {
        wait_for_failure(summary, row, w);
        return;
    }
    row->successes += o->success;
    if (!o->success && !o->refused) {
        if (!has_failed(row))
            first_failure(summary, row);
        add_failure(summary, row, &w->reading);
    }
    if (w->allowed || gv_history_observe(summary->history, &result, summary->last_ms, o,
                                         GV_STRICT_NOT, row->shareable) != 0)
        return;
    summary->broken += result.broken_login;
    row->repeats |= result.repeats;
    if (!result.signal)
        return;
    summary->signals++;
    if (!row->signalled) {
        row->signalled = true;
        row->signal_failures = result.rule.failures;
        row->signal_enough = result.rule.enough;
        row->signal_week = result.rule.week;
        row->signal_kinds = result.statement.kinds;
        row->signal_minutes = (uint16_t)(result.statement.last_min - result.statement.first_min);
    }
}

static void enter_waiting(struct gv_summary *s)
{
    for (size_t i = 0; i < s->waiting_count; i++) {
        unsigned found = by_tag(s, s->waiting[i].hash);
        if (found)
            __builtin_prefetch(place(s, s->waiting[i].hash, found));
    }
    for (size_t i = 0; i < s->waiting_count; i++)
        enter(s, &s->waiting[i]);
    s->waiting_count = 0;
}

void gv_summary_add(struct gv_summary *summary, const struct gv_reading *reading, bool allowed)
{
    struct waiting *w = &summary->waiting[summary->waiting_count++];

    w->reading = *reading;
    w->allowed = allowed;
    w->hash = hash(summary, &reading->observation.subject);
    __builtin_prefetch(&summary->tags[set_of(w->hash, 0)]);
    __builtin_prefetch(&summary->tags[set_of(w->hash, 1)]);
    w->slot = 0;
    if (reading->observation.success) {
        struct gv_subject prefix = gv_subject_network(&reading->observation.subject);
        w->slot = slot_of(summary, &prefix);
        __builtin_prefetch(&summary->networks[w->slot]);
    }
    if (summary->waiting_count == WAITING)
        enter_waiting(summary);
}

void gv_summary_settle(struct gv_summary *summary)
{
    enter_waiting(summary);
}
