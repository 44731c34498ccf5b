#include "sim/net.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "sim/latency.h"
#include "sim/plant.h"
#include "sim/story.h"

#define REFUSED_MS   3000u /* until a connection that goes nowhere is given up */
#define RESEND_MS    200u  /* the first time-out of TCP, doubling */
#define PIECES_MAX   4u
#define WIRES_LOOKED 64u

static uint16_t latency(const struct gv_world *world, size_t a, size_t b)
{
    return a == b ? 1 : world->latency[gv_latency_place(world->members, a, b)];
}

/* Whether bytes get from one to the other. */
static bool is_cut(const struct gv_world *world, size_t from, size_t to)
{
    return world->cut[from * world->members + to] != 0;
}

static bool is_reachable(const struct gv_world *world, size_t a, size_t b)
{
    return !is_cut(world, a, b) && !is_cut(world, b, a);
}

static uint64_t dice(struct gv_world *world, uint64_t below)
{
    return gv_drbg_below(&world->fault_drbg, below);
}

/* The address says which node it is, as world.c numbers them. */
static size_t find_node(const struct gv_world *world, const struct gv_address *address)
{
    size_t at = (size_t)(address->bytes[0] - 11u) * 256 + address->bytes[1];

    if (at < world->members && gv_address_equal(&world->nodes[at].address, address))
        return at;
    return SIZE_MAX;
}

/* Which side of this connection the node's present life is at, and still open; -1: none. */
static int side_of(const struct gv_world *world, const struct gv_sim_wire *wire, size_t node)
{
    for (int s = 0; s < 2; s++)
        if (wire->open[s] && wire->node[s] == node &&
            wire->generation[s] == world->nodes[node].generation)
            return s;
    return -1;
}

static size_t find_wire(const struct gv_world *world, size_t node, uint32_t link, int *side)
{
    const struct gv_sim_node *host = &world->nodes[node];

    for (size_t i = 0; i < host->wire_count; i++) {
        if (host->wires[i].link != link)
            continue;
        size_t w = host->wires[i].wire;
        int s = side_of(world, &world->wires[w], node);
        if (s >= 0 && world->wires[w].link[s] == link) {
            *side = s;
            return w;
        }
    }
    return SIZE_MAX;
}

/* Those that ended, and whose place may be another's by now. */
static void forget_ended(const struct gv_world *world, size_t node)
{
    struct gv_sim_node *host = &world->nodes[node];
    size_t kept = 0;

    for (size_t i = 0; i < host->wire_count; i++) {
        const struct gv_sim_wire *wire = &world->wires[host->wires[i].wire];
        int s = side_of(world, wire, node);
        if (s >= 0 && wire->link[s] == host->wires[i].link)
            host->wires[kept++] = host->wires[i];
    }
    host->wire_count = kept;
}

static void remember_wire(struct gv_world *world, size_t node, size_t w, uint32_t link)
{
    struct gv_sim_node *host = &world->nodes[node];

    if (host->wire_count == host->wire_cap) {
        forget_ended(world, node);
        if (host->wire_count >= host->wire_cap / 2) {
            host->wire_cap = host->wire_cap ? 2 * host->wire_cap : 16;
            host->wires = realloc(host->wires, host->wire_cap * sizeof *host->wires);
            gv_assert(host->wires);
        }
    }
    host->wires[host->wire_count++] = (struct gv_sim_end){w, link};
}

static void forget_stalled(struct gv_sim_wire *wire, int side)
{
    for (size_t i = 0; i < wire->stalled_count[side]; i++)
        free(wire->stalled[side][i].data);
    free(wire->stalled[side]);
    wire->stalled[side] = NULL;
    wire->stalled_count[side] = 0;
}

static size_t new_wire(struct gv_world *world)
{
    size_t w = 0, looked = 0;

    /* A place that is free, if one is soon found: thousands are in use. */
    do {
        w = world->wire_count ? world->wire_hint++ % world->wire_count : 0;
    } while (looked++ < WIRES_LOOKED && w < world->wire_count &&
             (world->wires[w].open[0] || world->wires[w].open[1]));
    if (w < world->wire_count && !world->wires[w].open[0] && !world->wires[w].open[1]) {
        forget_stalled(&world->wires[w], 0);
        forget_stalled(&world->wires[w], 1);
        return w;
    }
    if (world->wire_count == world->wire_cap) {
        world->wire_cap = world->wire_cap ? 2 * world->wire_cap : 64;
        world->wires = realloc(world->wires, world->wire_cap * sizeof *world->wires);
        gv_assert(world->wires);
    }
    return world->wire_count++;
}

void gv_net_free(struct gv_world *world)
{
    for (size_t w = 0; w < world->wire_count; w++) {
        forget_stalled(&world->wires[w], 0);
        forget_stalled(&world->wires[w], 1);
    }
    free(world->wires);
}

/* ---- beginning ------------------------------------------------------------------------------ */

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

    if (target != SIZE_MAX && gv_world_is_up(world, target) && !world->nodes[target].outbound &&
        is_reachable(world, node, target)) {
        event.wire = target;
        event.at_ms = world->now_ms + 2u * latency(world, node, target);
    }
    gv_world_queue(world, event);
}

/* One end hears something at once, unless its node is busy writing. */
static void hear(struct gv_world *world, enum gv_sim_event_kind kind, size_t node, uint32_t link,
                 size_t other, uint32_t dialled_as)
{
    struct gv_sim_event event = {.at_ms = world->now_ms,
                                 .kind = kind,
                                 .node = node,
                                 .link = link,
                                 .generation = world->nodes[node].generation,
                                 .wire = other,
                                 .len = dialled_as};

    gv_node_happen(world, &event);
}

static void dialled(struct gv_world *world, const struct gv_sim_event *event)
{
    size_t from = event->node, to = event->wire;

    if (event->generation != world->nodes[from].generation)
        return;
    if (to == SIZE_MAX || !gv_world_is_up(world, to) || !is_reachable(world, from, to)) {
        hear(world, GV_SIM_ENDED, from, event->link, SIZE_MAX, 0);
        return;
    }
    size_t w = new_wire(world);
    uint32_t incoming = GV_LINK_INCOMING | ++world->nodes[to].next_incoming;
    world->wires[w] =
        (struct gv_sim_wire){.node = {from, to},
                             .link = {event->link, incoming},
                             .generation = {event->generation, world->nodes[to].generation},
                             .open = {true, true},
                             .serial = ++world->wire_serial};
    remember_wire(world, from, w, event->link);
    remember_wire(world, to, w, incoming);
    for (int side = 0; side < 2; side++) {
        world->nodes[world->wires[w].node[side]].bytes_in += GV_CONNECTION_HEADERS;
        world->nodes[world->wires[w].node[side]].bytes_out += GV_CONNECTION_HEADERS;
    }
    hear(world, GV_SIM_CONNECTED, to, incoming, from, event->link);
    hear(world, GV_SIM_CONNECTED, from, event->link, to, event->link);
}

/* ---- sending -------------------------------------------------------------------------------- */

/* How much later than the latency these segments get there. */
static uint64_t trouble(struct gv_world *world, size_t segments)
{
    const struct gv_faults *faults = &world->options.faults;
    uint64_t late = 0;

    if (world->calm)
        return 0;
    if (faults->jitter > 0) {
        late += dice(world, faults->jitter + 1);
        world->counts.delayed += late > 0;
    }
    for (size_t i = 0; faults->loss > 0 && i < segments; i++)
        for (uint64_t wait = RESEND_MS; wait < 60000 && dice(world, 100) < faults->loss;
             wait *= 2) {
            world->counts.lost++;
            late += wait;
        }
    return late;
}

static void arrive(struct gv_world *world, size_t w, int side, uint64_t at_ms, const uint8_t *data,
                   size_t len)
{
    struct gv_sim_wire *wire = &world->wires[w];
    uint8_t *copy = malloc(len + 1);

    gv_assert(copy);
    memcpy(copy, data, len);
    gv_plant_touches(copy, len);
    gv_world_queue(world, (struct gv_sim_event){.at_ms = at_ms,
                                                .kind = GV_SIM_ARRIVED,
                                                .node = wire->node[side],
                                                .link = wire->link[side],
                                                .generation = wire->generation[side],
                                                .wire = w,
                                                .wire_serial = wire->serial,
                                                .data = copy,
                                                .len = len});
}

/* When the last of these bytes has left the sender's line, behind all that was given to it before.
 */
static uint64_t off_line(struct gv_world *world, struct gv_sim_node *from, size_t len)
{
    uint32_t kbit = world->calm ? 0 : world->options.faults.kbit;

    if (kbit == 0)
        return world->now_ms;
    world->counts.queued += from->line_free_ms > world->now_ms;
    if (from->line_free_ms < world->now_ms)
        from->line_free_ms = world->now_ms;
    from->line_free_ms += gv_traffic_wire(len) * 8 / kbit;
    return from->line_free_ms;
}

/* Bytes to that side, in order behind what is on the way already, perhaps in pieces. */
static void transmit(struct gv_world *world, size_t w, int side, const uint8_t *data, size_t len)
{
    struct gv_sim_wire *wire = &world->wires[w];
    uint32_t split = world->calm ? 0 : world->options.faults.split;
    size_t pieces = split > 0 && len > 1 && dice(world, 100) < split
                        ? 2 + (size_t)dice(world, PIECES_MAX - 1)
                        : 1;

    world->counts.split += pieces > 1;
    while (len > 0) {
        size_t take = pieces > 1 ? 1 + (size_t)dice(world, len) : len;
        struct gv_sim_node *from = &world->nodes[wire->node[!side]];
        uint64_t at = off_line(world, from, take) + latency(world, wire->node[0], wire->node[1]) +
                      trouble(world, (take + GV_SEGMENT - 1) / GV_SEGMENT);
        if (at < wire->last_arrival_ms[side])
            at = wire->last_arrival_ms[side];
        wire->last_arrival_ms[side] = at;
        arrive(world, w, side, at, data, take);
        if (gv_plant_repeats())
            arrive(world, w, side, at, data, take);
        data += take;
        len -= take;
        pieces -= pieces > 1;
    }
}

static void stall(struct gv_world *world, size_t w, int side, const uint8_t *data, size_t len)
{
    struct gv_sim_wire *wire = &world->wires[w];
    size_t count = wire->stalled_count[side]++;

    wire->stalled[side] = realloc(wire->stalled[side], (count + 1) * sizeof *wire->stalled[side]);
    gv_assert(wire->stalled[side]);
    struct gv_sim_stalled *stalled = &wire->stalled[side][count];
    *stalled = (struct gv_sim_stalled){.data = malloc(len + 1), .len = len, .end = data == NULL};
    gv_assert(stalled->data);
    if (len)
        memcpy(stalled->data, data, len);
    world->counts.stalled++;
}

void gv_net_send(struct gv_world *world, size_t node, uint32_t link, const uint8_t *data,
                 size_t len)
{
    int side = 0;
    size_t w = find_wire(world, node, link, &side);
    struct gv_sim_wire *wire;

    if (w == SIZE_MAX)
        return;
    wire = &world->wires[w];
    if (!wire->open[!side])
        return;
    world->nodes[node].bytes_out += gv_traffic_wire(len);
    world->nodes[wire->node[!side]].bytes_in += gv_traffic_wire(len);
    if (is_cut(world, node, wire->node[!side]) || wire->stalled_count[!side] > 0)
        stall(world, w, !side, data, len);
    else
        transmit(world, w, !side, data, len);
}

/* ---- ending --------------------------------------------------------------------------------- */

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

/* That side hears of the end behind all that was sent to it, when it can. */
static void end_other(struct gv_world *world, size_t w, int side)
{
    struct gv_sim_wire *wire = &world->wires[w];

    if (!wire->open[side])
        return;
    if (is_cut(world, wire->node[!side], wire->node[side]) || wire->stalled_count[side] > 0) {
        stall(world, w, side, NULL, 0);
        return;
    }
    uint64_t at = world->now_ms + latency(world, wire->node[0], wire->node[1]);
    queue_end(world, w, side, at < wire->last_arrival_ms[side] ? wire->last_arrival_ms[side] : at);
}

void gv_net_close(struct gv_world *world, size_t node, uint32_t link)
{
    int side = 0;
    size_t w = find_wire(world, node, link, &side);

    if (w == SIZE_MAX) {
        /* A connection that was never made, or that was refused: the core still wants its end. */
        gv_world_queue(world, (struct gv_sim_event){.at_ms = world->now_ms,
                                                    .kind = GV_SIM_ENDED,
                                                    .node = node,
                                                    .link = link,
                                                    .generation = world->nodes[node].generation});
        return;
    }
    end_other(world, w, !side);
    queue_end(world, w, side, world->now_ms);
}

void gv_net_turn_away(struct gv_world *world, size_t node, uint32_t link, const uint8_t *data,
                      size_t len)
{
    int side = 0;
    size_t w;

    if (len > 0)
        gv_net_send(world, node, link, data, len);
    w = find_wire(world, node, link, &side);
    if (w == SIZE_MAX)
        return;
    end_other(world, w, !side);
    world->wires[w].open[side] = false;
}

void gv_net_drop(struct gv_world *world, size_t node)
{
    for (size_t w = 0; w < world->wire_count; w++)
        for (int side = 0; side < 2; side++) {
            struct gv_sim_wire *wire = &world->wires[w];
            if (!wire->open[side] || wire->node[side] != node)
                continue;
            wire->open[side] = false;
            end_other(world, w, !side);
        }
}

void gv_net_end(struct gv_world *world, size_t w)
{
    for (int side = 0; side < 2; side++)
        if (world->wires[w].open[side])
            queue_end(world, w, side, world->now_ms + 1);
}

static bool is_between(const struct gv_sim_wire *wire, size_t a, size_t b)
{
    return (wire->node[0] == a && wire->node[1] == b) || (wire->node[0] == b && wire->node[1] == a);
}

void gv_world_cut(struct gv_world *world, size_t a, size_t b, bool cut)
{
    world->cut[a * world->members + b] = cut;
    world->cut[b * world->members + a] = cut;
    for (size_t w = 0; cut && w < world->wire_count; w++)
        if (is_between(&world->wires[w], a, b))
            gv_net_end(world, w);
}

/* Of what is on the way, the first half of the first segment still comes. */
bool gv_net_break(struct gv_world *world, size_t node, uint64_t number)
{
    size_t open = 0, w = 0;

    for (size_t i = 0; i < world->wire_count; i++)
        open += (world->wires[i].open[0] || world->wires[i].open[1]) &&
                (world->wires[i].node[0] == node || world->wires[i].node[1] == node);
    if (open == 0)
        return false;
    for (size_t skip = (size_t)(number % open);; w++) {
        const struct gv_sim_wire *wire = &world->wires[w];
        if ((wire->open[0] || wire->open[1]) && (wire->node[0] == node || wire->node[1] == node) &&
            skip-- == 0)
            break;
    }
    struct gv_sim_event *first[2] = {NULL, NULL}, *event;
    size_t cursor = 0;
    while ((event = gv_world_queued(world, &cursor))) {
        if (event->kind != GV_SIM_ARRIVED || event->wire != w ||
            event->wire_serial != world->wires[w].serial)
            continue;
        int side = event->link == world->wires[w].link[1];
        if (!first[side] || event->serial < first[side]->serial) {
            if (first[side])
                first[side]->len = 0;
            first[side] = event;
        } else {
            event->len = 0;
        }
    }
    uint64_t at_ms[2] = {world->now_ms + 1, world->now_ms + 1};
    for (int side = 0; side < 2; side++) {
        if (!first[side])
            continue;
        first[side]->len /= 2;
        at_ms[side] = first[side]->at_ms;
    }
    /* From here on the queue moves. */
    for (int side = 0; side < 2; side++) {
        if (world->wires[w].open[side])
            queue_end(world, w, side, at_ms[side]);
        forget_stalled(&world->wires[w], side);
    }
    return true;
}

/* ---- silent cuts ----------------------------------------------------------------------------- */

static void let_through(struct gv_world *world, size_t w, int side)
{
    struct gv_sim_wire *wire = &world->wires[w];
    struct gv_sim_stalled *stalled = wire->stalled[side];
    size_t count = wire->stalled_count[side];
    bool end = false;

    wire->stalled[side] = NULL;
    wire->stalled_count[side] = 0;
    for (size_t i = 0; i < count; i++) {
        if (wire->open[side] && !stalled[i].end)
            transmit(world, w, side, stalled[i].data, stalled[i].len);
        end = end || stalled[i].end;
        free(stalled[i].data);
    }
    free(stalled);
    if (end)
        end_other(world, w, side);
}

void gv_net_mark(struct gv_world *world, size_t from, size_t to, bool cut)
{
    uint8_t *count = &world->cut[from * world->members + to];

    gv_assert(cut ? *count < UINT8_MAX : *count > 0);
    *count = (uint8_t)(cut ? *count + 1 : *count - 1);
}

void gv_net_resume(struct gv_world *world, size_t w)
{
    const struct gv_sim_wire *wire = &world->wires[w];

    for (int side = 0; side < 2; side++)
        if (wire->stalled_count[side] > 0 && !is_cut(world, wire->node[!side], wire->node[side]))
            let_through(world, w, side);
}

/* ---- what is due ---------------------------------------------------------------------------- */

static void connected(struct gv_world *world, const struct gv_sim_event *event)
{
    struct gv_event up = {.kind = GV_EVENT_CONNECTED};

    up.connected.link = event->link;
    up.connected.remote = world->nodes[event->wire].address;
    /* The port of an outgoing connection is nobody's listening port. */
    if (event->link & GV_LINK_INCOMING)
        up.connected.remote.port = (uint16_t)(32768 + (event->len & 0x3fff));
    gv_world_step(world, event->node, &up);
}

static size_t sender_of(const struct gv_world *world, const struct gv_sim_event *event)
{
    const struct gv_sim_wire *wire = &world->wires[event->wire];
    bool first = wire->node[0] == event->node && wire->link[0] == event->link;

    return wire->node[first];
}

void gv_net_happen(struct gv_world *world, const struct gv_sim_event *event)
{
    struct gv_event told = {.kind = GV_EVENT_BYTES};

    switch (event->kind) {
    case GV_SIM_DIALLED:
        dialled(world, event);
        break;
    case GV_SIM_CONNECTED:
        connected(world, event);
        break;
    case GV_SIM_ENDED:
        told.kind = GV_EVENT_DISCONNECTED;
        told.disconnected.link = event->link;
        gv_world_step(world, event->node, &told);
        break;
    case GV_SIM_ARRIVED:
        if (event->len == 0) /* lost with its connection */
            break;
        gv_story_arrived(world, event->node, sender_of(world, event), event->len);
        told.bytes.link = event->link;
        told.bytes.data = event->data;
        told.bytes.len = event->len;
        gv_world_step(world, event->node, &told);
        break;
    default:
        gv_assert(false); /* not of the net */
    }
}
