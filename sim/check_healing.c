/* How soon after the healing all say the same, and hold the same (SPEC 17.2). */
#include <string.h>

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

/* After halves and deaths alone: whoever broke off in the middle of something besides, or dated
 * what he said by a wrong clock, waits for the next repair. */
static bool must_be_soon(struct gv_faults faults)
{
    faults.halves = faults.kill = faults.kill_min = 0;
    return !gv_faults_any(&faults);
}

void gv_check_agreed(struct gv_checks *checks, uint64_t healed_ms)
{
    bool agreed = checks->agreed_ms != 0 && checks->agreed_ms <= healed_ms + AGREED_MS;

    if (!agreed && must_be_soon(checks->world->options.faults))
        gv_violation(checks, "judged otherwise a minute after all was healed", 0,
                     checks->agreed_ms ? (checks->agreed_ms - healed_ms) / 1000 : 0);
}

void gv_check_healing(struct gv_checks *checks)
{
    const struct gv_world *world = checks->world;

    /* The first time counts: later a verdict lapses a moment earlier here than there. */
    if (checks->agreed_ms == 0 && same_verdicts(checks))
        checks->agreed_ms = world->now_ms;
    if (checks->equal_ms == 0 && same_sets(world))
        checks->equal_ms = world->now_ms;
}
