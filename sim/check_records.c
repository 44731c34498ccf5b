/* What cores take, say, and bring to safety. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/wire/record.h"
#include "sim/check.h"

static const uint8_t no_secret[16];

static uint64_t hash_id(const uint8_t id[GV_ID_LEN])
{
    return gv_siphash(no_secret, id, GV_ID_LEN);
}

static bool is_author(const void *item, const void *id)
{
    return memcmp(((const struct gv_known_author *)item)->papers.id, id, GV_ID_LEN) == 0;
}

static bool is_record(const void *item, const void *id)
{
    return memcmp(((const struct gv_known_record *)item)->said.id, id, GV_ID_LEN) == 0;
}

/* One instance, one number. */
static bool is_number(const void *item, const void *other)
{
    const struct gv_known_record *a = item, *b = other;

    return a->said.sequence == b->said.sequence &&
           memcmp(a->author->papers.key, b->author->papers.key, GV_KEY_LEN) == 0;
}

static uint64_t hash_number(const struct gv_known_record *record)
{
    uint8_t key[GV_KEY_LEN + 8];

    memcpy(key, record->author->papers.key, GV_KEY_LEN);
    memcpy(key + GV_KEY_LEN, &record->said.sequence, 8);
    return gv_siphash(no_secret, key, sizeof key);
}

struct gv_known_record *gv_checks_record(const struct gv_checks *checks,
                                         const uint8_t id[GV_ID_LEN])
{
    return gv_table_find(&checks->records, hash_id(id), is_record, id);
}

/* ---- certificates --------------------------------------------------------------------------- */

static bool certified(const struct gv_checks *checks, const uint8_t *wire)
{
    return gv_record_signed(checks->world->descriptor.keys[0].key, "grapevine certificate 1",
                            checks->world->descriptor.network_id, wire, 88, wire + 88);
}

const struct gv_known_author *gv_checks_author(struct gv_checks *checks, const uint8_t *wire,
                                               size_t len)
{
    const struct gv_world *world = checks->world;
    struct gv_papers papers;
    struct gv_known_author *author;
    size_t node = 0;

    if (!gv_papers_read(&papers, wire, len) || !certified(checks, wire))
        return NULL;
    author = gv_table_find(&checks->authors, hash_id(papers.id), is_author, papers.id);
    if (author)
        return author;
    while (node < world->members &&
           memcmp(world->nodes[node].identity.sign_public, papers.key, GV_KEY_LEN) != 0)
        node++;
    if (node == world->members)
        return NULL;
    author = malloc(sizeof *author);
    gv_assert(author);
    *author = (struct gv_known_author){papers, node, world->nodes[node].liar != NULL};
    gv_assert(gv_table_insert(&checks->authors, hash_id(papers.id), author) == GV_OK);
    return author;
}

/* ---- what a core left on its disk ------------------------------------------------------------ */

static size_t find_left_out(const struct gv_checks *checks, size_t node,
                            const struct gv_known_record *record)
{
    size_t i = 0;

    while (i < checks->left_out_count &&
           (checks->left_out[i].node != node || checks->left_out[i].record != record))
        i++;
    return i;
}

bool gv_checks_left_out(const struct gv_checks *checks, size_t node,
                        const struct gv_known_record *record)
{
    return find_left_out(checks, node, record) < checks->left_out_count;
}

static void take_in(struct gv_checks *checks, size_t index)
{
    if (index < checks->left_out_count)
        checks->left_out[index] = checks->left_out[--checks->left_out_count];
}

static void leave_out(struct gv_checks *checks, size_t node, const struct gv_known_record *record)
{
    if (checks->left_out_count == checks->left_out_cap) {
        checks->left_out_cap = checks->left_out_cap ? 2 * checks->left_out_cap : 16;
        checks->left_out =
            realloc(checks->left_out, checks->left_out_cap * sizeof *checks->left_out);
        gv_assert(checks->left_out);
    }
    checks->left_out[checks->left_out_count++] = (struct gv_left_out){node, record};
}

static void note_left_out(struct gv_checks *checks, size_t node)
{
    uint32_t now_min = (uint32_t)(gv_world_unix_ms(checks->world, node) / GV_MINUTE_MS);
    const struct gv_disk_row *row;
    size_t cursor = 0;

    for (size_t i = checks->left_out_count; i > 0; i--)
        if (checks->left_out[i - 1].node == node)
            take_in(checks, i - 1);
    while ((row = gv_table_next(&checks->world->nodes[node].disk.rows, &cursor))) {
        const struct gv_known_record *known =
            row->row == GV_ROW_RECORD ? gv_checks_record(checks, row->key) : NULL;
        if (known && known->said.last_min > now_min + GV_AHEAD_MIN)
            leave_out(checks, node, known);
    }
}

/* ---- statements ----------------------------------------------------------------------------- */

static bool is_signed(const struct gv_checks *checks, const struct gv_known_author *author,
                      const uint8_t *record, size_t len)
{
    const size_t head = 1 + GV_SIGNATURE_LEN;

    return gv_record_signed(
        author->papers.key, record[0] == 1 ? "grapevine signal 1" : "grapevine retract 1",
        checks->world->descriptor.network_id, record + head, len - head, record + 1);
}

static void remember_retraction(struct gv_checks *checks, const struct gv_known_record *known)
{
    if (checks->retraction_count == checks->retraction_cap) {
        checks->retraction_cap = checks->retraction_cap ? 2 * checks->retraction_cap : 16;
        checks->retractions = realloc((void *)checks->retractions,
                                      checks->retraction_cap * sizeof *checks->retractions);
        gv_assert(checks->retractions);
    }
    checks->retractions[checks->retraction_count++] = known;
}

/* Enters it if it is new. An author that uses a number twice is seen here. */
static struct gv_known_record *enter(struct gv_checks *checks, const struct gv_said *said,
                                     const struct gv_known_author *author, const uint8_t *record)
{
    const struct gv_world *world = checks->world;
    struct gv_known_record *known = calloc(1, sizeof *known);

    gv_assert(known);
    known->said = *said;
    known->author = author;
    memcpy(known->signature, record + 1, GV_SIGNATURE_LEN);
    known->standing = gv_check_standing(&world->descriptor.policy, world->descriptor.genesis_min,
                                        author->papers.since_min, said->last_min);
    if (said->kind == GV_RECORD_RETRACT)
        remember_retraction(checks, known);
    if (!author->liar &&
        gv_table_find(&checks->numbers, hash_number(known), is_number, known) != NULL)
        gv_violation(checks, "used a sequence number twice", author->node, said->sequence);
    gv_assert(gv_table_insert(&checks->records, hash_id(said->id), known) == GV_OK);
    gv_assert(gv_table_insert(&checks->numbers, hash_number(known), known) == GV_OK);
    return known;
}

static void check_accepted(struct gv_checks *checks, size_t node,
                           const struct gv_known_record *known)
{
    const struct gv_world *world = checks->world;
    const struct gv_said *said = &known->said;
    uint32_t now_min = (uint32_t)(gv_world_unix_ms(world, node) / GV_MINUTE_MS);

    if (said->last_min > now_min + 10)
        gv_violation(checks, "took a statement from the future", node, known->author->node);
    if ((uint64_t)said->last_min + world->descriptor.policy.alive_min < now_min)
        gv_violation(checks, "took an expired statement", node, known->author->node);
    if (said->subject.family != GV_FAMILY_IPV4 || said->subject.bytes[0] == 10)
        gv_violation(checks, "took a statement on a private address", node, known->author->node);
    if (known->author->node != node && !known->author->liar &&
        said->sequence > checks->safe_sequence[known->author->node])
        gv_violation(checks, "took what was not yet safe on its author's own disk", node,
                     known->author->node);
    gv_check_author(checks, node, known);
}

static void take_statement(struct gv_checks *checks, size_t node, const uint8_t *record, size_t len,
                           bool public)
{
    struct gv_said said;
    struct gv_known_record *known;
    const struct gv_known_author *author;

    if (!gv_said_read(&said, record, len)) {
        gv_violation(checks, "took a statement that cannot be read", node, len);
        return;
    }
    author =
        gv_table_find(&checks->authors, hash_id(said.certificate), is_author, said.certificate);
    if (!author) {
        gv_violation(checks, "took the word of somebody without a certificate", node, len);
        return;
    }
    known = gv_checks_record(checks, said.id);
    if ((!known || memcmp(known->signature, record + 1, GV_SIGNATURE_LEN) != 0) &&
        !is_signed(checks, author, record, len)) {
        gv_violation(checks, "took a forged statement", node, author->node);
        return;
    }
    if (!known)
        known = enter(checks, &said, author, record);
    check_accepted(checks, node, known);
    if (public && known->public_ms == 0)
        known->public_ms = checks->world->now_ms + 1;
    if (gv_world_subject_number(&said.subject) < checks->attackers &&
        node < checks->world->options.nodes)
        checks->told[gv_world_subject_number(&said.subject) * checks->world->options.nodes + node] =
            1;
    take_in(checks, find_left_out(checks, node, known));
}

/* Only who did contradict himself may be blamed: none of the honest does. */
static void take_fault(struct gv_checks *checks, size_t node, const uint8_t *record, size_t len)
{
    const uint8_t *wires[2];
    size_t lens[2];
    const struct gv_known_author *authors[2] = {NULL, NULL};

    if (!gv_fault_read(record, len, wires, lens)) {
        gv_violation(checks, "took a proof that cannot be read", node, len);
        return;
    }
    for (int i = 0; i < 2; i++) {
        uint8_t copy[1 + 256] = {1};
        struct gv_said said;
        if (lens[i] > 256 || lens[i] <= GV_SIGNATURE_LEN + 1)
            continue;
        memcpy(copy + 1, wires[i], lens[i]);
        copy[0] = wires[i][GV_SIGNATURE_LEN] == 0x99 ? 1 : 2;
        if (gv_said_read(&said, copy, 1 + lens[i]))
            authors[i] = gv_table_find(&checks->authors, hash_id(said.certificate), is_author,
                                       said.certificate);
        if (authors[i] && !is_signed(checks, authors[i], copy, 1 + lens[i]))
            authors[i] = NULL;
    }
    if (!authors[0] || !authors[1] || authors[0]->node != authors[1]->node)
        gv_violation(checks, "took a false proof", node, len);
    else if (!authors[0]->liar)
        gv_violation(checks, "blames an honest node", node, authors[0]->node);
}

/* The row of one that is not public says so in its first byte. */
static void take_kept(struct gv_checks *checks, size_t node, const uint8_t *record, size_t len)
{
    uint8_t copy[256];

    if (len > sizeof copy || (record[0] & 0x7f) > GV_RECORD_RETRACT) {
        gv_violation(checks, "keeps what nobody whispers", node, len);
        return;
    }
    memcpy(copy, record, len);
    copy[0] &= 0x7f;
    take_statement(checks, node, copy, len, false);
}

static void take_record(struct gv_checks *checks, size_t node, const uint8_t *record, size_t len)
{
    switch (len > 1 ? record[0] : 0) {
    case GV_RECORD_SIGNAL:
    case GV_RECORD_RETRACT:
        take_statement(checks, node, record, len, true);
        break;
    case GV_RECORD_SIGNAL | GV_RECORD_KEPT:
    case GV_RECORD_RETRACT | GV_RECORD_KEPT:
        take_kept(checks, node, record, len);
        break;
    case GV_RECORD_FAULT:
        take_fault(checks, node, record, len);
        break;
    case GV_RECORD_REVOCATION:
        gv_check_revocation(checks, node, record, len);
        break;
    case GV_RECORD_CERTIFICATE:
        if (!gv_checks_author(checks, record + 1, len - 1))
            gv_violation(checks, "took a certificate that the registry never issued", node, len);
        break;
    case GV_RECORD_ADDRESS:
        break; /* judged by what becomes of it: everybody has peers */
    default:
        gv_violation(checks, "took a record that nobody made", node, record[0]);
    }
}

/* ---- effects -------------------------------------------------------------------------------- */

void gv_check_effect(struct gv_checks *checks, size_t node, const struct gv_effects *effects,
                     const struct gv_effect *effect, bool done)
{
    const uint8_t *data = gv_effect_data(effects, effect);
    uint64_t sequence = 0;

    if (done && effect->kind == GV_EFFECT_FORGET && effect->row == GV_ROW_RECORD)
        gv_check_forgotten(checks, node, gv_effect_key(effects, effect));
    if (effect->kind != GV_EFFECT_PERSIST)
        return;
    if (!done && effect->row == GV_ROW_RECORD)
        take_record(checks, node, data, effect->data_len);
    /* Of the rows about itself, the one with its number has the key 1. */
    if (!done || effect->row != GV_ROW_SELF || effect->key_len != 1 ||
        gv_effect_key(effects, effect)[0] != 1)
        return;
    for (size_t i = 0; i < effect->data_len && i < 8; i++)
        sequence = sequence << 8 | data[i];
    if (sequence < checks->disk_sequence[node])
        gv_violation(checks, "went back behind a number that is on its disk", node, sequence);
    if (sequence > checks->safe_sequence[node])
        checks->safe_sequence[node] = sequence;
    checks->disk_sequence[node] = sequence;
}

void gv_check_start(struct gv_checks *checks, size_t node)
{
    const struct gv_sim_node *host = &checks->world->nodes[node];
    static const uint8_t self = 1;
    const struct gv_disk_row *row = gv_disk_find(&host->disk, GV_ROW_SELF, &self, 1);
    uint64_t sequence = 0;

    gv_checks_author(checks, host->certificate, GV_CERTIFICATE_LEN);
    note_left_out(checks, node);
    if (host->disk.rows.count == 0) { /* a new disk promised nothing */
        checks->disk_sequence[node] = 0;
        checks->promises[node].count = 0;
        return;
    }
    gv_check_kept(checks, node);
    for (size_t i = 0; row && i < row->value_len && i < 8; i++)
        sequence = sequence << 8 | row->value[i];
    if (sequence < checks->disk_sequence[node])
        gv_violation(checks, "came back without a number that was safe on its disk", node,
                     checks->disk_sequence[node]);
}
