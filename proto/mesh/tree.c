/* Trees: what is new goes once to everybody, along eager links; lazy ones are told now and then
 * what they should have (Plumtree: Leitao, Pereira, Rodrigues, "Epidemic Broadcast Trees", 2007;
 * SPEC 9.3). A duplicate makes a link lazy, a gap makes it eager. There are several trees, by the
 * record's id, because whoever is inside one sends four copies, and nobody is inside all. */
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

/* The votes of a case go together, in one frame: a frame's headers cost as much as a vote. */
unsigned gv_tree_of_subject(const struct gv_subject *subject)
{
    unsigned sum = 0;

    for (size_t i = 0; i < sizeof subject->bytes; i++)
        sum ^= subject->bytes[i];
    return sum % GV_SPREAD_TREES;
}

unsigned gv_tree_of(const struct gv_item *item)
{
    const struct gv_held *held = item->row;

    return item->tree == GV_TREE_ROSTER ? item->key.id[0] % GV_SPREAD_TREES
                                        : gv_tree_of_subject(&held->statement.subject);
}

static uint8_t bit_of(unsigned tree)
{
    return (uint8_t)(1u << tree);
}

/* ---- what links are ------------------------------------------------------------------------- */

static void graft(struct gv_core *core, struct gv_link *link, uint8_t trees, const uint8_t *marks,
                  size_t count)
{
    link->lazy &= (uint8_t)~trees;
    gv_buf_clear(&core->scratch);
    gv_message_graft(&core->scratch, trees, marks, count);
    gv_link_post(core, link, &core->scratch, true);
}

/* Whether one of the last records of this tree came here first. */
static bool is_of_use(const struct gv_core *core, const struct gv_link *link, unsigned tree)
{
    for (size_t i = 0; i < GV_FIRSTS; i++)
        if (core->firsts[tree][i] == link->id)
            return true;
    return false;
}

void gv_tree_first(struct gv_core *core, struct gv_link *link, unsigned tree)
{
    uint32_t *firsts = core->firsts[tree];

    memmove(firsts + 1, firsts, (GV_FIRSTS - 1) * sizeof *firsts);
    firsts[0] = link->id;
    /* Our PRUNE may be on the way to whoever feeds us after all: both ends must be eager again. */
    if ((link->lazy & bit_of(tree)) && !core->deaf)
        graft(core, link, bit_of(tree), NULL, 0);
}

void gv_tree_duplicate(const struct gv_core *core, struct gv_link *link, unsigned tree)
{
    uint8_t *spared = &link->spared[tree];

    /* What was asked for, from several at once perhaps, says nothing about the tree. */
    if (core->now_ms < link->exchange_ms || is_of_use(core, link, tree))
        return;
    if (*spared > 0)
        --*spared;
    else
        link->prune |= bit_of(tree);
}

void gv_tree_leave(struct gv_core *core, struct gv_link *link)
{
    link->prune = UINT8_MAX;
    gv_tree_prune(core, link);
}

void gv_tree_enter(struct gv_core *core, struct gv_link *link)
{
    if (core->deaf)
        return;
    graft(core, link, UINT8_MAX, NULL, 0);
}

void gv_tree_prune(struct gv_core *core, struct gv_link *link)
{
    uint8_t trees = link->prune;

    link->prune = 0;
    if (trees == 0)
        return;
    link->lazy |= trees;
    gv_buf_clear(&core->scratch);
    gv_message_prune(&core->scratch, trees);
    gv_link_post(core, link, &core->scratch, false);
    gv_link_hurry(core, link);
}

static bool may_feed(const struct gv_link *link, const struct gv_link *gone, uint8_t trees)
{
    return (link->lazy & trees) && link != gone && gv_link_is_peer(link);
}

/* Whoever fed us in some trees is gone: two others may, for one of them is hardly ever behind us
 * itself, and each that is not needed costs duplicates until it is pruned again. */
void gv_tree_lost(struct gv_core *core, const struct gv_link *gone)
{
    uint8_t trees = 0;

    for (unsigned tree = 0; tree < GV_SPREAD_TREES; tree++)
        if (!(gone->lazy & 1u << tree) &&
            (core->firsts[tree][0] == 0 || is_of_use(core, gone, tree)))
            trees |= (uint8_t)(1u << tree);
    if (core->stopping || core->deaf || gone->errand || trees == 0)
        return;
    size_t lazy = 0;
    for (size_t i = 0; i < core->link_count; i++)
        lazy += may_feed(core->links[i], gone, trees);
    if (lazy == 0)
        return;
    size_t start = (size_t)gv_drbg_below(&core->drbg, core->link_count);
    for (size_t i = 0, asked = 0; i < core->link_count && asked < GV_LOST_GRAFTS; i++) {
        struct gv_link *link = core->links[(start + i) % core->link_count];
        if (!may_feed(link, gone, trees))
            continue;
        graft(core, link, trees, NULL, 0);
        asked++;
    }
}

void gv_tree_deafen(struct gv_core *core)
{
    if (core->deaf)
        return;
    core->deaf = true;
    for (size_t i = 0; i < core->link_count; i++)
        if (gv_link_is_peer(core->links[i]))
            gv_tree_leave(core, core->links[i]);
}

/* Back in all trees by two links; what was missed comes by repair. */
static void hear_again(struct gv_core *core)
{
    core->deaf = false;
    core->repair_ms = core->now_ms;
    for (size_t i = 0, asked = 0; i < core->link_count && asked < GV_LOST_GRAFTS; i++)
        if (gv_link_is_peer(core->links[i]) && !core->links[i]->feeler) {
            graft(core, core->links[i], UINT8_MAX, NULL, 0);
            asked++;
        }
}

/* ---- what is offered to lazy links ----------------------------------------------------------- */

void gv_tree_remember(struct gv_core *core, const struct gv_item *item, uint32_t from)
{
    struct gv_recent *recent = &core->recent[core->recent_next++ % GV_RECENT];

    gv_set_mark(recent->mark, item->key.id, gv_tree_of(item));
    recent->from = from;
    recent->at_ms = core->now_ms;
}

static const struct gv_recent *recent_at(const struct gv_core *core, uint64_t number)
{
    return &core->recent[number % GV_RECENT];
}

/* Steps over what this link need not be offered: it brought it, or was given it. In a storm the
 * oldest are not offered either: repair brings them. */
static void step_over(const struct gv_core *core, struct gv_link *link)
{
    if (core->recent_next - link->offered > GV_RECENT)
        link->offered = core->recent_next - GV_RECENT;
    while (link->offered < core->recent_next) {
        const struct gv_recent *recent = recent_at(core, link->offered);
        if (recent->from != link->id && (link->lazy & bit_of(gv_set_mark_tree(recent->mark))))
            return;
        link->offered++;
    }
}

/* When the first that it was not given is old enough to have come by the tree. */
static uint64_t due_on(const struct gv_core *core, const struct gv_link *link)
{
    if (!gv_link_is_peer(link) || link->version < GV_VERSION_SHORT ||
        link->offered >= core->recent_next)
        return UINT64_MAX;
    return recent_at(core, link->offered)->at_ms + GV_OFFER_AGE_MS;
}

/* The next turn: at once after a pause, so that a quiet mesh is mended quickly. */
static uint64_t turn_ms(const struct gv_core *core)
{
    const uint64_t burst = (GV_OFFER_BURST - 1) * (uint64_t)GV_OFFER_MS;

    return core->offer_ms > burst ? core->offer_ms - burst : 0;
}

static void offer(struct gv_core *core, struct gv_link *link)
{
    uint8_t marks[GV_IDS_PER_MESSAGE * GV_MARK_LEN];
    size_t count = 0;

    while (count < GV_IDS_PER_MESSAGE && due_on(core, link) <= core->now_ms) {
        memcpy(marks + GV_MARK_LEN * count++, recent_at(core, link->offered++)->mark, GV_MARK_LEN);
        step_over(core, link);
    }
    gv_tree_offer(core, link, marks, count, true);
}

void gv_tree_offer(struct gv_core *core, struct gv_link *link, const uint8_t *marks, size_t count,
                   bool urgent)
{
    gv_buf_clear(&core->scratch);
    gv_message_offer(&core->scratch, marks, count);
    gv_link_post(core, link, &core->scratch, urgent);
}

void gv_tree_board(struct gv_core *core, struct gv_link *link)
{
    const size_t most = GV_IDS_PER_MESSAGE * GV_MARK_LEN + 8;

    step_over(core, link);
    if (link->outbox.len == 0 || link->outbox.len + most > GV_FRAME_PLAIN_MAX ||
        due_on(core, link) > core->now_ms)
        return;
    /* Here it costs four bytes and no headers; and where nobody offers, who lost a tree hears
     * nothing until the buckets are a quarter full again. */
    if (core->traffic.tokens <= 0 && !gv_repair_allows(core, link))
        return;
    link->offer_ms = core->now_ms;
    offer(core, link);
}

/* One link at a time, the one that waited longest: a frame each turn, whatever the number of links,
 * and whoever was cut off hears of it from one neighbour or another within a turn or two. */
void gv_tree_tick(struct gv_core *core)
{
    struct gv_link *next = NULL;

    if (core->deaf && gv_traffic_recovered(&core->traffic))
        hear_again(core);
    for (size_t i = 0; i < core->link_count; i++) {
        struct gv_link *link = core->links[i];
        step_over(core, link);
        if (due_on(core, link) <= core->now_ms && (!next || link->offer_ms < next->offer_ms))
            next = link;
    }
    if (!next || turn_ms(core) > core->now_ms)
        return;
    core->offer_ms = (core->offer_ms > core->now_ms ? core->offer_ms : core->now_ms) +
                     (core->busy ? GV_OFFER_BUSY_MS : GV_OFFER_MS);
    next->offer_ms = core->now_ms;
    if (gv_repair_allows(core, next))
        offer(core, next);
}

uint64_t gv_tree_deadline(const struct gv_core *core)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < core->link_count; i++) {
        uint64_t one = due_on(core, core->links[i]);
        due = one < due ? one : due;
    }
    return due < turn_ms(core) ? turn_ms(core) : due;
}

/* ---- what comes ----------------------------------------------------------------------------- */

/* A link goes when neither end has a use for it: where two have published the same, their waves
 * meet on a link that the tree needs, and the smaller side would be cut off. */
void gv_tree_pruned(struct gv_core *core, struct gv_link *link)
{
    uint8_t used = 0;

    for (unsigned tree = 0; tree < GV_SPREAD_TREES; tree++)
        if ((core->message.trees & 1u << tree) && is_of_use(core, link, tree))
            used |= (uint8_t)(1u << tree);
    link->lazy |= core->message.trees;
    if (used && !core->deaf)
        graft(core, link, used, NULL, 0);
}

/* Several may offer a haul in the same moment: one of them is asked. */
static bool is_asked(struct gv_core *core, const uint8_t mark[GV_MARK_LEN])
{
    struct gv_asked *slot = &core->asked[((size_t)mark[0] << 8 | mark[1]) % GV_ASKED];

    if (memcmp(slot->mark, mark, GV_MARK_LEN) == 0 && slot->until_ms > core->now_ms)
        return true;
    memcpy(slot->mark, mark, GV_MARK_LEN);
    slot->until_ms = gv_core_after(core, GV_ASKED_MS);
    return false;
}

/* So much was not lost by a tree: this node, or that one, was apart from the others. */
static void ask_haul(struct gv_core *core, struct gv_link *link, uint8_t *marks, size_t count)
{
    size_t asked = 0;

    /* Who is asked may not give it, and offers it once. But it is only said to be there. */
    gv_repair_haul(core, false);
    for (size_t i = 0; i < count; i++)
        if (!is_asked(core, marks + i * GV_MARK_LEN))
            memmove(marks + GV_MARK_LEN * asked++, marks + i * GV_MARK_LEN, GV_MARK_LEN);
    if (asked == 0)
        return;
    gv_account_exchange(core, link);
    graft(core, link, 0, marks, asked);
}

/* What is missing is asked for, and the link is eager again in its trees. */
void gv_tree_offered(struct gv_core *core, struct gv_link *link)
{
    uint8_t missing[GV_IDS_PER_MESSAGE * GV_MARK_LEN], trees = 0;
    size_t count = 0;

    if (core->deaf || link->version < GV_VERSION_SHORT ||
        link->spent.offered >= GV_OFFERED_PER_MINUTE)
        return;
    size_t offered = core->message.mark_count;
    link->spent.offered += (uint32_t)(offered > GV_OFFERED_LEAST ? offered : GV_OFFERED_LEAST);
    for (size_t i = 0; i < core->message.mark_count; i++) {
        const uint8_t *mark = core->message.marks + i * GV_MARK_LEN;
        const struct gv_item *held = gv_set_find_mark(&core->set, mark);
        if (held && held->tree != GV_TREE_KEPT)
            continue;
        memcpy(missing + GV_MARK_LEN * count++, mark, GV_MARK_LEN);
        trees |= bit_of(gv_set_mark_tree(mark));
    }
    if (count > GV_HAUL)
        ask_haul(core, link, missing, count);
    else if (count > 0)
        graft(core, link, trees, missing, count);
}

static bool is_among(struct gv_item *const *items, size_t count, const struct gv_item *item)
{
    while (count > 0)
        if (items[--count] == item)
            return true;
    return false;
}

/* One mark stands for the votes of a case that came together: all that is public of it goes. Of a
 * haul each has its own. */
static size_t gather(struct gv_link *link, struct gv_item *item, bool company,
                     struct gv_item **found, size_t count)
{
    const struct gv_held *marked = company && item->tree == GV_TREE_STATEMENTS ? item->row : NULL;
    const struct gv_case *row = marked ? marked->subject : NULL;

    if (!marked && count < GV_IDS_PER_MESSAGE && link->spent.records++ < GV_WANTS_PER_MINUTE)
        found[count++] = item;
    for (uint32_t i = 0; row && i < row->count && count < GV_IDS_PER_MESSAGE; i++) {
        const struct gv_held *held = gv_case_at(row, i);
        if (!held->kept && link->spent.records < GV_WANTS_PER_MINUTE &&
            !is_among(found, count, held->item)) {
            found[count++] = held->item;
            link->spent.records++;
        }
    }
    return count;
}

static void give(struct gv_core *core, struct gv_link *link, struct gv_item *const *found,
                 size_t count)
{
    bool haul = core->message.mark_count > GV_HAUL;

    if (count == 0 || (!(haul && gv_repair_allows(core, link)) &&
                       !gv_traffic_allows(&core->traffic, GV_WORTH_NEWS)))
        return;
    core->answering = haul;
    gv_spread_items(core, link, found, count, true);
    core->answering = false;
}

void gv_tree_grafted(struct gv_core *core, struct gv_link *link)
{
    struct gv_item *found[GV_IDS_PER_MESSAGE];
    size_t count = 0;

    link->lazy &= (uint8_t)~core->message.trees;
    for (unsigned tree = 0; tree < GV_SPREAD_TREES; tree++)
        if (core->message.trees & 1u << tree)
            link->spared[tree] = GV_LINK_SPARED;
    for (size_t i = 0; link->version >= GV_VERSION_SHORT && i < core->message.mark_count; i++) {
        struct gv_item *item = gv_set_find_mark(&core->set, core->message.marks + i * GV_MARK_LEN);
        if (item && item->tree != GV_TREE_KEPT && !is_among(found, count, item))
            count = gather(link, item, core->message.mark_count <= GV_HAUL, found, count);
    }
    give(core, link, found, count);
}
