#include "sim/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

static const uint8_t no_secret[16];

static bool is_id(const void *item, const void *id)
{
    return memcmp(item, id, GV_ID_LEN) == 0;
}

void gv_violation(struct gv_checks *checks, const char *what, size_t node, uint64_t number)
{
    if (checks->violations++ < 20)
        fprintf(stderr, "violation at %.3f s: %s (node %zu, %" PRIu64 ")\n",
                (double)checks->world->now_ms / 1000, what, node, number);
}

static uint32_t attacker_of(const struct gv_subject *subject)
{
    uint32_t number = 0;

    for (size_t i = 0; i < 4; i++)
        number = number << 8 | subject->bytes[i];
    return number - 0x40000000u;
}

/* A node made a signal: remembered, because whatever any node ever holds must be one of these. */
static void note_signal(struct gv_checks *checks, size_t node, const struct gv_effect *note)
{
    uint32_t attacker = attacker_of(&note->subject);
    uint64_t hash = gv_siphash(no_secret, note->id, GV_ID_LEN);
    uint8_t *id = malloc(GV_ID_LEN);

    gv_assert(id);
    memcpy(id, note->id, GV_ID_LEN);
    if (gv_table_find(&checks->issued, hash, is_id, id))
        gv_violation(checks, "the same record was made twice", node, attacker);
    gv_assert(gv_table_insert(&checks->issued, hash, id) == GV_OK);
    if (note->note != GV_NOTE_SIGNALLED || attacker >= checks->attackers)
        return;
    /* Each node is an owner of its own here. */
    if (checks->first_reporter[attacker] == 0)
        checks->first_reporter[attacker] = (uint32_t)node + 1;
    else if (checks->first_reporter[attacker] != node + 1 && checks->published_ms[attacker] == 0)
        checks->published_ms[attacker] = checks->world->now_ms;
}

static void note_verdict(struct gv_checks *checks, size_t node, const struct gv_effect *note)
{
    uint32_t attacker = attacker_of(&note->subject);

    if (note->to != GV_VERDICT_UNTRUSTED || attacker >= checks->attackers)
        return;
    if (checks->published_ms[attacker] == 0) {
        gv_violation(checks, "untrusted before two owners said so", node, attacker);
        return;
    }
    if (checks->untrusted[attacker * checks->world->options.nodes + node])
        return; /* said before, lapsed, said again: no new delay */
    checks->untrusted[attacker * checks->world->options.nodes + node] = 1;
    if (checks->delay_count == checks->delay_cap) {
        checks->delay_cap = checks->delay_cap ? 2 * checks->delay_cap : 1024;
        checks->delays_ms =
            realloc(checks->delays_ms, checks->delay_cap * sizeof *checks->delays_ms);
        gv_assert(checks->delays_ms);
    }
    checks->delays_ms[checks->delay_count++] =
        checks->world->now_ms - checks->published_ms[attacker];
}

static void on_note(void *context, size_t node, const struct gv_effect *note)
{
    struct gv_checks *checks = context;

    switch (note->note) {
    case GV_NOTE_SIGNALLED:
    case GV_NOTE_RETRACTED:
        note_signal(checks, node, note);
        break;
    case GV_NOTE_VERDICT:
        note_verdict(checks, node, note);
        break;
    case GV_NOTE_PEER_REFUSED:
        gv_violation(checks, "an honest node cut off an honest node", node,
                     (uint64_t)-note->error);
        break;
    case GV_NOTE_FAULT:
        gv_violation(checks, "an honest node contradicted itself", node, 0);
        break;
    default:
        break;
    }
}

void gv_checks_init(struct gv_checks *checks, struct gv_world *world, size_t attackers)
{
    memset(checks, 0, sizeof *checks);
    checks->world = world;
    checks->attackers = attackers;
    checks->first_reporter = calloc(attackers + 1, sizeof *checks->first_reporter);
    checks->published_ms = calloc(attackers + 1, sizeof *checks->published_ms);
    checks->untrusted = calloc((attackers + 1) * world->options.nodes, 1);
    gv_assert(checks->first_reporter && checks->published_ms && checks->untrusted);
    world->on_note = on_note;
    world->note_context = checks;
}

void gv_checks_free(struct gv_checks *checks)
{
    size_t cursor = 0;
    void *id;

    while ((id = gv_table_next(&checks->issued, &cursor)))
        free(id);
    gv_table_free(&checks->issued);
    free(checks->first_reporter);
    free(checks->published_ms);
    free(checks->untrusted);
    free(checks->delays_ms);
}

static void check_statements(struct gv_checks *checks, size_t node)
{
    const struct gv_core *core = checks->world->nodes[node].core;
    struct gv_subject subject;
    struct gv_verdict verdict;
    struct gv_core_status status;
    size_t cursor = 0, untrusted = 0;

    while (gv_core_next_subject(core, &cursor, &subject)) {
        gv_core_verdict(core, &verdict, &subject);
        untrusted += verdict.state == GV_VERDICT_UNTRUSTED;
        for (uint32_t i = 0; i < verdict.vote_count; i++) {
            const uint8_t *id = verdict.votes[i].signal;
            if (!gv_table_find(&checks->issued, gv_siphash(no_secret, id, GV_ID_LEN), is_id, id))
                gv_violation(checks, "holds a vote that nobody signed", node,
                             attacker_of(&subject));
        }
    }
    /* What is remembered from the last judgement feeds one-strike: it must not go stale. */
    gv_core_status(core, &status);
    if (status.untrusted != untrusted)
        gv_violation(checks, "remembers another number of untrusted subjects", node, untrusted);
}

/* The law of SPEC 11: the same set, the same verdict, bit for bit. */
static void check_agreement(struct gv_checks *checks, size_t node, size_t other)
{
    const struct gv_core *a = checks->world->nodes[node].core;
    const struct gv_core *b = checks->world->nodes[other].core;
    struct gv_core_status x, y;
    struct gv_subject subject;
    struct gv_verdict here, there;
    size_t cursor = 0;

    gv_core_status(a, &x);
    gv_core_status(b, &y);
    if (memcmp(x.set_fingerprint, y.set_fingerprint, GV_ID_LEN) != 0 ||
        memcmp(x.roster_fingerprint, y.roster_fingerprint, GV_ID_LEN) != 0)
        return;
    /* Near the turn of a minute two clocks may stand at two minutes. */
    if (gv_world_unix_ms(checks->world, node) / 60000 !=
        gv_world_unix_ms(checks->world, other) / 60000)
        return;
    while (gv_core_next_subject(a, &cursor, &subject)) {
        gv_core_verdict(a, &here, &subject);
        gv_core_verdict(b, &there, &subject);
        if (here.state != there.state || here.weight != there.weight ||
            here.since_min != there.since_min || here.until_min != there.until_min ||
            here.vote_count != there.vote_count ||
            (here.vote_count > 0 &&
             memcmp(here.votes, there.votes, here.vote_count * sizeof *here.votes) != 0))
            gv_violation(checks, "the same set, another verdict", node, attacker_of(&subject));
    }
}

void gv_check_safety(struct gv_checks *checks)
{
    size_t last = SIZE_MAX;

    for (size_t node = 0; node < checks->world->options.nodes; node++) {
        if (!checks->world->nodes[node].core)
            continue;
        check_statements(checks, node);
        if (last != SIZE_MAX)
            check_agreement(checks, node, last);
        last = node;
    }
}
