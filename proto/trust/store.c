#include "proto/trust/store.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"

/* What one instance said in one clock hour: at most the quota, ascending by sequence number. */
struct gv_hour {
    const struct gv_instance *author;
    uint32_t hour;
    enum gv_statement_kind kind;
    bool kept;           /* what is not public must not take a public place: sets would differ */
    uint32_t count, cap; /* cap 0: it is in `one` */
    struct gv_place {
        uint64_t sequence; /* held's: what is compared lies together, not in as many places */
        struct gv_held *held;
    } one, *many; /* owned */
};

static inline struct gv_place *said_in(const struct gv_hour *hour)
{
    return hour->cap > 0 ? hour->many : (struct gv_place *)(uintptr_t)&hour->one;
}

struct hour_key {
    const struct gv_instance *author;
    uint32_t hour;
    enum gv_statement_kind kind;
    bool kept;
};

struct sequence_key {
    const struct gv_instance *author;
    uint64_t sequence;
};

void gv_store_init(struct gv_store *store, const uint8_t hash_key[16], size_t max)
{
    memset(store, 0, sizeof *store);
    memcpy(store->hash_key, hash_key, 16);
    store->max = max;
}

static void free_hour(struct gv_hour *hour)
{
    free(hour->many);
    free(hour);
}

static void free_case(struct gv_case *row)
{
    if (row->cap > 0)
        free(row->held.many);
    free(row);
}

void gv_store_free(struct gv_store *store)
{
    size_t cursor = 0;
    void *row;

    while ((row = gv_table_next(&store->sequences, &cursor)))
        free(row);
    for (cursor = 0; (row = gv_table_next(&store->hours, &cursor));)
        free_hour(row);
    for (cursor = 0; (row = gv_table_next(&store->cases, &cursor));)
        free_case(row);
    gv_table_free(&store->sequences);
    gv_table_free(&store->hours);
    gv_table_free(&store->cases);
}

/* ---- the three indexes ---------------------------------------------------------------------- */

static uint64_t hash_subject(const struct gv_store *store, const struct gv_subject *subject)
{
    return gv_siphash(store->hash_key, subject, sizeof *subject);
}

static bool is_case(const void *row, const void *subject)
{
    return memcmp(&((const struct gv_case *)row)->subject, subject, sizeof(struct gv_subject)) == 0;
}

static struct gv_case *find_case(const struct gv_store *store, uint64_t hash,
                                 const struct gv_subject *subject)
{
    return gv_table_find(&store->cases, hash, is_case, subject);
}

struct gv_case *gv_store_case(const struct gv_store *store, const struct gv_subject *subject)
{
    return find_case(store, hash_subject(store, subject), subject);
}

size_t gv_store_place(const struct gv_store *store, const struct gv_case *row)
{
    return gv_table_place(&store->cases, hash_subject(store, &row->subject), row);
}

/* Hashed by the author's id and not by his pointer: the same run must walk tables in the same
 * order on every machine. */
static uint64_t hash_author(const struct gv_store *store, const struct gv_instance *author,
                            uint64_t number, uint8_t kind)
{
    uint8_t key[GV_ID_LEN + 9];

    memcpy(key, author->id, GV_ID_LEN);
    for (size_t i = 0; i < 8; i++)
        key[GV_ID_LEN + i] = (uint8_t)(number >> 8 * i);
    key[GV_ID_LEN + 8] = kind;
    return gv_siphash(store->hash_key, key, sizeof key);
}

static bool is_sequence(const void *row, const void *key)
{
    const struct gv_held *held = row;
    const struct sequence_key *wanted = key;

    return held->statement.sequence == wanted->sequence &&
           gv_same_author(held->author, wanted->author);
}

static bool is_hour(const void *row, const void *key)
{
    const struct gv_hour *hour = row;
    const struct hour_key *wanted = key;

    return hour->hour == wanted->hour && hour->kind == wanted->kind && hour->kept == wanted->kept &&
           gv_same_author(hour->author, wanted->author);
}

static uint64_t hash_hour(const struct gv_store *store, const struct hour_key *key)
{
    return hash_author(store, key->author, key->hour, (uint8_t)(key->kind | (key->kept ? 128 : 0)));
}

static struct gv_hour *find_hour(const struct gv_store *store, uint64_t hash,
                                 const struct hour_key *key)
{
    return gv_table_find(&store->hours, hash, is_hour, key);
}

static struct gv_hour *hour_of(const struct gv_store *store, const struct gv_instance *author,
                               uint32_t minute, enum gv_statement_kind kind, bool kept)
{
    struct hour_key key = {author, minute / 60, kind, kept};

    return find_hour(store, hash_hour(store, &key), &key);
}

/* Where a statement stands in the three tables: each is hashed once. */
struct places {
    uint64_t subject, hour, sequence;
    struct hour_key hour_key;
};

static struct places places_of(const struct gv_store *store, const struct gv_statement *statement,
                               const struct gv_instance *author, bool kept)
{
    struct places p = {.hour_key = {author, statement->last_min / 60, statement->kind, kept}};

    p.subject = hash_subject(store, &statement->subject);
    p.hour = hash_hour(store, &p.hour_key);
    p.sequence = hash_author(store, author, statement->sequence, 0);
    return p;
}

/* The three tables are far apart in memory: what they are asked next is on its way from all three
 * at once. */
static void fetch_rows(const struct gv_store *store, const struct places *p)
{
    gv_table_fetch(&store->cases, p->subject);
    gv_table_fetch(&store->hours, p->hour);
    gv_table_fetch(&store->sequences, p->sequence);
    gv_table_fetch_item(&store->cases, p->subject);
    gv_table_fetch_item(&store->hours, p->hour);
}

/* And what lies behind the rows, which is read when the statement is held. */
static void fetch_behind(const struct gv_case *subject, const struct gv_hour *hour)
{
    if (subject && subject->cap > 0)
        gv_fetch(subject->held.many);
    if (hour && hour->count > 0)
        gv_fetch(&said_in(hour)[hour->count - 1]);
}

/* ---- admission ------------------------------------------------------------------------------ */

/* A retraction covers a signal of the same author on the same subject with a lower number. */
static struct gv_held *covering(const struct gv_case *subject, const struct gv_statement *signal,
                                const struct gv_instance *author)
{
    if (!subject || subject->retracts == 0)
        return NULL;
    for (uint32_t i = 0; i < subject->count; i++) {
        struct gv_held *held = gv_case_at(subject, i);
        if (held->statement.kind == GV_STATEMENT_RETRACT &&
            held->statement.sequence > signal->sequence && gv_same_author(held->author, author))
            return held;
    }
    return NULL;
}

struct gv_held *gv_store_covering(const struct gv_store *store, const struct gv_statement *signal,
                                  const struct gv_instance *author)
{
    return covering(gv_store_case(store, &signal->subject), signal, author);
}

/* A place among those of its hour: GV_OK; GV_OK and *displaced, which it pushes out; GV_ERR_RATE.
 */
static int find_place(const struct gv_hour *hour, uint64_t sequence, uint32_t quota,
                      struct gv_held **displaced)
{
    *displaced = NULL;
    if (!hour || hour->count < quota)
        return GV_OK;
    const struct gv_place *largest = &said_in(hour)[hour->count - 1];
    if (largest->sequence < sequence)
        return GV_ERR_RATE;
    *displaced = largest->held;
    return GV_OK;
}

struct gv_admission gv_store_weigh(const struct gv_store *store,
                                   const struct gv_statement *statement,
                                   const struct gv_instance *author, uint32_t per_hour,
                                   uint32_t retracts_per_hour, bool weightless, bool kept)
{
    struct gv_admission admission = {GV_OK, NULL, NULL};
    struct sequence_key key = {author, statement->sequence};
    bool is_signal = statement->kind == GV_STATEMENT_SIGNAL;
    uint32_t quota = is_signal ? per_hour : retracts_per_hour;
    struct places places = places_of(store, statement, author, kept);

    fetch_rows(store, &places);
    admission.contradicts = gv_table_find(&store->sequences, places.sequence, is_sequence, &key);
    if (admission.contradicts) {
        admission.error = GV_ERR_FAULT;
        return admission;
    }
    const struct gv_case *subject = find_case(store, places.subject, &statement->subject);
    if (is_signal && covering(subject, statement, author)) {
        admission.error = GV_ERR_SUPERSEDED;
        return admission;
    }
    const struct gv_hour *hour = find_hour(store, places.hour, &places.hour_key);
    fetch_behind(subject, hour);
    admission.error = find_place(hour, statement->sequence, quota, &admission.displaced);
    if (admission.error == GV_OK && !admission.displaced &&
        (store->count >= store->max || (weightless && store->weightless >= store->max / 2))) {
        /* New identities cost a mailbox each: they must not crowd out those that weigh something.
         */
        admission.error = GV_ERR_FULL;
    }
    return admission;
}

static struct gv_hour *hour_row(struct gv_store *store, uint64_t hash, const struct hour_key *key)
{
    struct gv_hour *hour = find_hour(store, hash, key);

    if (!hour) {
        hour = calloc(1, sizeof *hour);
        if (!hour)
            return NULL;
        hour->author = key->author;
        hour->hour = key->hour;
        hour->kind = key->kind;
        hour->kept = key->kept;
        if (gv_table_insert(&store->hours, hash, hour) != GV_OK) {
            free(hour);
            return NULL;
        }
    }
    if (hour->count > 0 && hour->count >= hour->cap) {
        uint32_t cap = hour->cap ? 2 * hour->cap : 4;
        struct gv_place *grown = realloc(hour->many, cap * sizeof *grown);
        if (!grown)
            return NULL;
        if (hour->cap == 0)
            grown[0] = hour->one; /* most say one thing in an hour */
        hour->many = grown;
        hour->cap = cap;
    }
    return hour;
}

static struct gv_case *case_row(struct gv_store *store, uint64_t hash,
                                const struct gv_subject *subject)
{
    struct gv_case *row = find_case(store, hash, subject);

    if (row)
        return row;
    row = calloc(1, sizeof *row);
    if (!row)
        return NULL;
    row->subject = *subject;
    row->until_min = GV_NEVER;
    if (gv_table_insert(&store->cases, hash, row) != GV_OK) {
        free(row);
        return NULL;
    }
    store->by_state[GV_VERDICT_UNKNOWN]++;
    return row;
}

static void release_case(struct gv_store *store, struct gv_case *row)
{
    if (row->count > 0)
        return;
    store->by_state[row->state]--;
    gv_table_remove(&store->cases, hash_subject(store, &row->subject), row);
    free_case(row);
}

static void release_hour(struct gv_store *store, struct gv_hour *hour)
{
    struct hour_key key = {hour->author, hour->hour, hour->kind, hour->kept};

    if (hour->count > 0)
        return;
    gv_table_remove(&store->hours, hash_hour(store, &key), hour);
    free_hour(hour);
}

static void enter_hour(struct gv_hour *hour, struct gv_held *held)
{
    struct gv_place *said = said_in(hour);
    uint32_t low = 0, high = hour->count;

    /* By halves: after a restart they come in any order. */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (said[middle].sequence < held->statement.sequence)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(said + low + 1, said + low, (hour->count - low) * sizeof *said);
    said[low] = (struct gv_place){held->statement.sequence, held};
    hour->count++;
    held->hour = hour;
}

/* Among a million signals each row is a wait for memory, so its two lines are asked for some rows
 * ahead of being read. Asks for those from `from` up to `until`; returns where it stopped. */
#define AHEAD 16u
static uint32_t fetch_held(const struct gv_case *subject, uint32_t from, uint32_t until)
{
    struct gv_held *const *all = subject->cap > 0 ? subject->held.many : subject->held.few;

    for (; from < subject->count && from < until; from++) {
        gv_fetch(all[from]);
        gv_fetch((const uint8_t *)all[from] + 64);
    }
    return from;
}

/* For one more. False: no memory. */
static bool has_room(struct gv_case *row)
{
    uint32_t cap = row->cap > 0 ? row->cap : GV_CASE_FEW;

    if (row->count < cap)
        return true;
    struct gv_held **old = row->cap > 0 ? row->held.many : NULL;
    struct gv_held **grown = realloc(old, 2 * (size_t)cap * sizeof *grown);
    if (!grown)
        return false;
    if (!old)
        memcpy(grown, row->held.few, sizeof row->held.few);
    row->held.many = grown;
    row->cap = 2 * cap;
    return true;
}

static void enter_case(struct gv_case *row, struct gv_held *held)
{
    (row->cap > 0 ? row->held.many : row->held.few)[row->count++] = held;
}

/* What goes is mostly the oldest. */
static void leave_case(struct gv_case *row, const struct gv_held *held)
{
    struct gv_held **all = row->cap > 0 ? row->held.many : row->held.few;
    uint32_t at = 0;

    while (all[at] != held)
        at++;
    row->count--;
    memmove(all + at, all + at + 1, (row->count - at) * sizeof *all);
}

struct gv_held *gv_store_hold(struct gv_store *store, const struct gv_statement *statement,
                              const uint8_t id[GV_ID_LEN], struct gv_item *item,
                              const struct gv_certificate_row *certificate, bool weightless,
                              bool kept)
{
    const struct gv_instance *author = certificate->instance;
    struct places places = places_of(store, statement, author, kept);
    struct gv_held *held = calloc(1, sizeof *held);
    struct gv_hour *hour = held ? hour_row(store, places.hour, &places.hour_key) : NULL;
    struct gv_case *subject = hour ? case_row(store, places.subject, &statement->subject) : NULL;

    if (!subject || !has_room(subject))
        goto failed;
    fetch_held(subject, 0, AHEAD); /* its verdict is next */
    held->statement = *statement;
    memcpy(held->id, id, GV_ID_LEN);
    held->item = item;
    held->author = author;
    held->owner = certificate->owner;
    held->group = certificate->group;
    held->since_min = certificate->since_min;
    if (gv_table_insert(&store->sequences, places.sequence, held) != GV_OK)
        goto failed;
    enter_hour(hour, held);
    held->subject = subject;
    enter_case(subject, held);
    store->count++;
    held->kept = kept;
    subject->kept += kept;
    subject->retracts += statement->kind == GV_STATEMENT_RETRACT;
    held->weightless = weightless;
    store->weightless += weightless;
    return held;
failed:
    if (subject)
        release_case(store, subject);
    if (hour)
        release_hour(store, hour);
    free(held);
    return NULL;
}

static void leave_hour(struct gv_store *store, struct gv_held *held)
{
    struct gv_hour *hour = held->hour;
    struct gv_place *said = said_in(hour);
    uint32_t at = 0;

    while (said[at].held != held)
        at++;
    hour->count--;
    memmove(said + at, said + at + 1, (hour->count - at) * sizeof *said);
    release_hour(store, hour);
}

int gv_store_publish(struct gv_store *store, struct gv_held *held, uint32_t per_hour,
                     uint32_t retracts_per_hour, struct gv_held **displaced)
{
    const struct gv_statement *said = &held->statement;
    uint32_t quota = said->kind == GV_STATEMENT_SIGNAL ? per_hour : retracts_per_hour;
    struct places places = places_of(store, said, held->author, false);
    int rc = find_place(find_hour(store, places.hour, &places.hour_key), said->sequence, quota,
                        displaced);

    if (rc != GV_OK || *displaced)
        return rc != GV_OK ? rc : GV_ERR_BUSY;
    struct gv_hour *hour = hour_row(store, places.hour, &places.hour_key);
    if (!hour)
        return GV_ERR_MEMORY;
    leave_hour(store, held);
    enter_hour(hour, held);
    held->kept = false;
    held->subject->kept--;
    return GV_OK;
}

void gv_store_drop(struct gv_store *store, struct gv_held *held)
{
    struct gv_case *subject = held->subject;

    leave_hour(store, held);
    leave_case(subject, held);
    subject->kept -= held->kept;
    subject->retracts -= held->statement.kind == GV_STATEMENT_RETRACT;
    release_case(store, subject);
    gv_table_remove(&store->sequences,
                    hash_author(store, held->author, held->statement.sequence, 0), held);
    store->count--;
    store->weightless -= held->weightless;
    free(held);
}

struct gv_held *gv_store_cancelled(const struct gv_store *store, const struct gv_statement *retract,
                                   const struct gv_instance *author)
{
    const struct gv_case *subject = gv_store_case(store, &retract->subject);

    for (uint32_t i = 0; subject && i < subject->count; i++) {
        struct gv_held *held = gv_case_at(subject, i);
        if (held->statement.kind == GV_STATEMENT_SIGNAL &&
            held->statement.sequence < retract->sequence && gv_same_author(held->author, author))
            return held;
    }
    return NULL;
}

bool gv_store_holds(const struct gv_store *store, const struct gv_instance *author)
{
    const struct gv_hour *hour;
    size_t cursor = 0;

    while ((hour = gv_table_next(&store->hours, &cursor)))
        if (hour->count > 0 && gv_same_author(hour->author, author))
            return true;
    return false;
}

void gv_store_find_owners(struct gv_store *store, gv_owner_now now, const void *context)
{
    struct gv_held *held;
    size_t cursor = 0;

    while ((held = gv_table_next(&store->sequences, &cursor)))
        held->owner = now(context, held->owner);
}

uint32_t gv_store_said(const struct gv_store *store, const struct gv_instance *author,
                       uint32_t minute)
{
    const struct gv_hour *hour = hour_of(store, author, minute, GV_STATEMENT_SIGNAL, false);
    const struct gv_hour *kept = hour_of(store, author, minute, GV_STATEMENT_SIGNAL, true);

    return (hour ? hour->count : 0) + (kept ? kept->count : 0);
}

/* ---- judging -------------------------------------------------------------------------------- */

static size_t gather_vote(struct gv_vote *vote, const struct gv_held *held, bool kept_too)
{
    const struct gv_instance *author = held->author;

    if (held->statement.kind != GV_STATEMENT_SIGNAL || (held->kept && !kept_too) ||
        held->owner->silenced)
        return 0;
    memset(vote, 0, sizeof *vote);
    memcpy(vote->signal, held->id, GV_ID_LEN);
    memcpy(vote->instance, author->id, GV_ID_LEN);
    memcpy(vote->owner, held->owner->tag, GV_ID_LEN);
    vote->group = held->group;
    vote->sequence = held->statement.sequence;
    vote->time_min = held->statement.last_min;
    vote->since_min = held->since_min;
    vote->revoked_min = author->revoked_min;
    vote->fault_min = held->owner->fault_min;
    return 1;
}

static size_t gather_votes(struct gv_vote *votes, const struct gv_case *subject, bool kept_too)
{
    struct gv_held *const *all = subject->cap > 0 ? subject->held.many : subject->held.few;
    uint32_t fetched = 0;
    size_t count = 0;

    for (uint32_t i = 0; i < subject->count; i++) {
        fetched = fetch_held(subject, fetched, i + AHEAD);
        count += gather_vote(&votes[count], all[i], kept_too);
    }
    return count;
}

void gv_store_judge(struct gv_verdict *out, const struct gv_case *subject,
                    const struct gv_policy *policy, uint32_t genesis_min, uint32_t now_min,
                    struct gv_vote *votes)
{
    size_t count = gather_votes(votes, subject, true);

    gv_verdict_judge(out, policy, genesis_min, now_min, votes, count);
}

void gv_store_judge_public(struct gv_verdict *out, const struct gv_case *subject,
                           const struct gv_policy *policy, uint32_t genesis_min, uint32_t now_min,
                           struct gv_vote *votes)
{
    size_t count = gather_votes(votes, subject, false);

    gv_verdict_judge(out, policy, genesis_min, now_min, votes, count);
}

void gv_store_settle(struct gv_store *store, struct gv_case *subject,
                     const struct gv_verdict *verdict)
{
    store->by_state[subject->state]--;
    store->by_state[verdict->state]++;
    subject->state = verdict->state;
    subject->weight = verdict->weight;
    subject->until_min = verdict->until_min;
    gv_store_lapses(store, subject);
}

void gv_store_lapses(struct gv_store *store, const struct gv_case *subject)
{
    if (subject->until_min < store->lapse_min)
        store->lapse_min = subject->until_min;
}
