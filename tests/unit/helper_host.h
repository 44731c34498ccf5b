/* A stage for one or more real cores with hand-fed events: no sockets, no clock, no disk. A host is
 * a core and what it asked for; its links end at puppets (helper_puppet.h) or at another host. */
#ifndef GV_TESTS_HELPER_HOST_H
#define GV_TESTS_HELPER_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/certificate.h"
#include "crypto/drbg.h"
#include "proto/core.h"

#define STAGE_MINUTE 29865600u /* when every story begins: a whole hour */
#define STAGE_DAY    1440u

/* A network of the test's own: root, registry, descriptor. */
struct network {
    uint8_t root_secret[64], registry_secret[64];
    struct gv_descriptor descriptor;
    struct gv_buf wire; /* the signed descriptor */
};

/* Networks of different numbers have different roots and registries. The genesis is 100 days before
 * STAGE_MINUTE; the registry key has been in force since. */
void network_open(struct network *network, unsigned number, bool lab);
void network_close(struct network *network);
/* Signs the descriptor as it stands into `wire` anew. */
void network_publish(struct network *network);

/* Keys that only depend on the number. */
void make_identity(struct gv_identity *out, unsigned number);
/* What a registry would write for it: owner and network group are the number, since the genesis,
 * issued a day before STAGE_MINUTE, for 90 days. */
struct gv_certificate make_facts(const struct network *network, const struct gv_identity *identity,
                                 unsigned number);
void make_certificate(uint8_t wire[GV_CERTIFICATE_LEN], const struct network *network,
                      const struct gv_certificate *facts);
struct gv_address make_address(unsigned number); /* public; another /16 each */
struct gv_address private_address(uint8_t last); /* 10.0.0.last:4727 */

#define HOST_ENDS  256
#define HOST_NOTES 32
#define HOST_NOTED 256
#define HOST_DIALS 64

struct puppet;
struct host;

struct host_end {
    uint32_t link;
    struct puppet *puppet; /* or */
    struct host *other;
    uint32_t other_link;
    bool closed;        /* the core closed it */
    struct gv_buf wire; /* for the other host, not delivered yet */
};

struct host {
    struct network *network;
    struct gv_identity identity;
    uint8_t certificate[GV_CERTIFICATE_LEN];
    struct gv_certificate facts;
    struct gv_core *core;
    uint64_t now_ms;
    int64_t skew_ms; /* of its wall clock */
    struct gv_effects effects;
    int rc; /* of the last step */
    uint32_t next_incoming;
    struct host_end ends[HOST_ENDS];
    size_t end_count;
    struct {
        uint32_t link;
        struct gv_address address;
    } dials[HOST_DIALS]; /* what the core wanted to dial and nobody took up yet */
    size_t dial_count;
    struct gv_buf *keep;                 /* if set: every SEND is appended here too */
    unsigned notes[HOST_NOTES];          /* how often, by enum gv_note */
    struct gv_effect last[HOST_NOTES];   /* the latest of each */
    struct gv_subject noted[HOST_NOTED]; /* subjects that notes named; the test sets it back */
    size_t noted_count;
    unsigned persisted[16], forgotten[16]; /* by enum gv_row */
    unsigned send_before_persist;          /* steps in which a record went out before it was safe */
    uint64_t bytes_out;
    /* The core may run out of memory. When an effect is missing then, the host stops for good, as
     * a shell must. */
    bool fragile, stopped;
};

/* Called on the way into a core and out of it, if set: where a test makes allocations fail. */
extern void (*host_core_entered)(void), (*host_core_left)(void);

/* Returns what gv_core_new says; on success the host is up at STAGE_MINUTE. settings may be NULL:
 * it shares, dials out only, knows nobody. */
int host_open(struct host *host, struct network *network, unsigned number,
              const struct gv_settings *settings);
/* The same with every choice: certificate may be NULL. Uses host->skew_ms. */
int host_open_with(struct host *host, struct network *network, const struct gv_identity *identity,
                   const uint8_t *certificate, const struct gv_settings *settings);
void host_close(struct host *host);

int host_step(struct host *host, const struct gv_event *event);
/* Timer events at the core's deadlines until so much later. A deadline that does not move on ends
 * the process: that would be a busy loop in the daemon. */
void host_run(struct host *host, uint64_t ms);
uint32_t host_minute(const struct host *host);
uint64_t host_unix_ms(const struct host *host);

/* An incoming connection; returns its link number. The end is the caller's to fill in. */
uint32_t host_incoming(struct host *host, const struct gv_address *remote, struct puppet *puppet);
/* The same, and begins a handshake, and leaves it at that: a stranger. */
uint32_t host_call(struct host *host, const struct gv_address *remote);
void host_bytes(struct host *host, uint32_t link, const void *data, size_t len);
/* The other side is gone. */
void host_disconnected(struct host *host, uint32_t link);
struct host_end *host_end_of(struct host *host, uint32_t link);

int host_news(struct host *host, const void *record, size_t len);
int host_command(struct host *host, enum gv_command command, const struct gv_subject *subject);
/* Three failed logins, one of an unknown account: enough for a signal. */
void host_fails(struct host *host, const struct gv_subject *subject);

struct gv_core_status host_status(const struct host *host);
enum gv_verdict_state host_verdict(const struct host *host, const struct gv_subject *subject);
bool host_knows(const struct host *host, const uint8_t instance[GV_ID_LEN],
                struct gv_instance_info *out);

/* Connects two hosts: what `from` dials first reaches `to` (it must want to dial somebody). */
bool hosts_connect(struct host *from, struct host *to);
/* Delivers what the hosts sent each other until nothing is under way. */
void hosts_pump(struct host *const *hosts, size_t count);
/* All of them, together, for so long. */
void hosts_run(struct host *const *hosts, size_t count, uint64_t ms);

#endif
