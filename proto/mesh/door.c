/* The door: who may begin a handshake, and what comes back with a member that left (SPEC 5.3, 5.4).
 * Nothing here costs a stranger's worth of cryptography. */
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

/* ---- bans ----------------------------------------------------------------------------------- */

bool gv_is_banned(const struct gv_core *core, const uint8_t instance[GV_ID_LEN])
{
    for (size_t i = 0; i < GV_BANS_MAX; i++)
        if (core->bans[i].until_ms > core->now_ms &&
            memcmp(core->bans[i].instance, instance, GV_ID_LEN) == 0)
            return true;
    return false;
}

void gv_door_ban(struct gv_core *core, const uint8_t instance[GV_ID_LEN])
{
    struct gv_ban *slot = &core->bans[0];

    for (size_t i = 1; i < GV_BANS_MAX; i++)
        if (core->bans[i].until_ms < slot->until_ms)
            slot = &core->bans[i];
    memcpy(slot->instance, instance, GV_ID_LEN);
    slot->until_ms = gv_core_after(core, GV_BAN_MS);
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

static bool take_token(struct gv_core *core)
{
    uint64_t free = core->door_tokens + (core->now_ms - core->door_ms) * GV_HANDSHAKES_PER_SECOND;

    core->door_ms = core->now_ms;
    core->door_tokens = free < GV_HANDSHAKES_BURST * 1000 ? free : GV_HANDSHAKES_BURST * 1000;
    if (core->door_tokens < 1000)
        return false;
    core->door_tokens -= 1000;
    return true;
}

/* The places for those that we pick ourselves are nobody else's; a quarter of the rest is for
 * addresses that members speak from, so that strangers cannot fill the door. */
static bool has_place(const struct gv_core *core, bool known)
{
    size_t places = core->settings.max_links > GV_PEERS_WANTED
                        ? core->settings.max_links - GV_PEERS_WANTED
                        : 0;

    return core->link_count < (known ? places : places - places / GV_KNOWN_SHARE);
}

int gv_door_knock(struct gv_core *core, const struct gv_address *remote)
{
    struct gv_subject subject = gv_address_subject(remote);
    size_t strangers = 0, same_source = 0;
    bool known = is_known(core, remote);

    if (!core->has_descriptor || !core->has_certificate || core->self_revoked || core->stopping)
        return GV_ERR_STATE;
    if (!has_place(core, known))
        return GV_ERR_FULL;
    for (size_t i = 0; i < core->link_count; i++) {
        const struct gv_link *link = core->links[i];
        struct gv_subject other = gv_address_subject(&link->remote);
        if (link->outbound || link->member || link->closing)
            continue;
        strangers++;
        same_source += gv_subject_equal(&other, &subject);
    }
    if ((!known && strangers >= GV_STRANGERS_MAX) || same_source >= GV_STRANGERS_PER_SOURCE)
        return GV_ERR_BUSY;
    if (source_of(core, remote)->tries++ >= GV_HANDSHAKES_PER_MINUTE)
        return GV_ERR_RATE;
    return known || take_token(core) ? GV_OK : GV_ERR_RATE;
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
