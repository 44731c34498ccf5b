#include "sim/workload.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

#define VISIT_SPREAD_MS 600000u /* one campaign's victims within ten minutes */

static int compare_visits(const void *a, const void *b)
{
    const struct gv_visit *x = a, *y = b;

    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    if (x->attacker != y->attacker)
        return x->attacker < y->attacker ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* How many nodes this attacker visits: a heavy tail for the fifth that visits more than one, Pareto
 * with exponent 1.1 from 2 up to a third of all. In integers, the same on every machine: from 2 to
 * 3, 4, 6, 8, 12 and so on, each with its conditional chance, and evenly within the last step. */
static uint32_t draw_victims(struct gv_drbg *drbg, size_t nodes)
{
    static const uint64_t chances[2] = {41943, 47756}; /* 65536 times (2/3)^1.1, (3/4)^1.1 */
    uint32_t most = (uint32_t)(nodes / 3 > 2 ? nodes / 3 : 2), low = 2, high = 3;

    if (gv_drbg_below(drbg, 5) != 0)
        return 1;
    for (unsigned step = 0; low < most && gv_drbg_below(drbg, 65536) < chances[step % 2]; step++) {
        uint32_t next = 2 * low;
        low = high;
        high = next;
    }
    uint32_t victims = most > 2 ? low + (uint32_t)gv_drbg_below(drbg, high - low) : 2;
    return victims < most ? victims : most;
}

/* Ten minutes from `start` on, this attacker visits so many nodes, neighbours of each other. What
 * would come after the last moment comes as much after the first one: no moment has more of them
 * than another, least of all the last, behind which everything is to have arrived. */
static void add_visits(struct gv_workload *out, struct gv_drbg *drbg, size_t nodes,
                       uint32_t victims, uint64_t start_ms, uint64_t first_ms, uint64_t last_ms)
{
    uint64_t span = last_ms - first_ms;
    uint32_t first = (uint32_t)gv_drbg_below(drbg, nodes);

    for (uint32_t i = 0; i < victims; i++) {
        uint64_t at = start_ms - first_ms + gv_drbg_below(drbg, VISIT_SPREAD_MS);
        out->visits[out->count++] = (struct gv_visit){.at_ms = first_ms + at % span,
                                                      .node = (uint32_t)((first + i) % nodes),
                                                      .attacker = (uint32_t)out->attackers};
    }
    out->attackers++;
}

/* As many attackers as were asked for: how many visits is each one's share of `wanted`? */
static uint32_t *draw_shares(struct gv_drbg *drbg, size_t count, size_t nodes, size_t wanted)
{
    uint32_t *shares = malloc((count + 1) * sizeof *shares);
    uint64_t sum = 0, done = 0, over = 0, left = wanted > count ? wanted - count : 0;

    gv_assert(shares);
    for (size_t i = 0; i < count; i++)
        sum += shares[i] = draw_victims(drbg, nodes);
    /* One each, and of what is left as much as was drawn: running sums, so that nothing is lost in
     * the divisions. */
    for (size_t i = 0; i < count; i++) {
        uint64_t before = left * done / sum;
        done += shares[i];
        uint64_t share = 1 + left * done / sum - before;
        shares[i] = (uint32_t)(share < nodes ? share : nodes);
        over += share - shares[i];
    }
    /* Nobody visits a node twice: what is too much for one is for the others. */
    for (size_t i = 0; i < count && over > 0; i++) {
        uint64_t more = nodes - shares[i] < over ? nodes - shares[i] : over;
        shares[i] += (uint32_t)more;
        over -= more;
    }
    return shares;
}

/* There are only so many: where they are too few for `wanted` visits, four in five still have one
 * victim, and the others share what is left as they were drawn. NULL: they are not too few. */
static uint32_t *draw_crowded(struct gv_drbg *drbg, size_t count, size_t nodes, size_t wanted)
{
    uint32_t *shares = malloc((count + 1) * sizeof *shares);
    uint64_t sum = 0, several = 0, done = 0;

    gv_assert(shares);
    for (size_t i = 0; i < count; i++) {
        shares[i] = i == 0 ? 2 : draw_victims(drbg, nodes);
        sum += shares[i];
        several += shares[i] > 1 ? shares[i] : 0;
    }
    if (sum >= wanted) {
        free(shares);
        return NULL;
    }
    uint64_t left = wanted - sum;
    for (size_t i = 0; i < count; i++) {
        if (shares[i] == 1)
            continue;
        uint64_t before = left * done / several;
        done += shares[i];
        uint64_t share = shares[i] + left * done / several - before;
        shares[i] = (uint32_t)(share < nodes ? share : nodes);
    }
    return shares;
}

void gv_workload_draw(struct gv_workload *out, const struct gv_world *world,
                      const struct gv_sim_options *options, uint64_t end_ms, uint64_t warmup_ms,
                      uint64_t calm_ms)
{
    uint64_t span = end_ms - warmup_ms - calm_ms, last_ms = end_ms - calm_ms;
    size_t nodes = world->options.nodes;
    double hours = (double)span / 3600000.0;
    size_t wanted = (size_t)((double)nodes * options->sightings * hours) + 2;
    size_t count = options->attackers > 0 ? (size_t)(options->attackers * hours) + 1 : 0;
    uint8_t seed[GV_SEED_LEN] = {'w'};
    struct gv_drbg drbg;

    for (size_t i = 0; i < 8; i++)
        seed[1 + i] = (uint8_t)(world->options.seed >> (56 - 8 * i));
    gv_drbg_init(&drbg, seed);
    memset(out, 0, sizeof *out);
    out->visits = calloc(wanted + count + nodes, sizeof *out->visits); /* of a crowd: `wanted` */
    gv_assert(out->visits);
    uint32_t *shares = count ? draw_shares(&drbg, count, nodes, wanted) : NULL;
    if (options->attackers_most > 0 && !shares) {
        struct gv_drbg other = drbg; /* where there are enough, the run is as without a limit */
        size_t most = (size_t)(options->attackers_most * hours) + 1;
        shares = draw_crowded(&other, most, nodes, wanted);
        if (shares) {
            drbg = other;
            count = most;
        }
    }
    while (shares ? out->attackers < count : out->count < wanted) {
        uint32_t victims = shares                ? shares[out->attackers]
                           : out->attackers == 0 ? 2
                                                 : draw_victims(&drbg, nodes);
        add_visits(out, &drbg, nodes, victims, warmup_ms + gv_drbg_below(&drbg, span), warmup_ms,
                   last_ms);
    }
    free(shares);
    qsort(out->visits, out->count, sizeof *out->visits, compare_visits);
    gv_drbg_wipe(&drbg);
}

void gv_workload_free(struct gv_workload *workload)
{
    free(workload->visits);
    memset(workload, 0, sizeof *workload);
}
