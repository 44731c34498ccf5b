/* What enters the set, and by which door (SPEC 8). */
#include <string.h>

#include "crypto/error.h"
#include "proto/mesh/state.h"

/* Rows of the store were verified before they were written, and the shell keeps them under a MAC.
 */
static bool say_yes(void *context, const uint8_t key[GV_KEY_LEN],
                    const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *message,
                    size_t message_len)
{
    (void)context, (void)key, (void)signature, (void)message, (void)message_len;
    return true;
}

struct gv_verifier gv_verifier_yes(void)
{
    return (struct gv_verifier){.verify = say_yes};
}

uint64_t gv_certificate_held_until(const struct gv_descriptor *descriptor, uint32_t expires_min)
{
    const struct gv_policy *policy = &descriptor->policy;
    uint32_t longest =
        policy->fault_min > policy->alive_min ? policy->fault_min : policy->alive_min;

    return (uint64_t)expires_min + policy->grace_min + longest;
}

void gv_author_budget(struct gv_instance *author, uint32_t now_min)
{
    if (author->budget_hour == now_min / 60)
        return;
    author->budget_hour = now_min / 60;
    author->displaced = author->replaced = 0;
}

bool gv_may_replace(struct gv_core *core, const struct gv_instance *author)
{
    struct gv_instance *own = gv_own_row(core, author);

    if (!own)
        return false;
    gv_author_budget(own, core->now_min);
    return own->replaced++ < GV_REPLACED_PER_HOUR;
}

/* An honest node checks before it passes on. These it could not have let through, whatever its
 * clock, its roster and the order in which things reached it. */
bool gv_error_is_guilt(int error)
{
    switch (error) {
    case GV_ERR_MALFORMED:
    case GV_ERR_SIGNATURE:
    case GV_ERR_RANGE:
    case GV_ERR_SUBJECT:
    case GV_ERR_NETWORK:
    case GV_ERR_PROTOCOL:
        return true;
    default:
        return false;
    }
}

static int admit_kind(struct gv_core *core, const struct gv_incoming *in)
{
    switch (in->record[0]) {
    case GV_RECORD_SIGNAL:
    case GV_RECORD_RETRACT:
        return gv_admit_statement(core, in);
    case GV_RECORD_FAULT:
        return gv_admit_fault(core, in);
    case GV_RECORD_REVOCATION:
        return gv_admit_revocation(core, in);
    case GV_RECORD_CERTIFICATE:
        return gv_admit_certificate(core, in);
    case GV_RECORD_ADDRESS:
        return gv_admit_address(core, in);
    case GV_RECORD_LOG_HEAD:
        return gv_admit_log_head(core, in);
    default:
        return gv_admit_descriptor(core, in);
    }
}

int gv_admit(struct gv_core *core, const uint8_t *record, size_t len, enum gv_source_kind source,
             uint32_t from)
{
    struct gv_incoming in = {.record = record,
                             .wire = record + 1,
                             .len = len,
                             .wire_len = len ? len - 1 : 0,
                             .source = source,
                             .from = from,
                             .verifier = core->verifier};
    int rc = gv_record_id(in.id, record, len);

    if (rc != GV_OK)
        return rc;
    struct gv_item *known = gv_set_find(&core->set, in.id);
    /* What was whispered here is public elsewhere. */
    if (known && known->tree == GV_TREE_KEPT && source == GV_FROM_PEER)
        return gv_keep_publish(core, known->row, from);
    if (known) {
        core->records_duplicate++;
        return GV_ERR_DUPLICATE;
    }
    if (!core->has_descriptor && record[0] != GV_RECORD_DESCRIPTOR)
        return GV_ERR_STATE;
    if (gv_is_stored(source))
        in.verifier = gv_verifier_yes();
    return admit_kind(core, &in);
}

bool gv_is_stored(enum gv_source_kind source)
{
    return source == GV_FROM_STORE || source == GV_FROM_STORE_KEPT;
}

/* What is not public is marked in the store, so that it is not after a restart either. */
static void persist(struct gv_core *core, const struct gv_incoming *in, enum gv_tree tree)
{
    uint8_t marked[1 + GV_SIGNAL_WIRE_MAX];
    const uint8_t *record = in->record;

    if (tree == GV_TREE_KEPT) {
        gv_assert(in->len <= sizeof marked);
        memcpy(marked, in->record, in->len);
        marked[0] |= GV_RECORD_KEPT;
        record = marked;
    }
    gv_effect_persist(core->effects, GV_ROW_RECORD, in->id, GV_ID_LEN, record, in->len);
}

struct gv_item *gv_admit_enter(struct gv_core *core, const struct gv_incoming *in,
                               enum gv_tree tree, uint32_t minute)
{
    struct gv_item *item = gv_set_insert(&core->set, tree, minute, in->id, in->record, in->len);

    if (!item) {
        gv_effect_note(core->effects, GV_NOTE_MEMORY);
        return NULL;
    }
    if (!gv_is_stored(in->source))
        persist(core, in, tree);
    if (!gv_is_stored(in->source) && tree != GV_TREE_KEPT)
        gv_spread_fresh(core, in->id, in->from);
    return item;
}

void gv_admit_leave(struct gv_core *core, struct gv_item *item)
{
    gv_effect_forget(core->effects, GV_ROW_RECORD, item->key.id, GV_ID_LEN);
    gv_set_remove(&core->set, item);
}
