#include "sim/check.h"

#include <stdlib.h>
#include <string.h>

static void check_node(struct gv_checks *checks, size_t node, const struct gv_core_status *first)
{
    struct gv_core_status status;

    gv_core_status(checks->world->nodes[node].core, &status);
    if (status.peers == 0)
        gv_violation(checks, "has no peer", node, 0);
    if (status.instances != checks->world->options.nodes)
        gv_violation(checks, "does not know everybody", node, status.instances);
    if (memcmp(status.set_fingerprint, first->set_fingerprint, GV_ID_LEN) != 0 ||
        memcmp(status.roster_fingerprint, first->roster_fingerprint, GV_ID_LEN) != 0)
        gv_violation(checks, "holds another set than the first node", node, status.statements);
}

void gv_check_liveness(struct gv_checks *checks)
{
    const struct gv_world *world = checks->world;
    struct gv_core_status first;

    gv_core_status(world->nodes[0].core, &first);
    for (size_t node = 0; node < world->options.nodes; node++)
        check_node(checks, node, &first);
    for (size_t attacker = 0; attacker < checks->attackers; attacker++)
        for (size_t node = 0; checks->published_ms[attacker] && node < world->options.nodes; node++)
            if (!checks->untrusted[attacker * world->options.nodes + node])
                gv_violation(checks, "never called untrusted whom two owners reported", node,
                             attacker);
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
