#include "sim/weather.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/registry.h"
#include "sim/net.h"
#include "sim/story.h"

#define HOUR_MS   3600000u
#define GV_ASK_MS (15 * GV_MINUTE_MS)

static void add(struct gv_world *world, struct gv_weather_event action)
{
    world->actions = realloc(world->actions, (world->action_count + 1) * sizeof *world->actions);
    gv_assert(world->actions);
    world->actions[world->action_count] = action;
    gv_world_queue(world, (struct gv_sim_event){.at_ms = action.at_ms,
                                                .kind = GV_SIM_WEATHER,
                                                .wire = world->action_count++});
}

/* So many an hour, at any time before heal_ms; what is left of a whole one, by chance. */
static void draw_kind(struct gv_world *world, struct gv_drbg *drbg, enum gv_weather_kind kind,
                      size_t node, uint32_t per_hour, uint64_t heal_ms)
{
    uint64_t wanted = per_hour * heal_ms;
    uint64_t count = wanted / HOUR_MS + (gv_drbg_below(drbg, HOUR_MS) < wanted % HOUR_MS);

    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = gv_drbg_below(drbg, heal_ms);
        add(world, (struct gv_weather_event){
                       .at_ms = at, .kind = kind, .node = node, .value = gv_drbg_u64(drbg)});
    }
}

/* ---- renewals ------------------------------------------------------------------------------- */

static void plan_renewal(struct gv_world *world, size_t node, uint64_t delay_ms)
{
    add(world, (struct gv_weather_event){
                   .at_ms = world->now_ms + delay_ms, .kind = GV_WEATHER_RENEW, .node = node});
}

static void plan_next_renewal(struct gv_world *world, size_t index)
{
    uint64_t due_ms = gv_certificate_half_life(&world->nodes[index].facts) * (uint64_t)GV_MINUTE_MS;
    uint64_t now_ms = world->start_unix_ms + world->now_ms;

    plan_renewal(world, index, due_ms > now_ms ? due_ms - now_ms : 1000);
}

/* 1 minute, doubling, up to 6 hours, a quarter either way (SPEC 14). */
static void renew(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];

    if (gv_world_is_outcast(world, index)) { /* its host may enrol anew */
        plan_renewal(world, index, HOUR_MS);
        return;
    }
    if (!node->core || node->busy) {
        plan_renewal(world, index, node->busy ? 1000 : GV_MINUTE_MS);
        return;
    }
    if (!world->registry_dead) {
        node->renew_failures = 0;
        gv_world_renew(world, index);
        plan_next_renewal(world, index);
        return;
    }
    world->counts.renewals_failed++;
    uint32_t doublings = node->renew_failures < 9 ? node->renew_failures++ : 9;
    uint64_t wait = (uint64_t)GV_MINUTE_MS << doublings;
    wait = wait > 6 * HOUR_MS ? 6 * HOUR_MS : wait;
    plan_renewal(world, index, wait - wait / 4 + gv_drbg_below(&world->fault_drbg, wait / 2));
}

/* ---- drawing -------------------------------------------------------------------------------- */

static void set_clock(struct gv_world *world, size_t index, int64_t skew_ms)
{
    struct gv_sim_event event = {.at_ms = world->now_ms,
                                 .kind = GV_SIM_CLOCK,
                                 .node = index,
                                 .generation = world->nodes[index].generation,
                                 .skew_ms = skew_ms};

    gv_story_say(world, index, "its clock is set to be off by %.3f s", (double)skew_ms / 1000);
    if (!world->nodes[index].core)
        world->nodes[index].clock_skew_ms = skew_ms;
    else
        gv_node_happen(world, &event);
}

static int64_t draw_skew(const struct gv_world *world, size_t index, uint64_t value,
                         uint32_t most_s)
{
    int64_t most_ms = (int64_t)most_s * 1000;

    return world->nodes[index].usual_skew_ms + (int64_t)(value % (2 * (uint64_t)most_ms + 1)) -
           most_ms;
}

/* So many minutes before the healing, or at the start. */
static void add_before(struct gv_world *world, struct gv_drbg *drbg, enum gv_weather_kind kind,
                       uint32_t minutes, uint64_t heal_ms)
{
    uint64_t before = minutes * (uint64_t)GV_MINUTE_MS;

    add(world, (struct gv_weather_event){.at_ms = heal_ms > before ? heal_ms - before : 1,
                                         .kind = kind,
                                         .value = gv_drbg_u64(drbg)});
}

void gv_weather_draw(struct gv_world *world, uint64_t heal_ms)
{
    const struct gv_faults *faults = &world->options.faults;
    struct gv_drbg drbgs[7];

    for (uint8_t i = 0; i < 7; i++) {
        uint8_t seed[GV_SEED_LEN] = {'w', 'e', 'a', 't', 'h', 'e', 'r', i};
        for (size_t b = 0; b < 8; b++)
            seed[8 + b] = (uint8_t)(world->options.seed >> (56 - 8 * b));
        gv_drbg_init(&drbgs[i], seed);
    }
    draw_kind(world, &drbgs[0], GV_WEATHER_CUT, 0, faults->partition_kinds ? faults->partitions : 0,
              heal_ms);
    for (size_t i = 0; i < world->options.nodes; i++) {
        draw_kind(world, &drbgs[1], GV_WEATHER_CRASH, i, faults->crashes, heal_ms);
        draw_kind(world, &drbgs[2], GV_WEATHER_JUMP, i, faults->jumps, heal_ms);
        draw_kind(world, &drbgs[3], GV_WEATHER_BREAK, i, faults->breaks, heal_ms);
        draw_kind(world, &drbgs[4], GV_WEATHER_RETRACT, i, faults->retract, heal_ms);
        if (faults->skew > 0)
            set_clock(world, i, draw_skew(world, i, gv_drbg_u64(&drbgs[2]), faults->skew));
        if (faults->life > 0)
            plan_next_renewal(world, i);
    }
    for (uint32_t i = 0; i < faults->revoke; i++)
        add(world,
            (struct gv_weather_event){.at_ms = heal_ms / 8 + gv_drbg_below(&drbgs[5], heal_ms / 2),
                                      .kind = GV_WEATHER_REVOKE,
                                      .node = gv_drbg_below(&drbgs[5], world->members),
                                      .value = gv_drbg_u64(&drbgs[5])});
    if (faults->kill > 0)
        add_before(world, &drbgs[6], GV_WEATHER_KILL, faults->kill_min ? faults->kill_min : 10,
                   heal_ms);
    if (faults->halves > 0)
        add_before(world, &drbgs[6], GV_WEATHER_HALVES, faults->halves, heal_ms);
    if (faults->registry > 0) {
        world->registry_dead = true;
        add(world, (struct gv_weather_event){.at_ms = heal_ms * faults->registry / 100,
                                             .kind = GV_WEATHER_REGISTRY});
    }
}

/* ---- partitions ----------------------------------------------------------------------------- */

/* A number that only this partition and these two have. */
static uint64_t mix(uint64_t value, size_t a, size_t b)
{
    uint64_t key[2] = {value, value ^ 0x70617274u}, pair[2] = {a, b};

    return gv_siphash((const uint8_t *)key, pair, sizeof pair);
}

static unsigned pick_kind(const struct gv_faults *faults, uint64_t value)
{
    unsigned kinds[3], count = 0;

    for (unsigned bit = GV_PARTITION_HALVES; bit <= GV_PARTITION_ONE_WAY; bit <<= 1)
        if (faults->partition_kinds & bit)
            kinds[count++] = bit;
    return count ? kinds[value % count] : GV_PARTITION_HALVES;
}

static bool is_side(uint64_t value, size_t node)
{
    return mix(value, node, node) & 1;
}

/* Whether bytes from a to b are lost in this partition. */
static bool parts(const struct gv_faults *faults, uint64_t value, size_t a, size_t b)
{
    switch (pick_kind(faults, value)) {
    case GV_PARTITION_HALVES:
        return is_side(value, a) != is_side(value, b);
    case GV_PARTITION_ONE_WAY:
        return is_side(value, a) && !is_side(value, b);
    default:
        return mix(value, a < b ? a : b, a < b ? b : a) % 3 == 0;
    }
}

static void cut_or_mend(struct gv_world *world, const struct gv_weather_event *action, bool cut)
{
    bool halves = action->kind == GV_WEATHER_HALVES;
    const struct gv_faults faults = {.partition_kinds =
                                         halves ? GV_PARTITION_HALVES | GV_PARTITION_SILENT
                                                : world->options.faults.partition_kinds};
    bool silent = (faults.partition_kinds & GV_PARTITION_SILENT) && (action->value >> 32 & 1);

    gv_story_say(world, SIZE_MAX, "a partition %s", cut ? "begins" : "ends");
    for (size_t a = 0; a < world->members; a++)
        for (size_t b = 0; b < world->members; b++)
            if (a != b && parts(&faults, action->value, a, b))
                gv_net_mark(world, a, b, cut);
    /* Each connection once: to look for them pair by pair takes minutes with a thousand nodes. */
    for (size_t w = 0; w < world->wire_count; w++) {
        const size_t *node = world->wires[w].node;
        if (!parts(&faults, action->value, node[0], node[1]) &&
            !parts(&faults, action->value, node[1], node[0]))
            continue;
        if (!cut)
            gv_net_resume(world, w);
        else if (!silent)
            gv_net_end(world, w);
    }
}

static void fall_apart(struct gv_world *world, size_t index)
{
    struct gv_weather_event action = world->actions[index];

    world->counts.partitions++;
    cut_or_mend(world, &action, true);
    world->actions[index].partner = 1;
}

static void begin_partition(struct gv_world *world, size_t index)
{
    struct gv_weather_event cut = world->actions[index];
    uint32_t most = world->options.faults.partition_s;

    world->counts.partitions++;
    cut_or_mend(world, &cut, true);
    cut.kind = GV_WEATHER_MEND;
    cut.at_ms = world->now_ms + 1000 + gv_drbg_below(&world->fault_drbg, most * 1000ull + 1);
    cut.partner = index;
    add(world, cut);
    world->actions[index].partner = 1; /* begun, and not mended */
}

static void mend(struct gv_world *world, size_t cut)
{
    if (world->actions[cut].partner != 1)
        return;
    world->actions[cut].partner = 2;
    struct gv_weather_event action = world->actions[cut];
    cut_or_mend(world, &action, false);
}

/* ---- crashes -------------------------------------------------------------------------------- */

static void crash(struct gv_world *world, const struct gv_weather_event *action)
{
    const struct gv_faults *faults = &world->options.faults;
    struct gv_sim_node *node = &world->nodes[action->node];
    uint64_t value = action->value;
    bool power = value % 100 < faults->power, disk = value / 100 % 100 < faults->disks;
    bool key = disk && value / 10000 % 100 < faults->keys && !world->registry_dead;

    if (!node->core)
        return;
    world->counts.crashes++;
    gv_world_crash(world, action->node, disk);
    if (power && !disk) {
        uint64_t unsafe = gv_disk_unsafe(&node->disk, world->now_ms);
        size_t rows = gv_disk_power_cut(&node->disk, gv_drbg_below(&world->fault_drbg, unsafe + 1));
        world->counts.power_cuts += rows > 0;
    }
    world->counts.disks_lost += disk;
    if (key)
        gv_world_enroll_anew(world, action->node);
    add(world, (struct gv_weather_event){
                   .at_ms = world->now_ms + 1000 +
                            gv_drbg_below(&world->fault_drbg, faults->down_s * 1000ull + 1),
                   .kind = GV_WEATHER_START,
                   .node = action->node});
}

/* All at once, and nobody comes back before all is healed. */
static void kill_many(struct gv_world *world, const struct gv_weather_event *action)
{
    size_t left = 0, wanted, nodes = world->options.nodes;
    uint64_t value = action->value;

    gv_story_say(world, SIZE_MAX, "%u%% of all nodes die", (unsigned)world->options.faults.kill);

    for (size_t i = 0; i < nodes; i++)
        left += world->nodes[i].core != NULL;
    wanted = left * world->options.faults.kill / 100;
    /* Of those that are left, each has the same chance: exactly so many die. */
    for (size_t i = 0; i < nodes; i++) {
        if (!world->nodes[i].core)
            continue;
        if (mix(value, i, nodes) % left-- >= wanted)
            continue;
        wanted--;
        world->counts.killed++;
        gv_world_crash(world, i, false);
    }
}

/* ---- revocations ---------------------------------------------------------------------------- */

/* A node asks the registry every 15 minutes (SPEC 14.5); one at a time is enough, and harder: the
 * mesh has to bring it to all the others. */
static void plan_tell(struct gv_world *world, size_t revocation, uint64_t delay_ms)
{
    add(world,
        (struct gv_weather_event){.at_ms = world->now_ms + delay_ms,
                                  .kind = GV_WEATHER_TELL,
                                  .node = gv_drbg_below(&world->fault_drbg, world->options.nodes),
                                  .partner = revocation});
}

static void revoke(struct gv_world *world, const struct gv_weather_event *action)
{
    if (!gv_world_revoke(world, action->node, action->value))
        return;
    const struct gv_sim_revocation *last = &world->revocations[world->revocation_count - 1];
    gv_story_say(world, gv_story_member(world, last->instance), "is revoked by the registry");
    plan_tell(world, world->revocation_count - 1, 1000);
}

static void tell(struct gv_world *world, const struct gv_weather_event *action)
{
    if (!world->registry_dead)
        gv_world_tell(world, action->node, action->partner);
    plan_tell(world, action->partner, GV_ASK_MS);
}

/* ---- what is due ---------------------------------------------------------------------------- */

void gv_weather_happen(struct gv_world *world, const struct gv_sim_event *event)
{
    struct gv_weather_event action = world->actions[event->wire];

    if (world->calm && action.kind != GV_WEATHER_RENEW && action.kind != GV_WEATHER_TELL)
        return;
    switch (action.kind) {
    case GV_WEATHER_CUT:
        begin_partition(world, event->wire);
        break;
    case GV_WEATHER_MEND:
        mend(world, action.partner);
        break;
    case GV_WEATHER_CRASH:
        crash(world, &action);
        break;
    case GV_WEATHER_START:
        if (!world->nodes[action.node].core)
            gv_world_start(world, action.node);
        break;
    case GV_WEATHER_JUMP:
        world->counts.jumps++;
        set_clock(world, action.node,
                  draw_skew(world, action.node, action.value, world->options.faults.jump_s));
        break;
    case GV_WEATHER_BREAK:
        world->counts.broken += gv_net_break(world, action.node, action.value);
        break;
    case GV_WEATHER_REGISTRY:
        gv_story_say(world, SIZE_MAX, "the registry answers again");
        world->registry_dead = false;
        break;
    case GV_WEATHER_RENEW:
        renew(world, action.node);
        break;
    case GV_WEATHER_REVOKE:
        revoke(world, &action);
        break;
    case GV_WEATHER_TELL:
        tell(world, &action);
        break;
    case GV_WEATHER_KILL:
        kill_many(world, &action);
        break;
    case GV_WEATHER_HALVES:
        fall_apart(world, event->wire);
        break;
    case GV_WEATHER_RETRACT:
        gv_world_retract(world, action.node, action.value);
        break;
    }
}

void gv_weather_heal(struct gv_world *world)
{
    if (gv_faults_any(&world->options.faults))
        gv_story_say(world, SIZE_MAX, "all is healed");
    for (size_t i = 0; i < world->action_count; i++)
        if (world->actions[i].kind == GV_WEATHER_CUT || world->actions[i].kind == GV_WEATHER_HALVES)
            mend(world, i);
    world->registry_dead = false;
    world->calm = true;
    for (size_t i = 0; i < world->options.nodes; i++) {
        if (world->nodes[i].clock_skew_ms != world->nodes[i].usual_skew_ms)
            set_clock(world, i, world->nodes[i].usual_skew_ms);
        if (!world->nodes[i].core && !world->nodes[i].away)
            gv_world_start(world, i);
    }
    for (size_t i = 0; i < world->revocation_count; i++)
        plan_tell(world, i, 1000);
}
