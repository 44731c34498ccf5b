/* The door: who may begin a handshake, and what comes back with a member that left (SPEC 5.3, 5.4).
 * Nothing here costs a stranger's worth of cryptography. */
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

/* ---- bans ----------------------------------------------------------------------------------- */

bool gv_is_banned(const struct gv_core *core, const uint8_t instance[GV_ID_LEN])
{
    for (size_t i = 0; core->banned_ms > core->now_ms && i < GV_BANS_MAX; i++)
        if (core->bans[i].until_ms > core->now_ms &&
            memcmp(core->bans[i].instance, instance, GV_ID_LEN) == 0)
            return true;
    return false;
}

void gv_door_ban(struct gv_core *core, const uint8_t instance[GV_ID_LEN])
{
    struct gv_ban *slot = &core->bans[core->ban_next++ % GV_BANS_MAX]; /* the one that ends first */

    memcpy(slot->instance, instance, GV_ID_LEN);
    slot->until_ms = core->banned_ms = gv_core_after(core, GV_BAN_MS);
}

/* ---- addresses ------------------------------------------------------------------------------ */

static struct gv_source *source_of(struct gv_core *core, const struct gv_address *remote)
{
    struct gv_subject subject = gv_address_subject(remote);
    uint64_t slot = gv_siphash(core->hash_key, &subject, sizeof subject) % GV_SOURCES;
    struct gv_source *source = &core->sources[slot];

    /* A fixed table: of two sources in one secret slot the later takes it over, so this limit is
     * about cost, not about safety. */
    if (!gv_subject_equal(&source->subject, &subject) ||
        core->now_ms - source->minute_ms >= GV_MINUTE_MS) {
        source->subject = subject;
        source->minute_ms = core->now_ms;
        source->tries = 0;
    }
    return source;
}

static struct gv_known *known_slot(struct gv_core *core, const struct gv_subject *subject)
{
    return &core->known[gv_siphash(core->hash_key, subject, sizeof *subject) % GV_KNOWN];
}

/* Only who has shown a certificate puts an address here, so strangers cannot push others out. */
static bool is_known(struct gv_core *core, const struct gv_address *remote)
{
    struct gv_subject subject = gv_address_subject(remote);
    const struct gv_known *known = known_slot(core, &subject);

    return (known->until_ms > core->now_ms && gv_subject_equal(&known->subject, &subject)) ||
           gv_book_knows(&core->book, remote);
}

static void fill(const struct gv_core *core, struct gv_bucket *bucket)
{
    bucket->ms = core->now_ms;
    bucket->tokens = UINT32_MAX; /* whatever its most is */
}

void gv_door_open(struct gv_core *core)
{
    fill(core, &core->door);
    fill(core, &core->door_keys);
    fill(core, &core->door_papers);
    for (size_t i = 0; i < GV_GROUP_BUCKETS; i++)
        fill(core, &core->door_groups[i]);
}

bool gv_bucket_take(const struct gv_core *core, struct gv_bucket *bucket, unsigned per_second)
{
    const uint64_t most = GV_HANDSHAKES_BURST_S * 1000ull * per_second;
    uint64_t free = bucket->tokens + (core->now_ms - bucket->ms) * per_second;

    bucket->ms = core->now_ms;
    bucket->tokens = free < most ? free : most;
    if (bucket->tokens < 1000)
        return false;
    bucket->tokens -= 1000;
    return true;
}

/* The places for those that we pick ourselves are nobody else's; a quarter of the rest is for
 * addresses that members speak from, so that strangers cannot fill the door. */
static bool has_place(const struct gv_core *core, bool known)
{
    size_t places =
        core->settings.max_links > GV_PEERS_WANTED ? core->settings.max_links - GV_PEERS_WANTED : 0;

    return core->link_count < (known ? places : places - places / GV_KNOWN_SHARE);
}

/* member: by his address, or by his proof. */
static int has_room(const struct gv_core *core, const struct gv_address *remote, bool member)
{
    struct gv_subject subject = gv_address_subject(remote);
    size_t strangers = 0, same_source = 0;

    if (!has_place(core, member))
        return GV_ERR_FULL;
    for (size_t i = 0; i < core->link_count; i++) {
        const struct gv_link *link = core->links[i];
        struct gv_subject other = gv_address_subject(&link->remote);
        if (link->outbound || link->member || link->closing)
            continue;
        strangers++;
        same_source += gv_subject_equal(&other, &subject);
    }
    return (!member && strangers >= GV_STRANGERS_MAX) || same_source >= GV_STRANGERS_PER_SOURCE
               ? GV_ERR_BUSY
               : GV_OK;
}

int gv_door_knock(struct gv_core *core, const struct gv_address *remote)
{
    bool known = is_known(core, remote);
    int rc = GV_OK;

    if (!core->has_descriptor || !core->has_certificate || core->self_revoked || core->stopping)
        return GV_ERR_STATE;
    if (known)
        rc = has_room(core, remote, true);
    if (rc != GV_OK)
        return rc;
    if (source_of(core, remote)->tries++ >= GV_HANDSHAKES_PER_MINUTE)
        return GV_ERR_RATE;
    return known ? GV_OK : GV_ERR_NOT_FOUND;
}

int gv_door_admit(struct gv_core *core, const struct gv_address *remote, bool proven)
{
    int rc = has_room(core, remote, proven);

    if (rc != GV_OK || proven)
        return rc;
    return gv_bucket_take(core, &core->door, GV_HANDSHAKES_PER_SECOND) ? GV_OK : GV_ERR_RATE;
}

/* ---- members that come and go --------------------------------------------------------------- */

static struct gv_left *left_slot(struct gv_core *core, const uint8_t instance[GV_ID_LEN])
{
    return &core->left[gv_siphash(core->hash_key, instance, GV_ID_LEN) % GV_LEFT];
}

/* What this instance has spent in this minute, over a session before this one. NULL: none. */
static const struct gv_spent *spent_before(struct gv_core *core, const struct gv_link *link)
{
    const struct gv_link *other = gv_link_of(core, link->instance);
    const struct gv_left *left = left_slot(core, link->instance);
    const struct gv_spent *spent = NULL;

    if (other)
        spent = &other->spent;
    else if (memcmp(left->instance, link->instance, GV_ID_LEN) == 0)
        spent = &left->spent;
    return spent && core->now_ms - spent->minute_ms < GV_MINUTE_MS ? spent : NULL;
}

/* Whoever has shown a certificate was no stranger: many members may come from behind one address.
 * One that comes again within the minute is counted: a handshake costs us as much as him. */
void gv_door_enter(struct gv_core *core, struct gv_link *link)
{
    struct gv_subject subject = gv_address_subject(&link->remote);
    const struct gv_spent *spent = spent_before(core, link);

    *known_slot(core, &subject) =
        (struct gv_known){.subject = subject, .until_ms = gv_core_after(core, GV_KNOWN_MS)};
    if (spent) {
        link->spent = *spent;
        return;
    }
    if (link->outbound)
        return;
    struct gv_source *source = source_of(core, &link->remote);
    if (source->tries > 0)
        source->tries--;
}

void gv_door_leave(struct gv_core *core, const struct gv_link *link)
{
    struct gv_left *left = left_slot(core, link->instance);

    memcpy(left->instance, link->instance, GV_ID_LEN);
    left->spent = link->spent;
}
