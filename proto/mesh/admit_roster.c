/* Certificates, revocations, address records and the descriptor (SPEC 3, 4, 9.2). */
#include <string.h>

#include "crypto/error.h"
#include "proto/mesh/state.h"
#include "proto/limits.h"
#include "proto/wire/revocation.h"

/* ---- certificates --------------------------------------------------------------------------- */

static void take_as_own(struct gv_core *core, const struct gv_certificate *certificate,
                        const uint8_t *wire)
{
    if (core->has_certificate && certificate->issued_min <= core->certificate.issued_min)
        return;
    core->certificate = *certificate;
    memcpy(core->certificate_wire, wire, GV_CERTIFICATE_LEN);
    core->has_certificate = true;
    core->certificate_stored = true; /* entered with this step, or read */
    core->book.own_seen = 0;
    struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_CERTIFICATE);
    note->number = certificate->expires_min;
    memcpy(note->instance, certificate->instance, GV_ID_LEN);
}

/* Of an owner who was not known yet. */
static void take_silence(struct gv_core *core, const struct gv_certificate *certificate)
{
    const struct gv_certificate_row *row = gv_roster_certificate(&core->roster, certificate->id);
    const struct gv_owner *owner = gv_roster_owner(&core->roster, row->owner);
    bool silenced = gv_is_silenced(core, certificate->owner);

    if (owner->silenced == silenced)
        return;
    struct gv_owner *own = gv_roster_own_owner(&core->roster, owner);
    if (own)
        own->silenced = silenced;
    else
        gv_effect_note(core->effects, GV_NOTE_MEMORY);
    gv_owners_moved(core);
}

int gv_admit_certificate(struct gv_core *core, const struct gv_incoming *in)
{
    struct gv_certificate certificate = {.since_min = 0}; /* also when it does not parse */
    int rc = gv_certificate_accept(&certificate, &core->descriptor, &in->verifier, core->now_min,
                                   in->wire, in->wire_len);
    bool own = memcmp(certificate.instance, core->identity.id, GV_ID_LEN) == 0;

    /* Our own, fresh from the registry, and early: it is our clock that is slow. The node starts
     * all the same, and the peers' greetings tell the admin. */
    if (rc == GV_ERR_EARLY && own && in->source != GV_FROM_PEER)
        rc = GV_OK;
    bool ended = rc == GV_ERR_EXPIRED;
    /* Too old for a session, and still needed to read what it signed. The registry has no business
     * to hand out one of ours. */
    if (ended && (!own || in->source != GV_FROM_REGISTRY) &&
        gv_certificate_held_until(&core->descriptor, certificate.expires_min) >= core->now_min)
        rc = GV_OK;
    if (rc != GV_OK)
        return rc;
    if (gv_roster_count(&core->roster, GV_ROWS_CERTIFICATES) >= GV_CERTIFICATES_MAX)
        return GV_ERR_FULL;
    struct gv_item *item = gv_admit_enter(core, in, GV_TREE_ROSTER, certificate.issued_min);
    if (!item)
        return GV_ERR_MEMORY;
    rc = gv_roster_add(&core->roster, &certificate, item);
    if (rc != GV_OK) {
        gv_admit_leave(core, item);
        return rc;
    }
    take_silence(core, &certificate);
    if (gv_roster_instance(&core->roster, certificate.instance)->fault_min != GV_NEVER) {
        gv_blame(core);
        gv_rejudge_all(core);
    }
    if (own && !ended)
        take_as_own(core, &certificate, in->wire);
    return GV_OK;
}

int gv_take_known_certificate(struct gv_core *core, const uint8_t wire[GV_CERTIFICATE_LEN])
{
    struct gv_certificate certificate;
    int rc = gv_certificate_accept(&certificate, &core->descriptor, &core->verifier, core->now_min,
                                   wire, GV_CERTIFICATE_LEN);

    if (rc == GV_OK || rc == GV_ERR_EARLY)
        take_as_own(core, &certificate, wire);
    return rc == GV_ERR_EARLY ? GV_OK : rc;
}

/* ---- revocations ---------------------------------------------------------------------------- */

int gv_admit_revocation(struct gv_core *core, const struct gv_incoming *in)
{
    struct gv_revocation revocation;
    int rc =
        gv_revocation_open(&revocation, &in->verifier, &core->descriptor, in->wire, in->wire_len);

    if (rc != GV_OK)
        return rc;
    /* One that was taken before is not doubted because this start's clock is slow. */
    if (in->source != GV_FROM_STORE && revocation.revoked_min > core->now_min + GV_AHEAD_MIN)
        return GV_ERR_EARLY;
    const struct gv_instance *known = gv_roster_instance(&core->roster, revocation.instance);
    if (!known)
        return GV_ERR_NO_CERTIFICATE;
    /* The earliest counts, then the smaller id: not the first to arrive. */
    if (known->revocation && (revocation.revoked_min > known->revoked_min ||
                              (revocation.revoked_min == known->revoked_min &&
                               memcmp(in->id, known->revocation->key.id, GV_ID_LEN) > 0)))
        return GV_ERR_SUPERSEDED;
    struct gv_instance *instance = gv_own_row(core, known);
    if (!instance)
        return GV_ERR_MEMORY;
    struct gv_item *item = gv_admit_enter(core, in, GV_TREE_ROSTER, revocation.revoked_min);
    if (!item)
        return GV_ERR_MEMORY;
    if (instance->revocation)
        gv_admit_leave(core, instance->revocation);
    instance->revocation = item;
    instance->revoked_min = revocation.revoked_min;
    gv_drop_author(core, instance, revocation.revoked_min);
    gv_own_forget(core, instance->id);
    if (instance->address_item) { /* one that comes later is not taken either */
        gv_admit_leave(core, instance->address_item);
        instance->address_item = NULL;
        instance->address = (struct gv_address){0};
    }
    if (memcmp(instance->id, core->identity.id, GV_ID_LEN) == 0) {
        core->self_revoked = true;
        gv_effect_note(core->effects, GV_NOTE_SELF_REVOKED);
    }
    struct gv_link *link = gv_link_of(core, instance->id);
    if (link) {
        gv_spread_items(core, link, &item, 1, true); /* the last thing he hears: why */
        gv_link_close(core, link, GV_GOODBYE_REVOKED);
    }
    return GV_OK;
}

/* ---- address records ------------------------------------------------------------------------ */

/* Outside a lab an address record may only name a public address: nobody is to make others dial
 * into their own networks. */
static bool may_be_dialled(const struct gv_core *core, const struct gv_address *address)
{
    struct gv_subject subject = gv_address_subject(address);

    if (address->family == GV_FAMILY_NONE || core->descriptor.lab)
        return true;
    return gv_subject_scope(&subject) == GV_SCOPE_PUBLIC;
}

static int check_address(struct gv_core *core, const struct gv_incoming *in,
                         const struct gv_address_record *record,
                         const struct gv_instance **instance)
{
    if (!may_be_dialled(core, &record->address))
        return GV_ERR_RANGE;
    *instance = gv_roster_instance(&core->roster, record->instance);
    if (!*instance)
        return GV_ERR_NO_CERTIFICATE;
    if (record->minute > core->now_min + GV_AHEAD_MIN)
        return GV_ERR_EARLY;
    if (record->minute + GV_ADDRESS_LIFE_MIN < core->now_min)
        return GV_ERR_EXPIRED;
    const struct gv_item *held = (*instance)->address_item;
    if (held &&
        (held->key.minute > record->minute ||
         (held->key.minute == record->minute && memcmp(held->key.id, in->id, GV_ID_LEN) < 0)))
        return GV_ERR_SUPERSEDED;
    if ((*instance)->revoked_min != GV_NEVER)
        return GV_ERR_REVOKED;
    int rc = gv_address_record_verify(&in->verifier, in->wire, in->wire_len, (*instance)->key,
                                      core->descriptor.network_id);
    /* After the signature: a forger must not use up what the instance may do. */
    if (rc == GV_OK && held && in->source == GV_FROM_PEER && !gv_may_replace(core, *instance))
        rc = GV_ERR_RATE;
    return rc;
}

int gv_admit_address(struct gv_core *core, const struct gv_incoming *in)
{
    struct gv_address_record record;
    const struct gv_instance *known = NULL;
    int rc = gv_address_record_parse(&record, in->wire, in->wire_len);

    if (rc == GV_OK)
        rc = check_address(core, in, &record, &known);
    if (rc != GV_OK)
        return rc;
    struct gv_instance *instance =
        gv_own_row(core, gv_roster_instance(&core->roster, record.instance));
    if (!instance)
        return GV_ERR_MEMORY;
    struct gv_item *item = gv_admit_enter(core, in, GV_TREE_ROSTER, record.minute);
    if (!item)
        return GV_ERR_MEMORY;
    if (instance->address_item)
        gv_admit_leave(core, instance->address_item);
    instance->address_item = item;
    instance->address = record.address;
    if (memcmp(instance->id, core->identity.id, GV_ID_LEN) == 0) {
        core->address_min = record.minute;
        core->address_said = record.address;
    } else if (record.address.family != GV_FAMILY_NONE) {
        gv_book_learn(core, &record.address, instance->id, false);
    }
    return GV_OK;
}

/* ---- the descriptor ------------------------------------------------------------------------- */

static void let_go(struct gv_core *core, size_t index)
{
    gv_admit_leave(core, core->descriptors[index].item);
    core->descriptors[index] = core->descriptors[--core->descriptor_count];
}

/* The highest version whose time has come; the first descriptor of all is taken at once, because
 * without one nothing can be checked. SIZE_MAX: none. */
static size_t due_descriptor(const struct gv_core *core)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < core->descriptor_count; i++) {
        bool due = core->descriptors[i].item->key.minute <= core->now_min || !core->has_descriptor;
        if (due &&
            (best == SIZE_MAX || core->descriptors[i].version > core->descriptors[best].version))
            best = i;
    }
    return best;
}

/* What was held verified when it came. */
static int open_held(struct gv_core *core, const struct gv_item *item)
{
    struct gv_verifier yes = gv_verifier_yes();

    return gv_descriptor_open(&core->opened_descriptor, &yes, item->record + 1, item->len - 1);
}

/* What was signed under this certificate, and the session that began with it. */
static void drop_signed_under(struct gv_core *core, const struct gv_certificate_row *row)
{
    struct gv_link *link = gv_link_of(core, row->instance->id);

    if (link && memcmp(link->session.remote.id, row->id, GV_ID_LEN) == 0)
        gv_link_close(core, link, GV_GOODBYE_REVOKED);
    if (core->has_certificate && memcmp(core->certificate.id, row->id, GV_ID_LEN) == 0)
        core->has_certificate = false; /* to be renewed under a key that is named */
    for (int tree = GV_TREE_STATEMENTS; tree < GV_TREES_HELD; tree++)
        for (size_t i = core->set.trees[tree].count; i > 0; i--) {
            struct gv_held *held = core->set.trees[tree].items[i - 1]->row;
            if (memcmp(held->statement.certificate, row->id, GV_ID_LEN) == 0)
                gv_drop_statement(core, held);
        }
}

/* A registry key that the new descriptor does not name any more takes its certificates with it, and
 * what they signed: or a stolen key would go on for ever where it was once believed. Who renewed
 * under another key in time stays. Passes until nothing is left, because removing from a table
 * shifts it. */
static void drop_unsigned(struct gv_core *core)
{
    const struct gv_certificate_row *row;
    size_t cursor = 0, dropped = 0;

    core->unsigned_left = false;
    while ((row = gv_roster_next(&core->roster, GV_ROWS_CERTIFICATES, &cursor))) {
        uint64_t before = core->roster.changes;
        struct gv_certificate parsed;
        (void)gv_certificate_parse(&parsed, row->item->record + 1, row->item->len - 1);
        if (gv_descriptor_key(&core->descriptor, parsed.signer, parsed.issued_min))
            continue;
        drop_signed_under(core, row);
        gv_drop_certificate(core, row);
        if (core->roster.changes != before)
            dropped++;
        else
            core->unsigned_left = true; /* for want of memory: the next minute tries again */
    }
    if (dropped == 0)
        return;
    gv_blame(core);
    drop_unsigned(core);
}

void gv_activate_descriptor(struct gv_core *core)
{
    size_t due = due_descriptor(core);

    if (core->unsigned_left)
        drop_unsigned(core);
    if (due == SIZE_MAX ||
        (core->has_descriptor && core->descriptors[due].version <= core->descriptor.version))
        return;
    if (open_held(core, core->descriptors[due].item) != GV_OK) {
        gv_effect_note(core->effects, GV_NOTE_MEMORY); /* it was good when it came: next minute */
        return;
    }
    core->descriptor = core->opened_descriptor;
    core->has_descriptor = true;
    for (size_t i = core->descriptor_count; i > 0; i--)
        if (core->descriptors[i - 1].version < core->descriptor.version)
            let_go(core, i - 1);
    for (size_t i = 0; i < core->descriptor.seed_count; i++)
        gv_book_seed(core, core->descriptor.seeds[i]);
    struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_DESCRIPTOR);
    note->number = core->descriptor.version;
    drop_unsigned(core);
    gv_log_heads_expire(core, UINT32_MAX);
    gv_rejudge_all(core);
}

static int check_descriptor(const struct gv_core *core, const struct gv_incoming *in)
{
    const struct gv_descriptor *opened = &core->opened_descriptor;

    /* The first may only come from the admin or the registry that he named. */
    if (!core->has_descriptor)
        return in->source == GV_FROM_PEER ? GV_ERR_STATE : GV_OK;
    if (memcmp(opened->network_id, core->descriptor.network_id, GV_KEY_LEN) != 0)
        return GV_ERR_NETWORK;
    if (opened->version <= core->descriptor.version)
        return GV_ERR_SUPERSEDED;
    /* What counts as a public address must be the same for all at all times. */
    if (opened->lab != core->descriptor.lab)
        return GV_ERR_FORBIDDEN;
    for (size_t i = 0; i < core->descriptor_count; i++)
        if (core->descriptors[i].version == opened->version)
            return GV_ERR_SUPERSEDED;
    return core->descriptor_count < GV_DESCRIPTORS_MAX ? GV_OK : GV_ERR_FULL;
}

int gv_admit_descriptor(struct gv_core *core, const struct gv_incoming *in)
{
    struct gv_descriptor *opened = &core->opened_descriptor;
    int rc = gv_descriptor_open(opened, &in->verifier, in->wire, in->wire_len);

    if (rc == GV_OK)
        rc = check_descriptor(core, in);
    if (rc != GV_OK)
        return rc;
    struct gv_item *item = gv_admit_enter(core, in, GV_TREE_ROSTER, opened->activation_min);
    if (!item)
        return GV_ERR_MEMORY;
    core->descriptors[core->descriptor_count++] =
        (struct gv_held_descriptor){.item = item, .version = opened->version};
    gv_activate_descriptor(core);
    return GV_OK;
}
