/* How soon after the healing all say the same, and hold the same (SPEC 17.2). */
#include <string.h>

#include "proto/limits.h"
#include "sim/check.h"

#define AGREED_MS 60000u

static bool is_in(const struct gv_world *world, size_t node)
{
    return world->nodes[node].core && !gv_world_is_outcast(world, node);
}

static bool calls_untrusted(const struct gv_world *world, size_t node, uint32_t attacker)
{
    struct gv_subject subject = gv_world_subject(attacker);
    struct gv_verdict verdict;

    gv_core_verdict(world->nodes[node].core, &verdict, &subject);
    return verdict.state == GV_VERDICT_UNTRUSTED;
}

static bool agree_on(const struct gv_world *world, uint32_t attacker)
{
    bool first = false, known = false;

    for (size_t node = 0; node < world->options.nodes; node++) {
        if (!is_in(world, node))
            continue;
        bool untrusted = calls_untrusted(world, node, attacker);
        if (known && untrusted != first)
            return false;
        first = untrusted;
        known = true;
    }
    return true;
}

static bool same_verdicts(struct gv_checks *checks)
{
    size_t count = checks->attackers;

    /* The last one that was disputed is the likeliest to be so still. */
    for (size_t i = 0; i < count; i++) {
        size_t attacker = (checks->disputed + i) % count;
        if (checks->published_ms[attacker] == 0 || agree_on(checks->world, (uint32_t)attacker))
            continue;
        checks->disputed = attacker;
        return false;
    }
    return true;
}

static bool same_sets(const struct gv_world *world)
{
    struct gv_core_status first, status;
    bool known = false;

    for (size_t node = 0; node < world->options.nodes; node++) {
        if (!is_in(world, node))
            continue;
        gv_core_status(world->nodes[node].core, &status);
        if (known && memcmp(status.set_fingerprint, first.set_fingerprint, GV_ID_LEN) != 0)
            return false;
        if (!known)
            first = status;
        known = true;
    }
    return true;
}

/* One look: since when it has been so without a break; 0: it is not. */
static void look(uint64_t *since_ms, bool same, uint64_t now_ms)
{
    if (!same)
        *since_ms = 0;
    else if (*since_ms == 0)
        *since_ms = now_ms;
}

void gv_check_healing(struct gv_checks *checks, uint64_t healed_ms)
{
    const struct gv_world *world = checks->world;

    look(&checks->agreed_ms, same_verdicts(checks), world->now_ms);
    look(&checks->equal_ms, same_sets(world), world->now_ms);
    if (world->now_ms == healed_ms + AGREED_MS && checks->agreed_ms == 0)
        checks->late_verdicts = true;
}
