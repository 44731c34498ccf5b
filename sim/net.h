/* The simulated network: TCP connections between cores, with latency and cuts. */
#ifndef GV_SIM_NET_H
#define GV_SIM_NET_H

#include "sim/world.h"

void gv_net_connect(struct gv_world *world, size_t node, uint32_t link,
                    const struct gv_address *address);
void gv_net_send(struct gv_world *world, size_t node, uint32_t link, const uint8_t *data,
                 size_t len);
void gv_net_close(struct gv_world *world, size_t node, uint32_t link);
/* The node is gone: the other ends of its connections hear of it. */
void gv_net_drop(struct gv_world *world, size_t node);
/* Something in the queue is due. */
void gv_net_happen(struct gv_world *world, const struct gv_sim_event *event);
/* world.c: puts an event into the queue. */
void gv_world_queue(struct gv_world *world, struct gv_sim_event event);

#endif
