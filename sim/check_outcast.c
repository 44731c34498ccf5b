/* Nobody who is out is believed: the registry revoked it, or its certificate is past its end and
 * grace (SPEC 3.3, 4.3). */
#include <string.h>

#include "proto/limits.h"
#include "sim/check.h"

static uint32_t node_minute(const struct gv_checks *checks, size_t node)
{
    return (uint32_t)(gv_world_unix_ms(checks->world, node) / GV_MINUTE_MS);
}

/* What the world's registry said, read by our own code. */
static bool read_revocation(struct gv_struck *out, const struct gv_checks *checks, size_t index)
{
    const struct gv_sim_revocation *one = &checks->world->revocations[index];

    return gv_struck_read(out, one->record, one->len, checks->world->descriptor.keys[0].key);
}

/* By what lies on its disk. */
static bool knows(const struct gv_checks *checks, size_t node, const struct gv_struck *struck)
{
    return gv_disk_find(&checks->world->nodes[node].disk, GV_ROW_RECORD, struck->id, GV_ID_LEN) !=
           NULL;
}

static bool is_struck(const struct gv_struck *struck, const struct gv_known_record *known)
{
    return memcmp(struck->instance, known->author->papers.instance, GV_ID_LEN) == 0 &&
           struck->minute <= known->said.last_min;
}

static bool is_too_late(const struct gv_checks *checks, const struct gv_known_record *known)
{
    return known->said.last_min >
           (uint64_t)known->author->papers.expires_min + checks->world->descriptor.policy.grace_min;
}

void gv_check_author(struct gv_checks *checks, size_t node, const struct gv_known_record *known)
{
    struct gv_struck struck;

    if (is_too_late(checks, known))
        gv_violation(checks, "took what was said after its certificate's end and grace", node,
                     known->author->node);
    for (size_t i = 0; i < checks->world->revocation_count; i++)
        if (read_revocation(&struck, checks, i) && is_struck(&struck, known) &&
            knows(checks, node, &struck))
            gv_violation(checks, "took the word of one that it knows to be revoked", node,
                         known->author->node);
}

void gv_check_revocation(struct gv_checks *checks, size_t node, const uint8_t *record, size_t len)
{
    const struct gv_world *world = checks->world;
    const uint8_t *key = world->descriptor.keys[0].key;
    struct gv_struck struck;
    size_t index;

    if (!gv_struck_read(&struck, record, len, key) ||
        !gv_record_signed(key, "grapevine revocation 1", world->descriptor.network_id, struck.body,
                          struck.body_len, struck.signature)) {
        gv_violation(checks, "took a revocation that is not the registry's", node, len);
        return;
    }
    index = gv_world_revocation(world, struck.instance);
    if (index == world->revocation_count || world->revocations[index].revoked_min != struck.minute)
        gv_violation(checks, "took a revocation that the registry never made", node, struck.minute);
}

/* Somebody came in. His present certificate is the one that he shows. */
void gv_check_guest(struct gv_checks *checks, size_t node, const uint8_t instance[GV_ID_LEN])
{
    const struct gv_world *world = checks->world;

    if (node_minute(checks, node) <=
        (uint64_t)world->first_end_min + world->descriptor.policy.grace_min + 1)
        return; /* nobody's is */
    for (size_t i = 0; i < world->members; i++) {
        uint64_t end =
            (uint64_t)world->nodes[i].facts.expires_min + world->descriptor.policy.grace_min;
        /* A minute more: a slow disk may have kept the news back. */
        if (memcmp(world->nodes[i].identity.id, instance, GV_ID_LEN) == 0 &&
            node_minute(checks, node) > end + 1)
            gv_violation(checks, "let in one whose certificate is past its end and grace", node, i);
    }
}

static void check_peers(struct gv_checks *checks, size_t node, const struct gv_struck *struck)
{
    struct gv_peer_info peer;
    size_t cursor = 0;

    while (gv_core_next_peer(checks->world->nodes[node].core, &cursor, &peer))
        if (peer.member && memcmp(peer.instance, struck->instance, GV_ID_LEN) == 0)
            gv_violation(checks, "talks with one that it knows to be revoked", node, 0);
}

void gv_check_outcasts(struct gv_checks *checks, size_t node)
{
    struct gv_struck struck;

    for (size_t i = 0; i < checks->held_count; i++)
        if (is_too_late(checks, checks->held[i]))
            gv_violation(checks, "holds what was said after its certificate's end and grace", node,
                         checks->held[i]->author->node);
    for (size_t r = 0; r < checks->world->revocation_count; r++) {
        if (!read_revocation(&struck, checks, r) || !knows(checks, node, &struck))
            continue;
        check_peers(checks, node, &struck);
        for (size_t i = 0; i < checks->held_count; i++)
            if (is_struck(&struck, checks->held[i]))
                gv_violation(checks, "holds what a revoked instance said", node,
                             checks->held[i]->author->node);
    }
}

/* At the end. Who never heard of an instance need not know that it is out. */
void gv_check_heard(struct gv_checks *checks, size_t node)
{
    struct gv_instance_info info;
    struct gv_struck struck;
    size_t cursor = 0;

    if (checks->world->revocation_count == 0)
        return;
    while (gv_core_next_instance(checks->world->nodes[node].core, &cursor, &info)) {
        size_t index = gv_world_revocation(checks->world, info.instance);
        if (index < checks->world->revocation_count &&
            (!read_revocation(&struck, checks, index) || !knows(checks, node, &struck)))
            gv_violation(checks, "never heard of a revocation", node, index);
    }
}

bool gv_checks_is_void(const struct gv_checks *checks, const struct gv_known_record *known)
{
    struct gv_struck struck;

    for (size_t i = 0; i < checks->world->revocation_count; i++)
        if (read_revocation(&struck, checks, i) && is_struck(&struck, known))
            return true;
    for (size_t i = 0; known->said.kind == 1 && i < checks->retraction_count; i++) {
        const struct gv_known_record *one = checks->retractions[i];
        if (one->said.sequence > known->said.sequence &&
            memcmp(&one->said.subject, &known->said.subject, sizeof one->said.subject) == 0 &&
            memcmp(one->author->papers.key, known->author->papers.key, GV_KEY_LEN) == 0)
            return true;
    }
    return false;
}
