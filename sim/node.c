/* One node: its core, the order of its effects, its disk, its lives. What node/host/driver.c does
 * for a daemon. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "sim/account.h"
#include "sim/liar.h"
#include "sim/net.h"
#include "sim/plant.h"
#include "sim/story.h"
#include "sim/weather.h"

/* ---- effects -------------------------------------------------------------------------------- */

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

static void tell_effect(struct gv_world *world, size_t index, const struct gv_effects *effects,
                        const struct gv_effect *effect, bool done)
{
    if (world->on_effect && (gv_effect_is_row(effect) || effect->kind == GV_EFFECT_SEND))
        world->on_effect(world->note_context, index, effects, effect, done);
}

/* What lies beside the database is written first, and synced (SPEC 8.6). */
static void reserve(struct gv_world *world, size_t index, const struct gv_effects *effects)
{
    struct gv_disk *disk = &world->nodes[index].disk;

    if (!gv_plant_keeps_no_ceiling())
        disk->ceiling = gv_effects_ceiling(effects, disk->ceiling);
}

/* All rows of a batch, at once. */
static void commit(struct gv_world *world, size_t index, const struct gv_effects *effects)
{
    static const uint8_t another[64] = {0xba, 0xd0}; /* nobody's key */
    struct gv_disk *disk = &world->nodes[index].disk;
    bool own = false, rows = false;

    for (size_t i = 0; i < effects->count && !rows; i++)
        rows = gv_effect_is_row(&effects->list[i]);
    if (!rows)
        return;
    reserve(world, index, effects);
    gv_disk_begin(disk, world->now_ms);
    for (size_t i = 0; i < effects->count; i++) {
        const struct gv_effect *effect = &effects->list[i];
        const uint8_t *key = gv_effect_key(effects, effect);
        if (!gv_effect_is_row(effect))
            continue;
        own = own || gv_effect_is_own_word(effects, effect);
        tell_effect(world, index, effects, effect, true);
        if (gv_plant_loses_row(effect))
            continue;
        if (effect->kind == GV_EFFECT_PERSIST)
            gv_disk_put(disk, effect->row, gv_plant_misfiles(effect) ? another : key,
                        effect->key_len, gv_effect_data(effects, effect), effect->data_len);
        else
            gv_disk_remove(disk, effect->row, key, effect->key_len);
    }
    if (own && !gv_plant_skips_sync())
        gv_disk_sync(disk);
}

static bool is_send(const struct gv_effect *effect, uint32_t link)
{
    return effect->kind == GV_EFFECT_SEND && effect->link == link;
}

/* What one step sends on a connection goes in one go, as the daemon writes it, up to its end: with
 * the first, all that follow. */
static void send_all(struct gv_world *world, size_t index, const struct gv_effects *effects,
                     size_t at)
{
    uint32_t link = effects->list[at].link;
    struct gv_buf bytes;

    for (size_t i = 0; i < at; i++)
        if (is_send(&effects->list[i], link))
            return; /* it went with that one */
    gv_buf_init(&bytes);
    for (size_t i = at; i < effects->count; i++)
        if (is_send(&effects->list[i], link))
            gv_buf_append(&bytes, gv_effect_data(effects, &effects->list[i]),
                          effects->list[i].data_len);
    gv_assert(!bytes.failed);
    gv_net_send(world, index, link, bytes.data, bytes.len);
    gv_buf_free(&bytes);
}

static void carry_out(struct gv_world *world, size_t index, const struct gv_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        const struct gv_effect *effect = &effects->list[i];
        const uint8_t *data = gv_effect_data(effects, effect);
        gv_story_effect(world, index, effects, effect);
        switch (effect->kind) {
        case GV_EFFECT_CONNECT:
            gv_net_connect(world, index, effect->link, &effect->address);
            break;
        case GV_EFFECT_SEND:
            tell_effect(world, index, effects, effect, true);
            send_all(world, index, effects, i);
            break;
        case GV_EFFECT_CLOSE:
            gv_net_close(world, index, effect->link);
            break;
        case GV_EFFECT_TURN_AWAY:
            gv_net_turn_away(world, index, effect->link, data, effect->data_len);
            break;
        case GV_EFFECT_PERSIST:
        case GV_EFFECT_FORGET:
        case GV_EFFECT_NOTE:
            break;
        }
        gv_trace_add(&world->trace, world->now_ms, index, effect->kind, data, effect->data_len);
    }
}

/* What a node said comes before what followed from it: a signal's verdict is noted first. */
static void tell(struct gv_world *world, size_t index, const struct gv_effects *effects)
{
    for (int pass = 0; world->on_note && pass < 2; pass++)
        for (size_t i = 0; i < effects->count; i++) {
            const struct gv_effect *effect = &effects->list[i];
            bool said = effect->note == GV_NOTE_SIGNALLED || effect->note == GV_NOTE_RETRACTED;
            if (effect->kind == GV_EFFECT_NOTE && said == (pass == 0) &&
                !gv_plant_keeps_quiet(effect, index))
                world->on_note(world->note_context, index, effect);
        }
}

static void finish(struct gv_world *world, size_t index, const struct gv_effects *effects)
{
    commit(world, index, effects);
    carry_out(world, index, effects);
    tell(world, index, effects);
}

/* ---- a slow disk ----------------------------------------------------------------------------- */

static void copy_effects(struct gv_effects *to, const struct gv_effects *from)
{
    gv_effects_init(to);
    to->list = malloc(from->count * sizeof *to->list);
    gv_assert(to->list);
    memcpy(to->list, from->list, from->count * sizeof *to->list);
    to->count = to->cap = from->count;
    gv_buf_append(&to->bytes, from->bytes.data, from->bytes.len);
    gv_assert(!to->bytes.failed);
}

/* Sends the batch to the disk; until it is there, nothing of it is carried out. */
static bool write_slowly(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];
    uint32_t most = world->calm ? 0 : world->options.faults.slow_ms;
    bool rows = false;

    for (size_t i = 0; i < world->effects.count; i++)
        rows = rows || gv_effect_is_row(&world->effects.list[i]);
    if (!rows || most == 0)
        return false;
    uint64_t took = gv_drbg_below(&world->fault_drbg, most + 1);
    if (took == 0)
        return false;
    world->counts.slow_commits++;
    copy_effects(&node->writing, &world->effects);
    if (gv_plant_sends_first()) {
        carry_out(world, index, &node->writing);
        for (size_t i = 0; i < node->writing.count; i++) /* and not again */
            if (!gv_effect_is_row(&node->writing.list[i]))
                node->writing.list[i].kind = GV_EFFECT_NOTE;
    }
    node->busy = true;
    gv_world_queue(world, (struct gv_sim_event){.at_ms = world->now_ms + took,
                                                .kind = GV_SIM_COMMITTED,
                                                .node = index,
                                                .generation = node->generation});
    return true;
}

static void push_inbox(struct gv_sim_node *node, const struct gv_sim_event *event)
{
    if (node->inbox_count == node->inbox_cap) {
        node->inbox_cap = node->inbox_cap ? 2 * node->inbox_cap : 16;
        node->inbox = realloc(node->inbox, node->inbox_cap * sizeof *node->inbox);
        gv_assert(node->inbox);
    }
    node->inbox[node->inbox_count++] = *event;
}

static void handle(struct gv_world *world, struct gv_sim_event *event);

static void committed(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];
    struct gv_effects batch = node->writing;
    size_t done = 0;

    gv_effects_init(&node->writing);
    node->busy = false;
    finish(world, index, &batch);
    gv_effects_free(&batch);
    schedule_wake(world, index);
    while (done < node->inbox_count && !node->busy) {
        struct gv_sim_event event = node->inbox[done++];
        handle(world, &event);
    }
    node->inbox_count -= done;
    if (node->inbox_count > 0)
        memmove(node->inbox, node->inbox + done, node->inbox_count * sizeof *node->inbox);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static size_t effects_room(const struct gv_effects *effects)
{
    return effects->cap * sizeof *effects->list + effects->bytes.cap;
}

int gv_world_step(struct gv_world *world, size_t index, const struct gv_event *event)
{
    struct gv_sim_node *node = &world->nodes[index];
    int rc;

    if (node->liar) {
        gv_liar_event(world, index, event);
        return GV_OK;
    }
    if (!node->core || node->busy)
        return GV_ERR_STATE;
    gv_effects_clear(&world->effects);
    world->events++;
    size_t room = effects_room(&world->effects);
    int64_t *account = gv_account_switch(&node->bytes_held);
    gv_plant_enter(index);
    rc = gv_core_step(node->core, world->now_ms, event, &world->effects);
    gv_plant_leave();
    gv_account_switch(account);
    /* The list of effects is the world's. */
    node->bytes_held -= (int64_t)(effects_room(&world->effects) - room);
    gv_assert(!world->effects.failed);
    for (size_t i = 0; i < world->effects.count; i++)
        tell_effect(world, index, &world->effects, &world->effects.list[i], false);
    if (event->kind == GV_EVENT_LOADED || !write_slowly(world, index))
        finish(world, index, &world->effects);
    schedule_wake(world, index);
    return rc;
}

/* ---- what happens to it ---------------------------------------------------------------------- */

static void wake(struct gv_world *world, const struct gv_sim_event *event)
{
    struct gv_sim_node *node = &world->nodes[event->node];
    struct gv_event timer = {.kind = GV_EVENT_TIMER};

    if (event->at_ms != node->wake_ms)
        return;
    node->wake_ms = UINT64_MAX;
    if (node->core && gv_plant_sleeps_on()) {
        node->wake_ms = event->at_ms + 86400000;
        gv_world_queue(world, (struct gv_sim_event){.at_ms = node->wake_ms,
                                                    .kind = GV_SIM_WAKE,
                                                    .node = event->node,
                                                    .generation = node->generation});
        return;
    }
    gv_world_step(world, event->node, &timer);
}

static void set_clock(struct gv_world *world, const struct gv_sim_event *event)
{
    struct gv_event clock = {.kind = GV_EVENT_CLOCK};

    world->nodes[event->node].clock_skew_ms = event->skew_ms;
    clock.clock.unix_ms = gv_world_unix_ms(world, event->node);
    gv_world_step(world, event->node, &clock);
}

static void handle(struct gv_world *world, struct gv_sim_event *event)
{
    struct gv_event observed = {.kind = GV_EVENT_OBSERVATION};

    switch (event->kind) {
    case GV_SIM_WAKE:
        wake(world, event);
        break;
    case GV_SIM_OBSERVED:
        memcpy(&observed.observation, event->data, sizeof observed.observation);
        observed.observation.unix_ms = gv_world_unix_ms(world, event->node);
        gv_world_step(world, event->node, &observed);
        break;
    case GV_SIM_CLOCK:
        set_clock(world, event);
        break;
    default:
        gv_net_happen(world, event);
        break;
    }
    free(event->data);
    event->data = NULL;
}

void gv_node_happen(struct gv_world *world, struct gv_sim_event *event)
{
    struct gv_sim_node *node = &world->nodes[event->node];

    if (event->generation != node->generation) {
        free(event->data);
        event->data = NULL;
    } else if (event->kind == GV_SIM_COMMITTED) {
        committed(world, event->node);
    } else if (node->busy) {
        push_inbox(node, event);
    } else {
        handle(world, event);
    }
}

void gv_world_fail(struct gv_world *world, size_t index, const struct gv_subject *subject,
                   uint32_t attempts)
{
    struct gv_sim_node *node = &world->nodes[index];
    struct gv_observation *observation = malloc(sizeof *observation);
    struct gv_sim_event event = {.at_ms = world->now_ms,
                                 .kind = GV_SIM_OBSERVED,
                                 .node = index,
                                 .generation = node->generation};

    gv_assert(observation);
    char text[GV_SUBJECT_TEXT];
    gv_subject_text(text, subject);
    gv_story_say(world, index, "%s fails to log in, %u times", text, (unsigned)attempts);
    memset(observation, 0, sizeof *observation);
    *observation = (struct gv_observation){.subject = *subject,
                                           .unix_ms = gv_world_unix_ms(world, index),
                                           .account = 1 + gv_drbg_u64(&world->drbg) % 1000,
                                           .attempts = attempts,
                                           .service = GV_SERVICE_SUBMISSION,
                                           .kind = GV_KIND_UNKNOWN_ACCOUNT,
                                           .new_visit = true};
    event.data = (uint8_t *)observation;
    event.len = sizeof *observation;
    gv_node_happen(world, &event);
}

/* Subjects that a node remembers: more than any run shows it, and a list of pages for ten times as
 * many, as in a daemon, is 50 kB. */
#define HISTORY_MAX 20000u

/* ---- lives ---------------------------------------------------------------------------------- */

static void load_roster(struct gv_world *world, size_t index)
{
    for (size_t i = 0; i < world->roster_count; i++) {
        struct gv_event event = {.kind = GV_EVENT_LOADED};
        event.loaded.row = GV_ROW_RECORD;
        event.loaded.key = world->roster[i].data; /* not looked at */
        event.loaded.value = world->roster[i].data;
        event.loaded.value_len = world->roster[i].len;
        gv_world_step(world, index, &event);
    }
}

/* One that begins with this id, of `count` in the order of their keys. */
static bool is_acked(const struct gv_disk_row *const *acks, size_t count,
                     const uint8_t id[GV_ID_LEN])
{
    size_t from = 0, to = count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = memcmp(acks[middle]->key, id, GV_ID_LEN);
        if (order == 0)
            return true;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

/* As the daemon reads its store (node/host/persist_read.c): no acknowledgements, and of what is on
 * record as said, what nobody has acknowledged. The rest is telemetry. Gives how many are left. */
static size_t leave_telemetry(const struct gv_disk_row **rows, size_t count)
{
    const struct gv_disk_row **acks = malloc((count + 1) * sizeof *acks);
    size_t ack_count = 0, left = 0;

    gv_assert(acks);
    for (size_t i = 0; i < count; i++)
        if (rows[i]->row == GV_ROW_ACK)
            acks[ack_count++] = rows[i];
    for (size_t i = 0; i < count; i++) {
        const struct gv_disk_row *row = rows[i];
        bool said = row->row == GV_ROW_SENT;
        if (row->row == GV_ROW_ACK || (said && row->value[0] & GV_SENT_PREVIEW) ||
            (said && is_acked(acks, ack_count, row->key)))
            continue;
        rows[left++] = row;
    }
    free(acks);
    return left;
}

/* True when the number of the last statement was among the rows. */
static bool load_disk(struct gv_world *world, size_t index)
{
    bool numbers_known = false;
    size_t count;
    const struct gv_disk_row **rows = gv_disk_rows(&world->nodes[index].disk, &count);

    count = leave_telemetry(rows, count);
    for (size_t i = 0; i < count; i++) {
        struct gv_event event = {.kind = GV_EVENT_LOADED};
        uint8_t key[sizeof rows[i]->key], *value = malloc(rows[i]->value_len + 1);
        gv_assert(value);
        /* A row that the core does not want is forgotten while it is being read. */
        memcpy(key, rows[i]->key, sizeof key);
        memcpy(value, rows[i]->value, rows[i]->value_len);
        if (rows[i]->row == GV_ROW_SELF && rows[i]->key_len == 1 && key[0] == 1 &&
            gv_plant_reads_no_number())
            memset(value, 0, rows[i]->value_len);
        event.loaded.row = rows[i]->row;
        event.loaded.key = key;
        event.loaded.key_len = rows[i]->key_len;
        event.loaded.value = value;
        event.loaded.value_len = rows[i]->value_len;
        if (gv_world_step(world, index, &event) == GV_OK && event.loaded.row == GV_ROW_SELF)
            numbers_known = true;
        free(value);
    }
    free(rows);
    return numbers_known;
}

/* SPEC 8.6: before it says anything. */
static void number_anew(struct gv_world *world, size_t index, bool lost)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND,
                             .command = {.command = GV_COMMAND_NUMBER_ANEW, .lost = lost}};

    if (lost)
        event.command.ceiling = world->nodes[index].disk.ceiling;
    world->counts.numbers_lost += lost;
    gv_world_step(world, index, &event);
}

/* `known`: it is on each disk, from the first day, and gone with it. */
static bool has_roster(const struct gv_world *world, const struct gv_sim_node *node)
{
    return world->roster_count > 0 && (node->lives == 0 || node->disk.rows.count > 0);
}

void gv_world_start(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];
    struct gv_core_options options = {.identity = &node->identity,
                                      .descriptor = world->descriptor_wire.data,
                                      .descriptor_len = world->descriptor_wire.len,
                                      .certificate = node->certificate,
                                      .verifier = gv_memo_verifier(&world->memo),
                                      .history_max = HISTORY_MAX,
                                      .common = world->options.apart ? NULL : world->common};
    struct gv_event timer = {.kind = GV_EVENT_TIMER};

    gv_assert(!node->core);
    bool loads = has_roster(world, node);
    options.known = loads;
    options.public_only = world->options.public_only || gv_plant_tells_all();
    options.settings.share = GV_SHARE_YES;
    if (!node->outbound)
        options.settings.advertise = node->address;
    gv_drbg_fill(&world->drbg, options.seed, sizeof options.seed);
    node->bytes_held = 0;
    int64_t *account = gv_account_switch(&node->bytes_held);
    int rc = gv_core_new(&node->core, &options, world->now_ms, gv_world_unix_ms(world, index));
    gv_account_switch(account);
    gv_assert(rc == GV_OK);
    gv_plant_started(index);
    node->generation++;
    node->lives++;
    node->started_ms = world->now_ms;
    gv_story_say(world, index, "starts, for the %u. time", (unsigned)node->lives);
    node->wake_ms = UINT64_MAX;
    node->loading = true;
    if (loads && !gv_core_began_known(node->core))
        load_roster(world, index);
    bool numbers_known = load_disk(world, index);
    node->loading = false;
    if (world->on_start)
        world->on_start(world->note_context, index);
    if (!numbers_known)
        number_anew(world, index, !node->fresh_key);
    node->fresh_key = false;
    gv_world_step(world, index, &timer);
}

static void forget_inbox(struct gv_sim_node *node)
{
    for (size_t i = 0; i < node->inbox_count; i++)
        free(node->inbox[i].data);
    node->inbox_count = 0;
}

/* A commit under way is there or not, never half; so is what is written before it, which is there
 * if the commit is. */
static void settle_writing(struct gv_world *world, size_t index)
{
    struct gv_sim_node *node = &world->nodes[index];

    if (!node->busy)
        return;
    node->busy = false;
    uint64_t fate = gv_drbg_below(&world->fault_drbg, 4);
    if (fate > 0)
        reserve(world, index, &node->writing);
    if (fate > 1)
        commit(world, index, &node->writing);
    else
        world->counts.void_commits++;
    gv_effects_free(&node->writing);
}

void gv_world_crash(struct gv_world *world, size_t index, bool without_disk)
{
    struct gv_sim_node *node = &world->nodes[index];

    gv_assert(node->core);
    gv_story_say(world, index, "crashes%s", without_disk ? " and loses its disk" : "");
    gv_net_drop(world, index);
    gv_world_keep_traffic(node);
    gv_core_free(node->core);
    node->core = NULL;
    node->generation++;
    settle_writing(world, index);
    forget_inbox(node);
    if (without_disk)
        gv_disk_wipe(&node->disk);
}

void gv_node_wipe(struct gv_sim_node *node)
{
    gv_core_free(node->core);
    gv_liar_free(node->liar);
    gv_disk_wipe(&node->disk);
    gv_effects_free(&node->writing);
    forget_inbox(node);
    free(node->inbox);
    free(node->wires);
}
