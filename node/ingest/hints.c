#include "node/ingest/hints.h"

#include <string.h>

/* A failure delay, a penalty, and a busy server together: Dovecot adds up to 17 s. */
#define GV_HINT_HOLD_MS 120000
/* A hint is there before what it explains, but it may be of a log that is read ahead of another, or
 * of a host whose clock is. */
#define GV_HINT_EARLY_MS 10000
/* Passdbs are asked one after the other; a real second guess takes the failure delay at least. */
#define GV_HINT_SAME_MS 1000
/* saslauthd logs before it answers, and Cyrus logs before it pauses. */
#define GV_SASL_HOLD_MS 10000

void gv_hints_init(struct gv_hints *hints)
{
    memset(hints, 0, sizeof *hints);
    for (size_t i = 0; i < GV_HINT_BUCKETS; i++)
        hints->first[i] = hints->last[i] = GV_HINTS;
}

static size_t bucket_of(const struct gv_ip_address *address)
{
    uint64_t a, b;

    memcpy(&a, address->bytes, 8);
    memcpy(&b, address->bytes + 8, 8);
    return (size_t)(((a ^ b * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu) >> 54);
}

/* The oldest of all is the first of its bucket, because buckets are in the ring's order. */
static void drop_oldest(struct gv_hints *hints)
{
    size_t bucket = bucket_of(&hints->ring[hints->head].address);

    hints->first[bucket] = hints->ring[hints->head].next;
    if (hints->first[bucket] == GV_HINTS)
        hints->last[bucket] = GV_HINTS;
    hints->head = (hints->head + 1) % GV_HINTS;
    hints->count--;
}

/* Two passdbs may have one name (of two files, one of them perhaps of those who must not get in).
 * No passdb knows an account and does not know it; and that one does not know the same account
 * twice within a second of one session is not worth the doubt. */
static bool other_passdb(const struct gv_hint *a, const struct gv_hint *b, bool again)
{
    return a->origin != b->origin ||
           (!again && a->session != 0 && a->kind == GV_KIND_UNKNOWN_ACCOUNT &&
            a->blame == GV_BLAME_CLIENT && b->blame == GV_BLAME_CLIENT);
}

static bool same_attempt(const struct gv_hint *a, const struct gv_hint *b, bool again)
{
    /* What the policy refuses is never asked of a passdb. */
    if (a->blame == GV_BLAME_POLICY || b->blame == GV_BLAME_POLICY)
        return false;
    return !a->taken && a->session == b->session && a->account == b->account &&
           other_passdb(a, b, again) && b->ms - a->ms <= GV_HINT_SAME_MS && b->ms >= a->ms &&
           gv_ip_address_equal(&a->address, &b->address);
}

/* Of two answers about one attempt: a broken passdb may have known the account, and an account that
 * one passdb knows exists. */
static void fold(struct gv_hint *into, const struct gv_hint *from)
{
    if (from->blame > into->blame)
        into->blame = from->blame;
    if (from->kind == GV_KIND_WRONG_PASSWORD)
        into->kind = from->kind;
    into->origin = from->origin;
}

/* Behind all that are there. */
static void to_bucket(struct gv_hints *hints, uint16_t at)
{
    size_t bucket = bucket_of(&hints->ring[at].address);
    uint16_t last = hints->last[bucket];

    hints->ring[at].next = GV_HINTS;
    if (last == GV_HINTS)
        hints->first[bucket] = at;
    else
        hints->ring[last].next = at;
    hints->last[bucket] = at;
}

void gv_hints_add(struct gv_hints *hints, const struct gv_hint *hint, bool again)
{
    size_t bucket = bucket_of(&hint->address);
    uint16_t last = hints->last[bucket];

    if (hint->session != 0 && hint->blame == GV_BLAME_CLIENT)
        hints->learnt |= GV_HINTS_SPEAKS;
    if (last != GV_HINTS && same_attempt(&hints->ring[last], hint, again)) {
        if (hint->session != 0 &&
            (hint->origin != hints->ring[last].origin || hint->kind != hints->ring[last].kind))
            hints->learnt |= GV_HINTS_SEVERAL;
        fold(&hints->ring[last], hint);
        return;
    }
    while (hints->count > 0 && (hints->count == GV_HINTS || hints->ring[hints->head].taken))
        drop_oldest(hints);
    uint16_t at = (uint16_t)((hints->head + hints->count) % GV_HINTS);
    hints->ring[at] = *hint;
    hints->ring[at].taken = false;
    if (hints->ring[at].times == 0)
        hints->ring[at].times = 1;
    to_bucket(hints, at);
    hints->count++;
}

size_t gv_hints_memory(struct gv_hints *hints, struct gv_memory_area out[GV_HINTS_AREAS])
{
    out[0] = (struct gv_memory_area){hints, offsetof(struct gv_hints, head), NULL};
    out[1] = (struct gv_memory_area){
        &hints->head, offsetof(struct gv_hints, first) - offsetof(struct gv_hints, head), NULL};
    return GV_HINTS_AREAS;
}

/* The buckets follow from the ring. */
void gv_hints_recall(struct gv_hints *hints)
{
    if (hints->head >= GV_HINTS || hints->count > GV_HINTS || hints->sasl_head >= GV_SASL_HINTS ||
        hints->sasl_count > GV_SASL_HINTS) {
        gv_hints_init(hints);
        return;
    }
    for (size_t i = 0; i < GV_HINT_BUCKETS; i++)
        hints->first[i] = hints->last[i] = GV_HINTS;
    for (uint32_t i = 0; i < hints->count; i++)
        to_bucket(hints, (uint16_t)((hints->head + i) % GV_HINTS));
}

static void add(struct gv_hint_sum *sum, const struct gv_hint *hint, uint32_t times)
{
    bool unknown = hint->kind == GV_KIND_UNKNOWN_ACCOUNT,
         wrong = hint->kind == GV_KIND_WRONG_PASSWORD, first = sum->unknown + sum->wrong == 0;

    sum->refused += hint->blame == GV_BLAME_POLICY ? times : 0;
    sum->faults += hint->blame == GV_BLAME_BACKEND ? times : 0;
    if (hint->blame != GV_BLAME_CLIENT || times == 0 || !(unknown || wrong))
        return;
    sum->unknown += unknown ? times : 0;
    sum->wrong += wrong ? times : 0;
    sum->account = first || sum->account == hint->account ? hint->account : 0;
    sum->ms = hint->ms;
}

/* One attempt of those that it is of. */
static void take(struct gv_hint *hint, struct gv_hint_sum *sum)
{
    hint->taken = --hint->times == 0;
    add(sum, hint, 1);
}

/* The next hint of the session from `at` on in its bucket, or GV_HINTS. */
static uint16_t next_of(const struct gv_hints *hints, uint16_t at,
                        const struct gv_ip_address *address, uint64_t session)
{
    for (; at != GV_HINTS; at = hints->ring[at].next) {
        const struct gv_hint *h = &hints->ring[at];

        if (!h->taken && h->session == session && gv_ip_address_equal(&h->address, address))
            break;
    }
    return at;
}

/* Whether the last hint of a visit may be what a passdb said of its last attempt, which another one
 * then answered otherwise. The auth service makes who has failed wait for seconds; who gets in may
 * have another name by then. */
static bool may_be_of_end(const struct gv_hints *hints, const struct gv_hint *last, uint32_t all,
                          const struct gv_hint_end *end)
{
    bool soon = gv_ms_apart(last->ms, end->ms) <= GV_HINT_SAME_MS;
    bool several = (hints->learnt & GV_HINTS_SEVERAL) != 0;

    return last->account == end->account ? soon || several : soon && (several || all == 1);
}

void gv_hints_take_session(struct gv_hints *hints, struct gv_hint_sum *sum,
                           const struct gv_ip_address *address, uint64_t session,
                           const struct gv_hint_end *end)
{
    uint16_t first, last = GV_HINTS;
    uint32_t all = 0;

    if (hints->count == 0 || session == 0)
        return;
    first = next_of(hints, hints->first[bucket_of(address)], address, session);
    for (uint16_t i = first; end->answered && i != GV_HINTS;
         i = next_of(hints, hints->ring[i].next, address, session)) {
        last = i;
        all += hints->ring[i].times;
    }
    for (uint16_t i = first; i != GV_HINTS;
         i = next_of(hints, hints->ring[i].next, address, session)) {
        struct gv_hint *h = &hints->ring[i];
        bool own = end->answered && h->account == end->account && h->blame == GV_BLAME_CLIENT;

        h->taken = true;
        /* There is such an account, so it is another passdb's. */
        if (own && h->kind == GV_KIND_UNKNOWN_ACCOUNT)
            hints->learnt |= end->right ? GV_HINTS_SEVERAL : 0;
        else
            add(sum, h, h->times - (uint32_t)(i == last && may_be_of_end(hints, h, all, end)));
    }
}

bool gv_hints_take_one(struct gv_hints *hints, struct gv_hint_sum *sum,
                       const struct gv_ip_address *address, uint64_t account, uint64_t since_ms,
                       uint64_t now_ms)
{
    if (hints->count == 0)
        return false;
    for (uint16_t i = hints->first[bucket_of(address)]; i != GV_HINTS; i = hints->ring[i].next) {
        struct gv_hint *h = &hints->ring[i];

        if (h->taken || h->session != 0 || h->ms < since_ms || h->ms + GV_HINT_HOLD_MS < now_ms ||
            h->ms > now_ms + GV_HINT_EARLY_MS || !gv_ip_address_equal(&h->address, address))
            continue;
        if (account != 0 && h->account != 0 && h->account != account)
            continue;
        take(h, sum);
        return true;
    }
    return false;
}

void gv_hints_forget(struct gv_hints *hints, const struct gv_ip_address *address, uint64_t account)
{
    if (hints->count == 0)
        return;
    for (uint16_t i = hints->first[bucket_of(address)]; i != GV_HINTS; i = hints->ring[i].next) {
        struct gv_hint *h = &hints->ring[i];

        if (h->session == 0 && (account == 0 || h->account == 0 || h->account == account) &&
            gv_ip_address_equal(&h->address, address))
            h->taken = true;
    }
}

void gv_hints_add_sasl(struct gv_hints *hints, const struct gv_sasl_hint *hint)
{
    uint32_t at = (hints->sasl_head + hints->sasl_count) % GV_SASL_HINTS;

    if (hints->sasl_count == GV_SASL_HINTS)
        hints->sasl_head = (hints->sasl_head + 1) % GV_SASL_HINTS;
    else
        hints->sasl_count++;
    hints->sasl[at] = *hint;
}

const struct gv_sasl_hint *gv_hints_take_sasl(struct gv_hints *hints, uint64_t account,
                                              uint8_t service, uint64_t ms)
{
    if (account == 0)
        return NULL;
    for (uint32_t i = 0; i < hints->sasl_count; i++) {
        struct gv_sasl_hint *h = &hints->sasl[(hints->sasl_head + i) % GV_SASL_HINTS];

        if (h->taken || h->account != account || h->service != service ||
            gv_ms_apart(h->ms, ms) > GV_SASL_HOLD_MS)
            continue;
        h->taken = true;
        return h;
    }
    return NULL;
}

void gv_hints_erase(struct gv_hints *hints, const struct gv_subject *subject)
{
    for (size_t i = 0; i < GV_HINTS; i++)
        if (gv_ip_address_of(&hints->ring[i].address, subject))
            hints->ring[i] = (struct gv_hint){.taken = true};
    gv_hints_recall(hints); /* the buckets go by address */
}
