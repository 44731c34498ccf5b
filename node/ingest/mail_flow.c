#include "node/ingest/mail_flow.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

#define NONE          UINT16_MAX
#define BUCKETS       16384u /* a power of two, as many as messages */
#define BUCKETS_FIRST 256u
#define GRAVEYARD     64u /* messages that were removed and can still be found */
#define WORDS         (GV_MAIL_MESSAGES / 64u)

_Static_assert(GV_MAIL_MESSAGES < NONE, "an index is 16 bits");
_Static_assert(GV_MAIL_MESSAGES <= BUCKETS, "a bucket for each");

enum flag {
    QUEUED = 1,      /* it lies in the queue */
    COUNTED = 2,     /* as received */
    SIZED = 4,       /* its size is known */
    LOCAL = 8,       /* it came from this host */
    DEFERRED = 16,   /* counted as deferred */
    REINJECTED = 32, /* it is `origin`, come back from a content filter */
    FILTERED = 64,   /* a content filter sent it back, and said so by XFORWARD */
    DEAD = 128       /* removed; in the graveyard: a filter's reply may still name it */
};

struct message {
    uint64_t id; /* a hash of host and queue id */
    uint64_t origin;
    uint64_t came_ms;
    uint64_t size;
    uint16_t chain;        /* the next of its bucket */
    uint16_t older, newer; /* in the order of coming */
    uint16_t flags;        /* enum flag */
};

struct gv_mail_flow {
    struct gv_mail_flow_config config;
    uint64_t counts[GV_MAIL_COUNT_MAX];
    char host[64];
    size_t host_len;
    uint64_t host_hash;
    /* They follow from the messages. As many are in use as messages ever were there at once: those
     * of a small host stay in the cache. */
    uint16_t buckets[BUCKETS];
    uint32_t bucket_count;
    uint64_t free[WORDS];            /* a bit for each message; and one for each word that */
    uint64_t free_words[WORDS / 64]; /* has any */
    size_t in_use;                   /* bytes of `messages` that were ever used */
    struct table {
        uint64_t forgotten;
        uint16_t none;   /* until 0.1: the first free one */
        uint16_t unused; /* from here on never used */
        uint16_t oldest, newest;
        uint16_t graves[GRAVEYARD]; /* a ring: the next grave is the oldest */
        uint16_t grave;
    } table;
    struct message messages[GV_MAIL_MESSAGES]; /* those that are free are zero */
};

static uint16_t *bucket(struct gv_mail_flow *flow, uint64_t id)
{
    return &flow->buckets[id & (flow->bucket_count - 1)];
}

static void link_all(struct gv_mail_flow *flow)
{
    flow->bucket_count = BUCKETS_FIRST;
    while (flow->bucket_count < flow->table.unused)
        flow->bucket_count *= 2;
    memset(flow->buckets, 0xff, sizeof flow->buckets);
    for (uint16_t i = flow->table.oldest; i != NONE; i = flow->messages[i].newer) {
        uint16_t *at = bucket(flow, flow->messages[i].id);

        flow->messages[i].chain = *at;
        *at = i;
    }
}

static void forget_all(struct gv_mail_flow *flow)
{
    memset(&flow->table, 0, sizeof flow->table);
    flow->table.none = flow->table.oldest = flow->table.newest = NONE;
    memset(flow->table.graves, 0xff, sizeof flow->table.graves);
    memset(flow->messages, 0, flow->in_use);
    flow->in_use = 0;
    memset(flow->free, 0xff, sizeof flow->free);
    memset(flow->free_words, 0xff, sizeof flow->free_words);
    link_all(flow);
}

struct gv_mail_flow *gv_mail_flow_new(const struct gv_mail_flow_config *config)
{
    /* Pages of messages that never come stay untouched. */
    struct gv_mail_flow *flow = calloc(1, sizeof *flow);

    if (!flow)
        return NULL;
    flow->config = *config;
    forget_all(flow);
    return flow;
}

void gv_mail_flow_free(struct gv_mail_flow *flow)
{
    free(flow);
}

uint64_t gv_mail_flow_count(const struct gv_mail_flow *flow, enum gv_mail_count which)
{
    /* What is taken back may have been counted before a restart. */
    return (int64_t)flow->counts[which] < 0 ? 0 : flow->counts[which];
}

static void count(struct gv_mail_flow *flow, enum gv_mail_count which, int64_t delta, uint64_t ms)
{
    flow->counts[which] += (uint64_t)delta;
    if (flow->config.on_count)
        flow->config.on_count(flow->config.context, which, delta, ms);
}

static void outgoing(struct gv_mail_flow *flow, const struct gv_mail_parsed *parsed, uint64_t ms)
{
    if (parsed->outgoing && flow->config.on_outgoing)
        flow->config.on_outgoing(flow->config.context, ms);
}

/* --- The table of messages -------------------------------------------------------------------- */

/* Postfix chooses queue ids, and nobody else can aim them at a bucket; a fast mix will do. */
static uint64_t hash_id(const struct gv_mail_flow *flow, const struct gv_queue_id *id)
{
    uint64_t h = (id->words[0] ^ flow->host_hash) * 0x9e3779b97f4a7c15u;

    h ^= (id->words[1] ^ flow->config.key) * 0xff51afd7ed558ccdu;
    h ^= id->words[2] * 0xc4ceb9fe1a85ec53u;
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

/* Two hosts may use one queue id. Most logs have one host. */
static void set_host(struct gv_mail_flow *flow, const struct gv_span *host)
{
    size_t len = host->len < sizeof flow->host ? host->len : sizeof flow->host;

    if (len == flow->host_len && memcmp(flow->host, host->at, len) == 0)
        return;
    memcpy(flow->host, host->at, len);
    flow->host_len = len;
    flow->host_hash = flow->config.key;
    for (size_t i = 0; i < len; i++)
        flow->host_hash = (flow->host_hash ^ (uint8_t)host->at[i]) * 0x100000001b3u;
}

static struct message *find(struct gv_mail_flow *flow, uint64_t id)
{
    for (uint16_t i = *bucket(flow, id); i != NONE; i = flow->messages[i].chain)
        if (flow->messages[i].id == id)
            return &flow->messages[i];
    return NULL;
}

static void unlink_message(struct gv_mail_flow *flow, struct message *m)
{
    uint16_t self = (uint16_t)(m - flow->messages);
    uint16_t *at = bucket(flow, m->id);

    while (*at != self)
        at = &flow->messages[*at].chain;
    *at = m->chain;
    *(m->older == NONE ? &flow->table.oldest : &flow->messages[m->older].newer) = m->newer;
    *(m->newer == NONE ? &flow->table.newest : &flow->messages[m->newer].older) = m->older;
}

static void set_free(struct gv_mail_flow *flow, uint16_t i)
{
    flow->free[i / 64] |= UINT64_C(1) << i % 64;
    flow->free_words[i / 64 / 64] |= UINT64_C(1) << i / 64 % 64;
}

static void set_taken(struct gv_mail_flow *flow, uint16_t i)
{
    flow->free[i / 64] &= ~(UINT64_C(1) << i % 64);
    if (flow->free[i / 64] == 0)
        flow->free_words[i / 64 / 64] &= ~(UINT64_C(1) << i / 64 % 64);
}

static void release(struct gv_mail_flow *flow, uint16_t i)
{
    unlink_message(flow, &flow->messages[i]);
    memset(&flow->messages[i], 0, sizeof flow->messages[i]);
    set_free(flow, i);
}

/* Digs up what lies in a grave, so that none is freed twice. */
static void leave_grave(struct gv_mail_flow *flow, const struct message *m)
{
    for (size_t i = 0; i < GRAVEYARD; i++)
        if (flow->table.graves[i] == (uint16_t)(m - flow->messages))
            flow->table.graves[i] = NONE;
}

/* The first of them: what has come and gone between two commits leaves all as it was, and costs the
 * store nothing. NONE: there is no more room. */
static uint16_t first_free(const struct gv_mail_flow *flow)
{
    for (unsigned w = 0; w < WORDS / 64; w++)
        if (flow->free_words[w]) {
            unsigned word = 64 * w + (unsigned)__builtin_ctzll(flow->free_words[w]);
            return (uint16_t)(64 * word + (unsigned)__builtin_ctzll(flow->free[word]));
        }
    return NONE;
}

static uint16_t take_free(struct gv_mail_flow *flow)
{
    uint16_t i = first_free(flow);

    if (i == NONE) {
        i = flow->table.oldest;
        struct message *old = &flow->messages[i];
        if (old->flags & DEAD)
            leave_grave(flow, old);
        flow->table.forgotten += old->flags & QUEUED;
        release(flow, i);
    }
    set_taken(flow, i);
    if (i >= flow->table.unused) {
        flow->table.unused = i + 1;
        flow->in_use = flow->table.unused * sizeof *flow->messages;
        if (flow->table.unused > flow->bucket_count)
            link_all(flow);
    }
    return i;
}

static struct message *add(struct gv_mail_flow *flow, uint64_t id, uint64_t ms)
{
    uint16_t i = take_free(flow);
    struct message *m = &flow->messages[i];

    *m = (struct message){.id = id,
                          .came_ms = ms,
                          .chain = *bucket(flow, id),
                          .older = flow->table.newest,
                          .newer = NONE};
    *bucket(flow, id) = i;
    *(flow->table.newest == NONE ? &flow->table.oldest
                                 : &flow->messages[flow->table.newest].newer) = i;
    flow->table.newest = i;
    return m;
}

/* A message under an id that begins now: short ids come again. */
static struct message *begin(struct gv_mail_flow *flow, uint64_t id, uint64_t ms)
{
    struct message *m = find(flow, id);

    if (m) {
        if (m->flags & DEAD)
            leave_grave(flow, m);
        release(flow, (uint16_t)(m - flow->messages));
    }
    return add(flow, id, ms);
}

/* The message of an id that is in the queue, known before or not. */
static struct message *known(struct gv_mail_flow *flow, uint64_t id, uint64_t ms)
{
    struct message *m = find(flow, id);

    if (m && (m->flags & DEAD)) {
        leave_grave(flow, m);
        release(flow, (uint16_t)(m - flow->messages));
        m = NULL;
    }
    return m ? m : add(flow, id, ms);
}

/* Only of one that came from this host, or back from a filter, may a reply still speak. */
static void bury(struct gv_mail_flow *flow, struct message *m)
{
    if (m->flags & DEAD)
        return;
    if (!(m->flags & (LOCAL | REINJECTED))) {
        release(flow, (uint16_t)(m - flow->messages));
        return;
    }
    uint16_t *grave = &flow->table.graves[flow->table.grave++ % GRAVEYARD];
    if (*grave != NONE)
        release(flow, *grave);
    m->flags = (uint16_t)((m->flags & ~QUEUED) | DEAD);
    *grave = (uint16_t)(m - flow->messages);
}

/* ---- What the lines say ---------------------------------------------------------------------- */

/* It came back from a content filter: neither a second message nor a delivery. */
static void take_back(struct gv_mail_flow *flow, struct message *m, uint64_t origin)
{
    m->origin = origin;
    m->flags |= REINJECTED;
    count(flow, GV_MAIL_REINJECTED, 1, m->came_ms);
    if (!(m->flags & COUNTED))
        return;
    count(flow, GV_MAIL_RECEIVED, -1, m->came_ms);
    if (m->flags & SIZED)
        count(flow, GV_MAIL_BYTES_RECEIVED, -(int64_t)m->size, m->came_ms);
    m->flags &= (uint16_t)~COUNTED;
}

static void take_client(struct gv_mail_flow *flow, uint64_t id, const struct gv_mail_parsed *p,
                        uint64_t before, uint64_t ms)
{
    struct message *m = begin(flow, id, ms);
    struct message *origin = before != 0 && before != id ? find(flow, before) : NULL;

    m->flags = p->local ? LOCAL : 0;
    /* What is gone was delivered to a filter with a queue of its own, and counted. */
    if (origin && !(origin->flags & DEAD)) {
        origin->flags |= FILTERED;
        take_back(flow, m, before);
        return;
    }
    m->flags |= COUNTED;
    count(flow, GV_MAIL_RECEIVED, 1, ms);
}

static void take_active(struct gv_mail_flow *flow, uint64_t id, uint64_t size, uint64_t ms)
{
    struct message *m = known(flow, id, ms);

    m->flags |= QUEUED;
    if (m->flags & SIZED) /* taken up again after a deferral */
        return;
    m->flags |= SIZED;
    m->size = size;
    if (m->flags & COUNTED)
        count(flow, GV_MAIL_BYTES_RECEIVED, (int64_t)size, m->came_ms);
}

/* Whether a delivery was to a content filter of this host that gave the message back. Its reply is
 * believed only about a message that came from this host, or that XFORWARD says is this one. */
static bool to_filter(struct gv_mail_flow *flow, const struct message *m, uint64_t id,
                      const struct gv_mail_parsed *p)
{
    struct gv_queue_id told = gv_mail_queued_as(&p->reply);
    uint64_t there = gv_queue_id_given(&told) ? hash_id(flow, &told) : 0;
    struct message *back = there != 0 && there != id ? find(flow, there) : NULL;

    if (back && (back->flags & REINJECTED))
        return back->origin == id;
    if (back && p->local && (back->flags & LOCAL)) {
        take_back(flow, back, id);
        return true;
    }
    return p->local && m && (m->flags & FILTERED);
}

static void take_sent(struct gv_mail_flow *flow, uint64_t id, const struct gv_mail_parsed *p,
                      uint64_t ms)
{
    const struct message *m = find(flow, id);

    if (m && (m->flags & DEAD))
        m = NULL;
    if ((p->local || (m && (m->flags & FILTERED))) && to_filter(flow, m, id, p)) {
        count(flow, GV_MAIL_FILTERED, 1, ms);
        return;
    }
    count(flow, GV_MAIL_DELIVERED, 1, ms);
    outgoing(flow, p, ms);
    if (m && (m->flags & SIZED))
        count(flow, GV_MAIL_BYTES_DELIVERED, (int64_t)m->size, ms);
}

static void take_deferred(struct gv_mail_flow *flow, uint64_t id, uint64_t delay_s, uint64_t ms)
{
    struct message *m = known(flow, id, ms);
    uint64_t came_ms = delay_s * 1000 < ms ? ms - delay_s * 1000 : 0;

    /* The log may begin behind the message's coming, but the delay is counted from there. */
    if (!(m->flags & (COUNTED | REINJECTED)) && came_ms < m->came_ms)
        m->came_ms = came_ms;
    m->flags |= QUEUED;
    count(flow, GV_MAIL_DEFERRALS, 1, ms);
    if (!(m->flags & DEFERRED))
        count(flow, GV_MAIL_DEFERRED, 1, ms);
    m->flags |= DEFERRED;
}

static void take_removed(struct gv_mail_flow *flow, uint64_t id)
{
    struct message *m = find(flow, id);

    if (m)
        bury(flow, m);
}

static void take_hold(struct gv_mail_flow *flow, uint64_t id, const struct gv_mail_parsed *p,
                      uint64_t ms)
{
    if (p->said == GV_MAIL_SAID_HOLD)
        count(flow, GV_MAIL_HELD, 1, ms);
    /* smtpd says it before the message is there, and it may never come. */
    if (p->said == GV_MAIL_SAID_SHELVED || (p->content))
        known(flow, id, ms)->flags |= QUEUED;
}

void gv_mail_flow_take(struct gv_mail_flow *flow, const struct gv_mail_parsed *parsed,
                       const struct gv_span *host, uint64_t unix_ms)
{
    uint64_t id = 0, other = 0;

    if (gv_queue_id_given(&parsed->id)) {
        set_host(flow, host);
        id = hash_id(flow, &parsed->id);
        if (gv_queue_id_given(&parsed->other))
            other = hash_id(flow, &parsed->other);
    }
    switch ((enum gv_mail_said)parsed->said) {
    case GV_MAIL_SAID_CLIENT:
    case GV_MAIL_SAID_PICKUP:
        take_client(flow, id, parsed, other, unix_ms);
        break;
    case GV_MAIL_SAID_REQUEUED:
        begin(flow, id, unix_ms);
        break;
    case GV_MAIL_SAID_ACTIVE:
        take_active(flow, id, parsed->size, unix_ms);
        break;
    case GV_MAIL_SAID_EXPIRED:
        count(flow, GV_MAIL_EXPIRED, 1, unix_ms);
        break;
    case GV_MAIL_SAID_REMOVED:
        take_removed(flow, id);
        break;
    case GV_MAIL_SAID_SENT:
    case GV_MAIL_SAID_PIPED:
        take_sent(flow, id, parsed, unix_ms);
        break;
    case GV_MAIL_SAID_FORWARDED:
        count(flow, GV_MAIL_FORWARDED, 1, unix_ms);
        break;
    case GV_MAIL_SAID_DEFERRED:
        take_deferred(flow, id, parsed->delay_s, unix_ms);
        break;
    case GV_MAIL_SAID_BOUNCED:
        count(flow, GV_MAIL_BOUNCED, 1, unix_ms);
        outgoing(flow, parsed, unix_ms);
        break;
    case GV_MAIL_SAID_REJECT:
        count(flow, GV_MAIL_REJECTED, 1, unix_ms);
        break;
    case GV_MAIL_SAID_WARNING:
        count(flow, GV_MAIL_REJECT_WARNINGS, 1, unix_ms);
        break;
    case GV_MAIL_SAID_DISCARD:
        count(flow, GV_MAIL_DISCARDED, 1, unix_ms);
        break;
    case GV_MAIL_SAID_HOLD:
    case GV_MAIL_SAID_SHELVED:
        take_hold(flow, id, parsed, unix_ms);
        break;
    case GV_MAIL_SAID_NOTHING:
        break;
    }
}

void gv_mail_flow_login(struct gv_mail_flow *flow, uint64_t attempts, uint64_t unix_ms)
{
    if (attempts == 0)
        count(flow, GV_MAIL_LOGINS, 1, unix_ms);
    else
        count(flow, GV_MAIL_LOGIN_FAILURES, (int64_t)attempts, unix_ms);
}

void gv_mail_flow_queue(const struct gv_mail_flow *flow, struct gv_mail_queue *out)
{
    memset(out, 0, sizeof *out);
    out->forgotten = flow->table.forgotten;
    for (uint16_t i = flow->table.oldest; i != NONE; i = flow->messages[i].newer) {
        const struct message *m = &flow->messages[i];

        if (!(m->flags & QUEUED))
            continue;
        if (out->messages++ == 0 || m->came_ms < out->oldest_ms)
            out->oldest_ms = m->came_ms;
    }
}

/* ---- Over a restart -------------------------------------------------------------------------- */

size_t gv_mail_flow_memory(struct gv_mail_flow *flow, struct gv_memory_area out[GV_MAIL_FLOW_AREAS])
{
    out[0] = (struct gv_memory_area){&flow->table, sizeof flow->table, NULL};
    out[1] = (struct gv_memory_area){flow->messages, sizeof flow->messages, &flow->in_use};
    return GV_MAIL_FLOW_AREAS;
}

/* False the second time, and for one that was never used. */
static bool meet(const struct gv_mail_flow *flow, bool *met, uint16_t i)
{
    if (i >= flow->table.unused || met[i])
        return false;
    met[i] = true;
    return true;
}

/* What lies in a grave is dead, and in one grave. */
static bool graves_are_sound(const struct gv_mail_flow *flow)
{
    const uint16_t *graves = flow->table.graves;

    for (size_t i = 0; i < GRAVEYARD; i++) {
        if (graves[i] == NONE)
            continue;
        if (graves[i] >= flow->table.unused || !(flow->messages[graves[i]].flags & DEAD))
            return false;
        for (size_t j = 0; j < i; j++)
            if (graves[j] == graves[i])
                return false;
    }
    return true;
}

/* The others are as if they had never been. False: those that are in the order of coming do not
 * make one. */
static bool free_others(struct gv_mail_flow *flow)
{
    const struct table *t = &flow->table;
    bool met[GV_MAIL_MESSAGES] = {false};
    uint16_t before = NONE;

    memset(flow->free, 0xff, sizeof flow->free);
    memset(flow->free_words, 0xff, sizeof flow->free_words);
    if (t->unused > GV_MAIL_MESSAGES)
        return false;
    for (uint16_t i = t->oldest; i != NONE; before = i, i = flow->messages[i].newer)
        if (!meet(flow, met, i) || flow->messages[i].older != before)
            return false;
    for (uint16_t i = 0; i < t->unused; i++)
        if (met[i])
            set_taken(flow, i);
        else
            memset(&flow->messages[i], 0, sizeof flow->messages[i]);
    return before == t->newest && graves_are_sound(flow);
}

void gv_mail_flow_recall(struct gv_mail_flow *flow, uint64_t now_ms)
{
    flow->in_use = sizeof flow->messages;
    if (!free_others(flow)) {
        forget_all(flow);
        return;
    }
    flow->table.none = NONE;
    flow->in_use = flow->table.unused * sizeof *flow->messages;
    link_all(flow);
    /* If its end was lost with its log it would be in the queue for ever. */
    while (flow->table.oldest != NONE &&
           flow->messages[flow->table.oldest].came_ms + GV_MAIL_STALE_MS < now_ms) {
        leave_grave(flow, &flow->messages[flow->table.oldest]);
        release(flow, flow->table.oldest);
    }
}
