/* Keepers: whoever holds what is said of a subject until enough say it, and then tells everybody
 * (SPEC 9.10). */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

/* ---- who ------------------------------------------------------------------------------------- */

static bool may_keep(const struct gv_core *core, const struct gv_instance *instance)
{
    return instance->address.family != GV_FAMILY_NONE && instance->certificates > 0 &&
           instance->revoked_min == GV_NEVER && instance->fault_min == GV_NEVER &&
           (uint64_t)instance->expires_min + core->descriptor.policy.grace_min >= core->now_min;
}

bool gv_keepers_in_force(const struct gv_core *core)
{
    const struct gv_instance *instance;
    size_t cursor = 0, found = 0;

    if (core->public_only || !core->has_descriptor)
        return false;
    while (found <= GV_KEEPERS &&
           (instance = gv_roster_next(&core->roster, GV_ROWS_INSTANCES, &cursor)))
        found += may_keep(core, instance);
    return found > GV_KEEPERS;
}

/* Keyed by network and subject, over what the registry drew: nobody can place himself. */
static void rank_key(uint8_t key[GV_ID_LEN], const struct gv_core *core,
                     const struct gv_subject *subject)
{
    uint8_t message[GV_KEY_LEN + 8];
    size_t len = subject->family == GV_FAMILY_IPV4 ? 4 : 8;

    memcpy(message, core->descriptor.network_id, GV_KEY_LEN);
    memcpy(message + GV_KEY_LEN, subject->bytes, len);
    gv_hash_id(key, "grapevine keeper 1", message, GV_KEY_LEN + len);
}

uint64_t gv_keeper_score(const uint8_t key[GV_ID_LEN], uint64_t placement)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(placement >> (56 - 8 * i));
    return gv_siphash(key, bytes, sizeof bytes);
}

/* Those that are nearest so far, of `most`. */
struct ranking {
    const struct gv_instance **best;
    uint64_t scores[GV_NEAREST];
    size_t count, most;
};

static bool is_nearer(const struct ranking *r, uint64_t score, const struct gv_instance *instance,
                      size_t than)
{
    return score < r->scores[than] ||
           (score == r->scores[than] && memcmp(instance->id, r->best[than]->id, GV_ID_LEN) < 0);
}

static void rank(struct ranking *r, uint64_t score, const struct gv_instance *instance)
{
    size_t at = r->count;

    while (at > 0 && is_nearer(r, score, instance, at - 1))
        at--;
    if (at == r->most)
        return;
    size_t last = r->count < r->most ? r->count++ : r->most - 1;
    memmove(r->best + at + 1, r->best + at, (last - at) * sizeof *r->best);
    memmove(r->scores + at + 1, r->scores + at, (last - at) * sizeof *r->scores);
    r->best[at] = instance;
    r->scores[at] = score;
}

static bool is_too_far(const struct ranking *r, uint64_t score)
{
    return r->count == r->most && score > r->scores[r->most - 1];
}

/* Looks through the whole roster. able: those alone that may keep it. */
static size_t rank_all(const struct gv_core *core, const struct gv_instance **out, size_t most,
                       const struct gv_subject *subject, bool able)
{
    struct ranking r = {.best = out, .most = most};
    const struct gv_instance *instance;
    size_t cursor = 0, count;
    const uint64_t *placements = gv_roster_placements(&core->roster, &count);
    uint8_t key[GV_ID_LEN];

    rank_key(key, core, subject);
    while ((instance = gv_roster_next_own(&core->roster, GV_ROWS_INSTANCES, &cursor)))
        if (!able || may_keep(core, instance))
            rank(&r, gv_keeper_score(key, instance->placement), instance);
    for (size_t i = 0; i < count; i++) {
        uint64_t score = gv_keeper_score(key, placements[i]);
        if (is_too_far(&r, score) || !(instance = gv_roster_numbered(&core->roster, i)))
            continue;
        if (!able || may_keep(core, instance))
            rank(&r, score, instance);
    }
    return r.count;
}

/* Each step of an errand, each link that it opens and each minute's look asks again. */
static const struct gv_nearest *nearest(struct gv_core *core, const struct gv_subject *subject)
{
    uint64_t moves = core->roster.moves + 1;

    for (size_t i = 0; i < GV_NEAREST_LISTS; i++)
        if (core->nearest[i].moves == moves && gv_subject_equal(&core->nearest[i].subject, subject))
            return &core->nearest[i];
    struct gv_nearest *list = &core->nearest[core->nearest_next++ % GV_NEAREST_LISTS];
    list->subject = *subject;
    list->moves = moves;
    list->count = rank_all(core, list->instances, GV_NEAREST, subject, false);
    return list;
}

size_t gv_keepers_of(struct gv_core *core, const struct gv_instance *out[GV_KEEPERS_RANKED],
                     const struct gv_subject *subject)
{
    const struct gv_nearest *list = nearest(core, subject);
    size_t count = 0;

    for (size_t i = 0; i < list->count && count < GV_KEEPERS_RANKED; i++)
        if (may_keep(core, list->instances[i]))
            out[count++] = list->instances[i];
    /* So many of the nearest are down or out that somebody further off is among them. */
    if (count < GV_KEEPERS_RANKED && list->count == GV_NEAREST)
        count = rank_all(core, out, GV_KEEPERS_RANKED, subject, true);
    return count;
}

/* ---- what is to be published ----------------------------------------------------------------- */

static bool is_enough(const struct gv_policy *policy, uint32_t weight, uint32_t groups)
{
    return groups >= 2 && groups >= policy->consensus_groups && weight >= policy->consensus_weight;
}

bool gv_keep_is_enough(struct gv_core *core, const struct gv_subject *subject)
{
    const struct gv_case *row = gv_store_case(&core->store, subject);
    struct gv_vote *votes = row ? gv_scratch_votes(core, row->count) : NULL;
    struct gv_verdict known;

    if (!votes)
        return false;
    gv_store_judge_public(&known, row, &core->descriptor.policy, core->descriptor.genesis_min,
                          core->now_min, votes);
    if (core->busy && known.state == GV_VERDICT_UNTRUSTED)
        return true;
    return is_enough(&core->descriptor.policy, known.weight, known.groups);
}

static struct gv_held *find_vote(const struct gv_case *row, const uint8_t id[GV_ID_LEN])
{
    for (uint32_t i = 0; i < row->count; i++)
        if (memcmp(gv_case_at(row, i)->id, id, GV_ID_LEN) == 0)
            return gv_case_at(row, i);
    return NULL;
}

static uint32_t standing_of_group(const struct gv_verdict *verdict, uint64_t group)
{
    for (uint32_t i = 0; i < verdict->vote_count; i++)
        if (verdict->votes[i].group == group)
            return verdict->votes[i].standing;
    return 0;
}

/* The canonical votes that everybody should have and only some do, best first, until what is public
 * gives every verdict there is. Returns how many. *later: none of them changes who is untrusted. */
static size_t find_needed(struct gv_core *core, const struct gv_case *row,
                          struct gv_held *needed[GV_VOTES_MAX], bool *later)
{
    const struct gv_policy *policy = &core->descriptor.policy;
    uint32_t genesis = core->descriptor.genesis_min;
    struct gv_verdict all, known;
    struct gv_vote *votes = gv_scratch_votes(core, row->count);
    size_t count = 0;

    if (!votes || row->kept == 0)
        return 0;
    gv_store_judge(&all, row, policy, genesis, core->now_min, votes);
    if (!all.published)
        return 0;
    gv_store_judge_public(&known, row, policy, genesis, core->now_min, votes);
    uint32_t weight = known.weight, groups = known.groups;
    *later = known.state == GV_VERDICT_UNTRUSTED;
    for (uint32_t i = 0; i < all.vote_count && !is_enough(policy, weight, groups); i++) {
        struct gv_held *held = find_vote(row, all.votes[i].signal);
        uint32_t before = standing_of_group(&known, all.votes[i].group);
        if (!held || !held->kept || all.votes[i].standing <= before)
            continue;
        weight += all.votes[i].standing - before;
        groups += before == 0;
        needed[count++] = held;
    }
    return count;
}

int gv_keep_publish(struct gv_core *core, struct gv_held *held, uint32_t from)
{
    const struct gv_policy *policy = &core->descriptor.policy;
    struct gv_item *item = held->item;
    struct gv_held *displaced;

    /* The clock was set, and it is not let go yet, or not yet good again. */
    if (item->key.minute > core->now_min + GV_AHEAD_MIN)
        return GV_ERR_EARLY;
    if ((uint64_t)item->key.minute + policy->alive_min < core->now_min)
        return GV_ERR_EXPIRED;
    if (!gv_set_reserve(&core->set, GV_TREE_STATEMENTS))
        goto no_memory;
    int rc = gv_store_publish(&core->store, held, policy->signals_per_hour, GV_RETRACTS_PER_HOUR,
                              &displaced);
    if (rc == GV_ERR_BUSY) {
        if (!gv_may_displace(core, held->author))
            return GV_ERR_RATE;
        gv_drop_statement(core, displaced);
        rc = gv_store_publish(&core->store, held, policy->signals_per_hour, GV_RETRACTS_PER_HOUR,
                              &displaced);
    }
    if (rc == GV_ERR_MEMORY)
        goto no_memory;
    if (rc != GV_OK)
        return rc;
    gv_set_move(&core->set, item, GV_TREE_STATEMENTS);
    gv_effect_persist(core->effects, GV_ROW_RECORD, item->key.id, GV_ID_LEN, item->record,
                      item->len);
    gv_spread_fresh(core, item->key.id, from);
    return GV_OK;
no_memory:
    gv_effect_note(core->effects, GV_NOTE_MEMORY);
    return GV_ERR_MEMORY;
}

static void publish_case(struct gv_core *core, const struct gv_subject *subject)
{
    struct gv_held *needed[GV_VOTES_MAX];
    struct gv_case *row = gv_store_case(&core->store, subject);
    bool later = false;
    size_t count = row ? find_needed(core, row, needed, &later) : 0;

    /* In a busy hour they stay where they are; the minute's look tries again. */
    if (later && core->busy)
        return;
    /* None of them goes before the last: what is displaced is public. */
    for (size_t i = 0; i < count; i++)
        if (gv_keep_publish(core, needed[i], 0) == GV_OK && later)
            gv_spread_calm(core);
}

/* ---- when ------------------------------------------------------------------------------------ */

static uint64_t rank_here(struct gv_core *core, const struct gv_subject *subject)
{
    const struct gv_instance *keepers[GV_KEEPERS_RANKED];
    size_t count = gv_keepers_of(core, keepers, subject), rank = 0;

    while (rank < count && memcmp(keepers[rank]->id, core->identity.id, GV_ID_LEN) != 0)
        rank++;
    return rank < count ? rank : GV_KEEPERS_RANKED;
}

void gv_keep_look(struct gv_core *core, const struct gv_subject *subject)
{
    struct gv_held *needed[GV_VOTES_MAX];
    const struct gv_case *row = gv_store_case(&core->store, subject);
    bool later = false;

    if (core->set.loading || !row || find_needed(core, row, needed, &later) == 0)
        return;
    /* Whoever is not even in the list speaks last: then it was not heard by those who are. */
    uint64_t rank = gv_keepers_in_force(core) ? rank_here(core, subject) : 0;
    uint64_t delay = rank * (later ? GV_LATER_STEP_MS : GV_SHOUT_STEP_MS);
    if (later) /* more of them will come, and headers cost as much as they do */
        delay += GV_LATER_MS;
    uint64_t due_ms = gv_core_after(core, delay);
    for (size_t i = 0; i < core->pending_count; i++)
        if (gv_subject_equal(&core->pending[i].subject, subject)) {
            if (due_ms < core->pending[i].due_ms)
                core->pending[i].due_ms = due_ms;
            return;
        }
    if (delay == 0 || core->pending_count == GV_PENDING_MAX) {
        publish_case(core, subject);
        return;
    }
    core->pending[core->pending_count++] =
        (struct gv_pending){.subject = *subject, .due_ms = due_ms};
}

void gv_keep_tick(struct gv_core *core)
{
    for (size_t i = 0; i < core->pending_count;) {
        struct gv_pending due = core->pending[i];
        if (due.due_ms > core->now_ms) {
            i++;
            continue;
        }
        core->pending[i] = core->pending[--core->pending_count];
        publish_case(core, &due.subject);
    }
}

uint64_t gv_keep_deadline(const struct gv_core *core)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < core->pending_count; i++)
        due = core->pending[i].due_ms < due ? core->pending[i].due_ms : due;
    return due;
}

static void look_at_each(struct gv_core *core)
{
    struct gv_case *row;
    size_t cursor = 0;

    while ((row = gv_table_next(&core->store.cases, &cursor)))
        if (row->kept > 0)
            gv_keep_look(core, &row->subject);
}

struct kept_case {
    size_t place;
    struct gv_subject subject;
};

static int compare_places(const void *a, const void *b)
{
    const struct kept_case *x = a, *y = b;

    return x->place < y->place ? -1 : x->place > y->place;
}

/* What is kept is a small part of what is held: the cases of that, in the order in which all of
 * them lie. By their subjects, for a look may let go of one. */
void gv_keep_look_all(struct gv_core *core)
{
    const struct gv_tree_order *kept = &core->set.trees[GV_TREE_KEPT];
    struct kept_case *list = NULL;
    size_t count = kept->count;

    if (count == 0)
        return;
    if (count <= core->store.cases.count / 4)
        list = malloc(count * sizeof *list);
    if (!list) {
        look_at_each(core);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct gv_case *row = ((const struct gv_held *)kept->items[i]->row)->subject;
        list[i] = (struct kept_case){gv_store_place(&core->store, row), row->subject};
    }
    qsort(list, count, sizeof *list, compare_places);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || list[i].place != list[i - 1].place)
            gv_keep_look(core, &list[i].subject);
    free(list);
}

/* ---- what comes ----------------------------------------------------------------------------- */

void gv_keep_asked(struct gv_core *core, struct gv_link *link)
{
    const struct gv_case *row = gv_store_case(&core->store, &core->message.subject);
    const struct gv_item *items[GV_ASKED_MAX];
    uint32_t count = 0;

    if (link->spent.asks++ >= GV_ASKS_PER_MINUTE)
        return;
    for (; row && count < row->count && count < GV_ASKED_MAX; count++)
        items[count] = gv_case_at(row, count)->item;
    gv_buf_clear(&core->scratch);
    gv_message_whisper_start(&core->scratch, count);
    for (uint32_t i = 0; i < count; i++)
        gv_brief_put(core, link, &core->scratch, items[i]);
    gv_link_post(core, link, &core->scratch, true);
}
