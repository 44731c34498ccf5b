#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/registry.h"
#include "proto/wire/record.h"
#include "sim/account.h"
#include "sim/agree.h"
#include "sim/latency.h"
#include "sim/liar.h"
#include "sim/net.h"
#include "sim/weather.h"

#define START_UNIX_MS 1790000000000u /* 2026-09-21; any fixed moment would do */
#define DAY_MIN       1440u
/* A core that wants to be woken at once, again and again, would stop the world. */
#define AT_ONCE_MAX   1000000u
#define FIRST_SUBJECT 0x40000000u

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
    if (world->options.faults.alive > 0)
        descriptor->policy.alive_min = world->options.faults.alive;
    if (world->options.faults.grace > 0)
        descriptor->policy.grace_min = world->options.faults.grace;
    gv_buf_init(&world->descriptor_wire);
    int rc = gv_descriptor_issue(&world->descriptor_wire, descriptor, world->root_secret);
    gv_assert(rc == GV_OK);
}

static uint32_t certificate_life(const struct gv_world *world)
{
    return world->options.faults.life > 0 ? world->options.faults.life : GV_CERTIFICATE_LIFE_MIN;
}

static void certify(struct gv_world *world, struct gv_sim_node *node)
{
    if (world->first_end_min == 0 || node->facts.expires_min < world->first_end_min)
        world->first_end_min = node->facts.expires_min;
    gv_certificate_issue(node->certificate, &node->facts, world->registry_secret,
                         world->descriptor.network_id);
}

static void make_key(struct gv_world *world, struct gv_sim_node *node)
{
    uint8_t secret[GV_SECRET_LEN];

    gv_drbg_fill(&world->drbg, secret, sizeof secret);
    gv_identity_from_secret(&node->identity, secret);
    node->fresh_key = true;
    memcpy(node->facts.key, node->identity.sign_public, GV_KEY_LEN);
}

static void make_node(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];
    uint32_t now_min = (uint32_t)(world->start_unix_ms / GV_MINUTE_MS);
    size_t owner = index / (world->options.per_owner ? world->options.per_owner : 1);
    uint8_t number[2] = {(uint8_t)(owner >> 8), (uint8_t)owner};

    make_key(world, node);
    node->disk.shelf = &world->shelf;
    node->address = node_address(index);
    if (world->options.skew_max_ms > 0)
        node->clock_skew_ms =
            (int64_t)gv_drbg_below(&world->drbg, 2 * (uint64_t)world->options.skew_max_ms + 1) -
            world->options.skew_max_ms;
    node->usual_skew_ms = node->clock_skew_ms;
    node->wake_ms = UINT64_MAX;
    gv_effects_init(&node->writing);
    gv_hash_id(node->facts.owner, "simulated owner", number, sizeof number);
    node->facts.placement = gv_drbg_u64(&world->drbg);
    node->facts.group = gv_address_group(&node->address);
    node->facts.since_min = now_min - world->options.age_min;
    node->facts.issued_min = now_min - (world->options.age_min % DAY_MIN);
    if (world->options.faults.life > 0)
        node->facts.issued_min = now_min;
    if (world->options.faults.life > 1) /* each at another point of its life */
        node->facts.issued_min -=
            (uint32_t)gv_drbg_below(&world->fault_drbg, world->options.faults.life / 2);
    node->facts.expires_min = node->facts.issued_min + certificate_life(world);
    if (world->options.faults.grace > 0 && index == world->members - 1)
        gv_world_abandon(world, node);
    certify(world, node);
}

static void draw_latencies(struct gv_world *world)
{
    const struct gv_world_options *options = &world->options;

    if (options->networks == 0) {
        gv_latency_uniform(world->latency, world->members, options->latency_min_ms,
                           options->latency_max_ms, &world->drbg);
        return;
    }
    uint16_t *network_of = calloc(world->members, sizeof *network_of);
    gv_assert(network_of);
    gv_latency_networks(world->latency, network_of, world->members, options->networks,
                        &world->drbg);
    free(network_of);
}

/* Certificates first, as a core wants them; addresses of any age, so that they are not all renewed
 * in one minute. */
static void make_roster(struct gv_world *world)
{
    uint32_t now_min = (uint32_t)(world->start_unix_ms / GV_MINUTE_MS);
    size_t n = world->options.nodes;

    world->roster = calloc(2 * n, sizeof *world->roster);
    gv_assert(world->roster);
    for (size_t i = 0; i < 2 * n; i++) {
        struct gv_sim_node *node = &world->nodes[i % n];
        struct gv_buf *record = &world->roster[world->roster_count++];
        uint8_t kind = i < n ? GV_RECORD_CERTIFICATE : GV_RECORD_ADDRESS;
        gv_buf_init(record);
        gv_buf_append(record, &kind, 1);
        if (i < n) {
            gv_buf_append(record, node->certificate, GV_CERTIFICATE_LEN);
            continue;
        }
        if (node->outbound) { /* it says nothing of where it is */
            gv_buf_free(record);
            world->roster_count--;
            continue;
        }
        uint32_t age = (uint32_t)gv_drbg_below(&world->drbg, GV_ADDRESS_RENEW_MIN);
        uint32_t due = GV_ADDRESS_RENEW_MIN - age;
        if (due + 3 > world->options.run_min && due <= world->options.run_min + 1)
            age += due > 5 ? 5 : 0;
        struct gv_address_record said = {.minute = now_min - age, .address = node->address};
        memcpy(said.instance, node->identity.id, GV_ID_LEN);
        int rc = gv_address_record_sign(record, &said, node->identity.sign_secret,
                                        world->descriptor.network_id);
        gv_assert(rc == GV_OK && !record->failed);
    }
}

struct gv_world *gv_world_new(const struct gv_world_options *options)
{
    struct gv_world *world = calloc(1, sizeof *world);
    uint8_t seed[GV_SEED_LEN] = {0};
    size_t n = options->nodes + options->faults.liars;

    gv_assert(world && options->nodes > 0 && n <= 10000);
    gv_account_prepare();
    gv_agree_begin(!options->real_crypto);
    world->options = *options;
    world->members = n;
    world->start_unix_ms = START_UNIX_MS;
    world->memo.off = options->real_crypto;
    for (size_t i = 0; i < 8; i++)
        seed[i] = (uint8_t)(options->seed >> (56 - 8 * i));
    gv_drbg_init(&world->drbg, seed);
    seed[8] = 'f';
    gv_drbg_init(&world->fault_drbg, seed);
    gv_trace_init(&world->trace, options->seed);
    gv_effects_init(&world->effects);
    make_descriptor(world);
    world->common = gv_common_new();
    gv_assert(world->common);
    world->nodes = calloc(n, sizeof *world->nodes);
    world->cut = calloc(n * n, 1);
    world->latency = calloc(n * n / 2 + 1, sizeof *world->latency);
    gv_assert(world->nodes && world->cut && world->latency);
    draw_latencies(world);
    for (size_t i = 0; i < n; i++)
        make_node(world, i);
    gv_world_draw_away(world);
    if (options->known)
        make_roster(world);
    for (size_t i = 0; i < n; i++) {
        if (i < options->nodes && !world->nodes[i].away)
            gv_world_start(world, i);
        else if (i >= options->nodes)
            world->nodes[i].liar = gv_liar_new(world, i);
    }
    return world;
}

void gv_world_free(struct gv_world *world)
{
    if (!world)
        return;
    for (size_t i = 0; i < world->members; i++)
        gv_node_wipe(&world->nodes[i]);
    gv_table_free(&world->shelf);
    gv_common_free(world->common);
    gv_queue_free(world);
    gv_net_free(world);
    gv_effects_free(&world->effects);
    gv_buf_free(&world->descriptor_wire);
    gv_memo_free(&world->memo);
    gv_agree_end();
    for (size_t i = 0; i < world->roster_count; i++)
        gv_buf_free(&world->roster[i]);
    free(world->roster);
    free(world->actions);
    free(world->nodes);
    free(world->cut);
    free(world->latency);
    free(world);
}

/* ---- the registry --------------------------------------------------------------------------- */

void gv_world_enroll_anew(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];
    uint32_t now_min = (uint32_t)((world->start_unix_ms + world->now_ms) / GV_MINUTE_MS);

    make_key(world, node);
    node->disk.ceiling = 0; /* what was written with another key is not believed */
    node->abandoned = false;
    node->facts.placement = gv_drbg_u64(&world->drbg);
    node->facts.since_min = node->facts.issued_min = now_min;
    node->facts.expires_min = now_min + certificate_life(world);
    certify(world, node);
}

void gv_world_renew(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];
    uint32_t now_min = (uint32_t)((world->start_unix_ms + world->now_ms) / GV_MINUTE_MS);
    struct gv_registry_rules rules;
    struct gv_certificate renewed;
    uint8_t record[1 + GV_CERTIFICATE_LEN] = {5};
    struct gv_event event = {.kind = GV_EVENT_NEWS};

    gv_registry_rules_default(&rules);
    rules.certificate_life_min = certificate_life(world);
    rules.grace_min = world->descriptor.policy.grace_min;
    bool revoked = gv_world_revocation(world, node->identity.id) < world->revocation_count;
    if (gv_registry_renew(&renewed, &rules, node->facts.group, now_min, &node->facts, revoked) !=
        GV_OK)
        return;
    world->counts.renewals++;
    node->facts = renewed;
    certify(world, node);
    memcpy(record + 1, node->certificate, GV_CERTIFICATE_LEN);
    event.news.record = record;
    event.news.len = sizeof record;
    gv_world_step(world, index, &event);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

bool gv_world_is_up(const struct gv_world *world, size_t node)
{
    return world->nodes[node].core || world->nodes[node].liar;
}

uint64_t gv_world_unix_ms(const struct gv_world *world, size_t node)
{
    return world->start_unix_ms + world->now_ms + (uint64_t)world->nodes[node].clock_skew_ms;
}

struct gv_subject gv_world_subject(uint32_t number)
{
    struct gv_subject subject = {.family = GV_FAMILY_IPV4};

    /* 64.0.0.0/6 and up: no special-purpose block in the first 16 million. */
    number += FIRST_SUBJECT;
    for (size_t i = 0; i < 4; i++)
        subject.bytes[i] = (uint8_t)(number >> (24 - 8 * i));
    return subject;
}

uint32_t gv_world_subject_number(const struct gv_subject *subject)
{
    uint32_t number = 0;

    for (size_t i = 0; i < 4; i++)
        number = number << 8 | subject->bytes[i];
    return number - FIRST_SUBJECT;
}

/* ---- running -------------------------------------------------------------------------------- */

void gv_world_run(struct gv_world *world, uint64_t until_ms)
{
    while (world->queue.count > 0 && gv_world_next_ms(world) <= until_ms) {
        struct gv_sim_event event = gv_world_unqueue(world);
        world->at_once = event.at_ms == world->now_ms ? world->at_once + 1 : 0;
        gv_assert(world->at_once < AT_ONCE_MAX);
        world->now_ms = event.at_ms;
        switch (event.kind) {
        case GV_SIM_WEATHER:
            gv_weather_happen(world, &event);
            break;
        case GV_SIM_DIALLED:
            gv_net_happen(world, &event);
            break;
        default:
            gv_node_happen(world, &event);
            break;
        }
    }
    world->now_ms = until_ms;
}
