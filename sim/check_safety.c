#include "sim/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/wire/record.h"
#include "sim/story.h"

/* What a core may hold in memory (SPEC 17): itself and its scratch, and so much for each row. Four
 * times what was measured, so that it is the leak that is found and not the allocator. */
#define CORE_BYTES     (1024 * 1024)
#define RECORD_BYTES   2048
#define INSTANCE_BYTES 4096
#define LOCAL_BYTES    1024
#define LINK_BYTES     (128 * 1024)

#define STATEMENTS_PER_HOUR 32u /* of an instance and kind: SPEC 8.3 */

bool gv_broken_has(const struct gv_broken *broken, const char *sentence)
{
    size_t i = 0;

    while (i < broken->count && strcmp(broken->sentences[i], sentence) != 0)
        i++;
    return i < broken->count;
}

void gv_violation(struct gv_checks *checks, const char *what, size_t node, uint64_t number)
{
    gv_story_say(checks->world, node, "VIOLATION: %s (%" PRIu64 ")", what, number);
    if (!gv_broken_has(&checks->broken, what)) {
        gv_assert(checks->broken.count < GV_SENTENCES);
        checks->broken.sentences[checks->broken.count++] = what;
    }
    if (checks->violations++ < 20 && !checks->quiet)
        fprintf(stderr, "violation at %.3f s: %s (node %zu, %" PRIu64 ")\n",
                (double)checks->world->now_ms / 1000, what, node, number);
}

/* ---- notes ---------------------------------------------------------------------------------- */

/* An own signal lies on its author's disk: from now on he has said it, and it may go out, even if
 * he dies before he can note it (a crash during a slow commit). Only who has standing makes a
 * second owner. */
static void note_own_signal(struct gv_checks *checks, size_t node, const uint8_t id[GV_ID_LEN])
{
    const struct gv_known_record *known = gv_checks_record(checks, id);

    if (!known || known->author->node != node || known->said.kind != GV_RECORD_SIGNAL ||
        known->standing == 0)
        return;
    uint32_t attacker = gv_world_subject_number(&known->said.subject);
    if (attacker >= checks->attackers)
        return;
    /* Each node is an owner of its own here. */
    if (checks->first_reporter[attacker] == 0)
        checks->first_reporter[attacker] = (uint32_t)node + 1;
    else if (checks->first_reporter[attacker] != node + 1 && checks->published_ms[attacker] == 0)
        checks->published_ms[attacker] = checks->world->now_ms;
}

static void note_verdict(struct gv_checks *checks, size_t node, const struct gv_effect *note)
{
    uint32_t attacker = gv_world_subject_number(&note->subject);

    if (note->to != GV_VERDICT_UNTRUSTED)
        return;
    if (attacker >= checks->attackers || checks->published_ms[attacker] == 0) {
        gv_violation(checks, "untrusted before two owners said so", node, attacker);
        return;
    }
    if (checks->untrusted[attacker * checks->world->options.nodes + node])
        return; /* said before, lapsed, said again: no new delay */
    checks->untrusted[attacker * checks->world->options.nodes + node] = 1;
    /* Who was down then could not hear of it: that is no delay of the mesh. */
    if (checks->world->nodes[node].started_ms > checks->published_ms[attacker])
        return;
    if (checks->delay_count == checks->delay_cap) {
        checks->delay_cap = checks->delay_cap ? 2 * checks->delay_cap : 1024;
        checks->delays_ms =
            realloc(checks->delays_ms, checks->delay_cap * sizeof *checks->delays_ms);
        gv_assert(checks->delays_ms);
    }
    checks->delays_ms[checks->delay_count++] =
        checks->world->now_ms - checks->published_ms[attacker];
}

static bool is_liar(const struct gv_world *world, const uint8_t instance[GV_ID_LEN])
{
    for (size_t i = world->options.nodes; i < world->members; i++)
        if (memcmp(world->nodes[i].identity.id, instance, GV_ID_LEN) == 0)
            return true;
    return false;
}

/* One who is out is refused, and may refuse in turn: his roster goes stale. */
static bool is_about_outcast(const struct gv_checks *checks, size_t node,
                             const struct gv_effect *note)
{
    const struct gv_world *world = checks->world;

    return (note->error == GV_ERR_REVOKED || note->error == GV_ERR_EXPIRED) &&
           (gv_world_revocation(world, note->instance) < world->revocation_count ||
            gv_world_is_outcast(world, node));
}

static void note_refused(struct gv_checks *checks, size_t node, const struct gv_effect *note)
{
    if (is_liar(checks->world, note->instance)) {
        checks->world->counts.cut_off++;
        checks->world->counts.cut_off_grave +=
            note->error == GV_ERR_SIGNATURE || note->error == GV_ERR_SUBJECT;
    } else if (!is_about_outcast(checks, node, note)) {
        gv_violation(checks, "an honest node cut off an honest node", node, (uint64_t)-note->error);
    }
}

static void on_note(void *context, size_t node, const struct gv_effect *note)
{
    struct gv_checks *checks = context;

    switch (note->note) {
    case GV_NOTE_SIGNALLED:
    case GV_NOTE_RETRACTED:
        checks->signals++;
        gv_check_promise(checks, node);
        break;
    case GV_NOTE_PEER_UP:
        gv_check_guest(checks, node, note->instance);
        break;
    case GV_NOTE_VERDICT:
        note_verdict(checks, node, note);
        break;
    case GV_NOTE_PEER_REFUSED:
        note_refused(checks, node, note);
        break;
    case GV_NOTE_FAULT:
        if (!is_liar(checks->world, note->instance))
            gv_violation(checks, "an honest node contradicted itself", node, 0);
        break;
    default:
        break;
    }
}

static void on_effect(void *context, size_t node, const struct gv_effects *effects,
                      const struct gv_effect *effect, bool done)
{
    gv_check_effect(context, node, effects, effect, done);
    if (done && effect->kind == GV_EFFECT_PERSIST && effect->row == GV_ROW_RECORD)
        note_own_signal(context, node, gv_effect_key(effects, effect));
}

static void on_start(void *context, size_t node)
{
    gv_check_start(context, node);
}

/* ---- life ----------------------------------------------------------------------------------- */

void gv_checks_init(struct gv_checks *checks, struct gv_world *world, size_t attackers)
{
    memset(checks, 0, sizeof *checks);
    checks->world = world;
    checks->attackers = attackers;
    checks->first_reporter = calloc(attackers + 1, sizeof *checks->first_reporter);
    checks->published_ms = calloc(attackers + 1, sizeof *checks->published_ms);
    checks->untrusted = calloc((attackers + 1) * world->options.nodes, 1);
    checks->told = calloc((attackers + 1) * world->options.nodes, 1);
    checks->safe_sequence = calloc(world->members, sizeof *checks->safe_sequence);
    checks->disk_sequence = calloc(world->members, sizeof *checks->disk_sequence);
    checks->promises = calloc(world->members, sizeof *checks->promises);
    gv_assert(checks->promises && checks->first_reporter && checks->published_ms &&
              checks->untrusted && checks->told && checks->safe_sequence && checks->disk_sequence);
    world->on_note = on_note;
    world->on_effect = on_effect;
    world->on_start = on_start;
    world->note_context = checks;
    for (size_t i = 0; i < world->members; i++)
        gv_checks_author(checks, world->nodes[i].certificate, GV_CERTIFICATE_LEN);
}

void gv_checks_free(struct gv_checks *checks)
{
    gv_table_free(&checks->numbers);
    gv_table_free_all(&checks->records);
    gv_table_free_all(&checks->authors);
    free(checks->first_reporter);
    free(checks->published_ms);
    free(checks->untrusted);
    free(checks->told);
    free(checks->safe_sequence);
    free(checks->disk_sequence);
    free(checks->delays_ms);
    free(checks->expected);
    free(checks->held);
    free(checks->left_out);
    free((void *)checks->retractions);
    for (size_t i = 0; i < checks->world->members; i++)
        free(checks->promises[i].rows);
    free(checks->promises);
}

/* ---- what a node holds ----------------------------------------------------------------------- */

struct sum {
    uint8_t bytes[GV_ID_LEN];
    uint64_t count;
};

static void add_id(struct sum *sum, const uint8_t id[GV_ID_LEN])
{
    unsigned carry = 0;

    for (size_t i = 0; i < GV_ID_LEN; i++) { /* little-endian (SPEC 9.5) */
        carry += (unsigned)sum->bytes[i] + id[i];
        sum->bytes[i] = (uint8_t)carry;
        carry >>= 8;
    }
    sum->count++;
}

static bool is_sum(const struct sum *sum, const uint8_t fingerprint[GV_ID_LEN])
{
    uint8_t message[GV_ID_LEN + 8], id[GV_ID_LEN];

    memcpy(message, sum->bytes, GV_ID_LEN);
    for (size_t i = 0; i < 8; i++)
        message[GV_ID_LEN + i] = (uint8_t)(sum->count >> (56 - 8 * i));
    gv_hash_id(id, "grapevine fingerprint 1", message, sizeof message);
    return memcmp(id, fingerprint, GV_ID_LEN) == 0;
}

static void hold(struct gv_checks *checks, const struct gv_known_record *known)
{
    if (checks->held_count == checks->held_cap) {
        checks->held_cap = checks->held_cap ? 2 * checks->held_cap : 256;
        checks->held = realloc(checks->held, checks->held_cap * sizeof *checks->held);
        gv_assert(checks->held);
    }
    checks->held[checks->held_count++] = known;
}

/* The statements on a node's disk, which are those in its memory, or something was lost. */
static void gather(struct gv_checks *checks, size_t node, const struct gv_core_status *status)
{
    const struct gv_disk *disk = &checks->world->nodes[node].disk;
    struct sum public = {{0}, 0}, kept = {{0}, 0};
    const struct gv_disk_row *row;
    size_t cursor = 0;

    checks->held_count = 0;
    while ((row = gv_table_next(&disk->rows, &cursor))) {
        if (row->row != GV_ROW_RECORD || (row->value[0] & 0x7f) > 2)
            continue;
        const struct gv_known_record *known = gv_checks_record(checks, row->key);
        if (!known) {
            gv_violation(checks, "holds what nobody made", node, row->value[0]);
            continue;
        }
        if (gv_checks_left_out(checks, node, known))
            continue;
        add_id(row->value[0] & GV_RECORD_KEPT ? &kept : &public, row->key);
        hold(checks, known);
    }
    if (!is_sum(&public, status->set_fingerprint) || !is_sum(&kept, status->kept_fingerprint))
        gv_violation(checks, "holds other statements in memory than on disk", node,
                     status->statements);
}

static int compare_quota(const void *a, const void *b)
{
    const struct gv_known_record *x = *(const struct gv_known_record *const *)a;
    const struct gv_known_record *y = *(const struct gv_known_record *const *)b;
    uint32_t hour_x = x->said.last_min / 60, hour_y = y->said.last_min / 60;

    if (x->author->node != y->author->node)
        return x->author->node < y->author->node ? -1 : 1;
    if (hour_x != hour_y)
        return hour_x < hour_y ? -1 : 1;
    if (x->said.kind != y->said.kind)
        return x->said.kind < y->said.kind ? -1 : 1;
    return memcmp(x->author->papers.key, y->author->papers.key, GV_KEY_LEN);
}

static void check_quotas(struct gv_checks *checks, size_t node)
{
    size_t run = 0;

    if (checks->held_count > 0)
        qsort(checks->held, checks->held_count, sizeof *checks->held, compare_quota);
    for (size_t i = 0; i < checks->held_count; i++) {
        run = i > 0 && compare_quota(&checks->held[i - 1], &checks->held[i]) == 0 ? run + 1 : 1;
        if (run == STATEMENTS_PER_HOUR + 1)
            gv_violation(checks, "holds more of an instance than its hour's quota", node,
                         checks->held[i]->author->node);
    }
}

static void check_ages(struct gv_checks *checks, size_t node)
{
    const struct gv_world *world = checks->world;
    uint32_t now_min = (uint32_t)(gv_world_unix_ms(world, node) / GV_MINUTE_MS);

    for (size_t i = 0; i < checks->held_count; i++)
        if ((uint64_t)checks->held[i]->said.last_min + world->descriptor.policy.alive_min < now_min)
            gv_violation(checks, "holds an expired statement", node, checks->held[i]->author->node);
}

static void check_memory(struct gv_checks *checks, size_t node, const struct gv_core_status *status)
{
    const struct gv_sim_node *host = &checks->world->nodes[node];
    uint64_t cap = CORE_BYTES + (uint64_t)(status->statements + status->kept) * RECORD_BYTES +
                   (uint64_t)status->instances * INSTANCE_BYTES +
                   (uint64_t)status->local_subjects * LOCAL_BYTES +
                   (uint64_t)status->links * LINK_BYTES;

    if (host->bytes_held > checks->most_bytes_held)
        checks->most_bytes_held = host->bytes_held;
    if (host->bytes_held > (int64_t)cap)
        gv_violation(checks, "holds more memory than its rows account for", node,
                     (uint64_t)host->bytes_held);
}

/* The law of SPEC 11, at one remove: computed once per set and minute, then compared with every
 * core that holds this set. */
static void check_node(struct gv_checks *checks, size_t node)
{
    uint32_t now_min = (uint32_t)(gv_world_unix_ms(checks->world, node) / GV_MINUTE_MS);
    struct gv_core_status status;
    uint8_t key[sizeof checks->expected_key];

    gv_core_status(checks->world->nodes[node].core, &status);
    gather(checks, node, &status);
    check_ages(checks, node);
    gv_check_outcasts(checks, node);
    memcpy(key, status.set_fingerprint, GV_ID_LEN);
    memcpy(key + GV_ID_LEN, status.roster_fingerprint, GV_ID_LEN);
    memcpy(key + 2 * (size_t)GV_ID_LEN, status.kept_fingerprint, GV_ID_LEN);
    memcpy(key + 3 * (size_t)GV_ID_LEN, &now_min, 4);
    if (!checks->has_expected || memcmp(key, checks->expected_key, sizeof key) != 0) {
        check_quotas(checks, node);
        gv_check_expect(checks, now_min);
        memcpy(checks->expected_key, key, sizeof key);
        checks->has_expected = true;
    }
    gv_check_verdicts(checks, node);
    check_memory(checks, node, &status);
}

void gv_check_safety(struct gv_checks *checks)
{
    for (size_t node = 0; node < checks->world->options.nodes; node++)
        if (checks->world->nodes[node].core && !checks->world->nodes[node].busy)
            check_node(checks, node);
}
