/* TCP for the driver: listening, dialling, names, bounded queues. Knows nothing of what it
 * carries. Callbacks come from the loop and never from within a call, so the driver may call while
 * it walks its effects. */
#ifndef GV_NODE_HOST_NET_H
#define GV_NODE_HOST_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "node/base/text.h"
#include "proto/address.h"

#define GV_NET_READ_MAX   65536u     /* one shared buffer: what one read hands over at most */
#define GV_NET_QUEUE_MAX  (1u << 20) /* bytes waiting on one link; a reader this slow is cut off */
#define GV_NET_BACKLOG    512
#define GV_NET_LISTEN_MAX 8
#define GV_NET_BIND_MAX   2      /* one of each family */
#define GV_NET_TRY_MAX    4      /* addresses of one name that are tried in turn */
#define GV_NET_CONNECT_MS 10000u /* for one address */
#define GV_NET_SILENT_MS  10000u /* an incoming link must have said something by then */
#define GV_NET_LINGER_MS  2000u  /* for the last bytes of a link that is being closed */
#define GV_NET_STALL_MS   30000u /* a link on which nothing of what waits went out so long is cut */
/* The kernel's own buffers of a link, each way; it doubles this. Left alone they grow to 10 MB a
 * link, and a peer that does not read is noticed only when they are full. */
#define GV_NET_KERNEL_MAX 131072
/* A peer is read at this rate at most; what he sends beyond waits in his own kernel. Repair gives
 * 8,192 records a minute, 20 kB a second, so an honest peer does not notice; one that floods costs
 * about 3% of a core, whatever it sends. */
#define GV_NET_READ_RATE  65536  /* bytes a second */
#define GV_NET_READ_BURST 262144 /* and so many at once */
#define GV_NET_DRIP_MS    100u   /* how often those that wait for that are looked at */

struct gv_net;

struct gv_net_callbacks {
    void *context;
    void (*connected)(void *context, uint32_t link, const struct gv_address *remote);
    void (*disconnected)(void *context, uint32_t link);
    void (*bytes)(void *context, uint32_t link, const uint8_t *data, size_t len);
};

struct gv_net_options {
    uv_loop_t *loop;
    struct gv_net_callbacks callbacks;
    /* Port 0: any free one. "[::]" also takes IPv4; where the kernel has no IPv6 it becomes
     * 0.0.0.0. */
    const struct gv_address *listen;
    size_t listen_count;           /* 0: dials out only */
    const struct gv_address *bind; /* source of outgoing links, port 0. With none given the kernel
                                    * chooses; otherwise a family without one is not dialled */
    size_t bind_count;
    unsigned incoming_max;
};

/* Binds and listens. Returns GV_OK; GV_ERR_BUSY (address in use), GV_ERR_IO, GV_ERR_MEMORY. */
int gv_net_new(struct gv_net **out, const struct gv_net_options *options, struct gv_text *error);
/* Closes all at once; no callback comes afterwards, but the loop must run until its handles are
 * closed, which also frees the memory. NULL is allowed. */
void gv_net_free(struct gv_net *net);

/* Dials `address`, or the `host` ("name:port", not terminated) when that is NULL. CONNECTED or
 * DISCONNECTED follows. GV_ERR_MEMORY: nothing follows. */
int gv_net_connect(struct gv_net *net, uint32_t link, const struct gv_address *address,
                   const char *host, size_t host_len);
/* Queues a copy, to go out at gv_net_flush. A link that is not up takes nothing. */
void gv_net_send(struct gv_net *net, uint32_t link, const uint8_t *data, size_t len);
void gv_net_flush(struct gv_net *net);
/* Says this, if there is anything to say, and closes at once; no callback follows. */
void gv_net_turn_away(struct gv_net *net, uint32_t link, const uint8_t *data, size_t len);
/* Lets the queue go out, then closes; DISCONNECTED follows. */
void gv_net_close(struct gv_net *net, uint32_t link);

/* Off: cuts every link without another byte, and lets none come up until it is on again. */
void gv_net_set_online(struct gv_net *net, bool online);
void gv_net_set_incoming_max(struct gv_net *net, unsigned incoming_max);

size_t gv_net_links(const struct gv_net *net);  /* in any state, the closing ones included */
uint16_t gv_net_port(const struct gv_net *net); /* of the first listener; 0: none */
/* accepted: connections that got a place in the table. turned_away: that got none, or were closed
 * again without having been said a word (gv_net_close: what they said first was nonsense), or with
 * one at most (gv_net_turn_away). */
struct gv_net_counters {
    uint64_t accepted, turned_away, slow, silent, throttled;
};
struct gv_net_counters gv_net_counters(const struct gv_net *net);

/* IPv4-mapped IPv6 becomes IPv4. False for another family. */
bool gv_net_from_sockaddr(struct gv_address *out, const struct sockaddr *from);
void gv_net_to_sockaddr(struct sockaddr_storage *out, const struct gv_address *from);

#endif
