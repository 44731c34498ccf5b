/* Errands: a word of one's own goes to the keepers of its subject, and to nobody else, until they
 * have said that they hold it (SPEC 9.10). */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

static struct gv_errand *find(const struct gv_core *core, const uint8_t id[GV_ID_LEN])
{
    for (size_t i = 0; i < core->errand_count; i++)
        if (memcmp(core->errands[i].id, id, GV_ID_LEN) == 0)
            return &core->errands[i];
    return NULL;
}

void gv_errand_begin(struct gv_core *core, const struct gv_held *held, uint64_t delay_ms)
{
    if (find(core, held->id))
        return;
    if (core->errand_count == core->errand_cap) {
        size_t cap = core->errand_cap ? 2 * core->errand_cap : 16;
        struct gv_errand *grown =
            cap <= GV_ERRANDS_MAX ? realloc(core->errands, cap * sizeof *grown) : NULL;
        if (!grown) {
            gv_effect_note(core->effects, GV_NOTE_MEMORY);
            return;
        }
        core->errands = grown;
        core->errand_cap = cap;
    }
    struct gv_errand *errand = &core->errands[core->errand_count++];
    memset(errand, 0, sizeof *errand);
    memcpy(errand->id, held->id, GV_ID_LEN);
    errand->next_ms = gv_core_after(core, delay_ms);
}

void gv_errands_resume(struct gv_core *core)
{
    const struct gv_tree_order *order = &core->set.trees[GV_TREE_KEPT];

    for (size_t i = 0; i < order->count; i++) {
        const struct gv_held *held = order->items[i]->row;
        if (memcmp(held->author->id, core->identity.id, GV_ID_LEN) == 0)
            gv_errand_begin(core, held, gv_drbg_below(&core->drbg, GV_ERRAND_RESUME_MS));
    }
}

/* ---- to whom --------------------------------------------------------------------------------- */

struct targets {
    const struct gv_instance *to[GV_KEEPERS_RANKED + GV_KIN_MAX];
    size_t count, held; /* held: of the first seven, those that hold it */
    size_t keepers;     /* of the first seven there are so many */
    bool enough;        /* no keeper need hear it now: another vote would change nothing */
};

static bool has_acked(const struct gv_errand *errand, const uint8_t instance[GV_ID_LEN])
{
    for (size_t i = 0; i < errand->acked_count; i++)
        if (memcmp(errand->acked[i], instance, GV_ID_LEN) == 0)
            return true;
    return false;
}

static bool is_self(const struct gv_core *core, const struct gv_instance *instance)
{
    return memcmp(instance->id, core->identity.id, GV_ID_LEN) == 0;
}

static void add(const struct gv_core *core, const struct gv_errand *errand, struct targets *targets,
                const struct gv_instance *instance)
{
    if (is_self(core, instance) || has_acked(errand, instance->id))
        return;
    for (size_t i = 0; i < targets->count; i++)
        if (targets->to[i] == instance)
            return;
    targets->to[targets->count++] = instance;
}

static bool is_of_owner(const struct gv_instance *instance, const uint8_t owner[GV_ID_LEN])
{
    return instance->owner && memcmp(instance->owner->tag, owner, GV_ID_LEN) == 0;
}

static void list_kin(struct gv_core *core)
{
    struct gv_kin *kin = &core->kin;
    const struct gv_instance *instance;
    size_t cursor = 0;

    memcpy(kin->owner, core->certificate.owner, GV_ID_LEN);
    kin->moves = core->roster.moves + 1;
    kin->count = 0;
    while ((instance = gv_roster_next(&core->roster, GV_ROWS_INSTANCES, &cursor)))
        if (is_of_owner(instance, kin->owner) && kin->count++ < GV_KIN_LISTED)
            kin->instances[kin->count - 1] = instance;
}

/* *cursor starts at 0; NULL at the end. */
static const struct gv_instance *next_kin(const struct gv_core *core, size_t *cursor)
{
    const struct gv_kin *kin = &core->kin;
    const struct gv_instance *instance;

    if (kin->count <= GV_KIN_LISTED)
        return *cursor < kin->count ? kin->instances[(*cursor)++] : NULL;
    while ((instance = gv_roster_next(&core->roster, GV_ROWS_INSTANCES, cursor)))
        if (is_of_owner(instance, kin->owner))
            return instance;
    return NULL;
}

/* Hosts of one owner share their evidence (SPEC 12.2), whoever keeps the subject. */
static void add_kin(struct gv_core *core, const struct gv_errand *errand, struct targets *targets)
{
    const struct gv_kin *kin = &core->kin;
    const struct gv_instance *instance;
    size_t cursor = 0, added = 0;

    if (kin->moves != core->roster.moves + 1 ||
        memcmp(kin->owner, core->certificate.owner, GV_ID_LEN) != 0)
        list_kin(core);
    while (added < GV_KIN_MAX && (instance = next_kin(core, &cursor))) {
        if (instance->address.family == GV_FAMILY_NONE || instance->revoked_min != GV_NEVER)
            continue;
        added++;
        add(core, errand, targets, instance);
    }
}

/* The first seven, of a busy node the first six; those that stand in while fewer than five hold it,
 * and for a retraction always, for they may hold what it takes back. */
static struct targets find_targets(struct gv_core *core, const struct gv_errand *errand,
                                   const struct gv_held *held)
{
    const struct gv_instance *ranked[GV_KEEPERS_RANKED];
    size_t count = gv_keepers_of(core, ranked, &held->statement.subject), holders = 0;
    size_t keepers = core->busy ? GV_KEEPERS_BUSY : GV_KEEPERS;
    struct targets targets = {.keepers = count < keepers ? count : keepers,
                              .enough = held->statement.kind == GV_STATEMENT_SIGNAL &&
                                        gv_keep_is_enough(core, &held->statement.subject)};

    for (size_t i = 0; i < count; i++) {
        bool holds = is_self(core, ranked[i]) || has_acked(errand, ranked[i]->id);
        holders += holds;
        targets.held += holds && i < targets.keepers;
    }
    bool stand_in = held->statement.kind == GV_STATEMENT_RETRACT ||
                    (errand->attempts > 0 && holders < GV_KEEPER_ACKS);
    for (size_t i = 0; !targets.enough && i < (stand_in ? count : targets.keepers); i++)
        add(core, errand, &targets, ranked[i]);
    add_kin(core, errand, &targets);
    return targets;
}

/* ---- going ----------------------------------------------------------------------------------- */

static void whisper(struct gv_core *core, struct gv_link *link, const struct gv_item *item)
{
    gv_buf_clear(&core->scratch);
    gv_message_whisper_start(&core->scratch, 1);
    gv_brief_put(core, link, &core->scratch, item);
    gv_link_post(core, link, &core->scratch, true);
}

static bool is_on_the_way(const struct gv_core *core, const struct gv_instance *instance)
{
    for (size_t i = 0; i < core->link_count; i++)
        if (core->links[i]->outbound && !core->links[i]->member &&
            (!core->links[i]->closing || core->links[i]->redial) &&
            gv_address_equal(&core->links[i]->remote, &instance->address))
            return true;
    return false;
}

/* Returns false when there is no room for another connection now. */
static bool dial(struct gv_core *core, const struct gv_instance *instance)
{
    size_t dials = 0;

    if (is_on_the_way(core, instance) || gv_is_banned(core, instance->id))
        return true;
    for (size_t i = 0; i < core->link_count; i++)
        dials += core->links[i]->errand && core->links[i]->outbound;
    if (dials >= GV_ERRAND_LINKS)
        return false;
    uint32_t id = gv_link_dial(core, &instance->address, NULL);
    if (id == 0)
        return false;
    gv_link_find(core, id)->errand = true;
    return true;
}

static bool visit(struct gv_core *core, const struct gv_instance *instance,
                  const struct gv_item *item)
{
    struct gv_link *link = gv_link_of(core, instance->id);

    if (link)
        whisper(core, link, item);
    return link || dial(core, instance);
}

/* 3 s for the first seven, then those that stand in, then ever more seldom: somebody who is down
 * comes back, and a partition heals. */
static uint64_t pause_after(struct gv_core *core, uint32_t attempts)
{
    uint64_t pause = GV_ERRAND_FIRST_MS;

    while (attempts-- > 1 && pause < GV_ERRAND_LAST_MS)
        pause *= 3;
    if (pause > GV_ERRAND_LAST_MS)
        pause = GV_ERRAND_LAST_MS;
    return pause + gv_drbg_below(&core->drbg, pause / 4);
}

/* Returns whether it is done. */
static bool run(struct gv_core *core, struct gv_errand *errand)
{
    struct gv_item *item = gv_set_find(&core->set, errand->id);
    struct gv_held *held = item ? item->row : NULL;

    if (!item || item->tree != GV_TREE_KEPT) /* gone, or public by now */
        return true;
    if (!gv_keepers_in_force(core)) {
        gv_keep_publish(core, held, 0);
        return true;
    }
    struct targets targets = find_targets(core, errand, held);
    if (targets.count == 0 && targets.held == targets.keepers)
        return true;
    if (targets.count == 0) { /* until then: what is public may run out first */
        errand->next_ms = gv_core_after(core, GV_ERRAND_LAST_MS);
        return false;
    }
    /* In a storm the bucket of whoever has most to tell is empty first: what waits here is not
     * lost. */
    if (held->statement.kind == GV_STATEMENT_SIGNAL && gv_traffic_exhausted(&core->traffic)) {
        errand->next_ms = gv_core_after(core, GV_ERRAND_RESUME_MS +
                                                  gv_drbg_below(&core->drbg, GV_ERRAND_RESUME_MS));
        return false;
    }
    bool room = true;
    for (size_t i = 0; i < targets.count && room; i++)
        room = visit(core, targets.to[i], item);
    errand->attempts += room;
    errand->next_ms =
        gv_core_after(core, room ? pause_after(core, errand->attempts) : GV_ERRAND_ROOM_MS);
    return false;
}

void gv_errands_tick(struct gv_core *core)
{
    for (size_t i = 0; i < core->errand_count;) {
        if (core->errands[i].next_ms > core->now_ms || !core->has_descriptor ||
            !run(core, &core->errands[i]))
            i++;
        else
            core->errands[i] = core->errands[--core->errand_count];
    }
}

uint64_t gv_errands_deadline(const struct gv_core *core)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; core->has_descriptor && i < core->errand_count; i++)
        due = core->errands[i].next_ms < due ? core->errands[i].next_ms : due;
    return due;
}

/* ---- questions ------------------------------------------------------------------------------- */

static void put_question(struct gv_core *core, struct gv_link *link,
                         const struct gv_subject *subject)
{
    gv_buf_clear(&core->scratch);
    gv_message_ask(&core->scratch, subject);
    gv_link_post(core, link, &core->scratch, true);
}

int gv_errand_ask(struct gv_core *core, const struct gv_subject *subject)
{
    const struct gv_instance *keepers[GV_KEEPERS_RANKED];
    struct gv_question *question = NULL;

    if (!core->has_descriptor || !core->has_certificate)
        return GV_ERR_STATE;
    if (!gv_subject_shareable(subject, core->descriptor.lab))
        return GV_ERR_SUBJECT;
    if (!gv_keepers_in_force(core))
        return GV_ERR_DUPLICATE;
    for (size_t i = 0; i < GV_QUESTIONS_MAX; i++)
        if (core->questions[i].until_ms <= core->now_ms)
            question = &core->questions[i];
    if (!question)
        return GV_ERR_BUSY;
    *question = (struct gv_question){*subject, gv_core_after(core, GV_QUESTION_MS)};
    size_t count = gv_keepers_of(core, keepers, subject), asked = 0;
    for (size_t i = 0; i < count && asked < GV_ASKED_KEEPERS; i++) {
        struct gv_link *link = gv_link_of(core, keepers[i]->id);
        if (is_self(core, keepers[i]))
            continue;
        asked++;
        if (link)
            put_question(core, link, subject);
        else
            dial(core, keepers[i]);
    }
    return GV_OK;
}

/* Whoever answers the door may also be one that an errand went to: he keeps the subject, or not. */
static void serve_questions(struct gv_core *core, struct gv_link *link)
{
    for (size_t i = 0; i < GV_QUESTIONS_MAX; i++) {
        const struct gv_instance *keepers[GV_KEEPERS_RANKED];
        const struct gv_question *question = &core->questions[i];
        if (question->until_ms <= core->now_ms)
            continue;
        size_t count = gv_keepers_of(core, keepers, &question->subject);
        for (size_t k = 0; k < count && k < GV_KEEPERS; k++)
            if (memcmp(keepers[k]->id, link->instance, GV_ID_LEN) == 0)
                put_question(core, link, &question->subject);
    }
}

/* ---- there ----------------------------------------------------------------------------------- */

void gv_errands_serve(struct gv_core *core, struct gv_link *link)
{
    serve_questions(core, link);
    for (size_t i = 0; i < core->errand_count; i++) {
        struct gv_errand *errand = &core->errands[i];
        const struct gv_item *item = gv_set_find(&core->set, errand->id);
        if (!item || item->tree != GV_TREE_KEPT)
            continue;
        struct targets targets = find_targets(core, errand, item->row);
        for (size_t t = 0; t < targets.count; t++)
            if (memcmp(targets.to[t]->id, link->instance, GV_ID_LEN) == 0)
                whisper(core, link, item);
    }
}

void gv_errand_acked(struct gv_core *core, const uint8_t id[GV_ID_LEN],
                     const uint8_t instance[GV_ID_LEN])
{
    struct gv_errand *errand = find(core, id);

    if (!errand || has_acked(errand, instance) || errand->acked_count == GV_ERRAND_ACKS)
        return;
    memcpy(errand->acked[errand->acked_count++], instance, GV_ID_LEN);
}
