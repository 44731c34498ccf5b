/* What nodes moved: the world counts segments, the cores count causes, and both must agree. */
#include <string.h>

#include "proto/limits.h"
#include "sim/check.h"

static void add(struct gv_traffic_sum *to, const struct gv_traffic_sum *from)
{
    for (int cause = 0; cause < GV_CAUSE_COUNT; cause++) {
        to->in[cause] += from->in[cause];
        to->out[cause] += from->out[cause];
    }
}

void gv_world_keep_traffic(struct gv_sim_node *node)
{
    const struct gv_traffic *traffic = gv_core_traffic(node->core);

    add(&node->moved, &traffic->total);
    node->most = traffic->most > node->most ? traffic->most : node->most;
}

void gv_world_traffic(const struct gv_world *world, size_t index, struct gv_traffic_sum *out,
                      uint64_t *most)
{
    const struct gv_sim_node *node = &world->nodes[index];
    struct gv_traffic_sum hour;

    *out = node->moved;
    *most = node->most;
    if (!node->core)
        return;
    const struct gv_traffic *traffic = gv_core_traffic(node->core);
    add(out, &traffic->total);
    gv_traffic_recent(traffic, &hour, GV_TRAFFIC_HOUR);
    uint64_t now = gv_traffic_under_cap(&hour);
    now = now > traffic->most ? now : traffic->most;
    *most = now > *most ? now : *most;
}

/* What was sent and never read (a crash, a session that ended first) is in the world's count of
 * what came in, and what was sent into the void is in the core's count of what went out. So are
 * connections that the door turns away (SPEC 5.4): of all the others, twice each, where all meet at
 * once. */
static bool agrees(uint64_t core, uint64_t world, size_t nodes)
{
    uint64_t slack = world / 50 + 20000 + 2 * nodes * GV_CONNECTION_HEADERS;

    return core <= world + slack && world <= core + slack;
}

void gv_check_traffic(struct gv_checks *checks, size_t node)
{
    const struct gv_world *world = checks->world;
    const struct gv_sim_node *host = &world->nodes[node];
    struct gv_traffic_sum sum;
    uint64_t in = 0, out = 0, most;

    gv_world_traffic(world, node, &sum, &most);
    for (int cause = 0; cause < GV_CAUSE_COUNT; cause++) {
        in += sum.in[cause];
        out += sum.out[cause];
    }
    if (!gv_faults_any(&world->options.faults) &&
        (!agrees(in, host->bytes_in, world->options.nodes) ||
         !agrees(out, host->bytes_out, world->options.nodes)))
        gv_violation(checks, "counts other bytes than it moved", node, in + out);
    if (checks->bytes_per_hour > 0 && most > checks->bytes_per_hour)
        gv_violation(checks, "moved more bytes in an hour than the cap", node, most);
}
