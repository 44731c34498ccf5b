/* The simulated network: TCP connections between members, with latency, jitter, loss, pieces,
 * breaks and cuts. */
#ifndef GV_SIM_NET_H
#define GV_SIM_NET_H

#include "sim/world.h"

void gv_net_connect(struct gv_world *world, size_t node, uint32_t link,
                    const struct gv_address *address);
void gv_net_send(struct gv_world *world, size_t node, uint32_t link, const uint8_t *data,
                 size_t len);
void gv_net_close(struct gv_world *world, size_t node, uint32_t link);
/* These last bytes, and the end; the node hears no more of it. */
void gv_net_turn_away(struct gv_world *world, size_t node, uint32_t link, const uint8_t *data,
                      size_t len);
/* The node is gone: the other ends of its connections hear of it. */
void gv_net_drop(struct gv_world *world, size_t node);
/* A connection breaks: what is on the way is lost, perhaps from the middle of a segment on. Which
 * one, the dice say. Returns false if the node has none. */
bool gv_net_break(struct gv_world *world, size_t node, uint64_t dice);
/* The connection in this place ends, at both ends. */
void gv_net_end(struct gv_world *world, size_t wire);
/* Bytes do not get through from one to the other any more: connections stay, and what is sent
 * waits. Or they do again. Cuts of one pair add up. */
void gv_net_mark(struct gv_world *world, size_t from, size_t to, bool cut);
/* What waited in this place arrives, if nothing is cut there any more. */
void gv_net_resume(struct gv_world *world, size_t wire);
/* Something in the queue is due. */
void gv_net_happen(struct gv_world *world, const struct gv_sim_event *event);
void gv_net_free(struct gv_world *world);

#endif
