/* A simulated world: N real cores, their bytes, their disks, virtual time. One thread, no clock, no
 * socket: the seed is the run. (SPEC 17) */
#ifndef GV_SIM_WORLD_H
#define GV_SIM_WORLD_H

#include "proto/core.h"
#include "sim/disk.h"
#include "sim/faults.h"
#include "sim/memo.h"
#include "sim/queue.h"
#include "sim/trace.h"

struct gv_liar;
struct gv_story;

struct gv_world_options {
    size_t nodes;
    uint64_t seed;
    uint32_t latency_min_ms, latency_max_ms; /* one way, drawn per pair */
    size_t networks;  /* not 0: the members lie in so many, and latency is by these (latency.h) */
    bool lab;         /* a lab network: standing at once, documentation addresses count */
    uint32_t age_min; /* how long ago the network and all instances began */
    size_t per_owner; /* instances an owner runs; 0: 1 */
    uint32_t skew_max_ms; /* each clock is off by up to so much, either way */
    struct gv_faults faults;
    uint32_t run_min; /* `known`: no address is renewed in the last minutes of the run */
    bool known;       /* everybody knows everybody from the start: a mesh that has lived */
    bool public_only; /* no keepers: every word goes to everybody */
    uint32_t behind_nat, offline; /* percent of the nodes: dial out only; are down all the time */
    bool apart;                   /* cores share nothing, as daemons do */
    bool real_crypto;             /* every signature is checked again at every node */
    struct gv_story *story;       /* who is told what happens (story.h); NULL: nobody. Borrowed */
};

enum gv_sim_event_kind {
    GV_SIM_WAKE,      /* of a core or a liar */
    GV_SIM_DIALLED,   /* a connection comes about, or not */
    GV_SIM_CONNECTED, /* one end hears of it */
    GV_SIM_ARRIVED,   /* bytes */
    GV_SIM_ENDED,     /* one end hears that it is over */
    GV_SIM_OBSERVED,  /* a failed login */
    GV_SIM_CLOCK,     /* the wall clock was set */
    GV_SIM_COMMITTED, /* a slow disk is done */
    GV_SIM_WEATHER    /* faults.h: something breaks or heals */
};

struct gv_sim_event {
    uint64_t at_ms, serial; /* serial settles ties: the order is total */
    enum gv_sim_event_kind kind;
    size_t node;
    uint32_t link;
    uint32_t generation; /* of the node: what was for a life before a crash is void */
    size_t wire;         /* DIALLED: target; CONNECTED: other node; ARRIVED: wire; WEATHER: index */
    uint64_t wire_serial; /* ARRIVED: of the connection in that place */
    uint8_t *data;        /* ARRIVED: bytes; OBSERVED: the observation. Owned */
    size_t len;           /* CONNECTED: the dialler's number */
    int64_t skew_ms;      /* CLOCK */
};

/* What was sent across a silent cut waits here for its end, as TCP sends it again and again. */
struct gv_sim_stalled {
    uint8_t *data;
    size_t len;
    bool end; /* the sender closed */
};

/* One TCP connection between two lives of two nodes. */
struct gv_sim_wire {
    size_t node[2]; /* 0: who dialled */
    uint32_t link[2], generation[2];
    uint64_t last_arrival_ms[2]; /* at that side: bytes stay in order */
    bool open[2];
    uint64_t serial;
    struct gv_sim_stalled *stalled[2]; /* towards that side; owned */
    size_t stalled_count[2];
};

/* What the registry said of an instance, for good. */
#define GV_SIM_REVOCATIONS 5
struct gv_sim_revocation {
    uint8_t instance[GV_ID_LEN];
    uint32_t revoked_min;
    uint8_t record[128]; /* kind byte || wire */
    size_t len;
};

struct gv_sim_node {
    struct gv_identity identity;
    bool abandoned; /* its certificate ends within the run, and is not renewed */
    bool loading;   /* its disk is being read */
    bool fresh_key; /* it has not lived with it yet */
    bool away;      /* down all the time: it is in the roster and nowhere else */
    bool outbound;  /* behind NAT: nobody can dial it, and it says so */
    uint8_t certificate[GV_CERTIFICATE_LEN];
    struct gv_certificate facts;
    struct gv_address address;
    struct gv_core *core; /* NULL: down, or a liar */
    struct gv_liar *liar; /* NULL: honest */
    struct gv_disk disk;
    int64_t clock_skew_ms, usual_skew_ms;
    uint32_t generation, next_incoming;
    uint64_t wake_ms; /* the wake that is in the queue; UINT64_MAX: none */
    uint64_t bytes_in, bytes_out;
    uint64_t line_free_ms;       /* when its line has carried off what it was given (`kbit`) */
    struct gv_traffic_sum moved; /* by cause, of the lives before */
    uint64_t most;               /* likewise: in an hour, under the cap */
    struct gv_sim_end {
        size_t wire;
        uint32_t link;
    } * wires; /* where its connections are, some of them gone; owned */
    size_t wire_count, wire_cap;
    uint32_t lives;
    uint64_t started_ms; /* the present one */
    uint32_t renew_failures;
    int64_t bytes_held; /* by its core, by the allocator's count (account.h) */
    /* A slow disk: while a batch is being written the node does nothing else. */
    bool busy;
    struct gv_effects writing;  /* the batch */
    struct gv_sim_event *inbox; /* what happened meanwhile; owned */
    size_t inbox_count, inbox_cap;
};

/* How often each fault happened: a fault that was asked for and never came would prove nothing. */
#define GV_WEATHER_MAP(X)                                                                          \
    X(lost, "segments lost")                                                                       \
    X(delayed, "segments delayed")                                                                 \
    X(split, "arrivals split")                                                                     \
    X(broken, "connections broken")                                                                \
    X(partitions, "partitions")                                                                    \
    X(stalled, "sends stalled by a cut")                                                           \
    X(crashes, "crashes")                                                                          \
    X(power_cuts, "of them power cuts that lost rows")                                             \
    X(disks_lost, "of them with the disk")                                                         \
    X(numbers_lost, "starts without the last number, with an old key")                             \
    X(slow_commits, "slow commits")                                                                \
    X(void_commits, "commits that a crash made void")                                              \
    X(jumps, "clock jumps")                                                                        \
    X(renewals, "certificates renewed")                                                            \
    X(renewals_failed, "renewals that found the registry dead")                                    \
    X(revoked, "instances revoked")                                                                \
    X(revoked_honest, "of them honest ones")                                                       \
    X(abandoned, "certificates that ended")                                                        \
    X(retracted, "signals taken back")                                                             \
    X(killed, "nodes killed at one moment")                                                        \
    X(queued, "sends that waited for a slow line")                                                 \
    X(lies, "lies told")                                                                           \
    X(grave_lies, "of them forged, or on private addresses")                                       \
    X(cut_off, "times that a liar was cut off")                                                    \
    X(cut_off_grave, "of them for such a one")
struct gv_weather_counts {
#define GV_WEATHER_FIELD(name, text) uint64_t name;
    GV_WEATHER_MAP(GV_WEATHER_FIELD)
#undef GV_WEATHER_FIELD
};

struct gv_world {
    struct gv_world_options options;
    size_t members; /* nodes, and after them the liars */
    struct gv_drbg drbg, fault_drbg;
    uint64_t now_ms, start_unix_ms, serial;
    uint64_t at_once; /* events since time last moved */
    uint8_t root_secret[64], registry_secret[64];
    struct gv_descriptor descriptor;
    struct gv_buf descriptor_wire;
    struct gv_sim_node *nodes; /* members */
    struct gv_table shelf;     /* of all disks */
    struct gv_common *common;  /* what all cores hold once */
    struct gv_buf *roster; /* `known`: what every node's disk holds of it, once for all; owned */
    size_t roster_count;
    struct gv_sim_queue queue;
    struct gv_sim_wire *wires;
    size_t wire_count, wire_cap, wire_hint;
    uint64_t wire_serial;
    uint8_t *cut;      /* members * members, [from][to]: cuts there; bytes get through at 0 */
    uint16_t *latency; /* members * members, ms */
    struct gv_effects effects;
    struct gv_trace trace;
    uint64_t events;
    struct gv_memo memo;
    struct gv_weather_event *actions; /* weather.c: what breaks and heals, by time; owned */
    size_t action_count;
    bool registry_dead;
    uint32_t first_end_min; /* no certificate that was ever issued ends before */
    struct gv_sim_revocation revocations[GV_SIM_REVOCATIONS];
    size_t revocation_count;
    bool calm; /* all is healed: nothing breaks any more */
    struct gv_weather_counts counts;
    /* What a checker may want to hear of. May be NULL. on_note: every note of every core, when what
     * came before it is safe. on_effect: each row and each send, first when the core decided it
     * (done false), then when it was carried out. on_start: a core has loaded its disk. */
    void (*on_note)(void *context, size_t node, const struct gv_effect *note);
    void (*on_effect)(void *context, size_t node, const struct gv_effects *effects,
                      const struct gv_effect *effect, bool done);
    void (*on_start)(void *context, size_t node);
    void *note_context;
};

/* Ends the process with a message when memory runs out: a run without it means nothing. */
struct gv_world *gv_world_new(const struct gv_world_options *options);
void gv_world_free(struct gv_world *world);

/* Runs until this virtual time (ms since the start). */
void gv_world_run(struct gv_world *world, uint64_t until_ms);
/* Hands one event to a node's core now, and carries out what it wants. Returns the core's answer,
 * or GV_ERR_STATE if it is down, or writing. */
int gv_world_step(struct gv_world *world, size_t node, const struct gv_event *event);
/* A failed login of this subject at this node, now (or when its disk is done). */
void gv_world_fail(struct gv_world *world, size_t node, const struct gv_subject *subject,
                   uint32_t attempts);

/* A crash takes what is not on disk; without_disk takes that too. */
void gv_world_crash(struct gv_world *world, size_t node, bool without_disk);
void gv_world_start(struct gv_world *world, size_t node);
/* Two nodes cannot reach each other any more, or can again; connections between them end. */
void gv_world_cut(struct gv_world *world, size_t a, size_t b, bool cut);

/* traffic.c: what a node moved by cause, over all its lives, and the most of any hour. */
void gv_world_traffic(const struct gv_world *world, size_t node, struct gv_traffic_sum *out,
                      uint64_t *most);
void gv_world_keep_traffic(struct gv_sim_node *node); /* its core is about to go */

uint64_t gv_world_unix_ms(const struct gv_world *world, size_t node);
/* A public subject for tests and workloads, and back. */
struct gv_subject gv_world_subject(uint32_t number);
uint32_t gv_world_subject_number(const struct gv_subject *subject);
bool gv_world_is_up(const struct gv_world *world, size_t node);
/* A fresh key and a certificate for it, of the same owner and place, admitted now: what a host
 * does that lost its key file with its disk. */
void gv_world_enroll_anew(struct gv_world *world, size_t node);
/* Issues and hands over this node's renewed certificate. */
void gv_world_renew(struct gv_world *world, size_t node);

/* away.c: draws who is away and who dials out only. */
void gv_world_draw_away(struct gv_world *world);
/* How many nodes are not away. */
size_t gv_world_online(const struct gv_world *world);

/* outcast.c: whether the registry revoked this instance: index, or revocation_count. */
size_t gv_world_revocation(const struct gv_world *world, const uint8_t instance[GV_ID_LEN]);
/* Whether this member's present instance is revoked, or its certificate is left to end, or it is
 * away: nobody talks with it, and what must hold for members does not for it. */
bool gv_world_is_outcast(const struct gv_world *world, size_t node);
/* The registry revokes the present instance of this member, or of one after it: one that is still
 * in, if honest with three others left. False: there is none. */
bool gv_world_revoke(struct gv_world *world, size_t member, uint64_t dice);
/* Hands a revocation to one node, as the registry's answer to its question. */
void gv_world_tell(struct gv_world *world, size_t node, size_t revocation);
/* This member's certificate is made to end within half an hour. */
void gv_world_abandon(struct gv_world *world, struct gv_sim_node *node);
/* The node takes back one of its own signals, if it holds any. */
void gv_world_retract(struct gv_world *world, size_t node, uint64_t dice);

/* node.c: it is this event's time at its node. Frees event->data. */
void gv_node_happen(struct gv_world *world, struct gv_sim_event *event);
void gv_node_wipe(struct gv_sim_node *node); /* frees what it holds */

#endif
