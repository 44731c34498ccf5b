/* Spread: what is new goes on, once, along the eager links of its tree (SPEC 9.3). */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/mesh/state.h"
#include "proto/limits.h"
#include "proto/trust/short.h"

void gv_spread_fresh(struct gv_core *core, const uint8_t id[GV_ID_LEN], uint32_t from)
{
    if (core->fresh_count == core->fresh_cap) {
        size_t cap = core->fresh_cap ? 2 * core->fresh_cap : 64;
        struct gv_fresh *grown = realloc(core->fresh, cap * sizeof *grown);
        if (!grown) {
            gv_effect_note(core->effects, GV_NOTE_MEMORY);
            return; /* repair will bring it to the others */
        }
        core->fresh = grown;
        core->fresh_cap = cap;
    }
    memcpy(core->fresh[core->fresh_count].id, id, GV_ID_LEN);
    core->fresh[core->fresh_count].calm = false;
    core->fresh[core->fresh_count].haul = false;
    core->fresh[core->fresh_count++].from = from;
}

void gv_spread_calm(struct gv_core *core)
{
    if (core->fresh_count > 0)
        core->fresh[core->fresh_count - 1].calm = true;
}

/* One message of as many items as fit. Returns how many. */
static size_t post_batch(struct gv_core *core, struct gv_link *link, struct gv_item *const *items,
                         size_t count, bool urgent)
{
    size_t take = 0, bytes = 0;

    while (take < count && take < GV_RECORDS_PER_MESSAGE &&
           (take == 0 || bytes + items[take]->len + 3 <= GV_MESSAGE_MAX)) {
        bytes += items[take]->len + 3;
        take++;
    }
    gv_buf_clear(&core->scratch);
    gv_message_records_start(&core->scratch, (uint32_t)take);
    for (size_t i = 0; i < take; i++)
        gv_brief_put(core, link, &core->scratch, items[i]);
    gv_link_post(core, link, &core->scratch, urgent);
    return take;
}

void gv_spread_items(struct gv_core *core, struct gv_link *link, struct gv_item *const *items,
                     size_t count, bool urgent)
{
    while (count > 0 && !link->closing) {
        size_t done = post_batch(core, link, items, count, urgent);
        items += done;
        count -= done;
    }
}

/* Signals, and what takes standing away; addresses and certificates can wait. */
static bool is_news(const struct gv_item *item)
{
    return item->record[0] != GV_RECORD_ADDRESS && item->record[0] != GV_RECORD_CERTIFICATE &&
           item->record[0] != GV_RECORD_DESCRIPTOR && item->record[0] != GV_RECORD_LOG_HEAD;
}

/* Votes of a case that go together are offered by one of them: who lacks one lacks all. */
static bool came_with(const struct gv_core *core, const struct gv_item *item,
                      const struct gv_fresh *fresh, const struct gv_fresh *before)
{
    const struct gv_item *other = gv_set_find(&core->set, before->id);

    if (fresh->from != before->from || item->tree == GV_TREE_ROSTER ||
        other->tree == GV_TREE_ROSTER)
        return false;
    const struct gv_held *one = item->row, *two = other->row;
    return one->subject == two->subject;
}

/* What must wait while the bucket is low is not passed on; repair brings it when there is room. */
static void drop_deferred(struct gv_core *core)
{
    size_t kept = 0;

    for (size_t i = 0; i < core->fresh_count; i++) {
        const struct gv_item *item = gv_set_find(&core->set, core->fresh[i].id);
        enum gv_worth worth = GV_WORTH_NEWS;
        if (core->fresh[i].calm && !core->fresh[i].haul)
            worth = GV_WORTH_REPAIR;
        else if (core->fresh[i].from == 0)
            worth = GV_WORTH_OWN;
        else if (item && !is_news(item))
            worth = GV_WORTH_ROSTER;
        if (!item || !gv_traffic_allows(&core->traffic, worth))
            continue;
        core->fresh[i].lead = kept == 0 || core->fresh[i].haul ||
                              !came_with(core, item, &core->fresh[i], &core->fresh[kept - 1]);
        /* What is offered as a haul need not be offered again: comparing follows. */
        if (core->fresh[i].lead && !core->fresh[i].haul)
            gv_tree_remember(core, item, core->fresh[i].from);
        core->fresh[kept++] = core->fresh[i];
    }
    core->fresh_count = kept;
}

/* What is new goes to one neighbour; of a haul its marks. */
static void flush_to(struct gv_core *core, struct gv_link *link)
{
    struct gv_item *batch[GV_RECORDS_PER_MESSAGE];
    uint8_t marks[GV_IDS_PER_MESSAGE * GV_MARK_LEN];
    size_t count = 0, marked = 0;
    bool hurry = false;

    for (size_t i = 0; i < core->fresh_count; i++) {
        const struct gv_fresh *fresh = &core->fresh[i];
        struct gv_item *item = gv_set_find(&core->set, fresh->id);
        unsigned tree = item ? gv_tree_of(item) : 0;
        if (!item || fresh->from == link->id) /* displaced already, or theirs */
            continue;
        if (link->lazy & 1u << tree)
            continue;
        hurry = hurry || !fresh->calm;
        if (!fresh->haul || link->version < GV_VERSION_SHORT)
            batch[count++] = item;
        else if (fresh->lead)
            gv_set_mark(marks + GV_MARK_LEN * marked++, item->key.id, tree);
        if (count == GV_RECORDS_PER_MESSAGE) {
            gv_spread_items(core, link, batch, count, false);
            count = 0;
        }
        if (marked == GV_IDS_PER_MESSAGE) {
            gv_tree_offer(core, link, marks, marked, false);
            marked = 0;
        }
    }
    if (count > 0)
        gv_spread_items(core, link, batch, count, false);
    if (marked > 0)
        gv_tree_offer(core, link, marks, marked, false);
    if (hurry)
        gv_link_hurry(core, link);
    else
        gv_link_stroll(core, link);
}

void gv_spread_flush(struct gv_core *core)
{
    drop_deferred(core);
    for (size_t l = 0; core->fresh_count > 0 && l < core->link_count; l++)
        if (gv_link_is_peer(core->links[l]))
            flush_to(core, core->links[l]);
    core->fresh_count = 0;
}

void gv_spread_want(struct gv_core *core, struct gv_link *link, const uint8_t *ids, size_t count)
{
    if (count > 0)
        gv_account_exchange(core, link);
    while (count > 0) {
        size_t take = count < GV_IDS_PER_MESSAGE ? count : GV_IDS_PER_MESSAGE;
        gv_buf_clear(&core->scratch);
        gv_message_ids(&core->scratch, GV_MESSAGE_WANT, ids, take);
        gv_link_post(core, link, &core->scratch, true);
        ids += take * GV_ID_LEN;
        count -= take;
    }
}

/* ---- what came ------------------------------------------------------------------------------ */

/* The record is the peer's own word: he waits to hear that it is held (design: a row is marked sent
 * only once a peer has acknowledged it). */
static bool is_peers_own(const struct gv_core *core, const struct gv_link *link,
                         const uint8_t id[GV_ID_LEN])
{
    const struct gv_item *item = gv_set_find(&core->set, id);
    const struct gv_held *held;

    if (!item || item->tree == GV_TREE_ROSTER)
        return false;
    held = item->row;
    return memcmp(held->author->id, link->instance, GV_ID_LEN) == 0;
}

/* What is new has a quota. What is repeated has none, and a flood of it would have us spend on
 * answers what carries the news of everybody. */
static bool is_to_be_acked(struct gv_link *link, int rc)
{
    return rc == GV_OK || link->spent.repeats++ < GV_REPEATS_PER_MINUTE;
}

static void count_record(struct gv_core *core, uint8_t kind, int rc)
{
    if (kind != GV_RECORD_SIGNAL && kind != GV_RECORD_RETRACT)
        return;
    if (rc == GV_OK)
        core->signals_accepted++;
    else if (rc != GV_ERR_DUPLICATE)
        core->signals_refused++;
}

/* By which trees a message brought what was new, and what was not: bits. */
struct paths {
    uint8_t firsts, again;
};

static void note_path(const struct gv_core *core, struct paths *paths, const uint8_t *record,
                      size_t len, int rc)
{
    uint8_t id[GV_ID_LEN];
    const struct gv_item *item;

    if ((rc != GV_OK && rc != GV_ERR_DUPLICATE) || gv_record_id(id, record, len) != GV_OK ||
        !(item = gv_set_find(&core->set, id)))
        return;
    if (rc == GV_OK)
        paths->firsts |= (uint8_t)(1u << gv_tree_of(item));
    else
        paths->again |= (uint8_t)(1u << gv_tree_of(item));
}

/* Which way a message came tells which links the trees need: once, however many votes of a case it
 * brings. */
static void follow_paths(struct gv_core *core, struct gv_link *link, const struct paths *paths)
{
    for (unsigned tree = 0; tree < GV_SPREAD_TREES; tree++)
        if (paths->firsts & 1u << tree)
            gv_tree_first(core, link, tree);
        else if (paths->again & 1u << tree)
            gv_tree_duplicate(core, link, tree);
    gv_tree_prune(core, link);
}

static bool is_statement(uint8_t kind)
{
    return kind == GV_RECORD_SIGNAL || kind == GV_RECORD_RETRACT;
}

/* Takes one; what was short is whole afterwards. */
static int take_record(struct gv_core *core, struct gv_link *link, const uint8_t **record,
                       size_t *len)
{
    bool whisper = core->message.kind == GV_MESSAGE_WHISPER;
    enum gv_source_kind source = whisper ? GV_FROM_WHISPER : GV_FROM_PEER;

    if (gv_short_is((*record)[0])) {
        int rc = gv_brief_take(core, link, *record, *len, source);
        *record = core->whole.data;
        *len = core->whole.len;
        return rc;
    }
    if (whisper && !is_statement((*record)[0]))
        return GV_ERR_PROTOCOL;
    return gv_admit(core, *record, *len, source, link->id);
}

static bool is_old(const struct gv_core *core, const struct gv_fresh *fresh)
{
    const struct gv_item *item = gv_set_find(&core->set, fresh->id);

    return item && item->key.minute + GV_HAUL_OLD_MIN <= core->now_min;
}

/* So many at once were said long ago, while a part of the mesh did not hear them: pushed, they
 * would come from every side at once. Repair looks soon whether that was all. */
static void note_haul(struct gv_core *core, const struct gv_link *link, size_t before)
{
    size_t old = 0;

    for (size_t i = before; i < core->fresh_count; i++)
        old += core->fresh[i].from == link->id && is_old(core, &core->fresh[i]);
    if (old <= GV_HAUL)
        return;
    for (size_t i = before; i < core->fresh_count; i++)
        core->fresh[i].haul = core->fresh[i].from == link->id;
    gv_repair_haul(core, true);
}

static void take_records(struct gv_core *core, struct gv_link *link)
{
    const struct gv_message *message = &core->message;
    bool whisper = message->kind == GV_MESSAGE_WHISPER;
    size_t before = core->fresh_count;
    uint8_t acks[GV_RECORDS_PER_MESSAGE * GV_ID_LEN];
    struct paths paths = {0, 0};
    size_t ack_count = 0;

    for (uint32_t i = 0; i < message->record_count; i++) {
        const uint8_t *record = message->records[i].data;
        size_t len = message->records[i].len;
        uint8_t *id = acks + ack_count * GV_ID_LEN;
        uint8_t kind = gv_short_is(record[0]) ? GV_RECORD_SIGNAL : record[0];
        int rc = take_record(core, link, &record, &len);
        count_record(core, kind, rc);
        if (!whisper) {
            link->fed = link->fed || rc == GV_OK;
            link->fed_records += rc == GV_OK;
            gv_account_record(core, link, message->records[i].len, rc == GV_OK);
            note_path(core, &paths, record, len, rc);
        }
        if (gv_error_is_guilt(rc)) {
            gv_link_punish(core, link, rc);
            return;
        }
        if (link->closing) /* it proved its own fault, or brought its own revocation */
            return;
        if (rc == GV_ERR_NO_CERTIFICATE && !link->errand)
            gv_repair_soon(core, link);
        if ((rc == GV_OK || rc == GV_ERR_DUPLICATE) && gv_record_id(id, record, len) == GV_OK &&
            is_peers_own(core, link, id) && is_to_be_acked(link, rc))
            ack_count++;
    }
    note_haul(core, link, before);
    follow_paths(core, link, &paths);
    if (ack_count == 0)
        return;
    gv_buf_clear(&core->scratch);
    gv_message_ids(&core->scratch, GV_MESSAGE_ACK, acks, ack_count);
    gv_link_post(core, link, &core->scratch, true);
}

static void take_acks(struct gv_core *core, struct gv_link *link)
{
    const struct gv_message *message = &core->message;

    for (size_t i = 0; i < message->id_count; i++) {
        uint8_t key[2 * GV_ID_LEN];
        const uint8_t *id = message->ids + i * GV_ID_LEN;
        const struct gv_item *item = gv_set_find(&core->set, id);
        const struct gv_held *held = item ? item->row : NULL;
        if (!held || memcmp(held->author->id, core->identity.id, GV_ID_LEN) != 0)
            continue;
        ((struct gv_held *)item->row)->unheard = false;
        gv_errand_acked(core, id, link->instance);
        /* Each is a row to be written: who says it over and over must not keep the disk busy. */
        if (link->spent.acks++ >= GV_ACKS_PER_MINUTE)
            return;
        memcpy(key, id, GV_ID_LEN);
        memcpy(key + GV_ID_LEN, link->instance, GV_ID_LEN);
        gv_effect_persist(core->effects, GV_ROW_ACK, key, sizeof key, NULL, 0);
        struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_ACKNOWLEDGED);
        memcpy(note->id, id, GV_ID_LEN);
        memcpy(note->instance, link->instance, GV_ID_LEN);
        note->subject = held->statement.subject;
    }
}

static void take_wants(struct gv_core *core, struct gv_link *link)
{
    struct gv_item *found[GV_IDS_PER_MESSAGE];
    size_t count = 0;

    for (size_t i = 0; i < core->message.id_count; i++) {
        struct gv_item *item = gv_set_find(&core->set, core->message.ids + i * GV_ID_LEN);
        if (item && item->tree != GV_TREE_KEPT && link->spent.records < GV_WANTS_PER_MINUTE) {
            found[count++] = item;
            link->spent.records++;
        }
    }
    if (link->joined && !gv_repair_allows(core, link))
        return;
    core->answering = true;
    gv_spread_items(core, link, found, count, true);
    core->answering = false;
}

static void answer_ping(struct gv_core *core, struct gv_link *link)
{
    if (link->spent.pings++ >= GV_PINGS_PER_MINUTE)
        return;
    gv_buf_clear(&core->scratch);
    gv_message_ping(&core->scratch, GV_MESSAGE_PONG, core->message.number);
    gv_link_post(core, link, &core->scratch, true);
}

/* On an errand nothing is spread or repaired: what comes of it was sent before we had said so. */
static bool is_for_peers(enum gv_message_kind kind)
{
    return kind == GV_MESSAGE_RECORDS || kind == GV_MESSAGE_WANT || kind == GV_MESSAGE_RECONCILE ||
           kind == GV_MESSAGE_PRUNE || kind == GV_MESSAGE_OFFER || kind == GV_MESSAGE_GRAFT ||
           kind == GV_MESSAGE_FLOW;
}

void gv_spread_message(struct gv_core *core, struct gv_link *link)
{
    if (link->errand && is_for_peers(core->message.kind))
        return;
    switch (core->message.kind) {
    case GV_MESSAGE_HELLO:
        if (link->greeted) {
            gv_link_punish(core, link, GV_ERR_PROTOCOL);
            return;
        }
        link->greeted = true;
        link->version = core->message.version < GV_PROTOCOL_VERSION ? core->message.version
                                                                    : GV_PROTOCOL_VERSION;
        link->clock_offset_ms = (int64_t)core->message.number - (int64_t)core->unix_ms;
        gv_own_greeted(core, link);
        break;
    case GV_MESSAGE_PING:
        answer_ping(core, link);
        break;
    case GV_MESSAGE_PONG:
        break;
    case GV_MESSAGE_RECORDS:
    case GV_MESSAGE_WHISPER:
        take_records(core, link);
        break;
    case GV_MESSAGE_ERRAND:
        link->errand = true;
        break;
    case GV_MESSAGE_ASK:
        gv_keep_asked(core, link);
        break;
    case GV_MESSAGE_ACK:
        take_acks(core, link);
        break;
    case GV_MESSAGE_WANT:
        take_wants(core, link);
        break;
    case GV_MESSAGE_RECONCILE:
        gv_repair_answer(core, link);
        break;
    case GV_MESSAGE_PRUNE:
        gv_tree_pruned(core, link);
        break;
    case GV_MESSAGE_OFFER:
        gv_tree_offered(core, link);
        break;
    case GV_MESSAGE_GRAFT:
        gv_tree_grafted(core, link);
        break;
    case GV_MESSAGE_FOLLOW:
        gv_own_followed(core, link);
        break;
    case GV_MESSAGE_LOCKS:
        gv_own_take_locks(core, link);
        break;
    case GV_MESSAGE_FLOW:
        gv_flow_heard(core, link);
        break;
    case GV_MESSAGE_GOODBYE:
        link->goodbye = (uint32_t)core->message.number;
        gv_link_close(core, link, GV_GOODBYE_STOPPING);
        break;
    }
}
