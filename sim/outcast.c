/* Who is out, and who takes back what he said: what the registry and the admins do (SPEC 3.3, 4.3,
 * 8.2). */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/trust/signal.h"
#include "proto/wire/record.h"
#include "proto/wire/revocation.h"
#include "sim/world.h"
#include "sim/plant.h"

#define HONEST_LEFT       4u  /* so many stay in: they still can find each other and agree */
#define BACKDATED_MAX_MIN 30u /* a key is found out to have been stolen a while ago */
#define LAST_MINUTES      30u /* from the start to the end of an abandoned certificate */

static uint32_t world_minute(const struct gv_world *world)
{
    return (uint32_t)((world->start_unix_ms + world->now_ms) / GV_MINUTE_MS);
}

size_t gv_world_revocation(const struct gv_world *world, const uint8_t instance[GV_ID_LEN])
{
    size_t i = 0;

    while (i < world->revocation_count &&
           memcmp(world->revocations[i].instance, instance, GV_ID_LEN) != 0)
        i++;
    return i;
}

static bool is_revoked(const struct gv_world *world, size_t node)
{
    return gv_world_revocation(world, world->nodes[node].identity.id) < world->revocation_count;
}

bool gv_world_is_outcast(const struct gv_world *world, size_t node)
{
    return world->nodes[node].away || world->nodes[node].abandoned || is_revoked(world, node);
}

/* ---- revocations ---------------------------------------------------------------------------- */

static bool may_go(const struct gv_world *world, size_t member)
{
    size_t left = 0;

    if (world->nodes[member].away || is_revoked(world, member))
        return false;
    for (size_t i = 0; i < world->options.nodes; i++)
        left += i != member && !gv_world_is_outcast(world, i);
    return world->nodes[member].liar || left >= HONEST_LEFT;
}

static void issue(struct gv_sim_revocation *out, const struct gv_world *world)
{
    struct gv_revocation body = {.revoked_min = out->revoked_min, .reason = GV_REVOKED_COMPROMISED};
    const uint8_t kind = GV_RECORD_REVOCATION;
    struct gv_buf record;

    if (gv_plant_revokes_another_minute())
        body.revoked_min--;
    memcpy(body.instance, out->instance, GV_ID_LEN);
    gv_buf_init(&record);
    gv_buf_append(&record, &kind, 1);
    int rc =
        gv_revocation_issue(&record, &body, world->registry_secret, world->descriptor.network_id);
    gv_assert(rc == GV_OK && !record.failed && record.len <= sizeof out->record);
    memcpy(out->record, record.data, record.len);
    out->len = record.len;
    gv_buf_free(&record);
}

bool gv_world_revoke(struct gv_world *world, size_t member, uint64_t dice)
{
    size_t tried = 0;

    while (tried < world->members && !may_go(world, (member + tried) % world->members))
        tried++;
    if (tried == world->members || world->revocation_count == GV_SIM_REVOCATIONS)
        return false;
    const struct gv_sim_node *node = &world->nodes[(member + tried) % world->members];
    struct gv_sim_revocation *one = &world->revocations[world->revocation_count];
    memcpy(one->instance, node->identity.id, GV_ID_LEN);
    one->revoked_min = world_minute(world) - (uint32_t)(dice % (BACKDATED_MAX_MIN + 1));
    issue(one, world);
    world->revocation_count++;
    world->counts.revoked++;
    world->counts.revoked_honest += !node->liar;
    return true;
}

void gv_world_tell(struct gv_world *world, size_t node, size_t revocation)
{
    struct gv_event event = {.kind = GV_EVENT_NEWS};

    event.news.record = world->revocations[revocation].record;
    event.news.len = world->revocations[revocation].len;
    gv_world_step(world, node, &event); /* down, writing or too slow a clock: asked again later */
}

/* ---- an end --------------------------------------------------------------------------------- */

void gv_world_abandon(struct gv_world *world, struct gv_sim_node *node)
{
    uint32_t life = node->facts.expires_min - node->facts.issued_min;

    node->abandoned = true;
    world->counts.abandoned++;
    node->facts.expires_min =
        world_minute(world) + 1 + (uint32_t)gv_drbg_below(&world->fault_drbg, LAST_MINUTES);
    node->facts.issued_min = node->facts.expires_min - life;
}

/* ---- retractions ---------------------------------------------------------------------------- */

/* The subjects of the signals that it ever sent and that are on its disk, to be freed. */
static struct gv_subject *said_of(const struct gv_disk *disk, size_t *said)
{
    size_t count;
    const struct gv_disk_row **rows = gv_disk_rows(disk, &count);
    struct gv_subject *subjects = malloc((count + 1) * sizeof *subjects);
    struct gv_statement statement;

    gv_assert(subjects);
    *said = 0;
    for (size_t i = 0; i < count; i++)
        if (rows[i]->row == GV_ROW_SENT && rows[i]->value[0] == GV_RECORD_SIGNAL &&
            gv_statement_parse(&statement, rows[i]->value + 1, rows[i]->value_len - 1) == GV_OK)
            subjects[(*said)++] = statement.subject;
    free(rows);
    return subjects;
}

void gv_world_retract(struct gv_world *world, size_t node, uint64_t dice)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = GV_COMMAND_RETRACT}};
    bool done = false;
    size_t count;

    if (!world->nodes[node].core || world->nodes[node].busy)
        return;
    struct gv_subject *subjects = said_of(&world->nodes[node].disk, &count);
    /* What expired or was taken back before is refused: the next one then. */
    for (size_t i = 0; i < count && !done; i++) {
        event.command.subject = subjects[(i + dice % count) % count];
        done = gv_world_step(world, node, &event) == GV_OK;
    }
    world->counts.retracted += done;
    free(subjects);
}
