#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "sim/net.h"

#define START_UNIX_MS 1790000000000u /* 2026-09-21; any fixed moment would do */
#define DAY_MIN 1440u

/* ---- the queue ------------------------------------------------------------------------------ */

static bool before(const struct gv_sim_event *a, const struct gv_sim_event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->serial < b->serial;
}

void gv_world_queue(struct gv_world *world, struct gv_sim_event event)
{
    size_t at = world->queued++;

    if (world->queued > world->queue_cap) {
        world->queue_cap = world->queue_cap ? 2 * world->queue_cap : 1024;
        world->queue = realloc(world->queue, world->queue_cap * sizeof *world->queue);
        gv_assert(world->queue);
    }
    event.serial = world->serial++;
    while (at > 0 && before(&event, &world->queue[(at - 1) / 2])) {
        world->queue[at] = world->queue[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world->queue[at] = event;
}

static struct gv_sim_event unqueue(struct gv_world *world)
{
    struct gv_sim_event first = world->queue[0], last = world->queue[--world->queued];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= world->queued)
            break;
        if (child + 1 < world->queued && before(&world->queue[child + 1], &world->queue[child]))
            child++;
        if (before(&last, &world->queue[child]))
            break;
        world->queue[at] = world->queue[child];
        at = child;
    }
    if (world->queued > 0)
        world->queue[at] = last;
    return first;
}

/* ---- making a world ------------------------------------------------------------------------- */

static struct gv_address node_address(size_t node)
{
    struct gv_address address = {.family = GV_FAMILY_IPV4, .port = 4727};

    /* A /16 each, in public space: 11.x.0.1 upwards. */
    address.bytes[0] = (uint8_t)(11 + node / 256);
    address.bytes[1] = (uint8_t)node;
    address.bytes[3] = 1;
    return address;
}

static void make_descriptor(struct gv_world *world)
{
    struct gv_descriptor *descriptor = &world->descriptor;
    uint8_t seed[GV_SECRET_LEN];
    struct gv_identity root, registry;
    uint32_t now_min = (uint32_t)(world->start_unix_ms / GV_MINUTE_MS);

    gv_drbg_fill(&world->drbg, seed, sizeof seed);
    gv_identity_from_secret(&root, seed);
    gv_drbg_fill(&world->drbg, seed, sizeof seed);
    gv_identity_from_secret(&registry, seed);
    memcpy(world->root_secret, root.sign_secret, 64);
    memcpy(world->registry_secret, registry.sign_secret, 64);
    memset(descriptor, 0, sizeof *descriptor);
    descriptor->version = 1;
    descriptor->genesis_min = now_min - world->options.age_min;
    descriptor->activation_min = descriptor->genesis_min;
    memcpy(descriptor->root_key, root.sign_public, GV_KEY_LEN);
    strcpy(descriptor->name, "simulated");
    descriptor->lab = world->options.lab;
    descriptor->key_count = 1;
    memcpy(descriptor->keys[0].key, registry.sign_public, GV_KEY_LEN);
    descriptor->keys[0].from_min = descriptor->genesis_min;
    descriptor->keys[0].until_min = UINT32_MAX;
    strcpy(descriptor->registry_url, "http://registry.invalid:4728");
    strcpy(descriptor->terms, "2026-11");
    for (size_t i = 0; i < world->options.nodes && i < 5; i++) {
        struct gv_address address = node_address(i);
        gv_address_text(descriptor->seeds[descriptor->seed_count++], &address);
    }
    gv_policy_default(&descriptor->policy, descriptor->lab);
    gv_buf_init(&world->descriptor_wire);
    int rc = gv_descriptor_issue(&world->descriptor_wire, descriptor, world->root_secret);
    gv_assert(rc == GV_OK);
}

static void make_node(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];
    uint8_t secret[GV_SECRET_LEN];
    uint32_t now_min = (uint32_t)(world->start_unix_ms / GV_MINUTE_MS);
    size_t owner = index / (world->options.per_owner ? world->options.per_owner : 1);
    uint8_t number[2] = {(uint8_t)(owner >> 8), (uint8_t)owner};

    gv_drbg_fill(&world->drbg, secret, sizeof secret);
    gv_identity_from_secret(&node->identity, secret);
    node->address = node_address(index);
    if (world->options.skew_max_ms > 0)
        node->clock_skew_ms =
            (int64_t)gv_drbg_below(&world->drbg, 2 * (uint64_t)world->options.skew_max_ms + 1) -
            world->options.skew_max_ms;
    node->wake_ms = UINT64_MAX;
    memcpy(node->facts.key, node->identity.sign_public, GV_KEY_LEN);
    gv_hash_id(node->facts.owner, "simulated owner", number, sizeof number);
    node->facts.placement = gv_drbg_u64(&world->drbg);
    node->facts.group = gv_address_group(&node->address);
    node->facts.since_min = now_min - world->options.age_min;
    node->facts.issued_min = now_min - (world->options.age_min % DAY_MIN);
    node->facts.expires_min = node->facts.issued_min + 90 * DAY_MIN;
    gv_certificate_issue(node->certificate, &node->facts, world->registry_secret,
                         world->descriptor.network_id);
}

struct gv_world *gv_world_new(const struct gv_world_options *options)
{
    struct gv_world *world = calloc(1, sizeof *world);
    uint8_t seed[GV_SEED_LEN] = {0};
    size_t n = options->nodes;

    gv_assert(world && n > 0 && n <= 10000);
    world->options = *options;
    world->start_unix_ms = START_UNIX_MS;
    for (size_t i = 0; i < 8; i++)
        seed[i] = (uint8_t)(options->seed >> (56 - 8 * i));
    gv_drbg_init(&world->drbg, seed);
    gv_trace_init(&world->trace, options->seed);
    gv_effects_init(&world->effects);
    make_descriptor(world);
    world->nodes = calloc(n, sizeof *world->nodes);
    world->cut = calloc(n * n, 1);
    world->latency = calloc(n * n, sizeof *world->latency);
    gv_assert(world->nodes && world->cut && world->latency);
    for (size_t a = 0; a < n; a++)
        for (size_t b = a + 1; b < n; b++) {
            uint32_t spread = options->latency_max_ms - options->latency_min_ms + 1;
            uint16_t ms = (uint16_t)(options->latency_min_ms + gv_drbg_below(&world->drbg, spread));
            world->latency[a * n + b] = world->latency[b * n + a] = ms;
        }
    for (size_t i = 0; i < n; i++)
        make_node(world, i);
    for (size_t i = 0; i < n; i++)
        gv_world_start(world, i);
    return world;
}

void gv_world_free(struct gv_world *world)
{
    if (!world)
        return;
    for (size_t i = 0; i < world->options.nodes; i++) {
        gv_core_free(world->nodes[i].core);
        gv_disk_wipe(&world->nodes[i].disk);
    }
    for (size_t i = 0; i < world->queued; i++)
        free(world->queue[i].data);
    gv_effects_free(&world->effects);
    gv_buf_free(&world->descriptor_wire);
    free(world->nodes);
    free(world->queue);
    free(world->wires);
    free(world->cut);
    free(world->latency);
    free(world);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

uint64_t gv_world_unix_ms(const struct gv_world *world, size_t node)
{
    return world->start_unix_ms + world->now_ms + (uint64_t)world->nodes[node].clock_skew_ms;
}

static void schedule_wake(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];
    uint64_t due = gv_core_deadline(node->core);

    if (due < world->now_ms)
        due = world->now_ms;
    if (due >= node->wake_ms)
        return;
    node->wake_ms = due;
    gv_world_queue(world, (struct gv_sim_event){.at_ms = due,
                                                .kind = GV_SIM_WAKE,
                                                .node = index,
                                                .generation = node->generation});
}

static void carry_out(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];
    const struct gv_effects *effects = &world->effects;

    gv_assert(!effects->failed);
    for (size_t i = 0; i < effects->count; i++) {
        const struct gv_effect *effect = &effects->list[i];
        const uint8_t *key = gv_effect_key(effects, effect), *data = gv_effect_data(effects, effect);
        switch (effect->kind) {
        case GV_EFFECT_PERSIST:
            gv_disk_put(&node->disk, effect->row, key, effect->key_len, data, effect->data_len);
            break;
        case GV_EFFECT_FORGET:
            gv_disk_remove(&node->disk, effect->row, key, effect->key_len);
            break;
        case GV_EFFECT_CONNECT:
            gv_net_connect(world, index, effect->link, &effect->address);
            break;
        case GV_EFFECT_SEND:
            gv_net_send(world, index, effect->link, data, effect->data_len);
            break;
        case GV_EFFECT_CLOSE:
            gv_net_close(world, index, effect->link);
            break;
        case GV_EFFECT_NOTE:
            break;
        }
        gv_trace_add(&world->trace, world->now_ms, index, effect->kind, data, effect->data_len);
    }
}

/* What a node said comes before what followed from it: a signal's verdict is noted first. */
static void tell(struct gv_world *world, size_t index)
{
    for (int pass = 0; world->on_note && pass < 2; pass++)
        for (size_t i = 0; i < world->effects.count; i++) {
            const struct gv_effect *effect = &world->effects.list[i];
            bool said = effect->note == GV_NOTE_SIGNALLED || effect->note == GV_NOTE_RETRACTED;
            if (effect->kind == GV_EFFECT_NOTE && said == (pass == 0))
                world->on_note(world->note_context, index, effect);
        }
}

int gv_world_step(struct gv_world *world, size_t index, const struct gv_event *event)
{
    struct gv_sim_node *node = &world->nodes[index];
    int rc;

    if (!node->core)
        return GV_ERR_STATE;
    gv_effects_clear(&world->effects);
    world->events++;
    rc = gv_core_step(node->core, world->now_ms, event, &world->effects);
    carry_out(world, index);
    tell(world, index);
    schedule_wake(world, index);
    return rc;
}

static void load_disk(struct gv_world *world, size_t index)
{
    size_t count;
    const struct gv_disk_row **rows = gv_disk_rows(&world->nodes[index].disk, &count);

    for (size_t i = 0; i < count; i++) {
        struct gv_event event = {.kind = GV_EVENT_LOADED};
        event.loaded.row = rows[i]->row;
        event.loaded.key = rows[i]->key;
        event.loaded.key_len = rows[i]->key_len;
        event.loaded.value = rows[i]->value;
        event.loaded.value_len = rows[i]->value_len;
        gv_world_step(world, index, &event);
    }
    free(rows);
}

void gv_world_start(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];
    struct gv_core_options options = {.identity = &node->identity,
                                      .descriptor = world->descriptor_wire.data,
                                      .descriptor_len = world->descriptor_wire.len,
                                      .certificate = node->certificate};
    struct gv_event timer = {.kind = GV_EVENT_TIMER};

    gv_assert(!node->core);
    options.settings.share = GV_SHARE_YES;
    options.settings.advertise = node->address;
    gv_drbg_fill(&world->drbg, options.seed, sizeof options.seed);
    int rc =
        gv_core_new(&node->core, &options, world->now_ms, gv_world_unix_ms(world, index));
    gv_assert(rc == GV_OK);
    node->generation++;
    node->lives++;
    node->wake_ms = UINT64_MAX;
    load_disk(world, index);
    gv_world_step(world, index, &timer);
}

void gv_world_crash(struct gv_world *world, size_t index, bool without_disk)
{
    struct gv_sim_node *node = &world->nodes[index];

    gv_assert(node->core);
    gv_net_drop(world, index);
    gv_core_free(node->core);
    node->core = NULL;
    node->generation++;
    if (without_disk)
        gv_disk_wipe(&node->disk);
}

void gv_world_fail(struct gv_world *world, size_t node, const struct gv_subject *subject,
                   uint32_t attempts)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION};

    event.observation = (struct gv_observation){.subject = *subject,
                                                .unix_ms = gv_world_unix_ms(world, node),
                                                .account = 1 + gv_drbg_u64(&world->drbg) % 1000,
                                                .attempts = attempts,
                                                .service = GV_SERVICE_SUBMISSION,
                                                .kind = GV_KIND_UNKNOWN_ACCOUNT,
                                                .new_visit = true};
    gv_world_step(world, node, &event);
}

struct gv_subject gv_world_subject(uint32_t number)
{
    struct gv_subject subject = {.family = GV_FAMILY_IPV4};

    /* 64.0.0.0/6 and up: no special-purpose block in the first 16 million. */
    number += 0x40000000u;
    for (size_t i = 0; i < 4; i++)
        subject.bytes[i] = (uint8_t)(number >> (24 - 8 * i));
    return subject;
}

/* ---- running -------------------------------------------------------------------------------- */

static void wake(struct gv_world *world, const struct gv_sim_event *event)
{
    struct gv_sim_node *node = &world->nodes[event->node];
    struct gv_event timer = {.kind = GV_EVENT_TIMER};

    if (event->generation != node->generation || event->at_ms != node->wake_ms)
        return;
    node->wake_ms = UINT64_MAX;
    gv_world_step(world, event->node, &timer);
}

void gv_world_run(struct gv_world *world, uint64_t until_ms)
{
    while (world->queued > 0 && world->queue[0].at_ms <= until_ms) {
        struct gv_sim_event event = unqueue(world);
        world->now_ms = event.at_ms;
        if (event.kind == GV_SIM_WAKE)
            wake(world, &event);
        else
            gv_net_happen(world, &event);
        free(event.data);
    }
    world->now_ms = until_ms;
}
