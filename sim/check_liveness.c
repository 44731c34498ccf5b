#include "sim/check.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/wire/record.h"

#define SETTLED_MS 30000u
#define TOLD_MOST  10 /* newly, of a subject a day (SPEC 9.10) */

static uint32_t world_minute(const struct gv_world *world)
{
    return (uint32_t)((world->start_unix_ms + world->now_ms) / GV_MINUTE_MS);
}

/* What lies so far ahead that a right clock does not take it yet may be forgotten again. */
static bool is_timely(const struct gv_world *world, const struct gv_known_record *known)
{
    return known->said.last_min <= world_minute(world) + GV_AHEAD_MIN - 1 &&
           (uint64_t)known->said.last_min + world->descriptor.policy.alive_min >
               world_minute(world) + 1;
}

void gv_check_healed(struct gv_checks *checks)
{
    const struct gv_world *world = checks->world;

    for (size_t node = 0; node < world->options.nodes; node++) {
        const struct gv_disk_row *row;
        size_t cursor = 0;
        if (gv_world_is_outcast(world, node)) /* what only he holds stays with him */
            continue;
        while ((row = gv_table_next(&world->nodes[node].disk.rows, &cursor))) {
            struct gv_known_record *known =
                row->row == GV_ROW_RECORD ? gv_checks_record(checks, row->key) : NULL;
            if (known && !(row->value[0] & GV_RECORD_KEPT) && !known->author->liar &&
                is_timely(world, known) && !gv_checks_is_void(checks, known) &&
                !gv_checks_left_out(checks, node, known))
                known->wanted = true;
        }
    }
}

static bool is_public_on(const struct gv_disk *disk, const struct gv_known_record *known)
{
    const struct gv_disk_row *row = gv_disk_find(disk, GV_ROW_RECORD, known->said.id, GV_ID_LEN);

    return row && !(row->value[0] & GV_RECORD_KEPT);
}

/* Nothing that an honest node said, and that was public anywhere when all was healed, is missing.
 */
static void check_complete(struct gv_checks *checks, size_t node)
{
    const struct gv_disk *disk = &checks->world->nodes[node].disk;
    struct gv_known_record *known;
    size_t cursor = 0;

    while ((known = gv_table_next(&checks->records, &cursor)))
        if (known->wanted && is_timely(checks->world, known) && !gv_checks_is_void(checks, known) &&
            !is_public_on(disk, known))
            gv_violation(checks, "never got what another held when all was healed", node,
                         known->author->node);
}

static int compare_instances(const void *a, const void *b)
{
    return memcmp(a, b, GV_ID_LEN);
}

struct crowd {
    uint8_t sum[GV_ID_LEN];
    size_t count;
};

static void join(struct crowd *crowd, const uint8_t id[GV_ID_LEN])
{
    for (size_t i = 0; i < GV_ID_LEN; i++)
        crowd->sum[i] ^= id[i];
    crowd->count++;
}

/* Whether it knows all present instances, and those that are away, and no others: mostly so, and
 * looked at in one walk. */
static bool knows_just_everybody(const struct gv_world *world, size_t node)
{
    struct crowd known = {{0}, 0}, present = {{0}, 0};
    struct gv_instance_info info;
    size_t cursor = 0;

    while (gv_core_next_instance(world->nodes[node].core, &cursor, &info))
        join(&known, info.instance);
    for (size_t other = 0; other < world->options.nodes; other++)
        if (world->nodes[other].away || !gv_world_is_outcast(world, other))
            join(&present, world->nodes[other].identity.id);
    return known.count == present.count && memcmp(known.sum, present.sum, GV_ID_LEN) == 0;
}

/* Everybody's present instance is in everybody's roster. */
static void check_roster(struct gv_checks *checks, size_t node)
{
    const struct gv_world *world = checks->world;
    struct gv_core_status status;

    if (knows_just_everybody(world, node))
        return;

    gv_core_status(world->nodes[node].core, &status);
    uint8_t(*known)[GV_ID_LEN] = malloc((status.instances + 1) * sizeof *known);
    struct gv_instance_info info;
    size_t cursor = 0, count = 0;
    gv_assert(known);
    while (count < status.instances &&
           gv_core_next_instance(world->nodes[node].core, &cursor, &info))
        memcpy(known[count++], info.instance, GV_ID_LEN);
    qsort(known, count, sizeof *known, compare_instances);
    for (size_t other = 0; other < world->options.nodes; other++)
        if (!gv_world_is_outcast(world, other) && !bsearch(world->nodes[other].identity.id, known,
                                                           count, sizeof *known, compare_instances))
            gv_violation(checks, "does not know everybody", node, other);
    free(known);
}

/* The sum of the ids of what this node holds and what has been public for a while: news is always
 * under way in a mesh. */
static void sum_settled(const struct gv_checks *checks, size_t node, uint8_t sum[GV_ID_LEN])
{
    const struct gv_disk *disk = &checks->world->nodes[node].disk;
    const struct gv_disk_row *row;
    size_t cursor = 0;

    memset(sum, 0, GV_ID_LEN);
    while ((row = gv_table_next(&disk->rows, &cursor))) {
        const struct gv_known_record *known =
            row->row == GV_ROW_RECORD && !(row->value[0] & GV_RECORD_KEPT)
                ? gv_checks_record(checks, row->key)
                : NULL;
        if (!known || known->public_ms + SETTLED_MS > checks->world->now_ms)
            continue;
        for (size_t i = 0; i < GV_ID_LEN; i++)
            sum[i] ^= row->key[i];
    }
}

static void check_node(struct gv_checks *checks, size_t node, const struct gv_core_status *first)
{
    uint8_t mine[GV_ID_LEN], firsts[GV_ID_LEN];

    struct gv_core_status status;

    gv_core_status(checks->world->nodes[node].core, &status);
    if (status.peers == 0)
        gv_violation(checks, "has no peer", node, 0);
    check_roster(checks, node);
    sum_settled(checks, node, mine);
    if (memcmp(status.set_fingerprint, first->set_fingerprint, GV_ID_LEN) != 0 &&
        (sum_settled(checks, checks->reference, firsts), memcmp(mine, firsts, GV_ID_LEN) != 0))
        gv_violation(checks, "holds other statements than the first node", node, status.statements);
    if (memcmp(status.roster_fingerprint, first->roster_fingerprint, GV_ID_LEN) != 0)
        gv_violation(checks, "holds another roster than the first node", node, status.instances);
    check_complete(checks, node);
    gv_check_heard(checks, node);
}

/* Seven keepers; where nobody was down, nobody stood in for more than a moment. */
static void check_told(struct gv_checks *checks)
{
    const struct gv_world *world = checks->world;
    double mean;
    size_t most;

    gv_checks_told(checks, &mean, &most);
    if (!world->options.public_only && world->options.nodes > GV_KEEPERS_RANKED && most > TOLD_MOST)
        gv_violation(checks, "too many were told of an address that one owner reported", 0, most);
}

void gv_check_liveness(struct gv_checks *checks)
{
    const struct gv_world *world = checks->world;
    bool faultless = !gv_faults_any(&world->options.faults);
    struct gv_core_status first;
    size_t in = 0;

    while (in < world->options.nodes && gv_world_is_outcast(world, in))
        in++;
    if (in < world->options.nodes)
        gv_core_status(world->nodes[in].core, &first);
    checks->reference = in;
    for (size_t node = 0; node < world->options.nodes; node++) {
        if (!gv_world_is_outcast(world, node))
            check_node(checks, node, &first);
        gv_check_traffic(checks, node);
    }
    if (faultless && world->options.known)
        check_told(checks);
    /* One that is told over a session ends it, unless that breaks before, or the quota of him in
     * whose name it is told is full. */
    if (world->counts.grave_lies > 10 && world->counts.cut_off_grave == 0)
        gv_violation(checks, "no forger was ever cut off", 0, world->counts.grave_lies);
    for (size_t attacker = 0; faultless && attacker < checks->attackers; attacker++)
        for (size_t node = 0; checks->published_ms[attacker] && node < world->options.nodes; node++)
            if (!gv_world_is_outcast(world, node) &&
                !checks->untrusted[attacker * world->options.nodes + node])
                gv_violation(checks, "never called untrusted whom two owners reported", node,
                             attacker);
}

void gv_check_probe(struct gv_checks *checks, uint32_t attacker)
{
    const struct gv_world *world = checks->world;
    struct gv_subject subject = gv_world_subject(attacker);

    for (size_t node = 0; node < world->options.nodes; node++) {
        struct gv_verdict verdict;
        if (gv_world_is_outcast(world, node))
            continue;
        gv_core_verdict(world->nodes[node].core, &verdict, &subject);
        if (verdict.state != GV_VERDICT_UNTRUSTED)
            gv_violation(checks, "has not heard, in a calm, what two owners said", node, attacker);
    }
}

void gv_checks_told(const struct gv_checks *checks, double *mean, size_t *most)
{
    size_t nodes = checks->world->options.nodes, singles = 0, sum = 0;

    *most = 0;
    for (size_t attacker = 0; attacker < checks->attackers; attacker++) {
        size_t told = 0;
        if (checks->first_reporter[attacker] == 0 || checks->published_ms[attacker] != 0)
            continue;
        for (size_t node = 0; node < nodes; node++)
            told += checks->told[attacker * nodes + node] &&
                    node + 1 != checks->first_reporter[attacker];
        singles++;
        sum += told;
        *most = told > *most ? told : *most;
    }
    *mean = singles ? (double)sum / (double)singles : 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

double gv_checks_delay(struct gv_checks *checks, double share)
{
    if (checks->delay_count == 0)
        return 0;
    qsort(checks->delays_ms, checks->delay_count, sizeof *checks->delays_ms, compare);
    size_t at = (size_t)(share * (double)(checks->delay_count - 1) + 0.5);
    return (double)checks->delays_ms[at] / 1000;
}
