#include "sim/net.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

#define REFUSED_MS 3000u /* until a connection that goes nowhere is given up */
#define SEGMENT_HEADERS 66u /* Ethernet is not ours: IPv4, TCP with time stamps, half an ACK */

static uint16_t latency(const struct gv_world *world, size_t a, size_t b)
{
    return a == b ? 1 : world->latency[a * world->options.nodes + b];
}

static bool is_cut(const struct gv_world *world, size_t a, size_t b)
{
    return world->cut[a * world->options.nodes + b] != 0;
}

static size_t find_node(const struct gv_world *world, const struct gv_address *address)
{
    for (size_t i = 0; i < world->options.nodes; i++)
        if (gv_address_equal(&world->nodes[i].address, address))
            return i;
    return SIZE_MAX;
}

static size_t find_wire(const struct gv_world *world, size_t node, uint32_t link, int *side)
{
    for (size_t w = 0; w < world->wire_count; w++)
        for (int s = 0; s < 2; s++)
            if (world->wires[w].open[s] && world->wires[w].node[s] == node &&
                world->wires[w].link[s] == link &&
                world->wires[w].generation[s] == world->nodes[node].generation) {
                *side = s;
                return w;
            }
    return SIZE_MAX;
}

static size_t new_wire(struct gv_world *world)
{
    for (size_t w = 0; w < world->wire_count; w++)
        if (!world->wires[w].open[0] && !world->wires[w].open[1])
            return w;
    if (world->wire_count == world->wire_cap) {
        world->wire_cap = world->wire_cap ? 2 * world->wire_cap : 64;
        world->wires = realloc(world->wires, world->wire_cap * sizeof *world->wires);
        gv_assert(world->wires);
    }
    return world->wire_count++;
}

void gv_net_connect(struct gv_world *world, size_t node, uint32_t link,
                    const struct gv_address *address)
{
    size_t target = find_node(world, address);
    struct gv_sim_event event = {.at_ms = world->now_ms + REFUSED_MS,
                                 .kind = GV_SIM_DIALLED,
                                 .node = node,
                                 .link = link,
                                 .generation = world->nodes[node].generation,
                                 .wire = SIZE_MAX};

    if (target != SIZE_MAX && world->nodes[target].core && !is_cut(world, node, target)) {
        event.wire = target;
        event.at_ms = world->now_ms + 2u * latency(world, node, target);
    }
    gv_world_queue(world, event);
}

static void queue_end(struct gv_world *world, size_t w, int side, uint64_t at_ms)
{
    struct gv_sim_wire *wire = &world->wires[w];

    wire->open[side] = false;
    gv_world_queue(world, (struct gv_sim_event){.at_ms = at_ms,
                                                .kind = GV_SIM_ENDED,
                                                .node = wire->node[side],
                                                .link = wire->link[side],
                                                .generation = wire->generation[side]});
}

void gv_net_send(struct gv_world *world, size_t node, uint32_t link, const uint8_t *data,
                 size_t len)
{
    int side = 0;
    size_t w = find_wire(world, node, link, &side);
    struct gv_sim_wire *wire;
    uint64_t arrival;
    size_t segments = (len + 1399) / 1400;

    if (w == SIZE_MAX)
        return;
    wire = &world->wires[w];
    if (!wire->open[!side])
        return;
    arrival = world->now_ms + latency(world, wire->node[0], wire->node[1]);
    if (arrival < wire->last_arrival_ms[!side])
        arrival = wire->last_arrival_ms[!side];
    wire->last_arrival_ms[!side] = arrival;
    world->nodes[node].bytes_out += len + segments * SEGMENT_HEADERS;
    world->nodes[wire->node[!side]].bytes_in += len + segments * SEGMENT_HEADERS;
    uint8_t *copy = malloc(len + 1);
    gv_assert(copy);
    memcpy(copy, data, len);
    gv_world_queue(world, (struct gv_sim_event){.at_ms = arrival,
                                                .kind = GV_SIM_ARRIVED,
                                                .node = wire->node[!side],
                                                .link = wire->link[!side],
                                                .generation = wire->generation[!side],
                                                .data = copy,
                                                .len = len});
}

void gv_net_close(struct gv_world *world, size_t node, uint32_t link)
{
    int side = 0;
    size_t w = find_wire(world, node, link, &side);
    struct gv_sim_wire *wire;

    if (w == SIZE_MAX) {
        /* A connection that was never made, or that was refused: the core still wants its end. */
        gv_world_queue(world, (struct gv_sim_event){.at_ms = world->now_ms,
                                                    .kind = GV_SIM_ENDED,
                                                    .node = node,
                                                    .link = link,
                                                    .generation = world->nodes[node].generation});
        return;
    }
    wire = &world->wires[w];
    if (wire->open[!side]) {
        uint64_t at = world->now_ms + latency(world, wire->node[0], wire->node[1]);
        if (at < wire->last_arrival_ms[!side])
            at = wire->last_arrival_ms[!side];
        queue_end(world, w, !side, at);
    }
    queue_end(world, w, side, world->now_ms);
}

void gv_net_drop(struct gv_world *world, size_t node)
{
    for (size_t w = 0; w < world->wire_count; w++)
        for (int side = 0; side < 2; side++) {
            struct gv_sim_wire *wire = &world->wires[w];
            if (!wire->open[side] || wire->node[side] != node)
                continue;
            wire->open[side] = false;
            if (wire->open[!side])
                queue_end(world, w, !side,
                          world->now_ms + latency(world, wire->node[0], wire->node[1]));
        }
}

void gv_world_cut(struct gv_world *world, size_t a, size_t b, bool cut)
{
    world->cut[a * world->options.nodes + b] = cut;
    world->cut[b * world->options.nodes + a] = cut;
    for (size_t w = 0; cut && w < world->wire_count; w++) {
        struct gv_sim_wire *wire = &world->wires[w];
        if ((wire->node[0] != a || wire->node[1] != b) && (wire->node[0] != b || wire->node[1] != a))
            continue;
        for (int side = 0; side < 2; side++)
            if (wire->open[side])
                queue_end(world, w, side, world->now_ms + 1);
    }
}

static void disconnected(struct gv_world *world, size_t node, uint32_t link)
{
    struct gv_event event = {.kind = GV_EVENT_DISCONNECTED};

    event.disconnected.link = link;
    gv_world_step(world, node, &event);
}

static void connected(struct gv_world *world, size_t node, uint32_t link,
                      const struct gv_address *remote)
{
    struct gv_event event = {.kind = GV_EVENT_CONNECTED};

    event.connected.link = link;
    event.connected.remote = *remote;
    gv_world_step(world, node, &event);
}

static void dialled(struct gv_world *world, const struct gv_sim_event *event)
{
    size_t from = event->node, to = event->wire;
    struct gv_address remote;

    if (to == SIZE_MAX || !world->nodes[to].core || is_cut(world, from, to)) {
        disconnected(world, from, event->link);
        return;
    }
    size_t w = new_wire(world);
    struct gv_sim_wire *wire = &world->wires[w];
    uint32_t incoming = GV_LINK_INCOMING | ++world->nodes[to].next_incoming;
    *wire = (struct gv_sim_wire){.node = {from, to},
                                 .link = {event->link, incoming},
                                 .generation = {event->generation, world->nodes[to].generation},
                                 .open = {true, true}};
    /* The port of an outgoing connection is nobody's listening port. */
    remote = world->nodes[from].address;
    remote.port = (uint16_t)(32768 + (event->link & 0x3fff));
    connected(world, to, incoming, &remote);
    connected(world, from, event->link, &world->nodes[to].address);
}

void gv_net_happen(struct gv_world *world, const struct gv_sim_event *event)
{
    struct gv_event bytes = {.kind = GV_EVENT_BYTES};

    if (event->generation != world->nodes[event->node].generation)
        return;
    switch (event->kind) {
    case GV_SIM_DIALLED:
        dialled(world, event);
        break;
    case GV_SIM_ENDED:
        disconnected(world, event->node, event->link);
        break;
    case GV_SIM_ARRIVED:
        bytes.bytes.link = event->link;
        bytes.bytes.data = event->data;
        bytes.bytes.len = event->len;
        gv_world_step(world, event->node, &bytes);
        break;
    case GV_SIM_WAKE:
        break;
    }
}
