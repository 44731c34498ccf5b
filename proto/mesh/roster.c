#include "proto/mesh/roster.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"

void gv_roster_init(struct gv_roster *roster, const uint8_t hash_key[16])
{
    memset(roster, 0, sizeof *roster);
    memcpy(roster->hash_key, hash_key, 16);
}

void gv_roster_free(struct gv_roster *roster)
{
    gv_table_free_all(&roster->instances);
    gv_table_free_all(&roster->certificates);
    gv_table_free_all(&roster->owners);
}

static uint64_t hash_of(const struct gv_roster *roster, const uint8_t id[GV_ID_LEN])
{
    return gv_siphash(roster->hash_key, id, GV_ID_LEN);
}

/* Certificates are found by their beginning alone, too. */
static uint64_t prefix_hash(const struct gv_roster *roster, const uint8_t prefix[GV_PREFIX_LEN])
{
    return gv_siphash(roster->hash_key, prefix, GV_PREFIX_LEN);
}

/* All three rows begin with their 16-byte id. */
static bool has_id(const void *row, const void *id)
{
    return memcmp(row, id, GV_ID_LEN) == 0;
}

struct gv_instance *gv_roster_instance(const struct gv_roster *roster, const uint8_t id[GV_ID_LEN])
{
    return gv_table_find(&roster->instances, hash_of(roster, id), has_id, id);
}

struct gv_certificate_row *gv_roster_certificate(const struct gv_roster *roster,
                                                 const uint8_t id[GV_ID_LEN])
{
    return gv_table_find(&roster->certificates, prefix_hash(roster, id), has_id, id);
}

struct found {
    const uint8_t *prefix;
    const struct gv_certificate_row **rows;
    size_t count;
};

static bool is_another(const void *row, const void *key)
{
    const struct found *found = key;

    if (memcmp(row, found->prefix, GV_PREFIX_LEN) != 0)
        return false;
    for (size_t i = 0; i < found->count; i++)
        if (found->rows[i] == row)
            return false;
    return true;
}

size_t gv_roster_prefixed(const struct gv_roster *roster, const struct gv_certificate_row **out,
                          size_t max, const uint8_t prefix[GV_PREFIX_LEN])
{
    struct found found = {.prefix = prefix, .rows = out};
    const struct gv_certificate_row *row;

    while (found.count < max && (row = gv_table_find(&roster->certificates,
                                                     prefix_hash(roster, prefix), is_another,
                                                     &found)))
        out[found.count++] = row;
    return found.count;
}

static struct gv_owner *owner_row(struct gv_roster *roster, const uint8_t tag[GV_ID_LEN])
{
    uint64_t hash = hash_of(roster, tag);
    struct gv_owner *owner = gv_table_find(&roster->owners, hash, has_id, tag);

    if (owner)
        return owner;
    owner = calloc(1, sizeof *owner);
    if (!owner)
        return NULL;
    memcpy(owner->tag, tag, GV_ID_LEN);
    owner->fault_min = GV_NEVER;
    if (gv_table_insert(&roster->owners, hash, owner) != GV_OK) {
        free(owner);
        return NULL;
    }
    return owner;
}

static struct gv_instance *instance_row(struct gv_roster *roster,
                                        const struct gv_certificate *certificate)
{
    uint64_t hash = hash_of(roster, certificate->instance);
    struct gv_instance *instance =
        gv_table_find(&roster->instances, hash, has_id, certificate->instance);

    if (instance)
        return instance;
    instance = calloc(1, sizeof *instance);
    if (!instance)
        return NULL;
    memcpy(instance->id, certificate->instance, GV_ID_LEN);
    memcpy(instance->key, certificate->key, GV_KEY_LEN);
    instance->since_min = certificate->since_min;
    instance->placement = certificate->placement;
    instance->revoked_min = GV_NEVER;
    instance->fault_min = GV_NEVER;
    if (gv_table_insert(&roster->instances, hash, instance) != GV_OK) {
        free(instance);
        return NULL;
    }
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
    struct gv_owner *owner = owner_row(roster, certificate->owner);
    struct gv_instance *instance = owner ? instance_row(roster, certificate) : NULL;
    struct gv_certificate_row *row = instance ? calloc(1, sizeof *row) : NULL;

    if (!row || (memcpy(row->id, certificate->id, GV_ID_LEN),
                 gv_table_insert(&roster->certificates, prefix_hash(roster, row->id), row)) != GV_OK) {
        free(row);
        if (instance)
            gv_roster_release(roster, instance);
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
    if (certificate->since_min < instance->since_min)
        instance->since_min = certificate->since_min;
    take_newest(instance, row);
    return GV_OK;
}

void gv_roster_blame(struct gv_roster *roster)
{
    const struct gv_certificate_row *row;
    struct gv_owner *owner;
    size_t cursor = 0;

    while ((owner = gv_table_next(&roster->owners, &cursor)))
        owner->fault_min = GV_NEVER;
    for (cursor = 0; (row = gv_table_next(&roster->certificates, &cursor));) {
        uint32_t fault = row->instance->fault_min;
        if (fault != GV_NEVER &&
            (row->owner->fault_min == GV_NEVER || row->owner->fault_min < fault))
            row->owner->fault_min = fault;
    }
}

void gv_roster_drop(struct gv_roster *roster, struct gv_certificate_row *row)
{
    struct gv_instance *instance = row->instance;
    const struct gv_certificate_row *other;
    size_t cursor = 0;

    gv_table_remove(&roster->certificates, prefix_hash(roster, row->id), row);
    free(row);
    if (--instance->certificates == 0)
        return;
    instance->owner = NULL;
    instance->since_min = UINT32_MAX;
    while ((other = gv_table_next(&roster->certificates, &cursor))) {
        if (other->instance != instance)
            continue;
        take_newest(instance, other);
        if (other->since_min < instance->since_min)
            instance->since_min = other->since_min;
    }
}

bool gv_roster_release(struct gv_roster *roster, struct gv_instance *instance)
{
    if (instance->certificates > 0 || instance->statements > 0 || instance->fault ||
        instance->revocation || instance->address_item)
        return false;
    gv_table_remove(&roster->instances, hash_of(roster, instance->id), instance);
    free(instance);
    return true;
}

int gv_certificate_accept(struct gv_certificate *out, const struct gv_descriptor *descriptor,
                          const struct gv_verifier *verifier, uint32_t now_min,
                          const uint8_t *wire, size_t len)
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
