/* One TCP connection, from dialling to closed. Private to node/host/net*.c. */
#ifndef GV_NODE_HOST_NET_LINK_H
#define GV_NODE_HOST_NET_LINK_H

#include "node/host/net.h"
#include "proto/buf.h"

/* RESOLVING -> DIALLING -> UP -> CLOSING -> GONE; any state may fall to GONE. */
enum gv_net_link_state {
    GV_NET_LINK_RESOLVING, /* the name is with the resolver; no handle yet */
    GV_NET_LINK_DIALLING,
    GV_NET_LINK_UP,
    GV_NET_LINK_CLOSING, /* the queue goes out, what comes in is dropped */
    GV_NET_LINK_GONE     /* only waits for libuv to let go of it */
};

struct gv_net_link {
    struct gv_net_link *next, *previous; /* of net->links */
    struct gv_net_link *chain;           /* of its bucket */
    struct gv_net *net;
    uint32_t number;
    enum gv_net_link_state state;
    bool incoming, heard, dirty;
    bool counted;   /* among net->incoming */
    bool said;      /* we have sent something on it */
    bool paused;    /* not read: it has used up its credit */
    int64_t credit; /* bytes that may be read at credit_at (loop time) */
    uint64_t credit_at;
    bool silent;       /* the driver never heard of it, and is not told that it goes */
    bool redial;       /* the handle is being closed to try the next address */
    uint64_t deadline; /* loop time; 0: none */
    uv_tcp_t tcp;
    union {
        uv_getaddrinfo_t resolve;
        uv_connect_t connect;
        uv_shutdown_t shutdown;
    } request;
    struct gv_buf out;
    char name[256]; /* while it is with the resolver */
    struct gv_address tries[GV_NET_TRY_MAX];
    uint8_t try_count, try_next;
};

#define GV_NET_BUCKETS 256

struct gv_net {
    uv_loop_t *loop;
    struct gv_net_callbacks callbacks;
    bool online, stopped;
    bool any_dirty; /* some link has something to be written */
    unsigned incoming_max, incoming;
    uint32_t last_incoming;
    uv_tcp_t listeners[GV_NET_LISTEN_MAX + 1]; /* one more: [::] that became 0.0.0.0 */
    size_t listener_count;
    struct gv_address bind[GV_NET_BIND_MAX];
    size_t bind_count;
    uv_timer_t sweep, drip;
    size_t paused;  /* links */
    size_t handles; /* listeners and the timers, not closed yet */
    struct gv_net_link *links;
    size_t link_count;
    struct gv_net_link *buckets[GV_NET_BUCKETS];
    struct gv_net_counters counters;
    char read[GV_NET_READ_MAX];
};

/* number 0: the next incoming one. NULL when out of memory. */
struct gv_net_link *gv_net_link_new(struct gv_net *net, uint32_t number);
struct gv_net_link *gv_net_link_find(const struct gv_net *net, uint32_t number);
void gv_net_link_accept(struct gv_net_link *link, uv_stream_t *server);
void gv_net_link_drop(struct gv_net_link *link);    /* at once, whatever its state */
void gv_net_link_expired(struct gv_net_link *link); /* its deadline has passed */

/* Reads on, if it has credit again. */
void gv_net_link_drip(struct gv_net_link *link);

bool gv_net_admit(struct gv_net *net);
void gv_net_want_sweep(struct gv_net *net);
void gv_net_want_drip(struct gv_net *net);
void gv_net_reap(struct gv_net *net);

#endif
