/* What this node says itself: signals, retractions, its address (SPEC 8, 12.3). */
#include <string.h>

#include "crypto/error.h"
#include "proto/mesh/state.h"
#include "proto/limits.h"
#include "proto/wire/record.h"

static const uint8_t self_sequence_key = 1;

void gv_persist_history(struct gv_core *core, const struct gv_subject *subject)
{
    struct gv_subject key;

    gv_buf_clear(&core->scratch);
    gv_history_key(core->history, &key, subject);
    if (gv_history_pack(core->history, &core->scratch, subject) == GV_OK && !core->scratch.failed)
        gv_effect_persist(core->effects, GV_ROW_HISTORY, &key, sizeof key, core->scratch.data,
                          core->scratch.len);
}

static void persist_sequence(struct gv_core *core)
{
    uint8_t bytes[16];

    for (size_t i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(core->sequence >> (56 - 8 * i));
        bytes[8 + i] = (uint8_t)(core->sequence_ahead >> (56 - 8 * i));
    }
    gv_effect_persist(core->effects, GV_ROW_SELF, &self_sequence_key, 1, bytes, sizeof bytes);
}

/* max(last + 1, unix milliseconds + ahead): a machine that was rolled back does not convict itself.
 * The number is safe before anything that carries it is sent. */
static uint64_t take_sequence(struct gv_core *core)
{
    uint64_t clock = core->unix_ms + core->sequence_ahead;

    core->sequence = core->sequence >= clock ? core->sequence + 1 : clock;
    persist_sequence(core);
    return core->sequence;
}

/* SPEC 8.6: what was signed before the store was lost was numbered by a clock that may have been
 * ahead of today's, so the numbers go on beyond whatever that clock can have given; and
 * beyond `ceiling`, which no number has passed, whatever the clock was. */
void gv_speak_number_anew(struct gv_core *core, bool lost, uint64_t ceiling)
{
    if (lost)
        core->sequence_ahead = GV_SEQUENCE_LEAP_MS;
    uint64_t clock = core->unix_ms + core->sequence_ahead;
    if (core->sequence < clock)
        core->sequence = clock;
    if (core->sequence < ceiling && ceiling <= INT64_MAX) /* as in a row of the store */
        core->sequence = ceiling;
    persist_sequence(core);
}

/* A word of our own that we do not remember: this machine was rolled back, or its store is lost. */
void gv_speak_learn(struct gv_core *core, uint64_t sequence, bool persist)
{
    if (sequence <= core->sequence)
        return;
    core->sequence = sequence;
    if (persist)
        persist_sequence(core);
}

/* record = kind byte || signed wire. */
static int sign_record(struct gv_core *core, struct gv_buf *record, struct gv_statement *statement)
{
    uint8_t kind = (uint8_t)statement->kind;

    memcpy(statement->certificate, core->certificate.id, GV_ID_LEN);
    gv_buf_append(record, &kind, 1);
    int rc = gv_statement_sign(record, statement, core->identity.sign_secret,
                               core->descriptor.network_id);
    return rc == GV_OK && record->failed ? GV_ERR_MEMORY : rc;
}

static int say(struct gv_core *core, struct gv_statement *statement, enum gv_note note_kind)
{
    struct gv_buf record;
    uint8_t id[GV_ID_LEN];
    int rc;

    gv_buf_init(&record);
    statement->sequence = take_sequence(core);
    rc = sign_record(core, &record, statement);
    if (rc == GV_OK)
        rc = gv_record_id(id, record.data, record.len);
    if (rc == GV_OK)
        rc = gv_admit(core, record.data, record.len, GV_FROM_SELF, 0);
    if (rc == GV_OK) {
        const struct gv_item *item = gv_set_find(&core->set, id);
        if (item)
            ((struct gv_held *)item->row)->unheard = true;
        if (item && item->tree == GV_TREE_KEPT)
            gv_errand_begin(core, item->row, 0);
        gv_effect_persist(core->effects, GV_ROW_SENT, id, GV_ID_LEN, record.data, record.len);
        struct gv_effect *note = gv_effect_note(core->effects, note_kind);
        note->subject = statement->subject;
        memcpy(note->id, id, GV_ID_LEN);
        core->signals_made += statement->kind == GV_STATEMENT_SIGNAL;
    }
    gv_buf_free(&record);
    return rc;
}

static void show_preview(struct gv_core *core, const struct gv_subject *subject,
                         const uint8_t id[GV_ID_LEN], struct gv_buf *record)
{
    record->data[0] |= GV_SENT_PREVIEW;
    /* Without its signature it is nobody's word: a preview that is shown around can neither be sent
     * nor be held against its author. The id does not depend on it. */
    memset(record->data + 1, 0, GV_SIGNATURE_LEN);
    gv_effect_persist(core->effects, GV_ROW_SENT, id, GV_ID_LEN, record->data, record->len);
    struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_PREVIEWED);
    note->subject = *subject;
    memcpy(note->id, id, GV_ID_LEN);
}

/* What would be sent, shown and not sent: signed by nobody's sequence number. */
static void preview(struct gv_core *core, struct gv_statement *statement)
{
    struct gv_buf record;
    uint8_t id[GV_ID_LEN];

    gv_buf_init(&record);
    statement->sequence = core->unix_ms;
    if (sign_record(core, &record, statement) == GV_OK &&
        gv_record_id(id, record.data, record.len) == GV_OK)
        show_preview(core, &statement->subject, id, &record);
    gv_buf_free(&record);
}

/* ---- what was made while sharing was on ------------------------------------------------------ */

static bool is_own(const struct gv_core *core, const struct gv_held *held)
{
    return memcmp(held->author->id, core->identity.id, GV_ID_LEN) == 0;
}

void gv_speak_unheard(struct gv_core *core, const uint8_t *id, size_t len)
{
    const struct gv_item *item = len == GV_ID_LEN ? gv_set_find(&core->set, id) : NULL;

    if (item && item->tree != GV_TREE_ROSTER && is_own(core, item->row))
        ((struct gv_held *)item->row)->unheard = true;
}

/* The next failure signals, or makes another preview. */
static void withdraw(struct gv_core *core, struct gv_held *held)
{
    struct gv_subject subject = held->statement.subject;
    uint8_t id[GV_ID_LEN];

    memcpy(id, held->id, sizeof id);
    gv_buf_clear(&core->scratch);
    gv_buf_append(&core->scratch, held->item->record, held->item->len);
    if (core->scratch.failed) { /* and then it stays: the next time sharing is looked at will do */
        gv_effect_note(core->effects, GV_NOTE_MEMORY);
        return;
    }
    show_preview(core, &subject, id, &core->scratch);
    gv_drop_statement(core, held);
    gv_history_unsignal(core->history, &subject);
    gv_persist_history(core, &subject);
}

void gv_speak_withdraw(struct gv_core *core)
{
    /* From the end, because dropping shifts what comes after. */
    for (int tree = GV_TREE_STATEMENTS; tree < GV_TREES_HELD; tree++)
        for (size_t index = core->set.trees[tree].count; index > 0; index--) {
            struct gv_held *held = core->set.trees[tree].items[index - 1]->row;
            if (held->unheard && held->statement.kind == GV_STATEMENT_SIGNAL)
                withdraw(core, held);
        }
}

void gv_speak_came_back(struct gv_core *core, const uint8_t id[GV_ID_LEN], uint32_t link)
{
    const struct gv_item *item = gv_set_find(&core->set, id);
    const struct gv_link *from = gv_link_find(core, link);
    uint8_t key[2 * GV_ID_LEN];

    if (!item || !from)
        return;
    const struct gv_statement *said = &((const struct gv_held *)item->row)->statement;
    if (said->kind == GV_STATEMENT_SIGNAL) {
        gv_history_signalled(core->history, &said->subject, said->last_min);
        gv_persist_history(core, &said->subject);
    }
    gv_effect_persist(core->effects, GV_ROW_SENT, id, GV_ID_LEN, item->record, item->len);
    memcpy(key, id, GV_ID_LEN);
    memcpy(key + GV_ID_LEN, from->instance, GV_ID_LEN);
    gv_effect_persist(core->effects, GV_ROW_ACK, key, sizeof key, NULL, 0);
}

static int may_speak(const struct gv_core *core, const struct gv_statement *statement)
{
    const struct gv_instance *self;

    if (!core->has_descriptor || !core->has_certificate)
        return GV_ERR_NO_CERTIFICATE;
    if (core->self_revoked)
        return GV_ERR_REVOKED;
    self = gv_roster_instance(&core->roster, core->identity.id);
    if (!self)
        return GV_ERR_NO_CERTIFICATE;
    /* Beyond the quota it would be worth nothing; the next failure tries again. */
    if (statement->kind == GV_STATEMENT_SIGNAL &&
        gv_store_said(&core->store, self, statement->last_min) >=
            core->descriptor.policy.signals_per_hour)
        return GV_ERR_RATE;
    return GV_OK;
}

static void speak_signal(struct gv_core *core, struct gv_statement *statement)
{
    int rc = GV_OK;

    if (core->settings.share == GV_SHARE_NO) {
        gv_history_unsignal(core->history, &statement->subject);
        return;
    }
    if (core->settings.share == GV_SHARE_YES) {
        rc = may_speak(core, statement);
        if (rc == GV_OK)
            rc = say(core, statement, GV_NOTE_SIGNALLED);
    } else {
        preview(core, statement);
    }
    if (rc == GV_OK)
        return;
    gv_history_unsignal(core->history, &statement->subject);
    struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_SIGNAL_HELD);
    note->subject = statement->subject;
    note->error = rc;
}

/* Whether the set holds something that this node said of the subject, also taken back. */
static bool has_said(const struct gv_core *core, const struct gv_subject *subject)
{
    const struct gv_case *row = gv_store_case(&core->store, subject);

    for (uint32_t i = 0; row && i < row->count; i++)
        if (memcmp(gv_case_at(row, i)->author->id, core->identity.id, GV_ID_LEN) == 0)
            return true;
    return false;
}

/* Own hosts hold something against it: one failed visit here locks, as after two of its own. */
static bool own_suspects(const struct gv_core *core, const struct gv_subject *subject)
{
    struct gv_action_facts facts = {.points = 0};

    gv_own_evidence(core, &facts, subject);
    return facts.points > 0 || facts.locked_by_own;
}

void gv_speak_observation(struct gv_core *core, const struct gv_observation *observation)
{
    const struct gv_subject *subject = &observation->subject;
    struct gv_history_result result;
    bool allowed, denied, lab = core->has_descriptor && core->descriptor.lab;
    bool untrusted = gv_state_of(core, subject) == GV_VERDICT_UNTRUSTED;
    enum gv_strictness strict = own_suspects(core, subject) ? GV_STRICT_OWN
                                : untrusted                 ? GV_STRICT_MESH
                                                            : GV_STRICT_NOT;

    gv_policy_look(&core->policy, subject, &allowed, &denied);
    /* What was only previewed, while sharing was not switched on yet, has not been said. */
    if (core->settings.share == GV_SHARE_YES && !has_said(core, subject))
        gv_history_unsignal(core->history, subject);
    int rc = gv_history_observe(core->history, &result, core->unix_ms, observation, strict,
                                !allowed && gv_subject_shareable(subject, lab));
    if (rc != GV_OK)
        return;
    if (result.has_evicted)
        gv_effect_forget(core->effects, GV_ROW_HISTORY, &result.evicted, sizeof result.evicted);
    if (result.has_moved)
        gv_effect_forget(core->effects, GV_ROW_HISTORY, &result.moved, sizeof result.moved);
    if (!observation->success && !observation->past) {
        struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_OBSERVED);
        note->subject = *subject;
        note->number = observation->attempts;
    }
    if (result.locked_now)
        gv_effect_note(core->effects, GV_NOTE_LOCKED)->subject = *subject;
    if (result.broken_login)
        gv_effect_note(core->effects, GV_NOTE_BROKEN_LOGIN);
    if (result.signal)
        speak_signal(core, &result.statement);
    if (result.lock_news)
        gv_own_tell(core, subject);
    if (result.counted || result.signal)
        gv_persist_history(core, subject);
}

int gv_speak_retract(struct gv_core *core, const struct gv_subject *subject)
{
    struct gv_statement statement = {.kind = GV_STATEMENT_RETRACT,
                                     .subject = *subject,
                                     .first_min = core->now_min,
                                     .last_min = core->now_min};
    const struct gv_instance *self = gv_roster_instance(&core->roster, core->identity.id);
    struct gv_statement newest = {
        .kind = GV_STATEMENT_RETRACT, .subject = *subject, .sequence = UINT64_MAX};
    int rc = may_speak(core, &statement);

    if (rc != GV_OK)
        return rc;
    if (!gv_store_cancelled(&core->store, &newest, self))
        return GV_ERR_NOT_FOUND;
    gv_own_tell(core, subject); /* who may not know of it any more hears that */
    return say(core, &statement, GV_NOTE_RETRACTED);
}

void gv_speak_address(struct gv_core *core)
{
    struct gv_address_record record = {.minute = core->now_min,
                                       .address = core->settings.advertise};
    struct gv_buf wire;
    const uint8_t kind = GV_RECORD_ADDRESS;

    if (!core->has_descriptor || !core->has_certificate || core->self_revoked)
        return;
    bool changed = !gv_address_equal(&core->address_said, &core->settings.advertise);
    bool old = core->address_min + GV_ADDRESS_RENEW_MIN <= core->now_min;
    /* A node that only dials out has nothing to say, unless it said something else before. */
    if (core->settings.advertise.family == GV_FAMILY_NONE && !changed)
        return;
    if ((!changed && !old) || core->address_min >= core->now_min)
        return;
    core->address_min = core->now_min; /* once a minute, whatever becomes of it */
    memcpy(record.instance, core->identity.id, GV_ID_LEN);
    gv_buf_init(&wire);
    gv_buf_append(&wire, &kind, 1);
    if (gv_address_record_sign(&wire, &record, core->identity.sign_secret,
                               core->descriptor.network_id) == GV_OK &&
        !wire.failed)
        gv_admit(core, wire.data, wire.len, GV_FROM_SELF, 0);
    gv_buf_free(&wire);
}
