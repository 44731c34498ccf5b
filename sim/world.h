/* A simulated world: N real cores, their bytes, their disks, virtual time. One thread, no clock, no
 * socket: the seed is the run. (SPEC 17) */
#ifndef GV_SIM_WORLD_H
#define GV_SIM_WORLD_H

#include "proto/core.h"
#include "sim/disk.h"
#include "sim/trace.h"

struct gv_world_options {
    size_t nodes;
    uint64_t seed;
    uint32_t latency_min_ms, latency_max_ms; /* one way, drawn per pair */
    bool lab;           /* a lab network: standing at once, documentation addresses count */
    uint32_t age_min;   /* how long ago the network and all instances began */
    size_t per_owner;   /* instances an owner runs; 0: 1 */
    uint32_t skew_max_ms; /* each clock is off by up to so much, either way */
};

enum gv_sim_event_kind { GV_SIM_WAKE, GV_SIM_DIALLED, GV_SIM_ARRIVED, GV_SIM_ENDED };

struct gv_sim_event {
    uint64_t at_ms, serial; /* serial settles ties: the order is total */
    enum gv_sim_event_kind kind;
    size_t node;
    uint32_t link;
    uint32_t generation; /* of the node: what was for a life before a crash is void */
    size_t wire;         /* DIALLED: connection, or SIZE_MAX when refused */
    uint8_t *data;       /* ARRIVED: owned */
    size_t len;
};

/* One TCP connection between two lives of two nodes. */
struct gv_sim_wire {
    size_t node[2]; /* 0: who dialled */
    uint32_t link[2], generation[2];
    uint64_t last_arrival_ms[2]; /* at that side: bytes stay in order */
    bool open[2];
};

struct gv_sim_node {
    struct gv_identity identity;
    uint8_t certificate[GV_CERTIFICATE_LEN];
    struct gv_certificate facts;
    struct gv_address address;
    struct gv_core *core; /* NULL: down */
    struct gv_disk disk;
    int64_t clock_skew_ms;
    uint32_t generation, next_incoming;
    uint64_t wake_ms;          /* the wake that is in the queue; UINT64_MAX: none */
    uint64_t bytes_in, bytes_out;
    uint32_t lives;
};

struct gv_world {
    struct gv_world_options options;
    struct gv_drbg drbg;
    uint64_t now_ms, start_unix_ms, serial;
    uint8_t root_secret[64], registry_secret[64];
    struct gv_descriptor descriptor;
    struct gv_buf descriptor_wire;
    struct gv_sim_node *nodes;
    struct gv_sim_event *queue; /* binary heap */
    size_t queued, queue_cap;
    struct gv_sim_wire *wires;
    size_t wire_count, wire_cap;
    uint8_t *cut;       /* nodes * nodes: 1 where two cannot reach each other */
    uint16_t *latency;  /* nodes * nodes, ms */
    struct gv_effects effects;
    struct gv_trace trace;
    uint64_t events;
    /* What a checker may want to hear of; called for every note of every core. May be NULL. */
    void (*on_note)(void *context, size_t node, const struct gv_effect *note);
    void *note_context;
};

/* Ends the process with a message when memory runs out: a run without it means nothing. */
struct gv_world *gv_world_new(const struct gv_world_options *options);
void gv_world_free(struct gv_world *world);

/* Runs until this virtual time (ms since the start). */
void gv_world_run(struct gv_world *world, uint64_t until_ms);
/* Hands one event to a node's core now, and carries out what it wants. Returns the core's answer,
 * or GV_ERR_STATE if it is down. */
int gv_world_step(struct gv_world *world, size_t node, const struct gv_event *event);
/* A failed login of this subject at this node, now. */
void gv_world_fail(struct gv_world *world, size_t node, const struct gv_subject *subject,
                   uint32_t attempts);

/* A crash takes what is not on disk; without_disk takes that too. */
void gv_world_crash(struct gv_world *world, size_t node, bool without_disk);
void gv_world_start(struct gv_world *world, size_t node);
/* Two nodes cannot reach each other any more, or can again. */
void gv_world_cut(struct gv_world *world, size_t a, size_t b, bool cut);

uint64_t gv_world_unix_ms(const struct gv_world *world, size_t node);
/* 0x0a000000 + number and the like: a public subject for tests and workloads. */
struct gv_subject gv_world_subject(uint32_t number);

#endif
