#include "proto/mesh/roster.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/mesh/base.h"
#include "proto/limits.h"

void gv_roster_init(struct gv_roster *roster, const uint8_t hash_key[16])
{
    memset(roster, 0, sizeof *roster);
    memcpy(roster->hash_key, hash_key, 16);
}

void gv_roster_free(struct gv_roster *roster)
{
    for (int kind = 0; kind < GV_ROWS_KINDS; kind++) {
        gv_table_free_all(&roster->rows[kind]);
        free(roster->hidden[kind]);
    }
}

/* ---- this core's own rows, and the base's ---------------------------------------------------- */

/* Certificates are found by their beginning alone, too. */
uint64_t gv_roster_hash(const uint8_t hash_key[16], enum gv_rows kind, const uint8_t *id)
{
    return gv_siphash(hash_key, id, kind == GV_ROWS_CERTIFICATES ? GV_PREFIX_LEN : GV_ID_LEN);
}

struct head { /* of all three rows */
    uint8_t id[GV_ID_LEN];
    uint32_t number;
};

static bool has_id(const void *row, const void *id)
{
    return memcmp(row, id, GV_ID_LEN) == 0;
}

static bool is_hidden(const struct gv_roster *roster, enum gv_rows kind, uint32_t number)
{
    return roster->hidden_count[kind] > 0 && (roster->hidden[kind][number / 64] >> number % 64 & 1);
}

static void hide(struct gv_roster *roster, enum gv_rows kind, uint32_t number)
{
    roster->hidden[kind][number / 64] |= (uint64_t)1 << number % 64;
    roster->hidden_count[kind]++;
}

bool gv_roster_stand_on(struct gv_roster *roster, const struct gv_base *base)
{
    for (int kind = 0; kind < GV_ROWS_KINDS; kind++) {
        roster->hidden[kind] =
            calloc(base->rows[kind].count / 64 + 1, sizeof *roster->hidden[kind]);
        if (roster->hidden[kind])
            continue;
        gv_roster_stand_off(roster);
        return false;
    }
    roster->base = base;
    roster->moves++;
    return true;
}

void gv_roster_stand_off(struct gv_roster *roster)
{
    for (int kind = 0; kind < GV_ROWS_KINDS; kind++) {
        free(roster->hidden[kind]);
        roster->hidden[kind] = NULL;
    }
    roster->base = NULL;
    roster->moves++;
}

static void *find_row(const struct gv_roster *roster, enum gv_rows kind, gv_table_equal equal,
                      const uint8_t *id, const void *key)
{
    const struct gv_base *base = roster->base;
    void *row =
        gv_table_find(&roster->rows[kind], gv_roster_hash(roster->hash_key, kind, id), equal, key);

    if (row || !base)
        return row;
    row = gv_table_find(&base->rows[kind], gv_roster_hash(base->hash_key, kind, id), equal, key);
    return row && !is_hidden(roster, kind, ((struct head *)row)->number) ? row : NULL;
}

size_t gv_roster_count(const struct gv_roster *roster, enum gv_rows kind)
{
    size_t own = roster->rows[kind].count;

    return roster->base ? own + roster->base->rows[kind].count - roster->hidden_count[kind] : own;
}

#define IN_BASE (SIZE_MAX / 2 + 1) /* of a cursor: what follows is a number there */

const void *gv_roster_next(const struct gv_roster *roster, enum gv_rows kind, size_t *cursor)
{
    const struct gv_base *base = roster->base;

    if (*cursor < IN_BASE) {
        void *row = gv_table_next(&roster->rows[kind], cursor);
        if (row || !base)
            return row;
        *cursor = IN_BASE;
    }
    while (*cursor - IN_BASE < base->rows[kind].count) {
        uint32_t number = (uint32_t)(*cursor - IN_BASE);
        ++*cursor;
        if (!is_hidden(roster, kind, number))
            return base->all[kind][number];
    }
    return NULL;
}

const uint64_t *gv_roster_placements(const struct gv_roster *roster, size_t *count)
{
    *count = roster->base ? roster->base->rows[GV_ROWS_INSTANCES].count : 0;
    return roster->base ? roster->base->placements : NULL;
}

const struct gv_instance *gv_roster_numbered(const struct gv_roster *roster, size_t number)
{
    return is_hidden(roster, GV_ROWS_INSTANCES, (uint32_t)number)
               ? NULL
               : roster->base->all[GV_ROWS_INSTANCES][number];
}

const void *gv_roster_next_own(const struct gv_roster *roster, enum gv_rows kind, size_t *cursor)
{
    return gv_table_next(&roster->rows[kind], cursor);
}

/* A row that is known not to be there; NULL without memory. */
static void *add_row(struct gv_roster *roster, enum gv_rows kind, size_t size, const uint8_t *id)
{
    struct head *row = calloc(1, size);

    if (!row)
        return NULL;
    memcpy(row->id, id, GV_ID_LEN);
    row->number = GV_NO_BASE;
    roster->moves++;
    if (gv_table_insert(&roster->rows[kind], gv_roster_hash(roster->hash_key, kind, id), row) !=
        GV_OK) {
        free(row);
        return NULL;
    }
    return row;
}

static void remove_row(struct gv_roster *roster, enum gv_rows kind, const void *row)
{
    const struct head *head = row;

    roster->moves++;
    if (head->number != GV_NO_BASE) {
        hide(roster, kind, head->number);
        return;
    }
    gv_table_remove(&roster->rows[kind], gv_roster_hash(roster->hash_key, kind, head->id), row);
    free((void *)(uintptr_t)row);
}

/* A copy in the place of the base's; one of our own stays as it is. */
static void *own_row(struct gv_roster *roster, enum gv_rows kind, size_t size, const void *row)
{
    const struct head *head = row;

    if (head->number == GV_NO_BASE)
        return (void *)(uintptr_t)row;
    uint32_t number = head->number;
    struct head *copy = add_row(roster, kind, size, head->id);
    if (!copy)
        return NULL;
    memcpy(copy, row, size);
    copy->number = GV_NO_BASE;
    hide(roster, kind, number);
    return copy;
}

const struct gv_instance *gv_roster_instance(const struct gv_roster *roster,
                                             const uint8_t id[GV_ID_LEN])
{
    return find_row(roster, GV_ROWS_INSTANCES, has_id, id, id);
}

const struct gv_instance *gv_roster_own_instance(const struct gv_roster *roster,
                                                 const uint8_t id[GV_ID_LEN])
{
    if (roster->rows[GV_ROWS_INSTANCES].count == 0)
        return NULL;
    return gv_table_find(&roster->rows[GV_ROWS_INSTANCES],
                         gv_roster_hash(roster->hash_key, GV_ROWS_INSTANCES, id), has_id, id);
}

const struct gv_certificate_row *gv_roster_certificate(const struct gv_roster *roster,
                                                       const uint8_t id[GV_ID_LEN])
{
    return find_row(roster, GV_ROWS_CERTIFICATES, has_id, id, id);
}

const struct gv_instance *gv_roster_author(const struct gv_roster *roster,
                                           const struct gv_certificate_row *row)
{
    const struct gv_instance *instance = row->instance;

    if (instance->number == GV_NO_BASE || !is_hidden(roster, GV_ROWS_INSTANCES, instance->number))
        return instance;
    return gv_roster_instance(roster, instance->id);
}

const struct gv_owner *gv_roster_owner(const struct gv_roster *roster, const struct gv_owner *owner)
{
    if (owner->number == GV_NO_BASE || !is_hidden(roster, GV_ROWS_OWNERS, owner->number))
        return owner;
    return find_row(roster, GV_ROWS_OWNERS, has_id, owner->tag, owner->tag);
}

struct gv_instance *gv_roster_own(struct gv_roster *roster, const struct gv_instance *instance)
{
    return own_row(roster, GV_ROWS_INSTANCES, sizeof *instance, instance);
}

struct gv_owner *gv_roster_own_owner(struct gv_roster *roster, const struct gv_owner *owner)
{
    return own_row(roster, GV_ROWS_OWNERS, sizeof *owner, owner);
}

struct found {
    const struct gv_roster *roster;
    const uint8_t *prefix;
    const struct gv_certificate_row **rows;
    size_t count;
};

static bool is_another(const void *row, const void *key)
{
    const struct found *found = key;
    const struct head *head = row;

    if (memcmp(head->id, found->prefix, GV_PREFIX_LEN) != 0 ||
        (head->number != GV_NO_BASE &&
         is_hidden(found->roster, GV_ROWS_CERTIFICATES, head->number)))
        return false;
    for (size_t i = 0; i < found->count; i++)
        if (found->rows[i] == row)
            return false;
    return true;
}

size_t gv_roster_prefixed(const struct gv_roster *roster, const struct gv_certificate_row **out,
                          size_t max, const uint8_t prefix[GV_PREFIX_LEN])
{
    struct found found = {.roster = roster, .prefix = prefix, .rows = out};
    const struct gv_certificate_row *row;

    while (found.count < max &&
           (row = find_row(roster, GV_ROWS_CERTIFICATES, is_another, prefix, &found)))
        out[found.count++] = row;
    return found.count;
}

/* ---- what the rows say ----------------------------------------------------------------------- */

static const struct gv_owner *owner_row(struct gv_roster *roster, const uint8_t tag[GV_ID_LEN])
{
    struct gv_owner *owner = find_row(roster, GV_ROWS_OWNERS, has_id, tag, tag);

    if (owner)
        return owner;
    owner = add_row(roster, GV_ROWS_OWNERS, sizeof *owner, tag);
    if (owner)
        owner->fault_min = GV_NEVER;
    return owner;
}

static struct gv_instance *instance_row(struct gv_roster *roster,
                                        const struct gv_certificate *certificate)
{
    const struct gv_instance *found = gv_roster_instance(roster, certificate->instance);

    if (found)
        return gv_roster_own(roster, found);
    struct gv_instance *instance =
        add_row(roster, GV_ROWS_INSTANCES, sizeof *instance, certificate->instance);
    if (!instance)
        return NULL;
    memcpy(instance->key, certificate->key, GV_KEY_LEN);
    instance->came = roster->came++;
    instance->since_min = certificate->since_min;
    instance->placement = certificate->placement;
    instance->revoked_min = GV_NEVER;
    instance->fault_min = GV_NEVER;
    return instance;
}

/* The newest certificate speaks for the instance; of equals the smallest id. */
static void take_newest(struct gv_instance *instance, const struct gv_certificate_row *row)
{
    if (instance->owner && (row->issued_min < instance->issued_min ||
                            (row->issued_min == instance->issued_min &&
                             memcmp(row->id, instance->newest, GV_ID_LEN) >= 0)))
        return;
    instance->owner = row->owner;
    memcpy(instance->newest, row->id, GV_ID_LEN);
    instance->group = row->group;
    instance->issued_min = row->issued_min;
    instance->expires_min = row->expires_min;
}

int gv_roster_add(struct gv_roster *roster, const struct gv_certificate *certificate,
                  struct gv_item *item)
{
    const struct gv_owner *owner = owner_row(roster, certificate->owner);
    struct gv_instance *instance = owner ? instance_row(roster, certificate) : NULL;
    struct gv_certificate_row *row =
        instance ? add_row(roster, GV_ROWS_CERTIFICATES, sizeof *row, certificate->id) : NULL;

    if (!row) {
        if (instance && !instance->owner) /* it was made for this one */
            remove_row(roster, GV_ROWS_INSTANCES, instance);
        return GV_ERR_MEMORY;
    }
    row->instance = instance;
    row->owner = owner;
    row->group = certificate->group;
    row->since_min = certificate->since_min;
    row->issued_min = certificate->issued_min;
    row->expires_min = certificate->expires_min;
    row->item = item;
    instance->certificates++;
    roster->changes++;
    if (certificate->since_min < instance->since_min)
        instance->since_min = certificate->since_min;
    take_newest(instance, row);
    return GV_OK;
}

static int forgive(struct gv_roster *roster)
{
    const struct gv_owner *owner;
    size_t cursor = 0;

    while ((owner = gv_roster_next(roster, GV_ROWS_OWNERS, &cursor)))
        if (owner->fault_min != GV_NEVER) {
            gv_assert(owner->number == GV_NO_BASE); /* none such is in a base */
            gv_roster_own_owner(roster, owner)->fault_min = GV_NEVER;
        }
    return GV_OK;
}

int gv_roster_blame(struct gv_roster *roster)
{
    const struct gv_certificate_row *row;
    size_t cursor = 0;
    int rc = forgive(roster);

    while ((row = gv_roster_next(roster, GV_ROWS_CERTIFICATES, &cursor))) {
        uint32_t fault = gv_roster_author(roster, row)->fault_min;
        if (fault == GV_NEVER)
            continue;
        struct gv_owner *owner = gv_roster_own_owner(roster, gv_roster_owner(roster, row->owner));
        if (!owner)
            rc = GV_ERR_MEMORY;
        else if (owner->fault_min == GV_NEVER || owner->fault_min < fault)
            owner->fault_min = fault;
    }
    return rc;
}

struct gv_instance *gv_roster_drop(struct gv_roster *roster, const struct gv_certificate_row *row)
{
    struct gv_instance *instance = gv_roster_own(roster, gv_roster_author(roster, row));
    const struct gv_certificate_row *other;
    size_t cursor = 0;

    if (!instance)
        return NULL;
    remove_row(roster, GV_ROWS_CERTIFICATES, row);
    roster->changes++;
    if (--instance->certificates == 0)
        return instance;
    instance->owner = NULL;
    instance->since_min = UINT32_MAX;
    while ((other = gv_roster_next(roster, GV_ROWS_CERTIFICATES, &cursor))) {
        if (!gv_same_author(other->instance, instance))
            continue;
        take_newest(instance, other);
        if (other->since_min < instance->since_min)
            instance->since_min = other->since_min;
    }
    return instance;
}

bool gv_roster_is_idle(const struct gv_instance *instance)
{
    return instance->certificates == 0 && !instance->fault && !instance->revocation &&
           !instance->address_item;
}

bool gv_roster_release(struct gv_roster *roster, const struct gv_instance *instance)
{
    if (!gv_roster_is_idle(instance))
        return false;
    remove_row(roster, GV_ROWS_INSTANCES, instance);
    return true;
}

int gv_certificate_accept(struct gv_certificate *out, const struct gv_descriptor *descriptor,
                          const struct gv_verifier *verifier, uint32_t now_min, const uint8_t *wire,
                          size_t len)
{
    int rc = gv_certificate_parse(out, wire, len);

    if (rc != GV_OK)
        return rc;
    const uint8_t *key = gv_descriptor_key(descriptor, out->signer, out->issued_min);
    if (!key)
        return GV_ERR_SIGNER;
    rc = gv_certificate_verify(verifier, wire, key, descriptor->network_id);
    if (rc != GV_OK)
        return rc;
    if (out->issued_min > now_min + GV_AHEAD_MIN)
        return GV_ERR_EARLY;
    if ((uint64_t)out->expires_min + descriptor->policy.grace_min < now_min)
        return GV_ERR_EXPIRED;
    return GV_OK;
}
