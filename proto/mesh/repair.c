/* Repair: range-based set reconciliation (A. Meyer, "Range-Based Set Reconciliation", 2023). Both
 * sides run the same stateless answer: equal fingerprints end a range, a small range is sent as
 * ids, a large one is split. Whoever sees ids knows both halves of the difference: it sends what
 * the other lacks and asks for what it lacks itself. (SPEC 9.5) */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/mesh/state.h"
#include "proto/limits.h"

/* Records pushed in answer to one message: a node that joins is fed at a bounded rate. */
#define PUSH_MAX 512u
#define PUSH_LOW 64u /* out of the reserve */
#define WANT_MAX 512u

static const struct gv_key the_end = {.minute = UINT32_MAX};

struct answer {
    struct gv_core *core;
    struct gv_link *link;
    enum gv_tree tree;
    struct gv_range ranges[GV_RANGES_MAX];
    uint32_t count;
    size_t bytes;                       /* about, of the encoded ranges */
    size_t room;                        /* that it may take, with what is asked for */
    bool owed;                          /* the bucket is empty: nothing is given, only asked for */
    bool cut;                           /* no more ranges: the rest is one fingerprint */
    uint8_t (*fingerprints)[GV_ID_LEN]; /* of the ranges; GV_RANGES_MAX */
    uint8_t *ids;                       /* of the id lists, one after the other; GV_MESSAGE_MAX */
    size_t ids_len;
    struct gv_item *push[PUSH_MAX];
    size_t push_count;
    uint8_t want[WANT_MAX * GV_ID_LEN];
    size_t want_count;
    bool more; /* something did not fit: again soon */
};

static size_t index_of(const struct answer *answer, const struct gv_key *key)
{
    const struct gv_set *set = &answer->core->set;

    if (gv_key_compare(key, &the_end) >= 0)
        return gv_set_count(set, answer->tree);
    return gv_set_lower(set, answer->tree, key);
}

static void add_range(struct answer *answer, const struct gv_range *range, size_t payload)
{
    /* A skip next to a skip is one skip. */
    if (range->mode == GV_RANGE_SKIP && answer->count > 0 &&
        answer->ranges[answer->count - 1].mode == GV_RANGE_SKIP) {
        answer->ranges[answer->count - 1].high = range->high;
        return;
    }
    answer->ranges[answer->count++] = *range;
    answer->bytes += 32 + payload;
}

static bool has_room(const struct answer *answer, size_t ranges, size_t payload)
{
    /* One range is always left for the rest. */
    return answer->count + ranges + 1 < GV_RANGES_MAX &&
           answer->bytes + ranges * 48 + payload + 64 < answer->room;
}

static void add_fingerprint(struct answer *answer, const struct gv_key *high, size_t from,
                            size_t to)
{
    uint8_t *at = answer->fingerprints[answer->count];
    struct gv_range range = {.high = *high, .mode = GV_RANGE_FINGERPRINT, .data = at};

    gv_set_fingerprint(at, &answer->core->set, answer->tree, from, to);
    add_range(answer, &range, GV_ID_LEN);
}

static void add_ids(struct answer *answer, const struct gv_key *high, size_t from, size_t to)
{
    struct gv_range range = {.high = *high,
                             .mode = GV_RANGE_IDS,
                             .data = answer->ids + answer->ids_len,
                             .count = to - from};

    for (size_t i = from; i < to; i++) {
        memcpy(answer->ids + answer->ids_len,
               gv_set_at(&answer->core->set, answer->tree, i)->key.id, GV_ID_LEN);
        answer->ids_len += GV_ID_LEN;
    }
    add_range(answer, &range, range.count * GV_ID_LEN);
}

static void add_split(struct answer *answer, const struct gv_key *high, size_t from, size_t to)
{
    size_t count = to - from;

    for (size_t part = 0; part < GV_REPAIR_SPLIT; part++) {
        size_t begin = from + count * part / GV_REPAIR_SPLIT;
        size_t end = from + count * (part + 1) / GV_REPAIR_SPLIT;
        const struct gv_key *border = part + 1 == GV_REPAIR_SPLIT
                                          ? high
                                          : &gv_set_at(&answer->core->set, answer->tree, end)->key;
        add_fingerprint(answer, border, begin, end);
    }
}

/* What we hold of a range goes back in the form that fits. */
static void offer(struct answer *answer, const struct gv_key *high, size_t from, size_t to)
{
    size_t count = to - from;
    bool list = count <= GV_REPAIR_LIST;

    if (!has_room(answer, list ? 1 : GV_REPAIR_SPLIT,
                  (list ? count : GV_REPAIR_SPLIT) * GV_ID_LEN)) {
        answer->cut = true;
        return;
    }
    if (list)
        add_ids(answer, high, from, to);
    else
        add_split(answer, high, from, to);
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, GV_ID_LEN);
}

static void push(struct answer *answer, struct gv_item *item)
{
    bool low = answer->link->joined && answer->core->traffic.tokens <= 0;

    if (answer->owed)
        return;
    if (answer->push_count < (low ? PUSH_LOW : PUSH_MAX) &&
        answer->link->spent.records < GV_WANTS_PER_MINUTE) {
        answer->push[answer->push_count++] = item;
        answer->link->spent.records++;
    } else {
        answer->more = true;
    }
}

/* What an owed one asks for is paid for out of what is left of it. */
static bool may_want(const struct answer *answer)
{
    return answer->want_count < WANT_MAX &&
           (!answer->owed || answer->bytes + (answer->want_count + 1) * GV_ID_LEN < answer->room);
}

/* The peer listed all it holds of the range. */
static void settle_ids(struct answer *answer, const struct gv_range *range, size_t from, size_t to)
{
    struct gv_core *core = answer->core;
    uint8_t *theirs = malloc(range->count * GV_ID_LEN + 1);

    if (!theirs) {
        gv_effect_note(core->effects, GV_NOTE_MEMORY);
        return;
    }
    memcpy(theirs, range->data, range->count * GV_ID_LEN);
    qsort(theirs, range->count, GV_ID_LEN, compare_ids);
    for (size_t i = from; i < to; i++) {
        struct gv_item *item = gv_set_at(&core->set, answer->tree, i);
        if (!bsearch(item->key.id, theirs, range->count, GV_ID_LEN, compare_ids))
            push(answer, item);
    }
    for (size_t i = 0; i < range->count; i++) {
        const uint8_t *id = range->data + i * GV_ID_LEN;
        const struct gv_item *held = gv_set_find(&core->set, id);
        if (held && held->tree != GV_TREE_KEPT)
            continue;
        if (may_want(answer))
            memcpy(answer->want + answer->want_count++ * GV_ID_LEN, id, GV_ID_LEN);
        else
            answer->more = true;
    }
    free(theirs);
}

static void work_range(struct answer *answer, const struct gv_range *range, size_t from, size_t to)
{
    static const struct gv_range skip = {.mode = GV_RANGE_SKIP};
    struct gv_range quiet = skip;
    uint8_t ours[GV_ID_LEN];

    quiet.high = range->high;
    switch (range->mode) {
    case GV_RANGE_SKIP:
        add_range(answer, &quiet, 0);
        break;
    case GV_RANGE_FINGERPRINT:
        gv_set_fingerprint(ours, &answer->core->set, answer->tree, from, to);
        if (memcmp(ours, range->data, GV_ID_LEN) == 0)
            add_range(answer, &quiet, 0);
        else
            offer(answer, &range->high, from, to);
        break;
    case GV_RANGE_IDS:
        settle_ids(answer, range, from, to);
        add_range(answer, &quiet, 0);
        break;
    }
}

/* Ranges at the end with nothing to say need not travel. */
static void trim(struct answer *answer)
{
    while (answer->count > 0 && answer->ranges[answer->count - 1].mode == GV_RANGE_SKIP)
        answer->count--;
}

static uint64_t soon_ms(struct gv_core *core)
{
    return gv_core_after(core, GV_HAUL_REPAIR_MS + gv_drbg_below(&core->drbg, GV_HAUL_REPAIR_MS));
}

static uint64_t in_turn_ms(struct gv_core *core)
{
    return gv_core_after(core, GV_REPAIR_MIN_MS +
                                   gv_drbg_below(&core->drbg, GV_REPAIR_MAX_MS - GV_REPAIR_MIN_MS));
}

/* It was compared with one, and need be with one other: he may have lied. */
static void settle_haul(struct gv_core *core, struct gv_link *link)
{
    link->haul_ms = 0;
    if (--core->haul_tries == 0)
        core->repair_ms = in_turn_ms(core);
}

static void end_here(struct gv_core *core, struct gv_link *link, enum gv_tree tree)
{
    core->last_repair_ms = core->now_ms;
    /* A join is over when an exchange brought nothing more, either way. */
    if (tree == GV_TREE_STATEMENTS) {
        link->joined = link->joined || (!link->fed && link->repair_ms == UINT64_MAX);
        link->fed = false;
        if (core->now_ms < link->haul_ms && core->haul_tries > 0 && link->repair_ms == UINT64_MAX)
            settle_haul(core, link);
        gv_book_felt(core, link);
    }
    if (!link->repairing)
        return;
    link->repairing = false;
    /* The roster first: statements mean nothing without their certificates. */
    if (tree == GV_TREE_ROSTER)
        gv_repair_begin(core, link, GV_TREE_STATEMENTS);
}

/* Not all of it fitted: again in a second, while it gets less. A peer that takes nothing (its clock
 * is off, its store is full) is asked ever more seldom. */
static void go_on(struct answer *answer)
{
    struct gv_link *link = answer->link;
    const uint8_t *first = answer->push_count ? answer->push[0]->key.id : answer->want;
    bool same = memcmp(link->repair_first, first, GV_ID_LEN) == 0;

    memcpy(link->repair_first, first, GV_ID_LEN);
    link->repair_delay_ms = same && link->repair_delay_ms ? 2 * link->repair_delay_ms : 1000;
    if (link->repair_delay_ms > GV_REPAIR_MAX_MS)
        link->repair_delay_ms = GV_REPAIR_MAX_MS;
    link->repair_ms = gv_core_after(answer->core, link->repair_delay_ms);
}

static void send_answer(struct answer *answer, uint32_t low_minute)
{
    struct gv_core *core = answer->core;
    struct gv_link *link = answer->link;

    core->answering = true;
    gv_spread_items(core, link, answer->push, answer->push_count, true);
    core->answering = false;
    gv_spread_want(core, link, answer->want, answer->want_count);
    trim(answer);
    gv_buf_clear(&core->scratch);
    gv_message_reconcile(&core->scratch, answer->tree, low_minute, answer->ranges, answer->count);
    gv_link_post(core, link, &core->scratch, true);
    if (answer->more)
        go_on(answer);
    if (answer->count == 0)
        end_here(core, link, answer->tree);
}

/* Of what a comparison that goes on with an empty bucket may cost. */
static void pay(const struct answer *answer)
{
    struct gv_link *link = answer->link;
    size_t cost = GV_HAUL_ANSWER + answer->bytes + answer->want_count * GV_ID_LEN;

    link->haul_left -= cost < link->haul_left ? (uint32_t)cost : link->haul_left;
    answer->core->haul_left -=
        cost < answer->core->haul_left ? (uint32_t)cost : answer->core->haul_left;
}

static struct answer *answer_new(struct gv_core *core, struct gv_link *link, enum gv_tree tree)
{
    struct answer *answer = calloc(1, sizeof *answer);

    if (!answer)
        goto failed;
    answer->core = core;
    answer->link = link;
    answer->tree = tree;
    answer->room = GV_MESSAGE_MAX;
    answer->fingerprints = malloc(GV_RANGES_MAX * sizeof *answer->fingerprints);
    answer->ids = malloc(GV_MESSAGE_MAX);
    if (answer->fingerprints && answer->ids)
        return answer;
    free(answer->fingerprints);
    free(answer->ids);
    free(answer);
failed:
    gv_effect_note(core->effects, GV_NOTE_MEMORY);
    return NULL;
}

static void answer_free(struct answer *answer)
{
    free(answer->fingerprints);
    free(answer->ids);
    free(answer);
}

static void note_answer(struct gv_core *core)
{
    if (core->unanswered == 0)
        return;
    core->unanswered = 0;
    if (core->haul_tries == 0 || core->now_ms >= core->haul_ms)
        core->repair_ms = in_turn_ms(core);
}

/* Begun in turn: whoever has nothing left does not answer, and then another is asked soon; when all
 * seem to be dry, and bring no news either, somebody new is looked for, who answers. Returns
 * whether that is due. */
static bool look_beyond(struct gv_core *core)
{
    if (core->unanswered == GV_REPAIR_UNANSWERED) {
        core->unanswered = 0;
        core->feeler_ms = core->now_ms;
        return true;
    }
    core->unanswered++;
    core->repair_ms = soon_ms(core);
    return false;
}

void gv_repair_answer(struct gv_core *core, struct gv_link *link)
{
    const struct gv_message *message = &core->message;
    struct gv_key low = {.minute = message->low_minute};
    struct answer *answer;

    note_answer(core);
    if (message->range_count == 0) {
        end_here(core, link, message->tree);
        return;
    }
    if (link->spent.repairs++ >= GV_REPAIR_PER_MINUTE)
        return;
    gv_account_exchange(core, link);
    /* Whoever asks will ask another, or again. */
    bool owed = link->joined && !gv_repair_allows(core, link);
    if (owed && (core->now_ms >= link->haul_ms || link->haul_left < 2 * GV_HAUL_ANSWER))
        return;
    answer = answer_new(core, link, message->tree);
    if (!answer)
        return;
    answer->owed = owed;
    if (owed && answer->room > link->haul_left - GV_HAUL_ANSWER)
        answer->room = link->haul_left - GV_HAUL_ANSWER;
    size_t from = index_of(answer, &low);
    for (uint32_t i = 0; i < message->range_count && !answer->cut; i++) {
        size_t to = index_of(answer, &message->ranges[i].high);
        work_range(answer, &message->ranges[i], from, to);
        if (!answer->cut)
            from = to;
    }
    if (answer->cut)
        add_fingerprint(answer, &the_end, from, gv_set_count(&core->set, answer->tree));
    if (owed)
        pay(answer);
    send_answer(answer, message->low_minute);
    answer_free(answer);
}

void gv_repair_begin(struct gv_core *core, struct gv_link *link, enum gv_tree tree)
{
    struct gv_range all = {.high = the_end, .mode = GV_RANGE_FINGERPRINT};
    uint8_t fingerprint[GV_ID_LEN];
    struct gv_key low = {0};

    if (!core->has_descriptor || !link->member || link->closing || link->errand)
        return;
    /* What is about to expire need not be argued about: clocks differ by minutes. */
    if (tree == GV_TREE_STATEMENTS) {
        uint32_t alive = core->descriptor.policy.alive_min;
        uint32_t margin = alive > 2 * GV_AHEAD_MIN ? GV_AHEAD_MIN : 0;
        low.minute = core->now_min > alive ? core->now_min - alive + margin : 0;
    }
    gv_set_fingerprint(fingerprint, &core->set, tree, gv_set_lower(&core->set, tree, &low),
                       gv_set_count(&core->set, tree));
    all.data = fingerprint;
    gv_account_asked(core, link);
    gv_buf_clear(&core->scratch);
    gv_message_reconcile(&core->scratch, tree, low.minute, &all, 1);
    gv_link_post(core, link, &core->scratch, true);
}

/* After a haul everybody gives half a mesh away, and those whom it passed by would wait for
 * verdicts until the buckets are full again: so for a while it takes of the savings, the last drop,
 * and half of the reserve. Nobody has all of that who brings nothing. */
bool gv_repair_allows(struct gv_core *core, const struct gv_link *link)
{
    uint64_t each = core->traffic.cap / 100 * GV_SAVED_EACH_PERCENT;

    if (!core->deaf && link->spent.hauled < each && gv_traffic_allows_shared(&core->traffic))
        return true;
    return gv_traffic_allows(&core->traffic, GV_WORTH_REPAIR);
}

void gv_repair_haul(struct gv_core *core, bool came)
{
    uint64_t due_ms = soon_ms(core);

    if (core->now_ms >= core->haul_next_ms[came]) {
        core->haul_ms = gv_core_after(core, GV_HAUL_FOR_MS);
        gv_traffic_share_reserve(&core->traffic, core->haul_ms);
        core->haul_next_ms[came] = gv_core_after(core, GV_HAUL_AGAIN_MS);
        core->haul_tries = GV_HAUL_TRIES;
        core->haul_left = GV_HAUL_BYTES;
    }
    if (due_ms < core->repair_ms)
        core->repair_ms = due_ms;
}

/* Its certificate was not here: fetch the roster, then this again. A record whose certificate is
 * gone for good must not make us ask for ever, so once a minute on a link. */
void gv_repair_soon(struct gv_core *core, struct gv_link *link)
{
    if (link->repair_ms != UINT64_MAX || link->repaired_soon_ms > core->now_ms)
        return;
    link->repair_ms = gv_core_after(core, 2000);
    link->repaired_soon_ms = gv_core_after(core, GV_REPAIR_MIN_MS);
}

void gv_repair_join(struct gv_core *core, struct gv_link *link)
{
    link->repairing = true;
    gv_repair_begin(core, link, GV_TREE_ROSTER);
}

static struct gv_link *random_member(struct gv_core *core)
{
    size_t members = 0, pick;

    for (size_t i = 0; i < core->link_count; i++)
        members += gv_link_is_peer(core->links[i]);
    if (members == 0)
        return NULL;
    pick = (size_t)gv_drbg_below(&core->drbg, members);
    for (size_t i = 0; i < core->link_count; i++)
        if (gv_link_is_peer(core->links[i]) && pick-- == 0)
            return core->links[i];
    return NULL;
}

void gv_repair_tick(struct gv_core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        struct gv_link *link = core->links[i];
        if (link->repair_ms > core->now_ms)
            continue;
        link->repair_ms = UINT64_MAX;
        gv_repair_join(core, link);
    }
    if (core->repair_ms > core->now_ms)
        return;
    bool urgent = core->haul_tries > 0 && core->now_ms < core->haul_ms;
    core->repair_ms = urgent && --core->haul_tries > 0 ? soon_ms(core) : in_turn_ms(core);
    struct gv_link *link = random_member(core);
    if (!link || (!urgent && !gv_repair_allows(core, link)))
        return;
    if (!urgent && look_beyond(core))
        return;
    if (urgent) {
        link->haul_ms = gv_core_after(core, GV_EXCHANGE_MS);
        link->haul_left = core->haul_left < GV_HAUL_EACH ? core->haul_left : GV_HAUL_EACH;
    }
    /* Both in one frame: most of the time both are equal, and headers are what that costs. */
    gv_repair_begin(core, link, GV_TREE_ROSTER);
    gv_repair_begin(core, link, GV_TREE_STATEMENTS);
}
