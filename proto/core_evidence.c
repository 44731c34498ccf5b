/* Evidence leaves a core (evidence.h). */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/evidence.h"
#include "proto/mesh/state.h"

struct gathering {
    const struct gv_core *core;
    struct gv_buf *out;
    const struct gv_item **written; /* owned: what is in it already */
    size_t count, cap;
    bool failed;
};

static void put(struct gathering *g, const struct gv_item *item)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->written[i] == item)
            return;
    if (!item || g->failed)
        return;
    if (g->count == g->cap) {
        size_t cap = g->cap ? 2 * g->cap : 64;
        const struct gv_item **grown = realloc(g->written, cap * sizeof *grown);
        if (!grown) {
            g->failed = true;
            return;
        }
        g->written = grown;
        g->cap = cap;
    }
    g->written[g->count++] = item;
    const uint8_t len[2] = {(uint8_t)(item->len >> 8), (uint8_t)item->len};
    gv_buf_append(g->out, len, sizeof len);
    gv_buf_append(g->out, item->record, item->len);
}

static const struct gv_item *descriptor_in_force(const struct gv_core *core)
{
    for (size_t i = 0; i < core->descriptor_count; i++)
        if (core->descriptors[i].version == core->descriptor.version)
            return core->descriptors[i].item;
    return NULL;
}

/* ---- which words ----------------------------------------------------------------------------- */

/* One statement, and what it is worth by itself. */
struct word {
    const struct gv_held *held;
    uint32_t standing;
    bool counts; /* a signal, and not dated ahead */
    bool first;  /* the best of its network */
};

static uint32_t standing_of(const struct gv_core *core, const struct gv_held *held)
{
    if (held->author->revoked_min <= held->statement.last_min)
        return 0;
    return gv_standing(&core->descriptor.policy, core->descriptor.genesis_min, held->since_min,
                       held->statement.last_min);
}

static int order_of(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* Words of one voice side by side, who counts before who does not, then the newest first, as the
 * rule has it (SPEC 11.2). A voice is an instance under certificates of one owner, group and since.
 */
static int by_voice(const void *left, const void *right)
{
    const struct word *x = left, *y = right;
    const struct gv_held *a = x->held, *b = y->held;
    int order = memcmp(a->author->id, b->author->id, GV_ID_LEN);

    if (order == 0)
        order = memcmp(a->owner->tag, b->owner->tag, GV_ID_LEN);
    if (order == 0)
        order = order_of(a->group, b->group);
    if (order == 0)
        order = order_of(a->since_min, b->since_min);
    if (order == 0)
        order = order_of(a->statement.kind, b->statement.kind);
    if (order == 0)
        order = order_of(x->standing == 0, y->standing == 0);
    if (order == 0)
        order = order_of(b->statement.last_min, a->statement.last_min);
    return order ? order : memcmp(b->id, a->id, GV_ID_LEN);
}

static bool same_voice(const struct gv_held *a, const struct gv_held *b)
{
    return gv_same_author(a->author, b->author) &&
           memcmp(a->owner->tag, b->owner->tag, GV_ID_LEN) == 0 && a->group == b->group &&
           a->since_min == b->since_min && a->statement.kind == b->statement.kind;
}

static int by_group(const void *left, const void *right)
{
    const struct word *a = left, *b = right;
    int order = order_of(a->held->group, b->held->group);

    if (order == 0)
        order = order_of(b->counts, a->counts);
    if (order == 0)
        order = order_of(b->standing, a->standing);
    return order ? order : memcmp(a->held->id, b->held->id, GV_ID_LEN);
}

static int by_worth(const void *left, const void *right)
{
    const struct word *a = left, *b = right;
    int order = order_of(b->first, a->first);

    if (order == 0)
        order = order_of(b->counts, a->counts);
    if (order == 0)
        order = order_of(b->standing, a->standing);
    return order ? order : memcmp(a->held->id, b->held->id, GV_ID_LEN);
}

/* Of each voice the newest that counts now, which hides all older ones for as long as any of them
 * lives, and of those dated ahead the last of each minute: nothing else can have a part in the
 * verdict, now or later. Who says a thing a thousand times is in it once. */
static size_t last_words(struct word *words, const struct gv_case *row, const struct gv_core *core)
{
    uint32_t now = core->now_min, alive = core->descriptor.policy.alive_min;
    size_t count = 0, kept = 0;

    for (uint32_t i = 0; i < row->count; i++) {
        const struct gv_held *held = gv_case_at(row, i);
        if ((uint64_t)held->statement.last_min + alive >= now)
            words[count++] = (struct word){.held = held,
                                           .standing = standing_of(core, held),
                                           .counts = held->statement.kind == GV_STATEMENT_SIGNAL &&
                                                     held->statement.last_min <= now};
    }
    qsort(words, count, sizeof *words, by_voice);
    for (size_t i = 0; i < count; i++) {
        const struct gv_held *held = words[i].held;
        uint32_t minute = held->statement.last_min;
        const struct word *before = kept > 0 ? &words[kept - 1] : NULL;
        bool hidden = before && same_voice(before->held, held) &&
                      (before->held->statement.last_min <= now ||
                       before->held->statement.last_min == minute || words[i].standing == 0);
        if (!hidden)
            words[kept++] = words[i];
    }
    return kept;
}

/* The best of each network come first, of its signals that count now, so that what has no room
 * changes neither state nor weight. */
static void rank(struct word *words, size_t count)
{
    qsort(words, count, sizeof *words, by_group);
    for (size_t i = 0; i < count; i++)
        words[i].first = i == 0 || words[i].held->group != words[i - 1].held->group;
    qsort(words, count, sizeof *words, by_worth);
}

/* ---- who said them --------------------------------------------------------------------------- */

/* Sorted ids, to be searched. */
struct ids {
    uint8_t (*at)[GV_ID_LEN]; /* owned */
    size_t count;
};

static int compare_ids(const void *left, const void *right)
{
    return memcmp(left, right, GV_ID_LEN);
}

static bool has(const struct ids *ids, const uint8_t id[GV_ID_LEN])
{
    return ids->count > 0 && bsearch(id, ids->at, ids->count, GV_ID_LEN, compare_ids);
}

static bool collect(struct ids *out, const struct word *words, size_t count, bool owners)
{
    out->at = calloc(count + 1, sizeof *out->at);
    for (size_t i = 0; out->at && i < count; i++)
        memcpy(out->at[out->count++],
               owners ? words[i].held->owner->tag : words[i].held->author->id, GV_ID_LEN);
    if (out->at)
        qsort(out->at, out->count, GV_ID_LEN, compare_ids);
    return out->at != NULL;
}

enum part { CERTIFICATES, REVOCATIONS, FAULTS };

/* Of those who said something; and of another instance of theirs where it is at fault, since that
 * is its owner's. */
static void put_roster(struct gathering *g, const struct ids *authors, const struct ids *owners,
                       enum part part)
{
    const struct gv_certificate_row *row;
    size_t cursor = 0;

    while ((row = gv_roster_next(&g->core->roster, GV_ROWS_CERTIFICATES, &cursor))) {
        const struct gv_instance *instance = gv_roster_author(&g->core->roster, row);
        if (!has(authors, instance->id) && !(instance->fault && has(owners, row->owner->tag)))
            continue;
        put(g, part == CERTIFICATES  ? row->item
               : part == REVOCATIONS ? instance->revocation
                                     : instance->fault);
    }
}

/* In an order in which they can be taken in again: whoever is at fault or revoked may say no more.
 */
static bool put_case(struct gathering *g, const struct gv_case *row, uint32_t *left_out)
{
    struct word *words = calloc((size_t)row->count + 1, sizeof *words);
    struct ids authors = {NULL, 0}, owners = {NULL, 0};
    size_t count = words ? last_words(words, row, g->core) : 0;

    if (count > GV_EVIDENCE_WORDS) {
        rank(words, count);
        *left_out = (uint32_t)(count - GV_EVIDENCE_WORDS);
        count = GV_EVIDENCE_WORDS;
    }
    bool ok =
        words && collect(&authors, words, count, false) && collect(&owners, words, count, true);
    if (ok) {
        put_roster(g, &authors, &owners, CERTIFICATES);
        for (size_t i = 0; i < count; i++)
            put(g, words[i].held->item);
        put_roster(g, &authors, &owners, REVOCATIONS);
        put_roster(g, &authors, &owners, FAULTS);
    }
    free(owners.at);
    free(authors.at);
    free(words);
    return ok;
}

int gv_core_evidence(const struct gv_core *core, struct gv_buf *out, uint32_t *minute,
                     uint32_t *left_out, const struct gv_subject *subject)
{
    const struct gv_case *row = gv_store_case(&core->store, subject);
    struct gathering g = {.core = core, .out = out};
    const struct gv_item *descriptor = core->has_descriptor ? descriptor_in_force(core) : NULL;

    *minute = core->now_min;
    *left_out = 0;
    if (!descriptor)
        return GV_ERR_STATE;
    put(&g, descriptor);
    bool ok = !row || put_case(&g, row, left_out);
    free(g.written);
    return !ok || g.failed || out->failed ? GV_ERR_MEMORY : GV_OK;
}
