/* Signals, retractions, and the proof that somebody contradicted himself (SPEC 8.1 to 8.4). */
#include <string.h>

#include "crypto/error.h"
#include "proto/mesh/state.h"
#include "proto/limits.h"

/* What is refused here comes back with repair, when the author has calmed down. */
bool gv_may_displace(struct gv_core *core, const struct gv_instance *author)
{
    struct gv_instance *own = gv_own_row(core, gv_roster_instance(&core->roster, author->id));

    if (!own)
        return false;
    gv_author_budget(own, core->now_min);
    return own->displaced++ < GV_DISPLACED_PER_HOUR;
}

/* The same sequence number twice: the proof is built here and goes out as a record. */
static int expose(struct gv_core *core, const struct gv_incoming *in, const struct gv_held *other)
{
    struct gv_buf proof;
    const uint8_t kind = GV_RECORD_FAULT;
    int rc;

    gv_buf_init(&proof);
    gv_buf_append(&proof, &kind, 1);
    rc = gv_fault_build(&proof, in->wire, in->wire_len, other->item->record + 1,
                        other->item->len - 1);
    if (rc == GV_OK && !proof.failed)
        gv_admit(core, proof.data, proof.len, GV_FROM_SELF, 0);
    gv_buf_free(&proof);
    return GV_ERR_FAULT;
}

static int check_time(const struct gv_core *core, const struct gv_statement *statement,
                      const struct gv_certificate_row *certificate)
{
    const struct gv_policy *policy = &core->descriptor.policy;

    if (statement->last_min > core->now_min + GV_AHEAD_MIN)
        return GV_ERR_EARLY;
    if ((uint64_t)statement->last_min + policy->alive_min < core->now_min)
        return GV_ERR_EXPIRED;
    if (statement->last_min > (uint64_t)certificate->expires_min + policy->grace_min)
        return GV_ERR_EXPIRED;
    return GV_OK;
}

/* Returns whether any of them was public. */
static bool cancel(struct gv_core *core, const struct gv_statement *retract,
                   const struct gv_instance *author)
{
    struct gv_held *held;
    bool was_public = false;

    while ((held = gv_store_cancelled(&core->store, retract, author))) {
        was_public = was_public || !held->kept;
        gv_drop_statement(core, held);
    }
    return was_public;
}

/* Own words go to their keepers; in a small mesh everybody is one (SPEC 9.10). */
static bool is_private(const struct gv_core *core, const struct gv_incoming *in)
{
    return in->source == GV_FROM_WHISPER || in->source == GV_FROM_STORE_KEPT ||
           (in->source == GV_FROM_SELF && gv_keepers_in_force(core));
}

static int hold(struct gv_core *core, const struct gv_incoming *in,
                const struct gv_statement *statement, const struct gv_certificate_row *certificate,
                bool weightless, bool kept)
{
    enum gv_verdict_state before = gv_state_of(core, &statement->subject);
    enum gv_tree tree = kept ? GV_TREE_KEPT : GV_TREE_STATEMENTS;
    struct gv_item *item = gv_admit_enter(core, in, tree, statement->last_min);

    if (!item)
        return GV_ERR_MEMORY;
    if (before == GV_VERDICT_UNTRUSTED && statement->kind == GV_STATEMENT_SIGNAL &&
        in->source == GV_FROM_PEER)
        gv_spread_calm(core);
    item->row = gv_store_hold(&core->store, statement, in->id, item, certificate, weightless, kept);
    if (!item->row) {
        gv_admit_leave(core, item);
        gv_effect_note(core->effects, GV_NOTE_MEMORY);
        return GV_ERR_MEMORY;
    }
    ((struct gv_held *)item->row)->owner = gv_roster_owner(&core->roster, certificate->owner);
    if (statement->kind == GV_STATEMENT_RETRACT) {
        bool was_public = cancel(core, statement, certificate->instance);
        before = gv_state_of(core, &statement->subject); /* noted there */
        if (was_public && kept) /* what everybody has heard, everybody must unlearn */
            gv_keep_publish(core, item->row, 0);
    }
    gv_rejudge(core, &statement->subject, before);
    gv_keep_look(core, &statement->subject);
    return GV_OK;
}

/* A public signal that a kept retraction covers: somebody published before he heard of it. */
static void uncover(struct gv_core *core, const struct gv_statement *signal,
                    const struct gv_instance *author)
{
    struct gv_held *retraction = gv_store_covering(&core->store, signal, author);

    if (retraction && retraction->kept)
        gv_keep_publish(core, retraction, 0);
}

/* Told once an hour while it lasts. */
static void note_full(struct gv_core *core)
{
    if (core->full_noted_ms != 0 && core->now_ms - core->full_noted_ms < 60 * GV_MINUTE_MS)
        return;
    core->full_noted_ms = core->now_ms;
    gv_effect_note(core->effects, GV_NOTE_SET_FULL)->number = (int64_t)core->store.count;
}

int gv_admit_statement(struct gv_core *core, const struct gv_incoming *in)
{
    const struct gv_policy *policy = &core->descriptor.policy;
    struct gv_statement statement;
    int rc = gv_statement_parse(&statement, in->wire, in->wire_len);

    if (rc != GV_OK)
        return rc;
    if ((uint8_t)statement.kind != in->record[0])
        return GV_ERR_MALFORMED;
    if (!gv_subject_shareable(&statement.subject, core->descriptor.lab))
        return GV_ERR_SUBJECT;
    const struct gv_certificate_row *certificate =
        gv_roster_certificate(&core->roster, statement.certificate);
    if (!certificate)
        return GV_ERR_NO_CERTIFICATE;
    const struct gv_instance *author = gv_roster_author(&core->roster, certificate);
    rc = check_time(core, &statement, certificate);
    if (rc == GV_OK && author->revoked_min <= statement.last_min)
        rc = GV_ERR_REVOKED;
    if (rc == GV_OK && author->fault_min != GV_NEVER)
        rc = GV_ERR_FAULT;
    if (rc != GV_OK)
        return rc;
    bool kept = is_private(core, in);
    bool from_peer = in->source == GV_FROM_PEER || in->source == GV_FROM_WHISPER;
    bool weightless = gv_standing(policy, core->descriptor.genesis_min, certificate->since_min,
                                  statement.last_min) == 0;
    struct gv_admission admission =
        gv_store_weigh(&core->store, &statement, author, policy->signals_per_hour,
                       GV_RETRACTS_PER_HOUR, weightless && from_peer, kept);
    if (admission.error == GV_ERR_SUPERSEDED && in->source == GV_FROM_PEER)
        uncover(core, &statement, author);
    if (admission.error == GV_ERR_FULL)
        note_full(core);
    if (admission.error != GV_OK && !admission.contradicts)
        return admission.error;
    if (admission.displaced && !gv_may_displace(core, author))
        return GV_ERR_RATE;
    rc = gv_statement_verify(&in->verifier, &statement, in->wire, in->wire_len, author->key,
                             core->descriptor.network_id);
    if (rc != GV_OK)
        return rc;
    if (in->source != GV_FROM_SELF && memcmp(author->id, core->identity.id, GV_ID_LEN) == 0)
        gv_speak_learn(core, statement.sequence, !gv_is_stored(in->source));
    if (admission.contradicts)
        return expose(core, in, admission.contradicts);
    if (admission.displaced)
        gv_drop_statement(core, admission.displaced);
    rc = hold(core, in, &statement, certificate, weightless, kept);
    if (rc == GV_OK && from_peer && memcmp(author->id, core->identity.id, GV_ID_LEN) == 0)
        gv_speak_came_back(core, in->id, in->from);
    return rc;
}

/* ---- faults --------------------------------------------------------------------------------- */

/* Which of two proofs against one instance is kept must not depend on which came first: the one
 * that counts longer, then the smaller id. */
static bool is_better_proof(const struct gv_instance *author, const struct gv_fault *fault,
                            const uint8_t id[GV_ID_LEN])
{
    if (!author->fault || fault->later_min != author->fault_min)
        return !author->fault || fault->later_min > author->fault_min;
    return memcmp(id, author->fault->key.id, GV_ID_LEN) < 0;
}

static int check_fault(const struct gv_core *core, const struct gv_incoming *in,
                       const struct gv_fault *fault, const struct gv_instance **author)
{
    const struct gv_certificate_row *a = gv_roster_certificate(&core->roster, fault->a.certificate);
    const struct gv_certificate_row *b = gv_roster_certificate(&core->roster, fault->b.certificate);

    if (!a || !b)
        return GV_ERR_NO_CERTIFICATE;
    *author = gv_roster_author(&core->roster, a);
    if (*author != gv_roster_author(&core->roster, b))
        return GV_ERR_MALFORMED;
    /* Its time is the author's word: one far ahead would keep the owner out for ever. */
    if (fault->later_min > core->now_min + GV_AHEAD_MIN)
        return GV_ERR_EARLY;
    if ((uint64_t)fault->later_min + core->descriptor.policy.fault_min <= core->now_min)
        return GV_ERR_EXPIRED;
    if (!is_better_proof(*author, fault, in->id))
        return GV_ERR_SUPERSEDED;
    int rc = gv_statement_verify(&in->verifier, &fault->a, fault->a_wire, fault->a_len,
                                 (*author)->key, core->descriptor.network_id);
    if (rc == GV_OK)
        rc = gv_statement_verify(&in->verifier, &fault->b, fault->b_wire, fault->b_len,
                                 (*author)->key, core->descriptor.network_id);
    return rc;
}

int gv_admit_fault(struct gv_core *core, const struct gv_incoming *in)
{
    struct gv_fault fault;
    const struct gv_instance *known = NULL;
    struct gv_instance *author;
    int rc = gv_fault_parse(&fault, in->wire, in->wire_len);

    if (rc == GV_OK)
        rc = check_fault(core, in, &fault, &known);
    if (rc == GV_OK && known->fault && !gv_may_replace(core, known))
        rc = GV_ERR_RATE;
    if (rc != GV_OK)
        return rc;
    author = gv_own_row(core, known);
    if (!author)
        return GV_ERR_MEMORY;
    bool first = !author->fault, longer = first || fault.later_min != author->fault_min;
    struct gv_item *item = gv_admit_enter(core, in, GV_TREE_ROSTER, fault.later_min);
    if (!item)
        return GV_ERR_MEMORY;
    if (author->fault)
        gv_admit_leave(core, author->fault);
    author->fault = item;
    author->fault_min = fault.later_min;
    if (!longer)
        return GV_OK;
    gv_blame(core);
    gv_rejudge_all(core); /* other instances of the same owner weigh nothing now */
    if (!first)
        return GV_OK;
    struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_FAULT);
    memcpy(note->instance, author->id, GV_ID_LEN);
    memcpy(note->id, in->id, GV_ID_LEN);
    gv_drop_author(core, author, 0);
    gv_own_forget(core, author->id);
    struct gv_link *link = gv_link_of(core, author->id);
    if (link)
        gv_link_close(core, link, GV_GOODBYE_INVALID);
    return GV_OK;
}
